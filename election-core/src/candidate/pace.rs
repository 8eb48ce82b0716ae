//! How fast requests on one object may follow each other, whatever the news and the answers say.
//!
//! The rules of the protocol wait wherever one of them repeats itself. This one is for what they cannot foresee: a webhook
//! that undoes each write, somebody who edits in a loop, a server that refuses everything. A candidate meets none of
//! these faster than a person can stop it.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use crate::time::Mono;

/// The requests on one object that were sent last.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    sent: [Option<Mono>; BURST],
}

impl Pace {
    /// When the next request may be sent.
    pub(super) fn next(&self, retry_period: Duration) -> Mono {
        self.sent[0].map_or(Mono::default(), |first| first + retry_period)
    }

    /// Counts a request that is sent now.
    pub(super) fn count(&mut self, now: Mono) {
        self.sent.rotate_left(1);
        self.sent[BURST - 1] = Some(now);
    }

    /// What of this can still hold a request back: those that were sent within a retry period of the last one.
    pub(super) fn hash_recent<H: Hasher>(&self, retry_period: Duration, state: &mut H) {
        let recent_from = self.sent[BURST - 1].map(|last| last.before(retry_period));
        for sent in self.sent.iter().filter(|sent| **sent > recent_from) {
            sent.hash(state);
        }
    }
}

/// How many requests a retry period may see: more than an orderly handover needs, conflicts with an elector included.
pub(super) const BURST: usize = 8;
