//! The clock of deadlines: `CLOCK_BOOTTIME`, which goes on while the machine sleeps, and a timer on it that fires at
//! once when a machine wakes up after the deadline.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_BOOTTIME`.
pub(super) fn now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * NANOS_PER_SECOND + now.tv_nsec as u64
}

/// A timer that is not armed; its descriptor is readable once it has fired.
pub(super) fn timer() -> io::Result<OwnedFd> {
    Ok(timerfd_create(
        TimerfdClockId::Boottime,
        TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
    )?)
}

/// Arms `timer` for `at`, in place of what it was armed for; a moment that has passed fires at once.
pub(super) fn arm(timer: impl AsFd, at: u64) -> io::Result<()> {
    // Zero would disarm it.
    let at = at.max(1);
    let value = Timespec {
        tv_sec: i64::try_from(at / NANOS_PER_SECOND).unwrap_or(i64::MAX),
        tv_nsec: (at % NANOS_PER_SECOND) as _,
    };
    let once = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: value,
    };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &once)?;
    Ok(())
}

/// Makes a timer that has fired, or might, silent.
pub(super) fn disarm(timer: impl AsFd) -> io::Result<()> {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    timerfd_settime(
        timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec {
            it_interval: zero,
            it_value: zero,
        },
    )?;
    Ok(())
}
