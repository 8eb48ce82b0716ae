//! What one read of the Leases shows.

use election_core::elector::Standing;
use election_core::{IdentityLease, LeaseKey, LeaseState};

use super::Finding;
use crate::electors::Electors;
use crate::explain::{Change, explain};
use crate::survey::Survey;
use crate::table::seconds_in_words;
use crate::view::{Condition, LeaseStatus};
use crate::words::age;

/// Everything that is to be said about these leases, and about their candidates.
#[must_use]
pub fn check(survey: &Survey, electors: &Electors, only: Option<&LeaseKey>) -> Vec<Finding> {
    let statuses = match only {
        Some(key) => survey.one(key).into_iter().collect(),
        None => survey.coordinated(),
    };
    let mut findings = vec![elector(&statuses, electors)];
    for status in &statuses {
        let before = findings.len();
        lease(survey, status, electors, &mut findings);
        // Whether a holder gives way is seen at the second look.
        if findings.len() == before && !status.conditions.contains(&Condition::Ending) {
            let state = match (&status.holder, status.state.as_str()) {
                (Some(holder), "Offered") => format!("Offered to {holder}"),
                (Some(holder), state) => format!("{state} by {holder}"),
                (None, state) => state.to_owned(),
            };
            let message = format!("{state}: {}", status.reason.message);
            findings.push(Finding::ok("Lease", key_of(status), message));
        }
    }
    let named = |identity: &&std::sync::Arc<IdentityLease>| match only {
        None => true,
        Some(key) => {
            identity.leads.contains(key)
                || identity
                    .refused
                    .iter()
                    .any(|refused| refused.to_string().contains(&key.to_string()))
        }
    };
    for identity in survey.identities().filter(named) {
        candidate(survey, identity, &mut findings);
    }
    findings
}

fn key_of(status: &LeaseStatus) -> LeaseKey {
    LeaseKey::new(&status.namespace, &status.name)
}

const START_ELECTOR: &str = "start an elector (election-controller), or find out why it ended: its Pod's log says so \
                             (kubectl logs -n kube-system -l app=election-controller --previous)";

fn elector(statuses: &[LeaseStatus], electors: &Electors) -> Finding {
    let waiting = statuses
        .iter()
        .filter(|status| status.conditions.contains(&Condition::Unattended))
        .count();
    let leases = if waiting == 1 {
        "lease waits"
    } else {
        "leases wait"
    };
    match electors {
        Electors::Acting { .. } => Finding::ok("Elector", "elector", electors.to_string()),
        Electors::Silent { .. } | Electors::Vacant => {
            let message = format!("{electors}; {waiting} {leases} for it");
            Finding::problem("ElectorDown", "elector", message, START_ELECTOR)
        }
        Electors::NoLease | Electors::Unknown { .. } if waiting > 0 => {
            let message =
                format!("none seems to act: {waiting} {leases} for one since more than 30 s ({electors})");
            Finding::problem("ElectorDown", "elector", message, START_ELECTOR)
        }
        Electors::NoLease | Electors::Unknown { .. } => {
            let message = format!("{electors}; all leases are as an elector would have left them");
            let advice = match electors {
                Electors::Unknown { .. } => format!(
                    "ask for get on lease {}, or ask somebody who has it",
                    crate::electors::electors_lease()
                ),
                _ => "an elector that runs with others keeps that lease: is one running at all? (kubectl get pods -n \
                      kube-system -l app=election-controller)"
                    .to_owned(),
            };
            Finding::note("Elector", "elector", message, &advice)
        }
    }
}

fn lease(survey: &Survey, status: &LeaseStatus, electors: &Electors, findings: &mut Vec<Finding>) {
    let key = key_of(status);
    let has = |condition| status.conditions.contains(&condition);
    let reason = status.reason.message.as_str();
    if has(Condition::Unattended) {
        let advice = match electors {
            Electors::Acting { .. } => {
                "an elector acts, but not here: does it watch this namespace, and may it create and update leases in it?"
            }
            _ => "start an elector: nothing else is wrong with this lease",
        };
        let message = format!(
            "{}: an elector would have decided to {} more than 30 s ago: {reason}",
            status.state_words(),
            status.decision.message
        );
        findings.push(Finding::problem("Unattended", &key, message, advice));
    }
    if has(Condition::NoElectableCandidate) {
        let advice = format!(
            "kubectl leases candidates -n {} {}, and start one of them, or mend what is refused",
            status.namespace, status.name
        );
        findings.push(Finding::problem("Stuck", &key, reason, &advice));
    }
    if has(Condition::Unanswered) {
        let holder = status.holder.as_deref().unwrap_or("somebody");
        let advice = format!(
            "is {holder} running, does it reach the API server, and may it update this lease? It accepts by a write of its own"
        );
        findings.push(Finding::problem("Unanswered", &key, reason, &advice));
    }
    if has(Condition::OrdinaryHolder) && !status.candidates.is_empty() {
        let message = format!("{reason}; {} wait", several(status.candidates.len()));
        let advice = "an older version of the program, which takes no part in the election, leads: stop it, and a candidate \
                      leads after the lease expired";
        findings.push(Finding::warning("OrdinaryHolder", &key, message, advice));
    }
    if let Some(deletion) = status.deletion() {
        let message = format!("it was deleted {deletion}");
        let advice = format!(
            "find out who set them and should have removed them; to end it by hand: kubectl patch lease -n {} {} --type \
             merge -p '{{\"metadata\":{{\"finalizers\":null}}}}': its holder then stops, and it is created and offered anew",
            status.namespace, status.name
        );
        findings.push(Finding::warning("Deleting", &key, message, &advice));
    }
    holder(survey, &key, findings);
    better_but_silent(survey, &key, status, electors, findings);
    let strategy = survey.leader(&key).and_then(|leader| leader.strategy.as_ref());
    if let Some(Err(text)) = strategy {
        let message = format!("it asks for the strategy {text:?}, which is none, so the elector's is used");
        let advice = "annotate it with coordinated-election.io/strategy=OldestEmulationVersion or NewestEmulationVersion";
        findings.push(Finding::warning("StrategyUnreadable", &key, message, advice));
    }
    controls(survey, &key, findings);
    if status.reason.code == "NoCandidates" && status.state != "Held" {
        let advice = "start a candidate that names it, or delete it if nobody needs it any more";
        findings.push(Finding::note(
            "NoCandidates",
            &key,
            "nobody holds it, and nobody offers itself for it",
            advice,
        ));
    }
}

/// What people asked for and does not do what they meant.
fn controls(survey: &Survey, key: &LeaseKey, findings: &mut Vec<Finding>) {
    let explanation = survey.explanation(key);
    let controls = &explanation.controls;
    for error in controls.errors() {
        let advice = "write it with kubectl leases hold or step-down, or remove the annotation";
        let message = format!("what somebody asked for is ignored: {error}");
        findings.push(Finding::warning("ControlUnreadable", key, message, advice));
    }
    let (namespace, name) = (key.namespace(), key.name());
    if let Some(over) = survey
        .hold_over_since(key)
        .filter(|_| explanation.on_hold.is_none())
    {
        let message = format!(
            "the hold that somebody asked for has been over for {}: a better candidate preempts the holder again",
            age(over)
        );
        let advice = format!(
            "kubectl leases hold -n {namespace} {name} --for … asks anew, kubectl leases release-hold -n {namespace} {name} \
             removes what is left of it; an elector that was started meanwhile counts it anew"
        );
        findings.push(Finding::note("HoldOver", key, message, &advice));
    }
    if let Some(pin) = &controls.pin
        && explanation
            .candidates
            .iter()
            .all(|candidate| candidate.identity != *pin)
    {
        let message = format!("it is pinned to {pin}, which is no candidate, so the others lead");
        let advice = format!("start {pin}, or kubectl leases unpin -n {namespace} {name}");
        findings.push(Finding::warning("PinnedToNobody", key, message, &advice));
    }
    if let Some(asked) = controls
        .step_down()
        .filter(|_| explanation.stepping_down.is_none())
    {
        let message = format!(
            "{} was asked to step down, and that process has ended: the request is over",
            asked.identity
        );
        let advice = format!("nothing; kubectl leases step-down -n {namespace} {name} --cancel removes it");
        findings.push(Finding::note("SteppedDown", key, message, &advice));
    }
}

/// What does not fit between a holder and its identity lease.
fn holder(survey: &Survey, key: &LeaseKey, findings: &mut Vec<Finding>) {
    let Some(leader) = survey
        .leader(key)
        .filter(|lease| lease.state() == LeaseState::Held)
    else {
        return;
    };
    let (Some(holder), Some(incarnation)) = (&leader.record.holder, &leader.record.incarnation) else {
        return;
    };
    let own = LeaseKey::new(key.namespace(), holder.as_str());
    let Some(identity) = survey.identity_lease(&own) else {
        let message =
            format!("its holder {holder} has no identity lease, which counts as worse than any candidate");
        let advice = "who deleted it? A candidate that lives creates it again within seconds: if it does not, it is not well";
        findings.push(Finding::warning("HolderWithoutIdentity", key, message, advice));
        return;
    };
    if !identity.leads.contains(key) {
        let message = format!(
            "its holder {holder} offers itself for it no more: its work reports that it is stuck, or it stops"
        );
        let advice = format!(
            "look at the log of {holder}; the lease goes to the next candidate when its work has stopped"
        );
        findings.push(Finding::warning("HolderWithdrew", key, message, &advice));
    }
    if identity
        .incarnation
        .as_ref()
        .is_some_and(|other| other != incarnation)
    {
        let message = format!(
            "two processes call themselves {holder}: one leads, another one keeps the identity lease (a restart looks the \
             same, for one lease duration)"
        );
        let advice = "give each replica an identity of its own: the name of its Pod";
        findings.push(Finding::warning("IdentityInUseTwice", key, message, advice));
    }
}

/// A candidate that would lead if it lived.
fn better_but_silent(
    survey: &Survey,
    key: &LeaseKey,
    status: &LeaseStatus,
    electors: &Electors,
    findings: &mut Vec<Finding>,
) {
    let silent = |code: &str| {
        code == Standing::NotLive {
            silent: std::time::Duration::ZERO,
        }
        .code()
    };
    if !status.candidates.iter().any(|one| silent(one.standing.code)) {
        return;
    }
    let explained = explain(survey, key, electors.clone(), &[]);
    for identity in explained.changes.iter().filter_map(Change::who_comes_back) {
        let candidate = status.candidates.iter().find(|one| one.identity == identity);
        let ago = candidate.and_then(|one| one.renewed_seconds_ago).map_or_else(
            || "for long".to_owned(),
            |seconds| format!("for {}", seconds_in_words(seconds)),
        );
        let versions = candidate
            .and_then(|one| one.versions.as_ref())
            .map_or_else(String::new, |pair| {
                format!(" (emulation {}, binary {})", pair.emulation, pair.binary)
            });
        let instead = status
            .holder
            .as_ref()
            .map_or_else(String::new, |holder| format!(", instead of {holder}"));
        let message = format!("{identity}{versions} would lead{instead}, but was silent {ago}");
        let advice = format!(
            "is its process running, and does it reach the API server? If it is gone for good: kubectl leases forget -n {} \
             {identity}",
            status.namespace
        );
        findings.push(Finding::warning("BestCandidateSilent", key, message, &advice));
    }
}

fn candidate(survey: &Survey, identity: &IdentityLease, findings: &mut Vec<Finding>) {
    let key = &identity.key;
    if let Err(refusal) = &identity.versions {
        let advice = "correct it: until then it is never elected";
        findings.push(Finding::problem(
            refusal.code(),
            key,
            format!("this candidate is refused: {refusal}"),
            advice,
        ));
    }
    for refusal in &identity.refused {
        let advice = "correct its annotation coordination.k8s.io/can-lead-leases: this item does not count";
        findings.push(Finding::problem(
            refusal.code(),
            key,
            format!("this candidate is refused: {refusal}"),
            advice,
        ));
    }
    if identity.incarnation.is_none() {
        return;
    }
    let Some(ago) = survey.silent_for_too_long(identity) else {
        return;
    };
    let message = format!(
        "silent for {}, its duration is {}",
        seconds_in_words(ago.as_secs()),
        seconds_in_words(u64::from(identity.duration.get()))
    );
    let advice = "nothing, if its process is gone: an elector removes it after ten durations; with an owner, the cluster does";
    findings.push(Finding::note("StaleIdentity", key, message, advice));
}

fn several(candidates: usize) -> String {
    format!("{candidates} candidate{}", if candidates == 1 { "" } else { "s" })
}
