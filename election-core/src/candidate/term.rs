//! A term, the attempts that begin and prolong it, and the states of the work.

use super::message::EndReason;
use crate::lease::{LeaseWrite, Record};
use crate::names::{FencingToken, Revision, Uid};
use crate::time::{Mono, Wall};
use crate::timing::TermTiming;

/// One time of leadership, from the acceptance on.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(super) fn prolong(&mut self, landed: &Attempt) -> bool {
        let later = landed.deadline > self.deadline;
        if later {
            self.deadline = landed.deadline;
            self.renewed_at = landed.sent;
        }
        later
    }
}

/// What the work of a candidate does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug)]
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
