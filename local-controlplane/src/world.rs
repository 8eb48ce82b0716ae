//! The only file that reads clocks or makes identities.
//!
//! Wall time is written into objects and rendered as an age; nothing is decided by it. Deadlines run on tokio's clock,
//! so a test may pause it. Identities come from a small generator: an in-memory control plane starts from a fixed seed
//! and repeats itself exactly, one with a data folder starts from a random one.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads clocks and makes identities"
)]

use k8s_openapi::jiff::Timestamp;
use std::cell::Cell;
use std::sync::Mutex;

/// What upstream draws generated names from: no vowels, so that no words arise.
const NAME_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const GENERATED_SUFFIX: usize = 5;

/// The monotonic clock that deadlines and the age of history run on.
pub(crate) fn monotonic() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Wall time for people to read.
pub(crate) fn wall() -> Timestamp {
    SIMULATED
        .get()
        .map_or_else(Timestamp::now, |(base, since)| base + since.elapsed())
}

thread_local! {
    /// What the wall shows on this thread, where it is simulated: this time at that moment.
    static SIMULATED: Cell<Option<(Timestamp, tokio::time::Instant)>> = const { Cell::new(None) };
}

/// Lets the wall time of every control plane that is used on this thread be `base` now, and go on with tokio's clock: for
/// simulations, whose objects are to be the same in every run. It must be called within the runtime whose clock it is.
pub fn simulate_wall(base: Timestamp) {
    SIMULATED.set(Some((base, monotonic())));
}

/// The wall time as `metadata.creationTimestamp` has it: whole seconds.
pub(crate) fn wall_seconds() -> String {
    seconds(wall())
}

/// A timestamp cut to whole seconds: a creation must not lie in the future.
pub(crate) fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// A timestamp to the microsecond, as `MicroTime` has it.
pub(crate) fn micros(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// Source of uids and generated names.
#[derive(Debug)]
pub(crate) struct Identities(Mutex<u64>);

impl Identities {
    /// The same identities in every run.
    pub(crate) fn repeatable() -> Self {
        Self(Mutex::new(0x5eed_0f1e_ade2_0001))
    }

    /// Different ones in every run, because objects of earlier runs are still there.
    pub(crate) fn random() -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        Self(Mutex::new(high ^ low))
    }

    /// splitmix64: enough for names, not meant for secrets.
    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn uid(&self) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// The part that the server appends to `generateName`.
    pub(crate) fn name_suffix(&self) -> String {
        let mut bits = self.next();
        let letters = (0..GENERATED_SUFFIX).map(|_| {
            let letter = NAME_ALPHABET[(bits % NAME_ALPHABET.len() as u64) as usize];
            bits /= NAME_ALPHABET.len() as u64;
            char::from(letter)
        });
        letters.collect()
    }
}

/// A secret from the system's generator.
pub(crate) fn secret() -> String {
    format!(
        "{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_cut_not_rounded() {
        let at: Timestamp = "2026-05-01T12:00:00.9999999Z".parse().unwrap();
        assert_eq!(seconds(at), "2026-05-01T12:00:00Z");
        assert_eq!(micros(at), "2026-05-01T12:00:00.999999Z");
        assert_eq!(micros(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
    }
}
