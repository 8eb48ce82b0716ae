//! Creating and updating: the one path that every object of every kind takes into the store.
//!
//! All decisions are made under the store's lock, from the very version that is then replaced.

use super::definitions;
use super::incoming::{self, Origin, Parsed};
use super::query::WriteOptions;
use super::target::Resource;
use crate::access::{User, check_escalation, may_create};
use crate::failure::{Cause, Failure};
use crate::kinds::{self, Kind, namespaces_table};
use crate::plane::Plane;
use crate::schema;
use crate::store::{Key, Stored, Writer};
use crate::world;
use http::StatusCode;
use serde_json::{Value, json};
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
    options: WriteOptions,
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
        insert(plane, writer, resource, object, options.dry_run)
    });
    with_warnings(written, warnings)
}

/// PUT.
pub(crate) fn update(
    plane: &Plane,
    user: &User,
    resource: &Resource,
    body: Parsed,
    options: WriteOptions,
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
            return insert_by_update(plane, writer, user, resource, object, options.dry_run);
        };
        check_precondition(kind, &object, &stored)?;
        replace(plane, writer, resource, &stored, object, options.dry_run)
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
    mut object: Value,
    dry_run: bool,
) -> Result<Written, Failure> {
    let (kind, name) = (&resource.kind, resource.name.as_deref().unwrap_or_default());
    if !kind.rules.create_on_update || resource.subresource.is_some() {
        return Err(Failure::not_found(kind.subject(name)));
    }
    if let Some(uid) = object["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
        return Err(Failure::conflict(kind.subject(name), why));
    }
    if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| !dry_run) {
        metadata.remove("resourceVersion");
    }
    if let Err(refused) = may_create(plane, writer, user, resource) {
        // Whether it could be created at all is said first.
        insert(plane, writer, resource, object, true)?;
        return Err(refused);
    }
    insert(plane, writer, resource, object, dry_run)
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
fn insert(
    plane: &Plane,
    writer: &mut Writer<'_>,
    resource: &Resource,
    mut object: Value,
    dry_run: bool,
) -> Result<Written, Failure> {
    let kind = &resource.kind;
    name_it(plane, writer, resource, &mut object);
    let key = Key::new(
        resource.namespace.as_deref().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default(),
    );
    check_namespace(writer, kind, &key)?;
    stamp_new(plane, kind, &mut object);
    complete(kind, &mut object, None);
    check(kind, &object, None, Vec::new())?;
    // Upstream's store refuses this, and a dry run does not get that far.
    if object["metadata"]["resourceVersion"].is_string() && !dry_run {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(Failure::unclassified(why));
    }
    if let Some(existing) = writer.get(&kind.table, &key) {
        let being_deleted = existing.value()["metadata"]["deletionTimestamp"].is_string();
        return Err(Failure::already_exists(kind.subject(&key.name), being_deleted));
    }
    if dry_run {
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
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        ] {
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
    dry_run: bool,
) -> Result<Written, Failure> {
    let kind = &resource.kind;
    let old = kind.to_wire(stored.value());
    let given_marks = marks(&object);
    let mut new = take_over(resource, &old, object);
    complete(kind, &mut new, Some(&old));
    if kind.rules.generation && without_bookkeeping(kind, &new) != without_bookkeeping(kind, &old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
        new["metadata"]["generation"] = (generation + 1).into();
    }
    check(kind, &new, Some(&old), changed_marks(&given_marks, &old))?;
    check_finalizers(kind, &new, &old)?;
    if dry_run {
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

/// The marks of a deletion, which only a deletion sets.
const MARKS: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

fn marks(object: &Value) -> [Value; 2] {
    MARKS.map(|field| object["metadata"][field].clone())
}

/// A client may leave the marks out; it may not write others.
fn changed_marks(given: &[Value; 2], old: &Value) -> Vec<Cause> {
    let changed = |(field, given): &(&str, &Value)| !given.is_null() && **given != old["metadata"][*field];
    MARKS
        .into_iter()
        .zip(given)
        .filter(changed)
        .map(|(field, given)| Cause::invalid(format!("metadata.{field}"), given, "field is immutable"))
        .collect()
}

/// What a client may change of `old`: on `/status` the status, otherwise everything but the server's own fields.
fn take_over(resource: &Resource, old: &Value, mut object: Value) -> Value {
    let kind = &resource.kind;
    let mut new = match resource.subresource.as_deref() {
        Some("status") => {
            let mut new = old.clone();
            set_or_remove(&mut new, "status", object["status"].take());
            new
        }
        Some("finalize") => {
            let mut new = old.clone();
            new["spec"]["finalizers"] = object["spec"]["finalizers"].take();
            return new;
        }
        _ => {
            if kind.rules.status {
                set_or_remove(&mut object, "status", old["status"].clone());
            }
            object
        }
    };
    if let Some(metadata) = new["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    let keep = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ];
    for field in keep {
        set_or_remove(&mut new["metadata"], field, old["metadata"][field].clone());
    }
    if kind.rules.generation || old["metadata"]["generation"].is_null() {
        set_or_remove(
            &mut new["metadata"],
            "generation",
            old["metadata"]["generation"].clone(),
        );
    }
    if kind.table == namespaces_table() {
        new["spec"] = old["spec"].clone();
    }
    new
}

fn set_or_remove(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        if value.is_null() {
            map.remove(field);
        } else {
            map.insert(field.into(), value);
        }
    }
}

/// Everything that `metadata.generation` counts changes of.
fn without_bookkeeping(kind: &Kind, object: &Value) -> Value {
    let mut rest = object.clone();
    if let Some(map) = rest.as_object_mut() {
        map.remove("metadata");
        if kind.rules.status {
            map.remove("status");
        }
    }
    rest
}

/// Whether nothing keeps an object that is being deleted.
pub(crate) fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let is_namespace = object["kind"] == "Namespace" && object["apiVersion"] == "v1";
    metadata["deletionTimestamp"].is_string()
        && none(&metadata["finalizers"])
        && (!is_namespace || none(&object["spec"]["finalizers"]))
}

/// Fills in defaults and the kind's own additions.
fn complete(kind: &Kind, object: &mut Value, old: Option<&Value>) {
    schema::fill_defaults(&kind.schema, object);
    (kind.rules.prepare)(object, old);
}

/// Whether an object may be stored, when something may be wrong with it already.
fn check(kind: &Kind, object: &Value, old: Option<&Value>, mut causes: Vec<Cause>) -> Result<(), Failure> {
    kinds::validate_metadata(kind, object, &mut causes);
    let mut broken = Vec::new();
    if kind.custom {
        schema::validate(&kind.schema, object, "", &mut broken);
        broken.extend(incoming::unscalable(kind, object));
    }
    // What the metadata lacks was said already, by its own rules.
    causes.extend(broken.into_iter().filter(|cause| !cause.is_of("metadata.")));
    (kind.rules.validate)(object, old, &mut causes);
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Failure::invalid(kind.kind_subject(name), &causes))
}

/// While an object is being deleted, finalizers may only go.
fn check_finalizers(kind: &Kind, new: &Value, old: &Value) -> Result<(), Failure> {
    if !old["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let list = |object: &Value| {
        object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = list(old);
    let added: Vec<_> = list(new)
        .into_iter()
        .filter(|finalizer| !before.contains(finalizer))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let added = json!(added);
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers {added}"
    );
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(Failure::invalid(
        kind.kind_subject(name),
        &[Cause::forbidden("metadata.finalizers", why)],
    ))
}

/// The key of the object that a request names.
pub(crate) fn key_of(resource: &Resource) -> Key {
    Key::new(
        resource.namespace.as_deref().unwrap_or_default(),
        resource.name.as_deref().unwrap_or_default(),
    )
}
