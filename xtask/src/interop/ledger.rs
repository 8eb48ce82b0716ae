//! The file into which everybody writes who works: one line for each act, with who and when.
//!
//! Each writer appends whole lines, so their order is the order in which they were written.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::bench::candidate::boottime;
use crate::shell;

/// How often a worker writes.
const PACE: Duration = Duration::from_millis(5);

/// What the worker is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct InteropWorkerArgs {
    ledger: PathBuf,
}

/// `cargo xtask interop-worker`, hidden: the program that runs under `candidate run`. It writes until it is ended.
pub(crate) fn work(args: &InteropWorkerArgs) -> anyhow::Result<()> {
    let identity = std::env::var("ELECTION_IDENTITY").context("no ELECTION_IDENTITY in the environment")?;
    let mut file = OpenOptions::new().create(true).append(true).open(&args.ledger)?;
    loop {
        file.write_all(format!("{identity} {}\n", boottime()).as_bytes())?;
        shell::block(PACE);
    }
}

/// A time in which one of them wrote, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) identity: String,
    /// In nanoseconds of `CLOCK_BOOTTIME`.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) acts: usize,
}

/// All stretches, in the order of the file. Who writes again after another has written begins a new one.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Stretch>> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("cannot read {}", file.display()))?,
    };
    let mut stretches: Vec<Stretch> = Vec::new();
    // A last line without its end is being written.
    for line in text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
    {
        let (identity, at) = line
            .split_once(' ')
            .with_context(|| format!("no act: {line:?}"))?;
        let at = at.parse().with_context(|| format!("no time: {line:?}"))?;
        match stretches.last_mut() {
            Some(stretch) if stretch.identity == identity => {
                stretch.last = at;
                stretch.acts += 1;
            }
            _ => stretches.push(Stretch {
                identity: identity.to_owned(),
                first: at,
                last: at,
                acts: 1,
            }),
        }
    }
    Ok(stretches)
}

/// That each leader wrote in one stretch, in this order, and none before the one before it had ended.
pub(super) fn check(stretches: &[Stretch], leaders: &[String]) -> anyhow::Result<()> {
    let wrote: Vec<&String> = stretches.iter().map(|stretch| &stretch.identity).collect();
    ensure!(
        wrote.iter().copied().eq(leaders),
        "two wrote at once, or somebody who should not: {wrote:?} instead of {leaders:?}"
    );
    for pair in stretches.windows(2) {
        ensure!(pair[0].last < pair[1].first, "two wrote at once: {pair:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Vec<Stretch> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger");
        std::fs::write(&file, text).unwrap();
        read(&file).unwrap()
    }

    fn leaders(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_after_the_other_is_in_order() {
        let stretches = read_text("alpha 1\nalpha 2\nbravo 3\nbravo 4\nbra");
        assert_eq!((stretches[0].acts, stretches[1].acts), (2, 2));
        check(&stretches, &leaders(&["alpha", "bravo"])).unwrap();
    }

    #[test]
    fn whoever_writes_beside_another_is_found() {
        let both = read_text("alpha 1\nbravo 2\nalpha 3\nbravo 4\n");
        assert!(check(&both, &leaders(&["alpha", "bravo"])).is_err());
        let earlier = read_text("alpha 3\nbravo 2\n");
        assert!(check(&earlier, &leaders(&["alpha", "bravo"])).is_err());
        assert!(check(&read_text("alpha 1\n"), &leaders(&["bravo"])).is_err());
    }
}
