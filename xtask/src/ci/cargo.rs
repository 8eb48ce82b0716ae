//! The checks that cargo does.

use std::path::Path;

use anyhow::{Context, ensure};

use super::Outcome;
use crate::workspace;

pub(super) fn fmt(root: &Path) -> Outcome {
    run(root, &["fmt", "--all", "--check"])
}

pub(super) fn clippy(root: &Path) -> Outcome {
    run(
        root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "--deny",
            "warnings",
        ],
    )
}

/// Each library as another project would use it. Which version of the Kubernetes API is meant is for that project to say,
/// so it is said here as well.
pub(super) fn features(root: &Path) -> Outcome {
    run(
        root,
        &["check", "--package", "election-core", "--no-default-features"],
    )?;
    run(
        root,
        &[
            "check",
            "--package",
            "election-core",
            "--no-default-features",
            "--features",
            "wire,k8s-openapi/v1_37",
        ],
    )?;
    for library in ["candidate", "election-controller"] {
        run(
            root,
            &[
                "check",
                "--package",
                library,
                "--lib",
                "--no-default-features",
                "--features",
                "k8s-openapi/v1_37",
            ],
        )?;
    }
    Ok(None)
}

/// Without `--all-targets`: that would build the examples as tests, and some tests run them as programs.
pub(super) fn tests(root: &Path) -> Outcome {
    run(root, &["test", "--workspace", "--all-features", "--no-fail-fast"])
}

pub(super) fn docs(root: &Path) -> Outcome {
    let mut command = workspace::cargo();
    command.current_dir(root).env("RUSTDOCFLAGS", "--deny warnings");
    command.args(["doc", "--workspace", "--all-features", "--no-deps"]);
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo doc: {status}");
    Ok(None)
}

pub(super) fn conformance(root: &Path) -> Outcome {
    xtask(root, &["conformance"])
}

pub(super) fn simulation(root: &Path) -> Outcome {
    xtask(root, &["simulate", "--seeds", "1000"])
}

pub(super) fn demo(root: &Path) -> Outcome {
    xtask(root, &["demo"])
}

/// Short: the recorded run on a real server has hundreds of cycles.
pub(super) fn chaos(root: &Path) -> Outcome {
    xtask(root, &["chaos", "--cycles", "16"])
}

/// What is compiled is kept, and compiled again only for another version.
pub(super) fn real(root: &Path) -> Outcome {
    xtask(root, &["control-plane", "build"])?;
    xtask(root, &["conformance", "--control-plane", "real"])?;
    xtask(root, &["walk", "--seeds", "4", "--operations", "2000"])?;
    xtask(root, &["interop", "--control-plane", "real"])?;
    xtask(root, &["plugin", "--control-plane", "real"])?;
    xtask(root, &["krew", "--url", "https://example.com/releases"])?;
    xtask(root, &["demo", "--control-plane", "real"])?;
    xtask(root, &["chaos", "--control-plane", "real", "--cycles", "10"])
}

pub(super) fn xtask(root: &Path, args: &[&str]) -> Outcome {
    run(
        root,
        &[&["run", "--quiet", "--package", "xtask", "--"], args].concat(),
    )
}

fn run(root: &Path, args: &[&str]) -> Outcome {
    let status = workspace::cargo()
        .current_dir(root)
        .args(args)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo {}: {status}", args.join(" "));
    Ok(None)
}
