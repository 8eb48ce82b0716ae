//! Watching: replay, order, selectors, bookmarks, and the end of a watch.

use crate::support::{LEASES, MERGE, Server, event, version};
use local_controlplane::ControlPlane;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

fn path(name: &str) -> String {
    format!("{LEASES}/{name}")
}

fn watch_from(version: u64) -> String {
    format!("{LEASES}?watch=true&resourceVersion={version}")
}

async fn relabel(server: &Server, name: &str, value: &str) -> u64 {
    let patch = json!({"metadata": {"labels": {"team": value}}});
    server
        .patch(&path(name), MERGE, &patch)
        .await
        .expect(200)
        .version()
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_before_the_end_to_who_asks() {
    let server = Server::new();
    let begin = Instant::now();
    let start = watch_from(server.get(LEASES).await.version());
    let mut watch = server
        .watch(&format!("{start}&allowWatchBookmarks=true&timeoutSeconds=100"))
        .await;
    // Somebody else's change moves the bookmark, not the watch.
    let config = json!({"metadata": {"name": "c"}});
    let moved = server
        .post("/api/v1/namespaces/default/configmaps", &config)
        .await
        .expect(201)
        .version();
    for at in [60, 98] {
        let bookmark = watch.next().await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), at);
        let object = json!({
            "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
            "metadata": {"resourceVersion": moved.to_string()},
        });
        assert_eq!(bookmark, json!({"type": "BOOKMARK", "object": object}));
    }
    assert_eq!(watch.next().await, None);
    assert_eq!(begin.elapsed().as_secs(), 100);
    let mut without = server.watch(&format!("{start}&timeoutSeconds=100")).await;
    assert_eq!(without.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_forgotten_version_is_told_so_and_ends() {
    let plane = ControlPlane::new();
    let server = Server::of(&plane);
    let old = version(&server.lease("x", "alpha").await);
    relabel(&server, "x", "red").await;
    plane.compact();
    let mut watch = server.watch(&watch_from(old)).await;
    let error = watch.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(
        (&error["object"]["code"], &error["object"]["reason"]),
        (&410.into(), &"Expired".into())
    );
    assert_eq!(watch.next().await, None);

    let now = server.get(LEASES).await.version();
    let mut fresh = server.watch(&watch_from(now)).await;
    let red = relabel(&server, "x", "blue").await;
    assert_eq!(fresh.take(1).await, [event("MODIFIED", "x", red)]);
}

#[tokio::test(start_paused = true)]
async fn an_open_watch_that_has_seen_everything_survives_compaction() {
    let plane = ControlPlane::new();
    let server = Server::of(&plane);
    let mut watch = server.watch(&format!("{LEASES}?watch=true")).await;
    let created = version(&server.lease("x", "alpha").await);
    assert_eq!(watch.take(1).await, [event("ADDED", "x", created)]);
    plane.compact();
    let red = relabel(&server, "x", "red").await;
    assert_eq!(watch.take(1).await, [event("MODIFIED", "x", red)]);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_is_too_slow_is_cut_off_and_loses_nothing_silently() {
    let plane = ControlPlane::new();
    let server = Server::of(&plane);
    server.lease("x", "alpha").await;
    let mut watch = server.watch(&format!("{LEASES}?watch=true")).await;
    let (_, _, seen) = watch.take(1).await.remove(0);
    relabel(&server, "x", "red").await;
    plane.compact();
    assert_eq!(watch.next().await, None);
    let mut again = server.watch(&watch_from(seen)).await;
    assert_eq!(again.next().await.unwrap()["object"]["code"], 410);
}

#[tokio::test(start_paused = true)]
async fn history_keeps_ten_thousand_changes_however_old() {
    let server = Server::new();
    let start = version(&server.lease("x", "alpha").await);
    tokio::time::advance(Duration::from_secs(1000)).await;
    for turn in 0..9_999 {
        relabel(&server, "x", &format!("t{turn}")).await;
    }
    let mut watch = server.watch(&watch_from(start)).await;
    assert_eq!(watch.take(9_999).await.len(), 9_999);
    tokio::time::advance(Duration::from_secs(76)).await;
    for turn in 0..3 {
        relabel(&server, "x", &format!("u{turn}")).await;
    }
    let mut late = server.watch(&watch_from(start)).await;
    assert_eq!(late.next().await.unwrap()["type"], "ERROR");
}
