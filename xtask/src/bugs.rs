//! `cargo xtask bugs`: shows that the model and the simulation find what they are there for.
//!
//! Each `model/bugs/NAME.patch` breaks one rule. It is applied, alone, to a copy of the sources, and what comes out is given
//! to each oracle. A patch begins with a sentence and a line for the model, `model: CONFIGURATION…`, without which the model
//! does not look at it: it has no tasks and no requests as bytes. The simulation looks at every patch.

#![expect(clippy::print_stdout, reason = "the table of the bugs")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::record;
use crate::shell;
use crate::workspace::{self, Binaries, Profile};

const HELP: &str = "\
Examples:
  cargo xtask bugs                           each of them
  cargo xtask bugs deadline-from-answer      one of them
  cargo xtask bugs --trace no-back-off       with the counterexample
  cargo xtask bugs --model --record          only what the model sees; what the
                                             simulation saw stays in the table
  cargo xtask bugs --check                   only whether the patches apply";

/// What `bugs` is told.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct BugsArgs {
    /// Only these; all when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Show how each comes about.
    #[arg(long)]
    trace: bool,
    /// Ask only the model: the simulation takes minutes for each.
    #[arg(long, conflicts_with = "check")]
    model: bool,
    /// Only check that the patches apply, all of them.
    #[arg(long, conflicts_with = "names")]
    check: bool,
    /// Write what was seen into the table of docs/safety-model.md.
    #[arg(long, conflicts_with = "check")]
    record: bool,
}

/// A rule broken on purpose.
struct Bug {
    name: String,
    patch: PathBuf,
    text: String,
}

/// What an oracle saw.
struct Catch {
    /// Which property.
    what: String,
    /// After how much work.
    after: String,
    trace: String,
}

/// The beginning of the line for the model.
const MODEL: &str = "model";
const HEAD: &str = "| bug | model | after | simulation | after |\n|---|---|---|---|---|\n";
/// How many states the model generates of each configuration: as many as `cargo xtask ci` looks at, which would not find what takes
/// more.
const STATES: &str = "1000000";
/// How many seeds the simulation gets for each.
const SEEDS: u32 = 2000;

/// Not copied: no source.
const LEFT_OUT: [&str; 5] = ["target", ".git", "artifacts", "docs", "bench"];

/// Breaks each rule and looks who notices.
pub(crate) fn run(args: &BugsArgs) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let mut bugs = bugs(&root)?;
    if let Some(unknown) = args
        .names
        .iter()
        .find(|name| bugs.iter().all(|bug| bug.name != **name))
    {
        bail!("there is no bug {unknown}: see model/bugs");
    }
    let all: Vec<String> = bugs.iter().map(|bug| bug.about().to_owned()).collect();
    bugs.retain(|bug| args.names.is_empty() || args.names.contains(&bug.name));
    if args.check {
        println!("all {} patches apply", check(&root)?);
        return Ok(());
    }
    let tree = workspace::target_folder(&root).join("bugs/tree");
    let mut missed = Vec::new();
    for (number, bug) in bugs.iter().enumerate() {
        copy(&root, &tree)?;
        apply(&tree, bug, &[])?;
        let since = shell::now();
        let caught = ask(&tree, bug, args.model).with_context(|| format!("bug {}", bug.name))?;
        let simulation = match args.model {
            true => known_cells(&root, bug)?,
            false => cells(&caught[1]),
        };
        let row = format!("| {} | {} | {simulation} |", bug.about(), cells(&caught[0]));
        println!(
            "{:>3}/{}  {} s  {row}",
            number + 1,
            bugs.len(),
            since.elapsed().as_secs()
        );
        if args.record {
            record_row(&root, &all, &row)?;
        }
        // What only the simulation can notice is not missed when nobody asks it.
        let asked = !args.model || !bug.configurations().is_empty();
        if asked && caught.iter().all(Option::is_none) {
            missed.push(bug.name.as_str());
        }
        if args.trace {
            for catch in caught.iter().flatten() {
                println!("\n{}\n", catch.trace);
            }
        }
    }
    ensure!(missed.is_empty(), "nobody noticed: {}", missed.join(", "));
    Ok(())
}

/// Puts a row into the table, in the order of the bugs; rows of bugs that were not tried now stay.
fn record_row(root: &Path, all: &[String], row: &str) -> anyhow::Result<()> {
    let file = root.join(record::SAFETY_MODEL);
    let known = record::known(&file, "bugs")?;
    let about = |row: &str| row.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let mut table = HEAD.to_owned();
    for bug in all {
        let mut rows = std::iter::once(row).chain(known.lines());
        if let Some(row) = rows.find(|row| about(row) == *bug) {
            table += &format!("{row}\n");
        }
    }
    record::between(&file, "bugs", &table)
}

/// What the table says that the simulation saw.
fn known_cells(root: &Path, bug: &Bug) -> anyhow::Result<String> {
    let known = record::known(&root.join(record::SAFETY_MODEL), "bugs")?;
    let mut rows = known
        .lines()
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1) == Some(&bug.about()));
    Ok(match row.as_deref() {
        Some([_, _, _, _, what, after, ..]) => format!("{what} | {after}"),
        _ => cells(&None),
    })
}

/// Which property, and after how much.
fn cells(catch: &Option<Catch>) -> String {
    catch.as_ref().map_or_else(
        || "– | ".to_owned(),
        |catch| format!("{} | {}", catch.what, catch.after),
    )
}

/// All bugs, by name.
fn bugs(root: &Path) -> anyhow::Result<Vec<Bug>> {
    let folder = root.join("model/bugs");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let patch = entry?.path();
        let name = patch
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if patch.extension().is_some_and(|ending| ending == "patch") {
            let text = std::fs::read_to_string(&patch)
                .with_context(|| format!("cannot read {}", patch.display()))?;
            found.push(Bug { name, patch, text });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Checks that every patch still applies.
///
/// # Errors
/// The first that does not.
pub(crate) fn check(root: &Path) -> anyhow::Result<usize> {
    let bugs = bugs(root)?;
    for bug in &bugs {
        apply(root, bug, &["--check"])?;
        ensure!(
            bug.about().ends_with('.'),
            "{}: it does not say what it is",
            bug.name
        );
    }
    Ok(bugs.len())
}

fn apply(tree: &Path, bug: &Bug, how: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("git")
        .current_dir(tree)
        // The copy lies within a repository that ignores it; without this, git would look there.
        .env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree))
        .arg("apply")
        .args(how)
        .arg(&bug.patch)
        .output()
        .context("cannot run git")?;
    ensure!(
        output.status.success(),
        "the patch {} does not apply: make it again\n{}",
        bug.name,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Makes `to` equal to `from`. What is equal already is left alone, so that cargo need not build it again.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let (source, name) = (
            entry.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?.path(),
            entry?.file_name(),
        );
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let copied = to.join(&name);
        if source.is_dir() {
            copy(&source, &copied)?;
            continue;
        }
        let wanted = std::fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
        if std::fs::read(&copied).ok().as_ref() != Some(&wanted) {
            std::fs::write(&copied, wanted).with_context(|| format!("cannot write {}", copied.display()))?;
        }
    }
    Ok(())
}

impl Bug {
    /// What it is, in a sentence.
    fn about(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// What it says for the model.
    fn configurations(&self) -> Vec<&str> {
        let head = self.text.lines().take_while(|line| !line.starts_with("--- "));
        head.filter_map(|line| line.strip_prefix(MODEL)?.strip_prefix(':'))
            .flat_map(str::split_whitespace)
            .collect()
    }
}

/// What the model and the simulation see.
fn ask(tree: &Path, bug: &Bug, only_model: bool) -> anyhow::Result<[Option<Catch>; 2]> {
    let by_model = ask_model(tree, &bug.configurations())?;
    let by_simulation = match only_model {
        true => None,
        false => ask_simulation(tree)?,
    };
    Ok([by_model, by_simulation])
}

/// Explores the configurations that the patch names, each as far as `cargo xtask ci` does.
fn ask_model(tree: &Path, configs: &[&str]) -> anyhow::Result<Option<Catch>> {
    if configs.is_empty() {
        return Ok(None);
    }
    let output = tree.with_file_name("build");
    let binaries = Binaries::build_into(tree, Some(&output), &["model"], Profile::Dev)?;
    for config in configs {
        let output = Command::new(binaries.path("model")?)
            .args([config, "--states", STATES])
            .output()
            .context("cannot run the model")?;
        if output.status.success() {
            continue;
        }
        let trace = String::from_utf8_lossy(&output.stdout).into_owned();
        let find = |before: &str| trace.lines().find_map(|line| line.trim().strip_prefix(before));
        let what = find("does not hold: ").map_or_else(
            || find("never seen: ").map(|what| format!("never seen: {what}")),
            |what| Some(what.to_owned()),
        );
        let what = what.with_context(|| format!("the model failed: {trace}"))?;
        let mut first = trace.lines().next().unwrap_or_default().split_whitespace();
        let states = first.nth(1).unwrap_or_default().to_owned();
        return Ok(Some(Catch {
            what,
            after: format!("{states} states of {config}"),
            trace,
        }));
    }
    Ok(None)
}

/// Plays seeds until a rule is broken.
fn ask_simulation(tree: &Path) -> anyhow::Result<Option<Catch>> {
    let output = tree.with_file_name("build");
    let binaries = Binaries::build_into(tree, Some(&output), &["simulation"], Profile::Sim)?;
    let output = Command::new(binaries.path("simulate")?)
        .args(["--seeds", &SEEDS.to_string()])
        .output()
        .context("cannot run the simulation")?;
    if output.status.success() {
        return Ok(None);
    }
    let trace = String::from_utf8_lossy(&output.stdout).into_owned();
    let broken = trace.lines().find_map(|line| line.strip_prefix("violation: "));
    let broken = broken.with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("the simulation failed ({}): {trace}{said}", output.status)
    })?;
    let seeds = trace.split_whitespace().next().unwrap_or_default();
    Ok(Some(Catch {
        what: broken.split_whitespace().next().unwrap_or_default().to_owned(),
        after: format!("{seeds} seeds"),
        trace,
    }))
}
