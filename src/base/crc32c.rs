//! CRC-32C (Castagnoli), the checksum of record batches and producer snapshots.
//!
//! A thin door to `crc-fast`, which picks carry-less multiplication by CPU. Bytes in one piece take
//! its shortest path; a digest carries the state across pieces. `replace_prefix` gives the checksum
//! of a run whose first bytes changed without reading the rest again.

use super::Pieces;
use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of one slice.
#[inline]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The checksum of a run, whatever its cuts.
#[inline]
pub fn checksum_pieces(pieces: Pieces<'_>) -> u32 {
    if let Some(bytes) = pieces.contiguous() {
        return checksum(bytes);
    }
    let mut crc = Crc32c::new();
    pieces.iter().for_each(|piece| crc.update(piece));
    crc.finish()
}

/// The checksum of `new` followed by a rest of `rest_len` bytes, given the checksum of `old`
/// followed by the same rest. The rest is not read: a CRC is linear, so the change of the prefix
/// only has to be carried over the length of the rest.
pub fn replace_prefix(whole: u32, old: &[u8], new: &[u8], rest_len: usize) -> u32 {
    let combine = |first: u32, second: u32| {
        let sum = crc_fast::checksum_combine(
            CrcAlgorithm::Crc32Iscsi,
            u64::from(first),
            u64::from(second),
            rest_len as u64,
        );
        sum as u32
    };
    // combine(a, b) is shift(a) ^ b, so combining twice with the old prefix takes it out again.
    let rest = combine(checksum(old), whole);
    combine(checksum(new), rest)
}

/// A checksum in the making, over bytes that come in several slices.
#[derive(Clone, Debug)]
pub struct Crc32c(Digest);

impl Crc32c {
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(&self) -> u32 {
        self.0.finalize() as u32
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(b""), 0);
        assert_eq!(Crc32c::default().finish(), 0);
    }

    proptest! {
        #[test]
        fn cuts_do_not_change_the_checksum(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            cut in any::<prop::sample::Index>(),
        ) {
            let (left, right) = bytes.split_at(cut.index(bytes.len() + 1));
            let parts = [left, right];
            prop_assert_eq!(checksum_pieces(Pieces::many(&parts)), checksum(&bytes));
        }

        #[test]
        fn a_changed_prefix_needs_no_second_reading(
            old in proptest::collection::vec(any::<u8>(), 0..64),
            seed: u8,
            rest in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            let new: Vec<u8> = old.iter().map(|byte| byte ^ seed).collect();
            let whole = checksum(&[&old[..], &rest].concat());
            prop_assert_eq!(
                replace_prefix(whole, &old, &new, rest.len()),
                checksum(&[&new[..], &rest].concat())
            );
        }
    }
}
