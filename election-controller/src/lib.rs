//! The elector: gives each leader lease to its best candidate.
//!
//! [`run`] watches Leases and carries out what [`election_core::Elector`] decides, until it is told to stop; [`survey`]
//! looks once, and says what it would decide. The rules are in the core; here is only the way to an API server:
//!
//! | file | duty |
//! |---|---|
//! | `run` | the loop: wait for one event, give it to the core, carry out what follows |
//! | `scopes` | one watch and one core for each namespace that is watched |
//! | `effects` | every request that changes a lease |
//! | `objects` | the leases that an update starts from |
//! | `turns` | whose turn it is to act, among replicas |
//! | `notes` | Kubernetes Events, off the path of decisions |
//! | `once`, `report` | one look, and what it found |
//!
//! Of several replicas one acts and the others observe ([`Options::leader_election`]). Safety does not rest on that: two that
//! act cost wasted writes and nothing else, because every write is conditional.
//!
//! A program that does its own work and is an elector as well, with one end for both, is `examples/embedded.rs`.
//!
//! ```no_run
//! use std::sync::Arc;
//! use candidate::clock::BootClock;
//! use election_controller::{Options, run};
//!
//! # async fn example(client: kube::Client) -> Result<(), election_controller::Error> {
//! run(client, Options::default(), Arc::new(BootClock::new()), candidate::termination()).await
//! # }
//! ```

mod effects;
mod notes;
mod objects;
mod once;
mod options;
mod report;
mod run;
mod scopes;
mod turns;

pub use once::{SurveyError, act_once, survey};
pub use options::{Error, LeaderElection, LeaderElectionError, Options, Spawner};
pub use report::{CandidateReport, LeaseReport, RefusalReport, Report};
pub use run::run;
