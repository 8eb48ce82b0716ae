//! The protocol as a model: every order of events within bounds, on the state machines of `election-core` themselves.
//!
//! A [`Config`] says who takes part and what may go wrong; [`check()`] explores it and reports. No rule of the protocol is in
//! this crate: it has a server, a network, clocks and faults, feeds the real machines, and looks at what they do.
//!
//! Deliberately absent: wire formats, tasks, sockets and clocks. Those are for the simulation and for tests with processes.

mod actions;
mod canonical;
mod check;
mod clock;
mod config;
mod configs;
mod explore;
mod names;
mod processes;
mod properties;
mod seen;
mod server;
mod step;
mod trouble;
mod world;

pub use check::{Limits, Report, Violation, check, replay};
pub use clock::Rate;
pub use config::{Config, Fault, Opening, SeatPlan};
pub use configs::configs;
pub use seen::Sight;
