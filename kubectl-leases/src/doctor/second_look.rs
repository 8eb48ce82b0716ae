//! What only a while shows: a holder that renews although it was asked to give way, an identity that changes hands.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use election_core::wire::{self, Item};
use election_core::{Incarnation, LeaseKey, LeaseState, Wall};
use futures::StreamExt;
use kube::runtime::watcher::Event;

use super::Finding;
use crate::cluster::{Cluster, Error};
use crate::survey::Survey;

/// How long to look: longer than a holder takes from one renewal to the next.
const LOOK: Duration = Duration::from_secs(6);

/// What is looked at again.
#[derive(Debug, Default)]
struct Looking {
    /// Leases whose holder was asked to give way, with its last renewal.
    ending: BTreeMap<LeaseKey, Option<Wall>>,
    /// Identities of which two processes seem to make use.
    shared: BTreeMap<LeaseKey, Option<Incarnation>>,
    findings: Vec<Finding>,
}

/// Looks again for a while, if there is a reason to.
///
/// # Errors
/// [`Error`].
pub(crate) async fn look(
    cluster: &Cluster,
    survey: &Survey,
    only: Option<&LeaseKey>,
) -> Result<Vec<Finding>, Error> {
    let mut looking = Looking::new(survey, only);
    if looking.is_done() {
        return Ok(Vec::new());
    }
    let watching = async {
        let mut leases = pin!(cluster.watch());
        while let Some(event) = leases.next().await {
            if let Event::Apply(lease) | Event::InitApply(lease) = event?
                && let Some(item) = wire::read(&lease)
            {
                looking.see(&item);
            }
            if looking.is_done() {
                break;
            }
        }
        Ok::<(), Error>(())
    };
    // The end of the while is no failure.
    if let Ok(Err(error)) = tokio::time::timeout(LOOK, watching).await {
        return Err(error);
    }
    Ok(looking.findings)
}

impl Looking {
    fn new(survey: &Survey, only: Option<&LeaseKey>) -> Self {
        let mut looking = Self::default();
        let leases = survey
            .leader_leases()
            .filter(|lease| lease.state() == LeaseState::Held && only.is_none_or(|only| lease.key == *only));
        for lease in leases {
            let record = &lease.record;
            if record.end_of_term {
                looking.ending.insert(lease.key.clone(), record.renew_time);
            }
            let Some(holder) = &record.holder else { continue };
            let own = LeaseKey::new(lease.key.namespace(), holder.as_str());
            let identity = survey.identity_lease(&own);
            if let Some(identity) = identity.filter(|identity| {
                record.incarnation.is_some()
                    && identity.incarnation.is_some()
                    && identity.incarnation != record.incarnation
            }) {
                looking.shared.insert(own, identity.incarnation.clone());
            }
        }
        looking
    }

    fn is_done(&self) -> bool {
        self.ending.is_empty() && self.shared.is_empty()
    }

    fn see(&mut self, item: &Item) {
        match item {
            Item::Leader(lease) => {
                let Some(renewed) = self.ending.get(&lease.key) else {
                    return;
                };
                let holder = lease.record.holder.as_ref();
                if !lease.record.end_of_term || lease.state() != LeaseState::Held {
                    self.ending.remove(&lease.key);
                } else if let Some(holder) = holder.filter(|_| lease.record.renew_time > *renewed) {
                    let nominee = lease.record.preferred_holder.as_ref();
                    let nominee = nominee.map_or_else(String::new, |nominee| format!(" to {nominee}"));
                    let message = format!(
                        "{holder} is alive and stuck: it was asked to give way{nominee}, and goes on renewing instead of \
                         stopping"
                    );
                    let advice = format!(
                        "restart {holder}: no candidate of this project renews under end-of-term, so it runs something else \
                         or its own renewals; the lease is taken over one lease duration after it is gone"
                    );
                    self.findings
                        .push(Finding::problem("WillNotGiveWay", &lease.key, message, &advice));
                    self.ending.remove(&lease.key);
                }
            }
            Item::Identity(identity) => {
                let changed = self
                    .shared
                    .get(&identity.key)
                    .is_some_and(|before| *before != identity.incarnation);
                if changed {
                    self.shared.remove(&identity.key);
                    let message = "two processes take this identity from each other";
                    let advice = "give each replica an identity of its own: the name of its Pod";
                    self.findings.push(Finding::problem(
                        "IdentityContended",
                        &identity.key,
                        message,
                        advice,
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use election_core::Strategy;
    use k8s_openapi::api::coordination::v1::Lease;
    use serde_json::json;

    fn lease(name: &str, second: u32, annotations: &serde_json::Value) -> Lease {
        let time = format!("2026-05-01T12:00:{second:02}.000000Z");
        serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": name, "uid": "u", "resourceVersion": "1", "annotations": annotations},
            "spec": {"holderIdentity": "old", "renewTime": time, "acquireTime": time},
        }))
        .unwrap()
    }

    /// What is found when the second lease follows the first.
    fn found(before: &Lease, after: &Lease) -> Vec<&'static str> {
        let survey = Survey::new([before], Moment::of(None, [before]), Strategy::default());
        let mut looking = Looking::new(&survey, None);
        looking.see(&wire::read(after).unwrap());
        looking.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn only_a_renewal_under_end_of_term_shows_that_a_holder_will_not_give_way() {
        let ending = json!({
            "coordination.k8s.io/end-of-term": "true",
            "coordinated-election.io/incarnation": "1",
        });
        let calm = json!({"coordinated-election.io/incarnation": "1"});
        let first = lease("demo", 1, &ending);
        assert_eq!(found(&first, &first), [""; 0], "it is stopping");
        assert_eq!(found(&first, &lease("demo", 2, &ending)), ["WillNotGiveWay"]);
        assert_eq!(
            found(&first, &lease("demo", 2, &calm)),
            [""; 0],
            "it has a new term"
        );
        assert_eq!(found(&lease("demo", 1, &calm), &lease("demo", 2, &calm)), [""; 0]);
    }
}
