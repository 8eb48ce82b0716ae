//! Builds what is measured: the programs of this repository, and the peers under `bench/peers`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::system::System;
use crate::workspace::{Binaries, Profile};
use crate::{go, plane};

/// Where the peers are, below the root.
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
        let own_candidate = own.path("xtask")?.to_owned();
        let mut candidates = BTreeMap::from(
            [System::Coordinated, System::Direct].map(|system| (system, own_candidate.clone())),
        );
        let mut skipped = Vec::new();
        let wanted = |system: &&System| systems.contains(system);
        for system in [System::ClientGo, System::UpstreamCoordinated]
            .iter()
            .filter(wanted)
        {
            match go::build(root, package(*system))? {
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
