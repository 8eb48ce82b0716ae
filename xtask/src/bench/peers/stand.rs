//! What all trials share: the server, the programs, one watch of all leases, and whose turn it is.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use kube::Client;
use tokio::sync::Mutex;

use super::programs::Programs;
use crate::bench::candidate::boottime;
use crate::plane::Access;
use crate::processes::Processes;
use crate::shell;
use crate::timeline::Timeline;

/// The namespace of all leases; every cluster has it.
pub(super) const NAMESPACE: &str = "default";
/// How long after something was triggered nobody else starts or stops a process.
const TURN: Duration = Duration::from_secs(1);
/// The process of this project's elector.
pub(super) const ELECTOR: &str = "election-controller";

/// What all trials share.
pub(super) struct Stand {
    pub(super) programs: Programs,
    pub(super) kubeconfig: PathBuf,
    pub(super) client: Client,
    /// What a watch has shown of all leases.
    pub(super) leases: Timeline,
    folder: PathBuf,
    turn: Mutex<()>,
    trials: AtomicU64,
    random: AtomicU64,
    /// One moment by the two clocks in use.
    epoch: (Instant, u64),
}

impl Stand {
    /// Starts to watch a cluster.
    pub(super) fn new(programs: Programs, access: Access, folder: &Path) -> Self {
        let Access { kubeconfig, client } = access;
        Self {
            programs,
            leases: Timeline::follow(client.clone(), NAMESPACE),
            kubeconfig,
            client,
            folder: folder.to_owned(),
            turn: Mutex::new(()),
            trials: AtomicU64::new(0),
            random: AtomicU64::new(0),
            epoch: (shell::now(), boottime()),
        }
    }

    /// Starts this project's elector.
    pub(super) fn start_elector(&self, processes: &mut Processes, kubeconfig: &Path) -> anyhow::Result<()> {
        let args = [
            format!("--namespace={NAMESPACE}"),
            "--assume-unheld".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
        ];
        processes.start(ELECTOR, self.programs.own().path(ELECTOR)?, &args)
    }

    /// Lets something happen while no other trial starts or stops a process, for at most a second: what takes longer is
    /// not disturbed by the start of a process, and must not keep all others waiting.
    pub(super) async fn undisturbed<T>(&self, happening: impl Future<Output = T>) -> T {
        let turn = self.turn.lock().await;
        let mut happening = std::pin::pin!(happening);
        tokio::select! {
            biased;
            done = &mut happening => return done,
            () = shell::sleep(TURN) => drop(turn),
        }
        happening.await
    }

    /// A number that no other trial has.
    pub(super) fn next_trial(&self) -> u64 {
        self.trials.fetch_add(1, Ordering::Relaxed)
    }

    /// A folder that nobody else uses.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// The next of a fixed row of numbers that look random (SplitMix64), below a bound.
    pub(super) fn random(&self, below: u64) -> u64 {
        let mut z = self
            .random
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    /// A moment of this process by the clock of the machine.
    pub(super) fn boottime(&self, at: Instant) -> u64 {
        let (instant, boottime) = self.epoch;
        let since = at.saturating_duration_since(instant).as_nanos();
        boottime.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}
