//! Events: `v1` and `events.k8s.io/v1` are two views of one store. The stored form is `v1`.

use super::{View, check_qualified};
use crate::failure::Cause;
use serde_json::{Map, Value, json};

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
const MAX_WORD: usize = 128;

/// The view of the group `events.k8s.io`.
pub(super) const EVENTS_GROUP: View = View {
    to_wire: |event| {
        let mut event = rename(event, |(core, new)| (core, new));
        drop_empty(&mut event);
        event
    },
    to_stored: |event| {
        let mut event = rename(event, |(core, new)| (new, core));
        complete_core(&mut event);
        event
    },
};

/// Shows empty what the type of `v1` has no way to leave out.
pub(super) fn complete_core(event: &mut Value) {
    drop_empty(event);
    fill(
        event,
        &["eventTime", "firstTimestamp", "lastTimestamp"],
        &Value::Null,
    );
    fill(event, &["source"], &json!({}));
    fill(event, &["reportingComponent", "reportingInstance"], &"".into());
}

/// The same of the type of `events.k8s.io/v1`.
pub(super) fn complete_events_group(event: &mut Value) {
    let times = ["eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"];
    drop_empty(event);
    fill(event, &times, &Value::Null);
    fill(event, &["deprecatedSource"], &json!({}));
}

fn drop_empty(event: &mut Value) {
    if let Some(map) = event.as_object_mut() {
        map.retain(|_, value| *value != 0 && *value != "");
    }
}

fn fill(event: &mut Value, fields: &[&str], value: &Value) {
    if let Some(map) = event.as_object_mut() {
        for field in fields {
            map.entry(*field).or_insert_with(|| value.clone());
        }
    }
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

/// The rules of `v1` (`ValidateEventCreate` of `k8s.io/kubernetes/pkg/apis/core/validation/events.go`).
pub(super) fn validate_core(event: &Value, _old: Option<&Value>, causes: &mut Vec<Cause>) {
    validate_common(event, "reportingComponent", causes);
}

/// The rules of `events.k8s.io/v1`: a complete event when it is new, and only `series` may change later. Causes name
/// the fields as `v1` does, `reportingController` excepted.
pub(super) fn validate_events_group(event: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let stored = |event: &Value| (EVENTS_GROUP.to_stored)(event.clone());
    let event = stored(event);
    validate_common(&event, "reportingController", causes);
    if event["series"] != old.map_or(Value::Null, |old| old["series"].clone()) {
        validate_series(&event, causes);
    }
    match old {
        Some(old) => validate_change(&event, &stored(old), causes),
        None => validate_new(&event, causes),
    }
}

fn validate_common(event: &Value, controller_field: &str, causes: &mut Vec<Cause>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = text(&event["metadata"]["namespace"]);
    let about = text(&event["involvedObject"]["namespace"]);
    let is_new_style = event["eventTime"].is_string();
    let agree = match (is_new_style, about.as_str()) {
        (false, "") => namespace == "default",
        (false, about) => about == namespace,
        (true, "") => matches!(namespace.as_str(), "default" | "kube-system"),
        (true, _) => true,
    };
    if !agree {
        let detail = "does not match event.namespace";
        causes.push(Cause::invalid("involvedObject.namespace", &about.into(), detail));
    }
    if !is_new_style {
        return;
    }
    let controller = text(&event["reportingComponent"]);
    if controller.is_empty() {
        causes.push(Cause::required(controller_field, ""));
    }
    for why in check_qualified(&controller) {
        causes.push(Cause::invalid(controller_field, &controller.as_str().into(), why));
    }
    for field in ["reportingInstance", "action", "reason"] {
        match text(&event[field]).len() {
            0 => causes.push(Cause::required(field, "")),
            length if length > MAX_WORD => causes.push(too_long(field, MAX_WORD)),
            _ => {}
        }
    }
    if text(&event["message"]).len() > MAX_NOTE {
        causes.push(too_long("message", MAX_NOTE));
    }
}

fn too_long(field: &str, limit: usize) -> Cause {
    Cause::invalid(field, &"".into(), format!("can have at most {limit} characters"))
}

fn validate_series(event: &Value, causes: &mut Vec<Cause>) {
    let series = &event["series"];
    if series.is_null() {
        return;
    }
    if series["count"].as_i64().unwrap_or_default() < 2 {
        causes.push(Cause::invalid("series.count", &"".into(), "should be at least 2"));
    }
    if !series["lastObservedTime"].is_string() {
        causes.push(Cause::required("series.lastObservedTime", ""));
    }
}

fn validate_new(event: &Value, causes: &mut Vec<Cause>) {
    if !event["eventTime"].is_string() {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = event["type"].as_str().unwrap_or_default();
    if !matches!(kind, "Normal" | "Warning") {
        let detail = format!("has invalid value: {kind}");
        causes.push(Cause::invalid("type", &"".into(), detail));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let is_set = !event[field].is_null() && event[field] != json!({});
        if is_set {
            causes.push(Cause::invalid(field, &"".into(), "needs to be unset"));
        }
    }
}

fn validate_change(event: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let fields = [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ];
    for field in fields.into_iter().filter(|field| event[*field] != old[*field]) {
        let named = match field {
            "reportingComponent" => "reportingController",
            field => field,
        };
        causes.push(Cause::invalid(named, &event[field], "field is immutable"));
    }
}
