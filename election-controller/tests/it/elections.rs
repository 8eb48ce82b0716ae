//! Elections of a vacant lease: when it is offered, to whom, and when nobody may have it yet.

use std::time::Duration;

use election_core::{LeaseState, wire};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::world::{
    DEMO, NAMESPACE, World, annotation, candidate_for, hand_written, held_by, holder_of, options, pass,
    process, released, renew_time_of,
};

const SETTLE: Duration = Duration::from_millis(500);
const TERM: Duration = Duration::from_secs(15);
/// More than any number of round trips in one process takes.
const MOMENT: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn the_best_hand_written_candidate_is_offered_the_lease() {
    let world = World::new();
    world.create(hand_written("alpha", "1.30")).await;
    world.create(hand_written("bravo", "1.29")).await;
    let _elector = world.elector(options());
    world.until_holder(DEMO, "bravo").await;
    let lease = world.get(DEMO).await.expect("the lease");
    assert_eq!(renew_time_of(&lease), None, "an offer is no acceptance");
    pass(Duration::from_secs(60)).await;
    assert_eq!(
        world.holder(DEMO).await.as_deref(),
        Some("bravo"),
        "the offer stays"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_lease_is_created_and_offered_after_the_settle_window() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("alpha", "1.30")).await;
    pass(SETTLE / 2).await;
    world.create(process("bravo", "1.29")).await;
    pass(SETTLE / 2 - MOMENT).await;
    assert_eq!(
        world.get(DEMO).await,
        None,
        "better candidates had no time to come"
    );
    assert!(world.until_holder(DEMO, "bravo").await <= 2 * MOMENT);
    let lease = world.get(DEMO).await.unwrap();
    assert_eq!(
        annotation(&lease, wire::ELECTED_BY).as_deref(),
        Some(wire::ELECTED_BY_VALUE)
    );
    let spec = lease.spec.unwrap();
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert_eq!(
        (spec.acquire_time, spec.renew_time),
        (None, None),
        "S3: nobody accepted"
    );
    assert_eq!(
        world.lease_writes(),
        2,
        "one create without a holder, and one offer"
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_start_a_missing_lease_waits_for_a_leader_from_before() {
    let world = World::new();
    world.create(process("alpha", "1.30")).await;
    let _elector = world.elector(options());
    pass(TERM - MOMENT).await;
    assert_eq!(
        world.holder(DEMO).await,
        None,
        "a leader from before may still act"
    );
    assert!(world.until_holder(DEMO, "alpha").await <= 2 * MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_first_installation_waits_for_nobody() {
    let world = World::new();
    world.create(process("alpha", "1.30")).await;
    let mut options = options();
    options.assume_unheld = true;
    let _elector = world.elector(options);
    assert!(world.until_holder(DEMO, "alpha").await <= SETTLE + MOMENT);
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_is_not_accepted_goes_to_the_next_best() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("alpha", "1.29")).await;
    world.create(process("bravo", "1.30")).await;
    world.until_holder(DEMO, "alpha").await;
    pass(Duration::from_millis(900)).await;
    assert_eq!(
        world.holder(DEMO).await.as_deref(),
        Some("alpha"),
        "its window is not over"
    );
    assert!(world.until_holder(DEMO, "bravo").await <= Duration::from_millis(150));
}

#[tokio::test(start_paused = true)]
async fn an_offer_to_a_candidate_that_is_gone_is_withdrawn_at_once() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("alpha", "1.29")).await;
    world.create(process("bravo", "1.30")).await;
    world.until_holder(DEMO, "alpha").await;
    world.delete("alpha").await;
    assert!(world.until_holder(DEMO, "bravo").await <= MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_process_gets_the_offer_of_a_hand_written_candidate() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(hand_written("manual", "1.20")).await;
    world.until_holder(DEMO, "manual").await;
    pass(Duration::from_secs(60)).await;
    let writes = world.lease_writes();
    pass(Duration::from_secs(600)).await;
    assert_eq!(world.holder(DEMO).await.as_deref(), Some("manual"));
    assert_eq!(
        world.lease_writes(),
        writes,
        "the offer stays as it is, without writes"
    );
    world.create(process("alpha", "1.30")).await;
    assert!(world.until_holder(DEMO, "alpha").await <= MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_offered_at_once() {
    let world = World::new();
    world.create(released()).await;
    world.create(process("bravo", "1.30")).await;
    let _elector = world.elector(options());
    assert!(world.until_holder(DEMO, "bravo").await <= MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_blanked_lease_waits_until_its_leader_cannot_act_any_more() {
    let world = World::new();
    world.create(held_by("alpha", Some("incarnation-of-alpha"))).await;
    world.create(process("alpha", "1.30")).await;
    world.create(process("bravo", "1.30")).await;
    let _elector = world.elector(options());
    pass(Duration::from_secs(5)).await;
    let blanked = world
        .edit(DEMO, |lease| {
            lease.spec.get_or_insert_default().holder_identity = None;
        })
        .await;
    assert_eq!(wire::read_leader(&blanked).unwrap().state(), LeaseState::Blanked);
    pass(Duration::from_secs(10) - MOMENT).await;
    assert_eq!(
        world.holder(DEMO).await,
        None,
        "S1: whoever was blanked may still act"
    );
    pass(2 * MOMENT + Duration::from_secs(5)).await;
    assert!(world.holder(DEMO).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_comes_back_and_waits_for_its_last_leader() {
    let mut world = World::new();
    world.create(held_by("alpha", Some("incarnation-of-alpha"))).await;
    world.create(process("bravo", "1.30")).await;
    let _elector = world.elector(options());
    pass(Duration::from_secs(20)).await;
    world.until_holder(DEMO, "bravo").await;
    let last = world.renew(DEMO, "bravo", Some("incarnation-of-bravo")).await;
    pass(Duration::from_secs(5)).await;
    world.delete(DEMO).await;
    pass(SETTLE + MOMENT).await;
    let fresh = world.get(DEMO).await.expect("it comes back");
    assert_ne!(fresh.metadata.uid, last.metadata.uid);
    assert_eq!(
        holder_of(&fresh),
        None,
        "S1: bravo may not have noticed the deletion"
    );
    pass(TERM - Duration::from_secs(5) - SETTLE - 2 * MOMENT).await;
    assert_eq!(world.holder(DEMO).await, None);
    assert!(world.until_holder(DEMO, "bravo").await <= 2 * MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_let_its_term_expire_is_offered_the_lease_last() {
    let world = World::new();
    world.create(held_by("alpha", Some("incarnation-of-alpha"))).await;
    world.create(process("alpha", "1.29")).await;
    world.create(process("bravo", "1.30")).await;
    let _elector = world.elector(options());
    pass(TERM - MOMENT).await;
    assert_eq!(
        world.holder(DEMO).await.as_deref(),
        Some("alpha"),
        "S1: its term is not over"
    );
    assert!(world.until_holder(DEMO, "bravo").await <= 2 * MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_asks_for_the_newest_gets_the_newest() {
    let world = World::new();
    let mut lease = released();
    let notes = lease.metadata.annotations.get_or_insert_default();
    notes.insert(wire::STRATEGY.to_owned(), "NewestEmulationVersion".to_owned());
    world.create(process("alpha", "1.29")).await;
    world.create(process("bravo", "1.30")).await;
    world.create(lease).await;
    let _elector = world.elector(options());
    world.until_holder(DEMO, "bravo").await;
}

#[tokio::test(start_paused = true)]
async fn one_candidate_may_stand_for_several_leases() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    let leads = format!("{NAMESPACE}/{DEMO}, {NAMESPACE}/other");
    world.create(candidate_for("alpha", "1.30", &leads)).await;
    world.until_holder(DEMO, "alpha").await;
    world.until_holder("other", "alpha").await;
}

#[tokio::test(start_paused = true)]
async fn a_write_carries_over_what_it_does_not_name() {
    let world = World::new();
    let mut lease = held_by("alpha", Some("incarnation-of-alpha"));
    let meta = &mut lease.metadata;
    let own = |text: &str| (format!("example.org/{text}"), text.to_owned());
    meta.annotations.get_or_insert_default().extend([own("note")]);
    meta.labels.get_or_insert_default().extend([own("label")]);
    meta.finalizers = Some(vec!["example.org/keep".to_owned()]);
    meta.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "owner".to_owned(),
        uid: "some-uid".to_owned(),
        ..OwnerReference::default()
    }]);
    let before = world.create(lease).await;
    world.create(process("alpha", "1.30")).await;
    world.create(process("bravo", "1.29")).await;
    let _elector = world.elector(options());
    pass(MOMENT).await;
    let nominated = world.get(DEMO).await.unwrap();
    assert_eq!(
        annotation(&nominated, wire::PREFERRED_HOLDER).as_deref(),
        Some("bravo")
    );
    pass(TERM).await;
    let offered = world.get(DEMO).await.unwrap();
    assert_eq!(holder_of(&offered).as_deref(), Some("bravo"));
    for after in [nominated, offered] {
        assert_eq!(after.metadata.uid, before.metadata.uid);
        assert_eq!(after.metadata.labels, before.metadata.labels);
        assert_eq!(after.metadata.finalizers, before.metadata.finalizers);
        assert_eq!(after.metadata.owner_references, before.metadata.owner_references);
        assert_eq!(annotation(&after, "example.org/note").as_deref(), Some("note"));
    }
}
