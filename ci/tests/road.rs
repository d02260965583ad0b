//! The road: records go in and come out, by every version, acknowledgement and codec.

mod process;

use highwater::cli::batches::read_batches;
use highwater::cli::client::{
    Acks, Client, EARLIEST, FetchLimits, LATEST, MAX_TIMESTAMP, fetch_request, produce_request,
};
use highwater::model::{ErrorCode, Offset, Timestamp, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::fetch::FetchPartition;
use highwater::protocol::write::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use highwater::protocol::write::{
    FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
};
use highwater::record::{BatchBuilder, Codec, NewRecord, Packing};
use process::{Broker, append, base_time, batch, batch_of, read_from, refused, values};
use std::time::Duration;

/// First versions of Produce and Fetch that name topics by id.
const BY_ID_FROM: i16 = 13;

fn no_wait() -> FetchLimits {
    FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() }
}

#[test]
fn every_version_of_produce_appends_and_every_version_of_fetch_reads() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("versions", 1, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let mut sent = Vec::new();
    for version in client.versions().common(ApiKey::Produce).unwrap() {
        let value = format!("by version {version}");
        let batch = batch(&[&value]);
        let request = produce_request(&topic, id, 0, Acks::All, batch.len());
        let answer = client.connection().call(version, &request, &[&batch]).unwrap();
        let view = answer.view();
        assert_eq!(view.responses.len(), 1);
        let answered = view.responses.first().unwrap();
        if version >= BY_ID_FROM {
            assert_eq!(answered.topic_id, id);
        } else {
            assert_eq!(answered.name, topic);
        }
        let partition = answered.partition_responses.first().unwrap();
        assert_eq!((partition.index, partition.error_code), (0, 0), "version {version}");
        assert_eq!(partition.base_offset, sent.len() as i64, "version {version}");
        assert_eq!(partition.log_append_time_ms, -1);
        assert_eq!(partition.log_start_offset, if version >= 5 { 0 } else { -1 });
        sent.push(value);
    }
    assert!(sent.len() >= 11, "versions 3 to 13 are served");
    let mut version_count = 0;
    for version in client.versions().common(ApiKey::Fetch).unwrap() {
        let request = fetch_request(&topic, id, 0, Offset::ZERO, no_wait());
        let answer = client.connection().call(version, &request, &[]).unwrap();
        let view = answer.view();
        assert_eq!((view.error_code, view.session_id), (0, 0), "version {version}");
        let partition = view.responses.first().unwrap().partitions.first().unwrap();
        assert_eq!((partition.partition_index, partition.error_code), (0, 0));
        assert_eq!(partition.high_watermark, sent.len() as i64);
        assert_eq!(partition.last_stable_offset, sent.len() as i64);
        assert_eq!(partition.log_start_offset, if version >= 5 { 0 } else { -1 });
        let records = partition.records.unwrap().bytes.to_vec();
        assert_eq!(values(&read_batches(&records).unwrap()), sent, "version {version}");
        version_count += 1;
    }
    assert!(version_count >= 15, "versions 4 to 18 are served");
}

#[test]
fn a_produce_without_acks_is_not_answered_and_keeps_its_place() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("acks", 1, &[]), broker.client());
    for round in 0..3 {
        for (acks, value) in [(Acks::None, "none"), (Acks::Leader, "leader"), (Acks::All, "all")] {
            // The client takes the next answer for the oldest request: one too many would show.
            let appended = client.produce(&topic, 0, acks, &batch(&[value])).unwrap();
            let expected = match acks {
                Acks::None => None,
                Acks::Leader => Some(Offset(round * 3 + 1)),
                Acks::All => Some(Offset(round * 3 + 2)),
            };
            assert_eq!(appended.map(|one| one.base_offset), expected);
        }
    }
    let read = values(&read_from(&mut client, &topic, 0, Offset::ZERO));
    assert_eq!(read, ["none", "leader", "all"].repeat(3));
}

#[test]
fn acks_that_kafka_does_not_know_are_refused() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("acks-2", 1, &[]), broker.client());
    let (id, batch) = (client.topic_id(&topic).unwrap(), batch(&["x"]));
    let request =
        ProduceRequest { acks: 2, ..produce_request(&topic, id, 0, Acks::All, batch.len()) };
    let answer = client.call(&request, &[&batch]).unwrap();
    let partition = answer.view().responses.first().unwrap().partition_responses.first().unwrap();
    assert_eq!(partition.error_code, ErrorCode::InvalidRequiredAcks.code());
}

#[test]
fn every_codec_comes_back_as_it_was_sent() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("codecs", 1, &[]), broker.client());
    let mut sent = Vec::new();
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new();
        builder.packed(Packing::of(codec));
        let long = vec![b'v'; 5000];
        let headers: [(&str, Option<&[u8]>); 3] =
            [("same", Some(b"1")), ("same", Some(b"2")), ("empty", None)];
        for (key, value) in
            [(Some(&b"k"[..]), Some(&long[..])), (None, Some(b"")), (Some(b""), None), (None, None)]
        {
            let timestamp = Timestamp(base_time());
            builder.push(&NewRecord { timestamp, key, value, headers: &headers }).unwrap();
        }
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();
        assert_eq!(append(&mut client, &topic, 0, &bytes), Offset(4 * sent.len() as i64));
        sent.push(bytes);
    }
    let read = read_from(&mut client, &topic, 0, Offset::ZERO);
    assert_eq!(read.len(), sent.len());
    for ((read, sent), codec) in read.iter().zip(&sent).zip(Codec::ALL) {
        // Base offset, length and leader epoch are the broker's; all else is the producer's.
        assert_eq!(read.bytes[16..], sent[16..], "{codec}");
        assert_eq!(read.header.attributes.codec(), Ok(codec));
        let first = &read.records[0];
        assert_eq!(first.headers.len(), 3, "equal keys stay apart");
        assert_eq!(first.headers[1], ("same".to_owned(), Some(b"2".to_vec())));
        assert_eq!(read.records[1].value.as_deref(), Some(&b""[..]));
        assert_eq!(read.records[3].value, None);
    }
}

#[test]
fn a_fetch_inside_a_batch_gives_the_whole_batch_however_little_it_asks_for() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("inside", 1, &[]), broker.client());
    for first in [0, 10, 20] {
        let texts: Vec<String> = (first..first + 10).map(|n| n.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        append(&mut client, &topic, 0, &batch_of(&texts, base_time(), Codec::Gzip));
    }
    for offset in 10..20 {
        let limits = FetchLimits { max_bytes: 1, ..no_wait() };
        let fetched = client.fetch(&topic, 0, Offset(offset), limits).unwrap();
        let batches = read_batches(&fetched.records).unwrap();
        assert_eq!(batches[0].header.base_offset, Offset(10));
        assert_eq!(batches[0].records.len(), 10);
        assert_eq!(fetched.records.len(), batches[0].bytes.len(), "one batch, and no more");
    }
    let at_end = client.fetch(&topic, 0, Offset(30), no_wait()).unwrap();
    assert_eq!((at_end.records.len(), at_end.high_watermark), (0, Offset(30)));
    for offset in [31, -1, i64::MAX] {
        let error = refused(client.fetch(&topic, 0, Offset(offset), no_wait()));
        assert_eq!(error, ErrorCode::OffsetOutOfRange);
    }
}

#[test]
fn an_empty_partition_has_records_of_length_zero_not_null() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("empty", 1, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    for version in client.versions().common(ApiKey::Fetch).unwrap() {
        let request = fetch_request(&topic, id, 0, Offset::ZERO, no_wait());
        let answer = client.connection().call(version, &request, &[]).unwrap();
        let partition = answer.view().responses.first().unwrap().partitions.first().unwrap();
        assert_eq!(partition.records.map(|records| records.bytes.len()), Some(0));
        assert_eq!(partition.high_watermark, 0, "version {version}");
    }
}

#[test]
fn a_waiting_fetch_is_woken_by_an_append() {
    let broker = Broker::start();
    let (topic, mut reader, mut writer) =
        (broker.topic("woken", 1, &[]), broker.client(), broker.client());
    // Longer than the client's patience: only an append can end the wait in time.
    let limits = FetchLimits { max_wait: Duration::from_secs(600), ..FetchLimits::default() };
    let id = reader.topic_id(&topic).unwrap();
    let version = reader.versions().newest(ApiKey::Fetch).unwrap();
    for round in 0..3 {
        let request = fetch_request(&topic, id, 0, Offset(round), limits);
        reader.connection().send(version, &request, &[]).unwrap();
        append(&mut writer, &topic, 0, &batch(&["wake up"]));
        let answer = reader.connection().receive::<FetchRequest<'_>>().unwrap();
        let partition = answer.view().responses.first().unwrap().partitions.first().unwrap();
        assert_eq!(partition.high_watermark, round + 1);
        assert!(!partition.records.unwrap().bytes.is_empty());
    }
}

#[test]
fn a_fetch_waits_until_there_are_as_many_bytes_as_it_wants() {
    let broker = Broker::start();
    let (topic, mut reader, mut writer) =
        (broker.topic("enough", 1, &[]), broker.client(), broker.client());
    let one = batch(&["as long as the others"]);
    let limits = FetchLimits {
        max_wait: Duration::from_secs(600),
        min_bytes: 3 * one.len() as i32,
        ..FetchLimits::default()
    };
    let id = reader.topic_id(&topic).unwrap();
    let version = reader.versions().newest(ApiKey::Fetch).unwrap();
    let request = fetch_request(&topic, id, 0, Offset::ZERO, limits);
    reader.connection().send(version, &request, &[]).unwrap();
    for _ in 0..3 {
        append(&mut writer, &topic, 0, &one);
    }
    let answer = reader.connection().receive::<FetchRequest<'_>>().unwrap();
    let partition = answer.view().responses.first().unwrap().partitions.first().unwrap();
    assert_eq!(partition.records.unwrap().bytes.len(), 3 * one.len());
    // Too few bytes: what there is, once the time is over.
    let limits = FetchLimits { max_wait: Duration::from_millis(50), ..limits };
    let fetched = reader.fetch(&topic, 0, Offset(2), limits).unwrap();
    assert_eq!(fetched.records.len(), one.len());
}

#[test]
fn a_fetch_keeps_what_it_has_found_while_it_waits_for_other_partitions() {
    let broker = Broker::start();
    let (topic, mut reader, mut writer) =
        (broker.topic("gathered", 8, &[]), broker.client(), broker.client());
    let id = reader.topic_id(&topic).unwrap();
    let one = batch(&["as long as the others"]);
    let limits = FetchLimits {
        max_wait: Duration::from_secs(600),
        min_bytes: 4 * one.len() as i32,
        ..FetchLimits::default()
    };
    let mut request = fetch_request(&topic, id, 0, Offset::ZERO, limits);
    let first = request.topics[0].partitions[0].clone();
    request.topics[0].partitions.extend((1..8).map(|partition| {
        let mut more = first.clone();
        more.partition = partition;
        more
    }));
    append(&mut writer, &topic, 2, &one);
    let version = reader.versions().newest(ApiKey::Fetch).unwrap();
    reader.connection().send(version, &request, &[]).unwrap();
    // The same one twice: its new bytes take the place of what was known of it.
    for partition in [7, 1, 7] {
        std::thread::sleep(Duration::from_millis(20));
        append(&mut writer, &topic, partition, &one);
    }
    let answer = reader.connection().receive::<FetchRequest<'_>>().unwrap();
    let partitions = answer.view().responses.first().unwrap().partitions;
    let mut sizes: Vec<_> = partitions
        .iter()
        .map(|partition| {
            (partition.partition_index, partition.records.map_or(0, |r| r.bytes.len()))
        })
        .filter(|(_, len)| *len > 0)
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(1, one.len()), (2, one.len()), (7, 2 * one.len())]);
}

#[test]
fn a_fetch_on_an_old_segment_is_answered_at_once_however_much_it_wants() {
    let broker = Broker::start();
    let configs = [("segment.bytes", "1048576")];
    let (topic, mut client) = (broker.topic("rolled", 1, &configs), broker.client());
    let large = batch(&["x".repeat(600_000).as_str()]);
    for _ in 0..2 {
        append(&mut client, &topic, 0, &large);
    }
    let limits = FetchLimits {
        max_wait: Duration::from_secs(600),
        min_bytes: 8 << 20,
        max_bytes: 16 << 20,
        ..FetchLimits::default()
    };
    let fetched = client.fetch(&topic, 0, Offset::ZERO, limits).unwrap();
    assert_eq!(fetched.records.len(), large.len());
    // More can come into the segment of the second batch: there a fetch waits for it.
    let small = batch(&["more"]);
    let limits = FetchLimits { min_bytes: (large.len() + small.len()) as i32, ..limits };
    let (id, mut writer) = (client.topic_id(&topic).unwrap(), broker.client());
    let version = client.versions().newest(ApiKey::Fetch).unwrap();
    let request = fetch_request(&topic, id, 0, Offset(1), limits);
    client.connection().send(version, &request, &[]).unwrap();
    append(&mut writer, &topic, 0, &small);
    let answer = client.connection().receive::<FetchRequest<'_>>().unwrap();
    let partition = answer.view().responses.first().unwrap().partitions.first().unwrap();
    assert_eq!(partition.records.unwrap().bytes.len(), large.len() + small.len());
}

#[test]
fn a_fetch_of_several_partitions_gives_the_first_its_batch_and_keeps_to_the_limit() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("limit", 3, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let large = batch(&["x".repeat(10_000).as_str()]);
    for partition in 0..3 {
        append(&mut client, &topic, partition, &large);
    }
    let limits = FetchLimits { max_bytes: 1, ..no_wait() };
    let mut request = fetch_request(&topic, id, 0, Offset::ZERO, limits);
    let first = request.topics[0].partitions[0].clone();
    for partition in [1, 2] {
        let mut more = first.clone();
        more.partition = partition;
        request.topics[0].partitions.push(more);
    }
    let answer = client.call(&request, &[]).unwrap();
    let sizes: Vec<usize> = answer
        .view()
        .responses
        .iter()
        .flat_map(|topic| topic.partitions)
        .map(|partition| partition.records.map_or(0, |records| records.bytes.len()))
        .collect();
    assert_eq!(sizes, [large.len(), 0, 0]);
}

#[test]
fn a_full_answer_comes_at_once_and_holds_whole_batches_only_whichever_cores_they_come_from() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("whole", 8, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let batch = batch(&["x".repeat(1000).as_str()]);
    for partition in 0..8 {
        append(&mut client, &topic, partition, &batch);
    }
    // It wants more than it takes: what it takes is enough. A minute would be too long.
    let limits = FetchLimits {
        max_wait: Duration::from_secs(60),
        min_bytes: i32::MAX,
        max_bytes: 2 * batch.len() as i32 + 500,
        ..FetchLimits::default()
    };
    for first in 0..8 {
        let mut request = fetch_request(&topic, id, 0, Offset::ZERO, limits);
        let one = request.topics[0].partitions.remove(0);
        request.topics[0].partitions = (0..8)
            .map(|step| FetchPartition { partition: (first + step) % 8, ..one.clone() })
            .collect();
        let version = client.versions().newest(ApiKey::Fetch).unwrap();
        let answer = client.connection().call(version, &request, &[]).unwrap();
        let partitions = answer.view().responses.first().unwrap().partitions;
        let lens: Vec<usize> =
            partitions.iter().map(|part| part.records.unwrap().bytes.len()).collect();
        let whole = lens.iter().filter(|len| **len == batch.len()).count();
        assert!(lens.iter().all(|len| *len == 0 || *len == batch.len()), "{lens:?}");
        assert_eq!((whole, lens[0]), (2, batch.len()), "{lens:?}");
    }
}

#[test]
fn a_batch_larger_than_the_topic_allows_is_refused() {
    let broker = Broker::start();
    let topic = broker.topic("large", 1, &[("max.message.bytes", "1000")]);
    let mut client = broker.client();
    let large = batch(&["x".repeat(2000).as_str()]);
    let error = refused(client.produce(&topic, 0, Acks::All, &large));
    assert_eq!(error, ErrorCode::MessageTooLarge);
    assert_eq!(append(&mut client, &topic, 0, &batch(&["small"])), Offset::ZERO);
}

#[test]
fn a_topic_with_log_append_time_stamps_its_records() {
    let broker = Broker::start();
    let config = [("message.timestamp.type", "LogAppendTime")];
    let (topic, mut client) = (broker.topic("stamped", 1, &config), broker.client());
    for codec in Codec::ALL {
        let old = batch_of(&["a", "b"], base_time(), codec);
        let appended = client.produce(&topic, 0, Acks::All, &old).unwrap().unwrap();
        assert!(appended.log_append_time > Timestamp(base_time()), "{codec}");
        let read = read_from(&mut client, &topic, 0, appended.base_offset);
        assert_eq!(values(&read), ["a", "b"], "{codec}");
        for record in &read[0].records {
            assert_eq!(record.timestamp, appended.log_append_time, "{codec}");
        }
    }
}

/// The answer for one partition in a given version: error, offset, timestamp.
fn offset_by_version(client: &mut Client, version: i16, topic: &str, at: i64) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition { timestamp: at, ..Default::default() };
    offset_of(client, version, topic, partition)
}

fn offset_of(
    client: &mut Client,
    version: i16,
    topic: &str,
    partition: ListOffsetsPartition,
) -> (i16, i64, i64) {
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: vec![ListOffsetsTopic { name: topic.into(), partitions: vec![partition] }],
        timeout_ms: 30_000,
    };
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let found = answer.view().topics.first().unwrap().partitions.first().unwrap();
    (found.error_code, found.offset, found.timestamp)
}

#[test]
fn offsets_are_listed_by_place_and_by_time() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("offsets", 1, &[]), broker.client());
    for (at, offset) in [(EARLIEST, 0), (LATEST, 0), (MAX_TIMESTAMP, -1), (Timestamp(0), -1)] {
        let found = client.list_offset(&topic, 0, at).unwrap();
        assert_eq!(
            (found.offset, found.timestamp),
            (Offset(offset), Timestamp(-1)),
            "{at} of none"
        );
    }
    // Times per offset: 0..3 at +0 +1 +2, 3..6 at +100 +101 +102, 6..9 at +50 +51 +52.
    for (delta, codec) in [(0, Codec::None), (100, Codec::Lz4), (50, Codec::Zstd)] {
        append(&mut client, &topic, 0, &batch_of(&["a", "b", "c"], base_time() + delta, codec));
    }
    let time = |delta: i64| Timestamp(base_time() + delta);
    for (at, offset, timestamp) in [
        (EARLIEST, 0, Timestamp(-1)),
        (LATEST, 9, Timestamp(-1)),
        (MAX_TIMESTAMP, 5, time(102)),
        (Timestamp(0), 0, time(0)),
        (time(0), 0, time(0)),
        (time(1), 1, time(1)),
        (time(3), 3, time(100)),
        (time(51), 3, time(100)),
        (time(101), 4, time(101)),
        (time(102), 5, time(102)),
        (time(103), -1, Timestamp(-1)),
    ] {
        let found = client.list_offset(&topic, 0, at).unwrap();
        assert_eq!((found.offset, found.timestamp), (Offset(offset), timestamp), "at {at}");
    }
}

#[test]
fn every_version_of_list_offsets_answers_and_knows_its_places() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("places", 1, &[]), broker.client());
    append(&mut client, &topic, 0, &batch(&["a", "b"]));
    let unsupported = (ErrorCode::UnsupportedVersion.code(), -1, -1);
    for version in client.versions().common(ApiKey::ListOffsets).unwrap() {
        let mut at = |at| offset_by_version(&mut client, version, &topic, at);
        assert_eq!(at(-1), (0, 2, -1), "latest, version {version}");
        assert_eq!(at(-2), (0, 0, -1), "earliest, version {version}");
        assert_eq!(at(base_time() + 1), (0, 1, base_time() + 1), "by time, version {version}");
        let since = |first, answer| if version >= first { answer } else { unsupported };
        assert_eq!(at(-3), since(7, (0, 1, base_time() + 1)), "max time, version {version}");
        assert_eq!(at(-4), since(8, (0, 0, -1)), "earliest local, version {version}");
        assert_eq!(at(-5), since(9, (0, -1, -1)), "latest tiered, version {version}");
        assert_eq!(at(-6), since(11, (0, -1, -1)), "earliest to be tiered, version {version}");
    }
}

#[test]
fn every_place_of_list_offsets_is_of_a_partition_and_an_epoch_that_are_known() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("known", 1, &[]), broker.client());
    let version = client.versions().newest(ApiKey::ListOffsets).unwrap();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    for timestamp in [-1, -2, -3, -4, -5, -6, 0] {
        let partition = |partition_index, current_leader_epoch| ListOffsetsPartition {
            partition_index,
            current_leader_epoch,
            timestamp,
        };
        let mut of = |topic: &str, partition| offset_of(&mut client, version, topic, partition).0;
        assert_eq!(of("nobody's", partition(0, -1)), unknown, "{timestamp} of no topic");
        assert_eq!(of(&topic, partition(7, -1)), unknown, "{timestamp} of no partition");
        let code = of(&topic, partition(0, 99));
        assert_eq!(code, ErrorCode::UnknownLeaderEpoch.code(), "{timestamp} of epoch 99");
        assert_eq!(of(&topic, partition(0, 0)), 0, "{timestamp}");
    }
}

#[test]
fn answers_keep_the_order_of_200_requests_sent_ahead() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("order", 4, &[]), broker.client());
    let id: TopicId = client.topic_id(&topic).unwrap();
    let newest = |api| client.versions().newest(api).unwrap();
    let (produce, fetch, metadata) =
        (newest(ApiKey::Produce), newest(ApiKey::Fetch), newest(ApiKey::Metadata));
    let connection = client.connection();
    for turn in 0..200 {
        let (partition, batch) = (turn % 4, batch(&[turn.to_string().as_str()]));
        match turn % 10 {
            7 => {
                // It waits a while for bytes that do not come; what follows must wait for it.
                let max_wait = Duration::from_millis(if turn == 97 { 100 } else { 0 });
                let limits = FetchLimits { max_wait, min_bytes: 1 << 20, ..no_wait() };
                let request = fetch_request(&topic, id, partition, Offset::ZERO, limits);
                connection.send(fetch, &request, &[]).unwrap();
            }
            8 => connection.send(metadata, &MetadataRequest::default(), &[]).unwrap(),
            _ => {
                let request = produce_request(&topic, id, partition, Acks::All, batch.len());
                connection.send(produce, &request, &[&batch]).unwrap();
            }
        }
    }
    let mut next = [0; 4];
    for turn in 0..200 {
        match turn % 10 {
            // Each answer's correlation id is compared with the oldest request's on receipt.
            7 => drop(connection.receive::<FetchRequest<'_>>().unwrap()),
            8 => drop(connection.receive::<MetadataRequest<'_>>().unwrap()),
            _ => {
                let answer = connection.receive::<ProduceRequest<'_>>().unwrap();
                let topics = answer.view().responses;
                let found = topics.first().unwrap().partition_responses.first().unwrap();
                assert_eq!((found.error_code, found.index), (0, turn % 4));
                assert_eq!(found.base_offset, next[turn as usize % 4], "request {turn}");
                next[turn as usize % 4] += 1;
            }
        }
    }
    assert_eq!(connection.pending_count(), 0);
}

#[test]
fn a_request_for_several_partitions_is_answered_for_each() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("several", 8, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let batches: Vec<Vec<u8>> = (0..8).map(|partition| batch(&vec!["x"; partition + 1])).collect();
    let mut request = produce_request(&topic, id, 0, Acks::All, 0);
    request.topic_data[0].partition_data = batches
        .iter()
        .enumerate()
        .map(|(index, batch)| {
            let topic = produce_request(&topic, id, index as i32, Acks::All, batch.len());
            let mut data = topic.topic_data[0].partition_data[0].clone();
            data.records.as_mut().unwrap().tag = index;
            data
        })
        .collect();
    let records: Vec<&[u8]> = batches.iter().map(Vec::as_slice).collect();
    for round in 0..2 {
        let answer = client.call(&request, &records).unwrap();
        let view = answer.view();
        let mut found: Vec<_> =
            view.responses.first().unwrap().partition_responses.iter().collect();
        found.sort_by_key(|one| one.index);
        assert_eq!(found.len(), 8);
        for (index, one) in found.iter().enumerate() {
            assert_eq!((one.index, one.error_code), (index as i32, 0));
            assert_eq!(one.base_offset, round * (index as i64 + 1));
        }
    }
}

#[test]
fn under_a_flush_policy_what_is_acknowledged_is_what_readers_see() {
    let broker = Broker::start();
    for every in ["1", "3"] {
        let (topic, mut client) =
            (broker.topic("flushed", 1, &[("flush.messages", every)]), broker.client());
        for count in 1..=7_i64 {
            assert_eq!(append(&mut client, &topic, 0, &batch(&["x"])), Offset(count - 1));
            let fetched = client.fetch(&topic, 0, Offset::ZERO, no_wait()).unwrap();
            assert_eq!(fetched.high_watermark, Offset(count));
            assert_eq!(read_batches(&fetched.records).unwrap().len() as i64, count);
        }
    }
}
