//! What a real server said to changes and deletions of a lease.

use serde_json::{Value, json};

use super::{dry, lease_to_patch, patch_all, send, with_metadata, x};
use crate::check::checks;
use crate::cluster::{Cluster, JSON, JSON_PATCH, LEASES, MERGE, STRATEGIC};

checks! {"replies";
    options_of_writes,
    puts,
    merge_patches,
    strategic_patches,
    json_patches,
    patches_that_cannot_be,
    options_of_deletions,
    the_life_of_a_finalizer,
}

const YAML: &str = "application/yaml";

async fn options_of_writes(server: Cluster) {
    let body = with_metadata(json!({}));
    server.unrecorded().post(LEASES, &body).await.expect(201);
    for query in [
        "fieldValidation=Sloppy".to_owned(),
        "dryRun=Some".to_owned(),
        "dryRun=All&pretty=true".to_owned(),
        format!("fieldManager={}", "x".repeat(129)),
        "fieldManager=a%0Ab".to_owned(),
        "dryRun=All&unknown=1".to_owned(),
    ] {
        server.post(&format!("{LEASES}?{query}"), &body).await;
        server.put(&format!("{}?{query}", x()), &body).await;
        server.patch(&format!("{}?{query}", x()), MERGE, &json!({})).await;
    }
    server
        .patch(&format!("{}?force=true", x()), MERGE, &json!({}))
        .await;
    server.expect_transcript("options-of-writes");
}

async fn puts(server: Cluster) {
    server.put(&x(), &with_metadata(json!({}))).await;
    server.put(&x(), &with_metadata(json!({"uid": "gone"}))).await;
    for metadata in [
        json!({}),
        json!({"resourceVersion": "0"}),
        json!({"resourceVersion": "1"}),
        json!({"resourceVersion": "abc"}),
        json!({"resourceVersion": "99999999"}),
        json!({"uid": "other", "resourceVersion": "1"}),
        json!({"uid": "other"}),
        json!({"name": "y"}),
        json!({"name": null}),
        json!({"namespace": "elsewhere"}),
    ] {
        server.put(&x(), &with_metadata(metadata)).await;
    }
    let mut there = server.get(&x()).await.json();
    server.put(&x(), &there).await;
    there["spec"]["holderIdentity"] = "alpha".into();
    server.put(&x(), &there).await;
    server.put(&x(), &there).await;
    server.expect_transcript("puts");
}

async fn merge_patches(server: Cluster) {
    lease_to_patch(&server).await;
    let of_metadata = [
        json!({"labels": null}),
        json!({"labels": {"a": null, "b": "c"}}),
        json!({"name": "y"}),
        json!({"namespace": "y"}),
        json!({"uid": "y"}),
        json!({"resourceVersion": "1"}),
        json!({"resourceVersion": "x"}),
        json!({"resourceVersion": null}),
        json!({"generateName": "g-"}),
        json!({"deletionTimestamp": "2020-01-01T00:00:00Z"}),
        json!({"deletionGracePeriodSeconds": 5}),
        json!({"creationTimestamp": null}),
        json!({"selfLink": "/x"}),
        json!({"generation": 9}),
        json!({"finalizers": ["a/b"]}),
        json!({"finalizers": []}),
        json!({"annotations": {"k": 5}}),
    ];
    patch_all(
        &server,
        MERGE,
        of_metadata.map(|metadata| json!({"metadata": metadata})),
    )
    .await;
    patch_all(
        &server,
        MERGE,
        [
            json!({}),
            json!({"spec": {"holderIdentity": null}}),
            json!({"kind": "Pod"}),
            json!({"apiVersion": "v1"}),
            json!({"spec": null}),
            json!({"spec": {"leaseDurationSeconds": -1}}),
            json!({"spec": {"bogus": 1}}),
            json!({"bogus": 1}),
            json!({"spec": {"renewTime": "x"}}),
            json!({"spec": {"leaseTransitions": 0}}),
            json!([]),
            json!(5),
            json!("x"),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("merge-patches");
}

async fn strategic_patches(server: Cluster) {
    lease_to_patch(&server).await;
    patch_all(
        &server,
        STRATEGIC,
        [
            json!({}),
            json!({"spec": {"holderIdentity": null}}),
            json!({"metadata": {"finalizers": ["a/b"]}}),
            json!({"metadata": {"finalizers": ["c/d"]}}),
            json!({"metadata": {"finalizers": ["e/f", "a/b"]}}),
            json!({"metadata": {"$setElementOrder/finalizers": ["a/b", "c/d", "e/f"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}),
            json!({"metadata": {"$setElementOrder/finalizers": ["c/d"], "finalizers": ["g/h"]}}),
            json!({"metadata": {"$patch": "replace", "labels": {"x": "y"}}}),
            json!({"metadata": {"labels": {"$patch": "replace", "x": "y"}}}),
            json!({"metadata": {"labels": {"$patch": "delete"}}}),
            json!({"metadata": {"finalizers": null}}),
            json!({"$patch": "replace", "metadata": {"name": "x"}}),
            json!({"$patch": "x"}),
            json!({"$patch": "delete"}),
            json!({"spec": {"$patch": "replace", "holderIdentity": "z"}}),
            json!({"spec": {"$retainKeys": ["holderIdentity"], "holderIdentity": "q"}}),
            json!({"metadata": {"ownerReferences": [{"name": "without"}]}}),
            json!([]),
            json!(5),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("strategic-patches");
}

async fn json_patches(server: Cluster) {
    lease_to_patch(&server).await;
    patch_all(
        &server,
        JSON_PATCH,
        [
            json!([]),
            json!([{"op": "add", "path": "/spec/holderIdentity", "value": "b"}]),
            json!([{"op": "test", "path": "/spec/holderIdentity", "value": "b"}]),
            json!([{"op": "test", "path": "/spec/holderIdentity", "value": "other"}]),
            json!([{"op": "test", "path": "/spec/missing", "value": null}]),
            json!([{"op": "test", "path": "/spec/missing", "value": 5}]),
            json!([{"op": "remove", "path": "/spec/missing"}]),
            json!([{"op": "replace", "path": "/spec/leaseTransitions", "value": 5}]),
            json!([{"op": "replace", "path": "/spec/missing", "value": 5}]),
            json!([{"op": "add", "path": "/metadata/labels/x~1y", "value": "z"}]),
            json!([{"op": "add", "path": "/missing/a", "value": 5}]),
            json!([{"op": "bogus", "path": "/a"}]),
            json!([{"op": "add"}]),
            json!([{"path": "/a"}]),
            json!([{"op": "copy", "from": "/spec/holderIdentity", "path": "/metadata/annotations/h"}]),
            json!([{"op": "move", "from": "/metadata/annotations/h", "path": "/metadata/annotations/i"}]),
            json!([{"op": "move", "from": "/missing", "path": "/metadata/annotations/i"}]),
            json!([{"op": "add", "path": "", "value": {}}]),
            json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "a/b"}]),
            json!([{"op": "add", "path": "/metadata/finalizers", "value": ["a/b", "c/d"]}]),
            json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "e/f"}]),
            json!([{"op": "remove", "path": "/metadata/finalizers/0"}]),
            json!([{"op": "remove", "path": "/metadata/finalizers/7"}]),
            json!([{"op": "remove", "path": "/metadata/finalizers"}]),
            json!([
                {"op": "test", "path": "/spec/holderIdentity", "value": "b"},
                {"op": "replace", "path": "/spec/holderIdentity", "value": "c"},
            ]),
            json!({}),
            json!(5),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("json-patches");
}

async fn patches_that_cannot_be(server: Cluster) {
    let missing = format!("{LEASES}/missing");
    for media in [MERGE, STRATEGIC, JSON_PATCH, JSON, YAML, "text/plain", ""] {
        send(&server, "PATCH", &missing, media, "{}").await;
        send(&server, "PATCH", &missing, media, "{").await;
    }
    let strict = format!("{}?fieldValidation=Strict", x());
    lease_to_patch(&server).await;
    server.patch(&strict, MERGE, &json!({"spec": {"bogus": 1}})).await;
    server
        .patch(&dry(&x()), MERGE, &json!({"spec": {"holderIdentity": "dry"}}))
        .await;
    server.get(&x()).await;
    server.expect_transcript("patches-that-cannot-be");
}

async fn options_of_deletions(server: Cluster) {
    lease_to_patch(&server).await;
    for body in [
        json!({"preconditions": {"uid": "other"}}),
        json!({"preconditions": {"resourceVersion": "1"}}),
        json!({"propagationPolicy": "Bogus"}),
        json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
        json!({"dryRun": ["x"]}),
        json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1"}),
        json!(5),
    ] {
        server.delete(&x(), &body).await;
    }
    for query in [
        "dryRun=All",
        "gracePeriodSeconds=x",
        "propagationPolicy=x",
        "dryRun=x",
    ] {
        server.delete(&format!("{}?{query}", x()), &Value::Null).await;
    }
    server.delete(&format!("{LEASES}/missing"), &Value::Null).await;
    server
        .delete(&x(), &json!({"propagationPolicy": "Background"}))
        .await;
    server.get(&x()).await;
    server.expect_transcript("options-of-deletions");
}

async fn the_life_of_a_finalizer(server: Cluster) {
    server
        .post(LEASES, &with_metadata(json!({"finalizers": ["a/b"]})))
        .await;
    server.delete(&x(), &Value::Null).await;
    server.delete(&x(), &Value::Null).await;
    server.post(LEASES, &with_metadata(json!({}))).await;
    patch_all(
        &server,
        MERGE,
        [
            json!({"metadata": {"finalizers": ["a/b", "c/d"]}}),
            json!({"spec": {"holderIdentity": "late"}}),
            json!({"metadata": {"deletionTimestamp": null}}),
            json!({"metadata": {"finalizers": []}}),
            json!({}),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("the-life-of-a-finalizer");
}
