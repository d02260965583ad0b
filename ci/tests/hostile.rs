//! Clients that mean harm, or are built as if they did: each is ended with a reason in the log, or
//! served within bounds, and another client notices nothing.

mod process;

use highwater::cli::client::{Acks, Client, FetchLimits, fetch_request};
use highwater::cli::connection::Connection;
use highwater::limits::{FRAME_PATIENCE, WRITE_PATIENCE};
use highwater::model::{ErrorCode, Offset, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::MetadataRequest;
use highwater::protocol::write::create_topics::CreatableTopic;
use highwater::protocol::write::fetch::FetchPartition;
use highwater::protocol::write::metadata::MetadataRequestTopic;
use highwater::protocol::write::{CreateTopicsRequest, FetchRequest};
use highwater::record::Codec;
use highwater::runtime::clock;
use process::{
    Broker, PATIENCE, Process, append, base_time, batch, batch_of, eventually, free_address,
    fresh_name, read_from, refused,
};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A broker of ours with metrics, and a client of it that must notice nothing.
struct Watched {
    broker: Broker,
    client: Client,
    topic: String,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut more = vec!["--override", "highwater.metrics.listener=127.0.0.1:0"];
        more.extend(settings.iter().flat_map(|setting| ["--override", setting]));
        let process = Process::start_with(folder.path(), free_address(), &more);
        let broker = Broker { address: process.address, process: Some(process) };
        let topic = broker.topic("watched", 1, &[]);
        let client = broker.client();
        let mut watched = Self { broker, client, topic, _folder: folder };
        // The first record opens the files.
        watched.is_served();
        watched
    }

    fn process(&self) -> &Process {
        self.broker.process.as_ref().unwrap()
    }

    /// Appends and reads on the connection that it has had all along.
    fn is_served(&mut self) {
        let offset = append(&mut self.client, &self.topic, 0, &batch(&["served"]));
        let read = read_from(&mut self.client, &self.topic, 0, offset);
        assert_eq!(read.len(), 1);
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.broker.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn logs(&self, words: &str) {
        eventually(words, || self.process().log().contains(words).then_some(()));
    }

    /// How much more memory than now the process has at most while `work` runs.
    fn growth(&mut self, work: impl FnOnce(&mut Self)) -> u64 {
        // 5 sets the peak back to what is resident now.
        std::fs::write(format!("/proc/{}/clear_refs", self.process().pid()), "5").unwrap();
        let before = self.process().status_bytes("VmRSS");
        work(self);
        let peak = self.process().status_bytes("VmHWM");
        println!("{} MiB more at most", peak.saturating_sub(before) / MIB);
        peak.saturating_sub(before)
    }
}

/// Whether the broker has ended the connection; never waits.
fn is_ended(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    match read {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

// --- what is no request -------------------------------------------------------------------------

#[test]
fn the_log_says_which_protocol_was_spoken() {
    let mut watched = Watched::start(&[]);
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    for (bytes, name) in [
        (hello, "the client speaks TLS: this listener is plain text"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "the client speaks HTTP: "),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "the client speaks HTTP/2: "),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "the client speaks SSH: "),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n".to_vec(), "the client speaks the PROXY protocol"),
    ] {
        let mut stream = watched.connect();
        let peer = stream.local_addr().unwrap();
        stream.write_all(&bytes).unwrap();
        // A reset counts too: the broker has not read all.
        let _ = stream.read(&mut [0]);
        watched.logs(&format!("closing connection of {peer} (unknown client): {name}"));
        watched.is_served();
    }
}

#[test]
fn no_body_is_taken_for_a_request_that_cannot_be_answered() {
    let mut watched = Watched::start(&[]);
    let growth = watched.growth(|watched| {
        for (key, version) in [(999_i16, 0_i16), (-1, 0), (ApiKey::Produce.key(), 99)] {
            let mut stream = watched.connect();
            let size = 90_i32 << 20;
            let start = [&size.to_be_bytes()[..], &key.to_be_bytes(), &version.to_be_bytes()];
            stream.write_all(&start.concat()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.is_empty(), "it is ended, with 90 MiB to come");
        }
    });
    assert!(growth < 8 * MIB, "{growth}");
    watched.is_served();
}

// --- who is slow --------------------------------------------------------------------------------

/// Two hundred that announce 100 MB and send a byte now and then. Apache Kafka 4.3.1 reserves what
/// they announce, and stops answering.
#[test]
fn who_drips_a_request_is_ended_and_was_no_burden() {
    const SENDERS: usize = 200;
    let mut watched = Watched::start(&[]);
    let growth = watched.growth(|watched| {
        let start = [&(100_i32 << 20).to_be_bytes()[..], &[0, 0, 0, 9, 0, 0, 0, 1]].concat();
        let mut senders: Vec<TcpStream> = (0..SENDERS).map(|_| watched.connect()).collect();
        for sender in &mut senders {
            sender.write_all(&start).unwrap();
        }
        let begun = clock::monotonic();
        let mut ended = 0;
        while !senders.is_empty() {
            assert!(clock::monotonic().since(begun) < FRAME_PATIENCE + PATIENCE, "{ended} ended");
            // An error says that this one has been ended.
            senders.retain_mut(|sender| sender.write_all(&[7]).is_ok() && !is_ended(sender));
            ended = SENDERS - senders.len();
            watched.is_served();
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(clock::monotonic().since(begun) >= FRAME_PATIENCE, "none is ended for a stall");
    });
    assert!(growth < 40 * MIB, "{growth}");
    watched.logs("a request arrives too slowly");
    assert_eq!(watched.process().metric("highwater_connections_ended_total"), SENDERS as u64);
}

/// Twenty that ask for the largest topic again and again, and never read.
#[test]
fn who_does_not_read_is_ended_and_was_no_burden() {
    let mut watched = Watched::start(&[]);
    let large = watched.broker.topic("large", 1, &[]);
    let id = watched.client.topic_id(&large).unwrap();
    let megabyte = batch(&["x".repeat(900_000).as_str()]);
    for _ in 0..64 {
        append(&mut watched.client, &large, 0, &megabyte);
    }
    let version = watched.client.versions().newest(ApiKey::Fetch).unwrap();
    let growth = watched.growth(|watched| {
        let limits = FetchLimits { max_bytes: 50 << 20, ..FetchLimits::default() };
        let mut readers: Vec<Connection> = (0..20).map(|_| watched.broker.connection()).collect();
        for reader in &mut readers {
            for _ in 0..20 {
                let request = fetch_request(&large, id, 0, Offset::ZERO, limits);
                reader.send(version, &request, &[]).unwrap();
            }
        }
        let ended =
            |watched: &Watched| watched.process().metric("highwater_connections_ended_total");
        let begun = clock::monotonic();
        while ended(watched) < 20 {
            let waited = clock::monotonic().since(begun);
            assert!(waited < 2 * WRITE_PATIENCE + PATIENCE, "{} are ended", ended(watched));
            watched.is_served();
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    assert!(growth < 40 * MIB, "{growth}");
    watched.logs("it has taken nothing of what was sent to it for 30 s");
}

#[test]
fn a_socket_closed_on_one_side_ends_and_leaves_nothing() {
    let mut watched = Watched::start(&[]);
    let id = watched.client.topic_id(&watched.topic).unwrap();
    let version = watched.client.versions().newest(ApiKey::Fetch).unwrap();
    let limits = FetchLimits { max_wait: 20 * PATIENCE, min_bytes: 1, ..FetchLimits::default() };
    let before = watched.process().open_files();
    let mut halves: Vec<Connection> = (0..100).map(|_| watched.broker.connection()).collect();
    for (index, half) in halves.iter_mut().enumerate() {
        match index % 3 {
            // It has said nothing; it is in the middle of a request; it waits for an answer.
            0 => {}
            1 => half.send_bytes(&[0, 0, 1, 0, 0]).unwrap(),
            _ => {
                let request = fetch_request(&watched.topic, id, 0, Offset(1 << 40), limits);
                half.send(version, &request, &[]).unwrap();
            }
        }
        half.end().unwrap();
    }
    for half in &mut halves {
        while half.receive_frame().is_ok() {}
    }
    eventually("all are gone", || (watched.process().open_files() <= before).then_some(()));
    watched.is_served();
}

// --- crowds -------------------------------------------------------------------------------------

#[test]
fn three_thousand_connects_in_a_row_leave_nothing() {
    let mut watched = Watched::start(&[]);
    let before = watched.process().open_files();
    let growth = watched.growth(|watched| {
        for number in 0..3_000 {
            let mut stream = watched.connect();
            match number % 3 {
                0 => {}
                1 => stream.write_all(&[0, 0]).unwrap(),
                _ => stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap(),
            }
            if number % 500 == 0 {
                watched.is_served();
            }
        }
    });
    eventually("all are gone", || (watched.process().open_files() <= before).then_some(()));
    assert!(growth < 20 * MIB, "{growth}");
    watched.is_served();
}

#[test]
fn there_are_at_most_as_many_connections_as_may_be() {
    let watched = Watched::start(&["max.connections=4"]);
    let held: Vec<TcpStream> = (0..12).map(|_| watched.connect()).collect();
    watched.logs("refusing a connection from 127.0.0.1");
    watched.logs("4 are open (max.connections)");
    eventually("the refused are counted", || {
        let refused = watched.process().metric("highwater_connections_refused_total");
        (refused >= 6).then_some(())
    });
    drop(held);
    let come = || Client::connect(watched.broker.address, PATIENCE).ok();
    eventually("who leaves makes room", come);
}

#[test]
fn a_connection_that_is_closed_for_its_silence_is_counted() {
    let watched = Watched::start(&["connections.max.idle.ms=200"]);
    let mut stream = watched.connect();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is closed");
    let name = "kafka_network_socketserver_expiredconnectionskilled_total";
    eventually("it is counted", || (watched.process().metric(name) > 0).then_some(()));
}

// --- bombs --------------------------------------------------------------------------------------

/// Records that unpack to more than a batch may, where the topic makes the broker look inside.
#[test]
fn a_bomb_in_any_codec_is_refused_and_memory_stays_bounded() {
    let mut watched = Watched::start(&[]);
    let zeros = "0".repeat(100 << 20);
    for (codec, other) in
        [(Codec::Gzip, "lz4"), (Codec::Snappy, "lz4"), (Codec::Lz4, "zstd"), (Codec::Zstd, "lz4")]
    {
        let bomb = batch_of(&[&zeros], base_time(), codec);
        let configs = [("compression.type", other), ("max.message.bytes", "20000000")];
        let topic = watched.broker.topic("bomb", 1, &configs);
        let growth = watched.growth(|watched| {
            let code = refused(watched.client.produce(&topic, 0, Acks::All, &bomb));
            assert_eq!(code, ErrorCode::MessageTooLarge, "{codec}");
        });
        // 64 MiB may come out; growing doubles a buffer.
        assert!(growth < 160 * MIB, "{codec}: {growth}");
        assert!(read_from(&mut watched.client, &topic, 0, Offset::ZERO).is_empty());
        watched.is_served();
    }
}

// --- large, and legal ---------------------------------------------------------------------------

#[test]
fn a_hundred_thousand_topics_in_one_metadata_request_are_answered() {
    let mut watched = Watched::start(&[]);
    let growth = watched.growth(|watched| {
        let names: Vec<String> = (0..100_000).map(|number| format!("no-topic-{number}")).collect();
        let topic = |name: &String| MetadataRequestTopic {
            name: Some(name.clone().into()),
            topic_id: TopicId::ZERO,
        };
        let request = MetadataRequest {
            topics: Some(names.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let answer = watched.client.call(&request, &[]).unwrap();
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(answer.view().topics.len(), names.len());
        assert!(answer.view().topics.iter().all(|topic| topic.error_code == unknown));
    });
    assert!(growth < 100 * MIB, "{growth}");
    watched.is_served();
}

#[test]
fn nine_thousand_partitions_are_made_at_once_and_a_thousand_fetched_in_one_request() {
    let mut watched = Watched::start(&[]);
    let growth = watched.growth(|watched| {
        let name = watched.broker.topic("wide", 9_000, &[]);
        let id = watched.client.topic_id(&name).unwrap();
        for partition in 0..1_000 {
            append(&mut watched.client, &name, partition, &batch(&["one of a thousand"]));
        }
        let limits = FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() };
        let mut request = fetch_request(&name, id, 0, Offset::ZERO, limits);
        let first = request.topics[0].partitions[0].clone();
        request.topics[0].partitions =
            (0..1_000).map(|partition| FetchPartition { partition, ..first.clone() }).collect();
        let version = watched.client.versions().newest(ApiKey::Fetch).unwrap();
        let mut connection = watched.broker.connection();
        for _ in 0..10 {
            connection.send(version, &request, &[]).unwrap();
        }
        for _ in 0..10 {
            let answer = connection.receive::<FetchRequest<'_>>().unwrap();
            let partitions = answer.view().responses.first().unwrap().partitions;
            assert_eq!(partitions.len(), 1_000);
            assert!(partitions.iter().all(|one| !one.records.unwrap().bytes.is_empty()));
        }
    });
    assert!(growth < 150 * MIB, "{growth}");
    watched.is_served();
}

/// Kafka makes at most 10,000 partitions with one request, and says so.
#[test]
fn fifty_thousand_partitions_in_one_creation_are_answered_at_once() {
    let mut watched = Watched::start(&[]);
    let growth = watched.growth(|watched| {
        let (one, each) = (fresh_name("fifty"), fresh_name("five"));
        let topic = |name: String, num_partitions| CreatableTopic {
            name: name.into(),
            num_partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let five = (0..5).map(|number| topic(format!("{each}-{number}"), 10_000)).collect();
        for topics in [vec![topic(one, 50_000)], five] {
            let count = topics.len();
            let request = CreateTopicsRequest { topics, timeout_ms: 30_000, validate_only: false };
            let answer = watched.client.call(&request, &[]).unwrap();
            let policy = ErrorCode::PolicyViolation.code();
            let codes: Vec<i16> = answer.view().topics.iter().map(|one| one.error_code).collect();
            assert_eq!(codes, vec![policy; count]);
        }
    });
    assert!(growth < 50 * MIB, "{growth}");
    watched.is_served();
}
