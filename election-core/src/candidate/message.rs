//! What goes into the candidate's state machine and what comes out of it.

use core::fmt;
use core::time::Duration;

use super::term::Term;
use crate::identity::IdentityLease;
use crate::lease::{LeaderLease, LeaseCreate, LeaseWrite};
use crate::names::{Identity, Incarnation, LeaseKey, Revision, Uid};
use crate::strategy::Versions;
use crate::time::{LeaseSeconds, Mono, Wall};
use crate::timing::Timing;

/// The two readings of the clock that each call brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Decides everything.
    pub mono: Mono,
    /// Stamps attempts; decides nothing.
    pub wall: Wall,
}

/// Who a candidate is and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The leader lease.
    pub lease: LeaseKey,
    /// The name of the identity lease, in the same namespace.
    pub identity: Identity,
    /// A fresh value for this process.
    pub incarnation: Incarnation,
    /// What the process is and behaves as.
    pub versions: Versions,
    /// The knobs.
    pub timing: Timing,
    /// Where jitter comes from.
    pub seed: u64,
}

impl Settings {
    /// The key of the identity lease.
    #[must_use]
    pub fn identity_key(&self) -> LeaseKey {
        LeaseKey::new(self.lease.namespace(), self.identity.as_str())
    }
}

/// An object, or its absence, as it was at one revision of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen<T> {
    /// What it is known as of: the object's own revision, that of its deletion, or that of the list that was read.
    pub as_of: Revision,
    /// The object; `None` when there was none.
    pub object: Option<T>,
}

/// Names one request, so that its answer can be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request(u64);

impl Request {
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<T> {
    /// The server answered with what it now has.
    Done(Seen<T>),
    /// The server refused because the object is not what the request was made from (409), or is gone (404).
    Conflict,
    /// It failed, or its outcome is unknown: no answer in time, a broken connection, a server error, a refusal.
    Failed,
}

/// What a candidate learns.
#[derive(Clone, Debug)]
pub enum Event {
    /// The leader lease, by its watch.
    Lease(Seen<LeaderLease>),
    /// The leader lease, by the list at the start of its watch or after a gap in it.
    LeaseListed(Seen<LeaderLease>),
    /// The identity lease, by its watch.
    Identity(Seen<IdentityLease>),
    /// The watch of the leader lease is alive, without news.
    Heard,
    /// A request on the leader lease has ended.
    LeaseAnswer {
        /// Which one.
        id: Request,
        /// How.
        outcome: Outcome<LeaderLease>,
    },
    /// A request on the identity lease has ended.
    IdentityAnswer {
        /// Which one.
        id: Request,
        /// How.
        outcome: Outcome<IdentityLease>,
    },
    /// Whether somebody waits to lead; a candidate that nobody asks for offers itself to nobody.
    Wanted(bool),
    /// Whether the work loop is alive, as the work reports it.
    Healthy(bool),
    /// The work has stopped, by itself or because it was told to.
    WorkStopped(Stopped),
    /// The process is to end.
    Shutdown,
    /// The moment that [`super::Candidate::deadline`] named has come.
    Timer,
}

/// How the work stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stopped {
    /// Nothing that it sent is still open.
    Clean,
    /// It left a request without an answer, which may take effect until the deadline: the release waits for that.
    Abandoned,
}

/// What a candidate wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this conditional update of the leader lease.
    WriteLease {
        /// Comes back with the answer.
        id: Request,
        /// The update.
        write: LeaseWrite,
        /// After which the request counts as failed.
        within: Duration,
    },
    /// Create the lease, which is missing, without a holder; in direct mode only.
    CreateLease {
        /// Comes back with the answer.
        id: Request,
        /// The create.
        create: LeaseCreate,
        /// After which the request counts as failed.
        within: Duration,
    },
    /// Read the leader lease consistently.
    ReadLease {
        /// Comes back with the answer.
        id: Request,
        /// After which the request counts as failed.
        within: Duration,
    },
    /// The watch of the leader lease has missed something: start it again.
    RestartWatch,
    /// Send this write of the identity lease.
    WriteIdentity {
        /// Comes back with the answer.
        id: Request,
        /// The write.
        write: IdentityWrite,
        /// After which the request counts as failed.
        within: Duration,
    },
    /// Read the identity lease consistently.
    ReadIdentity {
        /// Comes back with the answer.
        id: Request,
        /// After which the request counts as failed.
        within: Duration,
    },
    /// A term has begun: start the work.
    Lead(Term),
    /// The term goes on until this deadline. It is earlier than the one before when somebody lowered the duration on the
    /// lease.
    Extend(Mono),
    /// The work must stop; what runs at `kill_at` is killed. May come again with an earlier moment.
    StopWork {
        /// Why.
        reason: EndReason,
        /// When at the latest; moves with [`Effect::Extend`] while a shutdown drains.
        kill_at: Mono,
    },
    /// An elector grants this lease, so no candidate in direct mode may take it. [`Effect::Finished`] follows.
    Coordinated,
    /// Nothing is left to do.
    Finished {
        /// The process that took the identity over, if that is why.
        ousted_by: Option<Incarnation>,
    },
}

/// A write of the identity lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IdentityWrite {
    /// Create it: it is missing.
    Create {
        /// Whether it offers the candidate.
        offers: bool,
        /// The stamp.
        renew_time: Wall,
        /// Its duration.
        duration: LeaseSeconds,
    },
    /// Update it from this version.
    Update {
        /// Precondition.
        uid: Uid,
        /// Precondition.
        base: Revision,
        /// Whether it offers the candidate.
        offers: bool,
        /// The stamp.
        renew_time: Wall,
        /// Its duration.
        duration: LeaseSeconds,
    },
    /// Delete this version of it.
    Delete {
        /// Precondition.
        uid: Uid,
        /// Precondition.
        base: Revision,
    },
}

/// Why a term ended, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// A better candidate asked for the lease.
    EndOfTerm {
        /// Who gets it, as far as the lease says.
        successor: Option<Identity>,
    },
    /// No renewal succeeded for so long that the deadline is near.
    LostContact,
    /// Somebody deleted the leader lease.
    LeaseDeleted,
    /// The lease says something else than this process wrote.
    NotOwnRecord {
        /// Who holds it now.
        holder: Option<Identity>,
    },
    /// The process is to end.
    Shutdown,
    /// The work loop reports that it is stuck.
    Unhealthy,
    /// Another process has taken the identity over.
    Ousted {
        /// That process.
        by: Incarnation,
    },
}

impl EndReason {
    /// A word for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EndOfTerm { .. } => "EndOfTerm",
            Self::LostContact => "LostContact",
            Self::LeaseDeleted => "LeaseDeleted",
            Self::NotOwnRecord { .. } => "NotOwnRecord",
            Self::Shutdown => "Shutdown",
            Self::Unhealthy => "Unhealthy",
            Self::Ousted { .. } => "Ousted",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfTerm {
                successor: Some(successor),
            } => write!(f, "end of term: {successor} is the better candidate"),
            Self::EndOfTerm { successor: None } => f.write_str("end of term"),
            Self::LostContact => f.write_str("no renewal has succeeded and the deadline is near"),
            Self::LeaseDeleted => f.write_str("the leader lease was deleted"),
            Self::NotOwnRecord { holder: Some(holder) } => write!(f, "the leader lease now names {holder}"),
            Self::NotOwnRecord { holder: None } => f.write_str("the leader lease names nobody any more"),
            Self::Shutdown => f.write_str("this process is shutting down"),
            Self::Unhealthy => f.write_str("the work loop reports that it is stuck"),
            Self::Ousted { by } => write!(f, "another process took the identity over (incarnation {by})"),
        }
    }
}
