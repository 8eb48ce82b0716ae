//! The question before a change, with somebody at a real terminal; and what others do while it is open.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use election_core::wire;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};

use crate::fixtures::{candidate, electors, held};
use crate::stage::Stage;

const DEMO: &str = "default/demo";
const QUESTION: &str = "Go on? [y/N] ";

/// The program with somebody at its input.
struct Sitting {
    child: Child,
    keys: File,
    stderr: ChildStderr,
    said: String,
}

impl Sitting {
    fn begin(stage: &Stage, args: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(slave).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-leases"))
            .args(args.split_whitespace())
            .args(["--kubeconfig", stage.kubeconfig()])
            .stdin(Stdio::from(slave))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        Self {
            child,
            keys: File::from(master),
            stderr,
            said: String::new(),
        }
    }

    /// Reads until it has asked so many times.
    async fn asked(&mut self, times: usize) {
        let mut bytes = [0; 4096];
        while self.said.matches(QUESTION).count() < times {
            let length = self.stderr.read(&mut bytes).await.unwrap();
            assert_ne!(length, 0, "it should have asked: {}", self.said);
            self.said.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
    }

    fn answer(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// The exit code, and what it has printed.
    async fn end(mut self) -> (Option<i32>, String, String) {
        self.stderr.read_to_string(&mut self.said).await.unwrap();
        let ended = self.child.wait_with_output().await.unwrap();
        let stdout = String::from_utf8(ended.stdout).unwrap();
        (ended.status.code(), stdout, self.said)
    }
}

async fn stage() -> Stage {
    Stage::with(vec![
        electors(2),
        held(DEMO, "alpha", 4, json!({})),
        candidate("default/alpha", DEMO, "1.29", "1.29", 20),
        candidate("default/bravo", DEMO, "1.29", "1.29", 12),
        candidate("default/delta", DEMO, "1.28", "1.28", 1_000),
    ])
    .await
}

async fn lease(stage: &Stage, name: &str) -> Lease {
    let api: Api<Lease> = Api::namespaced(stage.plane.client(), "default");
    api.get(name).await.unwrap()
}

async fn patch(stage: &Stage, name: &str, change: Value) {
    let api: Api<Lease> = Api::namespaced(stage.plane.client_as("holder"), "default");
    let params = PatchParams::default();
    api.patch(name, &params, &Patch::Merge(change)).await.unwrap();
}

fn renewal() -> Value {
    json!({"spec": {"renewTime": RENEWED}})
}

const RENEWED: &str = "2026-05-01T11:59:59.000000Z";

fn renewed(lease: &Lease) -> String {
    let renewed = lease.spec.as_ref().unwrap().renew_time.as_ref().unwrap();
    format!("{:.6}", renewed.0)
}

fn is_asked_anything(lease: &Lease) -> bool {
    wire::read_leader(lease).unwrap().controls.is_some()
}

#[tokio::test]
async fn only_a_yes_goes_on() {
    let stage = stage().await;
    for (keys, goes_on) in [
        (&b"\n"[..], false),
        (b"n\n", false),
        (b"yep\n", false),
        // The end of the input.
        (b"\x04", false),
        (b"yes\n", true),
        (b"y\n", true),
    ] {
        let mut sitting = Sitting::begin(&stage, "pin demo bravo");
        sitting.asked(1).await;
        assert!(!is_asked_anything(&lease(&stage, "demo").await), "asked first");
        sitting.answer(keys);
        let (code, stdout, stderr) = sitting.end().await;
        let expected = if goes_on {
            (Some(0), true)
        } else {
            (Some(1), false)
        };
        let found = (code, is_asked_anything(&lease(&stage, "demo").await));
        assert_eq!(found, expected, "{keys:?}: {stdout}{stderr}");
        let refused = stderr.ends_with("error: nothing was changed\n");
        assert_eq!(refused, !goes_on, "{stderr}");
        patch(
            &stage,
            "demo",
            json!({"metadata": {"annotations": {wire::PIN: null}}}),
        )
        .await;
    }
}

/// A write names what it was decided from, so a renewal that comes in between is not lost.
#[tokio::test]
async fn a_lease_that_was_renewed_meanwhile_is_read_again_and_nothing_is_asked_twice() {
    let stage = stage().await;
    let mut sitting = Sitting::begin(&stage, "hold demo --for 2h");
    sitting.asked(1).await;
    patch(&stage, "demo", renewal()).await;
    let before = stage.plane.requests();
    sitting.answer(b"y\n");
    let (code, stdout, stderr) = sitting.end().await;
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "lease.coordination.k8s.io/demo put on hold\n")
    );
    assert_eq!(stderr.matches(QUESTION).count(), 1, "{stderr}");
    let updates = stage.plane.requests().since(&before);
    let updates = updates.count(|request| request.verb == "update" && request.resource == "leases");
    assert_eq!(updates, 2, "the first one is refused");
    let lease = lease(&stage, "demo").await;
    assert_eq!(renewed(&lease), RENEWED);
    assert!(is_asked_anything(&lease));
}

#[tokio::test]
async fn who_said_yes_to_something_else_is_asked_again() {
    let stage = stage().await;
    let mut sitting = Sitting::begin(&stage, "step-down demo");
    sitting.asked(1).await;
    patch(&stage, "demo", json!({"spec": {"holderIdentity": "bravo"}})).await;
    sitting.answer(b"y\n");
    sitting.asked(2).await;
    assert!(
        sitting
            .said
            .contains("This process of bravo leads again only when"),
        "{}",
        sitting.said
    );
    assert!(!is_asked_anything(&lease(&stage, "demo").await));
    sitting.answer(b"n\n");
    let (code, _, stderr) = sitting.end().await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(!is_asked_anything(&lease(&stage, "demo").await));
}

#[tokio::test]
async fn a_candidate_that_comes_back_meanwhile_is_not_forgotten() {
    let stage = stage().await;
    let mut sitting = Sitting::begin(&stage, "forget delta");
    sitting.asked(1).await;
    patch(&stage, "delta", renewal()).await;
    sitting.answer(b"y\n");
    let (code, stdout, stderr) = sitting.end().await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(
        stderr.ends_with(
            "error: delta has changed or gone since it was read, so it was not deleted: it may live, look again\n"
        ),
        "{stderr}"
    );
    assert_eq!(renewed(&lease(&stage, "delta").await), RENEWED);
}

/// The server checks each of them, says what it would do, and keeps nothing.
#[tokio::test]
async fn a_rehearsal_on_the_server_changes_nothing() {
    let stage = stage().await;
    let before = [lease(&stage, "demo").await, lease(&stage, "delta").await];
    for (args, done) in [
        ("step-down demo", "demo step-down of alpha requested"),
        ("hold demo --for 1h", "demo put on hold"),
        ("pin demo bravo", "demo pinned to bravo"),
        ("forget delta", "delta forgotten"),
    ] {
        let requests = stage.plane.requests();
        let ended = stage.run(&format!("{args} --dry-run=server")).await;
        let expected = format!("lease.coordination.k8s.io/{done} (server dry run)\n");
        assert_eq!(
            (ended.code.as_str(), ended.stdout),
            ("0", expected),
            "{}",
            ended.stderr
        );
        let asked = stage.plane.requests().since(&requests);
        let asked = asked.count(|one| matches!(one.verb.as_str(), "update" | "delete"));
        assert_eq!(asked, 1, "{args} is rehearsed by the server");
    }
    let after = [lease(&stage, "demo").await, lease(&stage, "delta").await];
    assert_eq!(after, before);
}
