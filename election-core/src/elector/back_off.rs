//! Rule 7: which preemptions failed, and for how long there is none.
//!
//! A preemption interrupts a healthy leader, so one whose nominee then does not lead is paid for by everybody. A
//! candidate that is better by version but cannot lead would otherwise end one term after the other.

use core::time::Duration;

use crate::lease::{LeaderLease, LeaseState};
use crate::names::Identity;
use crate::time::Mono;
use crate::timing::ElectorTiming;

/// The failed preemptions of one lease, and the one that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct BackOff {
    failures: u32,
    until: Option<Mono>,
    preemption: Option<Preemption>,
}

/// A preemption under way: a term was ended by end-of-term for this nominee.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Preemption {
    nominee: Identity,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// The old term is over.
    Ended,
    /// The nominee is offered the lease.
    Offered,
    /// The nominee leads.
    Accepted {
        at: Mono,
        /// Ten lease durations: a term that ends badly within them counts against the preemption.
        probation: Duration,
    },
}

/// A change of the lease, as the elector saw it.
pub(super) struct Change<'a> {
    pub(super) before: Option<&'a LeaderLease>,
    pub(super) after: Option<&'a LeaderLease>,
    /// Whether the holder of `before` had expired: an offer then is the elector's, not a hand over.
    pub(super) expired: bool,
}

impl BackOff {
    /// Until when there is no preemption.
    pub(super) fn active(&self, now: Mono) -> Option<Mono> {
        self.until.filter(|until| now < *until)
    }

    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Somebody asked for another leader: that is tried at once, whatever failed before.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// Takes a change of the lease in.
    pub(super) fn observe(&mut self, now: Mono, change: &Change<'_>, rules: &ElectorTiming) {
        if let Some(under_way) = self.preemption.take() {
            self.preemption = self.go_on(now, under_way, change, rules);
        }
        if let Some(nominee) = preempted_for(change) {
            let begun = Preemption {
                nominee,
                phase: Phase::Ended,
            };
            self.preemption = self.go_on(now, begun, change, rules);
        }
    }

    fn go_on(
        &mut self,
        now: Mono,
        mut preemption: Preemption,
        change: &Change<'_>,
        timing: &ElectorTiming,
    ) -> Option<Preemption> {
        let state = change.after.map(LeaderLease::state);
        let named = change
            .after
            .is_some_and(|lease| lease.record.names(&preemption.nominee));
        match (&preemption.phase, state) {
            (Phase::Accepted { .. }, _) if change.same_term() => return Some(preemption),
            (Phase::Accepted { at, probation }, state) => {
                let graceful = match state {
                    Some(LeaseState::Released) => true,
                    Some(LeaseState::Offered) => !change.expired,
                    _ => false,
                };
                self.term_ended(now, now.since(*at), *probation, graceful, timing);
                return None;
            }
            (_, Some(LeaseState::Held)) if named => {
                let duration = change.after.and_then(|lease| lease.record.duration);
                let probation = duration.unwrap_or(timing.lease_duration).duration() * PROBATION;
                preemption.phase = Phase::Accepted { at: now, probation };
            }
            (_, Some(LeaseState::Held)) => return None,
            (_, Some(LeaseState::Offered)) if named => preemption.phase = Phase::Offered,
            (Phase::Offered, None) => return None,
            (Phase::Offered, Some(_)) => {
                self.fail(now, timing);
                return None;
            }
            (Phase::Ended, _) => {}
        }
        Some(preemption)
    }

    fn term_ended(
        &mut self,
        now: Mono,
        lasted: Duration,
        probation: Duration,
        graceful: bool,
        timing: &ElectorTiming,
    ) {
        let back_off = self
            .failures
            .checked_sub(1)
            .map_or(Duration::ZERO, |level| timing.back_off(level));
        if lasted > probation.max(back_off) {
            self.forgive();
        } else if !graceful && lasted <= probation {
            self.fail(now, timing);
        }
    }

    fn fail(&mut self, now: Mono, timing: &ElectorTiming) {
        self.until = Some(now + timing.back_off(self.failures));
        self.failures = self.failures.saturating_add(1);
    }
}

impl Change<'_> {
    /// Whether the same process goes on holding the same term.
    pub(super) fn same_term(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            return false;
        };
        before.uid == after.uid
            && [before, after]
                .iter()
                .all(|lease| lease.state() == LeaseState::Held)
            && before.record.holder == after.record.holder
            && before.record.acquire_time == after.record.acquire_time
            && before.record.incarnation == after.record.incarnation
    }
}

/// For whom this change ended a term by end-of-term. A deletion ends it by itself.
fn preempted_for(change: &Change<'_>) -> Option<Identity> {
    let before = change
        .before
        .filter(|lease| lease.state() == LeaseState::Held && lease.record.end_of_term)?;
    change.after?;
    let nominee = before.record.preferred_holder.clone()?;
    (!before.record.names(&nominee) && !change.same_term()).then_some(nominee)
}

/// In lease durations.
const PROBATION: u32 = 10;
