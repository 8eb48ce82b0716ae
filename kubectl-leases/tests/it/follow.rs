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
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

use crate::errors::plugin;
use crate::fixtures::{candidate, held, survey};
use crate::stage::Stage;

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

/// A server that takes connections and never answers.
async fn silent() -> (TcpListener, NamedTempFile) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, users: [],
          clusters: [{{name: c, cluster: {{server: 'http://{}'}}}}], contexts: [{{name: c, context: {{cluster: c}}}}]}}",
        listener.local_addr().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    (listener, file)
}

#[tokio::test]
async fn the_first_list_of_a_watch_has_to_come_in_time() {
    let (_listener, file) = silent().await;
    let file = file.path().to_str().unwrap();
    for command in [
        &["watch"][..],
        &["status", "--watch"],
        &["status", "--watch", "-l", "app=demo"],
    ] {
        let args = [command, &["--request-timeout", "100ms", "--kubeconfig", file]].concat();
        let ended = tokio::time::timeout(Duration::from_secs(10), plugin(&args)).await;
        let ended = ended.unwrap_or_else(|_| panic!("{command:?} waits without end"));
        assert!(
            ended.failed
                && ended
                    .stderr
                    .contains("did not answer within 100ms: raise --request-timeout"),
            "{command:?}: {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_watch_that_is_silent_is_no_failure() {
    let stage = Stage::with(vec![held(KEY, "old", 4, json!({}))]).await;
    let quiet = async {
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing happens for longer than a request may take"
        )]
        tokio::time::sleep(Duration::from_millis(600)).await;
    };
    let shown = stage
        .run_during("watch -n default --request-timeout 200ms", quiet, |text| {
            !text.is_empty()
        })
        .await;
    assert_eq!(shown.lines().count(), 1, "{shown}");
}

#[tokio::test]
async fn a_lease_that_nobody_knows_is_not_waited_for() {
    let stage = Stage::with(vec![held(KEY, "old", 4, json!({}))]).await;
    for command in ["watch nope -n default", "status nope -n default --watch"] {
        let ended = tokio::time::timeout(Duration::from_secs(10), stage.run(command)).await;
        let ended = ended.unwrap_or_else(|_| panic!("{command} waits without end"));
        assert_eq!(ended.code, "1", "{command}");
        assert_eq!(
            ended.stderr,
            "Error from server (NotFound): leases.coordination.k8s.io \"nope\" not found in namespace \"default\"\n"
        );
    }
}

#[tokio::test]
async fn names_that_do_not_exist_are_refused() {
    let stage = Stage::with(Vec::new()).await;
    let mut refusals = String::new();
    for args in [
        "status --state Bogus",
        "status --user nope",
        "status --cluster nope",
        "status --context nope",
    ] {
        let ended = stage.run(args).await;
        assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("1", ""), "{args}");
        refusals += &format!("$ kubectl leases {args}\n{}", ended.stderr);
    }
    insta::assert_snapshot!(refusals);
}

/// Each survey is of all leases: what comes at once is looked at once.
#[tokio::test(start_paused = true)]
async fn many_changes_are_looked_at_together() {
    let server = ControlPlane::new();
    let leases: Api<Lease> = Api::namespaced(server.client(), "default");
    leases
        .create(&PostParams::default(), &unread(held(KEY, "a", 2, json!({}))))
        .await
        .unwrap();
    let cluster = Cluster::with_client(server.client(), Some("default"));
    let looked = async |live: bool| {
        let followed = Followed {
            only: None,
            selector: None,
            strategy: Strategy::default(),
            choice: Choice::default(),
            live,
        };
        let mut printer = Printer::new(None, false, Shape::default());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let story = async {
            pause().await;
            for number in 0..200 {
                let holder = json!({"spec": {"holderIdentity": format!("h{number}")}});
                leases
                    .patch("demo", &PatchParams::default(), &Patch::Merge(holder))
                    .await
                    .unwrap();
            }
            pause().await;
        };
        tokio::select! {
            ended = follow(&cluster, &followed, &mut printer, &mut out, &mut err) => panic!("it should go on: {ended:?}"),
            () = story => {}
        }
        String::from_utf8(out).unwrap()
    };
    let lines = looked(false).await;
    assert!(lines.contains("h199") && lines.lines().count() < 10, "{lines}");
    let painted = looked(true).await.matches("\u{1b}[H").count();
    assert!(
        (8..=14).contains(&painted),
        "once a second, and not {painted} times"
    );
}
