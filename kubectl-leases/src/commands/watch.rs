//! `kubectl leases watch`: the events of elections as lines, as they happen.

use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use election_core::wire::{self, Item};
use election_core::{LeaseKey, LeaseState, Strategy};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::Event;

use crate::cli::Found;
use crate::cluster::{Cluster, Error};
use crate::connection::{Connection, Place, lease_name};
use crate::follow::Seen;
use crate::happenings::{Happening, Memory};
use crate::moment::{Moment, Stopwatch};
use crate::output::ObjectFormat;
use crate::survey::{Survey, rfc3339};
use crate::words::plain;

const HELP: &str = "\
Examples:
  # Everything that happens in the elections of a namespace.
  kubectl leases watch -n kube-system

  # One lease, for a program that reads lines of JSON.
  kubectl leases watch -n kube-system sample-controller -o json

First comes how each lease Is. Then what happens: Created, Offered, Accepted,
Claimed (by an ordinary client), Nominated, Cleared (the nomination), EndOfTerm,
HandedOver, Released, Declined, Expired, Blanked, Deleted; of candidates Joined,
Left, Refused; and Asked (somebody asks for a hold, a pin or a step-down, or
asks for it no more). Durations are counted between the moments at which this
command saw things happen.

Exit code: it goes on until it is ended; 1 on errors.";

/// Tell what happens in elections, a line each: offered, accepted, nominated, end of term, released, expired, refused.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Watch {
    /// Only this lease.
    #[arg(value_name = "LEASE", conflicts_with = "all_namespaces", value_parser = lease_name)]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Lines of JSON, or YAML documents.
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    connection: Connection,
}

impl Watch {
    pub(crate) async fn run(&self, out: &mut impl Write, err: &mut impl Write) -> Result<Found, Error> {
        let session = self.connection.open(&self.place).await?;
        let only = self
            .name
            .as_ref()
            .map(|name| LeaseKey::new(&session.namespace, name));
        watch(&session.cluster, only.as_ref(), self.output, out, err).await?;
        Ok(Found::Answer)
    }
}

/// Prints what happens until the output cannot be written any more.
pub(crate) async fn watch(
    cluster: &Cluster,
    only: Option<&LeaseKey>,
    output: Option<ObjectFormat>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(), Error> {
    let mut events = pin!(cluster.watch());
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let (mut seen, mut memory, stopwatch) = (Seen::default(), Memory::default(), Stopwatch::start());
    let mut complaint = String::new();
    loop {
        let happened = tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    let happened = happened(&mut memory, stopwatch.elapsed(), &seen, &event);
                    let listed = seen.is_complete();
                    seen.apply(event);
                    if let Some(only) = only.filter(|_| !listed && seen.is_complete()) {
                        // What nobody knows is waited for by nobody: it is a slip of the pen.
                        look(cluster, &seen).must_know(only)?;
                    }
                    happened
                }
                Some(Err(error)) if !seen.is_complete() => return Err(error),
                Some(Err(error)) => {
                    let text = error.to_string();
                    if text != complaint {
                        writeln!(err, "Warning: {text}; watching again")?;
                        complaint = text;
                    }
                    Vec::new()
                }
                None => Vec::new(),
            },
            _ = ticks.tick() => expired(&mut memory, stopwatch.elapsed(), cluster, &seen),
        };
        let time = cluster.clock.now().map(rfc3339);
        let concerns =
            |one: &Happening| only.is_none_or(|only| one.lease == only.to_string() || one.refuses(only));
        for mut one in happened.into_iter().filter(concerns) {
            one.time.clone_from(&time);
            print(out, output, &one)?;
        }
        out.flush()?;
    }
}

fn happened(memory: &mut Memory, now: Duration, seen: &Seen, event: &Event<Lease>) -> Vec<Happening> {
    let relevant = |lease: &Lease| wire::read(lease).filter(Memory::concerns);
    match event {
        Event::Init => Vec::new(),
        // The first list is how it is; in a later one is what happened in a gap.
        Event::InitApply(lease) => match relevant(lease) {
            Some(item) if !seen.is_complete() => memory.begin(item).into_iter().collect(),
            Some(item) => memory.change(now, item),
            None => Vec::new(),
        },
        Event::InitDone => {
            let gone = memory.missing(|key| seen.is_listed(key));
            gone.iter().flat_map(|key| memory.delete(now, key)).collect()
        }
        Event::Apply(lease) => relevant(lease).map_or_else(Vec::new, |item| memory.change(now, item)),
        Event::Delete(lease) => {
            wire::read(lease).map_or_else(Vec::new, |item| memory.delete(now, item.key()))
        }
    }
}

/// Leases that nobody renewed in time: that is seen on nothing but the clock.
fn expired(memory: &mut Memory, now: Duration, cluster: &Cluster, seen: &Seen) -> Vec<Happening> {
    let survey = look(cluster, seen);
    let held = survey.leader_leases().filter(|lease| {
        lease.state() == LeaseState::Held && Memory::concerns(&Item::Leader((*lease).clone()))
    });
    let expired = held.filter(|lease| survey.is_expired(&lease.key));
    expired
        .filter_map(|lease| memory.expire(now, &lease.key))
        .collect()
}

fn look(cluster: &Cluster, seen: &Seen) -> Survey {
    let moment = Moment::of(cluster.clock.now(), seen.objects());
    Survey::new(seen.objects(), moment, Strategy::default())
}

fn print(out: &mut impl Write, output: Option<ObjectFormat>, one: &Happening) -> io::Result<()> {
    match output {
        Some(ObjectFormat::Json) => {
            let line = serde_json::to_string(one).map_err(io::Error::other)?;
            writeln!(out, "{line}")
        }
        Some(ObjectFormat::Yaml) => {
            writeln!(out, "---")?;
            crate::output::object(out, ObjectFormat::Yaml, one)
        }
        None => {
            let time = one.time.as_deref().unwrap_or("-");
            let who = one.who.as_deref().unwrap_or("-");
            let line = format!(
                "{time:<27} {:<32} {:<10} {who:<20} {}",
                one.lease,
                one.what.as_str(),
                one.detail
            );
            writeln!(out, "{}", plain(line.trim_end()))
        }
    }
}
