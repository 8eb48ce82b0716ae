//! One candidate against everything at once: random news, fates of requests, hand edits, clocks and orders, in any order.
//!
//! What must always hold is checked by the rig at each step. At the end the world is well again, and the candidate must
//! be able to lead, or must have left: nothing of what happened may have brought it to a standstill.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

use super::rig::{Ask, Fate, Rig, ms, seconds};
use super::server::Server;
use crate::candidate::{Event, Stopped};
use crate::lease::{LeaseState, Record};
use crate::time::Wall;

const CASES: u32 = 20_000;

const FATES: [Fate; 12] = [
    Fate::Answered,
    Fate::Answered,
    Fate::Answered,
    Fate::Answered,
    Fate::Answered,
    Fate::Answered,
    Fate::AnswerLost,
    Fate::AnswerLost,
    Fate::SentTwice,
    Fate::Lost,
    Fate::Late,
    Fate::Refused,
];

const NAMES: [&str; 3] = ["alpha", "bravo", "charlie"];

/// What happened at least once over all cases, so that none of the checks is vacuous.
#[derive(Default)]
struct Sometimes {
    seen: [Cell<u32>; EXPECTED.len()],
}

const EXPECTED: [&str; 16] = [
    "accept",
    "lead",
    "renew",
    "extend",
    "read",
    "end of term",
    "hand over",
    "release",
    "decline",
    "stop by",
    "LostContact",
    "NotOwnRecord",
    "LeaseDeleted",
    "Unhealthy",
    "finished",
    "ousted",
];

impl Sometimes {
    fn look(&self, rig: &mut Rig) {
        for entry in rig.drain() {
            for (what, count) in EXPECTED.iter().zip(&self.seen) {
                count.set(count.get() + u32::from(entry.contains(what)));
            }
        }
    }
}

#[test]
fn whatever_happens_the_invariants_hold_and_nothing_stands_still() {
    let sometimes = Sometimes::default();
    let config = Config {
        cases: CASES,
        max_shrink_iters: 20_000,
        ..Config::with_source_file(file!())
    };
    let result = TestRunner::new(config).run(&vec(any::<u16>(), 4..48), |steps| {
        run(&steps, &sometimes);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    for (what, count) in EXPECTED.iter().zip(&sometimes.seen) {
        assert!(
            count.get() > 100,
            "{what:?} happened {} times in {CASES} cases",
            count.get()
        );
    }
}

/// Each step is a number: what happens, and how.
fn run(steps: &[u16], sometimes: &Sometimes) {
    let mut rig = match steps[0] % 4 {
        0 => {
            let server = Rc::new(RefCell::new(Server::new()));
            Rig::started(&server, "alpha")
        }
        1 => Rig::joined(),
        2 => Rig::accepting(),
        _ => Rig::leading(),
    };
    // Most cases live with an identity lease that works, so that the leader lease gets its share of the trouble.
    rig.identity_answered = !(steps[0] >> 8).is_multiple_of(3);
    for number in &steps[1..] {
        step(&mut rig, number >> 8, usize::from(number & 0xff));
        sometimes.look(&mut rig);
    }
    recover(&mut rig);
    sometimes.look(&mut rig);
}

fn step(rig: &mut Rig, what: u16, how: usize) {
    let name = NAMES[how % NAMES.len()];
    let exists = rig.server.borrow().lease().is_some();
    match what % 40 {
        0..=4 => rig.wait(ms(20 << (how % 10))),
        5 => rig.suspend(ms(100 << (how % 12))),
        6..=14 if rig.asked.is_some() => rig.answer(FATES[how % FATES.len()]),
        15 if rig.asked.is_some() => rig.reach(),
        16..=17 if rig.asked_identity.is_some() => rig.answer_identity(FATES[how % FATES.len()]),
        18 => drop(rig.land()),
        19..=22 => rig.hear(),
        23 => {
            let past = rig.server.borrow().past(how % 4);
            rig.event(Event::Lease(past));
        }
        24 => rig.hear_identity(),
        25 => rig.event(if how.is_multiple_of(2) {
            Event::Heard
        } else {
            Event::Timer
        }),
        26 => rig.event(Event::Wanted(!how.is_multiple_of(4))),
        27 => rig.event(Event::Healthy(!how.is_multiple_of(4))),
        28 if how.is_multiple_of(4) => rig.event(Event::Shutdown),
        29..=30 if rig.work.is_some() => {
            rig.stop(if how.is_multiple_of(3) {
                Stopped::Abandoned
            } else {
                Stopped::Clean
            });
        }
        31 if !exists => rig.server.borrow_mut().create(Record::default()),
        32 if exists && !held_by_alpha(rig) => rig.offer(NAMES[how % 4 % 3]),
        33 if exists => rig.nominate(name),
        34 if exists => rig.end_of_term(name),
        35 if exists => hand_edit(rig, how),
        36 => identity_trouble(rig, how),
        37 => rig.skew = [0, 1, -1, 100_000, -100_000][how % 5],
        38 if exists && how.is_multiple_of(3) => rig.server.borrow_mut().delete(),
        39 if exists && !held_by_alpha(rig) => {
            let stamp = Some(Wall::from_micros(i64::try_from(how).expect("small")));
            rig.edit(|record| {
                let (holder, transitions) = (Some("bravo".into()), record.transitions + 1);
                let incarnation = Some("i-bravo".into());
                let (renew_time, acquire_time) = (stamp, stamp);
                *record = Record {
                    holder,
                    transitions,
                    incarnation,
                    renew_time,
                    acquire_time,
                    ..record.clone()
                };
            });
        }
        _ => {}
    }
}

/// An elector waits for the expiry of such a lease, which is another story than a candidate's.
fn held_by_alpha(rig: &Rig) -> bool {
    let server = rig.server.borrow();
    server
        .lease()
        .is_some_and(|lease| lease.state() == LeaseState::Held && lease.record.holder == Some("alpha".into()))
}

fn hand_edit(rig: &mut Rig, how: usize) {
    rig.edit(|record| match how % 9 {
        0 => record.holder = None,
        1 => record.incarnation = None,
        2 => record.acquire_time = Some(Wall::from_micros(3)),
        3 => record.renew_time = None,
        4 => record.duration = Some(seconds([1, 3, 8, 60][how / 9 % 4])),
        5 => record.transitions += 5,
        6 => (record.end_of_term, record.preferred_holder) = (false, None),
        7 => record.renew_time = Some(Wall::from_micros(4)),
        _ => {}
    });
}

fn identity_trouble(rig: &mut Rig, how: usize) {
    let me = "alpha".into();
    let mut server = rig.server.borrow_mut();
    match how % 8 {
        0 => server.oust(&me, "i-2"),
        1..=2 => server.delete_identity(&me),
        3..=4 => server.edit_identity(&me, |lease| lease.leads.clear()),
        5 => server.edit_identity(&me, |lease| lease.incarnation = None),
        _ => {}
    }
}

/// Everything works from here on, and an elector offers the lease.
fn recover(rig: &mut Rig) {
    rig.identity_answered = true;
    if rig.asked_identity.is_some() {
        rig.answer_identity(Fate::Answered);
    }
    while rig.land() {}
    // Whether it leads, so that one who cannot be reached by orders of this test is told to stop.
    rig.event(Event::Healthy(true));
    well(rig, 40);
    if rig.finished {
        return;
    }
    if let Some(work) = &rig.work
        && work.kill_at.is_none()
    {
        assert!(
            rig.now < work.deadline,
            "a leader that is not told to stop may act"
        );
        return;
    }
    assert!(!rig.leaving, "who was told to leave has left");
    if rig.server.borrow().lease().is_none() {
        rig.server.borrow_mut().create(Record::default());
    }
    rig.event(Event::Wanted(true));
    let leads = |rig: &Rig| rig.work.as_ref().is_some_and(|work| work.kill_at.is_none());
    for _ in 0..10 {
        // Whatever record a hand edit left behind has expired by now.
        rig.offer("alpha");
        well(rig, 4);
        if leads(rig) || rig.finished {
            return;
        }
    }
    panic!("it stands still: {:?}", rig.machine);
}

/// Time passes in a world without trouble, in steps of 500 ms.
fn well(rig: &mut Rig, steps: usize) {
    for _ in 0..steps {
        for _ in 0..20 {
            if rig.asked.is_none() {
                break;
            }
            rig.answer(Fate::Answered);
        }
        rig.hear();
        rig.hear_identity();
        if rig.work.as_ref().is_some_and(|work| work.kill_at.is_some()) {
            rig.stop(Stopped::Clean);
        }
        if matches!(rig.asked.as_ref().map(|asked| &asked.what), Some(Ask::Write(_))) {
            rig.answer(Fate::Answered);
        }
        rig.wait(ms(500));
    }
}
