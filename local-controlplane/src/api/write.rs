//! Creating and updating: the one path that every object of every kind takes into the store.
//!
//! All decisions are made under the store's lock, from the very version that is then replaced.

use super::definitions;
use super::incoming::{self, Origin, Parsed};
use super::object::{
    changed_marks, check, check_finalizers, fill_defaults, is_finished, marks, set_or_remove, take_over,
    without_bookkeeping,
};
use super::query::WriteOptions;
use super::target::Resource;
use crate::access::{User, check_escalation, may_create};
use crate::failure::{Cause, Failure};
use crate::kinds::{Kind, namespaces_table};
use crate::ownership::{self, Author};
use crate::plane::Plane;
use crate::store::{Key, Stored, Writer};
use crate::world;
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// What is used of a longer `generateName` (`k8s.io/apiserver/pkg/storage/names`).
const MAX_GENERATED_PREFIX: usize = 58;

/// What a write leaves behind for its answer.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) code: StatusCode,
    pub(crate) object: Shown,
    pub(crate) warnings: Vec<String>,
}

/// In whose name something is written, and what is to come of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent<'a> {
    pub(crate) manager: &'a str,
    /// The object has its managers already: it comes from an apply.
    pub(crate) is_applied: bool,
    pub(crate) dry_run: bool,
}

impl<'a> Intent<'a> {
    /// Of what is no apply.
    pub(crate) fn update(options: &'a WriteOptions) -> Self {
        Self {
            is_applied: false,
            ..Self::apply(options)
        }
    }

    /// Of an apply.
    pub(crate) fn apply(options: &'a WriteOptions) -> Self {
        Self {
            manager: &options.manager,
            is_applied: true,
            dry_run: options.dry_run,
        }
    }

    /// Of a part of the control plane itself.
    pub(crate) fn own(manager: &'a str) -> Self {
        Self {
            manager,
            is_applied: false,
            dry_run: false,
        }
    }
}

/// An object to show: as it is stored, or (in a dry run) as it would be.
#[derive(Debug)]
pub(crate) enum Shown {
    Stored(Arc<Stored>),
    Loose(Value),
}

impl Written {
    fn new(code: StatusCode, object: Shown) -> Self {
        Self {
            code,
            object,
            warnings: Vec::new(),
        }
    }

    fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }
}

/// POST.
pub(crate) fn create(
    plane: &Plane,
    user: &User,
    resource: &Resource,
    body: Parsed,
    options: &WriteOptions,
) -> Result<Written, Failure> {
    let Parsed {
        value: mut object,
        duplicates,
    } = body;
    let warnings = incoming::read(
        resource,
        &mut object,
        &duplicates,
        options.validation,
        Origin::Body,
    )?;
    let written = plane.store.write(|writer| {
        check_escalation(plane, writer, user, resource, &object, None)?;
        insert(plane, writer, resource, object, Intent::update(options))
    });
    with_warnings(written, warnings)
}

/// PUT.
pub(crate) fn update(
    plane: &Plane,
    user: &User,
    resource: &Resource,
    body: Parsed,
    options: &WriteOptions,
) -> Result<Written, Failure> {
    let Parsed {
        value: mut object,
        duplicates,
    } = body;
    let kind = &resource.kind;
    let warnings = incoming::read(
        resource,
        &mut object,
        &duplicates,
        options.validation,
        Origin::Body,
    )?;
    if let Err(failure) = check_name(resource, &object) {
        return Err(failure.with_warnings(warnings));
    }
    let written = plane.store.write(|writer| {
        let key = key_of(resource);
        let stored = writer.get(&kind.table, &key).cloned();
        check_escalation(plane, writer, user, resource, &object, stored.as_deref())?;
        let Some(stored) = stored else {
            return insert_by_update(plane, writer, user, resource, object, Intent::update(options));
        };
        check_precondition(kind, &object, &stored)?;
        replace(plane, writer, resource, &stored, object, Intent::update(options))
    });
    with_warnings(written, warnings)
}

/// What is worth a warning is so whether the write succeeds or not.
pub(crate) fn with_warnings(
    written: Result<Written, Failure>,
    warnings: Vec<String>,
) -> Result<Written, Failure> {
    match written {
        Ok(written) => Ok(written.with_warnings(warnings)),
        Err(failure) => Err(failure.with_warnings(warnings)),
    }
}

/// Whether an object has the name that its URL says.
fn check_name(resource: &Resource, object: &Value) -> Result<(), Failure> {
    let name = resource.name.as_deref().unwrap_or_default();
    match object["metadata"]["name"].as_str() {
        Some(given) if given == name => Ok(()),
        None | Some("") => Err(Failure::bad_request("name must be provided")),
        Some(given) => Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
    }
}

/// A PUT of a missing object: some kinds create it, unless the body says that it means one that was there before.
fn insert_by_update(
    plane: &Plane,
    writer: &mut Writer<'_>,
    user: &User,
    resource: &Resource,
    object: Value,
    intent: Intent<'_>,
) -> Result<Written, Failure> {
    let (kind, name) = (&resource.kind, resource.name.as_deref().unwrap_or_default());
    if !kind.rules.create_on_update || resource.subresource.is_some() {
        return Err(Failure::not_found(kind.subject(name)));
    }
    if let Some(uid) = object["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
        return Err(Failure::conflict(kind.subject(name), why));
    }
    insert_missing(plane, writer, user, resource, object, intent)
}

/// Creates what a write of an object did not find. The version that it names is of nothing.
pub(crate) fn insert_missing(
    plane: &Plane,
    writer: &mut Writer<'_>,
    user: &User,
    resource: &Resource,
    mut object: Value,
    intent: Intent<'_>,
) -> Result<Written, Failure> {
    if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| !intent.dry_run) {
        metadata.remove("resourceVersion");
    }
    if let Err(refused) = may_create(plane, writer, user, resource) {
        // Whether it could be created at all is said first.
        let shown = Intent {
            dry_run: true,
            ..intent
        };
        insert(plane, writer, resource, object, shown)?;
        return Err(refused);
    }
    insert(plane, writer, resource, object, intent)
}

/// Whether a PUT was made from the stored version.
fn check_precondition(kind: &Kind, object: &Value, stored: &Stored) -> Result<(), Failure> {
    let subject = kind.subject(&stored.key.name);
    let metadata = &object["metadata"];
    if let Some(uid) = metadata["uid"]
        .as_str()
        .filter(|uid| !uid.is_empty() && *uid != stored.uid)
    {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            stored.uid
        );
        return Err(Failure::conflict(subject, why));
    }
    match metadata["resourceVersion"].as_str() {
        None | Some("" | "0") if kind.rules.unconditional_update => Ok(()),
        None | Some("" | "0") => {
            let version = metadata["resourceVersion"].as_str().unwrap_or_default();
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &version.into(),
                "must be specified for an update",
            );
            Err(Failure::invalid(subject, &[cause]))
        }
        Some(version) => match version.parse::<u64>() {
            Err(_) => Err(Failure::unclassified(format!(
                "invalid resource version {version:?}"
            ))),
            Ok(version) if version != stored.revision => Err(Failure::modified(subject)),
            Ok(_) => Ok(()),
        },
    }
}

/// Puts a new object into the store.
pub(crate) fn insert(
    plane: &Plane,
    writer: &mut Writer<'_>,
    resource: &Resource,
    mut object: Value,
    intent: Intent<'_>,
) -> Result<Written, Failure> {
    let kind = &resource.kind;
    name_it(plane, writer, resource, &mut object);
    let key = Key::new(
        resource.namespace.as_deref().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default(),
    );
    check_namespace(writer, kind, &key)?;
    stamp_new(plane, kind, &mut object);
    fill_defaults(kind, &mut object);
    follow(plane, resource, None, &mut object, intent);
    (kind.rules.prepare)(&mut object, None);
    check(kind, &object, None, Vec::new())?;
    // Upstream's store refuses this, and a dry run does not get that far.
    if object["metadata"]["resourceVersion"].is_string() && !intent.dry_run {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(Failure::unclassified(why));
    }
    if let Some(existing) = writer.get(&kind.table, &key) {
        let being_deleted = existing.value()["metadata"]["deletionTimestamp"].is_string();
        return Err(Failure::already_exists(kind.subject(&key.name), being_deleted));
    }
    if intent.dry_run {
        return Ok(Written::new(StatusCode::CREATED, Shown::Loose(object)));
    }
    let stored = writer.put(&kind.table, key, kind.to_stored(object));
    definitions::changed(plane, writer, kind, &stored);
    Ok(Written::new(StatusCode::CREATED, Shown::Stored(stored)))
}

/// Draws a name from `generateName`.
fn name_it(plane: &Plane, writer: &Writer<'_>, resource: &Resource, object: &mut Value) {
    let metadata = &mut object["metadata"];
    if metadata["name"].as_str().is_some_and(|name| !name.is_empty()) {
        return;
    }
    let Some(prefix) = metadata["generateName"]
        .as_str()
        .filter(|prefix| !prefix.is_empty())
        .map(str::to_owned)
    else {
        return;
    };
    let prefix: String = prefix.chars().take(MAX_GENERATED_PREFIX).collect();
    let namespace = resource.namespace.as_deref().unwrap_or_default();
    let name =
        std::iter::repeat_with(|| format!("{prefix}{}", plane.identities.name_suffix())).find(|name| {
            writer
                .get(&resource.kind.table, &Key::new(namespace, name))
                .is_none()
        });
    metadata["name"] = name.into();
}

fn check_namespace(writer: &Writer<'_>, kind: &Kind, key: &Key) -> Result<(), Failure> {
    if !kind.namespaced {
        return Ok(());
    }
    let Some(namespace) = writer.get(&namespaces_table(), &Key::new("", &key.namespace)) else {
        let subject = crate::failure::Subject {
            group: "",
            what: "namespaces",
            name: &key.namespace,
        };
        return Err(Failure::not_found(subject));
    };
    if namespace.value()["metadata"]["deletionTimestamp"].is_string() {
        return Err(Failure::namespace_terminating(
            kind.subject(&key.name),
            &key.namespace,
        ));
    }
    Ok(())
}

/// Sets what only the server sets, whatever the client has sent.
fn stamp_new(plane: &Plane, kind: &Kind, object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            metadata.remove(field);
        }
    }
    object["metadata"]["uid"] = plane.identities.uid().into();
    object["metadata"]["creationTimestamp"] = world::wall_seconds().into();
    if kind.rules.generation {
        object["metadata"]["generation"] = 1.into();
    }
    if kind.rules.status {
        set_or_remove(object, "status", Value::Null);
    }
}

/// Replaces `stored` by `object`, as far as the client may. An object that does not change is not written.
pub(crate) fn replace(
    plane: &Plane,
    writer: &mut Writer<'_>,
    resource: &Resource,
    stored: &Arc<Stored>,
    object: Value,
    intent: Intent<'_>,
) -> Result<Written, Failure> {
    let kind = &resource.kind;
    let old = kind.to_wire(stored.value());
    let given_marks = marks(&object);
    let mut new = take_over(resource, &old, object);
    fill_defaults(kind, &mut new);
    follow(plane, resource, Some(&old), &mut new, intent);
    ownership::keep_times(&old, &mut new);
    if kind.table == namespaces_table() && resource.subresource.is_none() {
        new["spec"] = old["spec"].clone();
    }
    (kind.rules.prepare)(&mut new, Some(&old));
    if kind.rules.generation && without_bookkeeping(kind, &new) != without_bookkeeping(kind, &old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
        new["metadata"]["generation"] = (generation + 1).into();
    }
    check(kind, &new, Some(&old), changed_marks(&given_marks, &old))?;
    check_finalizers(kind, &new, &old)?;
    if intent.dry_run {
        return Ok(Written::new(StatusCode::OK, Shown::Loose(new)));
    }
    if is_finished(&new) {
        // The answer to the write that lets an object go is its last stored state.
        writer.remove(&kind.table, &stored.key);
        definitions::removed(plane, writer, kind, stored);
        return Ok(Written::new(StatusCode::OK, Shown::Loose(new)));
    }
    if new == old {
        return Ok(Written::new(StatusCode::OK, Shown::Stored(Arc::clone(stored))));
    }
    let stored = writer.put(&kind.table, stored.key.clone(), kind.to_stored(new));
    definitions::changed(plane, writer, kind, &stored);
    Ok(Written::new(StatusCode::OK, Shown::Stored(stored)))
}

/// Who owns which field after a write.
fn follow(plane: &Plane, resource: &Resource, old: Option<&Value>, new: &mut Value, intent: Intent<'_>) {
    if intent.is_applied || !plane.tracks_owners {
        return;
    }
    let ground = resource.kind.ground(resource.subresource.as_deref());
    let author = Author {
        manager: intent.manager,
        now: &world::wall_seconds(),
    };
    ownership::follow(&ground, old, new, &author);
}

/// The key of the object that a request names.
pub(crate) fn key_of(resource: &Resource) -> Key {
    Key::new(
        resource.namespace.as_deref().unwrap_or_default(),
        resource.name.as_deref().unwrap_or_default(),
    )
}
