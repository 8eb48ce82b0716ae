//! Deployments, their tiny controller, and garbage collection along owners.

use crate::support::{JSON_PATCH, MERGE, Server};
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
async fn defaults_are_filled_in_and_status_starts_empty() {
    let server = Server::new();
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

#[tokio::test(start_paused = true)]
async fn the_selector_matches_the_template_and_never_changes() {
    let server = Server::new();
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

#[tokio::test(start_paused = true)]
async fn spec_and_status_are_written_apart() {
    let server = Server::new();
    server.post(DEPLOYMENTS, &deployment("d", 2)).await.expect(201);
    let both = json!({"spec": {"replicas": 3}, "status": {"replicas": 3}});
    let main = server
        .patch(&format!("{DEPLOYMENTS}/d"), MERGE, &both)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &main["spec"]["replicas"],
            &main["status"],
            &main["metadata"]["generation"]
        ),
        (&3.into(), &json!({}), &2.into())
    );
    let both = json!({"spec": {"replicas": 9}, "status": {"replicas": 3, "readyReplicas": 2, "availableReplicas": 1}});
    let status = server
        .patch(&format!("{DEPLOYMENTS}/d/status"), MERGE, &both)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &status["spec"]["replicas"],
            &status["status"]["availableReplicas"]
        ),
        (&3.into(), &1.into())
    );
    assert_eq!(status["metadata"]["generation"], 2);
    let wrong = json!({"status": {"availableReplicas": 3}});
    server
        .patch(&format!("{DEPLOYMENTS}/d/status"), MERGE, &wrong)
        .await
        .expect(422);
}

#[tokio::test(start_paused = true)]
async fn a_put_without_version_overwrites_but_never_creates() {
    let server = Server::new();
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

#[tokio::test(start_paused = true)]
async fn scale_shows_and_changes_the_replicas() {
    let server = Server::new();
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
async fn dependents_go_when_their_last_owner_is_gone() {
    let server = with_controllers();
    let first = owned(&server, "first", &[]).await;
    let second = owned(&server, "second", &[]).await;
    owned(&server, "child", &[&first]).await;
    owned(&server, "shared", &[&first, &second]).await;
    let child = server.get(&format!("{CONFIGS}/child")).await.json();
    owned(&server, "grandchild", &[&child]).await;
    server
        .delete(
            &format!("{CONFIGS}/first"),
            &json!({"propagationPolicy": "Background"}),
        )
        .await
        .expect(200);
    settle().await;
    for gone in ["child", "grandchild"] {
        server.get(&format!("{CONFIGS}/{gone}")).await.expect(404);
    }
    let shared = server.get(&format!("{CONFIGS}/shared")).await.expect(200).json();
    assert_eq!(shared["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    server
        .delete(&format!("{CONFIGS}/second"), &Value::Null)
        .await
        .expect(200);
    settle().await;
    server.get(&format!("{CONFIGS}/shared")).await.expect(404);
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
