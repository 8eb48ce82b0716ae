//! What a client of a Kubernetes API server may rely on, checked against the local control plane.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests wait in paused time, and what fails in them is meant to"
)]

mod access;
mod conformance;
mod custom;
mod deployments;
mod durability;
mod kube_client;
mod kubectl;
mod lists;
mod served;
mod support;
mod watches;
