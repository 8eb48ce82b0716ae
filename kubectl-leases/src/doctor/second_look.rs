//! What only a while shows: a holder that renews although it was asked to give way, an identity that changes hands.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::time::Duration;

use election_core::wire::{self, Item};
use election_core::{
    IdentityLease, Incarnation, LeaderLease, LeaseKey, LeaseSeconds, LeaseState, Timing, Wall,
};
use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::Event;

use super::Finding;
use crate::cluster::{Cluster, Error};
use crate::survey::Survey;
use crate::words::age;

/// How long to look whether an identity changes hands, when nothing else takes longer: who runs a command waits for it.
const BRIEFLY: Duration = Duration::from_secs(2);

/// A holder that was asked to give way.
#[derive(Debug)]
struct Ending {
    /// When it renewed last.
    renewed: Option<Wall>,
    /// Longer than it takes from one renewal to the next.
    patience: Duration,
}

/// An identity that was seen with one process.
#[derive(Debug)]
struct InUse {
    /// The processes that it was seen with, the last one last.
    by: Vec<Incarnation>,
    /// Whether it leads with another one than its identity lease names.
    doubtful: bool,
}

/// What is looked at again.
#[derive(Debug, Default)]
struct Looking {
    ending: BTreeMap<LeaseKey, Ending>,
    identities: BTreeMap<LeaseKey, InUse>,
    findings: Vec<Finding>,
}

/// Looks again for a while, if there is something to look at: for `limit`, or as long as it takes to tell.
///
/// # Errors
/// [`Error`].
pub(crate) async fn look(
    cluster: &Cluster,
    survey: &Survey,
    only: Option<&LeaseKey>,
    limit: Option<Duration>,
) -> Result<Vec<Finding>, Error> {
    let mut looking = Looking::new(survey, only);
    let briefly = limit.unwrap_or(BRIEFLY);
    let longer = limit.unwrap_or_else(|| looking.patience());
    if !looking.is_decided() || !looking.identities.is_empty() {
        let mut leases = pin!(cluster.watch());
        // The end of the while is no failure.
        if let Ok(ended) = tokio::time::timeout(briefly, looking.follow(leases.as_mut(), false)).await {
            ended?;
        }
        let rest = longer.saturating_sub(briefly);
        if let Ok(ended) = tokio::time::timeout(rest, looking.follow(leases, true)).await {
            ended?;
        }
    }
    Ok(looking.found(longer))
}

impl Looking {
    fn new(survey: &Survey, only: Option<&LeaseKey>) -> Self {
        let mut looking = Self::default();
        let meant = |lease: &LeaseKey| only.is_none_or(|only| lease == only);
        for identity in survey.identities() {
            if identity.leads.iter().any(meant)
                && let Some(process) = &identity.incarnation
            {
                let by = vec![process.clone()];
                looking
                    .identities
                    .insert(identity.key.clone(), InUse { by, doubtful: false });
            }
        }
        let leases = survey
            .leader_leases()
            .filter(|lease| lease.state() == LeaseState::Held && meant(&lease.key));
        for lease in leases {
            let record = &lease.record;
            if record.end_of_term && survey.is_overdue(&lease.key) {
                looking.will_not_give_way(lease);
            } else if record.end_of_term {
                let duration = record.duration.unwrap_or(LeaseSeconds::LEADER);
                let ending = Ending {
                    renewed: record.renew_time,
                    patience: Timing::for_lease_duration(duration).renew_interval() * 3 / 2,
                };
                looking.ending.insert(lease.key.clone(), ending);
            }
            let (Some(holder), Some(process)) = (&record.holder, &record.incarnation) else {
                continue;
            };
            let own = LeaseKey::new(lease.key.namespace(), holder.as_str());
            if let Some(known) = looking.identities.get_mut(&own) {
                known.doubtful |= known.by.last() != Some(process);
            }
        }
        looking
    }

    /// How long it takes to tell.
    fn patience(&self) -> Duration {
        let ending = self.ending.values().map(|ending| ending.patience);
        let doubtful = self.identities.values().filter(|known| known.doubtful);
        let doubtful = doubtful.map(|_| Timing::default().renew_interval() * 3 / 2);
        ending.chain(doubtful).max().unwrap_or(BRIEFLY)
    }

    /// Whether nothing is left that there was a reason to look at.
    fn is_decided(&self) -> bool {
        self.ending.is_empty() && !self.identities.values().any(|known| known.doubtful)
    }

    async fn follow(
        &mut self,
        mut leases: Pin<&mut impl Stream<Item = Result<Event<Lease>, Error>>>,
        until_decided: bool,
    ) -> Result<(), Error> {
        while !(until_decided && self.is_decided()) {
            let Some(event) = leases.next().await else { break };
            if let Event::Apply(lease) | Event::InitApply(lease) = event?
                && let Some(item) = wire::read(&lease)
            {
                self.see(&item);
            }
        }
        Ok(())
    }

    fn see(&mut self, item: &Item) {
        match item {
            Item::Leader(lease) => self.see_leader(lease),
            Item::Identity(identity) => self.see_identity(identity),
        }
    }

    fn see_leader(&mut self, lease: &LeaderLease) {
        let Some(ending) = self.ending.get(&lease.key) else {
            return;
        };
        if !lease.record.end_of_term || lease.state() != LeaseState::Held {
            self.ending.remove(&lease.key);
            let message = "its holder was asked to give way, and has done so";
            self.findings.push(Finding::ok("Lease", &lease.key, message));
        } else if lease.record.renew_time > ending.renewed {
            self.ending.remove(&lease.key);
            self.will_not_give_way(lease);
        }
    }

    fn will_not_give_way(&mut self, lease: &LeaderLease) {
        let Some(holder) = &lease.record.holder else {
            return;
        };
        let nominee = lease.record.preferred_holder.as_ref();
        let nominee = nominee.map_or_else(String::new, |nominee| format!(" to {nominee}"));
        let message = format!(
            "{holder} is alive and stuck: it was asked to give way{nominee}, and goes on renewing instead of stopping"
        );
        let advice = format!(
            "restart {holder}: no candidate of this project renews under end-of-term, so it runs something else or its own \
             renewals; the lease is taken over one lease duration after it is gone"
        );
        self.findings
            .push(Finding::problem("WillNotGiveWay", &lease.key, message, &advice));
    }

    fn see_identity(&mut self, identity: &IdentityLease) {
        if let Some(known) = self.identities.get_mut(&identity.key)
            && let Some(process) = &identity.incarnation
            && known.by.last() != Some(process)
        {
            known.by.push(process.clone());
        }
    }

    /// What came of it; `looked` is for how long it was looked.
    fn found(self, looked: Duration) -> Vec<Finding> {
        let mut findings = self.findings;
        let looked = age(looked);
        for (key, known) in &self.identities {
            let changes = known.by.len() - 1;
            if changes > 1 || (changes == 1 && known.doubtful) {
                let message = "two processes take this identity from each other";
                let advice = "give each replica an identity of its own: the name of its Pod";
                findings.push(Finding::problem("IdentityContended", key, message, advice));
            } else if changes == 1 {
                let message = format!(
                    "another process has taken this identity over within {looked}: a restart, or one of two that share it"
                );
                let advice = "kubectl leases doctor --look 1m: an identity that is taken over again and again is in use twice";
                findings.push(Finding::note("IdentityTakenOver", key, message, advice));
            }
        }
        for key in self.ending.keys() {
            let message = format!(
                "its holder was asked to give way, and has neither renewed nor stopped within {looked}: it cannot be told yet \
                 whether it is stopping or stuck"
            );
            let advice = "look again in a while: a holder that stops is gone by the time its lease expires; one that is stuck \
                          renews";
            findings.push(Finding::note("EndingUndecided", key, message, advice));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::noted::NotedLease;
    use election_core::Strategy;
    use serde_json::{Value, json};

    fn lease(name: &str, second: u32, annotations: &Value) -> Lease {
        let time = format!("2026-05-01T12:00:{second:02}.000000Z");
        serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": name, "uid": "u", "resourceVersion": "1", "annotations": annotations},
            "spec": {"holderIdentity": "old", "renewTime": time, "acquireTime": time, "leaseDurationSeconds": 60},
        }))
        .unwrap()
    }

    fn identity(process: &str) -> Lease {
        let annotations = json!({
            "coordination.k8s.io/can-lead-leases": "n/demo",
            "coordinated-election.io/incarnation": process,
        });
        lease("old", 1, &annotations)
    }

    fn looking(before: &[Lease]) -> Looking {
        let before: Vec<_> = before.iter().cloned().map(NotedLease::from).collect();
        let survey = Survey::new(&before, Moment::of(None, &before), Strategy::default());
        Looking::new(&survey, None)
    }

    /// What is found when the other leases follow the first ones.
    fn found(before: &[Lease], after: &[Lease]) -> Vec<&'static str> {
        let mut looking = looking(before);
        for lease in after {
            looking.see(&wire::read(lease).unwrap());
        }
        let findings = looking.found(BRIEFLY);
        findings.iter().map(|finding| finding.code).collect()
    }

    fn ending() -> Value {
        json!({
            "coordination.k8s.io/end-of-term": "true",
            "coordinated-election.io/incarnation": "1",
        })
    }

    #[test]
    fn only_a_renewal_under_end_of_term_shows_that_a_holder_will_not_give_way() {
        let calm = json!({"coordinated-election.io/incarnation": "1"});
        let first = [lease("demo", 1, &ending())];
        assert_eq!(found(&first, &first), ["EndingUndecided"], "it may be stopping");
        assert_eq!(found(&first, &[lease("demo", 2, &ending())]), ["WillNotGiveWay"]);
        assert_eq!(
            found(&first, &[lease("demo", 2, &calm)]),
            ["Lease"],
            "it has a new term"
        );
        assert_eq!(
            found(&[lease("demo", 1, &calm)], &[lease("demo", 2, &calm)]),
            [""; 0]
        );
    }

    #[test]
    fn a_holder_is_watched_for_longer_than_its_renewals_are_apart() {
        let looking = looking(&[lease("demo", 1, &ending())]);
        let duration = LeaseSeconds::new(60).unwrap();
        let interval = Timing::for_lease_duration(duration).renew_interval();
        assert!(
            looking.patience() > interval && interval > Duration::from_secs(10),
            "{interval:?}"
        );
    }

    #[test]
    fn an_identity_that_is_taken_to_and_fro_is_in_use_twice() {
        let first = [identity("1")];
        assert_eq!(found(&first, &[identity("1"), identity("1")]), [""; 0]);
        assert_eq!(found(&first, &[identity("2")]), ["IdentityTakenOver"]);
        assert_eq!(
            found(&first, &[identity("2"), identity("1")]),
            ["IdentityContended"]
        );
        assert_eq!(
            found(&first, &[identity("2"), identity("3")]),
            ["IdentityContended"]
        );
        let led_by_another = [
            identity("2"),
            lease("demo", 1, &json!({"coordinated-election.io/incarnation": "1"})),
        ];
        assert_eq!(found(&led_by_another, &[]), [""; 0]);
        assert_eq!(found(&led_by_another, &[identity("1")]), ["IdentityContended"]);
    }
}
