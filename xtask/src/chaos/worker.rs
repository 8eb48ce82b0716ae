//! `cargo xtask chaos-worker`, hidden: the program that runs under `candidate run`. It acts all the time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use election_core::{FencingToken, Revision};

use super::ledger::{Ledger, Verdict};
use crate::shell;

/// How often it acts.
const PACE: Duration = Duration::from_millis(5);

/// What the worker is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChaosWorkerArgs {
    ledger: PathBuf,
}

/// Acts until it is ended, or refused.
pub(crate) fn run(args: &ChaosWorkerArgs) -> anyhow::Result<()> {
    let told = |name: &str| std::env::var(name).with_context(|| format!("no {name} in the environment"));
    let identity = told("ELECTION_IDENTITY")?;
    let token = FencingToken::new(Revision::new(&told("ELECTION_TOKEN")?));
    let ledger = Ledger::new(args.ledger.clone());
    loop {
        if ledger.act(&identity, &token)? == Verdict::Refused {
            bail!("token {token} is not the newest");
        }
        shell::block(PACE);
    }
}
