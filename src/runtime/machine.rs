//! Threads are born here and nowhere else: one pinned thread per core, one offload thread for the
//! few calls that the ring does not have and that may wait for a disk.
#![allow(unsafe_code)]

use super::buffer::Pool;
use super::core::{BLOCK_BYTES, Core};
use super::driver::{Done, Driver};
use super::file::File;
use super::op::{DirEntry, Op, Output};
use super::ring::{Ring, RingOptions};
use super::syscall;
use crossbeam::channel::{Sender, bounded};
use crossbeam::queue::ArrayQueue;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Wakes one core. Rings only when the core sleeps: a wake costs 25 us across cores on a virtual
/// machine, looking costs nothing.
#[derive(Debug)]
pub struct Doorbell {
    sleeping: AtomicBool,
    /// None in the simulated world, where nobody sleeps.
    fd: Option<OwnedFd>,
}

impl Doorbell {
    pub fn new() -> io::Result<Self> {
        Ok(Self { sleeping: AtomicBool::new(false), fd: Some(syscall::event_fd()?) })
    }

    /// A bell of the simulated world, which looks at every core anyway.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn silent() -> Self {
        Self { sleeping: AtomicBool::new(false), fd: None }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// The owner is about to sleep, and must look at its queues once more after this.
    pub(super) fn about_to_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Whether someone rang since `about_to_sleep`.
    pub(super) fn has_rung(&self) -> bool {
        !self.sleeping.load(Ordering::Relaxed)
    }

    /// Wakes the owner if it sleeps. What it should find must be in its queue already.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::Relaxed)
            && let Some(fd) = self.fd()
        {
            syscall::ring_event_fd(fd);
        }
    }
}

enum Job {
    Close(OwnedFd),
    Truncate { file: File, len: u64, slot: u32, home: Arc<Offload> },
    List { path: CString, slot: u32, home: Arc<Offload> },
}

impl Job {
    fn run(self) {
        match self {
            Self::Close(fd) => drop(fd),
            Self::Truncate { file, len, slot, home } => {
                home.answer(slot, syscall::truncate(file.raw(), len).map(|()| Output::None));
            }
            Self::List { path, slot, home } => {
                home.answer(slot, list(&path).map(Output::Entries));
            }
        }
    }
}

fn list(path: &CString) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(Path::new(OsStr::from_bytes(path.as_bytes())))? {
        let entry = entry?;
        let is_dir = entry.file_type()?.is_dir();
        // Kafka's names are ASCII; others are not ours to touch.
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(DirEntry { name, is_dir });
        }
    }
    Ok(entries)
}

/// The queue to the offload thread, which is started with the first job.
fn jobs() -> &'static Sender<Job> {
    static JOBS: OnceLock<Sender<Job>> = OnceLock::new();
    JOBS.get_or_init(|| {
        let (sender, receiver) = bounded::<Job>(1024);
        let worker = std::thread::Builder::new().name("offload".into());
        let started = worker.spawn(move || receiver.iter().for_each(Job::run));
        started.expect("the offload thread starts with the process");
        sender
    })
}

/// Closes a file off the core: the last close of a large unlinked file frees all its pages.
pub(super) fn close_later(fd: OwnedFd) {
    // A full queue closes here: a rare stall is better than an unbounded queue.
    drop(jobs().try_send(Job::Close(fd)));
}

/// One core's way to the offload thread and back.
pub(super) struct Offload {
    done: ArrayQueue<Done>,
    doorbell: Arc<Doorbell>,
}

/// What became of an operation that was shown to the offload.
pub(super) enum Offered {
    /// It belongs on the ring.
    NotMine,
    Taken,
}

impl Offload {
    pub fn new(doorbell: Arc<Doorbell>) -> Arc<Self> {
        Arc::new(Self { done: ArrayQueue::new(256), doorbell })
    }

    /// Takes the operations that the ring does not have on every kernel that we run on.
    pub fn offer(self: &Arc<Self>, slot: u32, op: &Op) -> Offered {
        let home = Arc::clone(self);
        let job = match op {
            Op::Truncate { file, len } => {
                Job::Truncate { file: file.clone(), len: *len, slot, home }
            }
            Op::List { path } => Job::List { path: path.clone(), slot, home },
            _ => return Offered::NotMine,
        };
        if let Err(refused) = jobs().try_send(job) {
            refused.into_inner().run();
        }
        Offered::Taken
    }

    fn answer(&self, slot: u32, output: io::Result<Output>) {
        let mut done = Done { slot, result: 0, flags: 0, output: Some(output) };
        while let Err(back) = self.done.push(done) {
            done = back;
            self.doorbell.ring();
            std::thread::yield_now();
        }
        self.doorbell.ring();
    }

    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    pub fn reap(&self, done: &mut Vec<Done>) {
        while let Some(one) = self.done.pop() {
            done.push(one);
        }
    }
}

/// How the cores are set up.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// One core of ours per entry, pinned to that CPU; `None`: not pinned.
    pub cpus: Vec<Option<usize>>,
    pub ring: RingOptions,
    /// Blocks for large bodies, per core.
    pub block_count: u32,
}

/// A ring, tried out on the calling thread: whether this machine lets us have one.
pub fn try_ring(options: &RingOptions) -> io::Result<()> {
    Ring::new(options, Offload::new(Arc::new(Doorbell::new()?))).map(drop)
}

/// Makes a core on the calling thread.
pub fn core_here(
    index: usize,
    options: &MachineOptions,
    doorbell: Arc<Doorbell>,
) -> io::Result<Core> {
    let ring = Ring::new(&options.ring, Offload::new(Arc::clone(&doorbell)))?;
    let blocks = Pool::new(options.block_count, BLOCK_BYTES)?;
    Ok(Core::new(index, Driver::Ring(Box::new(ring)), blocks, doorbell))
}

/// Starts one thread per core. Each makes its core; when all have one, each calls `begin` (which
/// spawns tasks) and runs the loop until the core is stopped. If one cannot have its core, none
/// runs. A panic on a core ends the process: the others cannot go on without its partitions.
pub fn start(
    options: &MachineOptions,
    doorbells: &[Arc<Doorbell>],
    begin: impl Fn(&Core) + Send + Sync + 'static,
) -> io::Result<Vec<JoinHandle<()>>> {
    assert_eq!(options.cpus.len(), doorbells.len());
    let begin = Arc::new(begin);
    let (made, is_made) = bounded(doorbells.len());
    let (mut threads, mut starts) = (Vec::new(), Vec::new());
    for (index, cpu) in options.cpus.iter().copied().enumerate() {
        let (options, begin, made) = (options.clone(), Arc::clone(&begin), made.clone());
        let doorbell = Arc::clone(&doorbells[index]);
        let (start, may_start) = bounded::<()>(1);
        starts.push(start);
        let thread = std::thread::Builder::new().name(format!("core-{index}"));
        threads.push(thread.spawn(move || {
            let _crash = CrashOnPanic;
            if let Some(id) = cpu {
                core_affinity::set_for_current(core_affinity::CoreId { id });
            }
            let core = match core_here(index, &options, doorbell) {
                Ok(core) => core,
                Err(error) => return drop(made.send(Err(error))),
            };
            drop(made.send(Ok(())));
            // A start that was dropped: another core could not be made.
            if may_start.recv().is_ok() {
                begin(&core);
                core.run();
            }
        })?);
    }
    for _ in doorbells {
        is_made.recv().map_err(io::Error::other)??;
    }
    for start in starts {
        start.send(()).map_err(io::Error::other)?;
    }
    Ok(threads)
}

/// Ends the process when its thread panics: a broken belief is met by a restart and a recovery.
struct CrashOnPanic;

impl Drop for CrashOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What the tests run on must fail as a test, not take all tests along.
            if cfg!(test) {
                return;
            }
            eprintln!(
                "a core has panicked: the process ends here, and recovers when it starts again"
            );
            std::process::abort();
        }
    }
}

/// CPUs that this process may run on.
pub fn allowed_cpus() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

fn stop_signals() -> libc::sigset_t {
    // SAFETY: plain data, initialised by sigemptyset.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is live.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the set is live, the signals exist.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

/// Keeps SIGTERM and SIGINT for [`wait_for_stop_signal`]. Called before any thread is started.
pub fn hold_stop_signals() {
    let set = stop_signals();
    // SAFETY: the set is live; the old mask is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for SIGTERM or SIGINT.
pub fn wait_for_stop_signal() -> &'static str {
    let set = stop_signals();
    let mut signal = 0;
    // SAFETY: both pointers are to live memory.
    while unsafe { libc::sigwait(&raw const set, &raw mut signal) } != 0 {}
    // A second one ends the process at once, should the stop hang.
    // SAFETY: the set is live; the old mask is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
    if signal == libc::SIGTERM { "SIGTERM" } else { "SIGINT" }
}

/// Sends SIGTERM to this process: how a core ends the process when it cannot go on.
pub fn ask_to_stop() {
    let me = std::process::id() as libc::pid_t;
    // SAFETY: no pointers.
    unsafe { libc::kill(me, libc::SIGTERM) };
}

/// Keeps the kernel from backing our small heaps with huge pages: each would be 2 MiB resident for
/// a few KiB used, and making them stalls whoever touches the memory first.
pub fn decline_huge_pages() {
    // SAFETY: no pointers. An older kernel refuses, and then memory is merely larger.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Raises the soft limit of open files to the hard one; gives the limit now in force.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the target is live.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the source is live.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    // SAFETY: the target is live.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur
}
