//! What of an elector decides its future, as a [`Hash`]: two electors with equal hashes are one state to a model checker.
//!
//! Left out is what was only said: counts, and what was reported last. Each field is named, so that a new one cannot be
//! forgotten.

use core::hash::{Hash, Hasher};

use super::index::{Elector, Entry};

impl Hash for Elector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            rules,
            assume_unheld,
            link,
            acting,
            elections,
            identities,
            timers,
            dirty,
            outputs,
            missing_quiet_until,
            last_turn,
            steps: _,
        } = self;
        (rules, assume_unheld, link, acting).hash(state);
        (elections, identities, timers, dirty).hash(state);
        (outputs.len(), missing_quiet_until, last_turn).hash(state);
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            election,
            timer,
            reported: _,
        } = self;
        (election, timer).hash(state);
    }
}
