//! The rules of `apps/v1` Deployment: its defaults, and what its status may say.

use super::metadata::check_label;
use crate::failure::Cause;
use serde_json::{Map, Value, json};

/// Sets `object[key]` when it is absent.
fn fill(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.entry(key).or_insert(value);
    }
}

/// The defaults that a real server stores.
pub(super) fn default(deployment: &mut Value) {
    fill(deployment, "spec", json!({}));
    let spec = &mut deployment["spec"];
    fill(spec, "replicas", 1.into());
    fill(spec, "revisionHistoryLimit", 10.into());
    fill(spec, "progressDeadlineSeconds", 600.into());
    fill(spec, "strategy", json!({}));
    fill(&mut spec["strategy"], "type", "RollingUpdate".into());
    if spec["strategy"]["type"] == "RollingUpdate" {
        fill(&mut spec["strategy"], "rollingUpdate", json!({}));
        fill(
            &mut spec["strategy"]["rollingUpdate"],
            "maxUnavailable",
            "25%".into(),
        );
        fill(&mut spec["strategy"]["rollingUpdate"], "maxSurge", "25%".into());
    }
    if spec["template"].is_object() {
        fill(&mut spec["template"], "spec", json!({}));
        default_pod_spec(&mut spec["template"]["spec"]);
    }
}

/// A new Pod waits.
pub(super) fn prepare_pod(pod: &mut Value, old: Option<&Value>) {
    if old.is_some() {
        return;
    }
    pod["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
    if pod["spec"].is_object() {
        let tolerated = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
        let unready = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
        let spec = &mut pod["spec"];
        fill(spec, "priority", 0.into());
        fill(spec, "preemptionPolicy", "PreemptLowerPriority".into());
        fill(spec, "tolerations", unready.map(tolerated).to_vec().into());
    }
}

/// The defaults of a Pod.
pub(super) fn default_pod(pod: &mut Value) {
    if pod["spec"].is_object() {
        default_pod_spec(&mut pod["spec"]);
        fill(&mut pod["spec"], "enableServiceLinks", true.into());
    }
}

fn default_pod_spec(spec: &mut Value) {
    fill(spec, "restartPolicy", "Always".into());
    fill(spec, "dnsPolicy", "ClusterFirst".into());
    fill(spec, "schedulerName", "default-scheduler".into());
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30.into());
    for list in ["containers", "initContainers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            default_container(container);
        }
    }
}

fn default_container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let moving = last.ends_with(":latest") || !last.contains([':', '@']);
    fill(
        container,
        "imagePullPolicy",
        if moving { "Always" } else { "IfNotPresent" }.into(),
    );
    fill(container, "resources", json!({}));
    fill(container, "terminationMessagePath", "/dev/termination-log".into());
    fill(container, "terminationMessagePolicy", "File".into());
    for port in container
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        fill(port, "protocol", "TCP".into());
    }
}

/// The selector matches the template and never changes; counters of the status are ordered.
pub(super) fn validate(deployment: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &deployment["spec"];
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
        causes.push(Cause::invalid(
            "spec.replicas",
            &spec["replicas"],
            "must be greater than or equal to 0",
        ));
    }
    let empty = Map::new();
    let labels = spec["template"]["metadata"]["labels"]
        .as_object()
        .unwrap_or(&empty);
    let wanted = spec["selector"]["matchLabels"].as_object().unwrap_or(&empty);
    let expressions = spec["selector"]["matchExpressions"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    let is_given = spec["selector"].is_object();
    if !is_given {
        causes.push(Cause::required("spec.selector", ""));
    } else if wanted.is_empty() && !expressions {
        let detail = "empty selector is invalid for deployment";
        causes.push(Cause::invalid("spec.selector", &spec["selector"], detail));
    }
    if !is_given || wanted.iter().any(|(key, value)| labels.get(key) != Some(value)) {
        let detail = "`selector` does not match template `labels`";
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            &json!(labels),
            detail,
        ));
    }
    if old.is_some_and(|old| old["spec"]["selector"] != spec["selector"]) {
        causes.push(Cause::invalid(
            "spec.selector",
            &spec["selector"],
            "field is immutable",
        ));
    }
    validate_containers(&spec["template"]["spec"], "spec.template.spec", causes);
    validate_status(&deployment["status"], causes);
}

/// A Pod has containers with names and images.
pub(super) fn validate_pod(pod: &Value, _old: Option<&Value>, causes: &mut Vec<Cause>) {
    validate_containers(&pod["spec"], "spec", causes);
}

fn validate_containers(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    for (index, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            if container[field].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("{path}.containers[{index}].{field}"), ""));
            }
        }
        let name = container["name"].as_str().unwrap_or_default();
        for why in check_label(name).into_iter().filter(|_| !name.is_empty()) {
            let field = format!("{path}.containers[{index}].name");
            causes.push(Cause::invalid(field, &container["name"], why));
        }
    }
}

fn validate_status(status: &Value, causes: &mut Vec<Cause>) {
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    let orders = [
        ("updatedReplicas", "replicas", "status.replicas"),
        ("readyReplicas", "replicas", "status.replicas"),
        ("availableReplicas", "replicas", "status.replicas"),
        ("availableReplicas", "readyReplicas", "readyReplicas"),
    ];
    for (less, more, spoken) in orders {
        if count(less) > count(more) {
            let detail = format!("cannot be greater than {spoken}");
            causes.push(Cause::invalid(format!("status.{less}"), &status[less], detail));
        }
    }
}
