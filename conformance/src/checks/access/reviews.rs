//! Questions about rights, and their answers.

use serde_json::{Value, json};

use super::{
    JANE, RULES_REVIEWS, WHO_AM_I, about, bind_cluster_role, bind_role, binding, jane_with, role_ref, rule,
    rules_in, user,
};
use crate::check::checks;
use crate::cluster::{BINDINGS, Cluster};

checks! {"reviews";
    one_may_ask_about_oneself,
    one_may_ask_about_others,
    an_answer_says_why,
    a_local_review_stays_in_its_namespace,
    rules_are_listed_for_a_namespace,
    reviews_that_make_no_sense,
    to_ask_about_others_is_a_right,
    reviews_keep_nothing,
}

const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

fn attributes(verb: &str) -> Value {
    json!({"verb": verb, "group": "coordination.k8s.io", "resource": "leases", "namespace": "{ns}"})
}

async fn allowed(asking: &Cluster, kind: &str, spec: Value) -> bool {
    let path = format!("{REVIEWS}/{kind}");
    let answer = asking
        .post(&path, &json!({"spec": spec}))
        .await
        .expect(201)
        .json();
    answer["status"]["allowed"] == true
}

async fn one_may_ask_about_oneself(server: Cluster) {
    let mut named = rule(&["get", "update"]);
    named["resourceNames"] = json!(["x"]);
    let rules = [named, about(&["*"], "apps", &["deployments", "*/scale"])];
    let jane = jane_with(&server, &rules).await;
    let with = |changes: Value| {
        let mut attributes = attributes("get");
        attributes
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        attributes
    };
    for (changes, is_allowed) in [
        (json!({"name": "x"}), true),
        (json!({"name": "x", "version": "v9"}), true),
        (json!({"name": "y"}), false),
        (json!({}), false),
        (json!({"name": "x", "verb": "list"}), false),
        (json!({"name": "x", "namespace": "{other}"}), false),
        (json!({"name": "x", "namespace": ""}), false),
        (json!({"name": "x", "subresource": "status"}), false),
        (
            json!({"group": "apps", "resource": "deployments", "verb": "dance"}),
            true,
        ),
        (
            json!({"group": "apps", "resource": "deployments", "subresource": "scale"}),
            true,
        ),
        (json!({"group": "apps", "resource": "deployments/scale"}), false),
        (
            json!({"group": "apps", "resource": "nothings", "subresource": "scale"}),
            true,
        ),
        (json!({"group": "*", "resource": "*", "verb": "*"}), false),
        (
            json!({"name": "x", "fieldSelector": {"rawSelector": "metadata.name=y"}}),
            true,
        ),
    ] {
        let spec = json!({"resourceAttributes": with(changes.clone())});
        let said = allowed(&jane.unrecorded(), "selfsubjectaccessreviews", spec.clone()).await;
        assert_eq!(said, is_allowed, "{changes}");
        assert!(
            allowed(&server.unrecorded(), "selfsubjectaccessreviews", spec).await,
            "masters may: {changes}"
        );
    }
    for (path, is_allowed) in [("/healthz", true), ("/apis/x/y", true), ("/metrics", false)] {
        let spec = json!({"nonResourceAttributes": {"verb": "get", "path": path}});
        assert_eq!(
            allowed(&jane, "selfsubjectaccessreviews", spec).await,
            is_allowed,
            "{path}"
        );
    }
}

async fn one_may_ask_about_others(server: Cluster) {
    jane_with(&server, &[rule(&["get"])]).await;
    let group = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "devs.{ns}"});
    bind_cluster_role(
        &server,
        &[rule(&["list"])],
        group,
        &server.asking_with(&[("impersonate-user", "x"), ("impersonate-group", "devs.{ns}")]),
    )
    .await;
    for (spec, verb, is_allowed) in [
        (json!({"user": JANE}), "get", true),
        (json!({"user": JANE}), "list", false),
        (json!({"user": JANE, "groups": ["devs.{ns}"]}), "list", true),
        (json!({"groups": ["devs.{ns}"]}), "list", true),
        (json!({"user": "bob"}), "get", false),
        (json!({"groups": ["system:masters"]}), "delete", true),
        (
            json!({"user": JANE, "uid": "u", "extra": {"a": ["b"]}}),
            "get",
            true,
        ),
    ] {
        let mut spec = spec;
        spec["resourceAttributes"] = attributes(verb);
        assert_eq!(
            allowed(&server, "subjectaccessreviews", spec.clone()).await,
            is_allowed,
            "{spec}"
        );
    }
    // Only what is said counts: nobody is authenticated by being asked about.
    let own =
        json!({"verb": "create", "group": "authorization.k8s.io", "resource": "selfsubjectaccessreviews"});
    let spec = json!({"user": JANE, "resourceAttributes": own});
    assert!(!allowed(&server, "subjectaccessreviews", spec).await);
    server.expect_transcript("access-reviews");
}

async fn an_answer_says_why(server: Cluster) {
    let robot = json!({"kind": "ServiceAccount", "name": "robot"});
    bind_role(&server, "robot", &[rule(&["get"])], robot).await;
    let lost = binding("lost", role_ref("Role", "lost"), user("bob.{ns}"));
    server.post(BINDINGS, &lost).await.expect(201);
    let jane = server.asking_as(JANE);
    bind_cluster_role(&server, &[rule(&["get"])], user(JANE), &jane).await;
    let account = "system:serviceaccount:{ns}:robot";
    super::holds(&server.asking_as(account), &[rule(&["get"])]).await;
    for (name, groups, reason) in [
        (
            JANE,
            json!([]),
            "RBAC: allowed by ClusterRoleBinding \"{ns}\" of ClusterRole \"{ns}\" to User \"jane.{ns}\"",
        ),
        (
            account,
            json!([]),
            "RBAC: allowed by RoleBinding \"robot/{ns}\" of Role \"robot\" to ServiceAccount \"robot/{ns}\"",
        ),
        (
            "bob.{ns}",
            json!([]),
            "rbac: RBAC: role.rbac.authorization.k8s.io \"lost\" not found",
        ),
        ("carol.{ns}", json!([]), ""),
        ("carol.{ns}", json!(["system:masters"]), ""),
    ] {
        let spec = json!({"user": name, "groups": groups, "resourceAttributes": attributes("get")});
        let path = format!("{REVIEWS}/subjectaccessreviews");
        let answer = server
            .post(&path, &json!({"spec": spec}))
            .await
            .expect(201)
            .json();
        assert_eq!(
            answer["status"]["reason"].as_str().unwrap_or_default(),
            reason,
            "{answer}"
        );
        assert!(answer["status"].get("denied").is_none(), "{answer}");
    }
}

async fn a_local_review_stays_in_its_namespace(server: Cluster) {
    let mut elsewhere = attributes("get");
    elsewhere["namespace"] = "{other}".into();
    let local = format!("{REVIEWS}/namespaces/{{ns}}/localsubjectaccessreviews");
    for spec in [
        json!({"user": JANE, "resourceAttributes": attributes("get")}),
        json!({"user": JANE, "resourceAttributes": elsewhere}),
        json!({"user": JANE, "resourceAttributes": {"verb": "get"}}),
        json!({"user": JANE, "nonResourceAttributes": {"verb": "get", "path": "/"}}),
        json!({"resourceAttributes": attributes("get")}),
        json!({"groups": ["system:masters"], "resourceAttributes": attributes("get")}),
    ] {
        server.post(&local, &json!({"spec": spec})).await;
    }
    let spec = json!({"user": JANE, "resourceAttributes": attributes("get")});
    let named = json!({"metadata": {"namespace": "{ns}"}, "spec": spec});
    server.post(&local, &named).await.expect(201);
    let wrong = json!({"metadata": {"namespace": "{other}"}, "spec": spec});
    server.post(&local, &wrong).await.expect(400);
    server
        .post(&format!("{REVIEWS}/localsubjectaccessreviews"), &named)
        .await
        .expect(404);
    server.expect_transcript("access-local-reviews");
}

async fn rules_are_listed_for_a_namespace(server: Cluster) {
    let mut named = rule(&["get", "update"]);
    named["resourceNames"] = json!(["x"]);
    let rules = [
        named,
        json!({"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments/scale"]}),
    ];
    let jane = jane_with(&server, &rules).await;
    let everywhere = rules_in(&jane, "nowhere").await;
    let here = rules_in(&jane, "{ns}").await;
    assert_eq!(here.len(), everywhere.len() + rules.len());
    assert!(rules.iter().all(|rule| here.contains(rule)), "{here:?}");
    let own = json!({
        "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    });
    assert!(everywhere.contains(&own), "{everywhere:?}");
    let lost = binding("lost", role_ref("Role", "lost"), user(JANE));
    server.post(BINDINGS, &lost).await.expect(201);
    let review = json!({"spec": {"namespace": "{ns}"}});
    super::settled_review(
        &jane,
        &review,
        "role.rbac.authorization.k8s.io \"lost\" not found",
    )
    .await;
    let answer = jane.post(RULES_REVIEWS, &review).await.json();
    assert_eq!(answer["status"]["incomplete"], false);
    assert_eq!(answer["spec"], json!({}));
    // A master's rules are those that are bound to the group.
    let headers = [("impersonate-user", "x"), ("impersonate-group", "system:masters")];
    let all = rules_in(&server.asking_with(&headers), "{ns}").await;
    assert!(all.contains(&json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})));
}

async fn reviews_that_make_no_sense(server: Cluster) {
    let get = attributes("get");
    let path = json!({"verb": "get", "path": "/"});
    for kind in ["selfsubjectaccessreviews", "subjectaccessreviews"] {
        let at = format!("{REVIEWS}/{kind}");
        let someone = |mut spec: Value| {
            if kind == "subjectaccessreviews" {
                spec["user"] = JANE.into();
            }
            json!({"spec": spec})
        };
        for body in [
            json!({}),
            json!({"spec": {}}),
            someone(json!({})),
            someone(json!({"resourceAttributes": get, "nonResourceAttributes": path})),
            someone(json!({"resourceAttributes": {"fieldSelector": {}}})),
            someone(json!({"resourceAttributes": {"labelSelector": {}}})),
            someone(json!({"resourceAttributes": {"fieldSelector": {
                "rawSelector": "a=b", "requirements": [{"key": "a", "operator": "In", "values": ["b"]}],
            }}})),
            someone(json!({"resourceAttributes": {}, "bogus": 1})),
            someone(json!({"resourceAttributes": "x"})),
            json!({"kind": "Pod", "apiVersion": "v1"}),
        ] {
            server.post(&at, &body).await;
        }
        for metadata in [
            json!({"name": "x"}),
            json!({"labels": {"a": "b"}}),
            json!({"namespace": "{ns}"}),
        ] {
            let mut body = someone(json!({"resourceAttributes": get}));
            body["metadata"] = metadata;
            server.post(&at, &body).await;
        }
        server
            .post(
                &format!("{at}?dryRun=All"),
                &someone(json!({"resourceAttributes": get})),
            )
            .await;
        server
            .post(
                &format!("{at}?fieldValidation=Strict"),
                &someone(json!({"resourceAttributes": get, "bogus": 1})),
            )
            .await;
        server.get(&at).await;
    }
    for spec in [json!({}), json!({"namespace": ""}), json!(null)] {
        server.post(RULES_REVIEWS, &json!({"spec": spec})).await;
    }
    server.expect_transcript("access-reviews-without-sense");
}

async fn to_ask_about_others_is_a_right(server: Cluster) {
    let local = "/apis/authorization.k8s.io/v1/namespaces/{ns}/localsubjectaccessreviews";
    let review = json!({"spec": {"user": "bob", "resourceAttributes": attributes("get")}});
    let jane = server.asking_as(JANE);
    for path in [&format!("{REVIEWS}/subjectaccessreviews"), local] {
        jane.post(path, &review).await.expect(403);
    }
    let rules = [about(
        &["create"],
        "authorization.k8s.io",
        &["localsubjectaccessreviews"],
    )];
    let jane = jane_with(&server, &rules).await;
    jane.post(local, &review).await.expect(201);
    jane.post(&format!("{REVIEWS}/subjectaccessreviews"), &review)
        .await
        .expect(403);
    // Who has not even proved who they are may not ask about themselves.
    let nobody = server.asking_as("system:anonymous");
    nobody.post(WHO_AM_I, &json!({})).await.expect(403);
    nobody
        .post(RULES_REVIEWS, &json!({"spec": {"namespace": "{ns}"}}))
        .await
        .expect(403);
    nobody.get("/version").await.expect(200);
    nobody.get("/apis").await.expect(403);
}

async fn reviews_keep_nothing(server: Cluster) {
    let review = json!({"spec": {"resourceAttributes": attributes("get")}, "status": {"allowed": false}});
    let path = format!("{REVIEWS}/selfsubjectaccessreviews");
    let answer = server.post(&path, &review).await.expect(201).json();
    assert_eq!(answer["status"], json!({"allowed": true}));
    let metadata = answer["metadata"].as_object().unwrap();
    assert!(metadata.keys().all(|field| field == "managedFields"), "{answer}");
    server.get(&path).await.expect(405);
    server.get(&format!("{path}/x")).await.expect(404);
    server.delete(&path, &Value::Null).await.expect(405);
    let claimed = json!({"status": {"userInfo": {"username": "somebody"}}});
    let who = server
        .asking_as(JANE)
        .post(WHO_AM_I, &claimed)
        .await
        .expect(201)
        .json();
    assert_eq!(who["status"]["userInfo"]["username"], JANE);
}
