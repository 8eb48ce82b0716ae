//! What rules allow, and how a server says no.

use http::Method;
use serde_json::{Value, json};

use super::{JANE, about, bind_cluster_role, bind_role, holds, jane_with, rule, user};
use crate::check::checks;
use crate::cluster::{CONFIGS, Cluster, DEFINITIONS, JSON, LEASES, MERGE, NAMESPACES, lease};

checks! {"access";
    a_stranger_may_ask_what_there_is_and_no_more,
    a_refusal_says_who_may_not_do_what_where,
    a_refusal_comes_before_the_knowledge_of_what_is_served,
    each_verb_is_a_right_of_its_own,
    a_watch_by_name_is_a_right_to_watch,
    a_list_of_one_name_is_judged_by_the_name,
    names_limit_a_right,
    a_subresource_is_a_resource_of_its_own,
    a_star_stands_for_everything,
    paths_are_allowed_by_their_urls,
    a_put_that_creates_needs_the_right_to_create,
    custom_resources_are_judged_like_all_others,
}

fn x() -> String {
    format!("{LEASES}/x")
}

async fn a_stranger_may_ask_what_there_is_and_no_more(server: Cluster) {
    let jane = server.asking_as(JANE);
    for path in [
        "/api",
        "/apis",
        "/api/v1",
        "/version",
        "/healthz",
        "/livez",
        "/readyz",
        "/openapi/v3",
    ] {
        jane.get(path).await.expect(200);
    }
    for path in [
        "/",
        "/metrics",
        "/healthz/etcd",
        "/livez/",
        NAMESPACES,
        LEASES,
        CONFIGS,
        DEFINITIONS,
    ] {
        jane.get(path).await.expect(403);
    }
    jane.post("/healthz", &json!({})).await.expect(403);
    jane.post(LEASES, &lease("x", "alpha")).await.expect(403);
    server.get(&x()).await.expect(404);
}

async fn a_refusal_says_who_may_not_do_what_where(server: Cluster) {
    let jane = server.asking_as(JANE);
    for (method, path, message, details) in [
        (
            "GET",
            LEASES,
            "leases.coordination.k8s.io is forbidden: User \"jane.{ns}\" cannot list resource \"leases\" in API group \
             \"coordination.k8s.io\" in the namespace \"{ns}\"",
            json!({"group": "coordination.k8s.io", "kind": "leases"}),
        ),
        (
            "GET",
            &x(),
            "leases.coordination.k8s.io \"x\" is forbidden: User \"jane.{ns}\" cannot get resource \"leases\" in API \
             group \"coordination.k8s.io\" in the namespace \"{ns}\"",
            json!({"name": "x", "group": "coordination.k8s.io", "kind": "leases"}),
        ),
        (
            "GET",
            "/apis/coordination.k8s.io/v1/leases",
            "leases.coordination.k8s.io is forbidden: User \"jane.{ns}\" cannot list resource \"leases\" in API group \
             \"coordination.k8s.io\" at the cluster scope",
            json!({"group": "coordination.k8s.io", "kind": "leases"}),
        ),
        (
            "GET",
            "/api/v1/namespaces/{ns}",
            "namespaces \"{ns}\" is forbidden: User \"jane.{ns}\" cannot get resource \"namespaces\" in API group \"\" in \
             the namespace \"{ns}\"",
            json!({"name": "{ns}", "kind": "namespaces"}),
        ),
        (
            "PUT",
            "/apis/apps/v1/namespaces/{ns}/deployments/web/scale",
            "deployments.apps \"web\" is forbidden: User \"jane.{ns}\" cannot update resource \"deployments/scale\" in API \
             group \"apps\" in the namespace \"{ns}\"",
            json!({"name": "web", "group": "apps", "kind": "deployments"}),
        ),
        (
            "POST",
            "/nowhere/<at>&all",
            "forbidden: User \"jane.{ns}\" cannot post path \"/nowhere/&lt;at&gt;&amp;all\"",
            json!({}),
        ),
    ] {
        let method: Method = method.parse().unwrap();
        let path = path.replace('<', "%3C").replace('>', "%3E");
        let refused = jane
            .request(method, &path, &[("content-type", JSON)], String::new())
            .await;
        let status = refused.expect(403).json();
        assert_eq!(status["message"], message);
        assert_eq!(status["reason"], "Forbidden");
        assert_eq!(status["details"], details);
    }
}

async fn a_refusal_comes_before_the_knowledge_of_what_is_served(server: Cluster) {
    let jane = server.asking_as(JANE);
    for path in [
        "/apis/nothing.{group}/v1/foos",
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/nothings/x",
        "/apis/coordination.k8s.io/v9/namespaces/{ns}/leases",
        "/apis/coordination.k8s.io/v1/namespaces/nowhere/leases/x",
        "/api/v1/namespaces/{ns}/pods/x/nothing",
        "/nothing",
    ] {
        jane.get(path).await.expect(403);
        server.get(path).await.expect(404);
    }
    // Neither is a body read, nor is the method looked at.
    let path = "/apis/nothing.{group}/v1/foos/x";
    let refused = jane
        .request(Method::PATCH, path, &[("content-type", "text/plain")], "{".into())
        .await;
    refused.expect(403);
    jane.put(LEASES, &json!({})).await.expect(403);
    server.put(LEASES, &json!({})).await.expect(405);
}

async fn each_verb_is_a_right_of_its_own(server: Cluster) {
    server.lease("x", "alpha").await;
    let verbs = [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ];
    for verb in verbs {
        let name = format!("{verb}.{{ns}}");
        bind_role(&server, verb, &[rule(&[verb])], user(&name)).await;
        let asking = server.asking_as(&name);
        holds(&asking, &[rule(&[verb])]).await;
        for tried in verbs {
            let dry = "?dryRun=All";
            let (method, path, body) = match tried {
                "get" => ("GET", x(), Value::Null),
                "list" => ("GET", LEASES.to_owned(), Value::Null),
                "watch" => (
                    "GET",
                    format!("{LEASES}?watch=true&timeoutSeconds=1"),
                    Value::Null,
                ),
                "create" => ("POST", format!("{LEASES}{dry}"), lease("y", "alpha")),
                "update" => ("PUT", format!("{}{dry}", x()), server.get(&x()).await.json()),
                "patch" => ("PATCH", format!("{}{dry}", x()), json!({})),
                "delete" => ("DELETE", format!("{}{dry}", x()), Value::Null),
                _ => ("DELETE", format!("{LEASES}{dry}"), Value::Null),
            };
            let media = if tried == "patch" { MERGE } else { JSON };
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            let method: Method = method.parse().unwrap();
            let answer = asking
                .request(method, &path, &[("content-type", media)], body)
                .await;
            let is_allowed = answer.code < 300;
            assert_eq!(
                is_allowed,
                tried == verb,
                "who may {verb} tries to {tried}: {answer:?}"
            );
            assert!(is_allowed || answer.code == 403, "{answer:?}");
        }
    }
}

async fn a_watch_by_name_is_a_right_to_watch(server: Cluster) {
    server.lease("x", "alpha").await;
    let jane = jane_with(&server, &[rule(&["get", "list"])]).await;
    jane.get(&x()).await.expect(200);
    // The name in the path makes it a get, whatever the query says.
    jane.get(&format!("{}?watch=true&timeoutSeconds=1", x()))
        .await
        .expect(200);
    let old = "/apis/coordination.k8s.io/v1/watch/namespaces/{ns}/leases/x?timeoutSeconds=1";
    let refused = jane.get(old).await.expect(403).json();
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("cannot watch resource"),
        "{refused}"
    );
    for watch in ["1", "true", ""] {
        jane.get(&format!("{LEASES}?watch={watch}&timeoutSeconds=1"))
            .await
            .expect(403);
    }
    jane.get(&format!("{LEASES}?watch=false")).await.expect(200);
}

async fn a_list_of_one_name_is_judged_by_the_name(server: Cluster) {
    server.lease("x", "alpha").await;
    server.lease("y", "bravo").await;
    let mut one = rule(&["list", "watch", "deletecollection"]);
    one["resourceNames"] = json!(["x"]);
    let jane = jane_with(&server, &[one]).await;
    let by = |selector: &str| format!("{LEASES}?timeoutSeconds=1&fieldSelector={selector}");
    for selector in [
        "metadata.name%3Dx",
        "metadata.name%3D%3Dx",
        "metadata.namespace%3D{ns},metadata.name%3Dx",
    ] {
        jane.get(&by(selector)).await.expect(200);
        jane.get(&format!("{}&watch=true", by(selector)))
            .await
            .expect(200);
    }
    for selector in ["", "metadata.name%3Dy", "metadata.name!%3Dy"] {
        jane.get(&by(selector)).await.expect(403);
        jane.get(&format!("{}&watch=true", by(selector)))
            .await
            .expect(403);
    }
    let refused = jane.get(&by("metadata.name%3Dy")).await.expect(403).json();
    assert_eq!(refused["details"]["name"], "y");
    // Deletions are not.
    jane.delete(&by("metadata.name%3Dx"), &Value::Null)
        .await
        .expect(403);
}

async fn names_limit_a_right(server: Cluster) {
    server.lease("x", "alpha").await;
    server.lease("y", "bravo").await;
    let mut named = rule(&["get", "update", "patch", "delete", "create", "list"]);
    named["resourceNames"] = json!(["x", "z"]);
    let jane = jane_with(&server, &[named]).await;
    jane.get(&x()).await.expect(200);
    jane.patch(&x(), MERGE, &json!({})).await.expect(200);
    jane.get(&format!("{LEASES}/y")).await.expect(403);
    jane.delete(&format!("{LEASES}/y"), &Value::Null)
        .await
        .expect(403);
    jane.get(&format!("{LEASES}/z")).await.expect(404);
    // What is created, and what is listed, has no name in the URL.
    jane.post(LEASES, &lease("z", "alpha")).await.expect(403);
    jane.get(LEASES).await.expect(403);
    // But what is replaced has.
    jane.put(&format!("{LEASES}/z"), &lease("z", "alpha"))
        .await
        .expect(201);
    jane.delete(&x(), &Value::Null).await.expect(200);
}

async fn a_subresource_is_a_resource_of_its_own(server: Cluster) {
    let deployments = "/apis/apps/v1/namespaces/{ns}/deployments";
    let rules = [
        about(&["get"], "apps", &["deployments/status"]),
        about(&["get"], "apps", &["*/scale"]),
    ];
    let jane = jane_with(&server, &rules).await;
    for (path, code) in [
        (format!("{deployments}/x"), 403),
        (format!("{deployments}/x/status"), 404),
        (format!("{deployments}/x/scale"), 404),
        (format!("{deployments}/x/finalize"), 403),
        (
            "/apis/apps/v1/namespaces/{ns}/statefulsets/x/scale".to_owned(),
            404,
        ),
        (
            "/apis/apps/v1/namespaces/{ns}/statefulsets/x/status".to_owned(),
            403,
        ),
        ("/apis/batch/v1/namespaces/{ns}/jobs/x/scale".to_owned(), 403),
    ] {
        let answer = jane.get(&path).await;
        assert_eq!(answer.code, code, "{path} {answer:?}");
    }
}

async fn a_star_stands_for_everything(server: Cluster) {
    server.lease("x", "alpha").await;
    let rules = [
        about(&["*"], "coordination.k8s.io", &["*"]),
        about(&["get"], "*", &["configmaps"]),
        // A star in the middle of a word is a letter.
        about(&["*"], "apps", &["deploy*", "deployments/*"]),
    ];
    let jane = jane_with(&server, &rules).await;
    jane.get(LEASES).await.expect(200);
    jane.delete(&x(), &Value::Null).await.expect(200);
    jane.get("/apis/coordination.k8s.io/v1/namespaces/{ns}/nothings")
        .await
        .expect(404);
    jane.get(&format!("{CONFIGS}/x")).await.expect(404);
    jane.get(CONFIGS).await.expect(403);
    let deployments = "/apis/apps/v1/namespaces/{ns}/deployments";
    jane.get(deployments).await.expect(403);
    jane.get(&format!("{deployments}/x/scale")).await.expect(403);
}

async fn paths_are_allowed_by_their_urls(server: Cluster) {
    let jane = server.asking_as(JANE);
    let rules = [
        json!({"verbs": ["get"], "nonResourceURLs": ["/a-{ns}", "/b-{ns}/*"]}),
        json!({"verbs": ["post"], "nonResourceURLs": ["/c-{ns}*"]}),
    ];
    bind_cluster_role(&server, &rules, user(JANE), &jane).await;
    for (path, code) in [
        ("/a-{ns}", 404),
        ("/a-{ns}?query=too", 404),
        ("/a-{ns}/x", 403),
        ("/b-{ns}", 403),
        ("/b-{ns}/x/y", 404),
        ("/c-{ns}", 403),
    ] {
        assert_eq!(jane.get(path).await.code, code, "{path}");
    }
    jane.post("/c-{ns}x", &json!({})).await.expect(404);
    jane.post("/a-{ns}", &json!({})).await.expect(403);
}

async fn a_put_that_creates_needs_the_right_to_create(server: Cluster) {
    let jane = jane_with(&server, &[rule(&["get", "update", "patch"])]).await;
    let refused = jane.put(&x(), &lease("x", "alpha")).await.expect(403).json();
    assert_eq!(
        refused["message"],
        "leases.coordination.k8s.io \"x\" is forbidden: User \"jane.{ns}\" cannot create resource \"leases\" in API group \
         \"coordination.k8s.io\" in the namespace \"{ns}\""
    );
    jane.put(&format!("{}?dryRun=All", x()), &lease("x", "alpha"))
        .await
        .expect(403);
    let mut wrong = lease("x", "alpha");
    wrong["spec"]["leaseDurationSeconds"] = json!(-1);
    jane.put(&x(), &wrong).await.expect(422);
    jane.patch(&x(), MERGE, &json!({})).await.expect(404);
    server.get(&x()).await.expect(404);
    let mut there = server.lease("x", "alpha").await;
    there["spec"]["holderIdentity"] = "bravo".into();
    jane.put(&x(), &there).await.expect(200);
}

async fn custom_resources_are_judged_like_all_others(server: Cluster) {
    let foos = "/apis/{group}/v1/namespaces/{ns}/foos";
    let rules = [
        about(&["get", "create"], "{group}", &["foos"]),
        about(&["get"], "{group}", &["foos/status"]),
    ];
    let jane = jane_with(&server, &rules).await;
    // Nobody has to serve what one has a right to.
    jane.get(&format!("{foos}/x")).await.expect(404);
    crate::checks::custom::with_definition(&server).await;
    jane.get(&format!("{foos}/x")).await.expect(404);
    jane.get(&format!("{foos}/x/status")).await.expect(404);
    jane.get(foos).await.expect(403);
    jane.get(&format!("{foos}/x/scale")).await.expect(403);
    let refused = jane
        .delete(&format!("{foos}/x"), &Value::Null)
        .await
        .expect(403)
        .json();
    assert_eq!(
        refused["details"],
        json!({"name": "x", "group": "{group}", "kind": "foos"})
    );
}
