//! Two candidates on one lease, and an elector by hand: a whole handover, in order.

use alloc::rc::Rc;
use core::cell::RefCell;

use super::rig::{Fate, Rig, ms};
use super::server::Server;
use crate::candidate::{Event, Stopped};
use crate::lease::{LeaseState, Record};

fn pair() -> (Rig, Rig) {
    let server = Rc::new(RefCell::new(Server::new()));
    server.borrow_mut().create(Record::default());
    (Rig::joined_to(&server, "alpha"), Rig::joined_to(&server, "bravo"))
}

/// What the watch shows to both.
fn hear(alpha: &mut Rig, bravo: &mut Rig) {
    alpha.hear();
    bravo.hear();
}

/// Invariants: S1, S3, S6, S7. Offer, accept, nominate, end of term, hand over, accept.
#[test]
fn a_better_candidate_takes_over() {
    let (mut alpha, mut bravo) = pair();
    let state = |rig: &Rig| rig.server.borrow().lease().expect("exists").state();

    alpha.offer("alpha");
    hear(&mut alpha, &mut bravo);
    assert_eq!(state(&alpha), LeaseState::Offered);
    alpha.answer(Fate::Answered);
    alpha.expect(&["accept", "lead"]);
    bravo.hear();
    bravo.expect(&[]);

    alpha.nominate("bravo");
    hear(&mut alpha, &mut bravo);
    alpha.expect(&[]);
    bravo.expect(&["end of term"]);
    assert_eq!(state(&alpha), LeaseState::Held);

    bravo.answer(Fate::Answered);
    hear(&mut alpha, &mut bravo);
    alpha.expect(&["stop by t+12s: EndOfTerm"]);
    alpha.stop(Stopped::Clean);
    alpha.expect(&["hand over"]);
    alpha.answer(Fate::Answered);
    assert_eq!(state(&alpha), LeaseState::Offered);

    hear(&mut alpha, &mut bravo);
    alpha.expect(&[]);
    bravo.answer(Fate::Answered);
    bravo.expect(&["accept", "lead"]);
    hear(&mut alpha, &mut bravo);
    assert_eq!(bravo.record().transitions, 2, "S7");
    assert!(alpha.tokens < bravo.tokens, "S2");
    assert!(alpha.work.is_none() && bravo.work.is_some(), "S6");

    // The old leader stands by again, and costs nothing.
    alpha.event(Event::Wanted(true));
    alpha.wait(ms(1_000));
    alpha.expect(&[]);
}

/// The renewal and the end of term meet: one of them wins, and the handover goes on either way.
#[test]
fn a_renewal_and_the_end_of_term_meet() {
    for renewal_first in [true, false] {
        let (mut alpha, mut bravo) = pair();
        alpha.offer("alpha");
        alpha.hear();
        alpha.answer(Fate::Answered);
        alpha.nominate("bravo");
        alpha.hear();
        alpha.wait(ms(4_000));
        bravo.wait(ms(4_000));
        bravo.hear();
        alpha.drain();
        bravo.expect(&["end of term"]);
        if renewal_first {
            alpha.answer(Fate::Answered);
            bravo.answer(Fate::Answered);
            bravo.answer(Fate::Answered);
            bravo.answer(Fate::Answered);
            bravo.expect(&["read", "end of term"]);
            alpha.hear();
            alpha.expect(&["extend to t+16s", "stop by t+16s: EndOfTerm"]);
        } else {
            bravo.answer(Fate::Answered);
            alpha.answer(Fate::Answered);
            alpha.answer(Fate::Answered);
            alpha.expect(&["read", "stop by t+12s: EndOfTerm"]);
        }
        alpha.stop(Stopped::Clean);
        alpha.answer(Fate::Answered);
        alpha.expect(&["hand over"]);
        bravo.hear();
        bravo.answer(Fate::Answered);
        bravo.expect(&["accept", "lead"]);
    }
}

/// A successor that died gets the offer, does not take it, and the elector gives it to the next.
#[test]
fn a_dead_nominee_costs_one_offer() {
    let (mut alpha, mut bravo) = pair();
    alpha.offer("alpha");
    alpha.hear();
    alpha.answer(Fate::Answered);
    alpha.end_of_term("charlie");
    alpha.hear();
    alpha.stop(Stopped::Clean);
    alpha.answer(Fate::Answered);
    alpha.drain();
    alpha.event(Event::Wanted(true));
    bravo.hear();
    bravo.wait(ms(1_000));
    bravo.expect(&[]);
    bravo.offer("bravo");
    hear(&mut alpha, &mut bravo);
    bravo.answer(Fate::Answered);
    bravo.expect(&["accept", "lead"]);
}
