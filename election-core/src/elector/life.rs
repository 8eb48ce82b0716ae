//! When something was last seen alive, by the elector's own clock.
//!
//! A stamp in a record is never compared with a clock: that it *changed* is what counts, and when this elector saw it.

use core::time::Duration;

use crate::identity::IdentityLease;
use crate::lease::LeaderLease;
use crate::names::{Identity, Incarnation, Uid};
use crate::time::{LeaseSeconds, Mono, Wall};

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

/// The life of a leader lease: a change of (uid, holder, transitions, acquire time, renew time), and nothing else. No
/// annotation, label or resource version is life, and no write of the elector is, unless it changes the holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LeaseLife {
    uid: Uid,
    holder: Option<Identity>,
    transitions: u32,
    acquire_time: Option<Wall>,
    renew_time: Option<Wall>,
    /// When this elector saw it.
    pub(super) at: Mono,
    duration: Option<LeaseSeconds>,
    incarnated: bool,
}

impl LeaseLife {
    pub(super) fn new(now: Mono, lease: &LeaderLease) -> Self {
        let record = &lease.record;
        Self {
            uid: lease.uid.clone(),
            holder: record.holder.clone(),
            transitions: record.transitions,
            acquire_time: record.acquire_time,
            renew_time: record.renew_time,
            at: now,
            duration: record.duration,
            incarnated: record.incarnation.is_some(),
        }
    }

    pub(super) fn shows(&self, lease: &LeaderLease) -> bool {
        let record = &lease.record;
        self.uid == lease.uid
            && self.holder == record.holder
            && self.transitions == record.transitions
            && self.acquire_time == record.acquire_time
            && self.renew_time == record.renew_time
    }

    /// How long after this life its holder may act, given what the lease says now. Twice the duration for a holder
    /// without incarnation: client-go tells its work to stop as late as 22 s after the last renewal of a 15 s lease.
    pub(super) fn span(&self, lease: &LeaderLease, default: LeaseSeconds) -> Duration {
        let then = self.duration.unwrap_or(default);
        let longest = then.max(lease.record.duration.unwrap_or(default)).duration();
        if self.incarnated && lease.record.incarnation.is_some() {
            longest
        } else {
            longest * 2
        }
    }
}
