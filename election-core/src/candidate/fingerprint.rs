//! What of a machine decides its future, as a [`Hash`]: two machines with equal hashes are one state to a model checker.
//!
//! Left out are the numbers of requests, of which just one per object is open. Each field is named, so that a new one cannot
//! be forgotten.

use core::hash::{Hash, Hasher};

use core::time::Duration;

use super::identity::{IdentityRequest, Presence};
use super::requests::LeaseRequest;
use super::{Candidate, Settings};

impl Hash for Candidate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            settings,
            direct,
            lease,
            own_lease,
            presence,
            work,
            attempts,
            accepted,
            last_stamp,
            lease_request,
            lease_read_wanted,
            conflict_base,
            silent,
            lease_retry_at,
            lease_pace,
            decline_at,
            heard_at,
            healthy,
            wanted,
            unwanted_since,
            leaving,
            ousted,
            finished,
            next_request: _,
            random,
            wake,
            effects,
        } = self;
        let Settings {
            lease: _,
            identity,
            incarnation,
            versions: _,
            timing: _,
            seed: _,
        } = settings;
        let retry_period = settings.timing.retry_period();
        (identity, incarnation, direct, lease, own_lease, work).hash(state);
        presence.hash_with(retry_period, state);
        (attempts, accepted, last_stamp, lease_request, conflict_base).hash(state);
        (lease_read_wanted, silent, healthy, wanted, finished).hash(state);
        (lease_retry_at, decline_at, heard_at, unwanted_since, wake).hash(state);
        (leaving, ousted).hash(state);
        lease_pace.hash_recent(retry_period, state);
        effects.len().hash(state);
        // As bytes: it counts nothing and measures nothing.
        random.to_le_bytes().hash(state);
    }
}

impl Presence {
    fn hash_with<H: Hasher>(&self, retry_period: Duration, state: &mut H) {
        let Self {
            joined,
            own,
            request,
            read_wanted,
            retry_at,
            failures,
            pace,
            renew_at,
            renew_now,
            conflicted,
            wrote,
            unsure,
            deleted,
        } = self;
        (joined, own, request, read_wanted, retry_at, failures).hash(state);
        (renew_at, renew_now, conflicted, wrote, unsure, deleted).hash(state);
        pace.hash_recent(retry_period, state);
    }
}

impl Hash for LeaseRequest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { id: _, what } = self;
        what.hash(state);
    }
}

impl Hash for IdentityRequest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            id: _,
            sent,
            kind,
            base,
        } = self;
        (sent, kind, base).hash(state);
    }
}
