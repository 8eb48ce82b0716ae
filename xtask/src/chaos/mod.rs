//! `cargo xtask chaos`: real processes are killed, stopped and ended again and again, and so are the elector that acts, the
//! API server and its store, while whoever leads writes into one file that checks the fencing token.
//!
//! After each cycle there must be a leader again; in none may two processes have acted with one token, tokens have
//! fallen, or a write have been refused: the election itself must prevent that. One fault excepts itself, as
//! `Fault::StopAll` says. What is done in a cycle is in `cycle`.

#![expect(clippy::print_stdout, reason = "the output of the chaos")]

mod cycle;
mod excuse;
mod faults;
mod ledger;
mod stand;
mod summary;
pub(crate) mod worker;

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::plane::ClusterArgs;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};
use cycle::Chaos;
use faults::Schedule;
use stand::Stand;

const HELP: &str = "\
Examples:
  cargo xtask chaos
  cargo xtask chaos --control-plane real --cycles 500
  cargo xtask chaos --seed 7 --cycles 20 --lease-duration 3

A cycle takes about three lease durations. The seed chooses the faults; what
happens meanwhile is up to the machine. After a violation, the logs and the
ledger are kept.";

/// What `chaos` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ChaosArgs {
    /// How many cycles.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    cycles: u32,
    /// What chooses the faults. [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// How long a leader counts as alive, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    lease_duration: u32,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Says what a cycle was.
fn say(number: u32, cycles: u32, what: &str, gap: Duration) {
    println!(
        "{number:>4}/{cycles}  {what:<50} nobody wrote for {:.3} s",
        gap.as_secs_f64()
    );
}

/// Plays all cycles.
pub(crate) async fn run(args: ChaosArgs) -> anyhow::Result<()> {
    ensure!(
        args.cluster.is_own(),
        "chaos kills and stops its own control plane, and nobody else's: leave --kubeconfig out"
    );
    let root = workspace::root()?;
    let packages = [&stand::PROGRAMS, args.cluster.packages()].concat();
    println!("building {}", packages.join(", "));
    let binaries = Binaries::build(&root, &packages, Profile::Dev)?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    let lease = Duration::from_secs(args.lease_duration.into());
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    println!("{} cycles, seed {seed}, leases of {lease:?}", args.cycles);
    let stand = Stand::raise(&args.cluster, &root, binaries, folder.path(), args.lease_duration);
    let schedule = Schedule::new(seed, !args.cluster.is_local());
    let mut chaos = Chaos::new(stand.await?, schedule, lease);
    let played = tokio::select! {
        played = chaos.play(args.cycles) => played,
        signal = shell::interrupted() => Err(anyhow::anyhow!("{}", signal?)),
    };
    chaos.end().await;
    print!("{}", chaos.summary().text());
    played.with_context(|| {
        let kept = folder.keep();
        format!(
            "logs and ledger are in {}; the same faults again: cargo xtask chaos --seed {seed} --cycles {}",
            kept.display(),
            args.cycles
        )
    })
}
