//! Builds what is measured: the programs of this repository, and the peers under `bench/peers`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::system::System;
use crate::plane;
use crate::workspace::{self, Binaries, Profile};

/// Where the peers are, below the root.
const GO: &str = "bench/peers/go";
const RUST: &str = "bench/peers/rust";

/// The programs that run.
#[derive(Debug)]
pub(super) struct Programs {
    own: Binaries,
    candidates: BTreeMap<System, PathBuf>,
}

/// Systems that cannot be measured, each with the reason.
pub(super) type Skipped = Vec<(System, String)>;

impl Programs {
    /// Builds the candidates of the systems, and what every run needs.
    pub(super) fn build(root: &Path, systems: &[System]) -> anyhow::Result<(Self, Skipped)> {
        let own = Binaries::build(
            root,
            &[plane::LOCAL_PROGRAM, "election-controller", "xtask"],
            Profile::Bench,
        )?;
        let mut candidates: BTreeMap<System, PathBuf> = BTreeMap::new();
        for system in System::ALL.iter().filter(|system| system.is_own()) {
            candidates.insert(*system, own.path(package(*system))?.to_owned());
        }
        let mut skipped = Vec::new();
        let wanted = |system: &&System| systems.contains(system);
        for system in [System::ClientGo, System::UpstreamCoordinated]
            .iter()
            .filter(wanted)
        {
            match build_go(root, *system)? {
                Ok(path) => drop(candidates.insert(*system, path)),
                Err(why) => skipped.push((*system, why)),
            }
        }
        let crates: Vec<System> = [System::Kubert, System::KubeLeaderElection]
            .into_iter()
            .filter(|system| systems.contains(system))
            .collect();
        if !crates.is_empty() {
            let names: Vec<&str> = crates.iter().map(|system| package(*system)).collect();
            let built = Binaries::build(&root.join(RUST), &names, Profile::Bench)?;
            for system in crates {
                candidates.insert(system, built.path(package(system))?.to_owned());
            }
        }
        Ok((Self { own, candidates }, skipped))
    }

    /// The programs of this repository.
    pub(super) const fn own(&self) -> &Binaries {
        &self.own
    }

    /// The candidate of a system.
    pub(super) fn candidate(&self, system: System) -> anyhow::Result<&Path> {
        let path = self.candidates.get(&system);
        path.map(PathBuf::as_path)
            .with_context(|| format!("no candidate of {} was built", system.name()))
    }
}

/// The package, or folder, of a peer's candidate.
const fn package(system: System) -> &'static str {
    match system {
        System::Coordinated | System::Direct => "xtask",
        System::ClientGo => "client-go-leaderelection",
        System::UpstreamCoordinated => "upstream-coordinated",
        System::Kubert => "kubert-lease",
        System::KubeLeaderElection => "kube-leader-election-lock",
    }
}

/// The program, or why there is none: without Go the others can still be measured.
fn build_go(root: &Path, system: System) -> anyhow::Result<Result<PathBuf, String>> {
    let name = package(system);
    let program = workspace::target_folder(root).join("peers").join(name);
    let mut command = Command::new("go");
    command
        .current_dir(root.join(GO))
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(format!("./{name}"));
    match command.status() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Err("it is written in Go, and no `go` is in PATH".to_owned()))
        }
        Err(error) => Err(error).context("cannot run go"),
        Ok(status) => {
            ensure!(status.success(), "go build ./{name}: {status}");
            Ok(Ok(program))
        }
    }
}
