//! `cargo xtask interop`: processes of client-go's leaderelection and of `candidate run --direct` on one lease. Each hands it
//! over to the other, when it is asked to end and when it is killed, and no two ever work at once.
//!
//! What cannot be seen from outside is tested in the crate `candidate`; what a handover costs is measured by `bench peers`.

#![expect(clippy::print_stdout, reason = "what was seen")]

mod ledger;
mod parties;

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::plane::ClusterArgs;
use crate::workspace::{self, Binaries, Profile};
use crate::{go, shell};
pub(crate) use ledger::{InteropWorkerArgs, work};
use parties::{End, Kind, Parties, Party};

const HELP: &str = "\
Examples:
  cargo xtask interop
  cargo xtask interop --control-plane real
  cargo xtask interop --lease-duration 15

Needs Go. A round takes about five lease durations.";

/// What `interop` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct InteropArgs {
    /// How long a leader counts as alive, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..))]
    lease_duration: u32,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Plays one round.
pub(crate) async fn run(args: InteropArgs) -> anyhow::Result<()> {
    ensure!(
        args.cluster.is_own(),
        "this kills processes on a control plane of its own: leave --kubeconfig out"
    );
    let root = workspace::root()?;
    let go = go::build(&root, "client-go-leaderelection")?;
    let go = go.map_err(|why| anyhow::anyhow!("client-go cannot be asked: {why}"))?;
    let binaries = Binaries::build(
        &root,
        &[&["candidate"], args.cluster.packages()].concat(),
        Profile::Dev,
    )?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let cluster = args.cluster.cluster(&root, &binaries)?;
    println!(
        "one lease of {} s on the {}",
        args.lease_duration,
        cluster.title()
    );
    let mut parties = Parties::gather(&cluster, folder.path(), go, &binaries).await?;
    let played = tokio::select! {
        played = play(&mut parties, args.lease_duration) => played,
        signal = shell::interrupted() => Err(anyhow::anyhow!("{}", signal?)),
    };
    parties.end().await;
    played.with_context(|| format!("logs and ledger are in {}", folder.keep().display()))
}

/// Each hands over to the other, first gracefully, then killed.
async fn play(parties: &mut Parties, seconds: u32) -> anyhow::Result<()> {
    let party = |identity, kind, seconds| Party {
        identity,
        kind,
        seconds,
    };
    let began = parties
        .start_first(party("go-alpha", Kind::ClientGo, seconds))
        .await?;
    told("client-go creates the lease and leads", began);
    for (next, end) in [
        (party("rust-alpha", Kind::Direct, seconds), End::Asked),
        (party("go-bravo", Kind::ClientGo, seconds), End::Asked),
        // Its own patience would be shorter: it has to read how long the other's record is good for.
        (party("rust-bravo", Kind::Direct, seconds - 1), End::Killed),
        (party("go-charlie", Kind::ClientGo, seconds), End::Killed),
    ] {
        let seen = parties.hand_over_to(next, end).await?;
        told(&seen.what, seen.gap);
    }
    parties.release_last().await?;
    println!("{}", parties.check()?);
    Ok(())
}

fn told(what: &str, took: Duration) {
    println!("✓ {what:<62} {:>8.3} s", took.as_secs_f64());
}
