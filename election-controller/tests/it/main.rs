//! The elector against a whole API server in this process, under paused time; and its program as a process.
#![expect(clippy::unwrap_used, reason = "what fails in a test is meant to")]

mod elections;
#[cfg(all(feature = "cli", unix))]
mod embedded;
mod events;
mod faults;
mod gate;
mod mishaps;
mod once;
#[cfg(all(feature = "cli", unix))]
mod process;
mod refusals;
mod replicas;
#[cfg(feature = "cli")]
mod rights;
mod road;
mod scopes;
mod stage;
mod terms;
mod world;
