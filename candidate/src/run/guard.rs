//! The guard: a thread of the wrapper that starts the keeper, hands it every deadline, and says when all of the work
//! has stopped. It enforces the deadline too, in case the keeper is stopped.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, waitpid};
use tokio::sync::{oneshot, watch};

use super::link::{BadLine, Link, Report};
use super::supervised::Shared;
use super::{Exit, ProgramSpec, RunError, clock, keeper, processes};

/// Ends this process, because it cannot tell whether the work has stopped: a lease must not be released on a guess.
/// The keeper sees the end and kills the work; the lease expires.
pub(super) fn without_proof(reason: &str) -> ! {
    tracing::error!(
        reason,
        "cannot tell whether the program has stopped; ending at once, so that its keeper kills it"
    );
    std::process::abort()
}

/// Wakes the guard from other threads.
#[derive(Debug)]
pub(super) struct Wake(OwnedFd);

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(super) fn wake(&self) {
        // Fails only when 2^64 - 2 wakes are unseen: then one is.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn clear(&self) {
        // Fails only when there is none.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// The thread: one program from its start to its end.
pub(super) fn main(
    binary: &Path,
    spec: ProgramSpec,
    shared: &Shared,
    started: oneshot::Sender<Result<Pid, RunError>>,
    ended: &watch::Sender<Option<Exit>>,
) {
    let mut guard = match Guard::spawn_keeper(binary, &spec, shared) {
        Ok(guard) => guard,
        Err(source) => {
            let _ = started.send(Err(RunError::Keeper {
                program: spec.program,
                source,
            }));
            return;
        }
    };
    match guard.until_started(&spec) {
        Ok((program, process)) => {
            // If nobody waits for this, the handle is gone and `abandoned` says so.
            let _ = started.send(Ok(program));
            let end = guard.until_ended(process);
            ended.send_replace(Some(end.exit(guard.finish())));
        }
        Err(error) => {
            guard.finish();
            let _ = started.send(Err(error));
        }
    }
}

/// What ends the work.
enum End {
    /// The program did, by itself or because it was told to.
    Program,
    Deadline,
    KeeperLost,
}

impl End {
    fn exit(self, status: Option<WaitStatus>) -> Exit {
        match self {
            Self::Deadline => Exit::DeadlineReached,
            Self::KeeperLost => Exit::KeeperLost,
            Self::Program => match status.and_then(WaitStatus::exit_status) {
                Some(code) => Exit::Code(code),
                None => {
                    let signal = status.and_then(WaitStatus::terminating_signal);
                    Exit::Signal(signal.unwrap_or(Signal::KILL.as_raw()))
                }
            },
        }
    }
}

struct Guard<'a> {
    shared: &'a Shared,
    keeper: Child,
    link: Link,
    /// The deadline that the keeper was told last, if any.
    told: Option<u64>,
    keeper_gone: bool,
    timer: OwnedFd,
}

impl<'a> Guard<'a> {
    fn spawn_keeper(binary: &Path, spec: &ProgramSpec, shared: &'a Shared) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let link = Link::new(ours)?;
        let timer = clock::timer()?;
        // So that a system where processes cannot be watched is found out before anything runs.
        processes::live_work(rustix::process::getpid())?;
        let keeper = Command::new(binary)
            .arg0(keeper::PROCESS_NAME)
            .args([keeper::SUBCOMMAND, "--"])
            .arg(&spec.program)
            .args(&spec.args)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        Ok(Self {
            shared,
            keeper,
            link,
            told: None,
            keeper_gone: false,
            timer,
        })
    }

    fn keeper_pid(&self) -> Pid {
        Pid::from_child(&self.keeper)
    }

    /// Waits for the keeper's reports; afterwards the program runs.
    fn until_started(&mut self, spec: &ProgramSpec) -> Result<(Pid, OwnedFd), RunError> {
        let program = || spec.program.clone();
        let keeper_error = |source| RunError::Keeper {
            program: program(),
            source,
        };
        let mut process = None;
        loop {
            while let Some(report) = self.link.next() {
                match report {
                    Ok(Report::Program(pid)) => {
                        let Some(pid) = Pid::from_raw(pid) else { continue };
                        // The keeper does not reap it, so this is it, even if it has ended.
                        let watched = processes::watch(pid).map_err(keeper_error)?;
                        process = watched.map(|watched| (pid, watched));
                        self.shared.want(|wanted| wanted.group = Some(pid));
                    }
                    Ok(Report::Started) => {
                        return process
                            .take()
                            .ok_or_else(|| RunError::KeeperLost { program: program() });
                    }
                    Ok(Report::Failed(errno)) => {
                        let source = io::Error::from_raw_os_error(errno);
                        return Err(RunError::Program {
                            program: program(),
                            source,
                        });
                    }
                    Err(BadLine) => self.keeper_gone = true,
                }
            }
            let wanted = self.shared.wanted();
            if clock::now() >= wanted.deadline || wanted.abandoned {
                return Err(RunError::DeadlineReached { program: program() });
            }
            if self.keeper_gone {
                return Err(RunError::KeeperLost { program: program() });
            }
            self.tell(wanted.deadline);
            self.wait(wanted.deadline, None);
        }
    }

    /// Waits for the first of all the reasons to kill what is left of the work.
    fn until_ended(&mut self, program: OwnedFd) -> End {
        let mut watched = program;
        let mut program_ended = false;
        loop {
            let wanted = self.shared.wanted();
            let now = clock::now();
            if now >= wanted.deadline {
                return End::Deadline;
            }
            // Before the program's end is looked at: it may have died of the keeper's.
            if self.keeper_gone {
                return End::KeeperLost;
            }
            if wanted.abandoned || wanted.kill_at.is_some_and(|kill_at| now >= kill_at) {
                return End::Program;
            }
            if program_ended {
                if wanted.kill_at.is_none() {
                    return End::Program;
                }
                // It was told to stop, and so were its children: they have until `kill_at`.
                match self.next_live() {
                    Some(process) => watched = process,
                    None => return End::Program,
                }
            }
            self.tell(wanted.deadline);
            let until = wanted
                .kill_at
                .map_or(wanted.deadline, |kill_at| kill_at.min(wanted.deadline));
            program_ended |= self.wait(until, Some(&watched));
        }
    }

    fn next_live(&self) -> Option<OwnedFd> {
        let watch = || {
            for pid in processes::live_work(self.keeper_pid())? {
                if let Some(process) = processes::watch(pid)? {
                    return Ok(Some(process));
                }
            }
            Ok(None)
        };
        watch().unwrap_or_else(|error: io::Error| without_proof(&error.to_string()))
    }

    /// Tells the keeper the deadline without waiting for it: a full socket is tried again when it has room, and then
    /// with the newest deadline.
    fn tell(&mut self, deadline: u64) {
        self.link.flush();
        if !self.link.is_full() && self.told != Some(deadline) {
            self.link.say(deadline);
            self.told = Some(deadline);
        }
    }

    /// Sleeps until something happens, `until` at the latest; true if `process` has ended. What the keeper says is
    /// taken in.
    fn wait(&mut self, until: u64, process: Option<&OwnedFd>) -> bool {
        if let Err(error) = clock::arm(&self.timer, until) {
            without_proof(&error.to_string());
        }
        let room = if self.link.is_full() {
            PollFlags::OUT
        } else {
            PollFlags::empty()
        };
        let wake = &self.shared.wake();
        let mut fds = vec![
            PollFd::from_borrowed_fd(wake.0.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.timer.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.link.as_fd(), PollFlags::IN | room),
        ];
        fds.extend(process.map(|process| PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return false,
            Err(error) => without_proof(&error.to_string()),
        }
        let ended = fds.get(3).is_some_and(|process| !process.revents().is_empty());
        wake.clear();
        self.keeper_gone |= !self.link.hear();
        ended
    }

    /// Kills what is left of the work, then the keeper. Returns when nothing of them acts, with the program's status.
    fn finish(mut self) -> Option<WaitStatus> {
        let program = self.shared.wanted().group;
        self.kill_all(program)
            .unwrap_or_else(|error| without_proof(&error.to_string()))
    }

    fn kill_all(&mut self, program: Option<Pid>) -> io::Result<Option<WaitStatus>> {
        let keeper = self.keeper_pid();
        processes::kill_work(keeper, program)?;
        // The keeper's children are zombies now, and become this process's when it ends. Reaping the program frees
        // its id.
        let dead = processes::dead_work(keeper)?;
        self.shared.want(|wanted| wanted.group = None);
        self.keeper.kill()?;
        self.keeper.wait()?;
        let mut status = None;
        for pid in dead {
            if let Ok(Some((reaped, ended))) = waitpid(Some(pid), WaitOptions::NOHANG)
                && Some(reaped) == program
            {
                status = Some(ended);
            }
        }
        Ok(status)
    }
}
