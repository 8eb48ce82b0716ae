//! The checker: it knows true time, what the server really stores, and what each process holds, and decides S1 to S8.
//!
//! It trusts nothing that a process believes but its right to act: the guard of a term, and the deadline by the clock of its
//! machine. What becomes of the leases after the faults have ended (L1 to L5) is judged in `aftermath`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use candidate::clock::Clock;
use election_core::{FencingToken, IdentityLease, LeaderLease, LeaseKey, LeaseState, Mono, Record, Versions};

use crate::time::MachineClock;

/// A rule of the protocol that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in docs/protocol.md.
    pub rule: &'static str,
    /// What happened.
    pub what: String,
    /// When, in true time.
    pub at: Duration,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {:.3} s", self.rule, self.what, self.at.as_secs_f64())
    }
}

/// The number of a process: each start has its own.
pub(crate) type Pid = u32;

/// Asks a process for the deadline of its term.
pub(crate) type Deadline = Box<dyn FnMut() -> Mono + Send>;

/// A term that a process believes in.
pub(crate) struct Term {
    pub(crate) pid: Pid,
    pub(crate) name: Arc<str>,
    clock: Arc<MachineClock>,
    /// By when everything of it must be over, as the process knows it now.
    known: Deadline,
    pub(crate) token: FencingToken,
    /// The guard exists.
    running: bool,
    /// What was known when the guard last existed.
    deadline: Mono,
    /// Requests of its work that may still land, and how long somebody who gave them up has to wait.
    under_way: BTreeMap<u64, Mono>,
    /// How far ahead of a renewal its deadline lies.
    reach: Duration,
}

impl Term {
    pub(crate) fn new(
        (pid, name): (Pid, Arc<str>),
        clock: Arc<MachineClock>,
        known: Deadline,
        reach: Duration,
        token: FencingToken,
    ) -> Self {
        let mut term = Self {
            pid,
            name,
            clock,
            known,
            token,
            running: true,
            deadline: Mono::default(),
            under_way: BTreeMap::new(),
            reach,
        };
        term.look();
        term
    }

    /// What the process knows of its deadline now.
    fn look(&mut self) {
        if self.running {
            self.deadline = (self.known)();
        }
    }

    /// Whether its deadline lies ahead, by the clock that decides.
    fn is_open(&mut self) -> bool {
        self.look();
        self.clock.now() < self.deadline
    }

    /// Whether a request of its work may still land, as far as the process could know.
    fn may_be_written_for(&self) -> bool {
        let now = self.clock.now();
        self.under_way.values().any(|until| now < *until)
    }

    fn may_act(&mut self) -> bool {
        self.running && self.is_open()
    }
}

/// Who gives a leader lease to its holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Electors offer it, and the one that was offered it accepts.
    #[default]
    Elected,
    /// Nobody: whoever finds it free takes it.
    Direct,
}

/// What is known of one leader lease.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) grant: Grant,
    pub(crate) stored: Option<LeaderLease>,
    last_token: Option<FencingToken>,
    /// The highest token that the shared object has seen.
    pub(crate) shared_token: Option<FencingToken>,
    terms: Vec<Term>,
}

/// What is known of one identity lease.
#[derive(Default)]
pub(crate) struct IdentityBook {
    pub(crate) stored: Option<IdentityLease>,
    /// All that it ever said of itself; nothing for a time when it said nothing that counts.
    pub(crate) said: Vec<Option<Versions>>,
    /// The leader leases that it ever named.
    pub(crate) named: BTreeSet<LeaseKey>,
}

/// Everything that the checker knows.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) violation: Option<Violation>,
    pub(crate) leases: BTreeMap<LeaseKey, Book>,
    pub(crate) identities: BTreeMap<LeaseKey, IdentityBook>,
    /// Terms that began.
    pub(crate) terms: u64,
    /// Terms that ended.
    pub(crate) ended: u64,
    /// What electors sent to create or change a leader lease.
    pub(crate) elector_writes: u64,
    /// Writes of the leaders' work that landed.
    pub(crate) acts: u64,
    /// Of the electors that take turns, whose turn it was last.
    pub(crate) turn: Option<Record>,
}

impl Ledger {
    /// Notes the first rule that was broken; what follows from it says nothing new.
    pub(crate) fn broken(&mut self, rule: &'static str, at: Duration, what: impl fmt::Display) {
        if self.violation.is_none() {
            let what = what.to_string();
            self.violation = Some(Violation { rule, what, at });
        }
    }

    /// A process got the guard of a term. Invariants: S2, S6.
    pub(crate) fn begins(&mut self, at: Duration, lease: &LeaseKey, term: Term) {
        self.terms += 1;
        let book = self.leases.entry(lease.clone()).or_default();
        let mut broken = None;
        if let Some(last) = &book.last_token
            && *last >= term.token
        {
            let (name, token) = (&term.name, &term.token);
            broken = Some((
                "S2",
                format!("{name} leads {lease} with token {token} after {last}"),
            ));
        }
        for other in book.terms.iter_mut().filter(|other| !other.running) {
            if other.may_be_written_for() && other.is_open() {
                let (new, old) = (&term.name, &other.name);
                let what = format!("{new} begins on {lease} while a request of {old}'s work is under way");
                broken = Some(("S6", what));
            }
        }
        book.last_token = Some(term.token.clone());
        book.terms.push(term);
        if let Some((rule, what)) = broken {
            self.broken(rule, at, what);
        }
        self.check(at, lease);
    }

    /// The guard of the process is gone, or the process is.
    pub(crate) fn ends(&mut self, lease: &LeaseKey, pid: Pid) {
        let Some(book) = self.leases.get_mut(lease) else {
            return;
        };
        for term in book
            .terms
            .iter_mut()
            .filter(|term| term.pid == pid && term.running)
        {
            term.look();
            term.running = false;
            self.ended += 1;
        }
        book.terms
            .retain(|term| term.running || !term.under_way.is_empty());
    }

    /// The work of a process must have stopped at its deadline. Invariant: S6.
    pub(crate) fn stopped_in_time(&mut self, at: Duration, lease: &LeaseKey, pid: Pid, slack: Duration) {
        let term = self.leases.get_mut(lease).and_then(|book| {
            let mut terms = book.terms.iter_mut();
            terms.find(|term| term.pid == pid && term.running)
        });
        if let Some(term) = term {
            term.look();
            let late = term.clock.now().since(term.deadline + slack);
            if !late.is_zero() {
                let what = format!(
                    "the work of {} on {lease} runs {late:?} after its deadline",
                    term.name
                );
                self.broken("S6", at, what);
            }
        }
    }

    /// At most one process may act on a lease, and nobody while it is offered. Invariants: S1, S3.
    pub(crate) fn check(&mut self, at: Duration, lease: &LeaseKey) {
        let Some(book) = self.leases.get_mut(lease) else {
            return;
        };
        if book.terms.is_empty() {
            return;
        }
        let terms = book.terms.iter_mut();
        let acting: Vec<&Term> = terms
            .filter_map(|term| term.may_act().then_some(&*term))
            .collect();
        let offered = |lease: &LeaderLease| lease.state() == LeaseState::Offered;
        let broken = match (&acting[..], &book.stored) {
            ([one, other, ..], _) => Some((
                "S1",
                format!("{} and {} may both act on {lease}", one.name, other.name),
            )),
            ([one], Some(stored)) if offered(stored) => {
                Some(("S3", format!("{} may act on {lease}, which is offered", one.name)))
            }
            _ => None,
        };
        if let Some((rule, what)) = broken {
            self.broken(rule, at, what);
        }
    }

    /// The only process that may act on a lease now.
    pub(crate) fn acting(&mut self, lease: &LeaseKey) -> Option<(Pid, FencingToken)> {
        let terms = self.leases.get_mut(lease)?.terms.iter_mut();
        let mut acting = terms.filter_map(|term| term.may_act().then(|| (term.pid, term.token.clone())));
        acting.next()
    }

    /// A request of a leader's work leaves its process. Invariant: S1.
    pub(crate) fn work_sent(&mut self, at: Duration, lease: &LeaseKey, pid: Pid, request: u64) {
        let term = self.leases.get_mut(lease).and_then(|book| {
            let mut terms = book.terms.iter_mut();
            terms.find(|term| term.pid == pid && term.running)
        });
        let may_act = term.is_some_and(|term| {
            let may_act = term.may_act();
            if may_act {
                term.under_way.insert(request, term.clock.now() + term.reach);
            }
            may_act
        });
        if !may_act {
            let what = format!("process {pid} acts on {lease} without the right to");
            self.broken("S1", at, what);
        }
    }

    /// A request of somebody's work has landed, or never will.
    pub(crate) fn work_over(&mut self, request: u64) {
        for book in self.leases.values_mut() {
            for term in &mut book.terms {
                term.under_way.remove(&request);
            }
            book.terms
                .retain(|term| term.running || !term.under_way.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use election_core::{Record, Revision, Uid, Wall};

    use super::*;
    use crate::time::Truth;

    /// A ledger in the middle of a run, with the processes of a test.
    struct Scene {
        ledger: Ledger,
        truth: Truth,
        lease: LeaseKey,
    }

    /// The deadline of a process, which a test moves.
    type Moved = Arc<Mutex<Mono>>;

    impl Scene {
        fn new() -> Self {
            Self {
                ledger: Ledger::default(),
                truth: Truth::begin(),
                lease: LeaseKey::new("default", "demo"),
            }
        }

        /// A process begins a term that lasts for so many milliseconds of its clock, which has a rate.
        fn begins(&mut self, pid: Pid, token: &str, lasts: u64, rate: u64) -> Moved {
            let clock = MachineClock::new(self.truth, 0);
            clock.set_rate(rate);
            let deadline = Arc::new(Mutex::new(Mono::from_nanos(lasts * 1_000_000)));
            let known = deadline.clone();
            let term = Term::new(
                (pid, format!("process-{pid}").into()),
                Arc::new(clock),
                Box::new(move || *known.lock().unwrap()),
                Duration::from_millis(lasts),
                FencingToken::new(Revision::new(token)),
            );
            let (at, lease) = (self.truth.now(), self.lease.clone());
            self.ledger.begins(at, &lease, term);
            deadline
        }

        fn check(&mut self) -> Option<&'static str> {
            let (at, lease) = (self.truth.now(), self.lease.clone());
            self.ledger.check(at, &lease);
            self.rule()
        }

        fn rule(&self) -> Option<&'static str> {
            self.ledger.violation.as_ref().map(|violation| violation.rule)
        }

        async fn until(&self, millis: u64) {
            self.truth.reach(Duration::from_millis(millis)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_may_act_are_seen_by_true_time() {
        // A clock that runs slow lets its process act for longer than it believes.
        for (rate, begins, broken) in [(1000, 1001, None), (900, 1001, Some("S1")), (900, 1112, None)] {
            let mut scene = Scene::new();
            scene.begins(1, "5", 1000, rate);
            scene.until(begins).await;
            scene.begins(2, "6", 5000, 1000);
            assert_eq!(scene.rule(), broken, "rate {rate}, second term at {begins} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_back_is_seen() {
        let mut scene = Scene::new();
        let deadline = scene.begins(1, "5", 1000, 1000);
        scene.until(1500).await;
        scene.begins(2, "6", 5000, 1000);
        assert_eq!(scene.check(), None);
        *deadline.lock().unwrap() = Mono::from_nanos(2_000_000_000);
        assert_eq!(scene.check(), Some("S1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_guard_that_is_gone_and_a_process_that_is_gone_act_no_more() {
        let mut scene = Scene::new();
        scene.begins(1, "5", 1000, 1000);
        let lease = scene.lease.clone();
        scene.ledger.ends(&lease, 1);
        scene.begins(2, "6", 1000, 1000);
        assert_eq!(scene.check(), None);
        assert_eq!((scene.ledger.terms, scene.ledger.ended), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_rise() {
        for (second, broken) in [("10", None), ("9", Some("S2")), ("8", Some("S2"))] {
            let mut scene = Scene::new();
            scene.begins(1, "9", 0, 1000);
            let lease = scene.lease.clone();
            scene.ledger.ends(&lease, 1);
            scene.begins(2, second, 1000, 1000);
            assert_eq!(scene.rule(), broken, "token {second} after 9");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_acts_on_an_offered_lease() {
        let mut scene = Scene::new();
        scene.begins(1, "5", 1000, 1000);
        let stored = LeaderLease {
            key: scene.lease.clone(),
            uid: Uid::new("u"),
            revision: Revision::new("7"),
            record: Record {
                holder: Some("bravo".into()),
                ..Record::default()
            },
            strategy: None,
            controls: None,
        };
        let lease = scene.lease.clone();
        scene.ledger.leases.entry(lease).or_default().stored = Some(stored.clone());
        assert_eq!(scene.check(), Some("S3"));
        scene.ledger.violation = None;
        let mut held = stored;
        held.record.renew_time = Some(Wall::default());
        let lease = scene.lease.clone();
        scene.ledger.leases.entry(lease).or_default().stored = Some(held);
        assert_eq!(scene.check(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn work_acts_only_within_its_term() {
        let mut scene = Scene::new();
        scene.begins(1, "5", 1000, 1000);
        let lease = scene.lease.clone();
        scene.ledger.work_sent(scene.truth.now(), &lease, 1, 70);
        assert_eq!(scene.rule(), None);
        scene.until(1001).await;
        scene.ledger.work_sent(scene.truth.now(), &lease, 1, 71);
        assert_eq!(scene.rule(), Some("S1"));
    }

    #[tokio::test(start_paused = true)]
    async fn new_work_waits_for_the_requests_of_the_old_until_their_deadline() {
        for (answered, begins, broken) in [(false, 10, Some("S6")), (true, 10, None), (false, 1001, None)] {
            let mut scene = Scene::new();
            scene.begins(1, "5", 1000, 1000);
            let lease = scene.lease.clone();
            scene.ledger.work_sent(scene.truth.now(), &lease, 1, 70);
            scene.ledger.ends(&lease, 1);
            if answered {
                scene.ledger.work_over(70);
            }
            scene.until(begins).await;
            scene.begins(2, "6", 1000, 1000);
            assert_eq!(
                scene.rule(),
                broken,
                "answered: {answered}, second term at {begins} ms"
            );
        }
    }

    /// A process that renewed meanwhile need not wait for ever for a request that is lost.
    #[tokio::test(start_paused = true)]
    async fn a_request_of_long_ago_holds_nobody_up() {
        for (begins, broken) in [(1400, Some("S6")), (1501, None)] {
            let mut scene = Scene::new();
            let deadline = scene.begins(1, "5", 1000, 1000);
            let lease = scene.lease.clone();
            scene.until(500).await;
            scene.ledger.work_sent(scene.truth.now(), &lease, 1, 70);
            *deadline.lock().unwrap() = Mono::from_nanos(1_900_000_000);
            scene.ledger.ends(&lease, 1);
            scene.until(begins).await;
            scene.begins(2, "6", 1000, 1000);
            assert_eq!(scene.rule(), broken, "second term at {begins} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_runs_after_its_deadline_is_seen() {
        let mut scene = Scene::new();
        scene.begins(1, "5", 1000, 1000);
        let (lease, slack) = (scene.lease.clone(), Duration::from_millis(5));
        for (at, broken) in [(1005, None), (1006, Some("S6"))] {
            scene.until(at).await;
            scene.ledger.stopped_in_time(scene.truth.now(), &lease, 1, slack);
            assert_eq!(scene.rule(), broken, "at {at} ms");
        }
    }
}
