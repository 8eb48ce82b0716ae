//! `cargo xtask bench peers`: this project and what people use today, side by side.
//!
//! The same server, the same run, real processes. A round measures every system once, all at the same time and each with a
//! lease of its own, because most of a trial is waiting; who is through sooner is measured again until the others are.
//! While something is triggered, nobody else starts or stops a process. Figures are shown and never judged here.

#![expect(clippy::print_stderr, reason = "the progress of the benchmark")]

mod chronicle;
mod floor;
mod idle;
mod measure;
mod programs;
mod proxy;
mod rolling;
mod rounds;
mod stand;
pub(super) mod system;
mod trial;
pub(super) mod usage;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::report;
use super::results::{PeersRun, Results, Setup};
use crate::plane::{Cluster, ClusterArgs, Plane};
use crate::processes::Processes;
use crate::workspace;
use measure::Measure;
use programs::{Programs, Skipped};
use stand::Stand;
use system::System;

/// With these, all measures of all systems take about half an hour.
pub(super) const ROUNDS: u32 = 9;
const ROLLING_ROUNDS: u32 = 2;
/// Two renewals of an identity lease.
const IDLE_SECONDS: u64 = 120;

const HELP: &str = "\
Examples:
  cargo xtask bench peers --control-plane real
  cargo xtask bench peers --kubeconfig ~/.kube/config
  cargo xtask bench peers --systems coordinated,client-go --measures stop
  cargo xtask bench peers --rounds 3 --out /tmp/results

The peers under bench/peers are built first; those in Go are left out when
there is no Go. Writes results.json, tables and pictures to the folder of
--out.";

/// What `bench peers` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PeersArgs {
    /// Only these systems.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = System::ALL)]
    systems: Vec<System>,
    /// Only these measures.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Measure::value_variants().iter().copied())]
    measures: Vec<Measure>,
    /// How often every system is measured, at least.
    #[arg(long, default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How often a rolling upgrade is made, at most.
    #[arg(long, default_value_t = ROLLING_ROUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    rolling_rounds: u32,
    /// How long the idle processes are watched.
    #[arg(long, value_name = "SECONDS", default_value_t = IDLE_SECONDS)]
    idle_seconds: u64,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Where results are written.
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

impl PeersArgs {
    /// All systems and all measures.
    pub(super) fn whole(rounds: u32, cluster: ClusterArgs, out: &Path) -> Self {
        Self {
            systems: System::ALL.to_vec(),
            measures: Measure::value_variants().to_vec(),
            rounds,
            rolling_rounds: ROLLING_ROUNDS,
            idle_seconds: IDLE_SECONDS,
            cluster,
            out: out.to_owned(),
        }
    }
}

/// Measures, and writes what was measured.
pub(super) async fn run(args: PeersArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let out = root.join(&args.out);
    let mut results = Results::load(&out)?;
    let (programs, mut skipped) = Programs::build(&root, &args.systems)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let cluster = with_upstream(args.cluster.cluster(&root, programs.own())?);
    let measured = async {
        let access = cluster.reach(&mut processes, folder.path()).await?;
        let stand = Stand::new(programs, access, folder.path());
        skipped.extend(unserved(&stand, &args.systems).await?);
        measure(&args, &stand, skipped, &mut processes).await
    };
    let result = tokio::select! {
        result = measured => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted: what was started has been stopped")),
    };
    processes.end_down_to(0).await;
    results.peers = Some(result?);
    results.save(&out)?;
    report::write(&results, &root, &out)
}

/// A control plane of our own also elects as upstream does: that is one of the peers.
fn with_upstream(cluster: Cluster) -> Cluster {
    let Cluster::Own(Plane::Real(mut real)) = cluster else {
        return cluster;
    };
    let flags = [
        "--feature-gates=CoordinatedLeaderElection=true",
        "--runtime-config=coordination.k8s.io/v1beta1=true",
    ];
    real.api_server_args.extend(flags.map(str::to_owned));
    Cluster::Own(Plane::Real(real))
}

/// Systems that this server has not what they need.
async fn unserved(stand: &Stand, systems: &[System]) -> anyhow::Result<Skipped> {
    if !systems.contains(&System::UpstreamCoordinated) {
        return Ok(Skipped::new());
    }
    let served = match stand
        .client
        .list_api_group_resources("coordination.k8s.io/v1beta1")
        .await
    {
        Ok(list) => list
            .resources
            .iter()
            .any(|resource| resource.name == "leasecandidates"),
        Err(kube::Error::Api(status)) if status.code == 404 => false,
        Err(error) => return Err(error).context("which resources does the server have?"),
    };
    let why = "the server has no LeaseCandidate: it needs --feature-gates=CoordinatedLeaderElection=true and \
               --runtime-config=coordination.k8s.io/v1beta1=true";
    Ok(if served {
        Skipped::new()
    } else {
        vec![(System::UpstreamCoordinated, why.to_owned())]
    })
}

async fn measure(
    args: &PeersArgs,
    stand: &Stand,
    skipped: Skipped,
    processes: &mut Processes,
) -> anyhow::Result<PeersRun> {
    for (system, why) in &skipped {
        eprintln!("{} is left out: {why}", system.name());
    }
    let systems: Vec<System> = args
        .systems
        .iter()
        .copied()
        .filter(|system| skipped.iter().all(|(left_out, _)| left_out != system))
        .collect();
    let version = stand.client.apiserver_version().await?.git_version;
    let server = match args.cluster.is_local() {
        true => "the local control plane".to_owned(),
        false => format!("kube-apiserver {version}"),
    };
    let mut run = PeersRun {
        setup: Setup::now(server)?,
        rounds: args.rounds,
        skipped,
        series: Vec::new(),
        failures: Vec::new(),
        handovers: Vec::new(),
        idle: Vec::new(),
        idle_seconds: 0.0,
    };
    if args.measures.contains(&Measure::Floor) {
        eprintln!("floor");
        floor::measure(stand, &mut run).await?;
    }
    if args.measures.contains(&Measure::Idle) {
        eprintln!("idle: {} s", args.idle_seconds);
        idle::measure(stand, &systems, args.idle_seconds, &mut run).await?;
    }
    let others = processes.count();
    stand.start_elector(processes, &stand.kubeconfig)?;
    let run = RefCell::new(run);
    for measure in &args.measures {
        let systems: Vec<System> = systems
            .iter()
            .copied()
            .filter(|system| measure.applies_to(*system))
            .collect();
        let rounds = match measure {
            Measure::Floor | Measure::Idle => 0,
            Measure::Rolling => args.rolling_rounds,
            Measure::Crash => args.rounds.div_ceil(2),
            _ => args.rounds,
        };
        rounds::make(stand, *measure, &systems, rounds, &run).await;
        if let Some((name, status)) = processes.lost() {
            bail!("{name} has ended ({status})\n{}", processes.tail(&name));
        }
    }
    processes.end_down_to(others).await;
    Ok(run.into_inner())
}
