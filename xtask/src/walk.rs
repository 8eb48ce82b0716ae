//! `cargo xtask walk`: the same random operations on the local control plane and on a real one.

#![expect(clippy::print_stdout, reason = "the output of the walk")]

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use conformance::Target;
use futures::{StreamExt, stream};

use crate::plane::{self, Cluster};
use crate::processes::Processes;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask walk
  cargo xtask walk --from 7 --seeds 1
  cargo xtask walk --kubeconfig ~/.kube/config --operations 500

Each walk creates, changes, deletes and watches objects in a namespace of its
own, on both servers, and compares every reply and every event. The seed of a
difference is printed: with --from SEED --seeds 1 it is walked again.";

/// What `walk` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct WalkArgs {
    /// How many walks.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The seed of the first one; the others follow.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many operations a walk has.
    #[arg(long, default_value_t = 5000)]
    operations: usize,
    /// How many walks are made at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Where etcd and kube-apiserver are, unless KUBEBUILDER_ASSETS says it.
    /// [default: where `cargo xtask control-plane build` puts them]
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Any other cluster, instead of a real control plane that is started.
    #[arg(long, value_name = "FILE", conflicts_with = "assets")]
    kubeconfig: Option<PathBuf>,
}

pub(crate) async fn run(args: WalkArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let binaries = Binaries::build(&root, &[plane::LOCAL_PROGRAM], Profile::Dev)?;
    let local = Cluster::local(&binaries)?;
    let other = match &args.kubeconfig {
        Some(kubeconfig) => Cluster::Other(kubeconfig.clone()),
        None => Cluster::real(&root, args.assets.as_deref())?,
    };
    let folder = tempfile::Builder::new().prefix("walk-").tempdir();
    let folder = folder.context("cannot make a folder for the control planes")?;
    let mut processes = Processes::new(folder.path().join("logs"))?;
    let walked = tokio::select! {
        walked = walk(&args, [&local, &other], &mut processes, folder.path()) => walked,
        signal = shell::interrupted() => signal.and_then(|name| bail!("{name}: what was started has been stopped")),
    };
    processes.end_down_to(0).await;
    walked
}

async fn walk(
    args: &WalkArgs,
    clusters: [&Cluster; 2],
    processes: &mut Processes,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut targets = Vec::new();
    for (cluster, name) in clusters.into_iter().zip(["local", "other"]) {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let access = cluster.reach(processes, &folder).await?;
        targets.push(Target {
            guest: None,
            client: access.client,
            kubeconfig: Some(access.kubeconfig),
            controllers: false,
            record: false,
        });
    }
    let operations = args.operations;
    let mut walks = stream::iter(args.from..args.from + args.seeds)
        .map(|seed| {
            let targets = &targets;
            async move {
                (
                    seed,
                    conformance::walk(&targets[0], &targets[1], seed, operations).await,
                )
            }
        })
        .buffer_unordered(args.jobs.max(1));
    let mut differences = 0;
    while let Some((seed, walked)) = walks.next().await {
        match walked {
            Ok(()) => println!("  ✓ seed {seed}: {operations} operations, every reply and event the same"),
            Err(difference) => {
                differences += 1;
                println!("  ✗ {difference}");
            }
        }
    }
    ensure!(
        differences == 0,
        "{differences} of {} walks found a difference",
        args.seeds
    );
    Ok(())
}
