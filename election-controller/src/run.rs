//! The loop of an elector: wait for one event, give it to the core, carry out what follows.
//!
//! Nothing is decided here, and nothing here waits for a request: requests run beside the loop and come back as events.

use std::pin::pin;
use std::time::Duration;

use candidate::clock::SharedClock;
use candidate::watch::WatchEvent;
use election_core::elector::{Event, Outcome, Output, Step};
use election_core::{LeaseKey, Mono, Refusal, Uid, wire};
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::effects::{Answer, Effects, Request};
use crate::notes::{self, Notes};
use crate::objects::Objects;
use crate::options::{Error, Options};
use crate::scopes::Scopes;

/// Everything that can wake an elector.
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, and it is matched at once"
)]
enum Wake {
    Watch(usize, WatchEvent),
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
    let (notes, publisher) = notes::channel(client.clone(), &options, clock.clone());
    let elector = Loop {
        scopes: Scopes::new(&client, &options, &clock),
        effects: Effects::new(client, clock.clone(), &options),
        notes,
        clock: clock.clone(),
        acting: options.acting,
        alarm: Alarm::default(),
    };
    // The end drops the notes, so the publisher ends with the last of them.
    let electing = async {
        elector.run(pin!(shutdown)).await;
        clock.sleep_until(clock.now() + LAST_EVENTS).await;
    };
    tokio::select! {
        biased;
        () = electing => {}
        () = publisher.run() => {}
    }
    Ok(())
}

/// How long the end waits for Events that are not published yet. Nobody should wait longer for a courtesy.
const LAST_EVENTS: Duration = Duration::from_millis(500);

struct Loop {
    scopes: Scopes,
    effects: Effects,
    notes: Notes,
    clock: SharedClock,
    acting: Option<watch::Receiver<bool>>,
    alarm: Alarm,
}

/// Wakes the loop at the next deadline, or before it.
///
/// The deadline moves with nearly every event of a large cluster, almost always to later, and setting a timer costs the
/// kernel more than the event itself. So one that is set is kept as long as it is not too late.
#[derive(Default)]
struct Alarm(Option<(Mono, BoxFuture<'static, ()>)>);

impl Alarm {
    fn set(&mut self, clock: &SharedClock, deadline: Option<Mono>) {
        if let Some(at) = deadline
            && self.0.as_ref().is_none_or(|(set, _)| at < *set)
        {
            self.0 = Some((at, clock.sleep_until(at)));
        }
    }

    async fn rings(&mut self) {
        match &mut self.0 {
            Some((_, sleep)) => sleep.await,
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

impl Loop {
    async fn run(mut self, mut shutdown: impl Future<Output = ()> + Unpin) {
        if let Some(acting) = &mut self.acting {
            let acting = *acting.borrow_and_update();
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
        self.alarm.set(&self.clock, self.scopes.deadline());
        tokio::select! {
            biased;
            () = shutdown => Wake::Shutdown,
            acting = may_act(&mut self.acting) => Wake::Acting(acting),
            answer = self.effects.next() => Wake::Answer(answer),
            (scope, event) = self.scopes.next() => Wake::Watch(scope, event),
            () = self.alarm.rings() => Wake::Timer,
        }
    }

    fn take(&mut self, wake: Wake) {
        let now = self.clock.now();
        match wake {
            Wake::Watch(index, event) => self.watched(now, index, event),
            Wake::Answer(answer) => self.answered(now, answer),
            Wake::Acting(acting) => self.set_acting(acting),
            Wake::Timer | Wake::Shutdown => {}
        }
        for (_, scope) in self.scopes.iter_mut() {
            scope.check_silence(now);
        }
    }

    fn watched(&mut self, now: Mono, index: usize, event: WatchEvent) {
        let Some(scope) = self.scopes.get_mut(index) else {
            return;
        };
        let news = scope.take(now, event);
        // A leader lease that did not exist before has no Events yet about whom it cannot go to.
        if let Some(lease) = self.effects.objects.take(index, news)
            && let Some(explanation) = scope.elector.explain(now, &lease)
        {
            let uid = self.effects.objects.uid(&lease);
            for candidate in explanation.candidates {
                if let (Some(uid), Some(why)) = (&uid, candidate.refusal) {
                    self.notes.passed_over(&lease, uid, &candidate.identity, &why);
                }
            }
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
        report(&mut self.notes, now, &request, &outcome);
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
                    Output::Refused { key, uid, refusal } => {
                        refused(&self.notes, &self.effects.objects, (&key, &uid), &refusal);
                    }
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

/// Resolves with whether this elector may write, when that has changed.
async fn may_act(acting: &mut Option<watch::Receiver<bool>>) -> bool {
    let Some(receiver) = acting else {
        return std::future::pending().await;
    };
    if receiver.changed().await.is_ok() {
        return *receiver.borrow_and_update();
    }
    // Whoever knew is gone: it is safer not to write, now and from now on.
    *acting = None;
    false
}

/// Says what became of a request, in the log and as an Event.
pub(crate) fn report(notes: &mut Notes, now: Mono, request: &Request, outcome: &Outcome) {
    let (lease, verb) = (request.key(), request.verb());
    match outcome {
        Outcome::Done(_) => {
            let (reason, why) = match request {
                Request::Create(_, reason) | Request::Write(_, reason) => (reason.code(), reason.to_string()),
                Request::Delete(..) => (
                    "DeadCandidate",
                    "it was silent for ten of its lease durations".to_owned(),
                ),
            };
            tracing::info!(%lease, request = verb, reason, "done: {why}");
            notes.done(request);
        }
        Outcome::Conflict => {
            tracing::debug!(%lease, request = verb, "not done: the lease has changed meanwhile");
        }
        Outcome::Refused(why) => {
            let permission = request.permission();
            tracing::error!(
                %lease,
                request = verb,
                why,
                "refused by the API server: the elector needs the permission to {permission} leases here"
            );
            notes.failed(now, request, why);
        }
        Outcome::Unknown(why) => {
            tracing::warn!(%lease, request = verb, why, "it may have been done or not");
        }
    }
}

/// Says that a candidate, or an item of its offer, is refused: on its identity lease, and on those that it cannot lead.
fn refused(notes: &Notes, objects: &Objects, (key, uid): (&LeaseKey, &Uid), refusal: &Refusal) {
    tracing::warn!(candidate = %key, reason = refusal.code(), "refused: {refusal}");
    notes.refused(key, uid, refusal);
    let concerns_all_items = matches!(
        refusal,
        Refusal::NameIsNotHolder { .. } | Refusal::VersionMissing { .. } | Refusal::VersionUnreadable { .. }
    );
    let identity = objects.get(key).and_then(wire::read_identity);
    for identity in identity.iter().filter(|_| concerns_all_items) {
        for lease in &identity.leads {
            if let Some(uid) = objects.uid(lease) {
                notes.passed_over(lease, &uid, &identity.identity(), &refusal.to_string());
            }
        }
    }
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
