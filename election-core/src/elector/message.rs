//! What goes into an elector and what comes out of it.

use alloc::string::String;
use alloc::vec::Vec;

use super::reason::Reason;
use super::step::Step;
use crate::identity::Refusal;
use crate::item::Item;
use crate::lease::{LeaderLease, LeaseCreate, LeaseWrite};
use crate::names::{LeaseKey, Revision, Uid};

/// How a request of the elector ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered with what it now has. After a create nothing follows from it: the watch has to show the lease.
    Done(Option<LeaderLease>),
    /// The object is not what the request was made from (409), or is gone (404), or exists already.
    Conflict,
    /// It was not done, and the same request will not be (403, 422).
    Refused(String),
    /// Whether it was done is not known: no answer in time, a broken connection, a server error.
    Unknown(String),
}

/// What an elector learns.
#[derive(Clone, Debug)]
pub enum Event {
    /// A consistent list: the first one, or the one after a gap in the watch.
    Listed {
        /// Every Lease that there is.
        items: Vec<Item>,
    },
    /// The watch shows a Lease that was added or changed.
    Applied(Item),
    /// The watch shows the deletion of a Lease: its last state, at the revision of the deletion.
    Deleted(Item),
    /// The watch is disconnected.
    Lost,
    /// The watch goes on from the last revision, so nothing was missed.
    Resumed,
    /// A request for a leader lease has ended.
    Answer {
        /// The lease.
        key: LeaseKey,
        /// How it ended.
        outcome: Outcome,
    },
    /// The deletion of an identity lease has ended.
    Collected {
        /// The identity lease.
        key: LeaseKey,
        /// How it ended.
        outcome: Outcome,
    },
    /// Whether this elector may write. One that stands by observes all the same, so it is warm when its turn comes.
    Acting(bool),
}

/// What an elector wants done, or known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Create a missing leader lease. To be answered by [`Event::Answer`].
    Create {
        /// The request.
        create: LeaseCreate,
        /// Why.
        reason: Reason,
    },
    /// Update a leader lease. To be answered by [`Event::Answer`].
    Write {
        /// The request.
        write: LeaseWrite,
        /// Why.
        reason: Reason,
    },
    /// Delete the identity lease of a candidate that is long dead. To be answered by [`Event::Collected`].
    DeleteIdentity {
        /// The identity lease.
        key: LeaseKey,
        /// Precondition.
        uid: Uid,
        /// Precondition.
        revision: Revision,
    },
    /// The decision about a lease has changed.
    Decided(Step),
    /// An identity lease says something that cannot count.
    Refused {
        /// The identity lease.
        key: LeaseKey,
        /// Which life of that name.
        uid: Uid,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The watch may be far behind, because this process did not run for a while: list again. Nothing is judged before.
    Relist,
}
