//! Hash maps with a fixed hasher: fast, and the same order of iteration in every run, which the
//! simulator needs.
//!
//! The hasher has no secret. It is for keys that nobody from outside chooses (indexes, file
//! descriptors, ids that we gave out) or whose number is small and bounded; an attacker who may
//! choose many keys can make them collide. Such maps use a `BTreeMap`.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A `HashMap` with the fixed hasher; made with `FastMap::default()`.
#[allow(clippy::disallowed_types)]
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;
/// A `HashSet` with the fixed hasher; made with `FastSet::default()`.
#[allow(clippy::disallowed_types)]
pub type FastSet<K> = HashSet<K, BuildHasherDefault<FastHasher>>;

/// An odd constant with bits spread evenly (2^64 divided by the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Rotate, exclusive-or, multiply, a word at a time.
#[derive(Clone, Copy, Debug)]
pub struct FastHasher {
    state: u64,
}

impl Default for FastHasher {
    /// Not zero: leading zero words must change the state.
    fn default() -> Self {
        Self { state: SPREAD }
    }
}

impl FastHasher {
    #[inline]
    fn add(&mut self, word: u64) {
        self.state = (self.state.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for FastHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let mut raw = [0; 8];
            raw.copy_from_slice(word);
            self.add(u64::from_le_bytes(raw));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut raw = [0; 8];
            raw[..rest.len()].copy_from_slice(rest);
            // The last byte is free: it tells trailing zeros from padding.
            raw[7] = rest.len() as u8;
            self.add(u64::from_le_bytes(raw));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.add(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    /// The map takes its bucket from the low bits and its tag from the high ones; a product is good
    /// only in its high bits, so they are folded down.
    #[inline]
    fn finish(&self) -> u64 {
        self.state ^ (self.state >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, Hash};

    fn hash(key: impl Hash) -> u64 {
        BuildHasherDefault::<FastHasher>::default().hash_one(key)
    }

    #[test]
    fn order_of_iteration_is_the_same_in_every_map() {
        let one: FastMap<u64, u8> = (0..1000).map(|key| (key * 7, 1)).collect();
        let two: FastMap<u64, u8> = (0..1000).map(|key| (key * 7, 1)).collect();
        assert!(one.keys().eq(two.keys()));
    }

    #[test]
    fn neighbouring_keys_spread_over_low_and_high_bits() {
        for stride in [1, 8, 4096, 1 << 32] {
            let mut low: FastSet<u64> = FastSet::default();
            let mut high: FastSet<u64> = FastSet::default();
            for index in 0..256u64 {
                low.insert(hash(index * stride) & 0xff);
                high.insert(hash(index * stride) >> 57);
            }
            assert!(low.len() > 100, "stride {stride}: {} of 256 buckets", low.len());
            assert!(high.len() > 60, "stride {stride}: {} of 128 tags", high.len());
        }
    }

    #[test]
    fn text_that_differs_in_length_or_one_byte_differs() {
        assert_ne!(hash("orders"), hash("orders2"));
        assert_ne!(hash([1u8, 2, 3]), hash([1u8, 2, 4]));
        assert_ne!(hash(""), hash("\0"));
        assert_ne!(hash([0u8; 8]), hash([0u8; 16]));
    }
}
