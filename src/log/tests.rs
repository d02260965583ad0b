//! The log on a real disk: appends, reads, rolls, and opening again.

use super::*;
use crate::model::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Timestamp, Uuid};
use crate::record::{BatchBuilder, BatchHeader, NewRecord};
use crate::runtime::{Core, testing};
use bytes::Bytes;
use std::path::Path;
use std::rc::Rc;

pub(super) const EPOCH: LeaderEpoch = LeaderEpoch(3);

pub(super) fn run<F: Future<Output = ()> + 'static>(
    test: impl FnOnce(Core, tempfile::TempDir) -> F,
) {
    let folder = tempfile::tempdir().unwrap();
    testing::run(testing::options(8, 64), |core| test(core, folder));
}

pub(super) fn dir(path: &Path) -> Rc<LogDir> {
    dir_with(path, AppendMode::Auto)
}

pub(super) fn dir_with(path: &Path, mode: AppendMode) -> Rc<LogDir> {
    let meta =
        MetaProperties { cluster_id: "c".into(), node_id: NodeId(1), directory_id: Uuid([7; 16]) };
    let facts = DirectoryFacts {
        path: path.to_path_buf(),
        meta,
        clean_epoch: None,
        file_system: String::new(),
    };
    LogDir::new(&facts, mode)
}

pub(super) fn spec(recovery_point: i64, is_clean: bool) -> LogSpec {
    LogSpec {
        folder: "t-0".into(),
        topic_id: Uuid([9; 16]),
        recovery_point: Offset(recovery_point),
        log_start_offset: Offset(0),
        is_clean,
        refuses_damage: false,
    }
}

pub(super) async fn open(
    core: &Core,
    path: &Path,
    spec: &LogSpec,
    config: &LogConfig,
) -> (Log, Recovery) {
    Log::open(core, dir(path), spec.clone(), config.clone()).await.unwrap()
}

/// Lets a log go, when what runs for it in the background has ended.
pub(super) async fn forget(log: Log) {
    log.durability.until_sealed(&log.dir).await;
}

/// A batch of `count` records of `bytes` bytes each.
pub(super) fn batch(count: usize, bytes: usize, time: i64) -> (BatchHeader, Bytes) {
    batch_of(count, bytes, time, None)
}

pub(super) fn batch_of(
    count: usize,
    bytes: usize,
    time: i64,
    producer: Option<(i64, i32)>,
) -> (BatchHeader, Bytes) {
    let mut builder = BatchBuilder::new();
    if let Some((id, sequence)) = producer {
        builder.producer(ProducerId(id), ProducerEpoch(0), sequence);
    }
    let value: Vec<u8> = (0..bytes).map(|index| (index * 31 + time as usize) as u8).collect();
    for index in 0..count {
        let timestamp = Timestamp(time + index as i64);
        let record = NewRecord { timestamp, value: Some(&value), ..NewRecord::default() };
        builder.push(&record).unwrap();
    }
    let mut out = Vec::new();
    let header = builder.finish(&mut out).unwrap();
    (header, out.into())
}

pub(super) fn stage(log: &mut Log, (header, bytes): &(BatchHeader, Bytes), now: i64) -> Staged {
    log.stage(header, [bytes.clone()], EPOCH, Timestamp(now), |base, epoch| {
        header.stamp(base, epoch)
    })
    .unwrap()
}

/// Writes all that is staged.
pub(super) async fn flush(core: &Core, log: &mut Log) -> Result<(), LogError> {
    loop {
        match log.begin_flush(core) {
            Flush::Idle => return Ok(()),
            Flush::Done(result) => drop(result?),
            Flush::Pending(job) => {
                let outcome = job.run().await;
                log.end_flush(core, outcome)?;
            }
        }
    }
}

pub(super) fn range(from: i64, bytes_max: usize) -> ReadRange {
    ReadRange { from: Offset(from), upper: Offset(i64::MAX), bytes_max, one_batch_at_least: true }
}

pub(super) async fn read(core: &Core, log: &Log, range: &ReadRange) -> Result<Read, LogError> {
    match log.try_read(core, range) {
        ReadNow::Ready(read) => Ok(read),
        ReadNow::Failed(error) => Err(error),
        ReadNow::NeedsDisk => log.read_job(range).run(core).await,
    }
}

/// The base offsets of the whole batches that a read gives.
pub(super) async fn bases(core: &Core, log: &Log, range: &ReadRange) -> Vec<i64> {
    let Read::Span(span) = read(core, log, range).await.unwrap() else { return Vec::new() };
    let bytes = span.file.read_at(core, vec![0; span.len], span.position).await.unwrap();
    assert_eq!(bytes.len(), span.len);
    let (mut at, mut bases) = (0, Vec::new());
    while let Ok(header) = BatchHeader::parse(bytes[at..].into()) {
        if at + header.total_bytes() > bytes.len() {
            break;
        }
        bases.push(header.base_offset.0);
        at += header.total_bytes();
    }
    assert_eq!(bases.first(), Some(&span.base_offset.0));
    bases
}

#[test]
fn what_is_written_is_read_and_read_again_after_opening() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert!(!folder.path().join("t-0").exists());
        for turn in 0..5 {
            for _ in 0..3 {
                let staged = stage(&mut log, &batch(2, 100, 1000 + turn), 5000);
                assert!(matches!(staged, Staged::New { .. }));
            }
            assert_eq!(log.log_end_offset(), Offset(turn * 6));
            flush(&core, &mut log).await.unwrap();
            assert_eq!(log.log_end_offset(), Offset(turn * 6 + 6));
        }
        let expected: Vec<i64> = (0..15).map(|index| index * 2).collect();
        assert_eq!(bases(&core, &log, &range(0, 1 << 20)).await, expected);
        assert_eq!(bases(&core, &log, &range(13, 1 << 20)).await, expected[6..]);
        assert_eq!(bases(&core, &log, &range(29, 1)).await, [28]);
        assert!(bases(&core, &log, &range(30, 1)).await.is_empty());
        let far = read(&core, &log, &range(31, 1)).await.unwrap();
        assert!(matches!(far, Read::OutOfRange { log_end_offset: Offset(30), .. }));
        let size = log.size_bytes();
        forget(log).await;

        let (log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert_eq!((recovery.segment_count, recovery.bytes_scanned), (1, size));
        assert_eq!(recovery.findings, []);
        assert_eq!((log.log_end_offset(), log.latest_epoch()), (Offset(30), EPOCH));
        assert_eq!(bases(&core, &log, &range(13, 1 << 20)).await, expected[6..]);
    });
}

#[test]
fn segments_roll_and_all_of_them_are_read() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 4000, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for time in 0..40 {
            stage(&mut log, &batch(1, 500, time), 0);
            if time % 7 == 0 {
                flush(&core, &mut log).await.unwrap();
            }
        }
        flush(&core, &mut log).await.unwrap();
        assert_eq!((log.segment_count(), log.log_end_offset()), (6, Offset(40)));
        for round in 0..3 {
            let mut next = 0;
            while next < 40 {
                let found = bases(&core, &log, &range(next, 1500)).await;
                assert_eq!(found[0], next, "round {round}");
                next = found.last().unwrap() + 1;
            }
            if round == 0 {
                let synced = log.sync_job().run(&core).await.unwrap();
                assert!(synced > Offset(0));
            } else {
                forget(log).await;
                log = open(&core, folder.path(), &spec(10, false), &config).await.0;
                assert_eq!((log.segment_count(), log.log_end_offset()), (6, Offset(40)));
            }
        }
    });
}

#[test]
fn a_duplicate_is_answered_with_its_first_offset_even_after_opening() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        let now = core.wall().0;
        for sequence in 0..6 {
            stage(&mut log, &batch_of(1, 300, now, Some((77, sequence))), now);
        }
        flush(&core, &mut log).await.unwrap();
        for round in 0..2 {
            let again = stage(&mut log, &batch_of(1, 300, now, Some((77, 5))), now);
            let Staged::Duplicate(first) = again else { panic!("{again:?} in round {round}") };
            assert_eq!((first.base_offset, first.staged), (Offset(5), false));
            let (header, bytes) = batch_of(1, 300, now, Some((77, 9)));
            let refused = log.stage(&header, [bytes], EPOCH, Timestamp(now), |base, epoch| {
                header.stamp(base, epoch)
            });
            assert!(matches!(refused, Err(StageError::Producer(_))));
            forget(log).await;
            log = open(&core, folder.path(), &spec(0, false), &config).await.0;
        }
    });
}

#[test]
fn the_path_that_needs_the_disk_finds_the_same_as_the_one_that_does_not() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 20_000, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for time in 0..300 {
            stage(&mut log, &batch(1 + time % 3, 10 + time * 7 % 900, time as i64), 0);
        }
        flush(&core, &mut log).await.unwrap();
        let end = log.log_end_offset().0;
        for from in 0..end {
            for bytes_max in [1, 700, 5000, 1 << 20] {
                for upper in [end, from + 1, from + 7] {
                    let range = ReadRange { upper: Offset(upper), ..range(from, bytes_max) };
                    let ReadNow::Ready(now) = log.try_read(&core, &range) else { panic!() };
                    let later = log.read_job(&range).run(&core).await.unwrap();
                    let start = |read: &Read| match read {
                        Read::Span(span) => Some((span.position, span.base_offset)),
                        _ => None,
                    };
                    assert_eq!(start(&now), start(&later));
                    let Read::Span(span) = now else { continue };
                    // Only what fits is given, except for one whole first batch.
                    let bytes = span.file.read_at(&core, vec![0; span.len], span.position).await;
                    let first = BatchHeader::parse(bytes.unwrap()[..].into()).unwrap();
                    assert!(first.base_offset.0 <= from && first.last_offset().0 >= from);
                    assert!(span.len <= bytes_max.max(first.total_bytes()));
                    assert!(span.len >= first.total_bytes());
                }
            }
        }
        let small = ReadRange { one_batch_at_least: false, ..range(0, 10) };
        assert!(matches!(log.try_read(&core, &small), ReadNow::Ready(Read::Empty)));
    });
}

#[test]
fn nothing_at_or_above_the_upper_bound_is_given() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for time in 0..200 {
            stage(&mut log, &batch(2, 50, time), 0);
        }
        flush(&core, &mut log).await.unwrap();
        for upper in 1..400 {
            let range = ReadRange { upper: Offset(upper), ..range(0, 1 << 20) };
            let found = bases(&core, &log, &range).await;
            assert_eq!(found.len() as i64, upper / 2, "up to {upper}");
        }
    });
}

#[test]
fn records_are_found_by_their_own_time() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 3000, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        let end = Offset(i64::MAX);
        let none = log.time_job(Timestamp(0), end).run(&core).await.unwrap();
        assert_eq!(none, None);
        // Batches of three records with times 10 apart, later ones older for a while.
        let times: Vec<i64> = (0..60).map(|i| if i % 10 == 3 { 5 } else { i * 10 }).collect();
        for time in &times {
            stage(&mut log, &batch(3, 40, *time), 0);
            flush(&core, &mut log).await.unwrap();
        }
        let records: Vec<(i64, i64)> = times
            .iter()
            .enumerate()
            .flat_map(|(i, time)| (0..3).map(move |k| (i as i64 * 3 + k, time + k)))
            .collect();
        for round in 0..2 {
            for wanted in 0..600 {
                let found = log.time_job(Timestamp(wanted), end).run(&core).await.unwrap();
                let expected = records.iter().find(|(_, time)| *time >= wanted);
                let found = found.map(|found| (found.offset.0, found.timestamp.0));
                assert_eq!(found.as_ref(), expected, "time {wanted} in round {round}");
            }
            for upper in [6, 90, 180] {
                let found = log.max_time_job(Offset(upper)).run(&core).await.unwrap().unwrap();
                let largest = records[..upper as usize].iter().map(|(_, time)| *time).max();
                assert_eq!(Some(found.timestamp.0), largest, "below {upper}");
            }
            forget(log).await;
            log = open(&core, folder.path(), &spec(0, false), &config).await.0;
        }
    });
}

#[test]
fn retention_takes_whole_old_segments_and_spans_keep_their_file() {
    run(|core, folder| async move {
        let config = LogConfig {
            segment_bytes: 1000,
            retention_ms: 1000,
            file_delete_delay: std::time::Duration::from_millis(20),
            ..LogConfig::default()
        };
        let now = core.wall().0;
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for index in 0..10 {
            let time = if index < 6 { now - 5000 } else { now + 3_600_000 };
            stage(&mut log, &batch(1, 300, time), now);
        }
        flush(&core, &mut log).await.unwrap();
        assert_eq!(log.segment_count(), 5);
        let Read::Span(held) = read(&core, &log, &range(0, 1)).await.unwrap() else { panic!() };
        assert!(log.retain(&core, Offset(3)).is_some());
        assert_eq!(log.log_start_offset(), Offset(2));
        let job = log.retain(&core, Offset(10)).unwrap();
        assert_eq!(job.reasons, [(Offset(2), DeleteReason::Time), (Offset(4), DeleteReason::Time)]);
        job.run(&core).await.unwrap();
        assert_eq!((log.log_start_offset(), log.segment_count()), (Offset(6), 2));
        assert!(log.retain(&core, Offset(10)).is_none());
        core.sleep(std::time::Duration::from_millis(60)).await;
        assert!(!folder.path().join("t-0/00000000000000000002.log.deleted").exists());
        let bytes = held.file.read_at(&core, vec![0; held.len], held.position).await.unwrap();
        assert_eq!(bytes.len(), held.len);

        log.set_config(LogConfig { retention_bytes: 500, retention_ms: -1, ..config.clone() });
        let job = log.retain(&core, Offset(10)).unwrap();
        assert_eq!(job.reasons, [(Offset(6), DeleteReason::Size)]);
        job.run(&core).await.unwrap();
        let far = read(&core, &log, &range(6, 1)).await.unwrap();
        assert!(matches!(far, Read::OutOfRange { log_start_offset: Offset(8), .. }));
    });
}

#[test]
fn a_compacted_log_is_not_touched_by_time_or_size() {
    run(|core, folder| async move {
        let config = LogConfig {
            segment_bytes: 1000,
            retention_ms: 1,
            retention_bytes: 1,
            is_compacted: true,
            is_deleted: false,
            ..LogConfig::default()
        };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for time in 0..10 {
            stage(&mut log, &batch(1, 300, time), 0);
        }
        flush(&core, &mut log).await.unwrap();
        assert!(log.retain(&core, Offset(10)).is_none());
        assert_eq!(log.advance_log_start(Offset(5)), Offset(5));
        let job = log.retain(&core, Offset(10)).unwrap();
        assert_eq!(job.reasons.len(), 2);
        job.run(&core).await.unwrap();
        assert_eq!((log.log_start_offset(), log.segment_count()), (Offset(5), 3));
    });
}

#[test]
fn a_log_that_expired_altogether_goes_on_at_its_end() {
    run(|core, folder| async move {
        let config = LogConfig { retention_ms: 1000, ..LogConfig::default() };
        let now = core.wall().0;
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        stage(&mut log, &batch(5, 300, now - 9000), now);
        flush(&core, &mut log).await.unwrap();
        log.retain(&core, Offset(5)).unwrap().run(&core).await.unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(5), Offset(5)));
        // The folder alone knows where the log ends.
        forget(log).await;
        let at_end = spec(0, false);
        let mut log = open(&core, folder.path(), &at_end, &config).await.0;
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(5), Offset(5)));
        for round in 0..2 {
            stage(&mut log, &batch(1, 300, now), now);
            flush(&core, &mut log).await.unwrap();
            assert_eq!(bases(&core, &log, &range(5 + round, 1)).await, [5 + round]);
            forget(log).await;
            log = open(&core, folder.path(), &at_end, &config).await.0;
            assert_eq!(log.log_end_offset(), Offset(6 + round));
        }
    });
}

#[test]
fn a_removed_log_makes_room_for_another_of_its_name() {
    run(|core, folder| async move {
        let config = LogConfig {
            file_delete_delay: std::time::Duration::from_millis(5),
            ..LogConfig::default()
        };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        stage(&mut log, &batch(1, 300, 1), 0);
        flush(&core, &mut log).await.unwrap();
        log.remove_job().run(&core).await.unwrap();
        let (header, bytes) = batch(1, 300, 1);
        let refused = log.stage(&header, [bytes], EPOCH, Timestamp(0), |b, e| header.stamp(b, e));
        assert!(matches!(refused, Err(StageError::Log(LogError::AppendsFailed { .. }))));
        assert_eq!(list_removed(&core, folder.path()).await.unwrap().len(), 1);
        let other = LogSpec { topic_id: Uuid([1; 16]), ..spec(0, false) };
        let (log, _) = open(&core, folder.path(), &other, &config).await;
        assert_eq!(log.log_end_offset(), Offset(0));
        core.sleep(std::time::Duration::from_millis(40)).await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}

#[test]
fn a_batch_larger_than_a_write_is_written_whole() {
    run(|core, folder| async move {
        let config = LogConfig::default();
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for round in 0..3 {
            stage(&mut log, &batch(3, 1 << 20, round), 0);
            stage(&mut log, &batch(1, 10, round), 0);
            flush(&core, &mut log).await.unwrap();
        }
        assert_eq!(bases(&core, &log, &range(0, 64 << 20)).await, [0, 3, 4, 7, 8, 11]);
        forget(log).await;
        let (log, recovery) = open(&core, folder.path(), &spec(0, false), &config).await;
        assert_eq!((recovery.findings, log.log_end_offset()), (vec![], Offset(12)));
    });
}

#[test]
fn a_failed_write_leaves_the_log_as_it_was() {
    run(|core, folder| async move {
        let config = LogConfig { segment_bytes: 2000, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        let now = core.wall().0;
        stage(&mut log, &batch_of(1, 300, now, Some((5, 0))), now);
        flush(&core, &mut log).await.unwrap();
        // A folder in the way of the next segment's file.
        let in_the_way = folder.path().join("t-0").join(format!("{:020}.log", 5));
        std::fs::create_dir(&in_the_way).unwrap();
        for sequence in 1..8 {
            stage(&mut log, &batch_of(1, 300, now, Some((5, sequence))), now);
        }
        let error = flush(&core, &mut log).await.unwrap_err();
        assert!(matches!(error, LogError::Io { what: "create", .. }), "{error}");
        assert_eq!((log.log_end_offset(), log.next_offset()), (Offset(5), Offset(5)));
        assert!(log.is_flushed());
        std::fs::remove_dir(&in_the_way).unwrap();
        // The producer sends again what was not acknowledged; what was, is known.
        let again = stage(&mut log, &batch_of(1, 300, now, Some((5, 4))), now);
        assert!(matches!(again, Staged::Duplicate(_)));
        for sequence in 5..8 {
            stage(&mut log, &batch_of(1, 300, now, Some((5, sequence))), now);
        }
        flush(&core, &mut log).await.unwrap();
        assert_eq!((log.log_end_offset(), log.segment_count()), (Offset(8), 2));
        assert_eq!(bases(&core, &log, &range(4, 1)).await, [4]);
        assert_eq!(bases(&core, &log, &range(5, 1 << 20)).await, [5, 6, 7]);
    });
}

/// Megabytes in quiet files: what was dirty longest is written back, and the budget comes home.
#[test]
fn the_dirty_budget_holds_over_many_files_and_comes_home() {
    run(|core, folder| async move {
        let dir = dir(folder.path());
        let mut logs = Vec::new();
        for index in 0..60 {
            let spec = LogSpec { folder: format!("t-{index}"), ..spec(0, false) };
            let opened = Log::open(&core, dir.clone(), spec, LogConfig::default()).await;
            logs.push(opened.unwrap().0);
        }
        let large = batch(1, 1 << 20, 1);
        let mut highest = 0;
        for _ in 0..4 {
            for log in &mut logs {
                stage(log, &large, 0);
                flush(&core, log).await.unwrap();
                highest = highest.max(dir.dirty_bytes());
            }
        }
        assert!(highest > 100 << 20 && highest < 256 << 20, "{highest}");
        for log in &mut logs {
            log.close_job().run(&core).await.unwrap();
        }
        assert_eq!(dir.dirty_bytes(), 0);
    });
}

#[test]
fn a_read_that_would_take_many_looks_is_left_to_the_ring() {
    run(|core, folder| async move {
        let config = LogConfig { index_interval_bytes: i32::MAX as u32, ..LogConfig::default() };
        let (mut log, _) = open(&core, folder.path(), &spec(0, false), &config).await;
        for time in 0..2000 {
            stage(&mut log, &batch(1, 4000, time), 0);
            if time % 100 == 0 {
                flush(&core, &mut log).await.unwrap();
            }
        }
        flush(&core, &mut log).await.unwrap();
        let near = log.try_read(&core, &range(10, 1));
        assert!(matches!(near, ReadNow::Ready(Read::Span(_))), "{near:?}");
        let calls = core.counters().inline_calls.get();
        let far = log.try_read(&core, &range(500, 1));
        assert!(matches!(far, ReadNow::NeedsDisk), "{far:?}");
        assert!(core.counters().inline_calls.get() - calls <= 16);
        assert_eq!(bases(&core, &log, &range(500, 1)).await, [500]);
    });
}
