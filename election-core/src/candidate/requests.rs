//! What a candidate asks of the leader lease: which read or write comes next, and when.
//!
//! At most one request is under way, and none repeats itself without a pause.

use super::Candidate;
use super::message::{Effect, EndReason, Now, Request};
use super::term::{Attempt, Term, Work};
use crate::lease::{LeaderLease, LeaseState, LeaseWrite, WriteKind};
use crate::names::{FencingToken, Revision};
use crate::time::Mono;
use core::time::Duration;

impl Candidate {
    /// Sends the next request on the leader lease, if there is one to send.
    pub(super) fn drive_lease(&mut self, now: Now) {
        if !self.lease.known() {
            return;
        }
        self.drive_idle_record(now);
        self.drive_parting(now);
        self.drive_silence(now);
        let paced = self.lease_pace.next(self.plain_retry_period());
        if self.lease_request.is_some() || !self.due(now, self.lease_retry_at.max(paced)) {
            return;
        }
        if self.drive_create(now) {
            return;
        }
        if self.lease_read_wanted {
            let id = self.request();
            self.lease_pace.count(now.mono);
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
        let Work::Parting {
            term,
            not_before,
            deleted,
        } = &self.work
        else {
            return;
        };
        if self.lease_request.is_some() || self.lease_read_wanted {
            return;
        }
        let (deadline, not_before) = (term.deadline, not_before.unwrap_or(now.mono));
        match self.left_behind(now, term, *deleted) {
            Left::OwnRecord => {}
            Left::FreshLease | Left::NoLease => {
                self.due(now, deadline);
            }
            Left::Nothing => {
                if self.due(now, not_before) {
                    self.work = Work::Idle;
                }
            }
        }
    }

    /// What a term whose work has stopped has left behind.
    ///
    /// Invariant: S1. The elector cannot know that nobody acts under a lease that was deleted; this process can tell it, but
    /// only while nobody else may have been granted the lease: before its deadline, and when it has released nothing.
    pub(super) fn left_behind(&self, now: Now, term: &Term, deleted: bool) -> Left {
        let speaks = deleted && !term.release_sent && now.mono < term.deadline;
        match self.lease.object() {
            Some(lease) if self.is_own(&lease.record) => Left::OwnRecord,
            Some(lease) if speaks && lease.state() == LeaseState::Fresh => Left::FreshLease,
            None if speaks => Left::NoLease,
            _ => Left::Nothing,
        }
    }

    /// Asks once when the watch has been silent for longer than the state of the lease allows. The requests of a term ask
    /// often enough, and a read in place of a renewal would cost the term a part of the outage that it can stand.
    fn drive_silence(&mut self, now: Now) {
        if self.work != Work::Idle || self.lease_request.is_some() || self.lease_read_wanted {
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
            Work::Running(term)
            | Work::Stopping {
                term,
                reason: EndReason::Shutdown,
                ..
            } => {
                let (due, deadline) = (term.renewed_at + term.timing.renew_interval, term.deadline);
                self.renewal(now, &lease, due, deadline)
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

    /// Invariant: S1. Nothing is renewed after the deadline: the term has ended, whether or not its work has stopped.
    fn renewal(&mut self, now: Now, lease: &LeaderLease, due: Mono, deadline: Mono) -> Option<LeaseWrite> {
        if now.mono >= deadline || !self.due(now, due) {
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
        let successor = lease
            .record
            .preferred_holder
            .clone()
            .filter(|_| self.direct.is_none());
        let release = match self.direct.is_some() {
            true => LeaderLease::release_directly,
            false => LeaderLease::release,
        };
        match (self.left_behind(now, term, deleted), successor) {
            (Left::OwnRecord, Some(successor)) if successor != self.settings.identity => {
                Some(lease.hand_over(&successor))
            }
            (Left::OwnRecord, _) => {
                let stamp = self.stamp(now, lease.record.renew_time);
                Some(release(lease, lease.record.transitions, stamp))
            }
            (Left::FreshLease, _) => {
                let stamp = self.stamp(now, lease.record.renew_time);
                Some(release(lease, term.transitions, stamp))
            }
            (Left::NoLease | Left::Nothing, _) => None,
        }
    }

    fn idle_write(&mut self, now: Now, lease: &LeaderLease) -> Option<LeaseWrite> {
        if self.direct.is_some() {
            return self.claim(now, lease);
        }
        if self.offered(lease) {
            return self.answer_offer(now, lease);
        }
        let record = &lease.record;
        let nominated = record.preferred_holder.as_ref() == Some(&self.settings.identity)
            && lease.state() == LeaseState::Held
            && !record.names(&self.settings.identity)
            && !record.end_of_term;
        (nominated && self.able()).then(|| lease.end_of_term(&self.settings.identity))
    }

    /// Offers that come again and again to a candidate that cannot lead are declined at a walking pace: the elector
    /// withdraws them by itself as soon as the identity lease says so. As long as the candidate still offers itself it declines
    /// nothing: an elector may answer its first identity lease before the program has asked for the lease.
    fn answer_offer(&mut self, now: Now, lease: &LeaderLease) -> Option<LeaseWrite> {
        if self.able() {
            let own = self.settings.timing.lease_duration();
            let stamp = self.stamp(now, lease.record.renew_time);
            return Some(lease.accept(&self.settings.identity, &self.settings.incarnation, own, stamp));
        }
        let declines = self.answers_offers() && (self.presence.own() || self.leaving.is_some());
        (declines && !self.offers(now) && self.due(now, self.decline_at)).then(|| {
            let stamp = self.stamp(now, lease.record.renew_time);
            lease.decline(stamp)
        })
    }

    fn send(&mut self, now: Now, write: LeaseWrite) {
        let timing = self.settings.timing.term(
            write
                .record
                .duration
                .unwrap_or(self.settings.timing.lease_duration()),
        );
        // What is past its deadline could only begin or prolong a term that has ended.
        self.attempts.retain(|attempt| attempt.deadline > now.mono);
        match write.kind {
            WriteKind::Accept | WriteKind::Claim => {
                self.accepted.push(write.record.acquire_time.unwrap_or_default());
                self.attempts.push(Attempt::new(&write, now.mono, timing));
            }
            WriteKind::Renew => {
                let attempt = Attempt::new(&write, now.mono, timing);
                self.shorten(now, &attempt);
                self.attempts.push(attempt);
            }
            WriteKind::Release | WriteKind::HandOver => {
                if let Some(term) = self.work.term_mut() {
                    term.release_sent = true;
                }
            }
            _ => {}
        }
        let id = self.request();
        self.lease_pace.count(now.mono);
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

    fn shorten(&mut self, now: Now, sent: &Attempt) {
        if !self.work.term_mut().is_some_and(|term| term.shorten(sent)) {
            return;
        }
        if let Work::Stopping { kill_at, .. } = &mut self.work {
            *kill_at = sent.deadline;
        }
        self.effects.push_back(Effect::Extend(sent.deadline));
        // The moment at which the work must stop has moved, too.
        self.due(now, sent.deadline.before(sent.timing.stop_grace));
    }
}

/// The one request on the leader lease that is under way.
#[derive(Clone, Debug)]
pub(super) struct LeaseRequest {
    pub(super) id: Request,
    pub(super) what: Asked,
}

/// What a term has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The record of this process, to be given back.
    OwnRecord,
    /// A Fresh lease in place of the one that was deleted: the elector is to learn that nobody acts.
    FreshLease,
    /// Nothing yet in place of the lease that was deleted.
    NoLease,
    /// Nothing that is this process's to say.
    Nothing,
}

#[derive(Clone, Debug, Hash)]
pub(super) enum Asked {
    Read { after_silence: bool },
    Create,
    Write { kind: WriteKind, base: Revision },
}

/// How long the watch of a lease that nobody holds may be silent: longer than the minute between two bookmarks.
const SILENCE: Duration = Duration::from_secs(90);
