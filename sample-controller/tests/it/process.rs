//! The program as a process: what it says, and with which code it ends.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use local_controlplane::{ControlPlane, ServeOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};

/// No test waits for longer; on a quiet machine each takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sample-controller"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
        .env_remove("KUBECONFIG")
        .env_remove("RUST_LOG")
        .env("HOME", "/nonexistent");
    command
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn ended(args: &[&str]) -> Ended {
    let output = tokio::time::timeout(PATIENCE, program(args).output())
        .await
        .expect("it ends")
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "{{apiVersion: v1, kind: Config, current-context: c,
          clusters: [{{name: c, cluster: {{server: '{server}'}}}}], users: [{{name: u, user: {{token: wrong}}}}],
          contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
    )
    .unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// What a process says, as far as it has been read: a line that was read for another word is not lost.
struct Log {
    lines: Lines<BufReader<ChildStderr>>,
    read: Vec<String>,
}

impl Log {
    fn of(child: &mut Child) -> Self {
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            lines,
            read: Vec::new(),
        }
    }

    /// The first line with this word, be it said already or not.
    async fn line_with(&mut self, word: &str) -> String {
        if let Some(line) = self.read.iter().find(|line| line.contains(word)) {
            return line.clone();
        }
        let search = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.read.push(line.clone());
                if line.contains(word) {
                    return line;
                }
            }
            panic!("it ended without saying {word:?}, but: {:#?}", self.read);
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("it should say {word:?}"))
    }
}

async fn terminate(mut child: Child) -> Option<i32> {
    let id = child.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(told.success());
    tokio::time::timeout(PATIENCE, child.wait())
        .await
        .expect("it ends")
        .unwrap()
        .code()
}

#[tokio::test]
async fn the_help_has_examples_and_the_exit_codes() {
    let help = ended(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    for word in [
        "Examples:",
        "--compatibility-version",
        "--stop-grace",
        "Exit code:",
        "artifacts/crd.yaml",
    ] {
        assert!(
            help.stdout.contains(word),
            "{word} should be in:\n{}",
            help.stdout
        );
    }
}

#[tokio::test]
async fn a_wrong_flag_ends_it_with_2() {
    for (args, word) in [
        (["--binary-version", "latest"], "is not a version"),
        (["--lease-duration", "0s"], "positive number of whole seconds"),
        (["--no-such-flag", ""], "--no-such-flag"),
    ] {
        let refused = ended(&args).await;
        assert_eq!(refused.code, Some(2), "{args:?}");
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_before_anything_is_sent() {
    let file = kubeconfig("http://127.0.0.1:1");
    for (args, word) in [
        (
            &["--renew-deadline", "14s"][..],
            "contradicting timing: the renew deadline must be at most 4/5",
        ),
        (
            &["--compatibility-version", "1.30"],
            "emulation version 1.30 is newer than binary version 1.29",
        ),
        (
            &["--identity", "sample-controller"],
            "is the name of the leader lease",
        ),
        (
            &["--lease", "a/b", "--namespace", "c"],
            "leave one of the two namespaces out",
        ),
    ] {
        let refused = ended(&[&["--kubeconfig", path(&file)], args].concat()).await;
        assert_eq!(refused.code, Some(1), "{args:?}");
        assert!(
            refused.stderr.starts_with("error: ") && refused.stderr.contains(word),
            "{}",
            refused.stderr
        );
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_named() {
    let missing = ended(&["--kubeconfig", "/nonexistent/config"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(
        missing
            .stderr
            .contains("kubeconfig /nonexistent/config does not exist"),
        "{}",
        missing.stderr
    );
    let nowhere = ended(&[]).await;
    assert_eq!(nowhere.code, Some(1));
    assert!(
        nowhere.stderr.contains("--kubeconfig or $KUBECONFIG"),
        "{}",
        nowhere.stderr
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_waited_for() {
    let file = kubeconfig("http://127.0.0.1:1");
    let mut child = program(&["--kubeconfig", path(&file)]).spawn().unwrap();
    let mut log = Log::of(&mut child);
    let line = log.line_with("does not answer").await;
    assert!(line.contains("waiting for it"), "{line}");
    log.line_with("candidate; tolerated clock-rate error 25 %").await;
    assert_eq!(
        terminate(child).await,
        Some(0),
        "it should end when it is asked to, server or not"
    );
}

#[tokio::test]
async fn whoever_read_its_log_may_go_away() {
    let file = kubeconfig("http://127.0.0.1:1");
    let mut child = program(&["--kubeconfig", path(&file)])
        .env("RUST_LOG", "trace")
        .spawn()
        .unwrap();
    let mut log = Log::of(&mut child);
    log.line_with("does not answer").await;
    drop(log);
    let ended = tokio::time::timeout(Duration::from_millis(1500), child.wait()).await;
    assert!(ended.is_err(), "it ended, though it had more to say: {ended:?}");
    assert_eq!(terminate(child).await, Some(0));
}

#[tokio::test]
async fn wrong_credentials_end_it_and_say_what_to_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = kubeconfig(&format!("http://{}", listener.local_addr().unwrap()));
    let refuse = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).await.unwrap();
        let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
        let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        connection.write_all(answer.as_bytes()).await.unwrap();
    };
    let args = ["--kubeconfig", path(&file)];
    let (refused, ()) = tokio::join!(ended(&args), refuse);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("check the token or client certificate"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_with_one_identity_the_first_ends_and_names_both() {
    let plane = ControlPlane::new();
    let server = plane.serve(ServeOptions::default()).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    server.write_kubeconfig(file.path()).unwrap();
    let args = ["--kubeconfig", path(&file), "--identity", "alpha"];

    let first = program(&args).spawn().unwrap();
    let leases: Api<Lease> = Api::namespaced(plane.client(), "kube-system");
    let written = async {
        while leases.get_opt("alpha").await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, written)
        .await
        .expect("it offers itself");
    let mut second = program(&args).spawn().unwrap();
    let output = tokio::time::timeout(PATIENCE, first.wait_with_output())
        .await
        .expect("it ends")
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let end = "give each process an identity of its own";
    assert!(
        said.contains("identity alpha in namespace kube-system was taken over") && said.contains(end),
        "{said}"
    );

    let mut log = Log::of(&mut second);
    log.line_with("candidate; ").await;
    assert_eq!(terminate(second).await, Some(0));
    server.shutdown().await;
}
