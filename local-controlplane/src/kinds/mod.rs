//! What the server serves, as data: a [`Kind`] says how the one generic resource path treats a resource.
//!
//! Built-in kinds are rows in [`builtin`]; custom ones are made from CustomResourceDefinitions by [`custom`]. A kind
//! that needs a rule of its own (a Lease's durations, an Event's two forms) has it in a file here, as a plain function.

mod blank;
mod builtin;
mod builtin_columns;
mod columns;
mod config_map;
mod custom;
mod deployment;
mod event;
mod json_path;
mod lease;
mod metadata;
mod rbac;
mod registry;
mod topology;

pub(crate) use builtin::{builtin_kinds, open_api_definitions};
pub(crate) use columns::Column;
pub(crate) use custom::{accepted_status, kinds_of};
pub(crate) use metadata::{
    check_label_value, check_qualified, is_label, is_subdomain, metadata_schema, validate_metadata,
};
pub(crate) use rbac::RBAC_TABLES;
pub(crate) use registry::Registry;

use crate::failure::{Cause, Subject};
use crate::ownership::{Ground, Shape};
use crate::schema::Schema;
use serde_json::Value;
use std::sync::Arc;

/// One served resource in one version.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Where its objects are kept. Two kinds with one table are two views of the same objects.
    pub(crate) table: Arc<str>,
    /// `coordination.k8s.io/v1`, or `v1`.
    api_version: String,
    /// All versions in which its objects are served, by group and version.
    served_in: Vec<String>,
    /// The version in which its objects are kept.
    pub(crate) stored_api_version: String,
    pub(crate) schema: Arc<Schema>,
    /// The schema in OpenAPI form, for clients.
    pub(crate) open_api: Value,
    /// What every object of the kind has, if empty: upstream's types hold some fields by value, and always show them.
    pub(crate) blank: Value,
    pub(crate) columns: Vec<Column>,
    pub(crate) rules: Rules,
    /// Made from a CustomResourceDefinition.
    pub(crate) custom: bool,
}

/// How the resource path treats a kind: upstream's registry strategies, as data.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Only `create`, and nothing is kept: the kind is a question.
    pub(crate) review: bool,
    /// A PUT of a missing object creates it.
    pub(crate) create_on_update: bool,
    /// The answer to a deletion is the object, and not only a word.
    pub(crate) shows_deleted: bool,
    /// A PUT without resourceVersion overwrites.
    pub(crate) unconditional_update: bool,
    /// `metadata.generation` counts changes outside of metadata and status.
    pub(crate) generation: bool,
    /// Has `/status`, and the main resource ignores `status`.
    pub(crate) status: bool,
    pub(crate) scale: Option<Scale>,
    pub(crate) names: NameRule,
    /// What field selectors may name besides `metadata.name` and `metadata.namespace`, as dotted paths.
    pub(crate) selectable: Vec<String>,
    /// Fills in the defaults that belong to whoever leaves them out.
    pub(crate) default: fn(&mut Value),
    /// Fills in what is the server's own; `None` as the old object means creation.
    pub(crate) prepare: fn(&mut Value, Option<&Value>),
    /// Finds what is wrong, after the schema is satisfied.
    pub(crate) validate: fn(&Value, Option<&Value>, &mut Vec<Cause>),
    pub(crate) view: Option<View>,
}

/// Where `/scale` finds its numbers, as dotted paths.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) selector: Option<String>,
}

/// How the form on the wire follows from the stored one, and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) to_wire: fn(Value) -> Value,
    pub(crate) to_stored: fn(Value) -> Value,
}

/// What a name must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRule {
    Subdomain,
    Label,
    PathSegment,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            review: false,
            create_on_update: false,
            shows_deleted: false,
            unconditional_update: true,
            generation: false,
            status: false,
            scale: None,
            names: NameRule::Subdomain,
            selectable: Vec::new(),
            default: |_| {},
            prepare: |_, _| {},
            validate: |_, _, _| {},
            view: None,
        }
    }
}

impl Kind {
    /// `coordination.k8s.io/v1`, or `v1`.
    pub(crate) fn api_version(&self) -> &str {
        &self.api_version
    }

    /// What ownership must know to account for a write.
    pub(crate) fn ground<'a>(&'a self, subresource: Option<&'a str>) -> Ground<'a> {
        Ground {
            shape: Shape::of(&self.schema, metadata_schema()),
            api_version: &self.api_version,
            kind: &self.kind,
            versions: &self.served_in,
            blank: &self.blank,
            subresource: subresource.unwrap_or_default(),
            ignored: self.not_set_by(subresource),
        }
    }

    /// The paths that a write does not set, whatever the client sends: the status by the main resource, and everything
    /// but the status by `/status`.
    pub(crate) fn not_set_by(&self, subresource: Option<&str>) -> &'static [&'static [&'static str]] {
        match (subresource, self.kind.as_str()) {
            (None, _) if self.rules.status => &[&["status"]],
            (Some("status"), _) if self.custom => &[&["metadata"], &["spec"]],
            (Some("status"), "Deployment") => &[&["spec"], &["metadata", "labels"]],
            (Some("status"), "Pod") => &[
                &["spec"],
                &["metadata", "deletionTimestamp"],
                &["metadata", "ownerReferences"],
            ],
            (Some("status"), _) => &[&["spec"]],
            (Some("finalize"), _) => &[&["status"]],
            _ => &[],
        }
    }

    /// The object `name`, spoken of by its plural resource.
    pub(crate) fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject {
            group: &self.group,
            what: &self.plural,
            name,
        }
    }

    /// The object `name`, spoken of by its Kind.
    pub(crate) fn kind_subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject {
            // Events of both groups are refused as what they are stored as.
            group: if self.is_stored_form() { &self.group } else { "" },
            what: &self.kind,
            name,
        }
    }

    /// The verbs of the main resource, in the order in which discovery lists them.
    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        const ALL: [&str; 8] = [
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ];
        if self.rules.review { &["create"] } else { &ALL }
    }

    /// Whether clients see exactly the bytes that are stored.
    pub(crate) fn is_stored_form(&self) -> bool {
        self.rules.view.is_none() && self.stored_api_version == self.api_version()
    }

    /// The form that clients of this kind see.
    pub(crate) fn to_wire(&self, mut object: Value) -> Value {
        if let Some(view) = self.rules.view {
            object = (view.to_wire)(object);
        }
        object["apiVersion"] = self.api_version().into();
        object
    }

    /// The form that is kept.
    pub(crate) fn to_stored(&self, mut object: Value) -> Value {
        if let Some(view) = self.rules.view {
            object = (view.to_stored)(object);
        }
        object["apiVersion"] = self.stored_api_version.clone().into();
        object
    }
}

/// The value at a dotted path like `spec.replicas`; a leading dot is allowed.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(object, |value, part| value.get(part))
}

/// Sets the value at a dotted path, making the maps on the way.
pub(crate) fn set_at(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}

/// `group/version`, or the version alone in the core group.
fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.into(),
        group => format!("{group}/{version}"),
    }
}

/// The objects that every control plane has from its start: the four namespaces.
pub(crate) fn initial_namespaces() -> [&'static str; 4] {
    ["default", "kube-node-lease", "kube-public", "kube-system"]
}

/// The table that holds namespaces.
pub(crate) fn namespaces_table() -> Arc<str> {
    Arc::from("/namespaces")
}
