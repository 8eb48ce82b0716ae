//! Who set which field: `metadata.managedFields`, and server-side apply, which decides by it.
//!
//! The rules are those of upstream's structured-merge-diff and of the field managers around it. Everything here is
//! pure: objects, a schema and the time go in, an object or a refusal comes out.
//!
//! # What is not there
//! Conversion between versions: entries of another version of the same custom resource are compared by the schema of
//! the version that is written. Entries of versions that nobody serves are dropped, as upstream does.

mod apply;
mod check;
mod compare;
mod element;
mod field_set;
mod managers;
mod merge;
mod of_object;
mod remove;
mod scale;
mod shape;
mod update;

pub(crate) use apply::{Conflict, Refusal, apply};
pub(crate) use scale::{of_parent, to_parent};
pub(crate) use shape::Shape;
pub(crate) use update::{follow, keep_times};

use field_set::FieldSet;
use serde_json::Value;
use std::sync::LazyLock;

/// What ownership must know of the resource that is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) shape: Shape<'a>,
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    /// The versions in which entries make sense.
    pub(crate) versions: &'a [String],
    /// The object of this kind that says nothing: new ones are compared with it.
    pub(crate) blank: &'a Value,
    /// The subresource that is written; empty for the object itself.
    pub(crate) subresource: &'a str,
    /// Paths that a write here does not set, whatever the client sends.
    pub(crate) ignored: &'a [&'a [&'a str]],
}

/// In whose name a write is made, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) manager: &'a str,
    /// In whole seconds.
    pub(crate) now: &'a str,
}

/// What nobody owns, because it is the server's or says which object it is.
static UNOWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});
