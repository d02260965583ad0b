//! What a running broker does by itself: retention by size and time, and syncs by `flush.ms`.

mod process;

use highwater::cli::client::{Client, EARLIEST, FetchLimits, LATEST};
use highwater::model::{ErrorCode, Offset, Timestamp};
use highwater::record::{BatchBuilder, Codec, NewRecord};
use highwater::runtime::clock;
use process::{
    PATIENCE, Process, append, base_time, batch, batch_of, eventually, free_address, read_from,
    refused, values,
};
use std::path::Path;
use std::time::Duration;

/// Retention and checkpoints as often as a test can wait for.
const SETTINGS: [&str; 4] = [
    "--override",
    "log.retention.check.interval.ms=50",
    "--override",
    "log.flush.offset.checkpoint.interval.ms=50",
];
/// A segment holds one batch of this size and not two.
const SEGMENT: (&str, &str) = ("segment.bytes", "1048576");
const BATCH_LEN: usize = 600_000;
const WITNESS_PARTITIONS: i32 = 4;
/// Of whose records all that these tests call old are too old.
const MINUTE: (&str, &str) = ("retention.ms", "60000");

fn start(folder: &Path) -> (Process, Client) {
    let broker = Process::start_with(folder, free_address(), &SETTINGS);
    let client = broker.client();
    (broker, client)
}

fn make(client: &mut Client, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
    client.create_topic(topic, partitions, configs).unwrap();
    client.await_topic(topic, PATIENCE).unwrap();
}

fn offset(client: &mut Client, topic: &str, partition: i32, at: Timestamp) -> Offset {
    client.list_offset(topic, partition, at).unwrap().offset
}

fn await_start(client: &mut Client, topic: &str, partition: i32, expected: i64) {
    eventually("retention moves the log's start", || {
        let start = offset(client, topic, partition, EARLIEST);
        assert!(start <= Offset(expected), "{start}: no more is taken than the settings say");
        (start == Offset(expected)).then_some(())
    });
}

fn fetched_at(client: &mut Client, topic: &str, offset: i64) -> Result<usize, ErrorCode> {
    let limits = FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() };
    let fetched = client.fetch(topic, 0, Offset(offset), limits);
    match fetched {
        Ok(fetched) => Ok(fetched.records.len()),
        refusal => Err(refused(refusal)),
    }
}

fn segments(folder: &Path, topic: &str) -> usize {
    let entries = std::fs::read_dir(folder.join("data").join(format!("{topic}-0"))).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "log")).count()
}

/// Waits until every core has looked at all its partitions: a walk that begins after the first
/// round's records were taken ends before the third's are.
fn await_walks(client: &mut Client) {
    if client.topic("witness", false).is_err() {
        make(client, "witness", WITNESS_PARTITIONS, &[MINUTE]);
    }
    for _ in 0..3 {
        let ends: Vec<Offset> = (0..WITNESS_PARTITIONS)
            .map(|partition| append(client, "witness", partition, &batch(&["old"])))
            .collect();
        for (partition, end) in (0..).zip(ends) {
            await_start(client, "witness", partition, end.0 + 1);
        }
    }
}

#[test]
fn retention_by_size_takes_whole_segments_and_readers_of_them_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = start(folder.path());
    let delay = ("file.delete.delay.ms", "100");
    let configs = [SEGMENT, ("retention.bytes", "1500000"), ("retention.ms", "-1"), delay];
    make(&mut client, "sized", 1, &configs);
    let large = batch(&["x".repeat(BATCH_LEN).as_str()]);
    for _ in 0..8 {
        append(&mut client, "sized", 0, &large);
    }
    // 8 segments of 0.6 MB: without five of them there are still 1.5, without six not.
    await_start(&mut client, "sized", 0, 5);
    assert_eq!(fetched_at(&mut client, "sized", 0), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(fetched_at(&mut client, "sized", 4), Err(ErrorCode::OffsetOutOfRange));
    // An answer is of one segment.
    assert_eq!(fetched_at(&mut client, "sized", 5), Ok(large.len()));
    assert_eq!(read_from(&mut client, "sized", 0, Offset(5)).len(), 3);
    assert_eq!(offset(&mut client, "sized", 0, LATEST), Offset(8));
    eventually("the files are removed", || (segments(folder.path(), "sized") == 3).then_some(()));
    await_walks(&mut client);
    assert_eq!(offset(&mut client, "sized", 0, EARLIEST), Offset(5), "that was enough");

    append(&mut client, "sized", 0, &large);
    await_start(&mut client, "sized", 0, 6);
    assert!(broker.stop().success());
    let (_broker, mut client) = start(folder.path());
    client.await_topic("sized", PATIENCE).unwrap();
    assert_eq!(offset(&mut client, "sized", 0, EARLIEST), Offset(6));
    assert_eq!(fetched_at(&mut client, "sized", 5), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(read_from(&mut client, "sized", 0, Offset(6)).len(), 3);
}

#[test]
fn retention_by_time_takes_old_records_with_the_active_segment_and_leaves_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = start(folder.path());
    make(&mut client, "timed", 1, &[MINUTE]);
    append(&mut client, "timed", 0, &batch(&["old", "old too"]));
    await_start(&mut client, "timed", 0, 2);
    assert_eq!(fetched_at(&mut client, "timed", 0), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(fetched_at(&mut client, "timed", 2), Ok(0));
    // The largest time of a segment counts: an old record beside a new one stays.
    let now = clock::wall().0;
    append(&mut client, "timed", 0, &batch_of(&["new"], now, Codec::None));
    append(&mut client, "timed", 0, &batch(&["old, beside"]));
    await_walks(&mut client);
    let read = read_from(&mut client, "timed", 0, Offset(2));
    assert_eq!(values(&read), ["new", "old, beside"]);
    // The records are gone for ever, however it ends.
    broker.kill();
    let (_broker, mut client) = start(folder.path());
    client.await_topic("timed", PATIENCE).unwrap();
    assert_eq!(offset(&mut client, "timed", 0, EARLIEST), Offset(2));
    let read = read_from(&mut client, "timed", 0, Offset(2));
    assert_eq!(values(&read), ["new", "old, beside"]);
}

#[test]
fn retention_leaves_what_is_only_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, mut client) = start(folder.path());
    let configs =
        [("cleanup.policy", "compact"), ("retention.ms", "1"), ("retention.bytes", "1"), SEGMENT];
    make(&mut client, "kept", 1, &configs);
    let mut builder = BatchBuilder::new();
    let value = vec![b'v'; BATCH_LEN];
    let (key, timestamp) = (Some(&b"key"[..]), Timestamp(base_time()));
    let record = NewRecord { key, value: Some(&value), timestamp, ..NewRecord::default() };
    builder.push(&record).unwrap();
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    for _ in 0..3 {
        append(&mut client, "kept", 0, &bytes);
    }
    await_walks(&mut client);
    assert_eq!(offset(&mut client, "kept", 0, EARLIEST), Offset::ZERO);
    assert_eq!(read_from(&mut client, "kept", 0, Offset::ZERO).len(), 3);
}

/// A partition's recovery point in the checkpoint file.
fn recovery_point(folder: &Path, topic: &str) -> Option<i64> {
    let file = folder.join("data/recovery-point-offset-checkpoint");
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} 0 ")))?;
    Some(line.parse().expect("an offset"))
}

#[test]
fn what_waits_longer_than_flush_ms_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, mut client) = start(folder.path());
    make(&mut client, "synced", 1, &[("flush.ms", "100")]);
    make(&mut client, "written", 1, &[]);
    for end in 1..=3 {
        append(&mut client, "written", 0, &batch(&["x"]));
        append(&mut client, "synced", 0, &batch(&["x"]));
        eventually("the recovery point follows", || {
            (recovery_point(folder.path(), "synced") == Some(end)).then_some(())
        });
        // Nobody asked for a sync of this one: so it is by flush.ms that the other's was made.
        assert_eq!(recovery_point(folder.path(), "written"), Some(0));
    }
}
