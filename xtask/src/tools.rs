//! Programs of others, each in one version, installed beside the build output when they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::workspace;

/// The path of a tool in the right version.
pub(crate) fn installed(root: &Path, (name, version): (&str, &str)) -> anyhow::Result<PathBuf> {
    let folder = workspace::target_folder(root).join("tools");
    let program = folder.join("bin").join(name);
    let said = Command::new(&program).arg("--version").output();
    if said.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(version)) {
        return Ok(program);
    }
    let mut command = workspace::cargo();
    command
        .args(["install", "--locked", &format!("{name}@{version}"), "--root"])
        .arg(&folder);
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo install {name}: {status}");
    Ok(program)
}
