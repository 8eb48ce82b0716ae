//! Until when the holder of a lease may act, as far as one process has seen: expiry (rule 2) and quiet time (rule 3).
//!
//! The elector and a candidate in direct mode judge by the same rules. A stamp in a record is never compared with a clock:
//! that it *changed* is what counts, and when this process saw it. What is done about it is not here.

use core::time::Duration;

use crate::lease::{LeaderLease, LeaseState};
use crate::names::{Identity, Uid};
use crate::time::{LeaseSeconds, Mono, Wall};

/// What a process has seen of the holders of one lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Observed {
    life: Option<LeaseLife>,
    /// Before this moment somebody who was not seen, or was seen last, may still act.
    pub(crate) quiet_until: Mono,
}

/// How long an observer takes a silent holder for one that may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Patience {
    /// The duration of a lease that records none, and the shortest quiet time.
    pub(crate) default: LeaseSeconds,
    /// How many durations a holder without incarnation gets.
    pub(crate) ordinary: u32,
}

/// How a state of the lease became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sight {
    /// By the watch, or by the answer to a conditional update: nothing unseen lies before it.
    InOrder,
    /// By a list after a gap, or by a read: anything may lie before it.
    AfterGap,
}

impl Observed {
    /// Nothing was seen yet, and before this moment a leader that nobody has seen may act.
    pub(crate) const fn new(quiet_until: Mono) -> Self {
        Self {
            life: None,
            quiet_until,
        }
    }

    /// When life of the last holder was seen.
    pub(crate) fn last_life(&self) -> Option<Mono> {
        self.life.as_ref().map(|life| life.at)
    }

    /// The moment until which the holder that was last seen may act, by what the lease said then and says now.
    pub(crate) fn life_end(&self, lease: &LeaderLease, patience: Patience) -> Option<Mono> {
        let life = self.life.as_ref()?;
        Some(life.at + life.span(lease, patience))
    }

    /// When whoever this lease names as holder has expired, unless it shows life before.
    pub(crate) fn expires_at(&self, lease: &LeaderLease, patience: Patience) -> Option<Mono> {
        Some(self.life_end(lease, patience)?.max(self.quiet_until))
    }

    /// Takes a change of the lease in.
    pub(crate) fn take(
        &mut self,
        now: Mono,
        before: Option<&LeaderLease>,
        after: Option<&LeaderLease>,
        sight: Sight,
        patience: Patience,
    ) {
        self.remember_quiet(now, before, after, sight, patience);
        if let Some(lease) = after
            && !self.life.as_ref().is_some_and(|life| life.shows(lease))
        {
            self.life = Some(LeaseLife::new(now, lease));
        }
    }

    /// Rule 3: until when somebody who was not seen, or was seen last, may still act.
    fn remember_quiet(
        &mut self,
        now: Mono,
        before: Option<&LeaderLease>,
        after: Option<&LeaderLease>,
        sight: Sight,
        patience: Patience,
    ) {
        let default = patience.default;
        let recorded = |lease: &LeaderLease| lease.record.duration.unwrap_or(default).max(default).duration();
        let longest = before.map_or(default.duration(), recorded);
        let mut quiet = self.quiet_until;
        let replaced = before
            .zip(after)
            .is_some_and(|(before, after)| before.uid != after.uid);
        let state = after.map(LeaderLease::state);
        let held = before.filter(|before| before.state() == LeaseState::Held);
        if let Some(end) = held.and_then(|held| self.life_end(held, patience))
            && (replaced || state != Some(LeaseState::Held))
        {
            quiet = quiet.max(end);
        }
        if replaced || (after.is_none() && sight == Sight::AfterGap) {
            let span = held
                .zip(self.life.as_ref())
                .map(|(held, life)| life.span(held, patience));
            quiet = quiet.max(now + span.unwrap_or(longest).max(longest));
        }
        match (state, after) {
            (Some(LeaseState::Released | LeaseState::Offered), _) => quiet = now,
            (Some(LeaseState::Blanked), Some(lease))
                if !self.life.as_ref().is_some_and(|life| life.shows(lease)) =>
            {
                quiet = quiet.max(now + recorded(lease).max(longest));
            }
            (Some(LeaseState::Fresh), Some(lease)) => {
                let missing_before = before.is_none() && sight == Sight::InOrder;
                let still_fresh =
                    !replaced && before.is_some_and(|before| before.state() == LeaseState::Fresh);
                if !missing_before && !still_fresh {
                    quiet = quiet.max(now + recorded(lease).max(longest));
                }
            }
            _ => {}
        }
        self.quiet_until = quiet;
    }
}

/// The life of a leader lease: a change of (uid, holder, transitions, acquire time, renew time), and nothing else. No
/// annotation, label or resource version is life, and no write of the elector is, unless it changes the holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LeaseLife {
    uid: Uid,
    holder: Option<Identity>,
    transitions: u32,
    acquire_time: Option<Wall>,
    renew_time: Option<Wall>,
    /// When this process saw it.
    at: Mono,
    duration: Option<LeaseSeconds>,
    incarnated: bool,
}

impl LeaseLife {
    fn new(now: Mono, lease: &LeaderLease) -> Self {
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

    fn shows(&self, lease: &LeaderLease) -> bool {
        let record = &lease.record;
        self.uid == lease.uid
            && self.holder == record.holder
            && self.transitions == record.transitions
            && self.acquire_time == record.acquire_time
            && self.renew_time == record.renew_time
    }

    /// How long after this life its holder may act, given what the lease says now.
    fn span(&self, lease: &LeaderLease, patience: Patience) -> Duration {
        let default = patience.default;
        let then = self.duration.unwrap_or(default);
        let longest = then.max(lease.record.duration.unwrap_or(default)).duration();
        if self.incarnated && lease.record.incarnation.is_some() {
            longest
        } else {
            longest * patience.ordinary
        }
    }
}
