//! Where each candidate stands in a step.

use core::fmt;
use core::time::Duration;

/// What a step found of one candidate. Small and `Copy`, because a step makes one for each of its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This step grants it the lease, or names it as successor.
    Chosen,
    /// It would be granted the lease if that were possible now.
    First,
    /// It holds the lease.
    Holder,
    /// It is offered the lease.
    Offered,
    /// It is named as successor.
    Nominated,
    /// Its version is worse than that of the one chosen, or of the holder.
    WorseVersion,
    /// The strategy does not tell it from the incumbent, who stays among equals.
    EqualToHolder,
    /// The strategy does not tell it from the one chosen, which is older, or has the smaller name.
    YoungerAmongEquals,
    /// It has been offered the lease more often in this vacancy.
    AlreadyOfferedInThisVacancy,
    /// It held the lease until it expired, so that others are offered it first.
    LetItsTermExpire,
    /// It has been named successor more often in this term.
    AlreadyNominatedInThisTerm,
    /// It is better, but no preemption is allowed now.
    BackedOff,
    /// It is better, but preemption is on hold.
    OnHold,
    /// Somebody asked it to step down.
    SteppedDown,
    /// Another candidate is pinned.
    AnotherIsPinned,
    /// Somebody asked for another candidate.
    AnotherIsAskedFor,
    /// It has no incarnation, so it is never nominated, and offered the lease only when nobody else lives.
    HandWritten,
    /// No life was seen of it for this long.
    NotLive {
        /// Since when.
        silent: Duration,
    },
    /// Its identity lease says something that rules it out; the refusal is on the identity lease.
    Refused,
}

impl Standing {
    /// A word for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Chosen => "Chosen",
            Self::First => "First",
            Self::Holder => "Holder",
            Self::Offered => "Offered",
            Self::Nominated => "Nominated",
            Self::WorseVersion => "WorseVersion",
            Self::EqualToHolder => "EqualToHolder",
            Self::YoungerAmongEquals => "YoungerAmongEquals",
            Self::AlreadyOfferedInThisVacancy => "AlreadyOfferedInThisVacancy",
            Self::LetItsTermExpire => "LetItsTermExpire",
            Self::AlreadyNominatedInThisTerm => "AlreadyNominatedInThisTerm",
            Self::BackedOff => "BackedOff",
            Self::OnHold => "OnHold",
            Self::SteppedDown => "SteppedDown",
            Self::AnotherIsPinned => "AnotherIsPinned",
            Self::AnotherIsAskedFor => "AnotherIsAskedFor",
            Self::HandWritten => "HandWritten",
            Self::NotLive { .. } => "NotLive",
            Self::Refused => "Refused",
        }
    }
}

impl Standing {
    /// Whether it could lead at all: it lives, and its versions can be read.
    #[must_use]
    pub const fn is_electable(self) -> bool {
        !matches!(self, Self::NotLive { .. } | Self::Refused)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chosen => "chosen",
            Self::First => "first in line",
            Self::Holder => "holds the lease",
            Self::Offered => "has the offer",
            Self::Nominated => "nominated as successor",
            Self::WorseVersion => "its version is worse",
            Self::EqualToHolder => "equal by version, and the incumbent stays among equals",
            Self::YoungerAmongEquals => "equal by version, but younger",
            Self::AlreadyOfferedInThisVacancy => "has had more offers in this vacancy",
            Self::LetItsTermExpire => "let its term expire, so others come first",
            Self::AlreadyNominatedInThisTerm => "was nominated more often in this term",
            Self::BackedOff => "better, but preemption is backed off",
            Self::OnHold => "better, but preemption is on hold",
            Self::SteppedDown => "was asked to step down",
            Self::AnotherIsPinned => "another candidate is pinned",
            Self::AnotherIsAskedFor => "somebody asked for another candidate",
            Self::HandWritten => "hand-written: stands back while a process lives",
            Self::NotLive { silent } => return write!(f, "not live: silent for {}", Seconds(*silent)),
            Self::Refused => "refused",
        })
    }
}

/// A duration for people: tenths of a second up to a minute, whole seconds beyond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_millis().div_ceil(100);
        if tenths < 600 && !tenths.is_multiple_of(10) {
            write!(f, "{}.{} s", tenths / 10, tenths % 10)
        } else {
            write!(f, "{} s", tenths.div_ceil(10))
        }
    }
}
