//! Lists: versions, pages, selectors, and reading one's own writes.

use crate::answer::{names as names_in, text, version};
use crate::check::checks;
use crate::cluster::{Cluster, LEASES, MERGE, lease};
use serde_json::{Value, json};
use tokio::time::Instant;

checks! {"lists";
    a_write_is_read_at_once,
    an_empty_list_has_a_version_and_items_do_not_repeat_their_type,
    the_order_is_that_of_the_keys,
    pages_come_from_one_snapshot,
    a_page_may_be_limited_with_a_selector_but_does_not_count_the_rest,
    continuations_that_make_no_sense_are_refused,
    an_exact_version_shows_the_past,
    a_version_that_is_not_there_yet_is_waited_for_three_seconds,
    selectors_select_and_unreadable_ones_are_refused,
    a_collection_is_deleted_as_far_as_it_is_selected,
}

async fn names(server: &Cluster, query: &str) -> Vec<String> {
    let list = server.get(&format!("{LEASES}?{query}")).await.expect(200).json();
    names_in(&list)
}

async fn a_write_is_read_at_once(server: Cluster) {
    let created = server.lease("x", "alpha").await;
    assert_eq!(
        server.get(&format!("{LEASES}/x")).await.expect(200).json(),
        created
    );
    let list = server.get(LEASES).await.expect(200).json();
    assert!(version(&list) >= version(&created));
    assert_eq!(names_in(&list), ["x"]);
    server
        .delete(&format!("{LEASES}/x"), &Value::Null)
        .await
        .expect(200);
    assert!(names(&server, "").await.is_empty());
}

async fn an_empty_list_has_a_version_and_items_do_not_repeat_their_type(server: Cluster) {
    let list = server
        .get("/apis/coordination.k8s.io/v1/namespaces/nowhere/leases")
        .await
        .expect(200)
        .json();
    assert_eq!((&list["kind"], &list["items"]), (&"LeaseList".into(), &json!([])));
    assert!(version(&list) > 0);
    server.lease("x", "alpha").await;
    let item = server.get(LEASES).await.json()["items"][0].clone();
    assert_eq!((item.get("kind"), item.get("apiVersion")), (None, None));
}

async fn the_order_is_that_of_the_keys(server: Cluster) {
    server.make_other().await;
    for (namespace, name) in [("{other}", "a"), ("{ns}", "b"), ("{ns}", "a-b"), ("{ns}", "a")] {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        server.post(&path, &lease(name, "alpha")).await.expect(201);
    }
    let all = server
        .get("/apis/coordination.k8s.io/v1/leases")
        .await
        .expect(200)
        .json();
    let ours = |item: &&Value| ["{ns}", "{other}"].contains(&text(&item["metadata"]["namespace"]).as_str());
    let items = all["items"].as_array().into_iter().flatten().filter(ours);
    let found: Vec<String> = items.map(|item| text(&item["metadata"]["name"])).collect();
    // `{ns}-other/` comes before `{ns}/`.
    assert_eq!(found, ["a", "a", "a-b", "b"]);
}

async fn pages_come_from_one_snapshot(server: Cluster) {
    for name in ["a", "b", "c", "d", "e"] {
        server.lease(name, "alpha").await;
    }
    let first = server.get(&format!("{LEASES}?limit=2")).await.expect(200).json();
    assert_eq!(names_in(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.lease("bb", "late").await;
    server
        .delete(&format!("{LEASES}/c"), &Value::Null)
        .await
        .expect(200);
    server.lease("c", "second").await;
    for holder in ["second", "third"] {
        let patch = json!({"spec": {"holderIdentity": holder}});
        server
            .patch(&format!("{LEASES}/d"), MERGE, &patch)
            .await
            .expect(200);
    }

    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server
        .get(&format!("{LEASES}?limit=2&continue={token}"))
        .await
        .expect(200)
        .json();
    assert_eq!(names_in(&second), ["c", "d"]);
    for item in second["items"].as_array().unwrap() {
        assert_eq!(item["spec"]["holderIdentity"], "alpha");
    }
    assert_eq!(version(&second), version(&first));
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = server
        .get(&format!("{LEASES}?limit=2&continue={token}"))
        .await
        .expect(200)
        .json();
    assert_eq!(names_in(&third), ["e"]);
    assert_eq!(third["metadata"].get("continue"), None);
}

async fn a_page_may_be_limited_with_a_selector_but_does_not_count_the_rest(server: Cluster) {
    for name in ["a", "b", "c"] {
        server.lease(name, "alpha").await;
    }
    let query = "limit=1&fieldSelector=metadata.namespace%3D{ns}";
    let page = server.get(&format!("{LEASES}?{query}")).await.expect(200).json();
    assert!(page["metadata"]["continue"].is_string());
    assert_eq!(page["metadata"].get("remainingItemCount"), None);
    assert_eq!(
        names(&server, "limit=1&resourceVersion=0").await.len(),
        3,
        "version 0 ignores the limit"
    );
    assert_eq!(names(&server, "limit=-1").await.len(), 3);
}

async fn continuations_that_make_no_sense_are_refused(server: Cluster) {
    for name in ["a", "b"] {
        server.lease(name, "alpha").await;
    }
    let first = server.get(&format!("{LEASES}?limit=1")).await.expect(200).json();
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    for query in [
        "continue=garbage".to_owned(),
        format!("continue={token}&resourceVersion=5"),
        "limit=x".to_owned(),
    ] {
        server.get(&format!("{LEASES}?{query}")).await.expect(400);
    }
}

async fn an_exact_version_shows_the_past(server: Cluster) {
    let then = version(&server.lease("x", "alpha").await);
    server
        .patch(
            &format!("{LEASES}/x"),
            MERGE,
            &json!({"spec": {"holderIdentity": "bravo"}}),
        )
        .await
        .expect(200);
    server.lease("y", "bravo").await;
    let query = format!("{LEASES}?resourceVersionMatch=Exact&resourceVersion={then}");
    let past = server.get(&query).await.expect(200).json();
    assert_eq!((names_in(&past), version(&past)), (vec!["x".to_owned()], then));
    assert_eq!(past["items"][0]["spec"]["holderIdentity"], "alpha");
    for query in [
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Exact",
    ] {
        server.get(&format!("{LEASES}?{query}")).await.expect(422);
    }
}

async fn a_version_that_is_not_there_yet_is_waited_for_three_seconds(server: Cluster) {
    let begin = Instant::now();
    let answer = server
        .get(&format!("{LEASES}?resourceVersion=999999999999"))
        .await;
    assert_eq!(answer.refusal(), (504, "Timeout".into()));
    assert!((2..6).contains(&begin.elapsed().as_secs()));
    assert_eq!(
        answer.json()["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    assert_eq!(answer.headers["retry-after"], "1");
}

async fn selectors_select_and_unreadable_ones_are_refused(server: Cluster) {
    for (name, labels) in [
        ("a", json!({"team": "red"})),
        ("b", json!({"team": "blue"})),
        ("c", json!({})),
    ] {
        let mut body = lease(name, "alpha");
        body["metadata"]["labels"] = labels;
        server.post(LEASES, &body).await.expect(201);
    }
    for (query, expected) in [
        ("labelSelector=team%3Dred", vec!["a"]),
        ("labelSelector=team!%3Dred", vec!["b", "c"]),
        ("labelSelector=team+in+(red,blue)", vec!["a", "b"]),
        ("labelSelector=!team", vec!["c"]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        (
            "fieldSelector=metadata.name!%3Db,metadata.namespace%3D{ns}",
            vec!["a", "c"],
        ),
    ] {
        assert_eq!(names(&server, query).await, expected, "{query}");
    }
    for query in [
        "labelSelector=a+b",
        "fieldSelector=spec.holderIdentity%3Dalpha",
        "fieldSelector=x",
    ] {
        assert_eq!(
            server.get(&format!("{LEASES}?{query}")).await.refusal(),
            (400, "BadRequest".into()),
            "{query}"
        );
    }
}

async fn a_collection_is_deleted_as_far_as_it_is_selected(server: Cluster) {
    for name in ["a", "b", "c"] {
        server.lease(name, "alpha").await;
    }
    let mut watch = server
        .watch(&format!(
            "{LEASES}?watch=true&resourceVersion={}",
            server.get(LEASES).await.version()
        ))
        .await;
    let deleted = server
        .delete(
            &format!("{LEASES}?fieldSelector=metadata.name!%3Db"),
            &Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(
        (deleted.json()["kind"].clone(), names_in(&deleted.json())),
        ("LeaseList".into(), vec!["a".to_owned(), "c".to_owned()])
    );
    let gone: Vec<_> = watch
        .take(2)
        .await
        .into_iter()
        .map(|(kind, name, _)| (kind, name))
        .collect();
    assert_eq!(
        gone,
        [
            ("DELETED".to_owned(), "a".to_owned()),
            ("DELETED".to_owned(), "c".to_owned())
        ]
    );
    assert_eq!(names(&server, "").await, ["b"]);
}
