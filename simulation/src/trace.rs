//! What happened, line by line with true time, and a hash of all of it: two runs of a seed are the same when it is.

use std::fmt::{self, Write};
use std::time::Duration;

/// Where the lines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracing {
    /// Only into the hash.
    #[default]
    Hash,
    /// Kept, to be shown later.
    Keep,
    /// To stdout as they come, between the logs of the programs.
    Print,
}

/// The story of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    line: String,
    tracing: Tracing,
    kept: Vec<String>,
}

impl Trace {
    pub(crate) fn new(tracing: Tracing) -> Self {
        Self {
            // FNV-1a: the same everywhere, unlike the hashers of the standard library.
            hash: 0xcbf2_9ce4_8422_2325,
            line: String::new(),
            tracing,
            kept: Vec::new(),
        }
    }

    #[expect(clippy::print_stdout, reason = "the trace that was asked for")]
    pub(crate) fn say(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.line, "{:>4}.{:06} {what}", at.as_secs(), at.subsec_micros());
        for byte in self.line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        match self.tracing {
            Tracing::Hash => {}
            Tracing::Keep => self.kept.push(self.line.clone()),
            Tracing::Print => println!("{}", self.line),
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn take_kept(&mut self) -> Vec<String> {
        std::mem::take(&mut self.kept)
    }
}
