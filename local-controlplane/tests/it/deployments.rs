//! Deployments, their tiny controller, and garbage collection along owners.

use crate::support::{MERGE, Server};
use local_controlplane::ControlPlane;
use serde_json::{Value, json};
use std::time::Duration;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";

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

fn with_controllers() -> Server {
    let plane = ControlPlane::new();
    tokio::spawn(plane.run_controllers());
    Server::of(&plane)
}

async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_controller_makes_available_replicas_mean_something() {
    let server = with_controllers();
    server.post(DEPLOYMENTS, &deployment("d", 2)).await.expect(201);
    settle().await;
    let there = server.get(&format!("{DEPLOYMENTS}/d")).await.json();
    for counter in [
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "updatedReplicas",
    ] {
        assert_eq!(there["status"][counter], 2, "{counter}");
    }
    assert_eq!(there["status"]["observedGeneration"], 1);
    let conditions = there["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|condition| condition["status"] == "True"));
    server
        .patch(
            &format!("{DEPLOYMENTS}/d"),
            MERGE,
            &json!({"spec": {"replicas": 0}}),
        )
        .await
        .expect(200);
    settle().await;
    let scaled = server.get(&format!("{DEPLOYMENTS}/d")).await.json();
    assert_eq!(scaled["status"]["observedGeneration"], 2);
    assert_eq!(scaled["status"].get("availableReplicas"), None);
    let version = crate::support::version(&scaled);
    settle().await;
    assert_eq!(
        server.get(&format!("{DEPLOYMENTS}/d")).await.version(),
        version,
        "it comes to rest"
    );
}

/// A config map owned by the given others.
async fn owned(server: &Server, name: &str, owners: &[&Value]) -> Value {
    let reference = |owner: &&Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true,
        })
    };
    let references: Vec<Value> = owners.iter().map(reference).collect();
    let body = json!({"metadata": {"name": name, "ownerReferences": references}});
    server.post(CONFIGS, &body).await.expect(201).json()
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_the_owner_goes_last_and_orphans_stay() {
    let server = with_controllers();
    let owner = owned(&server, "owner", &[]).await;
    let child = owned(&server, "child", &[&owner]).await;
    let keep = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    server
        .patch(&format!("{CONFIGS}/child"), MERGE, &keep)
        .await
        .expect(200);
    let marked = server
        .delete(
            &format!("{CONFIGS}/owner"),
            &json!({"propagationPolicy": "Foreground"}),
        )
        .await
        .expect(200);
    assert_eq!(
        marked.json()["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    settle().await;
    server.get(&format!("{CONFIGS}/owner")).await.expect(200);
    server
        .patch(
            &format!("{CONFIGS}/child"),
            MERGE,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await
        .expect(200);
    settle().await;
    server.get(&format!("{CONFIGS}/owner")).await.expect(404);
    drop(child);

    let owner = owned(&server, "owner", &[]).await;
    owned(&server, "orphan", &[&owner]).await;
    server
        .delete(
            &format!("{CONFIGS}/owner"),
            &json!({"propagationPolicy": "Orphan"}),
        )
        .await
        .expect(200);
    settle().await;
    server.get(&format!("{CONFIGS}/owner")).await.expect(404);
    let orphan = server.get(&format!("{CONFIGS}/orphan")).await.expect(200).json();
    assert!(
        orphan["metadata"]["ownerReferences"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    server
        .delete(
            &format!("{CONFIGS}/orphan"),
            &json!({"propagationPolicy": "Sometimes"}),
        )
        .await
        .expect(422);
}
