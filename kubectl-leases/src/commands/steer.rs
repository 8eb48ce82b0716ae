//! `kubectl leases step-down`, `hold`, `release-hold`, `pin` and `unpin`: asks something of one election.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use election_core::{Identity, LeaderLease, LeaseKey, LeaseState, Wall, wire};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::watcher;

use super::steering::{Carried, Seen, Steering};
use crate::cli::{Found, Terminal};
use crate::cluster::Error;
use crate::connection::{Session, duration, lease_name};
use crate::electors::Electors;
use crate::steer::{Length, Wish};

// --- step-down ------------------------------------------------------------------------------------------------------

const STEP_DOWN_HELP: &str = "\
Examples:
  # Whoever leads gives way to the best of the others.
  kubectl leases step-down demo

  # To this one; wait until it leads.
  kubectl leases step-down demo --to bravo --wait

  # What would happen?
  kubectl leases step-down demo --dry-run=client

  # Whoever was asked to step down may lead again.
  kubectl leases step-down demo --cancel

The handover is the same as for a better candidate: the old work stops before
the new begins. Needs `update` on leases, and `create` on events.events.k8s.io.

Exit code: 0; 1 on errors, and when nobody else, or not the one of --to, leads
within the time of --wait.";

/// Ask the process that leads to give way.
#[derive(Debug, Args)]
#[command(after_help = STEP_DOWN_HELP)]
pub(crate) struct StepDownArgs {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    /// Who comes next. [default: the best of the others]
    #[arg(long, value_name = "IDENTITY", conflicts_with = "cancel")]
    to: Option<String>,
    /// Take the request back.
    #[arg(long)]
    cancel: bool,
    /// Wait until somebody else leads (with --to: that one), for 30s unless another time is given. A request that stands
    /// already is waited for as well.
    #[arg(
        long, value_name = "DURATION", value_parser = duration, num_args = 0..=1, default_missing_value = "30s",
        require_equals = true, conflicts_with = "cancel"
    )]
    wait: Option<Duration>,
    #[command(flatten)]
    steering: Steering,
}

impl StepDownArgs {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        let wish = match self.cancel {
            true => Wish::CancelStepDown,
            false => Wish::StepDown {
                to: self.to.as_deref().map(Identity::new),
            },
        };
        let session = self.steering.open().await?;
        let written = self
            .steering
            .carry_out(&session, &self.name, &wish, terminal, out, err)
            .await?;
        if let (Some(limit), Carried::Stands(lease, since)) = (self.wait, written) {
            let key = LeaseKey::new(&session.namespace, &self.name);
            let to = self.to.as_deref().map(Identity::new);
            let wanted = until_given_way(&session, &key, &lease, to.as_ref());
            match tokio::time::timeout(limit, wanted).await {
                Ok(leader) => {
                    let (leader, took) = (leader?, since.elapsed());
                    writeln!(out, "{leader} leads {key} after {:.3} s", took.as_secs_f64())?;
                }
                Err(_) => return Err(self.still(&session, &key, to.as_ref(), limit).await?),
            }
        }
        Ok(Found::Answer)
    }

    /// Why it has not come to that yet.
    async fn still(
        &self,
        session: &Session,
        key: &LeaseKey,
        to: Option<&Identity>,
        limit: Duration,
    ) -> Result<Error, Error> {
        let seen = Seen::of(session, self.steering.strategy).await?;
        let status = seen.survey.status(key);
        let elector = Electors::ask(&session.cluster).await?;
        let what = match to {
            None => format!("nobody else leads {key}"),
            Some(to) => format!("{to} does not lead {key}"),
        };
        let leader = match (&status.holder, status.state.as_str()) {
            (Some(holder), "Held") => format!("{holder} does"),
            _ => format!("it is {}", status.state),
        };
        Ok(Error::Steer(format!(
            "{what} after {limit:?}, {leader}: {}; elector: {elector}. The request stands; take it back with --cancel",
            status.reason.message
        )))
    }
}

/// Waits until somebody leads that is not the holder of `before`, and is `to` if one is named; who does.
async fn until_given_way(
    session: &Session,
    key: &LeaseKey,
    before: &Lease,
    to: Option<&Identity>,
) -> Result<Identity, Error> {
    let asked = wire::read_leader(before).filter(|lease| lease.state() == LeaseState::Held);
    let mut changes = Box::pin(session.cluster.watch());
    while let Some(change) = changes.next().await {
        let (watcher::Event::Apply(lease) | watcher::Event::InitApply(lease)) = change? else {
            continue;
        };
        if lease.name_any() != key.name() || lease.namespace().as_deref() != Some(key.namespace()) {
            continue;
        }
        let read = wire::read_leader(&lease).filter(|lease| lease.state() == LeaseState::Held);
        let Some((holder, read)) = read.and_then(|lease| Some((lease.record.holder.clone()?, lease))) else {
            continue;
        };
        if let Some(asked) = asked.as_ref().filter(|asked| asked.record.names(&holder)) {
            if is_another_process(asked, &read) {
                return Err(Error::Steer(format!(
                    "{holder} leads {key} again, as another process: the one that was asked to step down has ended, and the \
                     request with it"
                )));
            }
        } else if to.is_none_or(|to| *to == holder) {
            return Ok(holder);
        }
    }
    Err(Error::Steer(format!("the watch of {key} has ended")))
}

fn is_another_process(asked: &LeaderLease, now: &LeaderLease) -> bool {
    now.record.incarnation != asked.record.incarnation
}

// --- hold -----------------------------------------------------------------------------------------------------------

const HOLD_HELP: &str = "\
Examples:
  # Nobody preempts the leader for two hours.
  kubectl leases hold demo --for 2h --reason 'database migration'

  # Until somebody releases it.
  kubectl leases hold demo

  # Until a time, which is turned into seconds by the time of the server.
  kubectl leases hold demo --until 2030-01-31T18:00:00Z

A better candidate waits. When the leader ends or dies, the best candidate
leads as always. The elector counts the seconds by its own clock from when it
sees the request; one that is started meanwhile counts anew, so a hold may last
longer than was asked for. Asked for once more, it begins anew too.

Needs `update` on leases, and `create` on events.events.k8s.io.

Exit code: 0; 1 on errors.";

/// Let nobody preempt the leader.
#[derive(Debug, Args)]
#[command(after_help = HOLD_HELP)]
pub(crate) struct HoldArgs {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    /// For how long. [default: until it is released]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "until")]
    length: Option<Duration>,
    /// Until when (RFC 3339), by the time of the server.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    until: Option<Timestamp>,
    #[command(flatten)]
    steering: Steering,
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "write a time like 2030-01-31T18:00:00Z or 2030-01-31T18:00:00+01:00".to_owned())
}

impl HoldArgs {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        let until = |until: Timestamp| Length::Until(Wall::from_micros(until.as_microsecond()));
        let length = self.length.map(Length::For).or(self.until.map(until));
        let session = self.steering.open().await?;
        let wish = Wish::Hold { length };
        self.steering
            .carry_out(&session, &self.name, &wish, terminal, out, err)
            .await?;
        Ok(Found::Answer)
    }
}

// --- release-hold, pin and unpin ------------------------------------------------------------------------------------

const RELEASE_HOLD_HELP: &str = "\
Examples:
  kubectl leases release-hold demo

Needs `update` on leases, and `create` on events.events.k8s.io.";

/// Let a better candidate preempt the leader again.
#[derive(Debug, Args)]
#[command(after_help = RELEASE_HOLD_HELP)]
pub(crate) struct ReleaseHoldArgs {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    #[command(flatten)]
    steering: Steering,
}

const PIN_HELP: &str = "\
Examples:
  # This one leads whenever it can, whatever its versions.
  kubectl leases pin demo bravo

  # What would happen?
  kubectl leases pin demo bravo --dry-run=client

Needs `update` on leases, and `create` on events.events.k8s.io.

Exit code: 0; 1 on errors.";

/// Let one candidate lead whenever it can.
#[derive(Debug, Args)]
#[command(after_help = PIN_HELP)]
pub(crate) struct PinArgs {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    /// The candidate.
    #[arg(value_name = "IDENTITY")]
    identity: String,
    #[command(flatten)]
    steering: Steering,
}

const UNPIN_HELP: &str = "\
Examples:
  kubectl leases unpin demo

Needs `update` on leases, and `create` on events.events.k8s.io.";

/// Let the best candidate by version lead again.
#[derive(Debug, Args)]
#[command(after_help = UNPIN_HELP)]
pub(crate) struct UnpinArgs {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    #[command(flatten)]
    steering: Steering,
}

impl ReleaseHoldArgs {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        simple(&self.steering, &self.name, &Wish::ReleaseHold, terminal, out, err).await
    }
}

impl PinArgs {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        let wish = Wish::Pin {
            identity: Identity::new(&self.identity),
        };
        simple(&self.steering, &self.name, &wish, terminal, out, err).await
    }
}

impl UnpinArgs {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        simple(&self.steering, &self.name, &Wish::Unpin, terminal, out, err).await
    }
}

async fn simple(
    steering: &Steering,
    name: &str,
    wish: &Wish,
    terminal: Terminal,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Found, Error> {
    let session = steering.open().await?;
    steering
        .carry_out(&session, name, wish, terminal, out, err)
        .await?;
    Ok(Found::Answer)
}
