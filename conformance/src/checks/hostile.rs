//! What no good client sends: the server answers or closes, and goes on.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::check::{Need, checks};
use crate::cluster::{Cluster, LEASES, lease};
use crate::socket::{Socket, silent};

checks! {"hostile", needs Some(Need::Socket);
    what_is_no_http_is_answered_or_closed,
    huge_headers_are_refused,
    a_body_that_ends_early_is_no_request,
    a_body_that_never_comes_blocks_nobody,
    connections_that_say_nothing_block_nobody,
    requests_may_come_byte_by_byte,
    requests_may_come_at_once,
    a_thousand_watches_all_hear,
    a_watcher_that_never_reads_blocks_nobody,
    bytes_after_the_request_do_no_harm,
}

/// How long a server may take to give up.
const PATIENCE: Duration = Duration::from_secs(20);

async fn is_well(server: &Cluster) {
    let answer = timeout(PATIENCE, server.get("/readyz")).await;
    assert_eq!(
        answer.map(|answer| answer.code),
        Ok(200),
        "the server should go on"
    );
}

async fn what_is_no_http_is_answered_or_closed(server: Cluster) {
    for garbage in [
        &b"\0\0\0\0\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"G\xffT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut socket = Socket::open(&server).await;
        let _ = socket.say(garbage).await;
        let text = socket.hear(PATIENCE).await;
        let refused = text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 505");
        assert!(text.is_empty() || refused, "{garbage:?}: {text}");
    }
    is_well(&server).await;
}

async fn huge_headers_are_refused(server: Cluster) {
    let mut socket = Socket::open(&server).await;
    let head = format!(
        "GET /readyz HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n",
        "x".repeat(4 << 20)
    );
    let _ = timeout(PATIENCE, socket.say(head)).await;
    let text = socket.hear(PATIENCE).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    is_well(&server).await;
}

async fn a_body_that_ends_early_is_no_request(server: Cluster) {
    let body = server.names(&lease("x", "alpha").to_string());
    let mut socket = Socket::open(&server).await;
    let head = socket.head("POST", &server.names(LEASES), body.len() + 10);
    let _ = socket.say(format!("{head}{body}")).await;
    socket.finish().await;
    let text = socket.hear(PATIENCE).await;
    assert!(!text.starts_with("HTTP/1.1 2"), "{text}");
    server.get(&format!("{LEASES}/x")).await.expect(404);
    is_well(&server).await;
}

async fn a_body_that_never_comes_blocks_nobody(server: Cluster) {
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let mut socket = Socket::open(&server).await;
        let head = socket.head("POST", &server.names(LEASES), 1000);
        let _ = socket.say(head).await;
        sockets.push(socket);
    }
    server.lease("x", "alpha").await;
    is_well(&server).await;
}

async fn connections_that_say_nothing_block_nobody(server: Cluster) {
    let mut sockets = Vec::new();
    for _ in 0..200 {
        sockets.push(silent(&server).await);
    }
    server.lease("x", "alpha").await;
    is_well(&server).await;
}

async fn requests_may_come_byte_by_byte(server: Cluster) {
    let mut socket = Socket::open(&server).await;
    let head = socket.head("GET", "/version", 0);
    for byte in head.bytes() {
        assert!(
            socket.say([byte]).await.is_ok(),
            "the connection should stay open"
        );
    }
    let answer = socket.hear(PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn requests_may_come_at_once(server: Cluster) {
    let mut socket = Socket::open(&server).await;
    let head = socket.head("GET", "/readyz", 0);
    let _ = socket.say(head.repeat(3)).await;
    let mut text = String::new();
    while text.matches("HTTP/1.1 200").count() < 3 {
        let more = socket.hear(PATIENCE).await;
        assert!(!more.is_empty(), "three answers should come: {text}");
        text += &more;
    }
}

async fn a_thousand_watches_all_hear(server: Cluster) {
    let mut opening = JoinSet::new();
    let quiet = server.unrecorded();
    for _ in 0..1000 {
        let server = quiet.clone();
        opening.spawn(async move { server.watch(&format!("{LEASES}?watch=true")).await });
    }
    let mut watches = opening.join_all().await;
    server.lease("x", "alpha").await;
    for watch in &mut watches {
        assert_eq!(watch.event().await["object"]["metadata"]["name"], "x");
    }
    drop(watches);
    is_well(&server).await;
}

async fn a_watcher_that_never_reads_blocks_nobody(server: Cluster) {
    let mut socket = Socket::open(&server).await;
    let path = format!("{}?watch=true", server.names(LEASES));
    let head = socket.head("GET", &path, 0);
    let _ = socket.say(head).await;
    let quiet = server.unrecorded();
    let mut body = lease("x", "alpha");
    body["metadata"]["annotations"] = serde_json::json!({"big": "x".repeat(100_000)});
    quiet.post(LEASES, &body).await.expect(201);
    for number in 0..200 {
        let patch = serde_json::json!({"spec": {"leaseTransitions": number}});
        let path = format!("{LEASES}/x");
        quiet
            .patch(&path, crate::cluster::MERGE, &patch)
            .await
            .expect(200);
    }
    is_well(&server).await;
}

async fn bytes_after_the_request_do_no_harm(server: Cluster) {
    let mut socket = Socket::open(&server).await;
    let head = socket.head("GET", "/readyz", 0);
    let _ = socket
        .say(format!("{head}and more that is no request\r\n\r\n"))
        .await;
    let text = socket.hear(PATIENCE).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    is_well(&server).await;
}
