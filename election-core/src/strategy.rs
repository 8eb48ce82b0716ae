//! Strategies: which versions lead.

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use crate::names::shorten;
use crate::version::Version;

/// What a candidate is and what it behaves as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Versions {
    /// What the program is.
    pub binary: Version,
    /// What it behaves as; `compatibility-version` on the wire.
    pub emulation: Version,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "emulation {}, binary {}", self.emulation, self.binary)
    }
}

/// A rule of choice between candidates (KEP-4355, "Strategy").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The lowest emulation version leads, among those the lowest binary version: what a cluster under upgrade or
    /// rollback needs, because every half of it can read what the oldest half writes.
    #[default]
    OldestEmulationVersion,
    /// The reverse: a canary leads at once.
    NewestEmulationVersion,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 2] = [Self::OldestEmulationVersion, Self::NewestEmulationVersion];

    /// `Less` when `a` is strictly better than `b`, `Equal` when the strategy does not tell them apart.
    #[must_use]
    pub fn compare(self, a: &Versions, b: &Versions) -> Ordering {
        let oldest = a
            .emulation
            .cmp(&b.emulation)
            .then_with(|| a.binary.cmp(&b.binary));
        match self {
            Self::OldestEmulationVersion => oldest,
            Self::NewestEmulationVersion => oldest.reverse(),
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OldestEmulationVersion => "OldestEmulationVersion",
            Self::NewestEmulationVersion => "NewestEmulationVersion",
        }
    }

    /// The rule as a sentence for people, incumbents included.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::OldestEmulationVersion => {
                "lowest emulation version, then lowest binary version; among equals the incumbent stays"
            }
            Self::NewestEmulationVersion => {
                "highest emulation version, then highest binary version; among equals the incumbent stays"
            }
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.as_str() == text)
            .ok_or_else(|| ParseStrategyError { text: shorten(text) })
    }
}

/// A text that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseStrategyError {
    text: String,
}

impl fmt::Display for ParseStrategyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a strategy: write {} or {}",
            self.text,
            Strategy::OldestEmulationVersion,
            Strategy::NewestEmulationVersion
        )
    }
}

impl core::error::Error for ParseStrategyError {}
