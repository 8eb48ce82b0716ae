//! Inputs: Leases with anything in them that a server would let pass.

use std::collections::BTreeMap;

use bolero::TypeGenerator;
use election_core::wire;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;

/// Letters of which versions, names and offers are made, and some that belong in none.
const LETTERS: [char; 24] = [
    '0', '1', '2', '9', '.', '-', '+', 'v', 'a', 'b', 'c', 'd', 'e', 'l', 'p', 'h', 'r', ',', '/', ' ', 'A',
    'é', '\0', '"',
];
const WORDS: [&str; 12] = [
    "alpha",
    "bravo",
    "charlie",
    "demo",
    "other",
    "ns",
    "ns/demo",
    "ns/alpha",
    "other/demo",
    "1.29",
    "v1.30.0-alpha.1",
    "true",
];
/// Where every Lease is.
pub(crate) const NAMESPACE: &str = "ns";

/// A text: one of a few words, or letters.
#[derive(Clone, Debug, TypeGenerator)]
pub(crate) enum Text {
    Word(u8),
    Letters(Vec<u8>),
    Both(u8, Vec<u8>),
}

impl Text {
    pub(crate) fn get(&self) -> String {
        let word = |index: &u8| WORDS[usize::from(*index) % WORDS.len()].to_owned();
        let letters = |bytes: &[u8]| -> String {
            bytes
                .iter()
                .map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()])
                .collect()
        };
        match self {
            Self::Word(index) => word(index),
            Self::Letters(bytes) => letters(bytes),
            Self::Both(index, bytes) => word(index) + &letters(bytes),
        }
    }
}

/// A Lease.
#[derive(Clone, Debug, TypeGenerator)]
pub(crate) struct RawLease {
    holder: Option<Text>,
    renew_time: Option<i64>,
    acquire_time: Option<i64>,
    duration: Option<i32>,
    transitions: Option<i32>,
    annotations: Vec<(u8, Text)>,
    labels: Vec<(Text, Text)>,
    finalizers: Vec<Text>,
    owner: Option<Text>,
    created: Option<i64>,
    has_spec: bool,
}

impl RawLease {
    /// The Lease under a name, at a revision.
    pub(crate) fn lease(&self, name: &str, uid: &str, revision: u64) -> Lease {
        let time = |micros: i64| Timestamp::from_microsecond(micros).ok();
        let text = |texts: &[(Text, Text)]| -> BTreeMap<String, String> {
            texts
                .iter()
                .map(|(key, value)| (key.get(), value.get()))
                .collect()
        };
        let annotations = self
            .annotations
            .iter()
            .map(|(key, value)| (annotation(*key), value.get()));
        let owner = |kind: &Text| OwnerReference {
            kind: match kind {
                Text::Word(_) => "Pod".to_owned(),
                other => other.get(),
            },
            ..OwnerReference::default()
        };
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                uid: Some(uid.to_owned()),
                resource_version: Some(revision.to_string()),
                annotations: Some(annotations.collect()),
                labels: Some(text(&self.labels)),
                finalizers: Some(self.finalizers.iter().map(Text::get).collect()),
                owner_references: self.owner.as_ref().map(|kind| vec![owner(kind)]),
                creation_timestamp: self.created.and_then(time).map(Time),
                ..ObjectMeta::default()
            },
            spec: self.has_spec.then(|| LeaseSpec {
                holder_identity: self.holder.as_ref().map(Text::get),
                renew_time: self.renew_time.and_then(time).map(MicroTime),
                acquire_time: self.acquire_time.and_then(time).map(MicroTime),
                lease_duration_seconds: self.duration,
                lease_transitions: self.transitions,
                ..LeaseSpec::default()
            }),
        }
    }
}

fn annotation(index: u8) -> String {
    let known = [
        wire::CAN_LEAD_LEASES,
        wire::BINARY_VERSION,
        wire::COMPATIBILITY_VERSION,
        wire::ELECTED_BY,
        wire::END_OF_TERM,
        wire::PREFERRED_HOLDER,
        wire::STRATEGY,
        wire::INCARNATION,
        wire::HOLD,
        wire::PIN,
        wire::STEP_DOWN,
        wire::STEP_DOWN_TO,
        "example.com/else",
    ];
    known[usize::from(index) % known.len()].to_owned()
}
