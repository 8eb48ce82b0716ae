//! What to do about a lease that is missing or vacant, and who would get it (rules 1–5 and 8).
//!
//! Pure: everything here reads the election and changes nothing. A lease that is held is judged in `held`.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::contender::{Contender, Named, Order, Wish, Wishes};
use super::election::Election;
use super::held::TermView;
use super::reason::Reason;
use super::standing::Standing;
use super::step::{Decision, Request, Step};
use crate::lease::{LeaderLease, LeaseCreate, LeaseState};
use crate::names::Identity;
use crate::time::Mono;

/// A decision with its reason, before it becomes a step.
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) reason: Reason,
    /// When it may change by time alone, the death of candidates apart.
    pub(super) until: Option<Mono>,
}

impl Verdict {
    pub(super) const fn new(decision: Decision, reason: Reason) -> Self {
        Self {
            decision,
            reason,
            until: None,
        }
    }

    pub(super) const fn leave(reason: Reason) -> Self {
        Self::new(Decision::LeaveAlone, reason)
    }

    pub(super) const fn wait(until: Mono, reason: Reason) -> Self {
        Self::new(Decision::Wait { until }, reason).until(until)
    }

    pub(super) const fn until(mut self, until: Mono) -> Self {
        self.until = Some(until);
        self
    }
}

/// What one look at all candidates finds.
pub(super) struct Survey<'a> {
    pub(super) order: Order<'a>,
    /// The term, while a process of this protocol leads.
    pub(super) term: Option<TermView<'a>>,
    pub(super) electable: usize,
    /// In a term: who would be nominated. Otherwise who would be granted the lease: the best of the processes that live,
    /// else the best of the hand-written.
    pub(super) best: Option<Named<'a>>,
    /// When the next one that lives stops counting as alive.
    pub(super) next_death: Option<Mono>,
    /// The process that held the lease until it expired, while it stands for it.
    silent: Option<&'a Contender>,
}

impl Survey<'_> {
    /// How often a process was offered the lease in this vacancy. A process that has let its term expire counts as
    /// offered once: it is the least likely to accept, and waiting for it would delay every recovery from a crash.
    fn offers(&self, vacancy: u32, (_, contender): Named<'_>) -> u32 {
        contender.tally.offers.within(vacancy) + u32::from(self.is_silent(contender))
    }

    fn is_silent(&self, contender: &Contender) -> bool {
        self.silent.is_some_and(|silent| core::ptr::eq(silent, contender))
    }
}

impl Election {
    /// The one decision for this moment.
    pub(super) fn judge(&self, now: Mono) -> Step {
        let survey = self.survey(now);
        let verdict = self.verdict(now, &survey);
        let verdict = self.hold_back(now, verdict);
        let request = self.request(&verdict.decision);
        let until = [verdict.until, survey.next_death].into_iter().flatten().min();
        Step {
            lease: self.key.clone(),
            standings: self.standings(now, &survey, &verdict.decision),
            decision: verdict.decision,
            reason: verdict.reason,
            strategy: self.strategy(),
            request,
            look_again: until,
        }
    }

    fn verdict(&self, now: Mono, survey: &Survey<'_>) -> Verdict {
        if self.occupied {
            return Verdict::leave(Reason::KeyOfIdentityLease);
        }
        // Rule 1: ordinary programs, which have no candidates, are never disturbed.
        if self.candidates.is_empty() {
            return Verdict::leave(Reason::NoCandidates);
        }
        match &self.lease {
            Some(lease) if lease.state() == LeaseState::Held => self.judge_held(now, lease, survey),
            Some(lease) if lease.state() == LeaseState::Offered => self.judge_offered(now, lease, survey),
            lease => self.judge_vacant(now, lease.as_ref(), survey),
        }
    }

    /// A decision that needs a request while one is open, or must not be repeated yet, waits.
    fn hold_back(&self, now: Mono, verdict: Verdict) -> Verdict {
        let writes = self.request(&verdict.decision).is_some();
        if self.flight.is_open() {
            return Verdict::leave(Reason::RequestOpen);
        }
        if self.flight.create_not_seen() && writes {
            return Verdict::leave(Reason::CreateNotSeen);
        }
        match self.flight.retry(now) {
            Some(retry) if writes => {
                let left = retry.at.since(now);
                Verdict::wait(
                    retry.at,
                    Reason::RequestFailed {
                        why: retry.why.clone(),
                        left,
                    },
                )
            }
            _ => verdict,
        }
    }

    /// Invariant: S8, a create has no holder, and every update names the version that it was decided from.
    fn request(&self, decision: &Decision) -> Option<Request> {
        let duration = self.rules.timing.lease_duration;
        let lease = self.lease.as_ref();
        match decision {
            Decision::Create => Some(Request::Create(LeaseCreate {
                key: self.key.clone(),
                duration,
            })),
            Decision::Offer { to } => Some(Request::Write(lease?.offer(to, duration))),
            Decision::Nominate { successor } => Some(Request::Write(lease?.nominate(Some(successor)))),
            Decision::ClearNomination => Some(Request::Write(lease?.nominate(None))),
            Decision::LeaveAlone | Decision::Wait { .. } | Decision::Keep | Decision::OfferAgain { .. } => {
                None
            }
        }
    }

    /// The incumbent is the holder, also an expired one, or the one that has the offer; a released one is none.
    pub(super) fn order(&self) -> Order<'_> {
        let incumbent = self.lease.as_ref().and_then(|lease| lease.record.holder.as_ref());
        Order {
            strategy: self.strategy().strategy(),
            incumbent,
            wishes: self.wishes(),
        }
    }

    /// A step-down ends with the process that it names.
    fn wishes(&self) -> Wishes<'_> {
        let Some(controls) = self.controls() else {
            return Wishes::default();
        };
        let stepping_down = controls.step_down().filter(|asked| {
            self.candidates
                .get(&asked.identity)
                .is_some_and(|contender| contender.lease.incarnation.as_ref() == Some(&asked.incarnation))
        });
        Wishes {
            pinned: controls.pin.as_ref(),
            successor: controls.step_down_to.as_ref().filter(|_| stepping_down.is_some()),
            stepping_down: stepping_down.map(|asked| &asked.identity),
        }
    }

    fn survey(&self, now: Mono) -> Survey<'_> {
        let (order, term) = (self.order(), self.term_view(now));
        let mut survey = Survey {
            order,
            term,
            electable: 0,
            best: None,
            next_death: None,
            silent: self.silent_holder(now),
        };
        for named in &self.candidates {
            let contender = named.1;
            if !contender.electable(now) {
                continue;
            }
            survey.electable += 1;
            if let Some(dies_at) = contender.dies_at() {
                survey.next_death = Some(survey.next_death.map_or(dies_at, |next| next.min(dies_at)));
            }
            let stands = match &survey.term {
                Some(term) => {
                    term.should_lead(named)
                        && survey
                            .best
                            .is_none_or(|best| self.nominated_before(order, named, best))
                }
                None => survey
                    .best
                    .is_none_or(|best| self.goes_before(&survey, named, best)),
            };
            if stands {
                survey.best = Some(named);
            }
        }
        if let Some(term) = &mut survey.term {
            term.best = survey.best;
        }
        survey
    }

    /// Whether `a` gets a vacant lease before `b`: a process before a hand-written one (rule 8), then the one that was
    /// offered it less often (rule 5), then by rank. The offer to a hand-written one is not rotated.
    fn goes_before(&self, survey: &Survey<'_>, a: Named<'_>, b: Named<'_>) -> bool {
        let class = |named: Named<'_>| match named.1.hand_written() {
            true => (true, 0),
            false => (false, survey.offers(self.vacancy, named)),
        };
        class(a).cmp(&class(b)).then_with(|| survey.order.rank(a, b)) == Ordering::Less
    }

    /// Missing, Fresh, Released or Blanked.
    fn judge_vacant(&self, now: Mono, lease: Option<&LeaderLease>, survey: &Survey<'_>) -> Verdict {
        let Some(best) = survey.best else {
            return self.nobody_electable();
        };
        let state = lease.map(LeaderLease::state);
        if matches!(state, None | Some(LeaseState::Fresh)) {
            let settled = self.settle_from.unwrap_or(now) + self.rules.timing.settle_window;
            if now < settled {
                return Verdict::wait(
                    settled,
                    Reason::Settling {
                        left: settled.since(now),
                    },
                );
            }
        }
        let Some(state) = state else {
            return Verdict::new(
                Decision::Create,
                Reason::Missing {
                    electable: survey.electable,
                },
            );
        };
        if now < self.quiet_until() {
            let left = self.quiet_until().since(now);
            return Verdict::wait(
                self.quiet_until(),
                Reason::QuietTime {
                    state: Some(state),
                    left,
                },
            );
        }
        let (candidate, contender) = best;
        let offers = contender.tally.offers.within(self.vacancy);
        if offers > 0 && now < self.window_until {
            let left = self.window_until.since(now);
            return Verdict::wait(
                self.window_until,
                Reason::OfferedBefore {
                    candidate: candidate.clone(),
                    offers,
                    left,
                },
            );
        }
        let versions = contender.versions().cloned();
        let electable = survey.electable;
        offer(
            candidate,
            Reason::Vacant {
                state,
                best: candidate.clone(),
                versions,
                electable,
            },
        )
    }

    fn judge_offered(&self, now: Mono, lease: &LeaderLease, survey: &Survey<'_>) -> Verdict {
        let Some((best, _)) = survey.best else {
            return self.nobody_electable();
        };
        let Some(candidate) = lease.record.holder.clone() else {
            return self.nobody_electable();
        };
        let offeree = self
            .candidates
            .get(&candidate)
            .filter(|offeree| offeree.versions().is_some());
        let Some(offeree) = offeree else {
            return offer(
                best,
                Reason::OffereeGone {
                    candidate,
                    best: best.clone(),
                },
            );
        };
        let offers = offeree.tally.offers.within(self.vacancy);
        if now < self.window_until {
            let left = self.window_until.since(now);
            return Verdict::wait(
                self.window_until,
                Reason::AcceptWindow {
                    candidate,
                    offers,
                    left,
                },
            );
        }
        if *best != candidate {
            return offer(
                best,
                Reason::NotAccepted {
                    candidate,
                    best: best.clone(),
                },
            );
        }
        if offeree.hand_written() {
            return Verdict::leave(Reason::HandWrittenOffer { candidate });
        }
        // The same offer once more would be a write that changes nothing, which the server does not even store.
        Verdict::new(
            Decision::OfferAgain {
                to: candidate.clone(),
            },
            Reason::StillBest { candidate, offers },
        )
    }

    pub(super) fn nobody_electable(&self) -> Verdict {
        Verdict::leave(Reason::NoElectableCandidate {
            candidates: self.candidates.len(),
        })
    }

    fn standings(&self, now: Mono, survey: &Survey<'_>, decision: &Decision) -> Vec<(Identity, Standing)> {
        let offered = self
            .lease
            .as_ref()
            .filter(|lease| lease.state() == LeaseState::Offered);
        let mut standings = Vec::with_capacity(self.candidates.len());
        for named in &self.candidates {
            let standing = if survey.term.as_ref().is_some_and(|term| term.is_of(named)) {
                Standing::Holder
            } else if let Some(standing) = unelectable(now, named.1) {
                standing
            } else if let Some(term) = &survey.term {
                self.standing_in_term(now, term, decision, named)
            } else if offered.is_some_and(|lease| lease.record.names(named.0) && !grants(decision, named.0)) {
                Standing::Offered
            } else {
                self.standing_in_vacancy(survey, decision, named)
            };
            standings.push((named.0.clone(), standing));
        }
        standings
    }

    fn standing_in_vacancy(&self, survey: &Survey<'_>, decision: &Decision, named: Named<'_>) -> Standing {
        let Some(best) = survey.best else {
            return Standing::First;
        };
        if named.0 == best.0 {
            return if grants(decision, named.0) {
                Standing::Chosen
            } else {
                Standing::First
            };
        }
        if named.1.hand_written() && !best.1.hand_written() {
            return Standing::HandWritten;
        }
        let offers = |named| survey.offers(self.vacancy, named);
        if !named.1.hand_written() && offers(named) > offers(best) {
            return match survey.is_silent(named.1) {
                true => Standing::LetItsTermExpire,
                false => Standing::AlreadyOfferedInThisVacancy,
            };
        }
        match survey.order.compare(named, best) {
            Ordering::Greater => behind(survey.order, named, best),
            Ordering::Equal if survey.order.incumbent == Some(best.0) => Standing::EqualToHolder,
            _ => Standing::YoungerAmongEquals,
        }
    }
}

/// What puts a candidate behind a better one.
pub(super) fn behind(order: Order<'_>, (identity, _): Named<'_>, (better, _): Named<'_>) -> Standing {
    let [this, other] = [identity, better].map(|identity| order.wishes.of(identity));
    match (this, other) {
        _ if this == other => Standing::WorseVersion,
        (Wish::SteppingDown, _) => Standing::SteppedDown,
        (_, Wish::Pinned) => Standing::AnotherIsPinned,
        _ => Standing::AnotherIsAskedFor,
    }
}

/// Why a candidate cannot lead whatever the others are.
fn unelectable(now: Mono, contender: &Contender) -> Option<Standing> {
    if contender.versions().is_none() {
        Some(Standing::Refused)
    } else if contender.live(now) {
        None
    } else {
        Some(Standing::NotLive {
            silent: contender.silent(now),
        })
    }
}

fn grants(decision: &Decision, identity: &Identity) -> bool {
    matches!(decision, Decision::Offer { to } if to == identity)
}

pub(super) fn offer(to: &Identity, reason: Reason) -> Verdict {
    Verdict::new(Decision::Offer { to: to.clone() }, reason)
}
