//! `kubectl leases candidates`: who offers itself for what, and where it stands.

use std::io::{self, Write};

use clap::Args;
use election_core::{LeaseKey, Strategy};

use crate::cli::Found;
use crate::cluster::Error;
use crate::connection::{Connection, Place, lease_name};
use crate::moment::Moment;
use crate::output::{Format, listed};
use crate::survey::Survey;
use crate::table::{columns, seconds_in_words};
use crate::view::{CandidateList, CandidateRow};

const HELP: &str = "\
Examples:
  # Every candidate of every lease.
  kubectl leases candidates -A

  # Those of one lease, the best first.
  kubectl leases candidates -n kube-system sample-controller

  # Those that cannot be elected.
  kubectl leases candidates -A --problems

VERSION is emulation/binary. RANK counts those that could lead; a candidate
without rank is silent or refused, and STANDING says why.

Exit code: 0, also when there is nothing to show; 1 on errors; 2 when
--problems has found some.";

/// Show who offers itself for which lease, the best first, and where each one stands.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Candidates {
    /// Only those of this lease.
    #[arg(value_name = "LEASE", conflicts_with = "all_namespaces", value_parser = lease_name)]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Only those that cannot be elected.
    #[arg(long)]
    problems: bool,
    /// The form of the output.
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    /// Without the line of column names.
    #[arg(long)]
    no_headers: bool,
    /// The strategy of leases that ask for none, if your elector runs with another one than the default.
    #[arg(long, default_value_t)]
    strategy: Strategy,
    #[command(flatten)]
    connection: Connection,
}

impl Candidates {
    pub(crate) async fn run(&self, out: &mut impl Write, err: &mut impl Write) -> Result<Found, Error> {
        let session = self.connection.open(&self.place).await?;
        let leases = session.cluster.leases().await?;
        let moment = Moment::of(session.cluster.clock.now(), &leases);
        let survey = Survey::new(&leases, moment, self.strategy);
        let statuses = match &self.name {
            Some(name) => vec![survey.must_know(&LeaseKey::new(&session.namespace, name))?],
            None => survey.coordinated(),
        };
        let mut rows: Vec<_> = statuses.iter().flat_map(CandidateRow::of).collect();
        if self.problems {
            rows.retain(|row| !row.candidate.live);
        }
        let found = match self.problems && !rows.is_empty() {
            true => Found::Problems,
            false => Found::Answer,
        };
        if rows.is_empty() && Format::is_table(self.output.as_ref()) {
            let what = if self.problems {
                "candidates with problems"
            } else {
                "candidates"
            };
            writeln!(err, "No {what} found in {}.", session.place())?;
            return Ok(found);
        }
        self.print(out, rows)?;
        Ok(found)
    }

    fn print(&self, out: &mut impl Write, rows: Vec<CandidateRow>) -> io::Result<()> {
        let (list, headers) = (CandidateList::new(rows), !self.no_headers);
        let format = self.output.as_ref();
        let name = |row: &CandidateRow| row.candidate.identity.clone();
        if listed(out, format, headers, &list, &list.items, name)? {
            return Ok(());
        }
        let wide = format == Some(&Format::Wide);
        table(out, &list.items, self.place.all_namespaces, headers, wide)
    }
}

/// The table. `wide` says since when each one was not heard of, and what made it.
pub(crate) fn table(
    out: &mut impl Write,
    rows: &[CandidateRow],
    namespace: bool,
    headers: bool,
    wide: bool,
) -> io::Result<()> {
    let head = [
        "NAMESPACE",
        "LEASE",
        "RANK",
        "IDENTITY",
        "VERSION",
        "RENEWED",
        "KIND",
        "STANDING",
    ];
    let row = |row: &CandidateRow| {
        let candidate = &row.candidate;
        let version = candidate
            .versions
            .as_ref()
            .map(|pair| format!("{}/{}", pair.emulation, pair.binary));
        let renewed = candidate.renewed_seconds_ago.map(seconds_in_words);
        let unknown = || "<unknown>".to_owned();
        [
            row.namespace.clone(),
            row.lease.clone(),
            row.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
            candidate.identity.clone(),
            version.unwrap_or_else(unknown),
            renewed.unwrap_or_else(|| "<none>".to_owned()),
            if candidate.hand_written {
                "hand-written"
            } else {
                "process"
            }
            .to_owned(),
            candidate.standing.message.clone(),
        ]
    };
    let shown = |cells: [String; 8]| {
        let kept = cells
            .into_iter()
            .enumerate()
            .filter(|(column, _)| (namespace || *column != 0) && (wide || *column != 6));
        kept.map(|(_, cell)| cell).collect::<Vec<_>>()
    };
    let lines = headers
        .then(|| shown(head.map(str::to_owned)))
        .into_iter()
        .chain(rows.iter().map(|one| shown(row(one))));
    columns(out, "", lines.collect())
}
