//! `cargo xtask bench scale`: one elector with many leases, on the local control plane.
//!
//! The elector and the server are processes of their own; the candidates, three for each lease, are simulated in this one by
//! requests that are the same as theirs. Every leader renews at the default interval all the time, so what is called idle
//! is a cluster in which nobody fails, not one that is silent.

#![expect(clippy::print_stderr, reason = "the progress of the benchmark")]

mod book;
mod crowd;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;

use super::peers::usage::Usage;
use super::report;
use super::results::{Results, ScaleRun, ScaleSize, Setup};
use crate::plane::{self, Cluster};
use crate::processes::Processes;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};
use book::CANDIDATES;
pub(super) use crowd::Crowd;

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const FAILOVERS: usize = 1_000;
const IDLE_SECONDS: u64 = 30;

const HELP: &str = "\
Examples:
  cargo xtask bench scale
  cargo xtask bench scale --sizes 100,1000 --idle-seconds 10

Writes results.json, tables and pictures to the folder of --out.";

/// What `bench scale` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ScaleArgs {
    /// Numbers of leases; each has three candidates.
    #[arg(long, value_delimiter = ',', default_values_t = SIZES)]
    sizes: Vec<usize>,
    /// How many leaders leave, and die, at once.
    #[arg(long, default_value_t = FAILOVERS)]
    failovers: usize,
    /// How long the elector is watched while nobody fails.
    #[arg(long, value_name = "SECONDS", default_value_t = IDLE_SECONDS)]
    idle_seconds: u64,
    /// Where results are written.
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

pub(super) const NAMESPACE: &str = "default";
pub(super) const ELECTOR: &str = "election-controller";
/// After all have a leader, and before the elector is watched.
const SETTLED: Duration = Duration::from_secs(5);

impl ScaleArgs {
    /// All sizes.
    pub(super) fn whole(out: &Path) -> Self {
        Self {
            sizes: SIZES.to_vec(),
            failovers: FAILOVERS,
            idle_seconds: IDLE_SECONDS,
            out: out.to_owned(),
        }
    }
}

/// Measures, and writes what was measured.
pub(super) async fn run(args: ScaleArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let out = root.join(&args.out);
    let mut results = Results::load(&out)?;
    let binaries = Binaries::build(&root, &[plane::LOCAL_PROGRAM, ELECTOR], Profile::Bench)?;
    let measured = async {
        let mut sizes = Vec::new();
        for leases in &args.sizes {
            sizes.push(measure(&args, *leases, &binaries).await?);
        }
        anyhow::Ok(sizes)
    };
    let sizes = tokio::select! {
        sizes = measured => sizes?,
        _ = tokio::signal::ctrl_c() => return Err(anyhow!("interrupted: what was started has been stopped")),
    };
    results.scale = Some(ScaleRun {
        setup: Setup::now("the local control plane".to_owned())?,
        sizes,
    });
    results.save(&out)?;
    report::write(&results, &root, &out)
}

async fn measure(args: &ScaleArgs, leases: usize, binaries: &Binaries) -> anyhow::Result<ScaleSize> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let size = with_processes(args, leases, binaries, folder.path(), &mut processes).await;
    let size = size.with_context(|| format!("{leases} leases\n{}", processes.tail(ELECTOR)));
    processes.end_down_to(0).await;
    size
}

async fn with_processes(
    args: &ScaleArgs,
    leases: usize,
    binaries: &Binaries,
    folder: &Path,
    processes: &mut Processes,
) -> anyhow::Result<ScaleSize> {
    let access = Cluster::local(binaries)?.reach(processes, folder).await?;
    let kubeconfig = access.kubeconfig;
    let config = candidate::client::load(Some(&kubeconfig), None).await?;
    let client = candidate::client::lease_client(config)?;
    eprintln!("{leases} leases: {} candidates join", leases * CANDIDATES);
    let mut crowd = Crowd::join(client, NAMESPACE, leases).await?;
    let elector = [
        format!("--namespace={NAMESPACE}"),
        "--assume-unheld".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
    ];
    let started = shell::now();
    processes.start(ELECTOR, binaries.path(ELECTOR)?, &elector)?;
    crowd
        .until("a leader of each lease", |book| book.led() == leases)
        .await?;
    let cold_seconds = started.elapsed().as_secs_f64();
    eprintln!("{leases} leases: all have a leader after {cold_seconds:.1} s");
    crowd.during(SETTLED).await?;
    let pid = processes.number(ELECTOR)?;
    let (since, before, writes) = (shell::now(), Usage::of(pid)?, crowd.book.writes);
    crowd.book.latest = Duration::ZERO;
    crowd.during(Duration::from_secs(args.idle_seconds)).await?;
    let (seconds, after) = (since.elapsed().as_secs_f64(), Usage::of(pid)?);
    let writes_per_second = (crowd.book.writes - writes) as f64 / seconds;
    let late = crowd.book.latest;
    ensure!(
        late < Duration::from_secs(4),
        "this machine is too slow for {leases} leases: a renewal was {late:.1?} late"
    );
    eprintln!("{leases} leases: {writes_per_second:.0} writes/s, the latest renewal {late:.1?} late");
    let count = args.failovers.min(leases);
    crowd.book.release(count);
    let releases = failovers(&mut crowd, count, leases, "released").await?;
    crowd.during(SETTLED).await?;
    crowd.book.kill(count);
    let crashes = failovers(&mut crowd, count, leases, "dead").await?;
    if let Some((name, status)) = processes.lost() {
        return Err(anyhow!("{name} has ended ({status})"));
    }
    Ok(ScaleSize {
        leases,
        candidates: leases * CANDIDATES,
        cold_seconds,
        resident_mib: after.resident_mib,
        cpu_percent: (after.cpu - before.cpu).as_secs_f64() / seconds * 100.0,
        writes_per_second,
        releases,
        crashes,
    })
}

async fn failovers(crowd: &mut Crowd, count: usize, leases: usize, how: &str) -> anyhow::Result<Vec<f64>> {
    crowd
        .until("the next leaders", |book| {
            book.failovers.len() >= count && book.led() == leases
        })
        .await?;
    let mut times = std::mem::take(&mut crowd.book.failovers);
    for time in &mut times {
        *time = (*time * 1000.0).round() / 1000.0;
    }
    eprintln!("{leases} leases: {count} at once were {how}, all have a leader again");
    Ok(times)
}
