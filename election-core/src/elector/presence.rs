//! An identity lease as the elector follows it, and when a dead one is collected (rule 9).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::life::IdentityLife;
use crate::identity::{IdentityLease, Refusal};
use crate::time::Mono;

/// An identity lease that exists.
#[derive(Clone, Debug, Hash)]
pub(super) struct Presence {
    pub(super) lease: Arc<IdentityLease>,
    pub(super) life: IdentityLife,
    /// When it is looked at again.
    pub(super) timer: Option<Mono>,
}

impl Presence {
    pub(super) fn first(now: Mono, lease: IdentityLease) -> Self {
        Self {
            life: IdentityLife::first(now, &lease),
            lease: Arc::new(lease),
            timer: None,
        }
    }

    /// When it is collected unless it shows life before. Never when nobody keeps it alive (hand-written), or when the
    /// cluster removes it together with its Pod.
    pub(super) fn collect_at(&self, connected_since: Mono) -> Option<Mono> {
        let ours = self.lease.incarnation.is_some() && !self.lease.owned_by_pod;
        let patience = self.lease.duration.duration() * PATIENCE;
        ours.then(|| self.life.at().max(connected_since) + patience)
    }

    /// What is wrong with it that was not wrong with `before`.
    pub(super) fn new_refusals(&self, before: Option<&IdentityLease>) -> Vec<Refusal> {
        let known =
            |refusal: &&Refusal| before.is_some_and(|before| refusals(before).any(|old| old == *refusal));
        refusals(&self.lease)
            .filter(|refusal| !known(refusal))
            .cloned()
            .collect()
    }
}

fn refusals(lease: &IdentityLease) -> impl Iterator<Item = &Refusal> {
    lease.versions.as_ref().err().into_iter().chain(&lease.refused)
}

/// In durations of the identity lease. Long enough that no candidate that is merely cut off is collected: it would
/// create its lease again, and lose its seniority among equals.
const PATIENCE: u32 = 10;
