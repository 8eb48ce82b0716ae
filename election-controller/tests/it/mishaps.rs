//! The writes that an election has only when something goes wrong, and an elector that fails at each of them.
//!
//! The story: alpha leads. Charlie, of an older version, is nominated and leaves without an answer. Aaron, as good as alpha,
//! lives and never does what it is asked to; zulu is dead. Then alpha is cut off, so that its lease expires; aaron, who is
//! first in rank, is offered it in vain; and bravo leads. What becomes of candidates whose elector is well is in `terms` and
//! `elections`.

use std::time::Duration;

use election_core::{LeaseState, Mono, wire};

use crate::gate::wait;
use crate::replicas::{Fault, at_each_write};
use crate::stage::{Stage, Written};
use crate::world::{DEMO, annotation, process};

const TERM: Duration = Duration::from_secs(15);

/// What an elector has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Offer,
    Nominate,
    ClearNomination,
    Collect,
    OfferAfterExpiry,
    /// The offer that was not taken is somebody else's.
    Withdraw,
}

/// What electors have brought about, each with its moment.
fn landed(stage: &Stage) -> Vec<(Kind, Mono)> {
    let mut has_expired = false;
    let written = stage.written();
    let by_electors = |write: &&Written| is_numbered(&write.by, &write.lease) && write.status < 400;
    let kinds = written.iter().filter(by_electors).map(|write| {
        let kind = match write.lease.split(' ').next() {
            Some("POST") => Kind::Create,
            Some("DELETE") => Kind::Collect,
            _ => kind_of_update(write, &mut has_expired),
        };
        (kind, write.at)
    });
    kinds.collect()
}

/// `has_expired` is whether alpha's lease was offered to somebody else before, and becomes it.
fn kind_of_update(write: &Written, has_expired: &mut bool) -> Kind {
    let wrote = write.wrote.as_ref().unwrap();
    let lease = wire::read_leader(wrote).unwrap();
    match (lease.state(), annotation(wrote, wire::PREFERRED_HOLDER)) {
        (LeaseState::Held, Some(_)) => Kind::Nominate,
        (LeaseState::Held, None) => Kind::ClearNomination,
        (LeaseState::Offered, _) if lease.record.transitions == 0 => Kind::Offer,
        (LeaseState::Offered, _) if !std::mem::replace(has_expired, true) => Kind::OfferAfterExpiry,
        (LeaseState::Offered, _) => Kind::Withdraw,
        (other, _) => panic!("no elector makes a lease {other:?}"),
    }
}

fn is_numbered(by: &str, path: &str) -> bool {
    by.starts_with("elector-") && path.contains("/namespaces/default/leases")
}

/// Waits until somebody is nominated, or nobody.
async fn until_nominated(stage: &Stage, whom: Option<&str>) {
    for _ in 0..600 {
        let lease = stage.world.get(DEMO).await.unwrap();
        if annotation(&lease, wire::PREFERRED_HOLDER).as_deref() == whom {
            return;
        }
        wait(Duration::from_millis(100)).await;
    }
    panic!("{whom:?} was never nominated");
}

/// Plays the story, and checks what must hold however it is disturbed: returns the writes of electors.
async fn play(stage: &Stage) -> usize {
    let world = &stage.world;
    wait(2 * TERM).await;
    let alpha = stage.candidate("alpha", "1.30");
    stage.until_leads("alpha").await;
    let mut zulu = process("zulu", "1.31");
    zulu.spec.get_or_insert_default().lease_duration_seconds = Some(1);
    world.create(zulu).await;
    world.create(process("charlie", "1.29")).await;
    until_nominated(stage, Some("charlie")).await;
    world.delete("charlie").await;
    until_nominated(stage, None).await;
    world.create(process("aaron", "1.30")).await;
    drop(stage.candidate("bravo", "1.30"));
    wait(Duration::from_secs(2)).await;
    alpha.cut_off();
    let settled = stage.until_leads("bravo").await;
    wait(4 * TERM).await;
    check(stage, settled + TERM).await;
    stage.begun()
}

/// What is to be deleted is gone.
fn is_late_collection(write: &Written) -> bool {
    write.status == 404 && write.lease.starts_with("DELETE")
}

async fn check(stage: &Stage, quiet_from: Mono) {
    let terms = stage.terms();
    // Invariant: S1.
    assert!(
        terms.iter().all(|term| !term.beside_another),
        "two led at once: {terms:#?}"
    );
    let leaders: Vec<_> = terms.iter().map(|term| term.leader).collect();
    assert_eq!(leaders, ["alpha", "bravo"], "each leads once: {terms:#?}");
    let lease = wire::read_leader(&stage.world.get(DEMO).await.unwrap()).unwrap();
    assert_eq!(lease.state(), LeaseState::Held, "{lease:?}");
    // Invariant: S7.
    assert_eq!(lease.record.transitions, 2, "one for each term: {lease:?}");
    let written = stage.written();
    let bad: Vec<_> = written
        .iter()
        .filter(|write| write.status >= 400 && write.status != 409 && !is_late_collection(write))
        .collect();
    assert!(
        bad.is_empty(),
        "at worst a write is refused as outdated: {bad:#?}"
    );
    let landed = landed(stage);
    let times = |kind| landed.iter().filter(|(other, _)| *other == kind).count();
    // Invariant: L4, of the one that is collected.
    for kind in [
        Kind::Create,
        Kind::Offer,
        Kind::Nominate,
        Kind::ClearNomination,
        Kind::Collect,
        Kind::OfferAfterExpiry,
    ] {
        assert_eq!(times(kind), 1, "{kind:?} once: {landed:#?}");
    }
    // Who comes in the middle of a vacancy does not know who was asked before, and asks aaron again.
    let withdrawn = times(Kind::Withdraw);
    assert!(
        (1..=2).contains(&withdrawn),
        "{withdrawn} are withdrawn: {landed:#?}"
    );
    let late: Vec<_> = landed.iter().filter(|(_, at)| *at > quiet_from).collect();
    assert!(
        late.is_empty(),
        "L3: nobody is written to who leads undisturbed: {late:#?}"
    );
}

#[test]
fn wherever_the_acting_elector_crashes_among_mishaps_its_replica_ends_them_alike() {
    at_each_write(Fault::Crash, is_numbered, play);
}

#[test]
fn wherever_a_lone_elector_crashes_among_mishaps_it_ends_them_alike_when_it_is_back() {
    at_each_write(Fault::Restart, is_numbered, play);
}

#[test]
fn wherever_the_acting_elector_sleeps_among_mishaps_it_awakes_without_doing_harm() {
    at_each_write(Fault::Sleep, is_numbered, play);
}

#[test]
fn wherever_the_acting_elector_leaves_among_mishaps_its_replica_ends_them_alike() {
    at_each_write(Fault::Leave, is_numbered, play);
}

/// Invariant: S8.
#[test]
fn whatever_write_of_a_crashed_elector_arrives_late_its_replica_ends_mishaps_alike() {
    at_each_write(Fault::CrashAfterSending, is_numbered, play);
}
