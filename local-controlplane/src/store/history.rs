//! The recent changes of one table: what watches replay and old lists are rebuilt from.
//!
//! A watch is a cursor into this history and nothing else, so replay and live events are one code path, and a slow
//! watcher costs no memory of its own: when the history has moved past its cursor, its stream ends.

use super::object::{Key, Stored};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// At least this many events are kept …
const KEEP_EVENTS: usize = 10_000;
/// … and all that are younger than this, which is what a real watch cache promises.
const KEEP_AGE: Duration = Duration::from_secs(75);

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change. A deletion carries the last state, stamped with the revision of the deletion.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: Change,
    pub(crate) object: Arc<Stored>,
    pub(crate) previous: Option<Arc<Stored>>,
    at: Instant,
}

impl Event {
    pub(crate) fn new(
        change: Change,
        object: Arc<Stored>,
        previous: Option<Arc<Stored>>,
        at: Instant,
    ) -> Self {
        Self {
            change,
            object,
            previous,
            at,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.object.revision
    }
}

/// The changes after `floor`, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    events: VecDeque<Arc<Event>>,
    /// Changes up to this revision may be forgotten.
    floor: u64,
}

impl History {
    pub(crate) fn starting_at(floor: u64) -> Self {
        Self {
            events: VecDeque::new(),
            floor,
        }
    }

    pub(crate) fn push(&mut self, event: Event) {
        let now = event.at;
        self.events.push_back(Arc::new(event));
        while self.events.len() > KEEP_EVENTS
            && self
                .events
                .front()
                .is_some_and(|oldest| now.duration_since(oldest.at) > KEEP_AGE)
        {
            if let Some(oldest) = self.events.pop_front() {
                self.floor = oldest.revision();
            }
        }
    }

    /// Forgets everything up to `revision`.
    pub(crate) fn forget(&mut self, revision: u64) {
        self.events.clear();
        self.floor = self.floor.max(revision);
    }

    /// The events after `revision`, or nothing when some of them are forgotten.
    pub(crate) fn after(&self, revision: u64) -> Option<impl Iterator<Item = &Arc<Event>>> {
        if revision < self.floor {
            return None;
        }
        let start = self.events.partition_point(|event| event.revision() <= revision);
        Some(self.events.range(start..))
    }

    /// The objects as they were at `revision`, in order: `today`'s, which are all whose keys are `wanted`, in order, with later
    /// events undone. Both are merged while they are read: the table is neither copied nor sorted.
    pub(crate) fn rewind<'a>(
        &'a self,
        today: impl Iterator<Item = &'a Arc<Stored>>,
        revision: u64,
        wanted: impl Fn(&Key) -> bool,
    ) -> Option<impl Iterator<Item = &'a Arc<Stored>>> {
        let mut undone: BTreeMap<&Key, Option<&Arc<Stored>>> = BTreeMap::new();
        for event in self.after(revision)?.filter(|event| wanted(&event.object.key)) {
            // What the first of them found is what there was.
            undone.entry(&event.object.key).or_insert(event.previous.as_ref());
        }
        let (mut today, mut undone) = (today.peekable(), undone.into_iter().peekable());
        Some(std::iter::from_fn(move || {
            while let Some((key, before)) =
                undone.next_if(|(key, _)| today.peek().is_none_or(|object| object.key >= **key))
            {
                // What is there today came later.
                today.next_if(|object| object.key == *key);
                if before.is_some() {
                    return before;
                }
            }
            today.next()
        }))
    }
}
