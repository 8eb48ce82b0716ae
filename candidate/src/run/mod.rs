//! The process side of `candidate run`: a program that runs only while its candidate leads.
//!
//! Three processes take part, and each of them may be killed or stopped at any moment:
//!
//! ```text
//! wrapper   `candidate run`: the election client, and in it one thread, the guard
//!    │      socket: deadlines down, reports up (see `link`)
//! keeper    `candidate keeper -- PROGRAM …`: its own session; a timer on CLOCK_BOOTTIME
//!    │      parent death signal SIGKILL
//! program   `candidate exec KEEPER -- PROGRAM …`, which becomes PROGRAM: its own process group, stdin is null
//! ```
//!
//! Invariant: S1. No process of the work acts after the deadline that the keeper was told last.
//!
//! | what happens | who stops the work |
//! |---|---|
//! | the wrapper is stopped | the keeper, at the deadline |
//! | the wrapper dies | the keeper, at once: its socket ends, and SIGCONT wakes it if it is stopped |
//! | the keeper is stopped | the guard, at the deadline |
//! | the keeper dies | the kernel kills the program, the guard kills what is left |
//! | the program ends, its children do not | the guard, at once |
//!
//! *The work* is every process of the keeper's session, and every descendant of the keeper. So a child that makes a
//! process group of its own (`timeout`, the jobs of a shell) belongs to it, and one that makes its own session does
//! while the keeper lives. It has *stopped* when all of it are gone or zombies. Only then does [`Supervised`] report
//! an [`Exit`], so that a lease which is released after it is never released under running work.
//!
//! # Limits
//! A kill takes effect when the kernel finds time for it, mostly within a millisecond. Two hurt at once are too many:
//! while wrapper and keeper are *both* stopped nobody enforces the deadline, and when both are killed, or the keeper
//! under a stopped wrapper, only the program itself is sure to die with them, not its children. A process in its own
//! session escapes when the keeper is killed. A program that changes its user (`sudo`) sheds its parent death signal,
//! and may be out of reach of a signal at all; then its end is awaited, and never reported before.
//!
//! Neither here: when to start, renew and stop (the election client), and what a program's exit means for the
//! candidate (`candidate run`).

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod processes;
mod program;
#[cfg(target_os = "linux")]
mod stub;
#[cfg(target_os = "linux")]
mod supervised;
pub use program::{ProgramSpec, election_env};
#[cfg(target_os = "linux")]
pub use supervised::Supervised;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::Supervised;

/// How a supervised program ended. All of its work has stopped by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The program ended with this exit code.
    Code(i32),
    /// The program was ended by this signal, its own or one that it was sent.
    Signal(i32),
    /// The deadline came first, and the work was killed.
    DeadlineReached,
    /// The keeper died, and the work was killed with it.
    KeeperLost,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::DeadlineReached => f.write_str("killed at its deadline"),
            Self::KeeperLost => f.write_str("killed because its keeper died"),
        }
    }
}

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program itself cannot be started.
    #[error("cannot start {program:?}: {source}; {}", advice(source))]
    Program {
        /// As it was given.
        program: OsString,
        /// What the system answered.
        source: io::Error,
    },
    /// The second process of this binary cannot be started or watched.
    #[error("cannot run the keeper of {program:?}: {source}; this needs /proc and Linux 5.4 or newer")]
    Keeper {
        /// As it was given.
        program: OsString,
        /// What the system answered.
        source: io::Error,
    },
    /// The keeper ended before the program ran; it has said why on stderr.
    #[error("the keeper of {program:?} ended before the program had started; see the lines above")]
    KeeperLost {
        /// As it was given.
        program: OsString,
    },
    /// The deadline passed before the program ran.
    #[error("{program:?} was not started: the local deadline passed first")]
    DeadlineReached {
        /// As it was given.
        program: OsString,
    },
    /// No parent death signal, no `CLOCK_BOOTTIME`: the promise cannot be kept here.
    #[error("`candidate run` needs Linux: on this system it could not stop {program:?} at its deadline")]
    Unsupported {
        /// As it was given.
        program: OsString,
    },
}

impl RunError {
    /// Whether the same start may succeed in a later term. A program that is missing stays missing: a candidate that
    /// cannot run it has no business in the election.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::KeeperLost { .. } | Self::DeadlineReached { .. } => true,
            Self::Program { source, .. } | Self::Keeper { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::WouldBlock
                    | io::ErrorKind::OutOfMemory
                    | io::ErrorKind::ExecutableFileBusy
                    | io::ErrorKind::Interrupted
            ),
            Self::Unsupported { .. } => false,
        }
    }
}

/// Runs the hidden subcommands, `keeper` and `exec`; `None` for any other command line.
///
/// `args` is the whole command line. To be called first in `main`, before threads and runtimes are started: the
/// keeper brings its own runtime, and stays small.
pub fn hidden_subcommand(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    let subcommand = args.next()?;
    match subcommand.to_str() {
        #[cfg(target_os = "linux")]
        Some(keeper::SUBCOMMAND) => Some(keeper::main(args)),
        #[cfg(target_os = "linux")]
        Some(stub::SUBCOMMAND) => Some(stub::main(args)),
        _ => None,
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => {
            "give the path of a program, or a name in PATH (a script also needs its interpreter)"
        }
        io::ErrorKind::PermissionDenied => {
            "is it an executable file (chmod +x), on a file system without noexec?"
        }
        io::ErrorKind::ArgumentListTooLong => "its arguments and environment are too long",
        _ => "run it by hand to see more",
    }
}
