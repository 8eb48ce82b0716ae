//! Kubernetes Events: what `kubectl describe lease` tells of decisions.
//!
//! They are published beside the loop, one after the other, and dropped when there are too many: no decision ever waits
//! for one.

use std::collections::HashMap;
use std::time::Duration;

use candidate::client::classify;
use candidate::clock::SharedClock;
use election_core::elector::Reason;
use election_core::{Identity, LeaseKey, LeaseWrite, Mono, Refusal, Uid, WriteKind};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

use crate::effects::Request;
use crate::options::Options;

/// Takes notes; never waits.
pub(crate) struct Notes {
    queue: mpsc::Sender<Note>,
    /// What was last said about the leases that cannot be written, and when.
    failing: HashMap<LeaseKey, (String, Mono)>,
}

/// An Event to publish.
struct Note {
    regarding: ObjectReference,
    event: Event,
}

/// Publishes the notes.
pub(crate) struct Publisher {
    queue: mpsc::Receiver<Note>,
    recorder: Recorder,
    clock: SharedClock,
    within: Duration,
}

/// A pair of the two ends.
pub(crate) fn channel(client: kube::Client, options: &Options, clock: SharedClock) -> (Notes, Publisher) {
    let (sender, queue) = mpsc::channel(CAPACITY);
    let reporter = Reporter {
        controller: CONTROLLER.to_owned(),
        instance: Some(options.instance.clone()),
    };
    let notes = Notes {
        queue: sender,
        failing: HashMap::new(),
    };
    let publisher = Publisher {
        queue,
        recorder: Recorder::new(client, reporter),
        clock,
        within: options.request_deadline,
    };
    (notes, publisher)
}

impl Notes {
    /// A request that the server has carried out. A grant, and a change of the nomination, is told.
    pub(crate) fn done(&mut self, request: &Request) {
        self.failing.remove(request.key());
        if let Request::Write(write, reason) = request {
            self.wrote(write, reason);
        }
    }

    fn wrote(&self, write: &LeaseWrite, reason: &Reason) {
        let nominates = write.kind == WriteKind::Nominate;
        let whom = match nominates {
            true => write.record.preferred_holder.as_ref(),
            false => write.record.holder.as_ref(),
        };
        let (did, text) = match whom {
            Some(whom) if nominates => ("Nominated", format!("Nominated {whom}: {reason}")),
            Some(whom) => ("Offered", format!("Offered to {whom}: {reason}")),
            None => ("NominationCleared", format!("Nomination cleared: {reason}")),
        };
        self.put(Note {
            regarding: lease(&write.key, Some(&write.uid)),
            event: Event {
                secondary: whom.map(|whom| candidate(&write.key, whom)),
                ..event(EventType::Normal, did, reason.code(), text)
            },
        });
    }

    /// A request that the server refuses, and will refuse again: told once in a while, not with each attempt.
    pub(crate) fn failed(&mut self, now: Mono, request: &Request, why: &str) {
        let (key, verb) = (request.key(), request.verb());
        let text = format!("The elector may not {verb} this lease: {why}");
        let told = self.failing.get(key);
        if told.is_some_and(|(told, at)| *told == text && now < *at + TOLD_AGAIN) {
            return;
        }
        self.failing.insert(key.clone(), (text.clone(), now));
        let uid = match request {
            Request::Create(..) => None,
            Request::Write(write, _) => Some(&write.uid),
            Request::Delete(_, uid, _) => Some(uid),
        };
        self.put(Note {
            regarding: lease(key, uid),
            event: event(EventType::Warning, "ElectionFailed", request.permission(), text),
        });
    }

    /// An identity lease that says something which cannot count.
    pub(crate) fn refused(&self, key: &LeaseKey, uid: &Uid, refusal: &Refusal) {
        let text = format!("This candidate is refused: {refusal}");
        self.put(Note {
            regarding: lease(key, Some(uid)),
            event: event(EventType::Warning, refusal.code(), "Refused", text),
        });
    }

    /// A leader lease that a candidate cannot lead, for the same reason.
    pub(crate) fn passed_over(&self, key: &LeaseKey, uid: &Uid, whom: &Identity, why: &str) {
        let text = format!("Candidate {whom} is refused: {why}");
        self.put(Note {
            regarding: lease(key, Some(uid)),
            event: Event {
                secondary: Some(candidate(key, whom)),
                ..event(EventType::Warning, "CandidateRefused", "Refused", text)
            },
        });
    }

    fn put(&self, note: Note) {
        if self.queue.try_send(note).is_err() {
            tracing::debug!("too many Events: one is dropped");
        }
    }
}

impl Publisher {
    /// Publishes until the other end is gone and nothing is left.
    pub(crate) async fn run(mut self) {
        let mut failed_before = false;
        while let Some(note) = self.queue.recv().await {
            let deadline = self.clock.sleep_until(self.clock.now() + self.within);
            let failure = tokio::select! {
                biased;
                result = self.recorder.publish(&note.event, &note.regarding) => {
                    result.err().map(|error| classify(&error).to_string())
                }
                () = deadline => {
                    // A server that does not answer gets no queue to answer later.
                    while self.queue.try_recv().is_ok() {}
                    Some(format!("no answer within {:?}", self.within))
                }
            };
            // One line for each spell of failures: Events are a courtesy.
            if let Some(why) = &failure
                && !failed_before
            {
                tracing::warn!(
                    why,
                    "Events cannot be published: the elector needs `create` and `patch` on events in events.k8s.io"
                );
            }
            failed_before = failure.is_some();
        }
    }
}

fn event(kind: EventType, reason: &str, action: &str, mut text: String) -> Event {
    if text.len() > NOTE_LIMIT {
        let end = (0..=NOTE_LIMIT)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default();
        text.truncate(end);
    }
    Event {
        type_: kind,
        reason: reason.to_owned(),
        note: Some(text),
        action: action.to_owned(),
        secondary: None,
    }
}

fn lease(key: &LeaseKey, uid: Option<&Uid>) -> ObjectReference {
    ObjectReference {
        api_version: Some("coordination.k8s.io/v1".to_owned()),
        kind: Some("Lease".to_owned()),
        namespace: Some(key.namespace().to_owned()),
        name: Some(key.name().to_owned()),
        uid: uid.map(|uid| uid.as_str().to_owned()),
        ..ObjectReference::default()
    }
}

fn candidate(key: &LeaseKey, identity: &Identity) -> ObjectReference {
    lease(&LeaseKey::new(key.namespace(), identity.as_str()), None)
}

/// How many notes may wait. A spell of trouble that makes more than this says the same thing over and over.
const CAPACITY: usize = 256;

/// After how long a refusal that goes on is told again: Events are kept for an hour.
const TOLD_AGAIN: Duration = Duration::from_secs(30 * 60);

/// An API server refuses a longer note.
const NOTE_LIMIT: usize = 1000;

/// Who reports, in the words of `kubectl get events`.
const CONTROLLER: &str = "leader-election-controller";
