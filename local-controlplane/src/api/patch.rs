//! PATCH: JSON patch, merge patch and strategic merge patch. All end in the same path as an update.
//!
//! Server-side apply, which comes as a PATCH as well, is in `apply`.

use super::incoming::{self, Origin};
use super::query::WriteOptions;
use super::strategic;
use super::target::Resource;
use super::write::{Intent, Written, key_of, replace, with_warnings};
use crate::access::{User, check_escalation};
use crate::failure::{Cause, Failure};
use crate::kinds::Kind;
use crate::plane::Plane;
use crate::store::Stored;
use http::StatusCode;
use serde::de::IgnoredAny;
use serde_json::Value;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const SERVED: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const SERVED_BUILTIN: &str = "application/json-patch+json, application/merge-patch+json, \
    application/strategic-merge-patch+json, application/apply-patch+yaml";

/// A patch that was read.
#[derive(Debug)]
pub(crate) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    pub(crate) fn parse(kind: &Kind, media: &str, body: &[u8]) -> Result<Self, Failure> {
        let malformed =
            |error: serde_json::Error| Failure::bad_request(format!("error decoding patch: {error}"));
        let object = || {
            let patch: Value = serde_json::from_slice(body).map_err(malformed)?;
            match patch.is_object() {
                true => Ok(patch),
                false => Err(Failure::bad_request("error decoding patch: it must be an object")),
            }
        };
        match media {
            JSON_PATCH => json_operations(body),
            MERGE_PATCH => object().map(Self::Merge),
            STRATEGIC_PATCH if !kind.custom && serde_json::from_slice::<IgnoredAny>(body).is_err() => {
                Err(Failure::bad_request("invalid JSON patch"))
            }
            STRATEGIC_PATCH if !kind.custom => object().map(Self::Strategic),
            _ if kind.custom => Err(Failure::unsupported_media_type(SERVED)),
            _ => Err(Failure::unsupported_patch(SERVED_BUILTIN)),
        }
    }

    pub(crate) fn apply(&self, object: &mut Value) -> Result<(), Failure> {
        match self {
            Self::Json(patch) => apply_operations(patch, object),
            Self::Merge(patch) => {
                json_patch::merge(object, patch);
                Ok(())
            }
            Self::Strategic(patch) => strategic::merge(object, patch),
        }
    }
}

fn json_operations(body: &[u8]) -> Result<Patch, Failure> {
    let operations: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
    let Some(list) = operations.as_array() else {
        return Err(Failure::bad_request(
            "error decoding patch: it must be a list of operations",
        ));
    };
    let known = ["add", "remove", "replace", "move", "copy", "test"];
    let unknown = list
        .iter()
        .filter_map(|operation| operation["op"].as_str())
        .find(|op| !known.contains(op));
    if let Some(operation) = unknown {
        return Err(Failure::unprocessable(format!("unexpected kind: {operation}")));
    }
    let patch = serde_json::from_value(operations);
    patch
        .map(Patch::Json)
        .map_err(|error| Failure::unprocessable(format!("the server rejected our request: {error}")))
}

/// Applies the operations in order. `replace` of a missing key adds it, as upstream's library does.
fn apply_operations(patch: &json_patch::Patch, object: &mut Value) -> Result<(), Failure> {
    use json_patch::{AddOperation, PatchOperation};
    let mut operations = patch.0.clone();
    for operation in &mut operations {
        if let PatchOperation::Replace(replace) = operation {
            let parent = replace
                .path
                .parent()
                .and_then(|parent| object.pointer(parent.as_str()));
            if parent.is_some_and(Value::is_object) {
                let (path, value) = (replace.path.clone(), replace.value.clone());
                *operation = PatchOperation::Add(AddOperation { path, value });
            }
        }
        if operation.path().as_str().is_empty() {
            let why = "the server rejected our request: the whole object cannot be replaced";
            return Err(Failure::unprocessable(why));
        }
        if let PatchOperation::Test(test) = operation
            && test.value.is_null()
            && object.pointer(test.path.as_str()).is_none()
        {
            // What is missing is as good as null.
            continue;
        }
        let one = std::slice::from_ref(operation);
        let applied = json_patch::patch(object, one);
        applied
            .map_err(|error| Failure::unprocessable(format!("the server rejected our request: {error}")))?;
    }
    Ok(())
}

/// What is no JSON at all is refused first, then a patch of nothing, and only then a patch that makes no sense.
pub(crate) fn missing_first(plane: &Plane, resource: &Resource, body: &[u8], failure: Failure) -> Failure {
    let kind = &resource.kind;
    let key = key_of(resource);
    let is_there = plane.store.read(|state| state.get(&kind.table, &key).is_some());
    match failure.code {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => failure,
        _ if is_there || serde_json::from_slice::<IgnoredAny>(body).is_err() => failure,
        _ => Failure::not_found(kind.subject(&key.name)),
    }
}

/// PATCH of an object.
pub(crate) fn patch(
    plane: &Plane,
    user: &User,
    resource: &Resource,
    patch: &Patch,
    options: &WriteOptions,
) -> Result<Written, Failure> {
    let kind = &resource.kind;
    plane.store.write(|writer| {
        let key = key_of(resource);
        let Some(stored) = writer.get(&kind.table, &key).cloned() else {
            return Err(Failure::not_found(kind.subject(&key.name)));
        };
        let mut object = kind.to_wire(stored.value());
        patch.apply(&mut object)?;
        let warnings = incoming::read(resource, &mut object, &[], options.validation, Origin::Patch)?;
        let written = check_escalation(plane, writer, user, resource, &object, Some(&stored))
            .and_then(|()| check_identity(kind, &stored, &object))
            .and_then(|()| replace(plane, writer, resource, &stored, object, Intent::update(options)));
        with_warnings(written, warnings)
    })
}

/// A patch may name a version, which makes it conditional; it may not make the object another one.
pub(crate) fn check_identity(kind: &Kind, stored: &Stored, patched: &Value) -> Result<(), Failure> {
    let metadata = &patched["metadata"];
    let name = stored.key.name.as_str();
    if metadata["name"] != name {
        let message = format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            metadata["name"]
        );
        return Err(Failure::bad_request(message));
    }
    match metadata["resourceVersion"].as_str() {
        None | Some("" | "0") if kind.rules.unconditional_update => {}
        None | Some("" | "0") => {
            let detail = "must be specified for an update";
            let cause = Cause::invalid("metadata.resourceVersion", &0.into(), detail);
            return Err(Failure::invalid(kind.subject(name), &[cause]));
        }
        Some(version) if version == stored.revision.to_string() => {}
        Some(version) if version.parse::<u64>().is_err() => {
            return Err(Failure::unclassified(format!(
                "invalid resource version {version:?}"
            )));
        }
        Some(_) => return Err(Failure::modified(kind.subject(name))),
    }
    match metadata["uid"].as_str() {
        None | Some("") => Ok(()),
        Some(uid) if uid == stored.uid => Ok(()),
        Some(uid) => {
            let cause = Cause::invalid("metadata.uid", &uid.into(), "field is immutable");
            Err(Failure::invalid(kind.kind_subject(name), &[cause]))
        }
    }
}
