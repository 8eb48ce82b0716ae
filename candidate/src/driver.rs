//! The loop of a candidate: wait for one event, give it to the machine, carry out its effects.
//!
//! Nothing is decided here. What is carried out, and how, is in `effects.rs`.

use std::pin::Pin;
use std::sync::Arc;

use election_core::candidate::{Event, Now, Outcome, Request, Seen, Settings, Stopped};
use election_core::{Candidate as Machine, IdentityLease, LeaderLease, LeaseKey, Mono, Revision, wire};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::{mpsc, oneshot, watch};

use crate::builder::{Builder, Mode};
use crate::clock::SharedClock;
use crate::effects::{Effects, Versioned};
use crate::leadership::{Error, Leadership};
use crate::watch::{LeaseWatch, WatchEvent, WatchScope, WatchSettings, leases};
use crate::watchdog::Guardian;

/// What the handles of a candidate ask of it.
#[derive(Debug)]
pub(crate) enum Command {
    /// Somebody waits to lead.
    Lead(oneshot::Sender<Leadership>),
    /// The guard of the term was dropped: the work has stopped.
    WorkStopped,
    /// The process is to leave the election.
    Shutdown,
}

/// An answer to a request of the machine.
pub(crate) enum Answer {
    Lease(Request, Outcome<Versioned<LeaderLease>>),
    Identity(Request, Outcome<Versioned<IdentityLease>>),
    /// Every request of the work is answered, or was given up.
    Drained {
        clean: bool,
    },
}

/// Everything that can wake a candidate.
#[expect(clippy::large_enum_variant, reason = "made and matched at once, never stored")]
enum Wake {
    Lease(Option<WatchEvent>),
    Identity(Option<WatchEvent>),
    Answer(Answer),
    Command(Option<Command>),
    Health,
    WaiterGone,
    Shutdown,
    Timer,
}

/// One candidate, with everything that it needs to run.
pub(crate) struct Driver {
    settings: Settings,
    clock: SharedClock,
    machine: Machine,
    effects: Effects,
    lease_watch: LeaseWatch,
    /// `None` in direct mode, where there is no identity lease.
    identity_watch: Option<LeaseWatch>,
    waiter: Option<oneshot::Sender<Leadership>>,
    /// Whether the work is alive, as it reports itself.
    health: watch::Receiver<bool>,
    shutdown: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Whether the identity lease was seen to be one, or to be missing.
    identity_checked: bool,
    /// Whether the lease was seen to be one that an elector grants, in direct mode.
    coordinated: bool,
}

impl Driver {
    pub(crate) fn new(
        builder: Builder,
        settings: Settings,
        clock: SharedClock,
        guardian: Guardian,
        (commands, health): (mpsc::UnboundedSender<Command>, watch::Receiver<bool>),
    ) -> Self {
        let now = Now {
            mono: clock.now(),
            wall: clock.wall(),
        };
        let follow = |key: &LeaseKey| {
            let settings = WatchSettings::new(clock.clone(), settings.seed);
            leases(builder.client.clone(), WatchScope::one(key), settings)
        };
        Self {
            machine: match builder.mode {
                Mode::Coordinated => Machine::new(settings.clone(), now),
                Mode::Direct { assume_unheld } => Machine::direct(settings.clone(), assume_unheld, now),
            },
            lease_watch: follow(&settings.lease),
            identity_watch: (builder.mode == Mode::Coordinated).then(|| follow(&settings.identity_key())),
            shutdown: Some(builder.shutdown),
            effects: Effects::new(
                settings.clone(),
                clock.clone(),
                guardian,
                builder.client.clone(),
                builder.work_client.unwrap_or(builder.client),
                builder.owner,
                commands,
            ),
            settings,
            clock,
            waiter: None,
            health,
            answers: FuturesUnordered::new(),
            identity_checked: false,
            coordinated: false,
        }
    }

    /// Runs until the candidate has left the election.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) -> Result<(), Error> {
        loop {
            if let Some(result) = self.carry_out() {
                return result;
            }
            let wake = self.wait(&mut commands).await;
            let now = self.now();
            for event in self.events(wake)? {
                self.machine.handle(now, event);
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    async fn wait(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Wake {
        let timer = wake_at(&self.clock, self.machine.deadline());
        let waiter = async {
            match &mut self.waiter {
                Some(waiter) => waiter.closed().await,
                None => std::future::pending().await,
            }
        };
        let identity = async {
            match &mut self.identity_watch {
                Some(watch) => watch.next().await,
                None => std::future::pending().await,
            }
        };
        let shutdown = async {
            match &mut self.shutdown {
                Some(signal) => signal.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            command = commands.recv() => Wake::Command(command),
            Ok(()) = self.health.changed() => Wake::Health,
            () = shutdown => Wake::Shutdown,
            Some(answer) = self.answers.next() => Wake::Answer(answer),
            event = self.lease_watch.next() => Wake::Lease(event),
            event = identity => Wake::Identity(event),
            () = waiter => Wake::WaiterGone,
            () = timer => Wake::Timer,
        }
    }

    /// What a wake-up means to the machine.
    fn events(&mut self, wake: Wake) -> Result<Vec<Event>, Error> {
        Ok(match wake {
            Wake::Timer => vec![Event::Timer],
            Wake::Shutdown => {
                self.shutdown = None;
                vec![Event::Shutdown]
            }
            // The handle and every guard are gone.
            Wake::Command(None | Some(Command::Shutdown)) => vec![Event::Shutdown],
            Wake::Health => vec![Event::Healthy(*self.health.borrow_and_update())],
            Wake::Command(Some(Command::Lead(waiter))) => {
                self.waiter = Some(waiter);
                vec![Event::Wanted(true)]
            }
            Wake::Command(Some(Command::WorkStopped)) => {
                self.answers.extend(self.effects.drain());
                Vec::new()
            }
            Wake::WaiterGone => {
                self.waiter = None;
                vec![Event::Wanted(false)]
            }
            Wake::Answer(Answer::Drained { clean }) => {
                self.effects.work_has_stopped();
                vec![Event::WorkStopped(if clean {
                    Stopped::Clean
                } else {
                    Stopped::Abandoned
                })]
            }
            Wake::Answer(Answer::Lease(id, outcome)) => {
                let outcome = self.effects.remember(outcome);
                vec![Event::LeaseAnswer { id, outcome }]
            }
            Wake::Answer(Answer::Identity(id, outcome)) => {
                let outcome = self.effects.remember_identity(outcome);
                vec![Event::IdentityAnswer { id, outcome }]
            }
            Wake::Lease(event) => self.lease_event(event),
            Wake::Identity(event) => self.identity_event(event)?,
        })
    }

    fn lease_event(&mut self, event: Option<WatchEvent>) -> Vec<Event> {
        let listed = matches!(event, Some(WatchEvent::Listed { .. }));
        match self.seen(event, "leader lease") {
            News::Seen(as_of, lease) => {
                let object = lease.as_ref().and_then(wire::read_leader);
                self.effects.keep(lease);
                let seen = Seen { as_of, object };
                vec![if listed {
                    Event::LeaseListed(seen)
                } else {
                    Event::Lease(seen)
                }]
            }
            News::Alive => vec![Event::Heard],
            News::Nothing => Vec::new(),
        }
    }

    fn identity_event(&mut self, event: Option<WatchEvent>) -> Result<Vec<Event>, Error> {
        Ok(match self.seen(event, "identity lease") {
            News::Seen(as_of, lease) => {
                self.check_identity(lease.as_ref())?;
                let object = lease.as_ref().and_then(wire::read_identity);
                self.effects.keep_identity(lease);
                vec![Event::Identity(Seen { as_of, object })]
            }
            News::Alive | News::Nothing => Vec::new(),
        })
    }

    /// A lease of that name which is no identity lease belongs to somebody else, and must not be overwritten.
    fn check_identity(&mut self, lease: Option<&Lease>) -> Result<(), Error> {
        if std::mem::replace(&mut self.identity_checked, true) {
            return Ok(());
        }
        let Some(lease) = lease else { return Ok(()) };
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default();
        let offers = lease
            .metadata
            .annotations
            .as_ref()
            .is_some_and(|map| map.contains_key(wire::CAN_LEAD_LEASES));
        if offers || holder == self.settings.identity.as_str() {
            return Ok(());
        }
        Err(Error::NotAnIdentityLease {
            key: self.settings.identity_key(),
            holder,
        })
    }

    fn seen(&self, event: Option<WatchEvent>, what: &'static str) -> News {
        match event {
            Some(WatchEvent::Listed { leases, revision }) => News::Seen(revision, leases.into_iter().next()),
            Some(WatchEvent::Applied(lease)) => match revision(&lease) {
                Some(revision) => News::Seen(revision, Some(lease)),
                None => News::Nothing,
            },
            Some(WatchEvent::Deleted(lease)) => match revision(&lease) {
                Some(revision) => News::Seen(revision, None),
                None => News::Nothing,
            },
            Some(WatchEvent::Bookmark(_)) => News::Alive,
            Some(WatchEvent::Resumed) => {
                tracing::info!(lease = %self.settings.lease, "watch of the {what} is back");
                News::Alive
            }
            Some(WatchEvent::Lost(why)) => {
                tracing::warn!(lease = %self.settings.lease, %why, "watch of the {what} is lost: trying again");
                News::Nothing
            }
            None => News::Nothing,
        }
    }

    /// Carries out what the machine wants; the result once nothing is left to do.
    fn carry_out(&mut self) -> Option<Result<(), Error>> {
        use election_core::candidate::Effect;
        while let Some(effect) = self.machine.poll() {
            match effect {
                Effect::Finished { ousted_by } => {
                    return Some(self.finished(ousted_by.map(|by| by.to_string())));
                }
                Effect::Coordinated => self.coordinated = true,
                Effect::RestartWatch => self.lease_watch.relist(),
                Effect::Lead(term) => {
                    let leadership = self.effects.lead(term);
                    match self.waiter.take() {
                        Some(waiter) => drop(waiter.send(leadership)),
                        // Nobody waits any more: the guard is dropped, which gives the lease back.
                        None => drop(leadership),
                    }
                }
                Effect::Extend(deadline) => self.effects.extend(deadline),
                Effect::StopWork { reason, kill_at } => self.effects.stop_work(reason, kill_at),
                request => self.answers.extend(self.effects.send(request)),
            }
        }
        None
    }

    fn finished(&self, ousted_by: Option<String>) -> Result<(), Error> {
        match ousted_by {
            None if self.coordinated => Err(Error::Coordinated {
                lease: self.settings.lease.clone(),
            }),
            None => Ok(()),
            Some(other) => Err(Error::Ousted {
                identity: self.settings.identity.clone(),
                namespace: self.settings.lease.namespace().to_owned(),
                own: self.settings.incarnation.to_string(),
                other,
            }),
        }
    }
}

/// What an event of a watch tells.
#[expect(clippy::large_enum_variant, reason = "made and matched at once, never stored")]
enum News {
    Seen(Revision, Option<Lease>),
    Alive,
    Nothing,
}

fn revision(lease: &Lease) -> Option<Revision> {
    lease.metadata.resource_version.as_deref().map(Revision::new)
}

async fn wake_at(clock: &SharedClock, at: Option<Mono>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Keeps the type of a shared fence in one place.
pub(crate) type SharedFence = Arc<crate::fence::Fence>;
