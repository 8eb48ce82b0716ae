//! The first moments of a program: `candidate exec KEEPER -- PROGRAM ARGS…` binds its life to the keeper's and
//! becomes PROGRAM.
//!
//! A process of its own, because only a process itself can ask for its parent death signal, and because doing that
//! between fork and exec needs unsafe code. Its stdin is the write end of a stream to the keeper: it ends without a
//! word when PROGRAM runs, or carries the errno that says why it does not.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::io::Errno;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "exec";

/// Becomes the program; returns only when that failed.
pub(super) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let keeper = args.next().and_then(|pid| pid.to_str()?.parse().ok());
    let (Some(keeper), Some(_separator), Some(program)) = (keeper, args.next(), args.next()) else {
        let _ = writeln!(
            io::stderr(),
            "`{SUBCOMMAND}` is a part of `candidate run`, not to be called by hand"
        );
        return ExitCode::from(2);
    };
    // This copy closes itself at exec.
    let Ok(report) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let error = match bind_to(keeper) {
        Ok(()) => become_program(program, args),
        Err(error) => error,
    };
    let errno = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
    // Without a keeper there is nobody to tell.
    let _ = write!(File::from(report), "{errno}");
    ExitCode::FAILURE
}

/// Invariant: S1. From here on the keeper does not die without this process.
fn bind_to(keeper: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A keeper that died before the line above sends no signal.
    if getppid().map(|pid| pid.as_raw_pid()) != Some(keeper) {
        return Err(Errno::SRCH.into());
    }
    Ok(())
}

fn become_program(program: OsString, args: impl Iterator<Item = OsString>) -> io::Error {
    Command::new(program).args(args).stdin(Stdio::null()).exec()
}
