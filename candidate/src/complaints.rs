//! Requests that fail, told to people: each reason once, however often it is tried again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use election_core::LeaseKey;

/// What people have been told, and is not over.
#[derive(Clone, Default)]
pub(crate) struct Complaints(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Complaints {
    pub(crate) fn failed(&self, lease: &LeaseKey, what: &'static str, why: String) {
        if self.known().get(what) == Some(&why) {
            tracing::debug!(%lease, "{what}: {why}");
            return;
        }
        tracing::warn!(%lease, "{what}: {why}");
        self.known().insert(what, why);
    }

    /// The server has answered.
    pub(crate) fn over(&self, lease: &LeaseKey, what: &'static str) {
        if self.known().remove(what).is_some() {
            tracing::info!(%lease, "{what}: answered again");
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        // Each change is a single call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
