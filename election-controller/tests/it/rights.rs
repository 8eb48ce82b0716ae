//! `artifacts/rbac.yaml` grants what the elector and its candidates need, with an elector and in direct mode.

use std::collections::BTreeSet;
use std::time::Duration;

use candidate::{Candidate, Overrun};
use election_controller::{LeaderElection, Options, run};
use election_core::LeaseKey;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, DynamicObject, PostParams, TypeMeta};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use local_controlplane::User;
use serde_json::Value;

use crate::gate::{detach, wait};
use crate::replicas::in_its_own_time;
use crate::stage::ELECTORS;
use crate::world::{World, candidate_for, holder_of};

const RULES: &str = include_str!("../../../artifacts/rbac.yaml");
const NAMESPACE: &str = "kube-system";
/// Whose rules are played here; those of the work are the sample controller's own.
const ROLES: [&str; 3] = [
    "election-controller",
    "sample-controller-candidate",
    "backup-candidate",
];

/// Verbs that these stories do without. A read follows only a request that failed or a silent watch; who may not watch lists
/// again and again, and is late; a patch counts an Event that is repeated; and the identity lease of a process that never
/// renews it is good for longer than these stories take.
const NOT_MISSED: [&str; 9] = [
    "election-controller: get of rule 0",
    "election-controller: patch of rule 4",
    "sample-controller-candidate: get of rule 0",
    "sample-controller-candidate: watch of rule 0",
    "sample-controller-candidate: get of rule 1",
    "sample-controller-candidate: watch of rule 1",
    "sample-controller-candidate: update of rule 1",
    "backup-candidate: get of rule 0",
    "backup-candidate: watch of rule 0",
];

fn manifest() -> Vec<DynamicObject> {
    serde_yaml::from_multiple(RULES).unwrap()
}

/// Every verb that a rule of these roles grants: the object, the rule, the verb.
fn verbs() -> Vec<(usize, usize, usize, String)> {
    let mut verbs = Vec::new();
    for (object, item) in manifest().iter().enumerate() {
        let name = item.metadata.name.as_deref().unwrap_or_default();
        let rules = item.data.get("rules").and_then(Value::as_array);
        for (rule, content) in rules.into_iter().flatten().enumerate() {
            for (verb, word) in content["verbs"].as_array().unwrap().iter().enumerate() {
                if ROLES.contains(&name) {
                    let word = word.as_str().unwrap();
                    verbs.push((object, rule, verb, format!("{name}: {word} of rule {rule}")));
                }
            }
        }
    }
    verbs
}

async fn apply(client: &Client, manifest: &[DynamicObject]) {
    for item in manifest {
        let TypeMeta { api_version, kind } = item.types.clone().unwrap();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = match &item.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        api.create(&PostParams::default(), item).await.unwrap();
    }
}

fn account(world: &World, name: &str) -> Client {
    let user = format!("system:serviceaccount:{NAMESPACE}:{name}");
    world.plane.client_of(User::new(user))
}

/// A candidate that leads for a while, and then leaves.
fn stand(builder: candidate::Builder, world: &World) {
    let builder = builder
        .overrun(Overrun::Report)
        .clock(world.clock.clone())
        .shutdown_on(wait(Duration::from_secs(120)));
    detach(async move {
        // What it may not do is seen by what does not come about.
        if let Ok(mut candidate) = builder.join().await {
            while let Ok(Some(leadership)) = candidate.lead().await {
                leadership.ended().await;
            }
        }
    });
}

/// Plays an election of each kind with these rights; what came about.
async fn play(manifest: &[DynamicObject]) -> BTreeSet<&'static str> {
    let world = World::new();
    apply(&world.client(), manifest).await;
    let leases = world.leases_in(NAMESPACE);
    let mut dead = candidate_for("dead", "1.20", "kube-system/other");
    dead.metadata.namespace = Some(NAMESPACE.to_owned());
    dead.spec.get_or_insert_default().lease_duration_seconds = Some(4);
    let notes = dead.metadata.annotations.get_or_insert_default();
    notes.insert(election_core::wire::INCARNATION.to_owned(), "dead-1".to_owned());
    world.create(dead).await;

    let options = Options {
        leader_election: Some(LeaderElection::default()),
        ..Options::default()
    };
    let (elector, clock) = (account(&world, "election-controller"), world.clock.clone());
    detach(async move { drop(run(elector, options, clock, std::future::pending()).await) });
    let key = LeaseKey::new(NAMESPACE, "sample-controller");
    let builder = Candidate::builder(account(&world, "sample-controller"), key);
    stand(
        builder
            .identity("sample-controller-a")
            .binary_version("1.30".parse().unwrap()),
        &world,
    );
    let builder = Candidate::builder(account(&world, "backup"), LeaseKey::new(NAMESPACE, "backup"));
    stand(builder.direct().identity("backup-1"), &world);

    let mut came = BTreeSet::new();
    wait(Duration::from_secs(100)).await;
    let holder = |name: &'static str, leases: Api<Lease>| async move {
        let lease = leases.get_opt(name).await.unwrap()?;
        let renewed = lease.spec.as_ref()?.renew_time.as_ref()?.0;
        // Alive: it has renewed since it was elected.
        (renewed > lease.spec.as_ref()?.acquire_time.as_ref()?.0).then(|| holder_of(&lease))?
    };
    for (lease, what) in [
        (ELECTORS, "an elector acts"),
        ("sample-controller", "the candidate leads"),
        ("backup", "the direct candidate leads"),
    ] {
        if holder(lease, leases.clone()).await.is_some() {
            came.insert(what);
        }
    }
    if leases.get_opt("dead").await.unwrap().is_none() {
        came.insert("the dead are collected");
    }
    if !world.events().await.is_empty() {
        came.insert("why is told");
    }
    wait(Duration::from_secs(60)).await;
    if leases.get_opt("sample-controller-a").await.unwrap().is_none() {
        came.insert("the candidate cleans up");
    }
    if leases
        .get_opt("backup")
        .await
        .unwrap()
        .is_some_and(|lease| holder_of(&lease).is_none())
    {
        came.insert("the direct candidate gives back");
    }
    came
}

#[test]
fn the_manifest_grants_what_is_needed_and_every_other_verb_is_missed() {
    let whole = in_its_own_time(play(&manifest()));
    assert_eq!(whole.len(), 7, "{whole:?}");
    let mut unused = Vec::new();
    for (object, rule, verb, what) in verbs() {
        let mut less = manifest();
        let rules = &mut less[object].data["rules"];
        rules[rule]["verbs"].as_array_mut().unwrap().remove(verb);
        if rules[rule]["verbs"] == serde_json::json!([]) {
            rules.as_array_mut().unwrap().remove(rule);
        }
        if in_its_own_time(play(&less)) == whole {
            unused.push(what);
        }
    }
    assert_eq!(unused, NOT_MISSED);
}
