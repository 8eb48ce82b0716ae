//! Who has a role: users, groups and service accounts, in a namespace or everywhere.

use serde_json::{Value, json};

use super::{
    JANE, about, bind_cluster_role, bind_role, binding, cluster_role, has_lost, holds, jane_with, role_ref,
    rule, user,
};
use crate::check::checks;
use crate::cluster::{BINDINGS, Cluster, LEASES, MERGE, NAMESPACES, ROLES, lease};

checks! {"access";
    a_role_counts_in_its_namespace_alone,
    a_cluster_role_counts_where_it_is_bound,
    a_cluster_role_binding_counts_everywhere,
    a_group_has_rights,
    a_service_account_has_rights,
    a_right_ends_with_its_binding,
    a_missing_role_is_named_in_the_refusal,
    masters_need_no_role,
}

fn x() -> String {
    format!("{LEASES}/x")
}

async fn a_role_counts_in_its_namespace_alone(server: Cluster) {
    server.make_other().await;
    let rules = [rule(&["list"]), about(&["get", "list"], "", &["namespaces"])];
    let jane = jane_with(&server, &rules).await;
    jane.get(LEASES).await.expect(200);
    jane.get("/apis/coordination.k8s.io/v1/namespaces/{other}/leases")
        .await
        .expect(403);
    jane.get("/apis/coordination.k8s.io/v1/leases").await.expect(403);
    // A namespace counts as within itself, all of them do not.
    jane.get("/api/v1/namespaces/{ns}").await.expect(200);
    jane.get("/api/v1/namespaces/{other}").await.expect(403);
    jane.get(NAMESPACES).await.expect(403);
}

async fn a_cluster_role_counts_where_it_is_bound(server: Cluster) {
    server.make_other().await;
    let rules = [
        rule(&["list"]),
        json!({"verbs": ["get"], "nonResourceURLs": ["/x-{ns}"]}),
    ];
    cluster_role(&server, &rules).await;
    let role = binding("b", role_ref("ClusterRole", "{ns}"), user(JANE));
    server.post(BINDINGS, &role).await.expect(201);
    let jane = server.asking_as(JANE);
    holds(&jane, &rules).await;
    jane.get(LEASES).await.expect(200);
    jane.get("/apis/coordination.k8s.io/v1/namespaces/{other}/leases")
        .await
        .expect(403);
    jane.get("/apis/coordination.k8s.io/v1/leases").await.expect(403);
    // A path is in no namespace.
    jane.get("/x-{ns}").await.expect(403);
}

async fn a_cluster_role_binding_counts_everywhere(server: Cluster) {
    server.make_other().await;
    let jane = server.asking_as(JANE);
    bind_cluster_role(&server, &[rule(&["list"])], user(JANE), &jane).await;
    for path in [
        LEASES,
        "/apis/coordination.k8s.io/v1/namespaces/{other}/leases",
        "/apis/coordination.k8s.io/v1/namespaces/nowhere/leases",
        "/apis/coordination.k8s.io/v1/leases",
    ] {
        jane.get(path).await.expect(200);
    }
    server.asking_as("other.{ns}").get(LEASES).await.expect(403);
}

async fn a_group_has_rights(server: Cluster) {
    let group = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "devs.{ns}"});
    bind_role(&server, "devs", &[rule(&["list"])], group).await;
    let with = |groups: &[&'static str]| {
        let groups = groups.iter().map(|group| ("impersonate-group", *group));
        let headers: Vec<_> = [("impersonate-user", JANE)].into_iter().chain(groups).collect();
        server.asking_with(&headers)
    };
    holds(&with(&["devs.{ns}"]), &[rule(&["list"])]).await;
    with(&["other", "devs.{ns}"]).get(LEASES).await.expect(200);
    with(&["other"]).get(LEASES).await.expect(403);
    with(&[]).get(LEASES).await.expect(403);
    // A user is no group of the same name.
    server.asking_as("devs.{ns}").get(LEASES).await.expect(403);
}

async fn a_service_account_has_rights(server: Cluster) {
    server.make_other().await;
    let near = json!({"kind": "ServiceAccount", "name": "near"});
    let far = json!({"kind": "ServiceAccount", "name": "far", "namespace": "{other}"});
    let all = json!({
        "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts:{other}",
    });
    let account =
        |namespace: &str, name: &str| server.asking_as(&format!("system:serviceaccount:{namespace}:{name}"));
    for (name, verb, subject, asking) in [
        ("near", "list", near, account("{ns}", "near")),
        ("far", "list", far, account("{other}", "far")),
        ("all", "get", all, account("{other}", "whoever")),
    ] {
        bind_role(&server, name, &[rule(&[verb])], subject).await;
        holds(&asking, &[rule(&[verb])]).await;
    }
    for (namespace, name, lists, gets) in [
        ("{ns}", "near", 200, 403),
        ("{other}", "near", 403, 404),
        ("{ns}", "far", 403, 403),
        ("{other}", "far", 200, 404),
        ("{other}", "nobody", 403, 404),
    ] {
        let asking = account(namespace, name);
        assert_eq!(asking.get(LEASES).await.code, lists, "{namespace} {name}");
        assert_eq!(asking.get(&x()).await.code, gets, "{namespace} {name}");
    }
}

async fn a_right_ends_with_its_binding(server: Cluster) {
    let jane = jane_with(&server, &[rule(&["list"])]).await;
    jane.get(LEASES).await.expect(200);
    let none = json!({"subjects": null});
    server
        .patch(&format!("{BINDINGS}/jane"), MERGE, &none)
        .await
        .expect(200);
    has_lost(&server, JANE, "list").await;
    jane.get(LEASES).await.expect(403);
    let again = json!({"subjects": [user(JANE)]});
    server
        .patch(&format!("{BINDINGS}/jane"), MERGE, &again)
        .await
        .expect(200);
    holds(&jane, &[rule(&["list"])]).await;
    server
        .delete(&format!("{ROLES}/jane"), &Value::Null)
        .await
        .expect(200);
    has_lost(&server, JANE, "list").await;
    jane.get(LEASES).await.expect(403);
}

async fn a_missing_role_is_named_in_the_refusal(server: Cluster) {
    for (name, kind, role) in [
        ("a", "Role", "lost"),
        ("b", "Role", "lost"),
        ("c", "ClusterRole", "lost-{ns}"),
    ] {
        let binding = binding(name, role_ref(kind, role), user(JANE));
        server.post(BINDINGS, &binding).await.expect(201);
    }
    bind_role(&server, "jane", &[rule(&["get"])], user(JANE)).await;
    let jane = server.asking_as(JANE);
    holds(&jane, &[rule(&["get"])]).await;
    let refused = jane.get(LEASES).await.expect(403).json();
    let message = refused["message"].as_str().unwrap();
    let (before, after) = message.split_once(": rbac: RBAC: ").unwrap();
    assert!(before.ends_with(
        "cannot list resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"{ns}\""
    ));
    // In no certain order, each once.
    let role = "role.rbac.authorization.k8s.io \"lost\" not found";
    let cluster_role = "clusterrole.rbac.authorization.k8s.io \"lost-{ns}\" not found";
    let orders = [
        format!("[{role}, {cluster_role}]"),
        format!("[{cluster_role}, {role}]"),
    ];
    assert!(orders.iter().any(|order| order == after), "{after}");
    // What is allowed is allowed all the same.
    jane.get(&x()).await.expect(404);
}

async fn masters_need_no_role(server: Cluster) {
    let headers = [
        ("impersonate-user", JANE),
        ("impersonate-group", "system:masters"),
    ];
    let master = server.asking_with(&headers);
    master.post(LEASES, &lease("x", "alpha")).await.expect(201);
    master.get("/nothing").await.expect(404);
    master.get(NAMESPACES).await.expect(200);
    // Only the group counts.
    server.asking_as("system:masters").get(LEASES).await.expect(403);
}
