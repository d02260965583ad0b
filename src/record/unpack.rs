//! Unpacking records with a bound: what comes out is never larger than the caller allows, whatever
//! the packed bytes announce.
//!
//! The output goes to a buffer that is used again and grows only as bytes arrive: a bomb fills it to
//! the limit and is refused there. On top of that gzip holds its window of 32 KiB; the other codecs
//! hold none, since they unpack straight into the buffer.

use super::codec::Codec;
use super::{lz4_frame, xerial};
use crate::base::Pieces;
use std::io::{self, BufRead, Read};
use zstd::zstd_safe::{self, zstd_sys::ZSTD_ErrorCode};

/// The first growth of a buffer.
const GROWTH_BYTES_MIN: usize = 16 * 1024;

/// Why packed records could not be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    #[error("{codec} records unpack to more than the {limit} bytes allowed")]
    TooLarge { codec: Codec, limit: usize },
    #[error("{codec} records cannot be unpacked: {detail}")]
    Corrupt { codec: Codec, detail: String },
}

/// Memory for unpacking, kept from batch to batch; one per core is enough.
#[derive(Default)]
pub struct Scratch {
    buffer: Buffer,
    joined: Vec<u8>,
    zstd: Option<zstd_safe::DCtx<'static>>,
}

impl Scratch {
    pub fn new() -> Self {
        Self::default()
    }

    /// The records of a batch as one slice: those that are packed, unpacked to at most `limit`
    /// bytes; those in several pieces, copied together; the others where they lie.
    pub fn unpack<'s>(
        &'s mut self,
        codec: Codec,
        packed: Pieces<'s>,
        limit: usize,
    ) -> Result<&'s [u8], UnpackError> {
        self.buffer.clear();
        match codec {
            Codec::None => {
                if let Some(records) = packed.contiguous() {
                    return Ok(records);
                }
                let room = self.buffer.room(packed.len(), packed.len());
                packed.copy_to(room);
                self.buffer.advance(packed.len());
            }
            Codec::Gzip => {
                let mut reader = flate2::bufread::MultiGzDecoder::new(PiecesReader::new(packed));
                self.buffer.fill(codec, &mut reader, limit)?;
            }
            Codec::Snappy => xerial::unpack(packed, &mut self.buffer, &mut self.joined, limit)?,
            Codec::Lz4 => lz4_frame::unpack(packed, &mut self.buffer, &mut self.joined, limit)?,
            Codec::Zstd => self.unpack_zstd(packed, limit)?,
        }
        Ok(self.buffer.filled())
    }

    /// Gives memory back beyond `keep_bytes`, after a batch that was unusually large.
    pub fn trim(&mut self, keep_bytes: usize) {
        self.buffer.trim(keep_bytes);
        self.joined.clear();
        self.joined.shrink_to(keep_bytes);
    }

    /// Bytes of memory held.
    pub fn held_bytes(&self) -> usize {
        self.buffer.bytes.capacity() + self.joined.capacity()
    }

    /// In one call per attempt, straight into the buffer: no window is allocated, whatever size the
    /// frame announces. When the buffer is too small the frame is unpacked again into one twice as
    /// large; buffers that have grown spare the next batch the attempts.
    fn unpack_zstd(&mut self, packed: Pieces<'_>, limit: usize) -> Result<(), UnpackError> {
        let codec = Codec::Zstd;
        let failed = |detail: &str| UnpackError::Corrupt { codec, detail: detail.to_owned() };
        let frame = packed.contiguous().unwrap_or_else(|| {
            self.joined.clear();
            packed.iter().for_each(|piece| self.joined.extend_from_slice(piece));
            &self.joined
        });
        if self.zstd.is_none() {
            self.zstd = zstd_safe::DCtx::try_create();
        }
        let context = self.zstd.as_mut().ok_or_else(|| failed("no memory for its context"))?;
        let mut room_bytes = self.buffer.capacity().max(frame.len().saturating_mul(4));
        loop {
            room_bytes = room_bytes.clamp(GROWTH_BYTES_MIN.min(limit), limit);
            match context.decompress(self.buffer.room(room_bytes, limit), frame) {
                Ok(len) => {
                    self.buffer.advance(len);
                    return Ok(());
                }
                Err(code) if !is_too_small(code) => {
                    return Err(failed(zstd_safe::get_error_name(code)));
                }
                Err(_) if room_bytes == limit => {
                    return Err(UnpackError::TooLarge { codec, limit });
                }
                Err(_) => room_bytes = room_bytes.saturating_mul(2),
            }
        }
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("held_bytes", &self.held_bytes()).finish_non_exhaustive()
    }
}

/// zstd's codes are the negative of its error numbers.
fn is_too_small(code: usize) -> bool {
    code.wrapping_neg() == ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize
}

/// Output that keeps its memory: bytes stay initialised, only the count of valid ones is reset.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// How many bytes are valid.
    pub const fn len(&self) -> usize {
        self.len
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// `bytes` bytes after the valid ones, to be written and then counted by `advance`. Grows to
    /// twice its size, as far as `limit` lets it: a stream of many small blocks that grew it by one
    /// each time would be copied as often.
    pub fn room(&mut self, bytes: usize, limit: usize) -> &mut [u8] {
        let end = self.len + bytes;
        if self.bytes.len() < end {
            let grown = self.bytes.len().saturating_mul(2).min(limit).max(end);
            self.bytes.reserve_exact(grown - self.bytes.len());
            self.bytes.resize(grown, 0);
        }
        &mut self.bytes[self.len..end]
    }

    pub fn advance(&mut self, bytes: usize) {
        self.len += bytes;
        assert!(self.len <= self.bytes.len());
    }

    fn trim(&mut self, keep_bytes: usize) {
        self.clear();
        if self.bytes.len() > keep_bytes {
            self.bytes.truncate(keep_bytes);
            self.bytes.shrink_to_fit();
        }
    }

    /// Reads to the end of `reader`, which may give at most `limit` bytes.
    fn fill(
        &mut self,
        codec: Codec,
        reader: &mut impl Read,
        limit: usize,
    ) -> Result<(), UnpackError> {
        loop {
            let left = limit - self.len;
            let result = if left == 0 {
                // Full: the end must come now.
                match reader.read(&mut [0]) {
                    Ok(0) => Ok(0),
                    Ok(_) => return Err(UnpackError::TooLarge { codec, limit }),
                    Err(error) => Err(error),
                }
            } else {
                let spare = self.bytes.len() - self.len;
                let grown = if spare > 0 { spare } else { self.len.max(GROWTH_BYTES_MIN) };
                reader.read(self.room(grown.min(left), limit))
            };
            match result {
                Ok(0) => return Ok(()),
                Ok(read) => self.advance(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(UnpackError::Corrupt { codec, detail: error.to_string() });
                }
            }
        }
    }
}

/// Reads a run of bytes from its pieces.
struct PiecesReader<'a> {
    left: Pieces<'a>,
}

impl<'a> PiecesReader<'a> {
    const fn new(pieces: Pieces<'a>) -> Self {
        Self { left: pieces }
    }

    fn piece(&self) -> &'a [u8] {
        self.left.iter().next().unwrap_or_default()
    }
}

impl Read for PiecesReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let piece = self.piece();
        let len = piece.len().min(out.len());
        out[..len].copy_from_slice(&piece[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for PiecesReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.piece())
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.split_at(bytes).1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Packing;

    fn text(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at / 7 % 251) as u8 ^ (at % 13) as u8).collect()
    }

    fn packed(codec: Codec, records: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Packing::of(codec).pack(records, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_packed_unpacks_to_the_same_whatever_the_cuts() {
        let mut scratch = Scratch::new();
        for codec in Codec::ALL {
            for bytes in [0, 1, 100, 70_000, 300_000] {
                let records = text(bytes);
                let whole = packed(codec, &records);
                let pieces = Pieces::one(&whole);
                assert_eq!(scratch.unpack(codec, pieces, bytes).unwrap(), records, "{codec}");
                for cut in [0, 1, 9, whole.len() / 2, whole.len()] {
                    let (left, right) = whole.split_at(cut.min(whole.len()));
                    let parts = [left, right];
                    let pieces = Pieces::many(&parts);
                    assert_eq!(scratch.unpack(codec, pieces, bytes).unwrap(), records, "{codec}");
                }
            }
        }
    }

    #[test]
    fn a_stream_of_small_blocks_is_not_copied_for_each() {
        let limit = 8 << 20;
        let (mut buffer, mut growths) = (Buffer::default(), 0);
        while buffer.len() < limit {
            let before = buffer.capacity();
            buffer.room((32 << 10).min(limit - buffer.len()), limit);
            growths += usize::from(buffer.capacity() > before);
            buffer.advance((32 << 10).min(limit - buffer.len()));
        }
        assert!(growths <= 10, "{growths} growths for 256 blocks");
        assert_eq!(buffer.capacity(), limit);
    }

    #[test]
    fn every_cut_of_packed_bytes_is_an_error() {
        let mut scratch = Scratch::new();
        let records = text(3000);
        for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
            let whole = packed(codec, &records);
            for cut in 1..whole.len() {
                let unpacked = scratch.unpack(codec, Pieces::one(&whole[..cut]), 1 << 20);
                assert!(
                    matches!(unpacked, Err(UnpackError::Corrupt { .. })),
                    "{codec} cut at {cut} of {}: {unpacked:?}",
                    whole.len()
                );
            }
        }
        // Snappy's framing has no end: a cut between chunks is a shorter stream.
        let whole = packed(Codec::Snappy, &text(40_000));
        let first =
            16 + 4 + u32::from_be_bytes([whole[16], whole[17], whole[18], whole[19]]) as usize;
        for cut in (17..whole.len()).filter(|&cut| cut != first) {
            let unpacked = scratch.unpack(Codec::Snappy, Pieces::one(&whole[..cut]), 1 << 20);
            assert!(unpacked.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_and_memory_stays_below_it() {
        let zeros = vec![0; 8 << 20];
        let limit = 100_000;
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut scratch = Scratch::new();
            let bomb = packed(codec, &zeros);
            assert!(bomb.len() < zeros.len() / 15, "{codec}");
            assert_eq!(
                scratch.unpack(codec, Pieces::one(&bomb), limit),
                Err(UnpackError::TooLarge { codec, limit })
            );
            assert!(scratch.held_bytes() <= limit, "{codec}: {}", scratch.held_bytes());
            let exact = scratch.unpack(codec, Pieces::one(&bomb), zeros.len()).unwrap();
            assert_eq!(exact.len(), zeros.len());
            scratch.trim(4096);
            assert!(scratch.held_bytes() <= 4096, "{codec}: {}", scratch.held_bytes());
        }
    }

    #[test]
    fn raw_snappy_without_framing_is_read_too() {
        let records = text(50_000);
        let raw = snap::raw::Encoder::new().compress_vec(&records).unwrap();
        let mut scratch = Scratch::new();
        assert_eq!(scratch.unpack(Codec::Snappy, Pieces::one(&raw), 50_000).unwrap(), records);
    }

    #[test]
    fn snappy_lengths_are_not_believed() {
        let mut scratch = Scratch::new();
        let check = |scratch: &mut Scratch, bytes: &[u8], limit| {
            let error = scratch.unpack(Codec::Snappy, Pieces::one(bytes), limit).unwrap_err();
            assert!(scratch.held_bytes() == 0, "{error}: {}", scratch.held_bytes());
            error
        };
        // A raw block that announces 4 GiB less one, then one below the limit.
        let announced = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(
            check(&mut scratch, &announced, 1 << 20),
            UnpackError::TooLarge { codec: Codec::Snappy, limit: 1 << 20 }
        );
        let corrupt = check(&mut scratch, &announced, usize::MAX);
        assert!(matches!(corrupt, UnpackError::Corrupt { .. }));
        // Chunks longer than what is left, negative, and cut.
        let mut framed = packed(Codec::Snappy, &[]);
        framed.extend_from_slice(&i32::MAX.to_be_bytes());
        assert!(matches!(check(&mut scratch, &framed, 99), UnpackError::Corrupt { .. }));
        framed[16..].copy_from_slice(&(-5i32).to_be_bytes());
        assert!(matches!(check(&mut scratch, &framed, 99), UnpackError::Corrupt { .. }));
        check(&mut scratch, &framed[..18], 99);
        framed.truncate(16);
        framed[15] = 9;
        assert!(matches!(check(&mut scratch, &framed, 99), UnpackError::Corrupt { .. }));
    }

    #[test]
    fn noise_is_refused_by_every_codec() {
        let mut random = crate::base::Random::new(11);
        let mut scratch = Scratch::new();
        for _ in 0..200 {
            let mut noise = vec![0; random.between(1, 300) as usize];
            random.fill(&mut noise);
            for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
                assert!(scratch.unpack(codec, Pieces::one(&noise), 1 << 16).is_err(), "{codec}");
            }
            // Random bytes can be a snappy block; they must not unpack beyond the bound.
            if let Ok(records) = scratch.unpack(Codec::Snappy, Pieces::one(&noise), 1 << 16) {
                assert!(records.len() <= 1 << 16);
            }
        }
    }

    #[test]
    fn damage_in_the_middle_is_never_a_panic() {
        let mut random = crate::base::Random::new(5);
        let records = text(5000);
        let mut scratch = Scratch::new();
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let whole = packed(codec, &records);
            for _ in 0..300 {
                let mut damaged = whole.clone();
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] ^= 1 << random.below(8);
                if let Ok(unpacked) = scratch.unpack(codec, Pieces::one(&damaged), 1 << 16) {
                    assert!(unpacked.len() <= 1 << 16);
                }
            }
        }
    }

    #[test]
    fn levels_are_those_of_kafkas_settings() {
        assert!(Packing::with_level(Codec::Gzip, -1).is_ok());
        assert!(Packing::with_level(Codec::Gzip, 0).is_err());
        assert!(Packing::with_level(Codec::Gzip, 10).is_err());
        assert!(Packing::with_level(Codec::Lz4, 17).is_ok());
        assert!(Packing::with_level(Codec::Lz4, 18).is_err());
        assert!(Packing::with_level(Codec::Zstd, 23).is_err());
        let records = text(200_000);
        let mut scratch = Scratch::new();
        for packing in [
            Packing::with_level(Codec::Zstd, 22).unwrap(),
            Packing::with_level(Codec::Zstd, -5).unwrap(),
            Packing::with_level(Codec::Gzip, 9).unwrap(),
        ] {
            let mut out = Vec::new();
            packing.pack(&records, &mut out).unwrap();
            let unpacked = scratch.unpack(packing.codec(), Pieces::one(&out), 200_000).unwrap();
            assert_eq!(unpacked, records);
        }
    }
}
