//! The one store: every object of every kind, one revision counter, and the history that watches read.
//!
//! It knows keys, revisions, labels and owners, but no kinds and no rules: those are decided by the code that runs
//! inside [`Store::write`], under one lock, so that a read and the write it leads to are one step. Nothing here waits,
//! but for [`Store::settle`].

mod disk;
mod history;
mod log;
mod object;
mod owners;

pub use disk::OpenError;
pub(crate) use history::{Change, Event, History};
pub use log::CorruptLog;
pub(crate) use object::{FOREGROUND, Key, ORPHAN, Stored};
pub(crate) use owners::{Owners, Place};

use crate::world;
use disk::{Batch, Disk, Lock};
use log::Record;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// All objects of all kinds. Cloned handles share everything.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    disk: Option<Arc<Disk>>,
    /// Not part of the disk: the writer of the last batch may outlive the store by a moment, the lock must not.
    _lock: Option<Arc<Lock>>,
}

/// What the writer of batches shares with the store.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The newest revision that may be shown, or nothing after the disk has failed.
    published: watch::Sender<Option<u64>>,
}

/// All objects at one revision.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<(Arc<str>, Arc<Stored>)>,
}

/// The state behind the lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    revision: u64,
    tables: BTreeMap<Arc<str>, Table>,
    owners: Owners,
    /// Where the history of new tables starts: what was before the start of this process is not known.
    floor: u64,
    batch: Option<Batch>,
}

/// One resource's objects and history.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) objects: BTreeMap<Key, Arc<Stored>>,
    pub(crate) history: History,
    /// Wakes watches in the order in which they wait; a `watch` channel would draw lots.
    changed: Arc<Notify>,
    /// The newest revision of this table that watches were woken for.
    told: u64,
    newest: u64,
}

impl Table {
    fn new(floor: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            history: History::starting_at(floor),
            changed: Arc::default(),
            told: floor,
            newest: floor,
        }
    }

    /// The revision of the newest change.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The objects of one namespace, or all.
    pub(crate) fn within(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Stored>> {
        self.rest(namespace, None)
    }

    /// The objects of one namespace, or all, that come after a key.
    pub(crate) fn rest(
        &self,
        namespace: Option<&str>,
        after: Option<&Key>,
    ) -> impl Iterator<Item = &Arc<Stored>> {
        let first = Key::new(namespace.unwrap_or_default(), "");
        let start = match after {
            Some(after) if *after >= first => Bound::Excluded(after),
            _ => Bound::Included(&first),
        };
        self.objects
            .range::<Key, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| is_within(key, namespace))
            .map(|(_, object)| object)
    }

    /// The same as they were at a revision; `None` when that is forgotten.
    pub(crate) fn rest_at(
        &self,
        revision: u64,
        namespace: Option<&str>,
        after: Option<&Key>,
    ) -> Option<impl Iterator<Item = &Arc<Stored>>> {
        let wanted = move |key: &Key| is_within(key, namespace) && after.is_none_or(|after| key > after);
        self.history.rewind(self.rest(namespace, after), revision, wanted)
    }
}

fn is_within(key: &Key, namespace: Option<&str>) -> bool {
    namespace.is_none_or(|namespace| key.namespace == namespace)
}

impl Store {
    /// A store that forgets everything when it is dropped. `prepare` puts in what must always be there.
    pub(crate) fn in_memory(prepare: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut state = State::default();
        prepare(&mut Writer {
            state: &mut state,
            now: world::monotonic(),
        });
        // Nobody has seen how the first objects came.
        state.compact();
        let published = watch::Sender::new(Some(state.revision));
        let shared = Shared {
            state: Mutex::new(state),
            published,
        };
        Self {
            shared: Arc::new(shared),
            disk: None,
            _lock: None,
        }
    }

    /// A store that keeps its objects in a folder. Its later writes happen inside a tokio runtime.
    pub(crate) fn open(folder: &Path, prepare: impl FnOnce(&mut Writer<'_>)) -> Result<Self, OpenError> {
        let (disk, lock, records) = Disk::open(folder)?;
        let now = world::monotonic();
        let mut state = State::default();
        for record in records {
            state.replay(record, now);
        }
        prepare(&mut Writer {
            state: &mut state,
            now,
        });
        disk.rewrite(&state.snapshot())?;
        state.batch = Some(Batch::default());
        let published = watch::Sender::new(Some(state.revision));
        let shared = Shared {
            state: Mutex::new(state),
            published,
        };
        Ok(Self {
            shared: Arc::new(shared),
            disk: Some(Arc::new(disk)),
            _lock: Some(Arc::new(lock)),
        })
    }

    /// Looks at the state. Whoever shows what was seen waits for [`Self::settle`] first.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.lock())
    }

    /// Decides and writes in one step. `decide` must not have written when it fails: nothing is taken back.
    pub(crate) fn write<T>(&self, decide: impl FnOnce(&mut Writer<'_>) -> T) -> T {
        let mut state = self.shared.lock();
        let before = state.revision;
        let mut writer = Writer {
            state: &mut state,
            now: world::monotonic(),
        };
        let result = decide(&mut writer);
        if state.revision != before {
            self.publish(&mut state);
        }
        result
    }

    /// Without a disk a change is public at once; with one it is when its batch is synced.
    fn publish(&self, state: &mut State) {
        let Some(disk) = &self.disk else {
            self.shared.published.send_replace(Some(state.revision));
            state.notify_watches(state.revision);
            return;
        };
        let batch = state.batch.as_mut().expect("a store with a disk has a batch");
        if !std::mem::replace(&mut batch.being_written, true) {
            let (disk, shared) = (Arc::clone(disk), Arc::clone(&self.shared));
            drop(tokio::task::spawn_blocking(move || {
                disk::write_batches(&disk, &shared)
            }));
        }
    }

    /// Waits until `revision` may be shown. False: the disk has failed and nothing may be shown any more.
    pub(crate) async fn settle(&self, revision: u64) -> bool {
        let mut published = self.shared.published.subscribe();
        // The condition runs under a lock of the channel, which is taken under the store's: it must not take that.
        let settled = published
            .wait_for(|newest| newest.is_none_or(|newest| newest >= revision))
            .await;
        settled.is_ok_and(|newest| newest.is_some())
    }

    /// Tells when a table has something new to show: whoever waits from before a look misses nothing.
    pub(crate) fn subscribe(&self, table: &Arc<str>) -> Arc<Notify> {
        Arc::clone(&self.shared.lock().table_mut(table).changed)
    }

    /// Tells when anything at all has changed.
    pub(crate) fn subscribe_all(&self) -> watch::Receiver<Option<u64>> {
        self.shared.published.subscribe()
    }

    /// The events of a table that a watch at `after` has not seen and may see, at most `limit`, and the revision up to
    /// which the watch is then complete. Nothing: some are forgotten.
    pub(crate) fn events(
        &self,
        table: &Arc<str>,
        after: u64,
        limit: usize,
    ) -> Option<(Vec<Arc<Event>>, u64)> {
        let published = (*self.shared.published.borrow()).unwrap_or_default();
        let state = self.shared.lock();
        let Some(table) = state.tables.get(table) else {
            return (after >= state.floor).then(|| (Vec::new(), published.max(after)));
        };
        let new = table
            .history
            .after(after)?
            .take_while(|event| event.revision() <= published);
        let events: Vec<_> = new.take(limit).cloned().collect();
        let seen = match events.last() {
            Some(last) if events.len() == limit => last.revision(),
            _ => published.max(after),
        };
        Some((events, seen))
    }

    /// Forgets all history, as etcd's compaction does.
    pub(crate) fn compact(&self) {
        self.shared.lock().compact();
    }

    /// The dependents whose owners have gone since the last call.
    pub(crate) fn take_bereaved(&self) -> BTreeSet<Place> {
        self.shared.lock().owners.take_bereaved()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch and its last revision; with nothing left, the writer is done.
    fn take_batch(&self) -> Option<(Vec<u8>, u64)> {
        let mut state = self.lock();
        let revision = state.revision;
        let batch = state.batch.as_mut()?;
        if batch.bytes.is_empty() {
            batch.being_written = false;
            return None;
        }
        Some((std::mem::take(&mut batch.bytes), revision))
    }

    /// Everything there is; what waits for the next batch is in it, so that batch is empty afterwards.
    fn snapshot(&self) -> Snapshot {
        let mut state = self.lock();
        if let Some(batch) = &mut state.batch {
            batch.bytes.clear();
        }
        state.snapshot()
    }

    fn synced(&self, revision: u64) {
        self.published.send_replace(Some(revision));
        self.lock().notify_watches(revision);
    }

    fn fail(&self) {
        self.published.send_replace(None);
    }
}

impl State {
    fn compact(&mut self) {
        let revision = self.revision;
        self.floor = revision;
        self.tables
            .values_mut()
            .for_each(|table| table.history.forget(revision));
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Below this revision, nothing is remembered.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    pub(crate) fn table(&self, table: &Arc<str>) -> Option<&Table> {
        self.tables.get(table)
    }

    pub(crate) fn get(&self, table: &Arc<str>, key: &Key) -> Option<&Arc<Stored>> {
        self.tables.get(table)?.objects.get(key)
    }

    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    fn table_mut(&mut self, table: &Arc<str>) -> &mut Table {
        let floor = self.floor;
        self.tables
            .entry(Arc::clone(table))
            .or_insert_with(|| Table::new(floor))
    }

    fn notify_watches(&mut self, published: u64) {
        for table in self.tables.values_mut() {
            let newest = table.newest.min(published);
            if newest > table.told {
                table.told = newest;
                table.changed.notify_waiters();
            }
        }
    }

    fn apply(&mut self, table: &Arc<str>, object: Arc<Stored>, now: Instant) {
        let revision = object.revision;
        let in_table = self.table_mut(table);
        let previous = in_table.objects.insert(object.key.clone(), Arc::clone(&object));
        let change = if previous.is_some() {
            Change::Modified
        } else {
            Change::Added
        };
        in_table
            .history
            .push(Event::new(change, Arc::clone(&object), previous.clone(), now));
        in_table.newest = revision;
        self.owners.added(table, &object, previous.as_deref());
        self.revision = revision;
    }

    fn unapply(&mut self, table: &Arc<str>, key: &Key, revision: u64, now: Instant) -> Option<Arc<Stored>> {
        let in_table = self.table_mut(table);
        let previous = in_table.objects.remove(key)?;
        let last = Arc::new(Stored::new(key.clone(), revision, previous.value()));
        in_table.history.push(Event::new(
            Change::Deleted,
            Arc::clone(&last),
            Some(Arc::clone(&previous)),
            now,
        ));
        in_table.newest = revision;
        self.owners.removed(table, &previous);
        self.revision = revision;
        Some(last)
    }

    fn replay(&mut self, record: Record, now: Instant) {
        match record {
            Record::Header { revision } => (self.revision, self.floor) = (revision, revision),
            Record::Change {
                revision,
                table,
                key,
                object,
            } => {
                let table = Arc::from(table);
                match object {
                    Some(object) if revision <= self.floor => {
                        let object = Arc::new(Stored::new(key.clone(), revision, object));
                        self.owners.added(&table, &object, None);
                        self.table_mut(&table).objects.insert(key, object);
                    }
                    Some(object) => self.apply(&table, Arc::new(Stored::new(key, revision, object)), now),
                    None => drop(self.unapply(&table, &key, revision, now)),
                }
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let all = self
            .tables
            .iter()
            .flat_map(|(name, table)| table.objects.values().map(move |object| (name, object)));
        let objects = all
            .map(|(name, object)| (Arc::clone(name), Arc::clone(object)))
            .collect();
        Snapshot {
            revision: self.revision,
            objects,
        }
    }
}

/// The right to change the state, for the length of one step.
pub(crate) struct Writer<'a> {
    state: &'a mut State,
    now: Instant,
}

impl std::ops::Deref for Writer<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl Writer<'_> {
    /// Forgets what a table was before now.
    pub(crate) fn begin_history(&mut self, table: &Arc<str>) {
        let revision = self.state.revision;
        self.state.table_mut(table).history.forget(revision);
    }

    /// Creates or replaces an object, under the next revision.
    pub(crate) fn put(&mut self, table: &Arc<str>, key: Key, object: Value) -> Arc<Stored> {
        let object = Arc::new(Stored::new(key, self.state.revision + 1, object));
        if let Some(batch) = &mut self.state.batch {
            log::write_put(&mut batch.bytes, table, &object);
        }
        self.state.apply(table, Arc::clone(&object), self.now);
        object
    }

    /// Deletes an object and returns its last state, stamped with the revision of the deletion.
    pub(crate) fn remove(&mut self, table: &Arc<str>, key: &Key) -> Option<Arc<Stored>> {
        let revision = self.state.revision + 1;
        let last = self.state.unapply(table, key, revision, self.now)?;
        if let Some(batch) = &mut self.state.batch {
            log::write_delete(&mut batch.bytes, table, key, revision);
        }
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// All revisions of a table are kept in full, and each is compared with what is told of it later: whole, of a namespace, and
    /// after each key, one that is gone included.
    #[tokio::test]
    async fn a_table_is_told_as_it_was_at_each_revision() {
        let store = Store::in_memory(|_| {});
        let table: Arc<str> = "t".into();
        // The order of these namespaces is not that of their paths.
        let keys: Vec<_> = ["a", "a-b", "b"]
            .iter()
            .flat_map(|namespace| ["w", "x", "y"].map(|name| Key::new(namespace, name)))
            .collect();
        let shown = |object: &Arc<Stored>| (object.key.clone(), object.revision);
        let mut past = Vec::new();
        // Any order in which objects come, change, go and come again.
        let mut dice = 7_usize;
        for _ in 0..200 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = keys[(dice >> 33) % keys.len()].clone();
            store.write(|writer| match (dice >> 61) % 3 {
                0 => drop(writer.remove(&table, &key)),
                _ => drop(writer.put(&table, key, json!({"metadata": {}}))),
            });
            let now = |state: &State| {
                let objects = state
                    .table(&table)
                    .into_iter()
                    .flat_map(|table| table.objects.values());
                (state.revision(), objects.map(shown).collect::<Vec<_>>())
            };
            past.push(store.read(now));
        }
        store.read(|state| {
            let table = state.table(&table).unwrap();
            let mut told = 0;
            for (revision, all) in &past {
                for namespace in [None, Some("a"), Some("a-b"), Some("c")] {
                    for after in std::iter::once(None).chain(keys.iter().map(Some)) {
                        let rest: Vec<_> = table
                            .rest_at(*revision, namespace, after)
                            .unwrap()
                            .map(shown)
                            .collect();
                        let inside = |key: &Key| namespace.is_none_or(|namespace| key.namespace == namespace);
                        let mut expected = all.clone();
                        expected.retain(|(key, _)| inside(key) && after.is_none_or(|after| key > after));
                        assert_eq!(rest, expected, "{revision}, {namespace:?} after {after:?}");
                        told += rest.len();
                    }
                }
            }
            assert!(told > 1000);
            let today: Vec<_> = table
                .rest(Some("a"), Some(&Key::new("a", "w")))
                .map(shown)
                .collect();
            let mut expected = past.last().unwrap().1.clone();
            expected.retain(|(key, _)| key.namespace == "a" && key.name != "w");
            assert_eq!(today, expected);
        });
    }
}
