//! Completion, in kubectl's form and as scripts; version and man pages.

use std::process::Stdio;

use crate::fixtures::sample;
use crate::stage::Stage;

fn names(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line.split('\t').next().unwrap())
        .collect()
}

#[tokio::test]
async fn kubectl_is_told_commands_flags_values_and_leases() {
    let stage = Stage::with(sample()).await;
    let commands = stage.complete(&["ex"]).await;
    assert_eq!(names(&commands), ["explain", ":4"]);
    assert!(commands[0].contains('\t'), "with a description: {commands:?}");
    assert!(
        !names(&stage.complete(&[""]).await).contains(&"man"),
        "what is hidden is not offered"
    );
    let flags = stage.complete(&["status", "--prob"]).await;
    assert_eq!(names(&flags), ["--problems", ":4"]);
    let values = stage.complete(&["status", "--sort-by", ""]).await;
    assert!(names(&values).contains(&"state"), "{values:?}");
    let leases = stage.complete(&["explain", "-n", "kube-system", "sam"]).await;
    assert_eq!(leases, ["sample-controller\tHeld by bravo", ":4"]);
    let none = stage
        .complete(&["explain", "-n", "kube-system", "sample-controller", ""])
        .await;
    assert_eq!(none, [":4"], "one lease is enough");
    let file = stage.complete(&["timeline", "x", "--svg"]).await;
    assert_eq!(file.last().map(String::as_str), Some(":4"));
}

#[tokio::test]
async fn scripts_name_every_command() {
    let stage = Stage::with(Vec::new()).await;
    for shell in ["bash", "zsh", "fish"] {
        let ended = crate::errors::plugin(&["completion", shell]).await;
        for command in ["status", "explain", "doctor", "timeline"] {
            assert!(
                ended.stdout.contains(command),
                "{command} in the script of {shell}"
            );
        }
    }
    drop(stage);
    let script = crate::errors::plugin(&["completion", "bash"]).await.stdout;
    let mut bash = std::process::Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(bash.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success(), "bash reads it");
}

#[tokio::test]
async fn both_versions_are_printed() {
    let stage = Stage::with(Vec::new()).await;
    let ended = stage.run("version").await;
    let client = format!("Client Version: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(
        ended.stdout.starts_with(&client) && ended.stdout.contains("Server Version: v1."),
        "{}",
        ended.stdout
    );
    assert_eq!(
        crate::errors::plugin(&["version", "--client"]).await.stdout,
        client
    );
}

#[tokio::test]
async fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let ended = crate::errors::plugin(&["man", folder.path().to_str().unwrap()]).await;
    assert!(!ended.failed, "{}", ended.stderr);
    let mut pages: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(
        pages.contains(&"kubectl-leases.1".to_owned())
            && pages.contains(&"kubectl-leases-explain.1".to_owned())
    );
    assert!(!pages.contains(&"kubectl-leases-man.1".to_owned()), "{pages:?}");
    let page = std::fs::read_to_string(folder.path().join("kubectl-leases-explain.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("what\\-if"), "{page}");
}
