//! The knobs of candidates, as they have noted them on their identity leases: whether they contradict, and what follows.

use std::collections::BTreeMap;
use std::time::Duration;

use election_core::{LeaseKey, LeaseSeconds, ParseTimingError, Timing, TimingError, wire};

use super::{Finding, Severity};
use crate::noted::NotedLease;
use crate::survey::Survey;

/// What each candidate has noted; those that noted nothing are not in it.
pub(crate) struct Noted(BTreeMap<LeaseKey, Result<Timing, ParseTimingError>>);

impl Noted {
    pub(crate) fn of(leases: &[NotedLease], survey: &Survey) -> Self {
        let noted = leases.iter().filter_map(|NotedLease { lease, .. }| {
            let meta = &lease.metadata;
            let key = LeaseKey::new(meta.namespace.as_deref()?, meta.name.as_deref()?);
            survey.identity_lease(&key)?;
            Some((key, wire::read_timing(lease)?))
        });
        Self(noted.collect())
    }

    /// The candidates of a lease that live, with their knobs if these are sound. What a dead one ran with is past.
    fn live<'a>(&self, survey: &'a Survey, key: &LeaseKey) -> impl Iterator<Item = (&'a str, Timing)> {
        let live = survey
            .candidates_of(key)
            .iter()
            .filter(|identity| survey.silent_for_too_long(identity).is_none());
        live.filter_map(|identity| {
            let noted = self.0.get(&identity.key)?.as_ref().ok()?;
            Some((identity.key.name(), noted.validated().ok()?))
        })
    }

    /// What is to be said of each lease, or of `only` one.
    pub(crate) fn check(&self, survey: &Survey, only: Option<&LeaseKey>) -> Vec<Finding> {
        let concerns = |identity: &LeaseKey| only.is_none_or(|only| survey.is_candidate_of(identity, only));
        let mut findings = Vec::new();
        for (key, noted) in self.0.iter().filter(|(key, _)| concerns(key)) {
            match noted.as_ref().map(|timing| timing.validated()) {
                Err(error) => findings.push(Finding::warning(
                    "KnobsUnreadable",
                    key,
                    format!("{}: {error}", wire::TIMING),
                    "remove the annotation, or restart the candidate, which writes it again",
                )),
                Ok(Err(error)) => findings.push(contradiction(&key.to_string(), &error)),
                Ok(Ok(_)) => {}
            }
        }
        let keys = survey
            .coordinated_keys()
            .filter(|key| only.is_none_or(|only| *key == only));
        let (well, others): (Vec<_>, Vec<_>) = keys
            .filter_map(|key| self.lease(survey, key))
            .partition(|finding| finding.severity == Severity::Ok);
        findings.extend(others);
        findings.extend(alike(well));
        findings
    }

    fn lease(&self, survey: &Survey, key: &LeaseKey) -> Option<Finding> {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, timing) in self.live(survey, key) {
            groups.entry(timing.to_string()).or_default().push(name);
        }
        if groups.len() > 1 {
            let each = groups
                .iter()
                .map(|(timing, names)| format!("{} with {timing}", names.join(", ")));
            return Some(Finding::warning(
                "KnobsDiffer",
                key,
                format!(
                    "its candidates run with different knobs: {}",
                    each.collect::<Vec<_>>().join("; ")
                ),
                "give all of them the same: else how long a crash goes unnoticed, and how long an outage is \
                 tolerated, depends on who leads",
            ));
        }
        let (_, own) = self.live(survey, key).next()?;
        let lasts = lasts(survey, key, own);
        let follows = within(own, lasts).guarantees();
        if lasts == own.lease_duration() {
            return Some(Finding::ok("Knobs", key, follows.to_string()));
        }
        let asked = own.lease_duration();
        Some(Finding::note(
            "KnobsShortened",
            key,
            format!(
                "its candidates ask for {asked} and it lasts {lasts}, so all their knobs shrink with it: {follows}"
            ),
            "to have what was asked for, start the elector with --lease-duration at least as long, or ask for less",
        ))
    }

    /// How long the most impatient candidate waits for an answer, as its lease lasts now.
    pub(crate) fn request_deadline(&self, survey: &Survey) -> Option<Duration> {
        let deadlines = survey.coordinated_keys().flat_map(|key| {
            let timings = self.live(survey, key);
            timings.map(|(_, timing)| timing.term(lasts(survey, key, timing)).request_deadline)
        });
        deadlines.min()
    }
}

/// How long the lease lasts for a candidate with these knobs: as recorded, and not longer than it asks for.
fn lasts(survey: &Survey, key: &LeaseKey, timing: Timing) -> LeaseSeconds {
    let recorded = survey.leader(key).and_then(|lease| lease.record.duration);
    let own = timing.lease_duration();
    recorded.map_or(own, |recorded| recorded.min(own))
}

/// What is the same for many leases is said once.
fn alike(well: Vec<Finding>) -> impl Iterator<Item = Finding> {
    let mut groups: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in well {
        groups.entry(finding.message.clone()).or_default().push(finding);
    }
    groups.into_values().map(|mut group| {
        let count = group.len();
        let first = group.swap_remove(0);
        match count {
            1 => first,
            _ => Finding {
                about: format!("{count} leases, {} for one", first.about),
                ..first
            },
        }
    })
}

/// The knobs of a term as if they had been chosen so.
fn within(timing: Timing, lasts: LeaseSeconds) -> Timing {
    let term = timing.term(lasts);
    Timing::for_lease_duration(lasts)
        .with_renew_deadline(term.deadline)
        .with_renew_interval(term.renew_interval)
        .with_retry_period(term.retry_period)
        .with_stop_grace(term.stop_grace)
}

/// Whether the knobs of candidates contradict each other, by the rules of `election-core`; `about` says whose they are.
#[must_use]
pub fn knobs(about: &str, timing: Timing) -> Finding {
    match timing.validated() {
        Ok(timing) => Finding::ok("Knobs", about, timing.guarantees().to_string()),
        Err(error) => contradiction(about, &error),
    }
}

fn contradiction(about: &str, error: &TimingError) -> Finding {
    let advice = "change one of the two: a candidate refuses to start like this";
    Finding::problem("KnobsContradict", about, error.to_string(), advice)
}
