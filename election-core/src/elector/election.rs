//! One leader lease with its own candidates and memory: what the elector knows of it, and how it learns.
//!
//! What it decides from that is in `judge` and `held`. An election is self-contained, so a model checker can hold one.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use super::back_off::{BackOff, Change};
use super::contender::{Contender, Tally};
use super::explanation::Explanation;
use super::flight::Flight;
use super::life::IdentityLife;
use super::message::Outcome;
use super::step::{Decision, Step, StrategySource};
use crate::control::Controls;
use crate::identity::IdentityLease;
use crate::lease::{LeaderLease, LeaseState};
use crate::names::{Identity, LeaseKey, Revision};
use crate::observed::{Observed, Patience, Sight};
use crate::strategy::Strategy;
use crate::time::Mono;
use crate::timing::ElectorTiming;

/// A hold that stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnHold {
    /// `None` until somebody releases it.
    pub(super) until: Option<Mono>,
}

/// What an elector goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The knobs of time.
    pub timing: ElectorTiming,
    /// The strategy of a lease that asks for none.
    pub strategy: Strategy,
}

/// One leader lease as an elector sees it.
///
/// ```
/// use election_core::elector::{Decision, Election, Rules};
/// use election_core::{LeaseKey, Mono};
///
/// let now = Mono::from_nanos(0);
/// let mut election = Election::new(LeaseKey::new("kube-system", "demo"), Rules::default(), now);
/// let step = election.step(now);
/// assert_eq!(step.decision, Decision::LeaveAlone);
/// assert_eq!(step.reason.to_string(), "nobody offers itself for this lease");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Election {
    pub(super) key: LeaseKey,
    pub(super) rules: Rules,
    /// The lease; `None` while it is missing.
    pub(super) lease: Option<LeaderLease>,
    /// The newest revision known of it, its deletion included.
    newest: Option<Revision>,
    /// Whether the key belongs to an identity lease.
    pub(super) occupied: bool,
    pub(super) candidates: BTreeMap<Identity, Contender>,
    /// What is remembered of identities that are no candidates now.
    departed: BTreeMap<Identity, Tally>,
    /// Until when a holder may act.
    observed: Observed,
    /// Since when somebody electable waits, or since the last gap.
    pub(super) settle_from: Option<Mono>,
    /// Counts vacancies; a count of another one is void.
    pub(super) vacancy: u32,
    /// Until when the last offer stands.
    pub(super) window_until: Mono,
    /// Counts terms; a count of another one is void.
    pub(super) term: u32,
    /// How often somebody was nominated in this term.
    nominations: u32,
    /// Until when the nomination is not changed.
    pub(super) nomination_until: Mono,
    pub(super) back_off: BackOff,
    /// Since when the lease is on hold.
    hold_from: Option<Mono>,
    pub(super) flight: Flight,
}

impl Election {
    /// The election of a lease that the watch shows to be missing; before `quiet_until` a leader that nobody has seen
    /// may still act.
    #[must_use]
    pub fn new(key: LeaseKey, rules: Rules, quiet_until: Mono) -> Self {
        Self {
            key,
            rules,
            lease: None,
            newest: None,
            occupied: false,
            candidates: BTreeMap::new(),
            departed: BTreeMap::new(),
            observed: Observed::new(quiet_until),
            settle_from: None,
            vacancy: 0,
            window_until: Mono::default(),
            term: 0,
            nominations: 0,
            nomination_until: Mono::default(),
            back_off: BackOff::default(),
            hold_from: None,
            flight: Flight::default(),
        }
    }

    /// The lease, by the watch or by the answer to an update. Outdated versions change nothing.
    pub fn observe_lease(&mut self, now: Mono, lease: LeaderLease) {
        if self.is_news(&lease.revision) {
            self.flight.shown();
            self.take(now, Some(lease), Sight::InOrder);
        }
    }

    /// The lease, by the list at the start or after a gap; `None` when it is missing there.
    pub fn observe_listed(&mut self, now: Mono, lease: Option<LeaderLease>) {
        self.flight.listed();
        match lease {
            Some(lease) if self.is_news(&lease.revision) => self.take(now, Some(lease), Sight::AfterGap),
            Some(_) => {}
            None => self.take(now, None, Sight::AfterGap),
        }
    }

    /// The deletion of the lease, by the watch: its last state, at the revision of the deletion.
    pub fn observe_deleted(&mut self, now: Mono, last: LeaderLease) {
        if self.is_news(&last.revision) {
            self.flight.shown();
            // Invariant: S1, the last state is life like any other, though nobody showed it before.
            self.take(now, Some(last), Sight::InOrder);
            self.take(now, None, Sight::InOrder);
        }
    }

    /// A candidate that names this lease.
    pub fn observe_candidate(&mut self, now: Mono, lease: Arc<IdentityLease>) {
        let identity = lease.identity();
        let life = match self.candidates.get(&identity) {
            Some(known) => {
                let mut life = known.life.clone();
                life.observe(now, &lease);
                life
            }
            None => IdentityLife::first(now, &lease),
        };
        self.observe_candidate_life(lease, life);
    }

    /// A candidate that names this lease, with its life as it was observed elsewhere.
    pub fn observe_candidate_life(&mut self, lease: Arc<IdentityLease>, life: IdentityLife) {
        let identity = lease.identity();
        let tally = match self.candidates.get(&identity) {
            Some(known) => known.tally,
            None => self.departed.remove(&identity).unwrap_or_default(),
        };
        self.candidates
            .insert(identity, Contender::new(lease, life, tally));
    }

    /// A candidate that does not name this lease any more, or whose identity lease is gone.
    pub fn observe_candidate_gone(&mut self, identity: &Identity) {
        if let Some(gone) = self.candidates.remove(identity)
            && gone.tally != Tally::default()
        {
            self.departed.insert(identity.clone(), gone.tally);
        }
    }

    /// Whether the key of this lease belongs to an identity lease, which is never a leader lease.
    pub fn observe_occupied(&mut self, occupied: bool) {
        self.occupied = occupied;
    }

    /// The watch is back after this long: silence in it was nobody's age.
    pub fn observe_reconnected(&mut self, now: Mono, gap: Duration) {
        for contender in self.candidates.values_mut() {
            contender.forgive(gap);
        }
        // Rule 4: others may need a moment to come back as well.
        self.settle_from = self.settle_from.map(|_| now);
    }

    /// The request of the last step has ended.
    pub fn observe_answer(&mut self, now: Mono, outcome: Outcome) {
        let was_create = self.flight.is_create();
        self.flight.answered(now, &outcome, &self.rules.timing);
        if let Outcome::Done(Some(lease)) = outcome
            && !was_create
        {
            self.observe_lease(now, lease);
        }
    }

    /// Decides one thing, and remembers what it asks for: until the answer nothing else is asked.
    #[must_use]
    pub fn step(&mut self, now: Mono) -> Step {
        self.settle(now);
        let mut step = self.judge(now);
        if let Decision::OfferAgain { to } = &step.decision {
            self.count_offer(now, &to.clone());
            step.look_again = Some(
                step.look_again
                    .map_or(self.window_until, |at| at.min(self.window_until)),
            );
        }
        if let Some(request) = &step.request {
            self.flight.begin(request);
        }
        step
    }

    /// What a step does for memory, without deciding anything: for an elector that stands by. When to look again.
    pub(super) fn follow(&mut self, now: Mono) -> Option<Mono> {
        self.settle(now);
        let electable = self.candidates.values().filter(|one| one.electable(now));
        electable.filter_map(Contender::dies_at).min()
    }

    /// This elector acts from now on: what it asked for in an earlier turn is no reason to wait.
    pub(super) fn begin_to_act(&mut self) {
        self.flight.begin_to_act();
    }

    /// What a step would decide now, with everything that led to it, for people.
    #[must_use]
    pub fn explain(&self, now: Mono) -> Explanation {
        Explanation::new(self, now, self.judge(now))
    }

    /// The lease as it is known; `None` while it is missing.
    #[must_use]
    pub const fn lease(&self) -> Option<&LeaderLease> {
        self.lease.as_ref()
    }

    /// When the holder expires unless it shows life before; `None` when nobody holds the lease.
    #[must_use]
    pub fn expires_at(&self) -> Option<Mono> {
        let lease = self
            .lease
            .as_ref()
            .filter(|lease| lease.state() == LeaseState::Held)?;
        self.observed.expires_at(lease, self.patience())
    }

    /// When life of the holder was last seen.
    #[must_use]
    pub fn last_life(&self) -> Option<Mono> {
        self.observed.last_life()
    }

    /// Whether nothing of this election needs to be remembered: no lease, nobody who wants one, nobody who may act.
    #[must_use]
    pub fn is_forgettable(&self, now: Mono) -> bool {
        self.lease.is_none()
            && self.candidates.is_empty()
            && now >= self.quiet_until()
            && !self.flight.is_open()
    }

    /// When this election can be forgotten, if nothing changes before.
    pub(super) fn forget_at(&self) -> Option<Mono> {
        (self.lease.is_none() && self.candidates.is_empty()).then_some(self.quiet_until())
    }

    pub(super) fn is_behind(&self) -> bool {
        self.flight.is_behind()
    }

    pub(super) fn strategy(&self) -> StrategySource {
        match self.lease.as_ref().and_then(|lease| lease.strategy.as_ref()) {
            None => StrategySource::Elector(self.rules.strategy),
            Some(Ok(strategy)) => StrategySource::Lease(*strategy),
            Some(Err(text)) => StrategySource::Unreadable {
                text: text.clone(),
                instead: self.rules.strategy,
            },
        }
    }

    /// The process that held the lease until it expired, while it stands for it. One that has started again since is
    /// another process, and none that failed.
    pub(super) fn silent_holder(&self, now: Mono) -> Option<&Contender> {
        let expired = self.expires_at().is_some_and(|expires_at| now >= expires_at);
        self.lease
            .as_ref()
            .filter(|_| expired)
            .and_then(|lease| self.process_of(lease))
    }

    /// The holder as a candidate, if it is the very process that accepted.
    fn process_of(&self, lease: &LeaderLease) -> Option<&Contender> {
        let contender = self.candidates.get(lease.record.holder.as_ref()?)?;
        let same = contender.lease.incarnation == lease.record.incarnation;
        (same && !contender.hand_written()).then_some(contender)
    }

    fn is_news(&mut self, revision: &Revision) -> bool {
        let news = self.newest.as_ref().is_none_or(|newest| newest < revision);
        if news {
            self.newest = Some(revision.clone());
        }
        news
    }

    /// Before this moment somebody who was not seen, or was seen last, may still act (rule 3).
    pub(super) const fn quiet_until(&self) -> Mono {
        self.observed.quiet_until
    }

    /// Rule 2: client-go tells its work to stop as late as 22 s after the last renewal of a 15 s lease.
    const fn patience(&self) -> Patience {
        Patience {
            default: self.rules.timing.lease_duration,
            ordinary: 2,
        }
    }

    /// Replaces what is known of the lease, with all that follows for memory.
    fn take(&mut self, now: Mono, after: Option<LeaderLease>, sight: Sight) {
        let before = self.lease.take();
        let change = Change {
            before: before.as_ref(),
            after: after.as_ref(),
            expired: self.had_expired(now, before.as_ref()),
        };
        self.back_off.observe(now, &change, &self.rules.timing);
        self.remember_controls(now, before.as_ref(), after.as_ref());
        let same_term = change.same_term();
        let patience = self.patience();
        self.observed
            .take(now, before.as_ref(), after.as_ref(), sight, patience);
        if let Some(lease) = &after {
            match lease.state() {
                LeaseState::Held => self.remember_nomination(now, before.as_ref(), lease, same_term),
                LeaseState::Offered => {
                    if change.expired {
                        self.remember_silence(before.as_ref(), lease);
                    }
                    self.remember_offer(now, before.as_ref(), lease);
                }
                _ => {}
            }
        }
        self.lease = after;
    }

    /// What people ask for counts from when it is seen.
    fn remember_controls(&mut self, now: Mono, before: Option<&LeaderLease>, after: Option<&LeaderLease>) {
        let [before, after] = [before, after].map(|lease| lease.and_then(|lease| lease.controls.as_deref()));
        let hold = |controls: Option<&Controls>| controls.and_then(Controls::hold).cloned();
        if hold(before) != hold(after) {
            self.hold_from = hold(after).map(|_| now);
        }
        let wanted = |controls: Option<&Controls>| {
            controls.map(|it| (it.pin.clone(), it.step_down.clone(), it.step_down_to.clone()))
        };
        if wanted(before) != wanted(after) {
            self.back_off.forgive();
        }
    }

    /// What people ask of this election.
    pub(super) fn controls(&self) -> Option<&Controls> {
        self.lease.as_ref()?.controls.as_deref()
    }

    /// The hold, while it stands.
    pub(super) fn hold(&self, now: Mono) -> Option<OnHold> {
        let length = self.controls()?.hold()?.length();
        let until = length.map(|length| self.hold_from.unwrap_or(now) + length);
        until.is_none_or(|until| now < until).then_some(OnHold { until })
    }

    fn had_expired(&self, now: Mono, before: Option<&LeaderLease>) -> bool {
        before
            .and_then(|before| self.observed.life_end(before, self.patience()))
            .is_some_and(|end| now >= end)
    }

    /// Rule 5: an offer is counted when it is seen, whoever made it.
    fn remember_offer(&mut self, now: Mono, before: Option<&LeaderLease>, lease: &LeaderLease) {
        let stands = before.is_some_and(|before| {
            before.uid == lease.uid
                && before.state() == LeaseState::Offered
                && before.record.holder == lease.record.holder
        });
        if let Some(holder) = &lease.record.holder
            && !stands
        {
            self.count_offer(now, holder);
        }
    }

    /// The process that let its term expire counts as offered once in the vacancy that begins.
    fn remember_silence(&mut self, before: Option<&LeaderLease>, lease: &LeaderLease) {
        let silent = before
            .filter(|before| {
                before.state() == LeaseState::Held && before.record.holder != lease.record.holder
            })
            .and_then(|before| self.process_of(before))
            .map(|contender| contender.lease.identity());
        let vacancy = self.vacancy;
        if let Some(contender) = silent.and_then(|silent| self.candidates.get_mut(&silent)) {
            contender.tally.offers.add(vacancy);
        }
    }

    fn count_offer(&mut self, now: Mono, to: &Identity) {
        let vacancy = self.vacancy;
        let tally = match self.candidates.get_mut(to) {
            Some(contender) => &mut contender.tally,
            None => self.departed.entry(to.clone()).or_default(),
        };
        tally.offers.add(vacancy);
        let round = tally.offers.within(vacancy) - 1;
        self.window_until = now + self.rules.timing.accept_window(round);
    }

    /// Rule 6: a term begins with clean counts, and a nomination is counted when it is seen.
    fn remember_nomination(
        &mut self,
        now: Mono,
        before: Option<&LeaderLease>,
        lease: &LeaderLease,
        same_term: bool,
    ) {
        if !same_term {
            self.vacancy = self.vacancy.wrapping_add(1);
            self.term = self.term.wrapping_add(1);
            self.departed.clear();
            self.nominations = 0;
            self.nomination_until = now;
        }
        let known = before
            .filter(|_| same_term)
            .and_then(|before| before.record.preferred_holder.as_ref());
        let Some(nominee) = lease
            .record
            .preferred_holder
            .as_ref()
            .filter(|nominee| known != Some(*nominee))
        else {
            return;
        };
        let term = self.term;
        let tally = match self.candidates.get_mut(nominee) {
            Some(contender) => &mut contender.tally,
            None => self.departed.entry(nominee.clone()).or_default(),
        };
        tally.nominations.add(term);
        self.nomination_until = now + self.rules.timing.accept_window(self.nominations);
        self.nominations = self.nominations.saturating_add(1);
    }

    /// Rule 4: the window opens with the first electable candidate, and later ones do not extend it.
    fn settle(&mut self, now: Mono) {
        if self.candidates.values().any(|contender| contender.electable(now)) {
            self.settle_from.get_or_insert(now);
        } else {
            self.settle_from = None;
        }
    }
}
