//! The two kinds of Lease, and which keys can be of which kind.
//!
//! What the kinds look like on the wire is not here; see the feature `wire`.

use crate::identity::IdentityLease;
use crate::lease::LeaderLease;
use crate::names::{LeaseKey, Revision, Uid};

/// The lease of the electors themselves, which is never offered.
pub const ELECTORS_LEASE: (&str, &str) = ("kube-system", "coordinated-election-controller");
/// The namespace of the nodes' heartbeats, whose leases are never offered.
pub const NODE_LEASE_NAMESPACE: &str = "kube-node-lease";

/// A Lease, as the one of the two kinds that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// It offers itself for leader leases.
    Identity(IdentityLease),
    /// Anything else.
    Leader(LeaderLease),
}

impl Item {
    /// Its name.
    #[must_use]
    pub const fn key(&self) -> &LeaseKey {
        match self {
            Self::Identity(lease) => &lease.key,
            Self::Leader(lease) => &lease.key,
        }
    }

    /// Which life of that name it is.
    #[must_use]
    pub const fn uid(&self) -> &Uid {
        match self {
            Self::Identity(lease) => &lease.uid,
            Self::Leader(lease) => &lease.uid,
        }
    }

    /// The revision at which it was read.
    #[must_use]
    pub const fn revision(&self) -> &Revision {
        match self {
            Self::Identity(lease) => &lease.revision,
            Self::Leader(lease) => &lease.revision,
        }
    }
}

/// Whether a lease may be granted at all: not the electors' own, and none of the nodes' namespace.
#[must_use]
pub fn may_be_leader_lease(key: &LeaseKey) -> bool {
    key.namespace() != NODE_LEASE_NAMESPACE && (key.namespace(), key.name()) != ELECTORS_LEASE
}
