//! The loop of an elector: wait for one event, give it to the core, carry out what follows.
//!
//! Nothing is decided here, and nothing here waits for a request: requests run beside the loop and come back as events.

use candidate::clock::SharedClock;
use candidate::watch::WatchEvent;
use election_core::elector::{Event, Outcome, Output, Step};
use election_core::{LeaseKey, Mono, Refusal, Uid};

use crate::effects::{Answer, Effects, Request};
use crate::notes::{self, Notes};
use crate::options::{Error, Options};
use crate::scopes::Scopes;

/// Everything that can wake an elector.
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, and it is matched at once"
)]
enum Wake {
    Watch(usize, Option<WatchEvent>),
    Answer(Answer),
    Acting(bool),
    Shutdown,
    Timer,
}

/// Elects until `shutdown` resolves. A server that cannot be reached, or that refuses, is tried again for ever.
///
/// # Errors
/// When the options contradict each other.
pub async fn run(
    client: kube::Client,
    options: Options,
    clock: SharedClock,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let options = options.validated()?;
    let (notes, publisher) = notes::channel(
        client.clone(),
        &options.instance,
        clock.clone(),
        options.request_deadline,
    );
    let elector = Loop {
        scopes: Scopes::new(&client, &options, &clock),
        effects: Effects::new(
            client,
            clock.clone(),
            options.request_deadline,
            options.concurrency,
        ),
        notes,
        clock,
        acting: options.acting,
    };
    tokio::pin!(shutdown);
    let publishing = publisher.run();
    tokio::pin!(publishing);
    tokio::select! {
        () = elector.run(shutdown) => Ok(()),
        () = &mut publishing => Ok(()),
    }
}

struct Loop {
    scopes: Scopes,
    effects: Effects,
    notes: Notes,
    clock: SharedClock,
    acting: Option<tokio::sync::watch::Receiver<bool>>,
}

impl Loop {
    async fn run(mut self, mut shutdown: impl Future<Output = ()> + Unpin) {
        if let Some(acting) = &self.acting {
            let acting = *acting.borrow();
            self.set_acting(acting);
        }
        loop {
            self.carry_out();
            match self.wait(&mut shutdown).await {
                Wake::Shutdown => return,
                wake => self.take(wake),
            }
        }
    }

    async fn wait(&mut self, shutdown: &mut (impl Future<Output = ()> + Unpin)) -> Wake {
        let timer = self.scopes.deadline().map(|at| self.clock.sleep_until(at));
        let timer = async {
            match timer {
                Some(timer) => timer.await,
                None => std::future::pending().await,
            }
        };
        let acting = &mut self.acting;
        let acting = async {
            match acting {
                Some(receiver) => match receiver.changed().await {
                    Ok(()) => *receiver.borrow(),
                    // Whoever knew is gone: it is safer not to write.
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shutdown => Wake::Shutdown,
            acting = acting => Wake::Acting(acting),
            answer = self.effects.next() => Wake::Answer(answer),
            (scope, event) = self.scopes.next() => Wake::Watch(scope, event),
            () = timer => Wake::Timer,
        }
    }

    fn take(&mut self, wake: Wake) {
        let now = self.clock.now();
        match wake {
            Wake::Watch(index, Some(event)) => {
                if let Some(scope) = self.scopes.get_mut(index) {
                    let news = scope.take(now, event);
                    self.effects.remember(index, news);
                }
            }
            Wake::Answer(answer) => self.answered(now, answer),
            Wake::Acting(acting) => self.set_acting(acting),
            Wake::Watch(_, None) | Wake::Timer | Wake::Shutdown => {}
        }
        for (_, scope) in self.scopes.iter_mut() {
            scope.check_silence(now);
        }
    }

    fn set_acting(&mut self, acting: bool) {
        let now = self.clock.now();
        tracing::info!(
            acting,
            "this elector {}",
            if acting { "acts" } else { "stands by" }
        );
        for (_, scope) in self.scopes.iter_mut() {
            scope.elector.handle(now, Event::Acting(acting));
        }
    }

    fn answered(&mut self, now: Mono, answer: Answer) {
        let Answer {
            scope,
            request,
            outcome,
            ..
        } = answer;
        report(&self.notes, &request, &outcome);
        let key = request.key().clone();
        let event = match request {
            Request::Delete(..) => Event::Collected { key, outcome },
            Request::Create(..) | Request::Write(..) => Event::Answer { key, outcome },
        };
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.elector.handle(now, event);
        }
    }

    /// Carries out what the cores want.
    fn carry_out(&mut self) {
        let now = self.clock.now();
        for (index, scope) in self.scopes.iter_mut() {
            while let Some(output) = scope.elector.poll(now) {
                match output {
                    Output::Decided(step) => log_step(&step),
                    Output::Refused { key, uid, refusal } => refused(&self.notes, &key, &uid, &refusal),
                    Output::Relist => scope.relist(now, "what is known may be old"),
                    output => {
                        if let Some(request) = Request::of(output) {
                            self.effects.send(index, request);
                        }
                    }
                }
            }
        }
    }
}

/// Says what became of a request, in the log and as an Event.
pub(crate) fn report(notes: &Notes, request: &Request, outcome: &Outcome) {
    let (lease, verb) = (request.key(), request.verb());
    match (outcome, request) {
        (Outcome::Done(_), Request::Write(write, reason)) => {
            notes.wrote(write, reason);
            tracing::info!(%lease, verb, reason = reason.code(), "done: {reason}");
        }
        (Outcome::Done(_), Request::Create(_, reason)) => {
            tracing::info!(%lease, verb, reason = reason.code(), "done: {reason}");
        }
        (Outcome::Done(_), Request::Delete(..)) => {
            tracing::info!(%lease, verb, "done: this candidate has been silent for ten lease durations");
        }
        (Outcome::Conflict, _) => tracing::debug!(%lease, verb, "the lease has changed meanwhile"),
        (Outcome::Refused(why), _) => {
            let uid = match request {
                Request::Write(write, _) => Some(&write.uid),
                _ => None,
            };
            notes.failed(lease, uid, verb, why);
            tracing::error!(%lease, verb, why, "the API server refuses: is the elector allowed to {verb} leases here?");
        }
        (Outcome::Unknown(why), _) => {
            tracing::warn!(%lease, verb, why, "the outcome is not known: trying again")
        }
    }
}

fn refused(notes: &Notes, key: &LeaseKey, uid: &Uid, refusal: &Refusal) {
    tracing::warn!(candidate = %key, reason = refusal.code(), "refused: {refusal}");
    notes.refused(key, uid, refusal);
}

/// A decision that needs no request is told at the level of detail, because there is one for every lease of the cluster.
fn log_step(step: &Step) {
    let (lease, decision, reason) = (&step.lease, step.decision.code(), step.reason.code());
    if step.standings.is_empty() {
        tracing::debug!(%lease, decision, reason, "{}: {}", step.decision, step.reason);
    } else {
        tracing::info!(%lease, decision, reason, "{}: {}", step.decision, step.reason);
    }
}
