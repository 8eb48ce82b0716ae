//! The columns of the built-in kinds, as upstream prints them.

use super::columns::{Cell, Column, age};
use serde_json::Value;

fn name() -> Column {
    Column::new("Name", "string", Cell::Pointer("/metadata/name"))
}

fn creation_age() -> Column {
    Column::new("Age", "string", Cell::Age("/metadata/creationTimestamp"))
}

pub(super) fn name_and_age() -> Vec<Column> {
    vec![name(), creation_age()]
}

pub(super) fn name_and_creation() -> Vec<Column> {
    vec![
        name(),
        Column::new(
            "Created At",
            "string",
            Cell::Pointer("/metadata/creationTimestamp"),
        ),
    ]
}

pub(super) fn lease_columns() -> Vec<Column> {
    vec![
        name(),
        Column::new("Holder", "string", Cell::Pointer("/spec/holderIdentity")),
        creation_age(),
    ]
}

pub(super) fn namespace_columns() -> Vec<Column> {
    vec![
        name(),
        Column::new("Status", "string", Cell::Pointer("/status/phase")),
        creation_age(),
    ]
}

pub(super) fn config_map_columns() -> Vec<Column> {
    vec![
        name(),
        Column::new("Data", "integer", Cell::Count("/data")),
        creation_age(),
    ]
}

pub(super) fn service_account_columns() -> Vec<Column> {
    vec![
        name(),
        Column::new("Secrets", "integer", Cell::Count("/secrets")),
        creation_age(),
    ]
}

pub(super) fn binding_columns() -> Vec<Column> {
    let role = |binding: &Value| {
        let role = &binding["roleRef"];
        let text = |field: &str| role[field].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("kind"), text("name")).into()
    };
    vec![
        name(),
        Column::new("Role", "string", Cell::Computed(role)),
        creation_age(),
        Column::new(
            "Users",
            "string",
            Cell::Computed(|binding| subjects(binding, "User")),
        )
        .wide(),
        Column::new(
            "Groups",
            "string",
            Cell::Computed(|binding| subjects(binding, "Group")),
        )
        .wide(),
        Column::new(
            "ServiceAccounts",
            "string",
            Cell::Computed(|binding| subjects(binding, "ServiceAccount")),
        )
        .wide(),
    ]
}

/// The subjects of one kind that a binding names.
fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    let of_kind = subjects.filter(|subject| subject["kind"] == kind);
    let names = of_kind.map(|subject| {
        let text = |field: &str| subject[field].as_str().unwrap_or_default().to_owned();
        match kind {
            "ServiceAccount" => format!("{}/{}", text("namespace"), text("name")),
            _ => text("name"),
        }
    });
    names.collect::<Vec<_>>().join(", ").into()
}

pub(super) fn pod_columns() -> Vec<Column> {
    let ready = |pod: &Value| {
        let statuses = pod["status"]["containerStatuses"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let ready = statuses.iter().filter(|status| status["ready"] == true).count();
        let all = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
        format!("{ready}/{all}").into()
    };
    let restarts = |pod: &Value| {
        let statuses = pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten();
        statuses
            .filter_map(|status| status["restartCount"].as_i64())
            .sum::<i64>()
            .into()
    };
    vec![
        name(),
        Column::new("Ready", "string", Cell::Computed(ready)),
        Column::new("Status", "string", Cell::Pointer("/status/phase")),
        Column::new("Restarts", "string", Cell::Computed(restarts)),
        creation_age(),
    ]
}

pub(super) fn deployment_columns() -> Vec<Column> {
    let ready = |deployment: &Value| {
        let ready = deployment["status"]["readyReplicas"].as_i64().unwrap_or_default();
        format!(
            "{ready}/{}",
            deployment["spec"]["replicas"].as_i64().unwrap_or_default()
        )
        .into()
    };
    let updated = |deployment: &Value| {
        deployment["status"]["updatedReplicas"]
            .as_i64()
            .unwrap_or_default()
            .into()
    };
    let available = |deployment: &Value| {
        deployment["status"]["availableReplicas"]
            .as_i64()
            .unwrap_or_default()
            .into()
    };
    let selector = |deployment: &Value| {
        let labels = deployment["spec"]["selector"]["matchLabels"]
            .as_object()
            .into_iter()
            .flatten();
        let pairs = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        pairs.collect::<Vec<_>>().join(",").into()
    };
    vec![
        name(),
        Column::new("Ready", "string", Cell::Computed(ready)),
        Column::new("Up-to-date", "string", Cell::Computed(updated)),
        Column::new("Available", "string", Cell::Computed(available)),
        creation_age(),
        Column::new(
            "Containers",
            "string",
            Cell::Computed(|deployment| containers(deployment, "name")),
        )
        .wide(),
        Column::new(
            "Images",
            "string",
            Cell::Computed(|deployment| containers(deployment, "image")),
        )
        .wide(),
        Column::new("Selector", "string", Cell::Computed(selector)).wide(),
    ]
}

fn containers(deployment: &Value, field: &str) -> Value {
    let containers = deployment["spec"]["template"]["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten();
    containers
        .filter_map(|container| container[field].as_str())
        .collect::<Vec<_>>()
        .join(",")
        .into()
}

pub(super) fn event_columns() -> Vec<Column> {
    event_table(
        |event| event_object(&event["involvedObject"]),
        "/message",
        "/count",
    )
}

pub(super) fn events_group_columns() -> Vec<Column> {
    event_table(
        |event| event_object(&event["regarding"]),
        "/note",
        "/deprecatedCount",
    )
}

/// The columns of an Event, given where its view keeps what they show.
fn event_table(object: fn(&Value) -> Value, text: &'static str, count: &'static str) -> Vec<Column> {
    vec![
        Column::new("Last Seen", "string", Cell::Computed(event_last_seen)),
        Column::new("Type", "string", Cell::Pointer("/type")),
        Column::new("Reason", "string", Cell::Pointer("/reason")),
        Column::new("Object", "string", Cell::Computed(object)),
        Column::new("Message", "string", Cell::Pointer(text)),
        Column::new("Count", "string", Cell::Pointer(count)).wide(),
        name().wide(),
    ]
}

fn event_object(about: &Value) -> Value {
    let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
}

/// The newest of the times that an Event carries.
fn event_last_seen(event: &Value) -> Value {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["deprecatedLastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let newest = times
        .into_iter()
        .find(|time| time.is_string())
        .unwrap_or(&Value::Null);
    age(newest).into()
}
