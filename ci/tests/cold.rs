//! What is not in the page cache is served like what is: the same bytes, brought in off the core.

mod process;

use highwater::cli::client::{Client, FetchLimits};
use highwater::model::Offset;
use process::{Process, append, batch, eventually, free_address, read_from, values};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const BATCHES: usize = 60;

/// The first segment of a partition.
fn segment(folder: &Path, topic: &str) -> PathBuf {
    folder.join("data").join(format!("{topic}-0")).join("00000000000000000000.log")
}

/// Makes a file durable and drops it from the page cache.
fn make_cold(path: &Path) {
    let run = |command: &mut Command| assert!(command.status().expect("it starts").success());
    run(Command::new("sync").arg(path));
    let input = format!("if={}", path.display());
    run(Command::new("dd").args([input.as_str(), "iflag=nocache", "count=0", "status=none"]));
}

fn large(number: usize) -> String {
    format!("{number:>050000}")
}

/// A folder on a disk: in memory nothing gets cold.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the broker")
}

fn fill(client: &mut Client, topic: &str) -> Vec<String> {
    let sent: Vec<String> = (0..BATCHES).map(large).collect();
    for value in &sent {
        append(client, topic, 0, &batch(&[value]));
    }
    sent
}

#[test]
fn cold_segments_are_served_whole() {
    let folder = folder();
    let any_port = ["--override", "highwater.metrics.listener=127.0.0.1:0"];
    let process = Process::start_with(folder.path(), free_address(), &any_port);
    let mut client = process.client();
    client.create_topic("cold", 1, &[]).unwrap();
    let sent = fill(&mut client, "cold");
    let path = segment(folder.path(), "cold");
    make_cold(&path);
    // Whatever another process reads meanwhile, some of it is cold when it is our turn.
    eventually("a slice is brought in", || {
        make_cold(&path);
        assert_eq!(values(&read_from(&mut client, "cold", 0, Offset::ZERO)), sent);
        (process.metric("highwater_fetch_slices_warmed_total") > 0).then_some(())
    });
    // From the middle, and a little at a time.
    make_cold(&path);
    let limits =
        FetchLimits { max_wait: Duration::ZERO, min_bytes: 1, max_bytes: 1, read_committed: true };
    for offset in [BATCHES - 1, 7, 31] {
        let fetched = client.fetch("cold", 0, Offset(offset as i64), limits).unwrap();
        let batches = highwater::cli::batches::read_batches(&fetched.records).unwrap();
        assert_eq!(values(&batches), [large(offset)]);
    }
    assert!(process.stop().success());
}

#[test]
fn what_is_read_while_the_ring_writes_is_whole() {
    let folder = folder();
    let ring = ["--override", "highwater.append.path=ring"];
    let process = Process::start_with(folder.path(), free_address(), &ring);
    process.client().create_topic("ring", 1, &[]).unwrap();
    let address = process.address;
    let mut client = process.client();
    let path = segment(folder.path(), "ring");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| fill(&mut process::client(address), "ring"));
        let mut seen = 0;
        while seen < BATCHES {
            let read = values(&read_from(&mut client, "ring", 0, Offset::ZERO));
            assert!(read.len() >= seen, "what was seen stays");
            seen = read.len();
            assert!(read.iter().enumerate().all(|(number, value)| *value == large(number)));
            if path.exists() {
                make_cold(&path);
            }
        }
        assert_eq!(writer.join().unwrap().len(), BATCHES);
    });
    assert!(process.stop().success());
}
