//! The command line of `election-controller`: flags, what they mean, and what is said about mistakes in them.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context;
use candidate::client;
use candidate::clock::{BootClock, Clock, SharedClock};
use clap::{ArgAction, Parser, ValueEnum};
use election_controller::{LeaderElection, Options, Report, act_once, run, survey};
use election_core::elector::Rules;
use election_core::{ELECTORS_LEASE, ElectorTiming, LeaseKey, LeaseSeconds, Strategy, Timing};
use k8s_openapi::jiff::SignedDuration;
use tracing_subscriber::EnvFilter;

const HELP: &str = "\
Examples:
  election-controller                             elect in all namespaces
  election-controller --namespace a --namespace b elect in two
  election-controller --once --dry-run            what would be decided, and why
  election-controller --once --dry-run -o json    the same for machines
  election-controller --assume-unheld             first installation: no leader
                                                  can be left from before

Run two or more: one acts, the others observe and take over. Replicas need the
same --namespace and the same lease of their own.

It needs get, list, watch, create and update on leases (coordination.k8s.io),
also where the electors' own lease is, delete to collect dead candidates, and
create and patch on events (events.k8s.io). RUST_LOG chooses the level of the
log, for example debug.

Exit code: 0 after SIGTERM or SIGINT, and after a --once that could do all that
it decided; 1 on errors; 2 for wrong flags.";

/// Gives each leader lease to its best candidate.
#[derive(Debug, Parser)]
#[command(name = "election-controller", version, after_help = HELP)]
struct Cli {
    /// The kubeconfig file. [default: $KUBECONFIG, ~/.kube/config, or the cluster that this runs in]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig file.
    #[arg(long)]
    context: Option<String>,
    /// A namespace to elect in; repeat it for more. [default: all]
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,
    /// Look once, decide, and end.
    #[arg(long)]
    once: bool,
    /// Change nothing: say what would be decided, and why.
    #[arg(long, requires = "once")]
    dry_run: bool,
    /// The form of what --once prints.
    #[arg(short, long, value_enum, default_value_t = Form::Text, requires = "once")]
    output: Form,
    /// Take a lease that is missing at the start for one that nobody holds, instead of waiting one lease duration.
    #[arg(long)]
    assume_unheld: bool,
    /// The form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(flatten)]
    knobs: Knobs,
    #[command(flatten)]
    replicas: Replicas,
}

/// The flags of Kubernetes' components.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Replicas")]
struct Replicas {
    /// Act only in turn, so that replicas can stand by. [default: true]
    #[arg(
        long, value_name = "BOOL", default_value_t = true, hide_default_value = true, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true
    )]
    leader_elect: bool,
    /// How long a replica that is silent keeps its turn, in whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = lease_seconds)]
    leader_elect_lease_duration: LeaseSeconds,
    /// How long after its last successful renewal a replica may act. [default: 4/5 of the lease duration]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    leader_elect_renew_deadline: Option<Duration>,
    /// How soon a failed request is tried again. [default: 1/15 of the lease duration]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    leader_elect_retry_period: Option<Duration>,
    /// The name of the electors' own lease.
    #[arg(long, value_name = "NAME", default_value = ELECTORS_LEASE.1)]
    leader_elect_resource_name: String,
    /// The namespace of the electors' own lease. [default: the first of --namespace, else kube-system]
    #[arg(long, value_name = "NAME")]
    leader_elect_resource_namespace: Option<String>,
}

impl Replicas {
    fn leader_election(&self, namespaces: &[String]) -> Option<LeaderElection> {
        let mut timing = Timing::for_lease_duration(self.leader_elect_lease_duration);
        if let Some(value) = self.leader_elect_renew_deadline {
            timing = timing.with_renew_deadline(value).with_renew_interval(value / 3);
        }
        if let Some(value) = self.leader_elect_retry_period {
            timing = timing.with_retry_period(value);
        }
        // Who elects in some namespaces need not have permissions in another one, nor wait for those who elect elsewhere.
        let namespace = self.leader_elect_resource_namespace.as_ref();
        let namespace = namespace.or(namespaces.iter().min());
        let election = LeaderElection {
            lease: LeaseKey::new(
                namespace.map_or(ELECTORS_LEASE.0, String::as_str),
                &self.leader_elect_resource_name,
            ),
            timing,
            ..LeaderElection::default()
        };
        self.leader_elect.then_some(election)
    }
}

#[derive(Debug, clap::Args)]
struct Knobs {
    /// The strategy of a lease that asks for none.
    #[arg(long, value_name = "NAME", default_value_t = Strategy::default(), help_heading = "Rules")]
    strategy: Strategy,
    /// How long a leader counts as alive after a renewal, in whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = lease_seconds, help_heading = "Rules")]
    lease_duration: LeaseSeconds,
    /// How long the first offer to a candidate stands; doubles with each further one, up to 16 times.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = "Rules")]
    accept_window: Duration,
    /// How long a missing lease waits for more candidates after its first one.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration, help_heading = "Rules")]
    settle_window: Duration,
    /// How long no leader is preempted after a preemption failed; doubles with each further one.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration, help_heading = "Rules")]
    back_off: Duration,
    /// The longest back-off.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration, help_heading = "Rules")]
    back_off_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Yaml,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

pub(crate) async fn main(open_requests: Arc<AtomicUsize>) -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.log_format);
    match elect(cli, open_requests).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last line of a process belongs to whoever started it, whatever the form of the log.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn elect(cli: Cli, open_requests: Arc<AtomicUsize>) -> anyhow::Result<()> {
    // The signals count from the first moment, not from the first connection.
    let shutdown = candidate::termination();
    let options = Options {
        open_requests,
        ..cli.options()
    }
    .validated()?;
    let config = client::load(cli.kubeconfig.as_deref(), cli.context.as_deref()).await?;
    let server = config.cluster_url.to_string();
    let client =
        client::lease_client(config).with_context(|| format!("no client for {server} can be made"))?;
    let clock: SharedClock = Arc::new(BootClock::new());
    if !cli.once {
        tracing::info!(server, "electing");
        run(client, options, clock, shutdown).await?;
        tracing::info!("asked to end: done");
        return Ok(());
    }
    let look = async {
        match cli.dry_run {
            true => survey(client, options, clock).await,
            false => act_once(client, options, clock).await,
        }
    };
    let report = tokio::select! {
        report = look => report.with_context(|| format!("nothing could be decided with {server}"))?,
        () = shutdown => anyhow::bail!("asked to end before everything was looked at"),
    };
    print(&report, cli.output)?;
    anyhow::ensure!(
        report.is_done(),
        "not everything that was decided could be done: see the outcomes"
    );
    Ok(())
}

impl Cli {
    fn options(&self) -> Options {
        let knobs = &self.knobs;
        let timing = ElectorTiming {
            lease_duration: knobs.lease_duration,
            accept_window: knobs.accept_window,
            accept_window_max: knobs.accept_window.saturating_mul(16),
            settle_window: knobs.settle_window,
            back_off: knobs.back_off,
            back_off_max: knobs.back_off_max,
        };
        let defaults = Options::default();
        let instance = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
        Options {
            namespaces: self.namespace.clone(),
            rules: Rules {
                timing,
                strategy: knobs.strategy,
            },
            assume_unheld: self.assume_unheld,
            // Not the number of the process, which is the same in every container.
            seed: BootClock::new().now().as_nanos(),
            instance: instance.unwrap_or(defaults.instance),
            leader_election: self.replicas.leader_election(&self.namespace),
            ..Options::default()
        }
    }
}

fn print(report: &Report, form: Form) -> anyhow::Result<()> {
    let text = match form {
        Form::Text => report.to_string(),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
        Form::Yaml => serde_yaml::to_string(report)?,
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("the report cannot be written to stdout")
}

fn start_log(format: LogFormat) {
    // The client's own errors come back to whoever sent the request, who says more about them.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube=off"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would panic when nobody reads stderr any more.
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let refuse = |why: String| format!("{why}; write it like 500ms, 15s or 2m");
    let signed: SignedDuration = text.parse().map_err(|error| refuse(format!("{error}")))?;
    let duration = Duration::try_from(signed).map_err(|_| refuse("it is negative".to_owned()))?;
    if duration.is_zero() {
        Err(refuse("it is zero".to_owned()))
    } else {
        Ok(duration)
    }
}

fn lease_seconds(text: &str) -> Result<LeaseSeconds, String> {
    let refuse = || "it must be whole seconds, at least one, like 15s".to_owned();
    let duration = duration(text)?;
    let seconds = u32::try_from(duration.as_secs())
        .ok()
        .filter(|_| duration.subsec_nanos() == 0);
    seconds.and_then(LeaseSeconds::new).ok_or_else(refuse)
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
        assert_eq!(lease_seconds("2m"), Ok(LeaseSeconds::new(120).expect("positive")));
        for bad in ["", "3", "-3s", "0s", "1500ms", "soon"] {
            assert!(lease_seconds(bad).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn flags_and_the_library_have_the_same_defaults() {
        let options = Cli::parse_from(["election-controller"]).options();
        assert_eq!(options.rules, Rules::default());
        let (election, default) = (options.leader_election.unwrap(), LeaderElection::default());
        assert_eq!((election.lease, election.timing), (default.lease, default.timing));
    }

    #[test]
    fn replicas_are_told_as_kubernetes_components_are() {
        let election = |args: &[&str]| {
            let args = ["election-controller"].iter().chain(args).copied();
            Cli::parse_from(args).options().leader_election
        };
        for on in [&[][..], &["--leader-elect"], &["--leader-elect=true"]] {
            assert!(election(on).is_some(), "{on:?}");
        }
        assert!(election(&["--leader-elect=false"]).is_none());
        let lease = |args: &[&str]| election(args).unwrap().lease.to_string();
        assert_eq!(lease(&[]), "kube-system/coordinated-election-controller");
        assert_eq!(
            lease(&["--namespace", "b", "--namespace", "a"]),
            "a/coordinated-election-controller"
        );
        let other = [
            "--leader-elect-resource-namespace=c",
            "--leader-elect-resource-name=d",
        ];
        assert_eq!(lease(&other), "c/d");
        let short = election(&[
            "--leader-elect-lease-duration=5s",
            "--leader-elect-renew-deadline=3s",
        ]);
        let timing = short.unwrap().timing;
        assert_eq!(timing.renew_interval(), Duration::from_secs(1));
        assert!(timing.validated().is_ok());
    }
}
