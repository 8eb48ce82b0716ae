//! The flags that say which cluster to ask and as whom, as they reach the server.

use std::io::Write;
use std::pin::pin;

use futures::future::{Either, select};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::errors::plugin;

const EMPTY: &str = r#"{"kind":"LeaseList","apiVersion":"coordination.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}"#;

/// What a server is asked by `status` with these flags: the lines of the request in small letters.
async fn asked(flags: &[&str]) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let mut file = NamedTempFile::new().unwrap();
    write!(
        file,
        "{{apiVersion: v1, kind: Config, current-context: far,
          clusters: [{{name: far, cluster: {{server: 'http://127.0.0.1:1'}}}}, {{name: near, cluster: {{server: 'http://{server}'}}}}],
          users: [{{name: u, user: {{token: own}}}}, {{name: v, user: {{token: other}}}}],
          contexts: [{{name: far, context: {{cluster: far, user: u}}}},
                     {{name: near, context: {{cluster: near, user: u, namespace: blue}}}}]}}"
    )
    .unwrap();
    let flags: Vec<String> = flags.iter().map(|flag| flag.replace("SERVER", &server)).collect();
    let args = ["status", "--kubeconfig", file.path().to_str().unwrap()];
    let args: Vec<&str> = args.into_iter().chain(flags.iter().map(String::as_str)).collect();
    let answer = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 8192];
        let length = connection.read(&mut request).await.unwrap();
        let length_of_body = EMPTY.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        let text = format!("{head}\r\ncontent-length: {length_of_body}\r\n\r\n{EMPTY}");
        connection.write_all(text.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).to_lowercase()
    };
    // Whoever asks another server has its answer, or none, before this one is asked.
    let (ended, request) = match select(pin!(plugin(&args)), pin!(answer)).await {
        Either::Left((ended, _)) => panic!("{flags:?}: another server is asked: {}", ended.stderr),
        Either::Right((request, running)) => (running.await, request),
    };
    assert!(!ended.failed, "{}", ended.stderr);
    request.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn each_flag_reaches_the_server() {
    let near = ["--context", "near"];
    for (flags, line) in [
        (
            &near[..],
            "get /apis/coordination.k8s.io/v1/namespaces/blue/leases?&limit=500 http/1.1",
        ),
        (&["--cluster", "near"], "authorization: bearer own"),
        (
            &["--context", "near", "--user", "v"],
            "authorization: bearer other",
        ),
        (
            &["--context", "near", "--token", "given"],
            "authorization: bearer given",
        ),
        (&["--server", "SERVER"], "authorization: bearer own"),
        (&["-s", "http://SERVER"], "authorization: bearer own"),
        (&["--context", "near", "--as", "alice"], "impersonate-user: alice"),
        (
            &[
                "--context",
                "near",
                "--as",
                "alice",
                "--as-group",
                "dev",
                "--as-group",
                "ops",
            ],
            "impersonate-group: ops",
        ),
        (
            &["--context", "near", "--as", "alice", "--as-uid", "4711"],
            "impersonate-uid: 4711",
        ),
        (
            &["--context", "near", "-n", "green"],
            "get /apis/coordination.k8s.io/v1/namespaces/green/leases?&limit=500 http/1.1",
        ),
        (
            &["--context", "near", "-A"],
            "get /apis/coordination.k8s.io/v1/leases?&limit=500 http/1.1",
        ),
    ] {
        let request = asked(flags).await;
        assert!(
            request.iter().any(|asked| asked == line),
            "{flags:?}: the request should say {line:?}: {request:#?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    for flag in ["--client-certificate", "--certificate-authority"] {
        let args = [
            "status",
            "--server",
            "https://127.0.0.1:1",
            flag,
            "/nonexistent/file",
            "--client-key",
            "/nonexistent/key",
        ];
        let ended = plugin(&args).await;
        assert!(
            ended.failed && ended.stderr.contains("/nonexistent/"),
            "{flag}: {}",
            ended.stderr
        );
    }
}
