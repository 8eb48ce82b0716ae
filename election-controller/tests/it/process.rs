//! The program: what it says, where, and with which code it ends.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use local_controlplane::{ControlPlane, ServeOptions, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};

use crate::world::{hand_written, holder_of, process, released};

/// No test waits for longer; on a quiet machine each takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

fn program(args: &[&str], kubeconfig: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_election-controller"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .env_remove("KUBECONFIG")
        .env_remove("RUST_LOG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", "/nonexistent");
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--kubeconfig").arg(kubeconfig);
    }
    command
}

/// Its code, its output and its log, when it has ended by itself.
async fn ended(args: &[&str], kubeconfig: Option<&Path>) -> (Option<i32>, String, String) {
    let output = within("the end", program(args, kubeconfig).output())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, log) = (text(&output.stdout), text(&output.stderr));
    assert!(!log.contains("panicked"), "{log}");
    (output.status.code(), out, log)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

struct Cluster {
    plane: ControlPlane,
    server: Server,
    folder: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let plane = ControlPlane::new();
        let server = plane.serve(ServeOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        server
            .write_kubeconfig(&folder.path().join("kubeconfig"))
            .unwrap();
        Self {
            plane,
            server,
            folder,
        }
    }

    fn kubeconfig(&self) -> std::path::PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A copy of the kubeconfig in which a line is another one.
    fn kubeconfig_with(&self, key: &str, value: &str) -> std::path::PathBuf {
        let text = std::fs::read_to_string(self.kubeconfig()).unwrap();
        let lines = text.lines().map(|line| match line.split_once(key) {
            Some((indent, _)) => format!("{indent}{key} {value}\n"),
            None => format!("{line}\n"),
        });
        let copy = self
            .folder
            .path()
            .join(format!("other-{}", key.trim_end_matches(':')));
        std::fs::write(&copy, lines.collect::<String>()).unwrap();
        copy
    }

    async fn create(&self, lease: Lease) {
        let leases: Api<Lease> = Api::namespaced(self.plane.client(), "default");
        leases.create(&PostParams::default(), &lease).await.unwrap();
    }
}

fn start(args: &[&str], kubeconfig: &Path) -> (Child, tokio::io::Lines<BufReader<ChildStderr>>) {
    let mut child = program(args, Some(kubeconfig)).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, log)
}

/// The first line of the log with these words.
async fn logged(log: &mut tokio::io::Lines<BufReader<ChildStderr>>, words: &str) -> String {
    within(words, async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains(words) {
                return line;
            }
        }
        panic!("it ended without a word of {words:?}")
    })
    .await
}

async fn terminated(mut child: Child) -> Option<i32> {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(sent.success());
    within("the end", child.wait()).await.unwrap().code()
}

#[tokio::test]
async fn mistakes_are_told_at_once_and_plainly() {
    let cluster = Cluster::start().await;
    let good = cluster.kubeconfig();
    let missing = cluster.folder.path().join("missing");
    let broken = cluster.folder.path().join("broken");
    std::fs::write(&broken, "clusters: [").unwrap();
    let wrong_token = cluster.kubeconfig_with("token:", "wrong");
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let no_server = cluster.kubeconfig_with("server:", &format!("https://{nobody}"));
    let once: &[&str] = &["--once", "--dry-run"];
    for (args, kubeconfig, code, words) in [
        (&["--lease-duration", "1500ms"][..], &good, 2, "whole seconds"),
        (&["--accept-window", "soon"], &good, 2, "500ms, 15s or 2m"),
        (&["--settle-window=-1s"], &good, 2, "negative"),
        (&["--strategy", "Random"], &good, 2, "OldestEmulationVersion"),
        (&["--dry-run"], &good, 2, "--once"),
        (
            &["--namespace", "Team_A"],
            &good,
            1,
            "\"Team_A\" is not the name of a namespace",
        ),
        (
            &["--back-off", "2h"],
            &good,
            1,
            "the back-off must be above zero and at most its maximum",
        ),
        (&["--context", "nowhere"], &good, 1, "nowhere"),
        (once, &missing, 1, "missing"),
        (once, &broken, 1, "broken"),
        (once, &wrong_token, 1, "Unauthorized"),
        (
            once,
            &no_server,
            1,
            "nothing could be decided with https://127.0.0.1",
        ),
    ] {
        let (ended_with, out, log) = ended(args, Some(kubeconfig)).await;
        assert_eq!(ended_with, Some(code), "{args:?}: {log}");
        assert!(log.contains(words), "{args:?} should speak of {words:?}: {log}");
        assert_eq!(out, "", "{args:?}");
    }
    let (code, _, log) = ended(once, None).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("kubeconfig"), "{log}");
}

#[tokio::test]
async fn the_help_has_examples_permissions_and_exit_codes() {
    let (code, out, _) = ended(&["--help"], None).await;
    assert_eq!(code, Some(0));
    for words in [
        "Examples:",
        "--once --dry-run",
        "It needs get, list, watch",
        "Exit code:",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[tokio::test]
async fn one_look_prints_its_report_and_nothing_else() {
    let cluster = Cluster::start().await;
    cluster.create(hand_written("alpha", "1.29")).await;
    let before = cluster.plane.requests();
    let (code, out, log) = ended(&["--once", "--dry-run"], Some(&cluster.kubeconfig())).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(
        out.starts_with("default/demo: missing\ndecision: wait\nreason: Settling: "),
        "{out}"
    );
    assert!(
        out.contains("1. alpha (emulation 1.29, binary 1.29): first in line"),
        "{out}"
    );

    let (_, json, _) = ended(
        &["--once", "--dry-run", "-o", "json"],
        Some(&cluster.kubeconfig()),
    )
    .await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["leases"][0]["lease"], "default/demo");
    assert_eq!(json["leases"][0]["candidates"][0]["identity"], "alpha");
    let (_, yaml, _) = ended(
        &["--once", "--dry-run", "-o", "yaml"],
        Some(&cluster.kubeconfig()),
    )
    .await;
    assert!(yaml.contains("lease: default/demo"), "{yaml}");
    let writes = cluster
        .plane
        .requests()
        .since(&before)
        .count(|request| request.verb != "list" && request.verb != "watch");
    assert_eq!(writes, 0, "a dry run writes nothing");
}

#[tokio::test]
async fn one_look_that_acts_says_what_became_of_it() {
    let cluster = Cluster::start().await;
    let leases: Api<Lease> = Api::namespaced(cluster.plane.client(), "default");
    cluster.create(released()).await;
    cluster.create(process("alpha", "1.29")).await;
    let (code, out, log) = ended(&["--once"], Some(&cluster.kubeconfig())).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(out.contains("outcome: offer: done"), "{out}");
    let lease = leases.get("demo").await.unwrap();
    assert_eq!(holder_of(&lease).as_deref(), Some("alpha"));
}

/// A server that takes connections and never says anything.
#[tokio::test]
async fn one_look_at_a_silent_server_ends_by_itself_or_when_asked() {
    let cluster = Cluster::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://{}", silent.local_addr().unwrap());
    let kubeconfig = cluster.kubeconfig_with("server:", &server);
    let (code, out, log) = ended(&["--once"], Some(&kubeconfig)).await;
    assert_eq!((code, out.as_str()), (Some(1), ""), "{log}");
    assert!(log.contains("no answer from the API server within 2.4s"), "{log}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://{}", silent.local_addr().unwrap());
    let kubeconfig = cluster.kubeconfig_with("server:", &server);
    let (elector, mut log) = start(&["--once"], &kubeconfig);
    // Its signal handlers are there before it connects.
    let _connection = within("a connection", silent.accept()).await.unwrap();
    assert_eq!(terminated(elector).await, Some(1));
    logged(&mut log, "asked to end before everything was looked at").await;
}

#[tokio::test]
async fn a_server_that_refuses_the_token_is_told_and_asked_again() {
    let cluster = Cluster::start().await;
    let wrong_token = cluster.kubeconfig_with("token:", "wrong");
    let (elector, mut log) = start(&[], &wrong_token);
    let line = logged(&mut log, "leases cannot be watched").await;
    assert!(line.contains("Unauthorized"), "{line}");
    assert!(line.contains("check the token"), "{line}");
    assert_eq!(terminated(elector).await, Some(0));
}

#[tokio::test]
async fn it_elects_logs_for_machines_and_ends_when_asked() {
    let cluster = Cluster::start().await;
    cluster.create(process("alpha", "1.29")).await;
    let args = ["--assume-unheld", "--log-format", "json"];
    let (elector, mut log) = start(&args, &cluster.kubeconfig());
    let line = logged(&mut log, "\"decision\":\"Offer\"").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["fields"]["lease"], "default/demo");
    assert_eq!(line["fields"]["reason"], "Vacant");
    assert_eq!(terminated(elector).await, Some(0));
}

#[tokio::test]
async fn without_a_server_it_says_so_and_still_ends_when_asked() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig();
    cluster.server.shutdown().await;
    let (mut elector, mut log) = start(&[], &kubeconfig);
    let line = logged(&mut log, "WARN").await;
    assert!(line.contains("refused"), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours in a file: {line:?}");
    let mut rest = String::new();
    let stdout = elector.stdout.take();
    assert_eq!(terminated(elector).await, Some(0));
    stdout.unwrap().read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "");
}
