//! Memory for requests is bounded: whoever keeps it without need is ended, and all others go on.

mod process;

use highwater::cli::client::{Acks, FetchLimits, fetch_request};
use highwater::cli::connection::Connection;
use highwater::model::Offset;
use highwater::protocol::ApiKey;
use highwater::protocol::write::fetch::FetchPartition;
use highwater::protocol::write::{FetchRequest, MetadataRequest};
use process::{
    Broker, PATIENCE, Process, append, batch, eventually, free_address, read_from, values,
};
use std::time::Duration;

/// More than the receive buffers of two cores.
const CROWD: usize = 450;

/// What a produce of version 9 begins with, behind its size.
const PRODUCE: [u8; 10] = [0, 0, 0, 9, 0, 0, 0, 1, 0, 0];

#[test]
fn beginnings_of_large_requests_stop_nobody() {
    let broker = Broker::start();
    let mut crowd: Vec<Connection> = (0..CROWD).map(|_| broker.connection()).collect();
    for connection in &mut crowd {
        connection.send_bytes(&[&(100_i32 << 20).to_be_bytes()[..], &PRODUCE].concat()).unwrap();
    }
    let (topic, mut client) = (broker.topic("crowd", 2, &[]), broker.client());
    for round in 0..20 {
        append(&mut client, &topic, round % 2, &batch(&["still served"]));
    }
    assert_eq!(read_from(&mut client, &topic, 0, Offset::ZERO).len(), 10);
}

#[test]
fn beginnings_of_small_requests_stop_nobody() {
    let broker = Broker::start();
    let mut crowd: Vec<Connection> = (0..CROWD).map(|_| broker.connection()).collect();
    for connection in &mut crowd {
        connection.send_bytes(&[0, 0, 1, 0, 0, 0]).unwrap();
    }
    let (topic, mut client) = (broker.topic("small", 2, &[]), broker.client());
    for round in 0..20 {
        append(&mut client, &topic, round % 2, &batch(&["still served"]));
    }
    // Who goes on is served too.
    drop(crowd.split_off(10));
    for connection in &mut crowd {
        connection.send_bytes(&[0; 252]).unwrap();
        connection.end().unwrap();
    }
}

#[test]
fn fetches_that_wait_keep_no_buffer_from_others() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("waiting", 2, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let version = client.versions().newest(ApiKey::Fetch).unwrap();
    let limits = FetchLimits { max_wait: PATIENCE, min_bytes: 1, ..FetchLimits::default() };
    let mut crowd: Vec<Connection> = (0..CROWD).map(|_| broker.connection()).collect();
    for (connection, partition) in crowd.iter_mut().zip((0..2).cycle()) {
        let request = fetch_request(&topic, id, partition, Offset::ZERO, limits);
        connection.send(version, &request, &[]).unwrap();
    }
    for partition in 0..2 {
        append(&mut client, &topic, partition, &batch(&["for all"]));
    }
    for connection in &mut crowd {
        let answer = connection.receive::<FetchRequest>().unwrap();
        let records = answer.view().responses.first().unwrap().partitions.first().unwrap().records;
        assert!(!records.unwrap().bytes.is_empty());
    }
}

#[test]
fn requests_that_stand_still_give_way_when_memory_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    // Memory for one request of the largest size per core.
    let settings = ["--override", "socket.request.max.bytes=1048576", "--override"];
    let settings = [&settings[..], &["highwater.memory=1"]].concat();
    let process = Process::attempt(folder.path(), free_address(), &settings).ready();
    let broker = Broker { address: process.address, process: Some(process) };
    let topic = broker.topic("full", 2, &[]);
    let mut crowd: Vec<Connection> = (0..14).map(|_| broker.connection()).collect();
    for connection in &mut crowd {
        // They announce a mebibyte, send a part of it, and stop.
        connection.send_bytes(&[&(1_i32 << 20).to_be_bytes()[..], &PRODUCE].concat()).unwrap();
        connection.send_bytes(&vec![0; 200_000]).unwrap();
    }
    let large = "x".repeat(600_000);
    for partition in 0..2 {
        let mut client = broker.client();
        let sent = client.produce(&topic, partition, Acks::All, &batch(&[&large])).unwrap();
        assert!(sent.is_some());
        let read = read_from(&mut client, &topic, partition, Offset::ZERO);
        assert_eq!(values(&read), [large.as_str()]);
    }
    broker.process.as_ref().unwrap().says("half received");
}

/// Three clients wait for a fetch and have 160 answers of a quarter of a mebibyte behind it, which
/// cannot leave before: 120 MiB, if all of them were made at once.
#[test]
fn answers_that_cannot_leave_are_not_made() {
    const REQUESTS: usize = 160;
    let process = Process::start();
    let (pid, broker) =
        (process.pid(), Broker { address: process.address, process: Some(process) });
    let (waiting, mut client) = (broker.topic("waiting", 1, &[]), broker.client());
    broker.topic("wide", 9_000, &[]);
    let id = client.topic_id(&waiting).unwrap();
    let version = |api| client.versions().newest(api).unwrap();
    let (fetch, metadata) = (version(ApiKey::Fetch), version(ApiKey::Metadata));
    let limits = FetchLimits { max_wait: PATIENCE, min_bytes: 1, ..FetchLimits::default() };
    let mut crowd: Vec<Connection> = (0..3).map(|_| broker.connection()).collect();
    for connection in &mut crowd {
        let request = fetch_request(&waiting, id, 0, Offset::ZERO, limits);
        connection.send(fetch, &request, &[]).unwrap();
        for _ in 0..REQUESTS {
            let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
            connection.send(metadata, &request, &[]).unwrap();
        }
    }
    let (before, mut ticks) = (status(pid, "VmRSS"), cpu_ticks(pid));
    eventually("the broker has done what it does ahead", || {
        std::thread::sleep(Duration::from_millis(300));
        let last = std::mem::replace(&mut ticks, cpu_ticks(pid));
        (ticks == last).then_some(())
    });
    let peak = status(pid, "VmHWM");
    assert!(peak < before + (75 << 10), "{before} KiB grew to {peak} KiB");
    append(&mut client, &waiting, 0, &batch(&["go on"]));
    for connection in &mut crowd {
        connection.receive::<FetchRequest>().unwrap();
        for _ in 0..REQUESTS {
            let answer = connection.receive::<MetadataRequest>().unwrap();
            assert!(answer.body().len() > 200_000);
        }
    }
}

/// A fetch of thousands of partitions keeps the buffers in which it came, so it may not wait long:
/// this one would wait ten minutes, and the test has half of one.
#[test]
fn a_large_fetch_gives_its_buffers_back_soon() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("many", 5_000, &[]), broker.client());
    let id = client.topic_id(&topic).unwrap();
    let version = client.versions().newest(ApiKey::Fetch).unwrap();
    let max_wait = Duration::from_secs(600);
    let limits = FetchLimits { max_wait, min_bytes: 1, ..FetchLimits::default() };
    let mut request = fetch_request(&topic, id, 0, Offset::ZERO, limits);
    let first = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        (0..5_000).map(|partition| FetchPartition { partition, ..first.clone() }).collect();
    let mut connection = broker.connection();
    connection.send(version, &request, &[]).unwrap();
    let answer = connection.receive::<FetchRequest>().unwrap();
    assert_eq!(answer.view().responses.first().unwrap().partitions.iter().count(), 5_000);
}

/// A number of KiB from the status of a process.
fn status(pid: u32, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
