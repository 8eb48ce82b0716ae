//! What the server has noted about who wrote what, and when: `metadata.managedFields`.
//!
//! These times are the server's own, so they tell whether the clock of a holder is right. They are of whole seconds, and
//! two writers that call themselves the same share one.
//!
//! The fields themselves are most of a Lease and are never kept: a [`NotedLease`] has what they say instead.

use std::collections::BTreeMap;

use election_core::Wall;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A Lease without `metadata.managedFields`, and what these say.
#[derive(Clone, Debug)]
pub struct NotedLease {
    /// The object; what stands in its managed fields is not known.
    pub lease: Lease,
    pub(crate) noted: Noted,
}

impl From<Lease> for NotedLease {
    fn from(mut lease: Lease) -> Self {
        let entries = lease.metadata.managed_fields.take();
        let noted = Noted::of(entries.into_iter().flatten().map(Entry::from));
        Self { lease, noted }
    }
}

impl<'de> Deserialize<'de> for NotedLease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object { metadata, spec } = Object::deserialize(deserializer)?;
        let noted = Noted::of(metadata.managed_fields.into_iter().flatten());
        let metadata = ObjectMeta {
            annotations: metadata.annotations,
            creation_timestamp: metadata.creation_timestamp,
            deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            generate_name: metadata.generate_name,
            generation: metadata.generation,
            labels: metadata.labels,
            managed_fields: None,
            name: metadata.name,
            namespace: metadata.namespace,
            owner_references: metadata.owner_references,
            resource_version: metadata.resource_version,
            self_link: metadata.self_link,
            uid: metadata.uid,
        };
        let lease = Lease { metadata, spec };
        Ok(Self { lease, noted })
    }
}

/// What the server has noted about a Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The last write, whoever made it.
    pub(crate) written: Option<Wall>,
    /// The last write of whoever has set the renew time.
    pub(crate) renewed: Option<Wall>,
    /// When the hold that stands was asked for, or a little later if whoever asked has written something else as well.
    pub(crate) hold: Option<Wall>,
    /// The same for the end of the term.
    pub(crate) end_of_term: Option<Wall>,
}

impl Noted {
    fn of(entries: impl Iterator<Item = Entry>) -> Self {
        let mut noted = Self::default();
        let last = |known: &mut Option<Wall>, time| *known = (*known).max(Some(time));
        // Who has written the same later owns it as well, and has changed nothing.
        let first =
            |known: &mut Option<Wall>, time| *known = Some(known.map_or(time, |known| time.min(known)));
        for entry in entries {
            let Some(time) = entry.time.map(|time| wall(&time)) else {
                continue;
            };
            let fields = entry.fields.unwrap_or_default();
            last(&mut noted.written, time);
            if fields.spec.renew_time {
                last(&mut noted.renewed, time);
            }
            if fields.metadata.annotations.hold {
                first(&mut noted.hold, time);
            }
            if fields.metadata.annotations.end_of_term {
                first(&mut noted.end_of_term, time);
            }
        }
        noted
    }
}

fn wall(time: &Time) -> Wall {
    Wall::from_micros(time.0.as_microsecond())
}

/// A Lease as it is read: all of it but the managed fields, of which only what is asked.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<LeaseSpec>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generate_name: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    managed_fields: Option<Vec<Entry>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    self_link: Option<String>,
    uid: Option<String>,
}

/// What one writer owns.
#[derive(Deserialize)]
struct Entry {
    time: Option<Time>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Fields>,
}

impl From<ManagedFieldsEntry> for Entry {
    fn from(entry: ManagedFieldsEntry) -> Self {
        Self {
            time: entry.time,
            // Fields of another form are nobody's.
            fields: entry
                .fields_v1
                .and_then(|fields| Fields::deserialize(&fields.0).ok()),
        }
    }
}

/// Whether the fields of a Lease that are asked for are among those of one writer.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:metadata")]
    metadata: MetadataFields,
    #[serde(rename = "f:spec")]
    spec: SpecFields,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct MetadataFields {
    #[serde(rename = "f:annotations")]
    annotations: AnnotationFields,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct AnnotationFields {
    #[serde(rename = "f:coordinated-election.io/hold", deserialize_with = "there")]
    hold: bool,
    #[serde(rename = "f:coordination.k8s.io/end-of-term", deserialize_with = "there")]
    end_of_term: bool,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct SpecFields {
    #[serde(rename = "f:renewTime", deserialize_with = "there")]
    renew_time: bool,
}

/// What stands below a field is not looked at.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use election_core::wire;
    use serde_json::{Value, json};

    const SECOND: i64 = 1_000_000;

    fn lease(managed_fields: &Value) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "annotations": {"a": "b"},
                "creationTimestamp": "1970-01-01T00:00:01Z",
                "deletionGracePeriodSeconds": 5,
                "deletionTimestamp": "1970-01-01T00:00:02Z",
                "finalizers": ["example.com/archive"],
                "generateName": "demo-",
                "generation": 3,
                "labels": {"c": "d"},
                "managedFields": managed_fields,
                "name": "demo-1",
                "namespace": "n",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}],
                "resourceVersion": "7",
                "selfLink": "/there",
                "uid": "u-1",
            },
            "spec": {"holderIdentity": "old", "leaseDurationSeconds": 15, "strategy": "s"},
        })
    }

    fn entry(second: u32, fields: &Value) -> Value {
        let time = format!("1970-01-01T00:00:{second:02}Z");
        json!({"manager": "m", "operation": "Update", "apiVersion": "coordination.k8s.io/v1", "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    /// Both ways to read a lease give the same, and lose nothing but the managed fields.
    fn read(object: &Value) -> NotedLease {
        let listed: NotedLease = serde_json::from_str(&object.to_string()).unwrap();
        let mut whole: Lease = serde_json::from_value(object.clone()).unwrap();
        let watched = NotedLease::from(whole.clone());
        whole.metadata.managed_fields = None;
        assert_eq!((&listed.lease, &watched.lease), (&whole, &whole));
        assert_eq!(listed.noted, watched.noted);
        listed
    }

    #[test]
    fn what_the_server_noted_is_read_from_lists_and_from_watches_alike() {
        let annotation =
            |key: &str| json!({"f:metadata": {"f:annotations": {".": {}, format!("f:{key}"): {}}}});
        let renewed =
            json!({"f:spec": {"f:renewTime": {}, "f:holderIdentity": {}}, "f:metadata": {"f:labels": {}}});
        let entries = [
            entry(10, &renewed),
            entry(12, &renewed),
            entry(11, &renewed),
            entry(21, &annotation(wire::HOLD)),
            entry(20, &annotation(wire::HOLD)),
            entry(31, &annotation(wire::END_OF_TERM)),
            entry(30, &annotation(wire::END_OF_TERM)),
            entry(40, &annotation(wire::PIN)),
            json!({"manager": "without a time", "fieldsV1": renewed}),
            json!({"manager": "without fields", "time": "1970-01-01T00:00:39Z"}),
        ];
        let at = |second| Some(Wall::from_micros(second * SECOND));
        let noted = Noted {
            written: at(40),
            renewed: at(12),
            hold: at(20),
            end_of_term: at(30),
        };
        assert_eq!(read(&lease(&json!(entries))).noted, noted);
        for nothing in [json!(null), json!([]), json!([{}])] {
            assert_eq!(read(&lease(&nothing)).noted, Noted::default(), "{nothing}");
        }
    }

    #[test]
    fn a_lease_may_have_next_to_nothing() {
        let object = json!({"metadata": {"name": "n"}});
        assert_eq!(read(&object).noted, Noted::default());
    }
}
