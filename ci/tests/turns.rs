//! What one connection sends ahead does not hold a core for all of it, appends of a turn are seen
//! together, and a connection that says nothing is closed in the end.
//!
//! A broker that is stopped by a signal finds all at once what was sent to it meanwhile: so the
//! order in which it takes it is its own, however slow the machine is.

mod process;

use highwater::cli::batches::read_batches;
use highwater::cli::client::{Acks, Client, FetchLimits, LATEST, fetch_request, produce_request};
use highwater::cli::client_error::ClientError;
use highwater::cli::connection::Connection;
use highwater::limits::{ARRIVAL_PATIENCE, FRAMES_PER_TURN_MAX, RECEIVE_BLOCK_BYTES};
use highwater::model::{Offset, TopicId};
use highwater::protocol::write::{FetchRequest, MetadataRequest, ProduceRequest};
use highwater::protocol::{ApiKey, Encode as _, RequestHeader, Writer};
use highwater::runtime::clock;
use process::{PATIENCE, Process, append, batch, eventually, free_address, values};
use std::path::Path;
use std::time::Duration;

const TOPIC: &str = "t";
const ONE_CORE: [&str; 2] = ["--cores", "1"];

/// A broker of one core, with a topic that has one record.
fn start(folder: &Path) -> (Process, Client, TopicId) {
    let broker = Process::start_with(folder, free_address(), &ONE_CORE);
    let mut client = broker.client();
    let id = client.create_topic(TOPIC, 1, &[]).unwrap();
    client.await_topic(TOPIC, PATIENCE).unwrap();
    // The first append makes the files, by a way of its own.
    append(&mut client, TOPIC, 0, &batch(&["first"]));
    (broker, client, id)
}

/// Stops the broker; what is sent now it finds all at once.
fn pause(broker: &Process) {
    broker.signal("STOP");
    let stands_still = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        status.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    eventually("every thread stands still", || {
        let mut tasks = std::fs::read_dir(format!("/proc/{}/task", broker.pid())).unwrap();
        tasks.all(|task| task.is_ok_and(stands_still)).then_some(())
    });
}

/// Produces of one record each, in one piece: TCP would hold back some of many small ones.
fn send_produces(connection: &mut Connection, version: i16, id: TopicId, count: usize) {
    let mut frames = Vec::new();
    for number in 0..count {
        let batch = batch(&[&number.to_string()]);
        let request = produce_request(TOPIC, id, 0, Acks::All, batch.len());
        let header = RequestHeader {
            api: ApiKey::Produce,
            version,
            correlation_id: number as i32,
            client_id: None,
        };
        let mut writer = Writer::new();
        let start = header.begin(&mut writer);
        request.encode(version, &mut writer);
        writer.frame_end(start);
        frames.extend(writer.to_vec(|_| &batch));
    }
    assert!(frames.len() < RECEIVE_BLOCK_BYTES, "they fit one receive");
    connection.send_bytes(&frames).unwrap();
}

fn receive_produces(connection: &mut Connection, count: usize) {
    for number in 0..count as i32 {
        let frame = connection.receive_frame().unwrap();
        assert_eq!(frame[..4], number.to_be_bytes(), "answers keep the order");
    }
}

#[test]
fn what_one_connection_sends_ahead_lets_others_through_after_a_few_dozen_requests() {
    const AHEAD: usize = 7 * FRAMES_PER_TURN_MAX;
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut hurried, id) = start(folder.path());
    let mut patient = broker.client();
    let produce = hurried.versions().newest(ApiKey::Produce).unwrap();
    let own = batch(&["of the other"]);
    let one = produce_request(TOPIC, id, 0, Acks::All, own.len());
    for _ in 0..5 {
        let before = patient.list_offset(TOPIC, 0, LATEST).unwrap().offset.0;
        pause(&broker);
        send_produces(hurried.connection(), produce, id, AHEAD);
        patient.connection().send(produce, &one, &[&own]).unwrap();
        broker.signal("CONT");
        // Its offset tells how many of the other's requests were taken before it.
        let answer = patient.connection().receive::<ProduceRequest<'_>>().unwrap();
        let found = answer.view().responses.first().unwrap();
        let found = found.partition_responses.first().unwrap();
        let taken = found.base_offset - before;
        assert_eq!(found.error_code, 0);
        assert!(taken <= 3 * FRAMES_PER_TURN_MAX as i64, "{taken} of {AHEAD} came first");
        receive_produces(hurried.connection(), AHEAD);
    }
    let end = patient.list_offset(TOPIC, 0, LATEST).unwrap().offset;
    assert_eq!(end, Offset(1 + 5 * (AHEAD as i64 + 1)), "none was refused");
}

#[test]
fn a_waiting_fetch_is_woken_once_by_all_appends_of_a_turn() {
    const TOGETHER: usize = FRAMES_PER_TURN_MAX / 2;
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut writer, id) = start(folder.path());
    let mut reader = broker.client();
    let produce = writer.versions().newest(ApiKey::Produce).unwrap();
    let fetch = reader.versions().newest(ApiKey::Fetch).unwrap();
    let limits = FetchLimits { max_wait: 2 * PATIENCE, ..FetchLimits::default() };
    let mut end = 1;
    for _ in 0..5 {
        let request = fetch_request(TOPIC, id, 0, Offset(end), limits);
        reader.connection().send(fetch, &request, &[]).unwrap();
        pause(&broker);
        send_produces(writer.connection(), produce, id, TOGETHER);
        broker.signal("CONT");
        let answer = reader.connection().receive::<FetchRequest<'_>>().unwrap();
        let found = answer.view().responses.first().unwrap().partitions.first().unwrap();
        let records = found.records.unwrap().bytes.to_vec();
        let read = values(&read_batches(&records).unwrap());
        let sent: Vec<String> = (0..TOGETHER).map(|number| number.to_string()).collect();
        assert_eq!(read, sent, "one answer has them all");
        receive_produces(writer.connection(), TOGETHER);
        end += TOGETHER as i64;
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed_and_one_that_waits_or_speaks_is_not() {
    const IDLE: Duration = Duration::from_secs(1);
    let folder = tempfile::tempdir().unwrap();
    let idle = format!("connections.max.idle.ms={}", IDLE.as_millis());
    let broker = Process::start_with(folder.path(), free_address(), &["--override", &idle]);
    let mut speaker = broker.client();
    let id = speaker.create_topic(TOPIC, 1, &[]).unwrap();
    let fetch = speaker.versions().newest(ApiKey::Fetch).unwrap();
    let open = || Connection::open(broker.address, PATIENCE).unwrap();
    let (mut silent, mut waiting) = (open(), open());
    let opened_at = clock::monotonic();
    let limits = FetchLimits { max_wait: 3 * IDLE, ..FetchLimits::default() };
    waiting.send(fetch, &fetch_request(TOPIC, id, 0, Offset::ZERO, limits), &[]).unwrap();
    // Half a request is not speech for ever either.
    let mut stuck = open();
    stuck.send_bytes(&[0, 0, 0]).unwrap();
    let speaks = std::thread::Builder::new().spawn(move || {
        while clock::monotonic().since(opened_at) < 4 * IDLE {
            speaker.call(&MetadataRequest::default(), &[]).unwrap();
            std::thread::sleep(IDLE / 20);
        }
    });
    for connection in [&mut silent, &mut stuck] {
        let ended = connection.receive_frame();
        assert!(matches!(ended, Err(ClientError::Closed)), "{ended:?}");
    }
    let ended_after = clock::monotonic().since(opened_at);
    assert!(ended_after >= IDLE && ended_after < ARRIVAL_PATIENCE, "{ended_after:?}");
    // What is worked on is not idle; afterwards it is.
    let answer = waiting.receive::<FetchRequest<'_>>().unwrap();
    let found = answer.view().responses.first().unwrap().partitions.first().unwrap();
    assert_eq!(found.error_code, 0);
    assert!(clock::monotonic().since(opened_at) >= 3 * IDLE);
    assert!(matches!(waiting.receive_frame(), Err(ClientError::Closed)));
    speaks.unwrap().join().expect("who speaks now and then goes on");
}
