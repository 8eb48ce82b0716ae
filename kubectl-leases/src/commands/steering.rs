//! What all commands that change something share: their flags, the question before, the conditional write, the Event.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use election_core::{LeaseKey, Strategy, Wall};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use crate::cli::Terminal;
use crate::cluster::{Error, Outcome};
use crate::connection::{Connection, Place, Session};
use crate::electors::Electors;
use crate::explain::{explain, print_next};
use crate::moment::{Moment, Stopwatch, local_wall};
use crate::noted::NotedLease;
use crate::output::{ObjectFormat, object};
use crate::steer::{Plan, Wish, plan};
use crate::survey::{Survey, rfc3339, whole_second};
use crate::words::{COLUMNS, plain, wrapped};

/// Whether something is only rehearsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// It is done.
    #[default]
    None,
    /// Nothing is sent.
    Client,
    /// The server checks it and does not keep it.
    Server,
}

impl DryRun {
    /// What stands behind the line that says what was done.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// The form in which the lease is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Written {
    /// Its name alone.
    Name,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What all commands that change something are told.
#[derive(Debug, Args)]
pub(crate) struct Steering {
    /// The namespace. [default: that of the context]
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Only rehearse it.
    #[arg(long, value_enum, default_value_t, num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    pub(crate) dry_run: DryRun,
    /// Do not ask before.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Why, for those who read it on the lease and in its Events.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Written>,
    /// The strategy of leases that ask for none, if your elector runs with another one than the default.
    #[arg(long, default_value_t)]
    pub(crate) strategy: Strategy,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl Steering {
    /// For somebody who has been asked already.
    pub(crate) fn confirmed(strategy: Strategy) -> Self {
        Self {
            namespace: None,
            dry_run: DryRun::None,
            yes: true,
            reason: None,
            output: None,
            strategy,
            connection: Connection::default(),
        }
    }

    pub(crate) async fn open(&self) -> Result<Session, Error> {
        let place = Place {
            namespace: self.namespace.clone(),
            all_namespaces: false,
        };
        self.connection.open(&place).await
    }

    /// Asks whoever sits there; without a terminal there is nobody to ask.
    pub(crate) fn confirm(&self, terminal: Terminal, err: &mut impl Write) -> Result<(), Error> {
        if self.yes || self.dry_run != DryRun::None {
            return Ok(());
        }
        if !terminal.asks {
            return Err(Error::Steer(
                "nobody can be asked, because the input is no terminal: add --yes".to_owned(),
            ));
        }
        write!(err, "Go on? [y/N] ")?;
        err.flush()?;
        let answer = io::stdin().lines().next().transpose()?.unwrap_or_default();
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Error::Steer("nothing was changed".to_owned())),
        }
    }

    /// Who asks, when, and why: what stands behind the word that counts.
    pub(crate) async fn remark(&self, session: &Session, now: Option<Wall>) -> (String, String) {
        let who = session
            .cluster
            .who()
            .await
            .unwrap_or_else(|| "an unknown user".to_owned());
        let when = rfc3339(whole_second(now.unwrap_or_else(local_wall)));
        let why = self
            .reason
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        (format!("asked by {who} at {when}{why}"), format!("{who}{why}"))
    }

    pub(crate) fn say(&self, out: &mut impl Write, lease: &Lease, done: &str) -> Result<(), Error> {
        match self.output {
            None => writeln!(
                out,
                "lease.coordination.k8s.io/{} {done}{}",
                lease.name_any(),
                self.dry_run.suffix()
            )?,
            Some(Written::Name) => writeln!(out, "lease.coordination.k8s.io/{}", lease.name_any())?,
            Some(Written::Json) => object(out, ObjectFormat::Json, &shown(lease))?,
            Some(Written::Yaml) => object(out, ObjectFormat::Yaml, &shown(lease))?,
        }
        Ok(())
    }

    /// Carries a wish out, unless it is only rehearsed.
    pub(crate) async fn carry_out(
        &self,
        session: &Session,
        name: &str,
        wish: &Wish,
        terminal: Terminal,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Carried, Error> {
        let key = LeaseKey::new(&session.namespace, name);
        let mut asked: Option<Plan> = None;
        for _ in 0..ATTEMPTS {
            let looked = Stopwatch::start();
            let seen = Seen::of(session, self.strategy).await?;
            seen.survey.must_know(&key)?;
            let plan = plan(wish, &seen.survey, &key).map_err(Error::Steer)?;
            let lease = seen.lease(&key)?;
            let (remark, who) = self.remark(session, seen.survey.moment().now).await;
            let Some(after) = plan.apply(lease, &remark) else {
                self.say(out, lease, "unchanged")?;
                return Ok(match self.dry_run {
                    DryRun::None => Carried::Stands(Box::new(lease.clone()), looked),
                    DryRun::Client | DryRun::Server => Carried::Rehearsed,
                });
            };
            // Who confirmed is asked again only when something else would come of it.
            if asked.as_ref().is_none_or(|asked| !asked.promises(&plan)) {
                let electors = Electors::ask(&session.cluster).await?;
                seen.preview(&plan, &key, &after, electors, err)?;
                self.confirm(terminal, err)?;
                asked = Some(plan.clone());
            }
            if self.dry_run == DryRun::Client {
                self.say(out, &after, &plan.done)?;
                return Ok(Carried::Rehearsed);
            }
            let rehearsal = self.dry_run == DryRun::Server;
            let (reason, action) = plan.event;
            let since = Stopwatch::start();
            let Outcome::Done(written) = session.cluster.replace(&after, action, rehearsal).await? else {
                continue;
            };
            self.say(out, &written, &plan.done)?;
            if rehearsal {
                return Ok(Carried::Rehearsed);
            }
            let note = format!("{} by {who}", plan.done);
            if let Err(error) = session.cluster.tell(&written, reason, action, note).await {
                writeln!(err, "Warning: it was done, but no Event tells of it: {error}")?;
            }
            return Ok(Carried::Stands(Box::new(written), since));
        }
        Err(Error::Steer(format!(
            "lease {key} changed {ATTEMPTS} times while it was looked at, and nothing was done: try again"
        )))
    }
}

/// As kubectl shows an object: who manages which field is long, and asked for by nobody.
fn shown(lease: &Lease) -> Lease {
    let mut shown = lease.clone();
    shown.metadata.managed_fields = None;
    shown
}

/// What became of a wish.
pub(crate) enum Carried {
    /// It stands on the lease, since now or since before: the lease as it then was, and from when on time is counted.
    Stands(Box<Lease>, Stopwatch),
    /// It was only rehearsed.
    Rehearsed,
}

/// How often a conflict is answered by another look.
const ATTEMPTS: u32 = 5;

/// The leases at one moment.
pub(crate) struct Seen {
    leases: Vec<NotedLease>,
    strategy: Strategy,
    pub(crate) survey: Survey,
}

impl Seen {
    /// Reads them. `strategy` is that of leases that ask for none.
    pub(crate) async fn of(session: &Session, strategy: Strategy) -> Result<Self, Error> {
        let leases = session.cluster.leases().await?;
        let moment = Moment::of(session.cluster.clock.now(), &leases);
        let survey = Survey::new(&leases, moment, strategy);
        Ok(Self {
            leases,
            strategy,
            survey,
        })
    }

    pub(crate) fn lease(&self, key: &LeaseKey) -> Result<&Lease, Error> {
        let is = |lease: &&Lease| {
            lease.name_any() == key.name() && lease.namespace().as_deref() == Some(key.namespace())
        };
        let mut leases = self.leases.iter().map(|noted| &noted.lease);
        leases.find(is).ok_or_else(|| Error::NotFound {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
        })
    }

    /// Says what would come of it.
    fn preview(
        &self,
        plan: &Plan,
        key: &LeaseKey,
        after: &Lease,
        electors: Electors,
        err: &mut impl Write,
    ) -> Result<(), Error> {
        let (before, others): (Vec<_>, Vec<_>) = self
            .leases
            .iter()
            .partition(|noted| noted.lease.uid() == after.uid());
        let changed: Vec<_> = before
            .iter()
            .map(|before| before.with_change(after.clone()))
            .collect();
        let survey = Survey::new(
            others.into_iter().chain(&changed),
            self.survey.moment(),
            self.strategy,
        );
        let down = electors.are_down();
        let explained = explain(&survey, key, electors, &[]);
        let status = self.survey.status(key);
        let state = match &status.holder {
            Some(holder) => format!("{key} is {} by {holder}.", status.state),
            None => format!("{key} is {}.", status.state),
        };
        writeln!(err, "{}", plain(&state))?;
        writeln!(err, "{}", wrapped(&plan.meaning, COLUMNS, ""))?;
        print_next(err, &explained)?;
        if down {
            writeln!(
                err,
                "Warning: no elector acts, and nothing of this happens before one does"
            )?;
        }
        for warning in &plan.warnings {
            writeln!(err, "Warning: {}", plain(warning))?;
        }
        Ok(())
    }
}
