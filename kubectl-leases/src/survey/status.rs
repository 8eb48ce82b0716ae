//! What a survey says about one lease.

use std::time::Duration;

use election_core::elector::{Decision, Explanation, RankedCandidate, Reason, StrategySource};
use election_core::{LeaderLease, LeaseKey, LeaseState, Versions};

use super::{NOW, Survey, rfc3339};
use crate::view::{
    API_VERSION, CandidateStatus, Condition, LeaseStatus, Metadata, Observed, Statement, StrategyView,
    VersionPair,
};

/// Longer than an elector takes for anything, a restart of its own included.
const OVERDUE: Duration = Duration::from_secs(30);

impl Survey {
    /// What is said about a lease, whether or not somebody knows it.
    pub(crate) fn status(&self, key: &LeaseKey) -> LeaseStatus {
        let explanation = self.explain(key, NOW);
        let created = self.leaders.get(key).and_then(|leader| leader.created);
        let offered = self
            .leaders
            .get(key)
            .filter(|leader| leader.lease.state() == LeaseState::Offered);
        let offered = offered.and_then(|leader| leader.noted.written);
        let leader = self.leaders.get(key).map(|leader| &leader.lease);
        let record = leader.map(|leader| &leader.record);
        let candidates: Vec<_> = explanation
            .candidates
            .iter()
            .map(|ranked| self.candidate(key, ranked))
            .collect();
        let holder = explanation.holder.as_ref().map(ToString::to_string);
        let of_holder = candidates
            .iter()
            .find(|candidate| Some(&candidate.identity) == holder.as_ref());
        let in_term = leader.filter(|leader| leader.record.incarnation.is_some());
        let mut conditions = conditions(&explanation, leader);
        conditions.extend(self.is_overdue(key).then_some(Condition::Overdue));
        conditions.extend(wishes(&explanation));
        conditions.extend(
            self.unattended(key, &explanation)
                .then_some(Condition::Unattended),
        );
        let deleted = self.leaders.get(key).and_then(|leader| leader.deleted);
        conditions.extend(deleted.map(|_| Condition::Deleting));
        if leader.is_some_and(|leader| !leader.record.elected) && !self.offers.contains_key(key) {
            conditions.push(Condition::NotCoordinated);
        }
        let expires = self.moment.now.and(explanation.expires_in);
        LeaseStatus {
            api_version: API_VERSION,
            kind: "LeaseStatus",
            metadata: Metadata {
                name: key.name().to_owned(),
                namespace: key.namespace().to_owned(),
            },
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
            state: explanation.state.map_or("Missing", LeaseState::as_str).to_owned(),
            conditions,
            asked: self
                .leaders
                .get(key)
                .map(|leader| leader.asked.clone())
                .unwrap_or_default(),
            versions: of_holder.and_then(|candidate| candidate.versions.clone()),
            holder,
            preferred_holder: record
                .and_then(|record| record.preferred_holder.as_ref())
                .map(ToString::to_string),
            term: record.map(|record| record.transitions),
            fencing_token_at_most: in_term.map(|leader| leader.revision.to_string()),
            acquire_time: record.and_then(|record| record.acquire_time).map(rfc3339),
            held_seconds: record.and_then(|record| self.seconds_since(record.acquire_time)),
            offer_time: offered.map(rfc3339),
            offered_seconds_ago: self.seconds_since(offered),
            renew_time: record.and_then(|record| record.renew_time).map(rfc3339),
            renewed_seconds_ago: self.leaders.get(key).and_then(|leader| {
                leader.lease.record.renew_time?;
                self.seconds_since(leader.last_life())
            }),
            expires_in_seconds: expires.map(|left| left.as_secs()),
            lease_duration_seconds: record
                .and_then(|record| record.duration)
                .map(|duration| duration.get()),
            strategy: StrategyView {
                name: explanation.step.strategy.strategy().as_str(),
                from_lease: matches!(explanation.step.strategy, StrategySource::Lease(_)),
            },
            decision: Statement {
                code: explanation.step.decision.code(),
                message: explanation.step.decision.to_string(),
            },
            reason: Statement {
                code: explanation.step.reason.code(),
                message: explanation.step.reason.to_string(),
            },
            candidates,
            creation_timestamp: created.map(rfc3339),
            age_seconds: self.seconds_since(created),
            deletion_timestamp: deleted.map(rfc3339),
            finalizers: self
                .leaders
                .get(key)
                .map(|leader| leader.finalizers.clone())
                .unwrap_or_default(),
            resource_version: leader.map(|leader| leader.revision.to_string()),
            observed: Observed {
                time: self.moment.now.map(rfc3339),
                source: self.moment.source,
            },
        }
    }

    /// Whether an elector would have made the same grant a while ago, so that there seems to be none.
    fn unattended(&self, key: &LeaseKey, explanation: &Explanation) -> bool {
        let grants = matches!(
            explanation.step.decision,
            Decision::Offer { .. } | Decision::Create
        );
        grants && self.moment.now.is_some() && {
            let before = self.explain(key, NOW.before(OVERDUE));
            before.step.decision.code() == explanation.step.decision.code()
        }
    }

    fn candidate(&self, key: &LeaseKey, ranked: &RankedCandidate) -> CandidateStatus {
        let own = LeaseKey::new(key.namespace(), ranked.identity.as_str());
        let identity = self.identities.get(&own);
        let renewed = identity.and_then(|identity| identity.renew_time);
        let seen = identity.and_then(|identity| self.seen(identity));
        let mut message = ranked.standing.to_string();
        if let Some(refusal) = &ranked.refusal {
            message = format!("{message}: {refusal}");
        }
        CandidateStatus {
            identity: ranked.identity.to_string(),
            versions: ranked.versions.as_ref().map(pair),
            live: ranked.standing.is_electable(),
            standing: Statement {
                code: ranked.standing.code(),
                message,
            },
            hand_written: ranked.silent.is_none(),
            renew_time: renewed.map(rfc3339),
            renewed_seconds_ago: self.seconds_since(seen),
        }
    }
}

fn conditions(explanation: &Explanation, leader: Option<&LeaderLease>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let held = leader.filter(|leader| leader.state() == LeaseState::Held);
    if explanation.expires_in.is_some_and(|left| left.is_zero()) {
        conditions.push(Condition::Expired);
    } else if let Some(leader) = held {
        if leader.record.end_of_term {
            conditions.push(Condition::Ending);
        } else if leader.record.preferred_holder.is_some() {
            conditions.push(Condition::Nominated);
        }
        if matches!(explanation.step.reason, Reason::OrdinaryHolder { .. }) {
            conditions.push(Condition::OrdinaryHolder);
        }
    }
    match explanation.step.reason {
        Reason::NoElectableCandidate { .. } => conditions.push(Condition::NoElectableCandidate),
        Reason::NotAccepted { .. } | Reason::StillBest { .. } | Reason::HandWrittenOffer { .. } => {
            conditions.push(Condition::Unanswered);
        }
        _ => {}
    }
    conditions
}

/// What people ask for, as far as it has an effect.
fn wishes(explanation: &Explanation) -> impl Iterator<Item = Condition> + use<> {
    let controls = &explanation.controls;
    [
        explanation.on_hold.map(|_| Condition::OnHold),
        controls.pin.as_ref().map(|_| Condition::Pinned),
        explanation
            .stepping_down
            .as_ref()
            .map(|_| Condition::SteppingDown),
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn pair(versions: &Versions) -> VersionPair {
    VersionPair {
        emulation: versions.emulation.to_string(),
        binary: versions.binary.to_string(),
    }
}
