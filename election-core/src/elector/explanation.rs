//! One election, ranked and in words: what the plugin, the logs and the Events print.
//!
//! Sorting happens only here, because only people need it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::election::Election;
use super::standing::{Seconds, Standing};
use super::step::Step;
use crate::control::Controls;
use crate::lease::LeaseState;
use crate::names::{Identity, LeaseKey};
use crate::strategy::Versions;
use crate::time::Mono;

/// What would be decided about a lease now, and why, with every candidate in the order of rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The leader lease.
    pub lease: LeaseKey,
    /// Its state; `None` when it is missing.
    pub state: Option<LeaseState>,
    /// Who holds it, or is offered it.
    pub holder: Option<Identity>,
    /// Until the holder expires, unless it shows life before.
    pub expires_in: Option<Duration>,
    /// What people ask of this election.
    pub controls: Controls,
    /// How long preemption stays on hold: `Some(None)` until somebody releases it.
    pub on_hold: Option<Option<Duration>>,
    /// Whose process comes last, because somebody asked it to step down.
    pub stepping_down: Option<Identity>,
    /// The decision.
    pub step: Step,
    /// The candidates, the best first.
    pub candidates: Vec<RankedCandidate>,
}

/// A candidate in an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedCandidate {
    /// Who it is.
    pub identity: Identity,
    /// Its versions, when they can be read.
    pub versions: Option<Versions>,
    /// Where it stands.
    pub standing: Standing,
    /// What is wrong with its identity lease, in a sentence.
    pub refusal: Option<String>,
    /// Since when no life was seen of it; `None` for a hand-written one, which shows none.
    pub silent: Option<Duration>,
}

impl Explanation {
    pub(super) fn new(election: &Election, now: Mono, step: Step) -> Self {
        let lease = election.lease();
        let order = election.order();
        let mut ranked: Vec<_> = election.candidates.iter().collect();
        ranked.sort_by(|a, b| {
            let class = |(_, contender): &(_, &super::contender::Contender)| {
                (!contender.electable(now), contender.hand_written())
            };
            class(a).cmp(&class(b)).then_with(|| order.rank(*a, *b))
        });
        let candidates = ranked
            .into_iter()
            .map(|(identity, contender)| RankedCandidate {
                identity: identity.clone(),
                versions: contender.versions().cloned(),
                standing: standing_of(&step, identity),
                refusal: contender.lease.versions.as_ref().err().map(ToString::to_string),
                silent: (!contender.hand_written()).then(|| contender.silent(now)),
            })
            .collect();
        Self {
            lease: step.lease.clone(),
            state: lease.map(|lease| lease.state()),
            holder: lease.and_then(|lease| lease.record.holder.clone()),
            expires_in: election.expires_at().map(|at| at.since(now)),
            controls: election.controls().cloned().unwrap_or_default(),
            on_hold: election
                .hold(now)
                .map(|hold| hold.until.map(|until| until.since(now))),
            stepping_down: order.wishes.stepping_down.cloned(),
            step,
            candidates,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.lease)?;
        match self.state {
            Some(state) => write!(f, "{state}")?,
            None => f.write_str("missing")?,
        }
        match (&self.holder, self.state) {
            (Some(holder), Some(LeaseState::Held)) => write!(f, " by {holder}")?,
            (Some(holder), _) => write!(f, " to {holder}")?,
            (None, _) => {}
        }
        if let Some(left) = self.expires_in {
            write!(f, ", expires in {}", Seconds(left))?;
        }
        write!(
            f,
            "\ndecision: {}\nreason: {}: {}",
            self.step.decision,
            self.step.reason.code(),
            self.step.reason
        )?;
        write!(f, "\nstrategy: {}", self.step.strategy)?;
        for (rank, candidate) in self.candidates.iter().enumerate() {
            write!(f, "\n  {}. {candidate}", rank + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for RankedCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.identity)?;
        if let Some(versions) = &self.versions {
            write!(f, " ({versions})")?;
        }
        write!(f, ": {}", self.standing)?;
        if let Some(refusal) = &self.refusal {
            write!(f, ": {refusal}")?;
        }
        Ok(())
    }
}

fn standing_of(step: &Step, identity: &Identity) -> Standing {
    let found = step.standings.binary_search_by(|(known, _)| known.cmp(identity));
    found.map_or(Standing::First, |index| step.standings[index].1)
}
