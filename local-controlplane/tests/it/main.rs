//! What a client of a Kubernetes API server may rely on, checked against the local control plane.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests wait in paused time, and what fails in them is meant to"
)]

mod custom;
mod deployments;
mod discovery;
mod durability;
mod events;
mod kube_client;
mod kubectl;
mod leases;
mod lists;
mod metadata;
mod namespaces;
mod patches;
mod served;
mod support;
mod watches;
mod wire;
