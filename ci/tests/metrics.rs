//! The metrics of a running broker, as a scraper sees them.

mod process;

use highwater::model::Offset;
use process::{
    Broker, Process, append, ask_http, batch, eventually, free_address, read_from, scrape, sum_of,
};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const ANY_PORT: [&str; 2] = ["--override", "highwater.metrics.listener=127.0.0.1:0"];

#[test]
fn what_clients_do_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_with(folder.path(), free_address(), &ANY_PORT);
    let address = process.metrics_address().expect("the banner says where the metrics are");
    let broker = Broker { address: process.address, process: Some(process) };
    let topic = broker.topic("counted", 4, &[]);
    let mut client = broker.client();
    let sent = batch(&["one", "two", "three"]);
    // The first append to each makes its files, by a way of its own.
    for partition in [0, 1, 2, 3, 0, 1, 2, 3] {
        append(&mut client, &topic, partition, &sent);
        read_from(&mut client, &topic, partition, Offset::ZERO);
    }
    let page = scrape(address);
    let total = "kafka_server_brokertopicmetrics_";
    assert_eq!(sum_of(&page, &format!("{total}messagesin_total"), ""), 24);
    assert_eq!(sum_of(&page, &format!("{total}bytesin_total"), ""), 8 * sent.len() as u64);
    assert_eq!(sum_of(&page, &format!("{total}bytesout_total"), ""), 12 * sent.len() as u64);
    let requests = "kafka_network_requestmetrics_requests_total";
    assert_eq!(sum_of(&page, requests, "request=\"Produce\""), 8);
    assert_eq!(sum_of(&page, requests, "request=\"CreateTopics\""), 1);
    assert!(sum_of(&page, "kafka_server_socketservermetrics_connection_count", "") >= 1);
    assert!(sum_of(&page, "highwater_core_turns_total", "core=\"0\"") > 0);
    // The path runs per log directory and core, and a level is at most a second old.
    eventually("the writes are shown", || {
        (sum_of(&scrape(address), "highwater_append_writes_total", "path=") >= 4).then_some(())
    });
    let page = scrape(address);
    assert_eq!(sum_of(&page, "kafka_server_replicamanager_partitioncount", ""), 4);
    let data = format!("dir=\"{}\"", folder.path().join("data").display());
    let cores = page.lines().filter(|line| line.starts_with("highwater_core_turns_total{")).count();
    assert_eq!(sum_of(&page, "highwater_append_path", &data), cores as u64);
    assert!(page.lines().count() < 3000, "few enough series");
}

#[test]
fn an_append_path_that_was_set_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let ring = [&ANY_PORT[..], &["--override", "highwater.append.path=ring"]].concat();
    let process = Process::start_with(folder.path(), free_address(), &ring);
    let address = process.metrics_address().unwrap();
    eventually("the ring is shown", || {
        let page = scrape(address);
        let of = |path: &str| sum_of(&page, "highwater_append_path", path);
        (of("path=\"ring\"") > 0 && of("path=\"inline\"") == 0).then_some(())
    });
}

#[test]
fn a_taken_port_and_an_empty_setting_leave_a_broker_without_metrics() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let setting = format!("highwater.metrics.listener={}", taken.local_addr().unwrap());
    for (setting, is_warned) in [(setting.as_str(), true), ("highwater.metrics.listener=", false)] {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start_with(folder.path(), free_address(), &["--override", setting]);
        assert_eq!(process.metrics_address(), None);
        assert_eq!(process.log().contains("no metrics: cannot listen"), is_warned);
        process.client();
        assert!(process.stop().success());
    }
}

#[test]
fn bad_http_costs_its_sender_the_connection_and_nobody_anything() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start_with(folder.path(), free_address(), &ANY_PORT);
    let address = process.metrics_address().unwrap();
    let status =
        |bytes: &[u8]| ask_http(address, bytes).lines().next().unwrap_or_default().to_owned();
    assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status(b"POST /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status(b"\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03"), "HTTP/1.1 400 Bad Request");
    let endless = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 9000]].concat();
    // More than is read may reset the connection before the answer is taken.
    assert!(["HTTP/1.1 400 Bad Request", ""].contains(&status(&endless).as_str()));
    // One that says nothing is given up.
    let silent = TcpStream::connect(address).unwrap();
    assert!(scrape(address).contains("highwater_build_info"));
    drop(silent);
    let head = ask_http(address, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"));
    assert!(process.runs());
}

#[test]
fn slow_scrapers_hold_nobody_up_but_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_with(folder.path(), free_address(), &ANY_PORT);
    let address = process.metrics_address().unwrap();
    // Were they answered one after the other, all of these would have been given up before the last.
    eventually("a scrape is answered while slow ones wait", || {
        let slow: Vec<TcpStream> = (0..7)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"GET /met").unwrap();
                stream
            })
            .collect();
        let answer = ask_http(address, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        let is_answered = answer.starts_with("HTTP/1.1 200 OK\r\n");
        let waits = |mut stream: &TcpStream| {
            stream.set_nonblocking(true).unwrap();
            let read = stream.read(&mut [0; 1]);
            read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        (is_answered && slow.iter().all(waits)).then_some(())
    });
}

#[test]
fn names_are_those_that_kafkas_own_metrics_get() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_with(folder.path(), free_address(), &ANY_PORT);
    let mut client = process.client();
    client.create_topic("counted", 3, &[]).unwrap();
    eventually("the topic is counted", || {
        let has = |name: &str, value| process.metric(name) == value;
        (has("kafka_controller_kafkacontroller_globaltopiccount", 1)
            && has("kafka_controller_kafkacontroller_globalpartitioncount", 3)
            && has("kafka_server_replicamanager_leadercount", 3))
        .then_some(())
    });
    assert_eq!(process.metric("kafka_controller_kafkacontroller_activecontrollercount"), 1);
    assert_eq!(process.metric("kafka_server_replicamanager_underreplicatedpartitions"), 0);
    assert_eq!(process.metric("kafka_log_logmanager_offlinelogdirectorycount"), 0);
}
