//! Time and tasks of a simulation: true time, the clock of each simulated machine, and the only place that starts tasks.
//!
//! True time is tokio's paused clock. Only the checker and the faults know it; a process knows the clock of its machine,
//! which starts anywhere, runs at its own rate and has a wall time that can be wrong, jump or stand still.

#![expect(
    clippy::disallowed_methods,
    reason = "the file through which time and tasks enter the simulation"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use candidate::clock::Clock;
use election_core::{Mono, Wall};
use futures::future::BoxFuture;

/// What an hour in the middle of a story is written as: 2026-01-01 11:00 UTC.
pub(crate) const NOON: i64 = 1_767_265_200_000_000;

/// True time since the simulation began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth(tokio::time::Instant);

impl Truth {
    pub(crate) fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) async fn reach(self, at: Duration) {
        tokio::time::sleep_until(self.0 + at).await;
    }
}

/// Waits in simulated time.
pub(crate) async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// Starts a task that nothing but the end of the simulation ends.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

/// A moment of the machine that simulates, for progress and budgets only.
pub(crate) fn real_now() -> Instant {
    Instant::now()
}

/// One thread for each of `count` jobs that share a source of work; returns when all have ended.
pub(crate) fn on_threads(count: usize, job: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(&job);
        }
    });
}

/// How often something happened at one moment. Paused time does not go on while anybody has something to do, so what happens
/// without end at one moment would never end.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    at: Duration,
    count: u32,
}

impl Storm {
    /// It happens once more: how often it has at this moment.
    pub(crate) fn counts(&mut self, now: Duration) -> u32 {
        if self.at != now {
            *self = Self { at: now, count: 0 };
        }
        self.count += 1;
        self.count
    }
}

/// The clock of one machine; it survives the crashes of its process.
#[derive(Debug)]
pub(crate) struct MachineClock {
    truth: Truth,
    /// What it showed when the simulation began.
    boot: u64,
    /// Local nanoseconds for a thousand true ones.
    rate: AtomicU64,
    wall: Mutex<WallClock>,
}

#[derive(Debug, Default)]
struct WallClock {
    offset: i64,
    frozen: Option<i64>,
}

impl MachineClock {
    pub(crate) fn new(truth: Truth, boot: u64) -> Self {
        Self {
            truth,
            boot,
            rate: AtomicU64::new(1000),
            wall: Mutex::default(),
        }
    }

    /// How many local milliseconds a true second has. Only before anybody reads the clock: it would jump.
    pub(crate) fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    fn local(&self) -> u64 {
        let truth = self.truth.now().as_nanos();
        let local = truth * u128::from(self.rate.load(Ordering::Relaxed)) / 1000;
        u64::try_from(local).unwrap_or(u64::MAX)
    }

    fn running_wall(&self) -> i64 {
        NOON + i64::try_from(self.local() / 1000).unwrap_or(i64::MAX)
    }

    fn with_wall<T>(&self, change: impl FnOnce(&mut WallClock) -> T) -> T {
        change(&mut self.wall.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves the wall time by so many microseconds.
    pub(crate) fn step_wall(&self, micros: i64) {
        self.with_wall(|wall| {
            wall.offset += micros;
            wall.frozen = wall.frozen.map(|frozen| frozen + micros);
        });
    }

    /// Stops the wall time, or lets it go on where it would be.
    pub(crate) fn freeze_wall(&self, frozen: bool) {
        let running = self.running_wall();
        self.with_wall(|wall| wall.frozen = frozen.then_some(running + wall.offset));
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Mono {
        Mono::from_nanos(self.boot.saturating_add(self.local()))
    }

    fn wall(&self) -> Wall {
        let running = self.running_wall();
        let shown = self.with_wall(|wall| wall.frozen.unwrap_or(running + wall.offset));
        Wall::from_micros(shown)
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let local = u128::from(at.as_nanos().saturating_sub(self.boot));
        let nanos = (local * 1000).div_ceil(u128::from(self.rate.load(Ordering::Relaxed)));
        // Centuries are as good as never.
        let at = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4).min(u64::MAX / 4));
        Box::pin(tokio::time::sleep_until(self.truth.0 + at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_has_its_own_origin_and_rate_and_never_wakes_early() {
        for rate in [900, 1000, 1100, 997] {
            let truth = Truth::begin();
            let clock = MachineClock::new(truth, 7_000_000_000);
            clock.set_rate(rate);
            let at = clock.now() + Duration::from_secs(9);
            clock.sleep_until(at).await;
            assert!(clock.now() >= at, "rate {rate}");
            let millis = 9_000_000 / rate;
            let took = truth.now();
            assert!(took >= Duration::from_millis(millis), "rate {rate}: {took:?}");
            assert!(took <= Duration::from_millis(millis + 2), "rate {rate}: {took:?}");
        }
    }

    #[test]
    fn a_storm_is_counted_by_the_moment() {
        let mut storm = Storm::default();
        let [one, other] = [0, 1].map(Duration::from_millis);
        assert_eq!(
            [one, one, other, other, one].map(|now| storm.counts(now)),
            [1, 2, 1, 2, 1]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_time_of_a_machine_jumps_and_stands_still_and_its_clock_does_not() {
        let clock = MachineClock::new(Truth::begin(), 0);
        let wall = |micros: i64| Wall::from_micros(NOON + micros);
        clock.step_wall(-3_600_000_000);
        assert_eq!(clock.wall(), wall(-3_600_000_000));
        clock.freeze_wall(true);
        wait(Duration::from_secs(5)).await;
        assert_eq!(clock.wall(), wall(-3_600_000_000));
        clock.step_wall(3_600_000_000);
        assert_eq!(clock.wall(), wall(0));
        clock.freeze_wall(false);
        assert_eq!(clock.wall(), wall(5_000_000));
        assert_eq!(clock.now(), Mono::from_nanos(5_000_000_000));
    }
}
