//! Reviews: questions that are answered and not kept. There is one user here, who may do everything.

use crate::failure::Failure;
use crate::kinds::Kind;
use serde_json::{Value, json};

/// Answers a review.
pub(crate) fn answer(kind: &Kind, mut review: Value) -> Result<Value, Failure> {
    if !review.is_object() {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: it must be an object",
        ));
    }
    review["apiVersion"] = kind.api_version().into();
    review["kind"] = kind.kind.as_str().into();
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    review["status"] = match kind.plural.as_str() {
        "selfsubjectreviews" => {
            json!({"userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]}})
        }
        "selfsubjectrulesreviews" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ => json!({"allowed": true, "reason": "this control plane has one user, who may do everything"}),
    };
    Ok(review)
}
