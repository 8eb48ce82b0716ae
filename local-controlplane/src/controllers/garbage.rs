//! Garbage collection along `metadata.ownerReferences`: in the background, in the foreground, or orphaning.

use super::{MANAGER, resource};
use crate::api::{DeleteOptions, Intent, remove, replace};
use crate::plane::Plane;
use crate::store::{FOREGROUND, ORPHAN, Place, Stored, Writer};
use serde_json::Value;
use std::sync::Arc;

/// Deals with everything that lost an owner or waits to go. True: something was written.
pub(super) fn round(plane: &Plane) -> bool {
    let mut wrote = false;
    for place in plane.store.take_bereaved() {
        wrote |= plane.store.write(|writer| collect(plane, writer, &place));
    }
    let leaving: Vec<Place> = plane
        .store
        .read(|state| state.owners().leaving().iter().cloned().collect());
    for place in leaving {
        wrote |= plane.store.write(|writer| let_go(plane, writer, &place));
    }
    wrote
}

/// A dependent that has no owner any more is deleted; one that has others only forgets those that are gone.
fn collect(plane: &Plane, writer: &mut Writer<'_>, place: &Place) -> bool {
    let Some(stored) = writer.get(&place.0, &place.1).cloned() else {
        return false;
    };
    let gone: Vec<String> = stored
        .owners
        .iter()
        .filter(|uid| !writer.owners().is_live(uid))
        .cloned()
        .collect();
    if gone.is_empty() {
        return false;
    }
    if gone.len() < stored.owners.len() {
        return edit(plane, writer, place, &stored, |object| {
            forget_owners(object, &gone)
        });
    }
    delete(plane, writer, place, &stored)
}

fn let_go(plane: &Plane, writer: &mut Writer<'_>, place: &Place) -> bool {
    let Some(owner) = writer.get(&place.0, &place.1).cloned() else {
        return false;
    };
    let orphans = owner.value()["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|list| list.contains(&ORPHAN.into()));
    let mut wrote = false;
    let mut waiting = false;
    for dependent in writer.owners().dependents_of(&owner.uid) {
        let Some(stored) = writer.get(&dependent.0, &dependent.1).cloned() else {
            continue;
        };
        if orphans {
            let gone = [owner.uid.clone()];
            wrote |= edit(plane, writer, &dependent, &stored, |object| {
                forget_owners(object, &gone)
            });
        } else {
            wrote |= delete(plane, writer, &dependent, &stored);
            waiting |= writer
                .get(&dependent.0, &dependent.1)
                .is_some_and(|left| blocks(left, &owner.uid));
        }
    }
    if waiting {
        return wrote;
    }
    edit(plane, writer, place, &owner, |object| {
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
        }
    })
}

/// Whether a dependent keeps its owner from going first.
fn blocks(dependent: &Stored, owner: &str) -> bool {
    let value = dependent.value();
    let owners = value["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
}

fn forget_owners(object: &mut Value, gone: &[String]) {
    if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
        owners.retain(|owner| !gone.iter().any(|uid| owner["uid"] == uid.as_str()));
    }
}

fn edit(
    plane: &Plane,
    writer: &mut Writer<'_>,
    place: &Place,
    stored: &Arc<Stored>,
    change: impl FnOnce(&mut Value),
) -> bool {
    let Some(resource) = resource(plane, &place.0, stored, None) else {
        return false;
    };
    let mut object = stored.value();
    change(&mut object);
    let before = writer.revision();
    if let Err(failure) = replace(plane, writer, &resource, stored, object, Intent::own(MANAGER)) {
        tracing::warn!(%failure, "the garbage collector was refused");
    }
    writer.revision() != before
}

fn delete(plane: &Plane, writer: &mut Writer<'_>, place: &Place, stored: &Arc<Stored>) -> bool {
    let Some(kind) = plane.registry().of_table(&place.0).cloned() else {
        return false;
    };
    let before = writer.revision();
    if let Err(failure) = remove(plane, writer, &kind, stored, &DeleteOptions::default()) {
        tracing::warn!(%failure, "the garbage collector was refused");
    }
    writer.revision() != before
}
