//! The keeper: `candidate keeper -- PROGRAM ARGS…` starts PROGRAM and kills all of its work at the deadline, or as
//! soon as the wrapper is gone.
//!
//! It decides nothing else: it does not ask the program to stop, and it does not care how the program ends (the guard
//! does). It lives until the wrapper kills it, so that the program, once ended, stays a zombie and its process id
//! nobody else's.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, set_child_subreaper, set_parent_process_death_signal, setsid,
    waitid,
};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::link::{BadLine, Link, Report};
use super::{clock, processes, stub};

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "keeper";

/// This binary, also after its file was replaced.
pub(super) const THIS_BINARY: &str = "/proc/self/exe";

/// What the processes of this binary are called in the output of `ps`.
pub(super) const PROCESS_NAME: &str = "candidate";

/// Keeps one program.
pub(super) fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(_separator), Some(program)) = (args.next(), args.next()) else {
        let _ = writeln!(
            io::stderr(),
            "`{SUBCOMMAND}` is a part of `candidate run`, not to be called by hand"
        );
        return ExitCode::from(2);
    };
    match prepare().and_then(|_handlers| keep(program, args.collect())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "candidate keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare() -> io::Result<Runtime> {
    // Not SIGKILL: a keeper must outlive its wrapper for as long as it takes to kill the program's children too. The
    // end of its stdin tells a running keeper; SIGCONT makes sure that a stopped one hears of it.
    set_parent_process_death_signal(Some(Signal::CONT))?;
    // Out of reach of Ctrl-C in the wrapper's terminal; and the mark by which all of the work is known.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    // The runtime is never run: it is here for its signal handlers, which do nothing but interrupt `poll`.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let entered = runtime.enter();
    // A service manager that signals every process of a service must not rob the program of its grace: the wrapper
    // gets the same signal, and stops the program in order.
    for ignored in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        drop(signal(ignored)?);
    }
    // Ignored SIGCHLD, which may be inherited, would let the kernel reap the program.
    drop(signal(SignalKind::child())?);
    drop(entered);
    Ok(runtime)
}

fn keep(program: OsString, args: Vec<OsString>) -> io::Result<()> {
    let mut keeper = Keeper::new()?;
    let kept = keeper.run(program, args);
    // Whatever has ended this, nothing may be left.
    processes::kill_work(getpid(), keeper.program)?;
    kept
}

struct Keeper {
    wrapper: Link,
    timer: OwnedFd,
    deadline: Option<u64>,
    program: Option<Pid>,
    /// Until the stub has become the program, or has said why not.
    stub: Option<Link>,
}

impl Keeper {
    fn new() -> io::Result<Self> {
        let wrapper = Link::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))?;
        Ok(Self {
            wrapper,
            timer: clock::timer()?,
            deadline: None,
            program: None,
            stub: None,
        })
    }

    /// Returns when the wrapper is gone. Each turn hears the newest deadline first: a keeper that was stopped for a
    /// while finds its old deadline passed, and the renewals of that while unread.
    fn run(&mut self, program: OsString, args: Vec<OsString>) -> io::Result<()> {
        let mut to_start = Some((program, args));
        while self.hear_wrapper() {
            let time_left = self.enforce()?;
            if time_left && let Some((program, args)) = to_start.take() {
                self.start(&program, &args);
            }
            self.hear_stub();
            self.reap_orphans()?;
            self.wait()?;
        }
        Ok(())
    }

    /// Takes over the newest deadline; false if the wrapper is gone.
    fn hear_wrapper(&mut self) -> bool {
        let mut there = self.wrapper.hear();
        while let Some(line) = self.wrapper.next() {
            match line {
                Ok(deadline) => self.deadline = Some(deadline),
                Err(BadLine) => there = false,
            }
        }
        there
    }

    /// Invariant: S1. Kills the work if its deadline has come, and otherwise makes sure to wake up when it does.
    fn enforce(&mut self) -> io::Result<bool> {
        let Some(deadline) = self.deadline else {
            return Ok(false);
        };
        if clock::now() < deadline {
            clock::arm(&self.timer, deadline)?;
            return Ok(true);
        }
        processes::kill_work(getpid(), self.program)?;
        clock::disarm(&self.timer)?;
        Ok(false)
    }

    fn start(&mut self, program: &OsStr, args: &[OsString]) {
        match self.spawn(program, args) {
            Ok(pid) => self.wrapper.say(Report::Program(pid.as_raw_pid())),
            Err(error) => self
                .wrapper
                .say(Report::Failed(error.raw_os_error().unwrap_or_default())),
        }
    }

    fn spawn(&mut self, program: &OsStr, args: &[OsString]) -> io::Result<Pid> {
        let (ours, theirs) = UnixStream::pair()?;
        let link = Link::new(ours)?;
        // Never waited for: see the top of this file.
        let stub = Command::new(THIS_BINARY)
            .arg0(PROCESS_NAME)
            .args([stub::SUBCOMMAND, &getpid().as_raw_pid().to_string(), "--"])
            .arg(program)
            .args(args)
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let pid = Pid::from_child(&stub);
        (self.program, self.stub) = (Some(pid), Some(link));
        Ok(pid)
    }

    /// Passes on how the start went, once that is known.
    fn hear_stub(&mut self) {
        let Some(stub) = &mut self.stub else { return };
        if stub.hear() {
            return;
        }
        let errno = std::str::from_utf8(stub.rest())
            .ok()
            .and_then(|errno| errno.parse().ok());
        self.wrapper.say(errno.map_or(Report::Started, Report::Failed));
        self.stub = None;
    }

    /// Takes note of the end of processes whose parents are gone, so that a long term does not fill the process
    /// table. The end of one mostly interrupts `wait`; if it comes just before, the next renewal does.
    fn reap_orphans(&self) -> io::Result<()> {
        let Some(program) = self.program else {
            return Ok(());
        };
        let any = waitid(
            WaitId::All,
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        );
        match any {
            Ok(Some(_)) => processes::reap_work(getpid(), program),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.wrapper.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.timer.as_fd(), PollFlags::IN),
        ];
        fds.extend(
            self.stub
                .as_ref()
                .map(|stub| PollFd::from_borrowed_fd(stub.as_fd(), PollFlags::IN)),
        );
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
