//! Commands that change something: what they say before, what they write, and what comes of it.

use std::sync::Arc;

use candidate::clock::BootClock;
use candidate::{Candidate, Overrun};
use election_core::{LeaseState, wire};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::SignedDuration;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use local_controlplane::simulate_wall;
use serde_json::json;

use crate::fixtures::{candidate, electors, hand_written, held, noted, ordinary, released};
use crate::stage::{Ended, Stage, apply, documented, now};

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
async fn a_hold_that_stands_goes_on_in_what_is_said_before() {
    let on_hold = held(DEMO, "alpha", 4, json!({wire::HOLD: "7200s"}));
    let stage = Stage::with(vec![
        electors(2),
        noted(on_hold, wire::HOLD, 7_000),
        candidate("default/alpha", DEMO, "1.30", "1.30", 20),
        candidate("default/bravo", DEMO, "1.29", "1.29", 12),
    ])
    .await;
    let mut screens = String::new();
    for args in [
        "pin demo bravo --dry-run=client",
        "hold demo --for 1h --dry-run=client",
    ] {
        screens += &screen(&stage, args).await;
        screens.push('\n');
    }
    insta::assert_snapshot!(screens);
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
    for words in [
        &["pin", "demo", "", "--yes"][..],
        &["pin", "demo", "a b", "--yes"],
        &["pin", "demo", "Bravo", "--yes"],
        &["step-down", "demo", "--to", "bravo charlie", "--yes"],
    ] {
        screens += &format!(
            "$ kubectl leases {words:?}\n{}\n",
            stage.run_words(words).await.stderr
        );
    }
    insta::assert_snapshot!(screens);
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
    insta::assert_snapshot!("forgotten", format!("{}{}", ended.stderr, ended.stdout));
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
    let again = stage.run("step-down demo --yes --wait=10ms").await;
    assert_eq!(
        (again.code.as_str(), again.stdout.as_str()),
        ("1", "lease.coordination.k8s.io/demo unchanged\n"),
        "a request that stands is waited for as well"
    );
    assert!(
        again.stderr.contains("nobody else leads default/demo after 10ms"),
        "{}",
        again.stderr
    );
}

/// A term of somebody begins.
async fn begin_term(stage: &Stage, holder: &str, incarnation: &str, acquired: &str) {
    let api: Api<Lease> = Api::namespaced(stage.plane.client_as(holder), "default");
    let term = json!({
        "metadata": {"annotations": {"coordinated-election.io/incarnation": incarnation}},
        "spec": {"holderIdentity": holder, "acquireTime": acquired, "renewTime": acquired},
    });
    let params = PatchParams::default();
    api.patch("demo", &params, &Patch::Merge(term)).await.unwrap();
}

/// What a command that waits says, when these terms begin one after the other once it watches.
async fn waited(args: &str, terms: &[(&str, &str)]) -> Ended {
    let stage = Stage::with(fleet()).await;
    let story = async {
        while stage.watches() == 0 {
            tokio::task::yield_now().await;
        }
        for (number, (holder, incarnation)) in terms.iter().enumerate() {
            let acquired = format!("2026-05-01T12:00:{number:02}.000000Z");
            begin_term(&stage, holder, incarnation, &acquired).await;
        }
    };
    futures::future::join(stage.run(args), story).await.0
}

#[tokio::test]
async fn wait_ends_when_the_one_that_was_asked_for_leads() {
    let leads = |ended: &Ended| ended.stdout.lines().nth(1).unwrap_or_default().to_owned();
    let both = [("alpha", "1"), ("bravo", "1"), ("charlie", "1")];
    let ended = waited("step-down demo --yes --wait", &both).await;
    assert!(
        leads(&ended).starts_with("bravo leads default/demo after "),
        "the same process again is nobody else: {}",
        ended.stdout
    );
    let ended = waited("step-down demo --to charlie --yes --wait", &both).await;
    assert!(
        leads(&ended).starts_with("charlie leads default/demo after "),
        "{}",
        ended.stdout
    );
    let ended = waited("step-down demo --yes --wait", &[("alpha", "2")]).await;
    assert_eq!(ended.code, "1", "{}", ended.stdout);
    assert!(
        ended.stderr.ends_with(
            "error: alpha leads default/demo again, as another process: the one that was asked to step down has ended, and \
             the request with it\n"
        ),
        "{}",
        ended.stderr
    );
    let ended = waited("step-down demo --to charlie --yes --wait=2s", &both[..2]).await;
    assert!(
        ended
            .stderr
            .contains("error: charlie does not lead default/demo after 2s, bravo does: "),
        "{}",
        ended.stderr
    );
}

/// The server's time goes on, and the holder renews.
#[tokio::test]
async fn a_hold_ends_when_its_time_is_over() {
    let stage = Stage::with(fleet()).await;
    simulate_wall(now() - SignedDuration::from_secs(12));
    let ended = stage.run("hold demo --for 5s --yes").await;
    assert_eq!(ended.code, "0", "{}", ended.stderr);
    simulate_wall(now());
    // Something else that is asked later begins nothing anew.
    stage.run("pin demo charlie --yes").await;
    let status = stage.run("status demo -o jsonpath={.conditions}").await;
    assert_eq!(status.stdout, r#"["Pinned"]"#);
    let explained = stage.run("explain demo").await.stdout;
    assert!(explained.contains("Decision:  nominate charlie"), "{explained}");
    let found = stage.screen("doctor demo").await;
    assert!(found.contains("(HoldOver)"), "{found}");
    let over = found.find("note ").unwrap();
    let end = found.find("note     default/delta").unwrap();
    insta::assert_snapshot!(&found[over..end]);
    // One that is asked for anew stands.
    stage.run("hold demo --for 5s --yes --reason again").await;
    let status = stage.run("status demo -o jsonpath={.conditions}").await;
    assert_eq!(status.stdout, r#"["OnHold","Pinned"]"#);
}

#[tokio::test]
async fn a_hold_for_some_time_is_begun_anew_and_one_without_end_is_not() {
    let stage = Stage::with(fleet()).await;
    let hold = async |args: &str| {
        let ended = stage.run(&format!("hold demo --yes {args}")).await;
        let (_, done) = ended.stdout.split_once(' ').unwrap();
        (done.to_owned(), note(&stage, wire::HOLD).await.unwrap())
    };
    assert_eq!(hold("--for 2h --reason one").await.0, "put on hold\n");
    let (done, value) = hold("--for 2h --reason two").await;
    assert_eq!(done, "put on hold\n");
    assert!(value.starts_with("7200s ") && value.ends_with(": two"), "{value}");
    assert_eq!(hold("--reason one").await.0, "put on hold\n");
    let (done, value) = hold("--reason two").await;
    assert_eq!(done, "unchanged\n");
    assert!(value.starts_with("true ") && value.ends_with(": one"), "{value}");
}

#[tokio::test]
async fn a_hold_until_a_time_goes_by_the_clock_of_the_server() {
    let stage = Stage::with(fleet()).await;
    let ended = stage.run("hold demo --until 2026-05-01T13:30:00Z --yes").await;
    assert_eq!(ended.code, "0", "{}", ended.stderr);
    let value = note(&stage, wire::HOLD).await.unwrap();
    let seconds: u32 = value.split_once('s').unwrap().0.parse().unwrap();
    assert!((5_390..=5_400).contains(&seconds), "{value}");
    assert!(
        ended
            .stderr
            .contains("until 2026-05-01T13:30:00Z, by the time of the server"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn what_would_come_of_it_goes_by_the_strategy_of_the_elector() {
    let stage = Stage::with(fleet()).await;
    let next = async |strategy: &str| {
        let args = format!("step-down demo --dry-run=client --strategy {strategy}");
        let said = stage.run(&args).await.stderr;
        let (_, next) = said.split_once("the elector nominates ").unwrap();
        next.split_once(':').unwrap().0.to_owned()
    };
    assert_eq!(next("OldestEmulationVersion").await, "bravo");
    assert_eq!(next("NewestEmulationVersion").await, "charlie");
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
pub(crate) async fn bind(stage: &Stage, person: &str, role: &str) {
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
    // Who may write the lease and no Event is told which permission is missing.
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "mute"},
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "verbs": ["get", "list", "watch", "update"]}]});
    apply(&stage.plane, &role.to_string()).await;
    bind(&stage, "mia", "mute").await;
    let mute = stage.run("hold demo --yes --as mia").await;
    assert_eq!(mute.code, "0", "{}", mute.stderr);
    refusals += &mute.stderr[mute.stderr.find("Warning").unwrap()..];
    refusals += &stage.run("timeline demo --as mia").await.stderr;
    refusals += &stage.run("status -A --as nobody").await.stderr;
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
