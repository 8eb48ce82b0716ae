//! The plugin behind the real `kubectl`, where that is installed: found, run with its flags and exit code, and completed.

use std::process::Output;

use crate::fixtures::every_state;
use crate::stage::Stage;
use crate::tools::Desk;

async fn kubectl(desk: &Desk, args: &str) -> (Option<i32>, String, String) {
    let mut command = desk.command("kubectl");
    // What is asked of nobody is not waited for.
    command.args(args.split(' ')).stdin(std::process::Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn kubectl_finds_runs_and_completes_the_plugin() {
    let stage = Stage::with(every_state()).await;
    let desk = Desk::new(&stage).await;
    if !desk.has_kubectl() {
        return;
    }
    let (code, stdout, stderr) = kubectl(&desk, "leases status --problems -o name").await;
    assert_eq!(
        (code, stderr.as_str()),
        (Some(2), ""),
        "the exit code comes through"
    );
    assert!(
        stdout.contains("lease.coordination.k8s.io/unattended"),
        "{stdout}"
    );
    let (code, _, stderr) = kubectl(&desk, "leases status nope -n default").await;
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("Error from server (NotFound): "), "{stderr}");
    let (_, stdout, _) = kubectl(&desk, "__complete leases exp").await;
    assert!(stdout.starts_with("explain"), "{stdout}");
    let (_, stdout, _) = kubectl(&desk, "__complete leases explain nomin").await;
    assert!(stdout.starts_with("nominated\t"), "{stdout}");
}

/// Each command, with its exit code and a word of what it says. `top` is run in tmux, `watch` goes on without end.
const COMMANDS: [(&str, i32, &str); 18] = [
    ("leases status -n default", 0, "Held,Nominated"),
    ("leases status -A --problems", 2, "Unattended"),
    ("leases status nominated -n default", 0, "Successor:   old"),
    ("leases explain nominated -n default", 0, "What would change it:"),
    (
        "leases explain held --what-if newest=1.28 -n default",
        0,
        "SUPPOSED: newest",
    ),
    ("leases candidates held -n default", 0, "holds the lease"),
    ("leases doctor -n default", 2, "problem"),
    ("leases timeline held -n default", 0, "Who led"),
    (
        "leases step-down held -n default --dry-run=server",
        0,
        "(server dry run)",
    ),
    ("leases step-down held -n default", 1, "add --yes"),
    ("leases hold held -n default --for 10m --yes", 0, "put on hold"),
    ("leases release-hold held -n default --yes", 0, ""),
    ("leases pin held new -n default --yes", 0, "pinned to new"),
    ("leases unpin held -n default --yes", 0, ""),
    ("leases forget dead -n default --yes", 0, "forgotten"),
    ("leases completion bash", 0, "complete -o default"),
    ("leases version", 0, "Server Version:"),
    ("leases help", 0, "Examples:"),
];

#[tokio::test]
async fn every_command_runs_behind_kubectl() {
    let stage = Stage::with(every_state()).await;
    let desk = Desk::new(&stage).await;
    if !desk.has_kubectl() {
        return;
    }
    for (args, code, word) in COMMANDS {
        let (ended, stdout, stderr) = kubectl(&desk, args).await;
        let said = format!("{stdout}{stderr}");
        assert!(
            ended == Some(code) && said.contains(word),
            "{args}: {ended:?}\n{said}"
        );
    }
    let flags = "--as vera --as-group dev --request-timeout 5s --context c --cluster c --user u";
    let (code, _, stderr) = kubectl(&desk, &format!("leases status -n default {flags}")).await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("\"vera\"") && stderr.contains("Forbidden"),
        "{stderr}"
    );
    let mut watching = desk.command("kubectl");
    watching
        .args(["leases", "watch", "held", "-n", "default"])
        .stdout(std::process::Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(watching.stdout.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line)
        .await
        .unwrap();
    assert!(line.contains("default/held") && line.contains(" Is "), "{line}");
    watching.kill().await.unwrap();
}
