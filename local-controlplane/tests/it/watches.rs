//! Watching: replay, order, selectors, bookmarks, and the end of a watch.

use crate::support::{LEASES, MERGE, Server, event, lease, version};
use local_controlplane::ControlPlane;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};

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

/// Creates, changes and deletes a lease, and returns the events that this makes.
async fn story(server: &Server) -> Vec<(String, String, u64)> {
    let created = version(&server.lease("x", "alpha").await);
    let red = relabel(server, "x", "red").await;
    let blue = relabel(server, "x", "blue").await;
    server.delete(&path("x"), &Value::Null).await.expect(200);
    let deleted = server.get(LEASES).await.version();
    vec![
        event("ADDED", "x", created),
        event("MODIFIED", "x", red),
        event("MODIFIED", "x", blue),
        event("DELETED", "x", deleted),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_live_watch_sees_every_change_and_deletions_carry_their_revision() {
    let server = Server::new();
    let start = server.get(LEASES).await.version();
    let mut watch = server.watch(&watch_from(start)).await;
    let told = story(&server).await;
    assert_eq!(watch.take(4).await, told);
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_late_watch_replays_from_each_event_what_came_after_it() {
    let server = Server::new();
    let start = server.get(LEASES).await.version();
    let told = story(&server).await;
    let starts = std::iter::once(start).chain(told.iter().map(|(_, _, version)| *version));
    for (seen, start) in starts.enumerate() {
        let mut watch = server.watch(&watch_from(start)).await;
        assert_eq!(watch.take(told.len() - seen).await, told[seen..]);
        assert!(watch.is_quiet().await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deleted_event_shows_the_last_state() {
    let server = Server::new();
    story(&server).await;
    let mut watch = server.watch(&watch_from(4)).await;
    watch.take(3).await;
    assert_eq!(
        watch.next().await.unwrap()["object"]["metadata"]["labels"],
        json!({"team": "blue"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_version_begins_with_what_is_there() {
    let server = Server::new();
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        let name = format!("x{}", query.len());
        server.lease(&name, "alpha").await;
        let there = server.get(LEASES).await.json()["items"].as_array().unwrap().len();
        let mut watch = server.watch(&format!("{LEASES}?{query}")).await;
        assert!(watch.take(there).await.iter().all(|(kind, _, _)| kind == "ADDED"));
        let changed = relabel(&server, &name, "red").await;
        assert_eq!(watch.take(1).await, [event("MODIFIED", &name, changed)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_enters_or_leaves_a_selector_is_added_or_deleted() {
    let server = Server::new();
    let start = version(&server.lease("x", "alpha").await);
    let query = "&labelSelector=team%3Dred";
    let mut watch = server.watch(&format!("{}{query}", watch_from(start))).await;
    let red = relabel(&server, "x", "red").await;
    let blue = relabel(&server, "x", "blue").await;
    relabel(&server, "x", "green").await;
    assert_eq!(watch.take(1).await, [event("ADDED", "x", red)]);
    let left = watch.next().await.unwrap();
    assert_eq!(
        (left["type"].as_str(), version(&left["object"])),
        (Some("DELETED"), blue)
    );
    assert_eq!(
        left["object"]["metadata"]["labels"]["team"], "red",
        "what the watcher knew"
    );
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_by_name_sees_one_object_only() {
    let server = Server::new();
    let mut by_field = server
        .watch(&format!("{LEASES}?watch=true&fieldSelector=metadata.name%3Dx"))
        .await;
    let old = "/apis/coordination.k8s.io/v1/watch/namespaces/default/leases/x";
    let mut by_old_path = server.watch(old).await;
    server.lease("y", "bravo").await;
    let created = version(&server.lease("x", "alpha").await);
    assert_eq!(by_field.take(1).await, [event("ADDED", "x", created)]);
    assert_eq!(by_old_path.take(1).await, [event("ADDED", "x", created)]);
    assert!(by_field.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_watched_by_itself_or_with_all() {
    let server = Server::new();
    let mut one = server.watch(&format!("{LEASES}?watch=true")).await;
    let mut all = server
        .watch("/apis/coordination.k8s.io/v1/leases?watch=true")
        .await;
    let other = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let created = server
        .post(other, &lease("x", "alpha"))
        .await
        .expect(201)
        .version();
    assert_eq!(all.take(1).await, [event("ADDED", "x", created)]);
    assert!(one.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_cleanly_at_its_timeout() {
    let server = Server::new();
    let begin = Instant::now();
    let mut watch = server.watch(&format!("{}&timeoutSeconds=2", watch_from(4))).await;
    assert_eq!(watch.next().await, None);
    assert_eq!(begin.elapsed().as_secs(), 2);
    let mut watch = server.watch(&watch_from(4)).await;
    assert_eq!(watch.next().await, None);
    assert_eq!(begin.elapsed().as_secs(), 2 + 45 * 60);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_before_the_end_to_who_asks() {
    let server = Server::new();
    let begin = Instant::now();
    let mut watch = server
        .watch(&format!(
            "{}&allowWatchBookmarks=true&timeoutSeconds=100",
            watch_from(4)
        ))
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
    let mut without = server
        .watch(&format!("{}&timeoutSeconds=100", watch_from(4)))
        .await;
    assert_eq!(without.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_ends_with_its_mark_and_goes_on() {
    let server = Server::new();
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for there in 0..2 {
        let mut watch = server.watch(&format!("{LEASES}?{query}")).await;
        watch.take(there).await;
        let mark = watch.next().await.unwrap();
        assert_eq!(mark["type"], "BOOKMARK");
        assert_eq!(
            mark["object"]["metadata"]["annotations"],
            json!({"k8s.io/initial-events-end": "true"})
        );
        let name = format!("x{there}");
        let created = version(&server.lease(&name, "alpha").await);
        assert_eq!(watch.take(1).await, [event("ADDED", &name, created)]);
    }
}

#[tokio::test(start_paused = true)]
async fn contradicting_watch_options_are_refused() {
    let server = Server::new();
    for (query, field) in [
        ("watch=true&sendInitialEvents=true", "resourceVersionMatch"),
        (
            "watch=true&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch",
        ),
        ("sendInitialEvents=true", "sendInitialEvents"),
    ] {
        let answer = server.get(&format!("{LEASES}?{query}")).await;
        assert_eq!(
            (answer.code, answer.cause_fields()),
            (422, vec![field.to_owned()]),
            "{query}"
        );
    }
    server
        .get(&format!("{LEASES}?watch=true&resourceVersion=abc"))
        .await
        .expect(500);
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

#[tokio::test(start_paused = true)]
async fn a_future_version_is_waited_for_in_silence() {
    let server = Server::new();
    let mut watch = server.watch(&watch_from(1_000)).await;
    server.lease("x", "alpha").await;
    assert!(timeout(Duration::from_secs(60), watch.next()).await.is_err());
}
