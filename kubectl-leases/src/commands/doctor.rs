//! `kubectl leases doctor`: what is wrong, and what to do about it.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use election_core::{IdentityLease, LeaseKey, LeaseSeconds, Strategy, Timing};

use crate::cli::Found;
use crate::cluster::Error;
use crate::connection::{Connection, Place, Session, duration, lease_name};
use crate::doctor::rights::Actor;
use crate::doctor::{Finding, Report, knobs, leases, rights, second_look, server};
use crate::electors::Electors;
use crate::moment::{Moment, local_wall, timed};
use crate::output::{ObjectFormat, object};
use crate::survey::Survey;

const HELP: &str = "\
Examples:
  # Everything.
  kubectl leases doctor -A

  # One lease.
  kubectl leases doctor -n kube-system sample-controller

  # In a script: fails when something is wrong.
  kubectl leases doctor -A -o json > report.json || page-somebody

  # Do these knobs fit together?
  kubectl leases doctor --lease-duration 15s --renew-deadline 13s

It looks at the elector, the leases and their candidates, the API server, the
clocks, and who may do what. For two seconds it looks whether an identity
changes hands, and as long as a holder takes to renew when one was asked to give
way; --look gives it another time for both. The rights of others are asked for
with SubjectAccessReviews; who may not create those is told so.

Exit code: 0 when all is well; 1 when it could not look; 2 when it found a
warning or a problem.";

/// Find what is wrong with an election, and say what to do about it.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Doctor {
    /// Only this lease.
    #[arg(value_name = "LEASE", conflicts_with = "all_namespaces", value_parser = lease_name)]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
    /// The form of the output.
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
    /// Only warnings and problems.
    #[arg(short, long)]
    quiet: bool,
    /// The strategy of leases that ask for none, if your elector runs with another one than the default.
    #[arg(long, default_value_t)]
    strategy: Strategy,
    /// The user that the elector runs as. [default: system:serviceaccount:kube-system:election-controller]
    #[arg(long, value_name = "USER")]
    elector_user: Option<String>,
    /// The user that candidates run as. [default: the service account of the Pod that owns the identity lease]
    #[arg(long, value_name = "USER")]
    candidate_user: Option<String>,
    /// How long to look for what only a while shows. [default: as long as that takes]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    look: Option<Duration>,
    #[command(flatten)]
    knobs: Knobs,
    #[command(flatten)]
    connection: Connection,
}

/// Knobs to be checked instead of those that candidates have noted on their identity leases.
#[derive(Debug, Args)]
#[command(next_help_heading = "Knobs to be checked before you use them")]
struct Knobs {
    #[arg(long, value_name = "DURATION", value_parser = lease_seconds, hide_short_help = true)]
    lease_duration: Option<LeaseSeconds>,
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    renew_deadline: Option<Duration>,
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    renew_interval: Option<Duration>,
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    retry_period: Option<Duration>,
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    stop_grace: Option<Duration>,
}

/// The duration of a lease is in whole seconds.
fn lease_seconds(text: &str) -> Result<LeaseSeconds, String> {
    let duration = duration(text)?;
    let seconds = u32::try_from(duration.as_secs()).ok().and_then(LeaseSeconds::new);
    let whole = seconds.filter(|_| duration.subsec_nanos() == 0);
    whole.ok_or_else(|| "write whole seconds, one at least".to_owned())
}

impl Knobs {
    /// What is to be checked, if anything was given, and whose knobs they are: with what follows from the shortest lease.
    fn timing(&self, shortest: Option<LeaseSeconds>) -> Option<(String, Timing)> {
        let given = [
            self.renew_deadline,
            self.renew_interval,
            self.retry_period,
            self.stop_grace,
        ];
        if self.lease_duration.is_none() && given.iter().all(Option::is_none) {
            return None;
        }
        let about = match (self.lease_duration, shortest) {
            (None, Some(shortest)) => format!("knobs for the shortest lease ({shortest})"),
            _ => "knobs".to_owned(),
        };
        let base = self.lease_duration.or(shortest).unwrap_or(LeaseSeconds::LEADER);
        let mut timing = Timing::for_lease_duration(base);
        if let Some(deadline) = self.renew_deadline {
            timing = timing.with_renew_deadline(deadline);
        }
        if let Some(interval) = self.renew_interval {
            timing = timing.with_renew_interval(interval);
        }
        if let Some(period) = self.retry_period {
            timing = timing.with_retry_period(period);
        }
        if let Some(grace) = self.stop_grace {
            timing = timing.with_stop_grace(grace);
        }
        Some((about, timing))
    }
}

/// How often the server is asked, to see how fast it answers.
const PROBES: usize = 5;

/// Of so many candidates the rights are looked up.
const CANDIDATES: usize = 50;

const ELECTOR: &str = "system:serviceaccount:kube-system:election-controller";

impl Doctor {
    pub(crate) async fn run(&self, out: &mut impl Write) -> Result<Found, Error> {
        let session = self.connection.open(&self.place).await?;
        let mut report = Report::new(self.look(&session).await?);
        if self.quiet {
            report = report.quiet();
        }
        match self.output {
            None => report.print(out)?,
            Some(format) => object(out, format, &report)?,
        }
        Ok(match report.is_bad() {
            true => Found::Problems,
            false => Found::Answer,
        })
    }

    async fn look(&self, session: &Session) -> Result<Vec<Finding>, Error> {
        let cluster = &session.cluster;
        // Before anything else, because whoever may not list leases can be told nothing but that.
        let own = rights::own(cluster, session.scope()).await?;
        let leases = cluster.leases().await?;
        let moment = Moment::of(cluster.clock.now(), &leases);
        let survey = Survey::new(&leases, moment, self.strategy);
        let only = self
            .name
            .as_ref()
            .map(|name| LeaseKey::new(&session.namespace, name));
        if let Some(key) = &only {
            survey.must_know(key)?;
        }
        let electors = Electors::ask(cluster).await?;
        let mut findings = leases::check(&survey, &electors, only.as_ref());
        let noted = knobs::Noted::of(&leases, &survey);
        findings.extend(noted.check(&survey, only.as_ref()));
        let held = survey.leader_leases().filter(|lease| lease.record.elected);
        let shortest = held.filter_map(|lease| lease.record.duration).min();
        let given = self.knobs.timing(shortest);
        findings.extend(given.map(|(about, timing)| knobs::knobs(&about, timing)));
        let asked = async {
            let limit = noted.request_deadline(&survey).unwrap_or_else(|| {
                Timing::for_lease_duration(shortest.unwrap_or(LeaseSeconds::LEADER)).request_deadline()
            });
            let latency = self.latency(session, limit).await?;
            let clock = server::own_clock(local_wall(), cluster.clock.now());
            let stamps = server::stamps(&survey, only.as_ref());
            let mut findings = vec![latency, clock];
            findings.extend(stamps);
            findings.extend(own);
            findings.push(self.rights_of_elector(session, &survey).await?);
            findings.extend(self.rights_of_candidates(session, &survey, only.as_ref()).await?);
            Ok(findings)
        };
        let watched = second_look::look(cluster, &survey, only.as_ref(), self.look);
        let (watched, asked) = futures::future::try_join(watched, asked).await?;
        findings.extend(watched);
        findings.extend(asked);
        Ok(findings)
    }

    async fn latency(&self, session: &Session, limit: Duration) -> Result<Finding, Error> {
        let mut answers = Vec::new();
        for _ in 0..PROBES {
            let (answer, took) = timed(session.cluster.lease(&crate::electors::electors_lease())).await;
            // A refusal is an answer as well.
            if let Err(error) = answer {
                error.refusal()?;
            }
            answers.push(took);
        }
        Ok(server::latency(session.cluster.server(), answers, limit))
    }

    async fn rights_of_elector(&self, session: &Session, survey: &Survey) -> Result<Finding, Error> {
        let actor = Actor {
            user: self.elector_user.clone().unwrap_or_else(|| ELECTOR.to_owned()),
            named: self.elector_user.is_some(),
        };
        let places: BTreeSet<String> = survey
            .coordinated_keys()
            .map(|key| key.namespace().to_owned())
            .collect();
        let places = (!session.everywhere).then_some(places);
        rights::elector(&session.cluster, &actor, places.as_ref()).await
    }

    async fn rights_of_candidates(
        &self,
        session: &Session,
        survey: &Survey,
        only: Option<&LeaseKey>,
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let candidates: Vec<_> = survey
            .identities()
            .filter(|identity| identity.incarnation.is_some())
            .flat_map(|identity| identity.leads.iter().map(move |lease| (identity, lease)))
            .filter(|(_, lease)| only.is_none_or(|only| *lease == only))
            .collect();
        let mut unknown = BTreeSet::new();
        for (identity, lease) in candidates.iter().take(CANDIDATES) {
            match self.user_of(session, identity).await {
                Some(user) => {
                    let name = identity.key.name();
                    findings.push(rights::candidate(&session.cluster, &user, name, lease).await?);
                }
                None => _ = unknown.insert(&identity.key),
            }
        }
        findings.extend(rights::not_looked_up(
            &unknown,
            candidates.len().saturating_sub(CANDIDATES),
        ));
        Ok(findings)
    }

    async fn user_of(&self, session: &Session, identity: &IdentityLease) -> Option<String> {
        match &self.candidate_user {
            Some(user) => Some(user.clone()),
            // The identity of a candidate in a Pod is the name of the Pod.
            None if identity.owned_by_pod => {
                let (namespace, name) = (identity.key.namespace(), identity.key.name());
                session.cluster.user_of_pod(namespace, name).await
            }
            None => None,
        }
    }
}
