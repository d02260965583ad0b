//! Snappy in the two shapes that Kafka's clients send: one raw block, or xerial's framing.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 | lowest readable version i32 | chunk ...
//! chunk: length i32 | raw snappy block
//! ```
//!
//! A raw block starts with the length that it unpacks to. Neither length is believed before it is
//! held against the bytes that are there: snappy cannot expand without limit, so a block that
//! announces more than its bytes could give is a lie, found before memory is taken.

use super::Codec;
use super::unpack::{Buffer, UnpackError};
use crate::base::Pieces;

/// The eight bytes at the start of the framing.
const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic and two version numbers.
const HEADER_BYTES: usize = 16;
/// The version that every writer writes and the oldest that reads it.
const VERSION: i32 = 1;
/// Bytes before packing in a chunk: xerial's default.
const CHUNK_BYTES: usize = 32 * 1024;
/// The most that snappy unpacks from one byte: a copy of 64 bytes takes three.
const EXPANSION_MAX: usize = 22;

/// Packs `records` with framing and appends to `out`.
pub fn pack(records: &[u8], out: &mut Vec<u8>) -> Result<(), snap::Error> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in records.chunks(CHUNK_BYTES) {
        let start = out.len() + 4;
        out.resize(start + snap::raw::max_compress_len(chunk.len()), 0);
        let len = encoder.compress(chunk, &mut out[start..])?;
        out.truncate(start + len);
        out[start - 4..start].copy_from_slice(&(len as u32).to_be_bytes());
    }
    Ok(())
}

/// Unpacks either shape into `out`. A block that lies in several pieces is put together in `joined`.
pub fn unpack(
    packed: Pieces<'_>,
    out: &mut Buffer,
    joined: &mut Vec<u8>,
    limit: usize,
) -> Result<(), UnpackError> {
    if packed.array::<8>(0) != Some(MAGIC) {
        return unpack_block(packed, out, joined, limit);
    }
    let Some(versions) = packed.array::<8>(8) else {
        return Err(corrupt("the header of xerial's framing is cut"));
    };
    let lowest = i32::from_be_bytes([versions[4], versions[5], versions[6], versions[7]]);
    if lowest > VERSION {
        return Err(UnpackError::Corrupt {
            codec: Codec::Snappy,
            detail: format!("xerial's framing needs a reader of version {lowest}"),
        });
    }
    let mut left = packed.split_at(HEADER_BYTES).1;
    while !left.is_empty() {
        let length = left.array::<4>(0).ok_or_else(|| corrupt("the length of a chunk is cut"))?;
        let length = i32::from_be_bytes(length);
        let chunk = usize::try_from(length)
            .ok()
            .and_then(|length| left.range(4, length))
            .ok_or_else(|| UnpackError::Corrupt {
                codec: Codec::Snappy,
                detail: format!("a chunk of {length} bytes where {} are left", left.len() - 4),
            })?;
        unpack_block(chunk, out, joined, limit)?;
        left = left.split_at(4 + chunk.len()).1;
    }
    Ok(())
}

fn unpack_block(
    block: Pieces<'_>,
    out: &mut Buffer,
    joined: &mut Vec<u8>,
    limit: usize,
) -> Result<(), UnpackError> {
    let block = block.contiguous().unwrap_or_else(|| {
        joined.clear();
        block.iter().for_each(|piece| joined.extend_from_slice(piece));
        joined
    });
    let failed = |error: snap::Error| UnpackError::Corrupt {
        codec: Codec::Snappy,
        detail: error.to_string(),
    };
    let length = snap::raw::decompress_len(block).map_err(failed)?;
    if length > limit.saturating_sub(out.len()) {
        return Err(UnpackError::TooLarge { codec: Codec::Snappy, limit });
    }
    if length > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(UnpackError::Corrupt {
            codec: Codec::Snappy,
            detail: format!("a block of {} bytes announces {length}", block.len()),
        });
    }
    let room = out.room(length, limit);
    let written = snap::raw::Decoder::new().decompress(block, room).map_err(failed)?;
    out.advance(written);
    Ok(())
}

fn corrupt(detail: &str) -> UnpackError {
    UnpackError::Corrupt { codec: Codec::Snappy, detail: detail.to_owned() }
}
