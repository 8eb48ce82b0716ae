//! The elector's side of the protocol, without IO.
//!
//! [`Election`] is one leader lease with its own candidates and memory: it observes, and each [`Election::step`] decides
//! one thing, with a [`Reason`], a [`Standing`] for each candidate and the moment to look again. [`Elector`] is the index
//! of all elections in one watch: it routes [`Event`]s to those that they concern, keeps their timers, and queues
//! [`Output`]s for a shell to carry out.
//!
//! The duties of the files:
//!
//! | file | duty |
//! |---|---|
//! | `election` | what an election knows, and how it learns |
//! | `life` | when something was last seen alive (rules 2 and 9) |
//! | `contender` | a candidate in an election, and the order of candidates |
//! | `judge` | what to do about a vacant or missing lease (rules 1–5 and 8) |
//! | `held` | what to do about a held lease (rule 6) |
//! | `back_off` | which preemptions failed (rule 7) |
//! | `flight` | the one write that may be open, and when to try again |
//! | `index`, `routing`, `presence`, `keyed` | all elections of one watch, its gaps, and collection (rules 9 and 10) |
//! | `step`, `reason`, `standing`, `explanation` | what comes out |
//!
//! Deliberately absent: requests, watches, leadership among electors, and any clock. Each call brings `now`.

mod back_off;
mod contender;
mod election;
mod explanation;
mod fingerprint;
mod flight;
mod held;
mod index;
mod judge;
mod keyed;
mod life;
mod message;
mod presence;
mod reason;
mod routing;
mod standing;
mod step;

pub use election::{Election, Rules};
pub use explanation::{Explanation, RankedCandidate};
pub use index::Elector;
pub use life::IdentityLife;
pub use message::{Event, Outcome, Output};
pub use reason::Reason;
pub use standing::Standing;
pub use step::{Decision, Request, Step, StrategySource};
