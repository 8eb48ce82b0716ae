//! What people read when something is wrong, one text per kind: flags, kubeconfigs, and answers of a server that are no help.

use std::fmt::Write;
use std::process::Stdio;

use tokio::process::Command;

use crate::errors::{answered, plugin};
use crate::fixtures::{candidate, held};
use crate::stage::Stage;

/// What a terminal shows of commands that are refused.
async fn refusals(commands: &[&[&str]]) -> String {
    let mut shown = String::new();
    for args in commands {
        let ended = plugin(args).await;
        assert!(
            ended.failed && ended.stdout.is_empty(),
            "{args:?} should fail, and print nothing but on stderr: {}",
            ended.stdout
        );
        let quoted = args
            .iter()
            .map(|arg| match arg.contains([' ', '{', '*']) || arg.is_empty() {
                true => format!("'{arg}'"),
                false => (*arg).to_owned(),
            });
        let line = quoted.collect::<Vec<_>>().join(" ");
        writeln!(shown, "$ kubectl leases {line}\n{}", ended.stderr).unwrap();
    }
    shown
}

#[tokio::test]
async fn flags_that_make_no_sense() {
    let commands: &[&[&str]] = &[
        &["statsu"],
        &["status", "--nope"],
        &["status", "one", "two"],
        &["status", "demo", "-A"],
        &["status", "demo", "-l", "app=demo"],
        &["status", "kube-system/demo"],
        &["status", ""],
        &["status", "--sort-by", "colour"],
        &["status", "--strategy", "Fastest"],
        &["status", "--request-timeout", "soon"],
        &["explain"],
        &["explain", "demo", "--what-if", "zulu"],
        &["explain", "demo", "--what-if", "zulu=latest"],
        &["explain", "demo", "-o", "table"],
        &["candidates", "demo", "-A"],
        &["doctor", "--look", "long"],
        &["doctor", "--lease-duration", "1500ms"],
        &["timeline"],
        &["hold", "demo", "--for", "ever"],
        &["hold", "demo", "--until", "tomorrow"],
        &["hold", "demo", "--for", "1h", "--until", "2030-01-31T18:00:00Z"],
        &["step-down", "demo", "--to", "bravo", "--cancel"],
        &["step-down", "demo", "--wait=long"],
        &["step-down", "demo", "--dry-run=maybe"],
        &["pin", "demo"],
        &["forget"],
        &["completion", "tcsh"],
        &["top"],
    ];
    insta::assert_snapshot!(refusals(commands).await);
}

#[tokio::test]
async fn forms_of_output_that_do_not_exist() {
    let commands: &[&[&str]] = &[
        &["status", "-o", "xml"],
        &["status", "-o", "jsonpath={.items"],
        &["status", "-o", "jsonpath={range .items[*]}{.name}"],
        &["status", "-o", "jsonpath={.items[}"],
        &["status", "-o", "go-template={{.items"],
        &["status", "-o", "custom-columns=NAME"],
        &["status", "-o", "custom-columns=NAME:.a["],
        &["status", "-o", "jsonpath-file=/nonexistent/template"],
        &["watch", "-o", "wide"],
        &["pin", "demo", "bravo", "-o", "wide"],
    ];
    insta::assert_snapshot!(refusals(commands).await);
}

#[tokio::test]
async fn kubeconfigs_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]";
    let context = "contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c";
    let mut shown = String::new();
    for (what, text) in [
        ("no YAML", "clusters: [".to_owned()),
        ("a tab", "clusters:\n\t- name: c".to_owned()),
        ("something else", "kind: Deployment".to_owned()),
        ("no list", "clusters: many".to_owned()),
        ("empty", String::new()),
        ("no current context", cluster.to_owned()),
        ("a context of no cluster", context.to_owned()),
        ("a context of no user", format!("{cluster}\n{context}")),
        (
            "a server that is none",
            format!(
                "clusters: [{{name: c, cluster: {{server: 'not a server'}}}}]\nusers: [{{name: u}}]\n{context}"
            ),
        ),
        (
            "a certificate that is none",
            format!(
                "{cluster}\nusers: [{{name: u, user: {{client-certificate-data: '???', client-key-data: '???'}}}}]\n{context}"
            ),
        ),
        (
            "a token that is not there",
            format!("{cluster}\nusers: [{{name: u, user: {{tokenFile: /nonexistent/token}}}}]\n{context}"),
        ),
        (
            "a program that is not there",
            format!(
                "{cluster}\nusers: [{{name: u, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, \
                 command: /nonexistent/login, interactiveMode: Never}}}}}}]\n{context}"
            ),
        ),
    ] {
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let ended = plugin(&["status", "--kubeconfig", file.to_str().unwrap()]).await;
        assert!(ended.failed && ended.stdout.is_empty(), "{what}");
        writeln!(shown, "{what}:\n{}", ended.stderr).unwrap();
    }
    insta::assert_snapshot!(shown.replace(folder.path().to_str().unwrap(), "FOLDER"));
}

#[tokio::test]
async fn connections_that_cannot_be_made() {
    let near = ["status", "--server", "http://127.0.0.1:1"];
    let with = |more: &[&'static str]| [&near[..], more].concat();
    let commands = [
        with(&[]),
        vec!["version", "--server", "http://127.0.0.1:1"],
        vec!["watch", "--server", "http://127.0.0.1:1"],
        vec!["status", "--server", "ftp://127.0.0.1"],
        vec![
            "status",
            "--server",
            "https://127.0.0.1:1",
            "--certificate-authority",
            "/nonexistent/ca",
        ],
        with(&[
            "--client-certificate",
            "/nonexistent/crt",
            "--client-key",
            "/nonexistent/key",
        ]),
        vec!["status", "--kubeconfig", "/nonexistent/config"],
    ];
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    let mut shown = refusals(&commands).await;
    // Where there is no kubeconfig at all, which only a process of its own can be made to see.
    let home = tempfile::tempdir().unwrap();
    let nowhere = Command::new(env!("CARGO_BIN_EXE_kubectl-leases"))
        .arg("status")
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output();
    let nowhere = nowhere.await.unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    writeln!(
        shown,
        "$ kubectl leases status\n{}",
        String::from_utf8(nowhere.stderr).unwrap()
    )
    .unwrap();
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn answers_that_are_no_help() {
    let status = |code: u16, reason: &str, message: &str| {
        serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
            "reason": reason, "code": code})
        .to_string()
    };
    let mut shown = String::new();
    for (head, body) in [
        ("401 Unauthorized", status(401, "Unauthorized", "Unauthorized")),
        ("403 Forbidden", status(403, "Forbidden", "leases is forbidden")),
        ("404 Not Found", "404 page not found\n".to_owned()),
        (
            "410 Gone",
            status(410, "Expired", "The provided continue parameter is too old"),
        ),
        (
            "429 Too Many Requests",
            status(
                429,
                "TooManyRequests",
                "too many requests, please try again later",
            ),
        ),
        (
            "500 Internal Server Error",
            status(500, "InternalError", "etcdserver: request timed out"),
        ),
        (
            "502 Bad Gateway",
            "<html><body><h1>502 Bad Gateway</h1></body></html>\n".to_owned(),
        ),
        ("200 OK", "<html><body>Sign in</body></html>\n".to_owned()),
        (
            "200 OK",
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":7}"#.to_owned(),
        ),
        (
            "200 OK",
            r#"{"kind":"LeaseList","metadata":{"continue":"for ever"},"items":7}"#.to_owned(),
        ),
        ("302 Found\r\nlocation: https://login.example", String::new()),
    ] {
        let ended = answered(head, &body, &[]).await;
        assert!(
            ended.failed && ended.stdout.is_empty(),
            "{head}: {}",
            ended.stdout
        );
        let title = head.lines().next().unwrap();
        writeln!(shown, "{title}:\n{}", without_port(&ended.stderr)).unwrap();
    }
    insta::assert_snapshot!(shown);
}

/// The port of a server that stands for one test is any.
fn without_port(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("127.0.0.1:") {
        shown += before;
        shown += "127.0.0.1:PORT";
        rest = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
    }
    shown + rest
}

#[tokio::test]
async fn names_that_nobody_knows() {
    let key = "default/demo";
    let stage = Stage::with(vec![
        held(key, "alpha", 4, serde_json::json!({})),
        candidate("default/alpha", key, "1.29", "1.29", 12),
    ])
    .await;
    let mut shown = String::new();
    for command in [
        "status",
        "explain",
        "candidates",
        "doctor",
        "watch",
        "timeline",
        "hold",
        "step-down",
        "release-hold",
        "unpin",
        "forget",
    ] {
        for name in ["nope", "alpha"] {
            if (command, name) == ("forget", "alpha") {
                continue;
            }
            let screen = stage.screen(&format!("{command} {name}")).await;
            writeln!(shown, "{screen}").unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn files_that_cannot_be_written() {
    let stage = Stage::with(vec![held("default/demo", "alpha", 4, serde_json::json!({}))]).await;
    let mut shown = stage
        .screen("timeline demo --svg /nonexistent/folder/leaders.svg")
        .await;
    shown += "\n";
    shown += &refusals(&[&["man", "/dev/null/folder"]]).await;
    insta::assert_snapshot!(shown);
}
