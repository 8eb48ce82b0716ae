//! What an election costs while nothing happens: requests and bytes by role, memory and CPU of each process.
//!
//! All systems run at the same time, one leader and two standbys each, every process behind a counting proxy of its own.
//! What an elector inside the API server does is not seen here.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::proxy::{self, Counts};
use super::stand::{ELECTOR, Stand};
use super::system::System;
use super::trial::Trial;
use super::usage::Usage;
use crate::bench::results::{Idle, PeersRun, Role};
use crate::processes::Processes;
use crate::shell;

const REPLICAS: [(&str, Role); 3] = [
    ("alpha", Role::Leader),
    ("bravo", Role::Standby),
    ("charlie", Role::Standby),
];
/// The start, with its requests, is over by then.
const SETTLED: Duration = Duration::from_secs(5);

/// A process that is watched.
struct Watched {
    system: System,
    role: Role,
    pid: u32,
    counts: Arc<Counts>,
}

/// What a process has used until a moment.
type Mark = ((u64, u64), Usage);

impl Watched {
    fn mark(&self) -> anyhow::Result<Mark> {
        Ok((self.counts.now(), Usage::of(self.pid)?))
    }

    fn between(&self, ((r0, b0), u0): Mark, ((r1, b1), u1): Mark, seconds: f64) -> Idle {
        Idle {
            system: self.system,
            role: self.role,
            requests_per_second: (r1 - r0) as f64 / seconds,
            bytes_per_second: (b1 - b0) as f64 / seconds,
            resident_mib: u1.resident_mib,
            cpu_percent: (u1.cpu - u0.cpu).as_secs_f64() / seconds * 100.0,
        }
    }
}

/// Watches for so many seconds.
pub(super) async fn measure(
    stand: &Stand,
    systems: &[System],
    seconds: u64,
    run: &mut PeersRun,
) -> anyhow::Result<()> {
    let folder = stand.folder("idle")?;
    let mut processes = Processes::new(folder.clone())?;
    let mut watched = Vec::new();
    if systems.contains(&System::Coordinated) {
        let (kubeconfig, counts) = proxy::start(&stand.kubeconfig, &folder, ELECTOR).await?;
        stand.start_elector(&mut processes, &kubeconfig)?;
        watched.push(Watched {
            system: System::Coordinated,
            role: Role::Elector,
            pid: processes.number(ELECTOR)?,
            counts,
        });
    }
    let mut trials = Vec::new();
    for system in systems {
        let mut trial = Trial::new(stand, *system)?;
        for (replica, role) in REPLICAS {
            let name = format!("{}-{replica}", system.name());
            let (kubeconfig, counts) = proxy::start(&stand.kubeconfig, &folder, &name).await?;
            trial
                .stand_up_with(replica, "1.30.0", role == Role::Leader, &kubeconfig)
                .await?;
            let pid = trial.processes.number(replica)?;
            watched.push(Watched {
                system: *system,
                role,
                pid,
                counts,
            });
        }
        trials.push(trial);
    }
    shell::sleep(SETTLED).await;
    let since = shell::now();
    let before: Vec<Mark> = watched.iter().map(Watched::mark).collect::<anyhow::Result<_>>()?;
    shell::sleep(Duration::from_secs(seconds)).await;
    let after: Vec<Mark> = watched
        .iter()
        .map(Watched::mark)
        .collect::<anyhow::Result<_>>()
        .context("a process has ended")?;
    let seconds = since.elapsed().as_secs_f64();
    let rows = watched.iter().zip(before.into_iter().zip(after));
    run.idle
        .extend(rows.map(|(watched, (before, after))| watched.between(before, after, seconds)));
    run.idle_seconds = seconds;
    for trial in trials {
        trial.end().await?;
    }
    processes.end_down_to(0).await;
    Ok(())
}
