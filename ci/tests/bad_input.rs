//! Bad input: what is no request, or a false one, is answered with Kafka's error or ends its
//! connection. Other clients notice nothing.

mod process;

use highwater::base::{Random, crc32c};
use highwater::cli::client::{Acks, Client, produce_request};
use highwater::cli::connection::Connection;
use highwater::model::{ErrorCode, Offset, TopicId};
use highwater::protocol::write::ApiVersionsRequest;
use highwater::protocol::{ApiKey, Encode, RequestHeader, Writer};
use highwater::record::{CRC_FROM, Codec};
use process::{Broker, append, base_time, batch, batch_of, eventually, read_from, refused, values};

/// Another client, which must not notice anything.
struct Bystander {
    client: Client,
    topic: String,
    sent: Vec<String>,
}

impl Bystander {
    fn new(broker: &Broker) -> Self {
        let topic = broker.topic("bystander", 1, &[]);
        Self { client: broker.client(), topic, sent: Vec::new() }
    }

    /// Appends one more record and reads all of them, on the connection that it has had all along.
    fn works(&mut self) {
        let text = format!("{}", self.sent.len());
        let offset = append(&mut self.client, &self.topic, 0, &batch(&[&text]));
        assert_eq!(offset, Offset(self.sent.len() as i64));
        self.sent.push(text);
        let read = read_from(&mut self.client, &self.topic, 0, Offset::ZERO);
        assert_eq!(values(&read), self.sent);
    }
}

/// Waits until the broker has ended the connection; answers before that are none.
fn is_ended(connection: &mut Connection) {
    match connection.receive_frame() {
        Err(error) if error.is_closed() => {}
        other => panic!("the broker ends the connection; it did: {other:?}"),
    }
}

/// Sends bytes that must end their connection.
fn ends_by(broker: &Broker, bytes: &[u8]) {
    let mut connection = broker.connection();
    match connection.send_bytes(bytes) {
        Ok(()) => is_ended(&mut connection),
        Err(error) => assert!(error.is_closed(), "{error}"),
    }
}

/// A frame of these bytes.
fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes(), body].concat()
}

/// A request as it stands on the wire.
fn encoded(api: ApiKey, version: i16, request: &impl Encode, records: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader { api, version, correlation_id: 7, client_id: Some("bad") };
    let start = header.begin(&mut writer);
    request.encode(version, &mut writer);
    writer.frame_end(start);
    writer.to_vec(|_| records)
}

#[test]
fn random_bytes_end_their_connection_and_no_other() {
    let broker = Broker::start();
    let (mut bystander, mut random) = (Bystander::new(&broker), Random::new(1));
    for round in 0..40 {
        let mut bytes = vec![0; random.between(1, 3000) as usize];
        random.fill(&mut bytes);
        // Some as they are, some in a frame of the right size, some with a known API besides.
        let bytes = match round % 3 {
            0 => bytes,
            1 => framed(&bytes),
            _ => {
                let api = random.pick(ApiKey::ALL).unwrap();
                let header = [api.key().to_be_bytes(), 1i16.to_be_bytes()].concat();
                framed(&[header, bytes].concat())
            }
        };
        let mut connection = broker.connection();
        let sent = connection.send_bytes(&bytes).and_then(|()| connection.end());
        // Whatever it made of them, after our end there is its end.
        if sent.is_ok() {
            while connection.receive_frame().is_ok() {}
        }
    }
    bystander.works();
}

#[test]
fn an_impossible_size_ends_the_connection_before_a_byte_of_the_body() {
    let broker = Broker::start();
    let mut bystander = Bystander::new(&broker);
    for size in [-1, i32::MIN, i32::MAX, 2 << 29, 104_857_601] {
        ends_by(&broker, &i32::to_be_bytes(size));
        bystander.works();
    }
    for size in [0, 1, 7] {
        ends_by(&broker, &framed(&vec![0xff; size]));
    }
    bystander.works();
}

#[test]
fn announced_bytes_that_do_not_come_cost_nothing() {
    let broker = Broker::start();
    // A Kafka reserves what is announced; this test has ended one for want of memory.
    let Some(process) = &broker.process else { return };
    let mut bystander = Bystander::new(&broker);
    let mut held = Vec::new();
    for number in 0..100 {
        let mut connection = broker.connection();
        // Half a size, or a large size with the beginning of a produce.
        let produce = [0x06, 0x00, 0x00, 0x00, 0, 0, 0, 9, 0, 0, 0, 1];
        let bytes = if number % 2 == 0 { &produce[..2] } else { &produce[..] };
        connection.send_bytes(bytes).unwrap();
        held.push(connection);
    }
    bystander.works();
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 200 * 1024, "50 connections announced 96 MiB each: {kib} KiB are resident");
    drop(held);
    bystander.works();
}

#[test]
fn an_unknown_api_or_version_ends_the_connection() {
    let broker = Broker::start();
    let mut bystander = Bystander::new(&broker);
    let header = |key: i16, version: i16| {
        framed(&[&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0, 0]].concat())
    };
    for (key, version) in [
        (-1, 0),
        (999, 0),
        (i16::MAX, 0),
        (ApiKey::Metadata.key(), 99),
        (ApiKey::Metadata.key(), -1),
        (ApiKey::Produce.key(), 2),
        (ApiKey::Produce.key(), 0),
        (ApiKey::Produce.key(), 99),
        (ApiKey::Fetch.key(), 3),
        (ApiKey::ListOffsets.key(), 0),
        (ApiKey::CreateTopics.key(), 1),
        (ApiKey::InitProducerId.key(), 6),
    ] {
        ends_by(&broker, &header(key, version));
    }
    bystander.works();
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = Broker::start();
    let mut connection = broker.connection();
    for version in [99, 5, i16::MAX] {
        let header =
            [&18i16.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 42, 0, 1, b'c', 0]];
        connection.send_bytes(&framed(&header.concat())).unwrap();
        let answer = connection.receive_frame().unwrap();
        let known = ApiKey::ApiVersions.facts().versions.clone();
        let expected = [
            &42i32.to_be_bytes()[..],
            &ErrorCode::UnsupportedVersion.code().to_be_bytes(),
            &1i32.to_be_bytes(),
            &ApiKey::ApiVersions.key().to_be_bytes(),
            &known.start().to_be_bytes(),
            &known.end().to_be_bytes(),
        ];
        assert_eq!(answer, expected.concat(), "version {version}");
    }
    // The connection goes on.
    let request = ApiVersionsRequest {
        client_software_name: "bad-input".into(),
        client_software_version: "1".into(),
    };
    let answer = connection.call(3, &request, &[]).unwrap();
    assert_eq!(answer.view().error_code, 0);
    assert!(answer.view().api_keys.len() >= 10);
}

#[test]
fn a_client_without_a_name_for_itself_is_told_so() {
    let broker = Broker::start();
    let mut connection = broker.connection();
    let request = ApiVersionsRequest {
        client_software_name: "not a name!".into(),
        client_software_version: "1".into(),
    };
    let answer = connection.call(3, &request, &[]).unwrap();
    assert_eq!(answer.view().error_code, ErrorCode::InvalidRequest.code());
}

#[test]
fn a_request_that_is_cut_off_ends_its_connection() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("cut", 1, &[]), broker.client());
    let mut bystander = Bystander::new(&broker);
    let (id, batch) = (client.topic_id(&topic).unwrap(), batch(&["whole"]));
    for version in [3, 8, 9, 13] {
        let request = produce_request(&topic, id, 0, Acks::All, batch.len());
        let whole = encoded(ApiKey::Produce, version, &request, &batch);
        for len in (5..whole.len() - 4).step_by(9) {
            ends_by(&broker, &framed(&whole[4..][..len]));
        }
    }
    bystander.works();
    assert!(read_from(&mut client, &topic, 0, Offset::ZERO).is_empty());
}

#[test]
fn counts_and_lengths_beyond_the_request_end_its_connection() {
    let broker = Broker::start();
    let mut bystander = Bystander::new(&broker);
    let header = |api: ApiKey, version: i16| {
        let (key, version) = (api.key().to_be_bytes(), version.to_be_bytes());
        [&key[..], &version, &[0, 0, 0, 1, 0, 0]].concat()
    };
    let large = i32::MAX.to_be_bytes();
    for body in [
        // Metadata of 2^31 - 1 topics; of one topic whose name has 32,767 bytes, or -2.
        [header(ApiKey::Metadata, 1), large.to_vec()].concat(),
        [header(ApiKey::Metadata, 1), vec![0, 0, 0, 1, 0x7f, 0xff]].concat(),
        [header(ApiKey::Metadata, 1), vec![0, 0, 0, 1, 0xff, 0xfe]].concat(),
        // Flexible: a count of 2^32 - 2, and one that does not end.
        [header(ApiKey::Metadata, 9), vec![0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
        [header(ApiKey::Metadata, 9), vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(),
        // A client id longer than the frame.
        vec![0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, b'c'],
        // Produce whose records have 2^31 - 1 bytes.
        [
            header(ApiKey::Produce, 3),
            vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1],
            vec![0, 0, 0, 0],
            large.to_vec(),
        ]
        .concat(),
    ] {
        ends_by(&broker, &framed(&body));
    }
    bystander.works();
}

#[test]
fn other_protocols_are_shown_the_door() {
    let broker = Broker::start();
    let mut bystander = Bystander::new(&broker);
    let hello =
        [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03][..], &[7; 506]];
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"POST /topics HTTP/1.0\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        hello.concat(),
    ] {
        ends_by(&broker, &bytes);
        bystander.works();
    }
}

#[test]
fn why_a_connection_was_ended_is_logged_with_its_peer() {
    let broker = Broker::start();
    let Some(process) = &broker.process else { return };
    let mut connection = broker.connection();
    let peer = connection.local_address().unwrap().to_string();
    connection.send_bytes(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    is_ended(&mut connection);
    eventually("the log names the connection", || process.log().contains(&peer).then_some(()));
}

/// The header of a batch changed at `at`, with a checksum that is right again.
fn changed(mut batch: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::checksum(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn a_false_batch_is_refused_with_kafkas_code_and_leaves_nothing_behind() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("false", 1, &[]), broker.client());
    let good = batch(&["a", "b", "c"]);
    let with = |at: usize, bytes: &[u8]| changed(good.clone(), at, bytes);
    let raw = |at: usize, byte: u8| {
        let mut batch = good.clone();
        batch[at] = byte;
        batch
    };
    let length = |delta: i32| ((good.len() - 12) as i32 + delta).to_be_bytes();
    let corrupt: &[ErrorCode] = &[ErrorCode::CorruptMessage];
    let invalid: &[ErrorCode] = &[ErrorCode::InvalidRecord];
    let either: &[ErrorCode] = &[ErrorCode::CorruptMessage, ErrorCode::InvalidRecord];
    // Kafka has no name for its failure at codec 7, and names a right that the client lacks for
    // transactions; we may be more exact.
    let codec: &[ErrorCode] =
        &[ErrorCode::UnknownServerError, ErrorCode::UnsupportedCompressionType];
    let transaction: &[ErrorCode] =
        &[ErrorCode::TransactionalIdAuthorizationFailed, ErrorCode::InvalidRequest];
    let cases: Vec<(&str, Vec<u8>, &[ErrorCode])> = vec![
        ("checksum", raw(18, good[18] ^ 1), corrupt),
        ("a bit of a record", raw(good.len() - 1, good[good.len() - 1] ^ 1), corrupt),
        ("length too short", with(8, &length(-1)), either),
        ("length too long", with(8, &length(1)), either),
        ("length negative", with(8, &(-1i32).to_be_bytes()), corrupt),
        ("length 0", with(8, &0i32.to_be_bytes()), corrupt),
        ("magic 0", raw(16, 0), invalid),
        ("magic 1", raw(16, 1), invalid),
        ("magic 3", raw(16, 3), corrupt),
        ("count 2", with(57, &2i32.to_be_bytes()), invalid),
        ("count 4", with(57, &4i32.to_be_bytes()), invalid),
        ("count 0", with(57, &0i32.to_be_bytes()), invalid),
        ("count -1", with(57, &(-1i32).to_be_bytes()), invalid),
        ("last offset delta 7", with(23, &7i32.to_be_bytes()), invalid),
        ("control bit", with(21, &0x20i16.to_be_bytes()), invalid),
        ("transactional bit", with(21, &0x10i16.to_be_bytes()), transaction),
        ("codec 7", with(21, &0x07i16.to_be_bytes()), codec),
        ("two batches", [good.clone(), good.clone()].concat(), invalid),
        ("half a batch", good[..good.len() / 2].to_vec(), either),
        ("a header and no records", good[..61].to_vec(), either),
        ("5 bytes", good[..5].to_vec(), either),
        ("nothing", Vec::new(), either),
    ];
    for (what, bytes, codes) in &cases {
        let code = refused(client.produce(&topic, 0, Acks::All, bytes));
        assert!(codes.contains(&code), "{what}: {code}");
    }
    assert!(read_from(&mut client, &topic, 0, Offset::ZERO).is_empty());
    assert_eq!(append(&mut client, &topic, 0, &good), Offset::ZERO);
}

#[test]
fn records_that_are_looked_into_are_refused_with_kafkas_codes() {
    let broker = Broker::start();
    // They are packed anew, so that the broker must look at each.
    let topic = broker.topic("looked-into", 1, &[("compression.type", "zstd")]);
    let mut client = broker.client();
    let batch = |codec| batch_of(&["a", "b", "c"], base_time(), codec);
    let fewer = |batch: Vec<u8>| {
        let batch = changed(batch, 57, &2i32.to_be_bytes());
        changed(batch, 23, &1i32.to_be_bytes())
    };
    for codec in [Codec::None, Codec::Gzip, Codec::Lz4] {
        let code = refused(client.produce(&topic, 0, Acks::All, &fewer(batch(codec))));
        assert_eq!(code, ErrorCode::InvalidRecord, "{codec}: a record more than the count");
    }
    assert!(read_from(&mut client, &topic, 0, Offset::ZERO).is_empty());
    assert_eq!(append(&mut client, &topic, 0, &batch(Codec::Gzip)), Offset::ZERO);
}

#[test]
fn a_false_batch_of_one_partition_does_not_spoil_the_others() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("one-of", 3, &[]), broker.client());
    let id: TopicId = client.topic_id(&topic).unwrap();
    let good = batch(&["a"]);
    let mut bad = good.clone();
    bad[18] ^= 1;
    let mut request = produce_request(&topic, id, 0, Acks::All, good.len());
    let first = request.topic_data[0].partition_data[0].clone();
    for (partition, tag) in [(1, 1), (2, 0)] {
        let mut more = first.clone();
        more.index = partition;
        more.records.as_mut().unwrap().tag = tag;
        request.topic_data[0].partition_data.push(more);
    }
    let answer = client.call(&request, &[&good, &bad]).unwrap();
    let topics = answer.view().responses;
    let mut found: Vec<(i32, i16, i64)> = topics
        .iter()
        .flat_map(|topic| topic.partition_responses)
        .map(|one| (one.index, one.error_code, one.base_offset))
        .collect();
    found.sort_unstable();
    let corrupt = ErrorCode::CorruptMessage.code();
    assert_eq!(found, [(0, 0, 0), (1, corrupt, -1), (2, 0, 0)]);
}

#[test]
fn a_false_batch_without_acks_ends_the_connection() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("silent", 1, &[]), broker.client());
    let mut bad = batch(&["a"]);
    bad[18] ^= 1;
    client.produce(&topic, 0, Acks::None, &bad).unwrap();
    // There is no answer to put the error into: Kafka closes, so that the producer looks again.
    is_ended(client.connection());
}

#[test]
fn clients_that_vanish_in_the_middle_are_not_missed() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("vanish", 1, &[]), broker.client());
    let mut bystander = Bystander::new(&broker);
    let id = client.topic_id(&topic).unwrap();
    let large = batch(&["x".repeat(500_000).as_str()]);
    let request = produce_request(&topic, id, 0, Acks::All, large.len());
    let version = client.versions().newest(ApiKey::Produce).unwrap();
    let whole = encoded(ApiKey::Produce, version, &request, &large);
    for part in 1..10 {
        let mut connection = broker.connection();
        connection.send_bytes(&whole[..whole.len() * part / 10]).unwrap();
        drop(connection);
        bystander.works();
    }
    assert!(read_from(&mut client, &topic, 0, Offset::ZERO).is_empty());
}
