//! The command line: flags, what they mean together, and the exit code.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use election_core::{LeaseKey, Strategy};
use k8s_openapi::jiff::SignedDuration;

use crate::cluster::{Cluster, Error};
use crate::config::Source;
use crate::follow::{Followed, follow};
use crate::moment::Moment;
use crate::output::{Format, Printer};
use crate::survey::Survey;
use crate::table::Shape;
use crate::view::LeaseStatus;

/// Who leads, and why: the leases of coordinated elections.
#[derive(Debug, Parser)]
#[command(name = "kubectl leases", bin_name = "kubectl leases", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show coordinated leases: who holds each, since when, by which rule, and who else could.
    #[command(after_help = STATUS_HELP)]
    Status(Box<Status>),
}

const EXIT_CODES: &str = "Exit code: 0, also when there is nothing to show; 1 on errors and for wrong flags.";

const STATUS_HELP: &str = "\
Examples:
  # Every coordinated lease.
  kubectl leases status -A

  # One lease, each candidate with its reason.
  kubectl leases status -n kube-system sample-controller

  # A line for each change.
  kubectl leases status -A --watch

  # For machines.
  kubectl leases status -n kube-system -o json

States:
  Fresh      nobody ever held it
  Offered    to HOLDER, which has not accepted yet
  Held       by HOLDER
  Released   given back
  Blanked    somebody else removed the holder
  Missing    candidates name it, and it does not exist
and, after a comma, what is remarkable:
  Expired         nobody renewed it in time
  Nominated       a better candidate is named as successor
  Ending          the holder was asked to give way to it
  OrdinaryHolder  the holder takes no part in the election
  Unanswered      it was offered, and nobody accepted in time
  Stuck           no candidate could lead
  Unattended      one could, and no elector has acted for 30 s

VERSION is emulation/binary; CANDIDATES is live/all. RENEWED and Expired
compare a stamp of the holder with the Date of the server's answer, so they
are estimates: an elector goes by what it has seen itself. TOKEN (-o wide) is
an upper bound of the fencing token.

Exit code: 0, also when there is nothing to show; 1 on errors and for wrong
flags.";

#[derive(Debug, Args)]
struct Status {
    /// One lease, shown in full.
    #[arg(conflicts_with_all = ["all_namespaces", "selector"])]
    name: Option<String>,
    /// The namespace. [default: that of the context]
    #[arg(short, long)]
    namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only leader leases with these labels, for example app=demo.
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Go on, and print a lease again whenever something about it changes.
    #[arg(short, long)]
    watch: bool,
    /// Without the line of column names.
    #[arg(long)]
    no_headers: bool,
    /// The strategy of leases that ask for none, if your elector runs with another one than the default.
    #[arg(long, default_value_t)]
    strategy: Strategy,
    /// The kubeconfig file.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig file.
    #[arg(long)]
    context: Option<String>,
    /// The user to act as.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// The group to act as; may be repeated.
    #[arg(long = "as-group", value_name = "GROUP")]
    groups: Vec<String>,
    /// How long a request may take, for example 10s; 0 is without limit.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    request_timeout: Timeout,
}

/// A limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timeout(Option<Duration>);

fn timeout(text: &str) -> Result<Timeout, String> {
    if text == "0" {
        return Ok(Timeout(None));
    }
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    match parsed {
        Some(Duration::ZERO) => Ok(Timeout(None)),
        Some(limit) => Ok(Timeout(Some(limit))),
        None => Err("write a duration like 10s, or 0".to_owned()),
    }
}

/// Does what the command line says.
pub async fn run(
    args: impl IntoIterator<Item = OsString>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> ExitCode {
    let status = match Cli::try_parse_from(args) {
        Ok(Cli {
            command: Command::Status(status),
        }) => status,
        Err(refused) => return say(&refused, out, err),
    };
    match status.run(out, err).await {
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(err, &error),
        Ok(()) => ExitCode::SUCCESS,
    }
}

/// Says what went wrong.
pub fn complain(err: &mut impl Write, error: &impl Display) -> ExitCode {
    // Nothing is left to be said when stderr itself is gone.
    let _ = writeln!(err, "{error}");
    ExitCode::FAILURE
}

/// Help goes to where output goes; kubectl knows no other code for a wrong flag than 1.
fn say(refused: &clap::Error, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
    let text = refused.render();
    if refused.use_stderr() {
        let _ = write!(err, "{text}");
        return ExitCode::FAILURE;
    }
    let _ = write!(out, "{text}");
    ExitCode::SUCCESS
}

impl Status {
    async fn run(&self, out: &mut impl Write, err: &mut impl Write) -> Result<(), Error> {
        let source = Source {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            user: self.user.clone(),
            groups: self.groups.clone(),
        };
        let config = source.load().await?;
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let scope = (!self.all_namespaces).then_some(namespace.as_str());
        let cluster = Cluster::connect(config, scope, self.request_timeout.0)?;
        let shape = Shape {
            namespace: self.all_namespaces,
            headers: !self.no_headers,
            ..Shape::default()
        };
        let mut printer = Printer::new(self.output, self.name.is_some(), shape);
        let only = self.name.as_ref().map(|name| LeaseKey::new(&namespace, name));
        if self.watch {
            let followed = Followed {
                only,
                selector: self.selector.clone(),
                strategy: self.strategy,
            };
            return follow(&cluster, &followed, &mut printer, out, err).await;
        }
        let leases = cluster.leases().await?;
        let moment = Moment::of(cluster.clock.now(), &leases);
        let survey = Survey::new(&leases, moment, self.strategy);
        let statuses = match &only {
            Some(key) => vec![one(&survey, key)?],
            None => self.all(&survey, &cluster).await?,
        };
        for warning in survey.warnings() {
            writeln!(err, "Warning: {warning}")?;
        }
        if statuses.is_empty() && self.output.is_none_or(|format| format == Format::Wide) {
            let place = scope.map_or_else(
                || "any namespace".to_owned(),
                |namespace| format!("{namespace} namespace"),
            );
            writeln!(err, "No coordinated leases found in {place}.")?;
            return Ok(());
        }
        printer.print(out, statuses)?;
        Ok(())
    }

    async fn all(&self, survey: &Survey, cluster: &Cluster) -> Result<Vec<LeaseStatus>, Error> {
        let mut statuses = survey.coordinated();
        if let Some(selector) = &self.selector {
            let labelled = cluster.labelled(selector).await?;
            statuses.retain(|status| labelled.contains(&LeaseKey::new(&status.namespace, &status.name)));
        }
        Ok(statuses)
    }
}

/// The lease that was named.
fn one(survey: &Survey, key: &LeaseKey) -> Result<LeaseStatus, Error> {
    if let Some(leads) = survey.identity(key) {
        let leads = leads.iter().map(LeaseKey::name).collect::<Vec<_>>().join(", ");
        let leads = if leads.is_empty() {
            "nothing".to_owned()
        } else {
            leads
        };
        return Err(Error::IdentityLease {
            name: key.name().to_owned(),
            leads,
        });
    }
    survey.one(key).ok_or_else(|| Error::NotFound {
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
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
    fn a_timeout_is_written_as_for_kubectl() {
        assert_eq!(timeout("0"), Ok(Timeout(None)));
        assert_eq!(timeout("0s"), Ok(Timeout(None)));
        assert_eq!(timeout("1m"), Ok(Timeout(Some(Duration::from_secs(60)))));
        assert!(timeout("-1s").is_err() && timeout("soon").is_err());
    }
}
