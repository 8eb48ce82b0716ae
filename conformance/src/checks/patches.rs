//! Strategic merge patch, and which media types are patches of what.

use crate::check::checks;
use crate::cluster::{Cluster, JSON_PATCH, LEASES, MERGE, STRATEGIC};
use serde_json::json;

checks! {"patches";
    a_strategic_patch_merges_containers_by_name,
    unknown_patch_types_are_refused,
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/{ns}/deployments";

async fn a_strategic_patch_merges_containers_by_name(server: Cluster) {
    server
        .post(DEPLOYMENTS, &super::deployments::deployment("d", 1))
        .await
        .expect(201);
    let containers = json!([{"name": "side", "image": "side:1"}, {"name": "main", "image": "main:2"}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let patched = server
        .patch(&format!("{DEPLOYMENTS}/d"), STRATEGIC, &patch)
        .await
        .expect(200)
        .json();
    let containers = patched["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    let images: Vec<_> = containers
        .iter()
        .map(|container| container["image"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["side:1", "main:2"], "the patch decides the order");
    assert_eq!(patched["metadata"]["generation"], 2);
}

async fn unknown_patch_types_are_refused(server: Cluster) {
    server.lease("x", "alpha").await;
    let path = format!("{LEASES}/x");
    for media in ["application/json", "text/plain", ""] {
        assert_eq!(
            server.patch(&path, media, &json!({})).await.refusal().0,
            415,
            "{media}"
        );
    }
    for media in [MERGE, STRATEGIC] {
        assert_eq!(
            server.patch(&path, media, &json!([])).await.refusal().0,
            400,
            "{media}"
        );
    }
    assert_eq!(server.patch(&path, JSON_PATCH, &json!({})).await.refusal().0, 400);
    assert_eq!(
        server
            .patch(&format!("{path}?force=true"), MERGE, &json!({}))
            .await
            .refusal()
            .0,
        422
    );
}
