//! Which partition of `__consumer_offsets` a group belongs to: the hash that Java gives its id.

/// The partition of a group among `partitions`, which is not 0.
pub fn partition_of(group: &str, partitions: u32) -> u32 {
    assert!(partitions > 0);
    let hash =
        group.encode_utf16().fold(0i32, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka takes 0 for the one number that has no absolute value.
    hash.checked_abs().unwrap_or(0) as u32 % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_java_puts_them() {
        let cases = [
            ("", 0),
            ("group-1", 49),
            ("console-consumer-1", 24),
            ("my-group", 12),
            ("payments", 13),
            ("grüße", 23),
            // Two UTF-16 units.
            ("\u{1F600}", 49),
            // Its hash is Integer.MIN_VALUE.
            ("polygenelubricants", 0),
        ];
        for (group, partition) in cases {
            assert_eq!(partition_of(group, 50), partition, "{group}");
        }
    }
}
