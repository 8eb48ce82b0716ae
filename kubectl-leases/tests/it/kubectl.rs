//! The plugin behind the real `kubectl`, where that is installed: found, run with its flags and exit code, and completed.

use std::os::unix::fs::symlink;

use tokio::process::Command;

use crate::fixtures::every_state;
use crate::stage::Stage;

/// `kubectl` with the plugin on its path, or nothing when there is no kubectl.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
async fn kubectl(stage: &Stage, folder: &std::path::Path) -> Option<impl Fn(&str) -> Command> {
    let there = Command::new("kubectl")
        .args(["version", "--client"])
        .output()
        .await;
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: kubectl is not installed");
        return None;
    }
    for name in ["kubectl-leases", "kubectl_complete-leases"] {
        symlink(env!("CARGO_BIN_EXE_kubectl-leases"), folder.join(name)).unwrap();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", folder.display());
    let (kubeconfig, home) = (stage.kubeconfig().to_owned(), folder.to_owned());
    Some(move |args: &str| {
        let mut command = Command::new("kubectl");
        command
            .args(args.split(' '))
            .env("PATH", &path)
            .env("KUBECONFIG", &kubeconfig);
        command.env("HOME", &home).kill_on_drop(true);
        command
    })
}

#[tokio::test]
async fn kubectl_finds_runs_and_completes_the_plugin() {
    let stage = Stage::with(every_state()).await;
    let folder = tempfile::tempdir().unwrap();
    let Some(kubectl) = kubectl(&stage, folder.path()).await else {
        return;
    };
    let said = async |args: &str| {
        let output = kubectl(args).output().await.unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stdout, stderr)
    };
    let (code, stdout, stderr) = said("leases status --problems -o name").await;
    assert_eq!(
        (code, stderr.as_str()),
        (Some(2), ""),
        "the exit code comes through"
    );
    assert!(
        stdout.contains("lease.coordination.k8s.io/unattended"),
        "{stdout}"
    );
    let (code, _, stderr) = said("leases status nope -n default").await;
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("Error from server (NotFound): "), "{stderr}");
    let (_, stdout, _) = said("__complete leases exp").await;
    assert!(stdout.starts_with("explain"), "{stdout}");
    let (_, stdout, _) = said("__complete leases explain nomin").await;
    assert!(stdout.starts_with("nominated\t"), "{stdout}");
}
