//! Watches leases so that nothing is passed over in silence: revisions, bookmarks and gaps all reach the consumer.
//!
//! `kube_runtime::watcher` hides those three, which is why it is not used. Here each listing says as of when it holds,
//! each bookmark is a sign of life, and a connection that could not be restored at once is reported.
//!
//! Deliberately absent: any memory of leases (a consumer orders what it sees by resource version), and the judgement
//! that a watch has been silent for too long. A dead connection looks like a quiet one from here; who knows how often
//! there should be news calls [`LeaseWatch::relist`].

mod follow;
mod lines;
mod object;
mod requests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use election_core::{LeaseKey, Revision};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::Notify;

use crate::clock::SharedClock;
pub use object::{FromText, LeaseText, Seen, Unreadable};
pub(crate) use requests::visit;
pub use requests::{ReadError, read};

/// Which leases to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchScope {
    /// Only those of this namespace; `None` for all.
    pub namespace: Option<String>,
    /// Only the one of this name; `None` for all.
    pub name: Option<String>,
}

impl WatchScope {
    /// All leases of the cluster.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            namespace: None,
            name: None,
        }
    }

    /// All leases of a namespace.
    #[must_use]
    pub fn namespace(namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            name: None,
        }
    }

    /// One lease, whether it exists or not.
    #[must_use]
    pub fn one(key: &LeaseKey) -> Self {
        Self {
            namespace: Some(key.namespace().to_owned()),
            name: Some(key.name().to_owned()),
        }
    }
}

/// How to watch.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// The clock of deadlines and back-offs.
    pub clock: SharedClock,
    /// Where jitter comes from; it should differ between processes, so that they do not come back in step.
    pub seed: u64,
    /// How long a list, or the beginning of a watch, may take. Default: 2.4 s, a fifth of the default renew deadline.
    pub request_deadline: Duration,
    /// The server is asked to end a watch after between one and two times this. Default: 30 min. A reconnect is a
    /// request, and standbys have next to none to spend; a dead connection is not found by this, but by silence.
    pub timeout: Duration,
}

impl WatchSettings {
    /// The defaults.
    #[must_use]
    pub const fn new(clock: SharedClock, seed: u64) -> Self {
        Self {
            clock,
            seed,
            request_deadline: Duration::from_millis(2400),
            timeout: Duration::from_secs(30 * 60),
        }
    }
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent<T = Lease> {
    /// A consistent list. What happened between the last event and this one is not known; the first event that is no
    /// [`WatchEvent::Lost`] is always this one.
    Listed {
        /// All leases in scope.
        leases: Vec<T>,
        /// As of when.
        revision: Revision,
    },
    /// A lease was created or changed.
    Applied(T),
    /// A lease was deleted; its last state, with the resource version of the deletion.
    Deleted(T),
    /// Everything up to here has been told: a sign of life.
    Bookmark(Revision),
    /// The watch is broken for now, or its revision is too old to go on from. It is restored without being asked to:
    /// [`WatchEvent::Resumed`] or [`WatchEvent::Listed`] follows. Comes again during an outage whose reason changes.
    Lost(String),
    /// The watch goes on from where it was; nothing was missed.
    Resumed,
}

/// A stream of [`WatchEvent`], which never ends.
pub struct LeaseWatch<T = Lease> {
    events: BoxStream<'static, WatchEvent<T>>,
    relist: Arc<Notify>,
}

impl<T> LeaseWatch<T> {
    /// Gives the connection up and lists again, for example because there was no news for too long.
    ///
    /// A [`WatchEvent::Listed`] follows, or [`WatchEvent::Lost`] if that fails. Events of the old connection that were
    /// not consumed yet are not told any more; the list covers them.
    pub fn relist(&self) {
        self.relist.notify_one();
    }
}

impl<T> Stream for LeaseWatch<T> {
    type Item = WatchEvent<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent<T>>> {
        self.events.poll_next_unpin(context)
    }
}

impl<T> fmt::Debug for LeaseWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseWatch").finish_non_exhaustive()
    }
}

/// Watches leases, as whole objects or as [`Seen`], for as long as the stream is polled; no task is started.
#[must_use = "a watch does nothing unless it is polled"]
pub fn leases<T: FromText>(
    client: kube::Client,
    scope: WatchScope,
    settings: WatchSettings,
) -> LeaseWatch<T> {
    let relist = Arc::new(Notify::new());
    let follower = follow::Follower::<T>::new(client, scope, settings, relist.clone());
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await;
        Some((event, follower))
    });
    LeaseWatch {
        events: events.boxed(),
        relist,
    }
}

#[cfg(test)]
mod tests;
