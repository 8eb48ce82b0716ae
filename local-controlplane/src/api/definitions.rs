//! What follows from a write to a CustomResourceDefinition: its resources are served, or vanish.
//!
//! It happens within the step of the write itself, so a definition is established before its creator could ask; a real
//! server takes about 80 ms. Conditions are set by a second revision, as there.

use crate::kinds::{self, Kind};
use crate::ownership::{self, Author};
use crate::plane::{API_SERVER, Plane, definitions_table};
use crate::store::{Key, Stored, Writer};
use crate::world;
use serde_json::Value;
use std::sync::Arc;

/// Keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Reacts to a new or changed object.
pub(crate) fn changed(plane: &Plane, writer: &mut Writer<'_>, kind: &Kind, stored: &Arc<Stored>) {
    if kind.table != definitions_table() {
        return;
    }
    let mut definition = stored.value();
    if definition["metadata"]["deletionTimestamp"].is_string() {
        clean_up(plane, writer, &definition);
        return;
    }
    plane.change_registry(|registry| {
        let (group, plural) = names(&definition);
        registry.remove(&group, &plural);
        registry.insert(kinds::kinds_of(&definition));
    });
    if !definition["status"]["conditions"].is_array() {
        let before = definition.clone();
        // What was before the definition cannot be watched, not even by the same name.
        for kind in kinds::kinds_of(&definition) {
            writer.begin_history(&kind.table);
        }
        definition["status"] = kinds::accepted_status(&definition);
        let author = Author {
            manager: API_SERVER,
            now: &world::wall_seconds(),
        };
        ownership::follow(
            &kind.ground(Some("status")),
            Some(&before),
            &mut definition,
            &author,
        );
        writer.put(&kind.table, stored.key.clone(), definition);
    }
}

/// Reacts to an object that is gone: perhaps it was the last one that kept its definition.
pub(crate) fn removed(plane: &Plane, writer: &mut Writer<'_>, kind: &Kind, stored: &Arc<Stored>) {
    if kind.table == definitions_table() {
        let (group, plural) = names(&stored.value());
        plane.change_registry(|registry| registry.remove(&group, &plural));
    } else if kind.custom {
        let key = Key::new("", &format!("{}.{}", kind.plural, kind.group));
        let definition = writer
            .get(&definitions_table(), &key)
            .map(|definition| definition.value());
        if let Some(definition) =
            definition.filter(|definition| definition["metadata"]["deletionTimestamp"].is_string())
        {
            clean_up(plane, writer, &definition);
        }
    }
}

/// Deletes the objects of a definition, and lets the definition go when none is left.
fn clean_up(plane: &Plane, writer: &mut Writer<'_>, definition: &Value) {
    let (group, plural) = names(definition);
    let table: Arc<str> = format!("{group}/{plural}").into();
    let objects: Vec<Arc<Stored>> = writer
        .table(&table)
        .into_iter()
        .flat_map(|table| table.within(None))
        .cloned()
        .collect();
    let mut left = 0;
    for object in objects {
        let mut value = object.value();
        if value["metadata"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            writer.remove(&table, &object.key);
            continue;
        }
        left += 1;
        if !value["metadata"]["deletionTimestamp"].is_string() {
            super::delete::mark(&mut value);
            writer.put(&table, object.key.clone(), value);
        }
    }
    if left > 0 {
        return;
    }
    let key = Key::new("", definition["metadata"]["name"].as_str().unwrap_or_default());
    let mut definition = definition.clone();
    if let Some(finalizers) = definition["metadata"]["finalizers"].as_array_mut() {
        finalizers.retain(|finalizer| finalizer != CLEANUP);
        if finalizers.is_empty() {
            writer.remove(&definitions_table(), &key);
            plane.change_registry(|registry| registry.remove(&group, &plural));
        } else {
            writer.put(&definitions_table(), key, definition);
        }
    }
}

fn names(definition: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&definition["spec"]["group"]),
        text(&definition["spec"]["names"]["plural"]),
    )
}
