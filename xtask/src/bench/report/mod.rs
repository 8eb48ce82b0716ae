//! `cargo xtask bench report`: tables and pictures of what was measured, in the folder of results and, a short one, in the
//! README between two markers.
//!
//! Nothing is measured here, so what was measured can be shown anew at any time.

#![expect(clippy::print_stderr, reason = "says what was written")]

mod canvas;
mod distribution;
mod growth;
mod handover;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::results::Results;
use crate::{record, workspace};

/// Where results are, below the root.
pub(super) const FOLDER: &str = "docs/benchmarks";
const README: &str = "README.md";
const DISTRIBUTION: &str = "distribution.svg";
const HANDOVER: &str = "handover.svg";
const GROWTH: &str = "growth.svg";

const HELP: &str = "\
Examples:
  cargo xtask bench report
  cargo xtask bench report --out /tmp/results";

/// What `bench report` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReportArgs {
    /// Where results.json is; tables and pictures come beside it.
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    out: PathBuf,
}

/// Draws what was measured before.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let out = root.join(&args.out);
    let results = Results::load(&out)?;
    if results.peers.is_none() && results.scale.is_none() && results.plugin.is_none() {
        bail!("{} has no results: measure first", out.display());
    }
    write(&results, &root, &out)
}

/// Writes tables and pictures.
pub(super) fn write(results: &Results, root: &Path, out: &Path) -> anyhow::Result<()> {
    let peers = results.peers.as_ref();
    let pictures = [
        (DISTRIBUTION, peers.and_then(distribution::draw)),
        (HANDOVER, peers.and_then(|run| handover::draw(&run.handovers))),
        (GROWTH, results.scale.as_ref().and_then(growth::draw)),
    ];
    let mut drawn = Vec::new();
    for (name, picture) in pictures {
        if let Some(picture) = picture {
            put(&out.join(name), &picture)?;
            drawn.push(name);
        }
    }
    put(&out.join(README), &tables::page(results, &drawn))?;
    // Only the results of the repository belong into its README.
    if out == root.join(FOLDER)
        && let Some(peers) = peers
    {
        record::between(&root.join(README), "bench", &tables::short(peers))?;
    }
    Ok(())
}

fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("wrote {}", file.display());
    Ok(())
}
