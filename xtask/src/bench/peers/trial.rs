//! One trial of one system: a lease of its own, the processes that stand for it, what they said, and what a watch showed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use election_core::{LeaseSeconds, Wall};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::coordination::v1beta1::LeaseCandidate;
use kube::Api;
use kube::api::DeleteParams;

use super::chronicle::{Chronicle, Event};
use super::stand::{NAMESPACE, Stand};
use super::system::System;
use crate::bench::candidate::{What, boottime};
use crate::processes::Processes;
use crate::shell;
use crate::timeline::Sighting;

/// What takes longer than this has failed: twice the longest lease, which is kubert's.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what was just decided may settle before the next thing is done.
const SETTLED: Duration = Duration::from_secs(2);

/// One trial of one system.
pub(super) struct Trial<'a> {
    pub(super) stand: &'a Stand,
    pub(super) system: System,
    pub(super) processes: Processes,
    pub(super) log: Chronicle,
    lease: String,
    started: Vec<&'static str>,
    /// Since when the watch shows this lease.
    mark: usize,
}

impl<'a> Trial<'a> {
    /// A lease that does not exist yet, and no process.
    pub(super) fn new(stand: &'a Stand, system: System) -> anyhow::Result<Self> {
        let lease = format!("bench-{}-{}", system.name(), stand.next_trial());
        Ok(Self {
            stand,
            system,
            processes: Processes::new(stand.folder(&lease)?)?,
            log: Chronicle::new(),
            lease,
            started: Vec::new(),
            mark: stand.leases.mark(),
        })
    }

    /// Starts a replica's process; returns the moment at which that was.
    pub(super) fn start(&mut self, replica: &'static str, version: &str) -> anyhow::Result<u64> {
        self.start_with(replica, version, &self.stand.kubeconfig)
    }

    fn start_with(&mut self, replica: &'static str, version: &str, kubeconfig: &Path) -> anyhow::Result<u64> {
        let (program, args) = self.command(replica, version, kubeconfig)?;
        self.started.push(replica);
        let at = boottime();
        let child = self.processes.start_piped(replica, &program, &args)?;
        let output = child.stdout.take().context("a candidate without output")?;
        self.log.listen(replica, output);
        Ok(at)
    }

    fn command(
        &self,
        replica: &str,
        version: &str,
        kubeconfig: &Path,
    ) -> anyhow::Result<(PathBuf, Vec<String>)> {
        let program = self.stand.programs.candidate(self.system)?.to_owned();
        let mut args = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--namespace={NAMESPACE}"),
            format!("--lease={}", self.lease),
            format!("--identity={}", self.identity(replica)),
        ];
        if self.system.is_own() {
            args.insert(0, "bench-candidate".to_owned());
        }
        if self.system == System::Direct {
            args.push("--direct".to_owned());
        }
        if self.system.elects_by_version() {
            args.push(format!("--binary-version={version}"));
            args.push(format!("--emulation-version={version}"));
        }
        Ok((program, args))
    }

    fn identity(&self, replica: &str) -> String {
        format!("{}-{replica}", self.lease)
    }

    /// Starts replicas one after the other; the first one leads before the second one is started.
    pub(super) async fn stand_up(&mut self, replicas: &[(&'static str, &str)]) -> anyhow::Result<()> {
        for (number, (replica, version)) in replicas.iter().enumerate() {
            self.stand_up_with(replica, version, number == 0, &self.stand.kubeconfig)
                .await?;
        }
        Ok(())
    }

    /// Starts one replica with a way of its own to the server, and waits until it stands, or leads.
    pub(super) async fn stand_up_with(
        &mut self,
        replica: &'static str,
        version: &str,
        leads: bool,
        kubeconfig: &Path,
    ) -> anyhow::Result<()> {
        let sign = if leads { What::Leads } else { What::Started };
        let stand = self.stand;
        let standing = async {
            self.start_with(replica, version, kubeconfig)?;
            self.said(0, sign, |event| event.replica == replica).await
        };
        stand.undisturbed(standing).await.map(drop)
    }

    /// Waits until everything has settled, and then for a random part of the system's cycle.
    pub(super) async fn let_pass(&self) {
        let cycle = u64::try_from(self.system.cycle().as_millis()).unwrap_or(u64::MAX);
        shell::sleep(SETTLED + Duration::from_millis(self.stand.random(cycle))).await;
    }

    /// Waits until a replica says something.
    pub(super) async fn said(
        &self,
        mark: usize,
        what: What,
        who: impl Fn(&Event) -> bool,
    ) -> anyhow::Result<Event> {
        tokio::select! {
            event = self.log.first(mark, |event| event.what == what && who(event)) => Ok(event),
            () = shell::sleep(PATIENCE) => {
                let tails: Vec<String> = self.started.iter().map(|replica| self.processes.tail(replica)).collect();
                bail!("nobody said {what:?} within {PATIENCE:?}\n{:?}\n{}", self.log.all(), tails.join("\n"))
            }
        }
    }

    /// What the watch has shown of the leader lease.
    pub(super) fn seen(&self) -> Vec<Sighting> {
        let mut seen = self.stand.leases.since(self.mark);
        seen.retain(|sighting| sighting.name == self.lease);
        seen
    }

    /// When the last renewal of a replica that the watch has shown expires.
    pub(super) fn expiry(&self, replica: &str) -> anyhow::Result<u64> {
        let identity = self.identity(replica);
        let mut last: Option<(Option<Wall>, Instant, Option<LeaseSeconds>)> = None;
        for sighting in self.seen() {
            let Some(lease) = sighting
                .leader()
                .filter(|_| sighting.held_by() == Some(&identity))
            else {
                continue;
            };
            let stamp = lease.record.renew_time;
            if last.is_none_or(|(known, ..)| known != stamp) {
                last = Some((stamp, sighting.at, lease.record.duration));
            }
        }
        let (_, at, duration) = last.context("the watch has shown no renewal")?;
        let duration = duration.context("a held lease without a duration")?.duration();
        Ok(self.stand.boottime(at) + u64::try_from(duration.as_nanos())?)
    }

    /// Ends all processes and removes what they left.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        let client = &self.stand.client;
        let params = DeleteParams::default();
        if self.system == System::UpstreamCoordinated {
            // While all live, so that its elector waits for none of them.
            let candidates: Api<LeaseCandidate> = Api::namespaced(client.clone(), NAMESPACE);
            for replica in &self.started {
                gone(candidates.delete(&self.identity(replica), &params).await)?;
            }
        }
        self.processes.end_down_to(0).await;
        let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
        if self.system == System::Coordinated {
            for replica in &self.started {
                gone(leases.delete(&self.identity(replica), &params).await)?;
            }
        }
        gone(leases.delete(&self.lease, &params).await)?;
        shell::sleep(self.system.rest()).await;
        Ok(())
    }
}

/// What was not there need not be removed.
fn gone<T>(result: kube::Result<T>) -> anyhow::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => Ok(result.map(drop)?),
    }
}
