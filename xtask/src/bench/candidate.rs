//! `cargo xtask bench-candidate`, hidden: a candidate that works as little as possible and says when its work begins and
//! has stopped, by the clock that all processes of a machine share.

#![expect(clippy::print_stdout, reason = "what it says is read by the benchmark")]

use std::path::PathBuf;

use anyhow::Context;
use candidate::Candidate;
use candidate::clock::{BootClock, Clock};
use clap::Args;
use election_core::{LeaseKey, Version};
use serde::{Deserialize, Serialize};

/// What the benchmark tells its candidates.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchCandidateArgs {
    #[arg(long)]
    kubeconfig: PathBuf,
    #[arg(long)]
    namespace: String,
    #[arg(long)]
    lease: String,
    #[arg(long)]
    identity: String,
    #[arg(long)]
    direct: bool,
    #[arg(long, required_unless_present = "direct")]
    binary_version: Option<Version>,
    #[arg(long, required_unless_present = "direct")]
    emulation_version: Option<Version>,
}

/// What a candidate of any system says on a line of its output; the peers under `bench/peers` say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) event: What,
    /// `CLOCK_BOOTTIME`, in nanoseconds.
    #[serde(rename = "boottime_ns")]
    pub(crate) boottime: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// It stands for the lease.
    Started,
    /// Its work begins.
    Leads,
    /// Its work has stopped; the lease is given back after this.
    Stopped,
}

/// This moment, in nanoseconds since the machine was started.
pub(crate) fn boottime() -> u64 {
    BootClock::new().now().as_nanos()
}

/// Stands for the lease until SIGTERM.
pub(crate) async fn run(args: BenchCandidateArgs) -> anyhow::Result<()> {
    let config = candidate::client::load(Some(&args.kubeconfig), None).await?;
    let client = candidate::client::lease_client(config).context("cannot make a client")?;
    let mut builder = Candidate::builder(client, LeaseKey::new(&args.namespace, &args.lease))
        .identity(args.identity)
        .shutdown_on(candidate::termination());
    if args.direct {
        builder = builder.direct();
    }
    if let Some(version) = args.binary_version {
        builder = builder.binary_version(version);
    }
    if let Some(version) = args.emulation_version {
        builder = builder.emulation_version(version);
    }
    let mut candidate = builder.join().await?;
    say(What::Started)?;
    while let Some(leadership) = candidate.lead().await? {
        say(What::Leads)?;
        leadership.ended().await;
        say(What::Stopped)?;
    }
    Ok(())
}

fn say(event: What) -> anyhow::Result<()> {
    println!(
        "{}",
        serde_json::to_string(&Said {
            event,
            boottime: boottime()
        })?
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_candidate_says_is_read_by_the_benchmark() {
        let said = Said {
            event: What::Leads,
            boottime: 4_711,
        };
        let line = serde_json::to_string(&said).unwrap();
        assert_eq!(line, r#"{"event":"leads","boottime_ns":4711}"#);
        assert_eq!(serde_json::from_str::<Said>(&line).unwrap(), said);
    }
}
