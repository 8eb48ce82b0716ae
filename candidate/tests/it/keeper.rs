//! `candidate::run` with real processes, each of which is stopped and killed in turn.
//!
//! The program is a *ticker*: it writes down when it acted, so that the file tells afterwards whether anything acted
//! after a deadline. The wrapper is a process of its own (`examples/keeper_host.rs`); nothing of it runs in this one.

#![expect(
    clippy::unwrap_used,
    reason = "what a helper of a test does not get fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, Timespec, clock_gettime};
use tempfile::TempDir;

const MILLI: u64 = 1_000_000;
/// A kill takes effect when the kernel finds time for it. How late that is on a loaded machine, [`Lag`] sees.
const TOLERANCE: u64 = 100 * MILLI;
/// A program that was last seen acting longer than this before its deadline, and than [`Lag`] explains, was not ended by the
/// deadline.
const SILENCE: u64 = 200 * MILLI;
const PAUSE: u64 = 5 * MILLI;
/// Longer than any test needs its program.
const FAR: u64 = 15_000 * MILLI;
/// Nothing that a test waits for takes so long, unless it is broken.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

fn now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn host_binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let host = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/keeper_host");
    // `cargo test` builds examples, except when it is told which targets to build.
    let built = host.exists();
    assert!(
        built,
        "{} is missing: cargo build --package candidate --examples",
        host.display()
    );
    host
}

fn wait_readable(fd: impl AsFd, what: &str) {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&PATIENCE))).unwrap();
    assert_eq!(ready, 1, "{what} did not come");
}

/// The latest that a thread of this process was woken, which does nothing but sleep. Others may be later than that.
struct Lag(Arc<AtomicU64>);

impl Lag {
    fn watch() -> Self {
        let latest = Arc::new(AtomicU64::new(0));
        let seen = Arc::downgrade(&latest);
        #[expect(clippy::disallowed_methods, reason = "a test looks at the machine under it")]
        std::thread::spawn(move || {
            while let Some(latest) = seen.upgrade() {
                let before = now();
                pause();
                latest.fetch_max(now().saturating_sub(before + PAUSE), Ordering::Relaxed);
            }
        });
        Self(latest)
    }

    fn excuse(&self) -> u64 {
        3 * self.0.load(Ordering::Relaxed)
    }
}

/// A wrapper with its keeper and its program.
struct Host {
    wrapper: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    heard: Vec<u8>,
    dir: TempDir,
    lag: Lag,
}

impl Host {
    fn run(deadline: u64, program: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ticks = dir.path().join("ticks");
        let mut wrapper = Command::new(host_binary())
            .args(["host", &deadline.to_string()])
            .args(program)
            .env("TICKS", &ticks)
            .env("HOST", host_binary())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (wrapper.stdin.take().unwrap(), wrapper.stdout.take().unwrap());
        Self {
            wrapper,
            stdin,
            stdout,
            heard: Vec::new(),
            dir,
            lag: Lag::watch(),
        }
    }

    /// Runs a ticker in the given modes, waits until all of its processes have acted, and returns them.
    fn ticking(deadline: u64, modes: &str, processes: usize) -> (Self, Work) {
        let mut host = Self::run(
            deadline,
            &["sh", "-c", &format!("exec $HOST ticker $TICKS {modes}")],
        );
        let program = host.started();
        let work = host.work(program, processes);
        (host, work)
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            wait_readable(&self.stdout, "the next line of the host");
            let mut buffer = [0; 256];
            let length = self.stdout.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "the host ended without another line");
            self.heard.extend_from_slice(&buffer[..length]);
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn started(&mut self) -> Pid {
        let line = self.line();
        let group = line.strip_prefix("started ").unwrap_or_else(|| panic!("{line}"));
        Pid::from_raw(group.parse().unwrap()).unwrap()
    }

    fn wrapper(&self) -> Pid {
        Pid::from_child(&self.wrapper)
    }

    /// The last act of each process.
    fn ticks(&self) -> BTreeMap<u64, u64> {
        let bytes = fs::read(self.dir.path().join("ticks")).unwrap_or_default();
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        bytes
            .chunks_exact(16)
            .map(|record| (word(&record[..8]), word(&record[8..])))
            .collect()
    }

    fn work(&self, program: Pid, processes: usize) -> Work {
        let patience = now() + PATIENCE.tv_sec as u64 * 1000 * MILLI;
        while self.ticks().len() < processes {
            assert!(
                now() < patience,
                "{} of {processes} processes act",
                self.ticks().len()
            );
            pause();
        }
        let pids = self
            .ticks()
            .into_keys()
            .map(|pid| Pid::from_raw(pid as i32).unwrap());
        let watched = pids
            .map(|pid| pidfd_open(pid, PidfdFlags::empty()).unwrap())
            .collect();
        Work {
            program,
            keeper: parent_of(program),
            processes: watched,
        }
    }

    /// Asserts that the work acted until about `end`, and not after it.
    fn assert_acted_until(&self, end: u64) {
        for (pid, last) in self.ticks() {
            let late = last.saturating_sub(end) / MILLI;
            assert!(
                last <= end + TOLERANCE + self.lag.excuse(),
                "process {pid} acted {late} ms after its end"
            );
            let silent = end.saturating_sub(last) / MILLI;
            assert!(
                last + SILENCE + self.lag.excuse() >= end,
                "process {pid} was ended {silent} ms early"
            );
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.wrapper.kill();
        let _ = self.wrapper.wait();
    }
}

/// What runs under a wrapper.
struct Work {
    program: Pid,
    keeper: Pid,
    processes: Vec<OwnedFd>,
}

impl Work {
    /// Asserts that every process has ended by now.
    fn assert_ended(&self) {
        for process in &self.processes {
            let mut fds = [PollFd::new(process, PollFlags::IN)];
            let ended = poll(
                &mut fds,
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                }),
            )
            .unwrap();
            assert_eq!(ended, 1, "a process of the work still lives");
        }
    }

    /// Waits until every process has ended.
    fn wait_for_end(&self) {
        for process in &self.processes {
            wait_readable(process, "the end of a process of the work");
        }
    }
}

/// Gives other processes a moment; what is waited for is asked for again.
fn pause() {
    let _ = poll(
        &mut [],
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: PAUSE as i64,
        }),
    );
}

/// The fields of `/proc/PID/stat` after the name: state, parent, …
fn stat(pid: Pid) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap();
    stat.rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn parent_of(pid: Pid) -> Pid {
    Pid::from_raw(stat(pid)[1].parse().unwrap()).unwrap()
}

/// Stops a process, and waits until it has stopped.
fn freeze(pid: Pid) {
    kill_process(pid, Signal::STOP).unwrap();
    while stat(pid)[0] != "T" {
        pause();
    }
}

/// Waits for a moment that nothing announces.
fn wait_until(moment: u64) {
    while now() < moment {
        pause();
    }
}

// ---- Nobody is hurt.

#[test]
fn program_that_ends_by_itself_is_reported_with_its_status() {
    for (script, exit) in [
        ("exit 0", "Code(0)"),
        ("exit 3", "Code(3)"),
        ("kill -USR1 $$", "Signal(10)"),
    ] {
        let mut host = Host::run(now() + FAR, &["sh", "-c", script]);
        host.started();
        assert_eq!(host.line(), format!("exit {exit}"), "{script}");
    }
}

#[test]
fn program_finds_its_term_in_the_environment_and_nothing_on_stdin() {
    let script = "cat; echo $ELECTION_LEASE $ELECTION_IDENTITY $ELECTION_TOKEN $ELECTION_TERM";
    let mut host = Host::run(now() + FAR, &["sh", "-c", script]);
    let mut lines = [host.line(), host.line(), host.line()];
    lines.sort();
    assert_eq!(lines[0], "default/web alpha 4711 3");
    assert_eq!(lines[1], "exit Code(0)");
}

#[test]
fn program_that_cannot_be_started_is_an_error_that_names_it() {
    let check = |program: &str, because: &str| {
        let line = Host::run(now() + FAR, &[program]).line();
        assert!(
            line.starts_with(&format!("error cannot start {program:?}: {because}")),
            "{line}"
        );
    };
    check(
        "no-such-program",
        "No such file or directory (os error 2); give the path",
    );
    check(
        "/no/such/program",
        "No such file or directory (os error 2); give the path",
    );
    check(
        "/etc/passwd",
        "Permission denied (os error 13); is it an executable file",
    );
    check("/etc", "Permission denied (os error 13)");
}

#[test]
fn program_is_not_started_after_its_deadline() {
    let mut host = Host::run(now(), &["sh", "-c", "echo started too late"]);
    assert_eq!(
        host.line(),
        r#"error "sh" was not started: the local deadline passed first"#
    );
}

#[test]
fn signal_reaches_the_whole_group() {
    let script = "exec 2>/dev/null; trap 'echo parent' HUP
        (trap 'echo child; exit' HUP; echo ready; while :; do sleep 0.01; done) & wait; wait; exit 7";
    let mut host = Host::run(now() + FAR, &["sh", "-c", script]);
    let mut lines = [host.line(), host.line()];
    lines.sort();
    assert_eq!(lines[0], "ready");
    host.tell("hangup");
    let mut lines = [host.line(), host.line()];
    lines.sort();
    assert_eq!(lines, ["child", "parent"]);
    assert_eq!(host.line(), "exit Code(7)");
}

// ---- The deadline.

/// Modes of a ticker, and how many processes that makes.
const FAMILIES: [(&str, usize); 4] = [
    ("ignore-term", 1),
    ("child:", 2),
    ("child:own-group", 2),
    ("child:own-session", 2),
];

#[test]
fn work_acts_until_its_deadline_and_not_longer() {
    for (modes, processes) in FAMILIES {
        let deadline = now() + 500 * MILLI;
        let (mut host, work) = Host::ticking(deadline, modes, processes);
        assert_eq!(host.line(), "exit DeadlineReached", "{modes}");
        work.assert_ended();
        host.assert_acted_until(deadline);
    }
}

#[test]
fn end_is_not_reported_before_the_slowest_process_has_ended() {
    let (mut host, work) = Host::ticking(now() + FAR, "ignore-term child:heavy", 2);
    host.tell(&format!("stop {}", now()));
    assert_eq!(host.line(), "exit Signal(9)");
    work.assert_ended();
}

#[test]
fn renewal_moves_the_deadline() {
    let first = now() + 300 * MILLI;
    let (mut host, _work) = Host::ticking(first, "", 1);
    let last = first + 400 * MILLI;
    host.tell(&format!("extend {}", first + 200 * MILLI));
    host.tell(&format!("extend {last}"));
    assert_eq!(host.line(), "exit DeadlineReached");
    host.assert_acted_until(last);
}

#[test]
fn earlier_deadline_counts_too() {
    let (mut host, _work) = Host::ticking(now() + FAR, "", 1);
    let deadline = now() + 200 * MILLI;
    host.tell(&format!("extend {deadline}"));
    assert_eq!(host.line(), "exit DeadlineReached");
    host.assert_acted_until(deadline);
}

// ---- The end of a term.

#[test]
fn stop_lets_the_program_end_in_its_own_way() {
    let script = "exec 2>/dev/null; trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let mut host = Host::run(now() + FAR, &["sh", "-c", script]);
    let mut lines = [host.line(), host.line()];
    lines.sort();
    assert_eq!(lines[0], "ready");
    host.tell(&format!("stop {}", now() + FAR));
    assert_eq!(host.line(), "exit Code(5)");
}

#[test]
fn work_that_ignores_sigterm_is_killed_in_time() {
    for (kill_after, deadline_after, exit) in [(300, 600, "Signal(9)"), (600, 300, "DeadlineReached")] {
        let start = now();
        let modes = "ignore-term child:ignore-term";
        let (mut host, work) = Host::ticking(start + deadline_after * MILLI, modes, 2);
        host.tell(&format!("stop {}", start + kill_after * MILLI));
        assert_eq!(host.line(), format!("exit {exit}"));
        work.assert_ended();
        host.assert_acted_until(start + kill_after.min(deadline_after) * MILLI);
    }
}

#[test]
fn children_keep_their_grace_when_the_program_obeys_sigterm_first() {
    let (mut host, work) = Host::ticking(now() + FAR, "child:ignore-term", 2);
    let kill_at = now() + 400 * MILLI;
    host.tell(&format!("stop {kill_at}"));
    assert_eq!(host.line(), "exit Signal(15)");
    let mut ticks = host.ticks();
    let program = ticks.remove(&(work.program.as_raw_pid() as u64)).unwrap();
    assert!(program + SILENCE < kill_at, "the program obeyed");
    let child = ticks.into_values().next().unwrap();
    let excuse = host.lag.excuse();
    assert!(child + SILENCE + excuse >= kill_at, "the child had its grace");
    assert!(
        child <= kill_at + TOLERANCE + excuse,
        "the child outlived its grace"
    );
}

#[test]
fn renewal_counts_while_the_program_drains() {
    let start = now();
    let (mut host, _work) = Host::ticking(start + 300 * MILLI, "ignore-term", 1);
    let kill_at = start + 600 * MILLI;
    host.tell(&format!("terminate {kill_at}"));
    host.tell(&format!("extend {}", now() + FAR));
    assert_eq!(host.line(), "exit Signal(9)");
    host.assert_acted_until(kill_at);
}

#[test]
fn dropped_handle_kills_the_work() {
    let (mut host, work) = Host::ticking(now() + FAR, "child:own-session", 2);
    host.tell("drop");
    let dropped = now();
    work.wait_for_end();
    host.assert_acted_until(dropped);
}

// ---- The wrapper is hurt.

#[test]
fn work_of_a_stopped_wrapper_ends_at_the_deadline() {
    for (modes, processes) in FAMILIES {
        let deadline = now() + 500 * MILLI;
        let (mut host, work) = Host::ticking(deadline, modes, processes);
        freeze(host.wrapper());
        work.wait_for_end();
        host.assert_acted_until(deadline);
        kill_process(host.wrapper(), Signal::CONT).unwrap();
        assert_eq!(host.line(), "exit DeadlineReached");
    }
}

#[test]
fn work_of_a_killed_wrapper_ends_at_once() {
    for (modes, processes) in FAMILIES {
        let (host, work) = Host::ticking(now() + FAR, modes, processes);
        let killed = now();
        kill_process(host.wrapper(), Signal::KILL).unwrap();
        work.wait_for_end();
        host.assert_acted_until(killed);
    }
}

#[test]
fn work_of_a_killed_wrapper_ends_at_once_although_the_keeper_is_stopped() {
    let (host, work) = Host::ticking(now() + FAR, "child:own-session", 2);
    freeze(work.keeper);
    let killed = now();
    kill_process(host.wrapper(), Signal::KILL).unwrap();
    work.wait_for_end();
    host.assert_acted_until(killed);
}

// ---- The keeper is hurt.

#[test]
fn work_of_a_stopped_keeper_ends_at_the_deadline() {
    for (modes, processes) in FAMILIES {
        let deadline = now() + 500 * MILLI;
        let (mut host, work) = Host::ticking(deadline, modes, processes);
        freeze(work.keeper);
        assert_eq!(host.line(), "exit DeadlineReached", "{modes}");
        work.assert_ended();
        host.assert_acted_until(deadline);
    }
}

#[test]
fn work_of_a_killed_keeper_ends_at_once() {
    for (modes, processes) in [("ignore-term", 1), ("child:", 2), ("child:own-group", 2)] {
        let (mut host, work) = Host::ticking(now() + FAR, modes, processes);
        let killed = now();
        kill_process(work.keeper, Signal::KILL).unwrap();
        assert_eq!(host.line(), "exit KeeperLost", "{modes}");
        work.assert_ended();
        host.assert_acted_until(killed);
    }
}

#[test]
fn program_of_a_killed_keeper_ends_at_once_although_the_wrapper_is_stopped() {
    let (host, work) = Host::ticking(now() + FAR, "ignore-term", 1);
    freeze(host.wrapper());
    let killed = now();
    kill_process(work.keeper, Signal::KILL).unwrap();
    work.wait_for_end();
    host.assert_acted_until(killed);
}

#[test]
fn program_is_not_started_when_its_keeper_is_gone_already() {
    // The stub is told that its parent is process 1, which it is not.
    let stub = Command::new(host_binary())
        .args(["exec", "1", "--", "sh", "-c", "exit 0"])
        .stdin(Stdio::null())
        .status();
    assert_eq!(stub.unwrap().code(), Some(1));
}

#[test]
fn keeper_that_was_stopped_over_a_renewal_does_not_kill_early() {
    let first = now() + 400 * MILLI;
    let (mut host, work) = Host::ticking(first, "", 1);
    freeze(work.keeper);
    let last = first + 400 * MILLI;
    host.tell(&format!("extend {last}"));
    wait_until(first + 50 * MILLI);
    kill_process(work.keeper, Signal::CONT).unwrap();
    assert_eq!(host.line(), "exit DeadlineReached");
    host.assert_acted_until(last);
}

#[test]
fn renewals_do_not_wait_for_a_stopped_keeper_and_the_newest_arrives() {
    let first = now() + 2500 * MILLI;
    let (mut host, work) = Host::ticking(first, "", 1);
    freeze(work.keeper);
    let last = first + 500 * MILLI;
    host.tell(&format!("flood {last}"));
    assert_eq!(host.line(), "flooded");
    kill_process(work.keeper, Signal::CONT).unwrap();
    // Only the keeper can end the work now.
    wait_until(first - 200 * MILLI);
    freeze(host.wrapper());
    work.wait_for_end();
    host.assert_acted_until(last);
}

#[test]
fn signal_to_every_process_of_a_service_does_not_cost_the_program_its_grace() {
    let (mut host, work) = Host::ticking(now() + FAR, "ignore-term", 1);
    kill_process(work.keeper, Signal::TERM).unwrap();
    kill_process(work.keeper, Signal::INT).unwrap();
    let kill_at = now() + 400 * MILLI;
    host.tell(&format!("stop {kill_at}"));
    assert_eq!(host.line(), "exit Signal(9)");
    host.assert_acted_until(kill_at);
}

// ---- The program is hurt.

#[test]
fn stopped_program_never_acts_again_after_its_deadline() {
    let deadline = now() + 500 * MILLI;
    let (mut host, work) = Host::ticking(deadline, "ignore-term", 1);
    freeze(work.program);
    let frozen = now();
    assert_eq!(host.line(), "exit DeadlineReached");
    assert!(now() >= deadline);
    work.wait_for_end();
    host.assert_acted_until(frozen);
}

#[test]
fn stopped_program_does_not_delay_the_end_of_a_term() {
    let (mut host, work) = Host::ticking(now() + FAR, "", 1);
    freeze(work.program);
    host.tell(&format!("stop {}", now() + 200 * MILLI));
    assert_eq!(host.line(), "exit Signal(9)");
    work.wait_for_end();
}

#[test]
fn killed_program_takes_its_children_with_it() {
    for modes in ["child:", "child:own-group", "child:own-session"] {
        let (mut host, work) = Host::ticking(now() + FAR, modes, 2);
        let killed = now();
        kill_process(work.program, Signal::KILL).unwrap();
        assert_eq!(host.line(), "exit Signal(9)", "{modes}");
        work.assert_ended();
        host.assert_acted_until(killed);
    }
}

#[test]
fn orphans_of_a_long_term_do_not_fill_the_process_table() {
    let script = "for i in 1 2 3 4 5 6 7 8; do (sleep 0.05 &); done; exec $HOST ticker $TICKS";
    let mut host = Host::run(now() + FAR, &["sh", "-c", script]);
    let program = host.started();
    let work = host.work(program, 1);
    let zombies = || {
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let stats = pids.filter_map(|pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        let keeper = work.keeper.as_raw_pid().to_string();
        stats
            .filter(|stat| {
                let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
                fields[1] == keeper && fields[0] == "Z"
            })
            .count()
    };
    wait_until(now() + 300 * MILLI);
    host.tell(&format!("extend {}", now() + FAR));
    let patience = now() + 2000 * MILLI;
    while zombies() > 0 {
        assert!(now() < patience, "{} zombies are left", zombies());
        pause();
    }
}
