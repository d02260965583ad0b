//! After warm-up a produce and a fetch, in a session or not, woken or not, allocate nothing on the
//! cores.
//!
//! The broker runs in this process; an allocator of its own counts what threads named `core-*`
//! ask for. Buffers may still grow now and then (an index of a segment doubles), so the bound is
//! one allocation in a hundred requests; one per request would be a hundred times that.
#![allow(unsafe_code, reason = "a counting allocator")]

use highwater::cli::client::{Acks, Client, FetchLimits, LATEST, fetch_request};
use highwater::config::BrokerConfig;
use highwater::model::Offset;
use highwater::protocol::ApiKey;
use highwater::protocol::write::FetchRequest;
use highwater::protocol::write::fetch::{FetchPartition, FetchTopic};
use highwater::record::{BatchBuilder, NewRecord};
use highwater::runtime::clock;
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Counting;

static ON_CORES: AtomicU64 = AtomicU64::new(0);

fn is_core() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: no pointers.
    let me = unsafe { libc::pthread_self() };
    // SAFETY: the buffer is live and its length is given.
    unsafe { libc::pthread_getname_np(me, name.as_mut_ptr().cast(), name.len()) };
    name.starts_with(b"core-")
}

// SAFETY: every call is the system allocator's, unchanged; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_core() {
            ON_CORES.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PATIENCE: Duration = Duration::from_secs(30);
const WARM_UP: u64 = 2_000;
const MEASURED: u64 = 2_000;
const TOPIC: &str = "quiet";
const PARTITIONS: i32 = 4;

/// Starts a broker in this process, on its own threads, for as long as the process lives.
fn start(cores: &str) -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap().keep();
    let mut settings = BrokerConfig::standalone();
    settings.set("listeners", format!("PLAINTEXT://{free}"));
    settings.set("log.dirs", folder.display().to_string());
    settings.set("highwater.cores", cores);
    let (config, notices) = BrokerConfig::load(&settings).unwrap();
    let broker = std::thread::Builder::new().name("broker".into());
    broker.spawn(move || highwater::server::serve(config, &notices).unwrap()).unwrap();
    free
}

fn connect(address: SocketAddr) -> Client {
    let end = clock::monotonic() + PATIENCE;
    loop {
        match Client::connect(address, PATIENCE) {
            Ok(client) => return client,
            Err(error) => assert!(clock::monotonic() < end, "{error}"),
        }
    }
}

/// Allocations on the cores while `request` ran `MEASURED` times, after a warm-up.
fn measure(mut request: impl FnMut()) -> u64 {
    (0..WARM_UP).for_each(|_| request());
    let before = ON_CORES.load(Ordering::SeqCst);
    (0..MEASURED).for_each(|_| request());
    ON_CORES.load(Ordering::SeqCst) - before
}

/// Compares with what was promised, and says what it was.
fn check(what: &str, allocations: u64) {
    assert!(allocations < MEASURED / 100, "{allocations} allocations in {MEASURED} {what}");
}

fn batch() -> Vec<u8> {
    let mut batch = Vec::new();
    let mut builder = BatchBuilder::new();
    let record =
        NewRecord { value: Some(b"0123456789"), timestamp: clock::wall(), ..NewRecord::default() };
    builder.push(&record).unwrap();
    builder.finish(&mut batch).unwrap();
    batch
}

/// One test, for the allocations of all brokers of this process are counted together.
#[test]
fn produce_and_fetch_allocate_nothing_after_warm_up() {
    let address = start("auto");
    let mut client = connect(address);
    client.create_topic(TOPIC, PARTITIONS, &[]).unwrap();
    client.await_topic(TOPIC, PATIENCE).unwrap();
    let batch = batch();

    // Partitions on this core and on others, in turn.
    let mut turn = 0;
    let produced = measure(|| {
        turn += 1;
        client.produce(TOPIC, turn % PARTITIONS, Acks::All, &batch).unwrap();
    });
    check("produce requests", produced);

    let limits = FetchLimits { max_bytes: 1000, ..FetchLimits::default() };
    let mut offset = 0;
    let fetched = measure(|| {
        offset = (offset + 1) % 100;
        client.fetch(TOPIC, 0, Offset(offset), limits).unwrap();
    });
    check("fetch requests", fetched);
    // A connection of each core, and partitions of every one.
    for _ in 0..2 {
        let mut reader = connect(address);
        check("fetches in a session", fetches_in_a_session(&mut reader, &mut client, &batch));
        check("fetches that were woken", fetches_that_are_woken(&mut reader, &mut client, &batch));
    }
}

/// A fetch of a partition's end.
fn at_end(partition: i32, offset: Offset) -> FetchPartition {
    FetchPartition {
        partition,
        fetch_offset: offset.0,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    }
}

/// Fetches in a session over all partitions: one has a new record each time, and is the only one
/// that the next fetch names.
fn fetches_in_a_session(reader: &mut Client, writer: &mut Client, batch: &[u8]) -> u64 {
    let topic_id = reader.topic_id(TOPIC).unwrap();
    let mut ends: Vec<Offset> = (0..PARTITIONS)
        .map(|partition| reader.list_offset(TOPIC, partition, LATEST).unwrap().offset)
        .collect();
    let named = |partitions| FetchTopic { topic: TOPIC.into(), topic_id, partitions };
    let all = (0..PARTITIONS).zip(&ends).map(|(partition, end)| at_end(partition, *end)).collect();
    let mut request = FetchRequest {
        max_wait_ms: 0,
        max_bytes: 1 << 20,
        session_epoch: 0,
        topics: vec![named(all)],
        ..FetchRequest::default()
    };
    let answer = reader.call(&request, &[]).unwrap();
    request.session_id = answer.view().session_id;
    assert_ne!(request.session_id, 0, "there is a session");
    request.topics.clear();
    let mut turn = 0;
    measure(|| {
        let partition = turn % PARTITIONS;
        turn += 1;
        writer.produce(TOPIC, partition, Acks::All, batch).unwrap();
        request.session_epoch += 1;
        let answer = reader.call(&request, &[]).unwrap();
        let view = answer.view();
        assert_eq!((view.error_code, view.responses.len()), (0, 1));
        let found = view.responses.first().unwrap().partitions;
        let first = found.first().unwrap();
        assert_eq!((found.len(), first.partition_index), (1, partition));
        assert_eq!(first.records.unwrap().bytes.len(), batch.len());
        let end = &mut ends[partition as usize];
        *end = end.plus(1);
        request.topics = vec![named(vec![at_end(partition, *end)])];
    })
}

/// Fetches that find nothing, wait, and are woken by an append.
fn fetches_that_are_woken(reader: &mut Client, writer: &mut Client, batch: &[u8]) -> u64 {
    let id = reader.topic_id(TOPIC).unwrap();
    let version = reader.versions().newest(ApiKey::Fetch).unwrap();
    let mut ends: Vec<Offset> = (0..PARTITIONS)
        .map(|partition| reader.list_offset(TOPIC, partition, LATEST).unwrap().offset)
        .collect();
    let limits = FetchLimits { max_wait: 2 * PATIENCE, ..FetchLimits::default() };
    let mut turn = 0;
    measure(|| {
        let partition = turn % PARTITIONS;
        turn += 1;
        let end = &mut ends[partition as usize];
        let request = fetch_request(TOPIC, id, partition, *end, limits);
        reader.connection().send(version, &request, &[]).unwrap();
        writer.produce(TOPIC, partition, Acks::All, batch).unwrap();
        let answer = reader.connection().receive::<FetchRequest<'_>>().unwrap();
        let found = answer.view().responses.first().unwrap().partitions.first().unwrap();
        assert_eq!(found.records.unwrap().bytes.len(), batch.len());
        *end = end.plus(1);
    })
}
