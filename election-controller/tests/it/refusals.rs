//! Identity leases that say what cannot count: never elected, and people are told why.

use std::time::Duration;

use election_core::wire;
use k8s_openapi::api::coordination::v1::Lease;

use crate::world::{DEMO, NAMESPACE, World, candidate_for, hand_written, options, pass, process};

/// Lets an elector look at these candidates, beside a good one that must win; the Events about the first of them.
async fn beside_a_good_one(bad: Lease) -> (World, Vec<String>) {
    let world = World::new();
    let (namespace, name) = (
        bad.metadata.namespace.clone().unwrap(),
        bad.metadata.name.clone().unwrap(),
    );
    world.create(bad).await;
    world.create(process("good", "1.30")).await;
    let _elector = world.elector(options());
    world.until_holder(DEMO, "good").await;
    // Nor does it get its turn when the good one does not answer.
    for _ in 0..40 {
        pass(Duration::from_secs(1)).await;
        assert_eq!(world.holder(DEMO).await.as_deref(), Some("good"));
    }
    let still = world.leases_in(&namespace).get_opt(&name).await.unwrap();
    assert!(still.is_some(), "the refused one is not the elector's to delete");
    let notes = world.notes_about(&name).await;
    (world, notes)
}

#[tokio::test(start_paused = true)]
async fn a_candidate_whose_version_cannot_be_read_is_never_elected() {
    let (world, notes) = beside_a_good_one(process("bad", "latest")).await;
    assert_eq!(notes.len(), 1, "told once: {notes:?}");
    assert!(notes[0].starts_with("VersionUnreadable: "), "{notes:?}");
    assert!(notes[0].contains("latest"), "{notes:?}");
    let on_leader = world.notes_about(DEMO).await;
    let refusals = on_leader
        .iter()
        .filter(|note| note.starts_with("CandidateRefused: Candidate bad "));
    assert_eq!(refusals.count(), 1, "{on_leader:?}");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_without_a_version_is_never_elected() {
    let mut bad = process("bad", "1.29");
    let notes = bad.metadata.annotations.get_or_insert_default();
    notes.remove(wire::COMPATIBILITY_VERSION);
    let (_, notes) = beside_a_good_one(bad).await;
    assert!(
        matches!(&notes[..], [one] if one.starts_with("VersionMissing: ") && one.contains("emulation")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_holder_is_not_its_name_is_no_candidate() {
    let mut bad = process("bad", "1.29");
    bad.spec.get_or_insert_default().holder_identity = Some("somebody".to_owned());
    let (_, notes) = beside_a_good_one(bad).await;
    assert!(
        matches!(&notes[..], [one] if one.starts_with("NameIsNotHolder: ") && one.contains("somebody")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_candidate_of_another_namespace_is_refused() {
    let mut bad = process("bad", "1.29");
    bad.metadata.namespace = Some("kube-public".to_owned());
    let (_, notes) = beside_a_good_one(bad).await;
    assert!(
        matches!(&notes[..], [one] if one.starts_with("OtherNamespace: ") && one.contains("default/demo")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_count_does_not_spoil_the_others() {
    let world = World::new();
    let leads = format!("kube-system/x,nonsense,{NAMESPACE}/{DEMO}");
    world.create(candidate_for("alpha", "1.30", &leads)).await;
    let _elector = world.elector(options());
    world.until_holder(DEMO, "alpha").await;
    pass(Duration::from_secs(1)).await;
    let mut reasons: Vec<String> = world
        .notes_about("alpha")
        .await
        .iter()
        .filter_map(|note| Some(note.split_once(':')?.0.to_owned()))
        .collect();
    reasons.sort();
    assert_eq!(reasons, ["LeaseUnreadable", "OtherNamespace"]);
}

#[tokio::test(start_paused = true)]
async fn an_identity_lease_is_never_a_leader_lease() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    // Bravo stands for alpha's own identity lease, and for nothing else.
    let alpha = world.create(hand_written("alpha", "1.30")).await;
    let leads = format!("{NAMESPACE}/alpha");
    world.create(candidate_for("bravo", "1.29", &leads)).await;
    world.until_holder(DEMO, "alpha").await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(world.get("alpha").await, Some(alpha), "it is as it was");
    // Its own name is no better.
    let leads = format!("{NAMESPACE}/charlie");
    let charlie = world.create(candidate_for("charlie", "1.29", &leads)).await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(world.get("charlie").await, Some(charlie));
    let notes = world.notes_about("charlie").await;
    assert!(notes[0].starts_with("NeverALeaderLease: "), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn leases_of_nodes_and_of_the_electors_are_never_offered() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    for (namespace, lease) in [
        ("kube-node-lease", "node-1"),
        ("kube-system", "coordinated-election-controller"),
    ] {
        let mut candidate = candidate_for("alpha", "1.30", &format!("{namespace}/{lease}"));
        candidate.metadata.namespace = Some(namespace.to_owned());
        world.create(candidate).await;
        // What exists already is no more to be offered than what does not.
        let existing = Lease {
            metadata: kube::core::ObjectMeta {
                namespace: Some(namespace.to_owned()),
                name: Some(lease.to_owned()),
                ..kube::core::ObjectMeta::default()
            },
            spec: None,
        };
        pass(Duration::from_secs(30)).await;
        let api = world.leases_in(namespace);
        assert_eq!(api.get_opt(lease).await.unwrap(), None, "{namespace}/{lease}");
        let existing = world.create(existing).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(api.get(lease).await.unwrap(), existing, "{namespace}/{lease}");
    }
    let notes = world.notes_about("alpha").await;
    let refused = notes
        .iter()
        .filter(|note| note.starts_with("NeverALeaderLease: "));
    assert_eq!(refused.count(), 2, "{notes:?}");
    assert_eq!(world.lease_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_corrected_is_elected() {
    let world = World::new();
    let _elector = world.warm_elector().await;
    world.create(process("alpha", "newest")).await;
    pass(Duration::from_secs(5)).await;
    assert_eq!(world.get(DEMO).await, None, "there is nobody to elect");
    world
        .edit("alpha", |lease| {
            let notes = lease.metadata.annotations.get_or_insert_default();
            notes.insert(wire::BINARY_VERSION.to_owned(), "1.30".to_owned());
            notes.insert(wire::COMPATIBILITY_VERSION.to_owned(), "1.30".to_owned());
        })
        .await;
    world.until_holder(DEMO, "alpha").await;
}
