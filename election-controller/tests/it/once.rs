//! One look, as `--once` does it: what it says, and that a dry run changes nothing.

use std::time::Duration;

use election_controller::{SurveyError, act_once, survey};
use election_core::wire;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;

use crate::road::{Fate, Road, is_watch, writes_event, writes_lease};
use crate::world::{DEMO, World, annotation, held_by, named, options, process, released};

fn leads(name: &str, version: &str, lease: &str) -> Lease {
    let mut candidate = process(name, version);
    let notes = candidate.metadata.annotations.get_or_insert_default();
    notes.insert(wire::CAN_LEAD_LEASES.to_owned(), lease.to_owned());
    candidate
}

/// A lease that is missing, one that was given back, one whose leader is not the best, and somebody who wants too much.
async fn busy() -> World {
    let world = World::new();
    world.create(process("alpha", "1.29")).await;
    world.create(named("given-back", released())).await;
    world.create(leads("old", "1.28", "default/given-back")).await;
    world.create(leads("new", "1.30", "default/given-back")).await;
    let held = held_by("charlie", Some("incarnation-of-charlie"));
    world.create(named("held", held)).await;
    world.create(leads("charlie", "1.30", "default/held")).await;
    world.create(leads("bravo", "1.29", "default/held")).await;
    world.create(leads("mallory", "1.20", "kube-system/victim")).await;
    world
}

async fn all(world: &World) -> Vec<Lease> {
    let mut leases = world.leases().list(&ListParams::default()).await.unwrap().items;
    leases.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    leases
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_and_why_and_changes_nothing() {
    let world = busy().await;
    let before = all(&world).await;
    let client = world.plane.client_as("survey");
    let report = survey(client, options(), world.clock.clone()).await.unwrap();
    insta::assert_snapshot!(report.to_string());
    assert!(report.is_done());
    assert_eq!(all(&world).await, before, "resource versions included");
    assert_eq!(world.plane.requests().writes_by("survey"), 0);
    assert!(world.events().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_for_machines() {
    let world = busy().await;
    let report = survey(world.client(), options(), world.clock.clone())
        .await
        .unwrap();
    insta::assert_yaml_snapshot!(report);
}

#[tokio::test(start_paused = true)]
async fn an_empty_cluster_is_said_to_be_empty() {
    let world = World::new();
    let report = survey(world.client(), options(), world.clock.clone())
        .await
        .unwrap();
    assert_eq!(
        report.to_string(),
        "No candidate offers itself for any lease, so there is nothing to decide.\n"
    );
}

#[tokio::test(start_paused = true)]
async fn acting_once_does_what_can_be_decided_now() {
    let world = busy().await;
    let client = world.plane.client_as("elector-a");
    let report = act_once(client, options(), world.clock.clone()).await.unwrap();
    assert!(report.is_done());
    let outcomes: Vec<_> = report
        .leases
        .iter()
        .map(|lease| (lease.lease.as_str(), lease.outcome.as_deref()))
        .collect();
    assert_eq!(
        outcomes,
        [
            // Who has just come does not know yet that nobody leads it.
            ("default/demo", None),
            ("default/given-back", Some("offer: done")),
            ("default/held", Some("nominate: done")),
        ]
    );
    assert_eq!(world.get(DEMO).await, None);
    assert_eq!(world.holder("given-back").await.as_deref(), Some("old"));
    let held = world.get("held").await.unwrap();
    assert_eq!(
        annotation(&held, wire::PREFERRED_HOLDER).as_deref(),
        Some("bravo")
    );
    assert_eq!(world.lease_writes(), 2);
    let notes = world.notes_about("given-back").await;
    assert!(
        matches!(&notes[..], [one] if one.starts_with("Offered: Offered to old: ")),
        "{notes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_done_is_in_the_report() {
    for (fate, done, words) in [
        (
            Fate::Answered(403, "Forbidden"),
            false,
            "offer: refused: the road says Forbidden (403)",
        ),
        (
            Fate::Answered(409, "Conflict"),
            true,
            "offer: not done, the lease has changed meanwhile",
        ),
        (
            Fate::Lost,
            false,
            "offer: may have been done or not: no answer within 2.4s",
        ),
    ] {
        let world = busy().await;
        let road = Road::new();
        road.rule(move |request| match writes_lease(request) {
            true => fate,
            false => Fate::Passes,
        });
        let client = road.client(world.client());
        let report = act_once(client, options(), world.clock.clone()).await.unwrap();
        assert_eq!(report.leases[1].outcome.as_deref(), Some(words));
        assert_eq!(report.is_done(), done, "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_look_ends_in_time_whatever_the_server_does() {
    let began = |world: &World| world.clock.now();
    let world = busy().await;
    let road = Road::new();
    road.rule(|_| Fate::Lost);
    let at = began(&world);
    let error = survey(road.client(world.client()), options(), world.clock.clone())
        .await
        .expect_err("nothing can be listed");
    let SurveyError::List { why } = &error else {
        panic!("{error}")
    };
    assert!(why.contains("no answer"), "{why}");
    assert!(world.clock.now().since(at) <= Duration::from_secs(3));

    // Events are a courtesy here too.
    road.rule(|request| match writes_event(request) {
        true => Fate::Lost,
        false => Fate::Passes,
    });
    let at = began(&world);
    act_once(road.client(world.client()), options(), world.clock.clone())
        .await
        .unwrap();
    assert!(world.clock.now().since(at) <= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_is_named() {
    let world = World::new();
    let road = Road::new();
    road.rule(|_| Fate::Answered(403, "Forbidden"));
    let error = survey(road.client(world.client()), options(), world.clock.clone())
        .await
        .expect_err("nothing can be listed");
    assert_eq!(
        error.to_string(),
        "leases cannot be listed: the permission to list leases.coordination.k8s.io in all namespaces is missing: the \
         road says Forbidden (403)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_needs_only_to_list() {
    let world = busy().await;
    let road = Road::new();
    let mut lists = 0;
    road.rule(move |request| {
        lists += i32::from(!is_watch(request));
        match (is_watch(request), lists) {
            (true, _) => Fate::Answered(403, "Forbidden"),
            // The other namespace is listed well after the first may not be watched.
            (false, 2) => Fate::Late(Duration::from_secs(1)),
            (false, _) => Fate::Passes,
        }
    });
    let mut options = options();
    options.namespaces = vec!["default".to_owned(), "kube-system".to_owned()];
    let client = road.client(world.client());
    let report = survey(client, options, world.clock.clone()).await.unwrap();
    assert_eq!(report.leases.len(), 3);
}
