//! Who may do what: RBAC, acting as somebody else, and the questions about it.
//!
//! The suite asks as an administrator, who may act as anybody: a user here is a header. A server may take a moment until
//! it judges by what was just written, so rights are waited for.

mod granting;
mod impersonation;
mod objects;
mod reviews;
mod rights;
mod subjects;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::check::Check;
use crate::cluster::{BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, Cluster, ROLES, eventually};

/// All of them.
pub(crate) const GROUPS: [&[Check]; 8] = [
    rights::CHECKS,
    subjects::CHECKS,
    granting::CHECKS,
    objects::CHECKS,
    objects::GATHERING,
    impersonation::CHECKS,
    impersonation::GUESTS,
    reviews::CHECKS,
];

pub(super) const JANE: &str = "jane.{ns}";
pub(super) const RULES_REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
pub(super) const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const GROUP: &str = "rbac.authorization.k8s.io";

/// A rule about leases, or about what else is said.
pub(super) fn rule(verbs: &[&str]) -> Value {
    about(verbs, "coordination.k8s.io", &["leases"])
}

pub(super) fn about(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

pub(super) fn user(name: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": "User", "name": name})
}

pub(super) fn role_ref(kind: &str, name: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": kind, "name": name})
}

pub(super) fn binding(name: &str, role: Value, subject: Value) -> Value {
    json!({"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
}

/// Makes a Role of these rules, and binds it to somebody in `{ns}`. Both are called `name`.
pub(super) async fn bind_role(server: &Cluster, name: &str, rules: &[Value], subject: Value) {
    let server = server.unrecorded();
    let role = json!({"metadata": {"name": name}, "rules": rules});
    server.post(ROLES, &role).await.expect(201);
    let binding = binding(name, role_ref("Role", name), subject);
    server.post(BINDINGS, &binding).await.expect(201);
}

/// Lets Jane do this in `{ns}`, and returns the server as she sees it.
pub(super) async fn jane_with(server: &Cluster, rules: &[Value]) -> Cluster {
    bind_role(server, "jane", rules, user(JANE)).await;
    let jane = server.asking_as(JANE);
    holds(&jane, rules).await;
    jane
}

/// Makes the ClusterRole `{ns}`.
pub(super) async fn cluster_role(server: &Cluster, rules: &[Value]) {
    let role = json!({"metadata": {"name": "{ns}"}, "rules": rules});
    server.unrecorded().post(CLUSTER_ROLES, &role).await.expect(201);
}

/// Makes the ClusterRole `{ns}` and the ClusterRoleBinding `{ns}`, and waits until who is asked as has the rules.
pub(super) async fn bind_cluster_role(server: &Cluster, rules: &[Value], subject: Value, asking: &Cluster) {
    cluster_role(server, rules).await;
    let binding = binding("{ns}", role_ref("ClusterRole", "{ns}"), subject);
    let made = server.unrecorded().post(CLUSTER_BINDINGS, &binding).await;
    made.expect(201);
    holds(asking, rules).await;
}

/// Waits until the server judges by these rules.
pub(super) async fn holds(asking: &Cluster, rules: &[Value]) {
    let asking = asking.unrecorded();
    let wanted: Vec<Value> = rules.to_vec();
    eventually("the rights that were given", || {
        let (asking, wanted) = (asking.clone(), wanted.clone());
        async move {
            let all = rules_in(&asking, "{ns}").await;
            wanted.iter().all(|rule| all.contains(rule))
        }
    })
    .await;
}

/// Waits until somebody has no right to do this to leases in `{ns}`.
pub(super) async fn has_lost(server: &Cluster, name: &str, verb: &str) {
    let server = server.unrecorded();
    let review = json!({"spec": {"user": name, "resourceAttributes": {
        "namespace": "{ns}", "verb": verb, "group": "coordination.k8s.io", "resource": "leases",
    }}});
    eventually("the right that was taken", || {
        let (server, review) = (server.clone(), review.clone());
        async move { server.post(REVIEWS, &review).await.json()["status"]["allowed"] == false }
    })
    .await;
}

/// What who asks may do in a namespace.
pub(super) async fn rules_in(asking: &Cluster, namespace: &str) -> Vec<Value> {
    let review = json!({"spec": {"namespace": namespace}});
    let reply = asking.post(RULES_REVIEWS, &review).await.expect(201).json();
    let rules = |field: &str| {
        let rules = reply["status"][field].as_array().cloned();
        rules.unwrap_or_default()
    };
    [rules("resourceRules"), rules("nonResourceRules")].concat()
}

/// Creates something, again and again while the server has not yet seen what it depends on.
pub(super) async fn settled(asking: &Cluster, path: &str, body: &Value, code: u16) -> Answer {
    let quiet = asking.unrecorded();
    eventually("what was written is seen", || {
        let quiet = quiet.clone();
        async move { quiet.post(path, body).await.code == code }
    })
    .await;
    asking.post(path, body).await
}

/// Waits until the rules of who asks cannot all be found, for this reason.
pub(super) async fn settled_review(asking: &Cluster, review: &Value, error: &str) {
    let quiet = asking.unrecorded();
    eventually("the binding is seen", || {
        let quiet = quiet.clone();
        async move {
            let answer = quiet.post(RULES_REVIEWS, review).await.json();
            answer["status"]["evaluationError"] == error
        }
    })
    .await;
}
