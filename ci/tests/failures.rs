//! What a panic ends, and what a core that does not come back is told of: faults are rehearsed by
//! requests that ask for them, in builds for tests alone.

mod process;

use highwater::broker::rehearsal::{BAD_VALUE, Place};
use highwater::cli::client::{Acks, Client, produce_request};
use highwater::cli::connection::Connection;
use highwater::model::Offset;
use highwater::protocol::ApiKey;
use highwater::protocol::write::{MetadataRequest, ProduceRequest};
use process::{PATIENCE, Process, append, batch, free_address, highwater, read_from, values};
use std::path::Path;

const PARTITIONS: i32 = 4;

/// A broker that has faults for those who ask, with a topic.
fn rehearsing(folder: &Path) -> (Process, Client) {
    let address = free_address();
    let mut command = highwater();
    command.args(["serve", "--listen", &address.to_string(), "--data"]);
    command.arg(folder.join("data")).env("HIGHWATER_REHEARSE", "1");
    command.args(["--override", "highwater.metrics.listener=127.0.0.1:0"]);
    let broker = Process::launch(folder, address, command).ready();
    let mut client = broker.client();
    client.create_topic("kept", PARTITIONS, &[]).unwrap();
    client.await_topic("kept", PATIENCE).unwrap();
    (broker, client)
}

/// A connection whose next request asks for a fault.
fn asking_for(broker: &Process, place: Place) -> Connection {
    let mut connection = Connection::open(broker.address, PATIENCE).unwrap();
    connection.set_client_id(place.client_id());
    connection.send(9, &MetadataRequest::default(), &[]).unwrap();
    connection
}

#[test]
fn a_panic_while_a_request_is_decoded_ends_its_connection_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = rehearsing(folder.path());
    for round in 0..3 {
        let mut bad = asking_for(&broker, Place::Decode);
        assert!(bad.receive_frame().is_err(), "it is not answered");
        let peer = bad.local_address().unwrap();
        broker.says(&format!("closing connection of {peer}"));
        assert_eq!(append(&mut client, "kept", 0, &batch(&["a"])), Offset(round));
    }
    assert!(broker.log().contains("rehearsed"), "the reason is told");
    assert_eq!(broker.metric("highwater_caught_panics_total"), 3);
    assert!(broker.stop().success());
}

#[test]
fn a_panic_while_a_batch_is_validated_ends_the_connection_that_it_came_on_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = rehearsing(folder.path());
    let id = client.topic_id("kept").unwrap();
    let version = client.versions().newest(ApiKey::Produce).unwrap();
    let bad = batch(&[std::str::from_utf8(BAD_VALUE).unwrap()]);
    // Partitions of all cores, so that it happens at home and elsewhere.
    for partition in 0..PARTITIONS {
        let mut connection = Connection::open(broker.address, PATIENCE).unwrap();
        let request = produce_request("kept", id, partition, Acks::All, bad.len());
        connection.send(version, &request, &[&bad]).unwrap();
        assert!(connection.receive::<ProduceRequest<'_>>().is_err());
        let peer = connection.local_address().unwrap();
        broker.says(&format!("closing connection of {peer}"));
        assert_eq!(append(&mut client, "kept", partition, &batch(&["good"])), Offset(0));
        let read = read_from(&mut client, "kept", partition, Offset::ZERO);
        assert_eq!(values(&read), ["good"]);
    }
    assert!(broker.stop().success());
}

#[test]
fn any_other_panic_ends_the_whole_process_and_says_why() {
    for (place, thread) in [(Place::Core, "thread core-"), (Place::Aside, "thread rehearsal ")] {
        let folder = tempfile::tempdir().unwrap();
        let (mut broker, mut client) = rehearsing(folder.path());
        append(&mut client, "kept", 0, &batch(&["acknowledged"]));
        let mut bad = asking_for(&broker, place);
        let status = broker.ended();
        assert!(!status.success(), "{status}");
        assert!(bad.receive_frame().is_err() || place == Place::Aside);
        let log = broker.log();
        let line = log.lines().find(|line| line.contains("has panicked")).expect(&log);
        assert!(line.contains(thread) && line.contains("rehearsal.rs:"), "{line}");
        let again = Process::start_in(folder.path(), free_address());
        let read = read_from(&mut again.client(), "kept", 0, Offset::ZERO);
        assert_eq!(values(&read), ["acknowledged"]);
    }
}

#[test]
fn a_core_that_does_not_come_back_is_named_with_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, _) = rehearsing(folder.path());
    assert_eq!(broker.metric("highwater_core_stuck_turns_total"), 0);
    let mut slow = asking_for(&broker, Place::Stuck);
    slow.receive_frame().unwrap();
    broker.says("goes on, after");
    let log = broker.log();
    let line = log.lines().find(|line| line.contains("is stuck for")).expect(&log);
    assert!(line.contains("it works on a request (Metadata)"), "{line}");
    assert_eq!(broker.metric("highwater_core_stuck_turns_total"), 1);
    let page = process::scrape(broker.metrics_address().unwrap());
    let longest = page
        .lines()
        .filter_map(|line| line.strip_prefix("highwater_core_longest_turn_seconds{"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
    let longest = longest.fold(0.0, f64::max);
    assert!(longest >= 2.5, "{longest}");
    assert!(broker.stop().success());
}

#[test]
fn nothing_is_rehearsed_where_it_was_not_asked_for() {
    let broker = Process::start();
    for place in [Place::Decode, Place::Core, Place::Stuck, Place::Aside] {
        asking_for(&broker, place).receive_frame().unwrap();
    }
    assert!(broker.stop().success());
}
