//! `cargo xtask`: everything that this repository can do.
//!
//! Only the command line is in here; each command has a module.

mod bench;
mod cast;
mod ci;
mod conformance;
mod demo;
mod kubectl;
mod plane;
mod processes;
mod screen;
mod shell;
mod svg;
mod timeline;
mod workspace;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use local_controlplane::{UpOptions, up};

const HELP: &str = "\
Examples:
  cargo xtask demo                     see it all, in a quarter of a minute
  cargo xtask ci                       run all checks and tests
  cargo xtask control-plane up         an API server to try things on
  cargo xtask bench handover           how long a handover takes here";

const UP_HELP: &str = "\
Examples:
  cargo xtask control-plane up
  cargo xtask control-plane up --port 6443 --kubeconfig /tmp/local.kubeconfig
  cargo xtask control-plane up --data-dir /tmp/local-data

In another terminal, with the kubeconfig that it names:
  kubectl --kubeconfig /tmp/local.kubeconfig get leases -A --watch";

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
    /// Run the local control plane: an API server without anything around it.
    #[command(subcommand)]
    ControlPlane(ControlPlane),
    /// Measure, with real processes.
    #[command(subcommand)]
    Bench(bench::Bench),
    #[command(hide = true)]
    BenchCandidate(bench::candidate::BenchCandidateArgs),
    /// Check that an API server behaves as a real one does.
    Conformance(conformance::ConformanceArgs),
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

#[derive(Debug, Subcommand)]
enum ControlPlane {
    /// Run it until Ctrl-C; says how kubectl reaches it.
    #[command(after_help = UP_HELP)]
    Up {
        /// The port on 127.0.0.1; 0 takes any that is free.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Where to write the kubeconfig. [default: a temporary folder, removed at the end]
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
        /// Where objects are kept. [default: nowhere, they are gone at the end]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
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
        Command::ControlPlane(ControlPlane::Up {
            port,
            kubeconfig,
            data_dir,
        }) => {
            let options = UpOptions {
                port,
                kubeconfig,
                data_dir,
                quiet: false,
            };
            runtime()?
                .block_on(up(options))
                .context("the control plane stopped")
        }
        Command::Bench(bench) => runtime()?.block_on(bench::run(bench)),
        Command::BenchCandidate(args) => runtime()?.block_on(bench::candidate::run(args)),
        Command::Conformance(args) => runtime()?.block_on(conformance::run(args)),
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
