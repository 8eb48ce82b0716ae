//! The fields that every object of a built-in kind has, set or not, as Go's types show them.

use serde_json::{Value, json};

pub(super) fn event() -> Value {
    json!({
        "metadata": {}, "involvedObject": {}, "source": {}, "firstTimestamp": null, "lastTimestamp": null,
        "eventTime": null, "reportingComponent": "", "reportingInstance": "",
    })
}

pub(super) fn events_group_event() -> Value {
    json!({
        "metadata": {}, "eventTime": null, "regarding": {}, "deprecatedSource": {}, "deprecatedFirstTimestamp": null,
        "deprecatedLastTimestamp": null,
    })
}

pub(super) fn deployment() -> Value {
    let template = json!({"metadata": {}, "spec": {"containers": null}});
    json!({
        "metadata": {}, "spec": {"selector": null, "template": template, "strategy": {}}, "status": {},
    })
}

pub(super) fn role() -> Value {
    json!({"metadata": {}, "rules": null})
}

pub(super) fn binding() -> Value {
    json!({"metadata": {}, "roleRef": {"apiGroup": "", "kind": "", "name": ""}})
}

pub(super) fn definition() -> Value {
    let names = json!({"plural": "", "kind": ""});
    json!({
        "metadata": {}, "spec": {"group": "", "names": names, "scope": "", "versions": null},
        "status": {"conditions": null, "acceptedNames": names, "storedVersions": null},
    })
}
