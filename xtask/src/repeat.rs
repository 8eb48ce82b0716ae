//! `cargo xtask repeat`: the tests of the workspace again and again, to find those that fail now and then.
//!
//! The test programs are built once and run as `cargo test` runs them. What it looks for are races, so several passes may
//! run at once: each disturbs the others, as a loaded machine would.

#![expect(clippy::print_stdout, reason = "a line for each pass")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use futures::future::try_join_all;
use serde::Deserialize;
use tokio::process::Command;

use crate::{shell, workspace};

const HELP: &str = "\
Examples:
  cargo xtask repeat                        one pass after the other, a hundred
  cargo xtask repeat --times 20 --at-once 4

What a test program printed that failed is kept in target/repeat. The examples
in the documentation are left out: each of them is a build.";

/// What `repeat` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct RepeatArgs {
    /// How many passes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// How many passes run at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    at_once: u32,
}

/// A program of tests.
struct Tests {
    package: PathBuf,
    program: PathBuf,
}

/// What a pass has come to.
#[derive(Default)]
struct Pass {
    passed: u32,
    failed: Vec<String>,
}

/// Builds the tests, and runs all of them so many times.
pub(crate) async fn run(args: RepeatArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let programs = build(&root)?;
    let folder = workspace::target_folder(&root).join("repeat");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (begun, failed) = (Cell::new(0), Cell::new(0));
    let one_after_the_other = async || -> anyhow::Result<()> {
        while begun.get() < args.times {
            let number = begun.get() + 1;
            begun.set(number);
            let since = shell::now();
            let pass = pass(&programs, number, &folder).await?;
            let seconds = since.elapsed().as_secs();
            println!(
                "pass {number}: {} passed, {} failed, {seconds} s",
                pass.passed,
                pass.failed.len()
            );
            for name in &pass.failed {
                println!("  ✗ {name}");
            }
            failed.set(failed.get() + u32::from(!pass.failed.is_empty()));
        }
        Ok(())
    };
    let all = try_join_all((0..args.at_once).map(|_| one_after_the_other()));
    tokio::select! {
        all = all => all.map(drop)?,
        signal = shell::interrupted() => return Err(anyhow!("{}: {} passes were begun", signal?, begun.get())),
    }
    ensure!(
        failed.get() == 0,
        "{} of {} passes failed: {} has what was printed",
        failed.get(),
        args.times,
        folder.display()
    );
    println!("{} passes, none with a failure", args.times);
    Ok(())
}

async fn pass(programs: &[Tests], number: u32, folder: &Path) -> anyhow::Result<Pass> {
    let mut pass = Pass::default();
    for tests in programs {
        let output = Command::new(&tests.program)
            .current_dir(&tests.package)
            .env("CARGO_MANIFEST_DIR", &tests.package)
            .env("INSTA_UPDATE", "no")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run {}", tests.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        pass.passed += passed(&text);
        if output.status.success() {
            continue;
        }
        let name = tests.program.file_name().unwrap_or_default().to_string_lossy();
        std::fs::write(folder.join(format!("pass-{number}-{name}.log")), &output.stdout)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        let failed = failed(&text);
        // One that was killed has no list.
        match failed.is_empty() {
            true => pass.failed.push(format!("{name}: {}", output.status)),
            false => pass.failed.extend(failed),
        }
    }
    Ok(pass)
}

/// How many tests passed, by the summaries in the output of test programs.
fn passed(text: &str) -> u32 {
    let summaries = text.lines().filter_map(|line| line.strip_prefix("test result: "));
    let counts = summaries.filter_map(|line| {
        line.split_once(". ")?
            .1
            .split_once(" passed")?
            .0
            .parse::<u32>()
            .ok()
    });
    counts.sum()
}

fn failed(text: &str) -> Vec<String> {
    let tests = text.lines().filter_map(|line| line.strip_prefix("test "));
    tests
        .filter_map(|line| line.strip_suffix(" ... FAILED").map(str::to_owned))
        .collect()
}

/// Builds all test programs, as the check `tests` does.
fn build(root: &Path) -> anyhow::Result<Vec<Tests>> {
    let mut command = workspace::cargo();
    command
        .current_dir(root)
        .args(["test", "--workspace", "--all-features", "--no-run"]);
    let programs: Vec<Tests> = workspace::built(command, tests_in)?;
    ensure!(!programs.is_empty(), "cargo has named no test program");
    Ok(programs)
}

/// The test program that one of cargo's messages is about.
fn tests_in(line: &str) -> Option<Tests> {
    #[derive(Deserialize)]
    struct Message {
        manifest_path: PathBuf,
        executable: Option<PathBuf>,
        profile: Profile,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    let message: Message = serde_json::from_str(line).ok()?;
    let package = message.manifest_path.parent()?.to_owned();
    let program = message.executable.filter(|_| message.profile.test)?;
    Some(Tests { package, program })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_a_test_program_is_read() {
        let text = "\
            running 3 tests\n\
            test a::b ... ok\n\
            test a::c ... FAILED\n\
            test a::d - should panic ... ok\n\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s\n";
        assert_eq!(passed(text), 2);
        assert_eq!(failed(text), ["a::c"]);
        assert_eq!(passed("error: no such program"), 0);
    }

    #[test]
    fn only_programs_of_tests_are_run() {
        let line = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/model/Cargo.toml","profile":{{"test":{test}}},
                     "executable":{executable}}}"#
            )
        };
        let found = tests_in(&line(true, "\"/t/it\"")).unwrap();
        assert_eq!(
            (found.package, found.program),
            ("/w/model".into(), "/t/it".into())
        );
        assert!(tests_in(&line(false, "\"/t/model\"")).is_none());
        assert!(tests_in(&line(true, "null")).is_none());
        assert!(tests_in(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
