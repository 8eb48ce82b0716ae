//! The watchdog with real processes (`examples/overrun.rs`): it ends the one whose work is stuck, and no other.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

fn overrun(mode: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(folder.join("examples/overrun"));
    command.arg(mode).stderr(Stdio::piped());
    command
}

/// Invariant: S1. The log is what the work is stuck on.
#[test]
fn work_that_blocks_its_thread_and_the_log_is_aborted_at_its_deadline() {
    let status = overrun("stuck").spawn().unwrap().wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
}

#[test]
fn a_process_whose_work_has_stopped_outlives_its_election() {
    let output = overrun("gone").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
