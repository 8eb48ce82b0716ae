//! One watch and one core for each namespace that is watched, or one of each for the whole cluster.
//!
//! A candidate stands only for leases of its own namespace, so namespaces have nothing to do with each other: each is
//! judged as soon as its own list is there, and one that may not be read disturbs no other.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use candidate::clock::SharedClock;
use candidate::watch::{self, LeaseWatch, Seen, WatchScope, WatchSettings, leases};
use election_core::elector::{Elector, Event};
use election_core::wire::Item;
use election_core::{LeaseKey, Mono, Revision};
use futures::StreamExt;

use crate::objects::Object;
use crate::options::Options;

/// What a watch of an elector tells.
pub(crate) type WatchEvent = watch::WatchEvent<Seen>;

/// A watch with the core that it feeds.
pub(crate) struct Scope {
    pub(crate) elector: Elector,
    watch: LeaseWatch<Seen>,
    /// What is watched, in words.
    name: String,
    heard_at: Mono,
    silence: Duration,
}

/// All of them.
pub(crate) struct Scopes {
    scopes: Vec<Scope>,
    /// Where the next turn begins, so that a busy namespace starves no other.
    turn: usize,
}

impl Scopes {
    pub(crate) fn new(client: &kube::Client, options: &Options, clock: &SharedClock) -> Self {
        // Named twice, a namespace would have two electors that are in each other's way.
        let namespaces: BTreeSet<&String> = options.namespaces.iter().collect();
        let mut wanted = vec![(WatchScope::all(), "all namespaces".to_owned())];
        if !namespaces.is_empty() {
            wanted = namespaces
                .iter()
                .map(|name| (WatchScope::namespace(name), format!("namespace {name}")))
                .collect();
        }
        // Each watch has jitter of its own, so that they do not come back in step.
        let scopes = wanted
            .into_iter()
            .enumerate()
            .map(|(index, (watched, name))| {
                let settings = WatchSettings {
                    request_deadline: options.request_deadline,
                    ..WatchSettings::new(clock.clone(), options.seed.wrapping_add(index as u64))
                };
                Scope {
                    elector: elector(options),
                    watch: leases(client.clone(), watched, settings),
                    name,
                    heard_at: clock.now(),
                    silence: options.silence,
                }
            })
            .collect();
        Self { scopes, turn: 0 }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Scope)> {
        self.scopes.iter_mut().enumerate()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Scope> {
        self.scopes.get_mut(index)
    }

    /// When something is to be done if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.scopes.iter().filter_map(Scope::deadline).min()
    }

    /// The next event of any watch, with the number of its scope.
    pub(crate) async fn next(&mut self) -> (usize, WatchEvent) {
        let Self { scopes, turn } = self;
        let count = scopes.len();
        poll_fn(move |context| {
            for index in (0..count).map(|offset| (*turn + offset) % count) {
                // A watch never ends.
                if let Poll::Ready(Some(event)) = scopes[index].watch.poll_next_unpin(context) {
                    *turn = index + 1;
                    return Poll::Ready((index, event));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// A core with these options.
fn elector(options: &Options) -> Elector {
    let elector = Elector::new(options.rules);
    if options.assume_unheld {
        elector.assuming_unheld()
    } else {
        elector
    }
}

/// What a watch says, as the cache of objects takes it.
pub(crate) enum News {
    /// All leader leases that there are.
    Listed(Vec<Object>),
    /// A leader lease was added or changed.
    Applied(Object),
    /// There is no leader lease of this name any more, as of this revision.
    Gone(LeaseKey, Revision),
    /// Nothing about a lease.
    Nothing,
}

impl Scope {
    /// Feeds the core with what the watch says.
    pub(crate) fn take(&mut self, now: Mono, event: WatchEvent) -> News {
        self.heard_at = now;
        match event {
            WatchEvent::Listed { mut leases, revision } => {
                tracing::info!(scope = self.name, leases = leases.len(), %revision, "listed");
                let objects = leases.iter_mut().filter_map(Object::taken_from).collect();
                let items = leases.into_iter().map(|seen| seen.item).collect();
                self.elector.handle(now, Event::Listed { items });
                News::Listed(objects)
            }
            WatchEvent::Applied(mut seen) => {
                let object = Object::taken_from(&mut seen);
                let news = object.map_or_else(|| gone(&seen.item), News::Applied);
                self.elector.handle(now, Event::Applied(seen.item));
                news
            }
            WatchEvent::Deleted(seen) => {
                let news = gone(&seen.item);
                self.elector.handle(now, Event::Deleted(seen.item));
                news
            }
            WatchEvent::Lost(why) => {
                tracing::warn!(
                    scope = self.name,
                    why,
                    "leases cannot be watched: trying again, and deciding nothing until they can"
                );
                self.elector.handle(now, Event::Lost);
                News::Nothing
            }
            WatchEvent::Resumed => {
                tracing::info!(scope = self.name, "the watch is back");
                self.elector.handle(now, Event::Resumed);
                News::Nothing
            }
            WatchEvent::Bookmark(_) => News::Nothing,
        }
    }

    /// Gives the watch up and lists again.
    pub(crate) fn relist(&mut self, now: Mono, why: &str) {
        tracing::warn!(
            scope = self.name,
            "{why}: listing again before anything is decided"
        );
        self.heard_at = now;
        self.watch.relist();
    }

    /// A dead connection looks like a quiet one, except that an API server is never quiet for this long.
    pub(crate) fn check_silence(&mut self, now: Mono) {
        if self.elector.is_synced() && now >= self.heard_at + self.silence {
            self.elector.handle(now, Event::Lost);
            self.relist(now, "the watch is silent");
        }
    }

    /// A watch that is lost needs no waking: it comes back by itself.
    fn deadline(&self) -> Option<Mono> {
        let silent_at = self.elector.is_synced().then(|| self.heard_at + self.silence);
        [silent_at, self.elector.deadline()].into_iter().flatten().min()
    }
}

fn gone(item: &Item) -> News {
    News::Gone(item.key().clone(), item.revision().clone())
}
