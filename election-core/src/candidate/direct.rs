//! Direct mode: when a candidate without an elector takes an ordinary lease by itself.
//!
//! The record is client-go's (`LeaderElectionRecord`), so both may stand for one lease. Three things differ from client-go, and
//! none of them can be seen by it: a standby watches instead of polling; a lease is created without a holder and then
//! claimed, so that each claim names the version that it was decided from (invariant S8); and a record that merely carries
//! this identity is somebody else's.
//!
//! Not here: renewals, the deadline and the release, which are those of every leader, and whether a holder has expired.

use super::Candidate;
use super::message::{Effect, Now};
use super::requests::{Asked, LeaseRequest, Left};
use super::term::Work;
use crate::lease::{LeaderLease, LeaseCreate, LeaseState, LeaseWrite};
use crate::observed::{Observed, Patience, Sight};
use crate::time::{Mono, Wall};

/// What a candidate in direct mode knows beyond the lease.
#[derive(Clone, Debug, Hash)]
pub(super) struct Direct {
    /// Until when a holder may act; nothing is known before the first sight of the lease.
    observed: Option<Observed>,
    assume_unheld: bool,
    /// When a create was answered, while nothing has shown the lease since.
    created_at: Option<Mono>,
}

impl Direct {
    pub(super) const fn new(assume_unheld: bool) -> Self {
        Self {
            observed: None,
            assume_unheld,
            created_at: None,
        }
    }
}

impl Candidate {
    /// Takes in what became of the lease since `before`.
    pub(super) fn observe_directly(&mut self, now: Now, before: Option<&LeaderLease>, sight: Sight) {
        let patience = self.patience();
        let after = self.lease.object();
        let Some(direct) = &mut self.direct else { return };
        direct.created_at = None;
        let first = direct.observed.is_none();
        let observed = direct
            .observed
            .get_or_insert_with(|| Observed::new(Mono::default()));
        observed.take(now.mono, before, after, sight, patience);
        if first && after.is_none() && direct.assume_unheld {
            observed.quiet_until = now.mono;
        }
    }

    /// As in client-go, every holder gets the duration that it recorded: whoever shares a lease with client-go has its word
    /// that the work stops in time.
    fn patience(&self) -> Patience {
        Patience {
            default: self.settings.timing.lease_duration(),
            ordinary: 1,
        }
    }

    /// Ends this candidate once it finds, without leading, that an elector grants the lease; whether it did.
    pub(super) fn drive_direct(&mut self) -> bool {
        let elected = |lease: &LeaderLease| lease.record.elected;
        let coordinated = self.direct.is_some() && self.lease.object().is_some_and(elected);
        if !coordinated || self.work != Work::Idle || self.lease_request.is_some() {
            return false;
        }
        self.finished = true;
        self.wake = None;
        self.effects.push_back(Effect::Coordinated);
        self.effects.push_back(Effect::Finished { ousted_by: None });
        true
    }

    /// The write that takes the lease, once nobody may hold it any more.
    ///
    /// Invariant: S1. Whoever held it has released it, or was silent for as long as its record is good for, by this process's
    /// own clock since it saw the record change.
    pub(super) fn claim(&mut self, now: Now, lease: &LeaderLease) -> Option<LeaseWrite> {
        if !self.able() || lease.record.elected {
            return None;
        }
        let at = self.claimable_at(lease)?;
        if !self.due(now, at) {
            return None;
        }
        let stamp = self.claim_stamp(now, lease.record.renew_time);
        let own = self.settings.timing.lease_duration();
        Some(lease.claim(&self.settings.identity, own, stamp))
    }

    fn claimable_at(&self, lease: &LeaderLease) -> Option<Mono> {
        let observed = self.direct.as_ref()?.observed.as_ref()?;
        match lease.state() {
            LeaseState::Fresh | LeaseState::Released | LeaseState::Blanked => Some(observed.quiet_until),
            // A holder that has never renewed is a holder to client-go.
            LeaseState::Held | LeaseState::Offered => observed.expires_at(lease, self.patience()),
        }
    }

    /// A stamp that no claim of any process has: the acquire time is what tells two processes of one identity apart, and
    /// their clocks may say the same, or lie behind the stamp on the lease alike.
    fn claim_stamp(&mut self, now: Now, on_lease: Option<Wall>) -> Wall {
        let micros = i64::from(self.permille()) * 1000 + i64::from(self.permille());
        let wall = self.stamp(now, on_lease).as_micros().saturating_add(micros);
        self.last_stamp = Wall::from_micros(wall);
        self.last_stamp
    }

    /// Creates the lease, if it is missing and somebody here wants it; whether a request was sent.
    pub(super) fn drive_create(&mut self, now: Now) -> bool {
        if self.lease.object().is_some() || self.lease_read_wanted || !self.wants_the_lease(now) {
            return false;
        }
        let created_at = self.direct.as_ref().and_then(|direct| direct.created_at);
        if let Some(at) = created_at {
            // It was created, and the watch has not shown it: asked for once, if it takes long.
            let patience = self.plain_retry_period();
            self.lease_read_wanted |= self.due(now, at + patience);
            return false;
        }
        let id = self.request();
        self.lease_pace.count(now.mono);
        self.lease_request = Some(LeaseRequest {
            id,
            what: Asked::Create,
        });
        self.effects.push_back(Effect::CreateLease {
            id,
            create: LeaseCreate {
                key: self.settings.lease.clone(),
                duration: self.settings.timing.lease_duration(),
            },
            within: self.request_deadline(),
        });
        true
    }

    /// Whether this process has a use for a lease that is missing: to claim it, or to say on it that nobody acts.
    fn wants_the_lease(&self, now: Now) -> bool {
        if self.direct.is_none() {
            return false;
        }
        match &self.work {
            Work::Idle => self.able(),
            Work::Parting {
                term,
                not_before,
                deleted,
            } => {
                let stopped = not_before.is_none_or(|at| now.mono >= at);
                stopped && self.left_behind(now, term, *deleted) == Left::NoLease
            }
            Work::Running(_) | Work::Stopping { .. } => false,
        }
    }

    /// The lease exists now, whoever created it: the watch has to show it.
    pub(super) fn created(&mut self, now: Now) {
        if let Some(direct) = &mut self.direct
            && self.lease.object().is_none()
        {
            direct.created_at = Some(now.mono);
        }
    }
}
