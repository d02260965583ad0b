//! One lz4 frame, unpacked block by block straight into the output.
//!
//! ```text
//! magic u32le 0x184D2204 | flags u8 | block descriptor u8 | [content size 8] | check u8
//! block: size u32le (high bit: not packed) | bytes | [checksum u32le]
//! end: 0 u32le | [content checksum u32le]
//! ```
//!
//! Taken is what Kafka's own reader takes, so that what passes here can be read by every consumer:
//! exactly one whole frame of the current version, independent blocks, no dictionary, a true header
//! check and true block checksums. The library's frame reader takes a frame without an end for a
//! whole one and allocates three blocks by what the header announces; here nothing is held beside
//! the output, and a block's room is bounded by what its bytes can unpack to.

use super::codec::Codec;
use super::unpack::{Buffer, UnpackError};
use crate::base::{Pieces, xxh32};
use lz4_flex::block::DecompressError;

const MAGIC: u32 = 0x184D_2204;
/// Size bit of a block that is stored as it is.
const STORED: u32 = 1 << 31;
/// The most that lz4 unpacks from one byte: each byte of a match's length adds 255.
const EXPANSION_MAX: usize = 255;

/// What a frame's header says.
struct Frame {
    header_bytes: usize,
    block_bytes_max: usize,
    block_checksum: bool,
    content_checksum: bool,
}

/// Unpacks one frame into `out`. A block that lies in several pieces is put together in `joined`.
pub fn unpack(
    packed: Pieces<'_>,
    out: &mut Buffer,
    joined: &mut Vec<u8>,
    limit: usize,
) -> Result<(), UnpackError> {
    let frame = Frame::parse(packed)?;
    let checksum_bytes = if frame.block_checksum { 4 } else { 0 };
    let mut left = packed.split_at(frame.header_bytes).1;
    loop {
        let size = left.array::<4>(0).ok_or_else(|| corrupt("the frame has no end"))?;
        let size = u32::from_le_bytes(size);
        if size == 0 {
            break;
        }
        let bytes = (size & !STORED) as usize;
        if bytes > frame.block_bytes_max {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        let block = left.range(4, bytes).ok_or_else(|| corrupt("a block is cut"))?;
        let block = block.contiguous().unwrap_or_else(|| {
            joined.clear();
            block.iter().for_each(|piece| joined.extend_from_slice(piece));
            joined
        });
        if frame.block_checksum {
            let stored = left.array::<4>(4 + bytes).map(u32::from_le_bytes);
            if stored != Some(xxh32::hash(block)) {
                return Err(corrupt("the checksum of a block is wrong"));
            }
        }
        unpack_block(block, size & STORED != 0, frame.block_bytes_max, out, limit)?;
        left = left.split_at(4 + bytes + checksum_bytes).1;
    }
    let end_bytes = if frame.content_checksum { 8 } else { 4 };
    if left.len() == end_bytes {
        Ok(())
    } else {
        Err(corrupt("the frame does not end with the records"))
    }
}

impl Frame {
    fn parse(packed: Pieces<'_>) -> Result<Self, UnpackError> {
        let head = packed.array::<7>(0).ok_or_else(|| corrupt("the frame header is cut"))?;
        let [m0, m1, m2, m3, flags, descriptor, _] = head;
        if u32::from_le_bytes([m0, m1, m2, m3]) != MAGIC {
            return Err(corrupt("not an lz4 frame"));
        }
        if flags >> 6 != 1 || flags & 0b11 != 0 {
            return Err(corrupt("a version or dictionary that Kafka does not read"));
        }
        if flags & 1 << 5 == 0 {
            return Err(corrupt("blocks depend on each other, which Kafka does not read"));
        }
        let block_size_id = descriptor >> 4;
        if descriptor & 0b1000_1111 != 0 || !(4..=7).contains(&block_size_id) {
            return Err(corrupt("no such block size"));
        }
        let content_size_bytes = if flags & 1 << 3 == 0 { 0 } else { 8 };
        let mut described = [0; 10];
        let described = &mut described[..2 + content_size_bytes];
        let header = packed.range(4, described.len() + 1);
        let header = header.ok_or_else(|| corrupt("the frame header is cut"))?;
        header.split_at(described.len()).0.copy_to(described);
        if header.array::<1>(described.len()) != Some([(xxh32::hash(described) >> 8) as u8]) {
            return Err(corrupt("the check of the frame header is wrong"));
        }
        Ok(Self {
            header_bytes: 4 + header.len(),
            // 64 KiB, 256 KiB, 1 MiB, 4 MiB.
            block_bytes_max: 1 << (2 * block_size_id + 8),
            block_checksum: flags & 1 << 4 != 0,
            content_checksum: flags & 1 << 2 != 0,
        })
    }
}

fn unpack_block(
    block: &[u8],
    stored: bool,
    block_bytes_max: usize,
    out: &mut Buffer,
    limit: usize,
) -> Result<(), UnpackError> {
    let left = limit.saturating_sub(out.len());
    if stored {
        if block.len() > left {
            return Err(UnpackError::TooLarge { codec: Codec::Lz4, limit });
        }
        out.room(block.len(), limit).copy_from_slice(block);
        out.advance(block.len());
        return Ok(());
    }
    let most = block.len().saturating_mul(EXPANSION_MAX).min(block_bytes_max);
    match lz4_flex::block::decompress_into(block, out.room(most.min(left), limit)) {
        Ok(written) => out.advance(written),
        Err(DecompressError::OutputTooSmall { .. }) if left < most => {
            return Err(UnpackError::TooLarge { codec: Codec::Lz4, limit });
        }
        Err(error) => {
            return Err(UnpackError::Corrupt { codec: Codec::Lz4, detail: error.to_string() });
        }
    }
    Ok(())
}

fn corrupt(detail: &str) -> UnpackError {
    UnpackError::Corrupt { codec: Codec::Lz4, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write as _;

    fn frame(info: FrameInfo, content: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
        let (mut out, mut joined) = (Buffer::default(), Vec::new());
        unpack(Pieces::one(bytes), &mut out, &mut joined, limit)?;
        Ok(out.filled().to_vec())
    }

    #[test]
    fn frames_of_every_make_that_kafka_reads_are_unpacked() {
        let content: Vec<u8> = (0..300_000u32).map(|at| (at / 9 * 7 % 253) as u8).collect();
        let mut random = crate::base::Random::new(1);
        let mut noise = vec![0; 100_000];
        random.fill(&mut noise);
        for content in [&content[..], &noise, b"", b"x"] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                let plain = FrameInfo::new().block_mode(BlockMode::Independent).block_size(size);
                for info in [
                    plain.clone(),
                    plain.clone().block_checksums(true),
                    plain.clone().content_checksum(true).content_size(Some(content.len() as u64)),
                ] {
                    let bytes = frame(info, content);
                    assert_eq!(unpacked(&bytes, content.len()).as_deref(), Ok(content));
                    if !content.is_empty() {
                        let limit = content.len() - 1;
                        let too_large = UnpackError::TooLarge { codec: Codec::Lz4, limit };
                        assert_eq!(unpacked(&bytes, limit), Err(too_large));
                    }
                }
            }
        }
    }

    #[test]
    fn frames_that_kafka_does_not_read_are_refused() {
        let independent = FrameInfo::new().block_mode(BlockMode::Independent);
        let good = frame(independent.clone().block_checksums(true), b"abcabcabcabcabc");
        assert!(unpacked(&good, 100).is_ok());
        let linked = frame(FrameInfo::new().block_mode(BlockMode::Linked), b"abc");
        let two = [&good[..], &good].concat();
        for bytes in [&linked[..], &two, &good[..good.len() - 1], &[], &MAGIC.to_le_bytes()] {
            assert!(matches!(unpacked(bytes, 100), Err(UnpackError::Corrupt { .. })));
        }
        // Every bit of a frame with block checksums counts, but for the one that says "stored".
        let stored_bit = 10 * 8 + 7;
        for bit in (0..good.len() * 8).filter(|&bit| bit != stored_bit) {
            let mut damaged = good.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unpacked(&damaged, 100).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_small_frame_of_large_blocks_takes_little_memory() {
        let info =
            FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max4MB);
        let bytes = frame(info, b"abc");
        let mut out = Buffer::default();
        unpack(Pieces::one(&bytes), &mut out, &mut Vec::new(), 1 << 30).unwrap();
        assert!(out.capacity() < 4096, "{}", out.capacity());
    }
}
