//! The rules that leader election rests on: creating, updating and deleting Leases.

use crate::support::{JSON_PATCH, LEASES, MERGE, Server, event, lease};
use futures::future::join_all;
use serde_json::{Value, json};

fn path(name: &str) -> String {
    format!("{LEASES}/{name}")
}

#[tokio::test(start_paused = true)]
async fn of_many_creations_of_one_lease_exactly_one_succeeds() {
    let server = Server::new();
    let body = lease("x", "alpha");
    let answers = join_all((0..20).map(|_| server.post(LEASES, &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code == 201).count(), 1);
    for refused in answers.iter().filter(|answer| answer.code != 201) {
        assert_eq!(refused.refusal(), (409, "AlreadyExists".into()));
        let details = json!({"name": "x", "group": "coordination.k8s.io", "kind": "leases"});
        assert_eq!(refused.json()["details"], details);
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_updates_from_one_version_exactly_one_succeeds() {
    let server = Server::new();
    let mut body = server.lease("x", "alpha").await;
    let bodies: Vec<Value> = (0..20)
        .map(|number| {
            body["spec"]["holderIdentity"] = format!("holder-{number}").into();
            body.clone()
        })
        .collect();
    let answers = join_all(
        bodies
            .iter()
            .map(|body| async { server.put(&path("x"), body).await }),
    )
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.code == 200).count(), 1);
    let conflicts = answers
        .iter()
        .filter(|answer| answer.refusal() == (409, "Conflict".into()));
    assert_eq!(conflicts.count(), 19);
}

#[tokio::test(start_paused = true)]
async fn an_update_from_another_version_conflicts() {
    let server = Server::new();
    let body = server.lease("x", "alpha").await;
    for version in ["1", "999999"] {
        let mut stale = body.clone();
        stale["metadata"]["resourceVersion"] = version.into();
        let answer = server.put(&path("x"), &stale).await;
        assert_eq!(answer.refusal(), (409, "Conflict".into()), "{version}");
        assert_eq!(answer.json()["details"]["kind"], "leases");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_without_version_is_invalid() {
    let server = Server::new();
    let mut body = server.lease("x", "alpha").await;
    for version in [Value::Null, "".into(), "0".into()] {
        body["metadata"]["resourceVersion"] = version;
        let answer = server.put(&path("x"), &body).await;
        assert_eq!(answer.refusal(), (422, "Invalid".into()));
        assert_eq!(answer.cause_fields(), ["metadata.resourceVersion"]);
        assert_eq!(answer.json()["details"]["kind"], "leases");
    }
    body["metadata"]["resourceVersion"] = "abc".into();
    server.put(&path("x"), &body).await.expect(500);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_deleted_lease_creates_it_only_without_uid() {
    let server = Server::new();
    let old = server.lease("x", "alpha").await;
    server.delete(&path("x"), &Value::Null).await.expect(200);
    assert_eq!(
        server.put(&path("x"), &old).await.refusal(),
        (409, "Conflict".into())
    );
    assert_eq!(server.get(&path("x")).await.refusal(), (404, "NotFound".into()));

    let mut without_uid = old.clone();
    without_uid["metadata"]["uid"] = Value::Null;
    let created = server.put(&path("x"), &without_uid).await.expect(201);
    assert_ne!(created.json()["metadata"]["uid"], old["metadata"]["uid"]);
    assert!(created.version() > crate::support::version(&old));
}

#[tokio::test(start_paused = true)]
async fn an_update_with_another_uid_conflicts() {
    let server = Server::new();
    let mut body = server.lease("x", "alpha").await;
    body["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000".into();
    assert_eq!(
        server.put(&path("x"), &body).await.refusal(),
        (409, "Conflict".into())
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_is_not_written() {
    let server = Server::new();
    let body = server.lease("x", "alpha").await;
    let before = crate::support::version(&body);
    let mut watch = server
        .watch(&format!("{LEASES}?watch=true&resourceVersion={before}"))
        .await;
    assert_eq!(server.put(&path("x"), &body).await.expect(200).version(), before);
    let patched = server
        .patch(&path("x"), MERGE, &json!({"spec": {"holderIdentity": "alpha"}}))
        .await;
    assert_eq!(patched.expect(200).version(), before);
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn versions_rise_over_all_kinds() {
    let server = Server::new();
    let mut versions = vec![crate::support::version(&server.lease("x", "alpha").await)];
    let config = json!({"metadata": {"name": "c"}, "data": {"k": "v"}});
    versions.push(
        server
            .post("/api/v1/namespaces/default/configmaps", &config)
            .await
            .expect(201)
            .version(),
    );
    versions.push(
        server
            .patch(&path("x"), MERGE, &json!({"metadata": {"labels": {"a": "b"}}}))
            .await
            .version(),
    );
    server.delete(&path("x"), &Value::Null).await.expect(200);
    versions.push(server.get(LEASES).await.version());
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_micro_time_has_six_digits() {
    let server = Server::new();
    for (number, (given, expected)) in [
        ("2026-01-02T03:04:05.123456Z", Some("2026-01-02T03:04:05.123456Z")),
        (
            "2026-01-02T03:04:05.123456+02:00",
            Some("2026-01-02T01:04:05.123456Z"),
        ),
        ("2026-01-02T03:04:05Z", None),
        ("2026-01-02T03:04:05.123Z", None),
        ("2026-01-02T03:04:05.123456789Z", None),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = lease(&format!("x{number}"), "alpha");
        body["spec"]["renewTime"] = given.into();
        let answer = server.post(LEASES, &body).await;
        match expected {
            Some(expected) => assert_eq!(answer.expect(201).json()["spec"]["renewTime"], expected),
            None => assert_eq!(answer.refusal(), (400, "BadRequest".into()), "{given}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn durations_are_positive_whole_numbers_and_transitions_not_negative() {
    let server = Server::new();
    let duration = "spec.leaseDurationSeconds";
    let transitions = "spec.leaseTransitions";
    for (number, (spec, code, fields)) in [
        (json!({}), 201, vec![]),
        (json!({"leaseDurationSeconds": null}), 201, vec![]),
        (json!({"leaseTransitions": 0, "holderIdentity": ""}), 201, vec![]),
        (json!({"leaseDurationSeconds": 0}), 422, vec![duration]),
        (json!({"leaseDurationSeconds": -1}), 422, vec![duration]),
        (json!({"leaseTransitions": -1}), 422, vec![transitions]),
        (
            json!({"leaseDurationSeconds": 0, "leaseTransitions": -1}),
            422,
            vec![duration, transitions],
        ),
        (json!({"leaseDurationSeconds": 1.5}), 400, vec![]),
        (json!({"leaseDurationSeconds": 1.0}), 400, vec![]),
        (json!({"leaseDurationSeconds": "15"}), 400, vec![]),
        (json!({"leaseDurationSeconds": 3_000_000_000_u64}), 400, vec![]),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"metadata": {"name": format!("x{number}")}, "spec": spec});
        let answer = server.post(LEASES, &body).await.expect(code);
        assert_eq!(answer.cause_fields(), fields, "{spec}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_merge_patch_with_null_clears_the_holder() {
    let server = Server::new();
    server.lease("x", "alpha").await;
    let answer = server
        .patch(&path("x"), MERGE, &json!({"spec": {"holderIdentity": null}}))
        .await
        .expect(200);
    assert_eq!(answer.json()["spec"], json!({"leaseDurationSeconds": 15}));
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_gate_that_is_off_are_dropped_without_a_word() {
    let server = Server::new();
    let mut body = lease("x", "alpha");
    body["spec"]["strategy"] = "Foo".into();
    body["spec"]["preferredHolder"] = "bravo".into();
    let answer = server
        .post(&format!("{LEASES}?fieldValidation=Strict"), &body)
        .await
        .expect(201);
    assert!(!answer.headers.contains_key("warning"));
    assert_eq!(
        answer.json()["spec"],
        json!({"holderIdentity": "alpha", "leaseDurationSeconds": 15})
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_not_found_by_any_verb() {
    let server = Server::new();
    let answers = [
        server.get(&path("x")).await,
        server.delete(&path("x"), &Value::Null).await,
        server.patch(&path("x"), MERGE, &json!({})).await,
    ];
    for answer in answers {
        assert_eq!(answer.refusal(), (404, "NotFound".into()));
        let details = json!({"name": "x", "group": "coordination.k8s.io", "kind": "leases"});
        assert_eq!(answer.json()["details"], details);
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_deletions_exactly_one_succeeds_and_names_the_uid() {
    let server = Server::new();
    let uid = server.lease("x", "alpha").await["metadata"]["uid"].clone();
    let (lease, null) = (path("x"), Value::Null);
    let answers = join_all((0..20).map(|_| server.delete(&lease, &null))).await;
    let gone: Vec<_> = answers.iter().filter(|answer| answer.code == 200).collect();
    assert_eq!(gone.len(), 1);
    let status = gone[0].json();
    assert_eq!(
        (&status["kind"], &status["status"]),
        (&"Status".into(), &"Success".into())
    );
    assert_eq!(status["details"]["uid"], uid);
    assert_eq!(answers.iter().filter(|answer| answer.code == 404).count(), 19);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_holds_its_preconditions() {
    let server = Server::new();
    let metadata = server.lease("x", "alpha").await["metadata"].clone();
    let (uid, version) = (&metadata["uid"], &metadata["resourceVersion"]);
    for wrong in [
        json!({"uid": "other"}),
        json!({"resourceVersion": "1"}),
        json!({"uid": uid, "resourceVersion": "1"}),
    ] {
        let answer = server.delete(&path("x"), &json!({"preconditions": wrong})).await;
        assert_eq!(answer.refusal(), (409, "Conflict".into()));
        assert_eq!(answer.json()["details"]["kind"], "Lease");
    }
    let right = json!({"preconditions": {"uid": uid, "resourceVersion": version}});
    server.delete(&path("x"), &right).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_keeps_a_lease_until_it_is_removed() {
    let server = Server::new();
    let mut body = lease("x", "alpha");
    body["metadata"]["finalizers"] = json!(["example.com/keep"]);
    let created = server.post(LEASES, &body).await.expect(201).version();
    let mut watch = server
        .watch(&format!("{LEASES}?watch=true&resourceVersion={created}"))
        .await;

    let marked = server.delete(&path("x"), &Value::Null).await.expect(200);
    assert!(marked.json()["metadata"]["deletionTimestamp"].is_string());
    let again = server.delete(&path("x"), &Value::Null).await.expect(200);
    assert_eq!(again.version(), marked.version());
    assert_eq!(
        server.post(LEASES, &body).await.refusal(),
        (409, "AlreadyExists".into())
    );

    let more = json!({"metadata": {"finalizers": ["example.com/keep", "example.com/more"]}});
    let refused = server.patch(&path("x"), MERGE, &more).await;
    assert_eq!(
        (refused.code, refused.cause_fields()),
        (422, vec!["metadata.finalizers".to_owned()])
    );
    let held = json!({"spec": {"holderIdentity": "bravo"}});
    let updated = server.patch(&path("x"), MERGE, &held).await.expect(200);

    let released = server
        .patch(&path("x"), MERGE, &json!({"metadata": {"finalizers": null}}))
        .await
        .expect(200);
    assert_eq!(
        released.version(),
        updated.version(),
        "the answer shows the last stored version"
    );
    server.get(&path("x")).await.expect(404);

    let seen = watch.take(2).await;
    assert_eq!(
        seen,
        [
            event("MODIFIED", "x", marked.version()),
            event("MODIFIED", "x", updated.version())
        ]
    );
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(
        gone["object"]["metadata"]["finalizers"],
        json!(["example.com/keep"])
    );
    assert!(crate::support::version(&gone["object"]) > updated.version());
}

#[tokio::test(start_paused = true)]
async fn patches_without_version_never_lose_each_other() {
    let server = Server::new();
    server.lease("x", "alpha").await;
    let lease = path("x");
    let patches: Vec<Value> = (0..20)
        .map(|n| json!({"metadata": {"labels": {format!("l{n}"): "v"}}}))
        .collect();
    for answer in join_all(patches.iter().map(|patch| server.patch(&lease, MERGE, patch))).await {
        answer.expect(200);
    }
    assert_eq!(
        server.get(&lease).await.json()["metadata"]["labels"]
            .as_object()
            .unwrap()
            .len(),
        20
    );
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_names_a_version_is_conditional() {
    let server = Server::new();
    let version = server.lease("x", "alpha").await["metadata"]["resourceVersion"].clone();
    let patch = |version: &Value, holder: &str| json!({"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": holder}});
    server
        .patch(&path("x"), MERGE, &patch(&version, "bravo"))
        .await
        .expect(200);
    let stale = server.patch(&path("x"), MERGE, &patch(&version, "charlie")).await;
    assert_eq!(stale.refusal(), (409, "Conflict".into()));
    let other = server
        .patch(&path("x"), MERGE, &json!({"metadata": {"uid": "other"}}))
        .await;
    assert_eq!(
        (other.code, other.cause_fields()),
        (422, vec!["metadata.uid".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_json_patch_may_test_what_it_changes() {
    let server = Server::new();
    server.lease("x", "alpha").await;
    let steal = |from: &str| {
        json!([
            {"op": "test", "path": "/spec/holderIdentity", "value": from},
            {"op": "replace", "path": "/spec/holderIdentity", "value": "charlie"},
        ])
    };
    let refused = server.patch(&path("x"), JSON_PATCH, &steal("bravo")).await;
    assert_eq!(refused.refusal(), (422, "Invalid".into()));
    assert_eq!(refused.json()["details"], json!({}));
    server
        .patch(&path("x"), JSON_PATCH, &steal("alpha"))
        .await
        .expect(200);
    let rows = [
        (json!({"op": "add"}), 400),
        (json!([{"op": "frob", "path": "/spec"}]), 422),
        (json!([{"op": "remove", "path": "/spec/renewTime"}]), 422),
        (
            json!([{"op": "replace", "path": "/spec/renewTime", "value": "2026-01-02T03:04:05.000006Z"}]),
            200,
        ),
        (
            json!([{"op": "replace", "path": "/spec/leaseDurationSeconds", "value": "x"}]),
            422,
        ),
    ];
    for (patch, code) in rows {
        server.patch(&path("x"), JSON_PATCH, &patch).await.expect(code);
    }
}
