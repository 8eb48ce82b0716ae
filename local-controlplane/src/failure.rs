//! Everything the server refuses, as the `Status` a real API server would send.
//!
//! One constructor for each reason, so that the wording, the code and the odd choice of `details.kind` (the plural
//! resource in some answers, the Kind in others) exist once. What leads to a refusal is decided elsewhere.

use crate::ownership::Conflict;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::fmt;

/// A refusal: an HTTP code and the parts of a `Status`.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The HTTP status code.
    pub(crate) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Box<Map<String, Value>>>,
    /// `metadata.continue` of an expired list.
    continue_token: Option<String>,
    /// What the client is warned of beside.
    pub(crate) warnings: Vec<String>,
}

/// One cause of a `Status`: what is wrong with which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    reason: &'static str,
    field: String,
    message: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".into()
        } else {
            format!("Required value: {detail}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: impl fmt::Display) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn wrong_type(field: impl Into<String>, found: &str, detail: impl fmt::Display) -> Self {
        let message = format!("Invalid value: \"{found}\": {detail}");
        Self {
            reason: "FieldValueTypeInvalid",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn not_supported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let list = supported.join(", ");
        let message = format!("Unsupported value: {value}: supported values: {list}");
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {detail}"),
        }
    }

    pub(crate) fn too_many(field: impl Into<String>, count: u64, limit: u64) -> Self {
        let items = if limit == 1 { "item" } else { "items" };
        Self {
            reason: "FieldValueTooMany",
            field: field.into(),
            message: format!("Too many: {count}: must have at most {limit} {items}"),
        }
    }

    pub(crate) fn too_long(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message: format!("Too long: {detail}"),
        }
    }

    /// Somebody else owns the field.
    fn conflict(conflict: &Conflict) -> Self {
        Self {
            reason: "FieldManagerConflict",
            field: conflict.path.clone(),
            message: format!("conflict with {}", conflict.owner),
        }
    }

    /// Whether the field's path begins like this.
    pub(crate) fn is_of(&self, path: &str) -> bool {
        self.field.starts_with(path)
    }

    fn to_json(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

/// The names by which an answer speaks of a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The API group, empty for the core group.
    pub(crate) group: &'a str,
    /// The plural resource, or the Kind where a real server says the Kind.
    pub(crate) what: &'a str,
    /// The object's name.
    pub(crate) name: &'a str,
}

impl Subject<'_> {
    /// `leases.coordination.k8s.io "x"`.
    fn qualified(&self) -> String {
        format!("{} \"{}\"", self.resource(), self.name)
    }

    /// `leases.coordination.k8s.io`.
    fn resource(&self) -> String {
        match self.group {
            "" => self.what.to_owned(),
            group => format!("{}.{group}", self.what),
        }
    }

    fn details(&self) -> Map<String, Value> {
        let mut details = Map::new();
        for (key, value) in [("name", self.name), ("group", self.group), ("kind", self.what)] {
            if !value.is_empty() {
                details.insert(key.into(), value.into());
            }
        }
        details
    }
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
            warnings: Vec::new(),
        }
    }

    /// What is worth a warning is so also when the request fails.
    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    fn with_details(mut self, details: Map<String, Value>) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn not_found(subject: Subject<'_>) -> Self {
        let message = format!("{} not found", subject.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(subject.details())
    }

    /// A known group and version without such a resource or subresource.
    pub(crate) fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(Map::new())
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(Map::new())
    }

    pub(crate) fn already_exists(subject: Subject<'_>, being_deleted: bool) -> Self {
        let message = match being_deleted {
            true => format!("object is being deleted: {} already exists", subject.qualified()),
            false => format!("{} already exists", subject.qualified()),
        };
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).with_details(subject.details())
    }

    pub(crate) fn conflict(subject: Subject<'_>, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {}: {why}", subject.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_details(subject.details())
    }

    /// The conflict of a write that was made from an older version.
    pub(crate) fn modified(subject: Subject<'_>) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(subject, why)
    }

    /// The conflict of an apply with what others own.
    pub(crate) fn apply_conflict(conflicts: &[Conflict]) -> Self {
        let message = match conflicts {
            [one] => format!(
                "Apply failed with 1 conflict: conflict with {}: {}",
                one.owner, one.path
            ),
            many => {
                let by_owner = many.chunk_by(|left, right| left.owner == right.owner);
                let blocks = by_owner.map(|of_one| {
                    let paths: Vec<String> = of_one.iter().map(|one| format!("\n- {}", one.path)).collect();
                    format!("conflicts with {}:{}", of_one[0].owner, paths.concat())
                });
                let blocks: Vec<String> = blocks.collect();
                format!(
                    "Apply failed with {} conflicts: {}",
                    many.len(),
                    blocks.join("\n")
                )
            }
        };
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|conflict| Cause::conflict(conflict).to_json())
            .collect();
        let mut details = Map::new();
        details.insert("causes".into(), causes.into());
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_details(details)
    }

    pub(crate) fn invalid(subject: Subject<'_>, causes: &[Cause]) -> Self {
        let listed: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let list = match listed.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} is invalid: {list}", subject.qualified());
        let mut details = subject.details();
        details.insert("causes".into(), causes.iter().map(Cause::to_json).collect());
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(details)
    }

    /// A 422 about the request's options, not about an object.
    pub(crate) fn invalid_options(kind: &str, causes: &[Cause]) -> Self {
        Self::invalid(
            Subject {
                group: "meta.k8s.io",
                what: kind,
                name: "",
            },
            causes,
        )
    }

    /// A patch that can be read and cannot be applied.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(Map::new())
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// What somebody may not do. Nothing about a path is named by its subject, and nothing about a collection by its name.
    pub(crate) fn forbidden(subject: Subject<'_>, why: impl fmt::Display) -> Self {
        let message = match (subject.what, subject.name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{} is forbidden: {why}", subject.resource()),
            _ => format!("{} is forbidden: {why}", subject.qualified()),
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details(subject.details())
    }

    pub(crate) fn namespace_terminating(subject: Subject<'_>, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut failure = Self::forbidden(subject, why);
        let cause = Cause {
            reason: "NamespaceTerminating",
            field: "metadata.namespace".into(),
            message: format!("namespace {namespace} is being terminated"),
        };
        if let Some(details) = &mut failure.details {
            details.insert("causes".into(), json!([cause.to_json()]));
        }
        failure
    }

    pub(crate) fn unsupported_media_type(supported: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {supported}"
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    /// The same of a patch, about which a real server says less.
    pub(crate) fn unsupported_patch(supported: &str) -> Self {
        Self::unsupported_media_type(supported).with_details(Map::new())
    }

    pub(crate) fn not_acceptable(supported: &str) -> Self {
        let message = format!("only the following media types are accepted: {supported}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).with_details(Map::new())
    }

    /// A shape that what is asked for cannot be shown in.
    pub(crate) fn not_acceptable_shape() -> Self {
        let message = "the object cannot be shown in the requested form";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    pub(crate) fn expired(message: impl Into<String>, continue_token: Option<String>) -> Self {
        let mut failure = Self::new(StatusCode::GONE, "Expired", message);
        failure.continue_token = continue_token;
        failure
    }

    /// A read that asked for a version which does not exist yet.
    pub(crate) fn version_too_large(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut details = Map::new();
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        details.insert("causes".into(), json!([cause]));
        details.insert("retryAfterSeconds".into(), 1.into());
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message).with_details(details)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// What a real server's code did not expect to fail: a 500 without a reason.
    pub(crate) fn unclassified(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// Whether the answer tells the client when to come back.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// The `Status` object.
    pub(crate) fn to_status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".into(), token.as_str().into());
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = Value::Object((**details).clone());
        }
        status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}
