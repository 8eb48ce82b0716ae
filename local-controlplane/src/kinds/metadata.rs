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
    if let Some(prefix) = metadata["generateName"]
        .as_str()
        .filter(|prefix| !prefix.is_empty())
    {
        // A dash at the end is not the end of the name: upstream checks with the last two letters replaced.
        let masked = match prefix
            .strip_suffix('-')
            .and_then(|rest| rest.char_indices().next_back())
        {
            Some((end, _)) => format!("{}a", &prefix[..end]),
            None => prefix.to_owned(),
        };
        for why in check_name(kind.rules.names, &masked) {
            causes.push(Cause::invalid(
                "metadata.generateName",
                &metadata["generateName"],
                why,
            ));
        }
    }
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        for why in check_name(kind.rules.names, name) {
            causes.push(Cause::invalid("metadata.name", &metadata["name"], why));
        }
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        for why in check_qualified(key) {
            causes.push(Cause::invalid("metadata.labels", &key.as_str().into(), why));
        }
        for why in check_label_value(value.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
    }
    validate_annotations(metadata, causes);
    validate_owners(metadata, causes);
    validate_finalizers(metadata, causes);
}

fn validate_annotations(metadata: &Value, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        for why in check_qualified(&key.to_lowercase()) {
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

fn validate_finalizers(metadata: &Value, causes: &mut Vec<Cause>) {
    let finalizers = metadata["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
    for finalizer in finalizers {
        let text = finalizer.as_str().unwrap_or_default();
        if !STANDARD_FINALIZERS.contains(&text) {
            for why in check_qualified(text) {
                causes.push(Cause::invalid("metadata.finalizers", finalizer, why));
            }
        }
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(Cause::invalid(
            "metadata.finalizers",
            &metadata["finalizers"],
            detail,
        ));
    }
}

fn validate_owners(metadata: &Value, causes: &mut Vec<Cause>) {
    let owners = metadata["ownerReferences"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for (index, owner) in owners.iter().enumerate() {
        let path = format!("metadata.ownerReferences[{index}]");
        let version = owner["apiVersion"].as_str().unwrap_or_default();
        if version.matches('/').count() > 1 {
            let detail = "must be <group>/<version> or <version>";
            causes.push(Cause::invalid(
                format!("{path}.apiVersion"),
                &owner["apiVersion"],
                detail,
            ));
        }
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("{path}.{field}"), "must not be empty"));
            }
        }
        if version == "v1" && owner["kind"] == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            causes.push(Cause::invalid(path, owner, detail));
        }
    }
    let controllers: Vec<String> = owners
        .iter()
        .filter(|owner| owner["controller"] == true)
        .map(|owner| {
            let text = |field: &str| owner[field].as_str().unwrap_or_default().to_owned();
            format!("{}/{}", text("kind"), text("name"))
        })
        .collect();
    if let [first, second, ..] = controllers.as_slice() {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        causes.push(Cause::invalid(
            "metadata.ownerReferences",
            &metadata["ownerReferences"],
            detail,
        ));
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
     'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What is wrong with a name.
pub(super) fn check_name(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => check_subdomain(name),
        NameRule::Label => check_label(name),
        NameRule::PathSegment if matches!(name, "." | "..") => vec![format!("may not be '{name}'")],
        NameRule::PathSegment => ['/', '%']
            .into_iter()
            .filter(|letter| name.contains(*letter))
            .map(|letter| format!("may not contain '{letter}'"))
            .collect(),
    }
}

/// What is wrong with a name that is one part of a domain.
pub(super) fn check_label(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > MAX_LABEL {
        wrong.push(format!("must be no more than {MAX_LABEL} bytes"));
    }
    if !is_dns_label(name) {
        wrong.push(LABEL.to_owned());
    }
    wrong
}

pub(super) fn check_subdomain(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > MAX_SUBDOMAIN {
        wrong.push(format!("must be no more than {MAX_SUBDOMAIN} characters"));
    }
    if !name.split('.').all(is_dns_label) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// Whether a text could be a name of that form.
pub(crate) fn is_subdomain(text: &str) -> bool {
    check_subdomain(text).is_empty()
}

/// The same of one part of a domain.
pub(crate) fn is_label(text: &str) -> bool {
    check_label(text).is_empty()
}

fn is_dns_label(text: &str) -> bool {
    let inner = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    inner && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

/// What is wrong with a key of the form `name` or `domain/name`.
pub(crate) fn check_qualified(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let mut wrong = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [domain, name] => {
            if domain.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                let domain = check_subdomain(domain).into_iter();
                wrong.extend(domain.map(|why| format!("prefix part {why}")));
            }
            name
        }
        _ => return vec![LABEL_KEY.to_owned()],
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > MAX_LABEL {
        wrong.push(format!("name part must be no more than {MAX_LABEL} bytes"));
    }
    if !is_label_text(name) {
        wrong.push(NAME_PART.to_owned());
    }
    wrong
}

/// What is wrong with the value of a label.
pub(crate) fn check_label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > MAX_LABEL {
        wrong.push(format!("must be no more than {MAX_LABEL} bytes"));
    }
    if !(text.is_empty() || is_label_text(text)) {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    let ends = [bytes.first(), bytes.last()]
        .iter()
        .all(|byte| byte.is_some_and(u8::is_ascii_alphanumeric));
    inner && ends
}
