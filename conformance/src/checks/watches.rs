//! Watching: replay, order, selectors, bookmarks, and the end of a watch.

use crate::answer::version;
use crate::check::checks;
use crate::cluster::{Cluster, LEASES, MERGE, lease};
use crate::watch::event;
use serde_json::{Value, json};
use tokio::time::Instant;

checks! {"watches";
    a_live_watch_sees_every_change_and_deletions_carry_their_revision,
    a_late_watch_replays_from_each_event_what_came_after_it,
    the_deleted_event_shows_the_last_state,
    a_watch_without_version_begins_with_what_is_there,
    what_enters_or_leaves_a_selector_is_added_or_deleted,
    a_watch_by_name_sees_one_object_only,
    a_namespace_is_watched_by_itself_or_with_all,
    a_watch_ends_cleanly_at_its_timeout,
    bookmarks_come_before_the_end_to_who_asks,
    a_streamed_list_ends_with_its_mark_and_goes_on,
    contradicting_watch_options_are_refused,
    a_future_version_is_waited_for_in_silence,
    a_watch_from_a_forgotten_version_is_told_so_and_ends,
    a_watch_shows_tables_to_who_asks,
}

fn path(name: &str) -> String {
    format!("{LEASES}/{name}")
}

fn watch_from(version: u64) -> String {
    format!("{LEASES}?watch=true&resourceVersion={version}")
}

async fn relabel(server: &Cluster, name: &str, value: &str) -> u64 {
    let patch = json!({"metadata": {"labels": {"team": value}}});
    server
        .patch(&path(name), MERGE, &patch)
        .await
        .expect(200)
        .version()
}

/// Creates, changes and deletes a lease, and returns the events that this makes.
async fn story(server: &Cluster) -> Vec<(String, String, u64)> {
    let created = version(&server.lease("x", "alpha").await);
    let red = relabel(server, "x", "red").await;
    let blue = relabel(server, "x", "blue").await;
    server.delete(&path("x"), &Value::Null).await.expect(200);
    // Nobody says the version of the deletion but the watches; others write meanwhile.
    let mut watch = server.watch(&watch_from(blue)).await;
    let deleted = watch.take(1).await[0].2;
    assert!((blue + 1..=server.get(LEASES).await.version()).contains(&deleted));
    vec![
        event("ADDED", "x", created),
        event("MODIFIED", "x", red),
        event("MODIFIED", "x", blue),
        event("DELETED", "x", deleted),
    ]
}

async fn a_live_watch_sees_every_change_and_deletions_carry_their_revision(server: Cluster) {
    let start = server.get(LEASES).await.version();
    let mut watch = server.watch(&watch_from(start)).await;
    let told = story(&server).await;
    assert_eq!(watch.take(4).await, told);
    assert!(watch.is_quiet().await);
}

async fn a_late_watch_replays_from_each_event_what_came_after_it(server: Cluster) {
    let start = server.get(LEASES).await.version();
    let told = story(&server).await;
    let starts = std::iter::once(start).chain(told.iter().map(|(_, _, version)| *version));
    for (seen, start) in starts.enumerate() {
        let mut watch = server.watch(&watch_from(start)).await;
        assert_eq!(watch.take(told.len() - seen).await, told[seen..]);
        assert!(watch.is_quiet().await);
    }
}

async fn the_deleted_event_shows_the_last_state(server: Cluster) {
    let start = server.get(LEASES).await.version();
    story(&server).await;
    let mut watch = server.watch(&watch_from(start)).await;
    watch.take(3).await;
    assert_eq!(
        watch.next().await.unwrap()["object"]["metadata"]["labels"],
        json!({"team": "blue"})
    );
}

async fn a_watch_without_version_begins_with_what_is_there(server: Cluster) {
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

async fn what_enters_or_leaves_a_selector_is_added_or_deleted(server: Cluster) {
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

async fn a_watch_by_name_sees_one_object_only(server: Cluster) {
    let mut by_field = server
        .watch(&format!("{LEASES}?watch=true&fieldSelector=metadata.name%3Dx"))
        .await;
    let old = "/apis/coordination.k8s.io/v1/watch/namespaces/{ns}/leases/x";
    let mut by_old_path = server.watch(old).await;
    server.lease("y", "bravo").await;
    let created = version(&server.lease("x", "alpha").await);
    assert_eq!(by_field.take(1).await, [event("ADDED", "x", created)]);
    assert_eq!(by_old_path.take(1).await, [event("ADDED", "x", created)]);
    assert!(by_field.is_quiet().await);
}

async fn a_namespace_is_watched_by_itself_or_with_all(server: Cluster) {
    let mut one = server.watch(&format!("{LEASES}?watch=true")).await;
    let mut all = server
        .watch("/apis/coordination.k8s.io/v1/leases?watch=true")
        .await;
    server.make_other().await;
    let other = "/apis/coordination.k8s.io/v1/namespaces/{other}/leases";
    let created = server
        .post(other, &lease("x", "alpha"))
        .await
        .expect(201)
        .version();
    let seen = loop {
        let event = all.event().await;
        if event["object"]["metadata"]["namespace"] == "{other}" {
            break version(&event["object"]);
        }
    };
    assert_eq!(seen, created);
    assert!(one.is_quiet().await);
}

async fn a_watch_ends_cleanly_at_its_timeout(server: Cluster) {
    let begin = Instant::now();
    let start = server.get(LEASES).await.version();
    let mut watch = server
        .watch(&format!("{}&timeoutSeconds=2", watch_from(start)))
        .await;
    assert_eq!(watch.next().await, None);
    assert!((2..5).contains(&begin.elapsed().as_secs()));
}

async fn bookmarks_come_before_the_end_to_who_asks(server: Cluster) {
    let start = server.lease("x", "alpha").await;
    let start = version(&start);
    let query = format!("{}&timeoutSeconds=8", watch_from(start));
    let mut watch = server.watch(&format!("{query}&allowWatchBookmarks=true")).await;
    let mut without = server.watch(&query).await;
    let bookmark = watch.event().await;
    assert_eq!(bookmark["type"], "BOOKMARK");
    let object = &bookmark["object"];
    assert_eq!(
        (&object["kind"], &object["apiVersion"]),
        (&"Lease".into(), &"coordination.k8s.io/v1".into())
    );
    assert!(version(object) >= start);
    assert_eq!(object["metadata"].get("name"), None);
    assert_eq!(without.next().await, None);
}

async fn a_streamed_list_ends_with_its_mark_and_goes_on(server: Cluster) {
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

async fn contradicting_watch_options_are_refused(server: Cluster) {
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

async fn a_future_version_is_waited_for_in_silence(server: Cluster) {
    let mut watch = server.watch(&watch_from(999_999_999)).await;
    server.lease("x", "alpha").await;
    assert!(watch.is_quiet().await);
}

/// A server remembers nothing of custom resources from before they were defined.
async fn a_watch_from_a_forgotten_version_is_told_so_and_ends(server: Cluster) {
    let before = version(&server.lease("x", "alpha").await);
    super::custom::with_definition(&server).await;
    let foos = "/apis/{group}/v1/namespaces/{ns}/foos";
    let mut watch = server
        .watch(&format!("{foos}?watch=true&resourceVersion={before}"))
        .await;
    let told = watch.event().await;
    assert_eq!(told["type"], "ERROR");
    let status = &told["object"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&410.into(), &"Expired".into())
    );
    assert_eq!(watch.next().await, None);
}

async fn a_watch_shows_tables_to_who_asks(server: Cluster) {
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut watch = server.watch_as(&format!("{LEASES}?watch=true"), table).await;
    server.lease("x", "alpha").await;
    server.lease("y", "bravo").await;
    let (first, second) = (watch.event().await, watch.event().await);
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["columnDefinitions"][1]["name"], "Holder");
    assert_eq!(
        second["object"]["columnDefinitions"],
        Value::Null,
        "the columns are named once"
    );
    assert_eq!(second["object"]["rows"][0]["cells"][1], "bravo");
}
