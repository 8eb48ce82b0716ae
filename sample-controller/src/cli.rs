//! The program: it joins the election, works while it leads, and says why it ends.
//!
//! The flags are in `flags.rs`, the work of a term in `work.rs`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use candidate::Candidate;

use crate::flags::{Flags, LogFormat};
use crate::work;

/// Stands for the lease until a signal ends the program.
///
/// # Errors
/// What is wrong with the flags, the kubeconfig or the permissions of this program, or that another process has taken its
/// identity over. An API server that is down is no error: it is waited for.
pub async fn run(flags: &Flags) -> anyhow::Result<()> {
    let lease = flags.leader_lease()?;
    let timing = flags.knobs.timing();
    let termination = candidate::termination();
    let config = candidate::client::load(flags.kubeconfig.as_deref(), flags.context.as_deref()).await?;
    let work_client =
        kube::Client::try_from(config.clone()).context("cannot make a client from the kubeconfig")?;
    let client =
        candidate::client::lease_client(config).context("cannot make a client from the kubeconfig")?;
    let mut candidate = Candidate::builder(client, lease)
        .identity(flags.identity.as_str())
        .binary_version(flags.binary_version.clone())
        .emulation_version(flags.emulation_version().clone())
        .timing(timing)
        // With its own connections, so that no renewal waits behind the work.
        .work_client(work_client)
        .shutdown_on(termination)
        .join()
        .await?;
    tracing::info!(
        identity = %candidate.identity(),
        lease = %candidate.lease(),
        binary_version = %flags.binary_version,
        compatibility_version = %flags.emulation_version(),
        "candidate; {}",
        timing.guarantees()
    );
    // Half of the grace, so that the lease can be given back in the other half.
    let stop_grace = timing.term(timing.lease_duration()).stop_grace / 2;
    while let Some(leadership) = candidate.lead().await? {
        work::term(leadership, stop_grace).await;
    }
    tracing::info!(identity = %flags.identity, "ended: this process was asked to stop");
    Ok(())
}

/// Sends the log to stderr.
pub fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,kube=error"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would panic when nobody reads stderr any more.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Says on stderr what went wrong, with its causes, on one line.
#[must_use]
pub fn complain(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to be said when stderr itself is gone.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}
