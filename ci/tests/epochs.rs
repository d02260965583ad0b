//! Leader epochs on the wire (KIP-320): a start after a kill begins a new one, and readers that
//! know of another one, or have read what is not here, are told.

mod process;

use highwater::cli::client::{Client, FetchLimits, LATEST, fetch_request};
use highwater::model::{ErrorCode, LeaderEpoch, Offset, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use highwater::protocol::write::metadata::MetadataRequestTopic;
use highwater::protocol::write::offset_for_leader_epoch::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use highwater::protocol::write::{
    ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
};
use process::{PATIENCE, Process, append, batch, free_address, read_from};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

const TOPIC: &str = "epochs";
/// First versions in which a request can say the leader's epoch, and a fetch the last one read.
const FETCH_EPOCH_FROM: i16 = 9;
const LAST_EPOCH_FROM: i16 = 12;
const LIST_OFFSETS_EPOCH_FROM: i16 = 4;
const METADATA_EPOCH_FROM: i16 = 7;

/// The leader's epoch of the only partition, as Metadata says it.
fn leader_epoch(client: &mut Client) -> i32 {
    let topic = MetadataRequestTopic { topic_id: TopicId::ZERO, name: Some(TOPIC.into()) };
    let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    assert!(client.versions().newest(ApiKey::Metadata).unwrap() >= METADATA_EPOCH_FROM);
    let answer = client.call(&request, &[]).unwrap();
    answer.view().topics.first().unwrap().partitions.first().unwrap().leader_epoch
}

fn start(folder: &Path) -> (Process, Client) {
    let broker = Process::start_in(folder, free_address());
    let mut client = broker.client();
    if client.topic(TOPIC, false).is_err() {
        client.create_topic(TOPIC, 1, &[]).unwrap();
    }
    client.await_topic(TOPIC, PATIENCE).unwrap();
    (broker, client)
}

fn append_three(client: &mut Client) {
    for text in ["a", "b", "c"] {
        append(client, TOPIC, 0, &batch(&[text]));
    }
}

/// Epoch 0 has offsets 0 to 2, epoch 1 none, epoch 2 has 3 to 5, and epoch 3, the leader's, none.
fn start_in_epoch_3(folder: &Path) -> (Process, Client) {
    for epoch in 0..3 {
        let (broker, mut client) = start(folder);
        assert_eq!(leader_epoch(&mut client), epoch);
        if epoch != 1 {
            append_three(&mut client);
        }
        broker.kill();
    }
    let (broker, mut client) = start(folder);
    assert_eq!(leader_epoch(&mut client), 3);
    (broker, client)
}

fn since(client: &Client, api: ApiKey, first: i16) -> RangeInclusive<i16> {
    let common = client.versions().common(api).unwrap();
    assert!(*common.end() >= first);
    first.max(*common.start())..=*common.end()
}

#[test]
fn a_kill_begins_an_epoch_and_a_clean_stop_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = start(folder.path());
    append_three(&mut client);
    assert!(broker.stop().success());
    let (broker, mut client) = start(folder.path());
    assert_eq!(leader_epoch(&mut client), 0);
    append_three(&mut client);
    broker.kill();
    let (_broker, mut client) = start(folder.path());
    assert_eq!(leader_epoch(&mut client), 1);
    append_three(&mut client);
    let read = read_from(&mut client, TOPIC, 0, Offset::ZERO);
    let epochs: Vec<i32> = read.iter().map(|batch| batch.header.leader_epoch.0).collect();
    assert_eq!(epochs, [0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(client.list_offset(TOPIC, 0, LATEST).unwrap().leader_epoch, LeaderEpoch(1));
}

/// What a fetch in a version is answered with: code, diverging epoch and its end, bytes.
fn fetch(
    client: &mut Client,
    version: i16,
    (current, last): (i32, i32),
    offset: i64,
) -> (ErrorCode, (i32, i64), usize) {
    let limits = FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() };
    let id = client.topic_id(TOPIC).unwrap();
    let mut request = fetch_request(TOPIC, id, 0, Offset(offset), limits);
    let part = &mut request.topics[0].partitions[0];
    (part.current_leader_epoch, part.last_fetched_epoch) = (current, last);
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let found = answer.view().responses.first().unwrap().partitions.first().unwrap();
    let diverging = (found.diverging_epoch.epoch, found.diverging_epoch.end_offset);
    let code = ErrorCode::from_code(found.error_code).unwrap();
    (code, diverging, found.records.map_or(0, |records| records.bytes.len()))
}

fn list_offsets(client: &mut Client, version: i16, current: i32) -> ErrorCode {
    let partition = ListOffsetsPartition {
        current_leader_epoch: current,
        timestamp: LATEST.0,
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name: TOPIC.into(), partitions: vec![partition] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let found = answer.view().topics.first().unwrap().partitions.first().unwrap();
    ErrorCode::from_code(found.error_code).unwrap()
}

/// Where an epoch ends, for a client that believes in a current one.
fn epoch_end(
    client: &mut Client,
    version: i16,
    current: i32,
    leader_epoch: i32,
) -> (ErrorCode, i32, i64) {
    let partition =
        OffsetForLeaderPartition { partition: 0, current_leader_epoch: current, leader_epoch };
    let topic = OffsetForLeaderTopic { topic: TOPIC.into(), partitions: vec![partition] };
    let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let found = answer.view().topics.first().unwrap().partitions.first().unwrap();
    (ErrorCode::from_code(found.error_code).unwrap(), found.leader_epoch, found.end_offset)
}

#[test]
fn whoever_knows_of_another_leader_epoch_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, mut client) = start_in_epoch_3(folder.path());
    let client = &mut client;
    for (current, code) in [
        (-1, ErrorCode::None),
        (0, ErrorCode::FencedLeaderEpoch),
        (2, ErrorCode::FencedLeaderEpoch),
        (3, ErrorCode::None),
        (4, ErrorCode::UnknownLeaderEpoch),
        (i32::MAX, ErrorCode::UnknownLeaderEpoch),
    ] {
        for version in since(client, ApiKey::Fetch, FETCH_EPOCH_FROM) {
            let (found, _, bytes) = fetch(client, version, (current, -1), 0);
            assert_eq!(found, code, "fetch {version} in epoch {current}");
            assert_eq!(bytes > 0, code == ErrorCode::None);
        }
        for version in since(client, ApiKey::ListOffsets, LIST_OFFSETS_EPOCH_FROM) {
            let found = list_offsets(client, version, current);
            assert_eq!(found, code, "list offsets {version} in epoch {current}");
        }
        for version in client.versions().common(ApiKey::OffsetForLeaderEpoch).unwrap() {
            let found = epoch_end(client, version, current, 0);
            let end = if code == ErrorCode::None { (code, 0, 3) } else { (code, -1, -1) };
            assert_eq!(found, end, "offset for leader epoch {version} in epoch {current}");
        }
    }
}

#[test]
fn an_epoch_ends_where_the_next_one_begins_with_or_without_records_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = start_in_epoch_3(folder.path());
    for version in client.versions().common(ApiKey::OffsetForLeaderEpoch).unwrap() {
        for (epoch, expected) in
            [(0, (0, 3)), (1, (0, 3)), (2, (2, 6)), (3, (3, 6)), (4, (-1, -1)), (-1, (-1, -1))]
        {
            let (code, found, end) = epoch_end(&mut client, version, -1, epoch);
            let context = format!("epoch {epoch} in version {version}");
            assert_eq!((code, (found, end)), (ErrorCode::None, expected), "{context}");
        }
    }
    // An epoch that has been, has no records, and is not the leader's any more.
    broker.kill();
    let (_broker, mut client) = start(folder.path());
    let newest = client.versions().newest(ApiKey::OffsetForLeaderEpoch).unwrap();
    assert_eq!(epoch_end(&mut client, newest, 4, 3), (ErrorCode::None, 2, 6));
    assert_eq!(epoch_end(&mut client, newest, 4, 4), (ErrorCode::None, 4, 6));
}

#[test]
fn whoever_has_read_what_is_not_here_is_told_where_its_log_leaves_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, mut client) = start_in_epoch_3(folder.path());
    let none = (-1, -1);
    for version in since(&client, ApiKey::Fetch, LAST_EPOCH_FROM) {
        for (last, offset, expected) in [
            // In step with us.
            (-1, 3, (ErrorCode::None, none)),
            (0, 0, (ErrorCode::None, none)),
            (0, 3, (ErrorCode::None, none)),
            (2, 6, (ErrorCode::None, none)),
            (3, 6, (ErrorCode::None, none)),
            // More of an epoch than we have, or of one that has left nothing.
            (0, 4, (ErrorCode::None, (0, 3))),
            (1, 3, (ErrorCode::None, (0, 3))),
            (2, 7, (ErrorCode::None, (2, 6))),
            (3, 7, (ErrorCode::None, (3, 6))),
            // An epoch that has not been.
            (4, 3, (ErrorCode::OffsetOutOfRange, none)),
        ] {
            let (code, diverging, bytes) = fetch(&mut client, version, (3, last), offset);
            let context = format!("version {version}, {offset} after epoch {last}");
            assert_eq!((code, diverging), expected, "{context}");
            let has_more = expected == (ErrorCode::None, none) && offset < 6;
            assert_eq!(bytes > 0, has_more, "{context}");
        }
    }
}
