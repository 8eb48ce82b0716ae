//! When a candidate was last seen alive, by the elector's own clock. The life of a holder is in `crate::observed`.
//!
//! A stamp in a record is never compared with a clock: that it *changed* is what counts, and when this elector saw it.

use core::time::Duration;

use crate::identity::IdentityLease;
use crate::names::{Incarnation, Uid};
use crate::time::{Mono, Wall};

/// The life of an identity lease: a change of (uid, incarnation, renew time), and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityLife {
    uid: Uid,
    incarnation: Option<Incarnation>,
    renew_time: Option<Wall>,
    at: Mono,
}

impl IdentityLife {
    /// The life that a first sight is.
    #[must_use]
    pub fn first(now: Mono, lease: &IdentityLease) -> Self {
        Self {
            uid: lease.uid.clone(),
            incarnation: lease.incarnation.clone(),
            renew_time: lease.renew_time,
            at: now,
        }
    }

    /// Takes a newer version of the lease in.
    pub fn observe(&mut self, now: Mono, lease: &IdentityLease) {
        let same = self.uid == lease.uid
            && self.incarnation == lease.incarnation
            && self.renew_time == lease.renew_time;
        if !same {
            *self = Self::first(now, lease);
        }
    }

    /// When life was last seen.
    #[must_use]
    pub const fn at(&self) -> Mono {
        self.at
    }

    /// Time without connection is not age: what happened in it was not seen.
    pub fn forgive(&mut self, gap: Duration) {
        self.at = self.at + gap;
    }
}
