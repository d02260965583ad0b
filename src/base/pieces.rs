//! A run of bytes that lies in one or more pieces of memory.
//!
//! A frame that arrived in several receive buffers is not copied together: readers walk it as
//! `Pieces`. The usual case, one piece, costs one branch.

/// Borrowed bytes in one or more pieces; `Copy`, never allocates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pieces<'a> {
    /// First piece. Shorter than `len` only when the run goes on in `tail`.
    head: &'a [u8],
    /// Pieces after the first; may reach beyond the run, which ends after `len` bytes.
    tail: &'a [&'a [u8]],
    len: usize,
}

impl<'a> Pieces<'a> {
    /// A run that lies in one piece.
    pub const fn one(bytes: &'a [u8]) -> Self {
        Self { head: bytes, tail: &[], len: bytes.len() }
    }

    /// A run over all of `pieces`, in order.
    pub fn many(pieces: &'a [&'a [u8]]) -> Self {
        match pieces {
            [] => Self::default(),
            [head, tail @ ..] => {
                let len = pieces.iter().map(|piece| piece.len()).sum();
                Self { head, tail, len }
            }
        }
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes as one slice, if they lie in one piece.
    pub const fn contiguous(&self) -> Option<&'a [u8]> {
        if self.head.len() == self.len { Some(self.head) } else { None }
    }

    /// The pieces in order; none is empty, together they are exactly `len` bytes.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut left = self.len;
        std::iter::once(self.head)
            .chain(self.tail.iter().copied())
            .map(move |piece| {
                let piece = &piece[..piece.len().min(left)];
                left -= piece.len();
                piece
            })
            .filter(|piece| !piece.is_empty())
    }

    /// Splits at `at` bytes, which must not exceed `len`.
    #[must_use]
    pub fn split_at(self, at: usize) -> (Self, Self) {
        assert!(at <= self.len);
        if at < self.head.len() || self.head.len() == self.len {
            let (left, right) = self.head.split_at(at);
            return (Self::one(left), Self { head: right, tail: self.tail, len: self.len - at });
        }
        let left = Self { head: self.head, tail: self.tail, len: at };
        let mut skip = at - self.head.len();
        for (index, piece) in self.tail.iter().enumerate() {
            if skip < piece.len() {
                let rest = self.len - at;
                let head = &piece[skip..piece.len().min(skip + rest)];
                return (left, Self { head, tail: &self.tail[index + 1..], len: rest });
            }
            skip -= piece.len();
        }
        (left, Self::default())
    }

    /// `len` bytes from `start`; `None` if the run is shorter.
    pub fn range(self, start: usize, len: usize) -> Option<Self> {
        if start.checked_add(len)? > self.len {
            return None;
        }
        Some(self.split_at(start).1.split_at(len).0)
    }

    /// Copies `N` bytes from `start`; `None` if the run is shorter.
    pub fn array<const N: usize>(&self, start: usize) -> Option<[u8; N]> {
        let mut out = [0; N];
        if let Some(bytes) = self.head.get(start..start.checked_add(N)?) {
            out.copy_from_slice(bytes);
            return Some(out);
        }
        self.range(start, N)?.copy_to(&mut out);
        Some(out)
    }

    /// Copies the whole run into `out`, whose length must equal `len`.
    pub fn copy_to(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.len);
        let mut at = 0;
        for piece in self.iter() {
            out[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
    }

    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        for piece in self.iter() {
            out.extend_from_slice(piece);
        }
        out
    }
}

impl<'a> From<&'a [u8]> for Pieces<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::one(bytes)
    }
}

impl PartialEq for Pieces<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().flatten().eq(other.iter().flatten())
    }
}

impl Eq for Pieces<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_every_cut_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..17).collect();
        for cut_a in 0..=17 {
            for cut_b in cut_a..=17 {
                let parts = [&bytes[..cut_a], &bytes[cut_a..cut_b], &bytes[cut_b..]];
                let pieces = Pieces::many(&parts);
                assert_eq!(pieces.to_vec(), bytes);
                for at in 0..=17 {
                    let (left, right) = pieces.split_at(at);
                    assert_eq!(left.to_vec(), bytes[..at]);
                    assert_eq!(right.to_vec(), bytes[at..]);
                    for len in 0..=17 - at {
                        assert_eq!(pieces.range(at, len).unwrap().to_vec(), bytes[at..at + len]);
                    }
                    assert!(pieces.range(at, 18 - at).is_none());
                    assert_eq!(
                        pieces.array::<4>(at).map(|a| a.to_vec()),
                        bytes.get(at..at + 4).map(<[u8]>::to_vec)
                    );
                }
            }
        }
    }

    #[test]
    fn one_piece_is_contiguous_and_ranges_of_it_too() {
        let pieces = Pieces::one(b"abcdef");
        assert_eq!(pieces.contiguous(), Some(&b"abcdef"[..]));
        assert_eq!(pieces.range(2, 3).unwrap().contiguous(), Some(&b"cde"[..]));
    }
}
