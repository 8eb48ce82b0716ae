//! What a real server said to lists, watches and odd paths.

use serde_json::json;

use super::{send, with_metadata, x};
use crate::check::checks;
use crate::cluster::{Cluster, JSON, LEASES};

checks! {"replies";
    options_of_lists,
    options_of_watches,
    formats,
    paths_and_methods,
}

async fn options_of_lists(server: Cluster) {
    for name in ["a", "b"] {
        let mut body = with_metadata(json!({"name": name, "labels": {"a": name, "n": "5"}}));
        body["spec"]["holderIdentity"] = name.into();
        server.post(LEASES, &body).await;
    }
    for query in [
        "limit=-1",
        "limit=x",
        "limit=1",
        "continue=zz",
        "resourceVersion=x",
        "resourceVersion=-1",
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Bogus&resourceVersion=1",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "labelSelector=a+b",
        "labelSelector=a%3Da",
        "labelSelector=%3Da",
        "labelSelector=a+in+(a,b)",
        "labelSelector=a+in+(b",
        "labelSelector=a+notin+(b)",
        "labelSelector=!a",
        "labelSelector=a%3D%3Db,c!%3Dd",
        "labelSelector=A/B/C%3Dx",
        "labelSelector=n%3E4",
        "labelSelector=n%3Cx",
        "fieldSelector=spec.holderIdentity%3Da",
        "fieldSelector=metadata.name",
        "fieldSelector=metadata.name%3D%3Da",
        "fieldSelector=metadata.uid%3Da",
        "fieldSelector=metadata.name%3Da,metadata.name%3Db",
        "timeoutSeconds=x",
        "allowWatchBookmarks=x",
        "sendInitialEvents=true",
        "bogus=1",
    ] {
        server.get(&format!("{LEASES}?{query}")).await;
    }
    server.expect_transcript("options-of-lists");
}

async fn options_of_watches(server: Cluster) {
    for query in [
        "resourceVersion=x",
        "continue=x",
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
        "fieldSelector=x",
        "labelSelector=a+b",
        "timeoutSeconds=x",
    ] {
        server.get(&format!("{LEASES}?watch=true&{query}")).await;
    }
    server.expect_transcript("options-of-watches");
}

async fn formats(server: Cluster) {
    server
        .post(LEASES, &with_metadata(json!({"labels": {"a": "b"}})))
        .await;
    for accept in [
        "*/*",
        "application/*",
        "text/html",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
        "application/json;q=0.1,application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ] {
        for path in [
            LEASES,
            &x(),
            "/apis/coordination.k8s.io/v1/namespaces/{ns}-none/leases",
        ] {
            server.get_as(path, accept).await;
        }
    }
    server.expect_transcript("formats");
}

async fn paths_and_methods(server: Cluster) {
    server
        .unrecorded()
        .post(LEASES, &with_metadata(json!({})))
        .await
        .expect(201);
    let x = x();
    for (method, path) in [
        ("PUT", LEASES),
        ("PATCH", LEASES),
        ("POST", &x),
        ("OPTIONS", LEASES),
        ("POST", "/version"),
        ("GET", "/api/v1/namespaces/default/finalize"),
        ("GET", &format!("{x}/status")),
        ("GET", &format!("{LEASES}/a/b/c")),
        ("POST", "/apis/coordination.k8s.io/v1/leases"),
        ("DELETE", "/apis/coordination.k8s.io/v1/leases"),
        ("GET", "/apis/coordination.k8s.io/v1/leases/x"),
        ("GET", "/api/v1/namespaces/default/namespaces"),
        ("GET", "/api/v1/namespaces//leases"),
        ("GET", "/apis/nothing.example.com/v1"),
        ("GET", "/apis/coordination.k8s.io/v9/leases"),
        ("GET", "/api/v9"),
        ("GET", "/healthz/nothing"),
        ("GET", "/readyz/ping"),
        ("GET", &format!("{LEASES}/%2e%2e")),
        ("GET", &format!("{LEASES}/a%2Fb")),
    ] {
        send(&server, method, path, JSON, "").await;
    }
    server.expect_transcript("paths-and-methods");
}
