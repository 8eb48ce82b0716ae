//! Offers: accepted, declined, withdrawn, and accepted too late. And nominations.

use super::rig::{Fate, Rig, ms, seconds};
use crate::candidate::{Event, Stopped};
use crate::lease::Record;
use crate::time::Wall;

/// Never claims. Invariants: S3, S4.
#[test]
fn a_lease_that_is_not_offered_to_it_is_left_alone() {
    let held = || Record {
        holder: Some("bravo".into()),
        renew_time: Some(Wall::from_micros(1)),
        acquire_time: Some(Wall::from_micros(1)),
        incarnation: Some("i-bravo".into()),
        ..Record::default()
    };
    let check = |what: &str, record: Record| {
        let mut rig = Rig::joined();
        rig.edit(|now| *now = record);
        rig.hear();
        rig.wait(ms(7_000));
        rig.expect(&[]);
        assert!(rig.machine.term().is_none(), "{what}");
    };
    check("Fresh", Record::default());
    check(
        "Released",
        Record {
            renew_time: Some(Wall::from_micros(1)),
            ..Record::default()
        },
    );
    check(
        "Blanked",
        Record {
            holder: None,
            ..held()
        },
    );
    check(
        "Offered to another",
        Record {
            holder: Some("bravo".into()),
            ..Record::default()
        },
    );
    check("Held", held());
    check(
        "Held, at its end of term",
        Record {
            end_of_term: true,
            ..held()
        },
    );
    check(
        "Held, another is nominated",
        Record {
            preferred_holder: Some("charlie".into()),
            ..held()
        },
    );
    // Neither an earlier process of its identity, nor an ordinary client that goes by its name.
    let mine = || Record {
        holder: Some("alpha".into()),
        ..held()
    };
    check("Held by an earlier process", mine());
    check(
        "Held by a client of its name",
        Record {
            incarnation: None,
            ..mine()
        },
    );
    check(
        "Held under its incarnation, never accepted",
        Record {
            incarnation: Some("i-alpha".into()),
            ..mine()
        },
    );
}

/// Invariant: S3. The offer gives nothing; only the candidate's own write does.
#[test]
fn it_leads_only_after_its_acceptance_succeeded() {
    let mut rig = Rig::accepting();
    assert!(rig.machine.term().is_none());
    rig.answer(Fate::Answered);
    rig.expect(&["lead"]);
    let token = rig.server.borrow().seen().as_of.clone();
    assert_eq!(rig.machine.term().expect("leads").token.as_str(), token.as_str());
    assert_eq!(rig.machine.term().expect("leads").transitions, 1);
}

#[test]
fn an_acceptance_counts_from_when_it_was_sent_and_by_the_shorter_duration() {
    let check = |offered: u32, deadline: u64| {
        let mut rig = Rig::joined();
        rig.edit(|record| (record.holder, record.duration) = (Some("alpha".into()), Some(seconds(offered))));
        rig.hear();
        let sent = rig.now;
        rig.wait(ms(100));
        rig.answer(Fate::Answered);
        let term = rig.machine.term().expect("leads");
        assert_eq!(term.deadline.since(sent), ms(deadline), "offered for {offered} s");
    };
    check(15, 12_000);
    check(60, 12_000);
    check(10, 8_000);
    check(1, 800);
}

#[test]
fn an_acceptance_is_adopted_however_it_becomes_known() {
    let check = |what: &str, story: fn(&mut Rig), log: &[&str]| {
        let mut rig = Rig::accepting();
        let sent = rig.now;
        story(&mut rig);
        rig.expect(log);
        let term = rig.machine.term().expect(what);
        assert_eq!(
            term.deadline.since(sent),
            ms(12_000),
            "S1: counted from the attempt that landed: {what}"
        );
    };
    check("by its answer", |rig| rig.answer(Fate::Answered), &["lead"]);
    check(
        "by the watch, before its answer",
        |rig| {
            rig.reach();
            rig.hear();
            rig.answer(Fate::Answered);
        },
        &["lead"],
    );
    check(
        "by a watch event of a later version",
        |rig| {
            rig.reach();
            rig.nominate("bravo");
            rig.hear();
            rig.answer(Fate::Answered);
        },
        &["lead"],
    );
    check(
        "by the read after the second attempt's conflict",
        |rig| {
            rig.answer(Fate::AnswerLost);
            rig.wait(ms(1_000));
            rig.answer(Fate::Answered);
            rig.answer(Fate::Answered);
        },
        &["accept", "read", "lead"],
    );
    check(
        "by the read after a layer below sent it twice",
        |rig| {
            rig.answer(Fate::SentTwice);
            rig.answer(Fate::Answered);
        },
        &["read", "lead"],
    );
    check(
        "by the watch, long after it was given up",
        |rig| {
            rig.answer(Fate::Late);
            rig.outage(ms(5_000));
            rig.drain();
            assert!(rig.land());
            rig.hear();
        },
        &["lead", "renew"],
    );
}

/// A term that is over is never begun: what landed too late is given back unused.
#[test]
fn an_acceptance_that_lands_after_its_deadline_is_released() {
    let check = |after: u64, log: &[&str]| {
        let mut rig = Rig::accepting();
        rig.answer(Fate::Late);
        rig.suspend(ms(after));
        assert!(rig.land());
        rig.hear();
        rig.expect(log);
    };
    check(10_999, &["lead", "renew"]);
    check(11_000, &["release"]);
    check(12_000, &["release"]);
    check(60_000, &["release"]);
    // Also when many attempts followed it.
    let mut rig = Rig::accepting();
    rig.answer(Fate::Late);
    rig.outage(ms(30_000));
    rig.drain();
    assert!(rig.land());
    rig.hear();
    rig.expect(&["release"]);
}

#[test]
fn an_acceptance_that_landed_at_its_end_of_term_is_given_back() {
    let mut rig = Rig::accepting();
    rig.reach();
    rig.end_of_term("bravo");
    rig.hear();
    rig.expect(&[]);
    rig.answer(Fate::Answered);
    rig.expect(&["hand over"]);
}

#[test]
fn who_lost_an_offer_shows_at_once_that_it_lives() {
    let mut rig = Rig::joined();
    rig.offer("alpha");
    rig.event(Event::Wanted(true));
    rig.hear();
    rig.expect_identity(&[]);
    rig.answer(Fate::Lost);
    rig.offer("bravo");
    rig.hear();
    rig.expect(&["accept"]);
    rig.expect_identity(&["update, offering"]);

    let mut rig = Rig::accepting();
    rig.edit(|_| ());
    rig.answer(Fate::Answered);
    rig.expect(&["read"]);
    rig.expect_identity(&["update, offering"]);
    rig.answer(Fate::Answered);
    rig.expect(&["accept"]);
}

#[test]
fn an_offer_that_it_cannot_take_is_declined() {
    let check = |what: &str, story: fn(&mut Rig)| {
        let mut rig = Rig::joined();
        story(&mut rig);
        rig.drain();
        rig.offer("alpha");
        rig.hear();
        rig.expect(&["decline"]);
        rig.answer(Fate::Answered);
        rig.hear();
        rig.expect(&[]);
        assert!(rig.record().holder.is_none(), "{what}");
    };
    check("unhealthy", |rig| rig.event(Event::Healthy(false)));
    check("nobody waits", |rig| {
        rig.event(Event::Wanted(false));
        rig.wait(ms(1_000));
    });
    check("shutting down", |rig| {
        rig.identity_answered = false;
        rig.event(Event::Shutdown);
    });
}

/// A program that has just joined, or has just stopped, asks for the lease in a moment.
#[test]
fn an_offer_that_comes_before_anybody_waits_is_kept_for_a_moment() {
    let early = || {
        let mut rig = Rig::joined();
        rig.event(Event::Wanted(false));
        rig.offer("alpha");
        rig.hear();
        rig.wait(ms(999));
        rig.expect(&[]);
        rig
    };
    let mut rig = early();
    rig.event(Event::Wanted(true));
    rig.expect(&["accept"]);

    let mut rig = early();
    rig.wait(ms(1));
    rig.expect(&["decline"]);
}

/// Until the elector has seen that it offers itself no more, offers may come as fast as it declines them.
#[test]
fn offers_that_come_again_and_again_are_declined_at_a_walking_pace() {
    let mut rig = Rig::joined();
    rig.event(Event::Healthy(false));
    rig.expect_identity(&["update, not offering"]);
    let mut declined = 0;
    for _ in 0..40 {
        rig.offer("alpha");
        rig.hear();
        rig.wait(ms(100));
        if rig.asked.is_some() {
            rig.answer(Fate::Answered);
            declined += 1;
        }
    }
    assert!((4..=6).contains(&declined), "{declined} in 4 s");
}

#[test]
fn a_candidate_that_is_well_again_accepts() {
    let mut rig = Rig::joined();
    rig.event(Event::Healthy(false));
    rig.event(Event::Healthy(true));
    rig.offer("alpha");
    rig.hear();
    rig.expect(&["accept"]);
    // It changed its mind while the acceptance was under way: the lease is given back unused.
    rig.event(Event::Healthy(false));
    rig.answer(Fate::Answered);
    rig.expect(&["release"]);
}

/// Seeing itself nominated it answers on the leader lease, which proves that it sees and writes it.
#[test]
fn a_nominee_asks_the_holder_to_give_way() {
    let check = |what: &str, change: fn(&mut Rig), log: &[&str]| {
        let mut rig = Rig::joined();
        rig.edit(|record| {
            *record = Record {
                holder: Some("bravo".into()),
                renew_time: Some(Wall::from_micros(1)),
                acquire_time: Some(Wall::from_micros(1)),
                incarnation: Some("i-bravo".into()),
                preferred_holder: Some("alpha".into()),
                ..Record::default()
            };
        });
        change(&mut rig);
        rig.hear();
        assert_eq!(rig.drain(), log, "{what}");
    };
    check("able", |_| (), &["end of term"]);
    check("unhealthy", |rig| rig.event(Event::Healthy(false)), &[]);
    check("nobody waits", |rig| rig.event(Event::Wanted(false)), &[]);
    check("asked already", |rig| rig.end_of_term("alpha"), &[]);
    check(
        "only offered so far",
        |rig| rig.edit(|record| record.renew_time = None),
        &[],
    );
    check(
        "its own identity holds it",
        |rig| rig.edit(|record| record.holder = Some("alpha".into())),
        &[],
    );
}

/// The next request is not the one that failed, so it does not wait for that one's retry period.
#[test]
fn a_nominee_accepts_at_once_although_the_answer_to_its_demand_was_lost() {
    let mut rig = Rig::joined();
    rig.edit(|record| {
        (record.holder, record.renew_time) = (Some("bravo".into()), Some(Wall::from_micros(1)));
        record.preferred_holder = Some("alpha".into());
    });
    rig.hear();
    rig.answer(Fate::AnswerLost);
    rig.offer("alpha");
    rig.hear();
    rig.expect(&["end of term", "accept"]);
}

#[test]
fn a_nominee_whose_write_met_a_renewal_asks_again() {
    let mut rig = Rig::leading();
    rig.stop(Stopped::Clean);
    rig.answer(Fate::Answered);
    rig.drain();
    rig.event(Event::Wanted(true));
    rig.edit(|record| {
        record.holder = Some("bravo".into());
        record.preferred_holder = Some("alpha".into());
    });
    rig.hear();
    rig.edit(|record| record.renew_time = Some(Wall::from_micros(9)));
    rig.answer(Fate::Answered);
    rig.answer(Fate::Answered);
    rig.expect(&["end of term", "read", "end of term"]);
    rig.answer(Fate::Answered);
    assert!(rig.record().end_of_term);
}

/// Invariant: S2.
#[test]
fn tokens_rise_over_terms_even_when_the_lease_is_deleted_in_between() {
    let mut rig = Rig::leading();
    let first = rig.machine.term().expect("leads").token.clone();
    rig.wait(ms(4_000));
    rig.answer(Fate::Answered);
    assert_eq!(
        rig.machine.term().expect("leads").token,
        first,
        "constant within a term"
    );
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.stop(Stopped::Clean);
    rig.server.borrow_mut().create(Record::default());
    rig.hear();
    rig.answer(Fate::Answered);
    rig.event(Event::Wanted(true));
    rig.offer("alpha");
    rig.hear();
    rig.answer(Fate::Answered);
    assert!(rig.machine.term().expect("leads again").token > first);
}
