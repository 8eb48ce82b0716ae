//! `cargo xtask die-with-parent`, hidden: becomes a program that the kernel kills when the process that started it is
//! gone, also by SIGKILL, when no destructor runs.
//!
//! The kernel means the *thread* that started it. Here that is the main thread or a worker of the runtime, and both live
//! as long as the process. Only Linux can do it; elsewhere the program is simply started.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;
use rustix::process::{Pid, getppid};

/// The hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "die-with-parent";
/// This binary, also after its file was replaced.
const THIS_BINARY: &str = "/proc/self/exe";

/// Who to become, and whose end is awaited.
#[derive(Clone, Debug, Args)]
pub(crate) struct DieWithParentArgs {
    parent: i32,
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// A command that runs a program in this way.
pub(crate) fn command(program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new(THIS_BINARY);
    command
        .args([SUBCOMMAND, &std::process::id().to_string(), "--"])
        .arg(program);
    command
}

/// Becomes the program.
pub(crate) fn run(args: DieWithParentArgs) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("cannot ask to be killed with the parent")?;
    // Whoever was gone before that sends no signal.
    ensure!(
        getppid().map(Pid::as_raw_pid) == Some(args.parent),
        "the process that started this has ended"
    );
    let (program, rest) = args.program.split_first().context("no program")?;
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
