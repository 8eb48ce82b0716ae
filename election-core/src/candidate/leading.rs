//! The leader lease as the candidate sees it: what its news mean for the term and for the work.
//!
//! The requests that follow from it are in `requests.rs`.

use super::Candidate;
use super::message::{Effect, EndReason, Now, Outcome, Request, Seen, Stopped};
use super::requests::{Asked, LeaseRequest};
use super::term::{Attempt, Term, Work};
use crate::lease::{LeaderLease, LeaseState, Record, WriteKind};
use crate::names::FencingToken;
use crate::observed::Sight;
use core::time::Duration;

impl Candidate {
    // --- News -------------------------------------------------------------------------------------------------------

    /// Takes news of the leader lease in; answers, events and reads all come through here.
    pub(super) fn observe_lease(&mut self, now: Now, seen: Seen<LeaderLease>, sight: Sight) {
        let was_offered = self.lease.object().is_some_and(|lease| self.offered(lease));
        let last = self.lease.object().cloned();
        if !self.lease.learn(seen) {
            return;
        }
        let lease = self.lease.object().cloned();
        self.observe_directly(now, last.as_ref(), sight);
        let before = last.map(|lease| lease.revision);
        let current = lease.as_ref().filter(|lease| self.is_current(lease));
        match current {
            Some(lease) => self.attempt_landed(now, lease),
            None => self.not_own(now, lease.as_ref()),
        }
        // An attempt is conditional on its base: it can land only while the lease is still that version.
        let revision = lease.as_ref().map(|lease| &lease.revision);
        self.attempts.retain(|attempt| revision == Some(&attempt.base));
        if revision != before.as_ref() {
            self.forget_accepted(lease.as_ref());
            // What is asked next is not what failed.
            self.lease_retry_at = now.mono;
        }
        if self
            .conflict_base
            .as_ref()
            .is_some_and(|base| revision != Some(base))
        {
            self.conflict_base = None;
            self.lease_read_wanted = false;
        }
        let offered = lease.as_ref().is_some_and(|lease| self.offered(lease));
        // Who could have accepted shows at once that it lives; who declined has said enough.
        if was_offered && !offered && current.is_none() && self.able() {
            self.presence.renew_now();
        }
    }

    /// A record of this process was seen: it proves the attempt that it stamps, and no other.
    fn attempt_landed(&mut self, now: Now, lease: &LeaderLease) {
        let mut attempts = self.attempts.iter();
        let Some(landed) = attempts.find(|attempt| attempt.shown_by(&lease.record)).cloned() else {
            return;
        };
        match &mut self.work {
            Work::Idle if landed.begins_a_term() => self.adopt(now, lease, &landed),
            Work::Running(term) => {
                if term.prolong(now.mono, &landed) {
                    self.effects.push_back(Effect::Extend(landed.deadline));
                }
            }
            Work::Stopping {
                term,
                reason,
                kill_at,
            } => {
                if term.prolong(now.mono, &landed) && *reason == EndReason::Shutdown {
                    *kill_at = landed.deadline;
                    self.effects.push_back(Effect::Extend(landed.deadline));
                }
            }
            Work::Idle | Work::Parting { .. } => {}
        }
    }

    /// Begins the term of an acceptance that landed, if there is time left in it; otherwise it is given back unused.
    fn adopt(&mut self, now: Now, lease: &LeaderLease, landed: &Attempt) {
        let term = Term {
            transitions: lease.record.transitions,
            token: FencingToken::new(lease.revision.clone()),
            deadline: landed.deadline,
            timing: landed.timing,
            uid: lease.uid.clone(),
            acquired: landed.acquired,
            renewed_at: landed.sent,
            release_sent: false,
        };
        let in_time = now.mono < landed.deadline.before(landed.timing.stop_grace);
        if in_time && self.able() && !lease.record.end_of_term {
            self.wanted = false;
            self.effects.push_back(Effect::Lead(term.clone()));
            self.work = Work::Running(term);
        } else {
            self.work = Work::Parting {
                term,
                not_before: None,
                deleted: false,
            };
        }
    }

    /// The lease does not show a record of this process: whatever term there was is over.
    fn not_own(&mut self, now: Now, lease: Option<&LeaderLease>) {
        let Some(term) = self.work.term() else { return };
        let deleted = lease.is_none_or(|lease| lease.uid != term.uid);
        let reason = if deleted {
            EndReason::LeaseDeleted
        } else {
            EndReason::NotOwnRecord {
                holder: lease.and_then(|lease| lease.record.holder.clone()),
            }
        };
        match &mut self.work {
            Work::Running(_) | Work::Stopping { .. } => self.stop_work(now, reason),
            Work::Parting { deleted: known, .. } => *known |= deleted,
            Work::Idle => {}
        }
    }

    /// The work has stopped, by itself or on demand.
    pub(super) fn work_stopped(&mut self, now: Now, stopped: Stopped) {
        let work = core::mem::take(&mut self.work);
        self.work = match work {
            Work::Running(term) | Work::Stopping { term, .. } => {
                let not_before = match stopped {
                    Stopped::Clean => None,
                    Stopped::Abandoned => Some(term.deadline),
                };
                let deleted = self.lease.object().is_none_or(|lease| lease.uid != term.uid);
                self.lease_retry_at = now.mono;
                self.unwanted_since = now.mono;
                Work::Parting {
                    term,
                    not_before,
                    deleted,
                }
            }
            other => other,
        };
    }

    pub(super) fn lease_answer(&mut self, now: Now, id: Request, outcome: Outcome<LeaderLease>) {
        let Some(asked) = self.lease_request.take_if(|asked| asked.id == id) else {
            return;
        };
        self.lease_retry_at = now.mono;
        match outcome {
            Outcome::Done(seen) => self.lease_done(now, asked.what, seen),
            Outcome::Conflict => self.lease_conflict(now, asked),
            Outcome::Failed => {
                self.silent |= matches!(asked.what, Asked::Read { after_silence: true });
                self.lease_retry_at = now.mono + self.retry_period();
            }
        }
    }

    fn lease_done(&mut self, now: Now, asked: Asked, seen: Seen<LeaderLease>) {
        self.heard_at = now.mono;
        if matches!(asked, Asked::Read { .. }) {
            self.lease_read_wanted = false;
        }
        if matches!(asked, Asked::Create) {
            // What a create answers is no knowledge: the lease may have lived and died before. The watch, in its order, tells.
            self.created(now);
            return;
        }
        let sight = match asked {
            Asked::Write { .. } => Sight::InOrder,
            Asked::Read { .. } | Asked::Create => Sight::AfterGap,
        };
        let before = self.lease.object().map(|lease| lease.revision.clone());
        self.observe_lease(now, seen, sight);
        let after = self.lease.object().map(|lease| &lease.revision);
        match asked {
            Asked::Read { after_silence } => {
                if after_silence && before.as_ref() != after {
                    self.effects.push_back(Effect::RestartWatch);
                }
            }
            Asked::Write { kind, base } => {
                // A write that changed nothing is not repeated at once.
                if after == Some(&base) {
                    self.lease_retry_at = now.mono + self.retry_period();
                }
                if kind == WriteKind::Decline {
                    self.decline_at = now.mono + self.retry_period();
                }
            }
            Asked::Create => {}
        }
    }

    /// A conflict proves nothing either way: a layer below may have sent the write twice. What the lease says decides,
    /// and a second conflict on one and the same version waits, so that a broken server is not flooded.
    fn lease_conflict(&mut self, now: Now, asked: LeaseRequest) {
        let (kind, base) = match asked.what {
            Asked::Write { kind, base } => (kind, base),
            // Somebody else has created it.
            Asked::Create => return self.created(now),
            Asked::Read { .. } => {
                self.lease_retry_at = now.mono + self.retry_period();
                return;
            }
        };
        let moved_on = self.lease.object().is_none_or(|lease| lease.revision != base);
        if !moved_on {
            if self.conflict_base.as_ref() == Some(&base) {
                self.lease_retry_at = now.mono + self.retry_period();
            }
            self.conflict_base = Some(base);
            self.lease_read_wanted = true;
        }
        if kind == WriteKind::Accept {
            self.presence.renew_now();
        }
    }

    // --- The work ---------------------------------------------------------------------------------------------------

    /// Whether the work must stop now, or, while a shutdown lets it drain, must do so without further renewals.
    pub(super) fn drive_work(&mut self, now: Now) {
        let (draining, stop_at) = match &self.work {
            Work::Running(term) => (false, term.deadline.before(term.timing.stop_grace)),
            Work::Stopping {
                term,
                reason: EndReason::Shutdown,
                ..
            } => (true, term.deadline),
            _ => return,
        };
        let record = self.lease.object().map(|lease| &lease.record);
        let end_of_term = record.is_some_and(|record| record.end_of_term);
        let successor = record.and_then(|record| record.preferred_holder.clone());
        if end_of_term {
            self.stop_work(now, EndReason::EndOfTerm { successor });
        } else if let Some(by) = self.ousted.clone() {
            self.stop_work(now, EndReason::Ousted { by });
        } else if draining {
            // The health of work that was told to stop says nothing.
        } else if !self.healthy {
            self.stop_work(now, EndReason::Unhealthy);
        } else if let Some(leaving) = self.leaving
            && self.due(now, leaving.successor_by)
        {
            self.stop_work(now, EndReason::Shutdown);
        } else if self.due(now, stop_at) {
            self.stop_work(now, EndReason::LostContact);
        }
    }

    /// Tells the work to stop. What has not stopped by then is killed: at the deadline, or a stop grace from now when
    /// waiting longer can only do harm.
    fn stop_work(&mut self, now: Now, reason: EndReason) {
        let Some(term) = self.work.term().cloned() else {
            return;
        };
        let soon = (now.mono + term.timing.stop_grace).min(term.deadline);
        let kill_at = match reason {
            EndReason::LeaseDeleted | EndReason::NotOwnRecord { .. } | EndReason::Unhealthy => soon,
            _ => term.deadline,
        };
        match &mut self.work {
            Work::Stopping {
                kill_at: known,
                reason: first,
                ..
            } => {
                if kill_at < *known {
                    *known = kill_at;
                    self.effects.push_back(Effect::StopWork {
                        reason: reason.clone(),
                        kill_at,
                    });
                }
                if ends_ownership(&reason) || *first == EndReason::Shutdown {
                    *first = reason;
                }
            }
            Work::Running(_) => {
                self.effects.push_back(Effect::StopWork {
                    reason: reason.clone(),
                    kill_at,
                });
                self.work = Work::Stopping {
                    term,
                    reason,
                    kill_at,
                };
            }
            Work::Idle | Work::Parting { .. } => {}
        }
    }

    // --- Predicates -------------------------------------------------------------------------------------------------

    /// Whether a record is what this process wrote: its holder, its incarnation, and one of its acquire times.
    ///
    /// Invariant: S1. A record that only carries the same identity belongs to another process. In direct mode, where a record
    /// has no incarnation, no two processes claim with the same acquire time.
    pub(super) fn is_own(&self, record: &Record) -> bool {
        record.names(&self.settings.identity)
            && record.state() == LeaseState::Held
            && (self.direct.is_some() || record.incarnation.as_ref() == Some(&self.settings.incarnation))
            && record
                .acquire_time
                .is_some_and(|acquired| self.accepted.contains(&acquired))
    }

    /// Whether a lease shows what this process last knew to be true: the record of its term while the work runs, and
    /// otherwise that of any of its acceptances. A lease that somebody created again from a copy is another one.
    fn is_current(&self, lease: &LeaderLease) -> bool {
        let term = match &self.work {
            Work::Running(term) | Work::Stopping { term, .. } => Some(term),
            Work::Idle | Work::Parting { .. } => None,
        };
        self.is_own(&lease.record)
            && term
                .is_none_or(|term| term.uid == lease.uid && lease.record.acquire_time == Some(term.acquired))
    }

    /// Forgets the acceptances that no lease can show any more.
    fn forget_accepted(&mut self, lease: Option<&LeaderLease>) {
        let shown = lease.and_then(|lease| lease.record.acquire_time);
        let term = self.work.term().map(|term| term.acquired);
        let attempts = &self.attempts;
        self.accepted.retain(|acquired| {
            [shown, term].contains(&Some(*acquired))
                || attempts.iter().any(|attempt| attempt.acquired == *acquired)
        });
    }

    /// Whether the lease is offered to this identity; in direct mode nothing is an offer.
    pub(super) fn offered(&self, lease: &LeaderLease) -> bool {
        self.direct.is_none()
            && lease.state() == LeaseState::Offered
            && lease.record.names(&self.settings.identity)
    }

    /// Whether an offer to the identity is this process's to answer: not before it has taken the identity over, and not
    /// after another process has.
    pub(super) fn answers_offers(&self) -> bool {
        self.presence.joined() && self.ousted.is_none()
    }

    /// Whether this process could lead now.
    pub(super) fn able(&self) -> bool {
        let present = self.direct.is_some() || self.presence.own();
        self.healthy && self.wanted && self.leaving.is_none() && self.ousted.is_none() && present
    }

    /// Whether no request of this process on the leader lease can have an effect any more that nobody would undo.
    pub(super) fn lease_settled(&self) -> bool {
        let open = |lease: &LeaderLease| {
            let undecided = self.answers_offers() || !self.attempts.is_empty();
            self.is_own(&lease.record) || (self.offered(lease) && undecided)
        };
        self.work == Work::Idle
            && self.lease_request.is_none()
            && !self.lease_read_wanted
            && !self.lease.object().is_some_and(open)
    }

    /// The retry period that holds now, without jitter.
    pub(super) fn plain_retry_period(&self) -> Duration {
        let timing = self.work.term().map(|term| term.timing.retry_period);
        timing.unwrap_or_else(|| self.settings.timing.retry_period())
    }

    fn retry_period(&mut self) -> Duration {
        self.plain_retry_period() * (750 + self.permille() / 4) / 1000
    }

    pub(super) fn request_deadline(&self) -> Duration {
        self.work.term().map_or_else(
            || self.settings.timing.request_deadline(),
            |term| term.timing.request_deadline,
        )
    }
}

/// Whether a reason means that the lease is not this process's to release any more.
const fn ends_ownership(reason: &EndReason) -> bool {
    matches!(reason, EndReason::LeaseDeleted | EndReason::NotOwnRecord { .. })
}
