//! The command line of `candidate`: flags, what they mean, and what is said about mistakes in them.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use candidate::{Candidate, Overrun};
use clap::{Args, Parser, Subcommand, ValueEnum};
use election_core::{LeaseKey, LeaseSeconds, Timing, Version};
use k8s_openapi::jiff::SignedDuration;

use crate::wrapper;

/// Run any program only while it leads an election.
#[derive(Debug, Parser)]
#[command(name = "candidate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stand for a lease, and run a program only while this candidate leads.
    #[command(after_help = RUN_HELP)]
    Run(Box<RunArgs>),
}

const RUN_HELP: &str = "\
Examples:
  # A program that runs on one replica at a time.
  candidate run --lease kube-system/backup --binary-version 1.4.2 -- \\
      /usr/bin/backup --all

  # A program that behaves as an older version; it must not elect by itself.
  candidate run --lease kube-system/kube-controller-manager --identity kcm-a \\
      --binary-version 1.30 --compatibility-version 1.29 -- \\
      kube-controller-manager --leader-elect=false

  # Without an elector: the lease goes to the first who takes it, as in
  # client-go, whose programs may stand for the same lease.
  candidate run --direct --lease kube-system/backup -- /usr/bin/backup --all

Environment of the program:
  ELECTION_LEASE     the leader lease, NAMESPACE/NAME
  ELECTION_IDENTITY  the identity of this candidate
  ELECTION_TERM      the term that it leads
  ELECTION_TOKEN     the fencing token, which rises from term to term

When its term ends, the program gets SIGTERM, and what still runs is killed
before another candidate can lead. SIGHUP, SIGUSR1 and SIGUSR2 are passed on.

Exit code: the program's own when it ended by itself (128 + the number of a
signal), 0 after SIGTERM or SIGINT to this command, 1 on errors, 2 for wrong
flags.";

/// What `candidate run` is told.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The leader lease to stand for.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) lease: LeaseKey,
    /// Take the lease without an elector, as client-go does; versions count for nothing then.
    #[arg(long)]
    direct: bool,
    /// With --direct: take a lease that is missing at the start for one that nobody holds, instead of waiting one lease
    /// duration.
    #[arg(long, requires = "direct")]
    assume_unheld: bool,
    /// What the program is.
    #[arg(long, value_name = "VERSION", required_unless_present = "direct")]
    pub(crate) binary_version: Option<Version>,
    /// What the program behaves as. [default: the binary version]
    #[arg(long, value_name = "VERSION", requires = "binary_version")]
    pub(crate) compatibility_version: Option<Version>,
    /// Who this is: the name of the identity lease, unique in the namespace. [default: $POD_NAME, else host name and a fresh suffix]
    #[arg(long)]
    pub(crate) identity: Option<String>,
    /// When the program is started again.
    #[arg(long, value_enum, default_value_t = Restart::Lead)]
    pub(crate) restart: Restart,
    /// The kubeconfig file. [default: $KUBECONFIG, ~/.kube/config, or the cluster that this runs in]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig file.
    #[arg(long)]
    context: Option<String>,
    /// The form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(flatten)]
    knobs: Knobs,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

/// When the program is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restart {
    /// Whenever this candidate leads again; when the program ends by itself, so does this command.
    Lead,
    /// Also after the program ended by itself: the lease is given back, and the candidate stands again after a pause.
    Always,
    /// Never: this command ends with the first term.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The timing knobs; what is not given follows from the lease duration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Timing")]
struct Knobs {
    /// How long the lease is good for after a renewal, in whole seconds.
    #[arg(long, default_value = "15s", value_parser = whole_seconds)]
    lease_duration: LeaseSeconds,
    /// How long after sending its last successful renewal this candidate may act. [default: 4/5 of the lease duration]
    #[arg(long, value_parser = duration)]
    renew_deadline: Option<Duration>,
    /// How often the lease is renewed. [default: a third of the renew deadline]
    #[arg(long, value_parser = duration)]
    renew_interval: Option<Duration>,
    /// How soon a failed request is tried again. [default: a twelfth of the renew deadline]
    #[arg(long, value_parser = duration)]
    retry_period: Option<Duration>,
    /// What the program gets to stop before its deadline. [default: a twelfth of the renew deadline]
    #[arg(long, value_parser = duration)]
    stop_grace: Option<Duration>,
}

impl Knobs {
    fn timing(&self) -> Timing {
        let mut timing = Timing::for_lease_duration(self.lease_duration);
        if let Some(value) = self.renew_deadline {
            timing = timing.with_renew_deadline(value);
        }
        if let Some(value) = self.renew_interval {
            timing = timing.with_renew_interval(value);
        }
        if let Some(value) = self.retry_period {
            timing = timing.with_retry_period(value);
        }
        if let Some(value) = self.stop_grace {
            timing = timing.with_stop_grace(value);
        }
        timing
    }
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let Command::Run(args) = Cli::parse().command;
    start_log(args.log_format);
    end_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(stand(*args));
    // A credential plugin that hangs holds a thread of the runtime, and must not hold this process.
    runtime.shutdown_background();
    result
}

/// Invariant: S1. Unwinding would give the lease back while the program is still being killed; when this process is gone, its
/// keeper kills the program, and the lease expires.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}

async fn stand(args: RunArgs) -> anyhow::Result<ExitCode> {
    wrapper::check(&args)?;
    let mut signals = wrapper::Signals::listen().context("cannot listen for signals")?;
    let candidate = tokio::select! {
        candidate = join(&args) => candidate?,
        () = signals.end() => return Ok(ExitCode::SUCCESS),
    };
    tracing::info!(
        lease = %candidate.lease(), identity = %candidate.identity(), "candidate; {}", args.knobs.timing().guarantees()
    );
    wrapper::run(candidate, &args, signals).await
}

async fn join(args: &RunArgs) -> anyhow::Result<Candidate> {
    let config = candidate::client::load(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    // This may run a credential plugin, for as long as that takes.
    let client = tokio::task::spawn_blocking(move || candidate::client::lease_client(config));
    let client = client
        .await?
        .context("cannot make a client from the kubeconfig")?;
    let mut builder = Candidate::builder(client, args.lease.clone())
        .timing(args.knobs.timing())
        // The keeper stops the program at its deadline, also when this process is stopped.
        .overrun(Overrun::Report);
    if args.direct && args.knobs.lease_duration < SHARED_WITH_CLIENT_GO {
        tracing::warn!(
            lease = %args.lease,
            "a lease duration of {} is too short to share this lease with client-go programs, which tell renewals apart by whole \
             seconds: use at least {SHARED_WITH_CLIENT_GO}, or no such program beside this one",
            args.knobs.lease_duration,
        );
    }
    builder = match (args.direct, args.assume_unheld) {
        (false, _) => builder,
        (true, false) => builder.direct(),
        (true, true) => builder.direct_assuming_unheld(),
    };
    if let Some(version) = &args.binary_version {
        builder = builder.binary_version(version.clone());
    }
    if let Some(version) = &args.compatibility_version {
        builder = builder.emulation_version(version.clone());
    }
    if let Some(identity) = &args.identity {
        builder = builder.identity(identity.as_str());
    }
    Ok(builder.join().await?)
}

/// Client-go may take a lease two seconds early (docs/protocol.md, "Direct mode"), and a leader stops at 4/5 of its duration.
const SHARED_WITH_CLIENT_GO: LeaseSeconds = LeaseSeconds::new(10).unwrap();

/// Says on stderr what went wrong, with its causes, on one line.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many an error says its cause itself.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    // Nothing is left to be said when stderr itself is gone.
    let _ = writeln!(std::io::stderr(), "error: {text}");
}

fn start_log(format: LogFormat) {
    // What fails is told once, by whoever made the request; kube would tell each attempt, without saying of what.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("info,kube=warn,kube_client::client::builder=off")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would panic when nobody reads stderr any more.
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is no duration: write it like 500ms or 4s"))?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))
}

fn whole_seconds(text: &str) -> Result<LeaseSeconds, String> {
    let duration = duration(text)?;
    let whole = (duration.subsec_nanos() == 0)
        .then(|| u32::try_from(duration.as_secs()).ok())
        .flatten();
    whole.and_then(LeaseSeconds::new).ok_or_else(|| {
        format!("{text:?} is not a positive number of whole seconds: the field of a lease holds no other")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(whole_seconds("3s"), Ok(LeaseSeconds::new(3).expect("positive")));
        for bad in ["", "3", "-3s", "0s", "1500ms", "soon"] {
            assert!(whole_seconds(bad).is_err(), "{bad:?} should be refused");
        }
    }
}
