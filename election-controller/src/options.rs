//! What an elector is told, and which contradictions it refuses.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use election_core::TimingError;
use election_core::elector::Rules;
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
    /// Whether this elector may write now; `None` when it always may. One that may not observes all the same, and so
    /// does one whose sender is gone.
    pub acting: Option<watch::Receiver<bool>>,
    /// Told how many requests are open: whoever lets news gather while nothing is to be done must not while there are any.
    pub open_requests: Arc<AtomicUsize>,
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

/// Why an elector does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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

fn is_namespace(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= 63
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
