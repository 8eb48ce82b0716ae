//! What is said about each state of a lease.

use kubectl_leases::view::LeaseStatus;
use serde_json::json;

use crate::fixtures::{
    blanked, candidate, deleting, fresh, hand_written, held, noted, noted_leases, offered, ordinary,
    released, sample, survey,
};
use k8s_openapi::api::coordination::v1::Lease;

const KEY: &str = "default/demo";

fn status(leases: &[Lease]) -> LeaseStatus {
    survey(leases)
        .one(&KEY.parse().unwrap())
        .expect("somebody knows the lease")
}

/// One lease beside two live candidates: its state, and the decision with its reason.
fn check(lease: Option<Lease>, state: &str, decision: &str, reason: &str) {
    let candidates = [
        candidate("default/new", KEY, "1.30", "1.30", 3),
        candidate("default/old", KEY, "1.29", "1.29", 3),
    ];
    let leases: Vec<Lease> = lease.into_iter().chain(candidates).collect();
    let status = status(&leases);
    let found = (
        status.state_words(),
        status.decision.message.as_str(),
        status.reason.code,
    );
    assert_eq!(
        found,
        (state.to_owned(), decision, reason),
        "{}",
        status.reason.message
    );
}

#[test]
fn each_state_has_its_words_and_its_reason() {
    let nominated = json!({"coordinated-election.io/preferred-holder": "old"});
    let ending = json!({
        "coordinated-election.io/preferred-holder": "old",
        "coordination.k8s.io/end-of-term": "true",
    });
    check(None, "Missing,Unattended", "create the lease", "Missing");
    check(Some(fresh(KEY)), "Fresh,Unattended", "offer to old", "Vacant");
    check(Some(released(KEY, 1)), "Released", "offer to old", "Vacant");
    check(
        Some(released(KEY, 60)),
        "Released,Unattended",
        "offer to old",
        "Vacant",
    );
    check(Some(blanked(KEY, 1)), "Blanked", "wait", "QuietTime");
    check(Some(blanked(KEY, 40)), "Blanked", "offer to old", "Vacant");
    check(Some(offered(KEY, "old", 0)), "Offered", "wait", "AcceptWindow");
    check(
        Some(offered(KEY, "old", 9)),
        "Offered,Unanswered",
        "offer to new",
        "NotAccepted",
    );
    check(
        Some(held(KEY, "old", 4, json!({}))),
        "Held",
        "keep the holder",
        "HolderIsBest",
    );
    check(
        Some(held(KEY, "new", 4, json!({}))),
        "Held",
        "nominate old",
        "Better",
    );
    check(
        Some(held(KEY, "new", 4, nominated)),
        "Held,Nominated",
        "keep the holder",
        "Nominated",
    );
    let asked = |ending, seconds| noted(ending, "coordination.k8s.io/end-of-term", seconds);
    for (ending, state) in [
        (held(KEY, "new", 4, ending.clone()), "Held,Ending"),
        (asked(held(KEY, "new", 4, ending.clone()), 14), "Held,Ending"),
        (
            asked(held(KEY, "new", 4, ending.clone()), 16),
            "Held,Ending,Overdue",
        ),
    ] {
        check(Some(ending), state, "keep the holder", "EndOfTerm");
    }
    let expired = asked(held(KEY, "new", 16, ending), 16);
    check(Some(expired), "Held,Expired", "offer to old", "Expired");
    check(
        Some(held(KEY, "new", 40, json!({}))),
        "Held,Expired",
        "offer to old",
        "Expired",
    );
    check(
        Some(held(KEY, "new", 60, json!({}))),
        "Held,Expired,Unattended",
        "offer to old",
        "Expired",
    );
    check(
        Some(ordinary(KEY, "somebody", 4)),
        "Held,OrdinaryHolder",
        "leave alone",
        "OrdinaryHolder",
    );
    check(
        Some(deleting(held(KEY, "new", 4, json!({})), 600)),
        "Held,Deleting",
        "nominate old",
        "Better",
    );
}

#[test]
fn a_hold_counts_from_when_it_was_asked_for() {
    let hold = json!({"coordinated-election.io/hold": "60s asked by alice"});
    let state = |lease: Lease, asked: i64| {
        let lease = noted(lease, "coordinated-election.io/hold", asked);
        let candidates = [
            candidate("default/new", KEY, "1.30", "1.30", 3),
            candidate("default/old", KEY, "1.29", "1.29", 3),
        ];
        status(&[&[lease][..], &candidates].concat()).state_words()
    };
    let held = |renewed| held(KEY, "new", renewed, hold.clone());
    // Before the last renewal, and after it.
    assert_eq!(state(held(4), 59), "Held,OnHold");
    assert_eq!(state(held(4), 61), "Held");
    assert_eq!(state(held(14), 1), "Held,OnHold");
    let with_hold = |mut lease: Lease| {
        let notes = lease.metadata.annotations.as_mut().unwrap();
        notes.insert(
            "coordinated-election.io/hold".to_owned(),
            "60s asked by alice".to_owned(),
        );
        lease
    };
    for (lease, standing, over) in [
        (released(KEY, 1), "Released,OnHold", "Released"),
        (blanked(KEY, 1), "Blanked,OnHold", "Blanked"),
        (fresh(KEY), "Fresh,OnHold,Unattended", "Fresh,Unattended"),
    ] {
        assert_eq!(state(with_hold(lease.clone()), 59), standing);
        assert_eq!(state(with_hold(lease), 61), over);
    }
}

#[test]
fn a_lease_without_a_live_candidate_is_stuck() {
    let dead = candidate("default/old", KEY, "1.29", "1.29", 400);
    let stuck = status(&[released(KEY, 60), dead]);
    assert_eq!(
        (stuck.state_words().as_str(), stuck.counts()),
        ("Released,Stuck", (0, 1))
    );
    assert_eq!(stuck.reason.code, "NoElectableCandidate");
}

#[test]
fn an_offer_to_a_hand_written_candidate_waits_for_a_hand() {
    let waiting = status(&[
        offered(KEY, "paper", 60),
        hand_written("default/paper", KEY, "1.29"),
    ]);
    assert_eq!(
        (waiting.state_words().as_str(), waiting.reason.code),
        ("Offered,Unanswered", "HandWrittenOffer")
    );
    assert!(waiting.candidates[0].hand_written);
}

#[test]
fn only_leases_that_take_part_are_coordinated() {
    let names = |leases: &[Lease]| {
        survey(leases)
            .coordinated()
            .into_iter()
            .map(|status| status.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[ordinary(KEY, "somebody", 4)]), [""; 0]);
    assert_eq!(names(&[released(KEY, 4)]), ["demo"], "an elector has granted it");
    assert_eq!(
        names(&[candidate("default/old", KEY, "1.29", "1.29", 3)]),
        ["demo"],
        "somebody wants it"
    );
    let foreign = candidate("default/old", "kube-system/demo", "1.29", "1.29", 3);
    assert_eq!(
        names(std::slice::from_ref(&foreign)),
        [""; 0],
        "nobody leads another namespace"
    );
    assert!(survey(&[foreign]).warnings()[0].contains("which is in another namespace"));
}

#[test]
fn without_a_time_nobody_counts_as_silent() {
    use election_core::Strategy;
    use kubectl_leases::moment::{Moment, TimeSource};
    use kubectl_leases::survey::Survey;
    let timeless = Moment {
        now: None,
        source: TimeSource::Unknown,
    };
    let status = Survey::new(&noted_leases(&sample()), timeless, Strategy::default())
        .one(&"kube-system/sample-controller".parse().unwrap())
        .unwrap();
    assert_eq!(
        (
            status.renewed_seconds_ago,
            status.expires_in_seconds,
            status.age_seconds
        ),
        (None, None, None)
    );
    assert_eq!(status.state_words(), "Held");
    assert_eq!(
        status.counts(),
        (4, 5),
        "only the one with the unreadable version cannot lead"
    );
}

#[test]
fn a_strategy_that_is_none_is_said() {
    let odd = held(
        KEY,
        "old",
        4,
        json!({"coordinated-election.io/strategy": "Fastest"}),
    );
    let warnings = survey(&[odd]).warnings();
    assert_eq!(
        warnings,
        ["lease default/demo asks for \"Fastest\", which is no strategy"]
    );
}
