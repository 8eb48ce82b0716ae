//! Events: `v1` and `events.k8s.io/v1` are two views of one store. The stored form is `v1`.

use super::View;
use crate::failure::Cause;
use serde_json::{Map, Value};

/// Field names that differ: in `v1`, in `events.k8s.io/v1`.
const RENAMED: [(&str, &str); 7] = [
    ("message", "note"),
    ("involvedObject", "regarding"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];
const MAX_NOTE: usize = 1024;

/// The view of the group `events.k8s.io`.
pub(super) const EVENTS_GROUP: View = View {
    to_wire: |event| without_empty(rename(event, |(core, new)| (core, new))),
    to_stored: |event| with_reporter(rename(event, |(core, new)| (new, core))),
};

/// Who reports is always shown in `v1`, and only if known in the other form.
fn without_empty(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|_, value| *value != "");
    }
    event
}

fn with_reporter(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        for field in ["reportingComponent", "reportingInstance"] {
            fields.entry(field).or_insert_with(|| "".into());
        }
    }
    event
}

fn rename(
    mut event: Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Value {
    let fields = event.as_object_mut().map(std::mem::take).unwrap_or_default();
    let new_name = |name: String| {
        let renamed = RENAMED.into_iter().map(direction).find(|(from, _)| *from == name);
        renamed.map_or(name, |(_, to)| to.to_owned())
    };
    Value::Object(
        fields
            .into_iter()
            .map(|(name, value)| (new_name(name), value))
            .collect::<Map<_, _>>(),
    )
}

/// The rules of `v1`: the event is in the namespace of what it is about.
pub(super) fn validate_core(event: &Value, _old: Option<&Value>, causes: &mut Vec<Cause>) {
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let about = event["involvedObject"]["namespace"].as_str().unwrap_or_default();
    if about != namespace && !(about.is_empty() && namespace == "default") {
        let detail = "does not match event.namespace";
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &event["involvedObject"]["namespace"],
            detail,
        ));
    }
}

/// The rules of `events.k8s.io/v1`: a complete event when it is new, and only `series` may change later.
pub(super) fn validate_events_group(event: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let about = event["regarding"]["namespace"].as_str().unwrap_or_default();
    if about != namespace && !(about.is_empty() && namespace == "default") {
        causes.push(Cause::invalid(
            "regarding.namespace",
            &event["regarding"]["namespace"],
            "does not match event.namespace",
        ));
    }
    match old {
        Some(old) => validate_change(event, old, causes),
        None => validate_new(event, causes),
    }
}

fn validate_new(event: &Value, causes: &mut Vec<Cause>) {
    for field in [
        "eventTime",
        "reportingController",
        "reportingInstance",
        "action",
        "reason",
    ] {
        if event[field].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(field, ""));
        }
    }
    if !matches!(event["type"].as_str(), Some("Normal" | "Warning")) {
        causes.push(Cause::invalid("type", &event["type"], "has invalid value"));
    }
    if event["note"].as_str().is_some_and(|note| note.len() > MAX_NOTE) {
        causes.push(Cause::invalid(
            "note",
            &"".into(),
            "can have at most 1024 characters",
        ));
    }
    for (core, deprecated) in RENAMED
        .into_iter()
        .filter(|(_, new)| new.starts_with("deprecated"))
    {
        let value = &event[deprecated];
        let is_set = !(value.is_null() || *value == 0 || value.as_object().is_some_and(Map::is_empty));
        if is_set {
            causes.push(Cause::invalid(core, value, "needs to be unset"));
        }
    }
}

fn validate_change(event: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let fields = [
        "eventTime",
        "reportingController",
        "reportingInstance",
        "action",
        "reason",
        "regarding",
        "related",
        "note",
        "type",
    ];
    for field in fields.into_iter().filter(|field| event[*field] != old[*field]) {
        causes.push(Cause::invalid(field, &event[field], "field is immutable"));
    }
}
