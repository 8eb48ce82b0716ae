//! What `kubectl` changes.

use super::{LEASE, terminal};
use crate::check::{Need, checks};
use crate::cluster::Cluster;

checks! {"kubectl", needs Some(Need::Kubectl);
    apply,
    apply_on_the_server,
    apply_of_what_is_wrong,
    diff,
    edit,
    patch,
    replace,
    delete,
    annotate,
    label,
    create,
    scale,
    custom_resources,
    namespaces,
}

async fn apply(server: Cluster) {
    let mut terminal = terminal(&server).await;
    let apply = ["apply", "-f", "lease.yaml"];
    terminal.run(&apply).await;
    terminal.run(&apply).await;
    terminal.file("lease.yaml", &LEASE.replace("15", "20"));
    terminal
        .run(&["apply", "-f", "lease.yaml", "--dry-run=server"])
        .await;
    terminal
        .run(&["apply", "-f", "lease.yaml", "--dry-run=client"])
        .await;
    terminal.run(&apply).await;
    terminal.file("lease.yaml", &LEASE.replace(", leaseDurationSeconds: 15", ""));
    terminal.run(&apply).await;
    terminal.run(&["get", "lease", "alpha", "-o", "yaml"]).await;
    terminal.run(&["apply", "view-last-applied", "lease/alpha"]).await;
    terminal.expect_screen("apply");
}

async fn apply_on_the_server(server: Cluster) {
    let mut terminal = terminal(&server).await;
    let apply = ["apply", "--server-side", "-f", "lease.yaml"];
    terminal.run(&apply).await;
    terminal.run(&apply).await;
    let patch = r#"{"spec": {"leaseDurationSeconds": 30}}"#;
    terminal
        .run(&["patch", "lease", "alpha", "--type=merge", "-p", patch])
        .await;
    terminal.run(&apply).await;
    terminal
        .run(&["diff", "--server-side", "--force-conflicts", "-f", "lease.yaml"])
        .await;
    terminal
        .run(&["apply", "--server-side", "-f", "lease.yaml", "--force-conflicts"])
        .await;
    terminal
        .run(&[
            "apply",
            "--server-side",
            "-f",
            "lease.yaml",
            "--field-manager=dave",
            "--dry-run=server",
        ])
        .await;
    terminal.run(&["label", "lease", "alpha", "team=red"]).await;
    let show = ["get", "lease", "alpha", "-o", "yaml", "--show-managed-fields"];
    terminal.run(&show).await;
    terminal.file("lease.yaml", &LEASE.replace(", leaseDurationSeconds: 15", ""));
    terminal.run(&apply).await;
    terminal.run(&show).await;
    terminal.expect_screen("apply-server-side");
}

async fn apply_of_what_is_wrong(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for text in [
        LEASE.replace("leaseDurationSeconds: 15", "leaseDurationSeconds: 0"),
        LEASE.replace("leaseDurationSeconds: 15", "bogus: 15"),
        LEASE.replace("name: alpha", "name: Alpha"),
        LEASE.replace("name: alpha", "name: alpha\n  namespace: elsewhere"),
    ] {
        terminal.file("lease.yaml", &text);
        terminal.run(&["apply", "-f", "lease.yaml"]).await;
    }
    terminal.expect_screen("apply-wrong");
}

async fn diff(server: Cluster) {
    let mut terminal = terminal(&server).await;
    terminal.run(&["apply", "-f", "lease.yaml"]).await;
    terminal.run(&["diff", "-f", "lease.yaml"]).await;
    terminal.file("lease.yaml", &LEASE.replace("15", "20"));
    terminal.run(&["diff", "-f", "lease.yaml"]).await;
    terminal.expect_screen("diff");
}

async fn edit(server: Cluster) {
    let mut terminal = terminal(&server).await;
    terminal.file("editor.sh", "sed -i s/alpha/dave/ \"$1\"\n");
    terminal.run(&["edit", "lease", "x"]).await;
    terminal
        .run(&["get", "lease", "x", "-o", "jsonpath={.spec.holderIdentity}"])
        .await;
    terminal.run(&["edit", "lease", "x"]).await;
    terminal.expect_screen("edit");
}

async fn patch(server: Cluster) {
    let mut terminal = terminal(&server).await;
    let merge = "{\"spec\":{\"holderIdentity\":\"bravo\"}}";
    let json = "[{\"op\":\"replace\",\"path\":\"/spec/holderIdentity\",\"value\":\"carol\"}]";
    for arguments in [
        &["patch", "lease", "x", "-p", merge][..],
        &["patch", "lease", "x", "-p", merge],
        &[
            "patch",
            "lease",
            "x",
            "--type=merge",
            "-p",
            "{\"spec\":{\"leaseTransitions\":5}}",
            "-o",
            "yaml",
        ],
        &["patch", "lease", "x", "--type=json", "-p", json],
        &[
            "patch",
            "lease",
            "x",
            "-p",
            "{\"spec\":{\"leaseTransitions\":-5}}",
        ],
        &["patch", "lease", "x", "-p", "{\"spec\":{\"bogus\":-5}}"],
        &["patch", "lease", "x", "-p", "{"],
        &["patch", "lease", "missing", "-p", merge],
        &[
            "patch",
            "lease",
            "x",
            "--dry-run=server",
            "-p",
            "{\"spec\":{\"holderIdentity\":\"dry\"}}",
        ],
        &["get", "lease", "x", "-o", "jsonpath={.spec}"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("patch");
}

async fn replace(server: Cluster) {
    let mut terminal = terminal(&server).await;
    terminal.run(&["replace", "-f", "lease.yaml"]).await;
    terminal.run(&["create", "-f", "lease.yaml"]).await;
    terminal.run(&["create", "-f", "lease.yaml"]).await;
    terminal.file("lease.yaml", &LEASE.replace("15", "20"));
    terminal.run(&["replace", "-f", "lease.yaml"]).await;
    terminal.run(&["replace", "--force", "-f", "lease.yaml"]).await;
    terminal.run(&["get", "lease", "alpha"]).await;
    terminal.expect_screen("replace");
}

async fn delete(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["delete", "lease", "x", "--dry-run=server"][..],
        &["delete", "lease", "x"],
        &["delete", "lease", "x"],
        &["delete", "lease", "x", "--ignore-not-found"],
        &["delete", "leases", "-l", "team=red"],
        &["delete", "leases", "--all"],
        &["get", "leases"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("delete");
}

async fn annotate(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["annotate", "lease", "x", "a=b"][..],
        &["annotate", "lease", "x", "a=c"],
        &["annotate", "lease", "x", "a=c", "--overwrite"],
        &["annotate", "lease", "x", "--list"],
        &["annotate", "lease", "x", "a-"],
        &["annotate", "lease", "x", "not good=c"],
        &["annotate", "lease", "x", "a=c", "--resource-version=1"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("annotate");
}

async fn label(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["label", "lease", "x", "a=b"][..],
        &["label", "lease", "x", "a=c"],
        &["label", "leases", "--all", "all=yes"],
        &["label", "lease", "x", "a=b c"],
        &["label", "lease", "x", "a-"],
        &["get", "leases", "--show-labels"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("label");
}

/// These come as protobuf.
async fn create(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["create", "configmap", "settings", "--from-literal=a=b"][..],
        &["create", "configmap", "settings", "--from-literal=a=b"],
        &["create", "serviceaccount", "worker"],
        &["create", "deployment", "web", "--image=web:1", "--replicas=0"],
        &["get", "configmap", "settings", "-o", "yaml"],
        &["get", "serviceaccount", "worker", "-o", "yaml"],
        &["get", "deployment", "web", "-o", "jsonpath={.spec}"],
        &["create", "configmap", "No", "--from-literal=a=b"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("create");
}

async fn scale(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["create", "deployment", "web", "--image=web:1", "--replicas=0"][..],
        &["scale", "deployment", "web", "--replicas=0"],
        &["scale", "deployment", "web", "--replicas=3", "--dry-run=server"],
        &[
            "scale",
            "deployment",
            "web",
            "--current-replicas=7",
            "--replicas=3",
        ],
        &["scale", "deployment", "missing", "--replicas=3"],
        &["get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("scale");
}

async fn custom_resources(server: Cluster) {
    let mut terminal = terminal(&server).await;
    terminal.file(
        "definition.json",
        &crate::checks::custom::definition().to_string(),
    );
    let text =
        "apiVersion: '{group}/v1'\nkind: Foo\nmetadata: {name: a}\nspec: {deploymentName: d, replicas: 2}\n";
    terminal.file("foo.yaml", text);
    terminal.run(&["apply", "-f", "definition.json"]).await;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/foos.{group}",
        "--timeout=20s",
    ];
    terminal.run(&established).await;
    crate::checks::custom::served(&server).await;
    for arguments in [
        &["apply", "-f", "foo.yaml"][..],
        &["apply", "-f", "foo.yaml"],
        &["get", "foos.v1.{group}"],
        &["get", "foos.v1.{group}", "a", "-o", "yaml"],
        &[
            "patch",
            "foos.v1.{group}",
            "a",
            "--type=merge",
            "-p",
            "{\"spec\":{\"replicas\":99}}",
        ],
        &[
            "patch",
            "foos.v1.{group}",
            "a",
            "--type=merge",
            "-p",
            "{\"spec\":{\"replicas\":3}}",
        ],
        &["scale", "foos.v1.{group}", "a", "--replicas=4"],
        &[
            "patch",
            "foos.v1.{group}",
            "a",
            "--subresource=status",
            "--type=merge",
            "-p",
            "{\"status\":{\"availableReplicas\":1}}",
        ],
        &["get", "foos.v1.{group}", "a", "-o", "jsonpath={.spec} {.status}"],
        &["api-resources", "--api-group={group}", "--no-headers"],
        &["explain", "foos.v1.{group}", "--api-version={group}/v1"],
        &["delete", "foos.v1.{group}", "--all"],
        &["delete", "crd", "foos.{group}"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("custom-resources");
}

async fn namespaces(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["create", "namespace", "{other}"][..],
        &["create", "namespace", "{other}"],
        &["get", "namespace", "{other}"],
        &["get", "leases", "--namespace={other}"],
        &["get", "leases", "--namespace={ns}-none"],
        &["create", "configmap", "x", "--namespace={ns}-none"],
        &["delete", "namespace", "{other}", "--wait=false"],
        &["delete", "namespace", "default"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("namespaces");
}
