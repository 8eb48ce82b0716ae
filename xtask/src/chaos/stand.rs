//! Who takes part: a control plane, two electors of which one acts, and three candidates whose programs write into the
//! ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use election_core::ELECTORS_LEASE;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::ledger::Entry;
use crate::plane::ClusterArgs;
use crate::processes::Processes;
use crate::workspace::Binaries;

/// What has to be built.
pub(super) const PROGRAMS: [&str; 2] = ["election-controller", "candidate"];

/// The program, and its replicas: instance and process have one name.
const ELECTOR: &str = "election-controller";
const ELECTORS: [&str; 2] = ["elector-a", "elector-b"];
/// How long an answer of the server may take.
const ANSWER: Duration = Duration::from_secs(2);
const LEASE: &str = "kube-system/chaos";
/// Identity, version, and whether the program takes no notice of SIGTERM. The last one is the best.
const CANDIDATES: [(&str, &str, bool); 3] = [
    ("alpha", "1.30", true),
    ("bravo", "1.30", false),
    ("charlie", "1.29", true),
];

/// The processes, and how each is started again.
#[derive(Debug)]
pub(super) struct Stand {
    pub(super) processes: Processes,
    pub(super) ledger: PathBuf,
    binaries: Binaries,
    kubeconfig: PathBuf,
    /// Where the lease of the electors is.
    leases: Api<Lease>,
    lease_duration: u32,
    servers: Vec<&'static str>,
}

impl Stand {
    pub(super) async fn raise(
        cluster: &ClusterArgs,
        root: &Path,
        binaries: Binaries,
        folder: &Path,
        lease_duration: u32,
    ) -> anyhow::Result<Self> {
        let mut processes = Processes::new(folder.join("logs"))?;
        let access = cluster
            .cluster(root, &binaries)?
            .reach(&mut processes, folder)
            .await?;
        let mut stand = Self {
            processes,
            ledger: folder.join("ledger"),
            binaries,
            kubeconfig: access.kubeconfig,
            leases: Api::namespaced(access.client, ELECTORS_LEASE.0),
            lease_duration,
            servers: cluster.servers().to_vec(),
        };
        stand.start_all()?;
        Ok(stand)
    }

    /// Starts whoever does not run.
    pub(super) fn start_all(&mut self) -> anyhow::Result<()> {
        for instance in ELECTORS {
            if !self.processes.runs(instance) {
                self.start_elector(instance)?;
            }
        }
        for (identity, version, is_stubborn) in CANDIDATES {
            if !self.processes.runs(identity) {
                self.start_candidate(identity, version, is_stubborn)?;
            }
        }
        Ok(())
    }

    fn start_elector(&mut self, instance: &str) -> anyhow::Result<()> {
        let mut command = Command::new(self.binaries.path(ELECTOR)?);
        command.env("POD_NAME", instance).args([
            format!("--kubeconfig={}", self.kubeconfig.display()),
            "--namespace=kube-system".to_owned(),
            format!("--lease-duration={}s", self.lease_duration),
            format!("--leader-elect-lease-duration={}s", self.lease_duration),
        ]);
        self.processes.start_command(instance, command)
    }

    fn start_candidate(&mut self, identity: &str, version: &str, is_stubborn: bool) -> anyhow::Result<()> {
        let program = self.binaries.path("candidate")?.to_owned();
        let worker = std::env::current_exe().context("where is this program?")?;
        let trap = if is_stubborn { "trap '' TERM; " } else { "" };
        let script = format!("{trap}exec \"$0\" chaos-worker \"$1\"");
        let args = [
            "run".to_owned(),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--lease={LEASE}"),
            format!("--identity={identity}"),
            format!("--binary-version={version}"),
            format!("--lease-duration={}s", self.lease_duration),
            "--".to_owned(),
            "sh".to_owned(),
            "-c".to_owned(),
            script,
            worker.display().to_string(),
            self.ledger.display().to_string(),
        ];
        self.processes.start(identity, &program, &args)
    }

    /// A candidate other than the leader.
    pub(super) fn standby(&self, leader: &str, number: usize) -> &'static str {
        let others: Vec<&'static str> = CANDIDATES
            .iter()
            .map(|(identity, ..)| *identity)
            .filter(|identity| *identity != leader)
            .collect();
        others[number % others.len()]
    }

    /// The elector whose turn it is, as the electors' own lease says; nobody's if that cannot be read.
    pub(super) async fn acting_elector(&self) -> Option<&'static str> {
        let answer = tokio::time::timeout(ANSWER, self.leases.get(ELECTORS_LEASE.1)).await;
        let holder = answer.ok()?.ok()?.spec?.holder_identity?;
        ELECTORS.into_iter().find(|instance| holder == *instance)
    }

    /// The ends of the logs of all electors.
    pub(super) fn tail_of_electors(&self) -> String {
        ELECTORS.map(|instance| self.processes.tail(instance)).join("\n")
    }

    pub(super) fn pid(&self, name: &str) -> anyhow::Result<Pid> {
        let number = i32::try_from(self.processes.number(name)?).ok();
        number
            .and_then(Pid::from_raw)
            .with_context(|| format!("{name} has no process number"))
    }

    /// Who listens for requests.
    pub(super) fn server(&self) -> &'static str {
        self.servers.last().copied().unwrap_or_default()
    }

    /// Who keeps what is written.
    pub(super) fn store(&self) -> anyhow::Result<Pid> {
        self.pid(self.servers.first().copied().unwrap_or_default())
    }
}

/// The processes of a leader, from `candidate run` down to its program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lineage {
    pub(super) candidate: Pid,
    pub(super) keeper: Pid,
    pub(super) program: Pid,
}

impl Lineage {
    /// Of whoever has written last, if it is still there as it was then: a number may belong to somebody else by now.
    pub(super) fn of(stand: &Stand, last: &Entry) -> Option<Self> {
        let program = Pid::from_raw(last.pid)?;
        let keeper = parent(program)?;
        let candidate = stand.pid(&last.identity).ok()?;
        (parent(keeper)? == candidate).then_some(Self {
            candidate,
            keeper,
            program,
        })
    }
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    let fields = stat.rsplit_once(") ")?.1;
    Pid::from_raw(fields.split(' ').nth(1)?.parse().ok()?)
}

/// Sends a signal. Whoever has ended meanwhile needs none.
pub(super) fn send(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// How long it may take until somebody leads again: a server that was killed needs most of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
