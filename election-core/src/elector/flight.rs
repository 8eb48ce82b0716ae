//! The one request that may be open for a lease, and when to try again after one that failed.
//!
//! The answer to a create is no knowledge: an update names the version that it was decided from, a create could only
//! say "absent", and the lease may have lived and died in between. So the election goes on only when the watch, in its
//! order, has shown the lease.

use alloc::string::{String, ToString};

use super::message::Outcome;
use super::step::Request;
use crate::time::Mono;
use crate::timing::ElectorTiming;

/// What is open, and what has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    open: Option<Open>,
    /// A create has succeeded, and the watch has shown neither the lease nor its deletion since.
    create_not_seen: bool,
    failures: u32,
    retry: Option<Retry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Open {
    Create { shown: bool },
    Update,
}

/// The pause after a failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Retry {
    pub(super) at: Mono,
    pub(super) why: String,
    /// A conflict says that there is news: when that comes, there is nothing to wait for.
    until_news: bool,
}

impl Flight {
    pub(super) fn begin(&mut self, request: &Request) {
        self.open = Some(match request {
            Request::Create(_) => Open::Create { shown: false },
            Request::Write(_) => Open::Update,
        });
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) const fn is_create(&self) -> bool {
        matches!(self.open, Some(Open::Create { .. }))
    }

    pub(super) const fn create_not_seen(&self) -> bool {
        self.create_not_seen
    }

    pub(super) fn retry(&self, now: Mono) -> Option<&Retry> {
        self.retry.as_ref().filter(|retry| now < retry.at)
    }

    /// Whether a conflict has come again, though the watch has shown nothing since the first.
    pub(super) fn is_behind(&self) -> bool {
        self.failures > 1 && self.retry.as_ref().is_some_and(|retry| retry.until_news)
    }

    /// Forgets the failures of an earlier turn. What was created and not seen stays: only the watch can tell.
    pub(super) fn begin_to_act(&mut self) {
        self.failures = 0;
        self.retry = None;
    }

    /// The watch has shown a newer version of the lease, or its deletion.
    pub(super) fn shown(&mut self) {
        self.create_not_seen = false;
        if let Some(Open::Create { shown }) = &mut self.open {
            *shown = true;
        }
        if self.retry.as_ref().is_some_and(|retry| retry.until_news) {
            self.retry = None;
            self.failures = 0;
        }
    }

    /// A consistent list has shown what there is: whatever was created before is in it, or gone.
    pub(super) fn listed(&mut self) {
        self.shown();
    }

    /// The request has ended.
    pub(super) fn answered(&mut self, now: Mono, outcome: &Outcome, timing: &ElectorTiming) {
        let open = self.open.take();
        let (why, until_news) = match outcome {
            Outcome::Done(_) => {
                self.create_not_seen = open == Some(Open::Create { shown: false });
                self.failures = 0;
                self.retry = None;
                return;
            }
            Outcome::Conflict => ("the lease was changed by somebody else".to_string(), true),
            Outcome::Refused(why) | Outcome::Unknown(why) => (why.clone(), false),
        };
        self.retry = Some(Retry {
            at: now + timing.accept_window(self.failures),
            why,
            until_news,
        });
        self.failures = self.failures.saturating_add(1);
    }
}
