//! What a person sees when something is wrong, from the command line to a server's refusal.

use std::io::Write;

use kubectl_leases::cli::{self, Terminal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) struct Ended {
    pub(crate) failed: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) async fn plugin(args: &[&str]) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("kubectl-leases")
        .chain(args.iter().copied())
        .map(Into::into);
    let code = cli::run(args, Terminal::default(), &mut out, &mut err).await;
    Ended {
        failed: code != std::process::ExitCode::SUCCESS,
        stdout: String::from_utf8(out).unwrap(),
        stderr: String::from_utf8(err).unwrap(),
    }
}

async fn refused(args: &[&str]) -> String {
    let ended = plugin(args).await;
    assert!(
        ended.failed && ended.stdout.is_empty(),
        "{args:?} should fail, and print nothing but on stderr"
    );
    ended.stderr
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

/// A server that gives one answer.
pub(crate) async fn answered(head: &str, body: &str, args: &[&str]) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = kubeconfig(&format!("http://{}", listener.local_addr().unwrap()));
    let answer = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).await.unwrap();
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {head}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(text.as_bytes()).await.unwrap();
    };
    let args = [&["status", "--kubeconfig", path(&file)], args].concat();
    tokio::join!(plugin(&args), answer).0
}

#[tokio::test]
async fn the_help_says_kubectl_leases_and_the_exit_codes() {
    let help = plugin(&["status", "--help"]).await;
    assert!(!help.failed);
    for word in [
        "kubectl leases status",
        "Examples:",
        "States:",
        "Exit code:",
        "--request-timeout",
        "--no-headers",
    ] {
        assert!(
            help.stdout.contains(word),
            "{word} should be in:\n{}",
            help.stdout
        );
    }
    assert!(!help.stdout.contains("kubectl-leases"), "{}", help.stdout);
}

#[tokio::test]
async fn wrong_flags_are_refused() {
    for (args, word) in [
        (&["status", "--nope"][..], "--nope"),
        (&["status", "name", "-A"], "cannot be used with"),
        (&["status", "-o", "xml"], "wide, json, yaml, name"),
        (
            &["status", "--strategy", "Fastest"],
            "OldestEmulationVersion or NewestEmulationVersion",
        ),
        (&["status", "-o", "jsonpath={.items"], "is not closed"),
        (&["status", "-o", "go-template={{.items"], "unclosed action"),
        (
            &["status", "-o", "custom-columns=NAME"],
            "write NAME as NAME:.path",
        ),
        (&["status", "kube-system/demo"], "write -n kube-system demo"),
        (&["explain"], "<LEASE>"),
        (
            &["doctor", "--lease-duration", "0s"],
            "write whole seconds, one at least",
        ),
        (
            &["doctor", "--lease-duration", "1500ms"],
            "write whole seconds, one at least",
        ),
        (&["explain", "demo", "--what-if", "x=latest"], "is not a version"),
        (
            &["status", "--request-timeout", "soon"],
            "write a duration like 10s",
        ),
    ] {
        let text = refused(args).await;
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_named() {
    let text = refused(&["status", "--kubeconfig", "/nonexistent/config"]).await;
    assert!(
        text.starts_with("error: kubeconfig /nonexistent/config cannot be used: "),
        "{text}"
    );
    let file = kubeconfig("http://127.0.0.1:1");
    let text = refused(&["status", "--kubeconfig", path(&file), "--context", "other"]).await;
    assert!(
        text == "error: context \"other\" does not exist; the kubeconfig has c\n",
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let file = kubeconfig("http://127.0.0.1:1");
    let text = refused(&["status", "--kubeconfig", path(&file)]).await;
    assert!(
        text.starts_with("Unable to connect to the server http://127.0.0.1:1/: "),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = kubeconfig(&format!("http://{}", listener.local_addr().unwrap()));
    let text = refused(&["status", "--kubeconfig", path(&file), "--request-timeout", "50ms"]).await;
    assert!(
        text.contains("did not answer within 50ms: raise --request-timeout"),
        "{text}"
    );
}

#[tokio::test]
async fn a_wrong_token_is_said() {
    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
    let ended = answered("401 Unauthorized", body, &[]).await;
    assert!(
        ended.failed && ended.stderr.contains("check the token or client certificate"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_refusal_is_said_in_the_words_of_the_server() {
    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"leases is forbidden","reason":"Forbidden","code":403}"#;
    let ended = answered("403 Forbidden", body, &["-A"]).await;
    let mut lines = ended.stderr.lines();
    assert_eq!(
        lines.next(),
        Some("Error from server (Forbidden): leases is forbidden")
    );
    assert!(
        lines
            .next()
            .unwrap()
            .contains("get, list and watch on leases.coordination.k8s.io")
    );
}

const EMPTY: &str = r#"{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}"#;

#[tokio::test]
async fn nothing_to_show_is_no_error() {
    let ended = answered("200 OK", EMPTY, &["-n", "demo"]).await;
    assert!(!ended.failed);
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("", "No coordinated leases found in demo namespace.\n")
    );
    let ended = answered("200 OK", EMPTY, &["-A", "-o", "json"]).await;
    assert!(!ended.failed && ended.stderr.is_empty());
    assert!(ended.stdout.contains("\"items\": []"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_lease_that_nobody_knows_is_not_found() {
    let ended = answered("200 OK", EMPTY, &["nope"]).await;
    assert!(ended.failed);
    let expected = "Error from server (NotFound): leases.coordination.k8s.io \"nope\" not found in namespace \"default\"\n";
    assert_eq!(ended.stderr, expected);
}

#[tokio::test]
async fn an_identity_lease_is_not_taken_for_a_leader_lease() {
    let body = r#"{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[
        {"metadata":{"name":"alpha","namespace":"default","uid":"1","resourceVersion":"1",
         "annotations":{"coordination.k8s.io/can-lead-leases":"default/demo"}},"spec":{"holderIdentity":"alpha"}}]}"#;
    let ended = answered("200 OK", body, &["alpha"]).await;
    assert!(
        ended.failed
            && ended
                .stderr
                .ends_with("it offers itself for demo: kubectl leases status -n default demo\n"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn the_date_of_the_answer_is_the_time() {
    let body = r#"{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[
        {"metadata":{"name":"demo","namespace":"default","uid":"1","resourceVersion":"1",
         "annotations":{"coordination.k8s.io/elected-by":"leader-election-controller"}},
         "spec":{"holderIdentity":"alpha","renewTime":"2026-05-01T12:00:00.000000Z"}}]}"#;
    let head = "200 OK\r\ndate: Fri, 01 May 2026 12:01:00 GMT";
    let ended = answered(head, body, &["demo", "-o", "json"]).await;
    let status: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&status["renewedSecondsAgo"], &status["observed"]["source"]),
        (&60.into(), &"ServerDate".into())
    );
}
