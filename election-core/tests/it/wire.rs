//! Records to objects and back: nothing that is ours is lost, and nothing that is not ours is touched.

use std::collections::BTreeMap;
use std::time::Duration;

use election_core::{
    Identity, IdentityLease, Item, LeaderLease, LeaseCreate, LeaseKey, LeaseSeconds, LeaseWrite, Record,
    Revision, Timing, Uid, Versions, Wall, WriteKind, wire,
};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn name() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,20}[a-z0-9])?"
}

fn record() -> impl Strategy<Value = Record> {
    let wall = || prop::option::of((0i64..4_000_000_000_000_000).prop_map(Wall::from_micros));
    (
        (
            prop::option::of(name()),
            wall(),
            wall(),
            prop::option::of(1u32..100_000),
        ),
        (
            0u32..2_000_000_000,
            prop::option::of(name()),
            any::<bool>(),
            prop::option::of(name()),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                (holder, renew, acquire, duration),
                (transitions, incarnation, end_of_term, preferred, elected),
            )| {
                Record {
                    holder: holder.map(Identity::from),
                    renew_time: renew,
                    acquire_time: acquire,
                    duration: duration.and_then(LeaseSeconds::new),
                    transitions,
                    incarnation: incarnation.map(Into::into),
                    end_of_term,
                    preferred_holder: preferred.map(Identity::from),
                    elected,
                }
            },
        )
}

fn foreign() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("example\\.com/[a-z]{1,8}", ".{0,12}", 0..4)
}

fn base(notes: BTreeMap<String, String>, labels: BTreeMap<String, String>) -> Lease {
    Lease {
        metadata: ObjectMeta {
            namespace: Some("default".to_owned()),
            name: Some("demo".to_owned()),
            uid: Some("uid-1".to_owned()),
            resource_version: Some("7".to_owned()),
            annotations: Some(notes),
            labels: Some(labels),
            finalizers: Some(vec!["example.com/keep".to_owned()]),
            owner_references: Some(vec![OwnerReference {
                name: "owner".to_owned(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            strategy: Some("Foreign".to_owned()),
            ..LeaseSpec::default()
        }),
    }
}

fn write(record: Record) -> LeaseWrite {
    LeaseWrite {
        kind: WriteKind::Offer,
        key: LeaseKey::new("default", "demo"),
        uid: Uid::new("uid-1"),
        base: Revision::new("7"),
        record,
    }
}

/// What the text of an object says.
fn read_text(lease: &Lease) -> Option<Item> {
    let text = serde_json::to_string(lease).expect("an object has a text");
    wire::read_text(&text).expect("the text is of an object")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_record_survives_the_wire(record in record(), before in record(), notes in foreign(), labels in foreign()) {
        let base = base(notes.clone(), labels.clone());
        // What stood there before leaves no trace, except that a lease which was elected stays marked.
        let stale = wire::update(&base, &write(Record { elected: false, ..before }));
        let mut stale = stale;
        (stale.metadata.uid, stale.metadata.resource_version) = (Some("uid-0".to_owned()), Some("6".to_owned()));
        let written = wire::update(&stale, &write(record.clone()));
        let read = wire::read_leader(&written).expect("a lease with an address");
        prop_assert_eq!(&read.record, &record);
        prop_assert_eq!(read_text(&written), wire::read(&written));
        prop_assert_eq!((read.uid, read.revision), (Uid::new("uid-1"), Revision::new("7")));
        for (key, value) in &notes {
            prop_assert_eq!(written.metadata.annotations.as_ref().and_then(|notes| notes.get(key)), Some(value));
        }
        prop_assert_eq!(&written.metadata.labels, &Some(labels));
        prop_assert_eq!(&written.metadata.finalizers, &base.metadata.finalizers);
        prop_assert_eq!(&written.metadata.owner_references, &base.metadata.owner_references);
        prop_assert_eq!(written.spec.and_then(|spec| spec.strategy), Some("Foreign".to_owned()));
    }

    #[test]
    fn no_annotation_makes_reading_panic(
        offer in any::<String>(), binary in any::<String>(), emulation in any::<String>(), holder in any::<String>(),
        strategy in any::<String>(), seconds in any::<i32>(), is_identity in any::<bool>(),
    ) {
        let mut notes = BTreeMap::from([
            (wire::BINARY_VERSION.to_owned(), binary),
            (wire::COMPATIBILITY_VERSION.to_owned(), emulation),
            (wire::STRATEGY.to_owned(), strategy.clone()),
        ]);
        if is_identity {
            notes.insert(wire::CAN_LEAD_LEASES.to_owned(), offer);
        }
        let mut lease = base(notes, BTreeMap::new());
        let spec = lease.spec.get_or_insert_default();
        (spec.holder_identity, spec.lease_duration_seconds) = (Some(holder), Some(seconds));
        prop_assert_eq!(read_text(&lease), wire::read(&lease));
        match wire::read(&lease) {
            Some(Item::Identity(identity)) => {
                prop_assert!(is_identity);
                prop_assert!(identity.leads.iter().all(|key| key.namespace() == "default" && key.name() != "demo"));
            }
            Some(Item::Leader(LeaderLease { strategy: read, .. })) => {
                prop_assert!(!is_identity);
                prop_assert_eq!(read.is_some(), !strategy.is_empty());
            }
            None => prop_assert!(false, "every lease has an address"),
        }
    }
}

/// The first word counts; the rest is for people.
#[test]
fn controls_are_read_and_carried_over() {
    let notes = [
        (wire::HOLD, "7200s by alice"),
        (wire::PIN, "bravo by alice: the others leak"),
        (wire::STEP_DOWN, "alpha/i-1 by bob"),
        (wire::STEP_DOWN_TO, "bravo"),
    ];
    let notes: BTreeMap<_, _> = notes
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let lease = base(notes.clone(), BTreeMap::new());
    let controls = *wire::read_leader(&lease)
        .expect("a lease")
        .controls
        .expect("controls");
    let hold = controls.hold().expect("a hold").length();
    assert_eq!(hold, Some(Duration::from_secs(7200)));
    assert_eq!(controls.pin, Some("bravo".into()));
    assert_eq!(
        controls.step_down().map(ToString::to_string).as_deref(),
        Some("alpha/i-1")
    );
    assert_eq!(controls.step_down_to, Some("bravo".into()));
    assert_eq!(read_text(&lease), wire::read(&lease));
    let after = wire::update(&lease, &write(Record::default()))
        .metadata
        .annotations;
    let after = after.expect("annotations");
    assert!(
        notes.iter().all(|(key, value)| after.get(key) == Some(value)),
        "{after:?}"
    );
}

#[test]
fn nothing_is_asked_for_by_nothing() {
    for empty in ["", "  "] {
        let notes = [wire::HOLD, wire::PIN, wire::STEP_DOWN, wire::STEP_DOWN_TO]
            .map(|key| (key.to_owned(), empty.to_owned()));
        let lease = base(notes.into(), BTreeMap::new());
        assert_eq!(
            wire::read_leader(&lease).expect("a lease").controls,
            None,
            "{empty:?}"
        );
    }
}

#[test]
fn an_offer_names_leases_of_its_own_namespace_only() {
    let check = |offer: &str, leads: &[&str], refused: &[&str]| {
        let lease = base(
            BTreeMap::from([(wire::CAN_LEAD_LEASES.to_owned(), offer.to_owned())]),
            BTreeMap::new(),
        );
        let Some(Item::Identity(identity)) = wire::read(&lease) else {
            panic!("{offer:?} is an offer")
        };
        let named: Vec<_> = identity.leads.iter().map(ToString::to_string).collect();
        let codes: Vec<_> = identity
            .refused
            .iter()
            .map(election_core::Refusal::code)
            .collect();
        assert_eq!(
            (named.as_slice(), codes.as_slice()),
            (leads.map_strings().as_slice(), refused),
            "{offer:?}"
        );
    };
    check("default/a", &["default/a"], &[]);
    check(
        "default/a, default/b,default/a,",
        &["default/a", "default/b"],
        &[],
    );
    check("", &[], &[]);
    check("kube-system/a,default/b", &["default/b"], &["OtherNamespace"]);
    check("default/demo", &[], &["NeverALeaderLease"]);
    // Also for a reserved lease of its own namespace, which the elector would ignore without a word.
    let mut reserved = base(
        notes(&[(
            wire::CAN_LEAD_LEASES,
            "kube-system/coordinated-election-controller",
        )]),
        BTreeMap::new(),
    );
    reserved.metadata.namespace = Some("kube-system".to_owned());
    let read = wire::read_identity(&reserved).expect("an address");
    assert_eq!(
        (read.leads.len(), read.refused[0].code()),
        (0, "NeverALeaderLease")
    );
    check("a,default/b/c,/,default/", &[], &["LeaseUnreadable"; 4]);
}

fn notes(notes: &[(&str, &str)]) -> BTreeMap<String, String> {
    notes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// An identity lease as a person writes it, key by key.
fn hand_written(change: impl FnOnce(&mut Lease)) -> IdentityLease {
    let mut lease = base(
        notes(&[
            ("coordination.k8s.io/can-lead-leases", "default/a"),
            ("coordination.k8s.io/binary-version", "1.30"),
            ("coordination.k8s.io/compatibility-version", "1.29"),
        ]),
        BTreeMap::new(),
    );
    lease.spec.get_or_insert_default().holder_identity = Some("demo".to_owned());
    change(&mut lease);
    match wire::read(&lease) {
        Some(Item::Identity(identity)) => identity,
        other => panic!("an identity lease, not {other:?}"),
    }
}

/// The keys of the prototype are written out here: an identity lease that somebody keeps in a file must not change.
#[test]
fn a_hand_written_identity_lease_is_a_candidate() {
    let identity = hand_written(|_| ());
    let versions = identity.versions.expect("it says its versions");
    assert_eq!(
        (versions.binary.as_str(), versions.emulation.as_str()),
        ("1.30", "1.29")
    );
    assert_eq!(identity.leads, [LeaseKey::new("default", "a")]);
    assert_eq!((identity.incarnation, identity.renew_time), (None, None));
    assert_eq!(identity.duration.get(), 180);
    assert!(!identity.owned_by_pod);
}

#[test]
fn what_is_wrong_with_an_identity_lease_is_said() {
    let check = |code: &str, change: fn(&mut Lease)| {
        let refusal = hand_written(change).versions.expect_err(code);
        assert_eq!(refusal.code(), code);
    };
    check("NameIsNotHolder", |lease| {
        lease.spec.get_or_insert_default().holder_identity = Some("another".to_owned());
    });
    check("NameIsNotHolder", |lease| lease.spec = None);
    check("VersionMissing", |lease| {
        lease
            .metadata
            .annotations
            .get_or_insert_default()
            .remove("coordination.k8s.io/binary-version");
    });
    check("VersionUnreadable", |lease| {
        lease.metadata.annotations.get_or_insert_default().insert(
            "coordination.k8s.io/compatibility-version".to_owned(),
            "latest".to_owned(),
        );
    });
}

#[test]
fn an_identity_lease_tells_its_age_and_its_owner() {
    let pod = hand_written(|lease| {
        lease.metadata.owner_references = Some(vec![OwnerReference {
            kind: "Pod".to_owned(),
            ..OwnerReference::default()
        }]);
        let at = Timestamp::from_second(1_700_000_000).expect("a time");
        lease.metadata.creation_timestamp = Some(Time(at));
    });
    assert!(pod.owned_by_pod);
    assert_eq!(pod.created, Some(Wall::from_micros(1_700_000_000_000_000)));
    let other = hand_written(|lease| {
        lease
            .metadata
            .annotations
            .get_or_insert_default()
            .insert("coordinated-election.io/incarnation".to_owned(), String::new());
    });
    assert_eq!((other.incarnation, other.created), (None, None));
}

#[test]
fn the_keys_on_a_leader_lease_are_those_of_the_document() {
    let read = |list: &[(&str, &str)]| {
        wire::read_leader(&base(notes(list), BTreeMap::new())).expect("a leader lease")
    };
    let lease = read(&[
        ("coordination.k8s.io/elected-by", "leader-election-controller"),
        ("coordination.k8s.io/end-of-term", "true"),
        ("coordinated-election.io/preferred-holder", "bravo"),
        ("coordinated-election.io/incarnation", "i"),
        ("coordinated-election.io/strategy", "NewestEmulationVersion"),
    ]);
    let expected = Record {
        end_of_term: true,
        preferred_holder: Some("bravo".into()),
        incarnation: Some("i".into()),
        elected: true,
        ..Record::default()
    };
    assert_eq!(lease.record, expected);
    assert_eq!(
        lease.strategy,
        Some(Ok(election_core::Strategy::NewestEmulationVersion))
    );
    // And they are written as they are read.
    let written = wire::update(&base(BTreeMap::new(), BTreeMap::new()), &write(expected));
    let expected = notes(&[
        ("coordination.k8s.io/elected-by", "leader-election-controller"),
        ("coordination.k8s.io/end-of-term", "true"),
        ("coordinated-election.io/preferred-holder", "bravo"),
        ("coordinated-election.io/incarnation", "i"),
    ]);
    assert_eq!(written.metadata.annotations, Some(expected));
    // Anything else under these keys says nothing.
    let lease = read(&[
        ("coordination.k8s.io/elected-by", "another"),
        ("coordination.k8s.io/end-of-term", "false"),
        ("coordinated-election.io/preferred-holder", ""),
        ("coordinated-election.io/incarnation", ""),
        ("coordinated-election.io/strategy", ""),
    ]);
    assert_eq!((lease.record, lease.strategy), (Record::default(), None));
    let mut empty = base(BTreeMap::new(), BTreeMap::new());
    let spec = empty.spec.get_or_insert_default();
    (spec.holder_identity, spec.lease_duration_seconds) = (Some(String::new()), Some(-1));
    let lease = wire::read_leader(&empty).expect("a leader lease");
    assert_eq!(lease.record, Record::default());
}

fn presence(leads: Option<LeaseKey>) -> wire::IdentityRecord {
    wire::IdentityRecord {
        key: LeaseKey::new("default", "demo"),
        incarnation: "i".into(),
        leads,
        versions: Versions {
            binary: "1.30".parse().expect("a version"),
            emulation: "1.29".parse().expect("a version"),
        },
        renew_time: Wall::from_micros(1_700_000_000_000_001),
        duration: LeaseSeconds::new(77).expect("positive"),
        timing: Timing::default(),
    }
}

#[test]
fn an_identity_lease_survives_the_wire_and_keeps_what_is_not_its_own() {
    let foreign = notes(&[("example.com/team", "a")]);
    let before = base(foreign.clone(), foreign);
    let owner = OwnerReference {
        kind: "Pod".to_owned(),
        ..OwnerReference::default()
    };
    let lease = wire::identity(
        Some(&before),
        &presence(Some(LeaseKey::new("default", "a"))),
        Some(&owner),
    );
    assert_eq!(lease.metadata.uid, before.metadata.uid);
    assert_eq!(lease.metadata.resource_version, before.metadata.resource_version);
    assert_eq!(lease.metadata.labels, before.metadata.labels);
    assert_eq!(lease.metadata.owner_references, Some(vec![owner]));
    let annotations = notes(&[
        ("coordination.k8s.io/can-lead-leases", "default/a"),
        ("coordination.k8s.io/binary-version", "1.30"),
        ("coordination.k8s.io/compatibility-version", "1.29"),
        ("coordinated-election.io/incarnation", "i"),
        ("coordinated-election.io/timing", &Timing::default().to_string()),
        ("example.com/team", "a"),
    ]);
    assert_eq!(lease.metadata.annotations, Some(annotations));
    assert_eq!(wire::read_timing(&lease), Some(Ok(Timing::default())));
    assert_eq!(wire::read_timing(&before), None);
    let read = wire::read_identity(&lease).expect("an address");
    assert!(read.versions.is_ok(), "it says who it is: {:?}", read.versions);
    assert_eq!(read.renew_time, Some(Wall::from_micros(1_700_000_000_000_001)));
    assert_eq!(read.duration.get(), 77);
    // It offers itself no more, and is an identity lease all the same.
    let withdrawn = wire::identity(Some(&lease), &presence(None), None);
    assert_eq!(
        withdrawn.metadata.owner_references,
        lease.metadata.owner_references
    );
    let Some(Item::Identity(read)) = wire::read(&withdrawn) else {
        panic!("an identity lease")
    };
    assert_eq!((read.leads, read.refused), (Vec::new(), Vec::new()));
    // A new one has no version to be conditional on.
    let new = wire::identity(None, &presence(None), None).metadata;
    assert_eq!((new.uid, new.resource_version), (None, None));
}

/// Invariant: S8.
#[test]
fn the_last_count_of_transitions_is_read_as_it_was_written() {
    let mut base = base(BTreeMap::new(), BTreeMap::new());
    base.spec.as_mut().unwrap().lease_transitions = Some(i32::MAX);
    let lease = wire::read_leader(&base).unwrap();
    let (me, now) = ("alpha".into(), Wall::from_micros(1));
    for write in [
        lease.accept(&me, &"i".into(), LeaseSeconds::LEADER, now),
        lease.claim(&me, LeaseSeconds::LEADER, now),
    ] {
        let read = wire::read_leader(&wire::update(&base, &write)).unwrap();
        assert_eq!(
            read.record.transitions,
            write.record.transitions,
            "{}",
            write.kind.as_str()
        );
    }
}

#[test]
fn a_create_has_no_holder() {
    let lease = wire::create(&LeaseCreate {
        key: LeaseKey::new("default", "demo"),
        duration: LeaseSeconds::LEADER,
    });
    let expected = Lease {
        metadata: ObjectMeta {
            namespace: Some("default".to_owned()),
            name: Some("demo".to_owned()),
            annotations: Some(notes(&[(
                "coordination.k8s.io/elected-by",
                "leader-election-controller",
            )])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            lease_duration_seconds: Some(15),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        }),
    };
    assert_eq!(lease, expected);
}

trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn a_text_says_what_the_object_says() {
    let owner = |kind: &str| json!([{"kind": kind, "apiVersion": "v1", "name": "o", "uid": "u"}]);
    let check = |mut metadata: serde_json::Value, spec: serde_json::Value| {
        for (key, value) in [
            ("name", "a"),
            ("namespace", "n"),
            ("uid", "u"),
            ("resourceVersion", "7"),
        ] {
            metadata[key] = value.into();
        }
        let text = json!({"metadata": metadata, "spec": spec}).to_string();
        let object: Lease = serde_json::from_str(&text).expect("a lease");
        let read = wire::read(&object);
        assert!(read.is_some(), "{text}");
        assert_eq!(wire::read_text(&text).expect("readable"), read, "{text}");
    };
    let offer = json!({"coordination.k8s.io/can-lead-leases": "n/b", "other": "\"\n", "\u{1}": "\u{1}"});
    check(json!({}), json!(null));
    check(json!({"annotations": null, "labels": {"a": "b"}}), json!({}));
    check(
        json!({"annotations": offer, "ownerReferences": owner("Pod")}),
        json!({"holderIdentity": "a"}),
    );
    check(
        json!({"annotations": offer, "ownerReferences": owner("Job")}),
        json!({"holderIdentity": ""}),
    );
    check(
        json!({"creationTimestamp": "2026-01-01T12:00:00Z", "managedFields": [{"manager": "m", "fieldsV1": {"f:a": {}}}]}),
        json!({
            "acquireTime": "2026-01-01T12:00:00.5Z", "renewTime": "2026-01-01T12:00:01.000001+02:00",
            "leaseDurationSeconds": -1, "leaseTransitions": 3, "strategy": "other",
        }),
    );
}

#[test]
fn a_text_of_other_types_is_not_read() {
    let meta = json!({"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7"});
    for spec in [
        json!(3),
        json!({"renewTime": "9999-12-31T23:59:59.000000Z"}),
        json!({"leaseTransitions": "1"}),
    ] {
        let text = json!({"metadata": meta, "spec": spec}).to_string();
        assert!(wire::read_text(&text).is_err(), "{text}");
    }
    assert_eq!(wire::read_text("{}").expect("readable"), None);
}
