//! Ownership across `/scale`: a Scale has one field that anybody can own, and that is a field of its parent.

use super::field_set::FieldSet;
use super::managers::{Entry, Managers, Operation};
use serde_json::Value;

const API_VERSION: &str = "autoscaling/v1";
const REPLICAS: [&str; 2] = ["spec", "replicas"];

/// The managers of an object's Scale: those that own its replicas, which are at `path`.
pub(crate) fn of_parent(managed: &Value, path: &[&str]) -> Option<Value> {
    let mut of_scale = Managers::default();
    for entry in Managers::decode(managed)?
        .iter()
        .filter(|entry| entry.fields.has_fields(path))
    {
        let mut entry = entry.clone();
        entry.owner.api_version = API_VERSION.into();
        entry.fields = FieldSet::of_fields(&[&REPLICAS]);
        of_scale.put(entry);
    }
    of_scale.encode()
}

/// The managers of an object after a write to its Scale. Whoever has newly taken the replicas has no time there, as
/// upstream leaves it.
pub(crate) fn to_parent(
    managed: &Value,
    of_scale: Option<&Value>,
    path: &[&str],
    api_version: &str,
) -> Option<Value> {
    let mut managers = Managers::decode(managed).unwrap_or_default();
    let of_scale = of_scale.and_then(Managers::decode).unwrap_or_default();
    let replicas = FieldSet::of_fields(&[path]);
    let in_scale = |entry: &Entry| {
        let mut owner = entry.owner.clone();
        owner.api_version = API_VERSION.into();
        of_scale
            .get(&owner)
            .is_some_and(|found| found.time == entry.time || owner.operation == Operation::Apply)
    };
    managers.change(|entry| match in_scale(entry) {
        true => None,
        false => Some(entry.fields.difference(&replicas)),
    });
    for entry in of_scale.iter().filter(|entry| entry.fields.has_fields(&REPLICAS)) {
        let mut owner = entry.owner.clone();
        owner.api_version = api_version.into();
        let kept = managers.get(&owner);
        if kept.is_some_and(|kept| kept.fields.has_fields(path)) {
            continue;
        }
        managers.put(Entry {
            owner,
            time: None,
            fields: replicas.clone(),
        });
    }
    managers.encode()
}
