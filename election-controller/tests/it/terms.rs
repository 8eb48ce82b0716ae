//! Terms: whose successor is nominated, who is left alone, and what an undisturbed election costs.

use std::time::Duration;

use election_core::{LeaseState, wire};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::world::{DEMO, World, annotation, hand_written, held_by, options, pass, process};

const TERM: Duration = Duration::from_secs(15);
const MOMENT: Duration = Duration::from_millis(50);

/// A world in which alpha, of version 1.30, has just accepted the lease.
async fn led_by_alpha() -> World {
    let world = World::new();
    world.create(held_by("alpha", Some("incarnation-of-alpha"))).await;
    world.create(process("alpha", "1.30")).await;
    world
}

fn nominee(lease: &Lease) -> Option<String> {
    annotation(lease, wire::PREFERRED_HOLDER)
}

#[tokio::test(start_paused = true)]
async fn a_better_candidate_is_nominated_and_the_holder_stays() {
    let world = led_by_alpha().await;
    let before = world.get(DEMO).await.unwrap();
    let _elector = world.elector(options());
    pass(Duration::from_secs(1)).await;
    assert_eq!(world.lease_writes(), 0, "nobody is better");
    world.create(process("bravo", "1.29")).await;
    pass(MOMENT).await;
    let after = world.get(DEMO).await.unwrap();
    assert_eq!(nominee(&after).as_deref(), Some("bravo"));
    assert_eq!(
        after.spec, before.spec,
        "a nomination takes nothing from the holder"
    );
    assert_eq!(
        annotation(&after, wire::END_OF_TERM),
        None,
        "the nominee asks for the end of the term, not the elector"
    );
    assert_eq!(world.lease_writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_equal_is_never_nominated() {
    let world = led_by_alpha().await;
    let _elector = world.elector(options());
    // Invariant: S5.
    for (name, version) in [("aaron", "1.30"), ("bravo", "v1.30.0"), ("charlie", "1.31")] {
        world.create(process(name, version)).await;
        pass(Duration::from_secs(1)).await;
    }
    assert_eq!(nominee(&world.get(DEMO).await.unwrap()), None);
    assert_eq!(world.lease_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hand_written_candidate_is_never_nominated() {
    let world = led_by_alpha().await;
    let _elector = world.elector(options());
    world.create(hand_written("manual", "1.20")).await;
    pass(Duration::from_secs(5)).await;
    assert_eq!(world.lease_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_nomination_of_a_candidate_that_leaves_is_cleared() {
    let world = led_by_alpha().await;
    let _elector = world.elector(options());
    world.create(process("bravo", "1.29")).await;
    pass(MOMENT).await;
    assert!(nominee(&world.get(DEMO).await.unwrap()).is_some());
    world.delete("bravo").await;
    pass(MOMENT).await;
    assert_eq!(nominee(&world.get(DEMO).await.unwrap()), None);
    assert_eq!(world.holder(DEMO).await.as_deref(), Some("alpha"));
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_client_is_left_alone_while_it_renews() {
    let mut world = World::new();
    world.create(held_by("kcm-1", None)).await;
    world.create(process("bravo", "1.29")).await;
    let _elector = world.elector(options());
    for _ in 0..30 {
        pass(Duration::from_secs(10)).await;
        world.renew(DEMO, "kcm-1", None).await;
        world.renew("bravo", "bravo", None).await;
    }
    assert_eq!(
        world.lease_writes(),
        0,
        "neither a nomination nor an offer disturbs it"
    );
    pass(2 * TERM - MOMENT).await;
    assert_eq!(
        world.holder(DEMO).await.as_deref(),
        Some("kcm-1"),
        "its work may stop late: it has two durations"
    );
    assert!(world.until_holder(DEMO, "bravo").await <= 2 * MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_renews_never_expires_and_a_silent_one_does_after_one_duration() {
    let mut world = led_by_alpha().await;
    world.create(process("bravo", "1.30")).await;
    let _elector = world.elector(options());
    for _ in 0..30 {
        pass(Duration::from_secs(10)).await;
        world.renew(DEMO, "alpha", Some("incarnation-of-alpha")).await;
        world.renew("alpha", "alpha", None).await;
        world.renew("bravo", "bravo", None).await;
    }
    assert_eq!(world.lease_writes(), 0);
    pass(TERM - MOMENT).await;
    assert_eq!(world.holder(DEMO).await.as_deref(), Some("alpha"));
    assert!(world.until_holder(DEMO, "bravo").await <= 2 * MOMENT);
}

#[tokio::test(start_paused = true)]
async fn other_changes_of_the_lease_are_no_life_of_its_holder() {
    let world = led_by_alpha().await;
    world.create(process("bravo", "1.30")).await;
    let _elector = world.elector(options());
    for round in 0..14 {
        pass(Duration::from_secs(1)).await;
        world
            .edit(DEMO, |lease| {
                let notes = lease.metadata.annotations.get_or_insert_default();
                notes.insert("example.org/round".to_owned(), round.to_string());
            })
            .await;
    }
    pass(Duration::from_secs(1) + MOMENT).await;
    assert_eq!(world.holder(DEMO).await.as_deref(), Some("bravo"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_identity_lease_is_gone_is_worse_than_any() {
    let world = led_by_alpha().await;
    world.create(process("bravo", "1.31")).await;
    let _elector = world.elector(options());
    pass(Duration::from_secs(1)).await;
    assert_eq!(nominee(&world.get(DEMO).await.unwrap()), None);
    world.delete("alpha").await;
    pass(MOMENT).await;
    assert_eq!(nominee(&world.get(DEMO).await.unwrap()).as_deref(), Some("bravo"));
}

#[tokio::test(start_paused = true)]
async fn the_identity_lease_of_a_dead_process_is_collected_and_no_other() {
    let mut world = World::new();
    let short = |mut lease: Lease| {
        lease.spec.get_or_insert_default().lease_duration_seconds = Some(10);
        lease
    };
    let mut of_pod = short(process("of-a-pod", "1.30"));
    of_pod.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: "of-a-pod".to_owned(),
        uid: "some-uid".to_owned(),
        ..OwnerReference::default()
    }]);
    world.create(of_pod).await;
    world.create(short(process("dead", "1.30"))).await;
    world.create(short(process("alive", "1.30"))).await;
    world.create(short(hand_written("manual", "1.30"))).await;
    let _elector = world.elector(options());
    for _ in 0..33 {
        pass(Duration::from_secs(3)).await;
        world.renew("alive", "alive", None).await;
    }
    assert!(
        world.get("dead").await.is_some(),
        "it has ten durations to come back"
    );
    pass(Duration::from_secs(1) + MOMENT).await;
    // Invariant: L4.
    assert!(world.get("dead").await.is_none(), "the dead disappear");
    for name in ["alive", "of-a-pod", "manual"] {
        assert!(
            world.get(name).await.is_some(),
            "{name} is not the elector's to delete"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_election_costs_no_elector_writes() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    let _candidates = [
        world.candidate("alpha", "1.29"),
        world.candidate("bravo", "1.30"),
        world.candidate("charlie", "1.30"),
    ];
    pass(Duration::from_secs(10)).await;
    let lease = wire::read_leader(&world.get(DEMO).await.unwrap()).unwrap();
    assert_eq!(lease.state(), LeaseState::Held);
    let before = world.plane.requests();
    pass(Duration::from_secs(3600)).await;
    let new = world.plane.requests().since(&before);
    // Invariant: L3.
    assert_eq!(new.writes_by("elector-a"), 0, "{new:?}");
    assert!(
        new.by("elector-a") <= 4,
        "a watch that is connected costs nothing either: {new:?}"
    );
    assert!(new.writes_by("alpha") > 800, "the leader did renew: {new:?}");
    let later = wire::read_leader(&world.get(DEMO).await.unwrap()).unwrap();
    assert_eq!(later.record.transitions, lease.record.transitions);
}

#[tokio::test(start_paused = true)]
async fn a_graceful_handover_follows_a_better_candidate() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    let _alpha = world.candidate("alpha", "1.30");
    world.until_holder(DEMO, "alpha").await;
    pass(Duration::from_secs(1)).await;
    let _bravo = world.candidate("bravo", "1.29");
    let took = world.until_holder(DEMO, "bravo").await;
    assert!(took <= Duration::from_millis(500), "the handover took {took:?}");
    pass(Duration::from_secs(1)).await;
    let lease = wire::read_leader(&world.get(DEMO).await.unwrap()).unwrap();
    assert_eq!((lease.state(), lease.record.transitions), (LeaseState::Held, 2));
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_to_step_down_gives_way_to_an_equal_and_the_order_comes_back_with_its_next_process() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    let alpha = world.candidate("alpha", "1.29");
    world.until_holder(DEMO, "alpha").await;
    let _bravo = world.candidate("bravo", "1.30");
    pass(Duration::from_secs(1)).await;
    let asked = world
        .get(DEMO)
        .await
        .and_then(|lease| annotation(&lease, wire::INCARNATION));
    world
        .edit(DEMO, |lease| {
            let notes = lease.metadata.annotations.get_or_insert_default();
            let asked = format!("alpha/{} by alice", asked.unwrap());
            notes.insert(wire::STEP_DOWN.to_owned(), asked);
        })
        .await;
    assert!(world.until_holder(DEMO, "bravo").await <= 2 * MOMENT);
    pass(TERM).await;
    assert_eq!(world.holder(DEMO).await.as_deref(), Some("bravo"), "no way back");
    let notes = world.notes_about(DEMO).await;
    let why = "Nominated bravo: alpha was asked to step down, so bravo is to lead";
    assert!(notes.iter().any(|note| note.contains(why)), "{notes:?}");
    alpha.abort();
    let _alpha = world.candidate("alpha", "1.29");
    world.until_holder(DEMO, "alpha").await;
}
