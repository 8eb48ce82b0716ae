//! The work as the system sees it: which processes belong to a keeper, which of them are alive, and how all of them
//! are brought to an end.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitpid,
};

/// One line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    session: i32,
    alive: bool,
}

impl Process {
    /// Reads `PID (NAME) STATE PPID PGRP SESSION …`. NAME may hold anything, also `) R 1`.
    fn parse(stat: &[u8]) -> Option<Self> {
        let name = stat.iter().position(|&byte| byte == b'(')?;
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let pid = std::str::from_utf8(&stat[..name]).ok()?.trim().parse().ok()?;
        let fields: Vec<&str> = std::str::from_utf8(stat.get(name_end + 1..)?)
            .ok()?
            .split_whitespace()
            .collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        // A zombie does not act. A process whose first thread has ended also looks like one, but its other threads
        // run on.
        let dead = matches!(*fields.first()?, "Z" | "X" | "x");
        Some(Self {
            pid,
            parent: number(1)?,
            session: number(3)?,
            alive: !dead || number(17)? > 1,
        })
    }
}

/// Every process that belongs to `keeper`'s work, zombies too; never the keeper itself.
fn work_of(keeper: Pid, all: &[Process]) -> Vec<Process> {
    let keeper = keeper.as_raw_pid();
    let mut members = HashSet::from([keeper]);
    let mut work = Vec::new();
    // Each round finds the children of the last one: as many rounds as the tree is deep.
    loop {
        let before = work.len();
        for process in all.iter().filter(|process| process.pid != keeper) {
            let belongs = process.session == keeper || members.contains(&process.parent);
            if belongs && members.insert(process.pid) {
                work.push(*process);
            }
        }
        if work.len() == before {
            return work;
        }
    }
}

fn scan() -> io::Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let is_process = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
        if !is_process {
            continue;
        }
        match fs::read(path.join("stat")) {
            Ok(stat) => all.extend(Process::parse(&stat)),
            Err(error) if gone(&error) || error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// The processes of the work that still act.
pub(super) fn live_work(keeper: Pid) -> io::Result<Vec<Pid>> {
    let work = work_of(keeper, &scan()?);
    Ok(work
        .iter()
        .filter(|process| process.alive)
        .filter_map(|process| Pid::from_raw(process.pid))
        .collect())
}

/// The processes of the work that wait for their parent to take note of their end.
pub(super) fn dead_work(keeper: Pid) -> io::Result<Vec<Pid>> {
    let work = work_of(keeper, &scan()?);
    Ok(work
        .iter()
        .filter(|process| !process.alive)
        .filter_map(|process| Pid::from_raw(process.pid))
        .collect())
}

/// A descriptor that is readable when the process has ended, with all of its threads; `None` if it is gone.
pub(super) fn watch(pid: Pid) -> io::Result<Option<OwnedFd>> {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => Ok(Some(process)),
        Err(Errno::SRCH | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Kills the work of `keeper` and returns when none of it acts. May block for as long as the kernel needs to end a
/// process.
///
/// The program's process group goes first and in one system call, so that nothing in it can run away by forking.
/// `group` must not have been reaped: its id could be a stranger's.
pub(super) fn kill_work(keeper: Pid, group: Option<Pid>) -> io::Result<()> {
    loop {
        if let Some(group) = group {
            // An empty group is no error: what is left of the work is found below.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let live = live_work(keeper)?;
        if live.is_empty() {
            return Ok(());
        }
        let mut dying = Vec::new();
        for pid in live {
            if let Some(process) = watch(pid)? {
                let _ = pidfd_send_signal(&process, Signal::KILL);
                dying.push(process);
            }
        }
        for process in dying {
            wait_for_end(process)?;
        }
    }
}

fn wait_for_end(process: OwnedFd) -> io::Result<()> {
    loop {
        match poll(
            &mut [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)],
            None,
        ) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes note of the end of every child among the work, except `keep`, whose process id must not become a stranger's.
pub(super) fn reap_work(keeper: Pid, keep: Pid) -> io::Result<()> {
    for pid in dead_work(keeper)?.into_iter().filter(|&pid| pid != keep) {
        // Somebody else's child: then it is theirs to reap.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "0 -1 4194304 1 0 0 0 0 0 0 0 20 0";

    #[test]
    fn stat_is_read_whatever_the_name_holds() {
        let check = |stat: String, pid: i32, parent: i32, session: i32, alive: bool| {
            let want = Process {
                pid,
                parent,
                session,
                alive,
            };
            assert_eq!(Process::parse(stat.as_bytes()), Some(want), "{stat}");
        };
        check(format!("7 (sh) S 1 7 5 {TAIL} 1 0"), 7, 1, 5, true);
        check(format!("8 (a b) R 1 ) T 7 8 5 {TAIL} 1 0"), 8, 7, 5, true);
        check(format!("9 (sh) Z 7 7 5 {TAIL} 1 0"), 9, 7, 5, false);
        // The first thread has ended, two more run.
        check(format!("9 (sh) Z 7 7 5 {TAIL} 3 0"), 9, 7, 5, true);
        assert_eq!(Process::parse(b"9 (sh"), None);
    }

    #[test]
    fn the_work_is_the_session_and_the_descendants() {
        let process = |pid, parent, session| Process {
            pid,
            parent,
            session,
            alive: true,
        };
        let all = [
            process(31, 30, 31), // a child of 30, in its own session
            process(2, 1, 1),    // a stranger
            process(10, 2, 10),  // the keeper
            process(20, 10, 10), // the program
            process(21, 1, 10),  // of the session, but its parent is gone
            process(30, 20, 30), // left the session, still a descendant
        ];
        let keeper = Pid::from_raw(10).unwrap();
        let mut pids: Vec<i32> = work_of(keeper, &all).iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [20, 21, 30, 31]);
    }
}
