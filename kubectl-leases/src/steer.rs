//! What somebody asks of an election: which annotations that takes, and what would come of it.
//!
//! What would come of it is played by the rules of `election-core` (`forecast.rs`). Requests and questions are in
//! `commands/steer.rs`.

use std::num::NonZeroU32;
use std::time::Duration;

use election_core::elector::Standing;
use election_core::{Identity, LeaderLease, LeaseKey, LeaseState, StepDown, Wall, wire};
use k8s_openapi::api::coordination::v1::Lease;

use crate::moment::TimeSource;
use crate::survey::{Survey, rfc3339, whole_second};
use crate::words::age;

/// Something to ask of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The process that leads gives way, to somebody if one is named.
    StepDown { to: Option<Identity> },
    /// It may lead again.
    CancelStepDown,
    /// Nobody preempts the holder, for some time if one is given.
    Hold { length: Option<Length> },
    /// Preemption is allowed again.
    ReleaseHold,
    /// This candidate comes first.
    Pin { identity: Identity },
    /// Nobody does.
    Unpin,
}

/// How long a hold is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// From when it is asked for.
    For(Duration),
    /// Until this time of the server.
    Until(Wall),
}

/// What a wish comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Annotations of the leader lease; `None` is removed.
    notes: Vec<(&'static str, Option<String>)>,
    /// What the person should know before.
    pub(crate) warnings: Vec<String>,
    /// What holds from then on, and until when.
    pub(crate) meaning: String,
    /// What was done, behind the name of the lease.
    pub(crate) done: String,
    /// The reason and the action of the Event.
    pub(crate) event: (&'static str, &'static str),
    /// Whether it begins anew when it is written again.
    begins_anew: bool,
}

impl Plan {
    /// Whether the other promises the same, as far as a person has been told.
    pub(crate) fn promises(&self, other: &Self) -> bool {
        (&self.warnings, &self.meaning, &self.done) == (&other.warnings, &other.meaning, &other.done)
    }

    /// The lease as it would be; `remark` says who asks, behind the word that counts. `None` when it is like that already.
    pub(crate) fn apply(&self, lease: &Lease, remark: &str) -> Option<Lease> {
        let mut after = lease.clone();
        let notes = after.metadata.annotations.get_or_insert_default();
        let word = |text: &String| text.split_whitespace().next().map(str::to_owned);
        let mut changed = self.begins_anew;
        for (key, value) in &self.notes {
            changed |= notes.get(*key).and_then(word) != *value;
            match value {
                Some(value) => notes.insert((*key).to_owned(), format!("{value} {remark}")),
                None => notes.remove(*key),
            };
        }
        changed.then_some(after)
    }
}

/// Looks whether a wish makes sense, and what it takes.
///
/// # Errors
/// A sentence that says what to do instead.
pub(crate) fn plan(wish: &Wish, survey: &Survey, key: &LeaseKey) -> Result<Plan, String> {
    let lease = survey.leader(key).ok_or_else(|| {
        format!("lease {key} does not exist yet: there is nothing to steer before the elector has created it")
    })?;
    match wish {
        Wish::StepDown { to } => step_down(survey, lease, to.as_ref()),
        Wish::Pin { identity } => {
            may_be_a_name(identity)?;
            Ok(pin(survey, key, identity))
        }
        Wish::CancelStepDown => Ok(Plan {
            notes: vec![(wire::STEP_DOWN, None), (wire::STEP_DOWN_TO, None)],
            warnings: Vec::new(),
            meaning: "Whoever was asked to step down may lead again.".to_owned(),
            done: "step-down cancelled".to_owned(),
            event: ("StepDownCancelled", "StepDown"),
            begins_anew: false,
        }),
        Wish::Hold { length } => hold(survey, key, *length),
        Wish::ReleaseHold => Ok(Plan {
            notes: vec![(wire::HOLD, None)],
            warnings: Vec::new(),
            meaning: "A better candidate may preempt the holder again.".to_owned(),
            done: "hold released".to_owned(),
            event: ("HoldReleased", "Hold"),
            begins_anew: false,
        }),
        Wish::Unpin => Ok(Plan {
            notes: vec![(wire::PIN, None)],
            warnings: Vec::new(),
            meaning: "The best candidate by version leads again.".to_owned(),
            done: "unpinned".to_owned(),
            event: ("Unpinned", "Pin"),
            begins_anew: false,
        }),
    }
}

/// The first word of an annotation counts, so anything else would ask for something else.
pub(crate) fn may_be_a_name(identity: &Identity) -> Result<(), String> {
    let text = identity.as_str();
    let label = |label: &str| {
        let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= NAME_LIMIT && text.split('.').all(label) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is no identity: an identity is the name of a lease, of lower case letters, digits, '-' and '.'"
    ))
}

/// The longest name of a Lease: a DNS subdomain name (RFC 1123).
const NAME_LIMIT: usize = 253;

fn hold(survey: &Survey, key: &LeaseKey, length: Option<Length>) -> Result<Plan, String> {
    let anew = "An elector that is started meanwhile counts anew, so it may last longer.";
    let (value, meaning) = match length {
        None => (
            "true".to_owned(),
            format!(
                "Nobody preempts the holder until `{}`; a vacancy is filled as always.",
                command("release-hold", key)
            ),
        ),
        Some(Length::For(length)) => {
            let seconds = whole_seconds(length)
                .ok_or("a hold lasts for one second at least, and for 136 years at most".to_owned())?;
            let meaning = format!(
                "Nobody preempts the holder for {}, counted by the elector from when it sees this; a vacancy is filled as \
                 always. {anew}",
                age(Duration::from_secs(u64::from(seconds.get())))
            );
            (format!("{seconds}s"), meaning)
        }
        Some(Length::Until(until)) => {
            let moment = survey.moment();
            let now = moment.now.filter(|_| moment.source == TimeSource::ServerDate);
            let now = now.ok_or("the server tells no time: say how long with --for".to_owned())?;
            let left = u64::try_from(until.as_micros().saturating_sub(now.as_micros())).unwrap_or(0);
            let seconds = whole_seconds(Duration::from_micros(left)).ok_or_else(|| {
                let (until, now) = (rfc3339(until), rfc3339(whole_second(now)));
                format!("{until} is not in the future: the server has {now}")
            })?;
            let meaning = format!(
                "Nobody preempts the holder until {}, by the time of the server; a vacancy is filled as always. {anew}",
                rfc3339(until)
            );
            (format!("{seconds}s"), meaning)
        }
    };
    Ok(Plan {
        notes: vec![(wire::HOLD, Some(value))],
        warnings: Vec::new(),
        meaning,
        done: "put on hold".to_owned(),
        event: ("HoldRequested", "Hold"),
        begins_anew: length.is_some(),
    })
}

/// A begun second is a whole one.
fn whole_seconds(length: Duration) -> Option<NonZeroU32> {
    let seconds = u32::try_from(length.as_millis().div_ceil(1000)).ok();
    seconds.and_then(NonZeroU32::new)
}

fn command(name: &str, key: &LeaseKey) -> String {
    format!("kubectl leases {name} -n {} {}", key.namespace(), key.name())
}

fn step_down(survey: &Survey, lease: &LeaderLease, to: Option<&Identity>) -> Result<Plan, String> {
    let key = &lease.key;
    let (Some(holder), LeaseState::Held) = (&lease.record.holder, lease.state()) else {
        let state = lease.state();
        return Err(format!(
            "nobody leads {key}, which is {state}: there is nobody to step down"
        ));
    };
    let Some(incarnation) = &lease.record.incarnation else {
        return Err(format!(
            "{holder} holds {key} as an ordinary client, which no elector asks to give way: end its process instead"
        ));
    };
    let candidates = survey.explanation(key).candidates;
    if let Some(to) = to {
        may_be_a_name(to)?;
        if to == holder {
            return Err(format!("{to} leads {key} already: name another candidate"));
        }
        let names = || {
            let others = candidates.iter().filter(|one| one.identity != *holder);
            let names: Vec<_> = others.map(|one| one.identity.to_string()).collect();
            if names.is_empty() {
                "nobody".to_owned()
            } else {
                names.join(", ")
            }
        };
        let known = candidates.iter().find(|one| one.identity == *to);
        let known =
            known.ok_or_else(|| format!("{to} is no candidate for {key}; the others are: {}", names()))?;
        if known.silent.is_none() {
            return Err(format!(
                "{to} is hand-written: no process stands behind it that could be nominated"
            ));
        }
        if !known.standing.is_electable() {
            return Err(format!("{to} cannot lead {key}: {}", known.standing));
        }
    }
    let others = candidates
        .iter()
        .any(|one| one.identity != *holder && one.standing.is_electable() && one.silent.is_some());
    let mut warnings = Vec::new();
    if !others {
        warnings.push(format!(
            "nobody else can lead now, so {holder} leads on until somebody can"
        ));
    }
    let down = StepDown {
        identity: holder.clone(),
        incarnation: incarnation.clone(),
    };
    Ok(Plan {
        notes: vec![
            (wire::STEP_DOWN, Some(down.to_string())),
            (wire::STEP_DOWN_TO, to.map(ToString::to_string)),
        ],
        warnings,
        meaning: format!(
            "This process of {holder} leads again only when nobody else can, until it ends or `{} --cancel`.",
            command("step-down", key)
        ),
        done: format!("step-down of {holder} requested"),
        event: ("StepDownRequested", "StepDown"),
        begins_anew: false,
    })
}

fn pin(survey: &Survey, key: &LeaseKey, identity: &Identity) -> Plan {
    let candidates = survey.explanation(key).candidates;
    let known = candidates.iter().find(|one| one.identity == *identity);
    let warning = match known {
        None => Some(format!(
            "{identity} is no candidate for {key} now; it leads as soon as it is one"
        )),
        Some(known) if known.silent.is_none() => Some(format!(
            "{identity} is hand-written: it is never nominated, and leads only when no process lives"
        )),
        Some(known) if matches!(known.standing, Standing::NotLive { .. } | Standing::Refused) => {
            Some(format!("{identity} cannot lead now: {}", known.standing))
        }
        Some(_) => None,
    };
    Plan {
        notes: vec![(wire::PIN, Some(identity.to_string()))],
        warnings: warning.into_iter().collect(),
        meaning: format!(
            "{identity} leads whenever it can, whatever its versions, until `{}`; while it cannot, the others do.",
            command("unpin", key)
        ),
        done: format!("pinned to {identity}"),
        event: ("Pinned", "Pin"),
        begins_anew: false,
    }
}
