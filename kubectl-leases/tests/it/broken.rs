//! Three broken clusters: with `status`, `explain` and `doctor` alone the cause is on the screen. The screens stand in
//! docs/operating.md as well.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kubectl_leases::doctor::{Severity, leases};
use kubectl_leases::electors::Electors;
use local_controlplane::simulate_wall;
use serde_json::json;

use crate::fixtures::{candidate, electors, held, noted, released, survey};
use crate::stage::{self, Stage};

const KEY: &str = "kube-system/sample-controller";

/// The three screens, without what differs from run to run.
async fn screens(stage: &Stage) -> String {
    let mut screens = Vec::new();
    for command in [
        "status -n kube-system",
        "explain -n kube-system sample-controller",
        "doctor -n kube-system --quiet",
    ] {
        screens.push(stage.screen(command).await);
    }
    screens.join("\n")
}

fn check(name: &str, screens: &str, causes: &[&str]) {
    let words: Vec<&str> = screens.split_whitespace().collect();
    let unwrapped = words.join(" ");
    for cause in causes {
        assert!(
            unwrapped.contains(cause),
            "{cause:?} should be on the screen:\n{screens}"
        );
    }
    insta::assert_snapshot!(name, screens);
    stage::documented(name, screens);
}

fn fleet() -> Vec<Lease> {
    vec![
        candidate("kube-system/alpha", KEY, "1.29", "1.29", 12),
        candidate("kube-system/bravo", KEY, "1.30", "1.30", 20),
    ]
}

#[tokio::test]
async fn the_elector_is_down() {
    let mut leases = fleet();
    leases.extend([electors(420), released(KEY, 300)]);
    let stage = Stage::with(leases).await;
    let screens = screens(&stage).await;
    check(
        "elector_down",
        &screens,
        &[
            "Released,Unattended",
            "NONE ACTS: elector-1",
            "PROBLEM elector: NONE ACTS",
            "start an elector",
        ],
    );
}

#[tokio::test]
async fn the_best_candidate_is_dead() {
    let mut leases = fleet();
    leases.extend([
        electors(2),
        held(KEY, "alpha", 3, json!({})),
        candidate("kube-system/charlie", KEY, "1.28", "1.28", 400),
    ]);
    let stage = Stage::with(leases).await;
    let screens = screens(&stage).await;
    check(
        "best_candidate_dead",
        &screens,
        &[
            "ALIVE IT WOULD LEAD",
            "charlie (emulation 1.28, binary 1.28) would lead, instead of alpha",
        ],
    );
}

#[tokio::test]
async fn the_leader_is_alive_and_stuck() {
    let asked = json!({
        "coordinated-election.io/preferred-holder": "alpha",
        "coordination.k8s.io/end-of-term": "true",
    });
    let mut leases = fleet();
    let stuck = noted(
        held(KEY, "bravo", 3, asked),
        "coordination.k8s.io/end-of-term",
        40,
    );
    leases.extend([electors(2), stuck]);
    let stage = Stage::with(leases).await;
    let leases: Api<Lease> = Api::namespaced(stage.plane.client_as("bravo"), "kube-system");
    let renew = async |beat: u32| {
        // However long this takes: the time of the server stands still.
        simulate_wall(stage::now());
        let stamp = format!("2026-05-01T11:59:59.{beat:06}Z");
        let renewal = Patch::Merge(json!({"spec": {"renewTime": stamp}}));
        let renewed = leases
            .patch("sample-controller", &PatchParams::default(), &renewal)
            .await;
        renewed.unwrap();
    };
    renew(0).await;
    let renewing = async {
        let mut beats = tokio::time::interval(Duration::from_millis(20));
        for beat in 1.. {
            beats.tick().await;
            renew(beat).await;
        }
    };
    let looks = async {
        let problems = stage.run("status -n kube-system --problems").await;
        (screens(&stage).await, problems)
    };
    let (screens, problems) = tokio::select! {
        looks = looks => looks,
        () = renewing => unreachable!("it renews without end"),
    };
    assert_eq!(problems.code, "2", "{}", problems.stdout);
    check(
        "leader_stuck",
        &screens,
        &["Held,Ending,Overdue", "bravo is alive and stuck", "restart bravo"],
    );
}

/// Whether it gives way is seen only in a while, so one look calls it neither well nor ill.
#[test]
fn a_holder_that_was_asked_to_give_way_is_not_called_well() {
    let said = |annotations| {
        let mut leases = fleet();
        leases.push(held(KEY, "alpha", 3, annotations));
        let acting = Electors::Acting {
            identity: "elector-1".to_owned(),
            renewed_seconds_ago: Some(2),
        };
        let findings = leases::check(&survey(&leases), &acting, None);
        let of_lease = findings.into_iter().filter(|finding| finding.about == KEY);
        of_lease
            .map(|finding| (finding.code, finding.severity))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(json!({})), [("Lease", Severity::Ok)]);
    let ending = json!({
        "coordinated-election.io/preferred-holder": "bravo",
        "coordination.k8s.io/end-of-term": "true",
    });
    let of_ending = said(ending);
    assert!(of_ending.is_empty(), "it is called {of_ending:?}");
}

#[tokio::test]
async fn the_states_are_shown_beside_their_meaning() {
    let stage = Stage::with(crate::fixtures::every_state()).await;
    let screen = stage.screen("status -A").await;
    insta::assert_snapshot!(screen);
    stage::documented("states", &screen);
}
