//! `--watch`: what is shown again, and when.
//!
//! A lease is shown again when something about it changed. That a holder renewed is no change; that it did not in time is
//! one, though nothing happens then: so everything is looked at once a second as well. Thousands of renewals in a second are
//! looked at together, because each look is at all leases: a live table is painted once a second, and lines are printed a
//! moment after the first of several changes.

use std::collections::BTreeMap;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use election_core::{LeaseKey, Strategy, may_be_leader_lease};
use futures::future::{Fuse, FusedFuture};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use tokio::time::MissedTickBehavior;

use crate::choice::Choice;
use crate::cluster::{Cluster, Error};
use crate::moment::Moment;
use crate::noted::NotedLease;
use crate::output::Printer;
use crate::survey::Survey;
use crate::view::LeaseStatus;

/// How often time itself is looked at.
const TICK: Duration = Duration::from_secs(1);

/// For so long changes are gathered before they are looked at.
const GATHERED: Duration = Duration::from_millis(100);

/// What is followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// One lease, or all that are coordinated.
    pub only: Option<LeaseKey>,
    /// Of all, only those with these labels.
    pub selector: Option<String>,
    /// The strategy of leases that ask for none.
    pub strategy: Strategy,
    /// Of all, only these, in this order.
    pub choice: Choice,
    /// Paint the table anew instead of printing lines: for a terminal.
    pub live: bool,
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
    let mut leases = pin!(cluster.watch());
    let mut labelled = pin!(cluster.watch_labelled(followed.selector.as_deref()));
    let mut ticks = tokio::time::interval(TICK);
    // A machine that was busy looks once, not for each second that it missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut known, mut shown) = (Known::default(), Shown::default());
    let mut complaint = String::new();
    let mut gathered = pin!(Fuse::terminated());
    loop {
        let listed = known.is_complete(followed);
        let (failed, due) = tokio::select! {
            event = leases.next() => (known.leases.take(event)?, false),
            event = labelled.next() => (known.labelled.take(event)?, false),
            () = &mut gathered => (None, true),
            _ = ticks.tick() => (None, true),
        };
        if let Some(text) = failed.filter(|text| *text != complaint) {
            writeln!(err, "Warning: {text}; watching again")?;
            complaint = text;
        }
        if !known.is_complete(followed) {
            continue;
        }
        if !listed {
            followed.must_know(cluster, &known)?;
        } else if !due {
            if !followed.live && gathered.is_terminated() {
                gathered.set(pause(GATHERED).fuse());
            }
            continue;
        }
        let now = followed.look(cluster, &known);
        if followed.live {
            // Somebody may have pulled at the window.
            let size = crossterm::terminal::size().ok();
            printer.repaint(out, &now, size)?;
        } else {
            printer.print_changed(out, &shown.changes(now))?;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a pause between two looks of a person")]
fn pause(length: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(length)
}

impl Followed {
    fn survey(&self, cluster: &Cluster, known: &Known) -> Survey {
        let leases = &known.leases.now;
        let moment = Moment::of(cluster.clock.now(), leases.values());
        Survey::new(leases.values(), moment, self.strategy)
    }

    /// A lease that nobody knows is a slip of the pen, and not waited for.
    fn must_know(&self, cluster: &Cluster, known: &Known) -> Result<(), Error> {
        let survey = self.survey(cluster, known);
        self.only
            .as_ref()
            .map_or(Ok(()), |key| survey.must_know(key).map(|_| ()))
    }

    fn look(&self, cluster: &Cluster, known: &Known) -> Vec<LeaseStatus> {
        let survey = self.survey(cluster, known);
        let mut statuses: Vec<_> = match &self.only {
            Some(key) => survey.one(key).into_iter().collect(),
            None => self.choice.of(&survey),
        };
        if self.selector.is_some() {
            let labelled = &known.labelled.now;
            statuses.retain(|status| labelled.contains_key(&LeaseKey::new(&status.namespace, &status.name)));
        }
        statuses
    }
}

/// The Leases as the watches have shown them.
#[derive(Default)]
struct Known {
    leases: Seen,
    /// Those that the selector names.
    labelled: Seen,
}

impl Known {
    fn is_complete(&self, followed: &Followed) -> bool {
        self.leases.complete && (followed.selector.is_none() || self.labelled.complete)
    }
}

/// What one watch has shown.
#[derive(Default)]
pub(crate) struct Seen {
    now: BTreeMap<LeaseKey, NotedLease>,
    listed: BTreeMap<LeaseKey, NotedLease>,
    complete: bool,
}

impl Seen {
    /// Takes an event in. A failure is an error before the first list, and a word to be said afterwards.
    pub(crate) fn take(
        &mut self,
        event: Option<Result<Event<Lease>, Error>>,
    ) -> Result<Option<String>, Error> {
        match event {
            Some(Ok(event)) => self.apply(event),
            Some(Err(error)) if self.complete => return Ok(Some(error.to_string())),
            Some(Err(error)) => return Err(error),
            // A watch never ends by itself.
            None => {}
        }
        Ok(None)
    }

    /// Whether the first list has come.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the list that is coming, or has just come, has it.
    pub(crate) fn is_listed(&self, key: &LeaseKey) -> bool {
        self.listed.contains_key(key)
    }

    /// What there is now.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &NotedLease> {
        self.now.values()
    }

    pub(crate) fn apply(&mut self, event: Event<Lease>) {
        let key = |lease: &Lease| LeaseKey::new(&lease.namespace().unwrap_or_default(), &lease.name_any());
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(lease) => {
                self.listed.insert(key(&lease), lease.into());
            }
            Event::InitDone => {
                self.now = std::mem::take(&mut self.listed);
                self.complete = true;
            }
            // The heartbeats of nodes change all the time and are nobody's election.
            Event::Apply(lease) if !may_be_leader_lease(&key(&lease)) => {}
            Event::Apply(lease) => {
                self.now.insert(key(&lease), lease.into());
            }
            Event::Delete(lease) => {
                self.now.remove(&key(&lease));
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
