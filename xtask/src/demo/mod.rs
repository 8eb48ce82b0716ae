//! `cargo xtask demo`: four elections with real processes, each step as the command that a person would type, each
//! observation asserted, with the time that it took.
//!
//! The order of things is in here; the cluster is raised in `cluster.rs`, and each scenario has a file of its own.

mod chart;
mod cluster;
mod controller_manager;
mod crash;
mod hand_written;
mod program;
mod sample_controller;
mod stage;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::plane::ClusterArgs;
use crate::screen::Screen;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};
use stage::{Observation, Stage};

const HELP: &str = "\
Examples:
  cargo xtask demo
  cargo xtask demo --scenario crash --scenario hand-written
  cargo xtask demo --scenario sample-controller --keep
  cargo xtask demo --control-plane real
  cargo xtask demo --kubeconfig ~/.kube/config --namespace election-demo
  cargo xtask demo --record docs/demo.cast

Exit code: 0 when everything was seen that should be, 1 when not: then the logs
of the processes concerned are shown.";

/// What `demo` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DemoArgs {
    /// Which scenarios to play; all when none is named.
    #[arg(long = "scenario", value_enum, value_name = "NAME")]
    scenarios: Vec<Scenario>,
    /// Record what is shown, in the format asciicast v2.
    #[arg(long, value_name = "FILE.cast")]
    record: Option<PathBuf>,
    /// Leave everything running, and print how to reach it.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The namespace of the leases. [default: kube-system; with --kubeconfig election-demo, made for it and removed]
    #[arg(long)]
    namespace: Option<String>,
    /// Make the requests of kubectl without it, as when it is not installed.
    #[arg(long)]
    no_kubectl: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// (a) A controller in Rust: an older candidate takes over, and only the leader works.
    #[value(alias = "a")]
    SampleController,
    /// (b) Upgrade and rollback of a program that knows nothing of elections.
    #[value(alias = "b")]
    ControllerManager,
    /// (c) Candidates that are nothing but YAML.
    #[value(alias = "c")]
    HandWritten,
    /// (d) The leader is killed.
    #[value(alias = "d")]
    Crash,
}

impl Scenario {
    const fn title(self) -> &'static str {
        match self {
            Self::SampleController => "sample controller",
            Self::ControllerManager => "controller manager",
            Self::HandWritten => "hand-written",
            Self::Crash => "crash",
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::SampleController => {
                "(a) sample controller: the older candidate leads, and only the leader works"
            }
            Self::ControllerManager => "(b) controller manager: an upgrade and a rollback, any program",
            Self::HandWritten => "(c) hand-written: candidates that are nothing but YAML",
            Self::Crash => "(d) crash: the leader is killed",
        }
    }

    /// The lease that it is about.
    const fn lease(self) -> &'static str {
        match self {
            Self::SampleController => sample_controller::LEASE,
            Self::ControllerManager => controller_manager::LEASE,
            Self::HandWritten => hand_written::LEASE,
            Self::Crash => crash::LEASE,
        }
    }

    async fn play(self, stage: &mut Stage) -> anyhow::Result<()> {
        match self {
            Self::SampleController => sample_controller::play(stage).await,
            Self::ControllerManager => controller_manager::play(stage).await,
            Self::HandWritten => hand_written::play(stage).await,
            Self::Crash => crash::play(stage).await,
        }
    }
}

/// A scenario that was played to its end.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    title: &'static str,
    observations: Vec<Observation>,
    took: Duration,
}

/// Plays the demo.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let packages = [args.cluster.packages(), &cluster::PROGRAMS].concat();
    let binaries = Binaries::build(&root, &packages, Profile::Dev)?;
    let mut screen = Screen::new();
    if let Some(file) = &args.record {
        screen.record(file, "cargo xtask demo")?;
    }
    let folder = tempfile::Builder::new().prefix("election-demo-").tempdir();
    let folder = folder.context("cannot make a folder for the logs")?;
    let began = shell::now();
    let mut stage = None;
    let result = tokio::select! {
        result = play_all(&args, screen, &root, binaries, folder.path(), &mut stage) => result,
        signal = shell::interrupted() => signal.and_then(|name| bail!("{name}: what was started has been stopped")),
    };
    let Some(mut stage) = stage else { return result };
    if args.keep && result.is_ok() {
        for line in cluster::how_to_go_on(&stage, began) {
            stage.screen.line(&line);
        }
        stage.processes.leave();
        // The folder stays.
        let _ = folder.keep();
        return result;
    }
    let ended = stage.end().await;
    result.and(ended)
}

async fn play_all(
    args: &DemoArgs,
    screen: Screen,
    root: &Path,
    binaries: Binaries,
    folder: &Path,
    slot: &mut Option<Stage>,
) -> anyhow::Result<()> {
    let began = shell::now();
    let stage = slot.insert(cluster::raise(args, screen, root, binaries, folder).await?);
    let mut played = Vec::new();
    for scenario in chosen(&args.scenarios) {
        stage.screen.heading(scenario.heading());
        let (from, mark) = (shell::now(), stage.timeline.mark());
        stage.observations.clear();
        scenario.play(stage).await?;
        let now = shell::now();
        for line in chart::draw(&stage.timeline.since(mark), scenario.lease(), from, now) {
            stage.screen.line(&line);
        }
        if !args.keep {
            stage.clear().await;
        }
        played.push(Played {
            title: scenario.title(),
            observations: stage.observations.clone(),
            took: now - from,
        });
    }
    summary::show(&mut stage.screen, &played, began.elapsed());
    stage
        .screen
        .finish_recording()
        .context("the recording cannot be written")?;
    Ok(())
}

fn chosen(named: &[Scenario]) -> Vec<Scenario> {
    let all = Scenario::value_variants();
    all.iter()
        .copied()
        .filter(|scenario| named.is_empty() || named.contains(scenario))
        .collect()
}
