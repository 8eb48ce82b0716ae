//! Custom resources: from a CustomResourceDefinition to the kinds it defines, and the rules of the definition itself.

use super::columns::{Cell, Column};
use super::json_path::JsonPath;
use super::{Kind, Rules, Scale, api_version, metadata};
use crate::failure::Cause;
use crate::schema::{Definitions, Schema};
use crate::world;
use serde_json::{Value, json};
use std::sync::Arc;

/// Groups that only Kubernetes itself may define resources in, unless the annotation below says so.
const PROTECTED: [&str; 2] = [".k8s.io", ".kubernetes.io"];
const APPROVED: &str = "api-approved.kubernetes.io";

/// Fills in what a definition leaves out.
pub(super) fn default(definition: &mut Value) {
    let names = definition["spec"]["names"].clone();
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    let spec = &mut definition["spec"];
    if spec["names"].is_object() && !kind.is_empty() {
        if names["singular"].as_str().is_none_or(str::is_empty) {
            spec["names"]["singular"] = kind.to_lowercase().into();
        }
        if names["listKind"].as_str().is_none_or(str::is_empty) {
            spec["names"]["listKind"] = format!("{kind}List").into();
        }
    }
    if spec.is_object() && spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
}

/// A new definition is not accepted yet.
pub(super) fn prepare(definition: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        let stored: Vec<Value> = versions(definition)
            .filter(|version| version["storage"] == true)
            .map(|version| version["name"].clone())
            .collect();
        definition["status"] = json!({
            "acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": stored,
        });
    }
}

/// What makes a definition unusable.
pub(super) fn validate(definition: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    definition_causes(definition, causes);
    for field in ["group", "scope"] {
        if old.is_some_and(|old| old["spec"][field] != definition["spec"][field]) {
            causes.push(Cause::invalid(
                format!("spec.{field}"),
                &definition["spec"][field],
                "field is immutable",
            ));
        }
    }
}

/// Adds a cause for everything that is wrong with a definition by itself.
fn definition_causes(definition: &Value, causes: &mut Vec<Cause>) {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    for (field, value) in [
        ("spec.group", &group),
        ("spec.names.plural", &plural),
        ("spec.names.singular", &text(&spec["names"]["singular"])),
        ("spec.names.kind", &text(&spec["names"]["kind"])),
        ("spec.names.listKind", &text(&spec["names"]["listKind"])),
    ] {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    if !metadata::check_subdomain(&group).is_empty() && !group.is_empty() {
        causes.push(Cause::invalid(
            "spec.group",
            &spec["group"],
            "must be a lowercase RFC 1123 subdomain",
        ));
    }
    let name = &definition["metadata"]["name"];
    if *name != format!("{plural}.{group}") {
        causes.push(Cause::invalid(
            "metadata.name",
            name,
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    for why in metadata::check_label(&plural)
        .into_iter()
        .filter(|_| !plural.is_empty())
    {
        causes.push(Cause::invalid("spec.names.plural", &spec["names"]["plural"], why));
    }
    if PROTECTED.iter().any(|suffix| group.ends_with(suffix))
        && definition["metadata"]["annotations"][APPROVED].is_null()
    {
        let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\"";
        causes.push(Cause::required(
            "metadata.annotations[api-approved.kubernetes.io]",
            detail,
        ));
    }
    if !matches!(spec["scope"].as_str(), Some("Namespaced" | "Cluster")) {
        let supported = ["\"Cluster\"".to_owned(), "\"Namespaced\"".to_owned()];
        causes.push(Cause::not_supported("spec.scope", &spec["scope"], &supported));
    }
    if spec["conversion"]["strategy"] == "Webhook" {
        causes.push(Cause::forbidden(
            "spec.conversion.strategy",
            "this control plane calls no webhooks; use None",
        ));
    }
    validate_versions(definition, causes);
}

fn validate_versions(definition: &Value, causes: &mut Vec<Cause>) {
    if versions(definition)
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        let whole = definition["spec"]["versions"].clone();
        causes.push(Cause::invalid(
            "spec.versions",
            &whole,
            "must have exactly one version marked as storage version",
        ));
    }
    if definition["status"]["storedVersions"]
        .as_array()
        .is_some_and(Vec::is_empty)
    {
        let detail = "must have at least one stored version";
        causes.push(Cause::invalid("status.storedVersions", &json!([]), detail));
    }
    for (index, version) in versions(definition).enumerate() {
        let path = format!("spec.versions[{index}]");
        let schema = &version["schema"]["openAPIV3Schema"];
        if !schema.is_object() {
            causes.push(Cause::required(
                format!("{path}.schema.openAPIV3Schema"),
                "schemas are required",
            ));
            continue;
        }
        let path = format!("{path}.schema.openAPIV3Schema");
        if schema["type"] != "object" {
            // One schema for all versions is spoken of as the definition's.
            let path = match versions(definition).count() {
                1 => "spec.validation.openAPIV3Schema",
                _ => &path,
            };
            causes.push(Cause::invalid(
                format!("{path}.type"),
                &schema["type"],
                "must be object at the root",
            ));
        }
        if let Err(why) = Definitions::default().parse(schema) {
            causes.push(Cause::invalid(&path, &"".into(), why));
        }
        if let Some(rule) = find_rule(schema, &path) {
            let detail =
                "this control plane evaluates no CEL rules and keeps no promise that it cannot check";
            causes.push(Cause::forbidden(rule, detail));
        }
    }
}

/// The path of the first `x-kubernetes-validations` in a schema.
fn find_rule(schema: &Value, path: &str) -> Option<String> {
    const RULES: &str = "x-kubernetes-validations";
    match schema {
        Value::Object(map) if map.get(RULES).is_some_and(Value::is_array) => Some(format!("{path}.{RULES}")),
        Value::Object(map) => map
            .iter()
            .find_map(|(key, inner)| find_rule(inner, &format!("{path}.{key}"))),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, inner)| find_rule(inner, &format!("{path}[{index}]"))),
        _ => None,
    }
}

/// The status of a definition whose names are accepted and whose resources are served.
pub(crate) fn accepted_status(definition: &Value) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": world::wall_seconds(),
        })
    };
    json!({
        "acceptedNames": definition["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": definition["status"]["storedVersions"],
    })
}

/// The kinds that a valid definition defines: one for each served version.
pub(crate) fn kinds_of(definition: &Value) -> Vec<Arc<Kind>> {
    let stored = versions(definition).find(|version| version["storage"] == true);
    let stored = stored
        .and_then(|version| version["name"].as_str())
        .unwrap_or_default();
    let served = versions(definition).filter(|version| version["served"] == true);
    served
        .filter_map(|version| kind(definition, version, stored).map(Arc::new))
        .collect()
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().into_iter().flatten()
}

fn kind(definition: &Value, version: &Value, stored: &str) -> Option<Kind> {
    let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    let group = text(&spec["group"]);
    let plural = text(&names["plural"]);
    let served = versions(definition).filter(|version| version["served"] == true);
    let raw = &version["schema"]["openAPIV3Schema"];
    Some(Kind {
        version: text(&version["name"]),
        singular: text(&names["singular"]),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        short_names: list(&names["shortNames"]),
        categories: list(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        table: format!("{group}/{plural}").into(),
        api_version: api_version(&group, &text(&version["name"])),
        served_in: served
            .map(|version| api_version(&group, &text(&version["name"])))
            .collect(),
        blank: json!({"metadata": {}}),
        stored_api_version: format!("{group}/{stored}"),
        schema: root(raw)?,
        open_api: raw.clone(),
        columns: columns(version),
        rules: rules(version),
        custom: true,
        group,
        plural,
    })
}

/// The schema of whole objects. Type and metadata are every object's, whatever the schema says of them.
fn root(raw: &Value) -> Option<Arc<Schema>> {
    let mut schema = Schema::clone(&*Definitions::default().parse(raw).ok()?);
    for field in ["apiVersion", "kind", "metadata"] {
        schema.properties.remove(field);
    }
    schema.embedded = true;
    Some(Arc::new(schema))
}

fn rules(version: &Value) -> Rules {
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    let path = |value: &Value| Some(value.as_str()?.trim_start_matches('.').to_owned());
    let scale = &version["subresources"]["scale"];
    Rules {
        unconditional_update: false,
        generation: true,
        status: version["subresources"]["status"].is_object(),
        scale: path(&scale["specReplicasPath"]).map(|spec_replicas| Scale {
            spec_replicas,
            status_replicas: path(&scale["statusReplicasPath"]).unwrap_or_default(),
            selector: path(&scale["labelSelectorPath"]),
        }),
        selectable: selectable.filter_map(|field| path(&field["jsonPath"])).collect(),
        ..Rules::default()
    }
}

fn columns(version: &Value) -> Vec<Column> {
    let mut columns = vec![Column::new("Name", "string", Cell::Pointer("/metadata/name"))];
    let additional = version["additionalPrinterColumns"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for column in additional {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        let Ok(path) = JsonPath::parse(text("jsonPath")) else {
            continue;
        };
        columns.push(Column {
            format: text("format").into(),
            description: text("description").into(),
            priority: column["priority"].as_i64().unwrap_or_default(),
            ..Column::new(text("name"), text("type"), Cell::Path(path))
        });
    }
    if additional.is_empty() {
        columns.push(Column::new(
            "Age",
            "date",
            Cell::Age("/metadata/creationTimestamp"),
        ));
    }
    columns
}
