//! The `.snapshot` file: what a partition knew of its producers at the offset that names it.
//!
//! ```text
//! version i16 (1) | crc u32 (CRC-32C of all that follows) | count i32 | entries of 46 bytes
//! entry: producerId i64 | epoch i16 | lastSequence i32 | lastOffset i64 | offsetDelta i32
//!        | timestamp i64 | coordinatorEpoch i32 | currentTxnFirstOffset i64 (-1 none)
//! ```
//!
//! Of the remembered batches only the last one is kept, as Kafka does it. A producer of which no
//! batch is known has last sequence -1, last offset -1 and offset delta 0. Bytes in, bytes out: files
//! are written and replaced elsewhere.

use super::producer_state::{AppendedBatch, ProducerEntry};
use crate::base::crc32c;
use crate::model::{Offset, ProducerEpoch, ProducerId, Timestamp};

pub const VERSION: i16 = 1;
/// Version, checksum and count.
const HEADER_BYTES: usize = 10;
/// Where the checked part begins.
const CRC_FROM: usize = 6;
pub const ENTRY_BYTES: usize = 46;

/// Why a file is no snapshot. It is thrown away and the state is read from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("a producer snapshot of {bytes} bytes is cut: its header takes 10")]
    Short { bytes: usize },
    #[error("producer snapshot version {version} is not known")]
    Version { version: i16 },
    #[error("the snapshot's CRC-32C is {stored:#010x}, but its bytes give {computed:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("the snapshot says {count} producers, but has {bytes} bytes of them")]
    Count { count: i32, bytes: usize },
    #[error("producer {index} of the snapshot has a {field} of {value}")]
    Entry { index: usize, field: &'static str, value: i64 },
}

/// The bytes of a snapshot of these producers, in the given order.
pub fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        encode_entry(entry, &mut out);
    }
    let crc = crc32c::checksum(&out[CRC_FROM..]);
    out[2..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The producers of a snapshot.
pub fn decode(bytes: &[u8]) -> Result<Vec<ProducerEntry>, SnapshotError> {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(SnapshotError::Short { bytes: bytes.len() });
    };
    let &[v0, v1, c0, c1, c2, c3, n0, n1, n2, n3] = header;
    let version = i16::from_be_bytes([v0, v1]);
    if version != VERSION {
        return Err(SnapshotError::Version { version });
    }
    let stored = u32::from_be_bytes([c0, c1, c2, c3]);
    let computed = crc32c::checksum(&bytes[CRC_FROM..]);
    if stored != computed {
        return Err(SnapshotError::Crc { stored, computed });
    }
    let count = i32::from_be_bytes([n0, n1, n2, n3]);
    let (entries, rest) = body.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() || usize::try_from(count) != Ok(entries.len()) {
        return Err(SnapshotError::Count { count, bytes: body.len() });
    }
    entries.iter().enumerate().map(|(index, raw)| decode_entry(index, raw)).collect()
}

fn encode_entry(entry: &ProducerEntry, out: &mut Vec<u8>) {
    let (last_sequence, last_offset, offset_delta) = match entry.batches().last() {
        Some(batch) => (batch.last_sequence, batch.last_offset.0, batch.offset_delta),
        None => (-1, -1, 0),
    };
    out.extend_from_slice(&entry.id.0.to_be_bytes());
    out.extend_from_slice(&entry.epoch.0.to_be_bytes());
    out.extend_from_slice(&last_sequence.to_be_bytes());
    out.extend_from_slice(&last_offset.to_be_bytes());
    out.extend_from_slice(&offset_delta.to_be_bytes());
    out.extend_from_slice(&entry.timestamp.0.to_be_bytes());
    out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    let txn_first_offset = entry.txn_first_offset.map_or(-1, |offset| offset.0);
    out.extend_from_slice(&txn_first_offset.to_be_bytes());
}

fn decode_entry(index: usize, raw: &[u8; ENTRY_BYTES]) -> Result<ProducerEntry, SnapshotError> {
    let wide = |at: usize| i64::from_be_bytes(field(raw, at));
    let narrow = |at: usize| i32::from_be_bytes(field(raw, at));
    let refuse = |field, value| Err(SnapshotError::Entry { index, field, value });
    let epoch = i16::from_be_bytes(field(raw, 8));
    let (id, last_sequence, last_offset, offset_delta) =
        (wide(0), narrow(10), wide(14), narrow(22));
    if id < 0 {
        return refuse("producer id", id);
    }
    if last_sequence < -1 {
        return refuse("last sequence", i64::from(last_sequence));
    }
    if last_offset < -1 {
        return refuse("last offset", last_offset);
    }
    if offset_delta < 0 || (last_offset >= 0 && i64::from(offset_delta) > last_offset) {
        return refuse("offset delta", i64::from(offset_delta));
    }
    let timestamp = Timestamp(wide(26));
    let mut entry = ProducerEntry::new(ProducerId(id), ProducerEpoch(epoch));
    entry.timestamp = timestamp;
    entry.coordinator_epoch = narrow(34);
    entry.txn_first_offset = Some(Offset(wide(38))).filter(|offset| offset.0 >= 0);
    if last_offset >= 0 {
        let last_offset = Offset(last_offset);
        entry.push(AppendedBatch { last_sequence, last_offset, offset_delta, timestamp });
    }
    Ok(entry)
}

/// `N` bytes at a position that the format fixes.
fn field<const N: usize>(raw: &[u8; ENTRY_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> ProducerEntry {
        let mut entry = ProducerEntry::new(ProducerId(0x0102), ProducerEpoch(3));
        entry.timestamp = Timestamp(0x2122);
        entry.coordinator_epoch = 0x31;
        entry.txn_first_offset = Some(Offset(0x41));
        for last_offset in [0x50, 0x61] {
            entry.push(AppendedBatch {
                last_sequence: 0x11,
                last_offset: Offset(last_offset),
                offset_delta: 2,
                timestamp: Timestamp(0x2122),
            });
        }
        entry
    }

    fn golden() -> Vec<u8> {
        let body = [
            &[0, 0, 0, 2][..],
            &[0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x61],
            &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0x21, 0x22, 0, 0, 0, 0x31],
            &[0, 0, 0, 0, 0, 0, 0, 0x41],
            &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        [&[0, 1][..], &crc32c::checksum(&body).to_be_bytes(), &body].concat()
    }

    fn with_true_crc(mut bytes: Vec<u8>) -> Vec<u8> {
        let crc = crc32c::checksum(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    #[test]
    fn a_snapshot_has_kafkas_bytes_and_only_the_last_batch_survives() {
        let empty = ProducerEntry::new(ProducerId(9), ProducerEpoch(0));
        assert_eq!(encode(&[entry(), empty]), golden());
        let read = decode(&golden()).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].batches(), &entry().batches()[1..]);
        assert_eq!(read[0].txn_first_offset, Some(Offset(0x41)));
        assert_eq!(read[0].coordinator_epoch, 0x31);
        assert_eq!(read[1], empty);
        assert_eq!(decode(&encode(&[])), Ok(vec![]));
    }

    #[test]
    fn a_cut_or_changed_file_is_refused() {
        let bytes = golden();
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        let trailing = with_true_crc([&bytes[..], &[0]].concat());
        assert_eq!(decode(&trailing), Err(SnapshotError::Count { count: 2, bytes: 93 }));
    }

    #[test]
    fn a_lying_count_allocates_nothing() {
        for count in [i32::MAX, -1, 3, 1] {
            let mut bytes = golden();
            bytes[6..10].copy_from_slice(&count.to_be_bytes());
            let bytes = with_true_crc(bytes);
            assert_eq!(decode(&bytes), Err(SnapshotError::Count { count, bytes: 92 }));
        }
    }

    #[test]
    fn numbers_that_cannot_be_are_named() {
        for (at, value, field) in [
            (10, -5i64, "producer id"),
            (24, -5, "last offset"),
            (24, 1, "offset delta"), // greater than the last offset
        ] {
            let mut bytes = golden();
            bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
            let bytes = with_true_crc(bytes);
            let error = decode(&bytes).unwrap_err();
            assert!(
                matches!(error, SnapshotError::Entry { index: 0, field: found, .. } if found == field),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn noise_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&bytes).is_err());
            if bytes.len() >= 10 {
                let mut bytes = bytes;
                bytes[..2].copy_from_slice(&[0, 1]);
                let _ = decode(&with_true_crc(bytes));
            }
        }
    }
}
