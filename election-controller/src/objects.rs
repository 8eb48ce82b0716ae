//! The leader leases as they came, each in its newest version: an update carries over what the core does not know.
//!
//! Identity leases are not here, because an elector updates none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use candidate::watch::{LeaseText, Seen};
use election_core::{LeaderLease, LeaseKey, LeaseWrite, Revision, wire};
use k8s_openapi::api::coordination::v1::Lease;

use crate::scopes::News;

/// The newest version of each lease that can be a leader lease.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    newest: HashMap<LeaseKey, Known>,
}

#[derive(Debug)]
struct Known {
    scope: usize,
    revision: Revision,
    text: LeaseText,
}

impl Objects {
    /// Takes what a watch tells; the key of the lease, if it was not known before.
    pub(crate) fn take(&mut self, scope: usize, news: News) -> Option<LeaseKey> {
        match news {
            News::Listed(leases) => {
                self.newest.retain(|_, known| known.scope != scope);
                for lease in leases {
                    self.put(scope, lease);
                }
                None
            }
            News::Applied(lease) => self.put(scope, lease),
            News::Gone(key, revision) => {
                if self
                    .newest
                    .get(&key)
                    .is_some_and(|known| known.revision < revision)
                {
                    self.newest.remove(&key);
                }
                None
            }
            News::Nothing => None,
        }
    }

    /// Takes a version of a lease, unless a newer one is known; its key, if it was not known before.
    pub(crate) fn put(&mut self, scope: usize, lease: Object) -> Option<LeaseKey> {
        let Object { key, revision, text } = lease;
        if !election_core::may_be_leader_lease(&key) {
            return None;
        }
        let known = Known {
            scope,
            revision,
            text,
        };
        match self.newest.entry(key) {
            Entry::Vacant(entry) => {
                let key = entry.key().clone();
                entry.insert(known);
                Some(key)
            }
            Entry::Occupied(mut entry) => {
                if entry.get().revision < known.revision {
                    entry.insert(known);
                }
                None
            }
        }
    }

    /// The version that a write was decided from, if it is still the newest.
    pub(crate) fn base(&self, write: &LeaseWrite) -> Option<&LeaseText> {
        let known = self.newest.get(&write.key)?;
        (known.revision == write.base).then_some(&known.text)
    }
}

/// A version of a leader lease.
#[derive(Debug)]
pub(crate) struct Object {
    key: LeaseKey,
    revision: Revision,
    text: LeaseText,
}

impl Object {
    /// The text of a leader lease that a watch has shown; an identity lease has none.
    pub(crate) fn taken_from(seen: &mut Seen) -> Option<Self> {
        let text = seen.text.take()?;
        let (key, revision) = (seen.item.key().clone(), seen.item.revision().clone());
        Some(Self { key, revision, text })
    }

    /// A leader lease as an answer shows it.
    pub(crate) fn answered(lease: &Lease) -> Option<Self> {
        let text = LeaseText::new(lease).ok()?;
        let LeaderLease { key, revision, .. } = wire::read_leader(lease)?;
        Some(Self { key, revision, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, revision: &str) -> Object {
        let mut lease = Lease::default();
        lease.metadata.name = Some(name.to_owned());
        Object {
            key: LeaseKey::new("default", name),
            revision: Revision::new(revision),
            text: LeaseText::new(&lease).unwrap(),
        }
    }

    fn newest(objects: &Objects, name: &str) -> Option<Revision> {
        let known = objects.newest.get(&LeaseKey::new("default", name));
        known.map(|known| known.revision.clone())
    }

    #[test]
    fn what_is_older_than_known_changes_nothing() {
        let mut objects = Objects::default();
        let key = || LeaseKey::new("default", "demo");
        assert_eq!(objects.take(0, News::Applied(object("demo", "9"))), Some(key()));
        assert_eq!(objects.take(0, News::Applied(object("demo", "10"))), None);
        objects.take(0, News::Applied(object("demo", "9")));
        objects.take(0, News::Gone(key(), Revision::new("9")));
        assert_eq!(newest(&objects, "demo"), Some(Revision::new("10")));
        objects.take(0, News::Gone(key(), Revision::new("11")));
        assert_eq!(newest(&objects, "demo"), None);
    }

    #[test]
    fn a_list_replaces_what_its_own_scope_knew() {
        let mut objects = Objects::default();
        objects.take(0, News::Listed(vec![object("alpha", "1"), object("bravo", "1")]));
        objects.take(1, News::Listed(vec![object("charlie", "1")]));
        objects.take(0, News::Listed(vec![object("alpha", "2")]));
        assert_eq!(newest(&objects, "alpha"), Some(Revision::new("2")));
        assert_eq!(newest(&objects, "bravo"), None);
        assert_eq!(newest(&objects, "charlie"), Some(Revision::new("1")));
        let node = Object {
            key: LeaseKey::new("kube-node-lease", "node"),
            ..object("node", "1")
        };
        assert_eq!(objects.take(0, News::Applied(node)), None, "it is never offered");
    }
}
