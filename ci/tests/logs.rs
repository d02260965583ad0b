//! The log: nobody who does not read it holds the broker up, and whoever makes many lines is
//! counted.

mod process;

use highwater::cli::connection::Connection;
use highwater::model::Offset;
use highwater::runtime::machine;
use process::{PATIENCE, Process, append, batch, eventually, free_address, read_from, values};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Says something that is no request, and waits for the end.
fn misbehave(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
    // The end, or a reset; never an answer.
    assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
}

#[test]
fn a_standard_error_that_nobody_reads_holds_nobody_up() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let (unread, mut full) = std::io::pipe().unwrap();
    let stderr = full.try_clone().unwrap();
    // More than a pipe holds: from here on every write to it waits for a reader.
    let fill = move || assert!(full.write_all(&vec![b'x'; 1 << 20]).is_err(), "nobody reads");
    let filling = machine::start_aside("filling", fill).unwrap();
    let broker = Process::start_telling(folder.path(), address, stderr);
    let mut client = broker.client();
    client.create_topic("served", 4, &[]).unwrap();
    client.await_topic("served", PATIENCE).unwrap();
    for round in 0..20 {
        misbehave(address);
        let text = format!("{round}");
        assert_eq!(
            append(&mut client, "served", round % 4, &batch(&[&text])).0,
            i64::from(round / 4)
        );
    }
    for partition in 0..4 {
        assert_eq!(values(&read_from(&mut client, "served", partition, Offset::ZERO)).len(), 5);
    }
    assert!(!filling.is_finished(), "nobody has read");
    let status = broker.stop();
    assert!(status.success(), "the stop is a clean one: {status}");
    drop(unread);
    filling.join().unwrap();
}

#[test]
fn lines_that_clients_cause_are_limited_and_counted() {
    const COUNT: usize = 300;
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    for _ in 0..COUNT {
        misbehave(address);
    }
    broker.signal("TERM");
    let mut broker = broker;
    assert!(broker.ended().success());
    let log = broker.log();
    let told = log.matches("closing connection of 127.0.0.1:").count();
    let counted: usize = log
        .lines()
        .filter_map(|line| line.split_once("closing connections: and ")?.1.split_once(" more in "))
        .map(|(count, _)| count.parse::<usize>().unwrap())
        .sum();
    assert_eq!(told + counted, COUNT, "{log}");
    assert!(told < COUNT / 2, "{log}");
}

#[test]
fn the_log_is_json_where_that_is_set() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let more = ["--override", "highwater.log.format=json", "--override", "node.id=7"];
    let broker = Process::start_with(folder.path(), address, &more);
    misbehave(address);
    let line = eventually("the connection is named", || {
        let log = broker.log();
        log.lines().find(|line| line.contains("closing connection of")).map(str::to_owned)
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&value["level"], &value["node"]), (&"WARN".into(), &7.into()));
    assert!(value["core"].is_u64(), "{line}");
    drop(broker);
    // The reason of a start that fails is a line, too.
    let other_node = ["--override", "highwater.log.format=json"];
    let mut second = Process::attempt(folder.path(), free_address(), &other_node);
    assert!(!second.ended().success());
    let log = second.log();
    let line = log.lines().find(|line| line.contains("\"ERROR\"")).expect(&log);
    assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
}

#[test]
fn what_a_client_calls_itself_cannot_make_lines() {
    use highwater::protocol::write::ApiVersionsRequest;
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut connection = Connection::open(address, PATIENCE).unwrap();
    let _ = connection.send(
        3,
        &ApiVersionsRequest {
            client_software_name: "x\n9999 ERROR forged\x1b[2J".into(),
            client_software_version: "1".into(),
        },
        &[],
    );
    let _ = connection.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    broker.says("closing connection of");
    let log = broker.log();
    assert!(!log.contains('\x1b') && !log.lines().any(|line| line.starts_with("9999")), "{log}");
}
