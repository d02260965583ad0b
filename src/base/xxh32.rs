//! xxHash32, the checksum inside lz4 frames. Not for anything that an attacker must not forge.

const PRIME_1: u32 = 0x9e37_79b1;
const PRIME_2: u32 = 0x85eb_ca77;
const PRIME_3: u32 = 0xc2b2_ae3d;
const PRIME_4: u32 = 0x27d4_eb2f;
const PRIME_5: u32 = 0x1656_67b1;

/// The hash of `bytes` with seed 0.
pub fn hash(bytes: &[u8]) -> u32 {
    let (stripes, mut rest) = bytes.as_chunks::<16>();
    let mut sum = if stripes.is_empty() { PRIME_5 } else { mix_stripes(stripes) };
    sum = sum.wrapping_add(bytes.len() as u32);
    while let Some((word, after)) = rest.split_first_chunk::<4>() {
        sum = sum.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_3));
        sum = sum.rotate_left(17).wrapping_mul(PRIME_4);
        rest = after;
    }
    for &byte in rest {
        sum = sum.wrapping_add(u32::from(byte).wrapping_mul(PRIME_5));
        sum = sum.rotate_left(11).wrapping_mul(PRIME_1);
    }
    sum = (sum ^ (sum >> 15)).wrapping_mul(PRIME_2);
    sum = (sum ^ (sum >> 13)).wrapping_mul(PRIME_3);
    sum ^ (sum >> 16)
}

/// Four lanes, each over every fourth word.
fn mix_stripes(stripes: &[[u8; 16]]) -> u32 {
    let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, PRIME_1.wrapping_neg()];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            let fed = lane.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_2));
            *lane = fed.rotate_left(13).wrapping_mul(PRIME_1);
        }
    }
    let [one, two, three, four] = lanes;
    one.rotate_left(1)
        .wrapping_add(two.rotate_left(7))
        .wrapping_add(three.rotate_left(12))
        .wrapping_add(four.rotate_left(18))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_come_out() {
        assert_eq!(hash(b""), 0x02cc_5d05);
        assert_eq!(hash(b"a"), 0x550d_7456);
        assert_eq!(hash(b"abc"), 0x32d1_53ff);
        assert_eq!(hash(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }
}
