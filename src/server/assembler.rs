//! Finds the edges of frames in what a connection receives. Frames are ranges of the receive
//! buffers; nothing is copied. A frame that is not here whole must first say which request it is: for
//! one that cannot be answered no body is taken. A frame that is larger than a receive buffer goes on arriving in
//! blocks, so that memory grows with bytes that came and never with a length that was announced.

use crate::protocol::ProtocolError;
use crate::protocol::frame::{FRAME_SIZE_LEN, FRAME_START_LEN, check_start, frame_size};
use crate::runtime::{Chain, Pool, Slice};

/// One connection's frames.
#[derive(Debug)]
pub struct Assembler {
    size_max: usize,
    /// Bytes of the frame under way, its size included.
    partial: Chain,
    /// Bytes of the whole frame, once its size is known.
    wanted: Option<usize>,
    /// The size as it came.
    size: [u8; FRAME_SIZE_LEN],
    /// It has been seen that the frame under way begins a request that can be answered.
    is_known: bool,
    /// Received and not yet looked at.
    rest: Option<Slice>,
    /// The frame under way no longer lies in the receive ring.
    is_moved: bool,
}

impl Assembler {
    /// Frames of at most `size_max` bytes (`socket.request.max.bytes`).
    pub fn new(size_max: usize) -> Self {
        Self {
            size_max,
            partial: Chain::new(),
            wanted: None,
            size: [0; FRAME_SIZE_LEN],
            is_known: false,
            rest: None,
            is_moved: false,
        }
    }

    /// Adds what was received; `next` must have been drained before.
    pub fn push(&mut self, slice: Slice) {
        assert!(self.rest.is_none());
        self.rest = Some(slice);
    }

    /// Bytes that the frame under way still lacks, once it is known what it is.
    pub fn missing(&self) -> Option<usize> {
        self.wanted.filter(|_| self.is_known).map(|wanted| wanted - self.partial.len())
    }

    /// The bytes where a size was expected last.
    pub fn size_bytes(&self) -> [u8; FRAME_SIZE_LEN] {
        self.size
    }

    /// Adds a part of the frame under way; at most what is missing of it.
    pub fn push_body(&mut self, slice: Slice) {
        assert!(self.rest.is_none() && self.missing().is_some_and(|left| slice.len() <= left));
        self.partial.push(slice);
    }

    /// Bytes held of a frame that is not whole.
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    /// Moves the beginning of a frame out of the receive ring, whose few buffers are for what is
    /// worked on at once: who sends half a frame and stops would keep one from everybody else.
    pub fn move_to(&mut self, blocks: &Pool) {
        if self.is_moved || self.partial.is_empty() || self.partial.len() > blocks.block_bytes() {
            return;
        }
        let Some(mut block) = blocks.take() else { return };
        let mut len = 0;
        for slice in self.partial.slices() {
            block.as_mut_slice()[len..len + slice.len()].copy_from_slice(slice);
            len += slice.len();
        }
        self.partial.clear();
        self.partial.push(block.freeze(len));
        self.is_moved = true;
    }

    /// The next whole frame, without its size.
    #[expect(clippy::should_implement_trait, reason = "more may come after a `None`")]
    pub fn next(&mut self) -> Result<Option<Chain>, ProtocolError> {
        loop {
            let target = self.target();
            self.take_up_to(target);
            if self.partial.len() < target {
                return Ok(None);
            }
            match self.wanted {
                None => {
                    self.size = self.start();
                    self.wanted = Some(FRAME_SIZE_LEN + frame_size(self.size, self.size_max)?);
                }
                Some(wanted) if wanted == target => {
                    self.wanted = None;
                    (self.is_known, self.is_moved) = (false, false);
                    let whole = std::mem::take(&mut self.partial);
                    return Ok(Some(whole.range(FRAME_SIZE_LEN, whole.len() - FRAME_SIZE_LEN)));
                }
                Some(_) => {
                    check_start(self.start())?;
                    self.is_known = true;
                }
            }
        }
    }

    /// Bytes of the frame under way that the next step takes.
    fn target(&self) -> usize {
        let Some(wanted) = self.wanted else { return FRAME_SIZE_LEN };
        let here = self.partial.len() + self.rest.as_ref().map_or(0, |rest| rest.len());
        if self.is_known || here >= wanted { wanted } else { wanted.min(FRAME_START_LEN) }
    }

    /// The first bytes of the frame under way, which are here.
    fn start<const LEN: usize>(&self) -> [u8; LEN] {
        let list = self.partial.piece_list();
        crate::runtime::chain::pieces(&list).array(0).expect("so many bytes are here")
    }

    fn take_up_to(&mut self, target: usize) {
        let Some(rest) = self.rest.take() else { return };
        let take = (target - self.partial.len()).min(rest.len());
        if take == rest.len() {
            self.partial.push(rest);
        } else {
            self.partial.push(rest.range(0, take));
            self.rest = Some(rest.range(take, rest.len() - take));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::chain;

    fn slices(pool: &Pool, bytes: &[u8], cuts: &[usize]) -> Vec<Slice> {
        let mut start = 0;
        let ends = cuts.iter().copied().chain([bytes.len()]);
        ends.map(|end| {
            let part = &bytes[start..end];
            start = end;
            let mut block = pool.take().unwrap();
            block.as_mut_slice()[..part.len()].copy_from_slice(part);
            block.freeze(part.len())
        })
        .filter(|slice| !slice.is_empty())
        .collect()
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let pool = Pool::new(8, 64).unwrap();
        let bytes = b"\0\0\0\x03abc\0\0\0\x00\0\0\0\x02de";
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                let mut assembler = Assembler::new(100);
                let mut frames = Vec::new();
                for slice in slices(&pool, bytes, &[a, b]) {
                    assembler.push(slice);
                    while let Some(frame) = assembler.next().unwrap() {
                        frames.push(chain::pieces(&frame.piece_list()).to_vec());
                    }
                }
                assert_eq!(frames, [b"abc".to_vec(), vec![], b"de".to_vec()]);
                assert_eq!((assembler.held(), assembler.missing()), (0, None));
            }
        }
    }

    #[test]
    fn half_a_frame_leaves_the_receive_ring_and_is_completed_elsewhere() {
        let (ring, blocks) = (Pool::new(1, 64).unwrap(), Pool::new(2, 64).unwrap());
        let mut assembler = Assembler::new(100);
        assembler.push(slices(&ring, b"\0\0\0\x08\0\x12\0\x03a", &[]).remove(0));
        assert!(assembler.next().unwrap().is_none());
        assert_eq!((ring.used(), assembler.held(), assembler.missing()), (1, 9, Some(3)));
        assembler.move_to(&blocks);
        assert_eq!((ring.used(), blocks.used(), assembler.held()), (0, 1, 9));
        assembler.move_to(&blocks);
        assert_eq!(blocks.used(), 1);
        assembler.push_body(slices(&blocks, b"bcd", &[]).remove(0));
        let frame = assembler.next().unwrap().unwrap();
        assert_eq!(chain::pieces(&frame.piece_list()).to_vec(), b"\0\x12\0\x03abcd");
    }

    #[test]
    fn a_request_that_cannot_be_answered_is_refused_before_its_body() {
        let pool = Pool::new(2, 64).unwrap();
        for (start, refused) in [
            (b"\0\0\0\x40\x7f\xff\0\x01", true),
            (b"\0\0\0\x40\0\x00\0\x63", true),
            (b"\0\0\0\x40\0\x12\0\x63", false),
            (b"\0\0\0\x40\0\x00\0\x09", false),
        ] {
            for cut in 0..start.len() {
                let mut assembler = Assembler::new(100);
                let mut result = Ok(None);
                for slice in slices(&pool, start, &[cut]) {
                    result = result.and_then(|_| {
                        assembler.push(slice);
                        assembler.next()
                    });
                }
                assert_eq!(result.is_err(), refused, "{start:?} cut at {cut}");
                assert!(refused || assembler.missing() == Some(0x40 - 4));
            }
        }
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused_before_its_body() {
        let pool = Pool::new(1, 64).unwrap();
        for size in [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\x65"] {
            let mut assembler = Assembler::new(100);
            assembler.push(slices(&pool, size, &[]).remove(0));
            assert!(matches!(assembler.next(), Err(ProtocolError::FrameSize { .. })));
        }
    }
}
