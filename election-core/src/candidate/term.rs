//! A term, the attempts that begin and prolong it, and the states of the work.

use super::message::EndReason;
use crate::lease::{LeaseWrite, Record};
use crate::names::{FencingToken, Revision, Uid};
use crate::time::{Mono, Wall};
use crate::timing::TermTiming;

/// One time of leadership, from the acceptance on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// Counted grants, for people.
    pub transitions: u32,
    /// Shown to receivers; constant within the term and rising over terms.
    pub token: FencingToken,
    /// When the work is killed unless a renewal succeeds before.
    pub deadline: Mono,
    /// The knobs that hold in this term.
    pub timing: TermTiming,
    pub(super) uid: Uid,
    pub(super) acquired: Wall,
    /// When the last successful attempt was sent.
    pub(super) renewed_at: Mono,
    /// Whether a release or hand over was sent: from then on somebody else may have been granted the lease.
    pub(super) release_sent: bool,
}

impl Term {
    /// Takes a successful attempt in; whether it moved the deadline.
    ///
    /// Invariant: S1. A term past its deadline has ended: its work was killed, and nothing resumes it.
    pub(super) fn prolong(&mut self, now: Mono, landed: &Attempt) -> bool {
        if now >= self.deadline {
            return false;
        }
        self.renewed_at = self.renewed_at.max(landed.sent);
        self.timing = landed.timing;
        let later = landed.deadline > self.deadline;
        if later {
            self.deadline = landed.deadline;
        }
        later
    }

    /// Takes in that a renewal is sent which writes a shorter duration than the one before, because somebody lowered the
    /// recorded one; whether that moved the deadline. The renewal may land although its answer is lost, and from then on
    /// the elector counts by the shorter duration.
    pub(super) fn shorten(&mut self, sent: &Attempt) -> bool {
        let earlier = sent.deadline < self.deadline;
        if earlier {
            self.deadline = sent.deadline;
            self.timing = sent.timing;
        }
        earlier
    }
}

/// What the work of a candidate does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Work {
    /// Nothing runs.
    #[default]
    Idle,
    /// The work runs.
    Running(Term),
    /// The work was told to stop.
    Stopping {
        term: Term,
        reason: EndReason,
        kill_at: Mono,
    },
    /// The work has stopped; the lease is given back as soon as that is safe.
    Parting {
        term: Term,
        not_before: Option<Mono>,
        deleted: bool,
    },
}

impl Work {
    pub(super) fn term(&self) -> Option<&Term> {
        match self {
            Self::Idle => None,
            Self::Running(term) | Self::Stopping { term, .. } | Self::Parting { term, .. } => Some(term),
        }
    }

    /// Before which nothing is given back, because something of the work may still take effect.
    pub(super) fn not_before(&self) -> Option<Mono> {
        match self {
            Self::Parting { not_before, .. } => *not_before,
            _ => None,
        }
    }

    pub(super) fn term_mut(&mut self) -> Option<&mut Term> {
        match self {
            Self::Idle => None,
            Self::Running(term) | Self::Stopping { term, .. } | Self::Parting { term, .. } => Some(term),
        }
    }
}

/// An accept or renewal that was sent.
///
/// Its stamp tells which attempt a read shows, and its deadline counts from before it was sent: both hold however late
/// the request lands and whatever became of its answer.
#[derive(Clone, Debug, Hash)]
pub(super) struct Attempt {
    pub(super) base: Revision,
    pub(super) stamp: Wall,
    pub(super) acquired: Wall,
    pub(super) sent: Mono,
    pub(super) deadline: Mono,
    pub(super) timing: TermTiming,
}

impl Attempt {
    pub(super) fn new(write: &LeaseWrite, sent: Mono, timing: TermTiming) -> Self {
        let stamp = write.record.renew_time.unwrap_or_default();
        Self {
            base: write.base.clone(),
            stamp,
            acquired: write.record.acquire_time.unwrap_or_default(),
            sent,
            deadline: sent + timing.deadline,
            timing,
        }
    }

    /// Whether this is an acceptance; a renewal never begins a term, however late it lands.
    pub(super) fn begins_a_term(&self) -> bool {
        self.stamp == self.acquired
    }

    /// Whether a record shows that this very attempt has succeeded.
    pub(super) fn shown_by(&self, record: &Record) -> bool {
        record.renew_time == Some(self.stamp) && record.acquire_time == Some(self.acquired)
    }
}
