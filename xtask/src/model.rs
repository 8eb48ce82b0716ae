//! `cargo xtask model`: explores the protocol, by the program of the crate `model`.

use std::ffi::OsString;

use anyhow::{Context, ensure};
use clap::Args;

use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask model                          every configuration
  cargo xtask model --list                   which there are
  cargo xtask model twins late --seconds 30
  cargo xtask model twins --replay 1.0.2     tell what happens on this path
  cargo xtask model -- --help                what else it can be told";

/// What `model` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ModelArgs {
    /// Goes to the program as it is.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Explores.
pub(crate) fn run(args: &ModelArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let binaries = Binaries::build(&root, &["model"], Profile::Dev)?;
    let arguments = args.arguments.iter().filter(|argument| *argument != "--");
    let status = std::process::Command::new(binaries.path("model")?)
        .args(arguments)
        .status()
        .context("cannot run the model")?;
    ensure!(status.success(), "what does not hold stands above");
    Ok(())
}
