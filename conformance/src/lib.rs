//! What an API server must do for leader election, its controllers and `kubectl`: one suite of checks that runs against
//! any server, the local control plane and a real one alike.
//!
//! A check is a story of plain requests and of what must be seen. Each has a namespace of its own and leaves nothing
//! else behind, so checks run side by side, also on a cluster that somebody uses. Some compare whole replies with what
//! a real server was seen to answer, which is kept in `goldens/`.
//! And [`walk`] does the same at random on two servers, and compares everything.
//!
//! Codes, reasons, details and causes are checked, sentences are not: those change between releases.
//!
//! # What is not there
//! Servers are not started here, and nothing is known of how they are built.
#![expect(
    clippy::disallowed_methods,
    reason = "a suite of tests: it reads clocks, waits, and draws names"
)]

mod answer;
mod check;
mod checks;
mod cluster;
mod golden;
mod kubectl;
mod normal;
mod run;
mod socket;
mod walk;
mod watch;

pub use check::{Check, Need, all};
pub use cluster::{Exchange, Target};
pub use run::{Outcome, Report, Verdict, run};
pub use walk::{Difference, walk};
