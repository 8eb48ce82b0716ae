//! Schemas: what an object may contain. One representation for built-in kinds and for custom resources.
//!
//! It is the structural subset of OpenAPI v3 that Kubernetes allows in a CustomResourceDefinition. Built-in kinds are
//! described by the schemas that `k8s-openapi` generates from the API's own definitions. Three passes over an object
//! follow from a schema: [`decode`] (types, unknown fields), [`fill_defaults`] and [`validate`].

mod decode;
mod defaults;
mod parse;
mod validate;

pub(crate) use decode::{Decoded, decode};
pub(crate) use defaults::fill_defaults;
pub(crate) use parse::Definitions;
pub(crate) use validate::validate;

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a value may be. The default is "anything, and unknown fields are dropped".
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) types: Types,
    pub(crate) nullable: bool,
    pub(crate) properties: BTreeMap<String, Arc<Self>>,
    /// The schema of a map's values.
    pub(crate) additional: Option<Arc<Self>>,
    pub(crate) items: Option<Arc<Self>>,
    pub(crate) required: Vec<String>,
    pub(crate) default: Option<Value>,
    pub(crate) allowed: Vec<Value>,
    pub(crate) preserve_unknown: bool,
    /// Has apiVersion, kind and metadata of its own.
    pub(crate) embedded: bool,
    pub(crate) limits: Limits,
    pub(crate) list: ListType,
    /// It describes a type of a built-in kind. Upstream holds those in structs: an empty list or map is as good as an
    /// absent one, and which items must be distinct is said by other rules.
    pub(crate) typed: bool,
    /// A map that is owned as a whole.
    pub(crate) atomic: bool,
    pub(crate) combined: Vec<(Combination, Vec<Arc<Self>>)>,
}

/// The type of a value, fine enough to decode it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Types {
    #[default]
    Any,
    Object,
    Array,
    String,
    Boolean,
    Number,
    Integer,
    Int32,
    IntOrString,
    /// RFC 3339, returned in whole seconds.
    Time,
    /// RFC 3339 with exactly six fractional digits, as `metav1.MicroTime` demands.
    MicroTime,
}

/// Bounds of numbers, strings, lists and maps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) minimum: Option<(f64, bool)>,
    pub(crate) maximum: Option<(f64, bool)>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) pattern: Option<regex::Regex>,
    pub(crate) format: Option<String>,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// `allOf`, `anyOf`, `oneOf`, `not`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Combination {
    All,
    Any,
    One,
    Not,
}

/// The dotted path of a field, as messages spell it: `spec.template.containers[0].name`.
pub(crate) fn child(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}
