//! `cargo xtask simulate`: the simulation, optimised.
//!
//! Its command line is its own, but for `--record`; here it is built and called, and what it kept is written down.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::Value;

use crate::record;
use crate::workspace::{self, Binaries, Profile};

/// Nobody reads on what the simulation tells.
const SIGPIPE: i32 = 13;

/// Where the simulation is told about, below the root.
const DOCUMENT: &str = "docs/simulation.md";

/// What `simulate` is told; it says itself what there is.
#[derive(Clone, Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimulateArgs {
    /// See `cargo xtask simulate --help`. `--record` writes what was seen into docs/simulation.md.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let binaries = Binaries::build(&root, &["simulation"], Profile::Sim)?;
    let records = args.args.iter().any(|arg| arg == "--record");
    let mut passed: Vec<OsString> = args
        .args
        .iter()
        .filter(|arg| *arg != "--record")
        .cloned()
        .collect();
    let mut output = output_of(&passed);
    if records && output.is_none() {
        let file = workspace::target_folder(&root).join("simulation.json");
        passed.extend([OsString::from("--output"), file.clone().into()]);
        output = Some(file);
    }
    let status = Command::new(binaries.path("simulate")?)
        .args(&passed)
        .status()
        .context("cannot run the simulation")?;
    if status.signal() == Some(SIGPIPE) {
        return Ok(());
    }
    ensure!(
        status.success(),
        "the simulation ended with {status}: what it found stands above"
    );
    match output.filter(|_| records) {
        Some(output) => {
            let text = std::fs::read_to_string(&output)
                .with_context(|| format!("cannot read {}", output.display()))?;
            let summary = serde_json::from_str(&text).context("the summary is no JSON")?;
            record::between(&root.join(DOCUMENT), "simulation", &table(&summary)?)
        }
        None => Ok(()),
    }
}

/// The file that the simulation is told to keep what it sees in.
fn output_of(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--output" {
            return args.next().map(PathBuf::from);
        }
        let joined = arg.to_str().and_then(|arg| arg.strip_prefix("--output="));
        if let Some(file) = joined {
            return Some(PathBuf::from(OsStr::new(file)));
        }
    }
    None
}

/// A summary, as the document shows it.
fn table(summary: &Value) -> anyhow::Result<String> {
    let number = |name: &str| {
        let value = &summary[name];
        value
            .as_u64()
            .with_context(|| format!("the summary has no {name}"))
    };
    let amount = |name: &str| summary[name].as_f64().unwrap_or_default();
    let (from, seeds) = (number("from")?, number("seeds")?);
    let count = |name: &str| summary[name].as_array().map_or(0, Vec::len);
    let mended = match count("mended") {
        0 => String::new(),
        mended => format!(
            " (apart from {mended} that ended the run; the sources were mended, and it went on behind the seed)"
        ),
    };
    let mut table = "| class | what happens | took effect |\n|---|---|---:|\n".to_owned();
    for class in summary["classes"].as_array().into_iter().flatten() {
        let (name, meaning) = (class["class"].as_str(), class["meaning"].as_str());
        let (name, meaning) = name.zip(meaning).context("a class has no name")?;
        writeln!(table, "| `{name}` | {meaning} | {} |", class["count"])?;
    }
    writeln!(
        table,
        "\n{seeds} seeds, {from} to {}: {} terms, {} acts of leaders, {:.0} h of the clusters in {:.0} min. {} seeds were run twice, \
         with the same trace. Rules broken: {}{mended}.",
        (from + seeds).saturating_sub(1),
        number("terms")?,
        number("acts")?,
        amount("hoursSimulated"),
        amount("seconds") / 60.0,
        number("runTwice")?,
        count("violations"),
    )?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_of_the_summary_is_found_however_it_is_written() {
        let args = |args: &[&str]| output_of(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(
            args(&["--seeds", "5", "--output", "a.json", "--resume"]),
            Some("a.json".into())
        );
        assert_eq!(args(&["--output=a.json"]), Some("a.json".into()));
        assert_eq!(args(&["--seeds", "5"]), None);
    }

    #[test]
    fn a_summary_is_a_table_and_a_sentence() {
        let summary = json!({
            "from": 11, "seeds": 20, "violations": [], "terms": 40, "acts": 90, "hoursSimulated": 1.6, "runTwice": 2,
            "seconds": 120.0, "classes": [{"class": "pause", "meaning": "A process is stopped", "count": 7}],
        });
        assert_eq!(
            table(&summary).unwrap(),
            "| class | what happens | took effect |\n|---|---|---:|\n| `pause` | A process is stopped | 7 |\n\n\
             20 seeds, 11 to 30: 40 terms, 90 acts of leaders, 2 h of the clusters in 2 min. 2 seeds were run twice, \
             with the same trace. Rules broken: 0.\n"
        );
        assert!(table(&json!({"seeds": 3})).is_err());
    }
}
