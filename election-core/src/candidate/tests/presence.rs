//! The identity lease: one identity, one process.

use super::rig::{Fate, Rig, ms};
use crate::candidate::{Event, Outcome, Stopped};

/// A second process of the same identity, with an incarnation of its own.
fn second(first: &Rig) -> Rig {
    let mut rig = Rig::started(&first.server, "alpha");
    rig.settings.incarnation = "i-2".into();
    rig.machine = crate::Candidate::new(rig.settings.clone(), rig.clocks());
    rig.event(Event::Wanted(true));
    rig
}

#[test]
fn the_identity_lease_is_renewed_every_minute_and_no_sooner() {
    let mut rig = Rig::joined();
    rig.wait(ms(59_999));
    rig.expect_identity(&[]);
    rig.wait(ms(6_001));
    rig.expect_identity(&["update, offering"]);
}

/// A slow answer does not bring the candidate closer to counting as dead.
#[test]
fn the_minute_counts_from_when_the_renewal_was_sent() {
    let mut rig = Rig::joined();
    rig.identity_answered = false;
    rig.wait(ms(66_000));
    rig.wait(ms(20_000));
    rig.answer_identity(Fate::Answered);
    rig.expect_identity(&["update, offering"]);
    rig.wait(ms(46_000));
    rig.expect_identity(&["update, offering"]);
}

#[test]
fn a_leader_that_leaves_is_known_until_its_work_has_stopped() {
    let mut rig = Rig::leading();
    rig.event(Event::Shutdown);
    rig.server.borrow_mut().delete_identity(&"alpha".into());
    rig.hear_identity();
    rig.expect_identity(&["update, not offering", "create, not offering"]);
}

#[test]
fn a_missing_identity_lease_is_created_again_at_once() {
    for mut rig in [Rig::joined(), Rig::leading()] {
        rig.drain();
        rig.server.borrow_mut().delete_identity(&"alpha".into());
        rig.hear_identity();
        rig.expect_identity(&["create, offering"]);
        rig.expect(&[]);
    }
}

#[test]
fn a_hand_edit_of_the_identity_lease_is_undone() {
    let mut rig = Rig::joined();
    rig.server
        .borrow_mut()
        .edit_identity(&"alpha".into(), |lease| lease.leads.clear());
    rig.hear_identity();
    rig.expect_identity(&["update, offering"]);
    rig.server
        .borrow_mut()
        .edit_identity(&"alpha".into(), |lease| lease.incarnation = None);
    rig.hear_identity();
    rig.expect_identity(&["update, offering"]);
    rig.expect(&[]);
}

/// Until its identity lease names it, an offer to its identity may be meant for another process.
#[test]
fn nothing_is_accepted_before_the_identity_is_its_own() {
    let server = Rig::joined().server;
    let mut rig = Rig::started(&server, "bravo");
    rig.identity_answered = false;
    rig.event(Event::Wanted(true));
    rig.offer("bravo");
    rig.hear();
    rig.hear_identity();
    rig.wait(ms(3_000));
    rig.expect(&[]);
    rig.answer_identity(Fate::Answered);
    rig.expect(&["accept"]);
}

#[test]
fn a_start_takes_the_identity_over_and_the_ousted_process_ends() {
    let mut old = Rig::joined();
    let mut new = second(&old);
    new.hear_identity();
    new.expect_identity(&["update, offering"]);
    old.hear_identity();
    old.expect(&["finished, ousted by i-2"]);
    old.expect_identity(&[]);
    assert!(
        new.server.borrow().identity(&"alpha".into()).object.is_some(),
        "the new process's lease stays"
    );
}

#[test]
fn an_ousted_leader_stops_and_gives_the_lease_back() {
    let mut old = Rig::leading();
    let mut new = second(&old);
    new.hear_identity();
    new.hear();
    old.wait(ms(2_000));
    old.hear_identity();
    old.expect(&["stop by t+12s: Ousted"]);
    old.wait(ms(3_000));
    old.stop(Stopped::Clean);
    old.answer(Fate::Answered);
    old.expect(&["release", "finished, ousted by i-2"]);
    new.expect(&[]);
}

/// The identity is the other process's, also when that one's lease is deleted.
#[test]
fn an_ousted_leader_does_not_take_the_identity_back() {
    let mut old = Rig::leading();
    let mut new = second(&old);
    new.hear_identity();
    old.hear_identity();
    old.expect(&["stop by t+12s: Ousted"]);
    old.server.borrow_mut().delete_identity(&"alpha".into());
    old.hear_identity();
    old.wait(ms(11_000));
    old.expect_identity(&[]);
    old.expect(&[]);
}

/// The offer is meant for the process that has the identity now.
#[test]
fn an_ousted_process_does_not_answer_offers() {
    let mut old = Rig::joined();
    let mut new = second(&old);
    new.hear_identity();
    old.offer("alpha");
    old.hear_identity();
    old.hear();
    old.expect(&["finished, ousted by i-2"]);

    // With an acceptance of unknown outcome it waits until the lease shows what became of it.
    let mut old = Rig::accepting();
    let mut new = second(&old);
    new.hear_identity();
    old.answer(Fate::Late);
    old.hear_identity();
    old.wait(ms(5_000));
    old.expect(&[]);
    assert!(old.land());
    old.hear();
    old.answer(Fate::Answered);
    old.expect(&["release", "finished, ousted by i-2"]);
}

#[test]
fn a_process_that_leaves_before_it_took_the_identity_over_declines_nothing() {
    let mut old = Rig::joined();
    let mut new = second(&old);
    new.identity_answered = false;
    old.offer("alpha");
    new.hear();
    new.hear_identity();
    new.event(Event::Shutdown);
    new.answer_identity(Fate::Refused);
    new.answer_identity(Fate::Answered);
    new.expect(&["finished"]);
    old.hear();
    old.expect(&["accept"]);
}

#[test]
fn who_finds_another_process_in_its_place_after_a_conflict_is_ousted() {
    let mut old = Rig::joined();
    second(&old).hear_identity();
    old.wait(ms(66_000));
    old.expect_identity(&["update, offering", "read"]);
    old.expect(&["finished, ousted by i-2"]);
}

/// An identity lease that outlives its process would get offers that nobody answers.
#[test]
fn no_identity_lease_stays_behind_when_the_answer_to_its_write_was_lost() {
    let server = Rig::joined().server;
    let mut rig = Rig::started(&server, "bravo");
    rig.identity_answered = false;
    rig.event(Event::Wanted(true));
    rig.hear();
    rig.hear_identity();
    rig.answer_identity(Fate::AnswerLost);
    rig.event(Event::Shutdown);
    rig.wait(ms(1_000));
    rig.answer_identity(Fate::Answered);
    rig.answer_identity(Fate::Answered);
    rig.expect_identity(&["create, offering", "read", "delete"]);
    rig.expect(&["finished"]);
    assert!(server.borrow().identity(&"bravo".into()).object.is_none());
}

#[test]
fn a_deletion_whose_answer_was_lost_is_confirmed_by_a_read() {
    let mut rig = Rig::joined();
    rig.identity_answered = false;
    rig.event(Event::Shutdown);
    rig.answer_identity(Fate::AnswerLost);
    rig.wait(ms(1_000));
    rig.answer_identity(Fate::Answered);
    rig.answer_identity(Fate::Answered);
    rig.expect_identity(&["delete", "delete", "read"]);
    rig.expect(&["finished"]);
}

/// Nobody waits: the candidate offers itself to nobody, but not at once, for who led a moment ago may ask again.
#[test]
fn a_candidate_that_nobody_waits_for_withdraws_its_offer() {
    let mut rig = Rig::joined();
    rig.event(Event::Wanted(false));
    rig.wait(ms(999));
    rig.expect_identity(&[]);
    rig.wait(ms(1));
    rig.expect_identity(&["update, not offering"]);
    rig.event(Event::Wanted(true));
    rig.expect_identity(&["update, offering"]);

    let mut rig = Rig::leading();
    rig.wait(ms(3_000));
    rig.stop(Stopped::Clean);
    rig.answer(Fate::Answered);
    rig.wait(ms(999));
    rig.drain_identity();
    rig.wait(ms(1));
    rig.expect_identity(&["update, not offering"]);
}

/// Whatever the server and others do to it, the identity lease costs a bounded number of requests.
#[test]
fn no_quarrel_over_the_identity_lease_becomes_a_hot_loop() {
    let requests = |story: fn(&mut Rig)| {
        let mut rig = Rig::joined();
        rig.drain_identity();
        rig.identity_answered = false;
        let mut sent = 0;
        for _ in 0..1_000 {
            story(&mut rig);
            rig.wait(ms(10));
            sent += rig.drain_identity().len();
        }
        sent
    };
    let refused = requests(|rig| {
        rig.event(Event::Healthy(false));
        if rig.asked_identity.is_some() {
            rig.answer_identity(Fate::Refused);
        }
    });
    assert!(
        refused <= 15,
        "{refused} in 10 s against a server that refuses everything"
    );
    let refused = requests(|rig| {
        rig.event(Event::Healthy(false));
        if let Some((_, write)) = &rig.asked_identity {
            let fate = if write.is_some() {
                Fate::Refused
            } else {
                Fate::Answered
            };
            rig.answer_identity(fate);
        }
    });
    assert!(
        refused <= 30,
        "{refused} in 10 s against a server that refuses writes"
    );
    let undone = requests(|rig| {
        if rig.asked_identity.is_some() {
            rig.answer_identity(Fate::Answered);
        }
        rig.server
            .borrow_mut()
            .edit_identity(&"alpha".into(), |lease| lease.leads.clear());
        rig.hear_identity();
    });
    assert!(
        undone <= 90,
        "{undone} in 10 s against somebody who undoes each write"
    );
}

/// In a namespace that is being deleted, say, or after its role was taken away.
#[test]
fn a_server_that_fails_is_asked_less_and_less_often() {
    let mut rig = Rig::joined();
    rig.identity_answered = false;
    rig.server.borrow_mut().delete_identity(&"alpha".into());
    rig.hear_identity();
    let mut asked_at = alloc::vec::Vec::new();
    for tick in 0..600 {
        if rig.asked_identity.is_some() {
            asked_at.push(tick);
            rig.answer_identity(Fate::Lost);
        }
        rig.wait(ms(100));
    }
    let pauses: alloc::vec::Vec<_> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let within = |pause: i32, periods: i32| (periods * 7..=periods * 10 + 1).contains(&pause);
    assert!(
        [1, 2, 4, 8, 8, 8]
            .iter()
            .zip(&pauses)
            .all(|(periods, pause)| within(*pause, *periods)),
        "in tenths of a second: {pauses:?}"
    );
    // Once it has worked, it starts anew.
    while rig.asked_identity.is_none() {
        rig.wait(ms(100));
    }
    rig.answer_identity(Fate::Answered);
    rig.server.borrow_mut().delete_identity(&"alpha".into());
    rig.hear_identity();
    assert!(rig.asked_identity.is_some(), "at once");
}

#[test]
fn a_write_that_the_watch_shows_before_its_answer_delays_nothing() {
    let mut rig = Rig::joined();
    rig.identity_answered = false;
    rig.drain();
    rig.event(Event::Healthy(false));
    rig.expect_identity(&["update, not offering"]);
    let (id, write) = rig.asked_identity.take().expect("a request is under way");
    let write = write.expect("an update");
    let seen = rig.server.borrow_mut().write_identity(&rig.settings, &write);
    rig.hear_identity();
    let outcome = Outcome::Done(seen.expect("nobody else writes"));
    rig.event(Event::IdentityAnswer { id, outcome });
    rig.event(Event::Healthy(true));
    rig.expect_identity(&["update, offering"]);
}
