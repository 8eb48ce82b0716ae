//! Kubernetes Events: what `kubectl describe lease` tells of decisions.
//!
//! They are published beside the loop, one after the other, and dropped when there are too many: no decision ever waits
//! for one.

use std::time::Duration;

use candidate::clock::SharedClock;
use election_core::elector::Reason;
use election_core::{Identity, LeaseKey, LeaseWrite, Refusal, Uid, WriteKind};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

/// Takes notes; never waits.
#[derive(Clone)]
pub(crate) struct Notes {
    queue: mpsc::Sender<Note>,
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
pub(crate) fn channel(
    client: kube::Client,
    instance: &str,
    clock: SharedClock,
    within: Duration,
) -> (Notes, Publisher) {
    let (sender, queue) = mpsc::channel(CAPACITY);
    let reporter = Reporter {
        controller: CONTROLLER.to_owned(),
        instance: Some(instance.to_owned()),
    };
    (
        Notes { queue: sender },
        Publisher {
            queue,
            recorder: Recorder::new(client, reporter),
            clock,
            within,
        },
    )
}

impl Notes {
    /// A grant, or a change of the nomination, that the server has taken.
    pub(crate) fn wrote(&self, write: &LeaseWrite, reason: &Reason) {
        let (did, whom) = match (write.kind, &write.record.preferred_holder) {
            (WriteKind::Nominate, None) => ("NominationCleared", None),
            (WriteKind::Nominate, nominee) => ("Nominated", nominee.as_ref()),
            _ => ("Offered", write.record.holder.as_ref()),
        };
        let text = match whom {
            Some(whom) => format!("{did} to {whom}: {reason}").replace("Nominated to", "Nominated"),
            None => format!("Nomination cleared: {reason}"),
        };
        let secondary = whom.map(|whom| candidate(&write.key, whom));
        self.put(Note {
            regarding: lease(&write.key, Some(&write.uid)),
            event: Event {
                secondary,
                ..event(EventType::Normal, did, reason.code(), text)
            },
        });
    }

    /// A request that the server refuses, and will refuse again.
    pub(crate) fn failed(&self, key: &LeaseKey, uid: Option<&Uid>, verb: &str, why: &str) {
        let text = format!("The elector could not {verb} this lease: {why}");
        self.put(Note {
            regarding: lease(key, uid),
            event: event(EventType::Warning, "ElectionFailed", "Write", text),
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
                result = self.recorder.publish(&note.event, &note.regarding) => result.err().map(|error| error.to_string()),
                () = deadline => Some("no answer in time".to_owned()),
            };
            // One line for each spell of failures: Events are a courtesy.
            if let Some(why) = &failure
                && !failed_before
            {
                tracing::warn!(
                    why,
                    "Events cannot be published: is `create` on events in events.k8s.io allowed?"
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

/// An API server refuses a longer note.
const NOTE_LIMIT: usize = 1000;

/// Who reports, in the words of `kubectl get events`.
const CONTROLLER: &str = "leader-election-controller";
