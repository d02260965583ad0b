//! Thousands of clients at once: all are served, and each takes little memory.

mod process;

use highwater::cli::client::Client;
use process::{PATIENCE, Process, append, batch, eventually, free_address, values};
use std::process::Command;

const CLIENTS: usize = 5_000;
/// Of a client that is connected, has asked something and says no more.
const BYTES_EACH_MAX: u64 = 16 << 10;
/// Those, and what both programs have open besides.
const FILES: usize = CLIENTS + 500;

/// Raises this process's limit of open files, which the client's ends of the connections need.
fn raise_file_limit() {
    let limit = format!("--nofile={FILES}:");
    let pid = std::process::id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(done.is_ok_and(|status| status.success()), "the hard limit is below {FILES} files");
}

fn resident_bytes(broker: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn five_thousand_clients_at_once_are_served_and_take_little_memory_each() {
    raise_file_limit();
    let folder = tempfile::tempdir().unwrap();
    let metrics = ["--override", "highwater.metrics.listener=127.0.0.1:0"];
    let broker = Process::start_with(folder.path(), free_address(), &metrics);
    let mut first = broker.client();
    first.create_topic("crowded", 1, &[]).unwrap();
    first.await_topic("crowded", PATIENCE).unwrap();
    append(&mut first, "crowded", 0, &batch(&["warm"]));
    let before = resident_bytes(&broker);
    let connect = || Client::connect(broker.address, PATIENCE).unwrap();
    let mut crowd: Vec<Client> = (0..CLIENTS).map(|_| connect()).collect();
    let each = resident_bytes(&broker).saturating_sub(before) / CLIENTS as u64;
    println!("{each} bytes each");
    assert!(each < BYTES_EACH_MAX, "{each} bytes each");
    // Whoever came first, last or between is still served.
    for index in [0, 1, CLIENTS / 2, CLIENTS - 1] {
        append(&mut crowd[index], "crowded", 0, &batch(&["one of many"]));
    }
    let read = process::read_from(&mut first, "crowded", 0, highwater::model::Offset::ZERO);
    assert_eq!(values(&read).len(), 5);
    assert_eq!(open_connections(&broker), CLIENTS as u64 + 1);
    drop(crowd);
    eventually("they are gone", || (open_connections(&broker) == 1).then_some(()));
    assert!(broker.stop().success());
}

fn open_connections(broker: &Process) -> u64 {
    broker.metric("kafka_server_socketservermetrics_connection_count")
}
