//! Lists under load.

use crate::support::{LEASES, Server, version};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// Seen to hang, with the whole control plane, when the waiting ones looked into the store under the channel's lock.
#[test]
fn whoever_waits_for_a_version_does_not_stop_those_who_write_it() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build();
        runtime.unwrap().block_on(write_and_wait());
        done.send(()).unwrap();
    });
    let patience = Duration::from_secs(60);
    is_done.recv_timeout(patience).expect("nobody waits for ever");
}

async fn write_and_wait() {
    let server = Server::new();
    let first = version(&server.lease("x", "alpha").await);
    let mut tasks = JoinSet::new();
    for writer in 0..4 {
        let server = server.clone();
        tasks.spawn(async move {
            for number in 0..100 {
                server.lease(&format!("x-{writer}-{number}"), "alpha").await;
            }
        });
    }
    for _ in 0..100 {
        let server = server.clone();
        let path = format!("{LEASES}?resourceVersion={}&limit=1", first + 400);
        tasks.spawn(async move { drop(server.get(&path).await.expect(200)) });
    }
    tasks.join_all().await;
}

/// The token is one for version 1.
#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_not_listed() {
    let server = Server::new();
    let expired = async |query: &str| {
        let refused = server.get(&format!("{LEASES}?{query}")).await.expect(410).json();
        assert_eq!(refused["reason"], "Expired");
        refused
    };
    expired("resourceVersion=1&resourceVersionMatch=Exact").await;
    let token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4XHUwMDAwIn0";
    let page = expired(&format!("limit=1&continue={token}")).await;
    let next = page["metadata"]["continue"].as_str().unwrap();
    server.lease("a", "before").await;
    server.lease("y", "after").await;
    let rest = server
        .get(&format!("{LEASES}?limit=1&continue={next}"))
        .await
        .expect(200)
        .json();
    assert_eq!(rest["items"][0]["metadata"]["name"], "y");
}
