//! Which elections an event concerns.
//!
//! What an event means for a lease is in `election`; what a gap in the watch means, and whose time has come, in `index`.

use alloc::sync::Arc;

use super::election::Election;
use super::index::{Elector, Entry, Timer};
use super::message::{Event, Outcome};
use super::presence::Presence;
use crate::identity::IdentityLease;
use crate::item::{Item, may_be_leader_lease};
use crate::lease::LeaderLease;
use crate::names::LeaseKey;
use crate::time::Mono;

impl Elector {
    pub(super) fn observe(&mut self, now: Mono, event: Event) {
        match event {
            Event::Applied(Item::Leader(lease)) => self.leader_applied(now, lease),
            Event::Applied(Item::Identity(lease)) => self.identity_applied(now, lease),
            Event::Deleted(item) => self.deleted(now, item),
            Event::Answer { key, outcome } => self.answered(now, key, outcome),
            // The watch shows a deletion; whatever else it was, the timer of the identity lease tries again.
            Event::Collected { .. } => {}
            Event::Listed { .. } | Event::Lost | Event::Resumed | Event::Acting(_) => {}
        }
    }

    fn leader_applied(&mut self, now: Mono, lease: LeaderLease) {
        let key = lease.key.clone();
        if !may_be_leader_lease(&key) {
            return;
        }
        // The usual case: a renewal, of a lease that is known to be none of identity.
        if let Some(entry) = self.elections.get_mut(&key)
            && !entry.election.occupied
        {
            entry.election.observe_lease(now, lease);
            self.dirty.insert(key);
            return;
        }
        if self
            .identities
            .get(&key)
            .is_some_and(|known| known.lease.revision >= lease.revision)
        {
            return;
        }
        let was_identity = self.identity_gone(&key);
        let election = &mut self.entry(&key).election;
        if was_identity {
            // What became of the leader while the lease was of the other kind was not followed.
            election.observe_listed(now, Some(lease));
        } else {
            election.observe_lease(now, lease);
        }
        self.dirty.insert(key);
    }

    pub(super) fn identity_applied(&mut self, now: Mono, lease: IdentityLease) {
        let key = lease.key.clone();
        let before = self.identities.get(&key);
        if before.is_some_and(|known| known.lease.revision >= lease.revision) {
            return;
        }
        // A lease that changes its kind was a leader lease until now, and that one is gone.
        if let Some(entry) = self.elections.get_mut(&key) {
            if let Some(last) = entry.election.lease() {
                let last = LeaderLease {
                    revision: lease.revision.clone(),
                    ..last.clone()
                };
                entry.election.observe_deleted(now, last);
            }
            entry.election.observe_occupied(true);
            self.dirty.insert(key.clone());
        }
        let before = before.map(|known| (known.lease.clone(), known.life.clone(), known.timer));
        let mut presence = Presence::first(now, lease);
        if let Some((_, life, timer)) = &before {
            presence.life = life.clone();
            presence.life.observe(now, &presence.lease);
            presence.timer = *timer;
        }
        for left in before.iter().flat_map(|(lease, ..)| &lease.leads) {
            if !presence.lease.leads.contains(left) {
                self.candidate_gone(left, &presence.lease);
            }
        }
        for named in &presence.lease.leads {
            if may_be_leader_lease(named) {
                let lease = Arc::clone(&presence.lease);
                self.entry(named)
                    .election
                    .observe_candidate_life(lease, presence.life.clone());
                self.dirty.insert(named.clone());
            }
        }
        self.identities.insert(&key, presence);
        self.refuse(&key, before.as_ref().map(|(lease, ..)| &**lease));
        self.schedule_collection(now, &key);
    }

    fn deleted(&mut self, now: Mono, item: Item) {
        let key = item.key().clone();
        if let Some(known) = self.identities.get(&key) {
            if known.lease.revision < *item.revision() {
                self.identity_gone(&key);
            }
            return;
        }
        let last = match item {
            Item::Leader(last) => Some(last),
            Item::Identity(last) => self.elections.get(&key).and_then(|entry| {
                let known = entry.election.lease()?.clone();
                Some(LeaderLease {
                    revision: last.revision,
                    ..known
                })
            }),
        };
        if let Some(last) = last.filter(|last| may_be_leader_lease(&last.key)) {
            self.entry(&key).election.observe_deleted(now, last);
            self.dirty.insert(key);
        }
    }

    fn answered(&mut self, now: Mono, key: LeaseKey, outcome: Outcome) {
        let Some(entry) = self.elections.get_mut(&key) else {
            return;
        };
        let conflict = outcome == Outcome::Conflict;
        entry.election.observe_answer(now, outcome);
        // One conflict is news that is under way. A second one on the same version means that the watch is behind.
        if conflict && entry.election.is_behind() {
            self.distrust(now);
        }
        self.dirty.insert(key);
    }

    /// Whether there was such an identity lease.
    pub(super) fn identity_gone(&mut self, key: &LeaseKey) -> bool {
        let Some(gone) = self.identities.remove(key) else {
            return false;
        };
        if let Some(at) = gone.timer {
            self.timers.remove(&(at, Timer::Identity(key.clone())));
        }
        for named in &gone.lease.leads {
            self.candidate_gone(named, &gone.lease);
        }
        if let Some(entry) = self.elections.get_mut(key) {
            entry.election.observe_occupied(false);
            self.dirty.insert(key.clone());
        }
        true
    }

    fn candidate_gone(&mut self, named: &LeaseKey, lease: &IdentityLease) {
        if let Some(entry) = self.elections.get_mut(named) {
            entry.election.observe_candidate_gone(&lease.identity());
            self.dirty.insert(named.clone());
        }
    }

    pub(super) fn entry(&mut self, key: &LeaseKey) -> &mut Entry {
        let Self {
            rules,
            missing_quiet_until,
            identities,
            ..
        } = self;
        self.elections.get_or_insert_with(key, || {
            let mut election = Election::new(key.clone(), *rules, *missing_quiet_until);
            election.observe_occupied(identities.contains(key));
            Entry {
                election,
                timer: None,
                reported: None,
            }
        })
    }
}
