//! All elections of one watch: who is concerned by an event, whose time has come, and what a gap means.
//!
//! No rule about a single lease is here. All leases are visited at the end of a gap only; any other event costs as much
//! as the elections that it concerns.
//!
//! Contract: after each [`Elector::handle`], call [`Elector::poll`] until it returns `None`.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::election::{Election, Rules};
use super::explanation::Explanation;
use super::message::{Event, Outcome, Output};
use super::presence::Presence;
use super::reason::Reason;
use super::step::{Decision, Request, Step};
use crate::identity::IdentityLease;
use crate::item::{Item, may_be_leader_lease};
use crate::lease::LeaderLease;
use crate::names::LeaseKey;
use crate::time::Mono;

/// Every election of one watch.
#[derive(Debug)]
pub struct Elector {
    rules: Rules,
    assume_unheld: bool,
    link: Link,
    acting: bool,
    elections: BTreeMap<LeaseKey, Entry>,
    identities: BTreeMap<LeaseKey, Presence>,
    timers: BTreeSet<(Mono, Timer)>,
    dirty: BTreeSet<LeaseKey>,
    outputs: VecDeque<Output>,
    /// Before this moment somebody may act on a lease that the last list did not show.
    missing_quiet_until: Mono,
    last_turn: Mono,
    steps: u64,
}

#[derive(Debug)]
struct Entry {
    election: Election,
    timer: Option<Mono>,
    /// What was last reported, without its standings.
    reported: Option<Step>,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    /// Nothing is known.
    Unlisted,
    /// The watch is connected, and has been since `since`; nothing is judged before `judge_from`.
    Up { since: Mono, judge_from: Mono },
    /// The watch is disconnected, or this process did not run; in the latter case only a list will do.
    Lost { since: Mono, list_wanted: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
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
            elections: BTreeMap::new(),
            identities: BTreeMap::new(),
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
        if self.judging(now) {
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
        let Link::Up { judge_from, .. } = self.link else { return None };
        let timer = self.timers.first().map(|(at, _)| *at);
        let at = if self.dirty.is_empty() { timer? } else { self.last_turn };
        self.acting.then(|| at.max(judge_from))
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

    /// The keys of all leases that exist or that somebody wants to lead.
    pub fn keys(&self) -> impl Iterator<Item = &LeaseKey> {
        self.elections.keys()
    }

    /// What would be decided about a lease now, and why.
    #[must_use]
    pub fn explain(&self, now: Mono, key: &LeaseKey) -> Option<Explanation> {
        let mut explanation = self.elections.get(key)?.election.explain(now);
        if !self.judging(now) && self.acting {
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

    fn judging(&self, now: Mono) -> bool {
        self.acting && matches!(self.link, Link::Up { judge_from, .. } if now >= judge_from)
    }

    fn lost(&mut self, since: Mono, list_wanted: bool) {
        match &mut self.link {
            Link::Up { .. } => self.link = Link::Lost { since, list_wanted },
            Link::Lost { list_wanted: wanted, .. } => *wanted |= list_wanted,
            Link::Unlisted => {}
        }
    }

    /// Rule 10: a process that did not run for a while may have a watch full of news. It lists before it judges.
    fn notice_lateness(&mut self, now: Mono) {
        if self.deadline().is_some_and(|due| now.since(due) > LATENESS) {
            self.distrust(self.last_turn);
        }
    }

    fn distrust(&mut self, since: Mono) {
        if self.is_synced() {
            self.lost(since, true);
            self.outputs.push_back(Output::Relist);
        }
    }

    fn resumed(&mut self, now: Mono) {
        let Link::Lost { since, list_wanted: false } = self.link else { return };
        self.reconnected(now, now.since(since));
        // The changes of the gap are on their way: judging before they are here would only cost conflicts.
        self.link = Link::Up { since: now, judge_from: now + self.rules.timing.settle_window };
        self.look_at_everything(now);
    }

    fn reconnected(&mut self, now: Mono, gap: Duration) {
        for presence in self.identities.values_mut() {
            presence.life.forgive(gap);
        }
        for entry in self.elections.values_mut() {
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
        let quiet = if first && self.assume_unheld { Duration::ZERO } else { self.rules.timing.lease_duration.duration() };
        self.missing_quiet_until = now + quiet;
        self.link = Link::Up { since: now, judge_from: now };
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
        for (key, entry) in &mut self.elections {
            entry.election.observe_listed(now, leaders.remove(key));
        }
        for (key, lease) in leaders {
            self.entry(&key).election.observe_listed(now, Some(lease));
        }
        let gone: Vec<_> = self.identities.keys().filter(|key| !identities.contains_key(*key)).cloned().collect();
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

    fn set_acting(&mut self, now: Mono, acting: bool) {
        if let Link::Up { judge_from, .. } = &mut self.link
            && acting
            && !self.acting
        {
            *judge_from = now.max(*judge_from);
        }
        self.acting = acting;
        if acting {
            self.look_at_everything(now);
        }
    }

    // --- Events -----------------------------------------------------------------------------------------------------

    fn observe(&mut self, now: Mono, event: Event) {
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
        if self.identities.get(&key).is_some_and(|known| known.lease.revision >= lease.revision) {
            return;
        }
        self.identity_gone(&key);
        self.entry(&key).election.observe_lease(now, lease);
        self.dirty.insert(key);
    }

    fn identity_applied(&mut self, now: Mono, lease: IdentityLease) {
        let key = lease.key.clone();
        let before = self.identities.get(&key);
        if before.is_some_and(|known| known.lease.revision >= lease.revision) {
            return;
        }
        // A lease that changes its kind was a leader lease until now, and that one is gone.
        if let Some(entry) = self.elections.get_mut(&key) {
            if let Some(last) = entry.election.lease() {
                let last = LeaderLease { revision: lease.revision.clone(), ..last.clone() };
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
        for refusal in presence.new_refusals(before.as_ref().map(|(lease, ..)| &**lease)) {
            let uid = presence.lease.uid.clone();
            self.outputs.push_back(Output::Refused { key: key.clone(), uid, refusal });
        }
        for left in before.iter().flat_map(|(lease, ..)| &lease.leads) {
            if !presence.lease.leads.contains(left) {
                self.candidate_gone(left, &presence.lease);
            }
        }
        for named in &presence.lease.leads {
            if may_be_leader_lease(named) {
                let lease = Arc::clone(&presence.lease);
                self.entry(named).election.observe_candidate_life(lease, presence.life.clone());
                self.dirty.insert(named.clone());
            }
        }
        self.identities.insert(key.clone(), presence);
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
                Some(LeaderLease { revision: last.revision, ..known })
            }),
        };
        if let Some(last) = last.filter(|last| may_be_leader_lease(&last.key)) {
            self.entry(&key).election.observe_deleted(now, last);
            self.dirty.insert(key);
        }
    }

    fn answered(&mut self, now: Mono, key: LeaseKey, outcome: Outcome) {
        let Some(entry) = self.elections.get_mut(&key) else { return };
        let conflict = outcome == Outcome::Conflict;
        entry.election.observe_answer(now, outcome);
        // One conflict is news that is under way. A second one on the same version means that the watch is behind.
        if conflict && entry.election.is_behind() {
            self.distrust(now);
        }
        self.dirty.insert(key);
    }

    fn identity_gone(&mut self, key: &LeaseKey) {
        let Some(gone) = self.identities.remove(key) else { return };
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
    }

    fn candidate_gone(&mut self, named: &LeaseKey, lease: &IdentityLease) {
        if let Some(entry) = self.elections.get_mut(named) {
            entry.election.observe_candidate_gone(&lease.identity());
            self.dirty.insert(named.clone());
        }
    }

    fn entry(&mut self, key: &LeaseKey) -> &mut Entry {
        let (rules, quiet_until, occupied) =
            (self.rules, self.missing_quiet_until, self.identities.contains_key(key));
        self.elections.entry(key.clone()).or_insert_with(|| {
            let mut election = Election::new(key.clone(), rules, quiet_until);
            election.observe_occupied(occupied);
            Entry { election, timer: None, reported: None }
        })
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
        let Some(presence) = self.identities.get_mut(key) else { return };
        presence.timer = None;
        let Some(at) = presence.collect_at(since) else { return };
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

    fn schedule_collection(&mut self, now: Mono, key: &LeaseKey) {
        let Link::Up { since, .. } = self.link else { return };
        let Some(presence) = self.identities.get_mut(key) else { return };
        let at = presence.collect_at(since).map(|at| at.max(now));
        if at != presence.timer {
            if let Some(old) = presence.timer {
                self.timers.remove(&(old, Timer::Identity(key.clone())));
            }
            presence.timer = at;
            self.timers.extend(at.map(|at| (at, Timer::Identity(key.clone()))));
        }
    }

    fn step(&mut self, now: Mono, key: LeaseKey) {
        let Some(entry) = self.elections.get_mut(&key) else { return };
        if let Some(old) = entry.timer.take() {
            self.timers.remove(&(old, Timer::Lease(key.clone())));
        }
        if entry.election.is_forgettable(now) {
            self.elections.remove(&key);
            return;
        }
        self.steps += 1;
        let mut step = entry.election.step(now);
        let at = step.look_again.or_else(|| entry.election.forget_at().filter(|at| *at > now));
        entry.timer = at;
        self.timers.extend(at.map(|at| (at, Timer::Lease(key.clone()))));
        let request = step.request.clone();
        let reason = step.reason.clone();
        let open = matches!(step.reason, Reason::RequestOpen);
        if !open && !entry.reported.as_ref().is_some_and(|reported| step.repeats(reported)) {
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
