//! Events: two groups, one store.

use crate::check::checks;
use crate::cluster::{Cluster, MERGE};
use serde_json::{Value, json};

checks! {"events";
    both_groups_show_the_same_event,
    only_the_series_of_an_event_changes,
    a_new_event_is_complete_and_where_it_belongs,
}

const CORE: &str = "/api/v1/namespaces/{ns}/events";
const GROUP: &str = "/apis/events.k8s.io/v1/namespaces/{ns}/events";

fn new_event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
        "eventTime": "2026-01-02T03:04:05.000006Z", "reportingController": "example.com/elector",
        "reportingInstance": "elector-0", "action": "Elect", "reason": "Elected", "type": "Normal",
        "note": "alpha leads", "regarding": {"kind": "Lease", "namespace": "{ns}", "name": "x", "uid": "u"},
    })
}

async fn both_groups_show_the_same_event(server: Cluster) {
    let created = server.post(GROUP, &new_event("e")).await.expect(201).json();
    let core = server.get(&format!("{CORE}/e")).await.expect(200).json();
    assert_eq!(
        (&core["kind"], &core["apiVersion"]),
        (&"Event".into(), &"v1".into())
    );
    assert_eq!(core["metadata"], created["metadata"]);
    assert_eq!(
        (&core["message"], &core["involvedObject"]["name"]),
        (&"alpha leads".into(), &"x".into())
    );
    assert_eq!(core["reportingComponent"], "example.com/elector");
    assert_eq!((core.get("note"), core.get("regarding")), (None, None));

    let selector = "involvedObject.name%3Dx,involvedObject.kind%3DLease,involvedObject.uid%3Du";
    let list = server
        .get(&format!("{CORE}?fieldSelector={selector}"))
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let list = server
        .get(&format!("{GROUP}?fieldSelector=regarding.name%3Dother"))
        .await
        .expect(200)
        .json();
    assert!(list["items"].as_array().unwrap().is_empty());
}

async fn only_the_series_of_an_event_changes(server: Cluster) {
    server.post(GROUP, &new_event("e")).await.expect(201);
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}});
    let patched = server
        .patch(&format!("{GROUP}/e"), MERGE, &series)
        .await
        .expect(200)
        .json();
    assert_eq!(patched["series"]["count"], 2);
    let refused = server
        .patch(&format!("{GROUP}/e"), MERGE, &json!({"note": "other"}))
        .await;
    assert_eq!(
        (refused.code, refused.cause_fields()),
        (422, vec!["message".to_owned()])
    );
}

async fn a_new_event_is_complete_and_where_it_belongs(server: Cluster) {
    for field in [
        "eventTime",
        "reportingController",
        "reportingInstance",
        "action",
        "reason",
        "type",
    ] {
        let mut body = new_event("e");
        body[field] = Value::Null;
        let answer = server.post(GROUP, &body).await;
        assert_eq!(
            (answer.code, answer.cause_fields()),
            (422, vec![field.to_owned()])
        );
    }
    let mut nowhere = new_event("e");
    nowhere["regarding"]["namespace"] = Value::Null;
    let refused = server.post(GROUP, &nowhere).await;
    refused.expect_invalid(&["involvedObject.namespace"]);
    let elsewhere = json!({"metadata": {"name": "old"}, "involvedObject": {"namespace": "kube-system"}});
    let refused = server.post(CORE, &elsewhere).await;
    refused.expect_invalid(&["involvedObject.namespace"]);
    let old = json!({
        "metadata": {"name": "old"}, "involvedObject": {"namespace": "{ns}", "name": "x", "kind": "Lease"},
        "reason": "R", "message": "m", "type": "Normal", "count": 3,
    });
    server.post(CORE, &old).await.expect(201);
    assert_eq!(
        server.get(&format!("{GROUP}/old")).await.expect(200).json()["deprecatedCount"],
        3
    );
}
