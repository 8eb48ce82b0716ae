//! What a program holds: its place in the election, and the guard of a term.
//!
//! Dropping a [`Leadership`] says that the work has stopped; only then is the lease given back.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use election_core::candidate::EndReason;
use election_core::{FencingToken, Identity, LeaseKey, Mono};
use tokio::sync::{mpsc, oneshot, watch};

use crate::builder::Builder;
use crate::clock::SharedClock;
use crate::driver::Command;
use crate::fence::Fence;
use crate::watchdog::Armed;

/// One process in the election for one leader lease.
///
/// Dropping it shuts the candidate down in the background; [`Candidate::shutdown`] waits for that.
#[derive(Debug)]
pub struct Candidate {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) health: watch::Sender<bool>,
    pub(crate) ended: watch::Receiver<Option<Result<(), Error>>>,
    pub(crate) identity: Identity,
    pub(crate) lease: LeaseKey,
}

/// Why a candidate ended although nobody asked it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process with the same identity has started.
    #[error(
        "identity {identity} in namespace {namespace} was taken over by another process: this one is incarnation {own}, \
         the other one is {other}; give each process an identity of its own"
    )]
    Ousted {
        /// The identity that both use.
        identity: Identity,
        /// Where.
        namespace: String,
        /// This process.
        own: String,
        /// The process that took over.
        other: String,
    },
    /// The object that should be the identity lease is something else.
    #[error(
        "lease {key} exists and is no identity lease (holder {holder:?}): choose another identity, or delete that lease"
    )]
    NotAnIdentityLease {
        /// The lease.
        key: LeaseKey,
        /// Who holds it.
        holder: String,
    },
    /// An elector grants this lease, so a candidate in direct mode must not take it.
    #[error(
        "lease {lease} belongs to a coordinated election: an elector has granted it. Stand for it without direct mode, or \
         choose another lease"
    )]
    Coordinated {
        /// The lease.
        lease: LeaseKey,
    },
    /// The task that drives the election is gone, because its runtime ended or it panicked.
    #[error("the election task of {identity} ended unexpectedly: is its runtime still running?")]
    Lost {
        /// The candidate.
        identity: Identity,
    },
}

impl Candidate {
    /// Says which lease to stand for; see [`Builder`] for the rest.
    #[must_use]
    pub fn builder(client: kube::Client, lease: LeaseKey) -> Builder {
        Builder::new(client, lease)
    }

    /// The name under which this process stands.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The leader lease that it stands for.
    #[must_use]
    pub const fn lease(&self) -> &LeaseKey {
        &self.lease
    }

    /// Waits until this process leads. `None` once it was told to shut down.
    ///
    /// Cancel-safe. A candidate that nobody waits for offers itself to nobody, so call this again soon after a term.
    ///
    /// # Errors
    /// [`Error`] when the candidate has ended by itself.
    pub async fn lead(&mut self) -> Result<Option<Leadership>, Error> {
        let (sender, receiver) = oneshot::channel();
        if self.commands.send(Command::Lead(sender)).is_ok() {
            let ended = self.ended.clone();
            tokio::select! {
                biased;
                Ok(leadership) = receiver => return Ok(Some(leadership)),
                result = outcome(ended, &self.identity) => return result.map(|()| None),
            }
        }
        outcome(self.ended.clone(), &self.identity).await.map(|()| None)
    }

    /// A handle by which the work reports whether it is alive.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            healthy: self.health.clone(),
        }
    }

    /// Asks for a shutdown without waiting for it: the work of a running term is told to stop, and the lease is given
    /// back as soon as it has.
    pub fn begin_shutdown(&self) {
        // An error means that the candidate has ended already.
        let _ = self.commands.send(Command::Shutdown);
    }

    /// Leaves the election: gives the lease back once the work has stopped, and removes the identity lease.
    ///
    /// # Errors
    /// [`Error`] when the candidate had ended by itself.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.begin_shutdown();
        outcome(self.ended.clone(), &self.identity).await
    }
}

async fn outcome(
    mut ended: watch::Receiver<Option<Result<(), Error>>>,
    identity: &Identity,
) -> Result<(), Error> {
    match ended.wait_for(Option::is_some).await {
        Ok(result) => result.clone().unwrap_or(Ok(())),
        Err(_) => Err(Error::Lost {
            identity: identity.clone(),
        }),
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.begin_shutdown();
    }
}

/// By which the work reports whether it is alive; cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    healthy: watch::Sender<bool>,
}

impl Health {
    /// `false` while the work loop is stuck: the candidate steps down, withdraws its offer and declines offers until it
    /// is `true` again. May be called as often as the work likes: only a change wakes the candidate.
    pub fn set(&self, healthy: bool) {
        self.healthy
            .send_if_modified(|known| std::mem::replace(known, healthy) != healthy);
    }
}

/// What is known of a term while it runs.
#[derive(Clone, Debug)]
pub(crate) struct TermState {
    pub(crate) deadline: Mono,
    /// Why the work must stop, and when what still runs is killed.
    pub(crate) stop: Option<(EndReason, Mono)>,
}

impl TermState {
    /// When work that still runs is killed.
    pub(crate) fn kill_at(&self) -> Mono {
        self.stop.as_ref().map_or(self.deadline, |(_, kill_at)| *kill_at)
    }
}

/// The guard of a term: while it exists, this process's work may run, until the term ends.
///
/// It is the only proof of leadership that there is; ask it, not a flag of one's own.
pub struct Leadership {
    pub(crate) lease: LeaseKey,
    pub(crate) identity: Identity,
    pub(crate) transitions: u32,
    pub(crate) token: FencingToken,
    pub(crate) client: kube::Client,
    pub(crate) fence: Arc<Fence>,
    pub(crate) clock: SharedClock,
    pub(crate) state: watch::Receiver<TermState>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) _armed: Arc<Armed>,
}

impl std::fmt::Debug for Leadership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leadership")
            .field("lease", &self.lease)
            .field("identity", &self.identity)
            .field("term", &self.transitions)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Leadership {
    /// The leader lease.
    #[must_use]
    pub const fn lease(&self) -> &LeaseKey {
        &self.lease
    }

    /// Who leads: this process.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The number of the term, for people: `spec.leaseTransitions`.
    #[must_use]
    pub const fn term(&self) -> u32 {
        self.transitions
    }

    /// Constant within the term, rising over terms: hand it to whatever is changed, and have it refuse a lower one.
    #[must_use]
    pub const fn token(&self) -> &FencingToken {
        &self.token
    }

    /// When the work is stopped unless a renewal succeeds before; moves with each renewal.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        self.state.borrow().deadline
    }

    /// Why the work must stop, once it must.
    #[must_use]
    pub fn end_reason(&self) -> Option<EndReason> {
        self.state
            .borrow()
            .stop
            .as_ref()
            .map(|(reason, _)| reason.clone())
    }

    /// A client that writes only within this term: a write after the deadline is refused, one under way is cancelled.
    /// Reads always pass. `exec`, `attach` and `portforward` never do: nothing could end them at the deadline.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Resolves when the work must stop, with the reason. Independent of the guard, so that work can own it.
    pub fn ended(&self) -> impl Future<Output = EndReason> + Send + use<> {
        let mut state = self.state.clone();
        async move {
            match state.wait_for(|state| state.stop.is_some()).await {
                Ok(state) => state
                    .stop
                    .as_ref()
                    .map_or(EndReason::LostContact, |(reason, _)| reason.clone()),
                // The election task is gone: nobody renews any more.
                Err(_) => EndReason::LostContact,
            }
        }
    }

    /// Follows the deadline and the end of this term, for work that is stopped from outside.
    #[must_use]
    pub fn watch(&self) -> TermWatch {
        TermWatch {
            state: self.state.clone(),
        }
    }

    /// Resolves at the moment when work that still runs must be killed.
    pub(crate) fn killed(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut state, clock) = (self.state.clone(), self.clock.clone());
        async move {
            loop {
                let kill_at = state.borrow_and_update().kill_at();
                tokio::select! {
                    biased;
                    () = clock.sleep_until(kill_at) => {
                        if clock.now() >= state.borrow().kill_at() {
                            return;
                        }
                    }
                    // Without the election task nothing moves the moment any more.
                    Ok(()) = state.changed() => {}
                }
            }
        }
    }

    /// Runs work within the term, then gives the lease back. `None` when the term ended first.
    ///
    /// When the term ends, no new write of [`Leadership::client`] starts, those under way are answered, and then the
    /// work is dropped; not so tasks that it has spawned, of which only the writes are stopped. Work that wants to finish more than that listens to [`Leadership::ended`], returns by itself,
    /// and is started without this method, holding the guard until it has stopped.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(self.until_killed(work));
        tokio::select! {
            biased;
            _ = self.ended() => {}
            done = &mut work => return done,
        }
        self.fence.close();
        tokio::select! {
            biased;
            done = &mut work => done,
            _ = self.fence.drained() => None,
        }
    }

    /// Polls work for as long as it may run; `None` from then on.
    ///
    /// Invariant: S1. The clock is read before each poll: after a pause of the process the timer may not have fired yet.
    fn until_killed<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
        let killed = self.killed();
        async move {
            let (mut work, mut killed) = (pin!(work), pin!(killed));
            poll_fn(|context| {
                let over = self.clock.now() >= self.state.borrow().kill_at();
                if over || killed.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                work.as_mut().poll(context).map(Some)
            })
            .await
        }
    }

    /// Gives the lease back: the work has stopped. The same as dropping the guard.
    pub fn release(self) {}
}

/// Follows one term; see [`Leadership::watch`].
#[derive(Clone, Debug)]
pub struct TermWatch {
    state: watch::Receiver<TermState>,
}

/// What holds in a term at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermNow {
    /// When the work is stopped unless a renewal succeeds before.
    pub deadline: Mono,
    /// When work that still runs is killed, once it must stop.
    pub kill_at: Option<Mono>,
}

impl TermWatch {
    /// What holds now.
    pub fn current(&mut self) -> TermNow {
        let state = self.state.borrow_and_update();
        TermNow {
            deadline: state.deadline,
            kill_at: state.stop.as_ref().map(|(_, kill_at)| *kill_at),
        }
    }

    /// Resolves when something else holds than at the last [`TermWatch::current`]. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            // The election task is gone: nothing changes any more, the deadline comes.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.fence.close();
        // An error means that the candidate has ended already.
        let _ = self.commands.send(Command::WorkStopped);
    }
}
