//! What people ask of one election, by annotations of its leader lease.
//!
//! A control changes who should lead, never who may: each is one more key of the order, or a reason not to preempt. It is
//! carried out by the same offers, nominations and acceptances as everything else, so no safety rests on it, and a control that is
//! forged, stale or unreadable costs at worst a needless handover.
//!
//! The first word of a value counts. What follows it, such as who asked and when, is for people.

use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;
use core::time::Duration;

use crate::names::{Identity, Incarnation, shorten};

/// The controls of one leader lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controls {
    /// No preemption while it is on hold.
    pub hold: Option<Control<Hold>>,
    /// Whoever has this identity leads whenever it can, whatever its versions.
    pub pin: Option<Identity>,
    /// This process does not lead while anybody else can.
    pub step_down: Option<Control<StepDown>>,
    /// Who comes first while the step-down stands.
    pub step_down_to: Option<Identity>,
}

/// A control that was read, or the text that cannot be.
pub type Control<T> = Result<T, ParseControlError>;

impl Controls {
    /// Whether nobody asks for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The hold, if it can be read.
    #[must_use]
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()?.as_ref().ok()
    }

    /// The step-down, if it can be read.
    #[must_use]
    pub fn step_down(&self) -> Option<&StepDown> {
        self.step_down.as_ref()?.as_ref().ok()
    }

    /// What cannot be read, and is therefore ignored.
    pub fn errors(&self) -> impl Iterator<Item = &ParseControlError> {
        let hold = self.hold.as_ref().and_then(|hold| hold.as_ref().err());
        let step_down = self.step_down.as_ref().and_then(|asked| asked.as_ref().err());
        hold.into_iter().chain(step_down)
    }
}

/// No preemption: whoever leads stays until it stops by itself. `true`, or a number of seconds (`7200s`) that each elector
/// counts by its own clock from when it first sees the annotation, since no wall clock decides anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    seconds: Option<NonZeroU32>,
    /// The same request made again begins anew.
    text: String,
}

impl Hold {
    /// How long it is good for; `None` until somebody removes it.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        self.seconds
            .map(|seconds| Duration::from_secs(u64::from(seconds.get())))
    }
}

impl FromStr for Hold {
    type Err = ParseControlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = match first_word(text) {
            "true" => None,
            word => {
                let seconds = word.strip_suffix('s').and_then(|count| count.parse().ok());
                Some(seconds.ok_or_else(|| {
                    ParseControlError::new(text, "true, or a number of seconds such as 7200s")
                })?)
            }
        };
        Ok(Self {
            seconds,
            text: text.into(),
        })
    }
}

/// One process should not lead while anybody else can: `IDENTITY/INCARNATION`. It ends by itself when that process does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StepDown {
    /// Who.
    pub identity: Identity,
    /// Which process of that identity.
    pub incarnation: Incarnation,
}

impl fmt::Display for StepDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.identity, self.incarnation)
    }
}

impl FromStr for StepDown {
    type Err = ParseControlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match first_word(text).split_once('/') {
            Some((identity, incarnation)) if !identity.is_empty() && !incarnation.is_empty() => Ok(Self {
                identity: Identity::new(identity),
                incarnation: Incarnation::new(incarnation),
            }),
            _ => Err(ParseControlError::new(text, "IDENTITY/INCARNATION")),
        }
    }
}

/// The part of a value that counts.
#[must_use]
pub(crate) fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// A text that asks for nothing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParseControlError {
    text: String,
    expected: &'static str,
}

impl ParseControlError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: shorten(text),
            expected,
        }
    }
}

impl fmt::Display for ParseControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot be read: write {}", self.text, self.expected)
    }
}

impl core::error::Error for ParseControlError {}
