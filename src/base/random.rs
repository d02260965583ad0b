//! A small seeded generator of pseudo-random numbers, for the simulator, tests and jitter.
//!
//! The same seed gives the same numbers on every machine and in every release, so that a failing
//! seed stays a failing seed. Not for secrets and not for ids that must be unique in the world.

/// `SplitMix64` state: 64 bits, one addition and three mixes a draw.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be zero. Multiply-shift; the bias is below 2^-32 for
    /// every bound that fits 32 bits.
    pub const fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0);
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high);
        match (high - low).checked_add(1) {
            Some(span) => low + self.below(span),
            None => self.next_u64(),
        }
    }

    /// True `numerator` times in `denominator`.
    pub const fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    /// One of `items`; `None` when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() {
            return None;
        }
        items.get(self.below(items.len() as u64) as usize)
    }

    /// A generator of its own for a part of the world, so that one more draw here does not change
    /// what is drawn there.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        // The reference values of SplitMix64 for seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_both_ends() {
        let mut random = Random::new(7);
        let mut seen = [false; 5];
        for _ in 0..1000 {
            let value = random.between(10, 14);
            seen[(value - 10) as usize] = true;
            assert!(random.below(1) == 0);
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert!(!random.chance(0, 10));
        assert!(random.chance(10, 10));
    }

    #[test]
    fn a_fork_is_not_disturbed_by_its_parent() {
        let mut parent = Random::new(3);
        let mut fork = parent.clone().fork();
        let mut same = parent.fork();
        parent.next_u64();
        assert_eq!(fork.next_u64(), same.next_u64());
    }

    #[test]
    fn every_byte_of_a_buffer_is_filled() {
        let mut random = Random::new(1);
        let mut ored = [0u8; 13];
        for _ in 0..64 {
            let mut out = [0u8; 13];
            random.fill(&mut out);
            ored.iter_mut().zip(out).for_each(|(sum, byte)| *sum |= byte);
        }
        assert_eq!(ored, [0xff; 13]);
    }
}
