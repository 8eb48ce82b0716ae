//! The identity lease of this process: taking it over, keeping it alive, offering and withdrawing, and leaving.
//!
//! One identity, one process: the start of a process takes the identity lease over by a conditional write of its
//! incarnation, and a process that finds another incarnation there afterwards has been ousted.

use super::Candidate;
use super::message::{Effect, IdentityWrite, Now, Outcome, Request, Seen};
use super::pace::Pace;
use super::term::Work;
use crate::identity::IdentityLease;
use crate::names::Revision;
use crate::time::Mono;

/// What a process knows of its own presence in the election.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    pub(super) joined: bool,
    pub(super) own: bool,
    pub(super) request: Option<IdentityRequest>,
    pub(super) read_wanted: bool,
    pub(super) retry_at: Mono,
    /// How many requests in a row were not done.
    pub(super) failures: u32,
    pub(super) pace: Pace,
    pub(super) renew_at: Mono,
    pub(super) renew_now: bool,
    /// Whether the last write met a conflict.
    pub(super) conflicted: bool,
    pub(super) wrote: bool,
    /// Whether a write has failed, so that it may have happened, or may happen yet.
    pub(super) unsure: bool,
    pub(super) deleted: bool,
}

/// The one request on the identity lease that is under way.
#[derive(Clone, Debug)]
pub(super) struct IdentityRequest {
    pub(super) id: Request,
    pub(super) sent: Mono,
    pub(super) kind: Kind,
    /// The version that it was decided from; `None` while the identity lease was missing.
    pub(super) base: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Read,
    Write,
    Delete,
}

impl Presence {
    /// Whether the identity lease is known to be this process's.
    pub(super) const fn own(&self) -> bool {
        self.own
    }

    /// Whether this process has ever been seen as the one on its identity lease.
    pub(super) const fn joined(&self) -> bool {
        self.joined
    }

    /// Shows at once that this candidate lives: an offer to it was withdrawn, or its acceptance met a conflict.
    pub(super) const fn renew_now(&mut self) {
        self.renew_now = true;
    }
}

impl Candidate {
    pub(super) fn observe_identity(&mut self, now: Now, seen: Seen<IdentityLease>) {
        if !self.own_lease.learn(seen) {
            return;
        }
        self.presence.read_wanted = false;
        let incarnation = self.own_lease.object().map(|lease| lease.incarnation.clone());
        self.presence.own = incarnation == Some(Some(self.settings.incarnation.clone()));
        if self.presence.own {
            self.presence.joined = true;
        } else if let Some(Some(other)) = incarnation
            && self.presence.joined
        {
            self.ousted.get_or_insert(other);
            self.begin_leaving(now);
        }
    }

    pub(super) fn identity_answer(&mut self, now: Now, id: Request, outcome: Outcome<IdentityLease>) {
        let Some(asked) = self.presence.request.take_if(|asked| asked.id == id) else {
            return;
        };
        match outcome {
            Outcome::Done(_) if asked.kind == Kind::Delete => self.presence.deleted = true,
            Outcome::Done(seen) => self.identity_done(now, asked, seen),
            Outcome::Conflict => {
                // The first answer to a conflict is a read at once. A second conflict in a row waits, and so does a read
                // that conflicts.
                if self.presence.conflicted || asked.kind == Kind::Read {
                    self.identity_retry(now);
                }
                self.presence.conflicted = true;
                self.presence.read_wanted = true;
            }
            Outcome::Failed => {
                self.presence.unsure |= asked.kind == Kind::Write;
                self.identity_retry(now);
                self.presence.failures = self.presence.failures.saturating_add(1);
            }
        }
    }

    fn identity_done(&mut self, now: Now, asked: IdentityRequest, seen: Seen<IdentityLease>) {
        self.presence.read_wanted = false;
        self.presence.unsure = false;
        self.presence.failures = 0;
        self.observe_identity(now, seen);
        if asked.kind == Kind::Write {
            self.presence.conflicted = false;
            self.presence.renew_now = false;
            let interval = self.settings.timing.identity_interval();
            self.presence.renew_at = asked.sent + interval * (1000 + self.permille() / 10) / 1000;
            // A write that changed nothing is not repeated at once.
            if asked.base.as_ref() == self.own_lease.object().map(|lease| &lease.revision) {
                self.identity_retry(now);
            }
        }
    }

    /// An identity lease is good for minutes, so a server that is down or refuses is asked less and less often; one that
    /// leaves has little time.
    fn identity_retry(&mut self, now: Now) {
        let doublings = if self.leaving.is_some() {
            0
        } else {
            self.presence.failures.min(RETRY_DOUBLINGS)
        };
        let period = self.settings.timing.retry_period() * 2_u32.pow(doublings);
        self.presence.retry_at = now.mono + period * (750 + self.permille() / 4) / 1000;
    }

    /// Sends the next request on the identity lease, if there is one to send.
    pub(super) fn drive_identity(&mut self, now: Now) {
        if !self.own_lease.known() || self.presence.request.is_some() || self.ousted.is_some() {
            return;
        }
        let paced = self.presence.pace.next(self.settings.timing.retry_period());
        if !self.due(now, self.presence.retry_at.max(paced)) {
            return;
        }
        if self.presence.read_wanted || self.must_learn_the_outcome() {
            let id = self.ask(now, Kind::Read);
            self.effects.push_back(Effect::ReadIdentity {
                id,
                within: self.settings.timing.request_deadline(),
            });
            return;
        }
        let Some(write) = self.next_identity_write(now) else {
            return;
        };
        let kind = if matches!(write, IdentityWrite::Delete { .. }) {
            Kind::Delete
        } else {
            Kind::Write
        };
        self.presence.wrote = true;
        let id = self.ask(now, kind);
        self.effects.push_back(Effect::WriteIdentity {
            id,
            write,
            within: self.settings.timing.request_deadline(),
        });
    }

    fn next_identity_write(&mut self, now: Now) -> Option<IdentityWrite> {
        if self.presence.deleted {
            return None;
        }
        let going = self.leaving.is_some();
        let offers = self.offers(now);
        let duration = self.settings.timing.identity_duration();
        let Some(lease) = self.own_lease.object() else {
            // Missing: created at once, also in the middle of a term, or nobody would know what leads.
            let leave = going && self.term().is_none();
            return (!leave).then(|| IdentityWrite::Create {
                offers,
                renew_time: self.stamp(now, None),
                duration,
            });
        };
        let (uid, base) = (lease.uid.clone(), lease.revision.clone());
        let (renewed, says) = (lease.renew_time, lease.leads.contains(&self.settings.lease));
        if going && self.work == Work::Idle && self.lease_settled() {
            return self.presence.own.then_some(IdentityWrite::Delete { uid, base });
        }
        if going && !self.presence.own {
            return None;
        }
        let write = !self.presence.own
            || self.presence.renew_now
            || says != offers
            || self.due(now, self.presence.renew_at);
        write.then(|| IdentityWrite::Update {
            uid,
            base,
            offers,
            renew_time: self.stamp(now, renewed),
            duration,
        })
    }

    /// Whether this candidate offers itself: it is healthy, stays, and somebody waits to lead. One that led a moment ago
    /// may ask again, so nobody waiting counts only after a retry period.
    pub(super) fn offers(&mut self, now: Now) -> bool {
        if !self.healthy || self.leaving.is_some() || self.ousted.is_some() {
            return false;
        }
        let patience = self.unwanted_since + self.settings.timing.retry_period();
        self.wanted || self.term().is_some() || !self.due(now, patience)
    }

    /// Whether a process that leaves does not know what became of a write of its identity lease. The lease must not
    /// outlive the process: the elector would offer to nobody.
    fn must_learn_the_outcome(&self) -> bool {
        self.leaving.is_some() && self.presence.unsure && !self.presence.own && !self.presence.deleted
    }

    /// Whether nothing of this process is left among the identity leases.
    pub(super) fn identity_gone(&self) -> bool {
        self.presence.request.is_none()
            && !self.must_learn_the_outcome()
            && (!self.presence.wrote || self.presence.deleted || !self.presence.own)
    }

    fn ask(&mut self, now: Now, kind: Kind) -> Request {
        let id = self.request();
        self.presence.pace.count(now.mono);
        self.presence.request = Some(IdentityRequest {
            id,
            sent: now.mono,
            kind,
            base: self.own_lease.object().map(|lease| lease.revision.clone()),
        });
        id
    }
}

/// After failures in a row, a request on the identity lease waits up to 2³ retry periods: 8 s by default.
const RETRY_DOUBLINGS: u32 = 3;
