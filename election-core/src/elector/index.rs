//! All elections of one watch: who is concerned by an event, whose time has come, and what a gap means.
//!
//! No rule about a single lease is here. All leases are visited at the end of a gap only; any other event costs as much
//! as the elections that it concerns.
//!
//! Contract: after each [`Elector::handle`], call [`Elector::poll`] until it returns `None`.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::election::{Election, Rules};
use super::explanation::Explanation;
use super::keyed::Keyed;
use super::message::{Event, Output};
use super::presence::Presence;
use super::reason::Reason;
use super::step::{Decision, Request, Step};
use crate::identity::IdentityLease;
use crate::item::{Item, may_be_leader_lease};
use crate::names::{LeaseKey, Uid};
use crate::time::Mono;

/// Every election of one watch.
#[derive(Clone, Debug)]
pub struct Elector {
    pub(super) rules: Rules,
    pub(super) assume_unheld: bool,
    pub(super) link: Link,
    pub(super) acting: bool,
    pub(super) elections: Keyed<Entry>,
    pub(super) identities: Keyed<Presence>,
    pub(super) timers: BTreeSet<(Mono, Timer)>,
    pub(super) dirty: BTreeSet<LeaseKey>,
    pub(super) outputs: VecDeque<Output>,
    /// Before this moment somebody may act on a lease that the last list did not show.
    pub(super) missing_quiet_until: Mono,
    pub(super) last_turn: Mono,
    pub(super) steps: u64,
}

/// An election with its timer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) election: Election,
    pub(super) timer: Option<Mono>,
    /// What was last reported, without its standings.
    pub(super) reported: Option<Step>,
}

impl Entry {
    fn forget_at(&self, now: Mono) -> Option<Mono> {
        self.election.forget_at().filter(|at| *at > now)
    }
}

#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum Link {
    /// Nothing is known.
    Unlisted,
    /// The watch is connected, and has been since `since`; nothing is judged before `judge_from`.
    Up { since: Mono, judge_from: Mono },
    /// The watch is disconnected, or this process did not run; in the latter case only a list will do.
    Lost { since: Mono, list_wanted: bool },
}

/// Whose time comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    Lease(LeaseKey),
    Identity(LeaseKey),
}

impl Elector {
    /// An elector that knows nothing yet: it waits for [`Event::Listed`].
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            assume_unheld: false,
            link: Link::Unlisted,
            acting: true,
            elections: Keyed::new(),
            identities: Keyed::new(),
            timers: BTreeSet::new(),
            dirty: BTreeSet::new(),
            outputs: VecDeque::new(),
            missing_quiet_until: Mono::default(),
            last_turn: Mono::default(),
            steps: 0,
        }
    }

    /// Takes a lease that the *first* list does not show for one that nobody holds: for a first installation, where no
    /// leader can be left from before.
    #[must_use]
    pub const fn assuming_unheld(mut self) -> Self {
        self.assume_unheld = true;
        self
    }

    /// Takes one event in.
    pub fn handle(&mut self, now: Mono, event: Event) {
        match event {
            Event::Listed { items } => self.listed(now, items),
            Event::Lost => self.lost(now, false),
            Event::Resumed => self.resumed(now),
            Event::Acting(acting) => self.set_acting(now, acting),
            event => {
                self.notice_lateness(now);
                self.observe(now, event);
            }
        }
        self.last_turn = now;
    }

    /// The next thing to do; `None` when there is nothing more to do at this moment.
    pub fn poll(&mut self, now: Mono) -> Option<Output> {
        self.notice_lateness(now);
        self.last_turn = now;
        if self.ready(now) {
            self.ring(now);
            while let Some(key) = self.dirty.pop_first() {
                self.step(now, key);
            }
        }
        self.outputs.pop_front()
    }

    /// When to call [`Elector::poll`] if nothing happens before. A call more than a second later makes this elector
    /// distrust what it knows (rule 10).
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let Link::Up { judge_from, .. } = self.link else {
            return None;
        };
        let timer = self.timers.first().map(|(at, _)| *at);
        let at = if self.dirty.is_empty() {
            timer?
        } else {
            self.last_turn
        };
        Some(at.max(judge_from))
    }

    /// Whether the watch is connected and everything has been listed.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// The election of one lease, if it is known at all.
    #[must_use]
    pub fn election(&self, key: &LeaseKey) -> Option<&Election> {
        self.elections.get(key).map(|entry| &entry.election)
    }

    /// An identity lease, if there is one of this name.
    #[must_use]
    pub fn identity(&self, key: &LeaseKey) -> Option<&IdentityLease> {
        self.identities.get(key).map(|presence| &*presence.lease)
    }

    /// Which life of its name a lease is in, of either kind, if it exists.
    #[must_use]
    pub fn uid(&self, key: &LeaseKey) -> Option<&Uid> {
        let identity = self.identity(key).map(|lease| &lease.uid);
        identity.or_else(|| Some(&self.election(key)?.lease()?.uid))
    }

    /// The keys of all leases that exist or that somebody wants to lead, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &LeaseKey> {
        let mut keys: Vec<_> = self.elections.keys().collect();
        keys.sort_unstable();
        keys.into_iter()
    }

    /// What would be decided about a lease now, and why.
    #[must_use]
    pub fn explain(&self, now: Mono, key: &LeaseKey) -> Option<Explanation> {
        let mut explanation = self.elections.get(key)?.election.explain(now);
        if !self.ready(now) && self.acting {
            explanation.step.decision = Decision::LeaveAlone;
            explanation.step.reason = Reason::NotSynced;
            explanation.step.request = None;
            explanation.step.look_again = None;
        }
        Some(explanation)
    }

    /// How many steps were taken: the measure of what an event costs.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    // --- The watch and its gaps -------------------------------------------------------------------------------------

    /// Whether what is known is complete.
    fn ready(&self, now: Mono) -> bool {
        matches!(self.link, Link::Up { judge_from, .. } if now >= judge_from)
    }

    fn lost(&mut self, since: Mono, list_wanted: bool) {
        match &mut self.link {
            Link::Up { .. } => self.link = Link::Lost { since, list_wanted },
            Link::Lost {
                list_wanted: wanted, ..
            } => *wanted |= list_wanted,
            Link::Unlisted => {}
        }
    }

    /// Rule 10: a process that did not run for a while may have a watch full of news. It lists before it judges.
    fn notice_lateness(&mut self, now: Mono) {
        if self.deadline().is_some_and(|due| now.since(due) > LATENESS) {
            self.distrust(self.last_turn);
        }
    }

    pub(super) fn distrust(&mut self, since: Mono) {
        if self.is_synced() {
            self.lost(since, true);
            self.outputs.push_back(Output::Relist);
        }
    }

    fn resumed(&mut self, now: Mono) {
        let Link::Lost {
            since,
            list_wanted: false,
        } = self.link
        else {
            return;
        };
        self.reconnected(now, now.since(since));
        // The changes of the gap are on their way: judging before they are here would only cost conflicts.
        self.link = Link::Up {
            since: now,
            judge_from: now + self.rules.timing.settle_window,
        };
        self.look_at_everything(now);
    }

    fn reconnected(&mut self, now: Mono, gap: Duration) {
        for (_, presence) in self.identities.iter_mut() {
            presence.life.forgive(gap);
        }
        for (_, entry) in self.elections.iter_mut() {
            entry.election.observe_reconnected(now, gap);
        }
    }

    fn listed(&mut self, now: Mono, items: Vec<Item>) {
        let first = matches!(self.link, Link::Unlisted);
        if let Link::Lost { since, .. } = self.link {
            self.reconnected(now, now.since(since));
        } else {
            self.reconnected(now, Duration::ZERO);
        }
        let quiet = if first && self.assume_unheld {
            Duration::ZERO
        } else {
            self.rules.timing.lease_duration.duration()
        };
        self.missing_quiet_until = now + quiet;
        self.link = Link::Up {
            since: now,
            judge_from: now,
        };
        let mut leaders = BTreeMap::new();
        let mut identities = BTreeMap::new();
        for item in items {
            match item {
                Item::Leader(lease) if may_be_leader_lease(&lease.key) => {
                    leaders.insert(lease.key.clone(), lease);
                }
                Item::Leader(_) => {}
                Item::Identity(lease) => {
                    identities.insert(lease.key.clone(), lease);
                }
            }
        }
        for (key, entry) in self.elections.iter_mut() {
            entry.election.observe_listed(now, leaders.remove(key));
        }
        for (key, lease) in leaders {
            self.entry(&key).election.observe_listed(now, Some(lease));
        }
        let gone: Vec<_> = self
            .identities
            .keys()
            .filter(|key| !identities.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            self.identity_gone(&key);
        }
        for lease in identities.into_values() {
            self.identity_applied(now, lease);
        }
        self.look_at_everything(now);
    }

    fn look_at_everything(&mut self, now: Mono) {
        self.dirty.extend(self.elections.keys().cloned());
        let identities: Vec<_> = self.identities.keys().cloned().collect();
        for key in identities {
            self.schedule_collection(now, &key);
        }
    }

    /// An elector that begins to act knows all that its watch has shown: lives, quiet times, settle windows, offers and
    /// nominations of this vacancy and term, failed preemptions. Whatever only the one that acted before could know (which
    /// requests failed, whose offer got a further window) begins anew.
    fn set_acting(&mut self, now: Mono, acting: bool) {
        let begins = acting && !self.acting;
        self.acting = acting;
        if !begins {
            return;
        }
        for (_, entry) in self.elections.iter_mut() {
            entry.election.begin_to_act();
            entry.reported = None;
        }
        let keys: Vec<_> = self.identities.keys().cloned().collect();
        for key in keys {
            self.refuse(&key, None);
        }
        self.look_at_everything(now);
    }

    /// Tells what is wrong with an identity lease that was not wrong with `before`. Only the elector that acts does.
    pub(super) fn refuse(&mut self, key: &LeaseKey, before: Option<&IdentityLease>) {
        let Some(presence) = self.identities.get(key).filter(|_| self.acting) else {
            return;
        };
        for refusal in presence.new_refusals(before) {
            self.outputs.push_back(Output::Refused {
                key: key.clone(),
                uid: presence.lease.uid.clone(),
                refusal,
            });
        }
    }

    // --- Time -------------------------------------------------------------------------------------------------------

    fn ring(&mut self, now: Mono) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            match self.timers.pop_first() {
                Some((_, Timer::Lease(key))) => {
                    if let Some(entry) = self.elections.get_mut(&key) {
                        entry.timer = None;
                    }
                    self.dirty.insert(key);
                }
                Some((_, Timer::Identity(key))) => self.collect(now, &key),
                None => {}
            }
        }
    }

    fn collect(&mut self, now: Mono, key: &LeaseKey) {
        let Link::Up { since, .. } = self.link else { return };
        let Some(presence) = self.identities.get_mut(key) else {
            return;
        };
        presence.timer = None;
        // Who begins to act looks at everything.
        if !self.acting {
            return;
        }
        let Some(at) = presence.collect_at(since) else {
            return;
        };
        let again = if now >= at {
            self.outputs.push_back(Output::DeleteIdentity {
                key: key.clone(),
                uid: presence.lease.uid.clone(),
                revision: presence.lease.revision.clone(),
            });
            now + presence.lease.duration.duration()
        } else {
            at
        };
        presence.timer = Some(again);
        self.timers.insert((again, Timer::Identity(key.clone())));
    }

    pub(super) fn schedule_collection(&mut self, now: Mono, key: &LeaseKey) {
        let Link::Up { since, .. } = self.link else { return };
        let Some(presence) = self.identities.get_mut(key) else {
            return;
        };
        let at = presence.collect_at(since).map(|at| at.max(now));
        if at != presence.timer {
            if let Some(old) = presence.timer {
                self.timers.remove(&(old, Timer::Identity(key.clone())));
            }
            presence.timer = at;
            self.timers
                .extend(at.map(|at| (at, Timer::Identity(key.clone()))));
        }
    }

    fn step(&mut self, now: Mono, key: LeaseKey) {
        let Some(entry) = self.elections.get_mut(&key) else {
            return;
        };
        if let Some(old) = entry.timer.take() {
            self.timers.remove(&(old, Timer::Lease(key.clone())));
        }
        if entry.election.is_forgettable(now) {
            self.elections.remove(&key);
            return;
        }
        if !self.acting {
            let at = entry.election.follow(now).or_else(|| entry.forget_at(now));
            entry.timer = at;
            self.timers.extend(at.map(|at| (at, Timer::Lease(key))));
            return;
        }
        self.steps += 1;
        let mut step = entry.election.step(now);
        let at = step.look_again.or_else(|| entry.forget_at(now));
        entry.timer = at;
        self.timers.extend(at.map(|at| (at, Timer::Lease(key.clone()))));
        let request = step.request.clone();
        let reason = step.reason.clone();
        let open = matches!(step.reason, Reason::RequestOpen);
        if !open
            && !entry
                .reported
                .as_ref()
                .is_some_and(|reported| step.repeats(reported))
        {
            self.outputs.push_back(Output::Decided(step.clone()));
            step.standings = Vec::new();
            entry.reported = Some(step);
        }
        match request {
            Some(Request::Create(create)) => self.outputs.push_back(Output::Create { create, reason }),
            Some(Request::Write(write)) => self.outputs.push_back(Output::Write { write, reason }),
            None => {}
        }
    }
}

/// How late a turn may come before it lists again (rule 10).
const LATENESS: Duration = Duration::from_secs(1);
