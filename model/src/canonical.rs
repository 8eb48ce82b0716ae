//! The canonical hash of a state: what two states have in common that differ only in when they came about.
//!
//! Moments count relative to the clock of the process that remembers them, revisions by their rank among all of the state.
//! Stamps count as they are: the next one of a process is one more than its last, and may be one that somebody remembers.
//! The types of the core hash as they are derived; this hasher tells what a number is by its size, which the model chooses
//! ([`BEGINNING`]). Two passes: the first collects what is ranked, the second hashes.

use std::hash::{BuildHasher, Hasher};

use ahash::{AHasher, RandomState};
use election_core::Mono;

use crate::clock::BEGINNING;

/// What is this long past is past for good: the longest span in which a moment matters is the collection of an identity
/// lease, and configurations keep it below this.
const LONG_AGO: u64 = 400_000_000_000;
/// A number at least this large is a moment.
const MOMENTS: u64 = BEGINNING / 2;
/// The first pass: every revision.
#[derive(Default)]
pub(crate) struct Ranks(Vec<u64>);

impl Ranks {
    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }

    fn revision(&self, revision: u64) -> usize {
        self.0
            .binary_search(&revision)
            .unwrap_or_else(|at| at + self.0.len())
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
            self.0.push(revision);
        }
    }

    fn write_i64(&mut self, _: i64) {}
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
        self.inner.write_i64(number);
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
    use std::collections::HashMap;

    use crate::config::Config;
    use crate::explore::Exploration;
    use crate::world::World;

    /// The digests of what can come next.
    fn next(model: &Exploration, config: &Config, world: &World) -> (Vec<World>, Vec<u64>) {
        let mut actions = Vec::new();
        world.actions(config, &mut actions);
        let next = actions.iter().map(|action| model.step(world, *action, None));
        let next: Vec<World> = next.collect();
        let mut digests: Vec<u64> = next.iter().map(|world| world.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        (next, digests)
    }

    /// What the canonical form takes for one state goes on as one: whichever of them is explored, nothing is missed. Each
    /// configuration is explored as far as it takes to see that stamps are more than their order (`twins`), that the server's
    /// counter counts (`refused`) and that the versions of a process do (`versions`).
    #[test]
    fn states_that_are_taken_for_one_go_on_alike() {
        for config in crate::configs::configs() {
            let most = match config.name {
                "twins" => 25_000,
                "versions" => 15_000,
                "refused" => 8_000,
                _ => 3_000,
            };
            let model = Exploration::new(config.clone());
            let mut known = HashMap::new();
            let mut pending = vec![model.opening(&mut Vec::new())];
            let mut again = 0;
            while let Some(world) = pending.pop() {
                let (worlds, digests) = next(&model, &config, &world);
                if let Some(before) = known.get(&world.digest) {
                    again += 1;
                    assert_eq!(
                        *before,
                        digests,
                        "{}, state {}: {world:#?}",
                        config.name,
                        known.len()
                    );
                    continue;
                }
                known.insert(world.digest, digests);
                if known.len() == most {
                    break;
                }
                pending.extend(worlds);
            }
            assert!(again > 0, "vacuous: {} never came to a state again", config.name);
        }
    }
}
