//! The two kinds of time, which cannot be mixed, and whole seconds as they stand in a lease.
//!
//! [`Mono`] decides everything. [`Wall`] is only ever written into objects for people to read, and serves to tell one
//! attempt of a write from another. No clock is read here.

use core::fmt;
use core::time::Duration;

/// A moment on the local clock that keeps counting while the machine sleeps (`CLOCK_BOOTTIME` on Linux).
///
/// Nanoseconds since an arbitrary origin; only differences within one process mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(u64);

impl Mono {
    /// A moment from nanoseconds since the origin of the clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin of the clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long this moment is after `earlier`; zero when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment less a duration, but never before the origin.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl core::ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A wall-clock time in microseconds since the Unix epoch: the precision of `MicroTime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(i64);

impl Wall {
    /// A time from microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The next time that the wire can tell from this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A duration in whole seconds, at least one, as `spec.leaseDurationSeconds` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseSeconds(u32);

impl LeaseSeconds {
    /// The default of a leader lease: 15 s, as in client-go.
    pub const LEADER: Self = Self(15);
    /// The default of an identity lease: 180 s, so that a standby costs one write a minute.
    pub const IDENTITY: Self = Self(180);

    /// Whole seconds; `None` for zero and for what the wire cannot carry (an `int32`).
    #[must_use]
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds == 0 || seconds > i32::MAX as u32 {
            None
        } else {
            Some(Self(seconds))
        }
    }

    /// The number of seconds.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl fmt::Display for LeaseSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}
