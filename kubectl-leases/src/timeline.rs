//! Who led when, as far as the elector's Events and the lease tell.
//!
//! Events are kept for an hour or so, and an elector tells of offers and nominations, not of acceptances: a turn begins
//! about when somebody was offered the lease, or was named as successor of a holder that gave way. Drawing it is in `svg.rs`.

use election_core::{LeaderLease, LeaseState, Wall};
use k8s_openapi::api::events::v1::Event;
use serde::Serialize;

use crate::survey::rfc3339;
use crate::view::API_VERSION;

/// The history of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `Timeline`.
    pub kind: &'static str,
    /// `namespace/name`.
    pub lease: String,
    /// What was told, the oldest first.
    pub entries: Vec<Entry>,
    /// Who led when, the oldest first.
    pub turns: Vec<Turn>,
}

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub time: Wall,
    /// What, in one word.
    pub what: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The sentence.
    pub note: String,
    /// How often it was told.
    pub count: i32,
}

/// A turn of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Who.
    pub holder: String,
    /// From when on.
    #[serde(serialize_with = "as_text")]
    pub from: Wall,
    /// Until when; the moment of the read for who leads now.
    #[serde(serialize_with = "as_text")]
    pub to: Wall,
    /// Whether it goes on.
    pub now: bool,
}

fn as_text<S: serde::Serializer>(wall: &Wall, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*wall))
}

impl Timeline {
    /// Puts together what is known at a moment.
    #[must_use]
    pub fn new(name: &str, events: &[Event], lease: Option<&LeaderLease>, now: Option<Wall>) -> Self {
        let mut entries: Vec<Entry> = events.iter().filter_map(Entry::of).collect();
        entries.extend(lease.and_then(Entry::of_term));
        entries.sort_by_key(|entry| entry.time);
        let now = now.or_else(|| entries.last().map(|entry| entry.time));
        let turns = now.map_or_else(Vec::new, |now| turns(&entries, lease, now));
        Self {
            api_version: API_VERSION,
            kind: "Timeline",
            lease: name.to_owned(),
            entries,
            turns,
        }
    }
}

impl Entry {
    fn of(event: &Event) -> Option<Self> {
        let series = event.series.as_ref();
        let micro = series
            .map(|series| &series.last_observed_time)
            .or(event.event_time.as_ref())
            .map(|time| time.0.as_microsecond());
        let coarse = event
            .deprecated_last_timestamp
            .as_ref()
            .map(|time| time.0.as_microsecond());
        Some(Self {
            time: Wall::from_micros(micro.or(coarse)?),
            what: event.reason.clone().unwrap_or_default(),
            who: event.related.as_ref().and_then(|related| related.name.clone()),
            note: event.note.clone().unwrap_or_default(),
            count: series.map_or(1, |series| series.count),
        })
    }

    /// The acceptance of the term that lasts.
    fn of_term(lease: &LeaderLease) -> Option<Self> {
        let record = &lease.record;
        let holder = record
            .holder
            .as_ref()
            .filter(|_| lease.state() == LeaseState::Held)?;
        Some(Self {
            time: record.acquire_time?,
            what: "Accepted".to_owned(),
            who: Some(holder.to_string()),
            note: format!("{holder} leads, term {}, by its own clock", record.transitions),
            count: 1,
        })
    }
}

fn turns(entries: &[Entry], lease: Option<&LeaderLease>, now: Wall) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut nominee: Option<(String, Wall)> = None;
    let mut begin = |holder: &str, from: Wall| {
        if let Some(last) = turns.last_mut() {
            if last.holder == holder {
                return;
            }
            last.to = from;
        }
        turns.push(Turn {
            holder: holder.to_owned(),
            from,
            to: now,
            now: false,
        });
    };
    for entry in entries {
        let Some(who) = &entry.who else {
            nominee = nominee.filter(|_| entry.what != "NominationCleared");
            continue;
        };
        match entry.what.as_str() {
            "Nominated" => {
                // Whoever was nominated before has followed, or else nobody would be nominated after it.
                if let Some((nominee, at)) = nominee.take().filter(|(nominee, _)| nominee != who) {
                    begin(&nominee, at);
                }
                nominee = Some((who.clone(), entry.time));
            }
            "Offered" | "Accepted" => {
                if let Some((nominee, at)) = nominee.take().filter(|(nominee, _)| nominee != who) {
                    begin(&nominee, at);
                }
                begin(who, entry.time);
            }
            _ => {}
        }
    }
    let holder = lease
        .filter(|lease| lease.state() == LeaseState::Held)
        .and_then(|lease| lease.record.holder.as_ref());
    let released = lease
        .filter(|lease| lease.record.holder.is_none())
        .and_then(|lease| lease.record.renew_time);
    if let Some(last) = turns.last_mut() {
        last.now = holder.is_some_and(|holder| holder.as_str() == last.holder);
        if let Some(released) = released.filter(|at| !last.now && *at > last.from) {
            last.to = released;
        }
    }
    turns
}
