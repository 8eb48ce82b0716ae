//! What a watch has shown of the leases of a namespace, with the moments when it did.
//!
//! One watch from the beginning, so that nothing between two looks is missed. What a lease means is read by
//! `election_core`, as everywhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use election_core::wire::{self, Item};
use election_core::{IdentityLease, LeaderLease, LeaseState};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;

use crate::shell;

/// How long a broken watch rests before it begins again.
const PAUSE: Duration = Duration::from_millis(20);

/// A lease at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    /// When the watch showed it.
    pub(crate) at: Instant,
    /// Its name.
    pub(crate) name: String,
    /// What it is; `None` when it was deleted.
    pub(crate) item: Option<Item>,
}

impl Sighting {
    /// The leader lease, when it is one that exists.
    pub(crate) fn leader(&self) -> Option<&LeaderLease> {
        match &self.item {
            Some(Item::Leader(lease)) => Some(lease),
            _ => None,
        }
    }

    /// The identity lease, when it is one that exists.
    pub(crate) fn identity(&self) -> Option<&IdentityLease> {
        match &self.item {
            Some(Item::Identity(lease)) => Some(lease),
            _ => None,
        }
    }

    /// Who leads.
    pub(crate) fn held_by(&self) -> Option<&str> {
        let lease = self
            .leader()
            .filter(|lease| lease.record.state() == LeaseState::Held)?;
        lease.record.holder.as_ref().map(election_core::Identity::as_str)
    }

    /// Whether a lease is held by somebody.
    pub(crate) fn shows_leader(&self, lease: &str, holder: &str) -> bool {
        self.name == lease && self.held_by() == Some(holder)
    }
}

/// Everything that the watch has shown; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    seen: Arc<Mutex<Vec<Sighting>>>,
    news: watch::Receiver<usize>,
}

impl Timeline {
    /// Begins to watch the leases of a namespace, for as long as the runtime lives.
    pub(crate) fn follow(client: Client, namespace: &str) -> Self {
        let (sender, news) = watch::channel(0);
        let timeline = Self {
            seen: Arc::default(),
            news,
        };
        let seen = Arc::clone(&timeline.seen);
        let leases: Api<Lease> = Api::namespaced(client, namespace);
        shell::spawn(async move {
            let mut events = watcher(leases, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                let (lease, deleted) = match event {
                    Ok(watcher::Event::Apply(lease) | watcher::Event::InitApply(lease)) => (lease, false),
                    Ok(watcher::Event::Delete(lease)) => (lease, true),
                    Ok(_) => continue,
                    // The watcher begins again at once, also when nobody is there to be asked, and forever.
                    Err(_) => {
                        shell::sleep(PAUSE).await;
                        continue;
                    }
                };
                let item = if deleted { None } else { wire::read(&lease) };
                let name = lease.metadata.name.unwrap_or_default();
                let mut seen = lock(&seen);
                seen.push(Sighting {
                    at: shell::now(),
                    name,
                    item,
                });
                sender.send_replace(seen.len());
            }
        });
        timeline
    }

    /// What comes from here on has not been seen yet.
    pub(crate) fn mark(&self) -> usize {
        lock(&self.seen).len()
    }

    /// Everything that was seen from a mark on.
    pub(crate) fn since(&self, mark: usize) -> Vec<Sighting> {
        lock(&self.seen)[mark..].to_vec()
    }

    /// The last that was seen of a lease.
    pub(crate) fn last(&self, lease: &str) -> Option<Sighting> {
        lock(&self.seen)
            .iter()
            .rev()
            .find(|sighting| sighting.name == lease)
            .cloned()
    }

    /// Waits for the first sighting from a mark on for which something holds.
    pub(crate) async fn first(&self, mark: usize, wanted: impl Fn(&Sighting) -> bool) -> Sighting {
        let mut news = self.news.clone();
        let mut next = mark;
        loop {
            news.mark_unchanged();
            {
                let seen = lock(&self.seen);
                if let Some(found) = seen[next..].iter().find(|sighting| wanted(sighting)) {
                    return found.clone();
                }
                next = seen.len();
            }
            if news.changed().await.is_err() {
                // The watch has ended: nothing will be seen any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn lock(seen: &Mutex<Vec<Sighting>>) -> MutexGuard<'_, Vec<Sighting>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
