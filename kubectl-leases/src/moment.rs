//! The moment at which Leases were read, by the server's time.
//!
//! The clock of this machine is never compared with a stamp in an object: it may be off. The server says in the `Date` of
//! its answer what time it is there; from then on only the time that has passed is counted here. Without that header the
//! newest renewal among the Leases is the best bound that there is.
#![expect(
    clippy::disallowed_methods,
    reason = "the one file that reads a clock, to count on from the server's time"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use election_core::Wall;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::fmt::rfc2822::DateTimeParser;
use serde::Serialize;
use tokio::time::Instant;

use crate::noted::NotedLease;

/// Where the time of a [`Moment`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum TimeSource {
    /// The `Date` of the server's answer.
    ServerDate,
    /// The newest renewal among the Leases that were read: at least that late it is.
    NewestRenewTime,
    /// There was neither.
    Unknown,
}

/// When something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time, if it is known.
    pub now: Option<Wall>,
    /// Where it comes from.
    pub source: TimeSource,
}

impl Moment {
    /// By the server's time, else by the newest renewal.
    #[must_use]
    pub fn of<'a>(server: Option<Wall>, leases: impl IntoIterator<Item = &'a NotedLease>) -> Self {
        if server.is_some() {
            return Self {
                now: server,
                source: TimeSource::ServerDate,
            };
        }
        let renewals = leases
            .into_iter()
            .filter_map(|noted| noted.lease.spec.as_ref()?.renew_time.as_ref());
        let newest = renewals
            .map(|time| Wall::from_micros(time.0.as_microsecond()))
            .max();
        Self {
            now: newest,
            source: if newest.is_some() {
                TimeSource::NewestRenewTime
            } else {
                TimeSource::Unknown
            },
        }
    }
}

/// What time it is on this machine, to be compared with the server's and with nothing else.
#[must_use]
pub fn local_wall() -> Wall {
    Wall::from_micros(Timestamp::now().as_microsecond())
}

/// Counts from the moment at which it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Measures how long something takes.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let done = work.await;
    (done, begun.elapsed())
}

/// What time it is at the server, as far as its answers said; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ServerClock {
    last: Arc<Mutex<Option<(Wall, Instant)>>>,
}

impl ServerClock {
    /// Takes the `Date` of an answer in. It has whole seconds, so it is the middle of that second within half of one.
    pub(crate) fn note(&self, date: &str) {
        if let Ok(zoned) = DateTimeParser::new().parse_zoned(date) {
            let wall = Wall::from_micros(zoned.timestamp().as_microsecond() + 500_000);
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((wall, Instant::now()));
        }
    }

    /// The time now, if an answer said it.
    #[must_use]
    pub fn now(&self) -> Option<Wall> {
        let (wall, read_at) = (*self.last.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = i64::try_from(read_at.elapsed().as_micros()).unwrap_or(i64::MAX);
        Some(Wall::from_micros(wall.as_micros().saturating_add(passed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    #[tokio::test(start_paused = true)]
    async fn the_date_of_an_answer_is_counted_on() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.note("Thu, 01 Jan 1970 00:00:10 GMT");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), Some(Wall::from_micros(15_500_000)));
        clock.note("yesterday");
        assert_eq!(
            clock.now(),
            Some(Wall::from_micros(15_500_000)),
            "what is no date changes nothing"
        );
    }

    #[test]
    fn without_a_date_the_newest_renewal_counts() {
        let renewed = |micros| {
            let renew_time = Some(MicroTime(Timestamp::from_microsecond(micros).unwrap()));
            let spec = LeaseSpec {
                renew_time,
                ..LeaseSpec::default()
            };
            NotedLease::from(Lease {
                spec: Some(spec),
                ..Lease::default()
            })
        };
        let leases = [renewed(7), renewed(9), Lease::default().into()];
        let newest = Moment::of(None, &leases);
        assert_eq!(
            (newest.now, newest.source),
            (Some(Wall::from_micros(9)), TimeSource::NewestRenewTime)
        );
        assert_eq!(
            Moment::of(Some(Wall::from_micros(1)), &leases).source,
            TimeSource::ServerDate
        );
        assert_eq!(Moment::of(None, &[]).source, TimeSource::Unknown);
    }
}
