//! What a real server said to new leases, good and bad.

use serde_json::{Value, json};

use super::{dry, send, try_all, with_metadata, x};
use crate::check::checks;
use crate::cluster::{Cluster, JSON, LEASES, MERGE};

checks! {"replies";
    names_of_new_objects,
    generated_names,
    labels_and_annotations,
    finalizers_of_new_objects,
    owners_of_new_objects,
    values_of_a_lease,
    times_of_a_lease,
    unknown_and_repeated_fields,
    envelopes,
    unreadable_json,
    yaml,
}

const YAML: &str = "application/yaml";

async fn names_of_new_objects(server: Cluster) {
    let long = ["x".repeat(253), "x".repeat(254)];
    let names = [
        "X", "a_b", "a..b", "-a", "a-", ".", "..", "a/b", "a%b", " ", "ä", "a.b-c.1", "",
    ];
    let names = names.map(str::to_owned).into_iter().chain(long);
    try_all(&server, names.map(|name| with_metadata(json!({"name": name})))).await;
    try_all(
        &server,
        [
            json!({}),
            json!({"metadata": {"namespace": "elsewhere", "name": "x"}}),
        ],
    )
    .await;
    server.expect_transcript("names");
}

async fn generated_names(server: Cluster) {
    for prefix in ["a-", "a", "a.b", &"x".repeat(100)] {
        let body = json!({"metadata": {"generateName": prefix}});
        server.post(LEASES, &body).await;
    }
    let both = json!({"metadata": {"generateName": "y-", "name": "x"}});
    server.unrecorded().post(LEASES, &both).await.expect(201);
    let kept = server.get(&x()).await.json();
    assert_eq!(kept["metadata"]["generateName"], "y-");
    let other = json!({"metadata": {"generateName": "z-"}});
    let changed = server.patch(&x(), MERGE, &other).await.expect(200).json();
    assert_eq!(changed["metadata"]["generateName"], "z-");
    server.expect_transcript("generated-names");
}

async fn labels_and_annotations(server: Cluster) {
    let long = ["A".repeat(63), "A".repeat(64)];
    let keys = [
        "",
        "a",
        "a/b/c",
        "Ex.com/a",
        "ex.com/",
        "/a",
        "a b",
        "-a",
        "ex.com/a_B.c",
    ];
    for key in keys.map(str::to_owned).iter().chain(&long) {
        try_all(
            &server,
            [
                with_metadata(json!({"labels": {key.as_str(): "x"}})),
                with_metadata(json!({"annotations": {key.as_str(): "x"}})),
            ],
        )
        .await;
    }
    for value in ["", "-x", "x y", "x.y_z", &"x".repeat(63), &"x".repeat(64)] {
        try_all(&server, [with_metadata(json!({"labels": {"a": value}}))]).await;
    }
    let refused = server
        .unrecorded()
        .post(
            &dry(LEASES),
            &with_metadata(json!({"annotations": {"a": "x".repeat(256 << 10)}})),
        )
        .await;
    assert_eq!(refused.cause_reasons(), ["FieldValueTooLong"]);
    server.expect_transcript("labels-and-annotations");
}

async fn finalizers_of_new_objects(server: Cluster) {
    for finalizers in [
        json!(["a"]),
        json!(["a/b"]),
        json!(["A B"]),
        json!([""]),
        json!(["orphan"]),
        json!(["orphan", "foregroundDeletion"]),
        json!([]),
        json!(["x".repeat(70)]),
    ] {
        try_all(&server, [with_metadata(json!({"finalizers": finalizers}))]).await;
    }
    server.expect_transcript("finalizers");
}

async fn owners_of_new_objects(server: Cluster) {
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u"});
    let with = |field: &str, value: Value| {
        let mut owner = owner.clone();
        owner[field] = value;
        owner
    };
    let controller = with("controller", true.into());
    for owners in [
        json!([{}]),
        json!([owner]),
        json!([with("kind", "Event".into())]),
        json!([with("apiVersion", "a/b/c".into())]),
        json!([with("apiVersion", Value::Null)]),
        json!([with("blockOwnerDeletion", true.into())]),
        json!([controller, controller]),
        json!([]),
    ] {
        try_all(&server, [with_metadata(json!({"ownerReferences": owners}))]).await;
    }
    server.expect_transcript("owners");
}

async fn values_of_a_lease(server: Cluster) {
    for spec in [
        json!(null),
        json!({"leaseDurationSeconds": 0}),
        json!({"leaseDurationSeconds": -1}),
        json!({"leaseDurationSeconds": i64::from(i32::MAX)}),
        json!({"leaseDurationSeconds": 1_i64 << 31}),
        json!({"leaseDurationSeconds": "5"}),
        json!({"leaseDurationSeconds": 1.5}),
        json!({"leaseTransitions": -1}),
        json!({"leaseTransitions": 0}),
        json!({"leaseDurationSeconds": -1, "leaseTransitions": -1}),
        json!({"holderIdentity": ""}),
        json!({"holderIdentity": null}),
        json!({"holderIdentity": true}),
        json!({"holderIdentity": "x".repeat(1000)}),
        json!({"strategy": "OldestEmulationVersion"}),
        json!({"preferredHolder": "x"}),
        json!("x"),
    ] {
        try_all(&server, [json!({"metadata": {"name": "x"}, "spec": spec})]).await;
    }
    server.expect_transcript("values-of-a-lease");
}

async fn times_of_a_lease(server: Cluster) {
    for time in [
        json!("2026-01-02T03:04:05.000006Z"),
        json!("2026-01-02T03:04:05Z"),
        json!("2026-01-02T03:04:05.1+02:00"),
        json!("2026-01-02T03:04:05.123456789Z"),
        json!("0001-01-01T00:00:00Z"),
        json!("2026"),
        json!(""),
        json!(5),
        json!(null),
    ] {
        for field in ["renewTime", "acquireTime"] {
            try_all(
                &server,
                [json!({"metadata": {"name": "x"}, "spec": {field: time}})],
            )
            .await;
        }
    }
    server.expect_transcript("times-of-a-lease");
}

async fn unknown_and_repeated_fields(server: Cluster) {
    for body in [
        r#"{"metadata":{"name":"x"},"bogus":1}"#,
        r#"{"metadata":{"name":"x","bogus":1},"spec":{"bogus":1}}"#,
        r#"{"Metadata":{"Name":"x"}}"#,
        r#"{"metadata":{"name":"x"},"SPEC":{}}"#,
        r#"{"metadata":{"name":"a","name":"x"}}"#,
        r#"{"metadata":{"name":"x"},"spec":{"holderIdentity":"a","holderIdentity":"b"}}"#,
        r#"{"metadata":{"name":"x"},"status":{}}"#,
    ] {
        for validation in ["", "Ignore", "Warn", "Strict"] {
            let path = format!("{LEASES}?dryRun=All&fieldValidation={validation}");
            send(&server, "POST", &path, JSON, body).await;
        }
    }
    server.expect_transcript("unknown-and-repeated-fields");
}

async fn envelopes(server: Cluster) {
    for (field, value) in [
        ("kind", json!("Pod")),
        ("kind", json!("Lease")),
        ("kind", json!(5)),
        ("apiVersion", json!("v1")),
        ("apiVersion", json!("coordination.k8s.io/v1")),
        ("apiVersion", json!("coordination.k8s.io/v2")),
        ("metadata", json!(5)),
        ("metadata", json!({"name": 5})),
        ("metadata", json!({"name": "x", "namespace": "elsewhere"})),
        ("metadata", json!({"name": "x", "labels": []})),
        ("metadata", json!({"name": "x", "labels": {"a": 5}})),
        ("metadata", json!({"name": "x", "resourceVersion": "5"})),
        (
            "metadata",
            json!({"name": "x", "uid": "mine", "generation": 7, "selfLink": "/x"}),
        ),
    ] {
        let mut body = with_metadata(json!({}));
        body[field] = value;
        try_all(&server, [body]).await;
    }
    let versioned = with_metadata(json!({"resourceVersion": "5"}));
    server.post(LEASES, &versioned).await;
    server.expect_transcript("envelopes");
}

async fn unreadable_json(server: Cluster) {
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "5",
        "{}x",
        "[[[[",
        "{\"a\":}",
        "{'a': 1}",
        "{\"metadata\": {\"name\": \"x\"}} ",
        "\u{feff}{}",
    ] {
        for validation in ["Warn", "Strict"] {
            let path = format!("{LEASES}?dryRun=All&fieldValidation={validation}");
            send(&server, "POST", &path, JSON, body).await;
        }
    }
    send(&server, "POST", LEASES, "text/plain", "x").await;
    send(
        &server,
        "POST",
        &dry(LEASES),
        "application/json; charset=utf-8",
        "{}",
    )
    .await;
    server.expect_transcript("unreadable-json");
}

async fn yaml(server: Cluster) {
    for body in [
        "metadata: {name: x}\nspec: {holderIdentity: 'yes', leaseDurationSeconds: 15}\n",
        "metadata:\n  name: x\nspec:\n  holderIdentity: on\n",
        "a: [",
        "",
        "---\nmetadata: {name: x}\n---\nmetadata: {name: y}\n",
        "# nothing\n",
    ] {
        send(&server, "POST", &dry(LEASES), YAML, body).await;
    }
    server.expect_transcript("yaml");
}
