//! The only module of this crate that reads clocks and waits for them (the keeper of `candidate run` has its own).
//!
//! [`BootClock`] is for programs, [`TokioClock`] for tests and simulations. A clock decides nothing: what a moment means
//! is the core's to say. Deliberately absent: periodic timers and timeouts, which are a [`Clock::sleep_until`] beside
//! the work in a `select!`.

#![expect(
    clippy::disallowed_methods,
    reason = "the module through which time enters this crate"
)]

mod runtime;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use election_core::{Mono, Wall};
use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

pub use runtime::TokioClock;

/// Reads a clock, and waits for it.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The moment that decides everything.
    fn now(&self) -> Mono;

    /// The wall time, for people to read in objects.
    fn wall(&self) -> Wall;

    /// Resolves as soon as [`Clock::now`] has reached `at`, never before, and at once when it has already.
    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()>;
}

/// A clock that the parts of a process share.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the machine: `CLOCK_BOOTTIME`, which counts while the machine sleeps, for reading and for waking.
///
/// A lease does not wait for a machine that sleeps, and timers of the runtime do (they run on `CLOCK_MONOTONIC`), so a
/// sleep here is a timerfd of its own.
///
/// Other systems than Linux have neither: there `CLOCK_MONOTONIC` is read, which counts sleep on macOS but not on all
/// others, and the runtime's timers wake, which look again every second.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl BootClock {
    /// The clock of the machine.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for BootClock {
    fn now(&self) -> Mono {
        let time = clock_gettime(BOOT_CLOCK);
        // The kernel reports no negative time since boot, and nanoseconds below a second.
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        Mono::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos))
    }

    fn wall(&self) -> Wall {
        Wall::from_micros(Timestamp::now().as_microsecond())
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            #[cfg(target_os = "linux")]
            match timer::wait(clock, at).await {
                Ok(()) => return,
                // Out of file descriptors, most likely. A sleep that fails would leave a deadline unguarded.
                Err(error) => tracing::warn!(%error, "no timerfd: looking at the clock every second instead"),
            }
            look_again_until(clock, at).await;
        })
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(target_os = "linux")]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

/// How late [`look_again_until`] may wake after a machine has slept.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Sleeps on the runtime's timers, in slices so short that time asleep is noticed.
async fn look_again_until(clock: BootClock, at: Mono) {
    loop {
        let left = at.since(clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AGAIN)).await;
    }
}

#[cfg(target_os = "linux")]
mod timer {
    use super::{BootClock, Clock, Mono, NANOS_PER_SECOND};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::io;
    use std::os::fd::OwnedFd;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[expect(
        deprecated,
        reason = "the safe constructor, which suits an `OwnedFd`: it cannot be closed or replaced beneath the runtime"
    )]
    fn registered(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
        AsyncFd::with_interest(timer, Interest::READABLE)
    }

    /// Waits on a timerfd of its own: sleeps are few, and sharing one would need a task that re-arms it.
    pub(super) async fn wait(clock: BootClock, at: Mono) -> io::Result<()> {
        if clock.now() >= at {
            return Ok(());
        }
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &once(at))?;
        let timer = registered(timer)?;
        loop {
            let mut ready = timer.readable().await?;
            if clock.now() >= at {
                return Ok(());
            }
            // The runtime may report readiness that is not there.
            ready.clear_ready();
        }
    }

    fn once(at: Mono) -> Itimerspec {
        // Zero would disarm the timer.
        let nanos = at.as_nanos().max(1);
        let field = |part: u64| part.try_into().unwrap_or(i64::MAX);
        Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: field(nanos / NANOS_PER_SECOND),
                tv_nsec: field(nanos % NANOS_PER_SECOND),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_boot_clock_wakes_at_the_moment_and_not_before() {
        let clock = BootClock::new();
        let at = clock.now() + Duration::from_millis(20);
        clock.sleep_until(at).await;
        let late = clock.now().since(at);
        assert!(clock.now() >= at, "woken before the moment");
        assert!(late < Duration::from_secs(5), "woken {late:?} after the moment");
    }

    #[tokio::test]
    async fn the_boot_clock_does_not_wait_for_the_past() {
        let clock = BootClock::new();
        let before = clock.now();
        clock.sleep_until(Mono::from_nanos(0)).await;
        clock.sleep_until(before).await;
        assert!(clock.now().since(before) < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn looking_again_reaches_the_moment_too() {
        let clock = BootClock::new();
        let at = clock.now() + Duration::from_millis(5);
        look_again_until(clock, at).await;
        assert!(clock.now() >= at);
    }
}
