//! What an elector is told, and which contradictions it refuses.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use candidate::{Identity, Incarnation, LeaseKey, Timing};
use election_core::elector::Rules;
use election_core::{ELECTORS_LEASE, TimingError};
use futures::future::BoxFuture;
use tokio::sync::watch;

/// How an elector behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to elect in; empty for all, which needs permissions in all.
    pub namespaces: Vec<String>,
    /// What it goes by.
    pub rules: Rules,
    /// Takes a lease that is missing at the start for one that nobody holds, instead of waiting for one lease duration.
    /// Only for a first installation: a leader that is left from before would not be noticed.
    pub assume_unheld: bool,
    /// Who it says it is in Events.
    pub instance: String,
    /// How long a request may take. Default: 2.4 s, a fifth of the default renew deadline.
    pub request_deadline: Duration,
    /// How many requests may be open at once.
    pub concurrency: usize,
    /// A watch without any sign of life for this long is given up. An API server sends bookmarks about once a minute.
    pub silence: Duration,
    /// Where the jitter of reconnects comes from.
    pub seed: u64,
    /// How this elector and its replicas agree on the one that acts; `None` when it acts always, or as `acting` says. The
    /// default of the program is [`LeaderElection::default`].
    pub leader_election: Option<LeaderElection>,
    /// Whether this elector may write now, when whoever embeds it knows; `None` when it always may. One that may not
    /// observes all the same, and so does one whose sender is gone.
    pub acting: Option<watch::Receiver<bool>>,
    /// Told how many requests are open: whoever lets news gather while nothing is to be done must not while there are any.
    pub open_requests: Arc<AtomicUsize>,
}

/// The election among electors, on a lease that they take by themselves, as client-go does.
///
/// One acts; the others observe, so that the next one goes on from what it has seen for itself. Replicas share the lease and
/// the namespaces that they elect in.
#[derive(Clone, Debug)]
pub struct LeaderElection {
    /// The lease. Default: `kube-system/coordinated-election-controller`.
    pub lease: LeaseKey,
    /// The name of this replica; default: `$POD_NAME`, else the host's name and a fresh suffix.
    pub identity: Option<Identity>,
    /// When a replica that is silent is replaced.
    pub timing: Timing,
    /// The process that this replica is; for simulations, which have no randomness. Default: a fresh UUID.
    pub incarnation: Option<Incarnation>,
    /// What starts the task of the election among electors; for simulations, as [`candidate::Builder::spawner`]. Default:
    /// `tokio::spawn`.
    pub spawner: Option<Spawner>,
}

/// Starts tasks.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// Starts each task with `spawn`.
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        (self.0)(task);
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

impl Default for LeaderElection {
    fn default() -> Self {
        let (namespace, name) = ELECTORS_LEASE;
        Self {
            lease: LeaseKey::new(namespace, name),
            identity: None,
            timing: Timing::default(),
            incarnation: None,
            spawner: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            rules: Rules::default(),
            assume_unheld: false,
            instance: "election-controller".to_owned(),
            request_deadline: Duration::from_millis(2400),
            concurrency: 64,
            silence: Duration::from_secs(150),
            seed: 0,
            leader_election: None,
            acting: None,
            open_requests: Arc::default(),
        }
    }
}

impl Options {
    /// Refuses knobs with which an elector cannot work.
    ///
    /// # Errors
    /// [`Error`], which names the knob.
    pub fn validated(self) -> Result<Self, Error> {
        self.rules.timing.validated()?;
        if let Some(election) = &self.leader_election {
            election.timing.validated()?;
            if self.acting.is_some() {
                return Err(Error::ToldTwice);
            }
        }
        if self.concurrency == 0 {
            return Err(Error::Concurrency);
        }
        if self.request_deadline.is_zero() || self.silence.is_zero() {
            return Err(Error::Deadline);
        }
        if let Some(bad) = self.namespaces.iter().find(|name| !is_namespace(name)) {
            return Err(Error::Namespace { name: bad.clone() });
        }
        Ok(self)
    }
}

/// Why an elector does not start, or ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whether it acts was to be told, and to be found out.
    #[error("an elector is told whether it acts, or takes part in the election among electors, but not both")]
    ToldTwice,
    /// It cannot take part in the election among electors.
    #[error("no part in the election among electors: {0}")]
    LeaderElection(#[from] LeaderElectionError),
    /// Two knobs of time contradict each other.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// Without a request nothing can be done.
    #[error("the number of concurrent requests must not be zero")]
    Concurrency,
    /// A deadline of zero fails every request.
    #[error("the request deadline and the silence must not be zero")]
    Deadline,
    /// A text that names no namespace.
    #[error("{name:?} is not the name of a namespace: write lower case letters, digits and hyphens")]
    Namespace {
        /// The text.
        name: String,
    },
}

/// Why an elector does not take part in the election among electors.
#[derive(Debug, thiserror::Error)]
pub enum LeaderElectionError {
    /// It could not join.
    #[error(transparent)]
    Join(#[from] candidate::JoinError),
    /// Its candidate has ended by itself.
    #[error(transparent)]
    Ended(#[from] candidate::Error),
}

fn is_namespace(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= 63
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
