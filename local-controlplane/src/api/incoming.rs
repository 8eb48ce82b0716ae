//! From the bytes of a request to an object that the kind's schema accepts.

use super::query::FieldValidation;
use super::target::Resource;
use super::{protobuf, strict_json};
use crate::failure::{Cause, Failure};
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
            let value = serde_yaml::from_str(text).map_err(|error| unreadable(&error))?;
            Ok(Parsed {
                value,
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

/// Checks that a body holds what its URL says, and fills in what the URL already says.
pub(crate) fn check_envelope(resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    let kind = &resource.kind;
    if !object.is_object() {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: it must be an object",
        ));
    }
    check_type(kind, object)?;
    match &object["metadata"] {
        Value::Object(_) => {}
        Value::Null => object["metadata"] = json!({}),
        _ => return Err(Failure::bad_request("metadata: it must be an object")),
    }
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

fn check_type(kind: &Kind, object: &mut Value) -> Result<(), Failure> {
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
        return Err(Failure::bad_request(message));
    }
    if let Some(given) = given_kind.filter(|given| *given != kind.kind) {
        let message = format!(
            "{} in version \"{}\" cannot be handled as a {}",
            given, kind.version, kind.kind
        );
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let cause = Cause::invalid("kind", &given.as_str().into(), format!("must be {}", kind.kind));
        return Err(match kind.custom {
            true => Failure::invalid(kind.kind_subject(name), &[cause]),
            false => Failure::bad_request(message),
        });
    }
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.kind.as_str().into();
    Ok(())
}

/// Drops what the kind does not know and refuses what it cannot read. Returns the warnings.
pub(crate) fn decode(
    kind: &Kind,
    object: &mut Value,
    duplicates: &[String],
    validation: FieldValidation,
    origin: Origin,
) -> Result<Vec<String>, Failure> {
    let mut found = Decoded::default();
    if kind.custom {
        let mut metadata = object["metadata"].take();
        schema::decode(metadata_schema(), &mut metadata, "metadata", &mut found);
        // What an apply leaves as null is there; what a body has as null was never meant.
        found.keeps_nulls = origin == Origin::Apply;
        // Malformed metadata cannot be read at all, whatever the kind.
        refuse_unreadable(kind, object, &found, origin, false)?;
        schema::decode(&kind.schema, object, "", &mut found);
        object["metadata"] = metadata;
    } else {
        schema::decode(&kind.schema, object, "", &mut found);
    }
    refuse_unreadable(kind, object, &found, origin, kind.custom)?;
    let unknown = found
        .unknown
        .iter()
        .map(|path| format!("unknown field \"{path}\""));
    let twice = duplicates
        .iter()
        .map(|path| format!("duplicate field \"{path}\""));
    let problems: Vec<String> = unknown.chain(twice).collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(problems),
        FieldValidation::Strict if problems.is_empty() => Ok(problems),
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
                Origin::Patch => patch_invalid(kind, object, &message),
                Origin::Apply => Failure::unexplained(message),
            })
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
            .map(|wrong| Cause::wrong_type(&wrong.path, wrong.found, &wrong.message))
            .collect();
        return Err(Failure::invalid(kind.kind_subject(name), &causes));
    }
    let message = format!(
        "{0} in version \"{1}\" cannot be handled as a {0}: {2}: {3}",
        kind.kind, kind.version, first.path, first.message
    );
    Err(match origin {
        Origin::Body => Failure::bad_request(message),
        Origin::Patch => patch_invalid(kind, object, &message),
        Origin::Apply => Failure::unexplained(format!("failed to convert new object: {message}")),
    })
}

fn patch_invalid(kind: &Kind, object: &Value, message: &str) -> Failure {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Failure::invalid(
        kind.kind_subject(name),
        &[Cause::invalid("patch", &"".into(), message)],
    )
}
