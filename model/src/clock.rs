//! The clocks of the model: true time, and what each process makes of it.
//!
//! True time is in nanoseconds since the beginning. A process counts at a rate of its own, which is constant: how the rate
//! may vary within the bound changes nothing for the protocol, which only ever measures from one moment to another.

use std::time::Duration;

use election_core::{Mono, Wall};

/// Where the clock of every process begins. It is far above any number that is no moment, so that the canonical hash can
/// tell moments by their size.
pub(crate) const BEGINNING: u64 = 1_000_000_000_000_000;

/// What every wall clock shows, always: they stamp attempts and decide nothing, so the worst that they can do is to stand
/// still and make the stamps of two processes equal.
pub(crate) const WALL: Wall = Wall::from_micros(1_700_000_000_000_000);

/// How fast a clock runs, as a fraction of true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u64, pub u64);

impl Rate {
    /// As fast as true time.
    pub const TRUE: Self = Self(1, 1);
    /// As slow as the protocol tolerates: an elector with a true clock sees 15 s pass where this one counts 12 s.
    pub const SLOW: Self = Self(4, 5);
    /// As fast as the protocol tolerates in an elector, when the candidates' clocks are true.
    pub const FAST: Self = Self(5, 4);

    /// What this clock shows at a true time.
    pub(crate) const fn shows(self, time: u64) -> Mono {
        Mono::from_nanos(BEGINNING + time * self.0 / self.1)
    }

    /// The first true time at which this clock shows at least `mono`.
    pub(crate) const fn reaches(self, mono: Mono) -> u64 {
        (mono.as_nanos().saturating_sub(BEGINNING) * self.1).div_ceil(self.0)
    }
}

/// Whole seconds of true time.
pub(crate) const fn seconds(seconds: u64) -> u64 {
    seconds * 1_000_000_000
}

/// A duration as true time.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
