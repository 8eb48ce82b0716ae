//! From the bytes of a request to an object that the kind's schema accepts.

use super::query::FieldValidation;
use super::target::Resource;
use super::{protobuf, strict_json};
use crate::failure::{Cause, Failure, Subject};
use crate::kinds::{Kind, metadata_schema};
use crate::schema::{self, Decoded};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

/// The media types in which objects may come.
const READABLE: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// A body that was read, and the fields that came twice in it.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) value: Value,
    pub(crate) duplicates: Vec<String>,
}

/// How an object came, which decides how its mistakes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Body,
    Patch,
    Apply,
}

/// The media type of a request's body, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Reads a body by its media type; none at all means JSON.
pub(crate) fn parse_body(media: &str, body: &[u8]) -> Result<Parsed, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::bad_request(format!(
            "the object provided is unrecognized: couldn't parse it: {error}"
        ))
    };
    match media {
        "" | "application/json" | "*/*" => {
            let (value, duplicates) = strict_json::parse(body).map_err(|error| unreadable(&error))?;
            Ok(Parsed { value, duplicates })
        }
        "application/yaml" => {
            let text = std::str::from_utf8(body).map_err(|error| unreadable(&error))?;
            // As upstream reads it: the first document, and the last of what comes twice.
            let options =
                serde_yaml::options! { duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::LastWins };
            let mut bytes = text.as_bytes();
            let first = serde_yaml::read_with_options::<_, Value>(&mut bytes, options).next();
            let value = first.transpose().map_err(|error| unreadable(&error))?;
            Ok(Parsed {
                value: value.unwrap_or_default(),
                duplicates: Vec::new(),
            })
        }
        "application/vnd.kubernetes.protobuf" => Ok(Parsed {
            value: protobuf::parse(body, READABLE)?,
            duplicates: Vec::new(),
        }),
        _ => Err(Failure::unsupported_media_type(READABLE)),
    }
}

/// Reads an object of the resource: its type, its fields, and where it is. Returns the warnings.
pub(crate) fn read(
    resource: &Resource,
    object: &mut Value,
    duplicates: &[String],
    validation: FieldValidation,
    origin: Origin,
) -> Result<Vec<String>, Failure> {
    check_envelope(&resource.kind, object, origin)?;
    let warnings = decode(&resource.kind, object, duplicates, validation, origin)?;
    match check_namespace(resource, object) {
        Ok(()) => Ok(warnings),
        Err(failure) => Err(failure.with_warnings(warnings)),
    }
}

/// Checks that a body holds an object of the kind.
fn check_envelope(kind: &Kind, object: &mut Value, origin: Origin) -> Result<(), Failure> {
    if object.is_null() && !kind.custom {
        *object = json!({});
    }
    if !object.is_object() {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: it must be an object",
        ));
    }
    check_type(kind, object, origin)?;
    match &object["metadata"] {
        Value::Object(_) => {}
        Value::Null => object["metadata"] = json!({}),
        _ => return Err(Failure::bad_request("metadata: it must be an object")),
    }
    Ok(())
}

/// Checks that an object is where its URL says, and fills in what the URL already says.
fn check_namespace(resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    let kind = &resource.kind;
    let Some(namespace) = &resource.namespace else {
        if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| !kind.namespaced) {
            metadata.remove("namespace");
        }
        return Ok(());
    };
    match object["metadata"]["namespace"].as_str() {
        None | Some("") => object["metadata"]["namespace"] = namespace.as_str().into(),
        Some(given) if given == namespace => {}
        Some(_) => {
            let message =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(message));
        }
    }
    Ok(())
}

fn check_type(kind: &Kind, object: &mut Value, origin: Origin) -> Result<(), Failure> {
    for field in ["apiVersion", "kind"] {
        if !(object[field].is_null() || object[field].is_string()) {
            let message = format!("the object provided is unrecognized: {field} must be of type string");
            return Err(Failure::bad_request(message));
        }
    }
    let api_version = kind.api_version();
    let given = |field: &str| {
        object[field]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let (given_version, given_kind) = (given("apiVersion"), given("kind"));
    if kind.custom && (given_version.is_none() || given_kind.is_none()) {
        return Err(Failure::bad_request(
            "Object 'Kind' or 'apiVersion' is missing in the body",
        ));
    }
    if let Some(given) = given_version.filter(|given| *given != api_version) {
        let message = format!(
            "the API version in the data ({given}) does not match the expected API version ({api_version})"
        );
        return Err(match origin {
            Origin::Patch if !kind.custom => patch_invalid(&message),
            _ => Failure::bad_request(message),
        });
    }
    if let Some(given) = given_kind.filter(|given| *given != kind.kind) {
        let message = format!(
            "{} in version \"{}\" cannot be handled as a {}",
            given, kind.version, kind.kind
        );
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let cause = Cause::invalid("kind", &given.as_str().into(), format!("must be {}", kind.kind));
        return Err(match origin {
            _ if kind.custom => {
                let subject = Subject {
                    what: &given,
                    ..kind.kind_subject(name)
                };
                Failure::invalid(subject, &[cause])
            }
            Origin::Patch => patch_invalid(&message),
            Origin::Body | Origin::Apply => Failure::bad_request(message),
        });
    }
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.kind.as_str().into();
    Ok(())
}

/// Drops what the kind does not know and refuses what it cannot read. Returns the warnings.
fn decode(
    kind: &Kind,
    object: &mut Value,
    duplicates: &[String],
    validation: FieldValidation,
    origin: Origin,
) -> Result<Vec<String>, Failure> {
    let mut found = Decoded {
        is_typed: true,
        ..Decoded::default()
    };
    if kind.custom {
        let mut metadata = object["metadata"].take();
        schema::decode(metadata_schema(), &mut metadata, "metadata", &mut found);
        // What an apply leaves as null is there; what a body has as null was never meant.
        found.keeps_nulls = origin == Origin::Apply;
        // Malformed metadata cannot be read at all, whatever the kind.
        refuse_unreadable(kind, object, &found, origin, false)?;
        found.is_typed = false;
        schema::decode(&kind.schema, object, "", &mut found);
        object["metadata"] = metadata;
    } else {
        schema::decode(&kind.schema, object, "", &mut found);
    }
    refuse_unreadable(kind, object, &found, origin, kind.custom)?;
    drop_empty(&mut object["metadata"]);
    let repeated = drop_repeated_owners(&mut object["metadata"]);
    let unknown = found
        .unknown
        .iter()
        .map(|path| format!("unknown field \"{path}\""));
    let twice = duplicates
        .iter()
        .map(|path| format!("duplicate field \"{path}\""));
    let problems: Vec<String> = unknown.chain(twice).collect();
    match validation {
        FieldValidation::Ignore => Ok(repeated),
        FieldValidation::Warn => Ok([problems, repeated].concat()),
        FieldValidation::Strict if problems.is_empty() => Ok(repeated),
        FieldValidation::Strict => {
            let list = problems.join(", ");
            let message = format!("strict decoding error: {list}");
            Err(match origin {
                Origin::Body => {
                    let (name, version) = (&kind.kind, &kind.version);
                    Failure::bad_request(format!(
                        "{name} in version \"{version}\" cannot be handled as a {name}: {message}"
                    ))
                }
                Origin::Patch => patch_invalid(&message),
                Origin::Apply => Failure::unclassified(message),
            })
        }
    }
}

/// An owner is named once. Returns the warning that says so.
fn drop_repeated_owners(metadata: &mut Value) -> Vec<String> {
    let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) else {
        return Vec::new();
    };
    let mut once: Vec<Value> = Vec::new();
    let mut repeated = Vec::new();
    for owner in owners.drain(..) {
        if once.contains(&owner) {
            repeated.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            once.push(owner);
        }
    }
    *owners = once;
    if repeated.is_empty() {
        return Vec::new();
    }
    vec![format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        repeated.join(", ")
    )]
}

/// What is empty in metadata is as good as absent, and is not kept.
fn drop_empty(metadata: &mut Value) {
    const FIELDS: [&str; 6] = [
        "annotations",
        "finalizers",
        "generateName",
        "labels",
        "ownerReferences",
        "resourceVersion",
    ];
    let is_empty = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if let Some(metadata) = metadata.as_object_mut() {
        for field in FIELDS {
            if metadata.get(field).is_some_and(is_empty) {
                metadata.remove(field);
            }
        }
    }
}

fn refuse_unreadable(
    kind: &Kind,
    object: &Value,
    found: &Decoded,
    origin: Origin,
    as_invalid: bool,
) -> Result<(), Failure> {
    let Some(first) = found.wrong.first() else {
        return Ok(());
    };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if as_invalid {
        let causes: Vec<Cause> = found
            .wrong
            .iter()
            .map(|wrong| {
                let detail = format!("{} in body {}", wrong.path, wrong.message);
                Cause::wrong_type(&wrong.path, wrong.found, detail)
            })
            .chain(unscalable(kind, object))
            .collect();
        return Err(Failure::invalid(kind.kind_subject(name), &causes));
    }
    let message = format!(
        "{0} in version \"{1}\" cannot be handled as a {0}: {2}: {3}",
        kind.kind, kind.version, first.path, first.message
    );
    Err(match origin {
        Origin::Body => Failure::bad_request(message),
        Origin::Patch => patch_invalid(&message),
        Origin::Apply => Failure::unclassified(format!("failed to convert new object: {message}")),
    })
}

/// What `/scale` could not show of an object.
pub(crate) fn unscalable(kind: &Kind, object: &Value) -> Option<Cause> {
    let path = &kind.rules.scale.as_ref().filter(|_| kind.custom)?.spec_replicas;
    let replicas = path.split('.').try_fold(object, |value, field| match value {
        Value::Object(fields) => Some(fields.get(field).unwrap_or(&Value::Null)),
        Value::Null => Some(&Value::Null),
        _ => None,
    });
    let is_good = replicas.is_some_and(|replicas| replicas.is_null() || replicas.as_u64().is_some());
    let shown = replicas.unwrap_or(&Value::Null);
    (!is_good).then(|| Cause::invalid(format!(".{path}"), shown, "should be a non-negative integer"))
}

/// What became of an object by a patch cannot be read: a real server speaks of the patch, not of the object.
fn patch_invalid(message: &str) -> Failure {
    let nameless = Subject {
        group: "",
        what: "",
        name: "",
    };
    Failure::invalid(nameless, &[Cause::invalid("patch", &"".into(), message)])
}
