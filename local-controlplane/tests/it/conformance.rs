//! The suite that also runs against a real API server (`cargo xtask conformance`), here without a socket.

use conformance::Target;
use local_controlplane::{ControlPlane, User};

#[tokio::test(start_paused = true)]
async fn what_a_real_server_does_is_done_here() {
    let plane = ControlPlane::new();
    tokio::spawn(plane.run_controllers());
    let target = Target {
        client: plane.client(),
        guest: Some(plane.client_of(User::new("guest"))),
        kubeconfig: None,
        controllers: true,
        record: false,
    };
    let report = conformance::run(&target, &conformance::all(), 8, |_| {}).await;
    let failures: Vec<String> = report
        .failures()
        .map(|outcome| format!("{}: {:?}", outcome.check.title(), outcome.verdict))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(report.outcomes.len() > report.skipped().count());
}
