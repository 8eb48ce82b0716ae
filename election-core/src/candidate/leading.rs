//! The leader lease as the candidate sees it: acceptance, renewal, the end of a term, and giving the lease back.

use super::Candidate;
use super::message::{Effect, EndReason, Now, Outcome, Request, Seen, Stopped};
use super::term::{Attempt, Term, Work};
use crate::lease::{LeaderLease, LeaseState, LeaseWrite, Record, WriteKind};
use crate::names::{FencingToken, Revision};
use crate::time::Mono;
use core::time::Duration;

impl Candidate {
    // --- News -------------------------------------------------------------------------------------------------------

    /// Takes news of the leader lease in; answers, events and reads all come through here.
    pub(super) fn observe_lease(&mut self, now: Now, seen: Seen<LeaderLease>) {
        let was_offered = self.lease.object().is_some_and(|lease| self.offered(lease));
        if !self.lease.learn(seen) {
            return;
        }
        let lease = self.lease.object().cloned();
        let record = lease.as_ref().map(|lease| &lease.record);
        let own = record.is_some_and(|record| self.is_own(record));
        if own && let Some(lease) = &lease {
            self.attempt_landed(now, lease);
        } else {
            self.not_own(now, lease.as_ref());
        }
        // An attempt is conditional on its base: it can land only while the lease is still that version.
        let revision = lease.as_ref().map(|lease| &lease.revision);
        self.attempts.retain(|attempt| revision == Some(&attempt.base));
        if self
            .conflict_base
            .as_ref()
            .is_some_and(|base| revision != Some(base))
        {
            self.conflict_base = None;
            self.lease_read_wanted = false;
        }
        let offered = lease.as_ref().is_some_and(|lease| self.offered(lease));
        if was_offered && !offered && !own {
            self.presence.renew_now();
        }
    }

    /// A record of this process was seen: it proves the attempt that it stamps, and no other.
    fn attempt_landed(&mut self, now: Now, lease: &LeaderLease) {
        let landed = self
            .attempts
            .iter()
            .find(|attempt| attempt.shown_by(&lease.record))
            .cloned();
        let (Some(landed), record) = (landed, &lease.record) else {
            return;
        };
        match &mut self.work {
            Work::Idle if landed.begins_a_term() => self.adopt(now, lease, &landed),
            Work::Running(term) if Some(term.acquired) == record.acquire_time => {
                if term.prolong(&landed) {
                    self.effects.push_back(Effect::Extend(landed.deadline));
                }
            }
            Work::Stopping {
                term,
                reason,
                kill_at,
            } if Some(term.acquired) == record.acquire_time => {
                if term.prolong(&landed) && *reason == EndReason::Shutdown {
                    *kill_at = landed.deadline;
                    self.effects.push_back(Effect::Extend(landed.deadline));
                }
            }
            _ => {}
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
            Outcome::Done(seen) => {
                self.heard_at = now.mono;
                let before = self.lease.object().map(|lease| lease.revision.clone());
                if matches!(asked.what, Asked::Read { .. }) {
                    self.lease_read_wanted = false;
                }
                self.observe_lease(now, seen);
                let changed = before != self.lease.object().map(|lease| lease.revision.clone());
                if matches!(asked.what, Asked::Read { after_silence: true }) && changed {
                    self.effects.push_back(Effect::RestartWatch);
                }
            }
            Outcome::Conflict => self.lease_conflict(now, asked),
            Outcome::Failed => self.lease_retry_at = now.mono + self.retry_period(),
        }
    }

    /// A conflict proves nothing either way: a layer below may have sent the write twice. What the lease says decides,
    /// and a second conflict on one and the same version waits, so that a broken server is not flooded.
    fn lease_conflict(&mut self, now: Now, asked: LeaseRequest) {
        let Asked::Write { kind, base } = asked.what else {
            self.lease_retry_at = now.mono + self.retry_period();
            return;
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

    /// Whether the running work must stop now.
    pub(super) fn drive_work(&mut self, now: Now) {
        let Work::Running(term) = &self.work else { return };
        let stop_at = term.deadline.before(term.timing.stop_grace);
        let record = self.lease.object().map(|lease| &lease.record);
        let end_of_term = record.is_some_and(|record| record.end_of_term);
        let successor = record.and_then(|record| record.preferred_holder.clone());
        if end_of_term {
            self.stop_work(now, EndReason::EndOfTerm { successor });
        } else if let Some(by) = self.ousted.clone() {
            self.stop_work(now, EndReason::Ousted { by });
        } else if !self.healthy {
            self.stop_work(now, EndReason::Unhealthy);
        } else if let Some(leaving) = self.leaving {
            if self.due(now, leaving.successor_by) {
                self.stop_work(now, EndReason::Shutdown);
            }
        }
        if matches!(self.work, Work::Running(_)) && self.due(now, stop_at) {
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
                if ends_ownership(&reason) {
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

    // --- Requests ---------------------------------------------------------------------------------------------------

    /// Sends the next request on the leader lease, if there is one to send.
    pub(super) fn drive_lease(&mut self, now: Now) {
        if !self.lease.known() {
            return;
        }
        self.drive_idle_record(now);
        self.drive_parting(now);
        self.drive_silence(now);
        if self.lease_request.is_some() || !self.due(now, self.lease_retry_at) {
            return;
        }
        if self.lease_read_wanted {
            let id = self.request();
            let after_silence = core::mem::take(&mut self.silent);
            self.lease_request = Some(LeaseRequest {
                id,
                what: Asked::Read { after_silence },
            });
            self.effects.push_back(Effect::ReadLease {
                id,
                within: self.request_deadline(),
            });
            return;
        }
        if let Some(write) = self.next_write(now) {
            self.send(now, write);
        }
    }

    /// A process that is not leading and finds its own record gives it back; a term that ended is never resumed.
    fn drive_idle_record(&mut self, now: Now) {
        if self.work != Work::Idle {
            return;
        }
        let Some(lease) = self.lease.object().cloned() else {
            return;
        };
        if self.is_own(&lease.record) {
            let timing = self.settings.timing.term(self.settings.timing.lease_duration());
            self.work = Work::Parting {
                term: Term {
                    transitions: lease.record.transitions,
                    token: FencingToken::new(lease.revision.clone()),
                    deadline: now.mono,
                    timing,
                    uid: lease.uid.clone(),
                    acquired: lease.record.acquire_time.unwrap_or_default(),
                    renewed_at: now.mono,
                    release_sent: false,
                },
                not_before: None,
                deleted: false,
            };
        }
    }

    /// Ends the parting once nothing of the term is left on the lease.
    fn drive_parting(&mut self, now: Now) {
        let Work::Parting { term, deleted, .. } = &self.work else {
            return;
        };
        if self.lease_request.is_some() {
            return;
        }
        let deadline = term.deadline;
        let waits = *deleted && !term.release_sent && !self.lease_read_wanted;
        let over = match self.lease.object() {
            Some(lease) if self.is_own(&lease.record) => false,
            Some(lease) => !(waits && lease.state() == LeaseState::Fresh),
            None => !waits,
        };
        if !self.lease_read_wanted && (over || (waits && self.due(now, deadline))) {
            self.work = Work::Idle;
        }
    }

    /// Asks once when the watch has been silent for longer than the state of the lease allows.
    fn drive_silence(&mut self, now: Now) {
        if self.lease_request.is_some() || self.lease_read_wanted {
            return;
        }
        let held = self
            .lease
            .object()
            .filter(|lease| lease.state() == LeaseState::Held);
        let limit = held.map_or(SILENCE, |lease| {
            let duration = lease
                .record
                .duration
                .unwrap_or(self.settings.timing.lease_duration());
            self.settings.timing.term(duration).renew_interval * 2
        });
        if self.due(now, self.heard_at + limit) {
            self.heard_at = now.mono;
            self.lease_read_wanted = true;
            self.silent = true;
        }
    }

    fn next_write(&mut self, now: Now) -> Option<LeaseWrite> {
        let lease = self.lease.object()?.clone();
        match &self.work {
            Work::Running(term) => {
                let at = term.renewed_at + term.timing.renew_interval;
                self.renewal(now, &lease, at)
            }
            Work::Stopping {
                term,
                reason: EndReason::Shutdown,
                ..
            } if !lease.record.end_of_term => {
                let at = term.renewed_at + term.timing.renew_interval;
                self.renewal(now, &lease, at)
            }
            Work::Stopping { .. } => None,
            Work::Parting {
                term,
                not_before,
                deleted,
            } => {
                let (term, not_before, deleted) = (term.clone(), *not_before, *deleted);
                self.give_back(now, &lease, &term, not_before, deleted)
            }
            Work::Idle => self.idle_write(now, &lease),
        }
    }

    fn renewal(&mut self, now: Now, lease: &LeaderLease, at: Mono) -> Option<LeaseWrite> {
        if !self.due(now, at) {
            return None;
        }
        let stamp = self.stamp(now, lease.record.renew_time);
        Some(lease.renew(self.settings.timing.lease_duration(), stamp))
    }

    /// The write that gives the lease back, once nothing of the old work can act any more.
    fn give_back(
        &mut self,
        now: Now,
        lease: &LeaderLease,
        term: &Term,
        not_before: Option<Mono>,
        deleted: bool,
    ) -> Option<LeaseWrite> {
        if let Some(at) = not_before
            && !self.due(now, at)
        {
            return None;
        }
        if self.is_own(&lease.record) {
            let successor = lease
                .record
                .preferred_holder
                .clone()
                .filter(|to| *to != self.settings.identity);
            let stamp = self.stamp(now, lease.record.renew_time);
            return Some(match successor {
                Some(successor) => lease.hand_over(&successor),
                None => lease.release(lease.record.transitions, stamp),
            });
        }
        // The elector cannot know that nobody acts under the lease that was deleted: this process can tell it.
        let tell =
            deleted && lease.state() == LeaseState::Fresh && !term.release_sent && now.mono < term.deadline;
        tell.then(|| {
            let stamp = self.stamp(now, lease.record.renew_time);
            lease.release(term.transitions, stamp)
        })
    }

    fn idle_write(&mut self, now: Now, lease: &LeaderLease) -> Option<LeaseWrite> {
        if self.offered(lease) {
            if !self.presence.own() && self.leaving.is_none() {
                return None;
            }
            let stamp = self.stamp(now, lease.record.renew_time);
            return Some(if self.able() {
                let own = self.settings.timing.lease_duration();
                lease.accept(&self.settings.identity, &self.settings.incarnation, own, stamp)
            } else {
                lease.decline(stamp)
            });
        }
        let record = &lease.record;
        let nominated = record.preferred_holder.as_ref() == Some(&self.settings.identity)
            && lease.state() == LeaseState::Held
            && !record.names(&self.settings.identity)
            && !record.end_of_term;
        (nominated && self.able()).then(|| lease.end_of_term(&self.settings.identity))
    }

    fn send(&mut self, now: Now, write: LeaseWrite) {
        let timing = self.settings.timing.term(
            write
                .record
                .duration
                .unwrap_or(self.settings.timing.lease_duration()),
        );
        match write.kind {
            WriteKind::Accept => {
                self.accepted.push(write.record.acquire_time.unwrap_or_default());
                self.attempts.push(Attempt::new(&write, now.mono, timing));
            }
            WriteKind::Renew => self.attempts.push(Attempt::new(&write, now.mono, timing)),
            WriteKind::Release | WriteKind::HandOver => {
                if let Some(term) = self.work.term_mut() {
                    term.release_sent = true;
                }
            }
            _ => {}
        }
        let id = self.request();
        let what = Asked::Write {
            kind: write.kind,
            base: write.base.clone(),
        };
        self.lease_request = Some(LeaseRequest { id, what });
        self.effects.push_back(Effect::WriteLease {
            id,
            write,
            within: timing.request_deadline,
        });
    }

    // --- Predicates -------------------------------------------------------------------------------------------------

    /// Whether a record is what this process wrote: its holder, its incarnation, and one of its acquire times.
    ///
    /// Invariant: S1. A record that only carries the same identity belongs to another process.
    fn is_own(&self, record: &Record) -> bool {
        record.names(&self.settings.identity)
            && record.state() == LeaseState::Held
            && record.incarnation.as_ref() == Some(&self.settings.incarnation)
            && record
                .acquire_time
                .is_some_and(|acquired| self.accepted.contains(&acquired))
    }

    fn offered(&self, lease: &LeaderLease) -> bool {
        lease.state() == LeaseState::Offered && lease.record.names(&self.settings.identity)
    }

    /// Whether this process could lead now.
    fn able(&self) -> bool {
        self.healthy && self.wanted && self.leaving.is_none() && self.ousted.is_none() && self.presence.own()
    }

    /// Whether no request of this process on the leader lease can have an effect any more that nobody would undo.
    pub(super) fn lease_settled(&self) -> bool {
        self.work == Work::Idle
            && self.lease_request.is_none()
            && !self.lease_read_wanted
            && !self.lease.object().is_some_and(|lease| {
                self.is_own(&lease.record) || (self.offered(lease) && self.ousted.is_none())
            })
    }

    fn retry_period(&mut self) -> Duration {
        let timing = self.work.term().map(|term| term.timing.retry_period);
        let period = timing.unwrap_or_else(|| self.settings.timing.retry_period());
        period * (750 + self.permille() / 4) / 1000
    }

    fn request_deadline(&self) -> Duration {
        self.work.term().map_or_else(
            || self.settings.timing.request_deadline(),
            |term| term.timing.request_deadline,
        )
    }
}

/// The one request on the leader lease that is under way.
#[derive(Clone, Debug)]
pub(super) struct LeaseRequest {
    id: Request,
    what: Asked,
}

#[derive(Clone, Debug)]
enum Asked {
    Read { after_silence: bool },
    Write { kind: WriteKind, base: Revision },
}

/// Whether a reason means that the lease is not this process's to release any more.
const fn ends_ownership(reason: &EndReason) -> bool {
    matches!(reason, EndReason::LeaseDeleted | EndReason::NotOwnRecord { .. })
}

/// How long the watch of a lease that nobody holds may be silent: longer than the minute between two bookmarks.
const SILENCE: Duration = Duration::from_secs(90);
