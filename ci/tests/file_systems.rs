//! The whole broker on real file systems, by every append path: what it acknowledged is there after
//! a kill and after a stop, and files that are written rarely, while others look at them, keep
//! nobody waiting.
//!
//! `HIGHWATER_APPEND_DIRS` lists folders, separated by ':', each on a file system of its own
//! (`ci/lib/on-file-systems` makes an ext4 and an XFS); then the quiet files take their full time.
//! Without it the temporary folder is used.

mod process;

use highwater::cli::client::{Acks, Client};
use highwater::model::{Offset, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::ProduceRequest;
use highwater::record::Codec;
use highwater::runtime::clock;
use highwater::runtime::probe::file_system_name;
use process::{
    PATIENCE, Process, append, base_time, batch, batch_of, free_address, read_from, values,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Files that are written in turn.
const FILES: usize = 1000;
/// Between two writes to quiet files: each is then its file's first in a tick of the kernel, which
/// must update the times of the file.
const PAUSE: Duration = Duration::from_millis(10);
/// No acknowledgement may take this long. A stall on a journal takes seconds; a machine that
/// compiles meanwhile, tens of milliseconds.
const STALL: Duration = Duration::from_secs(1);
/// Requests that are sent ahead.
const AHEAD: usize = 50;

/// The folders, and how many writes to quiet files each is worth.
fn folders() -> (Vec<PathBuf>, usize) {
    match std::env::var("HIGHWATER_APPEND_DIRS") {
        Ok(listed) => (listed.split(':').map(PathBuf::from).collect(), FILES),
        Err(_) => (vec![std::env::temp_dir()], FILES / 10),
    }
}

/// Runs a check on every file system at once.
fn on_each(path_name: &str, words: &str) {
    let (folders, quiet_writes) = folders();
    std::thread::scope(|scope| {
        for root in &folders {
            scope.spawn(move || {
                let folder = tempfile::tempdir_in(root).unwrap();
                let broker = Tested { folder: folder.path(), path_name, words };
                broker.keeps_what_it_acknowledged();
                broker.keeps_nobody_waiting(quiet_writes);
            });
        }
    });
}

struct Tested<'a> {
    folder: &'a Path,
    /// The setting.
    path_name: &'a str,
    /// What the banner says of it.
    words: &'a str,
}

impl Tested<'_> {
    fn start(&self) -> Process {
        let setting = format!("highwater.append.path={}", self.path_name);
        let more = ["--override", setting.as_str()];
        let broker = Process::attempt(self.folder, free_address(), &more).ready();
        let log = broker.log();
        let line = |word: &str| {
            let found = log.lines().find_map(|line| line.strip_prefix(word));
            found.unwrap_or_else(|| panic!("a line '{word}':\n{log}")).trim().to_owned()
        };
        let file_system = file_system_name(self.folder).unwrap();
        assert!(line("data").ends_with(&format!("({file_system})")), "{log}");
        assert!(line("appends").starts_with(self.words), "{log}");
        broker
    }

    /// Every codec, large and small, then killed, then stopped.
    fn keeps_what_it_acknowledged(&self) {
        let (mut expected, mut broker) = (Vec::<String>::new(), self.start());
        broker.client().create_topic("kept", 1, &[("segment.bytes", "1048576")]).unwrap();
        for round in 0..4 {
            let mut client = broker.client();
            client.await_topic("kept", PATIENCE).unwrap();
            let read = values(&read_from(&mut client, "kept", 0, Offset::ZERO));
            assert_eq!(read, expected, "round {round}");
            for number in 0..60 {
                let value = format!("{round} {number} {}", "text ".repeat(number * 199 % 4000));
                let bytes = batch_of(&[&value], base_time(), Codec::ALL[number % 5]);
                let offset = append(&mut client, "kept", 0, &bytes);
                assert_eq!(offset, Offset(expected.len() as i64));
                expected.push(value);
            }
            if round % 2 == 0 {
                broker.kill();
            } else {
                assert!(broker.stop().success());
            }
            broker = self.start();
        }
        write_many(&mut broker.client());
        assert!(broker.stop().success());
    }

    /// One write per 10 ms over 1,000 files with an `ls -l` between, and beside it a partition that
    /// is always busy; then a kill.
    fn keeps_nobody_waiting(&self, quiet_writes: usize) {
        let broker = self.start();
        let mut client = broker.client();
        client.create_topic("busy-too", 1, &[]).unwrap();
        client.await_topic("busy-too", PATIENCE).unwrap();
        client.create_topic("quiet", FILES as i32, &[]).unwrap();
        let id = client.await_topic("quiet", PATIENCE).unwrap().id;
        let all: Vec<i32> = (0..FILES as i32).collect();
        send_to_each(&mut client, "quiet", id, &all, &["first".to_owned()]);

        let is_over = AtomicBool::new(false);
        let (slowest_quiet, (busy_count, slowest_busy)) = std::thread::scope(|scope| {
            let busy = scope.spawn(|| keep_busy(broker.client(), &is_over));
            let slowest = self.write_in_turn(&mut client, quiet_writes);
            is_over.store(true, Ordering::Relaxed);
            (slowest, busy.join().unwrap())
        });
        let name = format!("{} on {}", self.path_name, file_system_name(self.folder).unwrap());
        println!("{name}: slowest {slowest_quiet:?} of quiet files, {slowest_busy:?} beside them");
        assert!(slowest_quiet < STALL, "{name}: {slowest_quiet:?} for a quiet file");
        assert!(slowest_busy < STALL, "{name}: {slowest_busy:?} for the busy partition");
        broker.kill();

        let broker = self.start();
        let mut client = broker.client();
        client.await_topic("quiet", PATIENCE).unwrap();
        for partition in 0..FILES {
            let read = values(&read_from(&mut client, "quiet", partition as i32, Offset::ZERO));
            let expected =
                if partition < quiet_writes { &["first", "second"][..] } else { &["first"] };
            assert_eq!(read, expected, "{name}: partition {partition}");
        }
        let read = read_from(&mut client, "busy-too", 0, Offset::ZERO);
        assert_eq!(values(&read).len(), busy_count);
        assert!(broker.stop().success());
    }

    /// A record to each of the quiet files in turn; gives the longest time to an acknowledgement.
    fn write_in_turn(&self, client: &mut Client, quiet_writes: usize) -> Duration {
        let (mut slowest, mut next) = (Duration::ZERO, clock::monotonic());
        for partition in 0..quiet_writes {
            let sent = clock::monotonic();
            let offset = append(client, "quiet", partition as i32, &batch(&["second"]));
            slowest = slowest.max(clock::monotonic() - sent);
            assert_eq!(offset, Offset(1), "partition {partition}");
            // Who looks at a file's times makes its next write update them.
            for look in [partition, (partition + 1) % FILES] {
                list(&self.folder.join(format!("data/quiet-{look}")));
            }
            next = next + PAUSE;
            let now = clock::monotonic();
            if next > now {
                std::thread::sleep(next - now);
            }
        }
        slowest
    }
}

/// Enough writes to a busy file that `auto` tries the ring and decides.
fn write_many(client: &mut Client) {
    client.create_topic("busy", 1, &[]).unwrap();
    let id = client.await_topic("busy", PATIENCE).unwrap().id;
    let places: Vec<i32> = vec![0; 3000];
    send_to_each(client, "busy", id, &places, &["x".repeat(500)]);
    let read = read_from(client, "busy", 0, Offset::ZERO);
    assert_eq!(values(&read).len(), places.len());
}

/// `ls -l`
fn list(folder: &Path) {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        // A file may be replaced meanwhile.
        let _ = entry.unwrap().metadata();
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

/// Appends to one partition all the time; gives how often, and the longest time to an
/// acknowledgement.
fn keep_busy(mut client: Client, is_over: &AtomicBool) -> (usize, Duration) {
    let (mut count, mut slowest) = (0, Duration::ZERO);
    client.await_topic("busy-too", PATIENCE).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        let sent = clock::monotonic();
        append(&mut client, "busy-too", 0, &batch(&["busy"]));
        slowest = slowest.max(clock::monotonic() - sent);
        count += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    (count, slowest)
}

/// A batch of these values to each of the partitions, sent ahead; every one is acknowledged.
fn send_to_each(client: &mut Client, topic: &str, id: TopicId, to: &[i32], values: &[String]) {
    let version = client.versions().newest(ApiKey::Produce).unwrap();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let bytes = batch(&values);
    let connection = client.connection();
    let mut sent = to.iter();
    for wanted in to {
        while connection.pending_count() < AHEAD
            && let Some(&partition) = sent.next()
        {
            let request = highwater::cli::client::produce_request(
                topic,
                id,
                partition,
                Acks::All,
                bytes.len(),
            );
            connection.send(version, &request, &[&bytes]).unwrap();
        }
        let answer = connection.receive::<ProduceRequest<'_>>().unwrap();
        let found = answer.view().responses.first().unwrap().partition_responses.first().unwrap();
        let told = (found.index, found.error_code);
        assert_eq!(told, (*wanted, 0), "{topic}");
    }
}

#[test]
fn by_the_path_that_is_chosen_while_running() {
    on_each("auto", "inline pwritev (auto: io_uring is tried under load)");
}

#[test]
fn inline() {
    on_each("inline", "inline pwritev (by setting)");
}

#[test]
fn through_the_ring() {
    on_each("ring", "io_uring (by setting)");
}
