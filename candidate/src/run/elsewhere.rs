//! [`Supervised`] on systems that cannot keep its promise: it never starts anything.

use std::convert::Infallible;
use std::path::Path;

use super::{Exit, ProgramSpec, RunError};

/// A program that runs under a keeper; never one on this system.
#[derive(Debug)]
pub struct Supervised(Infallible);

impl Supervised {
    /// Says that `candidate run` needs Linux.
    pub async fn start(spec: &ProgramSpec, _deadline: u64) -> Result<Self, RunError> {
        Err(RunError::Unsupported {
            program: spec.program.clone(),
        })
    }

    /// Says that `candidate run` needs Linux.
    pub async fn start_with(_binary: &Path, spec: &ProgramSpec, deadline: u64) -> Result<Self, RunError> {
        Self::start(spec, deadline).await
    }

    /// Cannot be called.
    pub fn extend(&mut self, _deadline: u64) {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn signal(&self, _signal: rustix::process::Signal) {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn terminate(&mut self, _kill_at: u64) {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn stop(self, _kill_at: u64) -> Exit {
        match self.0 {}
    }

    /// Cannot be called.
    pub async fn exited(&mut self) -> Exit {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn group(&self) -> i32 {
        match self.0 {}
    }
}
