//! The canonical hash of a state: what two states have in common that differ only in when they came about.
//!
//! Moments count relative to the clock of the process that remembers them, revisions and stamps by their rank among all of
//! the state. The types of the core hash as they are derived; this hasher tells what a number is by its size, which the
//! model chooses ([`BEGINNING`], [`WALL`]). Two passes: the first collects what is ranked, the second hashes.

use std::hash::{BuildHasher, Hasher};

use ahash::{AHasher, RandomState};
use election_core::Mono;

use crate::clock::{BEGINNING, WALL};

/// What is this long past is past for good: the longest span in which a moment matters is the collection of an identity
/// lease, and configurations keep it below this.
const LONG_AGO: u64 = 400_000_000_000;
/// A number at least this large is a moment.
const MOMENTS: u64 = BEGINNING / 2;
/// A number at least this large is a stamp.
const STAMPS: i64 = WALL.as_micros() / 2;

/// The first pass: every revision and stamp.
#[derive(Default)]
pub(crate) struct Ranks {
    revisions: Vec<u64>,
    stamps: Vec<i64>,
}

impl Ranks {
    pub(crate) fn sort(&mut self) {
        self.revisions.sort_unstable();
        self.revisions.dedup();
        self.stamps.sort_unstable();
        self.stamps.dedup();
    }

    fn revision(&self, revision: u64) -> usize {
        self.revisions
            .binary_search(&revision)
            .unwrap_or_else(|at| at + self.revisions.len())
    }

    fn stamp(&self, stamp: i64) -> usize {
        self.stamps
            .binary_search(&stamp)
            .unwrap_or_else(|at| at + self.stamps.len())
    }
}

/// A hasher that knows whose clock counts.
pub(crate) trait Canonical: Hasher {
    /// What is hashed from now on belongs to a process whose clock shows this.
    fn at(&mut self, now: Mono);
}

impl Hasher for Ranks {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(revision) = revision(bytes) {
            self.revisions.push(revision);
        }
    }

    fn write_i64(&mut self, number: i64) {
        if number > STAMPS {
            self.stamps.push(number);
        }
    }

    fn write_u8(&mut self, _: u8) {}
    fn write_u32(&mut self, _: u32) {}
    fn write_u64(&mut self, _: u64) {}
    fn write_usize(&mut self, _: usize) {}
    fn write_isize(&mut self, _: isize) {}
}

impl Canonical for Ranks {
    fn at(&mut self, _: Mono) {}
}

/// The second pass.
pub(crate) struct Digest<'a> {
    ranks: &'a Ranks,
    inner: AHasher,
    now: u64,
}

impl<'a> Digest<'a> {
    pub(crate) fn new(ranks: &'a Ranks) -> Self {
        Self {
            ranks,
            // Fixed keys: a state has the same hash in every run.
            inner: RandomState::with_seeds(1, 2, 3, 4).build_hasher(),
            now: BEGINNING,
        }
    }
}

impl Hasher for Digest<'_> {
    fn finish(&self) -> u64 {
        self.inner.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        match revision(bytes) {
            Some(revision) => self.inner.write_usize(self.ranks.revision(revision)),
            None => self.inner.write(bytes),
        }
    }

    fn write_u64(&mut self, number: u64) {
        if number < MOMENTS {
            self.inner.write_u64(number);
        } else if number > self.now {
            self.inner.write_u64(number - self.now);
        } else {
            self.inner
                .write_i64(-1 - (self.now - number).min(LONG_AGO).cast_signed());
        }
    }

    fn write_i64(&mut self, number: i64) {
        if number > STAMPS {
            self.inner.write_usize(self.ranks.stamp(number));
        } else {
            self.inner.write_i64(number);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.inner.write_u8(number);
    }

    fn write_u32(&mut self, number: u32) {
        self.inner.write_u32(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.inner.write_usize(number);
    }

    fn write_isize(&mut self, number: isize) {
        self.inner.write_isize(number);
    }
}

impl Canonical for Digest<'_> {
    fn at(&mut self, now: Mono) {
        self.now = now.as_nanos();
    }
}

/// The number of a revision, as the model's server writes it; no other text of the model begins with a digit.
fn revision(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes[0].is_ascii_digit() {
        return None;
    }
    bytes.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use crate::config::{Config, Fault};
    use crate::explore::Exploration;
    use crate::world::World;

    /// Visits everything; which states are one is for `key` to say.
    fn reached<K: Eq + std::hash::Hash>(config: &Config, key: impl Fn(&World) -> K) -> (usize, HashSet<u64>) {
        let model = Exploration::new(config.clone());
        let mut known = HashMap::new();
        let mut pending = vec![model.opening(&mut Vec::new())];
        let mut actions = Vec::new();
        while let Some(world) = pending.pop() {
            if known.insert(key(&world), world.digest).is_some() {
                continue;
            }
            world.actions(config, &mut actions);
            pending.extend(actions.iter().map(|action| model.step(&world, *action, None)));
        }
        (known.len(), known.into_values().collect())
    }

    /// What the canonical form takes for one state goes on as one: nothing is reached without it that is not reached with
    /// it.
    #[test]
    fn states_that_are_taken_for_one_go_on_alike() {
        let mut merged = 0;
        for (name, fault, until) in [
            ("crash", Fault::Break, 6),
            ("crash", Fault::Crash, 6),
            ("handover", Fault::Start, 1),
            ("deletion", Fault::Delete, 1),
            ("steered", Fault::Steer, 1),
        ] {
            let all = crate::configs::configs().into_iter();
            let config = Config {
                faults: vec![(fault, 1)],
                total: 1,
                swaps: Some(2),
                trouble_until: until,
                horizon: Some(24),
                ..all
                    .into_iter()
                    .find(|config| config.name == name)
                    .expect("a configuration")
            };
            let (plain, with_every_detail) = reached(&config, |world| {
                let mut world = world.clone();
                world.digest = 0;
                format!("{world:?}")
            });
            let (canonical, digests) = reached(&config, |world| world.digest);
            let lost = with_every_detail.difference(&digests).count();
            assert_eq!(
                lost,
                0,
                "{name} with {fault}: of {} states",
                with_every_detail.len()
            );
            assert_eq!(digests.len(), with_every_detail.len(), "{name} with {fault}");
            merged += plain - canonical;
        }
        assert!(
            merged > 1000,
            "vacuous: only {merged} states were taken for others"
        );
    }
}
