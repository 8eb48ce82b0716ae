//! The crate from outside: one binary for all integration tests.
#![expect(clippy::unwrap_used, reason = "what fails in a test is meant to")]

mod direct;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod keeper;
mod library;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod process;
#[cfg(target_os = "linux")]
mod slept;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod watchdog;
