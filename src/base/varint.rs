//! Variable-length integers as Kafka writes them: seven bits a byte, least significant first, the
//! high bit set while more follow.
//!
//! Records use the zigzag form (small magnitudes are short, whatever their sign), flexible
//! protocol messages the unsigned form. Decoding is bounded: a number longer than its type allows
//! is an error, so an endless run of continuation bits costs at most ten bytes.

/// Longest encoding of a 32-bit value.
pub const BYTES_MAX_32: usize = 5;
/// Longest encoding of a 64-bit value.
pub const BYTES_MAX_64: usize = 10;

/// Why bytes are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    #[error("the bytes end inside a variable-length number")]
    Truncated,
    #[error("a variable-length number does not fit {bits} bits")]
    TooLong { bits: u8 },
}

/// Decodes an unsigned 32-bit varint; gives the value and how many bytes it took.
#[inline]
pub fn decode_u32(bytes: &[u8]) -> Result<(u32, usize), VarintError> {
    if let Some(&byte) = bytes.first()
        && byte < 0x80
    {
        return Ok((u32::from(byte), 1));
    }
    let (value, len) = decode::<BYTES_MAX_32>(bytes, 32)?;
    let value = u32::try_from(value).map_err(|_| VarintError::TooLong { bits: 32 })?;
    Ok((value, len))
}

/// Decodes an unsigned 64-bit varint; gives the value and how many bytes it took.
#[inline]
pub fn decode_u64(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    if let Some(&byte) = bytes.first()
        && byte < 0x80
    {
        return Ok((u64::from(byte), 1));
    }
    decode::<BYTES_MAX_64>(bytes, 64)
}

/// Decodes a zigzag varint (Kafka's `varint`).
#[inline]
pub fn decode_i32(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (raw, len) = decode_u32(bytes)?;
    Ok(((raw >> 1) as i32 ^ -((raw & 1) as i32), len))
}

/// Decodes a zigzag varlong (Kafka's `varlong`).
#[inline]
pub fn decode_i64(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let (raw, len) = decode_u64(bytes)?;
    Ok(((raw >> 1) as i64 ^ -((raw & 1) as i64), len))
}

/// Appends an unsigned 32-bit varint.
pub fn encode_u32(value: u32, out: &mut Vec<u8>) {
    encode_u64(u64::from(value), out);
}

/// Appends an unsigned 64-bit varint.
pub fn encode_u64(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag varint.
pub fn encode_i32(value: i32, out: &mut Vec<u8>) {
    encode_u32(zigzag_32(value), out);
}

/// Appends a zigzag varlong.
pub fn encode_i64(value: i64, out: &mut Vec<u8>) {
    encode_u64(zigzag_64(value), out);
}

/// How many bytes `value` takes as an unsigned varint.
#[inline]
pub const fn size_u64(value: u64) -> usize {
    // Seven bits a byte; zero takes one.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// How many bytes `value` takes as a zigzag varint.
#[inline]
pub const fn size_i32(value: i32) -> usize {
    size_u64(zigzag_32(value) as u64)
}

/// How many bytes `value` takes as a zigzag varlong.
#[inline]
pub const fn size_i64(value: i64) -> usize {
    size_u64(zigzag_64(value))
}

const fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn decode<const BYTES_MAX: usize>(bytes: &[u8], bits: u8) -> Result<(u64, usize), VarintError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        let group = u64::from(byte & 0x7f);
        // The tenth byte holds the one bit that is left of 64.
        if index == BYTES_MAX_64 - 1 && group > 1 {
            return Err(VarintError::TooLong { bits });
        }
        value |= group << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    if bytes.len() < BYTES_MAX {
        return Err(VarintError::Truncated);
    }
    Err(VarintError::TooLong { bits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_have_kafkas_bytes() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            encode_i32(value, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(decode_i32(bytes), Ok((value, bytes.len())));
        }
        let mut out = Vec::new();
        encode_i64(i64::MIN, &mut out);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(decode_i64(&out), Ok((i64::MIN, 10)));
    }

    #[test]
    fn a_number_without_end_is_refused_after_its_longest_form() {
        let endless = [0xff; 64];
        assert_eq!(decode_u32(&endless), Err(VarintError::TooLong { bits: 32 }));
        assert_eq!(decode_i64(&endless), Err(VarintError::TooLong { bits: 64 }));
        assert_eq!(decode_i32(&endless[..4]), Err(VarintError::Truncated));
        assert_eq!(decode_i64(&endless[..9]), Err(VarintError::Truncated));
        assert_eq!(decode_u32(&[]), Err(VarintError::Truncated));
    }

    #[test]
    fn bits_beyond_the_type_are_refused_and_not_dropped() {
        assert_eq!(
            decode_u32(&[0xff, 0xff, 0xff, 0xff, 0x1f]),
            Err(VarintError::TooLong { bits: 32 })
        );
        let mut bytes = [0xff; 10];
        bytes[9] = 0x02;
        assert_eq!(decode_u64(&bytes), Err(VarintError::TooLong { bits: 64 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_sized(value: i64, short: i32) {
            let mut out = Vec::new();
            encode_i64(value, &mut out);
            prop_assert_eq!(out.len(), size_i64(value));
            prop_assert_eq!(decode_i64(&out), Ok((value, out.len())));
            out.clear();
            encode_i32(short, &mut out);
            prop_assert_eq!(out.len(), size_i32(short));
            prop_assert_eq!(decode_i32(&out), Ok((short, out.len())));
        }
    }
}
