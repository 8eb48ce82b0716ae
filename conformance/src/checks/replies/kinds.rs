//! What a real server said to objects of other kinds.

use serde_json::{Value, json};

use super::{dry, with_metadata};
use crate::check::checks;
use crate::cluster::{CONFIGS, Cluster, DEFINITIONS, MERGE, NAMESPACES};

checks! {"replies";
    events_of_the_group,
    changes_of_events,
    events_of_the_core,
    config_maps,
    namespaces,
    deployments,
    definitions,
    custom_objects,
    service_accounts,
}

const GROUP_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/{ns}/events";
const CORE_EVENTS: &str = "/api/v1/namespaces/{ns}/events";

fn new_event(change: &Value) -> Value {
    let mut event = json!({
        "metadata": {"name": "e"}, "eventTime": "2026-01-02T03:04:05.000006Z", "type": "Normal",
        "reportingController": "example.com/elector", "reportingInstance": "elector-0", "action": "Elect",
        "reason": "Elected", "note": "alpha leads", "regarding": {"kind": "Lease", "namespace": "{ns}", "name": "x"},
    });
    if let (Some(fields), Some(changes)) = (event.as_object_mut(), change.as_object()) {
        fields.extend(changes.clone());
    }
    event
}

async fn events_of_the_group(server: Cluster) {
    let long = "x".repeat(129);
    for change in [
        json!({"eventTime": null}),
        json!({"reportingController": null}),
        json!({"reportingController": "no/t/q"}),
        json!({"reportingInstance": null}),
        json!({"reportingInstance": long}),
        json!({"action": null}),
        json!({"action": long}),
        json!({"reason": null}),
        json!({"reason": long}),
        json!({"type": null}),
        json!({"type": "Other"}),
        json!({"note": "x".repeat(1025)}),
        json!({"regarding": {"namespace": "elsewhere", "name": "x"}}),
        json!({"regarding": {"name": "x"}}),
        json!({"deprecatedCount": 3}),
        json!({"deprecatedSource": {"component": "x"}}),
        json!({"deprecatedFirstTimestamp": "2026-01-02T03:04:05Z"}),
        json!({"series": {"count": 1, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}}),
        json!({}),
    ] {
        server.post(&dry(GROUP_EVENTS), &new_event(&change)).await;
    }
    server.expect_transcript("events-of-the-group");
}

async fn changes_of_events(server: Cluster) {
    server.post(GROUP_EVENTS, &new_event(&json!({}))).await;
    let path = format!("{GROUP_EVENTS}/e");
    for change in [
        json!({"note": "other"}),
        json!({"reason": "Other"}),
        json!({"action": "Other"}),
        json!({"type": "Warning"}),
        json!({"eventTime": "2026-01-02T03:04:06.000006Z"}),
        json!({"reportingController": "example.com/other"}),
        json!({"reportingInstance": "other"}),
        json!({"regarding": {"name": "other"}}),
        json!({"related": {"name": "other"}}),
        json!({"deprecatedCount": 3}),
        json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}}),
    ] {
        server.patch(&path, MERGE, &change).await;
    }
    server
        .patch(&format!("{CORE_EVENTS}/e"), MERGE, &json!({"message": "other"}))
        .await;
    server.get(&path).await;
    server.expect_transcript("changes-of-events");
}

async fn events_of_the_core(server: Cluster) {
    let about = |namespace: &str| json!({"namespace": namespace, "name": "x", "kind": "Lease"});
    for (name, change) in [
        ("a", json!({"count": 3})),
        ("b", json!({"involvedObject": about("elsewhere")})),
        (
            "c",
            json!({"involvedObject": about("elsewhere"), "eventTime": "2026-01-02T03:04:05.000006Z"}),
        ),
        ("a", json!({})),
        (
            "d",
            json!({"firstTimestamp": "2026-01-02T03:04:05Z", "source": {"component": "c", "host": "h"}}),
        ),
    ] {
        let mut event = json!({
            "metadata": {"name": name}, "involvedObject": about("{ns}"), "reason": "R", "message": "m", "type": "Normal",
        });
        if let (Some(fields), Some(changes)) = (event.as_object_mut(), change.as_object()) {
            fields.extend(changes.clone());
        }
        server.post(CORE_EVENTS, &event).await;
    }
    server.get(&format!("{GROUP_EVENTS}/a")).await;
    server
        .get(&format!(
            "{CORE_EVENTS}?fieldSelector=involvedObject.name%3Dx,reason%3DR"
        ))
        .await;
    server.expect_transcript("events-of-the-core");
}

async fn config_maps(server: Cluster) {
    for body in [
        json!({"metadata": {"name": "a"}, "data": {"k": "v"}, "binaryData": {"b": "AAE="}}),
        json!({"metadata": {"name": "b"}, "data": {"k": 5}}),
        json!({"metadata": {"name": "b"}, "data": {"not a key": "v"}}),
        json!({"metadata": {"name": "b"}, "data": {"k": "v"}, "binaryData": {"k": "AAE="}}),
        json!({"metadata": {"name": "b"}, "immutable": true, "data": {"k": "v"}}),
        json!({"metadata": {"name": "c"}}),
    ] {
        server.post(CONFIGS, &body).await;
    }
    for (name, patch) in [
        ("a", json!({"data": {"k": null, "l": "w"}})),
        ("b", json!({"data": {"k": "w"}})),
        ("b", json!({"immutable": false})),
        ("b", json!({"metadata": {"labels": {"a": "b"}}})),
    ] {
        server.patch(&format!("{CONFIGS}/{name}"), MERGE, &patch).await;
    }
    server
        .put(
            &format!("{CONFIGS}/a"),
            &json!({"metadata": {"name": "a"}, "data": {"z": "z"}}),
        )
        .await;
    server
        .put(&format!("{CONFIGS}/z"), &json!({"metadata": {"name": "z"}}))
        .await;
    server.delete(&format!("{CONFIGS}/a"), &Value::Null).await;
    server.expect_transcript("config-maps");
}

async fn namespaces(server: Cluster) {
    for name in ["Upper", "a.b", "{other}"] {
        server
            .post(NAMESPACES, &json!({"metadata": {"name": name}}))
            .await;
    }
    let path = format!("{NAMESPACES}/{{other}}");
    server
        .patch(&path, MERGE, &json!({"metadata": {"labels": {"a": "b"}}}))
        .await;
    server
        .patch(&path, MERGE, &json!({"spec": {"finalizers": []}}))
        .await;
    server
        .patch(
            &format!("{path}/status"),
            MERGE,
            &json!({"status": {"phase": "Terminating"}}),
        )
        .await;
    server.get(&path).await;
    let none = "/apis/coordination.k8s.io/v1/namespaces/{ns}-none/leases";
    server.get(none).await;
    server.get(&format!("{none}/x")).await;
    server.post(none, &with_metadata(json!({}))).await;
    server.delete(none, &Value::Null).await;
    server.get(&format!("{NAMESPACES}/{{ns}}-none")).await;
    server.expect_transcript("namespaces");
}

async fn deployments(server: Cluster) {
    const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/{ns}/deployments";
    let good = crate::checks::deployments::deployment("d", 0);
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    for body in [
        good.clone(),
        changed("/spec/replicas", json!(-1)),
        changed("/spec/selector", json!({})),
        changed("/spec/selector", Value::Null),
        changed("/spec/selector/matchLabels", json!({"app": "other"})),
        changed("/spec/template/spec/containers", json!([])),
        changed("/spec/template/spec/containers/0/name", json!("Not Good")),
        changed("/spec/template/spec/containers/0/image", json!("")),
        changed("/spec", Value::Null),
    ] {
        server.post(&dry(DEPLOYMENTS), &body).await;
    }
    server.expect_transcript("deployments");
}

async fn definitions(server: Cluster) {
    let good = crate::checks::custom::definition();
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    for body in [
        good.clone(),
        changed("/metadata/name", json!("bars.{group}")),
        changed("/spec/scope", json!("World")),
        changed("/spec/names/kind", json!("")),
        changed("/spec/names/plural", json!("Foos")),
        changed("/spec/versions/0/name", json!("one")),
        changed("/spec/versions", json!([])),
        changed(&format!("{schema}/type"), json!("string")),
    ] {
        server.post(&dry(DEFINITIONS), &body).await;
    }
    server.expect_transcript("definitions");
}

async fn custom_objects(server: Cluster) {
    const FOOS: &str = "/apis/{group}/v1/namespaces/{ns}/foos";
    crate::checks::custom::with_definition(&server.unrecorded()).await;
    for spec in [
        json!({}),
        json!({"deploymentName": "d"}),
        json!({"deploymentName": ""}),
        json!({"deploymentName": "UPPER"}),
        json!({"deploymentName": 5}),
        json!({"deploymentName": null}),
        json!({"deploymentName": "d", "replicas": 11}),
        json!({"deploymentName": "d", "replicas": -1}),
        json!({"deploymentName": "d", "replicas": "many"}),
        json!({"deploymentName": "d", "replicas": null}),
        json!({"deploymentName": "d", "mode": "slow"}),
        json!({"deploymentName": "d", "tags": ["a", "b", "a"]}),
        json!({"deploymentName": "d", "tags": "a"}),
        json!({"deploymentName": "d", "free": {"any": [1, {"thing": null}]}}),
        json!({"deploymentName": "d", "maybe": null}),
        json!({"deploymentName": "d", "bogus": 1}),
        json!("x"),
        json!(null),
    ] {
        let body =
            json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": spec});
        server.post(&dry(FOOS), &body).await;
    }
    for body in [
        json!({"metadata": {"name": "a"}}),
        json!({"apiVersion": "{group}/v2", "kind": "Foo", "metadata": {"name": "a"}}),
        json!({"apiVersion": "{group}/v1", "kind": "Bar", "metadata": {"name": "a"}}),
        json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": "a", "labels": {"a": 5}}}),
    ] {
        server.post(&dry(FOOS), &body).await;
    }
    server.expect_transcript("custom-objects");
}

async fn service_accounts(server: Cluster) {
    const ACCOUNTS: &str = "/api/v1/namespaces/{ns}/serviceaccounts";
    server
        .post(ACCOUNTS, &json!({"metadata": {"name": "worker"}}))
        .await;
    server
        .post(ACCOUNTS, &json!({"metadata": {"name": "worker"}}))
        .await;
    server.post(ACCOUNTS, &json!({"metadata": {"name": "No"}})).await;
    let path = format!("{ACCOUNTS}/worker");
    server
        .patch(&path, MERGE, &json!({"automountServiceAccountToken": false}))
        .await;
    server.get(&path).await;
    server.delete(&path, &Value::Null).await;
    server.expect_transcript("service-accounts");
}
