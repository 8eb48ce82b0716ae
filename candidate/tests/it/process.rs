//! `candidate run` as a process: what it says about mistakes, and what it does on signals.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use election_core::wire;
use election_core::{LeaseCreate, LeaseKey, LeaseSeconds, LeaseState};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use local_controlplane::{ControlPlane, ServeOptions, Server};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const LEASE: &str = "kube-system/demo";

fn candidate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candidate"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("KUBECONFIG")
        .env_remove("POD_NAME")
        .kill_on_drop(true);
    command
}

/// Runs it to its end, which must come by itself and soon.
async fn fails(args: &[&str], kubeconfig: &Path) -> (i32, String) {
    let run = candidate(args).env("KUBECONFIG", kubeconfig).output();
    let output = within("the command ends", run).await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    let last = text.lines().last().unwrap_or_default();
    for cause in last.split(": ").filter(|cause| cause.len() > 20) {
        assert_eq!(last.matches(cause).count(), 1, "said twice: {last}");
    }
    (output.status.code().unwrap(), text)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(30), future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within 30 s"))
}

async fn serve(folder: &Path) -> (ControlPlane, Server, std::path::PathBuf) {
    let plane = ControlPlane::new();
    let server = plane.serve(ServeOptions::default()).await.unwrap();
    let kubeconfig = folder.join("kubeconfig");
    server.write_kubeconfig(&kubeconfig).unwrap();
    (plane, server, kubeconfig)
}

#[tokio::test]
async fn mistakes_are_told_at_once_and_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let (_plane, _server, good) = serve(folder.path()).await;
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "clusters: [").unwrap();
    let missing = folder.path().join("missing");
    let wrong_token = folder.path().join("wrong-token");
    let text = std::fs::read_to_string(&good).unwrap();
    let with_other = text.lines().map(|line| match line.split_once("token:") {
        Some((indent, _)) => format!("{indent}token: wrong\n"),
        None => format!("{line}\n"),
    });
    std::fs::write(&wrong_token, with_other.collect::<String>()).unwrap();

    let run = ["run", "--lease", LEASE, "--binary-version", "1.30"];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    let program: &[&'static str] = &["--", "sleep", "60"];
    for (args, kubeconfig, code, words) in [
        (
            vec!["run", "--lease", "demo", "--binary-version", "1.30", "--", "true"],
            &good,
            2,
            "NAMESPACE/NAME",
        ),
        (
            vec!["run", "--lease", LEASE, "--binary-version", "new", "--", "true"],
            &good,
            2,
            "is not a version",
        ),
        (with(&[]), &good, 2, "PROGRAM"),
        (with(&["--", "no-such-program"]), &good, 1, "no-such-program"),
        (
            with(&["--lease-duration", "1500ms", "--", "true"]),
            &good,
            2,
            "whole seconds",
        ),
        (with(&["--renew-deadline", "14s", "--", "true"]), &good, 1, "4/5"),
        (
            with(&["--compatibility-version", "1.31", "--", "true"]),
            &good,
            1,
            "newer than binary version",
        ),
        (
            with(&["--identity", "demo", "--", "true"]),
            &good,
            1,
            "choose another identity",
        ),
        (
            vec![
                "run",
                "--lease",
                "kube-system/De_mo",
                "--binary-version",
                "1.30",
                "--",
                "true",
            ],
            &good,
            1,
            "cannot exist",
        ),
        (with(program), &missing, 1, "missing"),
        (with(program), &broken, 1, "broken"),
        (with(program), &wrong_token, 1, "Unauthorized"),
    ] {
        let (status, text) = fails(&args, kubeconfig).await;
        assert_eq!(status, code, "{args:?}: {text}");
        assert!(text.contains(words), "{args:?} should speak of {words:?}: {text}");
    }
}

#[tokio::test]
async fn without_a_server_it_says_so_waits_and_still_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (_plane, server, kubeconfig) = serve(folder.path()).await;
    server.shutdown().await;
    let args = [
        "run",
        "--lease",
        LEASE,
        "--binary-version",
        "1.30",
        "--",
        "sleep",
        "60",
    ];
    let mut wrapper = candidate(&args)
        .env("KUBECONFIG", &kubeconfig)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(wrapper.stderr.take().unwrap()).lines();
    let told = within("a word about the server", async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("does not answer: waiting for it") {
                return Some(line);
            }
        }
        None
    });
    assert!(told.await.is_some(), "it ended without a word");
    terminate(&wrapper);
    let status = within("the wrapper ends", wrapper.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

fn terminate(wrapper: &Child) {
    let pid = Pid::from_raw(i32::try_from(wrapper.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

async fn offers_itself(leases: &Api<Lease>, identity: &str) -> bool {
    let lease = leases.get_opt(identity).await.unwrap();
    lease.is_some_and(|lease| !wire::read_identity(&lease).unwrap().leads.is_empty())
}

/// The elector, by hand.
async fn offer(leases: &Api<Lease>, to: &str) {
    let key: LeaseKey = LEASE.parse().unwrap();
    until("identity lease", async || leases.get_opt(to).await.unwrap()).await;
    if leases.get_opt("demo").await.unwrap().is_none() {
        let create = wire::create(&LeaseCreate {
            key,
            duration: LeaseSeconds::LEADER,
        });
        leases.create(&PostParams::default(), &create).await.unwrap();
    }
    let base = leases.get("demo").await.unwrap();
    let write = wire::read_leader(&base)
        .unwrap()
        .offer(&to.into(), LeaseSeconds::LEADER);
    leases
        .replace("demo", &PostParams::default(), &wire::update(&base, &write))
        .await
        .unwrap();
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "a test looks at a real process now and then"
            )]
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

fn start(kubeconfig: &Path, more: &[&str], script: &str) -> Child {
    let args = [
        &[
            "run",
            "--lease",
            LEASE,
            "--binary-version",
            "1.30",
            "--identity",
            "alpha",
        ],
        more,
    ]
    .concat();
    let args = [&args[..], &["--", "sh", "-c", script]].concat();
    candidate(&args)
        .env("KUBECONFIG", kubeconfig)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_program_runs_only_in_a_term_and_the_lease_comes_back_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (plane, _server, kubeconfig) = serve(folder.path()).await;
    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    let log = folder.path().join("log");
    let script = format!(
        "echo start $ELECTION_LEASE $ELECTION_IDENTITY $ELECTION_TERM $ELECTION_TOKEN >> {0}; \
         trap 'echo stop >> {0}; exit 0' TERM; while :; do sleep 0.01; done",
        log.display()
    );
    let mut wrapper = start(&kubeconfig, &[], &script);
    until("identity lease", async || leases.get_opt("alpha").await.unwrap()).await;
    assert!(!log.exists(), "S3: the program runs without an accepted offer");
    offer(&leases, "alpha").await;
    let lines = async |count: usize| {
        until("log", async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            (text.lines().count() >= count).then_some(text)
        })
        .await
    };
    let text = lines(1).await;
    let accepted = leases.get("demo").await.unwrap();
    let token = accepted.metadata.resource_version.unwrap();
    assert_eq!(text.trim(), format!("start {LEASE} alpha 1 {token}"));

    terminate(&wrapper);
    let status = within("the wrapper ends", wrapper.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(
        lines(2).await.ends_with("stop\n"),
        "the program was not asked to stop"
    );
    let lease = wire::read_leader(&leases.get("demo").await.unwrap()).unwrap();
    assert_eq!(lease.state(), LeaseState::Released);
    assert_eq!(
        leases.get_opt("alpha").await.unwrap(),
        None,
        "the identity lease stays behind"
    );
}

#[tokio::test]
async fn a_program_that_ends_by_itself_gives_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (plane, _server, kubeconfig) = serve(folder.path()).await;
    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    let mut wrapper = start(&kubeconfig, &[], "exit 7");
    offer(&leases, "alpha").await;
    let status = within("the wrapper ends", wrapper.wait()).await.unwrap();
    assert_eq!(status.code(), Some(7));
    let lease = wire::read_leader(&leases.get("demo").await.unwrap()).unwrap();
    assert_eq!(lease.state(), LeaseState::Released);
}

#[tokio::test]
async fn short_leases_in_direct_mode_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let (_plane, _server, kubeconfig) = serve(folder.path()).await;
    for (seconds, warned) in [("9s", true), ("10s", false)] {
        let args = [
            "run",
            "--direct",
            "--assume-unheld",
            "--lease",
            LEASE,
            "--lease-duration",
            seconds,
        ];
        let (code, text) = fails(&[&args[..], &["--", "sh", "-c", "exit 7"]].concat(), &kubeconfig).await;
        assert_eq!(code, 7, "{text}");
        assert_eq!(
            text.contains("too short to share this lease with client-go"),
            warned,
            "{text}"
        );
    }
}

#[tokio::test]
async fn with_restart_always_the_candidate_stands_aside_and_then_again() {
    let folder = tempfile::tempdir().unwrap();
    let (plane, _server, kubeconfig) = serve(folder.path()).await;
    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    let _wrapper = start(&kubeconfig, &["--restart", "always"], "exit 7");
    offer(&leases, "alpha").await;
    let offers = async || offers_itself(&leases, "alpha").await;
    until("withdrawn", async || (!offers().await).then_some(())).await;
    until("offered again", async || offers().await.then_some(())).await;
    offer(&leases, "alpha").await;
    until("second term", async || {
        let lease = wire::read_leader(&leases.get("demo").await.unwrap()).unwrap();
        (lease.record.transitions == 2).then_some(())
    })
    .await;
}

/// A kubeconfig whose credentials come from a plugin: this shell script.
fn with_plugin(folder: &Path, script: &str) -> std::path::PathBuf {
    let path = folder.join("with-plugin");
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "sh", "args": ["-c", script],
        }}}],
    });
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_credential_plugin_that_hangs_does_not_keep_it_from_ending() {
    let token = r#"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
        "status":{"token":"t","expirationTimestamp":"2020-01-01T00:00:00Z"}}'"#;
    for first in [
        String::new(),
        format!("[ -e $0.first ] || {{ touch $0.first; {token}; exit; }};"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let hangs = folder.path().join("hangs");
        let script = format!("set -- $0; {first} touch {}; exec sleep 40", hangs.display())
            .replace("$0", &folder.path().join("plugin").display().to_string());
        let kubeconfig = with_plugin(folder.path(), &script);
        let mut wrapper = start(&kubeconfig, &[], "sleep 60");
        until("the plugin hangs", async || hangs.exists().then_some(())).await;
        terminate(&wrapper);
        let status = within("the wrapper ends", wrapper.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{first}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_now_is_tried_again_after_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let (plane, _server, kubeconfig) = serve(folder.path()).await;
    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    // A file that somebody writes cannot be executed.
    let busy = folder.path().join("busy");
    std::fs::copy("/bin/true", &busy).unwrap();
    let writer = std::fs::OpenOptions::new().append(true).open(&busy).unwrap();
    let args = [
        "run",
        "--lease",
        LEASE,
        "--binary-version",
        "1.30",
        "--identity",
        "alpha",
        "--",
        busy.to_str().unwrap(),
    ];
    let mut wrapper = candidate(&args)
        .env("KUBECONFIG", &kubeconfig)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    offer(&leases, "alpha").await;
    let offers = async || offers_itself(&leases, "alpha").await;
    until("withdrawn", async || (!offers().await).then_some(())).await;
    drop(writer);
    // A process that another test starts meanwhile has the file open, too, until it runs its program: so it may take one offer more.
    let elector = async || {
        let lease = wire::read_leader(&leases.get("demo").await.unwrap()).unwrap();
        if offers().await && lease.state() == LeaseState::Released {
            offer(&leases, "alpha").await;
        }
        wrapper.try_wait().unwrap()
    };
    let status = until("the wrapper ends", elector).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn an_outage_is_told_once_and_not_at_each_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let (plane, server, kubeconfig) = serve(folder.path()).await;
    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    let log = folder.path().join("log");
    let args = [
        "run",
        "--lease",
        LEASE,
        "--binary-version",
        "1.30",
        "--identity",
        "alpha",
        "--lease-duration",
        "2s",
        "--",
        "sleep",
        "60",
    ];
    let _wrapper = candidate(&args)
        .env("KUBECONFIG", &kubeconfig)
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    offer(&leases, "alpha").await;
    let text = || std::fs::read_to_string(&log).unwrap();
    until("started", async || {
        text().contains("program started").then_some(())
    })
    .await;
    server.shutdown().await;
    until("work stopped", async || {
        text().contains("work stopped").then_some(())
    })
    .await;
    // Ten attempts and more at giving the lease back.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test looks at a real process for a while"
    )]
    tokio::time::sleep(Duration::from_secs(3)).await;
    let text = text();
    assert!(!text.contains('\u{1b}'), "colours in a file");
    let told = text
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"));
    let told: Vec<&str> = told.collect();
    assert!(told.iter().any(|line| line.contains("release")), "{text}");
    assert!(told.len() <= 12, "{} lines:\n{}", told.len(), told.join("\n"));
}
