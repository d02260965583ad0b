//! A frame as it arrived: slices of receive buffers in order, never copied together.

use super::buffer::{Gather, Slice};
use crate::base::Pieces;
use smallvec::SmallVec;

/// Owned bytes in one or more slices. One slice, the usual case, needs no allocation.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    slices: SmallVec<[Slice; 1]>,
    len: usize,
}

/// The pieces of a chain, on the stack up to a mebibyte of 64 KiB blocks.
pub type PieceList<'a> = SmallVec<[&'a [u8]; 18]>;

impl Chain {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a slice; one that follows the last one in its block becomes one with it.
    pub fn push(&mut self, slice: Slice) {
        self.len += slice.len();
        let is_joined = self.slices.last_mut().is_some_and(|last| last.join(&slice));
        if !is_joined && !slice.is_empty() {
            self.slices.push(slice);
        }
    }

    pub fn clear(&mut self) {
        self.slices.clear();
        self.len = 0;
    }

    pub fn slices(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter()
    }

    /// The slices as plain pieces; make [`Pieces`] over the list with [`pieces`].
    pub fn piece_list(&self) -> PieceList<'_> {
        self.slices.iter().map(|slice| &**slice).collect()
    }

    /// `len` bytes from `start`, sharing the buffers.
    #[must_use]
    pub fn range(&self, start: usize, len: usize) -> Self {
        assert!(start.checked_add(len).is_some_and(|end| end <= self.len));
        let (mut skip, mut left) = (start, len);
        let mut part = Self::new();
        for slice in &self.slices {
            if left == 0 {
                break;
            }
            if skip >= slice.len() {
                skip -= slice.len();
                continue;
            }
            let take = left.min(slice.len() - skip);
            part.push(slice.range(skip, take));
            left -= take;
            skip = 0;
        }
        part
    }

    /// Appends everything after the first `skip` bytes to a gather, sharing the buffers.
    pub fn gather_from(&self, skip: usize, gather: &mut Gather) {
        let mut skip = skip;
        for slice in &self.slices {
            let from = skip.min(slice.len());
            skip -= from;
            if from < slice.len() {
                gather.push_slice(slice.range(from, slice.len() - from));
            }
        }
    }
}

/// The run over a chain's piece list.
pub fn pieces<'a>(list: &'a [&'a [u8]]) -> Pieces<'a> {
    Pieces::many(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Pool;

    #[test]
    fn neighbours_in_a_block_become_one_slice() {
        let pool = Pool::new(2, 8).unwrap();
        let mut block = pool.take().unwrap();
        block.as_mut_slice().copy_from_slice(b"abcdefgh");
        let whole = block.freeze(8);
        let mut chain = Chain::new();
        chain.push(whole.range(1, 2));
        chain.push(whole.range(3, 3));
        assert_eq!((chain.slices().count(), chain.len()), (1, 5));
        chain.push(whole.range(0, 1));
        assert_eq!(chain.slices().count(), 2);
        assert_eq!(pieces(&chain.piece_list()).to_vec(), b"bcdefa");
    }

    #[test]
    fn ranges_of_a_chain_are_the_bytes_of_the_frame() {
        let pool = Pool::new(3, 4).unwrap();
        let mut chain = Chain::new();
        for text in [b"abcd", b"efgh", b"ijkl"] {
            let mut block = pool.take().unwrap();
            block.as_mut_slice().copy_from_slice(text);
            chain.push(block.freeze(4));
        }
        let all = b"abcdefghijkl";
        for start in 0..=12 {
            for len in 0..=12 - start {
                let part = chain.range(start, len);
                let list = part.piece_list();
                assert_eq!(pieces(&list).to_vec(), all[start..start + len]);
                let mut gather = Gather::new();
                part.gather_from(len / 2, &mut gather);
                assert_eq!(gather.to_vec(), all[start + len / 2..start + len]);
            }
        }
    }
}
