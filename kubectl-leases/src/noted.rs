//! What the server has noted about who wrote what, and when: `metadata.managedFields`.
//!
//! These times are the server's own, so they tell whether the clock of a holder is right. They are of whole seconds, and
//! two writers that call themselves the same share one.
//!
//! The fields themselves are most of a Lease and are never kept: a [`NotedLease`] has what they say instead.

use std::collections::BTreeMap;
use std::fmt;

use election_core::{Wall, wire};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A Lease without `metadata.managedFields`, and what these say.
#[derive(Clone, Debug)]
pub struct NotedLease {
    /// The object; what stands in its managed fields is not known.
    pub lease: Lease,
    pub(crate) noted: Noted,
}

impl NotedLease {
    /// The lease with a change that nobody has made yet. What was noted stands, except of a hold that is another one.
    pub(crate) fn with_change(&self, lease: Lease) -> Self {
        let hold = |lease: &Lease| lease.metadata.annotations.as_ref()?.get(wire::HOLD).cloned();
        let mut noted = self.noted;
        if hold(&lease) != hold(&self.lease) {
            noted.hold = None;
        }
        Self { lease, noted }
    }
}

/// From a Lease as a server tells it. One without managed fields, which a server may leave out, has nothing noted.
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
        let metadata = metadata.unwrap_or_default();
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
            let fields = entry.fields;
            last(&mut noted.written, time);
            if fields.renew_time {
                last(&mut noted.renewed, time);
            }
            if fields.hold {
                first(&mut noted.hold, time);
            }
            if fields.end_of_term {
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
    metadata: Option<Metadata>,
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
    #[serde(rename = "fieldsV1", default)]
    fields: Fields,
}

impl From<ManagedFieldsEntry> for Entry {
    fn from(entry: ManagedFieldsEntry) -> Self {
        let fields = entry.fields_v1.map(|fields| Fields::deserialize(&fields.0));
        Self {
            time: entry.time,
            fields: fields.and_then(Result::ok).unwrap_or_default(),
        }
    }
}

/// Whether the fields of a Lease that are asked for are among those of one writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fields {
    renew_time: bool,
    hold: bool,
    end_of_term: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Self::default();
        let below = Below {
            level: Level::All,
            fields: &mut fields,
        };
        below.deserialize(deserializer)?;
        Ok(fields)
    }
}

/// How deep among the fields something stands.
#[derive(Clone, Copy)]
enum Level {
    All,
    Metadata,
    Annotations,
    Spec,
}

/// What a name at a level stands for.
enum Named {
    Level(Level),
    RenewTime,
    Hold,
    EndOfTerm,
    Other,
}

impl Level {
    fn named(self, field: &str) -> Named {
        let Some(field) = field.strip_prefix("f:") else {
            return Named::Other;
        };
        match (self, field) {
            (Self::All, "metadata") => Named::Level(Self::Metadata),
            (Self::All, "spec") => Named::Level(Self::Spec),
            (Self::Metadata, "annotations") => Named::Level(Self::Annotations),
            (Self::Spec, "renewTime") => Named::RenewTime,
            (Self::Annotations, wire::HOLD) => Named::Hold,
            (Self::Annotations, wire::END_OF_TERM) => Named::EndOfTerm,
            _ => Named::Other,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Level {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, field: &str) -> Result<Named, E> {
        Ok(self.named(field))
    }
}

/// Reads what stands at a level. What has another form than fields have is nobody's, and no reason not to read the Lease.
struct Below<'a> {
    level: Level,
    fields: &'a mut Fields,
}

impl<'de> DeserializeSeed<'de> for Below<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Below<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(named) = fields.next_key_seed(self.level)? {
            if let Named::Level(level) = named {
                fields.next_value_seed(Below {
                    level,
                    fields: self.fields,
                })?;
                continue;
            }
            fields.next_value::<IgnoredAny>()?;
            match named {
                Named::RenewTime => self.fields.renew_time = true,
                Named::Hold => self.fields.hold = true,
                Named::EndOfTerm => self.fields.end_of_term = true,
                Named::Level(_) | Named::Other => {}
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn fields_of_another_form_are_nobodys_and_the_lease_is_read() {
        let written = Noted {
            written: Some(Wall::from_micros(9 * SECOND)),
            ..Noted::default()
        };
        for odd in [
            json!(null),
            json!("text"),
            json!(["f:spec"]),
            json!(true),
            json!(7),
            json!(-7),
            json!(0.5),
        ] {
            for fields in [
                odd.clone(),
                json!({"f:spec": odd, "f:metadata": odd}),
                json!({"f:metadata": {"f:annotations": odd, "f:spec": {"f:renewTime": {}}}}),
                json!({"spec": {"f:renewTime": odd}}),
            ] {
                assert_eq!(
                    read(&lease(&json!([entry(9, &fields)]))).noted,
                    written,
                    "{fields}"
                );
            }
            // What stands below a field is not looked at.
            let renewed = json!({"f:spec": {"f:renewTime": odd}});
            let noted = read(&lease(&json!([entry(9, &renewed)]))).noted;
            assert_eq!(noted.renewed, written.written, "{odd}");
        }
    }

    #[test]
    fn a_change_that_is_not_made_leaves_what_was_noted_but_for_another_hold() {
        let asked = |hold: Option<&str>| {
            let mut lease = Lease::default();
            let notes = hold.map(|hold| (wire::HOLD.to_owned(), hold.to_owned()));
            lease.metadata.annotations = Some(notes.into_iter().collect());
            lease
        };
        let noted = Noted {
            written: Some(Wall::from_micros(1)),
            renewed: Some(Wall::from_micros(2)),
            hold: Some(Wall::from_micros(3)),
            end_of_term: Some(Wall::from_micros(4)),
        };
        let before = NotedLease {
            lease: asked(Some("600s")),
            noted,
        };
        assert_eq!(before.with_change(asked(Some("600s"))).noted, noted);
        for other in [None, Some("60s")] {
            let changed = before.with_change(asked(other)).noted;
            assert_eq!(changed, Noted { hold: None, ..noted }, "{other:?}");
        }
    }

    #[test]
    fn a_lease_may_have_next_to_nothing() {
        for object in [
            json!({"metadata": {"name": "n"}}),
            json!({"metadata": null}),
            json!({}),
        ] {
            assert_eq!(read(&object).noted, Noted::default(), "{object}");
        }
    }
}
