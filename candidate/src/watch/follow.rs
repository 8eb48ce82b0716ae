//! The loop of a watch: list, watch from there, reconnect from the last revision, list again when that is too old.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use election_core::{Mono, Revision};
use tokio::sync::Notify;

use super::lines::{self, Lines, Told};
use super::object::FromText;
use super::requests::{ReadError, Source, malformed, readable};
use super::{WatchEvent, WatchScope, WatchSettings};

/// The back-off doubles from the first to the last of these. Short, because who waits longer than this for the news
/// that it was elected keeps everybody waiting; with jitter, so that candidates do not return in step.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A connection that lasted this long, or told something, was a working one: its end is no failure. A server that ends
/// each watch at once would else be asked without pause.
const WORKING: Duration = Duration::from_secs(10);

/// Turns requests into [`WatchEvent`]s.
pub(super) struct Follower<T> {
    source: Source,
    relist: Arc<Notify>,
    timeout: Duration,
    random: SplitMix,
    phase: Phase,
    /// Failures in a row.
    failures: u32,
    /// No request before this moment.
    not_before: Mono,
    /// The reason of an outage that was reported and is not over.
    lost: Option<String>,
    /// What is made of a lease.
    reads: PhantomData<fn() -> T>,
}

enum Phase {
    List,
    Connect {
        last: Revision,
    },
    Follow {
        last: Revision,
        lines: Lines,
        since: Mono,
        told: bool,
    },
}

impl<T: FromText> Follower<T> {
    pub(super) fn new(
        client: kube::Client,
        scope: WatchScope,
        settings: WatchSettings,
        relist: Arc<Notify>,
    ) -> Self {
        let not_before = settings.clock.now();
        Self {
            source: Source {
                client,
                scope,
                clock: settings.clock,
                within: settings.request_deadline,
            },
            relist,
            timeout: settings.timeout,
            random: SplitMix(settings.seed),
            phase: Phase::List,
            failures: 0,
            not_before,
            lost: None,
            reads: PhantomData,
        }
    }

    /// The next event; waits for as long as it takes.
    pub(super) async fn next(&mut self) -> WatchEvent<T> {
        let relist = self.relist.clone();
        loop {
            tokio::select! {
                biased;
                () = relist.notified() => {
                    self.phase = Phase::List;
                    self.not_before = self.source.clock.now();
                    // Whoever asks is told how it went, even in the middle of an outage.
                    self.lost = None;
                }
                event = self.step() => if let Some(event) = event {
                    return event;
                }
            }
        }
    }

    /// One request, or one event of the stream. Whoever drops this future before its end sets the phase afresh.
    async fn step(&mut self) -> Option<WatchEvent<T>> {
        if let Phase::Follow { lines, .. } = &mut self.phase {
            let line = lines.next().await;
            return self.take(line);
        }
        // No timer for the usual case of no back-off.
        if self.source.clock.now() < self.not_before {
            self.source.clock.sleep_until(self.not_before).await;
        }
        match &self.phase {
            Phase::Connect { last } => {
                let last = last.clone();
                self.connect(last).await
            }
            Phase::List | Phase::Follow { .. } => self.list().await,
        }
    }

    async fn list(&mut self) -> Option<WatchEvent<T>> {
        match self.source.list().await {
            Ok((leases, revision)) => {
                self.lost = None;
                self.phase = Phase::Connect {
                    last: revision.clone(),
                };
                Some(WatchEvent::Listed { leases, revision })
            }
            Err(error) if error.is_expired() => self.expired(),
            Err(error) => self.failed(&error, "list"),
        }
    }

    async fn connect(&mut self, last: Revision) -> Option<WatchEvent<T>> {
        // At least a second: zero would mean no limit of ours but a default of the server's.
        let least = self.timeout.as_secs().max(1);
        let timeout = least + self.random.next() % least;
        match self
            .source
            .watch(&last, u32::try_from(timeout).unwrap_or(u32::MAX))
            .await
        {
            Ok(lines) => {
                self.phase = Phase::Follow {
                    last,
                    lines,
                    since: self.source.clock.now(),
                    told: false,
                };
                self.lost.take().map(|_| WatchEvent::Resumed)
            }
            Err(error) if error.is_expired() => self.expired(),
            Err(error) => self.failed(&error, "watch"),
        }
    }

    fn take(&mut self, line: Option<io::Result<Vec<u8>>>) -> Option<WatchEvent<T>> {
        let line = match line {
            Some(Ok(line)) => line,
            Some(Err(error)) => return self.ended(ReadError::Api(kube::Error::ReadEvents(error))),
            None => return self.ended(malformed("it ended the watch at once")),
        };
        match lines::told(&line) {
            Ok(Told::Applied(object)) => self.fresh(object).map(WatchEvent::Applied),
            Ok(Told::Deleted(object)) => self.fresh(object).map(WatchEvent::Deleted),
            Ok(Told::Bookmark(revision)) => {
                self.advance(&revision);
                Some(WatchEvent::Bookmark(revision))
            }
            Err(why) => self.ended(why),
        }
    }

    /// The lease of an event, unless it was told before: a replay must not take the revision back.
    fn fresh(&mut self, object: &str) -> Option<T> {
        let (revision, lease) = readable(object);
        if self.advance(&revision?) { lease } else { None }
    }

    /// Notes up to where everything was told; whether that is news.
    fn advance(&mut self, revision: &Revision) -> bool {
        let Phase::Follow { last, told, .. } = &mut self.phase else {
            return false;
        };
        let news = *last < *revision;
        if news {
            *last = revision.clone();
        }
        *told = true;
        news
    }

    /// The stream is over. After a working one the next follows at once, and nobody needs to know.
    fn ended(&mut self, why: ReadError) -> Option<WatchEvent<T>> {
        if why.is_expired() {
            return self.expired();
        }
        let Phase::Follow {
            last, since, told, ..
        } = &self.phase
        else {
            return None;
        };
        let now = self.source.clock.now();
        let worked = *told || now.since(*since) >= WORKING;
        self.phase = Phase::Connect { last: last.clone() };
        if worked {
            self.failures = 0;
            self.not_before = now;
            return None;
        }
        self.failed(&why, "watch")
    }

    /// The revision to go on from is forgotten: list again, at once unless that has just happened.
    fn expired(&mut self) -> Option<WatchEvent<T>> {
        self.phase = Phase::List;
        let repeated = self.failures > 0;
        self.back_off();
        if !repeated {
            self.not_before = self.source.clock.now();
        }
        self.report("the watch's revision has expired: listing again".to_owned())
    }

    fn failed(&mut self, error: &ReadError, verb: &str) -> Option<WatchEvent<T>> {
        self.back_off();
        let why = self.source.explain(error, verb);
        self.report(why)
    }

    fn report(&mut self, why: String) -> Option<WatchEvent<T>> {
        if self.lost.as_ref() == Some(&why) {
            return None;
        }
        self.lost = Some(why.clone());
        Some(WatchEvent::Lost(why))
    }

    fn back_off(&mut self) {
        let (first, last) = BACK_OFF;
        let full = first.saturating_mul(1 << self.failures.min(16)).min(last);
        self.failures = self.failures.saturating_add(1);
        self.not_before = self.source.clock.now() + self.random.between_half_and(full);
    }
}

/// splitmix64: enough to spread requests, and the same in every run of one seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between_half_and(&mut self, full: Duration) -> Duration {
        let per_mille = u32::try_from(self.next() % 501).unwrap_or_default();
        full * (500 + per_mille) / 1000
    }
}
