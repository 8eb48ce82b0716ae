//! One decision in sentences: why each candidate is or is not the one, what happens next, and what would change it.
//!
//! The reasons are those of `election-core`; what would happen is found by playing the election on (`forecast.rs`).

use std::collections::BTreeSet;
use std::io::{self, Write};

use election_core::elector::{Decision, Explanation, RankedCandidate, Reason, Standing};
use election_core::{
    Identity, IdentityLease, Incarnation, LeaseKey, LeaseSeconds, LeaseState, Uid, Versions,
};
use serde::Serialize;

use crate::electors::Electors;
use crate::forecast::{Fate, Forecast, forecast, worst_handover};
use crate::steer::may_be_a_name;
use crate::survey::{NOW, Survey};
use crate::table::{columns, seconds_in_words};
use crate::view::{API_VERSION, Condition, LeaseStatus, VersionPair};
use crate::words::{COLUMNS, plain, wrapped};

/// A decision in sentences.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseExplanation {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `LeaseExplanation`.
    pub kind: &'static str,
    /// What was supposed that is not so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supposed: Vec<String>,
    /// The lease, with its decision and reason.
    pub status: LeaseStatus,
    /// The rule of choice.
    pub rule: String,
    /// Whether there is an elector to carry it out.
    pub electors: Electors,
    /// Each candidate, the best first.
    pub candidates: Vec<Why>,
    /// What happens next.
    pub next: Forecast,
    /// What would change it.
    pub changes: Vec<Change>,
}

/// Why a candidate is, or is not, the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Its place among those that could lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Who it is.
    pub identity: String,
    /// Its versions, if they can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionPair>,
    /// Why.
    pub message: String,
}

/// Something that would change who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens.
    pub when: String,
    /// What comes of it.
    pub then: String,
}

impl Change {
    /// That a candidate which is silent lives again.
    fn comes_back(identity: &Identity, then: String) -> Self {
        Self {
            when: format!("{identity}{BACK}"),
            then,
        }
    }

    /// Who would lead if it came back from silence.
    pub(crate) fn who_comes_back(&self) -> Option<&str> {
        self.when.strip_suffix(BACK)
    }
}

const BACK: &str = " comes back";

/// Something to suppose: a candidate that is not there, or is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// Who.
    pub identity: String,
    /// With which versions; `None` when it is gone.
    pub versions: Option<Versions>,
}

impl std::str::FromStr for WhatIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write IDENTITY=VERSION, IDENTITY=VERSION/EMULATION or IDENTITY=gone";
        let (identity, rest) = text.split_once('=').ok_or(form)?;
        if identity.is_empty() {
            return Err(form.to_owned());
        }
        let version = |text: &str| text.parse().map_err(|error| format!("{error}"));
        let versions = match rest.split_once('/') {
            None if rest == "gone" => None,
            None => Some(Versions {
                binary: version(rest)?,
                emulation: version(rest)?,
            }),
            Some((binary, emulation)) => Some(Versions {
                binary: version(binary)?,
                emulation: version(emulation)?,
            }),
        };
        Ok(Self {
            identity: identity.to_owned(),
            versions,
        })
    }
}

impl WhatIf {
    fn apply(&self, survey: &mut Survey, lease: &LeaseKey) {
        let key = LeaseKey::new(lease.namespace(), &self.identity);
        match &self.versions {
            None => survey.suppose_gone(&key),
            Some(versions) => survey.suppose(&IdentityLease {
                uid: Uid::new("supposed"),
                revision: election_core::Revision::new("1"),
                incarnation: Some(Incarnation::new("supposed")),
                renew_time: None,
                duration: LeaseSeconds::IDENTITY,
                leads: vec![lease.clone()],
                refused: Vec::new(),
                versions: Ok(versions.clone()),
                created: survey.moment().now,
                owned_by_pod: false,
                key,
            }),
        }
    }

    fn in_words(&self) -> String {
        match &self.versions {
            None => format!("{} is gone", self.identity),
            Some(versions) => format!("{} ({versions}) has just joined", self.identity),
        }
    }
}

/// Looks whether suppositions make sense for a lease.
///
/// # Errors
/// A sentence that says which one does not, and why.
pub fn check(survey: &Survey, key: &LeaseKey, what_if: &[WhatIf]) -> Result<(), String> {
    let candidates = survey.candidates_of(key).iter();
    let mut known: BTreeSet<String> = candidates.map(|one| one.identity().to_string()).collect();
    for WhatIf { identity, versions } in what_if {
        may_be_a_name(&Identity::new(identity))?;
        if identity == key.name() {
            return Err(format!(
                "{identity} is the lease itself: a candidate has another name"
            ));
        }
        if versions.is_some() {
            known.insert(identity.clone());
        } else if !known.contains(identity) {
            let names = known.into_iter().collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "none" } else { &names };
            return Err(format!(
                "{identity} cannot be gone: it is no candidate for {key}; those are: {names}"
            ));
        }
    }
    Ok(())
}

/// Explains one lease. With suppositions, what is explained is the world in which they are true.
#[must_use]
pub fn explain(survey: &Survey, key: &LeaseKey, electors: Electors, what_if: &[WhatIf]) -> LeaseExplanation {
    let mut survey = survey.only(key);
    for supposed in what_if {
        supposed.apply(&mut survey, key);
    }
    let explanation = survey.explanation(key);
    let strategy = explanation.step.strategy.strategy();
    LeaseExplanation {
        api_version: API_VERSION,
        kind: "LeaseExplanation",
        supposed: what_if.iter().map(WhatIf::in_words).collect(),
        status: survey.status(key),
        rule: strategy.rule().to_owned(),
        electors,
        candidates: whys(&survey, key, &explanation),
        next: play(&survey, key, Fate::Stays),
        changes: changes(&survey, key, &explanation),
    }
}

fn play(survey: &Survey, key: &LeaseKey, fate: Fate) -> Forecast {
    forecast(survey.election_now(key), survey.candidates_of(key), NOW, fate)
}

/// Who would lead if a silent candidate came back.
fn back_again(survey: &Survey, key: &LeaseKey, identity: &Identity) -> Option<Forecast> {
    let known = survey
        .candidates_of(key)
        .iter()
        .find(|candidate| candidate.identity() == *identity)?;
    let mut survey = survey.clone();
    survey.suppose(&known.as_ref().clone());
    Some(play(&survey, key, Fate::Stays))
}

fn whys(survey: &Survey, key: &LeaseKey, explanation: &Explanation) -> Vec<Why> {
    let step = &explanation.step;
    // With whom the others are compared: whoever gets the lease, else who has it, else who would.
    let first = explanation
        .candidates
        .iter()
        .find(|candidate| matches!(candidate.standing, Standing::First | Standing::Holder));
    let chosen = match &step.decision {
        Decision::Offer { to } | Decision::OfferAgain { to } => Some(to),
        Decision::Nominate { successor } => Some(successor),
        _ => first.map(|first| &first.identity).or(explanation.holder.as_ref()),
    };
    let mut rank = 0;
    let why = |candidate: &RankedCandidate| {
        let own_rank = candidate.standing.is_electable().then(|| {
            rank += 1;
            rank
        });
        let mut message = candidate.standing.to_string();
        if let Some(refusal) = &candidate.refusal {
            message = format!("{message}: {refusal}");
        }
        match (candidate.standing, chosen) {
            (Standing::WorseVersion, Some(chosen)) => message = format!("{message} than that of {chosen}"),
            (Standing::NotLive { .. }, _) => {
                let back = back_again(survey, key, &candidate.identity);
                let identity = candidate.identity.as_str();
                let leads = back.is_some_and(|back| back.leader.as_deref() == Some(identity));
                message.push_str(if leads {
                    "; ALIVE IT WOULD LEAD"
                } else {
                    "; it would not lead if it lived"
                });
            }
            _ => {}
        }
        Why {
            rank: own_rank,
            identity: candidate.identity.to_string(),
            versions: candidate.versions.as_ref().map(crate::survey::pair),
            message,
        }
    };
    explanation.candidates.iter().map(why).collect()
}

fn changes(survey: &Survey, key: &LeaseKey, explanation: &Explanation) -> Vec<Change> {
    let mut changes = Vec::new();
    let held = explanation
        .holder
        .as_ref()
        .filter(|_| explanation.state == Some(LeaseState::Held));
    let takes_part = survey
        .leader(key)
        .is_some_and(|lease| lease.record.incarnation.is_some());
    if let Some(holder) = held {
        if takes_part && !expired(explanation) {
            let duration = survey.leader(key).and_then(|lease| lease.record.duration);
            let next = play(survey, key, Fate::Stops);
            let mut then = in_short(&next);
            if next.leader.is_some() {
                let worst = seconds_in_words(worst_handover(duration).as_secs());
                then = format!("{then}, when the work has stopped: within {worst} at worst");
            }
            changes.push(Change {
                when: format!("{holder} is told to stop"),
                then,
            });
        }
        if !expired(explanation) {
            changes.push(Change {
                when: format!("{holder} crashes, or is silent"),
                then: in_short(&play(survey, key, Fate::Crashes)),
            });
        }
    }
    if let Some(holder) = held.filter(|_| matches!(explanation.step.reason, Reason::EndOfTerm { .. })) {
        changes.push(Change {
            when: format!("{holder} goes on renewing"),
            then: "nobody else leads: `kubectl leases doctor` tells whether it does".to_owned(),
        });
    }
    for candidate in &explanation.candidates {
        let silent = matches!(candidate.standing, Standing::NotLive { .. });
        let back = silent
            .then(|| back_again(survey, key, &candidate.identity))
            .flatten();
        if let Some(back) = back.filter(|back| back.leader.as_deref() == Some(candidate.identity.as_str())) {
            changes.push(Change::comes_back(&candidate.identity, in_short(&back)));
        }
    }
    changes.push(newcomer(explanation, held, takes_part));
    changes
}

fn newcomer(explanation: &Explanation, held: Option<&Identity>, takes_part: bool) -> Change {
    let electable = || {
        explanation
            .candidates
            .iter()
            .filter(|candidate| candidate.standing.is_electable() && candidate.silent.is_some())
    };
    let best = electable().find_map(|candidate| candidate.versions.as_ref());
    let when = match best {
        Some(versions) => format!("somebody better than {versions} joins"),
        None => "a candidate that lives joins".to_owned(),
    };
    let then = match held {
        Some(holder) if takes_part => format!("it is nominated, and leads when {holder} has stopped"),
        Some(holder) => format!("nothing, while {holder} renews: an ordinary client is not disturbed"),
        None => "it is offered the lease".to_owned(),
    };
    Change { when, then }
}

fn expired(explanation: &Explanation) -> bool {
    explanation.expires_in.is_some_and(|left| left.is_zero())
}

fn in_short(forecast: &Forecast) -> String {
    match (&forecast.leader, forecast.leads_after_seconds) {
        (Some(leader), None) => format!("{leader} goes on leading"),
        (Some(leader), Some(0)) => format!("{leader} leads"),
        (Some(leader), Some(seconds)) => format!("{leader} leads after {}", seconds_in_words(seconds)),
        (None, _) => format!("nobody leads: {}", forecast.rest),
    }
}

/// Prints it for people.
///
/// # Errors
/// When `out` cannot be written.
pub fn print(out: &mut dyn Write, explained: &LeaseExplanation) -> io::Result<()> {
    let status = &explained.status;
    for supposed in &explained.supposed {
        writeln!(out, "SUPPOSED: {}", plain(supposed))?;
    }
    writeln!(out, "{}", plain(&headline(status)))?;
    if let Some(line) = renewal(status) {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    let field = |out: &mut dyn Write, name: &str, text: &str| {
        let text = wrapped(text, COLUMNS, "           ");
        writeln!(out, "{:<11}{text}", format!("{name}:"))
    };
    let reason = format!("{} ({})", status.reason.message, status.reason.code);
    let asked = if status.strategy.from_lease {
        "the lease asks for it"
    } else {
        "the lease asks for none"
    };
    for asked in &status.asked {
        field(out, "Asked", asked)?;
    }
    field(out, "Decision", &status.decision.message)?;
    field(out, "Because", &reason)?;
    field(out, "Rule", &explained.rule)?;
    field(out, "Strategy", &format!("{} ({asked})", status.strategy.name))?;
    field(out, "Elector", &explained.electors.to_string())?;
    let attended = !status.conditions.contains(&Condition::Unattended);
    if !attended || explained.electors.are_down() {
        writeln!(
            out,
            "           Nothing of what follows happens before an elector runs."
        )?;
    }
    if status.conditions.contains(&Condition::Overdue) {
        writeln!(
            out,
            "           It was asked longer ago than its lease lasts, and renews: IT IS STUCK. Nothing of what\n           \
             follows happens before it stops."
        )?;
    }
    if let Some(deletion) = status.deletion() {
        field(out, "Deleted", &deletion)?;
    }
    writeln!(out)?;
    print_candidates(out, explained)?;
    writeln!(out)?;
    print_next(out, explained)?;
    writeln!(out)?;
    writeln!(out, "What would change it:")?;
    let rows = explained
        .changes
        .iter()
        .map(|change| vec![change.when.clone(), change.then.clone()]);
    columns(out, "  ", rows.collect())
}

fn headline(status: &LeaseStatus) -> String {
    let name = format!("{}/{}", status.namespace, status.name);
    let versions = status.versions.as_ref().map_or_else(String::new, |pair| {
        format!(" (emulation {}, binary {})", pair.emulation, pair.binary)
    });
    let holder = status.holder.as_deref().unwrap_or("<none>");
    match status.state.as_str() {
        "Held" => {
            let since = status
                .acquire_time
                .as_ref()
                .map_or_else(String::new, |time| format!(" since {time}"));
            let held = status.held_seconds.map(seconds_in_words);
            let since = held.map_or_else(|| since.clone(), |held| format!("{since} ({held})"));
            let term = status.term.unwrap_or_default();
            format!("{name} is held by {holder}{versions}, term {term}{since}.")
        }
        "Offered" => format!("{name} is offered to {holder}{versions}, which has not accepted yet."),
        "Missing" => format!("{name} does not exist, and somebody wants to lead it."),
        "Fresh" => format!("{name} exists, and nobody has held it yet."),
        "Released" => format!("{name} was given back by its last holder."),
        _ => format!("{name} has lost its holder by another hand than the holder's."),
    }
}

fn renewal(status: &LeaseStatus) -> Option<String> {
    let ago = seconds_in_words(status.renewed_seconds_ago?);
    Some(match (status.state.as_str(), status.expires_in_seconds) {
        ("Held", Some(0)) => format!("It was renewed {ago} ago and has EXPIRED."),
        ("Held", Some(left)) => {
            format!("It was renewed {ago} ago, and expires in {left}s unless it is renewed.")
        }
        _ => format!("Its last holder was seen {ago} ago."),
    })
}

fn print_candidates(out: &mut dyn Write, explained: &LeaseExplanation) -> io::Result<()> {
    if explained.candidates.is_empty() {
        return writeln!(out, "Candidates: <none>");
    }
    writeln!(out, "Candidates, the best first (versions are emulation/binary):")?;
    let rows = explained.candidates.iter().map(|why| {
        let versions = why.versions.as_ref().map_or_else(
            || "?".to_owned(),
            |pair| format!("{}/{}", pair.emulation, pair.binary),
        );
        let rank = why.rank.map_or_else(|| "-".to_owned(), |rank| format!("{rank}."));
        vec![rank, why.identity.clone(), versions, why.message.clone()]
    });
    columns(out, "  ", rows.collect())
}

pub(crate) fn print_next(out: &mut dyn Write, explained: &LeaseExplanation) -> io::Result<()> {
    writeln!(out, "What happens next:")?;
    let mut rows: Vec<Vec<String>> = explained
        .next
        .happenings
        .iter()
        .map(|happening| {
            let when = match happening.after_seconds {
                0 => "now".to_owned(),
                seconds => format!("in {}", seconds_in_words(seconds)),
            };
            vec![when, happening.message.clone()]
        })
        .collect();
    let rest = match rows.is_empty() {
        true => format!("nothing: {}", explained.next.rest),
        false => format!("no more: {}", explained.next.rest),
    };
    rows.push(vec!["then".to_owned(), rest]);
    columns(out, "  ", rows)
}
