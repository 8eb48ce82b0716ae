//! `explain` and `candidates`: the sentences.

use k8s_openapi::api::coordination::v1::Lease;
use kubectl_leases::electors::Electors;
use kubectl_leases::explain::{LeaseExplanation, WhatIf, explain, print};
use serde_json::json;

use crate::fixtures::{candidate, fresh, hand_written, held, offered, ordinary, released, sample, survey};
use crate::stage::Stage;

const KEY: &str = "default/demo";

fn acting() -> Electors {
    Electors::Acting {
        identity: "elector-1".to_owned(),
        renewed_seconds_ago: Some(2),
    }
}

fn explained(leases: &[Lease], key: &str, what_if: &[&str]) -> LeaseExplanation {
    let what_if: Vec<WhatIf> = what_if.iter().map(|text| text.parse().unwrap()).collect();
    explain(&survey(leases), &key.parse().unwrap(), acting(), &what_if)
}

fn text(explained: &LeaseExplanation) -> String {
    let mut out = Vec::new();
    print(&mut out, explained).unwrap();
    String::from_utf8(out).unwrap()
}

fn pair() -> [Lease; 2] {
    [
        candidate("default/new", KEY, "1.30", "1.30", 3),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ]
}

/// One lease beside two live candidates: who leads in the end, after how long, and what happens until then.
fn check(lease: Option<Lease>, leader: Option<&str>, after: Option<u64>, happenings: &[&str]) {
    let leases: Vec<Lease> = lease.into_iter().chain(pair()).collect();
    let next = explained(&leases, KEY, &[]).next;
    let firsts: Vec<String> = next
        .happenings
        .iter()
        .map(|happening| happening.message.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        (next.leader.as_deref(), next.leads_after_seconds),
        (leader, after),
        "{firsts:#?}"
    );
    assert_eq!(firsts, happenings);
}

const TAKEN: &[&str] = &["the elector offers the lease to old", "old accepts, and leads"];

#[test]
fn what_happens_next_is_played_to_its_end() {
    let nominated = json!({"coordinated-election.io/preferred-holder": "old"});
    let ending = json!({
        "coordinated-election.io/preferred-holder": "old",
        "coordination.k8s.io/end-of-term": "true",
    });
    let handover = [
        "the elector nominates old",
        "old asks new to give way (end of term)",
        "new stops its work and hands the lease over to old",
        "old accepts, and leads",
    ];
    let held = |holder, renewed, more| Some(held(KEY, holder, renewed, more));
    check(held("old", 4, json!({})), Some("old"), None, &[]);
    check(held("new", 4, json!({})), Some("old"), Some(0), &handover);
    check(held("new", 4, nominated), Some("old"), Some(0), &handover[1..]);
    check(held("new", 4, ending), Some("old"), Some(0), &handover[2..]);
    check(held("new", 40, json!({})), Some("old"), Some(0), TAKEN);
    check(Some(released(KEY, 60)), Some("old"), Some(0), TAKEN);
    check(Some(fresh(KEY)), Some("old"), Some(0), TAKEN);
    check(Some(offered(KEY, "old", 0)), Some("old"), Some(0), &TAKEN[1..]);
    check(Some(ordinary(KEY, "somebody", 4)), Some("somebody"), None, &[]);
    let create = ["the elector creates the lease", TAKEN[0], TAKEN[1]];
    check(None, Some("old"), Some(0), &create);
}

fn then<'a>(explained: &'a LeaseExplanation, when: &str) -> &'a str {
    let change = explained
        .changes
        .iter()
        .find(|change| change.when.starts_with(when));
    &change
        .unwrap_or_else(|| panic!("{when} in {:#?}", explained.changes))
        .then
}

#[test]
fn what_would_change_it_is_said() {
    let [new, old] = pair();
    let held_by_old = held(KEY, "old", 4, json!({}));
    let explained = explained(&[held_by_old, new, old], KEY, &[]);
    assert_eq!(then(&explained, "old crashes"), "new leads after 11s");
    assert_eq!(
        then(&explained, "old is told to stop"),
        "new leads, when the work has stopped: within 14s at worst"
    );
    assert_eq!(
        then(
            &explained,
            "somebody better than emulation 1.29, binary 1.29 joins"
        ),
        "it is nominated, and leads when old has stopped"
    );
}

#[test]
fn who_has_crashed_leads_no_more_though_nobody_follows() {
    let alone = [
        held(KEY, "old", 4, json!({})),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ];
    let explained = explained(&alone, KEY, &[]);
    assert_eq!(
        then(&explained, "old crashes"),
        "nobody leads: nobody offers itself for this lease"
    );
    assert_eq!(explained.next.leader.as_deref(), Some("old"));
}

#[test]
fn a_dead_candidate_that_would_lead_is_pointed_at() {
    let leases = [
        held(KEY, "new", 4, json!({})),
        candidate("default/new", KEY, "1.30", "1.30", 3),
        candidate("default/old", KEY, "1.29", "1.29", 400),
        candidate("default/worse", KEY, "1.31", "1.31", 400),
    ];
    let explained = explained(&leases, KEY, &[]);
    let of = |identity: &str| {
        let why = explained.candidates.iter().find(|why| why.identity == identity);
        why.unwrap().message.clone()
    };
    assert_eq!(of("old"), "not live: silent for 400 s; ALIVE IT WOULD LEAD");
    assert_eq!(
        of("worse"),
        "not live: silent for 400 s; it would not lead if it lived"
    );
    assert_eq!(then(&explained, "old comes back"), "old leads");
}

#[test]
fn a_candidate_that_does_not_exist_can_be_supposed() {
    let [new, old] = pair();
    let leases = [held(KEY, "old", 4, json!({})), new, old];
    let leader = |what_if: &[&str]| explained(&leases, KEY, what_if).next.leader.unwrap();
    assert_eq!(leader(&["x=1.28"]), "x");
    assert_eq!(leader(&["x=1.29"]), "old", "among equals the incumbent stays");
    assert_eq!(leader(&["x=1.30/1.28"]), "x", "the emulation version decides");
    assert_eq!(
        leader(&["old=gone"]),
        "new",
        "a holder that offers itself no more is worse than any"
    );
    assert_eq!(leader(&["new=1.28"]), "new", "a candidate with another version");
    for bad in ["x", "=1.28", "x=latest", "x=1.28/"] {
        assert!(bad.parse::<WhatIf>().is_err(), "{bad}");
    }
}

#[test]
fn hand_written_candidates_wait_for_a_hand() {
    let leases = [released(KEY, 60), hand_written("default/paper", KEY, "1.29")];
    let next = explained(&leases, KEY, &[]).next;
    assert_eq!(next.leader, None);
    assert!(next.rest.contains("hand-written"), "{}", next.rest);
}

#[tokio::test]
async fn suppositions_that_make_no_sense_are_refused() {
    let [new, old] = pair();
    let stage = Stage::with(vec![held(KEY, "old", 4, json!({})), new, old]).await;
    let mut screens = String::new();
    for args in [
        "explain demo --what-if zulu=gone",
        "explain demo --what-if demo=1.1",
        "explain demo --what-if Zulu=1.1",
        "explain typo --what-if zulu=1.28",
        "explain old --what-if zulu=1.28",
    ] {
        screens += &stage.screen(args).await;
        screens.push('\n');
    }
    insta::assert_snapshot!(screens);
    // What was supposed before is there.
    let ended = stage
        .run("explain demo --what-if zulu=1.28 --what-if zulu=gone")
        .await;
    assert_eq!(ended.code, "0", "{}", ended.stderr);
}

#[tokio::test]
async fn what_if_and_as_of_are_the_same() {
    let [new, old] = pair();
    let stage = Stage::with(vec![held(KEY, "old", 4, json!({})), new, old]).await;
    let leads = async |flag: &str| {
        let args = format!("explain demo {flag} zulu=1.28 -o json");
        let ended = stage.run(&args).await;
        assert_eq!(ended.code, "0", "{}", ended.stderr);
        let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        json["next"]["leader"].clone()
    };
    assert_eq!(leads("--what-if").await, "zulu");
    assert_eq!(leads("--as-of").await, "zulu");
    let help = stage.run("explain --help").await.stdout;
    assert!(help.contains("--as-of"), "{help}");
}

#[tokio::test]
async fn an_explanation_for_machines() {
    let [new, old] = pair();
    let stage = Stage::with(vec![held(KEY, "new", 4, json!({})), new, old]).await;
    let explained = stage.screen("explain demo --what-if old=gone -o yaml").await;
    // The time goes on by fractions of a second.
    let steady: Vec<&str> = explained
        .lines()
        .filter(|line| !line.contains("  time: "))
        .collect();
    insta::assert_snapshot!(steady.join("\n"));
}

#[test]
fn a_healthy_lease_explained() {
    insta::assert_snapshot!(text(&explained(&sample(), "kube-system/sample-controller", &[])));
}

#[test]
fn a_supposed_candidate_explained() {
    let explained = explained(&sample(), "kube-system/sample-controller", &["canary=1.28"]);
    insta::assert_snapshot!(text(&explained));
}

#[test]
fn an_ordinary_holder_explained() {
    let [new, old] = pair();
    insta::assert_snapshot!(text(&explained(
        &[ordinary(KEY, "somebody", 4), new, old],
        KEY,
        &[]
    )));
}
