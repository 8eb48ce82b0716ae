//! What a step of an election is: one decision, with its reason and what it means for each candidate.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::reason::Reason;
use super::standing::Standing;
use crate::lease::{LeaseCreate, LeaseWrite};
use crate::names::{Identity, LeaseKey};
use crate::strategy::Strategy;
use crate::time::Mono;

/// What an election does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, until something changes.
    LeaveAlone,
    /// Nothing, until this moment or until something changes.
    Wait {
        /// The moment.
        until: Mono,
    },
    /// The holder stays.
    Keep,
    /// Create the missing lease, without a holder.
    Create,
    /// Grant the lease to a candidate, which may accept.
    Offer {
        /// To whom.
        to: Identity,
    },
    /// The candidate that has the offer is still the one to have it: it gets another accept window, without a write.
    OfferAgain {
        /// Whose offer it is.
        to: Identity,
    },
    /// Name the successor of a holder that is worse.
    Nominate {
        /// The successor.
        successor: Identity,
    },
    /// Name nobody as successor any more.
    ClearNomination,
}

impl Decision {
    /// A word for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LeaveAlone => "LeaveAlone",
            Self::Wait { .. } => "Wait",
            Self::Keep => "Keep",
            Self::Create => "Create",
            Self::Offer { .. } => "Offer",
            Self::OfferAgain { .. } => "OfferAgain",
            Self::Nominate { .. } => "Nominate",
            Self::ClearNomination => "ClearNomination",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaveAlone => f.write_str("leave alone"),
            Self::Wait { .. } => f.write_str("wait"),
            Self::Keep => f.write_str("keep the holder"),
            Self::Create => f.write_str("create the lease"),
            Self::Offer { to } => write!(f, "offer to {to}"),
            Self::OfferAgain { to } => write!(f, "leave the offer with {to}"),
            Self::Nominate { successor } => write!(f, "nominate {successor}"),
            Self::ClearNomination => f.write_str("clear the nomination"),
        }
    }
}

/// A request to the API server that a decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// POST.
    Create(LeaseCreate),
    /// Conditional PUT.
    Write(LeaseWrite),
}

/// Which strategy a step followed, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrategySource {
    /// The lease asks for it.
    Lease(Strategy),
    /// The elector's setting; the lease asks for none.
    Elector(Strategy),
    /// The elector's setting, because what the lease asks for cannot be read.
    Unreadable {
        /// What the lease says.
        text: String,
        /// What is used instead.
        instead: Strategy,
    },
}

impl StrategySource {
    /// The strategy that is followed.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        match self {
            Self::Lease(strategy) | Self::Elector(strategy) => *strategy,
            Self::Unreadable { instead, .. } => *instead,
        }
    }
}

impl fmt::Display for StrategySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease(strategy) => write!(f, "{strategy} (the lease asks for it)"),
            Self::Elector(strategy) => write!(f, "{strategy} (the elector's setting)"),
            Self::Unreadable { text, instead } => {
                write!(f, "{instead} (the lease asks for {text:?}, which is no strategy)")
            }
        }
    }
}

/// One decision of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The leader lease.
    pub lease: LeaseKey,
    /// What is done.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// The rule of choice.
    pub strategy: StrategySource,
    /// Where each candidate stands, by name.
    pub standings: Vec<(Identity, Standing)>,
    /// The request to send, if the decision needs one.
    pub request: Option<Request>,
    /// When to call again if nothing happens before.
    pub look_again: Option<Mono>,
}

impl Step {
    /// Whether this step says the same as another one, whatever time has passed between them.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        use Decision::Wait;
        let same_decision = match (&self.decision, &other.decision) {
            (Wait { .. }, Wait { .. }) => true,
            (left, right) => left == right,
        };
        same_decision
            && self.request.is_none()
            && self.reason.code() == other.reason.code()
            && self.reason.subject() == other.reason.subject()
            && self.strategy == other.strategy
    }
}
