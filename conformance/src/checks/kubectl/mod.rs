//! `kubectl` against the server: screens that a real one was seen to give.

mod access;
mod reading;
mod writing;

use serde_json::json;

use crate::check::Check;
use crate::cluster::Cluster;
use crate::kubectl::Terminal;

/// All of them.
pub(crate) const GROUPS: [&[Check]; 3] = [reading::CHECKS, writing::CHECKS, access::CHECKS];

pub(super) const LEASE: &str = "apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: alpha
  annotations: {coordination.k8s.io/can-lead-leases: default/x}
spec: {holderIdentity: alpha, leaseDurationSeconds: 15}
";

pub(super) async fn terminal(server: &Cluster) -> Terminal {
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
