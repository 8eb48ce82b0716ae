//! The ClusterRoles and bindings that every cluster starts with, as far as they are about what is served here
//! (`k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).
//!
//! `admin`, `edit` and `view` are gathered from roles with certain labels, by a controller: without controllers they
//! allow nothing, as on a bare API server.

use super::user::{AUTHENTICATED, MASTERS, UNAUTHENTICATED};
use crate::kinds::RBAC_TABLES;
use crate::store::{Key, Writer};
use crate::world::{self, Identities};
use serde_json::{Value, json};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Puts in what is missing.
pub(crate) fn create_defaults(writer: &mut Writer<'_>, identities: &Identities) {
    let [_, cluster_roles, _, cluster_bindings] = RBAC_TABLES.each_ref();
    let roles = cluster_roles_with_rules().map(|(name, rules)| role(name, rules));
    let gathered = ["admin", "edit", "view"].map(gathering);
    let gatherable = aggregated_roles().map(|(to, rules)| {
        let mut role = role(&format!("system:aggregate-to-{to}"), rules);
        label(&mut role, to);
        role
    });
    let roles = roles.into_iter().chain(gathered).chain(gatherable);
    let bindings = bindings().map(|(name, groups)| binding(name, groups));
    for (table, objects) in [
        (cluster_roles, roles.collect::<Vec<_>>()),
        (cluster_bindings, bindings.to_vec()),
    ] {
        for mut object in objects {
            let key = Key::new("", object["metadata"]["name"].as_str().unwrap_or_default());
            if writer.get(table, &key).is_none() {
                object["metadata"]["uid"] = identities.uid().into();
                object["metadata"]["creationTimestamp"] = world::wall_seconds().into();
                writer.put(table, key, object);
            }
        }
    }
}

fn cluster_roles_with_rules() -> [(&'static str, Value); 4] {
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let urls = |urls: &[&str], verb: &str| json!({"nonResourceURLs": urls, "verbs": [verb]});
    let own = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    [
        (
            "cluster-admin",
            json!([rule(&["*"], &["*"], &["*"]), urls(&["*"], "*")]),
        ),
        ("system:discovery", json!([urls(&discovery, "get")])),
        (
            "system:basic-user",
            json!([
                rule(&["authorization.k8s.io"], &own, &["create"]),
                rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
            ]),
        ),
        ("system:public-info-viewer", json!([urls(&public, "get")])),
    ]
}

/// What is gathered into `admin`, `edit` and `view`.
fn aggregated_roles() -> [(&'static str, Value); 3] {
    let events = ["", "events.k8s.io"];
    let deployments = ["deployments", "deployments/scale", "deployments/status"];
    let limits = [
        "limitranges",
        "namespaces/status",
        "pods/status",
        "resourcequotas",
        "resourcequotas/status",
    ];
    [
        (
            "admin",
            json!([
                rule(
                    &["authorization.k8s.io"],
                    &["localsubjectaccessreviews"],
                    &["create"]
                ),
                rule(&["rbac.authorization.k8s.io"], &["rolebindings", "roles"], ALL),
            ]),
        ),
        (
            "edit",
            json!([
                rule(&[""], &["serviceaccounts"], &["impersonate"]),
                rule(&[""], &["configmaps", "pods", "serviceaccounts"], WRITE),
                rule(&events, &["events"], WRITE),
                rule(&["apps"], &["deployments", "deployments/scale"], WRITE),
                rule(&["coordination.k8s.io"], &["leases"], ALL),
            ]),
        ),
        (
            "view",
            json!([
                rule(&[""], &["configmaps", "pods", "serviceaccounts"], READ),
                rule(&[""], &limits, READ),
                rule(&[""], &["namespaces"], READ),
                rule(&events, &["events"], READ),
                rule(&["apps"], &deployments, READ),
            ]),
        ),
    ]
}

/// Who has which ClusterRole, each by the role's name.
fn bindings() -> [(&'static str, &'static [&'static str]); 4] {
    [
        ("cluster-admin", &[MASTERS]),
        ("system:discovery", &[AUTHENTICATED]),
        ("system:basic-user", &[AUTHENTICATED]),
        ("system:public-info-viewer", &[AUTHENTICATED, UNAUTHENTICATED]),
    ]
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": {
            "name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    })
}

fn role(name: &str, rules: Value) -> Value {
    let mut role = object("ClusterRole", name);
    role["rules"] = rules;
    role
}

fn label(role: &mut Value, gathered_into: &str) {
    role["metadata"]["labels"][aggregation_label(gathered_into)] = "true".into();
}

fn aggregation_label(into: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{into}")
}

/// A role that is gathered. Who may edit may view, and who administrates may edit.
fn gathering(name: &str) -> Value {
    let mut role = role(name, Value::Null);
    let labels = json!({aggregation_label(name): "true"});
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
    match name {
        "view" => label(&mut role, "edit"),
        "edit" => label(&mut role, "admin"),
        _ => {}
    }
    role
}

fn binding(name: &str, groups: &[&str]) -> Value {
    let api_group = "rbac.authorization.k8s.io";
    let mut binding = object("ClusterRoleBinding", name);
    binding["roleRef"] = json!({"apiGroup": api_group, "kind": "ClusterRole", "name": name});
    let subjects = groups
        .iter()
        .map(|group| json!({"apiGroup": api_group, "kind": "Group", "name": group}));
    binding["subjects"] = subjects.collect();
    binding
}
