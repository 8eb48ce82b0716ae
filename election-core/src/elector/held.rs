//! What to do about a lease that is held (rules 2, 6 and 7).
//!
//! Pure, like `judge`. A preemption among equals never starts here (invariant S5).

use core::cmp::Ordering;

use super::contender::{Contender, Named, Order, Wish};
use super::election::Election;
use super::judge::{Survey, Verdict, behind, offer};
use super::reason::Reason;
use super::standing::Standing;
use super::step::Decision;
use crate::lease::LeaderLease;
use crate::names::Identity;
use crate::strategy::Versions;
use crate::time::Mono;

/// A term of a holder that takes part in the election.
#[derive(Clone, Copy)]
pub(super) struct TermView<'a> {
    holder: &'a Identity,
    /// The holder as a candidate, while it is one.
    contender: Option<&'a Contender>,
    order: Order<'a>,
    /// Who would be nominated.
    pub(super) best: Option<Named<'a>>,
}

impl TermView<'_> {
    /// Whether this is the holder itself. By address: this is asked of each candidate in each step.
    pub(super) fn is_of(&self, (_, contender): Named<'_>) -> bool {
        self.contender
            .is_some_and(|holder| core::ptr::eq(holder, contender))
    }

    /// Whether a candidate that is electable should lead instead of the holder: a process, and strictly better.
    pub(super) fn should_lead(&self, named: Named<'_>) -> bool {
        !named.1.hand_written() && self.compare(named) == Ordering::Less && !self.is_of(named)
    }

    /// `None` when its identity lease is gone or cannot be read: worse than any.
    fn versions(&self) -> Option<&Versions> {
        self.contender.and_then(Contender::versions)
    }

    /// `Less` when this candidate, whose versions can be read, should lead instead of the holder.
    fn compare(&self, named: Named<'_>) -> Ordering {
        self.contender.map_or(Ordering::Less, |contender| {
            self.order.compare(named, (self.holder, contender))
        })
    }

    /// Whether somebody asked this very process to step down.
    fn is_stepping_down(&self) -> bool {
        self.order.wishes.of(self.holder) == Wish::SteppingDown
    }
}

impl Election {
    /// The term, if the holder is a process of this protocol and has not expired.
    pub(super) fn term_view(&self, now: Mono) -> Option<TermView<'_>> {
        let lease = self
            .lease
            .as_ref()
            .filter(|lease| lease.record.incarnation.is_some())?;
        let holder = lease.record.holder.as_ref()?;
        (now < self.expires_at()?).then(|| TermView {
            holder,
            contender: self.candidates.get(holder),
            order: self.order(),
            best: None,
        })
    }

    /// Whether `a` is nominated before `b`: the one that was nominated less often in this term, then by rank.
    pub(super) fn nominated_before(&self, order: Order<'_>, a: Named<'_>, b: Named<'_>) -> bool {
        let nominations = |named: Named<'_>| named.1.tally.nominations.within(self.term);
        nominations(a).cmp(&nominations(b)).then_with(|| order.rank(a, b)) == Ordering::Less
    }

    pub(super) fn judge_held(&self, now: Mono, lease: &LeaderLease, survey: &Survey<'_>) -> Verdict {
        let (Some(holder), Some(expires_at)) = (&lease.record.holder, self.expires_at()) else {
            return self.nobody_electable();
        };
        if now >= expires_at {
            let Some((best, _)) = survey.best else {
                return self.nobody_electable();
            };
            let silent = self.last_life().map(|at| now.since(at)).unwrap_or_default();
            return offer(
                best,
                Reason::Expired {
                    holder: holder.clone(),
                    silent,
                    best: best.clone(),
                },
            );
        }
        let Some(term) = survey.term else {
            let left = expires_at.since(now);
            return Verdict::leave(Reason::OrdinaryHolder {
                holder: holder.clone(),
                left,
            })
            .until(expires_at);
        };
        let verdict = self.judge_term(now, lease, &term);
        let until = verdict.until.map_or(expires_at, |until| until.min(expires_at));
        verdict.until(until)
    }

    fn judge_term(&self, now: Mono, lease: &LeaderLease, view: &TermView<'_>) -> Verdict {
        let ending = lease.record.end_of_term;
        // The end of a term that was asked for comes anyway, so only a new preemption can be prevented.
        if !ending && let Some(verdict) = self.judge_prevented(now, lease, view) {
            return verdict;
        }
        match lease.record.preferred_holder.as_ref() {
            Some(nominee) => self.judge_nominee(now, lease, view, nominee),
            None => match view.best {
                None => keep(lease, view),
                Some((candidate, _)) if now < self.nomination_until => {
                    let left = self.nomination_until.since(now);
                    Verdict::wait(
                        self.nomination_until,
                        Reason::NominationWindow {
                            candidate: candidate.clone(),
                            left,
                        },
                    )
                }
                Some(best) => nominate(view, best),
            },
        }
    }

    fn judge_nominee(
        &self,
        now: Mono,
        lease: &LeaderLease,
        view: &TermView<'_>,
        nominee: &Identity,
    ) -> Verdict {
        let contender = self.candidates.get(nominee);
        let fit = contender
            .is_some_and(|contender| contender.electable(now) && view.should_lead((nominee, contender)));
        match view.best {
            _ if fit && lease.record.end_of_term => keep(lease, view),
            Some(best) if fit && best.0 != nominee => {
                if now < self.nomination_until {
                    stands(view, nominee).until(self.nomination_until)
                } else {
                    nominate(view, best)
                }
            }
            _ if fit => stands(view, nominee),
            Some(best) if now >= self.nomination_until => nominate(view, best),
            _ => {
                let standing = contender.map(|contender| self.why_unfit(now, view, (nominee, contender)));
                Verdict::new(
                    Decision::ClearNomination,
                    Reason::NomineeUnfit {
                        nominee: nominee.clone(),
                        standing,
                    },
                )
            }
        }
    }

    /// While there is no preemption: by a hold, which a step-down of the holder overrides, or by the back-off.
    fn judge_prevented(&self, now: Mono, lease: &LeaderLease, view: &TermView<'_>) -> Option<Verdict> {
        let hold = self.hold(now).filter(|_| !view.is_stepping_down());
        let until = match hold {
            Some(hold) => hold.until,
            None => Some(self.back_off.active(now)?),
        };
        let nominee = lease.record.preferred_holder.as_ref();
        let Some(candidate) = nominee.or(view.best.map(|(best, _)| best)).cloned() else {
            return Some(keep(lease, view));
        };
        let left = until.map(|until| until.since(now));
        let reason = match (hold, left) {
            (None, Some(left)) => Reason::BackedOff {
                candidate,
                failures: self.back_off.failures(),
                left,
            },
            _ => Reason::OnHold { candidate, left },
        };
        Some(match (nominee, until) {
            (Some(_), _) if hold.is_some() => Verdict::new(Decision::ClearNomination, reason),
            // An elector that knows of no failure has nominated: each would undo what the other writes.
            (_, Some(until)) => Verdict::wait(until, reason),
            (_, None) => Verdict::new(Decision::Keep, reason),
        })
    }

    fn why_unfit(&self, now: Mono, view: &TermView<'_>, named: Named<'_>) -> Standing {
        if named.1.versions().is_none() {
            Standing::Refused
        } else if !named.1.live(now) {
            Standing::NotLive {
                silent: named.1.silent(now),
            }
        } else {
            self.compared(now, view, named)
        }
    }

    /// Where an electable candidate stands while somebody leads.
    pub(super) fn standing_in_term(
        &self,
        now: Mono,
        view: &TermView<'_>,
        decision: &Decision,
        named: Named<'_>,
    ) -> Standing {
        let nominated = self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.record.preferred_holder.as_ref() == Some(named.0));
        let replaced = matches!(decision, Decision::Nominate { .. } | Decision::ClearNomination);
        match decision {
            Decision::Nominate { successor } if successor == named.0 => Standing::Chosen,
            _ if nominated && !replaced => Standing::Nominated,
            _ => self.compared(now, view, named),
        }
    }

    fn compared(&self, now: Mono, view: &TermView<'_>, named: Named<'_>) -> Standing {
        if view.is_of(named) {
            return Standing::Holder;
        }
        if named.1.hand_written() {
            return Standing::HandWritten;
        }
        match view.compare(named) {
            Ordering::Greater => {
                return view.contender.map_or(Standing::WorseVersion, |contender| {
                    behind(view.order, named, (view.holder, contender))
                });
            }
            Ordering::Equal => return Standing::EqualToHolder,
            Ordering::Less => {}
        }
        if self.hold(now).is_some() && !view.is_stepping_down() {
            return Standing::OnHold;
        }
        if self.back_off.active(now).is_some() {
            return Standing::BackedOff;
        }
        let Some(best) = view.best.filter(|best| !core::ptr::eq(best.1, named.1)) else {
            return Standing::First;
        };
        let nominations = |named: Named<'_>| named.1.tally.nominations.within(self.term);
        if nominations(named) > nominations(best) {
            return Standing::AlreadyNominatedInThisTerm;
        }
        match view.order.compare(named, best) {
            Ordering::Equal => Standing::YoungerAmongEquals,
            _ => behind(view.order, named, best),
        }
    }
}

fn keep(lease: &LeaderLease, view: &TermView<'_>) -> Verdict {
    let holder = view.holder.clone();
    let reason = if lease.record.end_of_term {
        Reason::EndOfTerm {
            holder,
            nominee: lease.record.preferred_holder.clone(),
        }
    } else if view.is_stepping_down() {
        Reason::NoSuccessor { holder }
    } else {
        Reason::HolderIsBest { holder }
    };
    Verdict::new(Decision::Keep, reason)
}

fn stands(view: &TermView<'_>, nominee: &Identity) -> Verdict {
    let holder = view.holder.clone();
    Verdict::new(
        Decision::Keep,
        Reason::Nominated {
            holder,
            nominee: nominee.clone(),
        },
    )
}

fn nominate(view: &TermView<'_>, (successor, contender): Named<'_>) -> Verdict {
    let holder = view.holder.clone();
    let asked = |identity| view.order.wishes.of(identity);
    let reason = if view.contender.is_some() && asked(successor) != asked(view.holder) {
        Reason::Asked {
            stepping_down: view.is_stepping_down(),
            holder,
            successor: successor.clone(),
        }
    } else {
        Reason::Better {
            holder,
            of_holder: view.versions().cloned(),
            successor: successor.clone(),
            of_successor: contender.versions().cloned(),
        }
    };
    Verdict::new(
        Decision::Nominate {
            successor: successor.clone(),
        },
        reason,
    )
}
