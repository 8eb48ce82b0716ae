//! `cargo xtask fuzz`: lets libFuzzer look for inputs of the fuzz targets that reach new code.
//!
//! What a target is, is in the crate `fuzz`; `cargo test` gives each a second of random inputs. Here they are compiled with
//! coverage, and what is found is kept under `target/fuzz`: the next run goes on from there.

#![expect(clippy::print_stdout, reason = "the output of the fuzzing")]

use std::path::Path;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::{tools, workspace};

const HELP: &str = "\
Examples:
  cargo xtask fuzz                     each target, for ten minutes
  cargo xtask fuzz --list              which there are
  cargo xtask fuzz http --minutes 1    those that have this in their name

The first run compiles everything with coverage, and takes minutes. An input
that breaks something is kept in target/fuzz/crashes; put it into the target's
tests.";

const BOLERO: (&str, &str) = ("cargo-bolero", "0.13.5");

/// The targets, by the names of their tests.
const TARGETS: [&str; 5] = [
    "versions::versions_are_read_or_refused_and_have_one_order",
    "leases::a_write_changes_what_it_names_and_nothing_else",
    "leases::an_identity_lease_names_leases_of_its_own_namespace_only",
    "elector::an_elector_writes_from_what_it_was_shown",
    "http::whatever_is_asked_is_answered",
];

/// What `fuzz` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct FuzzArgs {
    /// Only targets that have this in their name.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Say which targets there are.
    #[arg(long)]
    list: bool,
}

/// Runs the targets, one after the other.
pub(crate) fn run(args: &FuzzArgs) -> anyhow::Result<()> {
    let chosen = chosen(&args.names)?;
    if args.list {
        for target in chosen {
            println!("{target}");
        }
        return Ok(());
    }
    let root = workspace::root()?;
    let bolero = tools::installed(&root, BOLERO)?;
    for target in &chosen {
        println!("{target}: {} min", args.minutes);
        one(&root, &bolero, target, args.minutes)?;
    }
    println!("{} targets, nothing found", chosen.len());
    Ok(())
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !TARGETS.iter().any(|target| target.contains(name.as_str())))
    {
        bail!("no target has {unknown} in its name: see `cargo xtask fuzz --list`");
    }
    let named = |target: &&str| names.is_empty() || names.iter().any(|name| target.contains(name.as_str()));
    Ok(TARGETS.into_iter().filter(named).collect())
}

fn one(root: &Path, bolero: &Path, target: &str, minutes: u32) -> anyhow::Result<()> {
    let kept = workspace::target_folder(root).join("fuzz");
    let place = target.replace("::", "-");
    let (corpus, crashes) = (
        kept.join("corpus").join(&place),
        kept.join("crashes").join(&place),
    );
    for folder in [&corpus, &crashes] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let status = workspace::command(bolero)
        .current_dir(root)
        .args([
            "bolero",
            "test",
            "--package",
            "fuzz",
            "--sanitizer",
            "NONE",
            "--rustc-bootstrap",
        ])
        .arg("--corpus-dir")
        .arg(&corpus)
        .arg("--crashes-dir")
        .arg(&crashes)
        .args(["-T", &format!("{minutes}min"), target])
        .status()
        .context("cannot run cargo-bolero")?;
    ensure!(
        status.success(),
        "{target} did not end well ({status}): see above; an input that breaks something is in {}",
        crashes.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_test_and_every_test_a_target() {
        let folder = workspace::root().unwrap().join("fuzz/tests/it");
        let mut tests = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("#[test]\nfn ").skip(1);
            tests.extend(after.map(|rest| format!("{module}::{}", rest.split('(').next().unwrap())));
        }
        tests.sort();
        let mut targets = TARGETS.to_vec();
        targets.sort_unstable();
        assert_eq!(tests, targets);
    }

    #[test]
    fn a_name_that_fits_nothing_is_refused() {
        assert_eq!(chosen(&["http".to_owned()]).unwrap(), [TARGETS[4]]);
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
        let error = chosen(&["nope".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no target has nope in its name: see `cargo xtask fuzz --list`"
        );
    }
}
