//! Says who joins which election and how, and refuses what contradicts itself before anything is sent.
//!
//! What is asked of the API server before a candidate joins is in `probe.rs`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use election_core::candidate::Settings;
use election_core::{Identity, Incarnation, LeaseKey, Timing, TimingError, Version, Versions, wire};
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::clock::{BootClock, SharedClock};
use crate::leadership::Candidate;
use crate::probe::probe;
use crate::shell;
use crate::watchdog::Overrun;

/// Starts a task: what `tokio::spawn` does, or a stand-in for it.
pub(crate) type Spawner = Box<dyn FnOnce(BoxFuture<'static, ()>) + Send>;
/// Who grants the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// An elector.
    Coordinated,
    /// Nobody: the candidate takes it.
    Direct { assume_unheld: bool },
}

/// How a process joins an election; see [`Candidate::builder`].
pub struct Builder {
    pub(crate) client: kube::Client,
    pub(crate) lease: LeaseKey,
    pub(crate) mode: Mode,
    pub(crate) identity: Option<Identity>,
    pub(crate) binary: Option<Version>,
    pub(crate) emulation: Option<Version>,
    pub(crate) timing: Timing,
    pub(crate) overrun: Overrun,
    pub(crate) owner: Option<OwnerReference>,
    pub(crate) clock: Option<SharedClock>,
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) work_client: Option<kube::Client>,
    pub(crate) spawner: Option<Spawner>,
    pub(crate) shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("lease", &self.lease)
            .field("mode", &self.mode)
            .field("identity", &self.identity)
            .field("binary", &self.binary)
            .field("emulation", &self.emulation)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// Why a candidate could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The versions decide the election, so the program has to state them.
    #[error("no binary version: state what this program is, for example .binary_version(\"1.30\".parse()?)")]
    NoBinaryVersion,
    /// A program cannot behave as something newer than it is (KEP-4355).
    #[error("emulation version {emulation} is newer than binary version {binary}: lower it, or leave it out")]
    EmulationTooNew {
        /// What it behaves as.
        emulation: Version,
        /// What it is.
        binary: Version,
    },
    /// The lease belongs to a coordinated election, so no candidate in direct mode may take it.
    #[error(
        "lease {lease} belongs to a coordinated election: {why}. Stand for it without direct mode, or choose another lease"
    )]
    Coordinated {
        /// The lease.
        lease: LeaseKey,
        /// How that is known.
        why: String,
    },
    /// Nobody could tell who holds the lease.
    #[error("the identity must not be empty")]
    NoIdentity,
    /// Two knobs contradict each other.
    #[error("contradicting timing: {0}")]
    Timing(#[from] TimingError),
    /// The identity is the name of the leader lease.
    #[error("identity {0} is the name of the leader lease: choose another identity")]
    IdentityIsLease(Identity),
    /// The identity cannot be the name of an object.
    #[error(
        "identity {0:?} cannot be the name of a lease: use lower-case letters, digits, '-' and '.', at most 253 of them, \
         with a letter or digit at both ends"
    )]
    IdentityIsNoName(Identity),
    /// The leader lease cannot be an object.
    #[error(
        "lease {0} cannot exist: its namespace and its name are lower-case letters, digits and '-', and '.' in the name, with \
         a letter or digit at both ends"
    )]
    LeaseIsNoName(LeaseKey),
    /// This lease is never granted by an elector.
    #[error("lease {0} is never a leader lease: choose another name or namespace")]
    NeverALeaderLease(LeaseKey),
    /// The API server refuses this program, and would refuse it again.
    #[error("the API server refuses to show lease {lease}: {why}")]
    Refused {
        /// The leader lease.
        lease: LeaseKey,
        /// The server's words.
        why: String,
    },
    /// The watchdog thread could not be started.
    #[error("the watchdog cannot be started: {0}")]
    Watchdog(#[from] std::io::Error),
}

impl Builder {
    pub(crate) fn new(client: kube::Client, lease: LeaseKey) -> Self {
        Self {
            client,
            lease,
            mode: Mode::Coordinated,
            identity: None,
            binary: None,
            emulation: None,
            timing: Timing::default(),
            overrun: Overrun::default(),
            owner: None,
            clock: None,
            incarnation: None,
            work_client: None,
            spawner: None,
            shutdown: Box::pin(std::future::pending()),
        }
    }

    /// *Direct mode*: takes the lease by itself when nobody holds it, without an elector and without an identity lease, as
    /// client-go's leader election does and with its record, so that programs of both kinds may stand for one lease.
    ///
    /// Versions count for nothing then. All else is the same: the guard, the fenced client, the token, the deadline. A lease
    /// that an elector grants, or that a coordinated candidate stands for, is refused.
    ///
    /// Unlike client-go, a candidate watches instead of polling, creates a missing lease without a holder before it claims
    /// it, waits one lease duration before it takes a lease that was missing when it came (somebody may have deleted it
    /// under a leader that still acts), and never resumes the term of an earlier process of its identity.
    #[must_use]
    pub const fn direct(mut self) -> Self {
        self.mode = Mode::Direct { assume_unheld: false };
        self
    }

    /// Direct mode that takes a lease which was missing when it came for one that nobody holds, as client-go does.
    ///
    /// For work that can bear two leaders for a moment when somebody deletes the lease while another process starts.
    #[must_use]
    pub const fn direct_assuming_unheld(mut self) -> Self {
        self.mode = Mode::Direct { assume_unheld: true };
        self
    }

    /// The name of the identity lease; unique among the processes of a namespace. Default: `$POD_NAME`, else the host
    /// name and a fresh suffix.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<Identity>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// What this program is.
    #[must_use]
    pub fn binary_version(mut self, version: Version) -> Self {
        self.binary = Some(version);
        self
    }

    /// What this program behaves as (its compatibility version). Default: the binary version.
    #[must_use]
    pub fn emulation_version(mut self, version: Version) -> Self {
        self.emulation = Some(version);
        self
    }

    /// The timing knobs.
    #[must_use]
    pub const fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// What happens to work that still runs at its deadline. Default: the process aborts.
    #[must_use]
    pub const fn overrun(mut self, overrun: Overrun) -> Self {
        self.overrun = overrun;
        self
    }

    /// The owner of the identity lease, such as this process's Pod, so that the cluster removes both together.
    #[must_use]
    pub fn owner(mut self, owner: OwnerReference) -> Self {
        self.owner = Some(owner);
        self
    }

    /// When to leave the election, for example [`crate::termination`]. Default: when the [`Candidate`] is dropped.
    #[must_use]
    pub fn shutdown_on(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    /// The client that [`crate::Leadership::client`] fences. Default: the one that the candidate itself uses; a client
    /// of its own keeps renewals from waiting behind the work's requests.
    #[must_use]
    pub fn work_client(mut self, client: kube::Client) -> Self {
        self.work_client = Some(client);
        self
    }

    /// The clock; for tests and simulations. Default: `CLOCK_BOOTTIME`. Of a clock that a test pauses, the watchdog of
    /// [`Overrun::Abort`] knows nothing: it gives the work as much time of the machine.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The incarnation; for tests and simulations, which have no randomness. Default: a fresh UUID.
    #[must_use]
    pub fn incarnation(mut self, incarnation: impl Into<Incarnation>) -> Self {
        self.incarnation = Some(incarnation.into());
        self
    }

    /// What starts the task of the election; for simulations, which stop and crash all tasks of a process at once. Default:
    /// `tokio::spawn`.
    #[must_use]
    pub fn spawner(mut self, spawner: impl FnOnce(BoxFuture<'static, ()>) + Send + 'static) -> Self {
        self.spawner = Some(Box::new(spawner));
        self
    }

    /// Joins the election. An API server that is down is waited for; one that refuses this program is an error.
    ///
    /// Needs a tokio runtime, on which the election goes on until the candidate is dropped or shut down.
    ///
    /// # Errors
    /// [`JoinError`], before anything was written.
    pub async fn join(self) -> Result<Candidate, JoinError> {
        let incarnation = self.incarnation.clone().unwrap_or_else(shell::fresh_incarnation);
        let identity = self
            .identity
            .clone()
            .unwrap_or_else(|| shell::default_identity(&incarnation));
        let settings = self.settings(identity, incarnation)?;
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(BootClock::new()));
        probe(self.client.clone(), &clock, &settings, self.mode).await?;
        shell::start(self, settings, clock).map_err(JoinError::Watchdog)
    }

    fn settings(&self, identity: Identity, incarnation: Incarnation) -> Result<Settings, JoinError> {
        let versions = self.versions()?;
        let (namespace, name) = (self.lease.namespace(), self.lease.name());
        if !is_object_name(name) || !is_object_name(namespace) || namespace.contains('.') {
            return Err(JoinError::LeaseIsNoName(self.lease.clone()));
        }
        match self.mode {
            Mode::Direct { .. } => {
                // The electors' own lease is taken in this way.
                if namespace == wire::NODE_LEASE_NAMESPACE {
                    return Err(JoinError::NeverALeaderLease(self.lease.clone()));
                }
                if identity.as_str().is_empty() {
                    return Err(JoinError::NoIdentity);
                }
            }
            Mode::Coordinated => {
                if !wire::may_be_leader_lease(&self.lease) {
                    return Err(JoinError::NeverALeaderLease(self.lease.clone()));
                }
                if identity.as_str() == self.lease.name() {
                    return Err(JoinError::IdentityIsLease(identity));
                }
                if !is_object_name(identity.as_str()) {
                    return Err(JoinError::IdentityIsNoName(identity));
                }
            }
        }
        Ok(Settings {
            lease: self.lease.clone(),
            seed: shell::seed(&incarnation),
            identity,
            incarnation,
            versions,
            timing: self.timing.validated()?,
        })
    }

    /// In direct mode they count for nothing.
    fn versions(&self) -> Result<Versions, JoinError> {
        let binary = match (&self.binary, self.mode) {
            (Some(binary), _) => binary.clone(),
            (None, Mode::Direct { .. }) => "0.0".parse().expect("a version"),
            (None, Mode::Coordinated) => return Err(JoinError::NoBinaryVersion),
        };
        let emulation = self.emulation.clone().unwrap_or_else(|| binary.clone());
        if emulation > binary {
            return Err(JoinError::EmulationTooNew { emulation, binary });
        }
        Ok(Versions { binary, emulation })
    }
}

/// Whether a text is a DNS-1123 subdomain, which the name of a Lease must be.
fn is_object_name(name: &str) -> bool {
    let label = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(label.chars().next())
            && edge(label.chars().last())
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_must_be_able_to_name_a_lease() {
        for good in ["a", "sample-controller-a", "node-1.example", "0"] {
            assert!(is_object_name(good), "{good:?} should be accepted");
        }
        let long = "a".repeat(254);
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", "a/b", "ä", &long] {
            assert!(!is_object_name(bad), "{bad:?} should be refused");
        }
    }
}
