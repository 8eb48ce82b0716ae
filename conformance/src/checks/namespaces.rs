//! Namespaces: what they start with, and how they go.

use crate::check::checks;
use crate::cluster::{Cluster, LEASES, MERGE, NAMESPACES, lease};
use serde_json::{Value, json};

checks! {"namespaces";
    a_terminating_namespace_takes_nothing_new,
    some_namespaces_stay,
}

const INSIDE: &str = "/apis/coordination.k8s.io/v1/namespaces/{other}/leases";

async fn with_work(server: &Cluster) {
    let created = server
        .post(NAMESPACES, &json!({"metadata": {"name": "{other}"}}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        created["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "{other}"})
    );
    assert_eq!(created["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(created["status"], json!({"phase": "Active"}));
    let mut body = lease("x", "alpha");
    body["metadata"]["finalizers"] = json!(["example.com/keep"]);
    server.post(INSIDE, &body).await.expect(201);
    server.post(INSIDE, &lease("y", "alpha")).await.expect(201);
}

async fn a_terminating_namespace_takes_nothing_new(server: Cluster) {
    with_work(&server).await;
    let marked = server
        .delete(&format!("{NAMESPACES}/{{other}}"), &Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(marked["status"]["phase"], "Terminating");
    let refused = server.post(INSIDE, &lease("z", "alpha")).await;
    assert_eq!(refused.refusal(), (403, "Forbidden".into()));
    assert_eq!(
        refused.json()["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    server
        .patch(
            &format!("{INSIDE}/x"),
            MERGE,
            &json!({"spec": {"holderIdentity": "bravo"}}),
        )
        .await
        .expect(200);
}

async fn some_namespaces_stay(server: Cluster) {
    server
        .delete(&format!("{NAMESPACES}/default"), &Value::Null)
        .await
        .expect(403);
    let finalized = json!({"metadata": {"name": "{other}"}, "spec": {"finalizers": []}});
    with_work(&server).await;
    server
        .put(&format!("{NAMESPACES}/{{other}}/finalize"), &finalized)
        .await
        .expect(200);
    server.get(&format!("{NAMESPACES}/{{other}}")).await.expect(200);
    server.get(LEASES).await.expect(200);
}
