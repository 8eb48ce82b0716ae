//! `kubectl leases status`: a line for each lease, or one lease in full.

use std::io::Write;

use clap::Args;
use clap::builder::PossibleValuesParser;
use election_core::{LeaseKey, Strategy};

use crate::choice::{Choice, Order, words};
use crate::cli::{Found, Terminal};
use crate::cluster::{Cluster, Error};
use crate::connection::{Connection, Place, lease_name};
use crate::follow::{Followed, follow};
use crate::moment::Moment;
use crate::output::{Format, Printer};
use crate::survey::Survey;
use crate::table::Shape;
use crate::view::LeaseStatus;
use crate::words::plain;

const STATUS_HELP: &str = "\
Examples:
  # Every coordinated lease.
  kubectl leases status -A

  # One lease, each candidate with its reason.
  kubectl leases status -n kube-system sample-controller

  # What somebody should do something about, the worst first, as far as one look
  # shows it. `kubectl leases doctor` looks longer, and at more than leases.
  kubectl leases status -A --problems --sort-by state

  # A live table on a terminal, else a line for each change.
  kubectl leases status -A --watch

  # For machines.
  kubectl leases status -n kube-system -o json
  kubectl leases status -A -o custom-columns=NAME:.metadata.name,LEADER:.holder
  kubectl leases status -A -o jsonpath='{.items[*].holder}'

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
  Overdue         it was asked to longer ago than its lease lasts, and renews
  OnHold          somebody asked that nobody takes the lease from its holder
  Pinned          somebody asked for one candidate to lead whenever it can
  SteppingDown    somebody asked the holder to lead only if nobody else can
  OrdinaryHolder  the holder takes no part in the election
  Unanswered      it was offered, and nobody accepted in time
  Stuck           no candidate could lead
  Unattended      one could, and no elector has acted for 30 s
  NotCoordinated  a program elects its leader by itself (with --all)

VERSION is emulation/binary; CANDIDATES is live/all. RENEWED and Expired
compare a stamp of the holder with the Date of the server's answer, so they
are estimates: an elector goes by what it has seen itself. TOKEN (-o wide) is
an upper bound of the fencing token.

Exit code: 0, also when there is nothing to show; 1 on errors and for wrong
flags; 2 when --problems has found some.";

/// Show coordinated leases: who holds each, since when, by which rule, and who else could.
#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct Status {
    /// One lease, shown in full.
    #[arg(conflicts_with_all = ["all_namespaces", "selector"], value_parser = lease_name)]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Only leader leases with these labels, for example app=demo.
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Also leases of programs that elect their leader by themselves.
    #[arg(long)]
    all: bool,
    /// Only those that somebody should do something about.
    #[arg(long)]
    problems: bool,
    /// Only those in this state, or of which this is remarkable, for example Held or Expired; may be repeated.
    #[arg(long, value_name = "STATE", value_delimiter = ',', ignore_case = true,
        value_parser = PossibleValuesParser::new(words()), hide_possible_values = true)]
    state: Vec<String>,
    /// The order.
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t)]
    sort_by: Order,
    /// The form of the output: wide, json, yaml, name, custom-columns=NAME:.path,…, jsonpath=TEMPLATE or go-template=TEMPLATE;
    /// the last three also from a file (custom-columns-file=, jsonpath-file=, go-template-file=), and jsonpath-as-json=TEMPLATE.
    #[arg(short, long, value_name = "FORMAT")]
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
    #[command(flatten)]
    connection: Connection,
}

impl Status {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        let session = self.connection.open(&self.place).await?;
        let cluster = &session.cluster;
        let shape = Shape {
            namespace: self.place.all_namespaces,
            headers: !self.no_headers,
            color: terminal.color,
            ..Shape::default()
        };
        let choice = Choice {
            all: self.all,
            problems: self.problems,
            states: self.state.clone(),
            order: self.sort_by,
        };
        let mut printer = Printer::new(self.output.clone(), self.name.is_some(), shape);
        let only = self
            .name
            .as_ref()
            .map(|name| LeaseKey::new(&session.namespace, name));
        if self.watch {
            let followed = Followed {
                only,
                selector: self.selector.clone(),
                strategy: self.strategy,
                choice,
                live: terminal.live && printer.is_table(),
            };
            return follow(cluster, &followed, &mut printer, out, err)
                .await
                .map(|()| Found::Answer);
        }
        let leases = cluster.leases().await?;
        let moment = Moment::of(cluster.clock.now(), &leases);
        let survey = Survey::new(&leases, moment, self.strategy);
        let statuses = match &only {
            Some(key) => vec![survey.must_know(key)?],
            None => self.chosen(&choice, &survey, cluster).await?,
        };
        for warning in survey.warnings() {
            writeln!(err, "Warning: {}", plain(&warning))?;
        }
        if statuses.is_empty() && Format::is_table(self.output.as_ref()) {
            let what = match (self.problems, self.all) {
                (true, _) => "problems",
                (false, true) => "leases",
                (false, false) => "coordinated leases",
            };
            writeln!(err, "No {what} found in {}.", session.place())?;
            return Ok(Found::Answer);
        }
        let found = match self.problems && statuses.iter().any(LeaseStatus::is_problem) {
            true => Found::Problems,
            false => Found::Answer,
        };
        printer.print(out, statuses)?;
        Ok(found)
    }

    async fn chosen(
        &self,
        choice: &Choice,
        survey: &Survey,
        cluster: &Cluster,
    ) -> Result<Vec<LeaseStatus>, Error> {
        let mut statuses = choice.of(survey);
        if let Some(selector) = &self.selector {
            let labelled = cluster.labelled(selector).await?;
            statuses.retain(|status| labelled.contains(&LeaseKey::new(&status.namespace, &status.name)));
        }
        Ok(statuses)
    }
}
