//! Replies word by word: what a real server said to the same requests is kept in `goldens/`.

mod changes;
mod kinds;
mod new;
mod reads;

use http::Method;
use serde_json::{Value, json};

use crate::check::Check;
use crate::cluster::{Cluster, LEASES};

/// All of them.
pub(crate) const GROUPS: [&[Check]; 4] = [new::CHECKS, changes::CHECKS, reads::CHECKS, kinds::CHECKS];

pub(super) fn dry(path: &str) -> String {
    format!("{path}?dryRun=All")
}

pub(super) fn x() -> String {
    format!("{LEASES}/x")
}

pub(super) fn with_metadata(metadata: Value) -> Value {
    let mut body = json!({"metadata": {"name": "x"}, "spec": {}});
    if let (Some(fields), Value::Object(more)) = (body["metadata"].as_object_mut(), metadata) {
        fields.extend(more);
    }
    body
}

pub(super) async fn send(server: &Cluster, method: &str, path: &str, media: &str, body: impl Into<String>) {
    let method = method.parse().unwrap_or(Method::GET);
    server
        .request(method, path, &[("content-type", media)], body.into())
        .await;
}

/// Creates nothing: each body is sent as a dry run.
pub(super) async fn try_all(server: &Cluster, bodies: impl IntoIterator<Item = Value>) {
    for body in bodies {
        server.post(&dry(LEASES), &body).await;
    }
}

pub(super) async fn patch_all(server: &Cluster, media: &str, patches: impl IntoIterator<Item = Value>) {
    for patch in patches {
        server.patch(&x(), media, &patch).await;
    }
}

pub(super) async fn lease_to_patch(server: &Cluster) {
    let spec = json!({"holderIdentity": "a", "leaseDurationSeconds": 5, "leaseTransitions": 1});
    let metadata = json!({"name": "x", "labels": {"a": "b"}, "annotations": {"k": "v"}});
    let body = json!({"metadata": metadata, "spec": spec});
    server.post(LEASES, &body).await.expect(201);
}
