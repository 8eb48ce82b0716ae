//! Lists: versions, pages, selectors, and reading one's own writes.

use crate::support::{LEASES, MERGE, Server, lease, version};
use local_controlplane::ControlPlane;
use serde_json::{Value, json};
use tokio::time::Instant;

async fn names(server: &Server, query: &str) -> Vec<String> {
    let list = server.get(&format!("{LEASES}?{query}")).await.expect(200).json();
    names_of(&list)
}

fn names_of(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_write_is_read_at_once() {
    let server = Server::new();
    let created = server.lease("x", "alpha").await;
    assert_eq!(
        server.get(&format!("{LEASES}/x")).await.expect(200).json(),
        created
    );
    let list = server.get(LEASES).await.expect(200).json();
    assert!(version(&list) >= version(&created));
    assert_eq!(names_of(&list), ["x"]);
    server
        .delete(&format!("{LEASES}/x"), &Value::Null)
        .await
        .expect(200);
    assert!(names(&server, "").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_has_a_version_and_items_do_not_repeat_their_type() {
    let server = Server::new();
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

#[tokio::test(start_paused = true)]
async fn the_order_is_namespace_then_name() {
    let server = Server::new();
    for (namespace, name) in [
        ("kube-system", "a"),
        ("default", "b"),
        ("default", "a-b"),
        ("default", "a"),
    ] {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        server.post(&path, &lease(name, "alpha")).await.expect(201);
    }
    let all = server
        .get("/apis/coordination.k8s.io/v1/leases")
        .await
        .expect(200)
        .json();
    assert_eq!(names_of(&all), ["a", "a-b", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn pages_come_from_one_snapshot() {
    let server = Server::new();
    for name in ["a", "b", "c", "d", "e"] {
        server.lease(name, "alpha").await;
    }
    let first = server.get(&format!("{LEASES}?limit=2")).await.expect(200).json();
    assert_eq!(names_of(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.lease("bb", "late").await;
    server
        .delete(&format!("{LEASES}/c"), &Value::Null)
        .await
        .expect(200);

    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server
        .get(&format!("{LEASES}?limit=2&continue={token}"))
        .await
        .expect(200)
        .json();
    assert_eq!(names_of(&second), ["c", "d"]);
    assert_eq!(version(&second), version(&first));
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = server
        .get(&format!("{LEASES}?limit=2&continue={token}"))
        .await
        .expect(200)
        .json();
    assert_eq!(names_of(&third), ["e"]);
    assert_eq!(third["metadata"].get("continue"), None);
}

#[tokio::test(start_paused = true)]
async fn a_page_may_be_limited_with_a_selector_but_does_not_count_the_rest() {
    let server = Server::new();
    for name in ["a", "b", "c"] {
        server.lease(name, "alpha").await;
    }
    let query = "limit=1&fieldSelector=metadata.namespace%3Ddefault";
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

#[tokio::test(start_paused = true)]
async fn continuations_that_make_no_sense_are_refused() {
    let plane = ControlPlane::new();
    let server = Server::of(&plane);
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
    server.lease("c", "alpha").await;
    plane.compact();
    let expired = server.get(&format!("{LEASES}?continue={token}")).await;
    assert_eq!(expired.refusal(), (410, "Expired".into()));
    let usable = expired.json()["metadata"]["continue"]
        .as_str()
        .unwrap()
        .to_owned();
    let rest = server
        .get(&format!("{LEASES}?continue={usable}"))
        .await
        .expect(200)
        .json();
    assert_eq!(names_of(&rest), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn an_exact_version_shows_the_past() {
    let plane = ControlPlane::new();
    let server = Server::of(&plane);
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
    assert_eq!((names_of(&past), version(&past)), (vec!["x".to_owned()], then));
    assert_eq!(past["items"][0]["spec"]["holderIdentity"], "alpha");
    plane.compact();
    assert_eq!(server.get(&query).await.refusal(), (410, "Expired".into()));
    for query in [
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Exact",
    ] {
        server.get(&format!("{LEASES}?{query}")).await.expect(422);
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_there_yet_is_waited_for_three_seconds() {
    let server = Server::new();
    let begin = Instant::now();
    let answer = server.get(&format!("{LEASES}?resourceVersion=1000")).await;
    assert_eq!(answer.refusal(), (504, "Timeout".into()));
    assert_eq!(begin.elapsed().as_secs(), 3);
    assert_eq!(
        answer.json()["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test(start_paused = true)]
async fn selectors_select_and_unreadable_ones_are_refused() {
    let server = Server::new();
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
            "fieldSelector=metadata.name!%3Db,metadata.namespace%3Ddefault",
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

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_as_far_as_it_is_selected() {
    let server = Server::new();
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
        (deleted.json()["kind"].clone(), names_of(&deleted.json())),
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
