//! An object as the store keeps it: the exact bytes that clients get, and the few facts that are asked for often.
//!
//! Bytes, not a tree: a lease is read, listed and watched far more often than it is changed, and its bytes take a
//! quarter of the memory. Whoever changes an object parses it.

use bytes::Bytes;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Finalizers that only the garbage collector removes.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";
const COLLECTED: [&str; 2] = [FOREGROUND, ORPHAN];

/// Where an object is within its table. The order is that of a list, which is that of etcd's keys: `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Empty for objects of the whole cluster.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // A name alone is only compared with names alone.
        fn path(key: &Key) -> impl Iterator<Item = u8> {
            key.namespace.bytes().chain([b'/']).chain(key.name.bytes())
        }
        match self.namespace == other.namespace {
            true => self.name.cmp(&other.name),
            false => path(self).cmp(path(other)),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One version of an object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) revision: u64,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The uids of `metadata.ownerReferences`.
    pub(crate) owners: Vec<String>,
    pub(crate) being_deleted: bool,
    /// It is being deleted, and waits for the garbage collector to deal with its dependents first.
    pub(crate) awaits_collector: bool,
    /// The serialized object, `metadata.resourceVersion` included.
    pub(crate) json: Bytes,
}

impl Stored {
    /// Stamps `revision` into the object and takes it into stored form.
    pub(crate) fn new(key: Key, revision: u64, mut object: Value) -> Self {
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let metadata = &object["metadata"];
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
        let for_collector = |finalizer: &Value| COLLECTED.iter().any(|collected| finalizer == collected);
        let being_deleted = metadata["deletionTimestamp"].is_string();
        Self {
            being_deleted,
            awaits_collector: being_deleted && finalizers.into_iter().any(for_collector),
            key,
            revision,
            uid: metadata["uid"].as_str().unwrap_or_default().into(),
            labels: labels
                .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.into())))
                .collect(),
            owners: owners
                .filter_map(|owner| Some(owner["uid"].as_str()?.into()))
                .collect(),
            json: object.to_string().into(),
        }
    }

    /// The object as a tree.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("stored bytes were serialized from a JSON tree")
    }
}
