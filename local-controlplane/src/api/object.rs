//! What becomes of an object in a write: what a client may set, what is filled in, and whether it may be stored. When
//! it is stored is decided in `write`.

use super::incoming;
use super::target::Resource;
use crate::failure::{Cause, Failure};
use crate::kinds::{self, Kind};
use crate::schema;
use serde_json::{Value, json};

/// The marks of a deletion, which only a deletion sets.
const MARKS: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

pub(super) fn marks(object: &Value) -> [Value; 2] {
    MARKS.map(|field| object["metadata"][field].clone())
}

/// A client may leave the marks out; it may not write others.
pub(super) fn changed_marks(given: &[Value; 2], old: &Value) -> Vec<Cause> {
    let changed = |(field, given): &(&str, &Value)| !given.is_null() && **given != old["metadata"][*field];
    MARKS
        .into_iter()
        .zip(given)
        .filter(changed)
        .map(|(field, given)| Cause::invalid(format!("metadata.{field}"), given, "field is immutable"))
        .collect()
}

/// What a client may change of `old`: on `/status` little else than the status, otherwise everything but the server's
/// own fields.
pub(super) fn take_over(resource: &Resource, old: &Value, mut object: Value) -> Value {
    let kind = &resource.kind;
    let managed = object["metadata"]["managedFields"].take();
    let subresource = resource.subresource.as_deref();
    let mut new = match subresource {
        Some("status") if kind.custom => {
            let mut new = old.clone();
            set_or_remove(&mut new, "status", object["status"].take());
            new
        }
        Some("finalize") => {
            let mut new = old.clone();
            new["spec"]["finalizers"] = object["spec"]["finalizers"].take();
            set_or_remove(&mut new["metadata"], "managedFields", managed);
            return new;
        }
        _ => {
            for path in kind.not_set_by(subresource) {
                restore(path, old, &mut object);
            }
            object
        }
    };
    set_or_remove(&mut new["metadata"], "managedFields", managed);
    let keep = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ];
    for field in keep {
        set_or_remove(&mut new["metadata"], field, old["metadata"][field].clone());
    }
    if kind.rules.generation || old["metadata"]["generation"].is_null() {
        set_or_remove(
            &mut new["metadata"],
            "generation",
            old["metadata"]["generation"].clone(),
        );
    }
    new
}

/// Sets the value at a path of fields back to what it was.
fn restore(path: &[&str], old: &Value, new: &mut Value) {
    match path {
        [] => {}
        [field] => set_or_remove(new, field, old[*field].clone()),
        [field, rest @ ..] => restore(rest, &old[*field], &mut new[*field]),
    }
}

pub(super) fn set_or_remove(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        if value.is_null() {
            map.remove(field);
        } else {
            map.insert(field.into(), value);
        }
    }
}

/// Everything that `metadata.generation` counts changes of.
pub(super) fn without_bookkeeping(kind: &Kind, object: &Value) -> Value {
    let mut rest = object.clone();
    if let Some(map) = rest.as_object_mut() {
        map.remove("metadata");
        if kind.rules.status {
            map.remove("status");
        }
    }
    rest
}

/// Whether nothing keeps an object that is being deleted.
pub(crate) fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let is_namespace = object["kind"] == "Namespace" && object["apiVersion"] == "v1";
    metadata["deletionTimestamp"].is_string()
        && none(&metadata["finalizers"])
        && (!is_namespace || none(&object["spec"]["finalizers"]))
}

/// Fills in what belongs to whoever leaves it out.
pub(super) fn fill_defaults(kind: &Kind, object: &mut Value) {
    fill_blanks(&kind.blank, object);
    schema::fill_defaults(&kind.schema, object);
    (kind.rules.default)(object);
}

/// Adds the fields that every object of the kind has, where they are absent.
fn fill_blanks(blank: &Value, object: &mut Value) {
    let (Some(blank), Some(object)) = (blank.as_object(), object.as_object_mut()) else {
        return;
    };
    for (field, blank) in blank {
        match object.get_mut(field) {
            Some(value) => fill_blanks(blank, value),
            None => drop(object.insert(field.clone(), blank.clone())),
        }
    }
}

/// Whether an object may be stored, when something may be wrong with it already.
pub(super) fn check(
    kind: &Kind,
    object: &Value,
    old: Option<&Value>,
    mut causes: Vec<Cause>,
) -> Result<(), Failure> {
    kinds::validate_metadata(kind, object, &mut causes);
    let mut broken = Vec::new();
    if kind.custom {
        schema::validate(&kind.schema, object, "", &mut broken);
        broken.extend(incoming::unscalable(kind, object));
    }
    // What the metadata lacks was said already, by its own rules.
    causes.extend(broken.into_iter().filter(|cause| !cause.is_of("metadata.")));
    (kind.rules.validate)(object, old, &mut causes);
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Failure::invalid(kind.kind_subject(name), &causes))
}

/// While an object is being deleted, finalizers may only go.
pub(super) fn check_finalizers(kind: &Kind, new: &Value, old: &Value) -> Result<(), Failure> {
    if !old["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let list = |object: &Value| {
        object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = list(old);
    let added: Vec<_> = list(new)
        .into_iter()
        .filter(|finalizer| !before.contains(finalizer))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let added = json!(added);
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers {added}"
    );
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(Failure::invalid(
        kind.kind_subject(name),
        &[Cause::forbidden("metadata.finalizers", why)],
    ))
}
