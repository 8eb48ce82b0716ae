//! GET and LIST, and what `resourceVersion` means for them.

use super::query::Query;
use super::selector::Selector;
use super::target::Resource;
use super::write::key_of;
use crate::failure::{Cause, Failure};
use crate::plane::Plane;
use crate::store::{Key, Stored};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a read waits for a version that does not exist yet.
const PATIENCE: Duration = Duration::from_secs(3);

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) metadata: Value,
}

/// Which version a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Newest,
    NotOlderThan(u64),
    Exact(u64),
}

/// A list goes on here: at this revision, after this key.
#[derive(Debug)]
struct Continuation {
    revision: Option<u64>,
    after: Key,
}

/// GET of one object.
pub(crate) async fn get(plane: &Plane, resource: &Resource, query: &Query) -> Result<Arc<Stored>, Failure> {
    if let Some(revision) = revision(query)? {
        wait_for(plane, revision).await?;
    }
    let key = key_of(resource);
    let found = plane
        .store
        .read(|state| state.get(&resource.kind.table, &key).cloned());
    found.ok_or_else(|| Failure::not_found(resource.kind.subject(&key.name)))
}

/// LIST of a collection.
pub(crate) async fn list(
    plane: &Plane,
    resource: &Resource,
    query: &Query,
    selector: &Selector,
) -> Result<Page, Failure> {
    let limit = usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(0);
    let (version, after) = match query.get("continue") {
        Some(token) => {
            let goes_on = Continuation::parse(token, query, resource.namespace.as_deref())?;
            (
                goes_on.revision.map_or(Version::Newest, Version::Exact),
                Some(goes_on.after),
            )
        }
        None => (version(query)?, None),
    };
    query.number("timeoutSeconds")?;
    if query.flag("sendInitialEvents") {
        let cause = Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        return Err(Failure::invalid_options("ListOptions", &[cause]));
    }
    // Version 0 means "whatever is at hand", and a real server's cache then gives everything at once.
    let limit = if query.get("resourceVersion") == Some("0") {
        0
    } else {
        limit
    };
    if let Version::NotOlderThan(revision) | Version::Exact(revision) = version {
        wait_for(plane, revision).await?;
    }
    // Which objects a selector takes is only known when it has looked at them.
    let most = (limit > 0 && selector.is_empty()).then_some(limit);
    let rest = snapshot(plane, resource, version, after.as_ref(), most)?;
    Ok(page(resource, selector, rest, limit))
}

/// What comes after a key.
struct Rest {
    /// The revision that it is of.
    revision: u64,
    /// In order; as many as were asked for.
    objects: Vec<Arc<Stored>>,
    /// How many there are beside those.
    left: usize,
}

impl Rest {
    /// The first `most` objects, or all; those that are left are only counted.
    fn of<'a>(revision: u64, mut rest: impl Iterator<Item = &'a Arc<Stored>>, most: Option<usize>) -> Self {
        let objects = rest.by_ref().take(most.unwrap_or(usize::MAX)).cloned().collect();
        let left = rest.count();
        Self {
            revision,
            objects,
            left,
        }
    }
}

/// The objects after a key: `most` of them, or all. The store is locked meanwhile, so nothing is done with them here.
fn snapshot(
    plane: &Plane,
    resource: &Resource,
    version: Version,
    after: Option<&Key>,
    most: Option<usize>,
) -> Result<Rest, Failure> {
    let namespace = resource.namespace.as_deref();
    plane.store.read(|state| {
        let table = state.table(&resource.kind.table);
        match (version, table) {
            (Version::Newest | Version::NotOlderThan(_), table) => {
                let rest = table.into_iter().flat_map(|table| table.rest(namespace, after));
                Ok(Rest::of(state.revision(), rest, most))
            }
            (Version::Exact(revision), Some(table)) => {
                let rest = table.rest_at(revision, namespace, after);
                let rest = rest.ok_or_else(|| expired(after))?;
                Ok(Rest::of(revision, rest, most))
            }
            (Version::Exact(revision), None) if revision >= state.floor() => {
                Ok(Rest::of(revision, [].into_iter(), most))
            }
            (Version::Exact(_), None) => Err(expired(after)),
        }
    })
}

/// An old snapshot is gone. A list that was under way gets a token to go on with, at the price of consistency.
fn expired(after: Option<&Key>) -> Failure {
    match after {
        Some(after) => {
            let token = Continuation {
                revision: None,
                after: after.clone(),
            }
            .token();
            let message = "The provided continue parameter is too old to display a consistent list result. You can \
                           start a new list without the continue parameter, or use the continue token in this \
                           response to retrieve the remainder of the results.";
            Failure::expired(message, Some(token))
        }
        None => Failure::expired("The resourceVersion for the provided list is too old.", None),
    }
}

fn page(resource: &Resource, selector: &Selector, rest: Rest, limit: usize) -> Page {
    let kind = &resource.kind;
    let Rest {
        revision,
        objects,
        left,
    } = rest;
    let mut selected = objects
        .into_iter()
        .filter(|object| selector.matches(kind, object));
    let objects: Vec<_> = match limit {
        0 => selected.by_ref().collect(),
        limit => selected.by_ref().take(limit).collect(),
    };
    let more = left > 0 || selected.next().is_some();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if kind.custom {
        metadata["continue"] = "".into();
    }
    if let Some(last) = objects.last().filter(|_| more) {
        let goes_on = Continuation {
            revision: Some(revision),
            after: last.key.clone(),
        };
        metadata["continue"] = goes_on.token().into();
        if selector.is_empty() {
            metadata["remainingItemCount"] = left.into();
        }
    }
    Page { objects, metadata }
}

impl Continuation {
    fn token(&self) -> String {
        let revision = self
            .revision
            .map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let start = format!("{}/{}", self.after.namespace, self.after.name);
        URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start}).to_string())
    }

    fn parse(token: &str, query: &Query, within: Option<&str>) -> Result<Self, Failure> {
        if query.get("resourceVersion").is_some_and(|version| version != "0") {
            return Err(Failure::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let decoded = URL_SAFE_NO_PAD.decode(token).ok();
        let json: Option<Value> = decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let parsed = json.and_then(|json| {
            let revision = u64::try_from(json["rv"].as_i64()?).ok();
            // Within a namespace, the start is a name after a slash or without one.
            let start = json["start"].as_str()?.trim_end_matches('\0');
            let (namespace, name) = match (within, start.split_once('/')) {
                (Some(within), Some(("", name))) => (within, name),
                (_, Some(parts)) => parts,
                (within, None) => (within?, start),
            };
            Some(Self {
                revision,
                after: Key::new(namespace, name),
            })
        });
        parsed.ok_or_else(|| Failure::bad_request("continue key is not valid"))
    }
}

/// The version that a read names, if it names one.
pub(crate) fn revision(query: &Query) -> Result<Option<u64>, Failure> {
    let Some(text) = query.get("resourceVersion") else {
        return Ok(None);
    };
    let revision = text.parse().map_err(|_| {
        Failure::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: it must be a decimal number"
        ))
    })?;
    Ok(Some(revision))
}

fn version(query: &Query) -> Result<Version, Failure> {
    let revision = revision(query)?;
    let invalid = |cause: Cause| Err(Failure::invalid_options("ListOptions", &[cause]));
    let field = "resourceVersionMatch";
    match (query.get(field), revision) {
        (None, None | Some(0)) => Ok(Version::Newest),
        (None | Some("NotOlderThan"), Some(revision)) => Ok(Version::NotOlderThan(revision)),
        (Some("Exact"), Some(0)) => invalid(Cause::forbidden(
            field,
            "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
        )),
        (Some("Exact"), Some(revision)) => Ok(Version::Exact(revision)),
        (Some("Exact" | "NotOlderThan"), None) => invalid(Cause::forbidden(
            field,
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        )),
        (Some(other), _) => {
            let supported = ["\"\"", "\"Exact\"", "\"NotOlderThan\""].map(str::to_owned);
            invalid(Cause::not_supported(field, &other.into(), &supported))
        }
    }
}

/// Waits until the store has reached a revision, as long as a real server would.
async fn wait_for(plane: &Plane, revision: u64) -> Result<(), Failure> {
    if plane.store.read(|state| state.revision()) >= revision {
        return Ok(());
    }
    match tokio::time::timeout(PATIENCE, plane.store.settle(revision)).await {
        // When the disk has failed, whoever shows what was read is told.
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::version_too_large(
            revision,
            plane.store.read(|state| state.revision()),
        )),
    }
}
