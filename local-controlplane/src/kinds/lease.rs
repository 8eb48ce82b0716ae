//! The rules of `coordination.k8s.io/v1` Lease, with the feature gate `CoordinatedLeaderElection` off.

use crate::failure::Cause;
use serde_json::{Value, json};

/// With the gate off, `strategy` and `preferredHolder` are dropped without a word. Nothing is ever stored of them, so
/// upstream's exception for values that are already stored has nothing to apply to.
pub(super) fn prepare(lease: &mut Value, _old: Option<&Value>) {
    if lease["spec"].is_null() {
        lease["spec"] = json!({});
    }
    if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("strategy");
        spec.remove("preferredHolder");
    }
}

/// A duration is positive, and transitions are not negative. An empty holder is fine: that is how clients release.
pub(super) fn validate(lease: &Value, _old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds <= 0)
    {
        causes.push(Cause::invalid(
            "spec.leaseDurationSeconds",
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        ));
    }
    if spec["leaseTransitions"]
        .as_i64()
        .is_some_and(|transitions| transitions < 0)
    {
        let detail = "must be greater than or equal to 0";
        causes.push(Cause::invalid(
            "spec.leaseTransitions",
            &spec["leaseTransitions"],
            detail,
        ));
    }
}
