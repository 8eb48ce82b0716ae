//! `--watch`: what is shown again, and when.
//!
//! A lease is shown again when something about it changed. That a holder renewed is no change; that it did not in time is
//! one, though nothing happens then: so everything is looked at once a second as well.

use std::collections::BTreeMap;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use election_core::{LeaseKey, Strategy, may_be_leader_lease};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

use crate::cluster::{Cluster, Error};
use crate::moment::Moment;
use crate::output::Printer;
use crate::survey::Survey;
use crate::view::LeaseStatus;

/// How often time itself is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What is followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// One lease, or all that are coordinated.
    pub only: Option<LeaseKey>,
    /// The strategy of leases that ask for none.
    pub strategy: Strategy,
}

/// Prints leases whenever they change, until the output cannot be written any more.
///
/// # Errors
/// [`Error`]: before the first list any failure ends it; later ones are said on `err`, and the watch goes on.
pub async fn follow(
    cluster: &Cluster,
    followed: &Followed,
    printer: &mut Printer,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(), Error> {
    let mut events = pin!(cluster.watch());
    let mut ticks = tokio::time::interval(TICK);
    let (mut known, mut shown) = (Known::default(), Shown::default());
    let mut complaint = String::new();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => known.apply(event),
                Some(Err(error)) if known.complete => {
                    let text = error.to_string();
                    if text != complaint {
                        writeln!(err, "Warning: {text}; watching again")?;
                        complaint = text;
                    }
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            _ = ticks.tick() => {}
        }
        if known.complete {
            let changed = shown.changes(followed.look(cluster, &known)?);
            printer.print_changed(out, &changed)?;
        }
    }
}

impl Followed {
    fn look(&self, cluster: &Cluster, known: &Known) -> Result<Vec<LeaseStatus>, Error> {
        let moment = Moment::of(cluster.clock.now(), known.leases.values());
        let survey = Survey::new(known.leases.values(), moment, self.strategy);
        Ok(match &self.only {
            Some(key) => survey.one(key).into_iter().collect(),
            None => survey.coordinated(),
        })
    }
}

/// The Leases as the watch has shown them.
#[derive(Default)]
struct Known {
    leases: BTreeMap<LeaseKey, Lease>,
    listed: BTreeMap<LeaseKey, Lease>,
    complete: bool,
}

impl Known {
    fn apply(&mut self, event: Event<Lease>) {
        let key = |lease: &Lease| LeaseKey::new(&lease.namespace().unwrap_or_default(), &lease.name_any());
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(lease) => {
                self.listed.insert(key(&lease), lease);
            }
            Event::InitDone => {
                self.leases = std::mem::take(&mut self.listed);
                self.complete = true;
            }
            // The heartbeats of nodes change all the time and are nobody's election.
            Event::Apply(lease) if !may_be_leader_lease(&key(&lease)) => {}
            Event::Apply(lease) => {
                self.leases.insert(key(&lease), lease);
            }
            Event::Delete(lease) => {
                self.leases.remove(&key(&lease));
            }
        }
    }
}

/// What was printed last about each lease.
#[derive(Debug, Default)]
pub struct Shown {
    last: BTreeMap<(String, String), LeaseStatus>,
}

impl Shown {
    /// Those that say something else than before, and a last word about those that are gone.
    pub fn changes(&mut self, now: Vec<LeaseStatus>) -> Vec<LeaseStatus> {
        let key = |status: &LeaseStatus| (status.namespace.clone(), status.name.clone());
        let mut gone = std::mem::take(&mut self.last);
        let mut changed = Vec::new();
        for status in now {
            let before = gone.remove(&key(&status));
            if !before.is_some_and(|before| before.repeats(&status)) {
                changed.push(status.clone());
            }
            self.last.insert(key(&status), status);
        }
        for (_, mut status) in gone {
            status.state = "Deleted".to_owned();
            status.conditions.clear();
            changed.push(status);
        }
        changed
    }
}
