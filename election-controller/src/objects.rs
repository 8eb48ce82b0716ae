//! The leases as objects, each in its newest version: an update carries over what the core does not know.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use election_core::{LeaseKey, LeaseWrite, Revision, Uid};
use k8s_openapi::api::coordination::v1::Lease;

use crate::scopes::News;

/// The newest version of each lease that can be a leader lease, or can stand for one.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    newest: HashMap<LeaseKey, (usize, Lease)>,
}

impl Objects {
    /// Takes what a watch tells; the key of the lease, if it was not known before.
    pub(crate) fn take(&mut self, scope: usize, news: News) -> Option<LeaseKey> {
        match news {
            News::Listed(leases) => {
                self.newest.retain(|_, (of, _)| *of != scope);
                for lease in leases {
                    self.put(scope, lease);
                }
                None
            }
            News::Applied(lease) => self.put(scope, lease),
            News::Deleted(lease) => {
                if let Some(key) = key_of(&lease)
                    && self.get(&key).is_some_and(|known| is_older(known, &lease))
                {
                    self.newest.remove(&key);
                }
                None
            }
            News::Nothing => None,
        }
    }

    /// Takes a version of a lease, unless a newer one is known; its key, if it was not known before.
    pub(crate) fn put(&mut self, scope: usize, lease: Lease) -> Option<LeaseKey> {
        let key = key_of(&lease).filter(election_core::may_be_leader_lease)?;
        match self.newest.entry(key) {
            Entry::Vacant(entry) => {
                let key = entry.key().clone();
                entry.insert((scope, lease));
                Some(key)
            }
            Entry::Occupied(mut entry) => {
                if is_older(&entry.get().1, &lease) {
                    entry.insert((scope, lease));
                }
                None
            }
        }
    }

    /// The newest version of a lease.
    pub(crate) fn get(&self, key: &LeaseKey) -> Option<&Lease> {
        self.newest.get(key).map(|(_, lease)| lease)
    }

    /// Which life of that name the lease is in.
    pub(crate) fn uid(&self, key: &LeaseKey) -> Option<Uid> {
        self.get(key)?.metadata.uid.as_deref().map(Uid::new)
    }

    /// The version that a write was decided from, if it is still the newest.
    pub(crate) fn base(&self, write: &LeaseWrite) -> Option<&Lease> {
        let lease = self.get(&write.key)?;
        (revision(lease).as_ref() == Some(&write.base)).then_some(lease)
    }
}

fn is_older(known: &Lease, other: &Lease) -> bool {
    revision(known) < revision(other)
}

fn revision(lease: &Lease) -> Option<Revision> {
    lease.metadata.resource_version.as_deref().map(Revision::new)
}

fn key_of(lease: &Lease) -> Option<LeaseKey> {
    Some(LeaseKey::new(
        lease.metadata.namespace.as_deref()?,
        lease.metadata.name.as_deref()?,
    ))
}
