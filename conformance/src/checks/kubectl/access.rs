//! What `kubectl` says about rights.

use serde_json::json;

use super::terminal;
use crate::check::{Need, checks};
use crate::checks::access::{JANE, about, bind_cluster_role, bind_role, holds, rule, user};
use crate::cluster::Cluster;

checks! {"kubectl", needs Some(Need::Kubectl);
    auth_can_i_as_another,
    auth_can_i_list,
    auth_whoami,
    forbidden,
    roles_and_bindings,
}

/// What Jane may do: something in the namespace, and something everywhere.
async fn jane(server: &Cluster) {
    let mut named = rule(&["update"]);
    named["resourceNames"] = json!(["x"]);
    let here = [
        rule(&["get", "list"]),
        named,
        about(&["get"], "apps", &["deployments/scale"]),
    ];
    bind_role(server, "jane", &here, user(JANE)).await;
    let everywhere = [about(&["get", "list"], "", &["namespaces"])];
    let asking = server.asking_as(JANE);
    bind_cluster_role(server, &everywhere, user(JANE), &asking).await;
    holds(&asking, &here).await;
}

async fn auth_can_i_as_another(server: Cluster) {
    jane(&server).await;
    let mut terminal = terminal(&server).await;
    for question in [
        &["list", "leases"][..],
        &["delete", "leases"],
        &["update", "lease/x"],
        &["update", "leases", "y"],
        &["list", "leases", "--all-namespaces"],
        &["list", "leases", "-n", "default"],
        &["list", "namespaces"],
        &["get", "deployments", "--subresource=scale"],
        &["get", "deployments"],
        &["get", "/healthz"],
        &["get", "/metrics"],
        &["*", "*"],
        &["list", "leases", "-q"],
        &["delete", "leases", "-q"],
    ] {
        let arguments = [&["auth", "can-i"][..], question, &["--as", JANE]].concat();
        terminal.run(&arguments).await;
    }
    for subject in [
        &["--as", "bob", "--as-group", "system:masters"][..],
        &["--as", "system:serviceaccount:{ns}:robot"],
    ] {
        let arguments = [&["auth", "can-i", "list", "leases"][..], subject].concat();
        terminal.run(&arguments).await;
    }
    terminal.expect_screen("auth-can-i-as");
}

async fn auth_can_i_list(server: Cluster) {
    jane(&server).await;
    let mut terminal = terminal(&server).await;
    terminal.run(&["auth", "can-i", "--list", "--as", JANE]).await;
    terminal
        .run(&["auth", "can-i", "--list", "--as", "bob.{ns}", "--no-headers"])
        .await;
    terminal
        .run(&[
            "auth",
            "can-i",
            "--list",
            "--as",
            "bob.{ns}",
            "--as-group",
            "system:masters",
        ])
        .await;
    terminal.expect_screen("auth-can-i-list");
}

async fn auth_whoami(server: Cluster) {
    let mut terminal = terminal(&server).await;
    let jane = [
        "--as",
        "jane",
        "--as-group",
        "devs",
        "--as-group",
        "ops",
        "--as-uid",
        "u-1",
    ];
    for arguments in [
        &["auth", "whoami", "--as", "jane"][..],
        &[&["auth", "whoami"][..], &jane].concat(),
        &[
            &["auth", "whoami", "-o", "jsonpath={.status.userInfo}"][..],
            &jane,
        ]
        .concat(),
        &["auth", "whoami", "--as", "system:serviceaccount:{ns}:robot"],
        &["auth", "whoami", "--as", "system:anonymous"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("auth-whoami");
}

async fn forbidden(server: Cluster) {
    jane(&server).await;
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["get", "leases"][..],
        &["get", "lease", "x", "-o", "name"],
        &["get", "leases", "-w"],
        &["get", "leases", "-A"],
        &["get", "leases", "-n", "default"],
        &["get", "configmaps"],
        &["get", "deployment", "web"],
        &["get", "nothings"],
        &["create", "-f", "lease.yaml"],
        &["apply", "-f", "lease.yaml"],
        &["delete", "lease", "x"],
        &["delete", "leases", "--all"],
        &["patch", "lease", "x", "--type=merge", "-p", "{}"],
        &["scale", "deployment", "web", "--replicas=2"],
        &["label", "lease", "x", "a=b"],
        &["describe", "lease", "x"],
        &["get", "--raw", "/metrics"],
        &["get", "clusterroles"],
        &["create", "configmap", "c"],
    ] {
        let arguments = [arguments, &["--as", JANE]].concat();
        terminal.run(&arguments).await;
    }
    terminal.expect_screen("forbidden");
}

async fn roles_and_bindings(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &[
            "create",
            "role",
            "reader",
            "--verb=get,list",
            "--resource=leases,deployments.apps/scale",
        ][..],
        &[
            "create",
            "role",
            "one",
            "--verb=get",
            "--resource=configmaps",
            "--resource-name=x",
            "--resource-name=y",
        ],
        &[
            "create",
            "rolebinding",
            "readers",
            "--role=reader",
            "--user=jane",
            "--group=devs",
            "--serviceaccount={ns}:robot",
        ],
        &[
            "create",
            "rolebinding",
            "viewers",
            "--clusterrole=view",
            "--user=bob",
        ],
        &[
            "create",
            "clusterrole",
            "{ns}",
            "--verb=get",
            "--non-resource-url=/logs/*",
        ],
        &[
            "create",
            "clusterrolebinding",
            "{ns}",
            "--clusterrole={ns}",
            "--group=devs",
        ],
        &["create", "role", "reader", "--verb=get", "--resource=leases"],
        &["get", "roles", "-o", "name"],
        &["get", "rolebindings"],
        &["get", "rolebindings", "-o", "wide"],
        &["get", "clusterrolebinding", "{ns}", "-o", "wide"],
        &["get", "role", "reader", "-o", "yaml"],
        &["get", "rolebinding", "readers", "-o", "yaml"],
        &["describe", "role", "reader"],
        &["describe", "role", "one"],
        &["describe", "rolebinding", "readers"],
        &["describe", "clusterrole", "{ns}"],
        &["describe", "clusterrolebinding", "{ns}"],
        &["describe", "clusterrole", "system:basic-user"],
        &["set", "subject", "rolebinding", "viewers", "--user=carol"],
        &[
            "patch",
            "rolebinding",
            "viewers",
            "--type=merge",
            "-p",
            "{\"roleRef\":{\"name\":\"edit\"}}",
        ],
        &["delete", "role", "reader", "one"],
        &["delete", "rolebindings", "--all"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("roles-and-bindings");
}
