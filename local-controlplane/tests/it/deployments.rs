//! The tiny controller of Deployments.

use crate::support::{MERGE, Server};
use local_controlplane::ControlPlane;
use serde_json::{Value, json};
use std::time::Duration;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

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
