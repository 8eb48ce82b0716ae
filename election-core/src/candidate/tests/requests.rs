//! News in any order, silence, and requests that lead nowhere.

use super::rig::{Ask, Fate, Rig, ms};
use crate::candidate::{Event, Outcome, Seen};
use crate::lease::Record;
use crate::time::Wall;

#[test]
fn older_news_are_dropped_wherever_they_come_from() {
    let mut rig = Rig::leading();
    for back in 1..4 {
        let past = rig.server.borrow().past(back);
        rig.event(Event::Lease(past));
    }
    rig.expect(&[]);
    // The answer of a renewal comes after a newer event, and brings nothing back.
    rig.wait(ms(4_000));
    rig.reach();
    rig.offer("bravo");
    rig.hear();
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "stop by t+5s: NotOwnRecord"]);
}

#[test]
fn an_answer_to_a_request_of_the_past_is_ignored() {
    let mut rig = Rig::accepting();
    let id = rig.asked.as_ref().expect("under way").id;
    rig.answer(Fate::Answered);
    rig.expect(&["lead"]);
    rig.event(Event::LeaseAnswer {
        id,
        outcome: Outcome::Conflict,
    });
    let gone = Seen {
        as_of: "999".into(),
        object: None,
    };
    rig.event(Event::LeaseAnswer {
        id,
        outcome: Outcome::Done(gone),
    });
    rig.expect(&[]);
}

#[test]
fn an_answer_to_another_request_than_the_one_under_way_is_ignored() {
    let mut rig = Rig::accepting();
    let id = rig.asked.as_ref().expect("under way").id;
    rig.answer(Fate::Answered);
    rig.wait(ms(4_000));
    rig.event(Event::LeaseAnswer {
        id,
        outcome: Outcome::Conflict,
    });
    rig.answer(Fate::Answered);
    rig.expect(&["lead", "renew", "extend to t+16s"]);
}

#[test]
fn nothing_is_asked_before_anything_is_known() {
    let server = Rig::joined().server;
    let mut rig = Rig::started(&server, "bravo");
    rig.event(Event::Wanted(true));
    rig.wait(ms(600_000));
    rig.expect(&[]);
    rig.expect_identity(&[]);
}

/// A standby polls nothing; only a watch that should have said something is asked about, once.
#[test]
fn a_silent_watch_leads_to_one_consistent_read() {
    let held = Record {
        holder: Some("bravo".into()),
        renew_time: Some(Wall::from_micros(1)),
        duration: crate::LeaseSeconds::new(15),
        ..Record::default()
    };
    let check = |what: &str, record: Record, limit: u64| {
        let mut rig = Rig::joined();
        rig.edit(|now| *now = record);
        rig.hear();
        rig.wait(ms(limit - 1));
        // A sign of life starts the time again.
        rig.event(Event::Heard);
        rig.wait(ms(limit - 1));
        assert_eq!(rig.drain(), [""; 0], "{what}");
        rig.wait(ms(1));
        rig.expect(&["read"]);
        rig.answer(Fate::Answered);
        rig.wait(ms(limit - 1));
        assert_eq!(
            rig.drain(),
            [""; 0],
            "{what}: nothing new, so the watch is left alone"
        );
    };
    let briefly = Record {
        duration: crate::LeaseSeconds::new(5),
        ..held.clone()
    };
    check("Held", held, 8_000);
    check("Held for a shorter time", briefly, 2_667);
    check("Fresh", Record::default(), 90_000);
    check(
        "Released",
        Record {
            renew_time: Some(Wall::from_micros(1)),
            ..Record::default()
        },
        90_000,
    );
}

#[test]
fn a_watch_that_missed_something_is_started_again() {
    let mut rig = Rig::joined();
    rig.offer("alpha");
    rig.wait(ms(90_000));
    rig.answer(Fate::Lost);
    rig.wait(ms(1_000));
    rig.answer(Fate::Answered);
    rig.expect(&["read", "read", "restart watch", "accept"]);
}

#[test]
fn a_failed_read_is_repeated_after_a_retry_period() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::Refused);
    rig.expect(&["renew", "read"]);
    rig.answer(Fate::Lost);
    rig.wait(ms(749));
    rig.expect(&[]);
    rig.wait(ms(251));
    rig.expect(&["read"]);
}

/// A webhook may undo what a write changes, and the server then stores nothing.
#[test]
fn a_write_that_changed_nothing_is_not_repeated_at_once() {
    let mut rig = Rig::accepting();
    let id = rig.asked.take().expect("under way").id;
    let unchanged = rig.server.borrow().seen().clone();
    rig.event(Event::LeaseAnswer {
        id,
        outcome: Outcome::Done(unchanged),
    });
    rig.wait(ms(749));
    rig.expect(&[]);
    rig.wait(ms(251));
    rig.expect(&["accept"]);
}

#[test]
fn news_answer_a_read_that_failed() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::Refused);
    rig.answer(Fate::Lost);
    rig.expect(&["renew", "read"]);
    rig.edit(|_| ());
    rig.hear();
    rig.expect(&["renew"]);
}

/// A server that refuses without reason is asked again at a walking pace: one read and one more try at once, then a
/// retry period each.
#[test]
fn conflicts_on_one_and_the_same_version_are_not_repeated_at_once() {
    let mut rig = Rig::accepting();
    let mut sent = 1;
    for _ in 0..500 {
        let refused = matches!(rig.asked.as_ref().map(|asked| &asked.what), Some(Ask::Write(_)));
        if rig.asked.is_some() {
            rig.answer(if refused { Fate::Refused } else { Fate::Answered });
        }
        sent += rig.drain().len();
        rig.wait(ms(20));
        sent += rig.drain().len();
    }
    assert!((10..=30).contains(&sent), "{sent} requests in 10 s");
}

/// Somebody edits the lease in a loop: the leader keeps it, and does not join the loop.
#[test]
fn a_storm_of_edits_is_met_at_a_bounded_pace() {
    let mut rig = Rig::leading();
    let mut sent = 0;
    for round in 0..3_000 {
        if round % 3 != 0 {
            rig.edit(|_| ());
        }
        rig.wait(ms(10));
        if rig.asked.is_some() {
            rig.answer(Fate::Answered);
        }
        sent += rig
            .drain()
            .iter()
            .filter(|entry| ["renew", "read"].contains(&entry.as_str()))
            .count();
    }
    assert!(rig.machine.term().is_some(), "still leading after 30 s");
    assert!(sent <= 8 * 31, "{sent} requests in 30 s");
}

/// Somebody takes the end of term back as often as the nominee writes it.
#[test]
fn a_nominee_whose_demand_is_undone_again_and_again_does_not_spin() {
    let mut rig = Rig::joined();
    let mut sent = 0;
    for _ in 0..1_000 {
        rig.edit(|record| {
            (record.holder, record.renew_time) = (Some("bravo".into()), Some(Wall::from_micros(1)));
            (record.preferred_holder, record.end_of_term) = (Some("alpha".into()), false);
        });
        rig.hear();
        if rig.asked.is_some() {
            rig.answer(Fate::Answered);
        }
        rig.wait(ms(10));
        sent += rig.drain().len();
    }
    assert!((11..=8 * 11).contains(&sent), "{sent} requests in 10 s");
}

/// A relist shows the same version again: an acceptance that was made from it may still land.
#[test]
fn a_relist_does_not_settle_what_may_still_land() {
    let mut rig = Rig::accepting();
    rig.answer(Fate::Late);
    rig.server.borrow_mut().edit_identity(&"alpha".into(), |_| ());
    let listed = rig.server.borrow().read();
    rig.event(Event::Lease(listed));
    assert!(rig.land());
    rig.hear();
    rig.expect(&["lead"]);
}

/// An endless outage leaves nothing behind in memory but the acquire times that may still show up.
#[test]
fn a_long_outage_leaves_nothing_to_grow() {
    let mut rig = Rig::accepting();
    rig.outage(ms(600_000));
    assert!(rig.machine.attempts.len() <= 20, "{}", rig.machine.attempts.len());
    rig.offer("bravo");
    rig.hear();
    assert!(rig.machine.attempts.is_empty() && rig.machine.accepted.is_empty());
}
