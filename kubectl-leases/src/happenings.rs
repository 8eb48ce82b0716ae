//! What happened between two versions of a lease, in the words of the protocol.
//!
//! Which writes there are is said in `election-core`; here they are recognised by what they leave. Watching, and printing,
//! is in `commands/watch.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use election_core::wire::Item;
use election_core::{Controls, IdentityLease, LeaderLease, LeaseKey, LeaseState, may_be_leader_lease};
use serde::Serialize;

/// Something that happened in an election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    /// When it was seen, by the server's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// `namespace/name` of the leader lease, or of the identity lease that it is about.
    pub lease: String,
    /// What, in one word.
    pub what: What,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// More about it, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Happening {
    /// Whether it is about a candidate that offers itself for this lease in a way that cannot count.
    #[must_use]
    pub fn refuses(&self, lease: &LeaseKey) -> bool {
        self.what == What::Refused && self.detail.contains(&lease.to_string())
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum What {
    /// How it was when the watch began.
    Is,
    /// The lease was created.
    Created,
    /// The elector has granted it to somebody, who may accept.
    Offered,
    /// The one that had the offer leads.
    Accepted,
    /// An ordinary client has taken it.
    Claimed,
    /// A better candidate is named as successor.
    Nominated,
    /// Nobody is named as successor any more.
    Cleared,
    /// The successor asks the holder to give way.
    EndOfTerm,
    /// The holder has stopped, and offers it to its successor.
    HandedOver,
    /// The holder has stopped, and gives it back.
    Released,
    /// The one that had the offer gives it back.
    Declined,
    /// Nobody renewed it in time.
    Expired,
    /// Somebody else has removed the holder.
    Blanked,
    /// The lease is gone.
    Deleted,
    /// A candidate has come, or offers itself again.
    Joined,
    /// A candidate has gone, or offers itself no more.
    Left,
    /// A candidate says something that cannot count.
    Refused,
    /// Somebody asks something of the election, or asks it no more.
    Asked,
}

impl What {
    /// The word in a line.
    #[must_use]
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }
}

/// What is remembered of the leases, to see what changes.
#[derive(Debug, Default)]
pub struct Memory {
    leases: BTreeMap<LeaseKey, Remembered>,
    identities: BTreeMap<LeaseKey, IdentityLease>,
}

#[derive(Debug)]
struct Remembered {
    lease: LeaderLease,
    /// Since when nobody leads, as far as it was seen.
    vacant_since: Option<Duration>,
    /// When the last offer, nomination or acceptance was seen.
    offered_at: Option<Duration>,
    nominated_at: Option<Duration>,
    accepted_at: Option<Duration>,
    expired: bool,
}

impl Memory {
    /// Takes a Lease in as it was when the watch began; `now` counts from there.
    pub fn begin(&mut self, item: Item) -> Option<Happening> {
        match item {
            Item::Leader(lease) => {
                let state = lease.state();
                let is = happening(&lease.key, What::Is, holder(&lease), state.as_str().to_owned());
                self.leases.insert(lease.key.clone(), Remembered::new(lease));
                Some(is)
            }
            Item::Identity(identity) => {
                self.identities.insert(identity.key.clone(), identity);
                None
            }
        }
    }

    /// Whether it is about an election: nodes' heartbeats and the electors' own lease are not.
    #[must_use]
    pub fn concerns(item: &Item) -> bool {
        may_be_leader_lease(item.key())
    }

    /// What is remembered and not there any more.
    #[must_use]
    pub fn missing(&self, is_there: impl Fn(&LeaseKey) -> bool) -> Vec<LeaseKey> {
        let known = self.leases.keys().chain(self.identities.keys());
        known.filter(|key| !is_there(key)).cloned().collect()
    }

    /// Takes a change in.
    pub fn change(&mut self, now: Duration, item: Item) -> Vec<Happening> {
        match item {
            Item::Leader(lease) => self.change_leader(now, lease),
            Item::Identity(identity) => self.change_identity(identity),
        }
    }

    /// Takes a deletion in.
    pub fn delete(&mut self, now: Duration, key: &LeaseKey) -> Vec<Happening> {
        if let Some(gone) = self.leases.remove(key) {
            let led = gone.led(now);
            return vec![happening(key, What::Deleted, holder(&gone.lease), led)];
        }
        let gone = self.identities.remove(key);
        gone.iter()
            .flat_map(|gone| left(gone, "its identity lease is gone"))
            .collect()
    }

    /// Takes in that nobody renewed a lease in time.
    pub fn expire(&mut self, now: Duration, key: &LeaseKey) -> Option<Happening> {
        let known = self.leases.get_mut(key).filter(|known| !known.expired)?;
        known.expired = true;
        known.vacant_since = Some(now);
        let led = known.led(now);
        Some(happening(key, What::Expired, holder(&known.lease), led))
    }

    fn change_leader(&mut self, now: Duration, lease: LeaderLease) -> Vec<Happening> {
        let key = lease.key.clone();
        let mut before = match self.leases.remove(&key) {
            Some(before) if before.lease.uid == lease.uid => before,
            before => {
                let mut seen: Vec<_> = before
                    .map(|before| happening(&key, What::Deleted, holder(&before.lease), before.led(now)))
                    .into_iter()
                    .collect();
                seen.push(happening(&key, What::Created, holder(&lease), String::new()));
                let mut new = Remembered::new(lease);
                new.vacant_since = Some(now);
                self.leases.insert(key, new);
                return seen;
            }
        };
        let mut seen = before.changes(now, &lease);
        if before.lease.controls != lease.controls {
            seen.push(happening(
                &key,
                What::Asked,
                None,
                asked(lease.controls.as_deref()),
            ));
        }
        before.lease = lease;
        self.leases.insert(key, before);
        seen
    }

    fn change_identity(&mut self, identity: IdentityLease) -> Vec<Happening> {
        let before = self.identities.insert(identity.key.clone(), identity.clone());
        let mut seen = Vec::new();
        let named_before =
            |lease: &LeaseKey| before.as_ref().is_some_and(|before| before.leads.contains(lease));
        for lease in identity.leads.iter().filter(|lease| !named_before(lease)) {
            let versions = identity
                .versions
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            seen.push(happening(
                lease,
                What::Joined,
                Some(identity.identity().to_string()),
                versions,
            ));
        }
        for lease in before.iter().flat_map(|before| &before.leads) {
            if !identity.leads.contains(lease) {
                let who = Some(identity.identity().to_string());
                seen.push(happening(
                    lease,
                    What::Left,
                    who,
                    "it offers itself no more".to_owned(),
                ));
            }
        }
        let refusals = |identity: &IdentityLease| {
            let versions = identity.versions.as_ref().err();
            versions
                .into_iter()
                .chain(&identity.refused)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let known = before.as_ref().map(refusals).unwrap_or_default();
        for refusal in refusals(&identity)
            .into_iter()
            .filter(|refusal| !known.contains(refusal))
        {
            let who = Some(identity.identity().to_string());
            seen.push(happening(&identity.key, What::Refused, who, refusal));
        }
        seen
    }
}

/// What people ask for.
fn asked(controls: Option<&Controls>) -> String {
    let Some(controls) = controls else {
        return "nothing any more".to_owned();
    };
    let hold = controls.hold().map(|hold| match hold.length() {
        Some(length) => format!("hold for {}", short(length)),
        None => "hold".to_owned(),
    });
    let pin = controls.pin.as_ref().map(|pin| format!("pin {pin}"));
    let to = controls
        .step_down_to
        .as_ref()
        .map_or_else(String::new, |to| format!(" for {to}"));
    let step_down = controls
        .step_down()
        .map(|asked| format!("step-down of {}{to}", asked.identity));
    let errors = controls.errors().map(ToString::to_string);
    let parts: Vec<String> = [hold, pin, step_down]
        .into_iter()
        .flatten()
        .chain(errors)
        .collect();
    parts.join(", ")
}

fn left(gone: &IdentityLease, why: &str) -> Vec<Happening> {
    let who = || Some(gone.identity().to_string());
    gone.leads
        .iter()
        .map(|lease| happening(lease, What::Left, who(), why.to_owned()))
        .collect()
}

impl Remembered {
    const fn new(lease: LeaderLease) -> Self {
        Self {
            lease,
            vacant_since: None,
            offered_at: None,
            nominated_at: None,
            accepted_at: None,
            expired: false,
        }
    }

    /// How long the holder has led, as far as it was seen.
    fn led(&self, now: Duration) -> String {
        self.accepted_at.map_or_else(String::new, |at| {
            format!("it led for {}", short(now.saturating_sub(at)))
        })
    }

    fn vacant(&self, now: Duration) -> Option<String> {
        let since = self.vacant_since?;
        Some(format!("nobody led for {}", short(now.saturating_sub(since))))
    }

    fn changes(&mut self, now: Duration, after: &LeaderLease) -> Vec<Happening> {
        let (was, is) = (self.lease.state(), after.state());
        let key = &after.key;
        let (old, new) = (holder(&self.lease), holder(after));
        match (was, is) {
            (LeaseState::Held, LeaseState::Held) if old == new && self.same_term(after) => {
                self.renewed(now, after)
            }
            (_, LeaseState::Held) => {
                let what = if was == LeaseState::Offered && old == new {
                    What::Accepted
                } else {
                    What::Claimed
                };
                let after_offer = self
                    .offered_at
                    .map(|at| format!("{} after the offer", short(now.saturating_sub(at))));
                let details: Vec<String> = after_offer.into_iter().chain(self.vacant(now)).collect();
                (self.vacant_since, self.nominated_at, self.expired) = (None, None, false);
                self.accepted_at = Some(now);
                vec![happening(key, what, new, details.join("; "))]
            }
            (LeaseState::Held, LeaseState::Offered) => {
                let handed = self.lease.record.preferred_holder == after.record.holder && !self.expired;
                self.vacant_since.get_or_insert(now);
                self.offered_at = Some(now);
                let old = old.unwrap_or_default();
                if handed {
                    let led = self.led(now);
                    let detail = if led.is_empty() {
                        String::new()
                    } else {
                        format!("; {led}")
                    };
                    vec![happening(key, What::HandedOver, new, format!("by {old}{detail}"))]
                } else {
                    vec![happening(key, What::Offered, new, format!("{old} had held it"))]
                }
            }
            (_, LeaseState::Offered) if was != is || old != new => {
                let waited = self.offered_at.filter(|_| was == LeaseState::Offered).map(|at| {
                    format!(
                        "{} did not accept for {}",
                        old.unwrap_or_default(),
                        short(now.saturating_sub(at))
                    )
                });
                let detail = waited.or_else(|| self.vacant(now)).unwrap_or_default();
                self.vacant_since.get_or_insert(now);
                self.offered_at = Some(now);
                vec![happening(key, What::Offered, new, detail)]
            }
            (LeaseState::Held, LeaseState::Released) => {
                self.vacant_since = Some(now);
                vec![happening(key, What::Released, old, self.led(now))]
            }
            (LeaseState::Offered, LeaseState::Released) => {
                vec![happening(key, What::Declined, old, String::new())]
            }
            (_, LeaseState::Blanked) if was != is => {
                self.vacant_since.get_or_insert(now);
                vec![happening(key, What::Blanked, old, self.led(now))]
            }
            _ => Vec::new(),
        }
    }

    fn same_term(&self, after: &LeaderLease) -> bool {
        let (was, is) = (&self.lease.record, &after.record);
        (&was.incarnation, was.acquire_time) == (&is.incarnation, is.acquire_time)
    }

    /// What may happen within a term.
    fn renewed(&mut self, now: Duration, after: &LeaderLease) -> Vec<Happening> {
        let (was, is) = (&self.lease.record, &after.record);
        let mut seen = Vec::new();
        if was.preferred_holder != is.preferred_holder {
            let holder = holder(after).unwrap_or_default();
            seen.push(match &is.preferred_holder {
                Some(nominee) => {
                    let detail = format!("to succeed {holder}");
                    happening(&after.key, What::Nominated, Some(nominee.to_string()), detail)
                }
                None => happening(&after.key, What::Cleared, None, String::new()),
            });
        }
        if !was.end_of_term && is.end_of_term {
            let since = self
                .nominated_at
                .map(|at| format!("; {} after the nomination", short(now.saturating_sub(at))));
            let nominee = is
                .preferred_holder
                .as_ref()
                .map_or("somebody", |nominee| nominee.as_str());
            let detail = format!("{nominee} asks for it{}", since.unwrap_or_default());
            seen.push(happening(&after.key, What::EndOfTerm, holder(after), detail));
        }
        if seen.iter().any(|one| one.what == What::Nominated) {
            self.nominated_at = Some(now);
        }
        if was.renew_time != is.renew_time {
            (self.expired, self.vacant_since) = (false, None);
        }
        seen
    }
}

fn happening(key: &LeaseKey, what: What, who: Option<String>, detail: String) -> Happening {
    Happening {
        time: None,
        lease: key.to_string(),
        what,
        who,
        detail,
    }
}

fn holder(lease: &LeaderLease) -> Option<String> {
    lease.record.holder.as_ref().map(ToString::to_string)
}

/// Milliseconds while they mean something, then as kubectl writes ages.
fn short(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{} ms", duration.as_millis())
    } else {
        crate::words::age(duration)
    }
}
