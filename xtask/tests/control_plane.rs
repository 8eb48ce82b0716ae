//! `cargo xtask control-plane up --real` as a person runs it: who may do what, and that nothing is left of it.
//!
//! These tests need the programs of a real control plane. Where there are none, they say so and pass.

#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What kube-apiserver and its port have in common with every other program.
const TAKEN: &str = "address already in use";

/// `up --real`, running.
struct Up {
    child: Child,
    kubeconfig: PathBuf,
}

impl Up {
    /// Starts it and waits until it is ready; `None` where its programs are missing.
    fn start(test: &str) -> Option<Self> {
        let mut child = command(&[]).spawn().expect("xtask starts");
        let output = BufReader::new(child.stdout.take().expect("its output is read"));
        let kubeconfig = output.lines().map_while(Result::ok).find_map(|line| {
            let path = line.trim().strip_prefix("export KUBECONFIG=")?;
            Some(PathBuf::from(path))
        });
        if let Some(kubeconfig) = kubeconfig {
            return Some(Self { child, kubeconfig });
        }
        let said = ended(&mut child).1;
        assert!(are_programs_missing(&said), "{said}");
        skip(test, &said);
        None
    }

    async fn leases_as(&self, user: &str) -> Api<Lease> {
        let file = Kubeconfig::read_from(&self.kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions {
            context: Some(user.to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(file, &options).await;
        let client = Client::try_from(config.expect("a context for each user")).expect("a client");
        Api::namespaced(client, "kube-system")
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("it runs until it is waited for");
    }

    /// The folder with everything that it has written.
    fn folder(&self) -> &Path {
        self.kubeconfig.parent().expect("a file is in a folder")
    }
}

impl Drop for Up {
    /// After a failure; its servers go with it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["control-plane", "up", "--real"]).args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn ended(child: &mut Child) -> (ExitStatus, String) {
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("its errors are read");
    stderr.read_to_string(&mut said).expect("it says it in UTF-8");
    (child.wait().expect("it ends"), said)
}

fn are_programs_missing(said: &str) -> bool {
    said.contains("there is no etcd in") || said.contains("there is no kube-apiserver in")
}

/// Not by a macro: what a test that passes says by one is not shown.
fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "{test} was SKIPPED: {}", why.trim());
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a process number")).expect("not zero")
}

/// The servers that a process has started, by number and name.
fn servers_of(parent: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let number = entry.file_name().to_string_lossy().parse();
        let stat = std::fs::read_to_string(entry.path().join("stat"));
        if let (Ok(number), Ok(stat)) = (number, stat)
            && let Some((name, rest)) = stat.split_once(") ")
            && rest.split(' ').nth(1) == Some(&parent.to_string())
        {
            let name = name.split_once('(').map_or(name, |(_, name)| name);
            found.push((number, name.to_owned()));
        }
    }
    found.sort_by(|one, other| one.1.cmp(&other.1));
    found
}

/// Whether it runs: what has ended may be waited for by somebody who takes his time.
fn runs(number: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn assert_both_run(servers: &[(u32, String)]) {
    let names: Vec<_> = servers.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["etcd", "kube-apiserver"]);
}

#[tokio::test]
async fn a_user_without_rights_is_refused_and_nothing_is_left_after_ctrl_c() {
    let Some(mut up) = Up::start("a_user_without_rights_is_refused_and_nothing_is_left_after_ctrl_c") else {
        return;
    };
    let lease = Lease {
        metadata: kube::core::ObjectMeta {
            name: Some("alpha".to_owned()),
            ..kube::core::ObjectMeta::default()
        },
        ..Lease::default()
    };
    let admin = up.leases_as("admin").await;
    let created = admin.create(&PostParams::default(), &lease).await;
    assert!(created.is_ok(), "{created:?}");
    match up.leases_as("guest").await.list(&ListParams::default()).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("a guest must be refused: {other:?}"),
    }
    let servers = servers_of(up.child.id());
    assert_both_run(&servers);
    up.signal(Signal::INT);
    let (status, said) = ended(&mut up.child);
    assert!(status.success(), "{said}");
    assert!(servers.iter().all(|(number, _)| !runs(*number)));
    assert!(!up.folder().exists(), "{} is still there", up.folder().display());
}

#[tokio::test]
async fn servers_do_not_outlive_a_control_plane_that_is_killed() {
    let Some(mut up) = Up::start("servers_do_not_outlive_a_control_plane_that_is_killed") else {
        return;
    };
    let servers = servers_of(up.child.id());
    assert_both_run(&servers);
    up.signal(Signal::KILL);
    ended(&mut up.child);
    let since = Instant::now();
    while servers.iter().any(|(number, _)| runs(*number)) {
        assert!(since.elapsed() < PATIENCE, "{servers:?} run on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Nobody could remove it any more.
    std::fs::remove_dir_all(up.folder()).expect("the folder is still there");
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error_that_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let mut child = command(&["--port", &port]).spawn().expect("xtask starts");
    let (status, said) = ended(&mut child);
    if are_programs_missing(&said) {
        skip(
            "a_port_that_was_asked_for_and_is_taken_is_an_error_that_says_so",
            &said,
        );
        return;
    }
    assert!(!status.success());
    for part in [TAKEN, "kube-apiserver", &port] {
        assert!(said.contains(part), "{said}");
    }
}
