//! A data folder: what was answered is there after a restart.

use crate::support::{LEASES, MERGE, Server, lease, reopen, reopened, version};
use local_controlplane::{ControlPlane, OpenError};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

async fn write_some(dir: &Path) -> Value {
    let plane = ControlPlane::open(dir).unwrap();
    let server = Server::of(&plane);
    server
        .post(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            &crate::support::definition(),
        )
        .await
        .expect(201);
    for name in ["a", "b", "c"] {
        server.lease(name, "alpha").await;
    }
    let patch = json!({"spec": {"holderIdentity": "bravo"}});
    server
        .patch(&format!("{LEASES}/b"), MERGE, &patch)
        .await
        .expect(200);
    server
        .delete(&format!("{LEASES}/c"), &Value::Null)
        .await
        .expect(200);
    server.get(LEASES).await.expect(200).json()
}

#[tokio::test]
async fn everything_that_was_answered_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let before = write_some(dir.path()).await;
    for _ in 0..2 {
        let server = Server::of(&reopened(dir.path()).await);
        assert_eq!(server.get(LEASES).await.expect(200).json(), before);
        server.get("/apis/example.com/v1/foos").await.expect(200);
    }
    let server = Server::of(&reopened(dir.path()).await);
    let created = server.lease("d", "charlie").await;
    assert!(version(&created) > version(&before));
}

#[tokio::test]
async fn a_torn_tail_is_dropped_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let before = write_some(dir.path()).await;
    for torn in ["0123456789abcdef {\"revision\":99,\"tab", "garbage\n", "\n"] {
        let log = dir.path().join("objects.log");
        OpenOptions::new()
            .append(true)
            .open(&log)
            .unwrap()
            .write_all(torn.as_bytes())
            .unwrap();
        let server = Server::of(&reopened(dir.path()).await);
        assert_eq!(server.get(LEASES).await.expect(200).json(), before, "{torn:?}");
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_reported_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    write_some(dir.path()).await;
    let log = dir.path().join("objects.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let error = reopen(dir.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_folder_has_one_user_and_must_be_writable() {
    let dir = tempfile::tempdir().unwrap();
    let first = ControlPlane::open(dir.path()).unwrap();
    let error = ControlPlane::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    drop(first);
    reopened(dir.path()).await;

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(
        ControlPlane::open(&file).unwrap_err(),
        OpenError::Io { .. }
    ));
}

#[tokio::test]
async fn a_watch_goes_on_after_a_restart_from_where_the_log_reaches() {
    let dir = tempfile::tempdir().unwrap();
    let before = write_some(dir.path()).await;
    let server = Server::of(&reopened(dir.path()).await);
    let mut watch = server
        .watch(&format!(
            "{LEASES}?watch=true&resourceVersion={}",
            version(&before)
        ))
        .await;
    let created = version(&server.post(LEASES, &lease("d", "alpha")).await.expect(201).json());
    assert_eq!(
        watch.take(1).await,
        [crate::support::event("ADDED", "d", created)]
    );
}
