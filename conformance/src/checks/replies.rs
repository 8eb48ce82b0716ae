//! Replies word by word: what a real server said to the same requests is kept in `goldens/`.

use http::Method;
use serde_json::{Value, json};

use crate::check::checks;
use crate::cluster::{CONFIGS, Cluster, DEFINITIONS, JSON, JSON_PATCH, LEASES, MERGE, NAMESPACES, STRATEGIC};

checks! {"replies";
    names_of_new_objects,
    generated_names,
    labels_and_annotations,
    finalizers_of_new_objects,
    owners_of_new_objects,
    values_of_a_lease,
    times_of_a_lease,
    unknown_and_repeated_fields,
    options_of_writes,
    envelopes,
    unreadable_json,
    yaml,
    puts,
    merge_patches,
    strategic_patches,
    json_patches,
    patches_that_cannot_be,
    options_of_deletions,
    the_life_of_a_finalizer,
    options_of_lists,
    options_of_watches,
    formats,
    paths_and_methods,
    events_of_the_group,
    changes_of_events,
    events_of_the_core,
    config_maps,
    namespaces,
    deployments,
    definitions,
    custom_objects,
    service_accounts,
}

const GROUP_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/{ns}/events";
const CORE_EVENTS: &str = "/api/v1/namespaces/{ns}/events";
const YAML: &str = "application/yaml";

fn dry(path: &str) -> String {
    format!("{path}?dryRun=All")
}

fn x() -> String {
    format!("{LEASES}/x")
}

fn with_metadata(metadata: Value) -> Value {
    let mut body = json!({"metadata": {"name": "x"}, "spec": {}});
    if let (Some(fields), Value::Object(more)) = (body["metadata"].as_object_mut(), metadata) {
        fields.extend(more);
    }
    body
}

async fn send(server: &Cluster, method: &str, path: &str, media: &str, body: impl Into<String>) {
    let method = method.parse().unwrap_or(Method::GET);
    server
        .request(method, path, &[("content-type", media)], body.into())
        .await;
}

/// Creates nothing: each body is sent as a dry run.
async fn try_all(server: &Cluster, bodies: impl IntoIterator<Item = Value>) {
    for body in bodies {
        server.post(&dry(LEASES), &body).await;
    }
}

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

async fn options_of_writes(server: Cluster) {
    let body = with_metadata(json!({}));
    server.unrecorded().post(LEASES, &body).await.expect(201);
    for query in [
        "fieldValidation=Sloppy".to_owned(),
        "dryRun=Some".to_owned(),
        "dryRun=All&pretty=true".to_owned(),
        format!("fieldManager={}", "x".repeat(129)),
        "fieldManager=a%0Ab".to_owned(),
        "dryRun=All&unknown=1".to_owned(),
    ] {
        server.post(&format!("{LEASES}?{query}"), &body).await;
        server.put(&format!("{}?{query}", x()), &body).await;
        server.patch(&format!("{}?{query}", x()), MERGE, &json!({})).await;
    }
    server
        .patch(&format!("{}?force=true", x()), MERGE, &json!({}))
        .await;
    server.expect_transcript("options-of-writes");
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

async fn puts(server: Cluster) {
    server.put(&x(), &with_metadata(json!({}))).await;
    server.put(&x(), &with_metadata(json!({"uid": "gone"}))).await;
    for metadata in [
        json!({}),
        json!({"resourceVersion": "0"}),
        json!({"resourceVersion": "1"}),
        json!({"resourceVersion": "abc"}),
        json!({"resourceVersion": "99999999"}),
        json!({"uid": "other", "resourceVersion": "1"}),
        json!({"uid": "other"}),
        json!({"name": "y"}),
        json!({"name": null}),
        json!({"namespace": "elsewhere"}),
    ] {
        server.put(&x(), &with_metadata(metadata)).await;
    }
    let mut there = server.get(&x()).await.json();
    server.put(&x(), &there).await;
    there["spec"]["holderIdentity"] = "alpha".into();
    server.put(&x(), &there).await;
    server.put(&x(), &there).await;
    server.expect_transcript("puts");
}

async fn patch_all(server: &Cluster, media: &str, patches: impl IntoIterator<Item = Value>) {
    for patch in patches {
        server.patch(&x(), media, &patch).await;
    }
}

async fn lease_to_patch(server: &Cluster) {
    let spec = json!({"holderIdentity": "a", "leaseDurationSeconds": 5, "leaseTransitions": 1});
    let metadata = json!({"name": "x", "labels": {"a": "b"}, "annotations": {"k": "v"}});
    let body = json!({"metadata": metadata, "spec": spec});
    server.post(LEASES, &body).await.expect(201);
}

async fn merge_patches(server: Cluster) {
    lease_to_patch(&server).await;
    let of_metadata = [
        json!({"labels": null}),
        json!({"labels": {"a": null, "b": "c"}}),
        json!({"name": "y"}),
        json!({"namespace": "y"}),
        json!({"uid": "y"}),
        json!({"resourceVersion": "1"}),
        json!({"resourceVersion": "x"}),
        json!({"resourceVersion": null}),
        json!({"generateName": "g-"}),
        json!({"deletionTimestamp": "2020-01-01T00:00:00Z"}),
        json!({"deletionGracePeriodSeconds": 5}),
        json!({"creationTimestamp": null}),
        json!({"selfLink": "/x"}),
        json!({"generation": 9}),
        json!({"finalizers": ["a/b"]}),
        json!({"finalizers": []}),
        json!({"annotations": {"k": 5}}),
    ];
    patch_all(
        &server,
        MERGE,
        of_metadata.map(|metadata| json!({"metadata": metadata})),
    )
    .await;
    patch_all(
        &server,
        MERGE,
        [
            json!({}),
            json!({"spec": {"holderIdentity": null}}),
            json!({"kind": "Pod"}),
            json!({"apiVersion": "v1"}),
            json!({"spec": null}),
            json!({"spec": {"leaseDurationSeconds": -1}}),
            json!({"spec": {"bogus": 1}}),
            json!({"bogus": 1}),
            json!({"spec": {"renewTime": "x"}}),
            json!({"spec": {"leaseTransitions": 0}}),
            json!([]),
            json!(5),
            json!("x"),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("merge-patches");
}

async fn strategic_patches(server: Cluster) {
    lease_to_patch(&server).await;
    patch_all(
        &server,
        STRATEGIC,
        [
            json!({}),
            json!({"spec": {"holderIdentity": null}}),
            json!({"metadata": {"finalizers": ["a/b"]}}),
            json!({"metadata": {"finalizers": ["c/d"]}}),
            json!({"metadata": {"finalizers": ["e/f", "a/b"]}}),
            json!({"metadata": {"$setElementOrder/finalizers": ["a/b", "c/d", "e/f"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}),
            json!({"metadata": {"$setElementOrder/finalizers": ["c/d"], "finalizers": ["g/h"]}}),
            json!({"metadata": {"$patch": "replace", "labels": {"x": "y"}}}),
            json!({"metadata": {"labels": {"$patch": "replace", "x": "y"}}}),
            json!({"metadata": {"labels": {"$patch": "delete"}}}),
            json!({"metadata": {"finalizers": null}}),
            json!({"$patch": "replace", "metadata": {"name": "x"}}),
            json!({"$patch": "x"}),
            json!({"$patch": "delete"}),
            json!({"spec": {"$patch": "replace", "holderIdentity": "z"}}),
            json!({"spec": {"$retainKeys": ["holderIdentity"], "holderIdentity": "q"}}),
            json!({"metadata": {"ownerReferences": [{"name": "without"}]}}),
            json!([]),
            json!(5),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("strategic-patches");
}

async fn json_patches(server: Cluster) {
    lease_to_patch(&server).await;
    patch_all(
        &server,
        JSON_PATCH,
        [
            json!([]),
            json!([{"op": "add", "path": "/spec/holderIdentity", "value": "b"}]),
            json!([{"op": "test", "path": "/spec/holderIdentity", "value": "b"}]),
            json!([{"op": "test", "path": "/spec/holderIdentity", "value": "other"}]),
            json!([{"op": "test", "path": "/spec/missing", "value": null}]),
            json!([{"op": "test", "path": "/spec/missing", "value": 5}]),
            json!([{"op": "remove", "path": "/spec/missing"}]),
            json!([{"op": "replace", "path": "/spec/leaseTransitions", "value": 5}]),
            json!([{"op": "replace", "path": "/spec/missing", "value": 5}]),
            json!([{"op": "add", "path": "/metadata/labels/x~1y", "value": "z"}]),
            json!([{"op": "add", "path": "/missing/a", "value": 5}]),
            json!([{"op": "bogus", "path": "/a"}]),
            json!([{"op": "add"}]),
            json!([{"path": "/a"}]),
            json!([{"op": "copy", "from": "/spec/holderIdentity", "path": "/metadata/annotations/h"}]),
            json!([{"op": "move", "from": "/metadata/annotations/h", "path": "/metadata/annotations/i"}]),
            json!([{"op": "move", "from": "/missing", "path": "/metadata/annotations/i"}]),
            json!([{"op": "add", "path": "", "value": {}}]),
            json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "a/b"}]),
            json!([{"op": "add", "path": "/metadata/finalizers", "value": ["a/b", "c/d"]}]),
            json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "e/f"}]),
            json!([{"op": "remove", "path": "/metadata/finalizers/0"}]),
            json!([{"op": "remove", "path": "/metadata/finalizers/7"}]),
            json!([{"op": "remove", "path": "/metadata/finalizers"}]),
            json!([
                {"op": "test", "path": "/spec/holderIdentity", "value": "b"},
                {"op": "replace", "path": "/spec/holderIdentity", "value": "c"},
            ]),
            json!({}),
            json!(5),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("json-patches");
}

async fn patches_that_cannot_be(server: Cluster) {
    let missing = format!("{LEASES}/missing");
    for media in [MERGE, STRATEGIC, JSON_PATCH, JSON, YAML, "text/plain", ""] {
        send(&server, "PATCH", &missing, media, "{}").await;
        send(&server, "PATCH", &missing, media, "{").await;
    }
    let strict = format!("{}?fieldValidation=Strict", x());
    lease_to_patch(&server).await;
    server.patch(&strict, MERGE, &json!({"spec": {"bogus": 1}})).await;
    server
        .patch(&dry(&x()), MERGE, &json!({"spec": {"holderIdentity": "dry"}}))
        .await;
    server.get(&x()).await;
    server.expect_transcript("patches-that-cannot-be");
}

async fn options_of_deletions(server: Cluster) {
    lease_to_patch(&server).await;
    for body in [
        json!({"preconditions": {"uid": "other"}}),
        json!({"preconditions": {"resourceVersion": "1"}}),
        json!({"propagationPolicy": "Bogus"}),
        json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}),
        json!({"dryRun": ["x"]}),
        json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1"}),
        json!(5),
    ] {
        server.delete(&x(), &body).await;
    }
    for query in [
        "dryRun=All",
        "gracePeriodSeconds=x",
        "propagationPolicy=x",
        "dryRun=x",
    ] {
        server.delete(&format!("{}?{query}", x()), &Value::Null).await;
    }
    server.delete(&format!("{LEASES}/missing"), &Value::Null).await;
    server
        .delete(&x(), &json!({"propagationPolicy": "Background"}))
        .await;
    server.get(&x()).await;
    server.expect_transcript("options-of-deletions");
}

async fn the_life_of_a_finalizer(server: Cluster) {
    server
        .post(LEASES, &with_metadata(json!({"finalizers": ["a/b"]})))
        .await;
    server.delete(&x(), &Value::Null).await;
    server.delete(&x(), &Value::Null).await;
    server.post(LEASES, &with_metadata(json!({}))).await;
    patch_all(
        &server,
        MERGE,
        [
            json!({"metadata": {"finalizers": ["a/b", "c/d"]}}),
            json!({"spec": {"holderIdentity": "late"}}),
            json!({"metadata": {"deletionTimestamp": null}}),
            json!({"metadata": {"finalizers": []}}),
            json!({}),
        ],
    )
    .await;
    server.get(&x()).await;
    server.expect_transcript("the-life-of-a-finalizer");
}

async fn options_of_lists(server: Cluster) {
    for name in ["a", "b"] {
        let mut body = with_metadata(json!({"name": name, "labels": {"a": name, "n": "5"}}));
        body["spec"]["holderIdentity"] = name.into();
        server.post(LEASES, &body).await;
    }
    for query in [
        "limit=-1",
        "limit=x",
        "limit=1",
        "continue=zz",
        "resourceVersion=x",
        "resourceVersion=-1",
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Bogus&resourceVersion=1",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "labelSelector=a+b",
        "labelSelector=a%3Da",
        "labelSelector=%3Da",
        "labelSelector=a+in+(a,b)",
        "labelSelector=a+in+(b",
        "labelSelector=a+notin+(b)",
        "labelSelector=!a",
        "labelSelector=a%3D%3Db,c!%3Dd",
        "labelSelector=A/B/C%3Dx",
        "labelSelector=n%3E4",
        "labelSelector=n%3Cx",
        "fieldSelector=spec.holderIdentity%3Da",
        "fieldSelector=metadata.name",
        "fieldSelector=metadata.name%3D%3Da",
        "fieldSelector=metadata.uid%3Da",
        "fieldSelector=metadata.name%3Da,metadata.name%3Db",
        "timeoutSeconds=x",
        "allowWatchBookmarks=x",
        "sendInitialEvents=true",
        "bogus=1",
    ] {
        server.get(&format!("{LEASES}?{query}")).await;
    }
    server.expect_transcript("options-of-lists");
}

async fn options_of_watches(server: Cluster) {
    for query in [
        "resourceVersion=x",
        "continue=x",
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
        "fieldSelector=x",
        "labelSelector=a+b",
        "timeoutSeconds=x",
    ] {
        server.get(&format!("{LEASES}?watch=true&{query}")).await;
    }
    server.expect_transcript("options-of-watches");
}

async fn formats(server: Cluster) {
    server
        .post(LEASES, &with_metadata(json!({"labels": {"a": "b"}})))
        .await;
    for accept in [
        "*/*",
        "application/*",
        "text/html",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
        "application/json;q=0.1,application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ] {
        for path in [
            LEASES,
            &x(),
            "/apis/coordination.k8s.io/v1/namespaces/{ns}-none/leases",
        ] {
            server.get_as(path, accept).await;
        }
    }
    server.expect_transcript("formats");
}

async fn paths_and_methods(server: Cluster) {
    server
        .unrecorded()
        .post(LEASES, &with_metadata(json!({})))
        .await
        .expect(201);
    let x = x();
    for (method, path) in [
        ("PUT", LEASES),
        ("PATCH", LEASES),
        ("POST", &x),
        ("OPTIONS", LEASES),
        ("POST", "/version"),
        ("GET", "/api/v1/namespaces/default/finalize"),
        ("GET", &format!("{x}/status")),
        ("GET", &format!("{LEASES}/a/b/c")),
        ("POST", "/apis/coordination.k8s.io/v1/leases"),
        ("DELETE", "/apis/coordination.k8s.io/v1/leases"),
        ("GET", "/apis/coordination.k8s.io/v1/leases/x"),
        ("GET", "/api/v1/namespaces/default/namespaces"),
        ("GET", "/api/v1/namespaces//leases"),
        ("GET", "/apis/nothing.example.com/v1"),
        ("GET", "/apis/coordination.k8s.io/v9/leases"),
        ("GET", "/api/v9"),
        ("GET", "/healthz/nothing"),
        ("GET", "/readyz/ping"),
        ("GET", &format!("{LEASES}/%2e%2e")),
        ("GET", &format!("{LEASES}/a%2Fb")),
    ] {
        send(&server, method, path, JSON, "").await;
    }
    server.expect_transcript("paths-and-methods");
}

fn new_event(change: &Value) -> Value {
    let mut event = json!({
        "metadata": {"name": "e"}, "eventTime": "2026-01-02T03:04:05.000006Z", "type": "Normal",
        "reportingController": "example.com/elector", "reportingInstance": "elector-0", "action": "Elect",
        "reason": "Elected", "note": "alpha leads", "regarding": {"kind": "Lease", "namespace": "{ns}", "name": "x"},
    });
    if let (Some(fields), Some(changes)) = (event.as_object_mut(), change.as_object()) {
        fields.extend(changes.clone());
    }
    event
}

async fn events_of_the_group(server: Cluster) {
    let long = "x".repeat(129);
    for change in [
        json!({"eventTime": null}),
        json!({"reportingController": null}),
        json!({"reportingController": "no/t/q"}),
        json!({"reportingInstance": null}),
        json!({"reportingInstance": long}),
        json!({"action": null}),
        json!({"action": long}),
        json!({"reason": null}),
        json!({"reason": long}),
        json!({"type": null}),
        json!({"type": "Other"}),
        json!({"note": "x".repeat(1025)}),
        json!({"regarding": {"namespace": "elsewhere", "name": "x"}}),
        json!({"regarding": {"name": "x"}}),
        json!({"deprecatedCount": 3}),
        json!({"deprecatedSource": {"component": "x"}}),
        json!({"deprecatedFirstTimestamp": "2026-01-02T03:04:05Z"}),
        json!({"series": {"count": 1, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}}),
        json!({}),
    ] {
        server.post(&dry(GROUP_EVENTS), &new_event(&change)).await;
    }
    server.expect_transcript("events-of-the-group");
}

async fn changes_of_events(server: Cluster) {
    server.post(GROUP_EVENTS, &new_event(&json!({}))).await;
    let path = format!("{GROUP_EVENTS}/e");
    for change in [
        json!({"note": "other"}),
        json!({"reason": "Other"}),
        json!({"action": "Other"}),
        json!({"type": "Warning"}),
        json!({"eventTime": "2026-01-02T03:04:06.000006Z"}),
        json!({"reportingController": "example.com/other"}),
        json!({"reportingInstance": "other"}),
        json!({"regarding": {"name": "other"}}),
        json!({"related": {"name": "other"}}),
        json!({"deprecatedCount": 3}),
        json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}}),
    ] {
        server.patch(&path, MERGE, &change).await;
    }
    server
        .patch(&format!("{CORE_EVENTS}/e"), MERGE, &json!({"message": "other"}))
        .await;
    server.get(&path).await;
    server.expect_transcript("changes-of-events");
}

async fn events_of_the_core(server: Cluster) {
    let about = |namespace: &str| json!({"namespace": namespace, "name": "x", "kind": "Lease"});
    for (name, change) in [
        ("a", json!({"count": 3})),
        ("b", json!({"involvedObject": about("elsewhere")})),
        (
            "c",
            json!({"involvedObject": about("elsewhere"), "eventTime": "2026-01-02T03:04:05.000006Z"}),
        ),
        ("a", json!({})),
        (
            "d",
            json!({"firstTimestamp": "2026-01-02T03:04:05Z", "source": {"component": "c", "host": "h"}}),
        ),
    ] {
        let mut event = json!({
            "metadata": {"name": name}, "involvedObject": about("{ns}"), "reason": "R", "message": "m", "type": "Normal",
        });
        if let (Some(fields), Some(changes)) = (event.as_object_mut(), change.as_object()) {
            fields.extend(changes.clone());
        }
        server.post(CORE_EVENTS, &event).await;
    }
    server.get(&format!("{GROUP_EVENTS}/a")).await;
    server
        .get(&format!(
            "{CORE_EVENTS}?fieldSelector=involvedObject.name%3Dx,reason%3DR"
        ))
        .await;
    server.expect_transcript("events-of-the-core");
}

async fn config_maps(server: Cluster) {
    for body in [
        json!({"metadata": {"name": "a"}, "data": {"k": "v"}, "binaryData": {"b": "AAE="}}),
        json!({"metadata": {"name": "b"}, "data": {"k": 5}}),
        json!({"metadata": {"name": "b"}, "data": {"not a key": "v"}}),
        json!({"metadata": {"name": "b"}, "data": {"k": "v"}, "binaryData": {"k": "AAE="}}),
        json!({"metadata": {"name": "b"}, "immutable": true, "data": {"k": "v"}}),
        json!({"metadata": {"name": "c"}}),
    ] {
        server.post(CONFIGS, &body).await;
    }
    for (name, patch) in [
        ("a", json!({"data": {"k": null, "l": "w"}})),
        ("b", json!({"data": {"k": "w"}})),
        ("b", json!({"immutable": false})),
        ("b", json!({"metadata": {"labels": {"a": "b"}}})),
    ] {
        server.patch(&format!("{CONFIGS}/{name}"), MERGE, &patch).await;
    }
    server
        .put(
            &format!("{CONFIGS}/a"),
            &json!({"metadata": {"name": "a"}, "data": {"z": "z"}}),
        )
        .await;
    server
        .put(&format!("{CONFIGS}/z"), &json!({"metadata": {"name": "z"}}))
        .await;
    server.delete(&format!("{CONFIGS}/a"), &Value::Null).await;
    server.expect_transcript("config-maps");
}

async fn namespaces(server: Cluster) {
    for name in ["Upper", "a.b", "{other}"] {
        server
            .post(NAMESPACES, &json!({"metadata": {"name": name}}))
            .await;
    }
    let path = format!("{NAMESPACES}/{{other}}");
    server
        .patch(&path, MERGE, &json!({"metadata": {"labels": {"a": "b"}}}))
        .await;
    server
        .patch(&path, MERGE, &json!({"spec": {"finalizers": []}}))
        .await;
    server
        .patch(
            &format!("{path}/status"),
            MERGE,
            &json!({"status": {"phase": "Terminating"}}),
        )
        .await;
    server.get(&path).await;
    let none = "/apis/coordination.k8s.io/v1/namespaces/{ns}-none/leases";
    server.get(none).await;
    server.get(&format!("{none}/x")).await;
    server.post(none, &with_metadata(json!({}))).await;
    server.delete(none, &Value::Null).await;
    server.get(&format!("{NAMESPACES}/{{ns}}-none")).await;
    server.expect_transcript("namespaces");
}

async fn deployments(server: Cluster) {
    const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/{ns}/deployments";
    let good = super::deployments::deployment("d", 0);
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    for body in [
        good.clone(),
        changed("/spec/replicas", json!(-1)),
        changed("/spec/selector", json!({})),
        changed("/spec/selector", Value::Null),
        changed("/spec/selector/matchLabels", json!({"app": "other"})),
        changed("/spec/template/spec/containers", json!([])),
        changed("/spec/template/spec/containers/0/name", json!("Not Good")),
        changed("/spec/template/spec/containers/0/image", json!("")),
        changed("/spec", Value::Null),
    ] {
        server.post(&dry(DEPLOYMENTS), &body).await;
    }
    server.expect_transcript("deployments");
}

async fn definitions(server: Cluster) {
    let good = super::custom::definition();
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    for body in [
        good.clone(),
        changed("/metadata/name", json!("bars.{group}")),
        changed("/spec/scope", json!("World")),
        changed("/spec/names/kind", json!("")),
        changed("/spec/names/plural", json!("Foos")),
        changed("/spec/versions/0/name", json!("one")),
        changed("/spec/versions", json!([])),
        changed(&format!("{schema}/type"), json!("string")),
    ] {
        server.post(&dry(DEFINITIONS), &body).await;
    }
    server.expect_transcript("definitions");
}

async fn custom_objects(server: Cluster) {
    const FOOS: &str = "/apis/{group}/v1/namespaces/{ns}/foos";
    super::custom::with_definition(&server.unrecorded()).await;
    for spec in [
        json!({}),
        json!({"deploymentName": "d"}),
        json!({"deploymentName": ""}),
        json!({"deploymentName": "UPPER"}),
        json!({"deploymentName": 5}),
        json!({"deploymentName": null}),
        json!({"deploymentName": "d", "replicas": 11}),
        json!({"deploymentName": "d", "replicas": -1}),
        json!({"deploymentName": "d", "replicas": "many"}),
        json!({"deploymentName": "d", "replicas": null}),
        json!({"deploymentName": "d", "mode": "slow"}),
        json!({"deploymentName": "d", "tags": ["a", "b", "a"]}),
        json!({"deploymentName": "d", "tags": "a"}),
        json!({"deploymentName": "d", "free": {"any": [1, {"thing": null}]}}),
        json!({"deploymentName": "d", "maybe": null}),
        json!({"deploymentName": "d", "bogus": 1}),
        json!("x"),
        json!(null),
    ] {
        let body =
            json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": spec});
        server.post(&dry(FOOS), &body).await;
    }
    for body in [
        json!({"metadata": {"name": "a"}}),
        json!({"apiVersion": "{group}/v2", "kind": "Foo", "metadata": {"name": "a"}}),
        json!({"apiVersion": "{group}/v1", "kind": "Bar", "metadata": {"name": "a"}}),
        json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": "a", "labels": {"a": 5}}}),
    ] {
        server.post(&dry(FOOS), &body).await;
    }
    server.expect_transcript("custom-objects");
}

async fn service_accounts(server: Cluster) {
    const ACCOUNTS: &str = "/api/v1/namespaces/{ns}/serviceaccounts";
    server
        .post(ACCOUNTS, &json!({"metadata": {"name": "worker"}}))
        .await;
    server
        .post(ACCOUNTS, &json!({"metadata": {"name": "worker"}}))
        .await;
    server.post(ACCOUNTS, &json!({"metadata": {"name": "No"}})).await;
    let path = format!("{ACCOUNTS}/worker");
    server
        .patch(&path, MERGE, &json!({"automountServiceAccountToken": false}))
        .await;
    server.get(&path).await;
    server.delete(&path, &Value::Null).await;
    server.expect_transcript("service-accounts");
}
