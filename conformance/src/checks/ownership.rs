//! Managed fields: who owns which field of an object, as each write leaves it.

use super::apply::apply;
use crate::check::checks;
use crate::cluster::{CONFIGS, Cluster, DEFINITIONS, LEASES, MERGE, NAMESPACES, lease};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

checks! {"managed fields";
    a_write_owns_the_fields_that_it_sets,
    a_manager_is_called_what_its_client_calls_itself,
    an_update_takes_the_fields_that_it_changes,
    a_write_that_changes_nothing_owns_nothing_new,
    managers_may_be_forgotten_and_come_back_with_the_next_apply,
    managers_may_be_written_by_clients_and_are_not_when_unreadable,
    too_many_updaters_are_summed_up,
    lists_and_maps_are_owned_as_their_kind_says,
    the_server_owns_what_it_writes_itself,
    a_status_is_owned_apart,
    a_scale_moves_the_replicas,
    kubectl_takes_over_what_it_applied_on_the_client,
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/{ns}/deployments";

/// A PATCH by somebody.
pub(super) async fn change(server: &Cluster, path: &str, manager: &str, patch: &Value) -> Value {
    let path = format!("{path}?fieldManager={manager}");
    server.patch(&path, MERGE, patch).await.expect(200).json()
}

/// What each manager owns: `alpha Update`, `alpha Apply status`.
#[track_caller]
pub(super) fn owned(object: &Value) -> BTreeMap<String, Value> {
    let entries = object["metadata"]["managedFields"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let owner = |entry: &Value| {
        assert_eq!(entry["fieldsType"], "FieldsV1");
        assert_eq!(entry["apiVersion"], object["apiVersion"]);
        let words = [
            text(&entry["manager"]),
            text(&entry["operation"]),
            text(&entry["subresource"]),
        ];
        (words.join(" ").trim_end().to_owned(), entry["fieldsV1"].clone())
    };
    entries.into_iter().flatten().map(owner).collect()
}

#[track_caller]
pub(super) fn expect_owned(object: &Value, expected: &[(&str, Value)]) {
    let expected: BTreeMap<String, Value> = expected
        .iter()
        .map(|(owner, fields)| ((*owner).to_owned(), fields.clone()))
        .collect();
    assert_eq!(owned(object), expected);
}

async fn a_write_owns_the_fields_that_it_sets(server: Cluster) {
    let mut body = lease("x", "alpha");
    body["metadata"]["labels"] = json!({"a": "b"});
    body["metadata"]["finalizers"] = json!(["example.com/keep"]);
    let created = server
        .post(&format!("{LEASES}?fieldManager=alpha"), &body)
        .await
        .expect(201)
        .json();
    let fields = json!({
        "f:metadata": {
            "f:labels": {".": {}, "f:a": {}},
            "f:finalizers": {".": {}, "v:\"example.com/keep\"": {}},
        },
        "f:spec": {"f:holderIdentity": {}, "f:leaseDurationSeconds": {}},
    });
    expect_owned(&created, &[("alpha Update", fields)]);
    let time = created["metadata"]["managedFields"][0]["time"].as_str();
    assert_eq!(time, created["metadata"]["creationTimestamp"].as_str());
    let put = server
        .put(
            &format!("{LEASES}/y?fieldManager=alpha"),
            &json!({"metadata": {"name": "y"}}),
        )
        .await;
    expect_owned(&put.expect(201).json(), &[]);
}

async fn a_manager_is_called_what_its_client_calls_itself(server: Cluster) {
    for (index, (agent, query, manager)) in [
        ("kubectl/v1.37.2 (linux/amd64)", "", "kubectl"),
        ("plain", "", "plain"),
        ("two words/1", "", "two words"),
        ("kubectl/v1", "?fieldManager=given", "given"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = lease(&format!("x{index}"), "alpha").to_string();
        let headers = [("content-type", "application/json"), ("user-agent", agent)];
        let created = server
            .request(Method::POST, &format!("{LEASES}{query}"), &headers, body)
            .await
            .expect(201)
            .json();
        assert_eq!(created["metadata"]["managedFields"][0]["manager"], manager);
    }
    let long = "a".repeat(129);
    for manager in [long.as_str(), "a%00b"] {
        let path = format!("{LEASES}?fieldManager={manager}");
        server
            .post(&path, &lease("y", "alpha"))
            .await
            .expect_invalid(&["fieldManager"]);
    }
}

async fn an_update_takes_the_fields_that_it_changes(server: Cluster) {
    let path = format!("{LEASES}/x");
    server
        .post(&format!("{LEASES}?fieldManager=alpha"), &lease("x", "alpha"))
        .await
        .expect(201);
    let bravo = json!({"spec": {"holderIdentity": "bravo"}, "metadata": {"annotations": {"a": "b"}}});
    let holder = json!({"f:spec": {"f:holderIdentity": {}}});
    let duration = json!({"f:spec": {"f:leaseDurationSeconds": {}}});
    let changed = change(&server, &path, "bravo", &bravo).await;
    let mut with_note = holder.clone();
    with_note["f:metadata"] = json!({"f:annotations": {".": {}, "f:a": {}}});
    expect_owned(
        &changed,
        &[("alpha Update", duration.clone()), ("bravo Update", with_note)],
    );

    let changed = change(
        &server,
        &path,
        "alpha",
        &json!({"spec": {"renewTime": "2026-01-02T03:04:05.000000Z"}}),
    )
    .await;
    let more = json!({"f:spec": {"f:leaseDurationSeconds": {}, "f:renewTime": {}}});
    assert_eq!(owned(&changed)["alpha Update"], more, "one entry for all updates");

    let mut body = changed;
    body["spec"] = json!({"holderIdentity": "charlie"});
    body["metadata"]["annotations"] = Value::Null;
    let put = server
        .put(&format!("{path}?fieldManager=charlie"), &body)
        .await
        .expect(200)
        .json();
    expect_owned(&put, &[("charlie Update", holder)]);
}

async fn a_write_that_changes_nothing_owns_nothing_new(server: Cluster) {
    let created = server
        .post(&format!("{LEASES}?fieldManager=alpha"), &lease("x", "alpha"))
        .await
        .expect(201)
        .json();
    let path = format!("{LEASES}/x");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let same = json!({"spec": {"holderIdentity": "alpha"}});
    assert_eq!(change(&server, &path, "bravo", &same).await, created);
    let put = server
        .put(&format!("{path}?fieldManager=bravo"), &created)
        .await
        .expect(200)
        .json();
    assert_eq!(put, created);
}

async fn managers_may_be_forgotten_and_come_back_with_the_next_apply(server: Cluster) {
    let path = format!("{LEASES}/x");
    server.lease("x", "alpha").await;
    for nothing in [json!([{}]), json!([])] {
        let forgotten = json!({"metadata": {"managedFields": nothing}});
        expect_owned(&change(&server, &path, "alpha", &forgotten).await, &[]);
        let changed = json!({"spec": {"leaseTransitions": nothing.as_array().unwrap().len()}});
        expect_owned(&change(&server, &path, "alpha", &changed).await, &[]);
    }
    let mut config = lease("x", "alpha");
    config["spec"] = json!({"leaseDurationSeconds": 15});
    let applied = apply(&server, &path, "fieldManager=alpha", &config)
        .await
        .expect(200)
        .json();
    let before =
        json!({"f:spec": {"f:holderIdentity": {}, "f:leaseDurationSeconds": {}, "f:leaseTransitions": {}}});
    let duration = json!({"f:spec": {"f:leaseDurationSeconds": {}}});
    expect_owned(
        &applied,
        &[("alpha Apply", duration), ("before-first-apply Update", before)],
    );
}

async fn managers_may_be_written_by_clients_and_are_not_when_unreadable(server: Cluster) {
    let path = format!("{LEASES}/x");
    server
        .post(&format!("{LEASES}?fieldManager=alpha"), &lease("x", "alpha"))
        .await
        .expect(201);
    let entry = json!({
        "manager": "bravo", "operation": "Apply", "apiVersion": "coordination.k8s.io/v1", "fieldsType": "FieldsV1",
        "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:spec": {"f:holderIdentity": {}}},
    });
    let written = change(
        &server,
        &path,
        "alpha",
        &json!({"metadata": {"managedFields": [entry]}}),
    )
    .await;
    assert_eq!(written["metadata"]["managedFields"], json!([entry]));
    let unreadable = json!({"metadata": {"managedFields": [{"manager": "charlie", "operation": "Delete"}]}});
    let kept = change(&server, &path, "alpha", &unreadable).await;
    assert_eq!(kept["metadata"]["managedFields"], json!([entry]));
}

async fn too_many_updaters_are_summed_up(server: Cluster) {
    let path = format!("{CONFIGS}/x");
    server
        .post(CONFIGS, &json!({"metadata": {"name": "x"}, "data": {"k": "v"}}))
        .await
        .expect(201);
    for number in 0..13 {
        let data = json!({"data": {format!("k{number:02}"): "v"}});
        change(&server, &path, &format!("m{number:02}"), &data).await;
    }
    let owned = owned(&server.get(&path).await.json());
    assert_eq!(owned.len(), 10);
    let old = owned["ancient-changes Update"]["f:data"].as_object().unwrap();
    assert!(old.len() >= 4, "{old:?}");
}

async fn lists_and_maps_are_owned_as_their_kind_says(server: Cluster) {
    let mut body = super::deployments::deployment("d", 1);
    body["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}]);
    let pod = &mut body["spec"]["template"]["spec"];
    pod["nodeSelector"] = json!({"a": "b"});
    pod["containers"] = json!([{
        "name": "main", "image": "main:1", "args": ["a", "b"], "env": [{"name": "A", "value": "1"}],
        "ports": [{"containerPort": 80}],
    }]);
    let created = server
        .post(&format!("{DEPLOYMENTS}?fieldManager=alpha"), &body)
        .await
        .expect(201)
        .json();
    let fields = &owned(&created)["alpha Update"];
    assert_eq!(
        fields["f:metadata"],
        json!({"f:ownerReferences": {".": {}, "k:{\"uid\":\"u\"}": {}}})
    );
    let spec = &fields["f:spec"];
    assert_eq!(spec["f:selector"], json!({}), "a selector is one value");
    assert_eq!(
        spec["f:strategy"],
        json!({"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}}),
        "defaults are owned by who leaves them out"
    );
    let pod = &spec["f:template"]["f:spec"];
    assert_eq!(pod["f:nodeSelector"], json!({}));
    let container = &pod["f:containers"]["k:{\"name\":\"main\"}"];
    assert_eq!(container["."], json!({}));
    assert_eq!(container["f:args"], json!({}));
    assert_eq!(
        container["f:env"],
        json!({".": {}, "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}})
    );
    let port = json!({".": {}, "f:containerPort": {}, "f:protocol": {}});
    assert_eq!(
        container["f:ports"],
        json!({".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": port})
    );
    let data = json!({"metadata": {"name": "c"}, "data": {"a": "1"}});
    let config = server
        .post(&format!("{CONFIGS}?fieldManager=alpha"), &data)
        .await
        .expect(201)
        .json();
    expect_owned(
        &config,
        &[("alpha Update", json!({"f:data": {".": {}, "f:a": {}}}))],
    );
}

async fn the_server_owns_what_it_writes_itself(server: Cluster) {
    let label = json!({"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}});
    let default = server
        .get(&format!("{NAMESPACES}/default"))
        .await
        .expect(200)
        .json();
    assert_eq!(owned(&default)["kube-apiserver Update"], label);

    super::custom::with_definition(&server).await;
    let path = format!("{DEFINITIONS}/foos.{{group}}");
    let definition = server.get(&path).await.expect(200).json();
    let fields = &owned(&definition)["kube-apiserver Update status"]["f:status"];
    let condition = json!({
        ".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:reason": {}, "f:status": {}, "f:type": {},
    });
    assert_eq!(fields["f:conditions"]["k:{\"type\":\"Established\"}"], condition);
    assert_eq!(fields["f:acceptedNames"]["f:kind"], json!({}));
}

async fn a_status_is_owned_apart(server: Cluster) {
    server
        .post(
            &format!("{DEPLOYMENTS}?fieldManager=alpha"),
            &super::deployments::deployment("d", 1),
        )
        .await
        .expect(201);
    // A condition that no controller knows: where one runs, it writes the rest of the status at the same time.
    let condition = json!({"type": "Tested", "status": "True", "reason": "r", "message": "m"});
    let patch = json!({
        "metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 7}, "status": {"conditions": [condition]},
    });
    let changed = change(&server, &format!("{DEPLOYMENTS}/d/status"), "bravo", &patch).await;
    assert_eq!(
        (&changed["spec"]["replicas"], &changed["metadata"].get("labels")),
        (&json!(1), &None)
    );
    let condition = json!({
        ".": {}, "f:lastTransitionTime": {}, "f:lastUpdateTime": {}, "f:message": {}, "f:reason": {}, "f:status": {},
        "f:type": {},
    });
    let fields = &owned(&changed)["bravo Update status"];
    assert_eq!(
        fields["f:status"]["f:conditions"]["k:{\"type\":\"Tested\"}"],
        condition
    );
    assert_eq!(
        fields.as_object().map(serde_json::Map::len),
        Some(1),
        "only of the status: {fields}"
    );
    let patch = json!({"status": {"replicas": 2}, "metadata": {"labels": {"a": "b"}}});
    let changed = change(&server, &format!("{DEPLOYMENTS}/d"), "charlie", &patch).await;
    assert_eq!(
        owned(&changed)["charlie Update"],
        json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}})
    );
}

async fn a_scale_moves_the_replicas(server: Cluster) {
    let path = format!("{DEPLOYMENTS}/d");
    let deployment = super::deployments::deployment("d", 1);
    apply(&server, &path, "fieldManager=alpha", &deployment)
        .await
        .expect(201);
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    for (manager, count) in [("bravo", 3), ("charlie", 4)] {
        let scaled = change(
            &server,
            &format!("{path}/scale"),
            manager,
            &json!({"spec": {"replicas": count}}),
        )
        .await;
        assert_eq!(scaled["metadata"].get("managedFields"), None);
        let owned = owned(&server.get(&path).await.json());
        assert_eq!(owned[&format!("{manager} Update scale")], replicas);
        assert_eq!(owned["alpha Apply"]["f:spec"].get("f:replicas"), None);
        // A controller may have set the status by now.
        assert_eq!(owned.keys().filter(|owner| !owner.ends_with("status")).count(), 2);
    }
    let conflict = apply(&server, &path, "fieldManager=alpha", &deployment).await;
    assert_eq!(
        conflict.expect_refusal(409, "Conflict").cause_fields(),
        [".spec.replicas"]
    );
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}});
    let path = format!("{path}/scale");
    apply(&server, &path, "fieldManager=delta", &scale)
        .await
        .expect_refusal(409, "Conflict");
    let forced = apply(&server, &path, "fieldManager=delta&force=true", &scale).await;
    assert_eq!(forced.expect(200).json()["spec"]["replicas"], 5);
}

async fn kubectl_takes_over_what_it_applied_on_the_client(server: Cluster) {
    let path = format!("{CONFIGS}/x");
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    let config = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": value}});
    let mut body = config("1");
    body["metadata"]["annotations"] = json!({last: format!("{}\n", config("1"))});
    body["data"]["b"] = "1".into();
    server
        .post(
            &format!("{CONFIGS}?fieldManager=kubectl-client-side-apply"),
            &body,
        )
        .await
        .expect(201);
    let mut more = config("2");
    more["data"]["b"] = "2".into();
    let conflict = apply(&server, &path, "fieldManager=kubectl", &more).await;
    assert_eq!(
        conflict.expect(409).cause_fields(),
        [".data.b"],
        "what is in the annotation is kubectl's own"
    );
    apply(&server, &path, "fieldManager=another", &config("2"))
        .await
        .expect(409);
    let applied = apply(&server, &path, "fieldManager=kubectl", &config("2")).await;
    let applied = applied.expect(200).json();
    assert_eq!(applied["data"], json!({"a": "2", "b": "1"}));
    let text = applied["metadata"]["annotations"][last].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), config("2"));
}
