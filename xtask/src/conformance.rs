//! `cargo xtask conformance`: the suite of `conformance`, on the server that was asked for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::Args;
use ::conformance::{Check, Need, Outcome, Report, Target, Verdict};

use crate::plane;

const HELP: &str = "\
Examples:
  cargo xtask conformance
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
    /// The cluster to check.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How many checks are made at a time.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
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
    let Some(kubeconfig) = args.kubeconfig.clone() else { bail!("a kubeconfig") };
    let target = Target {
        client: plane::client_of(&kubeconfig).await?,
        kubeconfig: Some(kubeconfig),
        controllers: false,
    };
    let report = ::conformance::run(&target, &checks, args.jobs, |outcome| tell(outcome, args.verbose)).await;
    conclude(&report)
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
    ensure!(!checks.is_empty(), "no check is called {}: --list shows all", names.join(", "));
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
                    println!("      {} {} → {} {}", exchange.request, exchange.sent, exchange.code, exchange.got);
                }
            }
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}

fn conclude(report: &Report) -> anyhow::Result<()> {
    let failed = report.failures().count();
    let skipped = report.skipped().count();
    let made = report.outcomes.len() - skipped;
    let took: Duration = report.outcomes.iter().map(|outcome| outcome.took).sum();
    println!("{made} checks made, {failed} failed, {skipped} skipped ({took:.1?} in all)");
    ensure!(failed == 0, "{failed} of {made} checks failed");
    let _ = Need::Socket;
    Ok(())
}
