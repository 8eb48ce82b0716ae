//! Deployments: defaults, validation, status and scale.

use crate::check::checks;
use crate::cluster::{Cluster, JSON_PATCH, MERGE};
use serde_json::{Value, json};

checks! {"deployments";
    defaults_are_filled_in_and_status_starts_empty,
    the_selector_matches_the_template_and_never_changes,
    spec_and_status_are_written_apart,
    a_put_without_version_overwrites_but_never_creates,
    scale_shows_and_changes_the_replicas,
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/{ns}/deployments";

pub(crate) fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "main:1"}]},
            },
        },
    })
}

async fn defaults_are_filled_in_and_status_starts_empty(server: Cluster) {
    let mut body = deployment("d", 1);
    body["spec"]["replicas"] = Value::Null;
    body["status"] = json!({"replicas": 7});
    let created = server.post(DEPLOYMENTS, &body).await.expect(201).json();
    assert_eq!(
        (&created["status"], &created["metadata"]["generation"]),
        (&json!({}), &1.into())
    );
    let spec = &created["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(
        spec["strategy"]["rollingUpdate"],
        json!({"maxUnavailable": "25%", "maxSurge": "25%"})
    );
    assert_eq!(
        (&spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]),
        (&10.into(), &600.into())
    );
    assert_eq!(
        spec["template"]["spec"]["containers"][0]["imagePullPolicy"],
        "IfNotPresent"
    );
}

async fn the_selector_matches_the_template_and_never_changes(server: Cluster) {
    let mut body = deployment("d", 1);
    body["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    let refused = server.post(DEPLOYMENTS, &body).await;
    assert_eq!(
        (refused.code, refused.cause_fields()),
        (422, vec!["spec.template.metadata.labels".to_owned()])
    );
    server.post(DEPLOYMENTS, &deployment("d", 1)).await.expect(201);
    let patch = json!({"spec": {
        "selector": {"matchLabels": {"app": "new"}}, "template": {"metadata": {"labels": {"app": "new"}}},
    }});
    let refused = server.patch(&format!("{DEPLOYMENTS}/d"), MERGE, &patch).await;
    assert_eq!(
        (refused.code, refused.cause_fields()),
        (422, vec!["spec.selector".to_owned()])
    );
    let no_containers = json!([{"op": "remove", "path": "/spec/template/spec/containers"}]);
    let refused = server
        .patch(&format!("{DEPLOYMENTS}/d"), JSON_PATCH, &no_containers)
        .await;
    assert_eq!(
        (refused.code, refused.cause_fields()),
        (422, vec!["spec.template.spec.containers".to_owned()])
    );
}

/// Where its controller runs, it writes the status as well; what an answer shows is one moment.
async fn spec_and_status_are_written_apart(server: Cluster) {
    server.post(DEPLOYMENTS, &deployment("d", 2)).await.expect(201);
    let both = json!({"spec": {"replicas": 3}, "status": {"collisionCount": 7}});
    let main = server
        .patch(&format!("{DEPLOYMENTS}/d"), MERGE, &both)
        .await
        .expect(200)
        .json();
    assert_eq!(main["spec"]["replicas"], 3);
    assert_eq!(main["status"].get("collisionCount"), None);
    assert_eq!(main["metadata"]["generation"], 2);
    let both = json!({"spec": {"replicas": 9}, "status": {"collisionCount": 7}});
    let path = format!("{DEPLOYMENTS}/d/status");
    let status = server.patch(&path, MERGE, &both).await.expect(200).json();
    assert_eq!(status["spec"]["replicas"], 3);
    assert_eq!(status["status"]["collisionCount"], 7);
    assert_eq!(status["metadata"]["generation"], 2);
    let wrong = json!({"status": {"replicas": 3, "readyReplicas": 2, "availableReplicas": 3}});
    let refused = server.patch(&path, MERGE, &wrong).await;
    refused.expect_invalid(&["status.availableReplicas"]);
}

async fn a_put_without_version_overwrites_but_never_creates(server: Cluster) {
    server
        .put(&format!("{DEPLOYMENTS}/d"), &deployment("d", 1))
        .await
        .expect(404);
    server.post(DEPLOYMENTS, &deployment("d", 1)).await.expect(201);
    let replaced = server
        .put(&format!("{DEPLOYMENTS}/d"), &deployment("d", 5))
        .await
        .expect(200)
        .json();
    assert_eq!(replaced["spec"]["replicas"], 5);
}

async fn scale_shows_and_changes_the_replicas(server: Cluster) {
    server.post(DEPLOYMENTS, &deployment("d", 2)).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d/scale");
    let scale = server.get(&path).await.expect(200).json();
    assert_eq!(
        (&scale["kind"], &scale["apiVersion"]),
        (&"Scale".into(), &"autoscaling/v1".into())
    );
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]["selector"]),
        (&2.into(), &"app=d".into())
    );
    let patched = server
        .patch(&path, MERGE, &json!({"spec": {"replicas": 4}}))
        .await
        .expect(200)
        .json();
    assert_eq!(patched["spec"]["replicas"], 4);
    let main = server.get(&format!("{DEPLOYMENTS}/d")).await.json();
    assert_eq!(
        (&main["spec"]["replicas"], &main["metadata"]["generation"]),
        (&4.into(), &2.into())
    );
    server
        .patch(&path, MERGE, &json!({"spec": {"replicas": -1}}))
        .await
        .expect(422);
}
