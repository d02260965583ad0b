//! A stop by a signal: what was begun is answered, nothing else is begun, within a bound; and the next
//! start has nothing to recover.

mod process;

use highwater::cli::client::{Acks, Client, FetchLimits, fetch_request, produce_request};
use highwater::cli::client_error::ClientError;
use highwater::cli::connection::Connection;
use highwater::limits::DRAIN_PATIENCE;
use highwater::model::{ErrorCode, Offset};
use highwater::protocol::ApiKey;
use highwater::protocol::write::join_group::JoinGroupRequestProtocol;
use highwater::protocol::write::{
    FetchRequest, FindCoordinatorRequest, JoinGroupRequest, ProduceRequest,
};
use highwater::runtime::clock;
use process::{
    PATIENCE, Process, append, batch, eventually, free_address, read_from, scrape, sum_of, values,
};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const TOPIC: &str = "kept";
const PARTITIONS: i32 = 4;

fn start(folder: &Path, more: &[&str]) -> (Process, Client) {
    let broker = Process::start_with(folder, free_address(), more);
    let mut client = broker.client();
    client.create_topic(TOPIC, PARTITIONS, &[]).unwrap();
    client.await_topic(TOPIC, PATIENCE).unwrap();
    (broker, client)
}

/// The same folder again, which must have been left clean.
fn start_again(folder: &Path) -> Process {
    let broker = Process::start_in(folder, free_address());
    assert!(!broker.log().contains("not clean"), "{}", broker.log());
    broker
}

fn is_closed(connection: &mut Connection) -> bool {
    matches!(connection.receive_frame(), Err(ClientError::Closed))
}

#[test]
fn who_waits_for_records_is_answered_with_none_and_idle_clients_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "highwater.metrics.listener=127.0.0.1:0"];
    let (mut broker, mut client) = start(folder.path(), &more);
    let id = client.topic_id(TOPIC).unwrap();
    let fetch = client.versions().newest(ApiKey::Fetch).unwrap();
    let limits = FetchLimits { max_wait: 10 * PATIENCE, ..FetchLimits::default() };
    let open = || Connection::open(broker.address, PATIENCE).unwrap();
    let mut waiting: Vec<Connection> = (0..PARTITIONS).map(|_| open()).collect();
    for (partition, connection) in waiting.iter_mut().enumerate() {
        // Two behind each other: both are answered, in order.
        for _ in 0..2 {
            let request = fetch_request(TOPIC, id, partition as i32, Offset::ZERO, limits);
            connection.send(fetch, &request, &[]).unwrap();
        }
    }
    let mut idle = open();
    eventually("all fetches have been begun", || {
        let name = "kafka_network_requestmetrics_requests_total";
        let page = scrape(broker.metrics_address().unwrap());
        (sum_of(&page, name, "\"Fetch\"") == 2 * PARTITIONS as u64).then_some(())
    });
    broker.signal("TERM");
    for connection in &mut waiting {
        let mut answered = 0;
        while let Ok(answer) = connection.receive::<FetchRequest<'_>>() {
            let found = answer.view().responses.first().unwrap().partitions.first().unwrap();
            assert_eq!(found.error_code, 0);
            answered += 1;
        }
        assert_eq!(answered, 2);
    }
    assert!(is_closed(&mut idle));
    assert!(broker.ended().success());
    start_again(folder.path());
}

#[test]
fn what_has_an_answer_was_written_and_what_was_written_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, mut client) = start(folder.path(), &[]);
    let id = client.topic_id(TOPIC).unwrap();
    let version = client.versions().newest(ApiKey::Produce).unwrap();
    let address = broker.address;
    let load = |partition: i32| {
        let work = move || {
            let mut connection = Connection::open(address, PATIENCE).unwrap();
            let (mut sent, mut answered) = (0, 0);
            loop {
                // A few ahead, until the broker closes.
                while sent < answered + 20 {
                    let batch = batch(&[&sent.to_string()]);
                    let request = produce_request(TOPIC, id, partition, Acks::All, batch.len());
                    if connection.send(version, &request, &[&batch]).is_err() {
                        break;
                    }
                    sent += 1;
                }
                let Ok(answer) = connection.receive::<ProduceRequest<'_>>() else { break };
                let topics = answer.view().responses;
                let found = topics.first().unwrap().partition_responses.first().unwrap();
                assert_eq!((found.error_code, found.base_offset), (0, answered));
                answered += 1;
            }
            answered
        };
        std::thread::Builder::new().spawn(work).unwrap()
    };
    let loads: Vec<_> = (0..PARTITIONS).map(load).collect();
    eventually("all partitions are written to", || {
        let end = |partition| read_from(&mut client, TOPIC, partition, Offset::ZERO).len();
        (0..PARTITIONS).map(end).all(|count| count > 50).then_some(())
    });
    broker.signal("TERM");
    let answered: Vec<i64> = loads.into_iter().map(|load| load.join().unwrap()).collect();
    assert!(broker.ended().success());
    let again = start_again(folder.path());
    for (partition, answered) in answered.into_iter().enumerate() {
        let read = read_from(&mut again.client(), TOPIC, partition as i32, Offset::ZERO);
        let expected: Vec<String> = (0..answered).map(|number| number.to_string()).collect();
        assert_eq!(values(&read), expected, "partition {partition}");
    }
}

#[test]
fn a_member_that_waits_for_others_is_sent_to_look_for_its_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "group.initial.rebalance.delay.ms=600000"];
    let (mut broker, mut client) = start(folder.path(), &more);
    eventually("the group has a coordinator", || {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec!["waits".into()],
            ..FindCoordinatorRequest::default()
        };
        let answer = client.call(&request, &[]).unwrap();
        (answer.view().coordinators.first().unwrap().error_code == 0).then_some(())
    });
    let join = |member: &str| JoinGroupRequest {
        group_id: "waits".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 600_000,
        member_id: member.to_string().into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: b"m"[..].into(),
        }],
        ..JoinGroupRequest::default()
    };
    let member = eventually("the group has loaded", || {
        let answer = client.call(&join(""), &[]).unwrap();
        let is_known = answer.view().error_code == ErrorCode::MemberIdRequired.code();
        is_known.then(|| answer.view().member_id.to_string())
    });
    let version = client.versions().newest(ApiKey::JoinGroup).unwrap();
    client.connection().send(version, &join(&member), &[]).unwrap();
    broker.says("group waits rebalances");
    broker.signal("TERM");
    let answer = client.connection().receive::<JoinGroupRequest<'_>>().unwrap();
    assert_eq!(answer.view().error_code, ErrorCode::NotCoordinator.code());
    assert!(is_closed(client.connection()));
    assert!(broker.ended().success());
    start_again(folder.path());
}

/// A client that asks for more than its socket and the broker's hold, and reads nothing of it.
fn unread(broker: &Process, client: &mut Client) -> Connection {
    let large = "x".repeat(900_000);
    for _ in 0..40 {
        append(client, TOPIC, 0, &batch(&[&large]));
    }
    let id = client.topic_id(TOPIC).unwrap();
    let fetch = client.versions().newest(ApiKey::Fetch).unwrap();
    let limits = FetchLimits { max_bytes: 50 << 20, ..FetchLimits::default() };
    let mut connection = Connection::open(broker.address, PATIENCE).unwrap();
    let mut request = fetch_request(TOPIC, id, 0, Offset::ZERO, limits);
    request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    connection.send(fetch, &request, &[]).unwrap();
    connection
}

#[test]
fn who_does_not_read_is_named_and_holds_the_stop_up_no_longer_than_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, mut client) = start(folder.path(), &[]);
    let slow = unread(&broker, &mut client);
    let peer = slow.local_address().unwrap();
    // What comes behind it on another connection is answered: the large answer has been begun.
    let mut other = broker.client();
    while read_from(&mut other, TOPIC, 0, Offset(39)).is_empty() {}
    let asked_at = clock::monotonic();
    broker.signal("TERM");
    broker.says("SIGTERM: stopping");
    // Meanwhile nobody comes in.
    eventually("the port is closed", || TcpStream::connect(broker.address).is_err().then_some(()));
    assert!(broker.runs(), "it waits for who does not read");
    assert!(broker.ended().success());
    let took = clock::monotonic().since(asked_at);
    assert!(took >= DRAIN_PATIENCE && took < DRAIN_PATIENCE + Duration::from_secs(20), "{took:?}");
    let log = broker.log();
    let line = format!("closing connection of {peer}");
    let line = log.lines().find(|one| one.contains(&line)).expect(&log);
    assert!(line.contains("stopping: "), "{line}");
    start_again(folder.path());
}

#[test]
fn a_second_signal_ends_at_once_and_says_what_that_costs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, mut client) = start(folder.path(), &[]);
    let _slow = unread(&broker, &mut client);
    assert_eq!(append(&mut client, TOPIC, 1, &batch(&["acknowledged"])), Offset(0));
    broker.signal("TERM");
    broker.says("SIGTERM: stopping");
    broker.signal("INT");
    let status = broker.ended();
    assert_eq!(status.code(), Some(3), "{}", broker.log());
    assert!(broker.log().contains("SIGINT again: ending at once"), "{}", broker.log());
    let again = Process::start_in(folder.path(), free_address());
    let read = read_from(&mut again.client(), TOPIC, 1, Offset::ZERO);
    assert_eq!(values(&read), ["acknowledged"]);
}
