//! Packing records: the four codecs as Kafka's producers write them.
//!
//! gzip is one member; snappy is framed as xerial does it (the framing that Java clients write:
//! blocks of 32 KiB, each with its length); lz4 is one frame of independent 64 KiB blocks; zstd one
//! frame that states its content size.

use super::codec::Codec;
use super::xerial;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write as _;

/// Why records could not be packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    #[error("{codec} has no level {level}: its levels are {min} to {max}")]
    Level { codec: Codec, level: i32, min: i32, max: i32 },
    #[error("{codec} could not pack: {detail}")]
    Failed { codec: Codec, detail: String },
}

/// A codec with its level, checked.
///
/// lz4 levels 1 to 17 are taken as Kafka's setting `compression.lz4.level` allows them; the packer
/// has one speed, so all of them give the same (valid) bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    codec: Codec,
    level: i32,
}

impl Packing {
    /// `codec` at its default level.
    pub const fn of(codec: Codec) -> Self {
        let level = match codec {
            Codec::None | Codec::Snappy => 0,
            Codec::Gzip => 6,
            Codec::Lz4 => 9,
            Codec::Zstd => 3,
        };
        Self { codec, level }
    }

    /// `codec` at `level`, which must be one that Kafka's settings allow; gzip takes -1 for its
    /// default. Codecs without levels take any.
    pub fn with_level(codec: Codec, level: i32) -> Result<Self, PackError> {
        let (min, max) = match codec {
            Codec::None | Codec::Snappy => return Ok(Self::of(codec)),
            Codec::Gzip if level == -1 => return Ok(Self::of(codec)),
            Codec::Gzip => (1, 9),
            Codec::Lz4 => (1, 17),
            Codec::Zstd => (-131_072, 22),
        };
        if !(min..=max).contains(&level) {
            return Err(PackError::Level { codec, level, min, max });
        }
        Ok(Self { codec, level })
    }

    pub const fn codec(self) -> Codec {
        self.codec
    }

    pub const fn level(self) -> i32 {
        self.level
    }

    /// Packs `records` and appends the result to `out`.
    pub fn pack(self, records: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        let failed = |error: &dyn std::fmt::Display| PackError::Failed {
            codec: self.codec,
            detail: error.to_string(),
        };
        match self.codec {
            Codec::None => out.extend_from_slice(records),
            Codec::Gzip => {
                let level = flate2::Compression::new(self.level.unsigned_abs());
                let mut encoder = flate2::write::GzEncoder::new(&mut *out, level);
                encoder.write_all(records).map_err(|error| failed(&error))?;
                encoder.finish().map_err(|error| failed(&error))?;
            }
            Codec::Snappy => xerial::pack(records, out).map_err(|error| failed(&error))?,
            Codec::Lz4 => {
                let info = FrameInfo::new()
                    .block_mode(BlockMode::Independent)
                    .block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(info, &mut *out);
                encoder.write_all(records).map_err(|error| failed(&error))?;
                encoder.finish().map_err(|error| failed(&error))?;
            }
            Codec::Zstd => {
                let packed = zstd::bulk::compress(records, self.level);
                out.extend_from_slice(&packed.map_err(|error| failed(&error))?);
            }
        }
        Ok(())
    }
}
