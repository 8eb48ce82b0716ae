//! `cargo xtask model`: explores the protocol, by the program of the crate `model`.

#![expect(clippy::print_stdout, reason = "what the model says")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::Args;

use crate::workspace::{self, Binaries, Profile};
use crate::{record, shell};

const HEAD: &str =
    "| configuration | distinct states | generated | depth | all of it |\n|---|---:|---:|---:|---|\n";

const HELP: &str = "\
Examples:
  cargo xtask model                          every configuration
  cargo xtask model --record                 and keep the table
  cargo xtask model --list                   which there are
  cargo xtask model twins late --seconds 30
  cargo xtask model twins --replay 1.0.2     tell what happens on this path
  cargo xtask model -- --help                what else it can be told";

/// What `model` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ModelArgs {
    /// Explore every configuration, and write the table into docs/safety-model.md.
    #[arg(long)]
    record: bool,
    /// Goes to the program as it is.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Explores.
pub(crate) fn run(args: &ModelArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let binaries = Binaries::build(&root, &["model"], Profile::Dev)?;
    if args.record {
        return record(&root, &binaries);
    }
    let arguments = args.arguments.iter().filter(|argument| *argument != "--");
    let status = Command::new(binaries.path("model")?)
        .args(arguments)
        .status()
        .context("cannot run the model")?;
    ensure!(status.success(), "what does not hold stands above");
    Ok(())
}

/// Explores everything and writes down how much that was.
fn record(root: &Path, binaries: &Binaries) -> anyhow::Result<()> {
    let since = shell::now();
    let mut child = Command::new(binaries.path("model")?)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the model")?;
    let output = child.stdout.take().context("the model has no output")?;
    let (mut table, mut all) = (HEAD.to_owned(), [0, 0]);
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some((row, counts)) = row(&line) {
            table += &row;
            all = [all[0] + counts[0], all[1] + counts[1]];
        }
    }
    ensure!(child.wait()?.success(), "what does not hold stands above");
    let minutes = since.elapsed().as_secs().div_ceil(60);
    table += &format!(
        "\n{} distinct states, {} generated, in {minutes} min on two threads.\n",
        all[0], all[1]
    );
    record::between(&root.join(record::SAFETY_MODEL), "model", &table)
}

/// A row of the table from a line of the model, with its counts.
fn row(line: &str) -> Option<(String, [u64; 2])> {
    let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [
        name,
        distinct,
        "states",
        generated,
        "with",
        "repeats",
        "depth",
        depth,
        rest @ ..,
    ] = &*words
    else {
        return None;
    };
    let counts = [distinct.parse().ok()?, generated.parse().ok()?];
    let whole = if rest.is_empty() { "no" } else { "yes" };
    Some((
        format!("| {name} | {distinct} | {generated} | {depth} | {whole} |\n"),
        counts,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_model_is_a_row() {
        let line = "start               349718 states,       616307 with repeats, depth  165, complete";
        let (row, counts) = row(line).unwrap();
        assert_eq!(row, "| start | 349718 | 616307 | 165 | yes |\n");
        assert_eq!(counts, [349_718, 616_307]);
        assert_eq!(super::row("          1671 × an offer"), None);
    }
}
