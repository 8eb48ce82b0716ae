//! Who led when, as far as the elector's Events and the lease tell.
//!
//! Events are kept for an hour or so, and an elector tells of offers and nominations, not of acceptances. So a turn is drawn
//! only where something later shows that it took place: the elector's next sentence says who held the lease then, or that
//! the last offer was not taken. It began about when its holder was offered the lease, or was named as successor of a holder
//! that gave way; it ended when its holder was last seen. Drawing it is in `svg.rs`.

use std::time::Duration;

use election_core::{ElectorTiming, LeaderLease, LeaseState, Wall};
use k8s_openapi::api::events::v1::Event;
use serde::Serialize;

use crate::survey::{rfc3339, whole_second};
use crate::view::API_VERSION;
use crate::words::since;

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
    /// From when on, as far as this tells.
    #[serde(serialize_with = "as_text")]
    pub from: Wall,
    /// Whether it began before that, of which nothing tells any more.
    #[serde(rename = "beganBefore")]
    pub began_before: bool,
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
        let now = now.map(whole_second);
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

/// What the elector's sentence says of whoever held the lease, or had the offer, when it decided: the sentences of
/// `election_core::elector::Reason`, which a test holds to this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said<'a> {
    /// Who held the lease.
    holder: Option<&'a str>,
    /// For how long the holder had been silent.
    silent: Option<Duration>,
    /// Who had the offer, and did not take it.
    refused: Option<&'a str>,
    /// Whether somebody had given the lease back.
    released: bool,
}

impl<'a> Said<'a> {
    fn of(note: &'a str) -> Self {
        let reason = note.split_once(": ").map_or(note, |(_, reason)| reason);
        let before = |words: &str| Some(reason.split_once(words)?.0);
        let behind = |words: &str| Some(word(reason.split_once(words)?.1));
        let silent = reason.split_once(" held the lease and was silent for ");
        let holder = silent.map(|(holder, _)| holder);
        let holder = holder
            .or_else(|| behind(" is strictly better than the holder "))
            .or_else(|| before(" was asked to step down, so "))
            .or_else(|| behind(" to lead instead of "));
        Self {
            holder,
            silent: silent.and_then(|(_, rest)| {
                let seconds: f64 = word(rest).parse().ok()?;
                Duration::try_from_secs_f64(seconds).ok()
            }),
            refused: before(" did not accept in time")
                .or_else(|| before(" has the offer but is no candidate any more")),
            released: reason.starts_with(&format!("the lease is {}, ", LeaseState::Released)),
        }
    }
}

fn word(text: &str) -> &str {
    text.split([' ', ',', ';']).next().unwrap_or_default()
}

/// Somebody who may have led from then on.
type Claim = (String, Wall);

/// Finds out who led when.
struct Turns {
    turns: Vec<Turn>,
    /// Whether the last turn goes on.
    open: bool,
    /// Who was offered the lease last.
    offered: Option<Claim>,
    /// Who was named as successor last.
    nominee: Option<Claim>,
    now: Wall,
}

impl Turns {
    const fn new(now: Wall) -> Self {
        Self {
            turns: Vec::new(),
            open: false,
            offered: None,
            nominee: None,
            now,
        }
    }

    fn take(&mut self, entry: &Entry) {
        let said = Said::of(&entry.note);
        match (entry.what.as_str(), &entry.who) {
            ("Nominated", Some(who)) => {
                if let Some(holder) = said.holder {
                    self.led(holder, entry.time);
                }
                self.nominee = Some((who.clone(), entry.time));
            }
            ("NominationCleared", _) => self.nominee = None,
            ("Offered", Some(who)) => {
                if let Some(holder) = said.holder {
                    self.led(holder, entry.time);
                } else if said.released {
                    self.gave_back(entry.time);
                } else if said.refused.is_some() {
                    self.offered = None;
                }
                self.close(before(entry.time, said.silent.unwrap_or_default()));
                self.offered = Some((who.clone(), entry.time));
                self.nominee = None;
            }
            ("Accepted", Some(who)) => self.led(who, entry.time),
            _ => {}
        }
    }

    /// Somebody leads at a moment, and has led since it came to that.
    fn led(&mut self, holder: &str, at: Wall) {
        let is = |claim: &&Claim| claim.0 == holder;
        let offered = self.offered.take();
        if self.open && self.turns.last().is_some_and(|last| last.holder == holder) {
            return;
        }
        let begun = offered.as_ref().filter(is).or(self.nominee.as_ref().filter(is));
        let begun = begun.map(|(_, from)| *from);
        if begun.is_some() {
            self.nominee = None;
        }
        let from = begun.unwrap_or(at);
        self.close(from);
        self.turns.push(Turn {
            holder: holder.to_owned(),
            from,
            began_before: begun.is_none(),
            to: self.now,
            now: false,
        });
        self.open = true;
    }

    /// Somebody gave the lease back. Whoever had the offer for longer than it takes to decline has accepted it first, and a
    /// successor was handed it.
    fn gave_back(&mut self, at: Wall) {
        let decided = ElectorTiming::default().accept_window(0);
        let claim = self.offered.take().or_else(|| self.nominee.take());
        if let Some((who, from)) = claim.filter(|(_, from)| since(at, *from) > decided) {
            self.offered = Some((who.clone(), from));
            self.led(&who, from);
        }
    }

    fn close(&mut self, at: Wall) {
        if let Some(last) = self.turns.last_mut().filter(|_| self.open) {
            last.to = at.max(last.from);
        }
        self.open = false;
    }
}

fn before(at: Wall, duration: Duration) -> Wall {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Wall::from_micros(at.as_micros().saturating_sub(micros))
}

fn turns(entries: &[Entry], lease: Option<&LeaderLease>, now: Wall) -> Vec<Turn> {
    let mut found = Turns::new(now);
    for entry in entries {
        found.take(entry);
    }
    match lease.map(|lease| (lease.state(), &lease.record)) {
        Some((LeaseState::Held, record)) => {
            let holder = record.holder.as_ref();
            if let Some(last) = found.turns.last_mut().filter(|_| found.open) {
                last.now = holder.is_some_and(|holder| holder.as_str() == last.holder);
            }
        }
        Some((LeaseState::Released, record)) => {
            let at = record.renew_time.unwrap_or(now);
            found.gave_back(at);
            found.close(at);
        }
        _ => {}
    }
    found.turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use election_core::elector::Reason;
    use election_core::{Identity, Version, Versions};

    fn said(reason: &Reason) -> (Option<String>, Option<u64>, Option<String>, bool) {
        let note = format!("Offered to x: {reason}");
        let said = Said::of(&note);
        (
            said.holder.map(str::to_owned),
            said.silent.map(|silent| silent.as_secs()),
            said.refused.map(str::to_owned),
            said.released,
        )
    }

    #[test]
    fn the_sentences_of_the_elector_are_understood() {
        let alpha = || Some("alpha".to_owned());
        let (holder, successor) = (|| Identity::new("alpha"), || Identity::new("bravo"));
        for versions in [None, Some("1.29".parse::<Version>().unwrap())] {
            let versions = versions.map(|version| Versions {
                binary: version.clone(),
                emulation: version,
            });
            let better = Reason::Better {
                holder: holder(),
                of_holder: versions.clone(),
                successor: successor(),
                of_successor: versions,
            };
            assert_eq!(said(&better), (alpha(), None, None, false), "{better}");
        }
        for stepping_down in [true, false] {
            let asked = Reason::Asked {
                stepping_down,
                holder: holder(),
                successor: successor(),
            };
            assert_eq!(said(&asked), (alpha(), None, None, false), "{asked}");
        }
        for millis in [15_300, 3_600_000] {
            let expired = Reason::Expired {
                holder: holder(),
                silent: Duration::from_millis(millis),
                best: successor(),
            };
            let expected = (alpha(), Some(millis / 1_000), None, false);
            assert_eq!(said(&expired), expected, "{expired}");
        }
        let not_taken = [
            Reason::NotAccepted {
                candidate: holder(),
                best: successor(),
            },
            Reason::OffereeGone {
                candidate: holder(),
                best: successor(),
            },
        ];
        for reason in not_taken {
            assert_eq!(said(&reason), (None, None, alpha(), false), "{reason}");
        }
        for (state, released) in [(LeaseState::Released, true), (LeaseState::Blanked, false)] {
            let vacant = Reason::Vacant {
                state,
                best: successor(),
                versions: None,
                electable: 2,
            };
            assert_eq!(said(&vacant), (None, None, None, released), "{vacant}");
        }
    }
}
