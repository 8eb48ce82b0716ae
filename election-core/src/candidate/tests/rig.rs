//! One candidate under test: its machine, a simulated shell with simulated work, and requests that wait for the test to
//! decide what becomes of them.
//!
//! Every step of every test is checked here: the write table, the invariants, and that nothing floods the server.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use super::server::{Refused, Server, lease_key};
use crate::candidate::{
    Candidate, EndReason, Event, IdentityWrite, Now, Outcome, Request, Seen, Settings, Stopped,
};
use crate::lease::{LeaderLease, LeaseWrite, Record, WriteKind};
use crate::names::{FencingToken, Identity, Revision};
use crate::strategy::Versions;
use crate::time::{LeaseSeconds, Mono, Wall};
use crate::timing::Timing;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server carries it out, or refuses it, and its answer arrives.
    Answered,
    /// It is carried out or refused, and no answer arrives.
    AnswerLost,
    /// It is carried out, but sent twice by a layer below: the answer is that of the second.
    SentTwice,
    /// It never reaches the server.
    Lost,
    /// It reaches the server after the candidate has given up on it: at [`Rig::land`].
    Late,
    /// The server refuses it for no good reason.
    Refused,
}

/// A request on the leader lease that is under way.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Read,
    Create,
    Write(LeaseWrite),
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: Request,
    pub(super) sent: Mono,
    pub(super) what: Ask,
    /// What the server made of it, once it got there.
    pub(super) reached: Option<Result<Seen<LeaderLease>, Refused>>,
}

/// The work, as the shell runs it: it acts until it stops or is killed.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// What the shell was told last.
    pub(super) deadline: Mono,
    pub(super) kill_at: Option<Mono>,
    /// Why it was told to stop last.
    pub(super) reason: Option<EndReason>,
    /// It was killed, and the machine has not been told so.
    pub(super) dead: bool,
}

impl Work {
    pub(super) fn end(&self) -> Mono {
        self.kill_at.map_or(self.deadline, |at| at.min(self.deadline))
    }
}

/// An acceptance or renewal that the server carried out.
#[derive(Clone, Copy, Debug)]
struct Landed {
    sent: Mono,
    duration: LeaseSeconds,
}

pub(super) struct Rig {
    pub(super) server: Rc<RefCell<Server>>,
    pub(super) settings: Settings,
    /// Whether it is in direct mode.
    pub(super) direct: bool,
    pub(super) machine: Candidate,
    pub(super) now: Mono,
    /// How far the wall clock is off, in seconds.
    pub(super) skew: i64,
    pub(super) asked: Option<Asked>,
    pub(super) asked_identity: Option<(Request, Option<IdentityWrite>)>,
    late: Vec<(Mono, LeaseWrite)>,
    pub(super) work: Option<Work>,
    pub(super) healthy: bool,
    pub(super) wanted: bool,
    pub(super) leaving: bool,
    pub(super) finished: bool,
    /// The newest state of the leader lease that the machine was shown.
    pub(super) told: Option<Seen<LeaderLease>>,
    pub(super) stamps: Vec<Wall>,
    pub(super) tokens: Vec<FencingToken>,
    landed: Option<Landed>,
    pub(super) log: Vec<String>,
    pub(super) identity_log: Vec<String>,
    pub(super) sent_now: usize,
    pub(super) sent_identity_now: usize,
    answers_create: bool,
    /// Whether requests on the identity lease are answered at once.
    pub(super) identity_answered: bool,
}

/// The moment that logs call `t+0s`.
pub(super) const START: Mono = Mono::from_nanos(1_000_000_000_000);

pub(super) fn seconds(seconds: u32) -> LeaseSeconds {
    LeaseSeconds::new(seconds).expect("positive")
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Rig {
    // --- Openings ---------------------------------------------------------------------------------------------------

    /// A process that has just started, and knows nothing.
    pub(super) fn started(server: &Rc<RefCell<Server>>, name: &str) -> Self {
        let version = || "1.30".parse().expect("a version");
        let settings = Settings {
            lease: lease_key(),
            identity: Identity::new(name),
            incarnation: format!("i-{name}").into(),
            versions: Versions {
                binary: version(),
                emulation: version(),
            },
            timing: Timing::default(),
            seed: 7,
        };
        let now = Now {
            mono: START,
            wall: Wall::from_micros(1_700_000_000_000_000),
        };
        Self {
            server: server.clone(),
            machine: Candidate::new(settings.clone(), now),
            settings,
            direct: false,
            now: START,
            skew: 0,
            asked: None,
            asked_identity: None,
            late: Vec::new(),
            work: None,
            healthy: true,
            wanted: false,
            leaving: false,
            finished: false,
            told: None,
            stamps: Vec::new(),
            tokens: Vec::new(),
            landed: None,
            log: Vec::new(),
            identity_log: Vec::new(),
            sent_now: 0,
            sent_identity_now: 0,
            answers_create: false,
            identity_answered: true,
        }
    }

    /// A process in direct mode that has just started and waits to lead; `seed` is its own.
    pub(super) fn started_directly(
        server: &Rc<RefCell<Server>>,
        name: &str,
        seed: u64,
        unheld: bool,
    ) -> Self {
        let mut rig = Self::started(server, name);
        rig.settings.seed = seed;
        rig.machine = Candidate::direct(rig.settings.clone(), unheld, rig.clocks());
        rig.direct = true;
        rig.event(Event::Wanted(true));
        rig
    }

    /// A candidate with an identity lease, before a Fresh leader lease.
    pub(super) fn joined_to(server: &Rc<RefCell<Server>>, name: &str) -> Self {
        let mut rig = Self::started(server, name);
        rig.event(Event::Wanted(true));
        rig.hear_identity();
        rig.hear();
        rig.expect(&[]);
        rig.expect_identity(&["create, offering"]);
        rig
    }

    pub(super) fn joined() -> Self {
        let server = Rc::new(RefCell::new(Server::new()));
        server.borrow_mut().create(Record::default());
        Self::joined_to(&server, "alpha")
    }

    /// A candidate that was offered the lease for 15 s, and whose acceptance is under way.
    pub(super) fn accepting() -> Self {
        let mut rig = Self::joined();
        rig.offer("alpha");
        rig.hear();
        rig.expect(&["accept"]);
        rig
    }

    /// A leader since t+0s.
    pub(super) fn leading() -> Self {
        let mut rig = Self::accepting();
        rig.answer(Fate::Answered);
        rig.expect(&["lead"]);
        rig
    }

    // --- The others -------------------------------------------------------------------------------------------------

    /// The elector offers the lease, for 15 s.
    pub(super) fn offer(&mut self, to: &str) {
        let mut server = self.server.borrow_mut();
        let write = server
            .lease()
            .expect("exists")
            .offer(&to.into(), LeaseSeconds::LEADER);
        server.put(&write).expect("decided from the last state");
    }

    pub(super) fn nominate(&mut self, successor: &str) {
        self.edit(|record| record.preferred_holder = Some(successor.into()));
    }

    /// The nominee asks for the lease.
    pub(super) fn end_of_term(&mut self, nominee: &str) {
        self.edit(|record| (record.preferred_holder, record.end_of_term) = (Some(nominee.into()), true));
    }

    /// Anybody changes the leader lease.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Record)) {
        self.server.borrow_mut().edit(change);
    }

    pub(super) fn record(&self) -> Record {
        self.server.borrow().record().clone()
    }

    // --- News and time ----------------------------------------------------------------------------------------------

    /// The watch shows the leader lease as it is.
    pub(super) fn hear(&mut self) {
        let seen = self.server.borrow().seen().clone();
        self.event(Event::Lease(seen));
    }

    /// The watch has listed the leader lease, at the start or after a gap.
    pub(super) fn list(&mut self) {
        let seen = self.server.borrow().read();
        self.event(Event::LeaseListed(seen));
    }

    pub(super) fn hear_identity(&mut self) {
        let seen = self.server.borrow().identity(&self.settings.identity);
        self.event(Event::Identity(seen));
    }

    /// Time passes; the machine wakes when it asked for that, and work is killed when its time is over.
    pub(super) fn wait(&mut self, duration: Duration) {
        if self.work.as_ref().is_some_and(|work| work.dead) {
            self.event(Event::WorkStopped(Stopped::Clean));
        }
        if self.machine.deadline().is_some_and(|at| at <= self.now) {
            self.event(Event::Timer);
        }
        let until = self.now + duration;
        loop {
            let wake = self.machine.deadline().filter(|at| *at <= until);
            let kill = self
                .work
                .as_ref()
                .filter(|work| !work.dead)
                .map(Work::end)
                .filter(|at| *at <= until);
            let Some(next) = wake.into_iter().chain(kill).min() else {
                break;
            };
            if wake == Some(next) {
                assert!(next > self.now, "the machine may not wake without time passing");
                self.pass(next);
                self.event(Event::Timer);
            } else {
                self.pass(next);
                let work = self.work.as_ref().expect("it is killed");
                assert!(
                    work.kill_at.is_some(),
                    "S1: work is told to stop before its deadline"
                );
                self.event(Event::WorkStopped(Stopped::Clean));
            }
        }
        self.pass(until);
    }

    /// Time passes, and whatever is asked of the leader lease is lost at once.
    pub(super) fn outage(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            let step = self.machine.deadline().map_or(until, |at| at.min(until));
            self.wait(step.since(self.now));
            if self.asked.is_some() {
                self.answer(Fate::Lost);
            }
        }
    }

    /// The machine is suspended, or its loop stalls: time passes and nothing is called. The keeper kills all the same.
    pub(super) fn suspend(&mut self, duration: Duration) {
        self.pass(self.now + duration);
    }

    /// Invariant: S1. Up to this moment, or to its kill, the work acts: within 4/5 of the duration written by the last
    /// acceptance or renewal that the server carried out, from when that was sent.
    fn pass(&mut self, until: Mono) {
        if let Some(work) = &mut self.work {
            let landed = self.landed.expect("S1: who acts has accepted");
            let limit = landed.sent + landed.duration.duration() * 4 / 5;
            if !work.dead {
                assert!(
                    work.end().min(until) <= limit,
                    "S1: acts until {:?}, may until {limit:?}",
                    work.end()
                );
            }
            work.dead |= until >= work.end();
        }
        if until > self.now {
            (self.sent_now, self.sent_identity_now) = (0, 0);
        }
        self.now = until;
    }

    pub(super) fn clocks(&self) -> Now {
        let micros = i64::try_from(self.now.since(START).as_micros()).expect("a short test");
        let wall = Wall::from_micros(1_700_000_000_000_000 + micros + self.skew * 1_000_000);
        Now { mono: self.now, wall }
    }

    pub(super) fn event(&mut self, event: Event) {
        match &event {
            Event::Lease(seen) | Event::LeaseListed(seen) => self.learn(seen.clone()),
            Event::LeaseAnswer {
                outcome: Outcome::Done(seen),
                ..
            } if !self.answers_create => self.learn(seen.clone()),
            Event::Healthy(healthy) => self.healthy = *healthy,
            Event::Wanted(wanted) => self.wanted = *wanted,
            Event::Shutdown => self.leaving = true,
            Event::WorkStopped(_) => self.work = None,
            _ => {}
        }
        self.machine.handle(self.clocks(), event);
        while let Some(effect) = self.machine.poll() {
            self.carry_out(effect);
        }
        if self.identity_answered && self.asked_identity.is_some() {
            self.answer_identity(Fate::Answered);
        }
    }

    fn learn(&mut self, seen: Seen<LeaderLease>) {
        let number = |revision: &Revision| revision.as_str().parse::<u64>().expect("a number");
        if self
            .told
            .as_ref()
            .is_none_or(|told| number(&seen.as_of) > number(&told.as_of))
        {
            self.told = Some(seen);
        }
    }

    // --- Answers ----------------------------------------------------------------------------------------------------

    /// Decides the fate of the request on the leader lease that is under way.
    pub(super) fn answer(&mut self, fate: Fate) {
        if matches!(fate, Fate::Answered | Fate::AnswerLost | Fate::SentTwice) {
            self.reach();
        }
        let asked = self.asked.take().expect("a request is under way");
        let outcome = match (asked.reached, fate) {
            (Some(Ok(seen)), Fate::Answered) => Outcome::Done(seen),
            (_, Fate::Answered | Fate::SentTwice | Fate::Refused) => Outcome::Conflict,
            (_, Fate::AnswerLost | Fate::Lost | Fate::Late) => Outcome::Failed,
        };
        // The answer to a create is no knowledge.
        self.answers_create = matches!(asked.what, Ask::Create);
        if let (Ask::Write(write), Fate::Late) = (asked.what, fate) {
            self.late.push((asked.sent, write));
        }
        self.event(Event::LeaseAnswer {
            id: asked.id,
            outcome,
        });
    }

    /// The request under way reaches the server; its answer does not come yet.
    pub(super) fn reach(&mut self) {
        let mut asked = self.asked.take().expect("a request is under way");
        if asked.reached.is_none() {
            asked.reached = Some(match &asked.what {
                Ask::Read => Ok(self.server.borrow().read()),
                Ask::Create => self
                    .server
                    .borrow_mut()
                    .post(self.settings.timing.lease_duration()),
                Ask::Write(write) => self.put(asked.sent, write),
            });
        }
        self.asked = Some(asked);
    }

    /// The oldest late write reaches the server; whether it was carried out.
    pub(super) fn land(&mut self) -> bool {
        if self.late.is_empty() {
            return false;
        }
        let (sent, write) = self.late.remove(0);
        self.put(sent, &write).is_ok()
    }

    fn put(&mut self, sent: Mono, write: &LeaseWrite) -> Result<Seen<LeaderLease>, Refused> {
        let seen = self.server.borrow_mut().put(write)?;
        if matches!(
            write.kind,
            WriteKind::Accept | WriteKind::Claim | WriteKind::Renew
        ) {
            let duration = write.record.duration.expect("both write a duration");
            self.landed = Some(Landed { sent, duration });
        }
        Ok(seen)
    }

    pub(super) fn answer_identity(&mut self, fate: Fate) {
        let (id, write) = self.asked_identity.take().expect("a request is under way");
        let me = self.settings.identity.clone();
        let outcome = match (write, fate) {
            (_, Fate::Refused) => Outcome::Conflict,
            (_, Fate::Lost | Fate::Late) | (None, Fate::AnswerLost) => Outcome::Failed,
            (None, _) => Outcome::Done(self.server.borrow().read_identity(&me)),
            (Some(write), _) => {
                let done = self.server.borrow_mut().write_identity(&self.settings, &write);
                match (done, fate) {
                    (_, Fate::AnswerLost) => Outcome::Failed,
                    (Ok(seen), Fate::Answered) => Outcome::Done(seen),
                    _ => Outcome::Conflict,
                }
            }
        };
        self.event(Event::IdentityAnswer { id, outcome });
    }

    // --- Expectations -----------------------------------------------------------------------------------------------

    /// What the machine wanted of the leader lease and of the work since the last look, in order.
    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(core::mem::take(&mut self.log), expected);
    }

    /// What it wanted of its identity lease.
    #[track_caller]
    pub(super) fn expect_identity(&mut self, expected: &[&str]) {
        assert_eq!(core::mem::take(&mut self.identity_log), expected);
    }

    pub(super) fn drain(&mut self) -> Vec<String> {
        self.identity_log.clear();
        core::mem::take(&mut self.log)
    }

    pub(super) fn drain_identity(&mut self) -> Vec<String> {
        core::mem::take(&mut self.identity_log)
    }
}
