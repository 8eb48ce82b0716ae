//! What every write that is no apply does to the managers: whoever changes a field owns it from then on.

use super::compare::Comparison;
use super::field_set::FieldSet;
use super::managers::{Entry, Managers, Operation, Owner, is_reset};
use super::{Author, Ground, UNOWNED};
use serde_json::{Map, Value};

/// Puts the managers into `new`, which is about to replace `live`; without it, to be created.
///
/// A client may write managers itself, or forget them by `[{}]`. An object that has none gets none by an update: it
/// is tracked again from the next apply on.
pub(crate) fn follow(ground: &Ground<'_>, live: Option<&Value>, new: &mut Value, author: &Author<'_>) {
    let given = take_managed(new);
    let before = live.map(|live| &live["metadata"]["managedFields"]);
    let decoded = |managed: Option<&Value>| {
        managed
            .and_then(Managers::decode)
            .filter(|managers| !managers.is_empty())
    };
    let mut managers = match &given {
        Some(given) if ground.subresource.is_empty() && is_reset(given) => Managers::default(),
        given => {
            let given = given.as_ref().filter(|_| ground.subresource.is_empty());
            decoded(given).or_else(|| decoded(before)).unwrap_or_default()
        }
    };
    if managers.is_empty() && live.is_some() {
        return;
    }
    account(&mut managers, ground, live.unwrap_or(ground.blank), new, author);
    set_managed(new, managers.encode());
}

/// Takes over the times of `old` when nothing else is different: that somebody has said the same again is no change.
pub(crate) fn keep_times(old: &Value, new: &mut Value) {
    let (before, after) = (
        &old["metadata"]["managedFields"],
        &new["metadata"]["managedFields"],
    );
    if before != after && same_but_times(before, after) && same_but_managed(old, new) {
        new["metadata"]["managedFields"] = before.clone();
    }
}

fn same_but_times(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_array(), after.as_array()) else {
        return false;
    };
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|(before, after)| same_but("time", before, after))
}

fn same_but_managed(old: &Value, new: &Value) -> bool {
    same_but("metadata", old, new) && same_but("managedFields", &old["metadata"], &new["metadata"])
}

/// Whether two maps are the same apart from one field.
fn same_but(field: &str, left: &Value, right: &Value) -> bool {
    let (Some(left), Some(right)) = (left.as_object(), right.as_object()) else {
        return left == right;
    };
    let rest = |map: &'_ Map<String, Value>| map.len() - usize::from(map.contains_key(field));
    rest(left) == rest(right)
        && left
            .iter()
            .all(|(name, value)| name == field || right.get(name) == Some(value))
}

/// Accounts for the differences between two objects.
pub(super) fn account(
    managers: &mut Managers,
    ground: &Ground<'_>,
    live: &Value,
    new: &Value,
    author: &Author<'_>,
) {
    let comparison = Comparison::of(live, new, ground.shape);
    let ignored = FieldSet::of_fields(ground.ignored);
    let set = comparison.set().without_all_below(&ignored);
    let removed = comparison.removed.without_all_below(&ignored);
    managers.retain(|entry| ground.versions.contains(&entry.owner.api_version));
    managers.take_away(&set);
    managers.take_away(&removed);
    let taken = set.difference(&UNOWNED);
    if !taken.is_empty() {
        let owner = Owner {
            manager: author.manager.into(),
            operation: Operation::Update,
            api_version: ground.api_version.into(),
            subresource: ground.subresource.into(),
        };
        let present = managers
            .get(&owner)
            .map(|entry| entry.fields.clone())
            .unwrap_or_default();
        managers.put(Entry {
            owner,
            time: Some(author.now.into()),
            fields: taken.union(&present),
        });
    }
    managers.cap();
}

pub(super) fn take_managed(object: &mut Value) -> Option<Value> {
    object
        .get_mut("metadata")?
        .as_object_mut()?
        .remove("managedFields")
}

pub(super) fn set_managed(object: &mut Value, managed: Option<Value>) {
    if let Some(managed) = managed {
        object["metadata"]["managedFields"] = managed;
    }
}
