//! Verification against a folder made for it: whole it is whole, and no flipped bit goes unnoticed.

use super::finding::{Finding, Teller};
use super::verify::{Rules, Summary, verify};
use crate::log::index::{IndexedBatch, Indexes, encode_offsets, encode_times};
use crate::log::names::{self, Kind};
use crate::log::producer_state::AppendedBatch;
use crate::log::{ProducerEntry, snapshot};
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::record::{BatchBuilder, Codec, NewRecord, Packing};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Told(Vec<String>);

impl Teller for Told {
    fn tell(&mut self, finding: &Finding) -> io::Result<()> {
        self.0.push(finding.text());
        Ok(())
    }
}

const DEEP: Rules = Rules { deep: true, compacted: false };

fn verified(path: &Path, rules: Rules) -> (Summary, Vec<String>) {
    let mut told = Told::default();
    let summary = verify(path, rules, &mut told).unwrap();
    (summary, told.0)
}

/// A segment of batches of two records, each of one leader epoch more, and its indexes.
fn segment(folder: &Path, base: i64, batch_count: i64) -> i64 {
    let (mut log, mut next) = (Vec::new(), base);
    let mut indexes = Indexes::new(Offset(base));
    for index in 0..batch_count {
        let mut builder = BatchBuilder::new();
        let codec = Codec::ALL[(index % 5) as usize];
        builder
            .at(Offset(next), LeaderEpoch((next / 4) as i32))
            .producer(ProducerId(7), ProducerEpoch(0), next as i32)
            .packed(Packing::of(codec));
        for record in 0..2 {
            let value = [next as u8; 30];
            let headers = [("h", Some(&b"v"[..]))];
            let timestamp = Timestamp(1_700_000_000_000 + (next + record) * 10);
            let record =
                NewRecord { timestamp, key: Some(b"key"), value: Some(&value), headers: &headers };
            builder.push(&record).unwrap();
        }
        let position = log.len() as u64;
        let header = builder.finish(&mut log).unwrap();
        let batch = IndexedBatch {
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            bytes: header.total_bytes() as u64,
        };
        indexes.on_batch(Offset(base), &batch, position, 150);
        next += 2;
    }
    indexes.push_time(Offset(base));
    let mut bytes = Vec::new();
    std::fs::write(names::path(folder, Offset(base), Kind::Log), &log).unwrap();
    encode_offsets(&indexes.offsets, &mut bytes);
    std::fs::write(names::path(folder, Offset(base), Kind::OffsetIndex), &bytes).unwrap();
    bytes.clear();
    encode_times(&indexes.times, &mut bytes);
    std::fs::write(names::path(folder, Offset(base), Kind::TimeIndex), &bytes).unwrap();
    next
}

/// A partition of three segments with everything that belongs to it.
fn partition(folder: &Path) -> PathBuf {
    let partition = folder.join("orders-0");
    std::fs::create_dir(&partition).unwrap();
    let mut next = 0;
    for _ in 0..3 {
        next = segment(&partition, next, 8);
    }
    let mut entry = ProducerEntry::new(ProducerId(7), ProducerEpoch(0));
    entry.push(AppendedBatch {
        last_sequence: 31,
        last_offset: Offset(31),
        offset_delta: 1,
        timestamp: Timestamp(5),
    });
    let path = names::path(&partition, Offset(32), Kind::Snapshot);
    std::fs::write(path, snapshot::encode(&[entry])).unwrap();
    let epochs: Vec<_> = (0..12).map(|epoch| format!("{epoch} {}\n", epoch * 4)).collect();
    let epochs = format!("0\n{}\n{}", epochs.len(), epochs.concat());
    std::fs::write(partition.join(names::EPOCHS), epochs).unwrap();
    let metadata = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAg";
    std::fs::write(partition.join(names::PARTITION_METADATA), metadata).unwrap();
    let points = "0\n1\norders 0 48\n";
    std::fs::write(folder.join("recovery-point-offset-checkpoint"), points).unwrap();
    partition
}

#[test]
fn a_whole_directory_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let partition = partition(folder.path());
    for path in [folder.path(), &partition] {
        let (summary, told) = verified(path, DEEP);
        assert_eq!(told, [""; 0]);
        assert_eq!((summary.partitions, summary.logs), (1, 3));
        assert_eq!((summary.batches, summary.records), (24, 48));
    }
}

/// In a log everything, the offset and the epoch that no checksum covers too.
#[test]
fn every_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let partition = partition(folder.path());
    let rules = Rules { deep: false, compacted: false };
    for (base, kind) in
        [(16, Kind::Log), (16, Kind::OffsetIndex), (16, Kind::TimeIndex), (32, Kind::Snapshot)]
    {
        let path = names::path(&partition, Offset(base), kind);
        let name = names::file_name(Offset(base), kind);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            let (summary, told) = verified(&partition, rules);
            assert!(summary.damaged > 0, "{name}: bit {} of byte {}: {told:?}", bit % 8, bit / 8);
        }
        std::fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn damage_is_named_by_its_place_and_what_follows_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let partition = partition(folder.path());
    let log = names::path(&partition, Offset(16), Kind::Log);
    let whole = std::fs::read(&log).unwrap();
    let check = |bytes: &[u8], expected: &str, batches: u64| {
        std::fs::write(&log, bytes).unwrap();
        let (summary, told) = verified(&partition, DEEP);
        assert!(told[0].contains(expected), "{told:?}");
        assert_eq!((summary.batches, summary.damaged > 0), (batches, true), "{told:?}");
    };
    let mut bytes = whole.clone();
    bytes[100] ^= 1;
    check(&bytes, "position 0 offset 16: the batch's CRC-32C", 23);
    // Its length: found by the search for whole batches.
    let mut bytes = whole.clone();
    bytes[10] ^= 1;
    check(&bytes, "are no whole batch; whole batches go on at position", 23);
    // The last bytes of a segment that is not the last one.
    check(&whole[..whole.len() - 1], "bytes are no whole batch", 23);
    let mut bytes = whole.clone();
    bytes.extend_from_slice(&[0; 100]);
    check(
        &bytes,
        "message format 0 is not served: batches of format 2 are; 100 bytes are no batch",
        24,
    );
    std::fs::write(&log, &whole).unwrap();
    std::fs::remove_file(names::path(&partition, Offset(16), Kind::OffsetIndex)).unwrap();
    let (summary, told) = verified(&partition, DEEP);
    assert_eq!((summary.damaged, summary.notes, told.len()), (0, 1, 1), "{told:?}");
    let points = "0\n1\norders 0 49\n";
    std::fs::write(folder.path().join("recovery-point-offset-checkpoint"), points).unwrap();
    let (_, told) = verified(folder.path(), DEEP);
    assert!(told[1].contains("orders-0 is said to reach offset 49, but its log ends at 48"));
}

#[test]
fn offsets_may_be_missing_where_a_log_is_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let partition = partition(folder.path());
    let log = names::path(&partition, Offset(0), Kind::Log);
    let whole = std::fs::read(&log).unwrap();
    let first = 12 + i32::from_be_bytes(whole[8..12].try_into().unwrap()) as usize;
    std::fs::write(&log, &whole[first..]).unwrap();
    for kind in [Kind::OffsetIndex, Kind::TimeIndex] {
        std::fs::remove_file(names::path(&partition, Offset(0), kind)).unwrap();
    }
    assert_eq!(verified(&partition, DEEP).0.damaged, 1);
    let rules = Rules { compacted: true, ..DEEP };
    assert_eq!(verified(&partition, rules).0.damaged, 0);
    let checkpoint = folder.path().join("cleaner-offset-checkpoint");
    std::fs::write(checkpoint, "0\n1\norders 0 16\n").unwrap();
    assert_eq!(verified(&partition, DEEP).0.damaged, 0);
}

#[test]
fn hostile_bytes_end_in_findings_that_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = crate::base::Random::new(3);
    for kind in Kind::ALL {
        let path = names::path(folder.path(), Offset(0), kind);
        for size in [0, 1, 16, 17, 61, 5000, 300_000] {
            let mut bytes = vec![0; size];
            random.fill(&mut bytes);
            // Looks like a batch everywhere.
            if size == 300_000 {
                bytes.iter_mut().skip(16).step_by(61).for_each(|byte| *byte = 2);
            }
            std::fs::write(&path, &bytes).unwrap();
            let (_, told) = verified(&path, DEEP);
            assert!(told.len() <= 210, "{}", told.len());
        }
        std::fs::write(&path, b"").unwrap();
    }
}
