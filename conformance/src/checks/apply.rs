//! Server-side apply, which decides by who owns which field.

use super::ownership::{change, expect_owned, owned};
use crate::answer::Answer;
use crate::check::checks;
use crate::cluster::{APPLY, CONFIGS, Cluster, DEFINITIONS, LEASES, MERGE, eventually, lease};
use http::Method;
use serde_json::{Value, json};

checks! {"apply";
    applying_creates_and_applying_again_changes_nothing,
    what_others_have_set_otherwise_is_a_conflict,
    force_takes_over,
    what_is_not_applied_any_more_goes_unless_others_own_it,
    an_update_takes_an_applied_field_and_the_next_apply_conflicts,
    items_of_lists_are_merged_by_their_keys,
    custom_resources_are_merged_by_their_schema,
    a_status_is_applied_apart,
    an_apply_names_its_manager_its_kind_and_its_object,
    what_the_schema_does_not_allow_cannot_be_applied,
    an_applied_object_is_validated,
    an_apply_may_be_conditional,
    an_apply_in_a_dry_run_stores_nothing,
    applied_fields_that_come_twice_are_warned_of_or_refused,
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/{ns}/deployments";
const FOOS: &str = "/apis/{group}/v1/namespaces/{ns}/foos";

pub(super) async fn apply(server: &Cluster, path: &str, options: &str, config: &Value) -> Answer {
    server.patch(&format!("{path}?{options}"), APPLY, config).await
}

async fn applying_creates_and_applying_again_changes_nothing(server: Cluster) {
    let path = format!("{LEASES}/x");
    let mut config = lease("x", "alpha");
    config["metadata"]["labels"] = json!({"a": "b"});
    let created = apply(&server, &path, "fieldManager=alpha", &config)
        .await
        .expect(201)
        .json();
    let fields = json!({
        "f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:holderIdentity": {}, "f:leaseDurationSeconds": {}},
    });
    expect_owned(&created, &[("alpha Apply", fields)]);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let again = apply(&server, &path, "fieldManager=alpha&force=true", &config).await;
    assert_eq!(again.expect(200).json(), created);
    let yaml = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: yaml}\nspec:\n  holderIdentity: alpha\n";
    let created = server
        .request(
            Method::PATCH,
            &format!("{LEASES}/yaml?fieldManager=alpha"),
            &[("content-type", APPLY)],
            yaml.into(),
        )
        .await;
    assert_eq!(created.expect(201).json()["spec"]["holderIdentity"], "alpha");
}

async fn what_others_have_set_otherwise_is_a_conflict(server: Cluster) {
    let path = format!("{LEASES}/x");
    apply(&server, &path, "fieldManager=alpha", &lease("x", "alpha"))
        .await
        .expect(201);
    let same = apply(&server, &path, "fieldManager=bravo", &lease("x", "alpha")).await;
    assert_eq!(
        owned(&same.expect(200).json()).len(),
        2,
        "the same value is shared"
    );
    let mut other = lease("x", "bravo");
    let one = apply(&server, &path, "fieldManager=charlie", &other).await;
    let one = one.expect_refusal(409, "Conflict");
    assert_eq!(one.cause_fields(), [".spec.holderIdentity"]);
    assert_eq!(one.cause_reasons(), ["FieldManagerConflict"]);
    let details = &one.json()["details"];
    assert_eq!(
        details["causes"].as_array().unwrap().len(),
        2,
        "one for each owner"
    );
    assert_eq!((details.get("name"), details.get("kind")), (None, None));
    change(
        &server,
        &path,
        "delta",
        &json!({"spec": {"leaseDurationSeconds": 20}}),
    )
    .await;
    other["spec"]["holderIdentity"] = "alpha".into();
    let message = apply(&server, &path, "fieldManager=charlie", &other).await.json();
    let expected = "Apply failed with 1 conflict: conflict with \"delta\" using coordination.k8s.io/v1: \
                    .spec.leaseDurationSeconds";
    assert_eq!(message["message"], expected);
    let stored = server.get(&path).await.json();
    assert_eq!(stored["spec"]["holderIdentity"], "alpha");
}

async fn force_takes_over(server: Cluster) {
    let path = format!("{LEASES}/x");
    apply(&server, &path, "fieldManager=alpha", &lease("x", "alpha"))
        .await
        .expect(201);
    let mut config = lease("x", "bravo");
    config["spec"] = json!({"holderIdentity": "bravo"});
    apply(&server, &path, "fieldManager=bravo&force=false", &config)
        .await
        .expect(409);
    let forced = apply(&server, &path, "fieldManager=bravo&force=true", &config).await;
    let forced = forced.expect(200).json();
    assert_eq!(forced["spec"]["holderIdentity"], "bravo");
    expect_owned(
        &forced,
        &[
            ("alpha Apply", json!({"f:spec": {"f:leaseDurationSeconds": {}}})),
            ("bravo Apply", json!({"f:spec": {"f:holderIdentity": {}}})),
        ],
    );
    server
        .patch(&format!("{path}?force=true"), MERGE, &json!({}))
        .await
        .expect_invalid(&["force"]);
}

async fn what_is_not_applied_any_more_goes_unless_others_own_it(server: Cluster) {
    let path = format!("{CONFIGS}/x");
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data});
    apply(
        &server,
        &path,
        "fieldManager=alpha",
        &config(json!({"a": "1", "b": "1", "c": "1"})),
    )
    .await
    .expect(201);
    apply(&server, &path, "fieldManager=bravo", &config(json!({"b": "1"})))
        .await
        .expect(200);
    let less = apply(&server, &path, "fieldManager=alpha", &config(json!({"a": "1"}))).await;
    let less = less.expect(200).json();
    assert_eq!(less["data"], json!({"a": "1", "b": "1"}));
    expect_owned(
        &less,
        &[
            ("alpha Apply", json!({"f:data": {"f:a": {}}})),
            ("bravo Apply", json!({"f:data": {"f:b": {}}})),
        ],
    );
    let mut nothing = config(Value::Null);
    nothing.as_object_mut().unwrap().remove("data");
    for manager in ["alpha", "bravo"] {
        apply(&server, &path, &format!("fieldManager={manager}"), &nothing)
            .await
            .expect(200);
    }
    let empty = server.get(&path).await.expect(200).json();
    assert_eq!((empty.get("data"), owned(&empty).len()), (None, 0));
}

async fn an_update_takes_an_applied_field_and_the_next_apply_conflicts(server: Cluster) {
    let path = format!("{LEASES}/x");
    let mut body = apply(&server, &path, "fieldManager=alpha", &lease("x", "alpha"))
        .await
        .expect(201)
        .json();
    body["spec"]["holderIdentity"] = "bravo".into();
    let put = server.put(&format!("{path}?fieldManager=alpha"), &body).await;
    expect_owned(
        &put.expect(200).json(),
        &[
            ("alpha Apply", json!({"f:spec": {"f:leaseDurationSeconds": {}}})),
            ("alpha Update", json!({"f:spec": {"f:holderIdentity": {}}})),
        ],
    );
    let conflict = apply(&server, &path, "fieldManager=alpha", &lease("x", "alpha")).await;
    assert_eq!(conflict.expect(409).cause_fields(), [".spec.holderIdentity"]);
}

async fn items_of_lists_are_merged_by_their_keys(server: Cluster) {
    let path = format!("{DEPLOYMENTS}/d");
    let deployment = |containers: Value| {
        let mut deployment = super::deployments::deployment("d", 1);
        deployment["spec"]["template"]["spec"]["containers"] = containers;
        deployment
    };
    let main = json!({"name": "main", "image": "main:1", "ports": [{"containerPort": 80}], "args": ["x"]});
    apply(&server, &path, "fieldManager=alpha", &deployment(json!([main])))
        .await
        .expect(201);
    let side = json!({"name": "side", "image": "side:1"});
    let ports = json!({"name": "main", "ports": [{"containerPort": 90, "protocol": "UDP"}]});
    let applied = apply(
        &server,
        &path,
        "fieldManager=bravo",
        &deployment(json!([side, ports])),
    )
    .await;
    let applied = applied.expect(200).json();
    let containers = |object: &Value| object["spec"]["template"]["spec"]["containers"].clone();
    let (first, second) = (&containers(&applied)[0], &containers(&applied)[1]);
    assert_eq!(
        (&first["name"], &second["image"]),
        (&json!("side"), &json!("main:1"))
    );
    let ports = json!([{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 90, "protocol": "UDP"}]);
    assert_eq!(second["ports"], ports);

    let other = json!({"name": "main", "image": "main:2"});
    let conflict = apply(&server, &path, "fieldManager=bravo", &deployment(json!([other]))).await;
    let field = ".spec.template.spec.containers[name=\"main\"].image";
    assert_eq!(conflict.expect(409).cause_fields(), [field]);

    let less = deployment(json!([{"name": "main", "image": "main:1"}]));
    let applied = apply(&server, &path, "fieldManager=bravo", &less).await;
    let applied = applied.expect(200).json();
    assert_eq!(containers(&applied).as_array().unwrap().len(), 1);
    assert_eq!(containers(&applied)[0]["ports"], json!([ports[0]]));
    assert_eq!(containers(&applied)[0]["args"], json!(["x"]));
}

/// Foos with a list and a map of every kind.
async fn with_foos(server: &Cluster) {
    let rules = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "weight": {"type": "integer"},
        }},
    });
    let spec = json!({"type": "object", "properties": {
        "rules": rules,
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "plain": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "parts": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "size": {"type": "string", "default": "big"},
    }});
    let status = json!({"type": "object", "properties": {"phase": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    let definition = json!({
        "metadata": {"name": "foos.{group}"},
        "spec": {
            "group": "{group}", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    });
    server.post(DEFINITIONS, &definition).await.expect(201);
    let unrecorded = server.unrecorded();
    let probe = json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": "probe"}, "spec": {"tags": ["a"]}});
    eventually("the resource is served and its schema known", || async {
        let path = format!("{FOOS}/probe");
        let options = "fieldManager=probe&dryRun=All";
        apply(&unrecorded, &path, options, &probe).await.code == 201
    })
    .await;
}

fn foo(spec: &Value) -> Value {
    json!({"apiVersion": "{group}/v1", "kind": "Foo", "metadata": {"name": "f"}, "spec": spec})
}

async fn custom_resources_are_merged_by_their_schema(server: Cluster) {
    with_foos(&server).await;
    let path = format!("{FOOS}/f");
    let alpha = json!({
        "rules": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}], "tags": ["x", "y"], "plain": ["p"],
        "whole": {"a": "1"}, "parts": {"a": "1"}, "free": {"a": {"b": 1}, "l": [1]},
    });
    let created = apply(&server, &path, "fieldManager=alpha", &foo(&alpha)).await;
    let created = created.expect(201).json();
    assert_eq!(created["spec"]["size"], "big", "defaults belong to nobody");
    let rule = json!({".": {}, "f:name": {}, "f:weight": {}});
    let fields = json!({
        "f:free": {"f:a": {".": {}, "f:b": {}}, "f:l": {}}, "f:parts": {"f:a": {}}, "f:plain": {}, "f:whole": {},
        "f:rules": {"k:{\"name\":\"a\"}": rule, "k:{\"name\":\"b\"}": rule},
        "f:tags": {"v:\"x\"": {}, "v:\"y\"": {}},
    });
    expect_owned(&created, &[("alpha Apply", json!({"f:spec": fields}))]);

    let bravo = json!({
        "rules": [{"name": "c"}, {"name": "a"}], "tags": ["z", "x"], "parts": {"b": "2"}, "free": {"a": {"c": 2}},
    });
    let applied = apply(&server, &path, "fieldManager=bravo", &foo(&bravo)).await;
    let spec = &applied.expect(200).json()["spec"];
    assert_eq!(
        spec["rules"],
        json!([{"name": "c"}, {"name": "a", "weight": 1}, {"name": "b", "weight": 2}])
    );
    assert_eq!(spec["tags"], json!(["z", "x", "y"]));
    assert_eq!(spec["parts"], json!({"a": "1", "b": "2"}));
    assert_eq!(spec["free"], json!({"a": {"b": 1, "c": 2}, "l": [1]}));

    for (spec, field) in [
        (json!({"whole": {"b": "1"}}), ".spec.whole"),
        (json!({"plain": ["q"]}), ".spec.plain"),
        (
            json!({"rules": [{"name": "a", "weight": 3}]}),
            ".spec.rules[name=\"a\"].weight",
        ),
        (json!({"free": {"l": [2]}}), ".spec.free.l"),
    ] {
        let conflict = apply(&server, &path, "fieldManager=charlie", &foo(&spec)).await;
        assert_eq!(conflict.expect(409).cause_fields(), [field]);
    }
    let less = json!({"rules": [{"name": "b", "weight": 2}], "tags": ["y"]});
    let applied = apply(&server, &path, "fieldManager=alpha", &foo(&less)).await;
    let expected = json!({
        "rules": [{"name": "c"}, {"name": "a"}, {"name": "b", "weight": 2}], "tags": ["z", "x", "y"],
        "parts": {"b": "2"}, "free": {"a": {"c": 2}}, "size": "big",
    });
    assert_eq!(applied.expect(200).json()["spec"], expected);
}

async fn a_status_is_applied_apart(server: Cluster) {
    with_foos(&server).await;
    let path = format!("{FOOS}/f");
    let mut config = foo(&json!({"tags": ["a"]}));
    config["status"] = json!({"phase": "new"});
    apply(&server, &format!("{path}/status"), "fieldManager=alpha", &config)
        .await
        .expect_refusal(404, "NotFound");
    let created = apply(&server, &path, "fieldManager=alpha", &config).await;
    let created = created.expect(201).json();
    assert_eq!(created.get("status"), None);
    let tags = json!({"f:spec": {"f:tags": {"v:\"a\"": {}}}});
    expect_owned(&created, &[("alpha Apply", tags.clone())]);
    config["spec"]["tags"] = json!(["b"]);
    config["metadata"]["labels"] = json!({"a": "b"});
    let applied = apply(&server, &format!("{path}/status"), "fieldManager=alpha", &config).await;
    let applied = applied.expect(200).json();
    assert_eq!(applied["status"], json!({"phase": "new"}));
    assert_eq!(applied["spec"]["tags"], json!(["a"]));
    assert_eq!(applied["metadata"].get("labels"), None);
    let phase = json!({"f:status": {"f:phase": {}}});
    expect_owned(&applied, &[("alpha Apply", tags), ("alpha Apply status", phase)]);
}

async fn an_apply_names_its_manager_its_kind_and_its_object(server: Cluster) {
    let path = format!("{LEASES}/x");
    let nobody = apply(&server, &path, "", &lease("x", "alpha")).await;
    assert_eq!(
        nobody.expect_invalid(&["fieldManager"]).cause_reasons(),
        ["FieldValueRequired"]
    );
    let with = |change: fn(&mut Value)| {
        let mut config = lease("x", "alpha");
        change(&mut config);
        config
    };
    for config in [
        with(|config| config["kind"] = Value::Null),
        with(|config| config["kind"] = "Pod".into()),
        with(|config| config["apiVersion"] = "coordination.k8s.io/v1beta1".into()),
        with(|config| config["metadata"]["name"] = "y".into()),
        with(|config| config["metadata"]["name"] = Value::Null),
        with(|config| config["metadata"]["namespace"] = "kube-system".into()),
        with(|config| config["metadata"]["managedFields"] = json!([])),
        json!([]),
        json!("text"),
        Value::Null,
    ] {
        apply(&server, &path, "fieldManager=alpha", &config)
            .await
            .expect_refusal(400, "BadRequest");
    }
    let unreadable = server
        .request(
            Method::PATCH,
            &format!("{path}?fieldManager=alpha"),
            &[("content-type", APPLY)],
            "a: b: c".into(),
        )
        .await;
    unreadable.expect_refusal(400, "BadRequest");
    let nowhere = "/apis/coordination.k8s.io/v1/namespaces/nowhere/leases/x";
    apply(&server, nowhere, "fieldManager=alpha", &lease("x", "alpha"))
        .await
        .expect_refusal(404, "NotFound");
    server.get(&path).await.expect(404);
}

async fn what_the_schema_does_not_allow_cannot_be_applied(server: Cluster) {
    let path = format!("{LEASES}/x");
    let with = |change: fn(&mut Value)| {
        let mut config = lease("x", "alpha");
        change(&mut config);
        config
    };
    for config in [
        with(|config| config["spec"]["bogus"] = 1.into()),
        with(|config| config["bogus"] = 1.into()),
        with(|config| config["spec"]["leaseDurationSeconds"] = "15".into()),
        with(|config| config["spec"]["leaseDurationSeconds"] = 1.5.into()),
        with(|config| config["spec"]["holderIdentity"] = 1.into()),
        with(|config| config["spec"] = json!([])),
        with(|config| config["spec"]["renewTime"] = "2026-01-02T03:04:05Z".into()),
        with(|config| config["metadata"]["labels"] = json!({"a": 1})),
        with(|config| config["metadata"]["finalizers"] = json!(["a/b", "a/b"])),
    ] {
        let refused = apply(&server, &path, "fieldManager=alpha", &config).await;
        assert_eq!(refused.refusal(), (500, String::new()), "{config}");
    }
}

async fn an_applied_object_is_validated(server: Cluster) {
    let path = format!("{LEASES}/x");
    let mut config = lease("x", "alpha");
    config["spec"]["leaseDurationSeconds"] = (-1).into();
    let invalid = apply(&server, &path, "fieldManager=alpha", &config).await;
    assert_eq!(
        invalid.expect_invalid(&["spec.leaseDurationSeconds"]).json()["details"]["kind"],
        "Lease"
    );
    let mut config = lease("x", "alpha");
    config["metadata"]["labels"] = json!({"a b": "c"});
    apply(&server, &path, "fieldManager=alpha", &config)
        .await
        .expect_invalid(&["metadata.labels"]);
    with_foos(&server).await;
    let fraction = foo(&json!({"rules": [{"name": "a", "weight": 1.5}]}));
    apply(&server, &format!("{FOOS}/f"), "fieldManager=alpha", &fraction)
        .await
        .expect_invalid(&["spec.rules[0].weight"]);
    server.get(&path).await.expect(404);
}

async fn an_apply_may_be_conditional(server: Cluster) {
    let path = format!("{LEASES}/x");
    let mut config = lease("x", "alpha");
    config["metadata"]["resourceVersion"] = "1".into();
    let created = apply(&server, &path, "fieldManager=alpha", &config).await;
    let created = created.expect(201).json();
    config["spec"]["leaseDurationSeconds"] = 20.into();
    apply(&server, &path, "fieldManager=alpha", &config)
        .await
        .expect_refusal(409, "Conflict");
    config["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"].clone();
    apply(&server, &path, "fieldManager=alpha", &config)
        .await
        .expect(200);
    let mut other = lease("x", "alpha");
    other["metadata"]["uid"] = "another".into();
    apply(&server, &path, "fieldManager=alpha", &other)
        .await
        .expect_invalid(&["metadata.uid"]);
    let mut gone = lease("y", "alpha");
    gone["metadata"]["uid"] = created["metadata"]["uid"].clone();
    apply(&server, &format!("{LEASES}/y"), "fieldManager=alpha", &gone)
        .await
        .expect_refusal(409, "Conflict");
}

async fn an_apply_in_a_dry_run_stores_nothing(server: Cluster) {
    let path = format!("{LEASES}/x");
    let dry = apply(
        &server,
        &path,
        "fieldManager=alpha&dryRun=All",
        &lease("x", "alpha"),
    )
    .await;
    let dry = dry.expect(201).json();
    assert_eq!(dry["metadata"].get("resourceVersion"), None);
    assert_eq!(owned(&dry).len(), 1);
    server.get(&path).await.expect(404);
    let stored = server.lease("x", "alpha").await;
    let mut config = lease("x", "alpha");
    config["metadata"]["labels"] = json!({"a": "b"});
    let dry = apply(&server, &path, "fieldManager=alpha&dryRun=All", &config).await;
    assert_eq!(dry.expect(200).json()["metadata"]["labels"]["a"], "b");
    assert_eq!(server.get(&path).await.json(), stored);
}

async fn applied_fields_that_come_twice_are_warned_of_or_refused(server: Cluster) {
    let text = r#"{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "x", "name": "x"}}"#;
    let send = async |validation: &str| {
        let path = format!("{LEASES}/x?fieldManager=alpha&fieldValidation={validation}");
        let headers = [("content-type", APPLY)];
        server.request(Method::PATCH, &path, &headers, text.into()).await
    };
    send("Strict").await.expect_refusal(400, "BadRequest");
    send("Sometimes").await.expect_invalid(&["fieldValidation"]);
    let warned = send("Warn").await.expect(201);
    assert_eq!(
        warned.header("warning"),
        r#"299 - "line 1: key \"name\" already set in map""#
    );
    assert_eq!(send("Ignore").await.expect(200).header("warning"), "");
}
