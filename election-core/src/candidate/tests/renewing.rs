//! Renewals, the local deadline, and what makes a record a process's own.

use super::rig::{Fate, Rig, ms, seconds};
use crate::candidate::{Event, Stopped};
use crate::lease::Record;
use crate::time::Wall;

#[test]
fn a_leader_renews_at_its_interval_and_moves_its_deadline_with_each_success() {
    let mut rig = Rig::leading();
    rig.wait(ms(3_999));
    rig.expect(&[]);
    rig.wait(ms(1));
    rig.expect(&["renew"]);
    // However long the answer takes, the deadline counts from when the renewal was sent.
    rig.wait(ms(1_500));
    rig.answer(Fate::Answered);
    rig.expect(&["extend to t+16s"]);
    rig.wait(ms(2_500));
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "extend to t+20s"]);
}

/// Invariant: S1. The work is told to stop a stop grace before the deadline, and killed at it.
#[test]
fn a_leader_that_reaches_nobody_stops_before_its_deadline() {
    let mut rig = Rig::leading();
    rig.outage(ms(10_999));
    assert!(rig.drain().iter().all(|entry| entry == "renew"));
    rig.outage(ms(1));
    rig.expect(&["stop by t+12s: LostContact"]);
    rig.outage(ms(999));
    assert!(rig.work.is_some());
    rig.outage(ms(1));
    assert!(rig.work.is_none(), "killed");
    rig.expect(&["release"]);
}

/// L5: the outage that the timing promises to stand.
#[test]
fn an_outage_of_six_seconds_changes_nothing() {
    let mut rig = Rig::leading();
    rig.wait(ms(3_999));
    rig.outage(ms(6_000));
    assert!(
        rig.drain().iter().all(|entry| entry == "renew"),
        "a read instead of a renewal costs time"
    );
    rig.wait(ms(1_000));
    rig.answer(Fate::Answered);
    assert_eq!(rig.drain().first().map(|entry| &**entry), Some("renew"));
    assert!(rig.machine.term().expect("leads").deadline.since(rig.now) > ms(11_000));
}

#[test]
fn a_failed_renewal_is_repeated_after_a_retry_period() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::Lost);
    rig.expect(&["renew"]);
    rig.wait(ms(749));
    rig.expect(&[]);
    rig.wait(ms(251));
    rig.expect(&["renew"]);
}

#[test]
fn a_renewal_succeeded_when_a_read_shows_that_very_attempt() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::AnswerLost);
    rig.wait(ms(1_000));
    rig.answer(Fate::Answered);
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "renew", "read", "extend to t+16s"]);
    // A read that shows an older attempt proves nothing about the one that failed.
    rig.wait(ms(4_000));
    rig.drain();
    rig.answer(Fate::Lost);
    rig.edit(|_| ());
    rig.hear();
    rig.expect(&["renew"]);
}

#[test]
fn a_late_renewal_prolongs_the_term_by_its_own_attempt() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::Late);
    rig.outage(ms(4_000));
    rig.drain();
    assert!(rig.land());
    rig.hear();
    assert_eq!(rig.drain()[0], "extend to t+16s");
    // But not the time of work that was told to stop for good.
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.answer(Fate::Late);
    rig.outage(ms(7_000));
    rig.drain();
    assert!(rig.land());
    rig.hear();
    rig.expect(&[]);
}

/// A 409 proves nothing either way: the lease decides.
#[test]
fn after_a_conflict_it_reads_and_renews_at_once_if_the_record_is_still_its_own() {
    let check = |what: &str, change: fn(&mut Rig), log: &[&str]| {
        let mut rig = Rig::leading();
        rig.wait(ms(4_000));
        change(&mut rig);
        rig.answer(Fate::Answered);
        rig.expect(&["renew", "read"]);
        // That it lives is known of a leader.
        rig.expect_identity(&[]);
        rig.answer(Fate::Answered);
        assert_eq!(rig.drain(), log, "{what}");
    };
    check("touched", |rig| rig.edit(|_| ()), &["renew"]);
    check("nominated", |rig| rig.nominate("bravo"), &["renew"]);
    check(
        "end of term",
        |rig| rig.end_of_term("bravo"),
        &["stop by t+12s: EndOfTerm"],
    );
    check(
        "deleted",
        |rig| rig.server.borrow_mut().delete(),
        &["stop by t+5s: LeaseDeleted"],
    );
    check(
        "offered to another",
        |rig| rig.offer("bravo"),
        &["stop by t+5s: NotOwnRecord"],
    );
}

#[test]
fn a_conflict_that_the_watch_has_explained_needs_no_read() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.nominate("bravo");
    rig.hear();
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "renew"]);
}

/// Invariant: S1. Nothing but holder, incarnation and acquire time of its own makes a record its own; a term under
/// another record is over at once.
#[test]
fn a_record_is_its_own_only_if_it_is_what_it_wrote() {
    let check = |what: &str, change: fn(&mut Record), own: bool| {
        let mut rig = Rig::leading();
        rig.edit(change);
        rig.hear();
        let log = rig.drain();
        assert_eq!(log.is_empty(), own, "{what}: {log:?}");
        if !own {
            assert_eq!(log, ["stop by t+1s: NotOwnRecord"], "{what}");
        }
    };
    check("touched", |_| (), true);
    check(
        "nominated",
        |record| record.preferred_holder = Some("bravo".into()),
        true,
    );
    check("transitions by hand", |record| record.transitions = 77, true);
    check(
        "stamp by hand",
        |record| record.renew_time = Some(Wall::from_micros(5)),
        true,
    );
    check(
        "another holder",
        |record| record.holder = Some("bravo".into()),
        false,
    );
    check("blanked", |record| record.holder = None, false);
    check(
        "another process of its identity",
        |record| record.incarnation = Some("i-2".into()),
        false,
    );
    check(
        "a client without incarnation",
        |record| record.incarnation = None,
        false,
    );
    check(
        "another acquire time",
        |record| record.acquire_time = Some(Wall::from_micros(5)),
        false,
    );
    check("offered again", |record| record.renew_time = None, false);
}

#[test]
fn a_restarted_process_does_not_resume_the_term_of_its_predecessor() {
    let old = Rig::leading();
    let mut rig = Rig::started(&old.server, "alpha");
    rig.settings.incarnation = "i-2".into();
    rig.machine = crate::Candidate::new(rig.settings.clone(), rig.clocks());
    rig.event(Event::Wanted(true));
    rig.hear_identity();
    rig.expect_identity(&["update, offering"]);
    rig.hear();
    rig.wait(ms(7_000));
    rig.expect(&[]);
}

/// Invariant: S1. After the deadline the work is dead, so nothing that becomes known then brings the term back.
#[test]
fn a_term_that_ended_is_never_resumed() {
    let check = |after: u64, log: &[&str]| {
        let mut rig = Rig::leading();
        rig.wait(ms(4_000));
        rig.drain();
        rig.reach();
        rig.suspend(ms(after));
        rig.answer(Fate::Answered);
        assert_eq!(rig.drain(), log, "suspended for {after} ms");
    };
    check(7_999, &["extend to t+16s", "renew"]);
    check(8_000, &["stop by t+12s: LostContact"]);
    check(3_600_000, &["stop by t+12s: LostContact"]);
}

/// Invariant: S1.
#[test]
fn nothing_is_renewed_after_the_deadline_even_while_a_shutdown_drains() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.wait(ms(300));
    rig.expect(&["stop by t+12s: Shutdown"]);
    rig.suspend(ms(20_000));
    rig.event(Event::Timer);
    rig.expect(&[]);
    rig.wait(ms(0));
    rig.expect(&["release"]);
}

#[test]
fn a_renewal_that_lands_after_the_term_ended_is_released() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.stop(Stopped::Clean);
    rig.answer(Fate::Late);
    rig.wait(ms(1_000));
    rig.expect(&["renew", "release"]);
    assert!(rig.land());
    rig.answer(Fate::Answered);
    rig.answer(Fate::Answered);
    rig.expect(&["read", "release"]);
    rig.answer(Fate::Answered);
    assert_eq!(rig.record().holder, None);
}

/// A suspended machine wakes up long after its term: it says so, and never acts on what it knew.
#[test]
fn a_leader_that_was_suspended_finds_its_term_over() {
    let mut rig = Rig::leading();
    rig.suspend(ms(100_000));
    rig.offer("bravo");
    rig.event(Event::Timer);
    rig.expect(&["stop by t+12s: LostContact"]);
    rig.hear();
    rig.wait(ms(0));
    rig.wait(ms(5_000));
    rig.expect(&[]);
}

/// Invariant: S1. The renewal may land and its answer be lost; from then on the elector counts by the lower duration.
#[test]
fn a_duration_that_was_lowered_by_hand_shortens_the_term_when_the_renewal_is_sent() {
    let mut rig = Rig::leading();
    rig.edit(|record| record.duration = Some(seconds(5)));
    rig.hear();
    rig.wait(ms(4_000));
    rig.expect(&["extend to t+8s", "renew"]);
    rig.answer(Fate::AnswerLost);
    rig.outage(ms(3_000));
    assert_eq!(
        rig.drain().last().map(|entry| &**entry),
        Some("stop by t+8s: LostContact")
    );

    let mut rig = Rig::leading();
    rig.edit(|record| record.duration = Some(seconds(5)));
    rig.hear();
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.expect(&["extend to t+8s", "renew"]);
    rig.wait(ms(1_400));
    rig.answer(Fate::Answered);
    assert_eq!(
        rig.drain(),
        ["renew", "extend to t+9333ms"],
        "every knob has shrunk, and nothing spins"
    );
}

#[test]
fn a_duration_that_was_raised_by_hand_is_not_longer_than_its_own() {
    let mut rig = Rig::leading();
    rig.edit(|record| record.duration = Some(seconds(600)));
    rig.hear();
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "extend to t+16s"]);
    assert_eq!(rig.record().duration, Some(seconds(15)));
}

/// Wall time decides nothing. That each stamp is new is checked by the write table.
#[test]
fn jumps_of_the_wall_clock_change_nothing() {
    for skew in [-86_400 * 400, -1, 1, 86_400 * 400] {
        let mut rig = Rig::leading();
        rig.skew = skew;
        rig.wait(ms(4_000));
        rig.answer(Fate::Answered);
        rig.skew = -skew;
        rig.wait(ms(4_000));
        rig.answer(Fate::Answered);
        rig.expect(&["renew", "extend to t+16s", "renew", "extend to t+20s"]);
    }
}

/// People and tools read renewals in order, also when the clock of the one before runs ahead.
#[test]
fn a_stamp_is_later_than_the_one_on_the_lease() {
    let mut rig = Rig::leading();
    let ahead = Wall::from_micros(rig.clocks().wall.as_micros() + 3_600_000_000);
    rig.edit(|record| record.renew_time = Some(ahead));
    rig.hear();
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    assert!(rig.record().renew_time > Some(ahead));
}

/// A stamp at the end of time on the lease must not lead to stamps that the wire cannot carry.
#[test]
fn an_absurd_stamp_on_the_lease_is_not_counted_on() {
    let year_9999 = Wall::from_micros(253_402_207_200_999_999);
    let mut rig = Rig::leading();
    rig.edit(|record| record.renew_time = Some(year_9999));
    rig.hear();
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "extend to t+16s"]);
    assert!(rig.record().renew_time < Some(year_9999));
}
