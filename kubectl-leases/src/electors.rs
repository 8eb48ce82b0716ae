//! Whether there is an elector: what its lease says, and what the leases say that it should have done.
//!
//! Electors take their lease as ordinary clients do, so it is judged like any lease of an ordinary client.

use std::fmt;

use election_core::{ELECTORS_LEASE, LeaseKey};
use serde::Serialize;

use crate::cluster::{Cluster, Error};
use crate::moment::Moment;
use crate::noted::NotedLease;
use crate::survey::Survey;
use crate::table::seconds_in_words;
use crate::view::{Condition, LeaseStatus};

/// What is known of the electors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub enum Electors {
    /// One of them holds their lease and renews it.
    Acting {
        /// Who.
        identity: String,
        /// How long ago it renewed.
        #[serde(skip_serializing_if = "Option::is_none")]
        renewed_seconds_ago: Option<u64>,
    },
    /// One held their lease, and does not renew it.
    Silent {
        /// Who.
        identity: String,
        /// How long ago it renewed.
        #[serde(skip_serializing_if = "Option::is_none")]
        renewed_seconds_ago: Option<u64>,
    },
    /// They have a lease that nobody holds.
    Vacant,
    /// They have no lease.
    NoLease,
    /// Who asks may not read their lease.
    Unknown {
        /// What the server said.
        why: String,
    },
}

impl Electors {
    /// Asks for their lease; a refusal is an answer.
    ///
    /// # Errors
    /// [`Error`], except that the server refuses.
    pub async fn ask(cluster: &Cluster) -> Result<Self, Error> {
        let key = electors_lease();
        let lease = match cluster.lease(&key).await {
            Ok(Some(lease)) => NotedLease::from(lease),
            Ok(None) => return Ok(Self::NoLease),
            Err(error) => return error.refusal().map(|why| Self::Unknown { why }),
        };
        let moment = Moment::of(cluster.clock.now(), [&lease]);
        let survey = Survey::new([&lease], moment, election_core::Strategy::default());
        Ok(survey.one(&key).map_or(Self::NoLease, |status| Self::of(&status)))
    }

    fn of(status: &LeaseStatus) -> Self {
        let renewed_seconds_ago = status.renewed_seconds_ago;
        match status.holder.clone() {
            None => Self::Vacant,
            Some(identity) if status.conditions.contains(&Condition::Expired) => Self::Silent {
                identity,
                renewed_seconds_ago,
            },
            Some(identity) => Self::Acting {
                identity,
                renewed_seconds_ago,
            },
        }
    }

    /// Whether there is surely none that acts.
    #[must_use]
    pub const fn are_down(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Vacant)
    }
}

/// Where electors agree on who of them acts.
pub(crate) fn electors_lease() -> LeaseKey {
    LeaseKey::new(ELECTORS_LEASE.0, ELECTORS_LEASE.1)
}

impl fmt::Display for Electors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = electors_lease();
        let ago = |seconds: &Option<u64>| {
            seconds.map_or_else(
                || "at an unknown time".to_owned(),
                |seconds| format!("{} ago", seconds_in_words(seconds)),
            )
        };
        match self {
            Self::Acting {
                identity,
                renewed_seconds_ago,
            } => write!(
                f,
                "{identity} acts (it renewed {key} {})",
                ago(renewed_seconds_ago)
            ),
            Self::Silent {
                identity,
                renewed_seconds_ago,
            } => write!(
                f,
                "NONE ACTS: {identity} was the last one and renewed {key} {}",
                ago(renewed_seconds_ago)
            ),
            Self::Vacant => write!(f, "NONE ACTS: nobody holds {key}"),
            Self::NoLease => write!(
                f,
                "unknown: there is no lease {key}, so either no elector has ever run or it runs alone"
            ),
            Self::Unknown { why } => write!(f, "unknown: {why}"),
        }
    }
}
