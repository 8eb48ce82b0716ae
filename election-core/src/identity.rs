//! The identity lease: what a candidate says of itself, and why an elector may refuse it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::names::{Identity, Incarnation, LeaseKey, Revision, Uid};
use crate::strategy::Versions;
use crate::time::{LeaseSeconds, Wall};

/// An identity lease as it was read at one revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityLease {
    /// Its own name; the name part is the identity that it must state as holder.
    pub key: LeaseKey,
    /// Which life of that name this is.
    pub uid: Uid,
    /// The revision at which it was read.
    pub revision: Revision,
    /// Which process wrote it; absent when somebody wrote it by hand.
    pub incarnation: Option<Incarnation>,
    /// The stamp of the last renewal; only its change means anything.
    pub renew_time: Option<Wall>,
    /// How long a candidate counts as alive after a renewal.
    pub duration: LeaseSeconds,
    /// The leader leases that it offers itself for, all of its own namespace.
    pub leads: Vec<LeaseKey>,
    /// Items of its offer that cannot count, each with the reason.
    pub refused: Vec<Refusal>,
    /// Its versions, or why it can never be elected.
    pub versions: Result<Versions, Refusal>,
    /// When it was created, by the server's clock: the older of equals is preferred.
    pub created: Option<Wall>,
    /// Whether a Pod owns it, so that the cluster removes it together with the Pod.
    pub owned_by_pod: bool,
}

impl IdentityLease {
    /// The identity that this lease stands for.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::new(self.key.name())
    }
}

/// Why a candidate, or one item of its offer, cannot be elected whatever else happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `metadata.name` and `spec.holderIdentity` differ, so it does not say who it is.
    NameIsNotHolder {
        /// What stands as holder.
        holder: Option<Identity>,
    },
    /// A version is missing.
    VersionMissing {
        /// Which of the two.
        which: &'static str,
    },
    /// A version cannot be read.
    VersionUnreadable {
        /// Which of the two.
        which: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// An item of the offer names no lease.
    LeaseUnreadable {
        /// What is wrong with it.
        why: String,
    },
    /// An item of the offer names a lease of another namespace: whoever may create a Lease somewhere could otherwise
    /// lead `kube-system`.
    OtherNamespace {
        /// The lease that it names.
        lease: LeaseKey,
    },
    /// An item of the offer names a lease that is never a leader lease: an identity lease, the electors' own lease, or
    /// one of the nodes' namespace.
    NeverALeaderLease {
        /// The lease that it names.
        lease: LeaseKey,
    },
}

impl Refusal {
    /// A word for machines, in the form of an Event's reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NameIsNotHolder { .. } => "NameIsNotHolder",
            Self::VersionMissing { .. } => "VersionMissing",
            Self::VersionUnreadable { .. } => "VersionUnreadable",
            Self::LeaseUnreadable { .. } => "LeaseUnreadable",
            Self::OtherNamespace { .. } => "OtherNamespace",
            Self::NeverALeaderLease { .. } => "NeverALeaderLease",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameIsNotHolder { holder: Some(holder) } => {
                write!(
                    f,
                    "its name is not its holder identity {holder:?}: make them equal"
                )
            }
            Self::NameIsNotHolder { holder: None } => {
                f.write_str("it has no holder identity: set spec.holderIdentity to its name")
            }
            Self::VersionMissing { which } => write!(f, "its {which} version is missing: annotate it"),
            Self::VersionUnreadable { which, why } => write!(f, "its {which} version cannot be read: {why}"),
            Self::LeaseUnreadable { why } => write!(f, "an item of its offer cannot be read: {why}"),
            Self::OtherNamespace { lease } => {
                write!(
                    f,
                    "it offers itself for {lease}, which is in another namespace: create it there"
                )
            }
            Self::NeverALeaderLease { lease } => {
                write!(f, "it offers itself for {lease}, which is never a leader lease")
            }
        }
    }
}
