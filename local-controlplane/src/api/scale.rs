//! `/scale`: the replicas of anything that has some, in one form.

use super::incoming::parse_body;
use super::query::Query;
use super::target::{Resource, Verb};
use super::write::{key_of, replace};
use crate::failure::{Cause, Failure};
use crate::kinds::{Kind, at, set_at};
use crate::plane::Plane;
use serde_json::{Value, json};

/// The Scale of an object.
pub(crate) fn show(kind: &Kind, object: &Value) -> Result<Value, Failure> {
    let scale = kind.rules.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
    let metadata = &object["metadata"];
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or_default();
    let mut shown = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": number(&scale.spec_replicas)},
        "status": {"replicas": number(&scale.status_replicas)},
    });
    if let Some(selector) = scale.selector.as_ref().and_then(|path| at(object, path)) {
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let pairs: Vec<String> = labels
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        let text = selector.as_str().map_or_else(|| pairs.join(","), str::to_owned);
        shown["status"]["selector"] = text.into();
    }
    Ok(shown)
}

/// PUT or PATCH of a Scale: changes the object's replicas and nothing else.
pub(crate) fn change(
    plane: &Plane,
    resource: &Resource,
    verb: Verb,
    query: &Query,
    media: &str,
    body: &[u8],
) -> Result<Value, Failure> {
    let kind = &resource.kind;
    let scale = kind.rules.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
    let options = query.write_options("UpdateOptions")?;
    let merge = match (verb, media) {
        (Verb::Update, _) => false,
        (_, "application/merge-patch+json" | "application/strategic-merge-patch+json") => true,
        _ => return Err(Failure::unsupported_media_type("application/merge-patch+json")),
    };
    let given = parse_body(if merge { "application/json" } else { media }, body)?.value;
    let main = Resource {
        subresource: None,
        ..resource.clone()
    };
    plane.store.write(|writer| {
        let key = key_of(resource);
        let stored = writer
            .get(&kind.table, &key)
            .cloned()
            .ok_or_else(|| Failure::not_found(kind.subject(&key.name)))?;
        let mut object = kind.to_wire(stored.value());
        let version = given["metadata"]["resourceVersion"]
            .as_str()
            .filter(|version| !version.is_empty());
        if version.is_some_and(|version| version != stored.revision.to_string()) {
            return Err(Failure::modified(kind.subject(&key.name)));
        }
        let replicas = match (&given["spec"]["replicas"], merge) {
            (Value::Null, true) => at(&object, &scale.spec_replicas)
                .cloned()
                .unwrap_or_else(|| 0.into()),
            (Value::Null, false) => 0.into(),
            (replicas, _) => replicas.clone(),
        };
        if replicas.as_i64().is_none_or(|replicas| replicas < 0) {
            let cause = Cause::invalid("spec.replicas", &replicas, "must be greater than or equal to 0");
            return Err(Failure::invalid(kind.kind_subject(&key.name), &[cause]));
        }
        set_at(&mut object, &scale.spec_replicas, replicas);
        let written = replace(plane, writer, &main, &stored, object, options.dry_run)?;
        let object = match written.object {
            super::write::Shown::Stored(stored) => kind.to_wire(stored.value()),
            super::write::Shown::Loose(object) => object,
        };
        show(kind, &object)
    })
}
