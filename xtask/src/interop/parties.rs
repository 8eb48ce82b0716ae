//! Those who stand for the lease, and the lease as the API server shows it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use candidate::clock::{BootClock, Clock};
use election_core::Mono;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;

use super::ledger::{self, Stretch};
use crate::bench::candidate::boottime;
use crate::plane::{Access, Cluster};
use crate::processes::Processes;
use crate::shell;
use crate::workspace::Binaries;

const NAMESPACE: &str = "default";
const LEASE: &str = "interop";
/// How often the ledger and the logs are read.
const GLANCE: Duration = Duration::from_millis(10);
/// In microseconds: more than attempts differ by that were made at once, less than between two renewals.
const A_RENEWAL_LATER: i64 = 100_000;

/// Whose rules somebody follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ClientGo,
    Direct,
}

/// How the term of a leader ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By SIGTERM: it gives the lease back.
    Asked,
    /// By SIGKILL: the lease expires.
    Killed,
}

/// Somebody who stands for the lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    pub(super) identity: &'static str,
    pub(super) kind: Kind,
    /// How long its record is good for.
    pub(super) seconds: u32,
}

/// What was seen of a handover.
pub(super) struct Seen {
    pub(super) what: String,
    /// Between the last act of the one and the first of the other.
    pub(super) gap: Duration,
}

/// All of them, one of whom leads.
pub(super) struct Parties {
    processes: Processes,
    access: Access,
    go: PathBuf,
    candidate: PathBuf,
    ledger: PathBuf,
    leaders: Vec<Party>,
}

impl Parties {
    pub(super) async fn gather(
        cluster: &Cluster,
        folder: &Path,
        go: PathBuf,
        binaries: &Binaries,
    ) -> anyhow::Result<Self> {
        let mut processes = Processes::new(folder.join("logs"))?;
        let access = cluster.reach(&mut processes, folder).await?;
        Ok(Self {
            processes,
            access,
            go,
            candidate: binaries.path("candidate")?.to_owned(),
            ledger: folder.join("ledger"),
            leaders: Vec::new(),
        })
    }

    /// Starts the first one, and waits until it leads; how long that took.
    pub(super) async fn start_first(&mut self, party: Party) -> anyhow::Result<Duration> {
        let began = boottime();
        self.start(&party)?;
        let leads = self.until_leads(&party).await?;
        let record = self.record().await?;
        ensure!(record.lease_transitions.unwrap_or_default() == 0, "{record:?}");
        Ok(Duration::from_nanos(leads.first.saturating_sub(began)))
    }

    /// Starts the next one, ends the term of the one that leads, and checks what each makes of the other's record.
    pub(super) async fn hand_over_to(&mut self, next: Party, end: End) -> anyhow::Result<Seen> {
        let leader = *self.leaders.last().context("nobody leads")?;
        self.start(&next)?;
        self.until_stands_by(&next, &leader).await?;
        let before = match end {
            End::Asked => {
                let record = self.record().await?;
                self.processes.terminate(leader.identity)?;
                let status = self.processes.ended(leader.identity).await?;
                ensure!(status.success(), "{}: {status}", leader.identity);
                record
            }
            End::Killed => {
                self.until_renewed(&leader).await?;
                self.processes.kill(leader.identity)?;
                self.processes.ended(leader.identity).await?;
                // Its last renewal: nobody else writes before it has expired.
                self.record().await?
            }
        };
        let first = self.until_leads(&next).await?.first;
        let after = self.record().await?;
        check_records(&leader, &next, (&before, &after))?;
        if end == End::Killed {
            check_expiry(&leader, &next, &before, first)?;
        }
        let stretches = ledger::read(&self.ledger)?;
        let last = stretches
            .iter()
            .rfind(|stretch| stretch.identity == leader.identity)
            .map_or(first, |stretch| stretch.last);
        let how = match end {
            End::Asked => "gives the lease back to",
            End::Killed => "is killed and expires for",
        };
        Ok(Seen {
            what: format!("{} {how} {}", leader.identity, next.identity),
            gap: Duration::from_nanos(first.saturating_sub(last)),
        })
    }

    /// Asks the last one to end.
    pub(super) async fn release_last(&mut self) -> anyhow::Result<()> {
        let leader = *self.leaders.last().context("nobody leads")?;
        self.processes.terminate(leader.identity)?;
        self.processes.ended(leader.identity).await?;
        let record = self.record().await?;
        let holder = record.holder_identity.as_deref().unwrap_or_default();
        ensure!(
            holder.is_empty(),
            "{} has not released: {record:?}",
            leader.identity
        );
        Ok(())
    }

    /// What the ledger says of all of them.
    pub(super) fn check(&self) -> anyhow::Result<String> {
        let stretches = ledger::read(&self.ledger)?;
        let leaders: Vec<String> = self
            .leaders
            .iter()
            .map(|party| party.identity.to_owned())
            .collect();
        ledger::check(&stretches, &leaders)?;
        let acts: usize = stretches.iter().map(|stretch| stretch.acts).sum();
        Ok(format!(
            "{} leaders, {acts} acts, never two at once; leaseTransitions rose by one each time",
            leaders.len()
        ))
    }

    pub(super) async fn end(&mut self) {
        self.processes.end_down_to(0).await;
    }

    fn start(&mut self, party: &Party) -> anyhow::Result<()> {
        let kubeconfig = format!("--kubeconfig={}", self.access.kubeconfig.display());
        let identity = format!("--identity={}", party.identity);
        let duration = format!("--lease-duration={}s", party.seconds);
        let (program, args) = match party.kind {
            Kind::ClientGo => (
                self.go.clone(),
                vec![
                    kubeconfig,
                    identity,
                    duration,
                    format!("--namespace={NAMESPACE}"),
                    format!("--lease={LEASE}"),
                    // The proportions of Kubernetes' components.
                    format!("--renew-deadline={}ms", party.seconds * 667),
                    format!("--retry-period={}ms", party.seconds * 133),
                    format!("--ledger={}", self.ledger.display()),
                ],
            ),
            Kind::Direct => (
                self.candidate.clone(),
                vec![
                    "run".to_owned(),
                    "--direct".to_owned(),
                    kubeconfig,
                    identity,
                    duration,
                    format!("--lease={NAMESPACE}/{LEASE}"),
                    "--".to_owned(),
                    std::env::current_exe()?.display().to_string(),
                    "interop-worker".to_owned(),
                    self.ledger.display().to_string(),
                ],
            ),
        };
        self.processes.start(party.identity, &program, &args)
    }

    /// Waits until somebody who has just been started has seen who leads.
    async fn until_stands_by(&mut self, party: &Party, leader: &Party) -> anyhow::Result<()> {
        let sign = match party.kind {
            Kind::ClientGo => format!("sees {:?} lead", leader.identity),
            Kind::Direct => "candidate; ".to_owned(),
        };
        let log = self.processes.log_file(party.identity);
        let stands_by = async {
            while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains(&sign)) {
                shell::sleep(GLANCE).await;
            }
            Ok(())
        };
        self.processes
            .until(party.identity, patience(party), stands_by)
            .await
    }

    async fn until_leads(&mut self, party: &Party) -> anyhow::Result<Stretch> {
        let file = self.ledger.clone();
        let leads = async {
            loop {
                let last = ledger::read(&file)?.pop();
                if let Some(stretch) = last.filter(|stretch| stretch.identity == party.identity) {
                    return Ok(stretch);
                }
                shell::sleep(GLANCE).await;
            }
        };
        let found = self
            .processes
            .until(party.identity, patience(party), leads)
            .await?;
        self.leaders.push(*party);
        Ok(found)
    }

    /// Waits until the stamp of a leader is one of a renewal: that of a claim in direct mode lies up to a second ahead.
    async fn until_renewed(&mut self, leader: &Party) -> anyhow::Result<()> {
        let leases = self.leases();
        let renewed = async {
            loop {
                let spec = leases.get(LEASE).await?.spec.unwrap_or_default();
                let stamps = (
                    micros(spec.acquire_time.as_ref()),
                    micros(spec.renew_time.as_ref()),
                );
                if let (Some(acquired), Some(renewed)) = stamps
                    && renewed > acquired + A_RENEWAL_LATER
                {
                    return Ok(());
                }
                shell::sleep(GLANCE).await;
            }
        };
        self.processes
            .until(leader.identity, patience(leader), renewed)
            .await
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.access.client.clone(), NAMESPACE)
    }

    async fn record(&self) -> anyhow::Result<LeaseSpec> {
        self.leases()
            .get(LEASE)
            .await?
            .spec
            .context("the lease has no record")
    }
}

/// More than an expiry takes, on a machine that is busy.
fn patience(party: &Party) -> Duration {
    Duration::from_secs(u64::from(party.seconds) * 3 + 30)
}

/// What the next leader wrote, given the record of the one before.
fn check_records(
    leader: &Party,
    next: &Party,
    (before, after): (&LeaseSpec, &LeaseSpec),
) -> anyhow::Result<()> {
    let seen = || format!("after {before:?} came {after:?}");
    let is = |spec: &LeaseSpec, party: &Party| spec.holder_identity.as_deref() == Some(party.identity);
    ensure!(
        is(before, leader) && is(after, next),
        "the wrong holder: {}",
        seen()
    );
    let transitions = |spec: &LeaseSpec| spec.lease_transitions.unwrap_or_default();
    ensure!(
        transitions(after) == transitions(before) + 1,
        "leaseTransitions did not rise by one: {}",
        seen()
    );
    for (spec, party) in [(before, leader), (after, next)] {
        ensure!(
            spec.lease_duration_seconds == i32::try_from(party.seconds).ok(),
            "the wrong leaseDurationSeconds: {}",
            seen()
        );
    }
    Ok(())
}

/// That the record was good for as long as it says, whatever the next leader would have written itself. All stamps are of
/// one machine here, which is why they may be compared. Client-go tells two records apart by whole seconds, so it may miss the
/// last renewal of a second.
fn check_expiry(leader: &Party, next: &Party, last: &LeaseSpec, first_act: u64) -> anyhow::Result<()> {
    let clock = BootClock::new();
    let ago = clock.now().since(Mono::from_nanos(first_act));
    let renewed = micros(last.renew_time.as_ref()).context("the lease was never renewed")?;
    let since = u64::try_from(clock.wall().as_micros() - renewed).unwrap_or_default();
    let waited = Duration::from_micros(since).saturating_sub(ago);
    let missed = match next.kind {
        Kind::ClientGo => Duration::from_secs(1),
        Kind::Direct => Duration::ZERO,
    };
    ensure!(
        waited + missed >= Duration::from_secs(leader.seconds.into()),
        "{} was replaced {waited:?} after it had renewed {last:?}",
        leader.identity
    );
    Ok(())
}

fn micros(time: Option<&MicroTime>) -> Option<i64> {
    time.map(|time| time.0.as_microsecond())
}
