//! What a candidate asks of the API server before it joins: whether it may see the lease, and whether the lease is of the kind
//! that it stands for.
//!
//! An API server that is down is no reason not to join; nothing is waited for here.

use std::time::Duration;

use election_core::LeaseKey;
use election_core::candidate::Settings;
use election_core::wire::{self, Item};
use k8s_openapi::api::coordination::v1::Lease;

use crate::builder::{JoinError, Mode};
use crate::client::{Failure, classify};
use crate::clock::SharedClock;
use crate::watch::{self, ReadError, Seen, WatchScope};

/// Asks once, so that a program without permission, or with the wrong lease, hears of it at once.
pub(crate) async fn probe(
    client: kube::Client,
    clock: &SharedClock,
    settings: &Settings,
    mode: Mode,
) -> Result<(), JoinError> {
    let lease = &settings.lease;
    let within = settings.timing.request_deadline().max(Duration::from_secs(1));
    let why = match watch::read(&client, lease, clock, within).await {
        Ok(_) if mode == Mode::Coordinated => return Ok(()),
        Ok((found, _)) => return check_direct(&client, clock, lease, found.as_ref(), within).await,
        Err(ReadError::Api(error)) => match classify(&error) {
            Failure::Refused(why) => {
                return Err(JoinError::Refused {
                    lease: lease.clone(),
                    why,
                });
            }
            failure => failure.to_string(),
        },
        Err(error) => error.to_string(),
    };
    tracing::warn!(%lease, why, "the API server does not answer: waiting for it");
    Ok(())
}

/// An elector and a candidate in direct mode would both grant the lease.
async fn check_direct(
    client: &kube::Client,
    clock: &SharedClock,
    key: &LeaseKey,
    found: Option<&Lease>,
    within: Duration,
) -> Result<(), JoinError> {
    let coordinated = |why: String| JoinError::Coordinated {
        lease: key.clone(),
        why,
    };
    match found.and_then(wire::read) {
        Some(Item::Identity(_)) => {
            return Err(coordinated("it is the identity lease of a candidate".to_owned()));
        }
        Some(Item::Leader(lease)) if lease.record.elected => {
            return Err(coordinated("an elector has granted it".to_owned()));
        }
        _ => {}
    }
    let mut standing = None;
    let stands = |seen: Seen| {
        if let Item::Identity(identity) = seen.item
            && identity.leads.contains(key)
        {
            standing = Some(identity.identity().clone());
        }
    };
    let scope = WatchScope::namespace(key.namespace());
    if let Err(error) = watch::visit(client, scope, clock, within, stands).await {
        // Whoever may see only this lease finds out when an elector marks it.
        tracing::debug!(lease = %key, %error, "it is not known whether anybody stands for this lease in a coordinated election");
    }
    match standing {
        Some(candidate) => Err(coordinated(format!("{candidate} stands for it"))),
        None => Ok(()),
    }
}
