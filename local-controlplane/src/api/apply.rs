//! PATCH with a configuration to apply: server-side apply. What belongs to whom is decided in `ownership`; here is the
//! way of a configuration from the wire to there, and of the object from there into the store.

use super::incoming::{self, Origin, Parsed};
use super::patch::check_identity;
use super::query::{FieldValidation, Query, WriteOptions};
use super::strict_json;
use super::target::Resource;
use super::write::{Intent, Written, insert_missing, key_of, replace, with_warnings};
use crate::access::{User, check_escalation};
use crate::failure::{Cause, Failure};
use crate::kinds::Kind;
use crate::ownership::{self, Author, Ground, Refusal};
use crate::plane::Plane;
use crate::store::Stored;
use crate::world;
use serde_json::Value;
use std::sync::Arc;

pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// A configuration that was read.
#[derive(Debug)]
pub(crate) struct Config {
    value: Value,
    duplicates: Vec<String>,
}

impl Config {
    /// JSON is YAML, and what nearly everybody sends.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Failure> {
        let Parsed { value, duplicates } = match strict_json::parse(body) {
            Ok((value, duplicates)) => Parsed { value, duplicates },
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let value = serde_yaml::from_str(&text)
                    .map_err(|error| Failure::bad_request(format!("error encoding patch: yaml: {error}")))?;
                Parsed {
                    value,
                    duplicates: Vec::new(),
                }
            }
        };
        match value {
            Value::Object(_) | Value::Null => Ok(Self { value, duplicates }),
            _ => Err(Failure::bad_request(
                "error decoding patch: error unmarshaling JSON: a configuration is a map",
            )),
        }
    }

    /// That it is about this kind, and leaves the managers to the server.
    pub(crate) fn check(&self, api_version: &str, kind: &str) -> Result<(), Failure> {
        let text = |field: &str| self.value[field].as_str().unwrap_or_default();
        let (given_version, given_kind) = (text("apiVersion"), text("kind"));
        if (given_version, given_kind) != (api_version, kind) {
            let version = match given_version.contains('/') {
                true => given_version.to_owned(),
                false => format!("/{given_version}"),
            };
            return Err(Failure::bad_request(format!(
                "invalid object type: {version}, Kind={given_kind}"
            )));
        }
        if !self.value["metadata"]["managedFields"].is_null() {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        Ok(())
    }

    /// Fields that come twice are an error or a warning, after everything else was in order.
    pub(crate) fn warnings(&self, validation: FieldValidation) -> Result<Vec<String>, Failure> {
        let key = |path: &String| path.rsplit('.').next().unwrap_or_default().to_owned();
        let each = self
            .duplicates
            .iter()
            .map(|path| format!("line 1: key {:?} already set in map", key(path)));
        let problems: Vec<String> = each.collect();
        match validation {
            FieldValidation::Strict if !problems.is_empty() => {
                let list = problems.join("\n  ");
                Err(Failure::bad_request(format!(
                    "error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  {list}"
                )))
            }
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn | FieldValidation::Strict => Ok(problems),
        }
    }

    /// The object that follows from applying it to `live`.
    pub(crate) fn applied(
        &self,
        ground: &Ground<'_>,
        live: Option<&Value>,
        manager: &str,
        force: bool,
    ) -> Result<Value, Failure> {
        let author = Author {
            manager,
            now: &world::wall_seconds(),
        };
        ownership::apply(ground, live, &self.value, &author, force).map_err(|refusal| match refusal {
            Refusal::Malformed(why) => Failure::unclassified(why),
            Refusal::Conflicts(conflicts) => Failure::apply_conflict(&conflicts),
        })
    }
}

/// The options of an apply: it needs a manager, whom nobody guesses.
pub(crate) fn options(query: &Query, user_agent: &str) -> Result<(WriteOptions, bool), Failure> {
    let options = query.write_options("PatchOptions", user_agent)?;
    if query.get("fieldManager").is_none() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Failure::invalid_options("PatchOptions", &[cause]));
    }
    Ok((options, query.flag("force")))
}

/// Applies a configuration to an object, which is created when it is missing.
pub(crate) fn apply(
    plane: &Plane,
    user: &User,
    resource: &Resource,
    config: &Config,
    options: &WriteOptions,
    force: bool,
) -> Result<Written, Failure> {
    let kind = &resource.kind;
    plane.store.write(|writer| {
        let key = key_of(resource);
        let stored = writer.get(&kind.table, &key).cloned();
        if stored.is_none() && resource.subresource.is_some() {
            return Err(Failure::not_found(kind.subject(&key.name)));
        }
        let live = stored.as_ref().map(|stored| kind.to_wire(stored.value()));
        config.check(kind.api_version(), &kind.kind)?;
        let ground = kind.ground(resource.subresource.as_deref());
        let mut object = config.applied(&ground, live.as_ref(), &options.manager, force)?;
        let warnings = config.warnings(options.validation)?;
        incoming::read(resource, &mut object, &[], FieldValidation::Ignore, Origin::Apply)?;
        check_escalation(plane, writer, user, resource, &object, stored.as_deref())?;
        let written = check_place(resource, stored.as_ref(), &object).and_then(|()| match &stored {
            Some(stored) => {
                check_identity(kind, stored, &object)?;
                replace(plane, writer, resource, stored, object, Intent::apply(options))
            }
            None => insert_missing(plane, writer, user, resource, object, Intent::apply(options)),
        });
        with_warnings(written, warnings)
    })
}

/// That the object is the one that the URL names.
fn check_place(resource: &Resource, stored: Option<&Arc<Stored>>, object: &Value) -> Result<(), Failure> {
    let kind: &Kind = &resource.kind;
    let name = resource.name.as_deref().unwrap_or_default();
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    if stored.is_none() && !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Failure::conflict(kind.subject(name), why));
    }
    match object["metadata"]["name"].as_str() {
        Some(given) if given == name => Ok(()),
        None | Some("") => Err(Failure::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        Some(given) => Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
    }
}
