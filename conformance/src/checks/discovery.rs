//! What the server says about itself: discovery, versions, OpenAPI, tables.

use crate::check::checks;
use crate::cluster::{Cluster, LEASES, eventually, lease};
use http::Method;
use serde_json::{Value, json};

checks! {"discovery";
    discovery_in_one_document_has_a_tag,
    discovery_in_many_documents,
    open_api_has_a_patch_operation_for_each_kind,
    health_and_version_are_plain,
    a_table_of_leases_names_the_holder,
    metadata_alone_is_shown_on_demand,
    a_format_that_is_not_served_is_not_acceptable_and_yaml_is,
    reviews_say_yes,
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

fn names(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn discovery_in_one_document_has_a_tag(server: Cluster) {
    for path in ["/api", "/apis"] {
        let answer = server
            .get_as(path, &format!("{AGGREGATED},application/json"))
            .await
            .expect(200);
        assert_eq!(answer.headers["content-type"], AGGREGATED);
        assert_eq!(answer.headers["vary"], "Accept");
        let tag = answer.headers["etag"].to_str().unwrap().to_owned();
        let headers = [("accept", AGGREGATED), ("if-none-match", tag.as_str())];
        server
            .request(Method::GET, path, &headers, String::new())
            .await
            .expect(304);
    }
    let groups = server.get_as("/apis", AGGREGATED).await.json();
    let leases = groups["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["metadata"]["name"] == "coordination.k8s.io");
    let leases = &leases.unwrap()["versions"][0]["resources"][0];
    assert_eq!(
        (&leases["resource"], &leases["scope"]),
        (&"leases".into(), &"Namespaced".into())
    );
    let verbs = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    assert_eq!(leases["verbs"], verbs);
}

async fn discovery_in_many_documents(server: Cluster) {
    let v2beta1 =
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    assert_eq!(
        server.get_as("/api", v2beta1).await.json()["versions"],
        json!(["v1"])
    );
    let groups = server.get("/apis").await.expect(200).json();
    assert!(names(&groups["groups"]).contains(&"coordination.k8s.io".to_owned()));
    let group = server.get("/apis/coordination.k8s.io").await.expect(200).json();
    assert_eq!(
        group["preferredVersion"]["groupVersion"],
        "coordination.k8s.io/v1"
    );
    let resources = server
        .get("/apis/coordination.k8s.io/v1")
        .await
        .expect(200)
        .json();
    assert!(names(&resources["resources"]).contains(&"leases".to_owned()));
    let apps = server.get("/apis/apps/v1").await.expect(200).json();
    let served = names(&apps["resources"]);
    for name in ["deployments", "deployments/status", "deployments/scale"] {
        assert!(served.contains(&name.to_owned()), "{name} in {served:?}");
    }
    assert!(names(&server.get("/api/v1").await.json()["resources"]).contains(&"namespaces".to_owned()));
}

async fn open_api_has_a_patch_operation_for_each_kind(server: Cluster) {
    server
        .post(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            &super::custom::definition(),
        )
        .await
        .expect(201);
    let unrecorded = server.unrecorded();
    eventually("the new resource is described", || async {
        unrecorded
            .get("/openapi/v3")
            .await
            .text
            .contains("apis/{group}/v1")
    })
    .await;
    let index = server.get("/openapi/v3").await.expect(200).json();
    for (document, path, kind) in [
        ("api/v1", "/api/v1/namespaces/{name}", "Namespace"),
        (
            "apis/coordination.k8s.io/v1",
            "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}",
            "Lease",
        ),
        (
            "apis/{group}/v1",
            "/apis/{group}/v1/namespaces/{namespace}/foos/{name}",
            "Foo",
        ),
    ] {
        let url = index["paths"][document]["serverRelativeURL"].as_str().unwrap();
        let served = server.get(url).await.expect(200).json();
        let patch = &served["paths"][path]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], kind);
        let parameters = names(&patch["parameters"]);
        assert!(
            parameters.contains(&"fieldValidation".to_owned()) && parameters.contains(&"dryRun".to_owned())
        );
        assert_references_resolve(&served, &served);
    }
}

fn assert_references_resolve(value: &Value, document: &Value) {
    if let Some(reference) = value["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#').replace("~1", "/");
        assert!(document.pointer(&pointer).is_some(), "{reference}");
    }
    let children: Vec<&Value> = match value {
        Value::Object(map) => map.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    children
        .into_iter()
        .for_each(|child| assert_references_resolve(child, document));
}

async fn health_and_version_are_plain(server: Cluster) {
    for path in ["/healthz", "/readyz", "/livez", "/readyz/ping"] {
        assert_eq!(server.get(path).await.expect(200).text, "ok");
    }
    assert!(server.get("/readyz?verbose").await.text.contains("check passed"));
    let version = server.get("/version").await.expect(200).json();
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&"1".into(), &"37".into())
    );
}

async fn a_table_of_leases_names_the_holder(server: Cluster) {
    server.lease("x", "alpha").await;
    let table = server.get_as(LEASES, TABLE).await.expect(200).json();
    assert_eq!(
        (&table["kind"], &table["apiVersion"]),
        (&"Table".into(), &"meta.k8s.io/v1".into())
    );
    assert_eq!(names(&table["columnDefinitions"]), ["Name", "Holder", "Age"]);
    let row = &table["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][1]),
        (&"x".into(), &"alpha".into())
    );
    assert!(row["cells"][2].as_str().unwrap().ends_with('s'));
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let whole = server
        .get_as(&format!("{LEASES}?includeObject=Object"), TABLE)
        .await
        .json();
    assert_eq!(whole["rows"][0]["object"]["spec"]["holderIdentity"], "alpha");
    let none = server
        .get_as(&format!("{LEASES}?includeObject=None"), TABLE)
        .await
        .json();
    assert_eq!(none["rows"][0]["object"], Value::Null);
    assert_eq!(
        server.get_as(&format!("{LEASES}/x"), TABLE).await.json()["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

async fn metadata_alone_is_shown_on_demand(server: Cluster) {
    let mut body = lease("x", "alpha");
    body["metadata"]["labels"] = json!({"a": "b"});
    server.post(LEASES, &body).await.expect(201);
    let one = server
        .get_as(&format!("{LEASES}/x"), PARTIAL)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&one["kind"], &one["metadata"]["labels"]),
        (&"PartialObjectMetadata".into(), &json!({"a": "b"}))
    );
    assert_eq!(one.get("spec"), None);
    let list = server.get_as(LEASES, PARTIAL_LIST).await.expect(200).json();
    assert_eq!(
        (&list["kind"], list["items"][0].get("spec")),
        (&"PartialObjectMetadataList".into(), None)
    );
}

async fn a_format_that_is_not_served_is_not_acceptable_and_yaml_is(server: Cluster) {
    server.lease("x", "alpha").await;
    assert_eq!(
        server.get_as(LEASES, "text/html").await.refusal(),
        (406, "NotAcceptable".into())
    );
    server
        .get_as(LEASES, "application/vnd.kubernetes.protobuf,application/json")
        .await
        .expect(200);
    let yaml = server
        .get_as(&format!("{LEASES}/x"), "application/yaml")
        .await
        .expect(200);
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text.contains("holderIdentity: alpha"));
}

async fn reviews_say_yes(server: Cluster) {
    let review = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "leases"}}});
    let answer = server
        .post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review)
        .await
        .expect(201);
    assert_eq!(answer.json()["status"]["allowed"], true);
    let answer = server
        .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({}))
        .await
        .expect(201);
    assert!(
        answer.json()["status"]["userInfo"]["groups"]
            .as_array()
            .unwrap()
            .contains(&"system:masters".into())
    );
    server
        .get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .await
        .expect(405);
}
