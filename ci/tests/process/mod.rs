//! A broker for a test of the whole process: started on a free port with a folder of its own,
//! stopped or killed by its process id, and gone when the test is, with its log if that failed.
//!
//! With `HIGHWATER_TEST_ADDRESS=HOST:PORT` the tests speak to that broker instead: run against an
//! Apache Kafka they show that it is the tests that are right. `HIGHWATER_TEST_PROGRAM` is started
//! in place of ours, with the same arguments, for the tests that need a process of their own. Nothing is timed: what must happen is waited for, with a deadline.
#![allow(dead_code, reason = "each test program uses its part")]

use highwater::cli::batches::{Batch, read_batches};
use highwater::cli::client::{Acks, Client, FetchLimits};
use highwater::cli::client_error::ClientError;
use highwater::cli::connection::Connection;
use highwater::model::{ErrorCode, Offset, ProducerEpoch, ProducerId, Timestamp};
use highwater::record::{BatchBuilder, Codec, NewRecord, Packing};
use highwater::runtime::clock;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take that must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The broker that a test speaks to.
pub struct Broker {
    pub address: SocketAddr,
    /// None for a broker that was there before.
    pub process: Option<Process>,
}

/// A running `highwater serve`.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
    /// Where it was started; its data is in `data`.
    folder: Folder,
}

/// A folder that outlives the brokers that run in it, or goes with the only one.
enum Folder {
    Own(TempDir),
    Given(PathBuf),
}

impl Broker {
    /// The broker of `HIGHWATER_TEST_ADDRESS`, or a new one.
    pub fn start() -> Self {
        if let Ok(address) = std::env::var("HIGHWATER_TEST_ADDRESS") {
            let address = address.parse().expect("HIGHWATER_TEST_ADDRESS is IP:PORT");
            Self { address, process: None }
        } else {
            let process = Process::start();
            Self { address: process.address, process: Some(process) }
        }
    }

    pub fn client(&self) -> Client {
        client(self.address)
    }

    /// A connection that has not said anything.
    pub fn connection(&self) -> Connection {
        Connection::open(self.address, PATIENCE).expect("the broker accepts connections")
    }

    /// A new topic, ready for use.
    pub fn topic(&self, name: &str, partition_count: i32, configs: &[(&str, &str)]) -> String {
        let (name, mut client) = (fresh_name(name), self.client());
        client.create_topic(&name, partition_count, configs).unwrap();
        client.await_topic(&name, PATIENCE).unwrap();
        name
    }
}

impl Process {
    /// On a free port and in a folder of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the broker");
        let address = free_address();
        Self::spawn(Folder::Own(folder), address, &[]).ready()
    }

    /// In a folder that stays, at an address of the caller's; waits until it is ready.
    pub fn start_in(folder: &Path, address: SocketAddr) -> Self {
        Self::attempt(folder, address, &[]).ready()
    }

    /// The same with more arguments.
    pub fn start_with(folder: &Path, address: SocketAddr, more: &[&str]) -> Self {
        Self::attempt(folder, address, more).ready()
    }

    /// Starts and does not wait: for starts that must fail.
    pub fn attempt(folder: &Path, address: SocketAddr, more: &[&str]) -> Self {
        Self::spawn(Folder::Given(folder.to_path_buf()), address, more)
    }

    /// Runs a command of the caller's, which is to listen at the address; does not wait.
    pub fn launch(folder: &Path, address: SocketAddr, command: Command) -> Self {
        Self::run(Folder::Given(folder.to_path_buf()), address, command, None)
    }

    /// Its standard error goes elsewhere; waits until it is ready.
    pub fn start_telling(folder: &Path, address: SocketAddr, stderr: impl Into<Stdio>) -> Self {
        let folder = Folder::Given(folder.to_path_buf());
        let command = Self::serve(&folder, address, &[]);
        Self::run(folder, address, command, Some(stderr.into())).ready()
    }

    /// Waits until it is ready.
    pub fn ready(mut self) -> Self {
        eventually("the broker says that it is ready", || {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the broker ended ({status}) before it was ready:\n{}", self.log());
            }
            let log = self.log();
            let mut words = log.split(|letter: char| !letter.is_alphanumeric());
            words.find(|word| *word == "ready")?;
            Client::connect(self.address, PATIENCE).ok()
        });
        self
    }

    fn spawn(folder: Folder, address: SocketAddr, more: &[&str]) -> Self {
        let command = Self::serve(&folder, address, more);
        Self::run(folder, address, command, None)
    }

    fn serve(folder: &Folder, address: SocketAddr, more: &[&str]) -> Command {
        let mut command = highwater();
        command.args(["serve", "--listen", &address.to_string(), "--data"]);
        command.arg(folder.path().join("data")).args(more);
        command
    }

    fn run(
        folder: Folder,
        address: SocketAddr,
        mut command: Command,
        stderr: Option<Stdio>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = folder.path().join(format!("server-{number}.log"));
        let file = File::create(&log).expect("a log for the broker");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log twice"))
            .stderr(stderr.unwrap_or_else(|| file.into()))
            .spawn()
            .expect("the program starts");
        Self { address, child, log, folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed these words.
    pub fn says(&self, words: &str) {
        eventually(words, || self.log().contains(words).then_some(()));
    }

    pub fn client(&self) -> Client {
        client(self.address)
    }

    /// Where the banner says that the metrics are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find_map(|line| line.strip_prefix("metrics"))?;
        let url = line.trim().strip_prefix("http://")?.strip_suffix("/metrics")?;
        Some(url.parse().expect("an address"))
    }

    /// The sum over a metric's series.
    pub fn metric(&self, name: &str) -> u64 {
        let address = self.metrics_address().expect("it was started with metrics");
        sum_of(&scrape(address), name, "")
    }

    /// A number of bytes that the kernel tells of it: VmRSS, VmHWM, RssAnon.
    pub fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("the kernel tells of it") * 1024
    }

    /// Descriptors that it holds.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it is there").count()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.ended();
    }

    /// How it ends by itself.
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the broker ends", || self.child.try_wait().expect("a child can be asked"))
    }

    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(self.pid().to_string());
        assert!(kill.status().expect("kill(1) starts").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the broker's log\n{}---", self.log());
        }
    }
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(folder) => folder,
        }
    }
}

/// The program, or that of `HIGHWATER_TEST_PROGRAM`.
pub fn highwater() -> Command {
    let ours = env!("CARGO_BIN_EXE_highwater").into();
    let mut command = Command::new(std::env::var_os("HIGHWATER_TEST_PROGRAM").unwrap_or(ours));
    // Settings of whoever runs the tests are none of the tests'.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"KAFKA_") {
            command.env_remove(name);
        }
    }
    command
}

/// What comes back for these bytes, until the end.
pub fn ask_http(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the metrics are served");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The page of metrics.
pub fn scrape(address: SocketAddr) -> String {
    let answer = ask_http(address, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body.to_owned()
}

/// The sum over a name's series that carry this label text.
pub fn sum_of(page: &str, name: &str, label: &str) -> u64 {
    let is_of = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(label);
    let value = |line: &str| line.rsplit_once(' ')?.1.parse::<u64>().ok();
    page.lines().filter(is_of).map(|line| value(line).expect("a number")).sum()
}

/// A fresh producer id; a broker that has just started may not have one yet.
pub fn producer_id(client: &mut Client) -> (ProducerId, ProducerEpoch) {
    eventually("there is a producer id", || match client.init_producer_id() {
        Ok(producer) => Some(producer),
        Err(error) => {
            assert!(error.is_retriable(), "{error}");
            None
        }
    })
}

pub fn client(address: SocketAddr) -> Client {
    Client::connect(address, PATIENCE).expect("the broker answers ApiVersions")
}

/// An address of 127.0.0.1 that nobody listens at, below the ports of outgoing connections.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(131) % 10_000;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(step < 10_000, "no port is free");
        let port = 20_000 + ((start + step) % 10_000) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Looks until there is something to see.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = clock::monotonic() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(clock::monotonic() < give_up, "waited in vain: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A time for records, in ms, the same for the whole run: not now, and not so old that retention
/// takes them.
pub fn base_time() -> i64 {
    static BASE: OnceLock<i64> = OnceLock::new();
    *BASE.get_or_init(|| clock::wall().0 - 600_000)
}

/// A topic name that no other test used, nor an earlier run on the same broker.
pub fn fresh_name(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{}-{count}", clock::wall(), std::process::id())
}

/// The code with which a call was refused.
pub fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> ErrorCode {
    let error = result.expect_err("the broker refuses");
    error.code().unwrap_or_else(|| panic!("the broker answers with a code, not: {error}"))
}

/// A batch of records with these values, 1 ms apart from [`base_time`] on.
pub fn batch(values: &[&str]) -> Vec<u8> {
    batch_of(values, base_time(), Codec::None)
}

pub fn batch_of(values: &[&str], first_time: i64, codec: Codec) -> Vec<u8> {
    build(BatchBuilder::new().packed(Packing::of(codec)), values, first_time)
}

/// A batch of an idempotent producer.
pub fn batch_by(
    (id, epoch): (ProducerId, ProducerEpoch),
    base_sequence: i32,
    values: &[&str],
) -> Vec<u8> {
    build(BatchBuilder::new().producer(id, epoch, base_sequence), values, base_time())
}

pub fn build(builder: &mut BatchBuilder, values: &[&str], first_time: i64) -> Vec<u8> {
    for (index, value) in values.iter().enumerate() {
        let timestamp = Timestamp(first_time + index as i64);
        let value = Some(value.as_bytes());
        builder.push(&NewRecord { timestamp, value, ..NewRecord::default() }).unwrap();
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    bytes
}

/// Appends with acks=all and gives the base offset.
pub fn append(client: &mut Client, topic: &str, partition: i32, batch: &[u8]) -> Offset {
    let appended = client.produce(topic, partition, Acks::All, batch).unwrap();
    appended.expect("acks=all is answered").base_offset
}

/// All batches from `offset` to the high watermark.
pub fn read_from(client: &mut Client, topic: &str, partition: i32, offset: Offset) -> Vec<Batch> {
    let (mut next, mut batches) = (offset, Vec::<Batch>::new());
    loop {
        let limits = FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() };
        let fetched = client.fetch(topic, partition, next, limits).unwrap();
        let more = read_batches(&fetched.records).unwrap();
        if let Some(last) = more.last() {
            next = last.header.next_offset();
        }
        batches.extend(more);
        if next >= fetched.high_watermark {
            return batches;
        }
    }
}

/// Values of all records, which must lie at dense offsets from the first batch's on.
pub fn values(batches: &[Batch]) -> Vec<String> {
    let mut next = batches.first().map_or(Offset::ZERO, |first| first.header.base_offset);
    let mut values = Vec::new();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        assert_eq!(record.offset, next, "offsets are dense");
        next = next.plus(1);
        let value = record.value.clone().unwrap_or_default();
        values.push(String::from_utf8(value).expect("the tests write text"));
    }
    values
}
