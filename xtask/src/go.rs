//! Builds the programs of this repository that are written in Go, the peers under `bench/peers/go`.
//!
//! The real control plane, which is Go as well, is built in `plane`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::workspace;

/// Where the peers are, below the root.
const PEERS: &str = "bench/peers/go";

/// The program, or why there is none: without Go other things can still be done.
pub(crate) fn build(root: &Path, package: &str) -> anyhow::Result<Result<PathBuf, String>> {
    let program = workspace::target_folder(root).join("peers").join(package);
    let mut command = Command::new("go");
    command
        .current_dir(root.join(PEERS))
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(format!("./{package}"));
    match command.status() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Err("it is written in Go, and no `go` is in PATH".to_owned()))
        }
        Err(error) => Err(error).context("cannot run go"),
        Ok(status) => {
            ensure!(status.success(), "go build ./{package}: {status}");
            Ok(Ok(program))
        }
    }
}
