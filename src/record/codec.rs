//! The names and numbers of the codecs a batch can be packed with.

use std::fmt;

/// How the records of a batch are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Attribute bits 5 to 7, which name no codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compression type {bits} is not one of none (0), gzip (1), snappy (2), lz4 (3), zstd (4)")]
pub struct UnknownCodec {
    pub bits: u8,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec that bits 0 to 2 of a batch's attributes name.
    pub const fn from_bits(bits: u8) -> Result<Self, UnknownCodec> {
        match bits {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            bits => Err(UnknownCodec { bits }),
        }
    }

    pub const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's word for it, as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_codecs_name_each_other() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_bits(codec.bits()), Ok(codec));
        }
        for bits in 5..8 {
            assert_eq!(Codec::from_bits(bits), Err(UnknownCodec { bits }));
        }
    }
}
