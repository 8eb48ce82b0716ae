//! `kubectl` against the server: screens that a real one was seen to give.

use crate::check::{Need, checks};
use crate::cluster::Cluster;
use crate::kubectl::Terminal;
use serde_json::json;

checks! {"kubectl", needs Some(Need::Kubectl);
    get_in_every_format,
    get_with_watch,
    describe,
    apply,
    apply_of_what_is_wrong,
    diff,
    edit,
    patch,
    replace,
    delete,
    annotate,
    label,
    explain,
    api_resources,
    wait,
    auth_can_i,
    create,
    scale,
    events,
    custom_resources,
    namespaces,
    raw,
}

const LEASE: &str = "apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: alpha
  annotations: {coordination.k8s.io/can-lead-leases: default/x}
spec: {holderIdentity: alpha, leaseDurationSeconds: 15}
";

async fn terminal(server: &Cluster) -> Terminal {
    let terminal = Terminal::new(server);
    terminal.file("lease.yaml", LEASE);
    let mut lease =
        json!({"metadata": {"name": "x"}, "spec": {"holderIdentity": "alpha", "leaseDurationSeconds": 15}});
    lease["metadata"]["labels"] = json!({"team": "red"});
    let path = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases";
    server.post(path, &lease).await.expect(201);
    lease["metadata"] = json!({"name": "y"});
    lease["spec"]["holderIdentity"] = "bravo".into();
    server.post(path, &lease).await.expect(201);
    terminal
}

async fn get_in_every_format(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["get", "leases"][..],
        &["get", "leases", "-o", "wide"],
        &["get", "leases", "-o", "yaml"],
        &["get", "lease/x", "-o", "json"],
        &["get", "leases", "-o", "name"],
        &["get", "leases", "-o", "jsonpath={.items[*].spec.holderIdentity}"],
        &[
            "get",
            "leases",
            "-o",
            "custom-columns=NAME:.metadata.name,HOLDER:.spec.holderIdentity",
        ],
        &[
            "get",
            "leases",
            "-o",
            "go-template={{range .items}}{{.metadata.name}} {{end}}",
        ],
        &["get", "leases", "--no-headers"],
        &["get", "leases", "--show-labels"],
        &["get", "leases", "-L", "team"],
        &["get", "leases", "-l", "team=red"],
        &["get", "leases", "--field-selector", "metadata.name=y"],
        &["get", "leases", "--sort-by", ".spec.holderIdentity"],
        &["get", "leases", "--chunk-size=1"],
        &["get", "lease", "x", "y"],
        &["get", "lease", "missing"],
        &["get", "lease", "missing", "--ignore-not-found"],
        &["get", "leases", "-l", "team=blue"],
        &["get", "leases", "--field-selector", "spec.holderIdentity=x"],
        &["get", "nothings"],
        &["get", "configmaps,leases", "-o", "name"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("get");
}

async fn get_with_watch(server: Cluster) {
    let mut terminal = terminal(&server).await;
    let patch = [
        "patch",
        "lease",
        "x",
        "--type=merge",
        "-p",
        "{\"spec\":{\"holderIdentity\":\"carol\"}}",
    ];
    terminal.follow(&["get", "leases", "--watch"], 3, &patch, 1).await;
    let delete = ["delete", "lease", "x"];
    terminal
        .follow(&["get", "leases", "-w", "-o", "name"], 2, &delete, 1)
        .await;
    terminal.expect_screen("get-watch");
}

async fn describe(server: Cluster) {
    let mut terminal = terminal(&server).await;
    terminal.run(&["describe", "lease", "x"]).await;
    terminal.run(&["describe", "lease", "missing"]).await;
    terminal
        .run(&["create", "configmap", "settings", "--from-literal=a=b"])
        .await;
    terminal.run(&["describe", "configmap", "settings"]).await;
    terminal.run(&["describe", "namespace", "{ns}"]).await;
    terminal.expect_screen("describe");
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

async fn explain(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["explain", "lease"][..],
        &["explain", "lease.spec"],
        &["explain", "leases.spec.renewTime"],
        &["explain", "lease.spec.nothing"],
        &["explain", "configmaps.data"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("explain");
}

async fn api_resources(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["api-resources", "--api-group=coordination.k8s.io"][..],
        &["api-resources", "--api-group=coordination.k8s.io", "-o", "wide"],
        &["api-resources", "--api-group=events.k8s.io", "-o", "name"],
        &["api-resources", "--api-group=nothing.example.com"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("api-resources");
}

async fn wait(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &[
            "wait",
            "--for=jsonpath={.spec.holderIdentity}=alpha",
            "lease/x",
            "--timeout=10s",
        ][..],
        &[
            "wait",
            "--for=jsonpath={.spec.holderIdentity}=never",
            "lease/x",
            "--timeout=1s",
        ],
        &["wait", "--for=delete", "lease/x", "--timeout=1s"],
        &["wait", "--for=delete", "lease/missing", "--timeout=1s"],
        &["wait", "--for=condition=Ready", "lease/missing", "--timeout=1s"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("wait");
}

async fn auth_can_i(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["auth", "can-i", "delete", "leases"][..],
        &["auth", "can-i", "get", "leases/status", "-q"],
        &["auth", "can-i", "*", "*"],
        &["auth", "can-i", "get", "/healthz"],
        &["auth", "can-i", "get", "nothings"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("auth-can-i");
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

async fn events(server: Cluster) {
    let mut terminal = terminal(&server).await;
    let event = json!({
        "metadata": {"name": "e"}, "eventTime": "2026-01-02T03:04:05.000006Z", "type": "Normal",
        "reportingController": "example.com/elector", "reportingInstance": "elector-0", "action": "Elect",
        "reason": "Elected", "note": "alpha leads", "regarding": {"kind": "Lease", "namespace": "{ns}", "name": "x",
        "apiVersion": "coordination.k8s.io/v1"},
    });
    server
        .post("/apis/events.k8s.io/v1/namespaces/{ns}/events", &event)
        .await
        .expect(201);
    for arguments in [
        &["events", "--no-headers", "-o", "jsonpath={.items[*].message}"][..],
        &[
            "get",
            "events",
            "-o",
            "custom-columns=REASON:.reason,OBJECT:.involvedObject.name,NOTE:.message",
        ],
        &[
            "get",
            "events",
            "--field-selector",
            "reason=Elected,involvedObject.name=x",
            "-o",
            "name",
        ],
        &["get", "events", "--field-selector", "reason=Other", "-o", "name"],
        &["delete", "event", "e"],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("events");
}

async fn custom_resources(server: Cluster) {
    let mut terminal = terminal(&server).await;
    terminal.file("definition.json", &super::custom::definition().to_string());
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
    super::custom::served(&server).await;
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

async fn raw(server: Cluster) {
    let mut terminal = terminal(&server).await;
    for arguments in [
        &["get", "--raw", "/readyz"][..],
        &["get", "--raw", "/apis/nothing.example.com"],
        &[
            "get",
            "--raw",
            "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/missing",
        ],
        &[
            "delete",
            "--raw",
            "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/missing",
        ],
    ] {
        terminal.run(arguments).await;
    }
    terminal.expect_screen("raw");
}
