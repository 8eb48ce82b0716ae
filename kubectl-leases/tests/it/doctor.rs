//! `doctor`: each finding, seen where it should be and not where it should not.

use std::time::Duration;

use election_core::wire;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kubectl_leases::doctor::{Severity, knobs, leases, server};
use kubectl_leases::electors::Electors;
use local_controlplane::ControlPlane;
use serde_json::{Value, json};

use crate::fixtures::{
    candidate, deleting, electors, held, moment, offered, ordinary, released, sample, survey,
};
use crate::stage::{Stage, apply, put};

const KEY: &str = "default/demo";

fn acting() -> Electors {
    Electors::Acting {
        identity: "elector-1".to_owned(),
        renewed_seconds_ago: Some(2),
    }
}

/// The codes of what is not as it should be.
fn codes(leases: &[Lease], electors: &Electors) -> Vec<(&'static str, String)> {
    let findings = leases::check(&survey(leases), electors, None);
    let bad = findings
        .into_iter()
        .filter(|finding| finding.severity > Severity::Ok);
    bad.map(|finding| (finding.code, finding.about)).collect()
}

/// One lease beside two live candidates.
fn check(lease: Lease, expected: &[(&str, &str)]) {
    let leases = [
        lease,
        candidate("default/new", KEY, "1.30", "1.30", 3),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ];
    let found = codes(&leases, &acting());
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(code, about)| (*code, about.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn each_trouble_of_a_lease_has_its_finding() {
    check(held(KEY, "old", 4, json!({})), &[]);
    check(released(KEY, 1), &[]);
    check(released(KEY, 60), &[("Unattended", KEY)]);
    check(
        offered(KEY, "old", 60),
        &[("Unattended", KEY), ("Unanswered", KEY)],
    );
    check(ordinary(KEY, "somebody", 4), &[("OrdinaryHolder", KEY)]);
    check(
        deleting(held(KEY, "old", 4, json!({})), 600),
        &[("Deleting", KEY)],
    );
    check(held(KEY, "gone", 4, json!({})), &[("HolderWithoutIdentity", KEY)]);
    let other = json!({"coordinated-election.io/incarnation": "2"});
    check(held(KEY, "old", 4, other), &[("IdentityInUseTwice", KEY)]);
    let odd = json!({"coordinated-election.io/strategy": "Fastest"});
    check(held(KEY, "old", 4, odd), &[("StrategyUnreadable", KEY)]);
    let nobody = [
        held(KEY, "old", 400, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 400),
    ];
    let found = codes(&nobody, &acting());
    assert!(found.contains(&("Stuck", KEY.to_owned())), "{found:?}");
}

#[test]
fn each_trouble_of_a_candidate_has_its_finding() {
    let found = codes(&sample(), &acting());
    let expected = [
        ("BestCandidateSilent", "kube-system/sample-controller"),
        ("StaleIdentity", "kube-system/charlie"),
        ("VersionUnreadable", "kube-system/delta"),
    ];
    assert_eq!(found, expected.map(|(code, about)| (code, about.to_owned())));
    let abroad = candidate("default/alpha", "kube-system/demo", "1.29", "1.29", 3);
    assert_eq!(
        codes(&[abroad], &acting()),
        [("OtherNamespace", "default/alpha".to_owned())]
    );
    let mut withdrew = candidate("default/old", "", "1.29", "1.29", 3);
    withdrew.metadata.namespace = Some("default".to_owned());
    let found = codes(&[held(KEY, "old", 4, json!({})), withdrew], &acting());
    assert!(found.contains(&("HolderWithdrew", KEY.to_owned())), "{found:?}");
}

#[test]
fn electors_are_judged_by_their_lease_else_by_what_they_should_have_done() {
    let waiting = [
        released(KEY, 60),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ];
    let served = [
        held(KEY, "old", 4, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ];
    let down = |leases: &[Lease], electors: &Electors| {
        let findings = leases::check(&survey(leases), electors, None);
        findings.iter().any(|finding| finding.code == "ElectorDown")
    };
    assert!(down(&waiting, &Electors::NoLease) && down(&served, &Electors::Vacant));
    assert!(!down(&served, &Electors::NoLease) && !down(&waiting, &acting()));
}

#[test]
fn a_slow_server_is_measured_against_the_deadline_of_a_request() {
    let limit = Duration::from_millis(2_400);
    let code = |millis: u64| server::latency("x", vec![Duration::from_millis(millis); 3], limit).code;
    assert_eq!(
        [code(3), code(700), code(2_500)],
        ["Server", "ServerSlow", "ServerTooSlow"]
    );
}

#[test]
fn knobs_are_judged_by_the_core() {
    let timing = election_core::Timing::default();
    assert_eq!(knobs::knobs("knobs", timing).severity, Severity::Ok);
    let contradicting = timing.with_renew_deadline(Duration::from_secs(14));
    assert!(
        knobs::knobs("knobs", contradicting)
            .message
            .contains("at most 4/5 of the lease duration")
    );
}

/// What `doctor` says of the knobs that candidates have noted, beside what it says of everything else.
async fn said_of_knobs(noted: &[&str], lasts: u32) -> Vec<(String, String, String)> {
    let mut leader = held(KEY, "of-0", 4, json!({}));
    leader.spec.as_mut().unwrap().lease_duration_seconds = Some(i32::try_from(lasts).unwrap());
    let mut leases = vec![electors(2), leader];
    for (number, noted) in noted.iter().enumerate() {
        let (noted, renewed) = match noted.strip_suffix(", and died") {
            Some(noted) => (noted, 200),
            None => (*noted, 3),
        };
        let mut one = candidate(&format!("default/of-{number}"), KEY, "1.29", "1.29", renewed);
        let notes = one.metadata.annotations.as_mut().unwrap();
        match noted {
            "" => notes.remove(wire::TIMING),
            noted => notes.insert(wire::TIMING.to_owned(), noted.to_owned()),
        };
        leases.push(one);
    }
    let stage = Stage::with(leases).await;
    let (report, _) = report(&stage, "--look 10ms").await;
    let items = report["items"].as_array().unwrap().iter();
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    items
        .filter(|item| text(item, "code").starts_with("Knobs"))
        .map(|item| (text(item, "code"), text(item, "about"), text(item, "message")))
        .collect()
}

#[tokio::test]
async fn knobs_are_read_from_what_candidates_have_noted() {
    let of = |said: &[(String, String, String)]| -> Vec<(String, String)> {
        said.iter()
            .map(|(code, about, _)| (code.clone(), about.clone()))
            .collect()
    };
    let is = |code: &str, about: &str| vec![(code.to_owned(), about.to_owned())];
    let alike = "lease-duration=15s renew-deadline=12s";
    let said = said_of_knobs(&[alike, alike], 15).await;
    assert_eq!(of(&said), is("Knobs", KEY));
    assert!(said[0].2.contains("tolerated API outage 6s"), "{said:?}");
    assert_eq!(of(&said_of_knobs(&["", ""], 15).await), []);
    let said = said_of_knobs(&[alike, "lease-duration=30s"], 15).await;
    assert_eq!(of(&said), is("KnobsDiffer", KEY));
    assert!(
        said[0].2.contains("of-0 with lease-duration=15s")
            && said[0].2.contains("of-1 with lease-duration=30s"),
        "{said:?}"
    );
    let said = said_of_knobs(&[alike, "lease-duration=30s, and died"], 15).await;
    assert_eq!(of(&said), is("Knobs", KEY));
    let said = said_of_knobs(&[alike], 5).await;
    assert_eq!(of(&said), is("KnobsShortened", KEY));
    assert!(
        said[0].2.contains("ask for 15 s and it lasts 5 s")
            && said[0].2.contains("worst graceful handover 6s"),
        "{said:?}"
    );
    let said = said_of_knobs(&["renew-deadline=14s"], 15).await;
    assert_eq!(of(&said), is("KnobsContradict", "default/of-0"));
    let said = said_of_knobs(&["renew-deadline=soon"], 15).await;
    assert_eq!(of(&said), is("KnobsUnreadable", "default/of-0"));
    assert!(
        said[0].2.contains("\"renew-deadline=soon\" is no knob"),
        "{said:?}"
    );
}

#[tokio::test]
async fn how_long_a_candidate_waits_is_what_it_has_noted() {
    let mut impatient = candidate("default/old", KEY, "1.29", "1.29", 3);
    let notes = impatient.metadata.annotations.as_mut().unwrap();
    notes.insert(wire::TIMING.to_owned(), "lease-duration=1s".to_owned());
    let patient = candidate("default/new", KEY, "1.30", "1.30", 3);
    let stage = Stage::with(vec![
        electors(2),
        held(KEY, "old", 4, json!({})),
        impatient,
        patient,
    ])
    .await;
    let screen = stage.screen("doctor --look 10ms").await.replace(['\n', ' '], "");
    assert!(screen.contains("acandidatewaits160.0msforananswer"), "{screen}");
}

#[test]
fn a_clock_that_is_off_is_found_on_the_stamps() {
    let noted = |renewed: i64, seconds_ago: i64| {
        let mut lease = held(KEY, "old", renewed, json!({}));
        let time =
            (crate::stage::now() - k8s_openapi::jiff::SignedDuration::from_secs(seconds_ago)).to_string();
        let entry = json!([{"manager": "old", "operation": "Update", "time": time, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:renewTime": {}}}}]);
        lease.metadata.managed_fields = Some(serde_json::from_value(entry).unwrap());
        lease
    };
    let said = |lease: Lease| {
        let findings = server::stamps(&survey(&[lease]), None);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(said(noted(4, 4)), [""; 0]);
    assert_eq!(
        said(noted(-60, 4)),
        ["whoever renews it has a clock that is 60s ahead of the server's"]
    );
    assert_eq!(
        said(noted(3_600, 4)),
        ["whoever renews it has a clock that is 59m behind the server's"]
    );
    let status = survey(&[noted(3_600, 4)]).one(&KEY.parse().unwrap()).unwrap();
    assert_eq!(
        (status.renewed_seconds_ago, status.state_words().as_str()),
        (Some(4), "Held"),
        "a slow clock makes nobody silent"
    );
    assert_eq!(
        server::own_clock(moment().now.unwrap(), moment().now).severity,
        Severity::Ok
    );
    assert_eq!(
        server::own_clock(moment().now.unwrap(), None).code,
        "ClockUnknown"
    );
}

async fn report(stage: &Stage, args: &str) -> (Value, String) {
    let ended = stage.run(&format!("doctor {args} -o json")).await;
    assert_eq!(ended.stderr, "");
    (serde_json::from_str(&ended.stdout).unwrap(), ended.code)
}

fn finding<'a>(report: &'a Value, code: &str) -> Option<&'a Value> {
    report["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["code"] == code)
}

#[tokio::test]
async fn a_healthy_cluster_is_healthy() {
    let stage = Stage::with(vec![
        electors(2),
        held(KEY, "old", 4, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ])
    .await;
    let (healthy, code) = report(&stage, "").await;
    assert_eq!(code, "0", "{healthy:#}");
    let (_, code) = report(&stage, "--lease-duration 15s --renew-deadline 14s").await;
    assert_eq!(code, "2");
}

/// A service account `sample` of namespace default that may only read leases, and the leases of a candidate.
async fn limited() -> Stage {
    let stage = Stage::with(vec![
        electors(2),
        held(KEY, "old", 4, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ])
    .await;
    let create = async |plane: &ControlPlane, path: &str, body: Value| {
        let request = http::Request::post(path)
            .body(body.to_string().into_bytes())
            .unwrap();
        plane.client().request::<Value>(request).await.unwrap();
    };
    let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch"]}]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({"metadata": {"name": "reader"}, "rules": rules});
    create(&stage.plane, &format!("{rbac}/roles"), role).await;
    let binding = json!({"metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "sample"}]});
    create(&stage.plane, &format!("{rbac}/rolebindings"), binding).await;
    stage
}

const SAMPLE: &str = "system:serviceaccount:default:sample";

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let stage = limited().await;
    let (report, code) = report(
        &stage,
        &format!("--candidate-user {SAMPLE} --elector-user {SAMPLE}"),
    )
    .await;
    assert_eq!(code, "2");
    let missing: Vec<_> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["code"] == "RightsMissing")
        .map(|item| item["message"].as_str().unwrap())
        .collect();
    assert_eq!(missing.len(), 2, "{report:#}");
    assert!(
        missing[1].contains("may not update leases.coordination.k8s.io \"demo\" in namespace default"),
        "{missing:?}"
    );
    assert!(
        missing[0].contains("create, patch events.events.k8s.io in namespace default"),
        "{missing:?}"
    );
    assert!(
        !missing.iter().any(|message| message.contains("list")),
        "{missing:?}"
    );
}

#[tokio::test]
async fn who_may_only_read_is_told_what_cannot_be_told() {
    let stage = limited().await;
    let (report, _) = report(&stage, &format!("--as {SAMPLE} --candidate-user {SAMPLE}")).await;
    let own = finding(&report, "RightsMissing").expect("who asks may not read the electors' lease");
    assert_eq!(own["about"], "you");
    assert!(
        own["message"]
            .as_str()
            .unwrap()
            .contains("in namespace kube-system"),
        "{own}"
    );
    assert!(finding(&report, "RightsUnknown").is_some(), "{report:#}");
}

/// Exactly what artifacts/rbac-people.yaml advises for one namespace.
#[tokio::test]
async fn who_may_look_into_one_namespace_is_not_warned() {
    let stage = limited().await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "vera", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coordinated-election-viewer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "vera"}],
    });
    apply(&stage.plane, &binding.to_string()).await;
    let screen = stage.screen("doctor --as vera").await;
    // What the clocks, and the speed of this machine, come to is another story.
    let notes: Vec<&str> = screen.split_inclusive("\nnote ").collect();
    let notes: String = notes
        .into_iter()
        .filter(|note| !note.contains("ClockOffset"))
        .collect();
    let end = notes.find("\nok ").unwrap();
    insta::assert_snapshot!(&notes[..end]);
    let (_, code) = report(&stage, "--as vera").await;
    assert_eq!(code, "0");
    // Who may not even list Events is told so, and no more than that.
    let (report, code) = report(&stage, &format!("--as {SAMPLE}")).await;
    assert_eq!(code, "0", "{report:#}");
    let advice: Vec<&str> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["about"] == "you")
        .map(|item| item["advice"].as_str().unwrap())
        .collect();
    assert!(
        advice.len() == 2 && advice[1].contains("list events.events.k8s.io in namespace default"),
        "{advice:?}"
    );
}

#[tokio::test]
async fn who_has_the_role_for_the_electors_as_well_is_told_everything() {
    let stage = limited().await;
    let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "vera"}]);
    let roles = [
        ("default", "ClusterRole", "coordinated-election-viewer"),
        ("kube-system", "Role", "coordinated-election-electors-viewer"),
    ];
    for (namespace, kind, role) in roles {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "vera", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": subjects,
        });
        apply(&stage.plane, &binding.to_string()).await;
    }
    let (report, _) = report(&stage, "--as vera").await;
    assert_eq!(finding(&report, "RightsMissing"), None, "{report:#}");
    assert_eq!(finding(&report, "Elector").unwrap()["severity"], "Ok");
}

/// A rolling deployment whose two replicas were given one identity.
#[tokio::test]
async fn a_standby_identity_that_two_processes_share_is_found() {
    let stage = Stage::with(vec![
        electors(2),
        held(KEY, "old", 4, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 3),
        candidate("default/standby", KEY, "1.30", "1.30", 3),
    ])
    .await;
    let leases: Api<Lease> = Api::namespaced(stage.plane.client_as("standby"), "default");
    let taking = async {
        let mut beats = tokio::time::interval(Duration::from_millis(20));
        for number in 1.. {
            beats.tick().await;
            let note = json!({"coordinated-election.io/incarnation": format!("{}", number % 2)});
            let taken = Patch::Merge(json!({"metadata": {"annotations": note}}));
            let params = PatchParams::default();
            leases.patch("standby", &params, &taken).await.unwrap();
        }
    };
    let (report, code) = tokio::select! {
        report = report(&stage, "--look 500ms") => report,
        () = taking => unreachable!("it goes on without end"),
    };
    let found = finding(&report, "IdentityContended").expect("it is seen");
    assert_eq!(
        (found["about"].as_str(), code.as_str()),
        (Some("default/standby"), "2")
    );
}

#[tokio::test]
async fn what_is_well_about_many_is_a_line_and_quiet_counts_it() {
    let mut leases = vec![electors(2)];
    for number in 0..30 {
        let key = format!("default/lease-{number}");
        leases.push(held(&key, &format!("of-{number}"), 4, json!({})));
        leases.push(candidate(
            &format!("default/of-{number}"),
            &key,
            "1.29",
            "1.29",
            3,
        ));
    }
    let stage = Stage::with(leases).await;
    let screen = stage.screen("doctor --look 10ms").await;
    assert!(
        screen.contains("\nok       and 20 more like these (Lease)\n"),
        "{screen}"
    );
    assert_eq!(screen.matches("(Lease)").count(), 11, "{screen}");
    assert!(
        screen.contains("the users of 30 candidates, default/of-0 for one, are not known"),
        "{screen}"
    );
    let passed = |screen: &str| screen.lines().last().unwrap().to_owned();
    let quiet = stage.screen("doctor --look 10ms --quiet").await;
    assert_eq!(passed(&quiet), passed(&screen), "{quiet}");
    assert!(!passed(&quiet).contains(" 0 checks"), "{quiet}");
    let (report, _) = report(&stage, "--look 10ms --quiet").await;
    assert_eq!(report["items"], json!([]));
}

#[tokio::test]
async fn knobs_that_are_given_are_checked_against_the_shortest_lease_that_there_is() {
    let mut short = held(KEY, "old", 1, json!({}));
    short.spec.as_mut().unwrap().lease_duration_seconds = Some(5);
    let stage = Stage::with(vec![
        electors(2),
        short,
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ])
    .await;
    let about = "knobs for the shortest lease (5 s)";
    let (fits, code) = report(&stage, "--look 10ms --renew-deadline 4s").await;
    assert_eq!(code, "0", "{fits:#}");
    assert_eq!(finding(&fits, "Knobs").unwrap()["about"], about);
    let (contradicts, code) = report(&stage, "--look 10ms --renew-deadline 12s").await;
    assert_eq!(code, "2");
    assert_eq!(finding(&contradicts, "KnobsContradict").unwrap()["about"], about);
}

#[tokio::test]
async fn the_service_account_of_a_candidate_is_that_of_its_pod() {
    let stage = limited().await;
    let pod = json!({"metadata": {"name": "pod-1"}, "spec": {"serviceAccountName": "sample",
        "containers": [{"name": "c", "image": "i"}]}});
    let request = http::Request::post("/api/v1/namespaces/default/pods")
        .body(pod.to_string().into_bytes())
        .unwrap();
    let pod: Value = stage.plane.client().request(request).await.unwrap();
    let mut identity = candidate("default/pod-1", KEY, "1.29", "1.29", 3);
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "pod-1", "uid": pod["metadata"]["uid"]}]);
    identity.metadata.owner_references = Some(serde_json::from_value(owner).unwrap());
    put(&stage.plane, identity).await;
    let (report, _) = report(&stage, "").await;
    let about = format!("candidate pod-1 ({SAMPLE})");
    let named = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["about"] == about);
    assert_eq!(named.expect("it is looked up")["severity"], "Problem");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let stage = limited().await;
    let ended = stage.run(&format!("status -A --as {SAMPLE}")).await;
    assert_eq!((ended.code.as_str(), ended.stdout.as_str()), ("1", ""));
    for words in [
        "Error from server (Forbidden): ",
        SAMPLE,
        "cannot list resource \"leases\"",
        "bind a role",
    ] {
        assert!(ended.stderr.contains(words), "{words} in {}", ended.stderr);
    }
    let ended = stage.run(&format!("explain demo --as {SAMPLE}")).await;
    assert_eq!(
        ended.code, "0",
        "who may read leases gets an answer: {}",
        ended.stderr
    );
    assert!(ended.stdout.contains("Elector:   unknown: "), "{}", ended.stdout);
}

/// Without the seconds, of which some pass.
fn timeless(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let next_is_seconds = |at: usize| {
        words
            .get(at + 1)
            .is_some_and(|next| next.trim_end_matches([';', ',', ')']) == "s")
    };
    let word = |(at, word): (usize, &&str)| match word.parse::<f64>() {
        Ok(_) if next_is_seconds(at) => "N".to_owned(),
        _ => (*word).to_owned(),
    };
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

/// How far the day of this test is from that of the fixtures grows.
fn dateless(text: &str) -> String {
    let (before, rest) = text.split_once("the server are ").unwrap();
    let (_, after) = rest.split_once(" apart").unwrap();
    format!("{before}the server are … apart{after}")
}

#[tokio::test]
async fn everything_that_it_says() {
    let mut leases = crate::fixtures::every_state();
    leases.extend(sample());
    let stage = Stage::with(leases).await;
    let (report, _) = report(&stage, "-A --look 10ms").await;
    let line = |item: &Value| {
        let text = |field: &str| item[field].as_str().unwrap_or_default();
        let advice = item["advice"]
            .as_str()
            .map_or_else(String::new, |advice| format!("  do: {advice}\n"));
        let words = format!("{} {}: {}", text("code"), text("about"), text("message"));
        format!("{:<8} {}\n{advice}", text("severity"), timeless(&words))
    };
    // How fast this machine is, and what its clock shows, is another story.
    let items = report["items"].as_array().unwrap().iter();
    let items = items.filter(|item| !["Server", "ClockOffset"].contains(&item["code"].as_str().unwrap()));
    insta::assert_snapshot!("all", items.map(line).collect::<String>());
    let yaml = stage.screen("doctor demo-that-is-not --look 10ms -o yaml").await;
    insta::assert_snapshot!("not_found", yaml);
    let yaml = stage.run("doctor held --look 10ms -o yaml").await.stdout;
    let server = yaml.find("- severity: Ok\n  code: Server").unwrap();
    insta::assert_snapshot!("as_yaml", dateless(&yaml[..server]));
    let json = stage.run("doctor held --look 10ms -o json").await.stdout;
    let server = json.find("      \"code\": \"Server\"").unwrap();
    insta::assert_snapshot!("as_json", dateless(&json[..server]));
}

#[tokio::test]
async fn problems_have_an_exit_code() {
    let stage = Stage::with(crate::fixtures::every_state()).await;
    assert_eq!(stage.run("status --problems").await.code, "2");
    assert_eq!(stage.run("candidates --problems").await.code, "2");
    assert_eq!(stage.run("status --problems -n kube-system").await.code, "0");
    insta::assert_snapshot!(stage.screen("candidates stuck -o wide").await);
}
