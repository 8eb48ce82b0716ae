//! Leases at one moment: 2026-05-01T12:00:00Z by the server's time.

use election_core::{Strategy, Timing, Wall};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kubectl_leases::moment::{Moment, TimeSource};
use kubectl_leases::noted::NotedLease;
use kubectl_leases::survey::Survey;
use serde_json::{Value, json};

pub(crate) const NOW: &str = "2026-05-01T12:00:00Z";

fn ago(seconds: i64) -> String {
    let now: Timestamp = NOW.parse().unwrap();
    format!("{:.6}", now - SignedDuration::from_secs(seconds))
}

pub(crate) fn moment() -> Moment {
    let now: Timestamp = NOW.parse().unwrap();
    Moment {
        now: Some(Wall::from_micros(now.as_microsecond())),
        source: TimeSource::ServerDate,
    }
}

pub(crate) fn survey(leases: &[Lease]) -> Survey {
    Survey::new(&noted_leases(leases), moment(), Strategy::default())
}

pub(crate) fn noted_leases(leases: &[Lease]) -> Vec<NotedLease> {
    leases.iter().cloned().map(NotedLease::from).collect()
}

fn lease(key: &str, version: u32, annotations: Value, spec: Value) -> Lease {
    let (namespace, name) = key.split_once('/').unwrap();
    serde_json::from_value(json!({
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": format!("uid-of-{name}"),
            "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-05-01T09:00:00Z",
            "annotations": annotations,
        },
        "spec": spec,
    }))
    .unwrap()
}

/// A candidate that is a process, renewed so many seconds ago.
pub(crate) fn candidate(key: &str, leads: &str, emulation: &str, binary: &str, renewed: i64) -> Lease {
    let annotations = json!({
        "coordination.k8s.io/can-lead-leases": leads,
        "coordination.k8s.io/binary-version": binary,
        "coordination.k8s.io/compatibility-version": emulation,
        "coordinated-election.io/incarnation": "1",
        "coordinated-election.io/timing": Timing::default().to_string(),
    });
    let name = key.split_once('/').unwrap().1;
    let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 180, "renewTime": ago(renewed)});
    lease(key, 100, annotations, spec)
}

/// A candidate that somebody wrote by hand.
pub(crate) fn hand_written(key: &str, leads: &str, version: &str) -> Lease {
    let annotations = json!({
        "coordination.k8s.io/can-lead-leases": leads,
        "coordination.k8s.io/binary-version": version,
        "coordination.k8s.io/compatibility-version": version,
    });
    lease(
        key,
        101,
        annotations,
        json!({"holderIdentity": key.split_once('/').unwrap().1}),
    )
}

fn elected(more: Value) -> Value {
    let mut annotations = json!({"coordination.k8s.io/elected-by": "leader-election-controller"});
    annotations
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    annotations
}

/// A leader lease, held and renewed so many seconds ago.
pub(crate) fn held(key: &str, holder: &str, renewed: i64, more: Value) -> Lease {
    let mut annotations = elected(json!({"coordinated-election.io/incarnation": "1"}));
    annotations
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let spec = json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "leaseTransitions": 3,
        "acquireTime": ago(900),
        "renewTime": ago(renewed),
    });
    lease(key, 4711, annotations, spec)
}

/// A leader lease without holder, last written so many seconds ago by a release.
pub(crate) fn released(key: &str, ago_seconds: i64) -> Lease {
    let spec = json!({"leaseDurationSeconds": 15, "leaseTransitions": 7, "renewTime": ago(ago_seconds)});
    lease(key, 4712, elected(json!({})), spec)
}

/// A leader lease that nobody ever held.
pub(crate) fn fresh(key: &str) -> Lease {
    lease(
        key,
        4713,
        elected(json!({})),
        json!({"leaseDurationSeconds": 15, "leaseTransitions": 0}),
    )
}

/// A leader lease whose holder was removed by a client-go process that came back late.
pub(crate) fn blanked(key: &str, renewed: i64) -> Lease {
    let mut lease = held(key, "", renewed, json!({}));
    lease.spec.as_mut().unwrap().holder_identity = Some(String::new());
    lease
}

/// A leader lease that is offered, since so many seconds.
pub(crate) fn offered(key: &str, to: &str, since: i64) -> Lease {
    let spec = json!({"holderIdentity": to, "leaseDurationSeconds": 15, "leaseTransitions": 0});
    let mut lease = lease(key, 4714, elected(json!({})), spec);
    let written = json!([{"manager": "election-controller", "operation": "Update", "time": ago(since)}]);
    lease.metadata.managed_fields = Some(serde_json::from_value(written).unwrap());
    lease
}

/// The same lease, with an annotation that somebody wrote so many seconds ago, as the server has noted it.
pub(crate) fn noted(mut lease: Lease, annotation: &str, seconds_ago: i64) -> Lease {
    let fields = json!({"f:metadata": {"f:annotations": {format!("f:{annotation}"): {}}}});
    let entry = json!([{"manager": "asker", "operation": "Update", "time": ago(seconds_ago),
        "apiVersion": "coordination.k8s.io/v1", "fieldsType": "FieldsV1", "fieldsV1": fields}]);
    lease.metadata.managed_fields = Some(serde_json::from_value(entry).unwrap());
    lease
}

/// The same lease, deleted so many seconds ago and kept by a finalizer.
pub(crate) fn deleting(mut lease: Lease, seconds_ago: i64) -> Lease {
    lease.metadata.deletion_timestamp = Some(serde_json::from_value(json!(ago(seconds_ago))).unwrap());
    lease.metadata.finalizers = Some(vec!["example.com/archive".to_owned()]);
    lease
}

/// A lease of an ordinary client, as client-go writes it.
pub(crate) fn ordinary(key: &str, holder: &str, renewed: i64) -> Lease {
    let mut lease = held(key, holder, renewed, json!({}));
    lease.metadata.annotations = None;
    lease
}

/// One lease with every kind of candidate.
pub(crate) fn sample() -> Vec<Lease> {
    let leads = "kube-system/sample-controller";
    vec![
        held("kube-system/sample-controller", "bravo", 4, json!({})),
        candidate("kube-system/alpha", leads, "1.30", "1.30", 12),
        candidate("kube-system/bravo", leads, "1.29", "1.30", 20),
        candidate("kube-system/charlie", leads, "1.29", "1.29", 400),
        candidate("kube-system/delta", leads, "latest", "1.29", 8),
        hand_written("kube-system/echo", leads, "1.28"),
    ]
}

/// A cluster with something of everything.
pub(crate) fn cluster() -> Vec<Lease> {
    let mut leases = sample();
    leases.extend([
        candidate("default/new", "default/demo", "1.29", "1.29", 3),
        candidate("default/old", "default/demo", "1.30", "1.30", 3),
        held(
            "default/demo",
            "old",
            2,
            json!({"coordinated-election.io/preferred-holder": "new"}),
        ),
        hand_written("default/paper", "default/paperwork", "1.29"),
        offered("default/paperwork", "paper", 90),
        released("default/nobody-wants-it", 60),
        ordinary("default/ordinary", "somebody", 5),
        held("kube-node-lease/node-1", "node-1", 5, json!({})),
    ]);
    leases.last_mut().unwrap().metadata.annotations = None;
    leases
}

/// The lease of the electors, renewed so many seconds ago.
pub(crate) fn electors(renewed: i64) -> Lease {
    ordinary(
        "kube-system/coordinated-election-controller",
        "elector-1",
        renewed,
    )
}

/// A lease in every state, and in every remarkable one, beside candidates of 1.29 and 1.30 (`old` and `new`).
pub(crate) fn every_state() -> Vec<Lease> {
    let nominated = json!({"coordinated-election.io/preferred-holder": "old"});
    let ending = json!({
        "coordinated-election.io/preferred-holder": "old",
        "coordination.k8s.io/end-of-term": "true",
    });
    let asked = |what: &str, value: &str| json!({format!("coordinated-election.io/{what}"): format!("{value} asked by alice")});
    let states = [
        held("default/held", "old", 4, json!({})),
        held("default/nominated", "new", 4, nominated),
        held("default/ending", "new", 4, ending.clone()),
        noted(
            held("default/overdue", "new", 4, ending),
            "coordination.k8s.io/end-of-term",
            60,
        ),
        held("default/expired", "new", 20, json!({})),
        held("default/unattended", "new", 60, json!({})),
        ordinary("default/ordinary", "client-go-7", 4),
        offered("default/offered", "old", 0),
        offered("default/unanswered", "old", 20),
        released("default/released", 1),
        fresh("default/fresh"),
        blanked("default/blanked", 1),
        held("default/on-hold", "new", 4, asked("hold", "7200s")),
        held("default/pinned", "new", 4, asked("pin", "new")),
        held("default/stepping-down", "old", 4, asked("step-down", "old/1")),
        deleting(held("default/under-deletion", "old", 4, json!({})), 600),
    ];
    let keys: Vec<String> = states
        .iter()
        .map(|lease| format!("default/{}", lease.metadata.name.as_deref().unwrap()))
        .chain(["default/missing".to_owned()])
        .collect();
    let all = keys.join(",");
    let mut leases = vec![
        electors(2),
        candidate("default/old", &all, "1.29", "1.29", 3),
        candidate("default/new", &all, "1.30", "1.30", 3),
        candidate("default/dead", "default/stuck", "1.29", "1.29", 400),
        released("default/stuck", 60),
    ];
    leases.extend(states);
    leases
}
