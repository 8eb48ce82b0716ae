//! `kubectl leases forget`: deletes the identity lease of a candidate that is dead.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use election_core::{IdentityLease, LeaseKey, LeaseState};

use super::steering::{DryRun, Seen, Steering};
use crate::cli::{Found, Terminal};
use crate::cluster::{Error, Outcome};
use crate::connection::lease_name;
use crate::survey::Survey;
use crate::words::{COLUMNS, age, since, wrapped};

const HELP: &str = "\
Examples:
  # A candidate whose machine is gone, before the elector collects it.
  kubectl leases forget old-pod-7

  # Several, without a question.
  kubectl leases forget one two --yes

The elector does this by itself after ten durations of silence (30 minutes by
default). A process that lives after all makes its identity lease again at once.
Needs `delete` on leases, and `create` on events.events.k8s.io.

Exit code: 0; 1 on errors.";

/// Delete the identity leases of candidates that are dead.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Forget {
    /// The candidates.
    #[arg(value_name = "IDENTITY", required = true, value_parser = lease_name)]
    names: Vec<String>,
    /// Also one that seems to live, or that leads.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    steering: Steering,
}

impl Forget {
    pub(crate) async fn run(
        &self,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Found, Error> {
        let session = self.steering.open().await?;
        let seen = Seen::of(&session, self.steering.strategy).await?;
        let mut leases = Vec::new();
        for name in &self.names {
            let key = LeaseKey::new(&session.namespace, name);
            let identity = candidate(&seen.survey, &key)?;
            let doubts = doubts(&seen.survey, identity);
            match doubts {
                Some(doubts) if !self.force => {
                    return Err(Error::Steer(format!("{doubts}: end its process, or add --force")));
                }
                Some(doubts) => writeln!(err, "Warning: {doubts}")?,
                None => {}
            }
            writeln!(err, "{}", wrapped(&about(&seen.survey, identity), COLUMNS, ""))?;
            leases.push(seen.lease(&key)?);
        }
        self.steering.confirm(terminal, err)?;
        let dry_run = self.steering.dry_run;
        for lease in leases {
            if dry_run != DryRun::Client {
                let rehearsal = dry_run == DryRun::Server;
                if session.cluster.delete(lease, rehearsal).await? == Outcome::Changed {
                    let name = lease.metadata.name.as_deref().unwrap_or_default();
                    return Err(Error::Steer(format!(
                        "{name} has changed or gone since it was read, so it was not deleted: it may live, look again"
                    )));
                }
            }
            self.steering.say(out, lease, "forgotten")?;
            if dry_run == DryRun::None {
                let (_, who) = self.steering.remark(&session, None).await;
                let note = format!("candidate forgotten by {who}");
                let told = session
                    .cluster
                    .tell(lease, "CandidateForgotten", "Forget", note)
                    .await;
                if let Err(error) = told {
                    writeln!(err, "Warning: it was done, but no Event tells of it: {error}")?;
                }
            }
        }
        Ok(Found::Answer)
    }
}

fn candidate<'a>(survey: &'a Survey, key: &LeaseKey) -> Result<&'a IdentityLease, Error> {
    let found = survey.identity_lease(key).map(|identity| &**identity);
    found.ok_or_else(|| match survey.leader(key) {
        Some(_) => Error::Steer(format!(
            "lease {key} is a leader lease, not the identity lease of a candidate: it stays"
        )),
        None => Error::NotFound {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
        },
    })
}

/// Why it should not be forgotten.
fn doubts(survey: &Survey, identity: &IdentityLease) -> Option<String> {
    let name = identity.key.name();
    let me = identity.identity();
    let led = survey.leader_leases().find(|lease| {
        lease.key.namespace() == identity.key.namespace()
            && lease.state() == LeaseState::Held
            && lease.record.names(&me)
            && !survey.is_expired(&lease.key)
    });
    if let Some(lease) = led {
        return Some(format!("{name} leads {}", lease.key));
    }
    let silent = silent(survey, identity)?;
    let lives = identity.incarnation.is_some() && silent < identity.duration.duration();
    lives.then(|| {
        let (silent, duration) = (age(silent), identity.duration);
        format!("{name} seems to live: it renewed {silent} ago, and counts as alive for {duration}")
    })
}

fn silent(survey: &Survey, identity: &IdentityLease) -> Option<Duration> {
    Some(since(survey.moment().now?, survey.seen(identity)?))
}

fn about(survey: &Survey, identity: &IdentityLease) -> String {
    let name = identity.key.name();
    let leads: Vec<_> = identity.leads.iter().map(ToString::to_string).collect();
    let stands = match leads.is_empty() {
        true => "offers itself for nothing".to_owned(),
        false => format!("offers itself for {}", leads.join(", ")),
    };
    let back = "If its process lives after all, it comes back at once.";
    match silent(survey, identity) {
        _ if identity.incarnation.is_none() => {
            format!("{name} {stands}; it is hand-written, and comes back only when somebody writes it again.")
        }
        Some(silent) => format!("{name} {stands}, and was silent for {}. {back}", age(silent)),
        None => format!("{name} {stands}. {back}"),
    }
}
