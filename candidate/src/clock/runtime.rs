//! The clock for tests and simulations: the runtime's, which a test can pause.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use election_core::{Mono, Wall};
use futures::future::BoxFuture;

use super::{Clock, NANOS_PER_SECOND};

/// The clock of the tokio runtime, which a test can pause; it can run fast or slow, and its wall time can be wrong.
///
/// Its origin lies [`TokioClock::ORIGIN`] before its making, so that a test would notice who takes zero for a moment.
#[derive(Debug)]
pub struct TokioClock {
    started: tokio::time::Instant,
    base: Wall,
    wall_offset: AtomicI64,
    rate: Rate,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    local: u32,
    real: u32,
}

impl TokioClock {
    /// What a new clock shows.
    pub const ORIGIN: Mono = Mono::from_nanos(1_000 * NANOS_PER_SECOND);

    /// A clock that shows [`TokioClock::ORIGIN`] and `base` now.
    #[must_use]
    pub fn new(base: Wall) -> Self {
        Self {
            started: tokio::time::Instant::now(),
            base,
            wall_offset: AtomicI64::new(0),
            rate: Rate { local: 1, real: 1 },
        }
    }

    /// Makes this clock count `local` seconds while `real` seconds of the runtime pass: 110 / 100 is ten per cent fast.
    /// The wall time runs at the same rate.
    ///
    /// # Panics
    /// If one of the two is zero: such a clock would stand still, or jump.
    #[must_use]
    pub const fn with_rate(mut self, local: u32, real: u32) -> Self {
        assert!(
            local > 0 && real > 0,
            "a clock rate is a ratio of positive numbers"
        );
        self.rate = Rate { local, real };
        self
    }

    /// Sets how wrong the wall time is, in microseconds, from now on.
    pub fn set_wall_offset(&self, micros: i64) {
        self.wall_offset.store(micros, Ordering::Relaxed);
    }

    fn elapsed(&self) -> u64 {
        self.rate.to_local(self.started.elapsed().as_nanos())
    }
}

impl Rate {
    fn to_local(self, real_nanos: u128) -> u64 {
        let nanos = real_nanos.saturating_mul(self.local.into()) / u128::from(self.real);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Rounded up, because a sleep must not end early.
    fn to_real(self, local_nanos: u64) -> u64 {
        let nanos = (u128::from(local_nanos) * u128::from(self.real)).div_ceil(self.local.into());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Mono {
        Self::ORIGIN + Duration::from_nanos(self.elapsed())
    }

    fn wall(&self) -> Wall {
        let elapsed = i64::try_from(self.elapsed() / 1_000).unwrap_or(i64::MAX);
        let offset = self.wall_offset.load(Ordering::Relaxed);
        Wall::from_micros(
            self.base
                .as_micros()
                .saturating_add(elapsed)
                .saturating_add(offset),
        )
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let local = at.as_nanos().saturating_sub(Self::ORIGIN.as_nanos());
        let real = Duration::from_nanos(self.rate.to_real(local));
        match self.started.checked_add(real) {
            Some(wake) => Box::pin(tokio::time::sleep_until(wake)),
            // Centuries from now.
            None => Box::pin(std::future::pending()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Wall = Wall::from_micros(1_767_265_200_000_000);

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_the_clock_and_its_wall_alike() {
        let clock = TokioClock::new(NOON);
        assert_eq!(clock.now(), TokioClock::ORIGIN);
        clock
            .sleep_until(TokioClock::ORIGIN + Duration::from_secs(3))
            .await;
        assert_eq!(clock.now(), TokioClock::ORIGIN + Duration::from_secs(3));
        assert_eq!(clock.wall(), Wall::from_micros(NOON.as_micros() + 3_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_wakes_early_by_the_runtime_and_in_time_by_itself() {
        let fast = TokioClock::new(NOON).with_rate(110, 100);
        let fair = TokioClock::new(NOON);
        let at = TokioClock::ORIGIN + Duration::from_secs(11);
        fast.sleep_until(at).await;
        assert_eq!(fast.now(), at);
        assert_eq!(fair.now(), TokioClock::ORIGIN + Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_makes_a_sleep_end_before_its_moment() {
        for (local, real) in [(1, 1), (3, 7), (7, 3), (110, 100), (999, 1000)] {
            let clock = TokioClock::new(NOON).with_rate(local, real);
            let at = TokioClock::ORIGIN + Duration::from_nanos(1_234_567_891);
            clock.sleep_until(at).await;
            assert!(clock.now() >= at, "rate {local}/{real} woke at {:?}", clock.now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_wall_time_leaves_the_moments_alone() {
        let clock = TokioClock::new(NOON);
        clock.set_wall_offset(-60_000_000);
        assert_eq!(clock.wall(), Wall::from_micros(NOON.as_micros() - 60_000_000));
        assert_eq!(clock.now(), TokioClock::ORIGIN);
    }
}
