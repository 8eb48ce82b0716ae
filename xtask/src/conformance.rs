//! `cargo xtask conformance`: the suite of `conformance`, on the server that was asked for.

#![expect(clippy::print_stdout, reason = "the output of the checks")]

use std::path::Path;
use std::time::Duration;

use ::conformance::{Check, Outcome, Report, Target, Verdict};
use anyhow::{Context, bail, ensure};
use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plane::{Cluster, ClusterArgs, Plane};
use crate::processes::Processes;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask conformance
  cargo xtask conformance --control-plane real --controllers
  cargo xtask conformance --list
  cargo xtask conformance watches leases --kubeconfig ~/.kube/config

A name selects the checks whose subject or title contains it. Each check has a
namespace of its own.";

/// What `conformance` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ConformanceArgs {
    /// Only these checks; all when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Say which checks there are.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Also check what controllers do: kube-controller-manager is started with a real control plane, and must be there in
    /// any other cluster. The local one always has its controllers.
    #[arg(long)]
    controllers: bool,
    /// How many checks are made at a time.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// Expect from now on what this server answers. Only for a real one.
    #[arg(long)]
    record: bool,
    /// Show what was said in checks that failed.
    #[arg(long)]
    verbose: bool,
}

pub(crate) async fn run(args: ConformanceArgs) -> anyhow::Result<()> {
    let checks = selected(&args.names)?;
    if args.list {
        for check in &checks {
            println!("{}", check.title());
        }
        return Ok(());
    }
    allow_many_sockets()?;
    let root = workspace::root()?;
    let binaries = Binaries::build(&root, args.cluster.packages(), Profile::Dev)?;
    let cluster = args.cluster.cluster(&root, &binaries)?;
    let folder = tempfile::Builder::new().prefix("conformance-").tempdir();
    let folder = folder.context("cannot make a folder for the control plane")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let report = tokio::select! {
        report = check(&args, cluster, &checks, &mut processes, folder.path()) => report,
        signal = shell::interrupted() => signal.and_then(|name| bail!("{name}: what was started has been stopped")),
    };
    processes.end_down_to(0).await;
    conclude(&report?)
}

/// A thousand watches are a thousand sockets, here and in a server that is started from here.
fn allow_many_sockets() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).context("cannot raise the limit of open files")
}

async fn check(
    args: &ConformanceArgs,
    cluster: Cluster,
    checks: &[Check],
    processes: &mut Processes,
    folder: &Path,
) -> anyhow::Result<Report> {
    let is_local = matches!(cluster, Cluster::Own(Plane::Local(_)));
    ensure!(
        !(args.record && is_local),
        "what is expected comes from a real server: --record needs --control-plane real or --kubeconfig"
    );
    let controllers = args.controllers || is_local;
    let cluster = match cluster {
        Cluster::Own(plane) if controllers => Cluster::Own(plane.with_controllers()),
        cluster => cluster,
    };
    let access = cluster.reach(processes, folder).await?;
    let target = Target {
        guest: guest(&access.kubeconfig).await,
        client: access.client,
        kubeconfig: Some(access.kubeconfig),
        controllers,
        record: args.record,
    };
    Ok(::conformance::run(&target, checks, args.jobs, |outcome| tell(outcome, args.verbose)).await)
}

/// The user without rights of a control plane that was started for this; other clusters may have none.
async fn guest(kubeconfig: &Path) -> Option<Client> {
    let file = Kubeconfig::read_from(kubeconfig).ok()?;
    let guest = KubeConfigOptions {
        context: Some("guest".to_owned()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &guest).await.ok()?;
    Client::try_from(config).ok()
}

fn selected(names: &[String]) -> anyhow::Result<Vec<Check>> {
    let all = ::conformance::all();
    let wanted = |check: &Check| {
        names.is_empty()
            || names
                .iter()
                .any(|name| check.title().contains(&name.replace('_', " ")))
    };
    let checks: Vec<Check> = all.into_iter().filter(wanted).collect();
    ensure!(
        !checks.is_empty(),
        "no check is called {}: --list shows all",
        names.join(", ")
    );
    Ok(checks)
}

fn tell(outcome: &Outcome, verbose: bool) {
    let title = outcome.check.title();
    match &outcome.verdict {
        Verdict::Passed => println!("  ✓ {title}  {:.1} s", outcome.took.as_secs_f64()),
        Verdict::Skipped(reason) => println!("  – {title}: {reason}"),
        Verdict::Failed(why) => {
            println!("  ✗ {title}\n{}", indented(why));
            if verbose {
                for exchange in &outcome.exchanges {
                    println!(
                        "      {} {} → {} {}",
                        exchange.request, exchange.sent, exchange.code, exchange.got
                    );
                }
            }
        }
    }
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("      {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn conclude(report: &Report) -> anyhow::Result<()> {
    let failed = report.failures().count();
    let skipped = report.skipped().count();
    let made = report.outcomes.len() - skipped;
    let took: Duration = report.outcomes.iter().map(|outcome| outcome.took).sum();
    println!("{made} checks made, {failed} failed, {skipped} skipped ({took:.1?} in all)");
    ensure!(failed == 0, "{failed} of {made} checks failed");
    Ok(())
}
