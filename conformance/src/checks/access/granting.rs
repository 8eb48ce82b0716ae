//! Nobody gives what they do not have.

use serde_json::{Value, json};

use super::{
    JANE, about, bind_cluster_role, bind_role, binding, cluster_role, holds, jane_with, role_ref, rule, user,
};
use crate::check::checks;
use crate::cluster::{BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, Cluster, MERGE, ROLES};

checks! {"granting";
    a_role_gives_what_its_writer_holds,
    what_is_missing_is_listed,
    a_binding_gives_what_its_writer_holds,
    a_binding_to_nothing_is_refused,
    who_may_escalate_may_define_any_role,
    who_may_bind_may_bind_that_role,
    what_collection_needs_may_be_changed_by_anybody,
    to_gather_rules_is_to_hold_all,
    masters_give_what_they_like,
}

const RBAC: &str = "rbac.authorization.k8s.io";
const WRITE: [&str; 4] = ["create", "update", "patch", "delete"];

fn role(name: &str, rules: &[Value]) -> Value {
    json!({"metadata": {"name": name}, "rules": rules})
}

fn dry(path: &str) -> String {
    format!("{path}?dryRun=All")
}

/// Jane may write Roles and bindings in `{ns}`, and get and list leases there.
async fn writer(server: &Cluster) -> Cluster {
    let rules = [
        about(&WRITE, RBAC, &["roles", "rolebindings"]),
        rule(&["get", "list"]),
    ];
    jane_with(server, &rules).await
}

async fn a_role_gives_what_its_writer_holds(server: Cluster) {
    let jane = writer(&server).await;
    let mut named = rule(&["get"]);
    named["resourceNames"] = json!(["x", "y"]);
    for (rules, code) in [
        (vec![], 201),
        (vec![rule(&["get"])], 201),
        (vec![rule(&["list", "get"])], 201),
        (vec![named], 201),
        (vec![rule(&["get"]), rule(&["watch"])], 403),
        (vec![rule(&["*"])], 403),
        (vec![about(&["get"], "coordination.k8s.io", &["*"])], 403),
        (vec![about(&["get"], "*", &["leases"])], 403),
        (
            vec![about(&["get"], "coordination.k8s.io", &["leases/status"])],
            403,
        ),
        (vec![about(&["get"], "", &["leases"])], 403),
    ] {
        let role = role("new", &rules);
        assert_eq!(jane.post(&dry(ROLES), &role).await.code, code, "{rules:?}");
        // A PUT that creates is no way around it.
        assert_eq!(
            jane.put(&dry(&format!("{ROLES}/new")), &role).await.code,
            code,
            "{rules:?}"
        );
    }
    // It is looked at before what is wrong with the role.
    let senseless = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, {}]);
    jane.post(ROLES, &json!({"metadata": {"name": "new"}, "rules": senseless}))
        .await
        .expect(403);
    jane.post(ROLES, &json!({"metadata": {"name": "new"}, "rules": [{}]}))
        .await
        .expect(422);
    let own = format!("{ROLES}/jane");
    let more = json!({"rules": [rule(&["get", "list", "watch"])]});
    jane.patch(&own, MERGE, &more).await.expect(403);
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    jane.patch(&own, MERGE, &label).await.expect(200);
    jane.patch(&own, MERGE, &json!({"rules": [rule(&["get"])]}))
        .await
        .expect(200);
}

async fn what_is_missing_is_listed(server: Cluster) {
    let jane = writer(&server).await;
    let mut named = rule(&["delete"]);
    named["resourceNames"] = json!(["x", "y"]);
    let rules = [
        rule(&["get", "watch", "delete"]),
        named,
        about(&["get"], "", &["pods", "pods/log"]),
    ];
    let refused = jane.post(ROLES, &role("new", &rules)).await.expect(403).json();
    assert_eq!(
        refused["message"],
        "roles.rbac.authorization.k8s.io \"new\" is forbidden: user \"jane.{ns}\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}\n\
         {APIGroups:[\"\"], Resources:[\"pods/log\"], Verbs:[\"get\"]}\n\
         {APIGroups:[\"coordination.k8s.io\"], Resources:[\"leases\"], ResourceNames:[\"x\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"coordination.k8s.io\"], Resources:[\"leases\"], ResourceNames:[\"y\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"coordination.k8s.io\"], Resources:[\"leases\"], Verbs:[\"watch\" \"delete\"]}"
    );
    let details = json!({"name": "new", "group": RBAC, "kind": "roles"});
    assert_eq!(refused["details"], details);
}

async fn a_binding_gives_what_its_writer_holds(server: Cluster) {
    let jane = writer(&server).await;
    for (name, verbs, code) in [("less", &["get"][..], 201), ("more", &["get", "delete"], 403)] {
        server
            .unrecorded()
            .post(ROLES, &role(name, &[rule(verbs)]))
            .await
            .expect(201);
        let new = binding("new", role_ref("Role", name), user("friend.{ns}"));
        let answer = super::settled(&jane, &dry(BINDINGS), &new, code).await;
        assert_eq!(answer.code, code, "{name} {answer:?}");
    }
    let admin = binding("new", role_ref("ClusterRole", "cluster-admin"), user(JANE));
    let refused = jane.post(BINDINGS, &admin).await.expect(403).json();
    assert_eq!(
        refused["message"],
        "rolebindings.rbac.authorization.k8s.io \"new\" is forbidden: user \"jane.{ns}\" (groups=[\"system:authenticated\"]) \
         is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n\
         {NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
    );
    // Also of a binding that is there: its new subjects get it all.
    server.unrecorded().post(BINDINGS, &admin).await.expect(201);
    let subjects = json!({"subjects": [user("friend.{ns}")]});
    let everything = binding(
        "new",
        role_ref("ClusterRole", "cluster-admin"),
        user("nobody.{ns}"),
    );
    server
        .unrecorded()
        .put(&format!("{BINDINGS}/new"), &everything)
        .await
        .expect(200);
    super::has_lost(&server, JANE, "delete").await;
    jane.patch(&format!("{BINDINGS}/new"), MERGE, &subjects)
        .await
        .expect(403);
    jane.delete(&format!("{BINDINGS}/new"), &Value::Null)
        .await
        .expect(200);
}

async fn a_binding_to_nothing_is_refused(server: Cluster) {
    let rules = [about(&WRITE, RBAC, &["rolebindings", "clusterrolebindings"])];
    let jane = server.asking_as(JANE);
    bind_cluster_role(&server, &rules, user(JANE), &jane).await;
    for (kind, name) in [
        ("ClusterRole", "lost-{ns}"),
        ("Role", "lost"),
        ("Nothing", "lost"),
        ("ClusterRole", ""),
        ("Role", ""),
        ("", ""),
    ] {
        for path in [BINDINGS, CLUSTER_BINDINGS] {
            jane.post(path, &binding("new", role_ref(kind, name), user(JANE)))
                .await;
        }
    }
    jane.expect_transcript("access-bindings-to-nothing");
}

async fn who_may_escalate_may_define_any_role(server: Cluster) {
    let mut escalate = about(&["escalate"], RBAC, &["roles"]);
    escalate["resourceNames"] = json!(["this"]);
    let rules = [about(&WRITE, RBAC, &["roles", "clusterroles"]), escalate];
    let jane = jane_with(&server, &rules).await;
    let everything = [about(&["*"], "*", &["*"])];
    jane.put(&format!("{ROLES}/this"), &role("this", &everything))
        .await
        .expect(201);
    jane.put(&format!("{ROLES}/that"), &role("that", &everything))
        .await
        .expect(403);
    // The name of what is created is not in the URL.
    jane.post(&dry(ROLES), &role("this", &everything))
        .await
        .expect(403);
}

async fn who_may_bind_may_bind_that_role(server: Cluster) {
    cluster_role(&server, &[about(&["*"], "*", &["*"])]).await;
    let mut bind = about(&["bind"], RBAC, &["clusterroles"]);
    bind["resourceNames"] = json!(["{ns}", "lost-{ns}"]);
    let rules = [
        about(&WRITE, RBAC, &["rolebindings", "clusterrolebindings"]),
        bind,
    ];
    let jane = jane_with(&server, &rules).await;
    let to = |name: &str| binding("new", role_ref("ClusterRole", name), user("friend.{ns}"));
    jane.post(&dry(BINDINGS), &to("{ns}")).await.expect(201);
    // It need not even be there.
    jane.post(&dry(BINDINGS), &to("lost-{ns}")).await.expect(201);
    jane.post(&dry(BINDINGS), &to("cluster-admin")).await.expect(403);
    // Not everywhere.
    jane.post(&dry(CLUSTER_BINDINGS), &to("{ns}")).await.expect(403);
}

async fn what_collection_needs_may_be_changed_by_anybody(server: Cluster) {
    let rules = [about(&["update", "patch"], RBAC, &["roles"])];
    bind_role(&server, "big", &[about(&["*"], "*", &["*"])], user("friend.{ns}")).await;
    let jane = jane_with(&server, &rules).await;
    let path = dry(&format!("{ROLES}/big"));
    let finalizers = json!({"metadata": {"finalizers": ["example.com/a"]}});
    jane.patch(&path, MERGE, &finalizers).await.expect(200);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u"});
    jane.patch(&path, MERGE, &json!({"metadata": {"ownerReferences": [owner]}}))
        .await
        .expect(200);
    jane.patch(&path, MERGE, &json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .expect(403);
    jane.patch(&path, MERGE, &json!({})).await.expect(200);
}

async fn to_gather_rules_is_to_hold_all(server: Cluster) {
    let rules = [about(&WRITE, RBAC, &["clusterroles"]), rule(&["get"])];
    let jane = server.asking_as(JANE);
    bind_cluster_role(&server, &rules, user(JANE), &jane).await;
    let mut gathering = role("new-{ns}", &[]);
    gathering["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"x": "{ns}"}}]});
    let refused = jane
        .post(&dry(CLUSTER_ROLES), &gathering)
        .await
        .expect(403)
        .json();
    assert_eq!(
        refused["message"],
        "clusterroles.rbac.authorization.k8s.io \"new-{ns}\" is forbidden: must have cluster-admin privileges to use the \
         aggregationRule"
    );
    let selectors = json!({"aggregationRule": {"clusterRoleSelectors": [{}]}});
    jane.patch(&dry(&format!("{CLUSTER_ROLES}/{{ns}}")), MERGE, &selectors)
        .await
        .expect(403);
    let headers = [
        ("impersonate-user", JANE),
        ("impersonate-group", "system:masters"),
    ];
    server
        .asking_with(&headers)
        .post(&dry(CLUSTER_ROLES), &gathering)
        .await
        .expect(201);
}

async fn masters_give_what_they_like(server: Cluster) {
    let everything = [about(&["*"], "*", &["*"])];
    server.post(ROLES, &role("all", &everything)).await.expect(201);
    let lost = binding("lost", role_ref("ClusterRole", "lost-{ns}"), user(JANE));
    server.post(BINDINGS, &lost).await.expect(201);
    server
        .post(BINDINGS, &binding("all", role_ref("Role", "all"), user(JANE)))
        .await
        .expect(201);
    let jane = server.asking_as(JANE);
    holds(&jane, &everything).await;
    jane.post(&dry(ROLES), &role("new", &everything))
        .await
        .expect(201);
}
