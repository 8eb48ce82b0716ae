//! Shutdown, in each state that a candidate can be in.

use super::rig::{Fate, Rig, ms};
use crate::candidate::{Event, Stopped};
use crate::lease::Record;
use crate::time::Wall;

/// The identity lease goes last, so that nobody takes the process for gone while its lease is not given back.
#[test]
fn a_leader_without_successor_stops_releases_and_leaves() {
    let mut rig = Rig::leading();
    rig.drain_identity();
    rig.event(Event::Shutdown);
    rig.expect(&[]);
    rig.expect_identity(&["update, not offering"]);
    rig.wait(ms(299));
    rig.expect(&[]);
    rig.wait(ms(1));
    rig.expect(&["stop by t+12s: Shutdown"]);
    rig.stop(Stopped::Clean);
    rig.expect(&["release"]);
    rig.expect_identity(&[]);
    rig.answer(Fate::Answered);
    rig.expect_identity(&["delete"]);
    rig.expect(&["finished"]);
}

#[test]
fn a_leader_with_a_successor_stops_at_once_and_hands_over() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(40));
    rig.end_of_term("bravo");
    rig.hear();
    rig.expect(&["stop by t+12s: EndOfTerm"]);
    rig.stop(Stopped::Clean);
    rig.answer(Fate::Answered);
    rig.expect(&["hand over", "finished"]);
    assert_eq!(rig.record().holder, Some("bravo".into()));
}

/// The lease must not expire under work that drains; but whoever is better is not kept waiting by renewals.
#[test]
fn a_leader_renews_while_its_work_drains_unless_its_term_ends() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.expect(&[
        "stop by t+12s: Shutdown",
        "renew",
        "extend to t+16s",
        "renew",
        "extend to t+20s",
    ]);
    rig.end_of_term("bravo");
    rig.hear();
    rig.wait(ms(11_999));
    rig.expect(&[]);
    rig.wait(ms(1));
    rig.expect(&["hand over"]);
}

/// The kill moves with each renewal, so a worse reason still brings it forward.
#[test]
fn a_drain_that_was_prolonged_ends_soon_when_the_lease_is_lost() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.wait(ms(3_900));
    rig.drain();
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.expect(&["stop by t+12900ms: LeaseDeleted"]);
}

#[test]
fn work_that_drains_may_report_anything_of_its_health() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(300));
    rig.event(Event::Healthy(false));
    rig.expect(&["stop by t+12s: Shutdown"]);
    rig.wait(ms(3_700));
    rig.expect(&["renew"]);
}

#[test]
fn a_renewal_that_crossed_the_end_of_term_puts_off_no_kill() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(4_000));
    rig.reach();
    rig.end_of_term("bravo");
    rig.expect(&["stop by t+12s: Shutdown", "renew"]);
    // The renewal landed first, so its answer still prolongs the drain; what comes after it does not.
    rig.answer(Fate::Answered);
    rig.expect(&["extend to t+16s"]);
    rig.hear();
    rig.wait(ms(11_000));
    rig.expect(&[]);
}

#[test]
fn drains_of_a_process_that_was_ousted_are_not_renewed() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(300));
    rig.server.borrow_mut().oust(&"alpha".into(), "i-2");
    rig.hear_identity();
    rig.wait(ms(11_699));
    rig.expect(&["stop by t+12s: Shutdown"]);
    rig.wait(ms(1));
    rig.answer(Fate::Answered);
    rig.expect(&["release", "finished, ousted by i-2"]);
}

#[test]
fn each_state_leaves_in_its_own_way() {
    let check = |what: &str, mut rig: Rig, story: fn(&mut Rig), log: &[&str]| {
        rig.drain();
        rig.event(Event::Shutdown);
        story(&mut rig);
        assert_eq!(rig.drain(), log, "{what}");
        assert!(
            rig.server.borrow().identity(&"alpha".into()).object.is_none(),
            "{what}: nothing stays behind"
        );
        assert_ne!(
            rig.server.borrow().lease().and_then(|l| l.record.holder.clone()),
            Some("alpha".into())
        );
    };
    let told = |story: fn(&mut Rig)| {
        let mut rig = Rig::leading();
        story(&mut rig);
        rig
    };
    check("standing by", Rig::joined(), |_| (), &["finished"]);
    check(
        "accepting, and accepted",
        Rig::accepting(),
        |rig| {
            rig.answer(Fate::Answered);
            rig.answer(Fate::Answered);
        },
        &["release", "finished"],
    );
    check(
        "accepting, outcome unknown, not landed",
        Rig::accepting(),
        |rig| {
            rig.answer(Fate::Lost);
            rig.wait(ms(1_000));
            rig.answer(Fate::Answered);
        },
        &["decline", "finished"],
    );
    check(
        "accepting, outcome unknown, landed",
        Rig::accepting(),
        |rig| {
            rig.answer(Fate::AnswerLost);
            rig.wait(ms(1_000));
            rig.answer(Fate::Answered);
            rig.answer(Fate::Answered);
            rig.answer(Fate::Answered);
        },
        &["decline", "read", "release", "finished"],
    );
    check(
        "stopping at its end of term",
        told(|rig| {
            rig.end_of_term("bravo");
            rig.hear();
        }),
        |rig| {
            rig.stop(Stopped::Clean);
            rig.answer(Fate::Answered);
        },
        &["hand over", "finished"],
    );
    check(
        "stopping because it is stuck",
        told(|rig| rig.event(Event::Healthy(false))),
        |rig| {
            rig.wait(ms(1_000));
            rig.answer(Fate::Answered);
        },
        &["release", "finished"],
    );
    check(
        "renewing, outcome unknown",
        told(|rig| {
            rig.wait(ms(4_000));
            rig.stop(Stopped::Clean);
        }),
        |rig| {
            rig.answer(Fate::AnswerLost);
            rig.wait(ms(1_000));
            rig.answer(Fate::Answered);
            rig.answer(Fate::Answered);
            rig.answer(Fate::Answered);
        },
        &["release", "read", "release", "finished"],
    );
    check(
        "releasing",
        told(|rig| rig.stop(Stopped::Clean)),
        |rig| rig.answer(Fate::Answered),
        &["finished"],
    );
    check(
        "deleted",
        told(|rig| {
            rig.server.borrow_mut().delete();
            rig.hear();
            rig.stop(Stopped::Clean);
        }),
        |rig| rig.wait(ms(12_000)),
        &["finished"],
    );
}

/// Nobody else would give back what it is offered.
#[test]
fn a_process_that_leaves_declines_until_the_server_has_heard_it() {
    let mut rig = Rig::joined();
    rig.identity_answered = false;
    rig.event(Event::Shutdown);
    rig.offer("alpha");
    rig.hear();
    rig.answer(Fate::Lost);
    rig.answer_identity(Fate::Answered);
    rig.expect(&["decline"]);
    rig.wait(ms(1_000));
    rig.answer(Fate::Answered);
    rig.expect(&["decline", "finished"]);
}

#[test]
fn a_nominee_that_leaves_learns_what_became_of_its_demand() {
    let mut rig = Rig::joined();
    rig.edit(|record| {
        (record.holder, record.renew_time) = (Some("bravo".into()), Some(Wall::from_micros(1)));
        record.preferred_holder = Some("alpha".into());
    });
    rig.hear();
    rig.event(Event::Shutdown);
    rig.expect(&["end of term"]);
    rig.answer(Fate::Answered);
    rig.expect(&["finished"]);
}

/// The elector would wait for it until the quiet time is over.
#[test]
fn a_process_that_leaves_still_tells_that_nobody_acts_under_a_deleted_lease() {
    let mut rig = Rig::leading();
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.stop(Stopped::Clean);
    rig.event(Event::Shutdown);
    rig.expect(&["stop by t+1s: LeaseDeleted"]);
    rig.server.borrow_mut().create(Record::default());
    rig.hear();
    rig.answer(Fate::Answered);
    rig.expect(&["release", "finished"]);
}

#[test]
fn an_acceptance_that_succeeds_after_shutdown_begins_no_term() {
    let mut rig = Rig::accepting();
    rig.event(Event::Shutdown);
    rig.answer(Fate::Answered);
    rig.expect(&["release"]);
    // The identity lease stays until all is known.
    rig.expect_identity(&["update, not offering"]);
    rig.answer(Fate::Answered);
    rig.expect_identity(&["delete"]);
}

#[test]
fn a_process_that_reaches_nobody_leaves_in_the_end() {
    let mut rig = Rig::leading();
    rig.identity_answered = false;
    rig.event(Event::Shutdown);
    rig.wait(ms(300));
    rig.stop(Stopped::Clean);
    rig.outage(ms(12_000));
    assert!(rig.finished);
}

/// The release that waited for the deadline gets its time before the process gives up.
#[test]
fn a_release_that_had_to_wait_is_still_answered_before_the_end() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(300));
    rig.stop(Stopped::Abandoned);
    rig.drain();
    rig.wait(ms(11_700));
    rig.expect(&["release"]);
    rig.wait(ms(500));
    rig.answer(Fate::Answered);
    rig.expect(&["finished"]);
    assert!(rig.server.borrow().identity(&"alpha".into()).object.is_none());
}

#[test]
fn a_process_that_was_told_to_leave_before_it_knew_anything_leaves() {
    let server = Rig::joined().server;
    let mut rig = Rig::started(&server, "bravo");
    rig.event(Event::Shutdown);
    rig.expect(&["finished"]);
    assert_eq!(rig.machine.deadline(), None);
    // Nothing that comes afterwards has an effect.
    rig.offer("bravo");
    rig.hear();
    rig.hear_identity();
    rig.event(Event::Shutdown);
    rig.expect(&[]);
}

#[test]
fn the_second_order_to_leave_changes_nothing() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(200));
    rig.event(Event::Shutdown);
    rig.wait(ms(100));
    rig.expect(&["stop by t+12s: Shutdown"]);
}
