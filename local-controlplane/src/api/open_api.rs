//! OpenAPI v3: as much as `kubectl` needs to create, apply, replace, edit and explain.
//!
//! Strategic merge patch is not listed as a request body, so that kubectl computes it from its own compiled-in types:
//! with it, kubectl would want merge keys in the schemas, which `k8s-openapi` does not have.

use crate::kinds::{Kind, Registry, open_api_definitions};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

const REFERENCE: &str = "#/components/schemas/";

/// `/openapi/v3`: the documents there are.
pub(crate) fn index(registry: &Registry) -> Value {
    let versions: BTreeSet<(&str, &str)> = registry
        .all()
        .map(|kind| (kind.group.as_str(), kind.version.as_str()))
        .collect();
    let mut paths = Map::new();
    for (group, version) in versions {
        let path = if group.is_empty() {
            format!("api/{version}")
        } else {
            format!("apis/{group}/{version}")
        };
        let mut hasher = DefaultHasher::new();
        registry
            .of(group, version)
            .iter()
            .for_each(|kind| kind.open_api.to_string().hash(&mut hasher));
        let hash = format!("{:016X}", hasher.finish());
        paths.insert(
            path.clone(),
            json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}),
        );
    }
    json!({"paths": paths})
}

/// The document of one group and version.
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    for kind in registry.of(group, version) {
        let name = add_schema(kind, &mut schemas);
        add_paths(kind, &name, &mut paths);
    }
    let info = json!({"title": "Kubernetes", "version": "v1.37.2"});
    json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}})
}

fn gvk(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

/// Adds a kind's schema and all that it refers to. Returns its name.
fn add_schema(kind: &Kind, schemas: &mut BTreeMap<String, Value>) -> String {
    let name = match kind.open_api["$ref"].as_str() {
        Some(reference) => reference.trim_start_matches(REFERENCE).to_owned(),
        None => {
            let domain: Vec<&str> = kind.group.split('.').rev().collect();
            let name = format!("{}.{}.{}", domain.join("."), kind.version, kind.kind);
            let mut schema = kind.open_api.clone();
            schema["properties"]["apiVersion"] = json!({"type": "string"});
            schema["properties"]["kind"] = json!({"type": "string"});
            let meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
            schema["properties"]["metadata"] = json!({"allOf": [{"$ref": format!("{REFERENCE}{meta}")}]});
            add_referenced(&schema, schemas);
            schemas.insert(name.clone(), schema);
            name
        }
    };
    add_named(&name, schemas);
    if let Some(schema) = schemas.get_mut(&name) {
        schema["x-kubernetes-group-version-kind"] = json!([gvk(kind)]);
    }
    name
}

fn add_named(name: &str, schemas: &mut BTreeMap<String, Value>) {
    if schemas.contains_key(name) {
        return;
    }
    if let Some(schema) = open_api_definitions().get(name) {
        schemas.insert(name.to_owned(), described(schema));
        add_referenced(schema, schemas);
    }
}

/// A schema as upstream writes it: what is said of a field stands beside its type, and metadata may be left out.
fn described(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if schema["properties"]["metadata"].is_object()
        && let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut)
    {
        required.retain(|name| name != "metadata");
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        if let Some(reference) = property.as_object_mut().and_then(|map| map.remove("$ref")) {
            property["allOf"] = json!([{"$ref": reference}]);
        }
    }
    schema
}

fn add_referenced(schema: &Value, schemas: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                add_named(reference.trim_start_matches(REFERENCE), schemas);
            }
            map.values().for_each(|inner| add_referenced(inner, schemas));
        }
        Value::Array(items) => items.iter().for_each(|inner| add_referenced(inner, schemas)),
        _ => {}
    }
}

fn add_paths(kind: &Kind, schema: &str, paths: &mut Map<String, Value>) {
    let root = if kind.group.is_empty() {
        "/api".to_owned()
    } else {
        format!("/apis/{}", kind.group)
    };
    let scope = if kind.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{root}/{}{scope}/{}", kind.version, kind.plural);
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| query(name))
        .collect();
    let schema = json!({"$ref": format!("{REFERENCE}{schema}")});
    let body = |types: &[&str]| {
        let content: Map<String, Value> = types
            .iter()
            .map(|media| ((*media).to_owned(), json!({"schema": schema})))
            .collect();
        json!({"content": content, "required": true})
    };
    let operation = |action: &str, media: &[&str]| {
        let mut operation = json!({
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(kind),
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        });
        if !media.is_empty() {
            operation["requestBody"] = body(media);
        }
        operation
    };
    let json_only = ["application/json"];
    if kind.rules.review {
        paths.insert(collection, json!({"post": operation("post", &json_only)}));
        return;
    }
    let patches = ["application/json-patch+json", "application/merge-patch+json"];
    paths.insert(
        collection.clone(),
        json!({"get": operation("list", &[]), "post": operation("post", &json_only)}),
    );
    let item = json!({
        "get": operation("get", &[]), "put": operation("put", &json_only),
        "patch": operation("patch", &patches), "delete": operation("delete", &[]),
    });
    paths.insert(format!("{collection}/{{name}}"), item);
}

fn query(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}
