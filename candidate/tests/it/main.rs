//! The crate from outside: one binary for all integration tests.

#[cfg(all(feature = "cli", target_os = "linux"))]
mod keeper;
mod library;
