//! Who asked for what, how often: tests and benchmarks count requests by it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RequestKey {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The plural resource, with its subresource: `leases`, `deployments/status`.
    pub resource: String,
    /// The client's user agent, up to the first `/`; empty for a client that names none.
    pub client: String,
}

/// How many requests were made, by verb, resource and client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestCounts(BTreeMap<RequestKey, u64>);

impl RequestCounts {
    /// All counts, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&RequestKey, u64)> {
        self.0.iter().map(|(key, count)| (key, *count))
    }

    /// The number of requests for which `wanted` holds.
    pub fn count(&self, wanted: impl Fn(&RequestKey) -> bool) -> u64 {
        self.iter()
            .filter(|(key, _)| wanted(key))
            .map(|(_, count)| count)
            .sum()
    }

    /// The number of requests of one client.
    pub fn by(&self, client: &str) -> u64 {
        self.count(|key| key.client == client)
    }

    /// The number of one client's requests that may have changed something.
    pub fn writes_by(&self, client: &str) -> u64 {
        self.count(|key| key.client == client && !matches!(key.verb.as_str(), "get" | "list" | "watch"))
    }

    /// What was asked for since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let new = self
            .iter()
            .map(|(key, count)| (key.clone(), count - earlier.0.get(key).copied().unwrap_or(0)));
        Self(new.filter(|(_, count)| *count > 0).collect())
    }
}

/// The counters of a running control plane.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<RequestCounts>);

impl Counts {
    pub(crate) fn add(&self, verb: &str, resource: &str, subresource: Option<&str>, agent: &str) {
        let resource = subresource.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
        let client = agent.split('/').next().unwrap_or_default().to_owned();
        let key = RequestKey {
            verb: verb.to_owned(),
            resource,
            client,
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.0.entry(key).or_default() += 1;
    }

    pub(crate) fn read(&self) -> RequestCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
