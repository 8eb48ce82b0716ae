//! Direct mode: a candidate takes a lease by itself, with client-go's record and by its own clock.

use alloc::rc::Rc;
use core::cell::RefCell;

use super::rig::{Fate, Rig, ms, seconds};
use super::server::Server;
use crate::candidate::{Event, Stopped};
use crate::lease::{LeaseState, Record};
use crate::time::{LeaseSeconds, Wall};

fn server() -> Rc<RefCell<Server>> {
    Rc::new(RefCell::new(Server::new()))
}

/// A lease that was released, and a candidate that has listed it.
fn claiming() -> Rig {
    let server = server();
    server.borrow_mut().create(released());
    let mut rig = Rig::started_directly(&server, "alpha", 7, false);
    rig.list();
    rig.expect(&["claim"]);
    rig
}

fn leading() -> Rig {
    let mut rig = claiming();
    rig.answer(Fate::Answered);
    rig.expect(&["lead"]);
    rig
}

/// What a process of client-go leaves with `ReleaseOnCancel`.
fn released() -> Record {
    Record {
        renew_time: Some(Wall::from_micros(20)),
        acquire_time: Some(Wall::from_micros(20)),
        duration: LeaseSeconds::new(1),
        transitions: 3,
        ..Record::default()
    }
}

fn held(by: &str, renewed: i64) -> Record {
    Record {
        holder: Some(by.into()),
        renew_time: Some(Wall::from_micros(renewed)),
        acquire_time: Some(Wall::from_micros(10)),
        duration: Some(LeaseSeconds::LEADER),
        transitions: 3,
        ..Record::default()
    }
}

/// A candidate that has listed a lease which bravo holds.
fn standing_by() -> Rig {
    let server = server();
    server.borrow_mut().create(held("bravo", 20));
    let mut rig = Rig::started_directly(&server, "alpha", 7, false);
    rig.list();
    rig.expect(&[]);
    rig
}

/// Time passes, and each read is answered.
fn wait_and_read(rig: &mut Rig, millis: u64) {
    for _ in 0..millis / 500 {
        rig.wait(ms(500));
        while rig.asked.is_some() && rig.log.last().is_some_and(|last| last == "read") {
            rig.answer(Fate::Answered);
        }
    }
}

/// Invariant: S8, the create has no holder: it could not say which lease it was decided from.
#[test]
fn a_missing_lease_is_created_without_holder_and_claimed_after_the_quiet_time() {
    let server = server();
    let mut rig = Rig::started_directly(&server, "alpha", 7, false);
    rig.list();
    rig.expect(&["create"]);
    rig.answer(Fate::Answered);
    assert_eq!(rig.record().state(), LeaseState::Fresh);
    rig.hear();
    rig.wait(ms(14_999));
    rig.expect(&[]);
    rig.wait(ms(1));
    rig.expect(&["claim"]);
    rig.answer(Fate::Answered);
    rig.expect(&["lead"]);
}

#[test]
fn a_lease_that_is_assumed_unheld_is_claimed_as_soon_as_the_watch_shows_it() {
    let server = server();
    let mut rig = Rig::started_directly(&server, "alpha", 7, true);
    rig.list();
    rig.answer(Fate::Answered);
    rig.expect(&["create"]);
    rig.hear();
    rig.expect(&["claim"]);
}

/// Only what is missing at first sight is assumed to be unheld.
#[test]
fn a_lease_that_disappears_later_is_quiet_until_its_holder_has_expired() {
    let check = |how: fn(&mut Rig), quiet: u64| {
        let server = server();
        server.borrow_mut().create(held("bravo", 20));
        let mut rig = Rig::started_directly(&server, "alpha", 7, true);
        rig.list();
        rig.wait(ms(5_000));
        rig.server.borrow_mut().delete();
        how(&mut rig);
        rig.expect(&["create"]);
        rig.answer(Fate::Answered);
        rig.hear();
        rig.wait(ms(quiet - 1));
        rig.expect(&[]);
        rig.wait(ms(1));
        rig.expect(&["claim"]);
    };
    // Seen in order: bravo was last seen alive at t+0s.
    check(Rig::hear, 10_000);
    // After a gap: bravo may have renewed just before.
    check(Rig::list, 15_000);
}

#[test]
fn the_answer_to_a_create_is_no_knowledge() {
    let check = |fate: Fate| {
        let server = server();
        let mut rig = Rig::started_directly(&server, "alpha", 7, true);
        rig.list();
        rig.expect(&["create"]);
        if fate == Fate::Refused {
            rig.server.borrow_mut().create(Record::default());
        }
        rig.answer(fate);
        rig.wait(ms(999));
        rig.expect(&[]);
        // The watch is silent for longer than it should be: one read.
        rig.wait(ms(1));
        rig.expect(&["read"]);
        rig.answer(Fate::Answered);
        // What a read shows may have lived and died before.
        rig.expect(&[]);
        rig.wait(ms(8_000));
        rig.expect(&[]);
    };
    check(Fate::Answered);
    check(Fate::Refused);
}

#[test]
fn a_released_lease_is_claimed_at_once_by_whoever_sees_it() {
    for release in [
        released(),
        Record {
            acquire_time: None,
            ..released()
        },
    ] {
        let mut rig = standing_by();
        rig.wait(ms(1_000));
        rig.edit(|record| *record = release);
        rig.hear();
        rig.expect(&["claim"]);
        rig.answer(Fate::Answered);
        rig.expect(&["lead"]);
        assert_eq!(rig.record().transitions, 4, "S7");
    }
}

/// Expiry counts from when this process saw the record change, whatever the stamps on it say; nothing is polled.
#[test]
fn a_standby_claims_when_the_holder_has_been_silent_for_its_own_duration() {
    for renewed in [20, i64::MAX / 2] {
        let mut rig = standing_by();
        rig.wait(ms(5_000));
        rig.edit(|record| *record = held("bravo", renewed - 1));
        rig.hear();
        wait_and_read(&mut rig, 14_500);
        // After two renew intervals without a word there is one read, in case it is the watch that is dead.
        rig.expect(&["read"]);
        rig.wait(ms(499));
        rig.expect(&[]);
        rig.wait(ms(1));
        rig.expect(&["claim"]);
        rig.answer(Fate::Answered);
        rig.expect(&["lead"]);
    }
}

#[test]
fn the_duration_that_counts_is_the_one_on_the_lease() {
    let mut rig = standing_by();
    rig.edit(|record| {
        (record.duration, record.renew_time) = (Some(seconds(30)), Some(Wall::from_micros(99)))
    });
    rig.hear();
    wait_and_read(&mut rig, 29_500);
    assert!(rig.drain().iter().all(|entry| entry == "read"));
    rig.wait(ms(500));
    rig.expect(&["claim"]);
}

#[test]
fn a_holder_that_shows_life_does_not_expire() {
    let mut rig = standing_by();
    for renewal in 0..10 {
        rig.wait(ms(2_000));
        rig.edit(|record| record.renew_time = Some(Wall::from_micros(100 + renewal)));
        rig.hear();
        rig.expect(&[]);
    }
    // Somebody who only touches the lease shows no life of its holder.
    for _ in 0..7 {
        rig.wait(ms(2_000));
        rig.edit(|_| ());
        rig.hear();
        rig.expect(&[]);
    }
    rig.wait(ms(1_000));
    rig.expect(&["claim"]);
}

/// Invariant: S1. The record of a process that had this identity before is somebody else's.
#[test]
fn a_process_that_has_started_again_does_not_resume_by_identity() {
    let server = server();
    server.borrow_mut().create(held("alpha", 20));
    let mut rig = Rig::started_directly(&server, "alpha", 7, false);
    rig.list();
    wait_and_read(&mut rig, 14_500);
    rig.expect(&["read"]);
    rig.wait(ms(500));
    rig.expect(&["claim"]);
}

/// Invariant: S1, of two processes with one identity, one seed apart, and clocks that agree, or lie behind the lease alike.
#[test]
fn two_processes_of_one_identity_never_take_the_same_claim_for_theirs() {
    for stamp in [20, i64::from(u32::MAX) * 1_000_000] {
        let server = server();
        server.borrow_mut().create(released());
        server
            .borrow_mut()
            .edit(|record| record.renew_time = Some(Wall::from_micros(stamp)));
        let mut first = Rig::started_directly(&server, "alpha", 7, false);
        let mut second = Rig::started_directly(&server, "alpha", 8, false);
        first.list();
        second.list();
        first.answer(Fate::Answered);
        second.answer(Fate::Answered);
        second.answer(Fate::Answered);
        first.expect(&["claim", "lead"]);
        second.expect(&["claim", "read"]);
    }
}

#[test]
fn somebody_who_is_first_is_left_alone() {
    let mut rig = claiming();
    rig.edit(|record| *record = held("bravo", 30));
    rig.answer(Fate::Answered);
    rig.expect(&["read"]);
    rig.answer(Fate::Answered);
    rig.wait(ms(7_000));
    rig.expect(&[]);
}

#[test]
fn a_claim_that_nobody_answered_is_adopted_while_there_is_time_and_given_back_later() {
    let mut rig = claiming();
    rig.answer(Fate::AnswerLost);
    rig.wait(ms(3_000));
    rig.hear();
    assert!(rig.drain().contains(&"lead".into()));
    let deadline = rig.machine.term().expect("leads").deadline;
    assert_eq!(
        deadline.since(super::rig::START),
        ms(12_000),
        "counted from when it was sent"
    );

    let mut rig = claiming();
    rig.answer(Fate::Late);
    rig.outage(ms(13_000));
    rig.drain();
    assert!(rig.land());
    rig.hear();
    rig.expect(&["release"]);
}

#[test]
fn a_holder_without_a_name_that_nobody_released_is_quiet_for_one_duration() {
    let mut rig = standing_by();
    rig.wait(ms(3_000));
    rig.edit(|record| record.holder = None);
    rig.hear();
    wait_and_read(&mut rig, 14_500);
    rig.expect(&[]);
    rig.wait(ms(500));
    rig.expect(&["claim"]);
}

/// What was never renewed is an offer to a coordinated candidate, and a holder to client-go.
#[test]
fn nothing_is_an_offer() {
    let mut rig = standing_by();
    rig.edit(|record| {
        *record = Record {
            renew_time: None,
            ..held("alpha", 0)
        }
    });
    rig.hear();
    wait_and_read(&mut rig, 14_500);
    rig.expect(&[]);
    rig.wait(ms(500));
    rig.expect(&["claim"]);
}

#[test]
fn a_leader_renews_and_releases_with_the_record_of_client_go() {
    let mut rig = leading();
    rig.wait(ms(4_000));
    rig.expect(&["renew"]);
    rig.answer(Fate::Answered);
    rig.expect(&["extend to t+16s"]);
    // Nobody would nominate a successor: there is nothing to wait for.
    rig.event(Event::Shutdown);
    rig.expect(&["stop by t+16s: Shutdown"]);
    rig.stop(Stopped::Clean);
    rig.expect(&["release"]);
    rig.answer(Fate::Answered);
    rig.expect(&["finished"]);
    let record = rig.record();
    assert_eq!((record.state(), record.transitions), (LeaseState::Released, 4));
}

/// Invariant: S1. Whoever watches a lease that was deleted cannot know that nobody acts; the one that acted can.
#[test]
fn a_leader_whose_lease_was_deleted_says_on_a_new_one_that_nobody_acts() {
    let mut rig = leading();
    let mut standby = Rig::started_directly(&rig.server, "bravo", 8, false);
    standby.list();
    standby.expect(&[]);
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.expect(&["stop by t+1s: LeaseDeleted"]);
    rig.stop(Stopped::Clean);
    rig.expect(&["create"]);
    rig.answer(Fate::Answered);
    standby.list();
    standby.expect(&[]);
    rig.hear();
    rig.expect(&["release"]);
    rig.answer(Fate::Answered);
    standby.hear();
    standby.expect(&["claim"]);
}

/// An elector and a candidate in direct mode would grant the same lease twice.
#[test]
fn an_elected_lease_is_never_claimed_and_ends_the_candidate() {
    for record in [released(), held("bravo", 20), Record::default()] {
        let server = server();
        server.borrow_mut().create(Record {
            elected: true,
            ..record
        });
        let mut rig = Rig::started_directly(&server, "alpha", 7, true);
        rig.list();
        rig.expect(&["coordinated", "finished"]);
    }
    // A leader finishes its term first.
    let mut rig = leading();
    rig.edit(|record| record.elected = true);
    rig.hear();
    rig.expect(&[]);
    rig.stop(Stopped::Clean);
    rig.answer(Fate::Answered);
    rig.expect(&["release", "coordinated", "finished"]);
}

#[test]
fn a_candidate_that_is_not_able_does_not_claim() {
    let check = |change: Event, back: Event| {
        let mut rig = standing_by();
        rig.event(change);
        rig.edit(|record| *record = released());
        rig.hear();
        rig.expect(&[]);
        rig.event(back);
        rig.expect(&["claim"]);
    };
    check(Event::Healthy(false), Event::Healthy(true));
    check(Event::Wanted(false), Event::Wanted(true));
    let mut rig = standing_by();
    rig.event(Event::Shutdown);
    rig.expect(&["finished"]);
}
