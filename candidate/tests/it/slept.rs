//! After a machine has slept: there `CLOCK_BOOTTIME`, which counts sleep, is ahead of `CLOCK_MONOTONIC`, and on a machine that
//! never slept both are the same. Deadlines are on the first, and tests cannot send a machine to sleep, so these tests run
//! others in a time namespace whose machine has slept for a day.
//!
//! Deliberately absent: that the kernel's timers wake up with the machine, which is the kernel's to test.

use std::io::Write;
use std::process::{Command, Output};
use std::time::Duration;

use candidate::clock::{BootClock, Clock};
use election_core::Mono;
use rustix::time::{ClockId, clock_gettime};

const DAY: Duration = Duration::from_secs(86_400);
/// What tells a test that it runs in the namespace: `CLOCK_BOOTTIME` outside, in seconds.
const OUTSIDE: &str = "BOOTTIME_OUTSIDE";
/// No wait here takes so long, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

fn boottime() -> u64 {
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
}

/// A program on a machine that has slept, as `rights` allow.
fn on_a_machine_that_slept(rights: &[&str], program: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(rights)
        .args(["--time", "--monotonic=0", "--fork", "--kill-child"])
        .arg(format!("--boottime={}", DAY.as_secs()))
        // Where a deadline is a day late, the tests do not wait for it.
        .args(["--", "timeout", "--signal=KILL", "60", program])
        .env(OUTSIDE, boottime().to_string());
    command
}

/// Runs tests of this binary on a machine that has slept; nothing where nobody may make a namespace.
fn again(tests: &[&str]) -> Option<Output> {
    let ways: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let works = |rights: &&&[&str]| {
        let tried = on_a_machine_that_slept(rights, "true").output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(rights) = ways.iter().find(works) else {
        let tests = tests.join(", ");
        let skipped = format!("SKIPPED: {tests}, because unshare cannot make a time namespace here\n");
        // Not by a macro, whose text is shown of tests that fail only.
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return None;
    };
    let this = std::env::current_exe().unwrap();
    let mut command = on_a_machine_that_slept(rights, this.to_str().unwrap());
    Some(command.arg("--exact").args(tests).output().unwrap())
}

fn check(tests: &[&str]) {
    let Some(output) = again(tests) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("ok. {} passed", tests.len());
    assert!(
        output.status.success() && said.contains(&all),
        "{}: {said}",
        output.status
    );
}

/// Invariant: S1, as a leader that slept over its deadline must know at once.
#[test]
fn the_clock_of_candidates_has_counted_the_sleep() {
    let Ok(outside) = std::env::var(OUTSIDE) else {
        return check(&["slept::the_clock_of_candidates_has_counted_the_sleep"]);
    };
    let slept = Mono::from_nanos(0) + Duration::from_secs(outside.parse().unwrap()) + DAY;
    let now = BootClock::new().now();
    assert!(now >= slept, "{now:?}, a day after {outside} s");
}

#[test]
fn a_candidate_that_slept_wakes_at_the_moment_and_not_a_day_late() {
    if std::env::var(OUTSIDE).is_err() {
        return check(&["slept::a_candidate_that_slept_wakes_at_the_moment_and_not_a_day_late"]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = BootClock::new();
        let woken = clock.sleep_until(clock.now() + Duration::from_millis(20));
        assert!(
            tokio::time::timeout(PATIENCE, woken).await.is_ok(),
            "it sleeps on"
        );
    });
}

/// Those are told a deadline of `CLOCK_BOOTTIME`; the keeper, or the wrapper while the keeper is stopped, ends the work at it.
#[cfg(feature = "cli")]
#[test]
fn a_program_ends_at_its_deadline_also_after_a_sleep() {
    check(&[
        "keeper::program_is_not_started_after_its_deadline",
        "keeper::work_acts_until_its_deadline_and_not_longer",
        "keeper::work_of_a_stopped_wrapper_ends_at_the_deadline",
        "keeper::work_of_a_stopped_keeper_ends_at_the_deadline",
    ]);
}

/// The library gives the deadline, and the keeper keeps it: with one clock.
#[cfg(feature = "cli")]
#[test]
fn a_program_runs_in_a_term_also_after_a_sleep() {
    check(&["process::the_program_runs_only_in_a_term_and_the_lease_comes_back_after_it"]);
}

#[cfg(feature = "cli")]
#[test]
fn work_that_is_stuck_is_aborted_also_after_a_sleep() {
    check(&["watchdog::work_that_blocks_its_thread_and_the_log_is_aborted_at_its_deadline"]);
}
