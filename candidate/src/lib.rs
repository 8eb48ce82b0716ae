//! Joins a coordinated leader election.
//!
//! A candidate offers itself with its versions; an elector gives the leader lease to the best one. A program says who
//! it is, waits until it leads, works, and stops when its term ends:
//!
//! ```no_run
//! use candidate::Candidate;
//!
//! # async fn example(client: kube::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let mut candidate = Candidate::builder(client, "kube-system/my-controller".parse()?)
//!     .binary_version("1.30".parse()?)
//!     .emulation_version("1.29".parse()?)
//!     .shutdown_on(candidate::termination())
//!     .join()
//!     .await?;
//! while let Some(leadership) = candidate.lead().await? {
//!     let client = leadership.client(); // refuses to write once the term is over
//!     leadership.run(async move { work(client).await }).await;
//! }
//! # Ok(())
//! # }
//! # async fn work(client: kube::Client) {}
//! ```
//!
//! # What is promised
//! At any moment at most one process of an election may act: it leads, and its clock (`CLOCK_BOOTTIME`, which counts
//! while a machine sleeps) is before its deadline. [`Leadership::client`] refuses to write after that deadline, and
//! [`Leadership::run`] drops work that has not stopped by then. A request that was sent before the deadline may still
//! land after it: only a receiver that checks [`Leadership::token`] stops that.
//!
//! # What is not in here
//! The rules: they are in [`election_core::candidate`], which this crate only drives. No lease is claimed, except in *direct
//! mode* ([`Builder::direct`]): there is no elector then, and the lease goes to the first who takes it, as in client-go.

mod builder;
pub mod client;
pub mod clock;
mod complaints;
mod driver;
mod effects;
mod fence;
mod leadership;
mod probe;
#[cfg(feature = "cli")]
pub mod run;
mod shell;
mod signals;
pub mod watch;
mod watchdog;

pub use builder::{Builder, JoinError};
pub use election_core::candidate::EndReason;
pub use election_core::{
    FencingToken, Identity, Incarnation, LeaseKey, LeaseSeconds, Mono, Timing, TimingError, Version, Wall,
};
pub use fence::FenceClosed;
pub use leadership::{Candidate, Error, Health, Leadership, TermNow, TermWatch};
pub use signals::termination;
pub use watchdog::Overrun;
