//! `kubectl leases timeline`: who led when, from Events and the lease.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use election_core::LeaseKey;
use election_core::wire::{self, Item};

use crate::cli::Found;
use crate::cluster::Error;
use crate::connection::{Connection, Place, lease_name};
use crate::output::{ObjectFormat, object};
use crate::survey::rfc3339;
use crate::svg::draw;
use crate::table::columns;
use crate::timeline::Timeline;
use crate::words::{age, since};

const HELP: &str = "\
Examples:
  # What happened to a lease in the last hour, and why.
  kubectl leases timeline -n kube-system sample-controller

  # A drawing of who led when.
  kubectl leases timeline -n kube-system sample-controller --svg leaders.svg

It is put together from the elector's Events, which a cluster keeps for an hour
by default, and from the lease. It needs get on leases and list on
events.events.k8s.io.

Exit code: 0; 1 on errors.";

/// Show who led when and why, from the Events of the elector and the lease.
#[derive(Debug, Args)]
#[command(name = "timeline", after_help = HELP)]
pub(crate) struct TimelineArgs {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    /// The namespace. [default: that of the context]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Draw it into this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    svg: Option<PathBuf>,
    /// The form of the output.
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    connection: Connection,
}

impl TimelineArgs {
    pub(crate) async fn run(&self, out: &mut impl Write, err: &mut impl Write) -> Result<Found, Error> {
        let place = Place {
            namespace: self.namespace.clone(),
            all_namespaces: false,
        };
        let session = self.connection.open(&place).await?;
        let key = LeaseKey::new(&session.namespace, &self.name);
        let cluster = &session.cluster;
        let (events, lease) =
            futures::future::try_join(cluster.events_about(&key), cluster.lease(&key)).await?;
        if lease.is_none() && events.is_empty() {
            return Err(Error::NotFound {
                namespace: key.namespace().to_owned(),
                name: key.name().to_owned(),
            });
        }
        if let Some(Item::Identity(identity)) = lease.as_ref().and_then(wire::read) {
            return Err(Error::identity_lease(&key, &identity.leads));
        }
        let lease = lease.as_ref().and_then(wire::read_leader);
        let timeline = Timeline::new(&key.to_string(), &events, lease.as_ref(), cluster.clock.now());
        if let Some(file) = &self.svg {
            std::fs::write(file, draw(&timeline)).map_err(|error| {
                let why = format!("{}: {error}", file.display());
                Error::Output(io::Error::new(error.kind(), why))
            })?;
            writeln!(err, "{} is drawn.", file.display())?;
            return Ok(Found::Answer);
        }
        match self.output {
            Some(format) => object(out, format, &timeline)?,
            None => print(out, &timeline)?,
        }
        Ok(Found::Answer)
    }
}

fn print(out: &mut impl Write, timeline: &Timeline) -> io::Result<()> {
    let head = ["TIME", "WHAT", "WHO", "NOTE"].map(str::to_owned).to_vec();
    let rows = timeline.entries.iter().map(|entry| {
        let times = if entry.count > 1 {
            format!(" ({} times)", entry.count)
        } else {
            String::new()
        };
        vec![
            rfc3339(entry.time),
            entry.what.clone(),
            entry.who.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{}{times}", entry.note),
        ]
    });
    columns(out, "", std::iter::once(head).chain(rows).collect())?;
    writeln!(out, "\nWho led, as far as this tells:")?;
    if timeline.turns.is_empty() {
        return writeln!(out, "  <unknown>");
    }
    let rows = timeline.turns.iter().map(|turn| {
        let mut until = match turn.began_before {
            true => format!("until {}", rfc3339(turn.to)),
            false => format!("for {}", age(since(turn.to, turn.from))),
        };
        if turn.now {
            until.push_str(", and leads");
        }
        let before = if turn.began_before { "before " } else { "" };
        let from = format!("from {before}{}", rfc3339(turn.from));
        vec![turn.holder.clone(), from, until]
    });
    columns(out, "  ", rows.collect())
}
