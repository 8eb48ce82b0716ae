//! Commands that change something: what they say before, what they write, and what comes of it.

use std::sync::Arc;

use candidate::clock::BootClock;
use candidate::{Candidate, Overrun};
use election_core::{LeaseKey, LeaseState, wire};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::fixtures::{candidate, electors, hand_written, held, ordinary, released, sample};
use crate::stage::{Stage, apply, documented};

const DEMO: &str = "default/demo";

/// Alpha leads; bravo is its equal, charlie is newer, and delta is dead.
fn fleet() -> Vec<Lease> {
    vec![
        electors(2),
        held(DEMO, "alpha", 4, json!({})),
        candidate("default/alpha", DEMO, "1.29", "1.29", 20),
        candidate("default/bravo", DEMO, "1.29", "1.29", 12),
        candidate("default/charlie", DEMO, "1.30", "1.30", 12),
        candidate("default/delta", DEMO, "1.28", "1.28", 1_000),
        hand_written("default/echo", DEMO, "1.27"),
    ]
}

/// What a terminal shows: what is said before comes before what was done.
async fn screen(stage: &Stage, args: &str) -> String {
    let ended = stage.run(args).await;
    assert_eq!(ended.code, "0", "{}", ended.stderr);
    format!("$ kubectl leases {args}\n{}{}", ended.stderr, ended.stdout)
}

async fn lease(stage: &Stage, name: &str) -> Lease {
    let api: Api<Lease> = Api::namespaced(stage.plane.client(), "default");
    api.get(name).await.unwrap()
}

async fn note(stage: &Stage, key: &str) -> Option<String> {
    lease(stage, "demo").await.metadata.annotations?.get(key).cloned()
}

async fn events(stage: &Stage) -> Vec<String> {
    let api: Api<Event> = Api::namespaced(stage.plane.client(), "default");
    let events = api.list(&ListParams::default()).await.unwrap();
    let line = |event: Event| {
        format!(
            "{}: {}",
            event.reason.unwrap_or_default(),
            event.note.unwrap_or_default()
        )
    };
    let mut lines: Vec<String> = events.items.into_iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn what_would_come_of_it_is_said_before() {
    let stage = Stage::with(fleet()).await;
    let mut screens = String::new();
    for args in [
        "step-down demo --dry-run=client",
        "step-down demo --to charlie --dry-run=client",
        "hold demo --for 2h --dry-run=client",
        "pin demo charlie --dry-run=server --reason migration",
        "pin demo delta --dry-run=client",
        "forget delta echo --dry-run=client",
    ] {
        screens += &screen(&stage, args).await;
        screens.push('\n');
    }
    insta::assert_snapshot!(screens);
    documented(
        "step-down",
        &screen(&stage, "step-down demo --to charlie --dry-run=client").await,
    );
    let lease = lease(&stage, "demo").await;
    assert_eq!(
        wire::read_leader(&lease).unwrap().controls,
        None,
        "nothing was kept"
    );
    assert_eq!(events(&stage).await, [""; 0]);
}

#[tokio::test]
async fn a_step_down_names_the_process_and_who_asked() {
    let stage = Stage::with(fleet()).await;
    let ended = stage.run("step-down demo --to bravo --yes --reason leaks").await;
    assert_eq!(
        ended.stdout,
        "lease.coordination.k8s.io/demo step-down of alpha requested\n"
    );
    let asked = note(&stage, wire::STEP_DOWN).await.unwrap();
    let who = asked
        .strip_prefix("alpha/1 asked by ")
        .and_then(|rest| rest.strip_suffix(" at 2026-05-01T12:00:00Z: leaks"));
    let who = who.unwrap_or_else(|| panic!("{asked}"));
    let to = format!("bravo asked by {who} at 2026-05-01T12:00:00Z: leaks");
    assert_eq!(note(&stage, wire::STEP_DOWN_TO).await, Some(to));
    let told = format!("StepDownRequested: step-down of alpha requested by {who}: leaks");
    assert_eq!(events(&stage).await, [told]);
    // Once more is not another request, and another successor is.
    let again = stage.run("step-down demo --to bravo --yes").await;
    assert_eq!(again.stdout, "lease.coordination.k8s.io/demo unchanged\n");
    stage.run("step-down demo --yes").await;
    assert_eq!(note(&stage, wire::STEP_DOWN_TO).await, None);
    let status = stage.run("status demo").await.stdout;
    assert!(
        status.contains("Held,SteppingDown") && status.contains("asked by"),
        "{status}"
    );
    let cancelled = stage.run("step-down demo --cancel --yes").await;
    assert_eq!(
        cancelled.stdout,
        "lease.coordination.k8s.io/demo step-down cancelled\n"
    );
    assert_eq!(note(&stage, wire::STEP_DOWN).await, None);
}

#[tokio::test]
async fn holds_and_pins_come_and_go() {
    let stage = Stage::with(fleet()).await;
    let mut screens = String::new();
    for args in [
        "hold demo --for 90m --yes",
        "pin demo charlie --yes",
        "status",
        "explain demo",
        "release-hold demo --yes",
        "release-hold demo --yes",
        "unpin demo --yes -o name",
        "unpin demo --yes",
    ] {
        screens += &screen(&stage, args).await;
        screens.push('\n');
    }
    insta::assert_snapshot!(screens);
    let end = screens.find("$ kubectl leases release-hold").unwrap();
    documented(
        "hold and pin",
        &(screens[..end].trim_end_matches('\n').to_owned() + "\n"),
    );
    assert_eq!(
        wire::read_leader(&lease(&stage, "demo").await).unwrap().controls,
        None
    );
    let reasons: Vec<String> = events(&stage).await;
    assert_eq!(reasons.len(), 4, "{reasons:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_to_do() {
    let mut leases = fleet();
    leases.extend([
        released("default/free", 3),
        ordinary("default/old-style", "client-go-7", 4),
    ]);
    let stage = Stage::with(leases).await;
    let mut screens = String::new();
    for args in [
        "step-down demo",
        "step-down free --yes",
        "step-down old-style --yes",
        "step-down nope --yes",
        "step-down demo --to zulu --yes",
        "step-down demo --to alpha --yes",
        "step-down demo --to delta --yes",
        "step-down demo --to echo --yes",
        "step-down alpha --yes",
        "hold demo --until 2026-01-01T00:00:00Z --yes",
        "hold demo --for 0s --yes",
        "forget demo --yes",
        "forget nope --yes",
        "forget alpha --yes",
        "forget bravo --yes",
    ] {
        screens += &stage.screen(args).await;
        screens.push('\n');
    }
    // The time of this machine is in it.
    let screens: Vec<&str> = screens
        .lines()
        .filter(|line| !line.contains("is not in the future"))
        .collect();
    insta::assert_snapshot!(screens.join("\n"));
    assert_eq!(
        wire::read_leader(&lease(&stage, "demo").await).unwrap().controls,
        None
    );
    lease(&stage, "bravo").await;
}

#[tokio::test]
async fn who_is_dead_is_forgotten_and_who_lives_only_by_force() {
    let stage = Stage::with(fleet()).await;
    let ended = stage.run("forget delta echo --yes").await;
    assert_eq!(
        ended.stdout,
        "lease.coordination.k8s.io/delta forgotten\nlease.coordination.k8s.io/echo forgotten\n"
    );
    let forced = stage.run("forget bravo --yes --force").await;
    assert!(
        forced.stderr.starts_with("Warning: bravo seems to live"),
        "{}",
        forced.stderr
    );
    let api: Api<Lease> = Api::namespaced(stage.plane.client(), "default");
    let left = api.list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = left
        .items
        .iter()
        .filter_map(|lease| lease.metadata.name.as_deref())
        .collect();
    assert_eq!(names, ["alpha", "charlie", "demo"]);
    assert_eq!(events(&stage).await.len(), 3);
}

/// A write names what it was decided from: who renews in between does not lose its renewal.
#[tokio::test]
async fn a_lease_that_changes_meanwhile_is_looked_at_again() {
    let stage = Stage::with(sample()).await;
    let key = LeaseKey::new("kube-system", "sample-controller");
    let api: Api<Lease> = Api::namespaced(stage.plane.client(), key.namespace());
    let renewals = async {
        loop {
            let lease = api.get(key.name()).await.unwrap();
            let read = wire::read_leader(&lease).unwrap();
            let stamp = read.record.renew_time.unwrap().next();
            let renewed = wire::update(&lease, &read.renew(read.record.duration.unwrap(), stamp));
            let _ = api
                .replace(key.name(), &kube::api::PostParams::default(), &renewed)
                .await;
            tokio::task::yield_now().await;
        }
    };
    let held = stage.run("hold sample-controller -n kube-system --yes");
    let ended = tokio::select! {
        ended = held => ended,
        () = renewals => unreachable!(),
    };
    let read = wire::read_leader(&api.get(key.name()).await.unwrap()).unwrap();
    assert_eq!(read.state(), LeaseState::Held);
    match ended.code.as_str() {
        "0" => assert!(read.controls.is_some_and(|controls| controls.hold().is_some())),
        _ => assert!(
            ended.stderr.contains("changed 5 times while it was looked at"),
            "{}",
            ended.stderr
        ),
    }
}

#[tokio::test]
async fn names_of_candidates_are_completed() {
    let stage = Stage::with(fleet()).await;
    let candidates = ["alpha\t", "bravo\t", "charlie\t", "delta\t", "echo\t"];
    for words in [
        &["pin", "demo", ""][..],
        &["step-down", "demo", "--to", ""],
        &["forget", ""],
        &["forget", "delta", ""],
    ] {
        let lines = stage.complete(words).await;
        for name in candidates {
            assert!(
                lines.iter().any(|line| line.starts_with(name)),
                "{words:?}: {lines:?}"
            );
        }
    }
    let lines = stage.complete(&["unpin", "d"]).await;
    assert!(lines.iter().any(|line| line.starts_with("demo\t")), "{lines:?}");
    let lines = stage.complete(&["pin", "demo", "alpha", ""]).await;
    assert!(!lines.iter().any(|line| line.contains("emulation")), "{lines:?}");
}

#[tokio::test]
async fn without_an_elector_wait_says_why_nobody_else_leads() {
    let mut leases = fleet();
    leases[0] = electors(600);
    let stage = Stage::with(leases).await;
    let screen = stage.screen("step-down demo --yes --wait=10ms").await;
    insta::assert_snapshot!(screen);
    documented("nobody steps down", &screen);
}

#[tokio::test]
async fn what_is_asked_for_in_vain_is_found() {
    let notes = json!({
        "coordinated-election.io/hold": "tomorrow",
        "coordinated-election.io/pin": "zulu by alice",
        "coordinated-election.io/step-down": "alpha/0 by bob",
    });
    let mut leases = fleet();
    leases[1] = held(DEMO, "alpha", 4, notes);
    let stage = Stage::with(leases).await;
    let screen = stage.screen("doctor demo").await;
    for code in ["ControlUnreadable", "PinnedToNobody", "SteppedDown"] {
        assert!(screen.contains(code), "{screen}");
    }
    insta::assert_snapshot!(stage.screen("status demo").await);
}

/// Binds a role of artifacts/rbac-people.yaml to a person.
async fn bind(stage: &Stage, person: &str, role: &str) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": person},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
    });
    apply(&stage.plane, &binding.to_string()).await;
}

#[tokio::test]
async fn a_viewer_is_told_which_permission_is_missing_and_an_operator_has_it() {
    let stage = Stage::with(fleet()).await;
    bind(&stage, "vera", "coordinated-election-viewer").await;
    bind(&stage, "otto", "coordinated-election-operator").await;
    let mut refusals = String::new();
    for args in ["pin demo bravo", "forget delta"] {
        let looked = stage.run(&format!("{args} --dry-run --as vera")).await;
        assert_eq!(looked.code, "0", "who only looks may rehearse: {}", looked.stderr);
        let ended = stage.run(&format!("{args} --yes --as vera")).await;
        assert_eq!(
            (ended.code.as_str(), ended.stdout.as_str()),
            ("1", ""),
            "{}",
            ended.stderr
        );
        refusals += &ended.stderr[ended.stderr.find("Error from server").unwrap()..];
        let done = stage.run(&format!("{args} --yes --as otto")).await;
        assert_eq!(
            (done.code.as_str(), done.stderr.contains("Warning")),
            ("0", false),
            "{}",
            done.stderr
        );
    }
    insta::assert_snapshot!(refusals);
    assert!(
        note(&stage, wire::PIN)
            .await
            .unwrap()
            .starts_with("bravo asked by otto at ")
    );
    assert_eq!(
        events(&stage).await,
        [
            "CandidateForgotten: candidate forgotten by otto",
            "Pinned: pinned to bravo by otto"
        ]
    );
}

/// The elector and candidates that ship, in real time.
#[tokio::test]
async fn who_steps_down_really_does_and_wait_says_who_leads() {
    let stage = Stage::with(Vec::new()).await;
    let options = election_controller::Options {
        instance: "elector".to_owned(),
        assume_unheld: true,
        ..election_controller::Options::default()
    };
    let elector = election_controller::run(
        stage.plane.client_as("elector"),
        options,
        Arc::new(BootClock),
        std::future::pending(),
    );
    let leads = async |identity: &'static str, version: &str| {
        let candidate = Candidate::builder(stage.plane.client_as(identity), DEMO.parse().unwrap())
            .identity(identity)
            .binary_version(version.parse().unwrap())
            .overrun(Overrun::Report)
            .shutdown_on(std::future::pending());
        let mut candidate = candidate.join().await.unwrap();
        while let Ok(Some(leadership)) = candidate.lead().await {
            leadership.run(std::future::pending::<()>()).await;
        }
    };
    let story = async {
        let led_by = async |identity: &str| {
            loop {
                let lease: Api<Lease> = Api::namespaced(stage.plane.client(), "default");
                let lease = lease.get_opt("demo").await.unwrap();
                let read = lease.as_ref().and_then(wire::read_leader);
                if read.is_some_and(|lease| {
                    lease.state() == LeaseState::Held && lease.record.names(&identity.into())
                }) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        led_by("alpha").await;
        let ended = stage.run("step-down demo --yes --wait").await;
        assert_eq!(ended.code, "0", "{}", ended.stderr);
        assert!(
            ended.stdout.contains("bravo leads default/demo after 0."),
            "{}",
            ended.stdout
        );
        let back = stage.run("pin demo alpha --yes").await;
        assert_eq!(back.code, "0", "{}", back.stderr);
        let status = stage.run("status demo -o jsonpath={.holder}").await;
        assert_eq!(status.stdout, "bravo", "who steps down is not pinned back");
        stage.run("step-down demo --cancel --yes").await;
        led_by("alpha").await;
    };
    tokio::select! {
        ended = elector => panic!("the elector ended: {ended:?}"),
        () = leads("alpha", "1.29") => panic!("alpha ended"),
        () = leads("bravo", "1.30") => panic!("bravo ended"),
        () = story => {}
    }
}
