//! Namespaces: what they start with, and how they go.

use crate::support::{LEASES, MERGE, Server, lease};
use local_controlplane::ControlPlane;
use serde_json::{Value, json};

const NAMESPACES: &str = "/api/v1/namespaces";
const INSIDE: &str = "/apis/coordination.k8s.io/v1/namespaces/work/leases";

async fn with_work(server: &Server) {
    let created = server
        .post(NAMESPACES, &json!({"metadata": {"name": "work"}}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        created["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "work"})
    );
    assert_eq!(created["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(created["status"], json!({"phase": "Active"}));
    let mut body = lease("x", "alpha");
    body["metadata"]["finalizers"] = json!(["example.com/keep"]);
    server.post(INSIDE, &body).await.expect(201);
    server.post(INSIDE, &lease("y", "alpha")).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn the_controller_empties_a_namespace_and_lets_it_go() {
    let plane = ControlPlane::new();
    let server = Server::of(&plane);
    let _controllers = tokio::spawn(plane.run_controllers());
    with_work(&server).await;
    server
        .delete(&format!("{NAMESPACES}/work"), &Value::Null)
        .await
        .expect(200);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    server.get(&format!("{INSIDE}/y")).await.expect(404);
    server.get(&format!("{NAMESPACES}/work")).await.expect(200);
    server
        .patch(
            &format!("{INSIDE}/x"),
            MERGE,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await
        .expect(200);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    server.get(&format!("{NAMESPACES}/work")).await.expect(404);
}

