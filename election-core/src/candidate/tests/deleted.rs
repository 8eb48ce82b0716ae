//! The leader lease is deleted under a leader: its term is over, and it tells the elector that nobody acts any more.

use super::rig::{Fate, Rig, ms};
use crate::candidate::{Event, Stopped};
use crate::lease::Record;

fn fresh(rig: &mut Rig) {
    rig.server.borrow_mut().create(Record::default());
    rig.hear();
}

#[test]
fn a_deleted_lease_ends_the_term_and_the_new_one_is_released() {
    let mut rig = Rig::leading();
    rig.edit(|record| record.transitions = 7);
    rig.hear();
    rig.wait(ms(2_000));
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.expect(&["stop by t+3s: LeaseDeleted"]);
    fresh(&mut rig);
    rig.expect(&[]);
    rig.stop(Stopped::Clean);
    rig.expect(&["release"]);
    rig.answer(Fate::Answered);
    rig.expect(&[]);
    assert_eq!(
        (rig.record().holder, rig.record().transitions),
        (None, 1),
        "the term's own count"
    );
    assert!(rig.record().renew_time.is_some());
}

#[test]
fn the_new_lease_may_come_after_the_work_has_stopped() {
    let mut rig = Rig::leading();
    rig.server.borrow_mut().delete();
    rig.hear();
    rig.stop(Stopped::Clean);
    rig.wait(ms(5_000));
    fresh(&mut rig);
    rig.expect(&["stop by t+1s: LeaseDeleted", "release"]);
}

#[test]
fn a_deletion_that_the_watch_missed_shows_by_the_uid() {
    let mut rig = Rig::leading();
    rig.server.borrow_mut().delete();
    fresh(&mut rig);
    rig.expect(&["stop by t+1s: LeaseDeleted"]);
    rig.stop(Stopped::Clean);
    rig.expect(&["release"]);
}

/// Invariant: S1. Whoever cannot say for sure that nobody acts says nothing.
#[test]
fn a_fresh_lease_is_left_alone_when_this_process_cannot_speak_for_it() {
    let check = |what: &str, writes: &[&str], story: fn(&mut Rig)| {
        let mut rig = Rig::leading();
        story(&mut rig);
        rig.wait(ms(20_000));
        let mut log = rig.drain();
        log.retain(|entry| ["release", "hand over"].contains(&entry.as_str()));
        assert_eq!(log, writes, "{what}");
    };
    check("its deadline has passed", &[], |rig| {
        rig.server.borrow_mut().delete();
        rig.hear();
        rig.stop(Stopped::Clean);
        rig.wait(ms(12_000));
        fresh(rig);
    });
    check("it has released in this term", &["release"], |rig| {
        rig.stop(Stopped::Clean);
        rig.server.borrow_mut().delete();
        rig.hear();
        fresh(rig);
        rig.answer(Fate::Lost);
    });
    check("it has handed over in this term", &["hand over"], |rig| {
        rig.nominate("bravo");
        rig.hear();
        rig.stop(Stopped::Clean);
        rig.server.borrow_mut().delete();
        rig.hear();
        fresh(rig);
        rig.answer(Fate::Lost);
    });
    let refused = "its release was refused, then the lease was deleted";
    check(refused, &["release"], |rig| {
        rig.stop(Stopped::Clean);
        rig.edit(|_| ());
        rig.answer(Fate::Answered);
        rig.server.borrow_mut().delete();
        fresh(rig);
        rig.answer(Fate::Answered);
    });
    let told = "it has told once, and the new lease was deleted as well";
    check(told, &["release"], |rig| {
        rig.server.borrow_mut().delete();
        fresh(rig);
        rig.stop(Stopped::Clean);
        rig.answer(Fate::Answered);
        rig.server.borrow_mut().delete();
        fresh(rig);
    });
    check("old work left a request open", &[], |rig| {
        rig.server.borrow_mut().delete();
        fresh(rig);
        rig.stop(Stopped::Abandoned);
    });
    check("the new lease is offered already", &[], |rig| {
        rig.server.borrow_mut().delete();
        rig.hear();
        rig.server.borrow_mut().create(Record {
            holder: Some("bravo".into()),
            ..Record::default()
        });
        rig.hear();
        rig.stop(Stopped::Clean);
    });
    check("the lease was not deleted, but made Fresh by hand", &[], |rig| {
        rig.edit(|record| *record = Record::default());
        rig.hear();
        rig.stop(Stopped::Clean);
    });
}

/// It accepted, but too late to lead: what became of the lease since, it does not know.
#[test]
fn an_acceptance_that_landed_too_late_gives_no_say_about_a_new_lease() {
    let mut rig = Rig::accepting();
    rig.answer(Fate::Late);
    rig.outage(ms(12_000));
    while rig.asked.is_none() {
        rig.wait(ms(50));
    }
    assert!(rig.land());
    rig.hear();
    rig.server.borrow_mut().delete();
    rig.hear();
    fresh(&mut rig);
    rig.drain();
    rig.answer(Fate::Answered);
    rig.wait(ms(20_000));
    rig.expect(&[]);
}

/// The work has stopped, and the renewal that was under way then tells nothing: only the deletion does.
#[test]
fn a_deletion_while_a_renewal_is_awaited_is_remembered() {
    let mut rig = Rig::leading();
    rig.wait(ms(4_000));
    rig.stop(Stopped::Clean);
    rig.server.borrow_mut().delete();
    rig.hear();
    fresh(&mut rig);
    rig.answer(Fate::Answered);
    rig.expect(&["renew", "release"]);
}

/// Somebody restores the lease from a copy: it says what this process wrote, and is another lease all the same.
#[test]
fn a_lease_created_again_from_a_copy_ends_the_term() {
    let mut rig = Rig::leading();
    let copy = rig.record();
    rig.server.borrow_mut().delete();
    rig.server.borrow_mut().create(copy);
    rig.hear();
    rig.expect(&["stop by t+1s: LeaseDeleted"]);
    rig.stop(Stopped::Clean);
    rig.expect(&["release"]);
    rig.answer(Fate::Answered);
    assert_eq!(rig.record().holder, None, "nobody else would give it back");
}

/// The new lease was offered to this very process: old work first, then the acceptance.
#[test]
fn an_offer_on_the_new_lease_waits_for_the_old_work() {
    let mut rig = Rig::leading();
    rig.event(Event::Wanted(true));
    rig.server.borrow_mut().delete();
    rig.server.borrow_mut().create(Record {
        holder: Some("alpha".into()),
        ..Record::default()
    });
    rig.hear();
    rig.expect(&["stop by t+1s: LeaseDeleted"]);
    rig.stop(Stopped::Clean);
    rig.expect(&["accept"]);
}

#[test]
fn an_acceptance_under_way_dies_with_the_lease() {
    let mut rig = Rig::accepting();
    rig.server.borrow_mut().delete();
    fresh(&mut rig);
    rig.answer(Fate::Answered);
    rig.wait(ms(5_000));
    rig.expect(&[]);
}
