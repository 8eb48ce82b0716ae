//! What is not a good request gets an answer, and never a panic.

use crate::check::checks;
use crate::cluster::{Cluster, JSON, LEASES, lease};
use http::Method;

checks! {"wire";
    unknown_paths_and_resources_are_not_found,
    verbs_that_do_not_fit_are_not_allowed,
    bodies_that_cannot_be_read_are_refused,
    a_body_has_a_limit,
    odd_queries_and_escapes_do_no_harm,
}

async fn unknown_paths_and_resources_are_not_found(server: Cluster) {
    for path in ["/apis/nothing.example.com/v1/things", "/nothing", "/apis/x"] {
        assert_eq!(
            server.get(path).await.expect(404).text,
            "404 page not found\n",
            "{path}"
        );
    }
    for path in [
        "/apis/coordination.k8s.io/v9",
        "/apis/coordination.k8s.io/v9/namespaces/{ns}/leases",
        "/api/v9",
        "/apis/coordination.k8s.io/v1/things",
        "/apis/coordination.k8s.io/v1/leasecandidates",
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/x/status",
        "/apis/coordination.k8s.io/v1/leases/x",
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/x/y/z",
        "/api/v1/namespaces/{ns}/namespaces",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.refusal(), (404, "NotFound".into()), "{path}");
        assert_eq!(answer.json()["details"], serde_json::json!({}), "{path}");
    }
}

async fn verbs_that_do_not_fit_are_not_allowed(server: Cluster) {
    server.lease("x", "alpha").await;
    let (item, all) = (format!("{LEASES}/x"), "/apis/coordination.k8s.io/v1/leases");
    for (method, path) in [
        (Method::PUT, LEASES),
        (Method::PATCH, LEASES),
        (Method::POST, item.as_str()),
        (Method::OPTIONS, LEASES),
        (Method::POST, all),
        (Method::DELETE, all),
        (Method::POST, "/version"),
        (Method::TRACE, item.as_str()),
    ] {
        let answer = server
            .request(method.clone(), path, &[("content-type", JSON)], String::new())
            .await;
        assert_eq!(
            answer.refusal(),
            (405, "MethodNotAllowed".into()),
            "{method} {path}"
        );
    }
}

async fn bodies_that_cannot_be_read_are_refused(server: Cluster) {
    let good = lease("x", "alpha").to_string();
    for (media, body, code) in [
        (JSON, "", 400),
        (JSON, "{", 400),
        (JSON, "null", 422),
        (JSON, "{\"kind\": 5}", 400),
        (JSON, "[[[[", 400),
        (JSON, "{\"metadata\": 5}", 400),
        (JSON, "{\"metadata\": {\"name\": 5}}", 400),
        (JSON, "{\"spec\": \"x\", \"metadata\": {\"name\": \"x\"}}", 400),
        ("application/yaml", "a: [", 400),
        ("application/vnd.kubernetes.protobuf", "k8s", 400),
        ("text/html", good.as_str(), 415),
    ] {
        let answer = server
            .request(Method::POST, LEASES, &[("content-type", media)], body.to_owned())
            .await;
        assert_eq!(answer.code, code, "{media} {body}: {}", answer.text);
    }
    let deep = "[".repeat(100_000);
    server
        .request(Method::POST, LEASES, &[("content-type", JSON)], deep)
        .await
        .expect(400);
    let headers = [("content-type", "application/json; charset=utf-8")];
    server
        .request(Method::POST, LEASES, &headers, good)
        .await
        .expect(201);
    let yaml = "metadata: {name: z}\nspec: {holderIdentity: 'yes', leaseDurationSeconds: 15}\n".to_owned();
    let answer = server
        .request(
            Method::POST,
            LEASES,
            &[("content-type", "application/yaml")],
            yaml,
        )
        .await
        .expect(201);
    assert_eq!(answer.json()["spec"]["holderIdentity"], "yes");
}

async fn a_body_has_a_limit(server: Cluster) {
    let body = "x".repeat((3 << 20) + 1);
    let answer = server
        .request(Method::POST, LEASES, &[("content-type", JSON)], body)
        .await;
    assert_eq!(answer.refusal(), (413, "RequestEntityTooLarge".into()));
}

async fn odd_queries_and_escapes_do_no_harm(server: Cluster) {
    for query in [
        "?&&&",
        "?%zz=%",
        "?limit=5&limit=6&unknown=1",
        "?labelSelector=%00",
        "?labelSelector=(((",
    ] {
        let code = server.get(&format!("{LEASES}{query}")).await.code;
        assert!(matches!(code, 200 | 400), "{query}: {code}");
    }
    server.get(&format!("{LEASES}/%2e%2e%2f")).await.expect(400);
    server.get(&format!("{LEASES}/%2e")).await.expect(400);
    server.get(&format!("{LEASES}/a%2Fb")).await.expect(404);
}
