//! What is true of every object's metadata: names, labels, annotations, finalizers, owners.

use super::{Kind, NameRule};
use crate::failure::Cause;
use crate::schema::{Definitions, Schema};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

const MAX_ANNOTATIONS: usize = 256 * 1024;
const MAX_SUBDOMAIN: usize = 253;
const MAX_LABEL: usize = 63;
/// Finalizers that are allowed without a domain, as upstream's own are.
const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let mut definitions = Definitions::new(super::open_api_definitions().clone());
    definitions
        .named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        .expect("every kind has ObjectMeta")
});

/// The schema of every object's metadata.
pub(crate) fn metadata_schema() -> &'static Schema {
    &SCHEMA
}

/// Adds a cause for everything that is wrong with the metadata of `object`.
pub(crate) fn validate_metadata(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if let Err(why) = check_name(kind.rules.names, name) {
        causes.push(Cause::invalid("metadata.name", &metadata["name"], why));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        if let Err(why) = check_qualified(key) {
            causes.push(Cause::invalid("metadata.labels", &key.as_str().into(), why));
        }
        let text = value.as_str().unwrap_or_default();
        if !text.is_empty() && check_label_text(text).is_err() {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
    validate_annotations(metadata, causes);
    for finalizer in metadata["finalizers"].as_array().into_iter().flatten() {
        let text = finalizer.as_str().unwrap_or_default();
        if !STANDARD_FINALIZERS.contains(&text)
            && let Err(why) = check_qualified(text)
        {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, why));
        }
    }
    validate_owners(metadata, causes);
}

fn validate_annotations(metadata: &Value, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Err(why) = check_qualified(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &key.as_str().into(), why));
        }
    }
    if size > MAX_ANNOTATIONS {
        causes.push(Cause::too_long(
            "metadata.annotations",
            format!("may not be more than {MAX_ANNOTATIONS} bytes"),
        ));
    }
}

fn validate_owners(metadata: &Value, causes: &mut Vec<Cause>) {
    let owners = metadata["ownerReferences"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for (index, owner) in owners.iter().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::required(path, "must not be empty"));
            }
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        let whole = metadata["ownerReferences"].clone();
        let detail = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", &whole, detail));
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character";

fn check_name(rule: NameRule, name: &str) -> Result<(), &'static str> {
    match rule {
        NameRule::Subdomain => check_subdomain(name),
        NameRule::Label if name.len() > MAX_LABEL => Err("must be no more than 63 bytes"),
        NameRule::Label => is_dns_label(name).then_some(()).ok_or(LABEL),
        NameRule::PathSegment if matches!(name, "." | "..") => Err("may not be '.' or '..'"),
        NameRule::PathSegment if name.contains(['/', '%']) => Err("may not contain '/' or '%'"),
        NameRule::PathSegment => Ok(()),
    }
}

pub(super) fn check_subdomain(name: &str) -> Result<(), &'static str> {
    if name.len() > MAX_SUBDOMAIN {
        return Err("must be no more than 253 bytes");
    }
    name.split('.').all(is_dns_label).then_some(()).ok_or(SUBDOMAIN)
}

fn is_dns_label(text: &str) -> bool {
    let inner = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    inner && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

/// `name` or `domain/name`.
fn check_qualified(text: &str) -> Result<(), &'static str> {
    let name = match text.split_once('/') {
        Some((domain, name)) => {
            check_subdomain(domain)?;
            name
        }
        None => text,
    };
    check_label_text(name)
}

fn check_label_text(text: &str) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let inner = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    let ends = [bytes.first(), bytes.last()]
        .iter()
        .all(|byte| byte.is_some_and(u8::is_ascii_alphanumeric));
    match text.len() {
        0 => Err("name part must be non-empty"),
        length if length > MAX_LABEL => Err("name part must be no more than 63 bytes"),
        _ => (inner && ends).then_some(()).ok_or(QUALIFIED),
    }
}
