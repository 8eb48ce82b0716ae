//! Deleting: one object, or all that a selector selects.

use super::definitions;
use super::incoming::Parsed;
use super::object::is_finished;
use super::query::Query;
use super::selector::Selector;
use super::target::Resource;
use super::write::{Shown, key_of};
use crate::failure::{Cause, Failure};
use crate::kinds::{Kind, namespaces_table};
use crate::plane::{Plane, definitions_table};
use crate::store::{FOREGROUND, ORPHAN, Stored, Writer};
use crate::world;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a deletion asks for, from its body and its query.
#[derive(Debug, Default)]
pub(crate) struct DeleteOptions {
    uid: Option<String>,
    resource_version: Option<String>,
    /// A finalizer that asks the garbage collector for more than the usual.
    finalizer: Option<&'static str>,
    dry_run: bool,
}

impl DeleteOptions {
    pub(crate) fn parse(query: &Query, body: Option<Parsed>) -> Result<Self, Failure> {
        let body = body.map_or(Value::Null, |body| body.value);
        if !(body.is_null() || body.is_object()) {
            return Err(Failure::bad_request("delete options must be an object"));
        }
        if let Some(other) = body["kind"].as_str().filter(|kind| *kind != "DeleteOptions") {
            return Err(Failure::bad_request(format!(
                "the body of a deletion is DeleteOptions, not a {other}"
            )));
        }
        // With a body, a real server does not look at the query.
        let query = if body.is_null() { query } else { &Query::default() };
        query.number("gracePeriodSeconds")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let policy =
            text(&body["propagationPolicy"]).or_else(|| query.get("propagationPolicy").map(str::to_owned));
        let finalizer = match policy.as_deref() {
            Some(_) if !body["orphanDependents"].is_null() => {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                let cause = Cause::invalid("propagationPolicy", &body["propagationPolicy"], detail);
                return Err(Failure::invalid_options("DeleteOptions", &[cause]));
            }
            None | Some("" | "Background") => (body["orphanDependents"] == true).then_some(ORPHAN),
            Some("Foreground") => Some(FOREGROUND),
            Some("Orphan") => Some(ORPHAN),
            Some(other) => {
                let supported = ["Background", "Foreground", "Orphan"].map(|word| format!("\"{word}\""));
                let cause = Cause::not_supported("propagationPolicy", &other.into(), &supported);
                return Err(Failure::invalid_options("DeleteOptions", &[cause]));
            }
        };
        let dry_run = text(&body["dryRun"][0]).or_else(|| query.get("dryRun").map(str::to_owned));
        let dry_run = match dry_run.as_deref() {
            None => false,
            Some("All") => true,
            Some(other) => {
                let cause = Cause::not_supported("dryRun", &other.into(), &["\"All\"".to_owned()]);
                return Err(Failure::invalid_options("DeleteOptions", &[cause]));
            }
        };
        let preconditions = &body["preconditions"];
        let resource_version = text(&preconditions["resourceVersion"]);
        Ok(Self {
            uid: text(&preconditions["uid"]),
            resource_version,
            finalizer,
            dry_run,
        })
    }

    fn check(&self, kind: &Kind, stored: &Stored) -> Result<(), Failure> {
        let subject = kind.kind_subject(&stored.key.name);
        let current = stored.revision.to_string();
        let pairs = [
            ("UID", &self.uid, &stored.uid),
            ("ResourceVersion", &self.resource_version, &current),
        ];
        for (what, wanted, is) in pairs {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != is) {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}"
                );
                return Err(Failure::conflict(subject, why));
            }
        }
        Ok(())
    }
}

/// How a deletion went.
#[derive(Debug)]
pub(crate) enum Deletion {
    /// The object is gone.
    Gone(Arc<Stored>),
    /// Something keeps the object; it is marked.
    Marked(Shown),
}

/// DELETE of one object.
pub(crate) fn delete(
    plane: &Plane,
    resource: &Resource,
    options: &DeleteOptions,
) -> Result<Deletion, Failure> {
    let kind = &resource.kind;
    plane.store.write(|writer| {
        let key = key_of(resource);
        let Some(stored) = writer.get(&kind.table, &key).cloned() else {
            return Err(Failure::not_found(kind.subject(&key.name)));
        };
        remove(plane, writer, kind, &stored, options)
    })
}

/// DELETE of a collection: the objects that are gone, or going.
pub(crate) fn delete_collection(
    plane: &Plane,
    resource: &Resource,
    selector: &Selector,
    options: &DeleteOptions,
) -> Result<Vec<Arc<Stored>>, Failure> {
    let kind = &resource.kind;
    plane.store.write(|writer| {
        let table = writer.table(&kind.table);
        let within = table
            .into_iter()
            .flat_map(|table| table.within(resource.namespace.as_deref()));
        let selected: Vec<Arc<Stored>> = within
            .filter(|object| selector.matches(kind, object))
            .cloned()
            .collect();
        for object in &selected {
            remove(plane, writer, kind, object, options)?;
        }
        Ok(selected)
    })
}

/// Deletes one object, or marks it when something keeps it.
pub(crate) fn remove(
    plane: &Plane,
    writer: &mut Writer<'_>,
    kind: &Kind,
    stored: &Arc<Stored>,
    options: &DeleteOptions,
) -> Result<Deletion, Failure> {
    options.check(kind, stored)?;
    refuse_protected(kind, stored)?;
    let before = stored.value();
    let mut object = before.clone();
    if let Some(finalizer) = options
        .finalizer
        .filter(|_| !object["metadata"]["deletionTimestamp"].is_string())
    {
        add_finalizer(&mut object, finalizer);
    }
    if kind.table == definitions_table() {
        add_finalizer(&mut object, definitions::CLEANUP);
    }
    if !object["metadata"]["deletionTimestamp"].is_string() {
        mark(&mut object);
        if kind.table == namespaces_table() {
            object["status"]["phase"] = "Terminating".into();
        }
    }
    let finished = is_finished(&object);
    if options.dry_run {
        return Ok(match finished {
            true => Deletion::Gone(Arc::clone(stored)),
            false => Deletion::Marked(Shown::Loose(kind.to_wire(object))),
        });
    }
    if finished {
        let last = writer.remove(&kind.table, &stored.key);
        definitions::removed(plane, writer, kind, stored);
        return Ok(Deletion::Gone(last.unwrap_or_else(|| Arc::clone(stored))));
    }
    if object == before {
        return Ok(Deletion::Marked(Shown::Stored(Arc::clone(stored))));
    }
    let marked = writer.put(&kind.table, stored.key.clone(), object);
    definitions::changed(plane, writer, kind, &marked);
    Ok(Deletion::Marked(Shown::Stored(marked)))
}

/// Marks an object as being deleted.
pub(crate) fn mark(object: &mut Value) {
    object["metadata"]["deletionTimestamp"] = world::wall_seconds().into();
    object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        object["metadata"]["generation"] = (generation + 1).into();
    }
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    let finalizers = &mut object["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|present| present == finalizer) => {}
        Some(list) => list.push(finalizer.into()),
        None => *finalizers = json!([finalizer]),
    }
}

/// The namespaces that a cluster cannot be without.
fn refuse_protected(kind: &Kind, stored: &Stored) -> Result<(), Failure> {
    let name = stored.key.name.as_str();
    if kind.table == namespaces_table() && matches!(name, "default" | "kube-system" | "kube-public") {
        return Err(Failure::forbidden(
            kind.subject(name),
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}

/// The answer to a deletion that left nothing.
pub(crate) fn success(kind: &Kind, stored: &Stored) -> Value {
    let mut details = json!({"name": stored.key.name, "kind": kind.plural, "uid": stored.uid});
    if !kind.group.is_empty() {
        details["group"] = kind.group.as_str().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
