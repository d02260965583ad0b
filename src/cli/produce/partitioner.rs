//! Which partition a record goes to: the one that Java's producer would choose.
//!
//! Keys are hashed with murmur2 (seed 0x9747b28c), without the sign; records without a key stay with
//! one partition until its batch is sent, and then go on to the next.

/// Chooses partitions of one topic.
#[derive(Clone, Debug)]
pub struct Partitioner {
    count: i32,
    sticky: i32,
}

impl Partitioner {
    /// `count` is at least 1.
    pub fn new(count: i32, first: i32) -> Self {
        assert!(count > 0);
        Self { count, sticky: first.rem_euclid(count) }
    }

    pub fn choose(&self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => (murmur2(key) as i32 & i32::MAX) % self.count,
            None => self.sticky,
        }
    }

    /// A batch of this partition was sent.
    pub fn on_sent(&mut self, partition: i32) {
        if partition == self.sticky {
            self.sticky = (self.sticky + 1) % self.count;
        }
    }
}

fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Java's `Utils.murmur2` has in Kafka's own tests.
    #[test]
    fn hashes_are_those_of_javas_producer() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_change_partition_with_each_batch() {
        let mut partitioner = Partitioner::new(3, 2);
        assert_eq!(partitioner.choose(None), 2);
        partitioner.on_sent(1);
        assert_eq!(partitioner.choose(None), 2);
        partitioner.on_sent(2);
        assert_eq!(partitioner.choose(None), 0);
        let key = partitioner.choose(Some(b"k"));
        assert!((0..3).contains(&key));
    }
}
