//! From Leases to what is said about them: the rules are those of `election-core`, fed with one moment.
//!
//! An elector knows what it has seen over time. A plugin has one consistent list, so it tells the election what an elector
//! with the server's clock would have seen: each life as old as its renewal is by the server's time. What is found that
//! way is an estimate wherever time matters, and what was tried before is not known.
//!
//! Nothing is printed here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use election_core::elector::{Election, Explanation, IdentityLife, Rules};
use election_core::{
    Controls, IdentityLease, Item, LeaderLease, LeaseKey, LeaseSeconds, LeaseState, Mono, Revision, Strategy,
    Wall, may_be_leader_lease, wire,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::cluster::Error;
use crate::moment::Moment;
use crate::noted::{Noted, NotedLease};
use crate::view::LeaseStatus;
use crate::words::since;

mod status;

pub(crate) use status::pair;

/// A leader lease with what its object says beside the record.
#[derive(Clone, Debug)]
struct Leader {
    lease: LeaderLease,
    created: Option<Wall>,
    /// When somebody deleted it; it is there until its finalizers are gone.
    deleted: Option<Wall>,
    finalizers: Vec<String>,
    noted: Noted,
    /// What people ask of its election, word by word.
    asked: Vec<String>,
}

impl Leader {
    /// The last sign that something moved: a renewal, or for a lease that is only offered the write of the offer.
    fn last_life(&self) -> Option<Wall> {
        match self.lease.record.renew_time {
            // A holder whose clock is slow is as alive as the server has seen it write.
            Some(stamp) => Some(stamp.max(self.noted.renewed.unwrap_or(stamp))),
            None => self.noted.written,
        }
    }

    fn is_on_hold(&self) -> bool {
        let controls = self.lease.controls.as_deref();
        controls.and_then(Controls::hold).is_some()
    }

    /// The lease as it was before: at the last life without what people ask, or as they asked when its last life was yet to
    /// come. No revision is older.
    fn before(&self, asked_last: bool) -> LeaderLease {
        let mut before = self.lease.clone();
        before.revision = Revision::new("");
        if asked_last {
            before.controls = None;
            return before;
        }
        let record = &mut before.record;
        (record.preferred_holder, record.end_of_term) = (None, false);
        match self.lease.state() {
            LeaseState::Fresh => {}
            LeaseState::Held => record.renew_time = record.renew_time.map(previous),
            _ => {
                (record.holder, record.incarnation, record.acquire_time) = (None, None, None);
                record.renew_time = Some(record.renew_time.map_or(Wall::from_micros(0), previous));
            }
        }
        before
    }
}

/// Stamps only have to differ.
fn previous(stamp: Wall) -> Wall {
    Wall::from_micros(stamp.as_micros().saturating_sub(1))
}

/// Leases that were read at one moment, and who offers itself for which.
#[derive(Clone, Debug)]
pub struct Survey {
    moment: Moment,
    rules: Rules,
    leaders: BTreeMap<LeaseKey, Leader>,
    identities: BTreeMap<LeaseKey, Arc<IdentityLease>>,
    offers: BTreeMap<LeaseKey, Vec<Arc<IdentityLease>>>,
    /// What the server has noted of the identity leases.
    noted: BTreeMap<LeaseKey, Noted>,
}

impl Survey {
    /// Sorts the Leases. `strategy` is that of leases that ask for none.
    #[must_use]
    pub fn new<'a>(
        leases: impl IntoIterator<Item = &'a NotedLease>,
        moment: Moment,
        strategy: Strategy,
    ) -> Self {
        let rules = Rules {
            strategy,
            ..Rules::default()
        };
        let mut survey = Self::empty(moment, rules);
        for NotedLease { lease, noted } in leases {
            match wire::read(lease) {
                Some(Item::Identity(identity)) => {
                    survey.noted.insert(identity.key.clone(), *noted);
                    survey.add(identity);
                }
                Some(Item::Leader(leader)) => {
                    let meta = &lease.metadata;
                    let asked = asked(lease);
                    survey.leaders.insert(
                        leader.key.clone(),
                        Leader {
                            lease: leader,
                            created: meta.creation_timestamp.as_ref().map(wall),
                            deleted: meta.deletion_timestamp.as_ref().map(wall),
                            finalizers: meta.finalizers.clone().unwrap_or_default(),
                            noted: *noted,
                            asked,
                        },
                    );
                }
                None => {}
            }
        }
        survey
    }

    fn add(&mut self, identity: IdentityLease) {
        let identity = Arc::new(identity);
        for lease in &identity.leads {
            self.offers
                .entry(lease.clone())
                .or_default()
                .push(identity.clone());
        }
        self.identities.insert(identity.key.clone(), identity);
    }

    /// The coordinated leases: somebody offers itself for them, or an elector has granted them.
    #[must_use]
    pub fn coordinated(&self) -> Vec<LeaseStatus> {
        self.coordinated_keys().map(|key| self.status(key)).collect()
    }

    /// Every leader lease that there is, those of programs that take no part included; the nodes' heartbeats are none.
    #[must_use]
    pub fn all(&self) -> Vec<LeaseStatus> {
        let there = self.leaders.keys().filter(|key| may_be_leader_lease(key));
        let keys: BTreeSet<&LeaseKey> = there.chain(self.offers.keys()).collect();
        keys.into_iter().map(|key| self.status(key)).collect()
    }

    /// The names of the coordinated leases, in order.
    pub(crate) fn coordinated_keys(&self) -> impl Iterator<Item = &LeaseKey> {
        let granted = self
            .leaders
            .iter()
            .filter(|(_, leader)| leader.lease.record.elected)
            .map(|(key, _)| key);
        let keys: BTreeSet<&LeaseKey> = granted.chain(self.offers.keys()).collect();
        keys.into_iter()
    }

    /// Whether somebody offers itself for a lease.
    pub(crate) fn is_candidate_of(&self, identity: &LeaseKey, lease: &LeaseKey) -> bool {
        self.identity(identity).is_some_and(|leads| leads.contains(lease))
    }

    /// One lease, coordinated or not; `None` when nobody knows it.
    #[must_use]
    pub fn one(&self, key: &LeaseKey) -> Option<LeaseStatus> {
        (self.leaders.contains_key(key) || self.offers.contains_key(key)).then(|| self.status(key))
    }

    /// One lease, coordinated or not.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nobody knows it, [`Error::IdentityLease`] when it is a candidate's.
    pub fn must_know(&self, key: &LeaseKey) -> Result<LeaseStatus, Error> {
        if let Some(leads) = self.identity(key) {
            return Err(Error::identity_lease(key, leads));
        }
        self.one(key).ok_or_else(|| Error::NotFound {
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
        })
    }

    /// What a candidate offers itself for, if there is an identity lease of that name.
    #[must_use]
    pub fn identity(&self, key: &LeaseKey) -> Option<&[LeaseKey]> {
        self.identities.get(key).map(|identity| identity.leads.as_slice())
    }

    /// What is wrong with offers for a lease, so that they do not count.
    #[must_use]
    pub fn warnings_about(&self, key: &LeaseKey) -> Vec<String> {
        let named = format!("lease {key} ");
        let mut warnings = self.warnings();
        warnings
            .retain(|warning| warning.starts_with(&named) || warning.contains(&format!("itself for {key},")));
        warnings
    }

    /// What is wrong with offers, so that they do not count.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let refused = self.identities.values().flat_map(|identity| {
            identity
                .refused
                .iter()
                .map(|refusal| format!("identity lease {}: {refusal}", identity.key))
        });
        let strategies = self
            .leaders
            .values()
            .filter_map(|leader| match &leader.lease.strategy {
                Some(Err(text)) => Some(format!(
                    "lease {} asks for {text:?}, which is no strategy",
                    leader.lease.key
                )),
                _ => None,
            });
        refused.chain(strategies).collect()
    }

    /// What the election says about a lease at a moment.
    fn explain(&self, key: &LeaseKey, at: Mono) -> Explanation {
        self.election(key, at).explain(at)
    }

    /// What the election says about a lease now.
    #[must_use]
    pub fn explanation(&self, key: &LeaseKey) -> Explanation {
        self.explain(key, NOW)
    }

    /// The election of a lease at the moment [`NOW`], as an elector would have it.
    pub(crate) fn election_now(&self, key: &LeaseKey) -> Election {
        self.election(key, NOW)
    }

    /// Who offers itself for a lease.
    pub(crate) fn candidates_of(&self, key: &LeaseKey) -> &[Arc<IdentityLease>] {
        self.offers.get(key).map_or(&[], Vec::as_slice)
    }

    /// Every identity lease.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &Arc<IdentityLease>> {
        self.identities.values()
    }

    /// One identity lease.
    pub(crate) fn identity_lease(&self, key: &LeaseKey) -> Option<&Arc<IdentityLease>> {
        self.identities.get(key)
    }

    /// Every leader lease, those of ordinary clients included.
    pub(crate) fn leader_leases(&self) -> impl Iterator<Item = &LeaderLease> {
        self.leaders.values().map(|leader| &leader.lease)
    }

    /// A leader lease.
    pub(crate) fn leader(&self, key: &LeaseKey) -> Option<&LeaderLease> {
        self.leaders.get(key).map(|leader| &leader.lease)
    }

    /// Whether the holder of a lease was silent for too long.
    pub(crate) fn is_expired(&self, key: &LeaseKey) -> bool {
        let expires = self.election_now(key).expires_at();
        self.moment.now.is_some() && expires.is_some_and(|expires| expires <= NOW)
    }

    /// When all this was read.
    #[must_use]
    pub const fn moment(&self) -> Moment {
        self.moment
    }

    /// Adds a candidate that does not exist, or replaces one that does, as if it had just started.
    pub(crate) fn suppose(&mut self, identity: &IdentityLease) {
        self.suppose_gone(&identity.key);
        self.noted.remove(&identity.key);
        self.add(IdentityLease {
            renew_time: self.moment.now,
            ..identity.clone()
        });
    }

    /// Takes a candidate away.
    pub(crate) fn suppose_gone(&mut self, key: &LeaseKey) {
        self.identities.remove(key);
        for offers in self.offers.values_mut() {
            offers.retain(|identity| identity.key != *key);
        }
        self.offers.retain(|_, offers| !offers.is_empty());
    }

    /// The same for one lease alone: what is supposed of it costs nothing of the others.
    pub(crate) fn only(&self, key: &LeaseKey) -> Self {
        let mut only = Self::empty(self.moment, self.rules);
        if let Some(leader) = self.leaders.get(key) {
            only.leaders.insert(key.clone(), leader.clone());
        }
        for identity in self.candidates_of(key) {
            only.offers.entry(key.clone()).or_default().push(identity.clone());
            only.identities.insert(identity.key.clone(), identity.clone());
            if let Some(noted) = self.noted.get(&identity.key) {
                only.noted.insert(identity.key.clone(), *noted);
            }
        }
        if let Some(own) = self.identities.get(key) {
            only.identities.insert(key.clone(), own.clone());
        }
        only
    }

    const fn empty(moment: Moment, rules: Rules) -> Self {
        Self {
            moment,
            rules,
            leaders: BTreeMap::new(),
            identities: BTreeMap::new(),
            offers: BTreeMap::new(),
            noted: BTreeMap::new(),
        }
    }

    /// An election that is told that everything was seen when it happened.
    fn election(&self, key: &LeaseKey, at: Mono) -> Election {
        let mut election = Election::new(key.clone(), self.rules, NOW.before(LONG));
        election.observe_occupied(self.identities.contains_key(key));
        let there =
            |identity: &&Arc<IdentityLease>| at == NOW || NOW.before(self.since(identity.created)) < at;
        for identity in self.offers.get(key).into_iter().flatten().filter(there) {
            let seen = NOW.before(self.since(self.seen(identity)));
            election.observe_candidate_life(identity.clone(), IdentityLife::first(seen, identity));
        }
        match self.leaders.get(key) {
            Some(leader) => {
                self.observe(&mut election, leader);
                if leader.lease.state() == LeaseState::Fresh {
                    self.let_it_settle(&mut election, at);
                }
            }
            None => self.let_it_settle(&mut election, at),
        }
        election
    }

    /// Shows a lease to its election at its last life. A hold is counted from when it was asked for, which is another moment,
    /// so the lease is then shown twice: as it was at the earlier of the two, and as it is at the later.
    fn observe(&self, election: &mut Election, leader: &Leader) {
        let life = NOW.before(self.since(leader.last_life()));
        let asked = NOW.before(self.since(leader.noted.hold));
        if leader.is_on_hold() {
            election.observe_lease(life.min(asked), leader.before(life < asked));
            election.observe_lease(life.max(asked), leader.lease.clone());
        } else {
            election.observe_lease(life, leader.lease.clone());
        }
    }

    /// Since when a hold is over that is still written on a lease.
    pub(crate) fn hold_over_since(&self, key: &LeaseKey) -> Option<Duration> {
        let leader = self.leaders.get(key)?;
        let length = leader.lease.controls.as_deref()?.hold()?.length()?;
        let asked = since(self.moment.now?, leader.noted.hold?);
        (asked >= length).then(|| asked.saturating_sub(length))
    }

    /// Whether a holder that was asked to give way should have stopped long ago: under an end of term it does not renew, so its
    /// lease would have expired.
    pub(crate) fn is_overdue(&self, key: &LeaseKey) -> bool {
        let overdue = |leader: &Leader| {
            let asked = since(self.moment.now?, leader.noted.end_of_term?);
            let duration = leader.lease.record.duration.unwrap_or(LeaseSeconds::LEADER);
            let ending = leader.lease.state() == LeaseState::Held && leader.lease.record.end_of_term;
            Some(ending && asked > duration.duration())
        };
        !self.is_expired(key) && self.leaders.get(key).and_then(overdue) == Some(true)
    }

    /// When an identity lease was renewed: by its stamp, or later as the server has noted it.
    pub(crate) fn seen(&self, identity: &IdentityLease) -> Option<Wall> {
        let stamp = identity.renew_time?;
        let noted = self.noted.get(&identity.key).and_then(|noted| noted.renewed);
        Some(stamp.max(noted.unwrap_or(stamp)))
    }

    /// How long an identity lease was silent, if that is longer than it lasts.
    pub(crate) fn silent_for_too_long(&self, identity: &IdentityLease) -> Option<Duration> {
        let silent = since(self.moment.now?, self.seen(identity)?);
        (silent >= identity.duration.duration()).then_some(silent)
    }

    /// The stamps of renewals beside the times at which the server has noted them.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (&LeaseKey, Wall, Option<Wall>)> {
        let leaders = self
            .leaders
            .iter()
            .map(|(key, leader)| (key, leader.lease.record.renew_time, leader.noted.renewed));
        let identities = self.identities.iter().map(|(key, identity)| {
            (
                key,
                identity.renew_time,
                self.noted.get(key).and_then(|noted| noted.renewed),
            )
        });
        leaders
            .chain(identities)
            .filter_map(|(key, stamp, noted)| Some((key, stamp?, noted)))
    }

    /// A plugin that is asked once would else always find a settle window that has just begun.
    fn let_it_settle(&self, election: &mut Election, at: Mono) {
        // The step says that it waits for the window; nobody carries anything out here.
        let _ = election.step(at.before(self.rules.timing.settle_window));
    }

    /// How long ago that was; what is not known counts as now, so that nothing is said to be dead without a reason.
    fn since(&self, then: Option<Wall>) -> Duration {
        self.moment
            .now
            .zip(then)
            .map_or(Duration::ZERO, |(now, then)| since(now, then))
            .min(LONG)
    }

    fn seconds_since(&self, then: Option<Wall>) -> Option<u64> {
        Some(since(self.moment.now?, then?).as_secs())
    }
}

/// The moment of the read on the election's own clock, which has any origin.
pub(crate) const NOW: Mono = Mono::from_nanos(u64::MAX / 2);
/// Longer than anything is remembered.
const LONG: Duration = Duration::from_secs(100 * 365 * 86_400);

fn wall(time: &Time) -> Wall {
    Wall::from_micros(time.0.as_microsecond())
}

/// The controls of a lease with the remarks behind them.
fn asked(lease: &Lease) -> Vec<String> {
    let notes = lease.metadata.annotations.as_ref();
    let one = |key: &str| {
        let value = notes?.get(key)?;
        let name = key.rsplit('/').next()?;
        Some(format!("{name}: {value}"))
    };
    [wire::HOLD, wire::PIN, wire::STEP_DOWN, wire::STEP_DOWN_TO]
        .into_iter()
        .filter_map(one)
        .collect()
}

pub(crate) fn rfc3339(wall: Wall) -> String {
    Timestamp::from_microsecond(wall.as_micros())
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// People need no more.
pub(crate) fn whole_second(wall: Wall) -> Wall {
    Wall::from_micros(wall.as_micros() - wall.as_micros().rem_euclid(1_000_000))
}
