//! Records to objects and back: nothing that is ours is lost, and nothing that is not ours is touched.

use std::collections::BTreeMap;

use election_core::{
    Identity, Item, LeaderLease, LeaseKey, LeaseSeconds, LeaseWrite, Record, Revision, Uid, Wall, WriteKind,
    wire,
};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use proptest::prelude::*;

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_record_survives_the_wire(record in record(), before in record(), notes in foreign(), labels in foreign()) {
        let base = base(notes.clone(), labels.clone());
        // What stood there before leaves no trace, except that a lease which was elected stays marked.
        let stale = wire::update(&base, &write(Record { elected: false, ..before }));
        let written = wire::update(&stale, &write(record.clone()));
        let read = wire::read_leader(&written).expect("a lease with an address");
        prop_assert_eq!(&read.record, &record);
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
    check("a,default/b/c,/,default/", &[], &["LeaseUnreadable"; 4]);
}

trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}
