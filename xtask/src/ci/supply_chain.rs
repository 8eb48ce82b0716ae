//! `cargo deny` and `cargo machete`.
//!
//! Advisories need a database that is fetched from elsewhere than the registry. Without it the step says so and checks the
//! rest; it does not wait for a network that is not there.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::Outcome;
use crate::shell;
use crate::tools::installed;

const DENY: (&str, &str) = ("cargo-deny", "0.20.2");
const MACHETE: (&str, &str) = ("cargo-machete", "0.9.2");
/// How long the database of advisories is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn deny(root: &Path) -> Outcome {
    let program = installed(root, DENY)?;
    let mut command = Command::new(&program);
    command
        .current_dir(root)
        .args(["--all-features", "check", "bans", "licenses", "sources"]);
    let status = command.status().context("cannot run cargo-deny")?;
    ensure!(
        status.success(),
        "cargo deny check bans licenses sources: {status}"
    );
    advisories(root, &program)
}

fn advisories(root: &Path, program: &Path) -> Outcome {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .args(["--all-features", "check", "advisories"]);
    // Whoever asks for a password here would be waited for for ever.
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo-deny")?;
    let since = shell::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if since.elapsed() < PATIENCE => shell::block(Duration::from_millis(50)),
            None => {
                child.kill()?;
                child.wait()?;
                return Ok(Some(format!(
                    "advisories were not checked: no database within {PATIENCE:?}"
                )));
            }
        }
    };
    let mut said = String::new();
    child
        .stderr
        .take()
        .context("cargo-deny has no output")?
        .read_to_string(&mut said)?;
    if status.success() {
        return Ok(None);
    }
    match missing_database(&said) {
        Some(why) => Ok(Some(format!(
            "advisories were not checked, their database cannot be fetched: {why}"
        ))),
        None => bail!("cargo deny check advisories: {status}\n{said}"),
    }
}

/// Why there is no database, when that is what was said.
fn missing_database(said: &str) -> Option<String> {
    let at = said
        .find("failed to fetch advisory database")
        .or_else(|| said.find("failed to load advisory database"))?;
    said[at..].lines().next().map(|line| line.trim().to_owned())
}

pub(super) fn machete(root: &Path) -> Outcome {
    let program = installed(root, MACHETE)?;
    let status = Command::new(program)
        .current_dir(root)
        .status()
        .context("cannot run cargo-machete")?;
    ensure!(status.success(), "cargo machete: {status}");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_database_is_a_reason_to_go_on() {
        let said = "2024 [ERROR] failed to fetch advisory database https://example.org: no route\nmore\n";
        let why = missing_database(said).unwrap();
        assert_eq!(
            why,
            "failed to fetch advisory database https://example.org: no route"
        );
        assert_eq!(missing_database("error[vulnerability]: a crate is broken"), None);
    }
}
