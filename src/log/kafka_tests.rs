//! A partition folder as Apache Kafka 4.3.1 wrote it (`ci/golden/kafka-partition.tar.gz`), opened
//! by our log: stopped cleanly, and as it lay on the disk while the broker ran.
//!
//! `batches.tsv` is what Kafka's own dump tool says of every batch, `records.tsv` what a client
//! read (columns: `ci/clients/record_partition.py`).

use super::tests::{dir, flush, range, read, run};
use super::*;
use crate::base::{Pieces, crc32c};
use crate::model::{LeaderEpoch, Offset, Timestamp};
use crate::record::{BatchHeader, CRC_FROM, HEADER_BYTES, Records, Scratch};
use crate::runtime::Core;
use bytes::Bytes;
use std::path::Path;
use std::process::Command;

const END: Offset = Offset(2115);
const SEGMENTS: usize = 3;
const EPOCH: LeaderEpoch = LeaderEpoch(0);

/// The archive, taken apart into `folder`.
fn unpack(folder: &Path) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/golden/kafka-partition.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(folder);
    assert!(tar.status().expect("tar starts").success());
}

/// The lines of a list, taken apart into columns.
fn rows(folder: &Path, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

async fn open(core: &Core, root: &Path, recovery_point: i64, is_clean: bool) -> (Log, Recovery) {
    let folder = root.join("story-0");
    let topic_id = read_topic_id(core, &folder).await.unwrap().expect("Kafka names the topic");
    let spec = LogSpec {
        folder: "story-0".into(),
        topic_id,
        recovery_point: Offset(recovery_point),
        log_start_offset: Offset::ZERO,
        is_clean,
        refuses_damage: false,
    };
    // A producer is forgotten a day after its last batch, and these are of 2023.
    let config = LogConfig {
        segment_bytes: 1 << 20,
        producer_expiration_ms: 100 * 365 * 86_400_000,
        ..LogConfig::default()
    };
    Log::open(core, dir(root), spec, config).await.unwrap()
}

/// All bytes of the log from `from` on, in reads of at most `bytes_max`.
async fn bytes_from(core: &Core, log: &Log, from: Offset, bytes_max: usize) -> Vec<u8> {
    let (mut next, mut all) = (from, Vec::new());
    while next < log.log_end_offset() {
        let Read::Span(span) = read(core, log, &range(next.0, bytes_max)).await.unwrap() else {
            panic!("nothing to read at {next}");
        };
        let bytes = span.file.read_at(core, vec![0; span.len], span.position).await.unwrap();
        assert_eq!(bytes.len(), span.len);
        for batch in whole_batches(&bytes) {
            next = BatchHeader::parse(batch.into()).unwrap().next_offset();
            all.extend_from_slice(batch);
        }
    }
    all
}

fn whole_batches(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut batches = Vec::new();
    while let Ok(header) = BatchHeader::parse(bytes.into())
        && let Some((batch, rest)) = bytes.split_at_checked(header.total_bytes())
    {
        batches.push(batch);
        bytes = rest;
    }
    batches
}

/// Every batch is where and what Kafka's dump tool says, and its CRC is right.
fn check_batches(bytes: &[u8], rows: &[Vec<String>]) {
    let batches = whole_batches(bytes);
    assert_eq!(batches.len(), rows.len());
    for (batch, row) in batches.into_iter().zip(rows) {
        let header = BatchHeader::parse(batch.into()).unwrap();
        let found = [
            batch.len().to_string(),
            header.base_offset.to_string(),
            header.last_offset().to_string(),
            header.record_count.to_string(),
            header.attributes.codec().unwrap().to_string(),
            crc32c::checksum(&batch[CRC_FROM..]).to_string(),
            header.producer_id.to_string(),
            header.producer_epoch.to_string(),
            header.base_sequence.to_string(),
            header.max_timestamp.to_string(),
        ];
        assert_eq!(found, row[2..], "{row:?}");
        assert_eq!(header.crc.to_string(), row[7], "{row:?}");
    }
}

/// Every record has the offset, time, key and value that a client read.
fn check_records(bytes: &[u8], rows: &[Vec<String>]) {
    let (mut scratch, mut found) = (Scratch::new(), Vec::new());
    let crc = |bytes: Option<&[u8]>| {
        bytes.map_or("-".to_owned(), |bytes| crc32c::checksum(bytes).to_string())
    };
    for batch in whole_batches(bytes) {
        let header = BatchHeader::parse(batch.into()).unwrap();
        let (codec, packed) = (header.attributes.codec().unwrap(), &batch[HEADER_BYTES..]);
        let records = scratch.unpack(codec, Pieces::one(packed), 64 << 20).unwrap();
        for record in Records::new(records) {
            let record = record.unwrap();
            found.push(vec![
                header.base_offset.plus(i64::from(record.offset_delta)).to_string(),
                (header.base_timestamp.0 + record.timestamp_delta).to_string(),
                crc(record.key),
                crc(record.value),
            ]);
        }
    }
    assert_eq!(found, rows);
}

/// The last batch of every idempotent producer, newest first.
fn last_batches(bytes: &[u8]) -> Vec<(BatchHeader, Bytes)> {
    let mut last: Vec<(BatchHeader, Bytes)> = Vec::new();
    for batch in whole_batches(bytes).into_iter().rev() {
        let header = BatchHeader::parse(batch.into()).unwrap();
        let is_new = last.iter().all(|(other, _)| other.producer_id != header.producer_id);
        if header.producer_id.0 >= 0 && is_new {
            last.push((header, Bytes::copy_from_slice(batch)));
        }
    }
    last
}

async fn check_log(core: &Core, root: &Path, log: &mut Log, lists: &Path) {
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset::ZERO, END));
    assert_eq!((log.segment_count(), log.latest_epoch()), (SEGMENTS, EPOCH));
    let records = rows(lists, "records.tsv");
    let mut whole = Vec::new();
    for bytes_max in [1, 50_000, 8 << 20] {
        whole = bytes_from(core, log, Offset::ZERO, bytes_max).await;
        check_batches(&whole, &rows(lists, "batches.tsv"));
    }
    check_records(&whole, &records);
    check_times(core, log, &records).await;
    check_producers(log, &whole);
    // Goes on where Kafka stopped.
    let batch = super::tests::batch(2, 100, 1_800_000_000_000);
    super::tests::stage(log, &batch, 0);
    flush(core, log).await.unwrap();
    assert_eq!(log.log_end_offset(), END.plus(2));
    let more = bytes_from(core, log, Offset::ZERO, 8 << 20).await;
    assert!(more.starts_with(&whole) && more.len() == whole.len() + batch.1.len());
    assert!(root.join("story-0/00000000000000001560.log").exists());
}

/// Searches by time agree with a walk over the list.
async fn check_times(core: &Core, log: &Log, records: &[Vec<String>]) {
    let number = |text: &String| text.parse::<i64>().unwrap();
    let listed: Vec<(i64, i64)> =
        records.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
    let times = listed.iter().step_by(37).map(|(_, time)| *time);
    for wanted in times.flat_map(|time| [time - 1, time, time + 1]).chain([0, i64::MAX]) {
        let found = log.time_job(Timestamp(wanted), END).run(core).await.unwrap();
        let found = found.map(|found| (found.offset.0, found.timestamp.0));
        let expected = listed.iter().find(|(_, time)| *time >= wanted).copied();
        assert_eq!(found, expected, "at or after {wanted}");
    }
    let found = log.max_time_job(END).run(core).await.unwrap().expect("there are records");
    let largest = listed.iter().map(|(_, time)| *time).max();
    assert_eq!(Some(found.timestamp.0), largest);
    assert!(listed.contains(&(found.offset.0, found.timestamp.0)));
}

/// What a producer sends again is known, by Kafka's snapshots or its batches.
fn check_producers(log: &mut Log, whole: &[u8]) {
    let last = last_batches(whole);
    assert_eq!(last.len(), 8);
    for (header, bytes) in last {
        let now = header.max_timestamp;
        let again =
            log.stage(&header, [bytes], EPOCH, now, |base, epoch| header.stamp(base, epoch));
        let Ok(Staged::Duplicate(first)) = again else {
            panic!("producer {}: {again:?}", header.producer_id)
        };
        assert_eq!(first.base_offset, header.base_offset);
    }
}

#[test]
fn a_folder_that_kafka_closed_is_read_as_it_is() {
    run(|core, folder| async move {
        unpack(folder.path());
        let root = folder.path().join("partition");
        let (mut log, recovery) = open(&core, &root, END.0, true).await;
        // Only what lies behind the last index entry is looked at.
        assert_eq!((recovery.findings, recovery.bytes_scanned), (vec![], 570376 - 567310));
        check_log(&core, &root, &mut log, folder.path()).await;
    });
}

#[test]
fn a_folder_that_kafka_closed_can_be_checked_whole() {
    run(|core, folder| async move {
        unpack(folder.path());
        let root = folder.path().join("partition");
        let (mut log, recovery) = open(&core, &root, 0, false).await;
        assert_eq!(recovery.findings, []);
        assert_eq!(recovery.bytes_scanned, 1035930 + 825282 + 570376);
        check_log(&core, &root, &mut log, folder.path()).await;
    });
}

#[test]
fn a_folder_that_kafka_left_in_the_middle_of_its_work_is_recovered_whole() {
    run(|core, folder| async move {
        unpack(folder.path());
        let root = folder.path().join("crashed");
        // Its newest indexes are preallocated and mostly zeros.
        assert_eq!(
            std::fs::metadata(root.join("story-0/00000000000000001560.index")).unwrap().len(),
            10 << 20
        );
        for recovery_point in [0, 1560] {
            let (log, recovery) = open(&core, &root, recovery_point, false).await;
            assert_eq!(recovery.findings.iter().find(|finding| finding.is_loud()), None);
            assert_eq!(log.log_end_offset(), END);
        }
        let (mut log, _) = open(&core, &root, 0, false).await;
        check_log(&core, &root, &mut log, folder.path()).await;
    });
}
