//! Every program says what it does and how it is called.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::Outcome;
use crate::workspace::{Binaries, Profile};

/// Programs, each with the commands whose help is asked for.
const PROGRAMS: [(&str, &[&[&str]]); 6] = [
    ("candidate", &[&[], &["run"]]),
    ("election-controller", &[&[]]),
    ("sample-controller", &[&[]]),
    (
        "kubectl-leases",
        &[
            &[],
            &["status"],
            &["explain"],
            &["candidates"],
            &["doctor"],
            &["watch"],
            &["timeline"],
            &["top"],
            &["step-down"],
            &["hold"],
            &["release-hold"],
            &["pin"],
            &["unpin"],
            &["forget"],
            &["completion"],
            &["version"],
            &["man"],
        ],
    ),
    ("local-controlplane", &[&[]]),
    (
        "xtask",
        &[
            &[],
            &["demo"],
            &["bench", "handover"],
            &["bench", "peers"],
            &["bench", "scale"],
            &["bench", "plugin"],
            &["bench", "all"],
            &["bench", "report"],
            &["control-plane", "up"],
            &["control-plane", "build"],
            &["conformance"],
            &["repeat"],
            &["walk"],
            &["interop"],
            &["plugin"],
            &["krew"],
            &["model"],
            &["bugs"],
            &["simulate"],
            &["chaos"],
            &["fuzz"],
            &["ci"],
            &["render"],
        ],
    ),
];

pub(super) fn check(root: &Path) -> Outcome {
    let names: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    let binaries = Binaries::build(root, &names, Profile::Dev)?;
    for (name, commands) in PROGRAMS {
        for command in commands {
            let called = format!("{name} {} --help", command.join(" "));
            let output = Command::new(binaries.path(name)?)
                .args(*command)
                .arg("--help")
                .output();
            let output = output.with_context(|| format!("cannot run {called}"))?;
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(
                output.status.success() && said.contains("Usage:"),
                "{called}: {}\n{said}",
                output.status
            );
            // The help of a command that has others below it lists those.
            ensure!(
                said.contains("Examples:") || said.contains("Commands:"),
                "{called} shows no example\n{said}"
            );
            for line in said.lines().skip_while(|line| *line != "Examples:") {
                ensure!(
                    line.chars().count() <= 80,
                    "{called}: longer than 80 columns: {line}"
                );
            }
        }
    }
    Ok(None)
}
