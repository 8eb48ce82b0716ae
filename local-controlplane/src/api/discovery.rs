//! Discovery: which groups, versions and resources there are. In one document, and in the older many.

use super::accept::wants_aggregated_discovery;
use super::answer::{self, Answer};
use crate::kinds::{Kind, Registry};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What there is beside the groups.
const PATHS: [&str; 19] = [
    "/api",
    "/api/v1",
    "/apis",
    "/apis/",
    "/healthz",
    "/healthz/etcd",
    "/healthz/log",
    "/healthz/ping",
    "/livez",
    "/livez/etcd",
    "/livez/log",
    "/livez/ping",
    "/openapi/v3",
    "/openapi/v3/",
    "/readyz",
    "/readyz/etcd",
    "/readyz/log",
    "/readyz/ping",
    "/version",
];

/// All paths that can be asked for, as `/` shows them.
pub(crate) fn paths(registry: &Registry) -> Value {
    let mut paths: Vec<String> = PATHS.map(str::to_owned).to_vec();
    for (group, versions) in registry.groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths.sort();
    json!({"paths": paths})
}

/// The version of Kubernetes whose behaviour this server follows.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "37", "gitVersion": "v1.37.2+local-controlplane", "gitCommit": "unknown",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// `/api` or `/apis`, in the form that the client asks for.
pub(crate) fn groups(registry: &Registry, core: bool, accept: Option<&str>, headers: &HeaderMap) -> Answer {
    let aggregated = wants_aggregated_discovery(accept);
    let value = match (aggregated, core) {
        (true, _) => aggregated_groups(registry, core),
        (false, true) => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        (false, false) => {
            let groups: Vec<Value> = registry
                .groups()
                .keys()
                .map(|name| group_item(registry, name))
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
    };
    let body = value.to_string();
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let content_type = if aggregated {
        AGGREGATED
    } else {
        "application/json"
    };
    let mut answer = match known {
        true => answer::bytes(StatusCode::NOT_MODIFIED, content_type, ""),
        false => answer::bytes(StatusCode::OK, content_type, body),
    };
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

fn aggregated_groups(registry: &Registry, core: bool) -> Value {
    let one = |group: &str, versions: Vec<&str>| {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| aggregated_version(registry, group, version))
            .collect();
        let metadata = if group.is_empty() {
            json!({})
        } else {
            json!({"name": group})
        };
        json!({"metadata": metadata, "versions": versions})
    };
    let items: Vec<Value> = match core {
        true => vec![one("", vec!["v1"])],
        false => registry
            .groups()
            .into_iter()
            .map(|(group, versions)| one(group, versions.into_iter().collect()))
            .collect(),
    };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_version(registry: &Registry, group: &str, version: &str) -> Value {
    let resources: Vec<Value> = registry
        .of(group, version)
        .into_iter()
        .map(|kind| aggregated_resource(kind))
        .collect();
    json!({"version": version, "freshness": "Current", "resources": resources})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let response_kind = |kind: &Kind| match kind.custom {
        true => json!({"group": kind.group, "version": kind.version, "kind": kind.kind}),
        false => json!({"group": "", "version": "", "kind": kind.kind}),
    };
    let mut resource = json!({
        "resource": kind.plural, "responseKind": response_kind(kind), "singularResource": kind.singular,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "verbs": kind.verbs(),
    });
    add_names(&mut resource, kind);
    let mut subresources = Vec::new();
    if kind.rules.status {
        let verbs = ["get", "patch", "update"];
        subresources
            .push(json!({"subresource": "status", "responseKind": response_kind(kind), "verbs": verbs}));
    }
    if kind.rules.scale.is_some() {
        let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        subresources.push(
            json!({"subresource": "scale", "responseKind": scale, "verbs": ["get", "patch", "update"]}),
        );
    }
    if !subresources.is_empty() {
        resource["subresources"] = subresources.into();
    }
    resource
}

fn add_names(resource: &mut Value, kind: &Kind) {
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
}

/// `/apis/<group>`.
pub(crate) fn group(registry: &Registry, name: &str) -> Value {
    let mut group = group_item(registry, name);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    group
}

fn group_item(registry: &Registry, name: &str) -> Value {
    let versions = registry.groups().remove(name).unwrap_or_default();
    let versions: Vec<Value> = versions
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": name, "versions": versions, "preferredVersion": preferred})
}

/// `/api/v1` and `/apis/<group>/<version>`.
pub(crate) fn resources(registry: &Registry, group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for kind in registry.of(group, version) {
        let entry = |suffix: &str, kind_name: &str, verbs: &[&str]| {
            json!({
                "name": format!("{}{suffix}", kind.plural), "kind": kind_name, "namespaced": kind.namespaced,
                "singularName": if suffix.is_empty() { kind.singular.as_str() } else { "" }, "verbs": verbs,
            })
        };
        let mut main = entry("", &kind.kind, kind.verbs());
        add_names(&mut main, kind);
        resources.push(main);
        if kind.rules.status {
            resources.push(entry("/status", &kind.kind, &["get", "patch", "update"]));
        }
        if kind.rules.scale.is_some() {
            let mut scale = entry("/scale", "Scale", &["get", "patch", "update"]);
            scale["group"] = "autoscaling".into();
            scale["version"] = "v1".into();
            resources.push(scale);
        }
    }
    let name = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources})
}
