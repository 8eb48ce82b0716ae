//! The checks, by subject.
#![expect(clippy::unwrap_used, reason = "a check fails by a panic")]

mod access;
mod apply;
mod cascades;
pub(crate) mod custom;
mod deployments;
mod discovery;
mod events;
mod hostile;
mod kubectl;
mod leases;
mod lists;
mod metadata;
mod namespaces;
mod ownership;
mod patches;
mod replies;
mod watches;
mod wire;

use crate::check::Check;

/// All of them.
pub(crate) const GROUPS: &[&[Check]] = &[
    leases::CHECKS,
    metadata::CHECKS,
    patches::CHECKS,
    ownership::CHECKS,
    apply::CHECKS,
    lists::CHECKS,
    watches::CHECKS,
    wire::CHECKS,
    discovery::CHECKS,
    namespaces::CHECKS,
    events::CHECKS,
    deployments::CHECKS,
    custom::CHECKS,
    cascades::CHECKS,
    replies::GROUPS[0],
    replies::GROUPS[1],
    replies::GROUPS[2],
    replies::GROUPS[3],
    access::GROUPS[0],
    access::GROUPS[1],
    access::GROUPS[2],
    access::GROUPS[3],
    access::GROUPS[4],
    access::GROUPS[5],
    access::GROUPS[6],
    access::GROUPS[7],
    kubectl::GROUPS[0],
    kubectl::GROUPS[1],
    kubectl::GROUPS[2],
    hostile::CHECKS,
];
