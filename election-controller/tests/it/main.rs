//! The elector against a whole API server in this process, under paused time.
#![expect(clippy::unwrap_used, reason = "what fails in a test is meant to")]

mod elections;
mod once;
mod schedules;
mod weather;
mod world;
