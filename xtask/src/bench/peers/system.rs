//! The systems that are measured side by side: what each is, and where they differ for the harness.
//!
//! How they are built is in `programs.rs`; each is a program that takes the same flags and says the same lines.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A way to elect a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// This project: candidates of the library, and its elector.
    Coordinated,
    /// This project without an elector: candidates of the library in direct mode.
    Direct,
    /// client-go's leaderelection, as most controllers use it.
    ClientGo,
    /// Kubernetes' own coordinated election, behind its feature gate.
    UpstreamCoordinated,
    /// The lease of kubert, as Linkerd uses it.
    Kubert,
    /// The crate kube-leader-election.
    KubeLeaderElection,
}

impl System {
    pub(crate) const ALL: [Self; 6] = [
        Self::Coordinated,
        Self::Direct,
        Self::ClientGo,
        Self::UpstreamCoordinated,
        Self::Kubert,
        Self::KubeLeaderElection,
    ];

    /// Its name in flags, files and names of leases.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Coordinated => "coordinated",
            Self::Direct => "direct",
            Self::ClientGo => "client-go",
            Self::UpstreamCoordinated => "upstream-coordinated",
            Self::Kubert => "kubert",
            Self::KubeLeaderElection => "kube-leader-election",
        }
    }

    /// Its name for people.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Coordinated => "this project",
            Self::Direct => "this project, direct",
            Self::ClientGo => "client-go",
            Self::UpstreamCoordinated => "upstream coordinated",
            Self::Kubert => "kubert",
            Self::KubeLeaderElection => "kube-leader-election",
        }
    }

    /// What it is, with its timing.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Coordinated => {
                "the library `candidate` and `election-controller`, defaults: 15 s lease, renewed every 4 s"
            }
            Self::Direct => {
                "the library `candidate` in direct mode, without an elector, assuming that a missing lease is held by nobody, as \
                 client-go does: 15 s lease, renewed every 4 s"
            }
            Self::ClientGo => {
                "client-go v0.37 `leaderelection`, defaults of Kubernetes' components: 15 s / 10 s / 2 s, ReleaseOnCancel"
            }
            Self::UpstreamCoordinated => {
                "client-go v0.37 `leaderelection` with `Coordinated` and a `LeaseCandidate`, 15 s / 10 s / 2 s, \
                 ReleaseOnCancel; the elector is in kube-apiserver, behind `CoordinatedLeaderElection`"
            }
            Self::Kubert => "kubert 0.25 `LeaseManager`, defaults: 30 s lease, renewed 1 s before it expires",
            Self::KubeLeaderElection => {
                "kube-leader-election 0.44, as in its examples: 15 s lease, looked at every 5 s"
            }
        }
    }

    /// Whether its candidates are this project's.
    pub(crate) const fn is_own(self) -> bool {
        matches!(self, Self::Coordinated | Self::Direct)
    }

    /// Whether versions decide who leads.
    pub(crate) const fn elects_by_version(self) -> bool {
        matches!(self, Self::Coordinated | Self::UpstreamCoordinated)
    }

    /// How long the longest of its timers takes to come round: what is triggered within is triggered at a random
    /// moment of it.
    pub(crate) const fn cycle(self) -> Duration {
        Duration::from_secs(match self {
            Self::Coordinated | Self::Direct => 4,
            // A standby looks at a moment between 2 and 4.4 s after its last look; the upstream elector every 5 s.
            Self::ClientGo | Self::UpstreamCoordinated | Self::KubeLeaderElection => 5,
            Self::Kubert => 29,
        })
    }

    /// How long after a trial its elector may still be occupied with it: upstream's waits up to 5 s for the answer of a
    /// candidate that is gone, and meanwhile for no other.
    pub(crate) const fn rest(self) -> Duration {
        match self {
            Self::UpstreamCoordinated => Duration::from_secs(6),
            _ => Duration::ZERO,
        }
    }
}
