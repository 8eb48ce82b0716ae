//! The world of the tests: one local control plane, an elector on it, and what others do to its leases.

use std::sync::Arc;
use std::time::Duration;

use candidate::clock::TokioClock;
use candidate::{Candidate, Overrun, client};
use election_core::Wall;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;

use crate::weather::detach;

/// The leader lease of the tests.
pub const LEASE: &str = "kube-system/demo";

/// The wall clock at the origin of simulated time: an arbitrary, ordinary moment.
pub const EPOCH: Wall = Wall::from_micros(1_790_000_000_000_000);
