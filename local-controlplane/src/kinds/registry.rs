//! All kinds that are served just now.

use super::{Kind, builtin_kinds};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Served kinds by group, version and plural.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    kinds: BTreeMap<(String, String, String), Arc<Kind>>,
}

impl Registry {
    /// The built-in kinds.
    pub(crate) fn builtin() -> Self {
        let mut registry = Self {
            kinds: BTreeMap::new(),
        };
        registry.insert(builtin_kinds().iter().cloned());
        registry
    }

    pub(crate) fn insert(&mut self, kinds: impl IntoIterator<Item = Arc<Kind>>) {
        for kind in kinds {
            let key = (kind.group.clone(), kind.version.clone(), kind.plural.clone());
            self.kinds.insert(key, kind);
        }
    }

    /// Stops serving a custom resource in all its versions.
    pub(crate) fn remove(&mut self, group: &str, plural: &str) {
        self.kinds
            .retain(|_, kind| !(kind.custom && kind.group == group && kind.plural == plural));
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }

    /// The kinds of one group and version.
    pub(crate) fn of(&self, group: &str, version: &str) -> Vec<&Arc<Kind>> {
        self.all()
            .filter(|kind| kind.group == group && kind.version == version)
            .collect()
    }

    /// Whether a group is served by the server itself, and not by definitions only.
    pub(crate) fn is_builtin(&self, group: &str) -> bool {
        self.all().any(|kind| kind.group == group && !kind.custom)
    }

    /// The named groups, each with its versions; the core group is not among them.
    pub(crate) fn groups(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for kind in self.all().filter(|kind| !kind.group.is_empty()) {
            groups.entry(&kind.group).or_default().insert(&kind.version);
        }
        groups
    }

    /// One kind for each table: whoever goes over all objects must not meet them twice.
    pub(crate) fn stored_kinds(&self) -> Vec<Arc<Kind>> {
        let stored = self
            .all()
            .filter(|kind| !kind.rules.review && kind.is_stored_form());
        stored.cloned().collect()
    }

    /// The kind in whose form a table keeps its objects.
    pub(crate) fn of_table(&self, table: &str) -> Option<&Arc<Kind>> {
        self.all()
            .find(|kind| &*kind.table == table && kind.is_stored_form())
    }
}
