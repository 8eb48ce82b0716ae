//! Shows that `election-core` is `no_std`, with nothing but the installed toolchain.
//!
//! Building for a machine without std would show it, but such a target is rarely installed. Instead a library with a panic
//! handler of its own is compiled against election-core: when std is anywhere beneath, there are two handlers, which the
//! compiler refuses. That this would be noticed is shown first, with std put in on purpose.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Outcome;
use crate::workspace;

const PROBE: &str = "#![no_std]\nextern crate alloc;\nextern crate election_core;\n\
    #[panic_handler]\nfn handle(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n";

pub(super) fn check(root: &Path) -> Outcome {
    let library = build(root)?;
    let folder = workspace::target_folder(root).join("no-std");
    std::fs::create_dir_all(&folder)?;
    let (refused, _) = compile(root, &folder, &format!("{PROBE}extern crate std;\n"), &library)?;
    ensure!(
        !refused,
        "the probe accepts std, so it shows nothing: has the compiler changed?"
    );
    let (accepted, said) = compile(root, &folder, PROBE, &library)?;
    ensure!(accepted, "election-core brings std with it:\n{said}");
    Ok(None)
}

/// Checks election-core without its default features; returns its metadata file.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let mut command = workspace::cargo();
    command.current_dir(root).args([
        "check",
        "--package",
        "election-core",
        "--lib",
        "--no-default-features",
    ]);
    command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo check: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .find_map(metadata_file)
        .context("cargo names no file of election-core")
}

fn metadata_file(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    (message.pointer("/target/name")?.as_str()? == "election_core").then_some(())?;
    let files = message.get("filenames")?.as_array()?;
    files
        .iter()
        .filter_map(Value::as_str)
        .find(|file| file.ends_with(".rmeta"))
        .map(PathBuf::from)
}

/// Whether a source is accepted, and what the compiler said.
fn compile(root: &Path, folder: &Path, source: &str, library: &Path) -> anyhow::Result<(bool, String)> {
    let file = folder.join("probe.rs");
    std::fs::write(&file, source)?;
    let beside = library.parent().context("a file without folder")?;
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .current_dir(root)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .arg(format!("--out-dir={}", folder.display()))
        .arg(format!("--extern=election_core={}", library.display()))
        .arg(format!("-Ldependency={}", beside.display()))
        .arg(&file)
        .output()
        .context("cannot run rustc")?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
