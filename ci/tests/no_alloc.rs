//! After warm-up a produce and a fetch allocate nothing on the cores.
//!
//! The broker runs in this process; an allocator of its own counts what threads named `core-*`
//! ask for. Buffers may still grow now and then (an index of a segment doubles), so the bound is
//! one allocation in a hundred requests; one per request would be a hundred times that.
#![allow(unsafe_code, reason = "a counting allocator")]

use highwater::cli::client::{Acks, Client, FetchLimits};
use highwater::config::BrokerConfig;
use highwater::model::Offset;
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

#[test]
fn produce_and_fetch_allocate_nothing_after_warm_up() {
    let mut client = connect(start("auto"));
    client.create_topic("quiet", 4, &[]).unwrap();
    client.await_topic("quiet", PATIENCE).unwrap();
    let mut batch = Vec::new();
    let mut builder = BatchBuilder::new();
    let record =
        NewRecord { value: Some(b"0123456789"), timestamp: clock::wall(), ..NewRecord::default() };
    builder.push(&record).unwrap();
    builder.finish(&mut batch).unwrap();

    // Partitions on this core and on others, in turn.
    let mut turn = 0;
    let produced = measure(|| {
        turn += 1;
        client.produce("quiet", turn % 4, Acks::All, &batch).unwrap();
    });
    assert!(produced < MEASURED / 100, "{produced} allocations in {MEASURED} produce requests");

    let limits = FetchLimits { max_bytes: 1000, ..FetchLimits::default() };
    let mut offset = 0;
    let fetched = measure(|| {
        offset = (offset + 1) % 100;
        client.fetch("quiet", 0, Offset(offset), limits).unwrap();
    });
    assert!(fetched < MEASURED / 100, "{fetched} allocations in {MEASURED} fetch requests");
}
