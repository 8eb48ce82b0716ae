//! CustomResourceDefinitions and the resources that they define.

use crate::answer::{text, version};
use crate::check::checks;
use crate::cluster::{Cluster, DEFINITIONS, MERGE, STRATEGIC, eventually};
use serde_json::{Value, json};

checks! {"custom";
    a_definition_is_established_and_its_resource_served,
    objects_are_defaulted_pruned_and_counted,
    objects_that_break_their_schema_are_invalid,
    spec_and_status_are_written_apart,
    updates_need_a_version_and_never_create,
    selectable_fields_select,
    a_definition_takes_its_objects_with_it,
    a_changed_definition_changes_what_is_served,
    definitions_that_cannot_be_served_are_invalid,
}

const FOOS: &str = "/apis/{group}/v1/namespaces/{ns}/foos";

pub(crate) fn definition() -> Value {
    let spec = json!({
        "type": "object", "required": ["deploymentName"],
        "properties": {
            "deploymentName": {"type": "string", "minLength": 1, "pattern": "^[a-z-]+$"},
            "replicas": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 10, "default": 1},
            "mode": {"type": "string", "enum": ["fast", "safe"]},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "maybe": {"type": "string", "nullable": true},
        },
    });
    let status = json!({"type": "object", "properties": {"availableReplicas": {"type": "integer"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.{group}"},
        "spec": {
            "group": "{group}", "scope": "Namespaced",
            "names": {"plural": "foos", "kind": "Foo", "shortNames": ["fo"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.availableReplicas",
                }},
                "selectableFields": [{"jsonPath": ".spec.mode"}],
                "additionalPrinterColumns": [
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    })
}

fn foo(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": name}, "spec": spec})
}

/// A server that serves Foos. A real one takes a moment to do so.
pub(crate) async fn with_definition(server: &Cluster) {
    server.post(DEFINITIONS, &definition()).await.expect(201);
    served(server).await;
}

pub(crate) async fn served(server: &Cluster) {
    let server = server.unrecorded();
    eventually("the resource is served", || async {
        server.get(FOOS).await.code == 200
            && server
                .post(
                    &format!("{FOOS}?dryRun=All"),
                    &foo("probe", &json!({"deploymentName": "d"})),
                )
                .await
                .code
                == 201
    })
    .await;
}

async fn a_definition_is_established_and_its_resource_served(server: Cluster) {
    server.get(FOOS).await.expect(404);
    let created = server.post(DEFINITIONS, &definition()).await.expect(201).json();
    assert_eq!(created["status"]["conditions"], Value::Null);
    assert_eq!(created["spec"]["names"]["listKind"], "FooList");
    assert_eq!(created["spec"]["names"]["singular"], "foo");
    let path = format!("{DEFINITIONS}/foos.{{group}}");
    eventually("it is established", || async {
        let now = server.unrecorded().get(&path).await.json();
        let conditions = now["status"]["conditions"].as_array().into_iter().flatten();
        let types: Vec<String> = conditions
            .filter(|condition| condition["status"] == "True")
            .map(|condition| text(&condition["type"]))
            .collect();
        types == ["NamesAccepted", "Established"]
    })
    .await;
    served(&server).await;
    let list = server.get(FOOS).await.expect(200).json();
    assert_eq!(
        (&list["kind"], &list["metadata"]["continue"]),
        (&"FooList".into(), &"".into())
    );
}

async fn objects_are_defaulted_pruned_and_counted(server: Cluster) {
    with_definition(&server).await;
    let spec = json!({"deploymentName": "d", "bogus": 1, "replicas": null, "maybe": null, "free": {"any": {"thing": 1}}});
    let answer = server.post(FOOS, &foo("a", &spec)).await.expect(201);
    assert!(answer.headers["warning"].to_str().unwrap().contains("spec.bogus"));
    let created = answer.json();
    let expected =
        json!({"deploymentName": "d", "replicas": 1, "maybe": null, "free": {"any": {"thing": 1}}});
    assert_eq!(
        (&created["spec"], &created["metadata"]["generation"]),
        (&expected, &1.into())
    );
    let strict = format!("{FOOS}?fieldValidation=Strict");
    server.post(&strict, &foo("b", &spec)).await.expect(400);
    let item = server.get(FOOS).await.json()["items"][0].clone();
    assert_eq!(item["kind"], "Foo", "items of custom lists say what they are");
}

async fn objects_that_break_their_schema_are_invalid(server: Cluster) {
    with_definition(&server).await;
    for (spec, field, reason) in [
        (json!({}), "spec.deploymentName", "FieldValueRequired"),
        (
            json!({"deploymentName": 5}),
            "spec.deploymentName",
            "FieldValueTypeInvalid",
        ),
        (
            json!({"deploymentName": ""}),
            "spec.deploymentName",
            "FieldValueInvalid",
        ),
        (
            json!({"deploymentName": "UPPER"}),
            "spec.deploymentName",
            "FieldValueInvalid",
        ),
        (
            json!({"deploymentName": "d", "replicas": 11}),
            "spec.replicas",
            "FieldValueInvalid",
        ),
        (
            json!({"deploymentName": "d", "replicas": "many"}),
            "spec.replicas",
            "FieldValueTypeInvalid",
        ),
        (
            json!({"deploymentName": "d", "mode": "slow"}),
            "spec.mode",
            "FieldValueNotSupported",
        ),
        (
            json!({"deploymentName": "d", "tags": ["a", "b", "a"]}),
            "spec.tags[2]",
            "FieldValueDuplicate",
        ),
    ] {
        let answer = server.post(FOOS, &foo("a", &spec)).await.expect(422);
        let cause = answer.json()["details"]["causes"][0].clone();
        assert_eq!(
            (&cause["field"], &cause["reason"]),
            (&field.into(), &reason.into()),
            "{spec}"
        );
        assert_eq!(answer.json()["details"]["kind"], "Foo");
    }
}

async fn spec_and_status_are_written_apart(server: Cluster) {
    with_definition(&server).await;
    let mut body = foo("a", &json!({"deploymentName": "d"}));
    body["status"] = json!({"availableReplicas": 9});
    let created = server.post(FOOS, &body).await.expect(201).json();
    assert_eq!(created.get("status"), None);
    let path = format!("{FOOS}/a");
    let both = json!({"spec": {"replicas": 2}, "status": {"availableReplicas": 2}, "metadata": {"labels": {"a": "b"}}});
    let status = server
        .patch(&format!("{path}/status"), MERGE, &both)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &status["spec"]["replicas"],
            &status["status"]["availableReplicas"]
        ),
        (&1.into(), &2.into())
    );
    assert_eq!(
        (
            status["metadata"].get("labels"),
            &status["metadata"]["generation"]
        ),
        (None, &1.into())
    );
    let main = server.patch(&path, MERGE, &both).await.expect(200).json();
    assert_eq!(
        (&main["spec"]["replicas"], &main["metadata"]["generation"]),
        (&2.into(), &2.into())
    );
    let scaled = server
        .patch(&format!("{path}/scale"), MERGE, &json!({"spec": {"replicas": 3}}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&scaled["spec"]["replicas"], &scaled["status"]["replicas"]),
        (&3.into(), &2.into())
    );
}

async fn updates_need_a_version_and_never_create(server: Cluster) {
    with_definition(&server).await;
    let body = foo("a", &json!({"deploymentName": "d"}));
    let path = format!("{FOOS}/a");
    server.put(&path, &body).await.expect(404);
    let mut created = server.post(FOOS, &body).await.expect(201).json();
    server.put(&path, &body).await.expect(422);
    created["spec"]["replicas"] = 3.into();
    server.put(&path, &created).await.expect(200);
    assert_eq!(
        server.patch(&path, STRATEGIC, &json!({})).await.refusal(),
        (415, "UnsupportedMediaType".into())
    );
    let untyped = json!({"metadata": {"name": "b"}, "spec": {"deploymentName": "d"}});
    server.post(FOOS, &untyped).await.expect(400);
    let mut other = foo("b", &json!({"deploymentName": "d"}));
    other["kind"] = "Bar".into();
    server.post(FOOS, &other).await.expect(422);
}

async fn selectable_fields_select(server: Cluster) {
    with_definition(&server).await;
    for (name, mode) in [("a", "fast"), ("b", "safe")] {
        server
            .post(FOOS, &foo(name, &json!({"deploymentName": "d", "mode": mode})))
            .await
            .expect(201);
    }
    let list = server
        .get(&format!("{FOOS}?fieldSelector=spec.mode%3Dsafe"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            list["items"].as_array().unwrap().len(),
            &list["items"][0]["metadata"]["name"]
        ),
        (1, &"b".into())
    );
    server
        .get(&format!("{FOOS}?fieldSelector=spec.replicas%3D1"))
        .await
        .expect(400);
}

async fn a_definition_takes_its_objects_with_it(server: Cluster) {
    with_definition(&server).await;
    let mut kept = foo("kept", &json!({"deploymentName": "d"}));
    kept["metadata"]["finalizers"] = json!(["example.com/keep"]);
    server.post(FOOS, &kept).await.expect(201);
    let plain = foo("plain", &json!({"deploymentName": "d"}));
    let start = server.post(FOOS, &plain).await.expect(201).version();
    let query = format!("{FOOS}?watch=true&resourceVersion={start}");
    let mut watch = server.watch(&query).await;
    let path = format!("{DEFINITIONS}/foos.{{group}}");
    let marked = server.delete(&path, &Value::Null).await.expect(200).json();
    let finalizers = json!(["customresourcecleanup.apiextensions.k8s.io"]);
    assert_eq!(marked["metadata"]["finalizers"], finalizers);
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = watch.event().await;
        told.push((text(&event["type"]), text(&event["object"]["metadata"]["name"])));
    }
    told.sort();
    let expected = [("DELETED", "plain"), ("MODIFIED", "kept")];
    assert_eq!(
        told,
        expected.map(|(kind, name)| (kind.to_owned(), name.to_owned()))
    );
    server.get(&path).await.expect(200);
    server
        .patch(
            &format!("{FOOS}/kept"),
            MERGE,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await
        .expect(200);
    let unrecorded = server.unrecorded();
    for path in [path.as_str(), FOOS] {
        eventually(&format!("{path} is gone"), || async {
            unrecorded.get(path).await.code == 404
        })
        .await;
    }
    with_definition(&server).await;
    assert_eq!(server.get(FOOS).await.expect(200).json()["items"], json!([]));
}

async fn a_changed_definition_changes_what_is_served(server: Cluster) {
    with_definition(&server).await;
    let path = format!("{DEFINITIONS}/foos.{{group}}");
    let mut body = server.get(&path).await.json();
    let mut second = body["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    body["spec"]["versions"].as_array_mut().unwrap().push(second);
    server.put(&path, &body).await.expect(200);
    server
        .post(FOOS, &foo("a", &json!({"deploymentName": "d"})))
        .await
        .expect(201);
    let seen = server
        .get("/apis/{group}/v2/namespaces/{ns}/foos/a")
        .await
        .expect(200)
        .json();
    assert_eq!(seen["apiVersion"], "{group}/v2");
    let patch = json!({"spec": {"replicas": 4}});
    let patched = server
        .patch("/apis/{group}/v2/namespaces/{ns}/foos/a", MERGE, &patch)
        .await
        .expect(200);
    assert_eq!(
        version(&server.get(&format!("{FOOS}/a")).await.json()),
        patched.version()
    );
}

async fn definitions_that_cannot_be_served_are_invalid(server: Cluster) {
    let with = |change: fn(&mut Value)| {
        let mut body = definition();
        change(&mut body);
        body
    };
    let schema = "spec.versions[0].schema.openAPIV3Schema";
    for (body, field) in [
        (
            with(|body| body["metadata"]["name"] = "bars.{group}".into()),
            "metadata.name".to_owned(),
        ),
        (
            with(|body| body["spec"]["scope"] = "World".into()),
            "spec.scope".to_owned(),
        ),
        (
            with(|body| body["spec"]["versions"][0]["storage"] = false.into()),
            "spec.versions,status.storedVersions".to_owned(),
        ),
        (
            with(|body| {
                body["spec"]["versions"][0]["schema"] = Value::Null;
                body["spec"]["versions"][0]["selectableFields"] = Value::Null;
            }),
            schema.to_owned(),
        ),
        (
            with(|body| {
                body["spec"]["group"] = "foo.k8s.io".into();
                body["metadata"]["name"] = "foos.foo.k8s.io".into();
            }),
            "metadata.annotations[api-approved.kubernetes.io]".to_owned(),
        ),
    ] {
        let answer = server.post(DEFINITIONS, &body).await;
        assert_eq!((answer.code, answer.cause_fields().join(",")), (422, field));
    }
}
