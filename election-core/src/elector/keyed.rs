//! A map of leases in which one of many thousands is found with few looks at names.
//!
//! The names of a large cluster begin alike and lie all over the memory, and comparing them was half of the cost of a
//! renewal. It has no order that means anything.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;

use crate::names::LeaseKey;

/// Values by the key of a lease.
#[derive(Clone, Debug, Hash)]
pub(super) struct Keyed<V>(BTreeMap<Place, V>);

/// A key in the order of digests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place(LeaseKey);

impl<V> Keyed<V> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn get(&self, key: &LeaseKey) -> Option<&V> {
        self.0.get(&place(key))
    }

    pub(super) fn get_mut(&mut self, key: &LeaseKey) -> Option<&mut V> {
        self.0.get_mut(&place(key))
    }

    pub(super) fn get_or_insert_with(&mut self, key: &LeaseKey, new: impl FnOnce() -> V) -> &mut V {
        self.0.entry(place(key)).or_insert_with(new)
    }

    pub(super) fn contains(&self, key: &LeaseKey) -> bool {
        self.0.contains_key(&place(key))
    }

    pub(super) fn insert(&mut self, key: &LeaseKey, value: V) {
        self.0.insert(place(key), value);
    }

    pub(super) fn remove(&mut self, key: &LeaseKey) -> Option<V> {
        self.0.remove(&place(key))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &LeaseKey> {
        self.0.keys().map(|place| &place.0)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&LeaseKey, &mut V)> {
        self.0.iter_mut().map(|(place, value)| (&place.0, value))
    }
}

fn place(key: &LeaseKey) -> Place {
    Place(key.clone())
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_digest(&other.0)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
