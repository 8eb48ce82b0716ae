//! Creating objects: what the server sets, what it refuses, and what it only warns of.

use crate::check::checks;
use crate::cluster::{Cluster, LEASES, MERGE, lease};
use serde_json::{Value, json};

checks! {"metadata";
    the_server_sets_its_own_fields_whatever_the_client_sends,
    names_are_given_generated_or_missing,
    the_body_agrees_with_the_url,
    metadata_that_breaks_its_rules_is_invalid,
    unknown_and_duplicate_fields_are_warned_of_or_refused,
    a_dry_run_answers_and_stores_nothing,
}

async fn the_server_sets_its_own_fields_whatever_the_client_sends(server: Cluster) {
    let mut body = lease("x", "alpha");
    body["metadata"]["uid"] = "mine".into();
    body["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    body["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    let metadata = server.post(LEASES, &body).await.expect(201).json()["metadata"].clone();
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_ne!(metadata["creationTimestamp"], "2001-01-01T00:00:00Z");
    assert_eq!(
        metadata["creationTimestamp"].as_str().unwrap().len(),
        20,
        "whole seconds"
    );
    assert_eq!(metadata["namespace"], "{ns}");
    assert_eq!(
        (metadata.get("deletionTimestamp"), metadata.get("generation")),
        (None, None)
    );

    let path = format!("{LEASES}/x");
    let changes = json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}});
    let after = server.patch(&path, MERGE, &changes).await.expect(200).json();
    assert_eq!(after["metadata"], metadata);
    for (field, value) in [
        ("deletionTimestamp", json!("2001-01-01T00:00:00Z")),
        ("deletionGracePeriodSeconds", json!(5)),
    ] {
        let changes = json!({"metadata": {field: value}});
        let refused = server.patch(&path, MERGE, &changes).await;
        refused.expect_invalid(&[&format!("metadata.{field}")]);
    }
}

async fn names_are_given_generated_or_missing(server: Cluster) {
    let body = json!({"metadata": {"generateName": "x-"}});
    let mut names = Vec::new();
    for _ in 0..2 {
        let created = server.post(LEASES, &body).await.expect(201).json();
        names.push(created["metadata"]["name"].as_str().unwrap().to_owned());
    }
    assert!(names.iter().all(|name| name.starts_with("x-") && name.len() == 7));
    assert_ne!(names[0], names[1]);
    let nameless = server.post(LEASES, &json!({"metadata": {}})).await;
    assert_eq!(
        (nameless.code, nameless.cause_fields()),
        (422, vec!["metadata.name".to_owned()])
    );
}

async fn the_body_agrees_with_the_url(server: Cluster) {
    let with = |change: fn(&mut Value)| {
        let mut body = lease("x", "alpha");
        change(&mut body);
        body
    };
    for (body, code) in [
        (
            with(|body| body["metadata"]["namespace"] = "kube-system".into()),
            400,
        ),
        (with(|body| body["apiVersion"] = "v1".into()), 400),
        (with(|body| body["kind"] = "Pod".into()), 400),
        (with(|body| body["metadata"]["resourceVersion"] = "5".into()), 500),
        (json!({"metadata": {"name": "untyped"}}), 201),
        (json!([]), 400),
    ] {
        server.post(LEASES, &body).await.expect(code);
    }
    let nowhere = server
        .post(
            "/apis/coordination.k8s.io/v1/namespaces/nowhere/leases",
            &lease("x", "alpha"),
        )
        .await;
    assert_eq!(nowhere.refusal(), (404, "NotFound".into()));
    assert_eq!(nowhere.json()["details"]["kind"], "namespaces");
    let body = server.lease("x", "alpha").await;
    server.put(&format!("{LEASES}/y"), &body).await.expect(400);
}

async fn metadata_that_breaks_its_rules_is_invalid(server: Cluster) {
    let owner = |uid: &str, controller: bool| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": uid, "controller": controller});
    for (metadata, field) in [
        (json!({"name": "Upper"}), "metadata.name"),
        (json!({"name": "a".repeat(254)}), "metadata.name"),
        (json!({"name": "x", "labels": {"a b": "c"}}), "metadata.labels"),
        (
            json!({"name": "x", "labels": {"a": "not valid"}}),
            "metadata.labels",
        ),
        (
            json!({"name": "x", "annotations": {"a b": "c"}}),
            "metadata.annotations",
        ),
        (
            json!({"name": "x", "annotations": {"a": "x".repeat(300_000)}}),
            "metadata.annotations",
        ),
        (json!({"name": "x", "finalizers": ["a b"]}), "metadata.finalizers"),
        (
            json!({"name": "x", "ownerReferences": [owner("", false)]}),
            "metadata.ownerReferences[0].uid",
        ),
        (
            json!({"name": "x", "ownerReferences": [owner("1", true), owner("2", true)]}),
            "metadata.ownerReferences",
        ),
    ] {
        let answer = server.post(LEASES, &json!({"metadata": metadata})).await;
        assert_eq!(
            (answer.code, answer.cause_fields()),
            (422, vec![field.to_owned()])
        );
        assert_eq!(answer.json()["details"]["kind"], "Lease");
    }
    let fine = json!({"name": "x", "finalizers": ["noslash"], "labels": {"example.com/a": ""}});
    server.post(LEASES, &json!({"metadata": fine})).await.expect(201);
}

async fn unknown_and_duplicate_fields_are_warned_of_or_refused(server: Cluster) {
    let text = |name: &str| {
        format!(
            r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"bogus": 1, "holderIdentity": "a", "holderIdentity": "b"}}}}"#
        )
    };
    let post = async |query: &str, name: &str| {
        server
            .request(
                http::Method::POST,
                &format!("{LEASES}{query}"),
                &[("content-type", "application/json")],
                text(name),
            )
            .await
    };
    let warned = post("", "x").await.expect(201);
    let warnings: Vec<_> = warned
        .headers
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let expected = [
        r#"299 - "unknown field \"spec.bogus\"""#,
        r#"299 - "duplicate field \"spec.holderIdentity\"""#,
    ];
    assert_eq!(warnings, expected);
    assert_eq!(warned.json()["spec"], json!({"holderIdentity": "b"}));
    assert_eq!(
        post("?fieldValidation=Strict", "y").await.refusal(),
        (400, "BadRequest".into())
    );
    assert!(
        !post("?fieldValidation=Ignore", "z")
            .await
            .expect(201)
            .headers
            .contains_key("warning")
    );
    post("?fieldValidation=Sometimes", "w").await.expect(422);
    let patch = json!({"spec": {"bogus": 1}});
    server
        .patch(&format!("{LEASES}/x?fieldValidation=Strict"), MERGE, &patch)
        .await
        .expect(422);
}

async fn a_dry_run_answers_and_stores_nothing(server: Cluster) {
    let mut watch = server.watch(&format!("{LEASES}?watch=true")).await;
    let dry = "dryRun=All";
    let created = server
        .post(&format!("{LEASES}?{dry}"), &lease("x", "alpha"))
        .await
        .expect(201)
        .json();
    assert_eq!(created["metadata"].get("resourceVersion"), None);
    server.get(&format!("{LEASES}/x")).await.expect(404);
    assert!(watch.is_quiet().await);

    let body = server.lease("x", "alpha").await;
    watch.take(1).await;
    let path = format!("{LEASES}/x?{dry}");
    let patch = json!({"spec": {"holderIdentity": "bravo"}});
    assert_eq!(
        server.patch(&path, MERGE, &patch).await.expect(200).json()["spec"]["holderIdentity"],
        "bravo"
    );
    server.put(&path, &body).await.expect(200);
    server.delete(&path, &Value::Null).await.expect(200);
    server
        .delete(&format!("{LEASES}/x"), &json!({"dryRun": ["All"]}))
        .await
        .expect(200);
    assert_eq!(server.get(&format!("{LEASES}/x")).await.expect(200).json(), body);
    assert!(watch.is_quiet().await);
    server
        .post(&format!("{LEASES}?dryRun=some"), &lease("y", "alpha"))
        .await
        .expect(422);
}
