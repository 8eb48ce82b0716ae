//! `cargo xtask bench handover`: how long a handover takes, between real processes.
//!
//! Each round has both directions. A better candidate starts and takes over from the leader, then it is asked to end and
//! the first one leads again. Begin and end of work are stamped by the candidates themselves with the clock of the
//! machine, so how fast this process reads their output does not matter. Figures are shown and never judged.

#![expect(clippy::print_stdout, reason = "the output of the benchmark")]

pub(crate) mod candidate;
mod figures;
mod peers;
mod plugin;
mod report;
mod results;
mod scale;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use crate::plane::{self, Access, Cluster, ClusterArgs};
use crate::processes::Processes;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};
use candidate::{Said, What, boottime};
use figures::Figures;
use peers::PeersArgs;
use plugin::PluginArgs;
use scale::ScaleArgs;

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Bench {
    /// A better candidate starts; a leader is asked to end.
    Handover(HandoverArgs),
    /// This project and what people use today, side by side on the same control plane.
    Peers(PeersArgs),
    /// One elector with up to 10,000 leases, on the local control plane.
    Scale(ScaleArgs),
    /// The plugin: start to output, and its size.
    Plugin(PluginArgs),
    /// `peers`, `scale` and `plugin`, with their defaults: what docs/benchmarks shows.
    All(AllArgs),
    /// Tables and pictures, drawn again from what was measured.
    Report(report::ReportArgs),
}

const ALL_HELP: &str = "\
Examples:
  cargo xtask bench all --control-plane real
  cargo xtask bench all --kubeconfig ~/.kube/config
  cargo xtask bench all --rounds 3 --out /tmp/results

Takes about 50 minutes; the machine should have nothing else to do.";

/// What `bench all` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = ALL_HELP)]
pub(crate) struct AllArgs {
    /// How often every system is measured, at least.
    #[arg(long, default_value_t = peers::ROUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Where results are written.
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

const HANDOVER_HELP: &str = "\
Examples:
  cargo xtask bench handover
  cargo xtask bench handover --rounds 100 --json
  cargo xtask bench handover --control-plane real

Candidates, elector and API server are processes of their own, built with
optimisation. On another cluster, the namespace election-bench is made for the
lease and removed.";

/// What `bench handover` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HANDOVER_HELP)]
pub(crate) struct HandoverArgs {
    /// How often each is measured.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Only one line of JSON.
    #[arg(long)]
    json: bool,
}

const PROGRAMS: [&str; 2] = ["election-controller", "xtask"];
const LEASE: &str = "bench";
/// Where the lease is, on a cluster of its own and on somebody's.
const OWN_NAMESPACE: &str = "kube-system";
const GUEST_NAMESPACE: &str = "election-bench";
const STANDING: &str = "bench-1.30";
const BETTER: &str = "bench-1.29";
/// Between rounds. Several handovers of one lease in a second are held up on purpose, so that a loop somewhere else
/// cannot flood the server.
const PAUSE: Duration = Duration::from_secs(1);
/// A step that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one round showed.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// From the start of the better candidate's process until its work begins.
    started_to_leads: Duration,
    /// In that takeover, from the end of the old work to the beginning of the new.
    takeover_gap: Duration,
    /// From SIGTERM to the leader until the next one's work begins.
    sigterm_to_leads: Duration,
    /// From the end of the old work to the beginning of the new.
    stop_gap: Duration,
}

/// Measures, and shows what was measured.
pub(crate) async fn run(bench: Bench) -> anyhow::Result<()> {
    if cfg!(debug_assertions) && !matches!(bench, Bench::Report(_)) {
        return optimised();
    }
    match bench {
        Bench::Handover(args) => handover(args).await,
        Bench::Peers(args) => peers::run(args).await,
        Bench::Scale(args) => scale::run(args).await,
        Bench::Plugin(args) => plugin::run(args).await,
        Bench::All(args) => {
            scale::run(ScaleArgs::whole(&args.out)).await?;
            peers::run(PeersArgs::whole(args.rounds, args.cluster, &args.out)).await?;
            plugin::run(PluginArgs::whole(&args.out)).await
        }
        Bench::Report(args) => report::run(&args),
    }
}

/// Becomes the same command, built with optimisation: who watches and simulates must not be what is slow. Does not return.
fn optimised() -> anyhow::Result<()> {
    let binaries = Binaries::build(&workspace::root()?, &["xtask"], Profile::Bench)?;
    let program = binaries.path("xtask")?;
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

async fn handover(args: HandoverArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let packages = [args.cluster.packages(), &PROGRAMS].concat();
    let binaries = Binaries::build(&root, &packages, Profile::Bench)?;
    let cluster = args.cluster.cluster(&root, &binaries)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let mut guest = None;
    let measured = async {
        let access = cluster.reach(&mut processes, folder.path()).await?;
        if let Cluster::Other(_) = cluster {
            plane::make_namespace(&access.client, GUEST_NAMESPACE).await?;
            guest = Some(access.client.clone());
        }
        measure(&args, &binaries, &access, &cluster, &mut processes).await
    };
    let result = tokio::select! {
        result = measured => result,
        signal = shell::interrupted() => signal.and_then(|name| bail!("{name}: what was started has been stopped")),
    };
    processes.end_down_to(0).await;
    if let Some(client) = guest {
        plane::remove_namespace(&client, GUEST_NAMESPACE).await?;
    }
    show(&args, &cluster, &result?)
}

async fn measure(
    args: &HandoverArgs,
    binaries: &Binaries,
    access: &Access,
    cluster: &Cluster,
    processes: &mut Processes,
) -> anyhow::Result<Vec<Round>> {
    let namespace = match cluster {
        Cluster::Own(_) => OWN_NAMESPACE,
        Cluster::Other(_) => GUEST_NAMESPACE,
    };
    let kubeconfig = access.kubeconfig.clone();
    let elector = [
        format!("--namespace={namespace}"),
        "--assume-unheld".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
    ];
    processes.start(
        "election-controller",
        binaries.path("election-controller")?,
        &elector,
    )?;
    let stand = Stand {
        program: binaries.path("xtask")?.to_owned(),
        kubeconfig,
        namespace,
    };
    let mut standing = stand.start(processes, STANDING, "1.30")?;
    standing.next(What::Leads, processes).await?;
    let mut rounds = Vec::new();
    for number in 0..args.rounds {
        if !args.json {
            screen_progress(number, args.rounds);
        }
        shell::sleep(PAUSE).await;
        rounds.push(
            round(&stand, processes, &mut standing)
                .await
                .with_context(|| format!("round {}", number + 1))?,
        );
    }
    Ok(rounds)
}

async fn round(stand: &Stand, processes: &mut Processes, standing: &mut Voice) -> anyhow::Result<Round> {
    let started = boottime();
    let mut better = stand.start(processes, BETTER, "1.29")?;
    let better_leads = better.next(What::Leads, processes).await?;
    let standing_stopped = standing.next(What::Stopped, processes).await?;
    let asked = boottime();
    processes.terminate(BETTER)?;
    let better_stopped = better.next(What::Stopped, processes).await?;
    let standing_leads = standing.next(What::Leads, processes).await?;
    processes.ended(BETTER).await?;
    Ok(Round {
        started_to_leads: nanos(started, better_leads)?,
        takeover_gap: nanos(standing_stopped, better_leads)?,
        sigterm_to_leads: nanos(asked, standing_leads)?,
        stop_gap: nanos(better_stopped, standing_leads)?,
    })
}

/// A span between two stamps. New work that begins before old work has stopped would be the end of this project.
fn nanos(from: u64, to: u64) -> anyhow::Result<Duration> {
    let span = to
        .checked_sub(from)
        .with_context(|| format!("invariant S6 is broken: {from} ns comes after {to} ns"))?;
    Ok(Duration::from_nanos(span))
}

/// How candidates are started.
struct Stand {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: &'static str,
}

impl Stand {
    fn start(
        &self,
        processes: &mut Processes,
        identity: &'static str,
        version: &str,
    ) -> anyhow::Result<Voice> {
        let args = [
            "bench-candidate".to_owned(),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--namespace={}", self.namespace),
            format!("--lease={LEASE}"),
            format!("--identity={identity}"),
            format!("--binary-version={version}"),
            format!("--emulation-version={version}"),
        ];
        let child = processes.start_piped(identity, &self.program, &args)?;
        let output = child.stdout.take().context("a candidate without output")?;
        Ok(Voice {
            identity,
            lines: BufReader::new(output).lines(),
        })
    }
}

/// What a candidate says.
struct Voice {
    identity: &'static str,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Voice {
    /// The moment of the next event of a kind.
    async fn next(&mut self, wanted: What, processes: &Processes) -> anyhow::Result<u64> {
        let identity = self.identity;
        let heard = async {
            while let Some(line) = self.lines.next_line().await? {
                let said: Said =
                    serde_json::from_str(&line).with_context(|| format!("{identity} said {line:?}"))?;
                if said.event == wanted {
                    return Ok(said.boottime);
                }
            }
            bail!("it has ended")
        };
        let within = async {
            tokio::select! {
                heard = heard => heard,
                () = shell::sleep(PATIENCE) => bail!("nothing within {PATIENCE:?}"),
            }
        };
        let told = |name| processes.tail(name);
        within.await.with_context(|| {
            format!(
                "{identity} should say {wanted:?}\n{}\n{}",
                told(identity),
                told("election-controller")
            )
        })
    }
}

fn screen_progress(done: u32, all: u32) {
    use std::io::{IsTerminal, Write};
    if std::io::stdout().is_terminal() {
        print!("\r\u{1b}[Kround {} of {all}", done + 1);
        // Progress that is not seen is no loss.
        let _ = std::io::stdout().flush();
    }
}

fn show(args: &HandoverArgs, cluster: &Cluster, rounds: &[Round]) -> anyhow::Result<()> {
    let figures = |of: fn(&Round) -> Duration| {
        let millis = |round| of(round).as_secs_f64() * 1000.0;
        Figures::of(rounds.iter().map(millis).collect()).context("nothing was measured")
    };
    let rows = [
        (
            "start-to-leads",
            "a better candidate's process is started → its work begins",
            figures(|r| r.started_to_leads)?,
        ),
        (
            "takeover-gap",
            "  of that: old work has stopped → new work begins",
            figures(|r| r.takeover_gap)?,
        ),
        (
            "sigterm-to-leads",
            "SIGTERM to the leader → the next one's work begins",
            figures(|r| r.sigterm_to_leads)?,
        ),
        (
            "stop-gap",
            "  of that: old work has stopped → new work begins",
            figures(|r| r.stop_gap)?,
        ),
    ];
    if !args.json {
        println!(
            "\r\u{1b}[K{:60} {:>9} {:>9} {:>9} {:>9}",
            "MILLISECONDS", "MIN", "MEDIAN", "P99", "MAX"
        );
        for (_, text, figures) in &rows {
            let [min, median, p99, max] = figures.row();
            println!("{text:60} {min:>9.2} {median:>9.2} {p99:>9.2} {max:>9.2}");
        }
        println!("{} rounds; {}", rounds.len(), cluster.title());
    }
    let all: serde_json::Map<_, _> = rows
        .iter()
        .map(|(name, _, figures)| ((*name).to_owned(), figures.json()))
        .collect();
    println!("{}", json!({"bench": "handover", "figures": all}));
    Ok(())
}
