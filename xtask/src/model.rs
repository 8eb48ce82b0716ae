//! `cargo xtask model`: explores the protocol, by the program of the crate `model`.

#![expect(clippy::print_stdout, reason = "what the model says")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::Args;

use crate::record;
use crate::workspace::{self, Binaries, Profile};

const HEAD: &str =
    "| configuration | distinct states | generated | depth | all of it |\n|---|---:|---:|---:|---|\n";

const HELP: &str = "\
Examples:
  cargo xtask model                          every configuration
  cargo xtask model --record                 and keep the table
  cargo xtask model --record twins late      and keep their rows of it
  cargo xtask model --list                   which there are
  cargo xtask model twins late --seconds 30
  cargo xtask model twins --replay 1.0.2     tell what happens on this path
  cargo xtask model -- --help                what else it can be told";

/// What `model` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ModelArgs {
    /// Write what was explored into the table of docs/safety-model.md; rows of other configurations stay.
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
    let mut command = Command::new(binaries.path("model")?);
    command.args(args.arguments.iter().filter(|argument| *argument != "--"));
    if args.record {
        return record(&root, &binaries, command);
    }
    let status = command.status().context("cannot run the model")?;
    ensure!(status.success(), "what does not hold stands above");
    Ok(())
}

/// Explores, and writes down how much that was.
fn record(root: &Path, binaries: &Binaries, mut command: Command) -> anyhow::Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the model")?;
    let output = child.stdout.take().context("the model has no output")?;
    let mut rows = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        rows.extend(row(&line));
    }
    ensure!(child.wait()?.success(), "what does not hold stands above");
    let file = root.join(record::SAFETY_MODEL);
    let known = record::known(&file, "model")?;
    rows.extend(known.lines().skip(2).map(str::to_owned));
    record::between(&file, "model", &table(&names(binaries)?, &rows))
}

/// Which configurations there are, in their order.
fn names(binaries: &Binaries) -> anyhow::Result<Vec<String>> {
    let output = Command::new(binaries.path("model")?)
        .arg("--list")
        .output()
        .context("cannot run the model")?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

/// The table: the first row of each configuration, and what they come to.
fn table(names: &[String], rows: &[String]) -> String {
    let (mut table, mut sums) = (HEAD.to_owned(), [0, 0]);
    for name in names {
        let Some(row) = rows.iter().find(|row| cell(row, 0) == name) else {
            continue;
        };
        table += &format!("{row}\n");
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum += cell(row, at + 1).parse::<u64>().unwrap_or_default();
        }
    }
    table + &format!("\n{} distinct states, {} generated.\n", sums[0], sums[1])
}

fn cell(row: &str, at: usize) -> &str {
    row.split('|').nth(at + 1).unwrap_or_default().trim()
}

/// A row of the table from a line of the model.
fn row(line: &str) -> Option<String> {
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
    let whole = match rest {
        ["complete"] => "yes".to_owned(),
        [] => "no".to_owned(),
        rest => format!("no: {}", rest.join(" ")),
    };
    Some(format!(
        "| {name} | {distinct} | {generated} | {depth} | {whole} |"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_model_is_a_row() {
        for (line, cells) in [
            (
                "start               349718 states,       616307 with repeats, depth  165, complete",
                "| start | 349718 | 616307 | 165 | yes |",
            ),
            (
                "storm               758516 states,      1001136 with repeats, depth  168, stopped after 1000000",
                "| storm | 758516 | 1001136 | 168 | no: stopped after 1000000 |",
            ),
            (
                "start                 1513 states,         1600 with repeats, depth   12",
                "| start | 1513 | 1600 | 12 | no |",
            ),
        ] {
            assert_eq!(row(line).as_deref(), Some(cells));
        }
        assert_eq!(row("          1671 × an offer"), None);
    }

    #[test]
    fn rows_of_what_was_not_explored_stay_and_all_of_them_are_counted() {
        let names = ["start", "crash", "storm"].map(str::to_owned);
        let rows = [
            "| crash | 5 | 7 | 3 | yes |",
            "| start | 10 | 20 | 2 | yes |",
            "| crash | 1 | 1 | 1 | yes |",
            "| gone | 100 | 100 | 1 | yes |",
        ]
        .map(str::to_owned);
        assert_eq!(
            table(&names, &rows),
            format!(
                "{HEAD}| start | 10 | 20 | 2 | yes |\n| crash | 5 | 7 | 3 | yes |\n\n15 distinct states, 27 generated.\n"
            )
        );
    }
}
