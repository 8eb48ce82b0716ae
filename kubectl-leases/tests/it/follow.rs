//! `--watch`: what is printed again.

use std::time::Duration;

use election_core::Strategy;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kubectl_leases::choice::Choice;
use kubectl_leases::cluster::Cluster;
use kubectl_leases::follow::{Followed, Shown, follow};
use kubectl_leases::output::{Format, Printer};
use kubectl_leases::table::Shape;
use local_controlplane::ControlPlane;
use serde_json::json;

use crate::fixtures::{candidate, held, survey};

const KEY: &str = "default/demo";

fn states(changed: &[kubectl_leases::view::LeaseStatus]) -> Vec<String> {
    changed
        .iter()
        .map(|status| {
            format!(
                "{} {}",
                status.state_words(),
                status.holder.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

#[test]
fn a_renewal_is_no_change_and_everything_else_is() {
    let mut shown = Shown::default();
    let mut see = |leases: &[Lease]| states(&shown.changes(survey(leases).coordinated()));
    let old = candidate("default/old", KEY, "1.29", "1.29", 3);
    assert_eq!(see(&[held(KEY, "old", 4, json!({})), old.clone()]), ["Held old"]);
    assert_eq!(
        see(&[held(KEY, "old", 1, json!({})), old.clone()]),
        [""; 0],
        "it was renewed"
    );
    assert_eq!(see(&[held(KEY, "new", 1, json!({})), old.clone()]), ["Held new"]);
    assert_eq!(see(&[held(KEY, "new", 40, json!({})), old]), ["Held,Expired new"]);
    assert_eq!(see(&[]), ["Deleted new"]);
    assert_eq!(see(&[]), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn changes_come_as_json_lines() {
    let server = ControlPlane::new();
    let leases: Api<Lease> = Api::namespaced(server.client(), "default");
    leases
        .create(
            &PostParams::default(),
            &unread(candidate("default/old", KEY, "1.29", "1.29", 3)),
        )
        .await
        .unwrap();
    let cluster = Cluster::with_client(server.client(), Some("default"));
    let followed = Followed {
        only: None,
        selector: None,
        strategy: Strategy::default(),
        choice: Choice::default(),
        live: false,
    };
    let mut printer = Printer::new(Some(Format::Json), false, Shape::default());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let story = async {
        pause().await;
        leases
            .create(&PostParams::default(), &unread(held(KEY, "old", 2, json!({}))))
            .await
            .unwrap();
        pause().await;
        leases.delete("demo", &DeleteParams::default()).await.unwrap();
        pause().await;
    };
    tokio::select! {
        ended = follow(&cluster, &followed, &mut printer, &mut out, &mut err) => panic!("it should go on: {ended:?}"),
        () = story => {}
    }
    let text = String::from_utf8(out).unwrap();
    let seen = text.lines().map(|line| {
        let status: serde_json::Value = serde_json::from_str(line).unwrap();
        status["state"].as_str().unwrap().to_owned()
    });
    assert_eq!(seen.collect::<Vec<_>>(), ["Missing", "Held", "Missing"]);
    assert_eq!(String::from_utf8(err).unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn a_selector_is_followed_as_well() {
    let server = ControlPlane::new();
    let leases: Api<Lease> = Api::namespaced(server.client(), "default");
    for name in ["default/one", "default/two"] {
        let lease = unread(held(name, "old", 2, json!({})));
        leases.create(&PostParams::default(), &lease).await.unwrap();
    }
    let cluster = Cluster::with_client(server.client(), Some("default"));
    let followed = Followed {
        only: None,
        selector: Some("team=blue".to_owned()),
        strategy: Strategy::default(),
        choice: Choice::default(),
        live: false,
    };
    let mut printer = Printer::new(Some(Format::Name), false, Shape::default());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let story = async {
        pause().await;
        let labels = json!({ "metadata": { "labels": { "team": "blue" } } });
        leases
            .patch("two", &PatchParams::default(), &Patch::Merge(labels))
            .await
            .unwrap();
        pause().await;
    };
    tokio::select! {
        ended = follow(&cluster, &followed, &mut printer, &mut out, &mut err) => panic!("it should go on: {ended:?}"),
        () = story => {}
    }
    assert_eq!(String::from_utf8(out).unwrap(), "lease.coordination.k8s.io/two\n");
    assert_eq!(String::from_utf8(err).unwrap(), "");
}

/// Without what only a server writes.
fn unread(mut lease: Lease) -> Lease {
    lease.metadata.resource_version = None;
    lease.metadata.uid = None;
    lease
}

async fn pause() {
    #[expect(clippy::disallowed_methods, reason = "simulated time")]
    tokio::time::sleep(Duration::from_secs(5)).await;
}
