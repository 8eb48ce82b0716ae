//! The rules of coordinated leader election, and nothing else.
//!
//! A controller that runs as several replicas needs one leader. In a *coordinated* election the candidates only offer
//! themselves, each with its versions; an elector gives the leader lease to the best one. This crate holds every
//! rule of that protocol, for both sides, as synchronous functions over closed types:
//!
//! - [`Elector`] and [`Election`]: what the elector decides for each leader lease, with a reason for each candidate;
//! - [`Candidate`]: the state machine of a process that wants to lead;
//! - [`Strategy`], [`Version`], [`Timing`]: the order of candidates and the rules of time.
//!
//! It is deliberately without IO, clocks, randomness and `async`: `now`, jitter and identity are arguments, so the same
//! code runs in a cluster, in a model checker and in a simulation. Wire formats are absent as well; only the feature
//! `wire` knows what an annotation is called.
//!
//! # The choice, without Kubernetes
//!
//! ```
//! use election_core::{Strategy, Versions};
//!
//! let new = Versions { binary: "1.30".parse()?, emulation: "1.30".parse()? };
//! let emulating = Versions { binary: "1.30".parse()?, emulation: "1.29".parse()? };
//! let old = Versions { binary: "1.29".parse()?, emulation: "1.29".parse()? };
//!
//! let mut fleet = [new.clone(), emulating.clone(), old.clone()];
//! fleet.sort_by(|a, b| Strategy::OldestEmulationVersion.compare(a, b));
//! assert_eq!(fleet, [old, emulating, new]);
//! # Ok::<(), election_core::ParseVersionError>(())
//! ```
#![no_std]

extern crate alloc;

pub mod candidate;
mod control;
pub mod elector;
mod identity;
mod item;
mod lease;
mod names;
mod observed;
mod strategy;
mod time;
mod timing;
mod version;
#[cfg(feature = "wire")]
pub mod wire;

pub use candidate::Candidate;
pub use control::{Control, Controls, Hold, ParseControlError, StepDown};
pub use elector::{Election, Elector};
pub use identity::{IdentityLease, Refusal};
pub use item::{ELECTORS_LEASE, Item, NODE_LEASE_NAMESPACE, may_be_leader_lease};
pub use lease::{LeaderLease, LeaseCreate, LeaseState, LeaseWrite, Record, WriteKind};
pub use names::{FencingToken, Identity, Incarnation, LeaseKey, ParseLeaseKeyError, Revision, Uid};
pub use strategy::{ParseStrategyError, Strategy, Versions};
pub use time::{LeaseSeconds, Mono, Wall};
pub use timing::{ElectorTiming, Guarantees, ParseTimingError, TermTiming, Timing, TimingError};
pub use version::{ParseVersionError, Version};
