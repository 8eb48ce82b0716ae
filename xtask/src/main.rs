//! `cargo xtask`: everything that this repository can do.
//!
//! Only the command line is in here; each command has a module.

mod behind_kubectl;
mod bench;
mod bugs;
mod cast;
mod chaos;
mod ci;
mod conformance;
mod demo;
mod die_with_parent;
mod fuzz;
mod go;
mod interop;
mod krew;
mod kubectl;
mod model;
mod plane;
mod processes;
mod record;
mod repeat;
mod screen;
mod shell;
mod simulate;
mod svg;
mod timeline;
mod tools;
mod walk;
mod workspace;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

const HELP: &str = "\
Examples:
  cargo xtask demo                     see it all, in a quarter of a minute
  cargo xtask ci                       run all checks and tests
  cargo xtask control-plane up         an API server to try things on
  cargo xtask bench handover           how long a handover takes here";

const RENDER_HELP: &str = "\
Examples:
  cargo xtask demo --record docs/demo.cast
  cargo xtask render docs/demo.cast docs/demo.svg";

/// Everything that this repository can do.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play four elections with real processes, and check what is seen.
    Demo(demo::DemoArgs),
    /// Run a control plane: an API server without anything around it.
    #[command(subcommand)]
    ControlPlane(plane::ControlPlane),
    /// Measure, with real processes.
    #[command(subcommand)]
    Bench(bench::Bench),
    #[command(hide = true)]
    BenchCandidate(bench::candidate::BenchCandidateArgs),
    #[command(hide = true)]
    DieWithParent(die_with_parent::DieWithParentArgs),
    /// Kill and stop real processes again and again, and see that no two leaders act.
    Chaos(chaos::ChaosArgs),
    #[command(hide = true)]
    ChaosWorker(chaos::worker::ChaosWorkerArgs),
    /// Check that an API server behaves as a real one does.
    Conformance(conformance::ConformanceArgs),
    /// Have client-go's leaderelection and direct mode stand for one lease.
    Interop(interop::InteropArgs),
    #[command(hide = true)]
    InteropWorker(interop::InteropWorkerArgs),
    /// Run every command of the plugin through kubectl.
    Plugin(behind_kubectl::PluginArgs),
    /// Pack the plugin for krew, and write its manifest.
    Krew(krew::KrewArgs),
    /// Do the same at random on the local control plane and on a real one.
    Walk(walk::WalkArgs),
    /// Explore the protocol: every order of events within bounds.
    Model(model::ModelArgs),
    /// Break one rule after the other, and see that it is noticed.
    Bugs(bugs::BugsArgs),
    /// Simulate whole clusters under faults, and check every rule of the protocol.
    Simulate(simulate::SimulateArgs),
    /// Look for inputs that break what reads them.
    Fuzz(fuzz::FuzzArgs),
    /// Run the tests again and again, to find those that fail now and then.
    Repeat(repeat::RepeatArgs),
    /// Run the whole list of checks.
    Ci(ci::CiArgs),
    /// Draw a recording as an animated SVG.
    #[command(after_help = RENDER_HELP)]
    Render {
        /// A recording in the format asciicast v2.
        #[arg(value_name = "FILE.cast")]
        cast: PathBuf,
        /// The picture.
        #[arg(value_name = "OUT.svg")]
        svg: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be said when stderr itself is gone.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::ControlPlane(command) => runtime()?.block_on(plane::run(command)),
        Command::Bench(bench) => runtime()?.block_on(bench::run(bench)),
        Command::BenchCandidate(args) => runtime()?.block_on(bench::candidate::run(args)),
        Command::DieWithParent(args) => die_with_parent::run(args),
        Command::Chaos(args) => runtime()?.block_on(chaos::run(args)),
        Command::ChaosWorker(args) => chaos::worker::run(&args),
        Command::Conformance(args) => runtime()?.block_on(conformance::run(args)),
        Command::Interop(args) => runtime()?.block_on(interop::run(args)),
        Command::InteropWorker(args) => interop::work(&args),
        Command::Repeat(args) => runtime()?.block_on(repeat::run(args)),
        Command::Plugin(args) => runtime()?.block_on(behind_kubectl::run(args)),
        Command::Krew(args) => krew::run(&args),
        Command::Walk(args) => runtime()?.block_on(walk::run(args)),
        Command::Model(args) => model::run(&args),
        Command::Bugs(args) => bugs::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::Render { cast, svg } => {
            let drawn = svg::render(&cast::Cast::read(&cast)?)?;
            std::fs::write(&svg, drawn).with_context(|| format!("cannot write {}", svg.display()))
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
