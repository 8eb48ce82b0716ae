//! The plugin from outside: what it prints about Leases, how it follows them, and what it says when something is wrong.

#![expect(clippy::unwrap_used, reason = "what fails in a test is meant to")]

mod asked;
mod broken;
mod complete;
mod doctor;
mod errors;
mod explain;
mod fixtures;
mod flags;
mod follow;
mod happenings;
mod kubectl;
mod messages;
mod objects;
mod outputs;
mod played;
mod print;
mod runbook;
mod stage;
mod states;
mod steer;
mod timeline;
mod tools;
mod top;
