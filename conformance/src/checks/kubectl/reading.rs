//! What `kubectl` shows.

use serde_json::json;

use super::terminal;
use crate::check::{Need, checks};
use crate::cluster::Cluster;

checks! {"kubectl", needs Some(Need::Kubectl);
    get_in_every_format,
    get_with_watch,
    describe,
    explain,
    api_resources,
    wait,
    auth_can_i,
    events,
    raw,
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
        &["get", "deployments,leases", "-o", "name"],
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
