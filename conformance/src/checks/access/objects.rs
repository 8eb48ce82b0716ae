//! Roles and bindings as objects: what makes sense, what is filled in, and what does not change.

use serde_json::{Value, json};

use super::{JANE, about, binding, role_ref, rule, user};
use crate::check::{Need, checks};
use crate::cluster::{
    BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, Cluster, MERGE, ROLES, STRATEGIC, eventually,
};

checks! {"roles";
    roles_good_and_bad,
    bindings_good_and_bad,
    the_role_of_a_binding_does_not_change,
    bindings_in_tables,
    the_roles_of_every_cluster,
    a_missing_role_is_created_by_a_put,
}

async fn roles_good_and_bad(server: Cluster) {
    let resources = |verbs: Value| json!({"verbs": verbs, "apiGroups": [""], "resources": ["x"]});
    let selectors = |selectors: Value| json!({"aggregationRule": {"clusterRoleSelectors": selectors}});
    for content in [
        json!({}),
        json!({"rules": []}),
        json!({"rules": null}),
        json!({"rules": [{}]}),
        json!({"rules": [{"verbs": ["get"]}]}),
        json!({"rules": [resources(json!(["get"]))]}),
        json!({"rules": [resources(json!([]))]}),
        json!({"rules": [resources(json!(["get"])), {"verbs": ["get"], "resources": ["x"]}]}),
        json!({"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["x"], "resourceNames": []}]}),
        json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
        json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["x", ""]}]}),
        json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["x"]}]}),
        json!({"rules": [{"verbs": [""], "apiGroups": [""], "resources": [""]}]}),
        json!({"rules": "x"}),
        json!({"rules": [{"verbs": "get"}]}),
        selectors(json!([])),
        selectors(json!(null)),
        selectors(json!([{"matchLabels": {"a": "b"}}])),
        selectors(json!([{"matchLabels": {"a b": "c"}}])),
        selectors(json!([{"matchExpressions": [{"key": "a", "operator": "Exists"}]}])),
        selectors(json!([{"matchExpressions": [{"key": "a", "operator": "In"}]}])),
        selectors(json!([{"matchExpressions": [{"key": "a", "operator": "Odd"}]}])),
    ] {
        for path in [ROLES, CLUSTER_ROLES] {
            let mut role = content.clone();
            role["metadata"] = json!({"name": "new"});
            server.post(&format!("{path}?dryRun=All"), &role).await;
        }
    }
    for name in ["A:b", "a/b", "a%b", ".."] {
        let role = json!({"metadata": {"name": name}});
        server.post(&format!("{ROLES}?dryRun=All"), &role).await;
    }
    server.expect_transcript("access-roles");
}

async fn bindings_good_and_bad(server: Cluster) {
    let view = role_ref("ClusterRole", "view");
    let role = |field: &str, value: &str| {
        let mut role = view.clone();
        role[field] = value.into();
        json!({"roleRef": role})
    };
    let to = |subject: Value| json!({"roleRef": view, "subjects": [subject]});
    for content in [
        json!({}),
        json!({"roleRef": {}}),
        json!({"roleRef": {"kind": "ClusterRole", "name": "nowhere"}}),
        json!({"roleRef": {"kind": "Role", "name": "nowhere"}}),
        role("apiGroup", "x"),
        role("kind", "x"),
        role("name", ""),
        role("name", "a/b"),
        role("name", ".."),
        json!({"roleRef": view, "subjects": []}),
        json!({"roleRef": view, "subjects": null}),
        to(json!({})),
        to(json!({"kind": "User"})),
        to(json!({"kind": "User", "name": "jane"})),
        to(json!({"kind": "User", "name": "jane", "namespace": "x"})),
        to(json!({"kind": "Group", "name": "devs", "apiGroup": "x"})),
        to(json!({"kind": "ServiceAccount", "name": "robot"})),
        to(json!({"kind": "ServiceAccount", "name": "robot", "namespace": "x"})),
        to(json!({"kind": "ServiceAccount", "name": "a_b", "namespace": "x"})),
        to(json!({"kind": "ServiceAccount", "name": "robot", "namespace": "x", "apiGroup": "x"})),
        to(json!({"kind": "Nobody", "name": "x"})),
        json!({"roleRef": "x"}),
    ] {
        for path in [BINDINGS, CLUSTER_BINDINGS] {
            let mut binding = content.clone();
            binding["metadata"] = json!({"name": "new"});
            server.post(&format!("{path}?dryRun=All"), &binding).await;
        }
    }
    server.expect_transcript("access-bindings");
}

async fn the_role_of_a_binding_does_not_change(server: Cluster) {
    let new = binding("x", role_ref("ClusterRole", "view"), user(JANE));
    server.post(BINDINGS, &new).await.expect(201);
    let path = format!("{BINDINGS}/x");
    for change in [
        json!({"roleRef": {"name": "edit"}}),
        json!({"roleRef": {"kind": "Role"}}),
        json!({"roleRef": {"kind": "x", "name": ""}}),
        json!({"roleRef": null}),
        json!({"roleRef": {"apiGroup": ""}}),
        json!({"subjects": null}),
        json!({"subjects": [{"kind": "Bad", "name": ""}], "roleRef": {"name": "edit"}}),
    ] {
        server.patch(&format!("{path}?dryRun=All"), MERGE, &change).await;
    }
    let bob = json!({"subjects": [{"kind": "User", "name": "bob"}]});
    server.patch(&path, STRATEGIC, &bob).await.expect(200);
    server
        .put(&path, &binding("x", role_ref("ClusterRole", "edit"), user(JANE)))
        .await;
    server.expect_transcript("access-role-of-a-binding");
}

async fn bindings_in_tables(server: Cluster) {
    let mut many = binding("many", role_ref("ClusterRole", "view"), user("jane"));
    many["subjects"] = json!([
        user("jane"),
        user("bob"),
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "devs"},
        {"kind": "ServiceAccount", "name": "robot"},
        {"kind": "ServiceAccount", "name": "other", "namespace": "elsewhere"},
    ]);
    server.post(BINDINGS, &many).await.expect(201);
    let none = json!({"metadata": {"name": "none"}, "roleRef": role_ref("Role", "r")});
    server.post(BINDINGS, &none).await.expect(201);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    server.get_as(BINDINGS, table).await.expect(200);
    server
        .get_as(&format!("{CLUSTER_BINDINGS}/cluster-admin"), table)
        .await
        .expect(200);
    let role = json!({"metadata": {"name": "r"}, "rules": [rule(&["get"])]});
    server.post(ROLES, &role).await.expect(201);
    let shown = server.unrecorded().get_as(ROLES, table).await.json();
    let columns: Vec<&Value> = shown["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(columns, ["Name", "Created At"]);
    server.expect_transcript("access-tables");
}

async fn the_roles_of_every_cluster(server: Cluster) {
    for name in [
        "cluster-admin",
        "system:discovery",
        "system:basic-user",
        "system:public-info-viewer",
    ] {
        let role = server
            .unrecorded()
            .get(&format!("{CLUSTER_ROLES}/{name}"))
            .await
            .expect(200);
        let binding = server
            .unrecorded()
            .get(&format!("{CLUSTER_BINDINGS}/{name}"))
            .await
            .expect(200);
        for mut object in [role.json(), binding.json()] {
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .retain(|field, _| field == "labels" || field == "annotations");
            let kind = object["kind"].clone();
            server.record(crate::cluster::Exchange::event(
                &format!("{kind} {name}"),
                &object.to_string(),
            ));
        }
    }
    server.expect_transcript("access-roles-of-every-cluster");
    for (name, into) in [("admin", None), ("edit", Some("admin")), ("view", Some("edit"))] {
        let role = server
            .get(&format!("{CLUSTER_ROLES}/{name}"))
            .await
            .expect(200)
            .json();
        let label = |role: &str| format!("rbac.authorization.k8s.io/aggregate-to-{role}");
        let selector = json!([{"matchLabels": {label(name): "true"}}]);
        assert_eq!(role["aggregationRule"]["clusterRoleSelectors"], selector);
        if let Some(into) = into {
            assert_eq!(role["metadata"]["labels"][label(into)], "true");
        }
    }
}

async fn a_missing_role_is_created_by_a_put(server: Cluster) {
    let mut role = json!({"metadata": {"name": "x"}, "rules": [rule(&["get"])]});
    let made = server.put(&format!("{ROLES}/x"), &role).await.expect(201).json();
    role["rules"] = json!([about(&["get", "list"], "", &["pods"])]);
    role["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    server.put(&format!("{ROLES}/x"), &role).await.expect(200);
    server.put(&format!("{ROLES}/x"), &role).await.expect(409);
    let new = binding("x", role_ref("Role", "x"), user(JANE));
    server.put(&format!("{BINDINGS}/x"), &new).await.expect(201);
}

pub(crate) const GATHERING: &[crate::check::Check] = gathering::CHECKS;

mod gathering {
    use super::*;

    checks! {"roles", needs Some(Need::Controllers);
        rules_are_gathered_from_labelled_roles,
        who_may_view_may_read_and_who_may_edit_may_write,
    }

    async fn rules_are_gathered_from_labelled_roles(server: Cluster) {
        let one = json!({
            "metadata": {"name": "{ns}", "labels": {"gather": "{ns}"}}, "rules": [rule(&["get"]), rule(&["list"])],
        });
        server.post(CLUSTER_ROLES, &one).await.expect(201);
        let gathering = json!({
            "metadata": {"name": "{other}"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"gather": "{ns}"}}]},
            "rules": [rule(&["delete"])],
        });
        server.post(CLUSTER_ROLES, &gathering).await.expect(201);
        let path = format!("{CLUSTER_ROLES}/{{other}}");
        let has = |rules: Value| {
            let (server, path) = (server.unrecorded(), path.clone());
            async move {
                eventually("gathered rules", || {
                    let (server, path, rules) = (server.clone(), path.clone(), rules.clone());
                    async move { server.get(&path).await.json()["rules"] == rules }
                })
                .await;
            }
        };
        has(json!([rule(&["get"]), rule(&["list"])])).await;
        let fewer = json!({"rules": [rule(&["list"])]});
        server
            .patch(&format!("{CLUSTER_ROLES}/{{ns}}"), MERGE, &fewer)
            .await
            .expect(200);
        has(json!([rule(&["list"])])).await;
        server
            .delete(&format!("{CLUSTER_ROLES}/{{ns}}"), &Value::Null)
            .await
            .expect(200);
        has(Value::Null).await;
        server.delete(&path, &Value::Null).await.expect(200);
    }

    async fn who_may_view_may_read_and_who_may_edit_may_write(server: Cluster) {
        let config = crate::cluster::CONFIGS;
        for (role, reads, writes, grants) in [
            ("view", 200, 403, 403),
            ("edit", 200, 201, 403),
            ("admin", 200, 201, 201),
        ] {
            let name = format!("{role}.{{ns}}");
            let new = binding(role, role_ref("ClusterRole", role), user(&name));
            server.post(BINDINGS, &new).await.expect(201);
            let asking = server.asking_as(&name);
            eventually("the right to read", || {
                let asking = asking.unrecorded();
                async move { asking.get(config).await.code == reads }
            })
            .await;
            let map = json!({"metadata": {"name": "x"}});
            assert_eq!(
                asking.post(&format!("{config}?dryRun=All"), &map).await.code,
                writes,
                "{role}"
            );
            let less = json!({"metadata": {"name": "x"}, "rules": [about(&["get"], "", &["pods"])]});
            assert_eq!(
                asking.post(&format!("{ROLES}?dryRun=All"), &less).await.code,
                grants,
                "{role}"
            );
        }
    }
}
