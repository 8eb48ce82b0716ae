//! The only source of chance: the same seed, the same numbers, on any machine.

/// splitmix64: small, and good enough to choose faults by.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of a seed, apart for each purpose, so that what happens to one process moves no other's.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut dice = Self(seed);
        let mixed = dice.next() ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self(mixed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something with this chance, in percent, happens.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        chance > 0 && self.below(100) < chance
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or_default()]
    }
}
