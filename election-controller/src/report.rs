//! What one look at a cluster found, for people and for machines.

use std::fmt;

use election_core::elector::{Explanation, Outcome, RankedCandidate};
use election_core::{LeaseKey, Refusal};
use serde::Serialize;

use crate::effects::Request;

/// What one look found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The leases that somebody wants to lead.
    pub leases: Vec<LeaseReport>,
    /// Identity leases that say something which cannot count.
    pub refused: Vec<RefusalReport>,
}

/// One leader lease.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// `namespace/name`.
    pub lease: String,
    /// Its state; `Missing` when it does not exist.
    pub state: &'static str,
    /// Who holds it, or is offered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The decision, as a word.
    pub decision: &'static str,
    /// Its reason, as a word.
    pub reason: &'static str,
    /// Its reason, as a sentence.
    pub message: String,
    /// What became of the request that the decision needs, when one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The rule of choice.
    pub strategy: String,
    /// The candidates, the best first.
    pub candidates: Vec<CandidateReport>,
    #[serde(skip)]
    text: String,
    #[serde(skip)]
    failed: bool,
}

/// One candidate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateReport {
    /// Who it is.
    pub identity: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_version: Option<String>,
    /// What it behaves as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emulation_version: Option<String>,
    /// Where it stands, as a word.
    pub standing: &'static str,
    /// Where it stands, as a sentence.
    pub message: String,
}

/// One refusal.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalReport {
    /// The identity lease, `namespace/name`.
    pub candidate: String,
    /// What is wrong with it, as a word.
    pub reason: &'static str,
    /// What is wrong with it, as a sentence.
    pub message: String,
}

impl Report {
    /// Whether nothing failed: each request that was made is done, or was overtaken by a change of its lease.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.leases.iter().any(|lease| lease.failed)
    }

    /// Notes what became of a request.
    pub(crate) fn note(&mut self, request: &Request, outcome: &Outcome) {
        let key = request.key().to_string();
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.lease == key) {
            lease.failed = matches!(outcome, Outcome::Refused(_) | Outcome::Unknown(_));
            lease.outcome = Some(in_words(request.verb(), outcome));
        }
    }
}

impl LeaseReport {
    pub(crate) fn new(explanation: &Explanation) -> Self {
        let step = &explanation.step;
        Self {
            lease: explanation.lease.to_string(),
            state: explanation.state.map_or("Missing", |state| state.as_str()),
            holder: explanation.holder.as_ref().map(ToString::to_string),
            decision: step.decision.code(),
            reason: step.reason.code(),
            message: step.reason.to_string(),
            outcome: None,
            strategy: step.strategy.strategy().to_string(),
            candidates: explanation.candidates.iter().map(CandidateReport::new).collect(),
            text: explanation.to_string(),
            failed: false,
        }
    }
}

impl CandidateReport {
    fn new(candidate: &RankedCandidate) -> Self {
        let versions = candidate.versions.as_ref();
        let message = match &candidate.refusal {
            Some(refusal) => format!("{}: {refusal}", candidate.standing),
            None => candidate.standing.to_string(),
        };
        Self {
            identity: candidate.identity.to_string(),
            binary_version: versions.map(|versions| versions.binary.to_string()),
            emulation_version: versions.map(|versions| versions.emulation.to_string()),
            standing: candidate.standing.code(),
            message,
        }
    }
}

impl RefusalReport {
    pub(crate) fn new(key: &LeaseKey, refusal: &Refusal) -> Self {
        Self {
            candidate: key.to_string(),
            reason: refusal.code(),
            message: refusal.to_string(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.leases.is_empty() {
            writeln!(
                f,
                "No candidate offers itself for any lease, so there is nothing to decide."
            )?;
        }
        for (index, lease) in self.leases.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", lease.text)?;
            if let Some(outcome) = &lease.outcome {
                writeln!(f, "outcome: {outcome}")?;
            }
        }
        for refusal in &self.refused {
            writeln!(
                f,
                "\nrefused: {} ({}): {}",
                refusal.candidate, refusal.reason, refusal.message
            )?;
        }
        Ok(())
    }
}

fn in_words(verb: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(_) => format!("{verb}: done"),
        Outcome::Conflict => format!("{verb}: not done, the lease has changed meanwhile"),
        Outcome::Refused(why) => format!("{verb}: refused: {why}"),
        Outcome::Unknown(why) => format!("{verb}: may have been done or not: {why}"),
    }
}
