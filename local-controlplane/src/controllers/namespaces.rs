//! Empties namespaces that are being deleted, and lets them go when they are empty.

use super::{MANAGER, resource};
use crate::api::{DeleteOptions, Intent, remove, replace};
use crate::kinds::namespaces_table;
use crate::plane::Plane;
use crate::store::{Stored, Writer};
use serde_json::json;
use std::sync::Arc;

/// Works on every terminating namespace. True: something was written.
pub(super) fn round(plane: &Plane) -> bool {
    let table = namespaces_table();
    let terminating: Vec<Arc<Stored>> = plane.store.read(|state| {
        let all = state
            .table(&table)
            .into_iter()
            .flat_map(|table| table.within(None));
        all.filter(|namespace| namespace.being_deleted).cloned().collect()
    });
    let mut wrote = false;
    for namespace in terminating {
        wrote |= plane.store.write(|writer| empty(plane, writer, &namespace));
    }
    wrote
}

fn empty(plane: &Plane, writer: &mut Writer<'_>, seen: &Stored) -> bool {
    let table = namespaces_table();
    let Some(namespace) = writer.get(&table, &seen.key).cloned() else {
        return false;
    };
    let before = writer.revision();
    let mut left = false;
    for kind in plane
        .registry()
        .stored_kinds()
        .into_iter()
        .filter(|kind| kind.namespaced)
    {
        let within = writer
            .table(&kind.table)
            .into_iter()
            .flat_map(|table| table.within(Some(&namespace.key.name)));
        let objects: Vec<Arc<Stored>> = within.cloned().collect();
        for object in objects {
            if let Err(failure) = remove(plane, writer, &kind, &object, &DeleteOptions::default()) {
                tracing::warn!(%failure, "a namespace could not be emptied");
            }
            left |= writer.get(&kind.table, &object.key).is_some();
        }
    }
    if !left {
        let mut value = namespace.value();
        value["spec"]["finalizers"] = json!([]);
        if let Some(resource) = resource(plane, &table, &namespace, Some("finalize"))
            && let Err(failure) = replace(plane, writer, &resource, &namespace, value, Intent::own(MANAGER))
        {
            tracing::warn!(%failure, "an empty namespace could not be let go");
        }
    }
    writer.revision() != before
}
