//! Who owns whom, by uid: what the garbage collector looks at.
//!
//! Only bookkeeping: whether and when an ownerless object is deleted is the collector's business.

use super::object::{Key, Stored};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// An object's table and key.
pub(crate) type Place = (Arc<str>, Key);

/// Live uids, dependents by owner, and the dependents that lost an owner since somebody looked.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    live: HashSet<String>,
    dependents: BTreeMap<String, BTreeSet<Place>>,
    bereaved: BTreeSet<Place>,
    /// Owners that may not go before their dependents have been dealt with.
    leaving: BTreeSet<Place>,
}

impl Owners {
    pub(crate) fn is_live(&self, uid: &str) -> bool {
        self.live.contains(uid)
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents_of(&self, uid: &str) -> Vec<Place> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The dependents of owners that are gone, each once.
    pub(crate) fn take_bereaved(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.bereaved)
    }

    /// The owners that wait for the collector.
    pub(crate) fn leaving(&self) -> &BTreeSet<Place> {
        &self.leaving
    }

    pub(crate) fn added(&mut self, table: &Arc<str>, object: &Stored, previous: Option<&Stored>) {
        if let Some(previous) = previous.filter(|previous| previous.owners != object.owners) {
            self.disown(table, previous);
        }
        self.live.insert(object.uid.clone());
        if object.awaits_collector {
            self.leaving.insert((Arc::clone(table), object.key.clone()));
        }
        for owner in &object.owners {
            let place = (Arc::clone(table), object.key.clone());
            if !self.live.contains(owner) {
                self.bereaved.insert(place.clone());
            }
            self.dependents.entry(owner.clone()).or_default().insert(place);
        }
    }

    pub(crate) fn removed(&mut self, table: &Arc<str>, object: &Stored) {
        self.live.remove(&object.uid);
        self.leaving.remove(&(Arc::clone(table), object.key.clone()));
        self.disown(table, object);
        self.bereaved.extend(self.dependents_of(&object.uid));
    }

    fn disown(&mut self, table: &Arc<str>, object: &Stored) {
        for owner in &object.owners {
            if let Some(places) = self.dependents.get_mut(owner) {
                places.remove(&(Arc::clone(table), object.key.clone()));
                if places.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}
