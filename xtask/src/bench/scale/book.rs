//! What the simulated candidates know and do next: no IO and no clock in here.
//!
//! They keep the candidate's side of the protocol where it concerns the elector: they renew, accept what is offered, and give
//! back. They have no work, so nothing has to stop first.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use election_core::wire::{self, IdentityRecord, Item};
use election_core::{
    Identity, Incarnation, LeaderLease, LeaseKey, LeaseSeconds, LeaseState, Mono, Timing, Versions, Wall,
};
use k8s_openapi::api::coordination::v1::Lease;

/// How many candidates stand for each lease.
pub(super) const CANDIDATES: usize = 3;
/// After a renewal that was refused.
const SOON: Duration = Duration::from_millis(100);

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) mono: Mono,
    pub(super) wall: Wall,
}

/// A request that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) purpose: Purpose,
    pub(super) name: String,
    /// What to put; nothing to delete.
    pub(super) object: Option<Box<Lease>>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// A candidate says that it lives.
    Identity(usize),
    /// A candidate leaves.
    Leave(usize),
    /// A leader stays.
    Renew(usize),
    /// A leader gives its lease back.
    Release(usize),
    /// A candidate takes what it was offered.
    Accept(usize),
}

/// Why a lease is without a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vacancy {
    None,
    /// Since the release was sent.
    Released(Mono),
    /// Since the lease expired.
    Expired(Mono),
}

#[derive(Debug)]
struct Entry {
    name: String,
    object: Option<Lease>,
    lease: Option<LeaderLease>,
    /// When the last change of its renew time was seen.
    renewed: Mono,
    /// A request for it waits or is open.
    busy: bool,
    vacancy: Vacancy,
}

#[derive(Debug)]
struct Member {
    name: String,
    incarnation: Incarnation,
    object: Lease,
    alive: bool,
}

/// All leases and all candidates.
#[derive(Debug)]
pub(in crate::bench) struct Book {
    namespace: String,
    timing: Timing,
    entries: Vec<Entry>,
    members: Vec<Member>,
    by_name: HashMap<String, usize>,
    due: BTreeSet<(Mono, Purpose)>,
    /// What is to be sent, the urgent first.
    pub(super) urgent: VecDeque<Purpose>,
    pub(super) patient: VecDeque<Purpose>,
    /// Milliseconds of the failovers that were asked for.
    pub(super) failovers: Vec<f64>,
    /// Changes of objects that a watch has shown.
    pub(super) writes: u64,
    /// How late the latest renewal of a leader was sent.
    pub(super) latest: Duration,
}

impl Book {
    pub(super) fn new(namespace: &str, leases: usize) -> Self {
        let timing = Timing::default();
        let entry = |number| Entry {
            name: format!("lease-{number}"),
            object: None,
            lease: None,
            renewed: Mono::default(),
            busy: false,
            vacancy: Vacancy::None,
        };
        let member = |number: usize| Member {
            name: format!("lease-{}-{}", number / CANDIDATES, number % CANDIDATES),
            incarnation: Incarnation::new(&format!("incarnation-{number}")),
            object: Lease::default(),
            alive: true,
        };
        let entries: Vec<Entry> = (0..leases).map(entry).collect();
        let by_name = entries.iter().enumerate();
        let by_name = by_name
            .map(|(index, entry)| (entry.name.clone(), index))
            .collect();
        Self {
            namespace: namespace.to_owned(),
            timing,
            entries,
            members: (0..leases * CANDIDATES).map(member).collect(),
            by_name,
            due: BTreeSet::new(),
            urgent: VecDeque::new(),
            patient: VecDeque::new(),
            failovers: Vec::new(),
            writes: 0,
            latest: Duration::ZERO,
        }
    }

    /// How many candidates there are.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// The identity lease with which a candidate joins.
    pub(super) fn joins(&self, member: usize, versions: &Versions, now: Now) -> Lease {
        wire::identity(None, &self.identity(member, versions, now), None)
    }

    fn identity(&self, member: usize, versions: &Versions, now: Now) -> IdentityRecord {
        let own = &self.members[member];
        IdentityRecord {
            key: LeaseKey::new(&self.namespace, &own.name),
            incarnation: own.incarnation.clone(),
            leads: Some(LeaseKey::new(
                &self.namespace,
                &self.entries[member / CANDIDATES].name,
            )),
            versions: versions.clone(),
            renew_time: now.wall,
            duration: self.timing.identity_duration(),
            timing: self.timing,
        }
    }

    /// A candidate has joined. All renew at moments of their own from then on, as if they had started over a minute.
    pub(super) fn joined(&mut self, member: usize, object: Lease, now: Now) {
        self.members[member].object = object;
        let share = (member + 1) as f64 / self.members.len() as f64;
        let at = now.mono + self.timing.identity_interval().mul_f64(share);
        self.due.insert((at, Purpose::Identity(member)));
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What is due by now waits to be sent.
    pub(super) fn pass(&mut self, now: Now) {
        while let Some((at, purpose)) = self.due.first().copied()
            && at <= now.mono
        {
            self.due.pop_first();
            self.patient.push_back(purpose);
        }
    }

    /// What a watch, or an answer, shows of an object.
    pub(super) fn shown(&mut self, object: Lease, now: Now) {
        let Some(Item::Leader(lease)) = wire::read(&object) else {
            return;
        };
        let Some(&index) = self.by_name.get(lease.key.name()) else {
            return;
        };
        let entry = &mut self.entries[index];
        if entry
            .lease
            .as_ref()
            .is_some_and(|known| known.uid == lease.uid && known.revision >= lease.revision)
        {
            return;
        }
        let stamp = |lease: &LeaderLease| lease.record.renew_time;
        if entry.lease.as_ref().and_then(stamp) != stamp(&lease) {
            entry.renewed = now.mono;
        }
        entry.object = Some(object);
        entry.lease = Some(lease);
        self.consider(index);
    }

    /// Whoever is offered the lease accepts, unless a request for it is under way: then the answer comes back to this.
    fn consider(&mut self, index: usize) {
        if let Some((member, LeaseState::Offered)) = self.named(index)
            && self.members[member].alive
            && !self.entries[index].busy
        {
            self.entries[index].busy = true;
            self.urgent.push_back(Purpose::Accept(index));
        }
    }

    /// Who is named as holder, and in which state the lease is.
    fn named(&self, index: usize) -> Option<(usize, LeaseState)> {
        let lease = self.entries[index].lease.as_ref()?;
        let holder = lease.record.holder.as_ref()?;
        let own = index * CANDIDATES..(index + 1) * CANDIDATES;
        let member = own
            .into_iter()
            .find(|member| self.members[*member].name == holder.as_str())?;
        Some((member, lease.state()))
    }

    fn is_led(&self, index: usize) -> bool {
        self.named(index)
            .is_some_and(|(member, state)| state == LeaseState::Held && self.members[member].alive)
    }

    /// How many leases have a leader that lives.
    pub(in crate::bench) fn led(&self) -> usize {
        (0..self.entries.len())
            .filter(|index| self.is_led(*index))
            .count()
    }

    /// The request of a purpose, when it still makes sense.
    pub(super) fn request(&mut self, purpose: Purpose, versions: &Versions, now: Now) -> Option<Request> {
        match purpose {
            Purpose::Identity(member) => {
                let own = self.members[member].alive.then(|| &self.members[member])?;
                let object = wire::identity(Some(&own.object), &self.identity(member, versions, now), None);
                Some(put(purpose, &own.name, object))
            }
            Purpose::Leave(member) => Some(Request {
                purpose,
                name: self.members[member].name.clone(),
                object: None,
            }),
            Purpose::Renew(index) | Purpose::Release(index) if self.entries[index].busy => {
                self.due.insert((now.mono + SOON, purpose));
                None
            }
            Purpose::Renew(index) | Purpose::Release(index) | Purpose::Accept(index) => {
                let request = self.lease_request(purpose, index, now);
                self.entries[index].busy = request.is_some();
                request
            }
        }
    }

    fn lease_request(&mut self, purpose: Purpose, index: usize, now: Now) -> Option<Request> {
        let (member, state) = self.named(index)?;
        let entry = &mut self.entries[index];
        let (lease, object) = (entry.lease.as_ref()?, entry.object.as_ref()?);
        let member = &self.members[member];
        let write = match (purpose, state) {
            (Purpose::Accept(_), LeaseState::Offered) if member.alive => {
                let me = Identity::new(&member.name);
                lease.accept(&me, &member.incarnation, LeaseSeconds::LEADER, now.wall)
            }
            (Purpose::Renew(_), LeaseState::Held) if member.alive => {
                self.latest = self.latest.max(late(entry.renewed, now.mono, &self.timing));
                lease.renew(LeaseSeconds::LEADER, now.wall)
            }
            (Purpose::Release(_), LeaseState::Held) => {
                entry.vacancy = Vacancy::Released(now.mono);
                lease.release(lease.record.transitions, now.wall)
            }
            _ => return None,
        };
        Some(put(purpose, &entry.name, wire::update(object, &write)))
    }

    /// What came of a request; nothing when it was refused.
    pub(super) fn answered(&mut self, request: &Request, answer: Option<Lease>, sent: Mono, now: Now) {
        match request.purpose {
            Purpose::Identity(member) => {
                self.members[member].object = answer.unwrap_or_else(|| self.members[member].object.clone());
                self.due
                    .insert((sent + self.timing.identity_interval(), request.purpose));
            }
            Purpose::Leave(member) => self.urgent.push_back(Purpose::Release(member / CANDIDATES)),
            Purpose::Renew(index) | Purpose::Release(index) | Purpose::Accept(index) => {
                self.entries[index].busy = false;
                let done = answer.is_some();
                if let Some(object) = answer {
                    self.shown(object, now);
                }
                self.follow_up(request.purpose, index, done, sent, now);
                self.consider(index);
            }
        }
    }

    fn follow_up(&mut self, purpose: Purpose, index: usize, done: bool, sent: Mono, now: Now) {
        match (purpose, done) {
            (Purpose::Accept(_), true) => {
                self.due
                    .insert((sent + self.timing.renew_interval(), Purpose::Renew(index)));
                let since = match std::mem::replace(&mut self.entries[index].vacancy, Vacancy::None) {
                    Vacancy::None => return,
                    Vacancy::Released(at) | Vacancy::Expired(at) => at,
                };
                let millis = now.mono.as_nanos() as f64 - since.as_nanos() as f64;
                self.failovers.push(millis / 1e6);
            }
            (Purpose::Renew(_), true) => {
                self.due.insert((sent + self.timing.renew_interval(), purpose));
            }
            // The watch shows what came in between; a leader goes on from there.
            (Purpose::Renew(_) | Purpose::Release(_), false) => {
                self.due.insert((now.mono + SOON, purpose));
            }
            _ => {}
        }
    }

    /// The leaders of the first leases leave: they give their leases back, all at once.
    pub(super) fn release(&mut self, count: usize) {
        for index in 0..count.min(self.entries.len()) {
            if let Some((member, LeaseState::Held)) = self.named(index) {
                self.members[member].alive = false;
                self.urgent.push_back(Purpose::Leave(member));
            }
        }
    }

    /// The leaders of the last leases die, all at once.
    pub(super) fn kill(&mut self, count: usize) {
        let length = self.entries.len();
        for index in length.saturating_sub(count)..length {
            let Some((member, LeaseState::Held)) = self.named(index) else {
                continue;
            };
            self.members[member].alive = false;
            let entry = &mut self.entries[index];
            let duration = entry.lease.as_ref().and_then(|lease| lease.record.duration);
            let expiry = entry.renewed + duration.unwrap_or(LeaseSeconds::LEADER).duration();
            entry.vacancy = Vacancy::Expired(expiry);
        }
    }
}

fn put(purpose: Purpose, name: &str, object: Lease) -> Request {
    Request {
        purpose,
        name: name.to_owned(),
        object: Some(Box::new(object)),
    }
}

/// How much later than planned a renewal is sent.
fn late(renewed: Mono, now: Mono, timing: &Timing) -> Duration {
    now.since(renewed).saturating_sub(timing.renew_interval())
}

#[cfg(test)]
mod tests {
    use super::*;
    use election_core::{LeaseCreate, LeaseWrite};

    fn now(seconds: u64) -> Now {
        Now {
            mono: Mono::from_nanos(seconds * 1_000_000_000),
            wall: Wall::from_micros(1_700_000_000_000_000 + i64::try_from(seconds).unwrap() * 1_000_000),
        }
    }

    fn versions() -> Versions {
        let version: election_core::Version = "1.30".parse().unwrap();
        Versions {
            binary: version.clone(),
            emulation: version,
        }
    }

    /// The lease after a write, at the next version.
    fn after(base: &Lease, write: impl Fn(&LeaderLease) -> LeaseWrite) -> Lease {
        let mut lease = wire::update(base, &write(&wire::read_leader(base).unwrap()));
        let version: u64 = base
            .metadata
            .resource_version
            .as_deref()
            .unwrap()
            .parse()
            .unwrap();
        lease.metadata.resource_version = Some((version + 1).to_string());
        lease
    }

    fn fresh() -> Lease {
        let mut lease = wire::create(&LeaseCreate {
            key: LeaseKey::new("ns", "lease-0"),
            duration: LeaseSeconds::LEADER,
        });
        lease.metadata.uid = Some("u".to_owned());
        lease.metadata.resource_version = Some("1".to_owned());
        lease
    }

    /// Offers the lease to a candidate, which accepts; returns the lease that it leads by.
    fn led_by(book: &mut Book, base: &Lease, candidate: &str, at: Now) -> Lease {
        let offered = after(base, |lease| {
            lease.offer(&Identity::new(candidate), LeaseSeconds::LEADER)
        });
        book.shown(offered, at);
        assert_eq!(book.urgent.pop_front(), Some(Purpose::Accept(0)));
        let request = book.request(Purpose::Accept(0), &versions(), at).unwrap();
        let mut accepted = (**request.object.as_ref().unwrap()).clone();
        let version: u64 = accepted
            .metadata
            .resource_version
            .as_deref()
            .unwrap()
            .parse()
            .unwrap();
        accepted.metadata.resource_version = Some((version + 1).to_string());
        book.answered(&request, Some(accepted.clone()), at.mono, at);
        accepted
    }

    #[test]
    fn an_offer_is_accepted_and_the_leader_renews() {
        let mut book = Book::new("ns", 1);
        book.shown(fresh(), now(0));
        led_by(&mut book, &fresh(), "lease-0-1", now(1));
        assert_eq!(book.led(), 1);
        assert_eq!(book.deadline(), Some(now(5).mono));
        book.pass(now(5));
        assert_eq!(book.patient.pop_front(), Some(Purpose::Renew(0)));
        assert!(book.request(Purpose::Renew(0), &versions(), now(5)).is_some());
    }

    #[test]
    fn an_offer_that_is_shown_before_the_answer_to_the_release_is_accepted() {
        let mut book = Book::new("ns", 1);
        book.shown(fresh(), now(0));
        let held = led_by(&mut book, &fresh(), "lease-0-0", now(1));
        book.release(1);
        book.urgent.clear();
        let request = book.request(Purpose::Release(0), &versions(), now(3)).unwrap();
        let released = after(&held, |lease| lease.release(1, now(3).wall));
        let offered = after(&released, |lease| {
            lease.offer(&Identity::new("lease-0-1"), LeaseSeconds::LEADER)
        });
        book.shown(offered, now(4));
        assert!(book.urgent.is_empty());
        book.answered(&request, Some(released), now(3).mono, now(4));
        assert_eq!(book.urgent.pop_front(), Some(Purpose::Accept(0)));
    }

    #[test]
    fn who_is_dead_neither_renews_nor_accepts_and_the_next_one_is_counted_from_the_expiry() {
        let mut book = Book::new("ns", 1);
        book.shown(fresh(), now(0));
        let held = led_by(&mut book, &fresh(), "lease-0-0", now(1));
        book.kill(1);
        assert!(book.request(Purpose::Renew(0), &versions(), now(5)).is_none());
        let dead = after(&held, |lease| {
            lease.offer(&Identity::new("lease-0-0"), LeaseSeconds::LEADER)
        });
        book.shown(dead.clone(), now(16));
        assert!(book.urgent.is_empty());
        led_by(&mut book, &dead, "lease-0-2", now(18));
        // The lease was last renewed at 1 s and good for 15 s.
        assert_eq!(book.failovers, [2_000.0]);
    }

    #[test]
    fn who_leaves_gives_the_lease_back_and_the_next_one_is_counted_from_there() {
        let mut book = Book::new("ns", 1);
        book.shown(fresh(), now(0));
        let held = led_by(&mut book, &fresh(), "lease-0-0", now(1));
        book.release(1);
        assert_eq!(book.urgent.pop_front(), Some(Purpose::Leave(0)));
        let leave = book.request(Purpose::Leave(0), &versions(), now(2)).unwrap();
        book.answered(&leave, None, now(2).mono, now(2));
        assert_eq!(book.urgent.pop_front(), Some(Purpose::Release(0)));
        let request = book.request(Purpose::Release(0), &versions(), now(3)).unwrap();
        let released = after(&held, |lease| lease.release(1, now(3).wall));
        book.answered(&request, Some(released.clone()), now(3).mono, now(3));
        led_by(&mut book, &released, "lease-0-1", now(4));
        assert_eq!(book.failovers, [1_000.0]);
    }
}
