//! The compiler is not older than `rust-version`, and whether this run proves that version.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::Outcome;

/// A version of Rust, without what comes behind a hyphen.
type Version = (u32, u32, u32);

pub(super) fn check(root: &Path) -> Outcome {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let stated = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let stated = parse(
        stated
            .context("Cargo.toml has no rust-version")?
            .trim_matches('"'),
    )
    .context("rust-version")?;
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(compiler)
        .current_dir(root)
        .arg("--version")
        .output()
        .context("cannot run rustc")?;
    let said = String::from_utf8_lossy(&said.stdout);
    let used = said
        .split_whitespace()
        .nth(1)
        .and_then(parse)
        .with_context(|| format!("rustc said {said:?}"))?;
    ensure!(
        used >= stated,
        "rustc {used:?} is older than the rust-version {stated:?} of Cargo.toml"
    );
    let newer = (used.0, used.1) > (stated.0, stated.1);
    Ok(newer.then(|| {
        format!(
            "with {said:?}: that {}.{} suffices is not shown by this run",
            stated.0, stated.1
        )
    }))
}

fn parse(text: &str) -> Option<Version> {
    let mut parts = text
        .split('-')
        .next()?
        .split('.')
        .map(|part| part.parse::<u32>().ok());
    Some((parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_rust_are_read() {
        assert_eq!(parse("1.95"), Some((1, 95, 0)));
        assert_eq!(parse("1.95.0-nightly"), Some((1, 95, 0)));
        assert_eq!(parse("stable"), None);
    }
}
