//! The end of a term: the work stops first, then the lease is given back.

use super::rig::{Fate, Rig, ms};
use crate::candidate::{Event, Stopped};
use crate::lease::Record;
use crate::time::Wall;

/// Invariant: S6. That nothing is given back under running work is checked by the write table at every write.
#[test]
fn a_leader_at_its_end_of_term_stops_and_then_hands_over() {
    let mut rig = Rig::leading();
    rig.wait(ms(2_000));
    rig.end_of_term("bravo");
    rig.hear();
    rig.expect(&["stop by t+12s: EndOfTerm"]);
    rig.wait(ms(5_000));
    rig.expect(&[]);
    rig.stop(Stopped::Clean);
    rig.expect(&["hand over"]);
    rig.answer(Fate::Answered);
    rig.expect(&[]);
    assert_eq!(rig.record().holder, Some("bravo".into()));
    assert_eq!(rig.record().renew_time, None);
}

#[test]
fn whoever_is_nominated_when_the_work_has_stopped_gets_the_lease() {
    let check = |nominated: Option<&str>, log: &[&str]| {
        let mut rig = Rig::leading();
        rig.end_of_term("bravo");
        rig.hear();
        rig.edit(|record| record.preferred_holder = nominated.map(Into::into));
        rig.hear();
        rig.drain();
        rig.stop(Stopped::Clean);
        rig.expect(log);
    };
    check(Some("bravo"), &["hand over"]);
    check(Some("charlie"), &["hand over"]);
    check(None, &["release"]);
    check(Some("alpha"), &["release"]);
}

#[test]
fn work_that_stops_by_itself_gives_the_lease_back() {
    let mut rig = Rig::leading();
    rig.stop(Stopped::Clean);
    rig.expect(&["release"]);
    rig.answer(Fate::Answered);
    assert_eq!((rig.record().holder, rig.record().transitions), (None, 1));
    // It leads again when somebody waits again.
    rig.event(Event::Wanted(true));
    rig.offer("alpha");
    rig.hear();
    rig.answer(Fate::Answered);
    rig.expect(&["accept", "lead"]);
}

/// Invariant: S6. What was left without an answer may take effect until the deadline.
#[test]
fn work_that_left_a_request_open_keeps_the_lease_until_the_deadline() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.end_of_term("bravo");
    rig.hear();
    rig.drain();
    rig.stop(Stopped::Abandoned);
    rig.wait(ms(11_999));
    rig.expect(&[]);
    rig.wait(ms(1));
    rig.expect(&["hand over"]);
}

#[test]
fn an_offer_waits_until_what_old_work_left_open_is_over() {
    let mut rig = Rig::leading();
    rig.stop(Stopped::Abandoned);
    rig.event(Event::Wanted(true));
    rig.offer("alpha");
    rig.hear();
    rig.wait(ms(11_999));
    rig.expect(&[]);
    rig.wait(ms(1));
    rig.expect(&["accept"]);
}

#[test]
fn a_renewal_under_way_is_awaited_before_the_lease_is_given_back() {
    let check = |fate: Fate, log: &[&str]| {
        let mut rig = Rig::leading();
        rig.wait(ms(4_000));
        rig.stop(Stopped::Clean);
        rig.expect(&["renew"]);
        rig.answer(fate);
        rig.wait(ms(1_000));
        assert_eq!(rig.drain(), log, "{fate:?}");
    };
    check(Fate::Answered, &["release"]);
    check(Fate::Lost, &["release"]);
    check(Fate::AnswerLost, &["release"]);
    check(Fate::SentTwice, &["read"]);
}

#[test]
fn a_release_is_repeated_until_the_lease_shows_it() {
    let mut rig = Rig::leading();
    rig.stop(Stopped::Clean);
    rig.outage(ms(20_000));
    assert!(rig.drain().iter().all(|entry| entry == "release"));
    rig.wait(ms(1_000));
    rig.answer(Fate::AnswerLost);
    rig.wait(ms(1_000));
    rig.answer(Fate::Answered);
    rig.answer(Fate::Answered);
    rig.expect(&["release", "release", "read"]);
    rig.wait(ms(5_000));
    rig.expect(&[]);
}

/// The loop that does the work is stuck: it may not keep others from leading.
#[test]
fn stuck_work_is_killed_soon_and_the_candidate_offers_itself_no_more() {
    let mut rig = Rig::leading();
    rig.wait(ms(2_000));
    rig.drain_identity();
    rig.event(Event::Healthy(false));
    rig.expect(&["stop by t+3s: Unhealthy"]);
    rig.expect_identity(&["update, not offering"]);
    rig.wait(ms(1_000));
    rig.expect(&["release"]);
    rig.answer(Fate::Answered);
    rig.offer("alpha");
    rig.hear();
    rig.expect(&["decline"]);
    rig.answer(Fate::Answered);
    rig.event(Event::Healthy(true));
    rig.event(Event::Wanted(true));
    rig.expect_identity(&["update, offering"]);
}

/// A leader that has begun to stop finishes with a release, whatever changes meanwhile.
#[test]
fn who_has_begun_to_stop_never_goes_on() {
    let check = |what: &str, begin: fn(&mut Rig), change: fn(&mut Rig)| {
        let mut rig = Rig::leading();
        begin(&mut rig);
        change(&mut rig);
        rig.drain();
        rig.wait(ms(500));
        assert_eq!(rig.drain(), [""; 0], "{what}: no renewal");
        rig.stop(Stopped::Clean);
        rig.expect(&["release"]);
    };
    check(
        "healthy again",
        |rig| rig.event(Event::Healthy(false)),
        |rig| rig.event(Event::Healthy(true)),
    );
    check(
        "end of term taken back",
        |rig| {
            rig.end_of_term("bravo");
            rig.hear();
            rig.wait(ms(5_000));
        },
        |rig| {
            rig.edit(|record| (record.end_of_term, record.preferred_holder) = (false, None));
            rig.hear();
        },
    );
    check(
        "contact again",
        |rig| {
            rig.wait(ms(4_000));
            rig.answer(Fate::Late);
            rig.outage(ms(7_000));
        },
        |rig| {
            assert!(rig.land());
            rig.hear();
        },
    );
}

/// Renewing at the end of term would keep the better candidate out.
#[test]
fn nothing_is_renewed_at_the_end_of_term() {
    let mut rig = Rig::leading();
    rig.end_of_term("bravo");
    rig.hear();
    rig.wait(ms(11_999));
    rig.expect(&["stop by t+12s: EndOfTerm"]);
    // Work that has not stopped at the deadline is killed, and then the successor gets the lease.
    rig.wait(ms(1));
    rig.expect(&["hand over"]);
}

#[test]
fn a_blanked_lease_is_not_this_process_s_to_give_back() {
    let mut rig = Rig::leading();
    rig.edit(|record| record.holder = None);
    rig.hear();
    rig.expect(&["stop by t+1s: NotOwnRecord"]);
    rig.stop(Stopped::Clean);
    rig.wait(ms(5_000));
    rig.expect(&[]);
}

/// A hand edit that is taken back, also after the work has stopped, leaves a lease that nobody else would give back.
#[test]
fn a_record_that_is_its_own_again_is_given_back() {
    for stopped_before in [true, false] {
        let mut rig = Rig::leading();
        let own = rig.record();
        rig.edit(|record| record.acquire_time = Some(Wall::from_micros(5)));
        rig.hear();
        if stopped_before {
            rig.stop(Stopped::Clean);
        }
        rig.edit(|record| *record = own);
        rig.hear();
        if !stopped_before {
            rig.stop(Stopped::Clean);
        }
        rig.expect(&["stop by t+1s: NotOwnRecord", "release"]);
    }
}

#[test]
fn a_worse_reason_to_stop_brings_the_kill_forward() {
    let mut rig = Rig::leading();
    rig.end_of_term("bravo");
    rig.hear();
    rig.wait(ms(2_000));
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.expect(&["stop by t+12s: EndOfTerm", "stop by t+3s: LeaseDeleted"]);
}

/// Invariant: S1.
#[test]
fn no_reason_to_stop_puts_the_kill_off() {
    // Not beyond the first order,
    let mut rig = Rig::leading();
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.wait(ms(500));
    rig.server.borrow_mut().create(Record::default());
    rig.hear();
    rig.expect(&["stop by t+1s: LeaseDeleted"]);
    // and not beyond the deadline.
    let mut rig = Rig::leading();
    rig.suspend(ms(11_500));
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.expect(&["stop by t+12s: LeaseDeleted"]);
}
