//! `cargo xtask simulate`: the simulation, optimised.
//!
//! Its command line is its own; here it is only built and called.

use std::ffi::OsString;

use anyhow::{Context, ensure};
use clap::Args;

use crate::workspace;

/// What `simulate` is told; it says itself what there is.
#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimulateArgs {
    /// See `cargo xtask simulate --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let status = workspace::cargo()
        .current_dir(workspace::root()?)
        .args([
            "run",
            "--quiet",
            "--profile",
            "sim",
            "--package",
            "simulation",
            "--",
        ])
        .args(&args.args)
        .status()
        .context("cannot run cargo")?;
    ensure!(
        status.success(),
        "the simulation ended with {status}: what it found stands above"
    );
    Ok(())
}
