//! Acting as somebody else: whom one then is, and who may.

use serde_json::{Value, json};

use super::{JANE, WHO_AM_I, about, bind_cluster_role, bind_role, holds, rule, user};
use crate::check::checks;
use crate::cluster::{Cluster, LEASES};

checks! {"impersonation";
    who_one_then_is,
    headers_without_a_user_are_refused,
}

pub(crate) const GUESTS: &[crate::check::Check] = guests::CHECKS;

mod guests {
    use super::*;

    checks! {"impersonation", needs Some(crate::check::Need::Guest);
    nobody_may_act_as_another_without_the_right,
    the_right_to_impersonate_is_one_to_each_part,
    service_accounts_are_impersonated_in_their_namespace,
    a_right_may_be_limited_to_what_is_done,
    masters_cannot_be_impersonated_within_limits,
    a_node_is_in_the_group_of_nodes_within_limits,
    rights_are_those_of_the_impersonated,
    }
}

async fn who_one_then_is(server: Cluster) {
    let user = ("impersonate-user", "jane");
    for headers in [
        &[user][..],
        &[user, ("impersonate-group", "a"), ("impersonate-group", "b")],
        &[
            user,
            ("impersonate-group", "system:authenticated"),
            ("impersonate-group", "a"),
        ],
        &[user, ("impersonate-uid", "u-1")],
        &[
            user,
            ("impersonate-extra-scopes", "a"),
            ("impersonate-extra-scopes", "b"),
        ],
        &[user, ("impersonate-extra-Example.com%2fProject", "x y")],
        &[user, ("impersonate-group", "system:masters")],
        &[("impersonate-user", "")],
        &[("impersonate-user", "system:serviceaccount:default:robot")],
        &[
            ("impersonate-user", "system:serviceaccount:default:robot"),
            ("impersonate-group", "a"),
        ],
        &[("impersonate-user", "system:serviceaccount:robot")],
        &[("impersonate-user", "system:serviceaccount:Default:robot")],
        &[("impersonate-user", "system:anonymous")],
        &[user, ("impersonate-group", "system:unauthenticated")],
    ] {
        let answer = server
            .unrecorded()
            .asking_with(headers)
            .post(WHO_AM_I, &json!({}))
            .await;
        let mut said = answer.json();
        if headers == [("impersonate-user", "")] {
            // Whoever asks, they are themselves.
            assert!(
                said["status"]["userInfo"]["groups"]
                    .as_array()
                    .unwrap()
                    .contains(&"system:masters".into())
            );
            continue;
        }
        if let Some(metadata) = said["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let asked: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        server.record(crate::cluster::Exchange::event(
            &asked.join(" "),
            &said.to_string(),
        ));
    }
    server.expect_transcript("access-who-one-then-is");
}

async fn headers_without_a_user_are_refused(server: Cluster) {
    for headers in [
        [("impersonate-group", "a")],
        [("impersonate-uid", "u")],
        [("impersonate-extra-a", "b")],
    ] {
        let asking = server.asking_with(&headers);
        assert_eq!(
            asking.get(LEASES).await.refusal(),
            (400, "BadRequest".into()),
            "{headers:?}"
        );
    }
}

/// Whom nothing is allowed but what the check allows.
const GUEST: &str = "guest";
const WHO: &str = "authentication.k8s.io";

fn named(verb: &str, group: &str, resource: &str, name: &str) -> Value {
    json!({"verbs": [verb], "apiGroups": [group], "resources": [resource], "resourceNames": [name]})
}

async fn nobody_may_act_as_another_without_the_right(server: Cluster) {
    bind_role(&server, "jane", &[rule(&["list"])], user(JANE)).await;
    holds(&server.asking_as(JANE), &[rule(&["list"])]).await;
    let guest = server.as_guest();
    for name in [
        JANE,
        GUEST,
        "system:serviceaccount:{ns}:robot",
        "system:node:n",
        "system:anonymous",
    ] {
        let refused = guest.asking_as(name).get(LEASES).await;
        assert_eq!(refused.refusal(), (403, "Forbidden".into()), "{name}");
        guest.asking_as(name).get("/version").await.expect(403);
    }
    guest.get("/version").await.expect(200);
}

async fn the_right_to_impersonate_is_one_to_each_part(server: Cluster) {
    let guest = server.as_guest();
    let rules = [
        named("impersonate", "", "users", JANE),
        named("impersonate", "", "groups", "devs.{ns}"),
        named("impersonate", WHO, "uids", "uid.{ns}"),
        named("impersonate", WHO, "userextras/scopes", "scope.{ns}"),
    ];
    bind_cluster_role(&server, &rules, user(GUEST), &guest).await;
    let jane = ("impersonate-user", JANE);
    let group = ("impersonate-group", "devs.{ns}");
    for (headers, code) in [
        (&[jane][..], 201),
        (&[("impersonate-user", "bob.{ns}")], 403),
        (&[jane, group], 201),
        (&[jane, group, ("impersonate-group", "ops.{ns}")], 403),
        (&[jane, ("impersonate-group", "system:masters")], 403),
        (&[jane, ("impersonate-uid", "uid.{ns}")], 201),
        (&[jane, ("impersonate-uid", "other.{ns}")], 403),
        (&[jane, ("impersonate-extra-scopes", "scope.{ns}")], 201),
        (
            &[
                jane,
                ("impersonate-extra-scopes", "scope.{ns}"),
                ("impersonate-extra-scopes", "x"),
            ],
            403,
        ),
        (&[jane, ("impersonate-extra-other", "scope.{ns}")], 403),
        (
            &[
                jane,
                group,
                ("impersonate-uid", "uid.{ns}"),
                ("impersonate-extra-scopes", "scope.{ns}"),
            ],
            201,
        ),
    ] {
        let answer = guest.asking_with(headers).post(WHO_AM_I, &json!({})).await;
        assert_eq!(answer.code, code, "{headers:?} {answer:?}");
    }
}

async fn service_accounts_are_impersonated_in_their_namespace(server: Cluster) {
    server.make_other().await;
    let rules = [named("impersonate", "", "serviceaccounts", "robot")];
    bind_role(&server, "guest", &rules, user(GUEST)).await;
    let guest = server.as_guest();
    holds(&guest, &rules).await;
    for (account, code) in [("{ns}:robot", 201), ("{ns}:other", 403), ("{other}:robot", 403)] {
        let asking = guest.asking_as(&format!("system:serviceaccount:{account}"));
        let answer = asking.post(WHO_AM_I, &json!({})).await;
        assert_eq!(answer.code, code, "{account} {answer:?}");
        if code == 201 {
            let groups = [
                "system:serviceaccounts",
                "system:serviceaccounts:{ns}",
                "system:authenticated",
            ];
            assert_eq!(answer.json()["status"]["userInfo"]["groups"], json!(groups));
        }
    }
}

async fn a_right_may_be_limited_to_what_is_done(server: Cluster) {
    server.make_other().await;
    server.lease("x", "alpha").await;
    let both = [rule(&["get", "list"])];
    bind_role(&server, "jane", &both, user(JANE)).await;
    let robot = json!({"kind": "ServiceAccount", "name": "robot"});
    bind_role(&server, "robot", &both, robot).await;
    let guest = server.as_guest();
    let on = [
        rule(&[
            "impersonate-on:user-info:list",
            "impersonate-on:serviceaccount:get",
        ]),
        named("impersonate:serviceaccount", WHO, "serviceaccounts", "robot"),
    ];
    bind_role(&server, "guest", &on, user(GUEST)).await;
    let whom = [
        named("impersonate:user-info", WHO, "users", JANE),
        named("impersonate:user-info", WHO, "groups", "devs.{ns}"),
    ];
    bind_cluster_role(&server, &whom, user(GUEST), &guest).await;
    holds(&guest, &on).await;
    let x = format!("{LEASES}/x");
    let other = "/apis/coordination.k8s.io/v1/namespaces/{other}/leases";
    let jane = guest.asking_as(JANE);
    jane.get(LEASES).await.expect(200);
    jane.get(&x).await.expect(403);
    jane.get(other).await.expect(403);
    let with = |header, value| guest.asking_with(&[("impersonate-user", JANE), (header, value)]);
    with("impersonate-group", "devs.{ns}")
        .get(LEASES)
        .await
        .expect(200);
    with("impersonate-group", "ops.{ns}")
        .get(LEASES)
        .await
        .expect(403);
    with("impersonate-uid", "uid.{ns}").get(LEASES).await.expect(403);
    guest.asking_as("bob.{ns}").get(LEASES).await.expect(403);
    let robot = guest.asking_as("system:serviceaccount:{ns}:robot");
    robot.get(&x).await.expect(200);
    robot.get(LEASES).await.expect(403);
}

async fn a_node_is_in_the_group_of_nodes_within_limits(server: Cluster) {
    let guest = server.as_guest();
    let on = about(
        &["impersonate-on:arbitrary-node:create"],
        WHO,
        &["selfsubjectreviews"],
    );
    let rules = [on, named("impersonate:arbitrary-node", WHO, "nodes", "n.{ns}")];
    bind_cluster_role(&server, &rules, user(GUEST), &guest).await;
    let node = guest
        .asking_as("system:node:n.{ns}")
        .post(WHO_AM_I, &json!({}))
        .await;
    let groups = json!(["system:nodes", "system:authenticated"]);
    assert_eq!(node.expect(201).json()["status"]["userInfo"]["groups"], groups);
    guest
        .asking_as("system:node:m.{ns}")
        .post(WHO_AM_I, &json!({}))
        .await
        .expect(403);
    // More than a name is not given to a node.
    let more = [
        ("impersonate-user", "system:node:n.{ns}"),
        ("impersonate-group", "system:nodes"),
    ];
    guest
        .asking_with(&more)
        .post(WHO_AM_I, &json!({}))
        .await
        .expect(403);
}

async fn masters_cannot_be_impersonated_within_limits(server: Cluster) {
    let guest = server.as_guest();
    let mut groups = named("impersonate:user-info", WHO, "groups", "devs.{ns}");
    groups["resourceNames"] = json!(["devs.{ns}", "system:masters", ""]);
    let rules = [named("impersonate:user-info", WHO, "users", JANE), groups];
    let here = [rule(&["impersonate-on:user-info:list"])];
    bind_role(&server, "jane", &[rule(&["list"])], user(JANE)).await;
    bind_role(&server, "guest", &here, user(GUEST)).await;
    bind_cluster_role(&server, &rules, user(GUEST), &guest).await;
    holds(&guest, &here).await;
    let with = |group| guest.asking_with(&[("impersonate-user", JANE), ("impersonate-group", group)]);
    with("devs.{ns}").get(LEASES).await.expect(200);
    with("system:masters").get(LEASES).await.expect(403);
    with("").get(LEASES).await.expect(403);
}

async fn rights_are_those_of_the_impersonated(server: Cluster) {
    let guest = server.as_guest();
    let list = [rule(&["list"])];
    bind_role(&server, "guest", &list, user(GUEST)).await;
    bind_cluster_role(
        &server,
        &[named("impersonate", "", "users", JANE)],
        user(GUEST),
        &guest,
    )
    .await;
    holds(&guest, &list).await;
    guest.get(LEASES).await.expect(200);
    let jane = guest.asking_as(JANE);
    let refused = jane.get(LEASES).await.expect(403).json();
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("User \"jane.{ns}\" cannot list resource \"leases\""),
        "{message}"
    );
    // An administrator who acts as somebody has no more rights than they have.
    server.asking_as(JANE).get(LEASES).await.expect(403);
}
