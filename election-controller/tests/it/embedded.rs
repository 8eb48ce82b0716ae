//! An elector inside another program (`examples/embedded.rs`): both work, both end at the same signal.

use std::process::Stdio;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use local_controlplane::{ControlPlane, ServeOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::stage::ELECTORS;
use crate::world::{DEMO, NAMESPACE, holder_of, process, released};

#[tokio::test]
async fn it_elects_beside_the_work_and_gives_its_turn_back_at_the_end() {
    let plane = ControlPlane::new();
    let server = plane.serve(ServeOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    server.write_kubeconfig(&kubeconfig).unwrap();
    let leases: Api<Lease> = Api::namespaced(plane.client(), NAMESPACE);
    for lease in [released(), process("alpha", "1.30")] {
        leases.create(&PostParams::default(), &lease).await.unwrap();
    }
    // Beside this test's own program, in `deps`.
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/embedded");
    assert!(
        program.exists(),
        "not built by `--test`: cargo build -p election-controller --example embedded"
    );
    let mut child = Command::new(program)
        .env("KUBECONFIG", &kubeconfig)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();

    let offered = |lease: Option<&Lease>| lease.and_then(holder_of).as_deref() == Some("alpha");
    await_condition(leases, DEMO, offered).await.unwrap();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("worked for 0 s"));
    let electors: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    assert!(
        holder_of(&electors.get(ELECTORS).await.unwrap()).is_some(),
        "its turn"
    );

    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let mut last = Vec::new();
    while let Some(line) = said.next_line().await.unwrap() {
        last.push(line);
    }
    assert!(
        last.ends_with(&[
            "the work has stopped".to_owned(),
            "the turn is given back".to_owned()
        ]),
        "{last:?}"
    );
    assert!(child.wait().await.unwrap().success());
    assert_eq!(
        holder_of(&electors.get(ELECTORS).await.unwrap()),
        None,
        "the next one need not wait"
    );
}
