//! Server-side apply: a client says which fields it wants how; the server keeps book of it, takes away what the client
//! does not want any more, and refuses what somebody else has set otherwise.

use super::check;
use super::compare::Comparison;
use super::field_set::FieldSet;
use super::managers::{Entry, Managers, Operation, Owner};
use super::merge::merged;
use super::of_object::fields_of;
use super::remove::without;
use super::update::{account, set_managed, take_managed};
use super::{Author, Ground, Shape, UNOWNED};
use serde_json::Value;

/// In whose name fields are kept that were there before anybody was tracked.
const BEFORE: &str = "before-first-apply";
/// The manager of `kubectl apply --server-side`, which takes over what `kubectl apply` has left in an annotation.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Upstream lets the annotation go rather than exceed what all annotations may take.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Why a configuration is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not fit the schema.
    Malformed(String),
    /// Somebody else has set these fields otherwise.
    Conflicts(Vec<Conflict>),
}

/// A field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The other one, in the words of a message.
    pub(crate) owner: String,
    pub(crate) path: String,
}

/// The object with the configuration applied and the managers in it. Without `live` it is a new one.
pub(crate) fn apply(
    ground: &Ground<'_>,
    live: Option<&Value>,
    config: &Value,
    author: &Author<'_>,
    force: bool,
) -> Result<Value, Refusal> {
    let mut old = live.unwrap_or(ground.blank).clone();
    let managers = match take_managed(&mut old) {
        None => Managers::default(),
        Some(managed) => Managers::decode(&managed).ok_or_else(|| {
            Refusal::Malformed("failed to decode managed fields: they are not of the form FieldsV1".into())
        })?,
    };
    check::problems(config, ground.shape).map_err(|why| Refusal::Malformed(untyped(ground, config, &why)))?;
    let attempt = |force| apply_once(ground, &old, config, author, managers.clone(), force);
    let applied = match attempt(force) {
        Err(conflicts) if author.manager == KUBECTL => {
            let allowed = left_by_client(ground, &old).unwrap_or_default();
            let rest = refused(conflicts, &allowed);
            if rest.is_empty() { attempt(true) } else { Err(rest) }
        }
        result => result,
    };
    let (mut object, managers) = applied.map_err(|conflicts| Refusal::Conflicts(spoken(&conflicts)))?;
    set_managed(&mut object, managers.encode());
    let last = object["metadata"]["annotations"][LAST_APPLIED].as_str();
    if author.manager == KUBECTL && last.is_some_and(|last| !last.is_empty()) {
        renew_annotation(&mut object, config);
    }
    Ok(object)
}

fn untyped(ground: &Ground<'_>, config: &Value, why: &str) -> String {
    let text = |field: &str| config["metadata"][field].as_str().unwrap_or_default();
    let (namespace, name, kind) = (text("namespace"), text("name"), ground.kind);
    let version = match ground.api_version.contains('/') {
        true => ground.api_version.to_owned(),
        false => format!("/{}", ground.api_version),
    };
    format!("failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {why}")
}

/// What others own of the fields that would change.
type Conflicts = Vec<(Owner, FieldSet)>;

fn apply_once(
    ground: &Ground<'_>,
    live: &Value,
    config: &Value,
    author: &Author<'_>,
    mut managers: Managers,
    force: bool,
) -> Result<(Value, Managers), Conflicts> {
    if managers.is_empty() {
        let before = Author {
            manager: BEFORE,
            ..*author
        };
        account(&mut managers, ground, ground.blank, live, &before);
    }
    let owner = Owner {
        manager: author.manager.into(),
        operation: Operation::Apply,
        api_version: ground.api_version.into(),
        subresource: ground.subresource.into(),
    };
    let last = managers.get(&owner).cloned();
    let ignored = FieldSet::of_fields(ground.ignored);
    let wanted = fields_of(config, ground.shape).without_all_below(&ignored);
    managers.put(Entry {
        owner: owner.clone(),
        time: last.as_ref().and_then(|last| last.time.clone()),
        fields: wanted.clone(),
    });
    let mut new = merged(live, config, ground.shape);
    if let Some(last) = &last {
        new = pruned(&new, &last.fields, &managers, ground.shape);
    }

    managers.retain(|entry| ground.versions.contains(&entry.owner.api_version));
    let comparison = Comparison::of(live, &new, ground.shape);
    let set = comparison.set().without_all_below(&ignored);
    let removed = comparison.removed.without_all_below(&ignored);
    let is_own = |entry: &Entry| entry.owner == owner;
    if !force {
        let others = managers.iter().filter(|entry| !is_own(entry));
        let conflicts = others.map(|entry| (entry.owner.clone(), entry.fields.intersection(&set)));
        let conflicts: Conflicts = conflicts.filter(|(_, fields)| !fields.is_empty()).collect();
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
    }
    managers.change(|entry| match is_own(entry) {
        true => Some(entry.fields.difference(&UNOWNED)),
        false => Some(entry.fields.difference(&set).difference(&removed)),
    });
    if new != *live
        && let Some(own) = managers.get(&owner).cloned()
    {
        managers.put(Entry {
            time: Some(author.now.into()),
            ..own
        });
    }
    Ok((new, managers))
}

/// Takes out what the author applied last time and does not apply now, unless somebody else owns it too.
fn pruned(merged: &Value, last: &FieldSet, managers: &Managers, shape: Shape<'_>) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let all = fields_of(merged, shape).with_named_fields(shape);
    let last = last.with_named_fields(shape);
    let remaining = |object: &Value| fields_of(object, shape).with_named_fields(shape);

    let taken = without(merged, &last, shape);
    let owned = managers
        .iter()
        .fold(FieldSet::default(), |owned, entry| owned.union(&entry.fields));
    let kept = remaining(&taken).union(&owned.with_named_fields(shape));
    let with_owned = without(merged, &all.difference(&kept), shape);

    let gone = all.difference(&remaining(&with_owned)).intersection(&last);
    without(merged, &gone, shape)
}

/// What `kubectl apply` has applied and nobody has changed since, by its annotation.
fn left_by_client(ground: &Ground<'_>, live: &Value) -> Option<FieldSet> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let last: Value = serde_json::from_str(text).ok()?;
    if last["apiVersion"] != ground.api_version {
        return None;
    }
    check::problems(&last, ground.shape).ok()?;
    let changed = Comparison::of(&last, live, ground.shape);
    let fields = fields_of(&last, ground.shape);
    Some(fields.difference(&changed.set()).difference(&changed.removed))
}

fn refused(conflicts: Conflicts, allowed: &FieldSet) -> Conflicts {
    let rest = conflicts
        .into_iter()
        .map(|(owner, fields)| (owner, fields.difference(allowed)));
    rest.filter(|(_, fields)| !fields.is_empty()).collect()
}

fn spoken(conflicts: &Conflicts) -> Vec<Conflict> {
    let each = conflicts.iter().flat_map(|(owner, fields)| {
        let spoken = |path| Conflict {
            owner: owner.to_string(),
            path,
        };
        fields.paths().into_iter().map(spoken)
    });
    let mut conflicts: Vec<Conflict> = each.collect();
    conflicts.sort_by(|left, right| left.owner.cmp(&right.owner));
    conflicts
}

/// Keeps the annotation of `kubectl apply` in step, so that whoever goes back to it removes what should go.
fn renew_annotation(object: &mut Value, config: &Value) {
    let mut config = config.clone();
    let annotations = config.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    let annotations = &mut object["metadata"]["annotations"];
    annotations[LAST_APPLIED] = format!("{config}\n").into();
    let sizes = annotations.as_object().into_iter().flatten();
    let size: usize = sizes
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if let Some(annotations) = annotations.as_object_mut().filter(|_| size > MAX_ANNOTATIONS) {
        annotations.remove(LAST_APPLIED);
    }
}
