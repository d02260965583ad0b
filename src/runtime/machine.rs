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
use super::work::Work;
use crossbeam::channel::{Sender, bounded};
use crossbeam::queue::ArrayQueue;
use std::collections::VecDeque;
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
    Ask(Question, Arc<Answers>),
}

/// An operation that the offload does, and the slot that waits for it.
struct Question {
    slot: u32,
    what: Asked,
}

enum Asked {
    Truncate { file: File, len: u64 },
    List { path: CString },
    Work(Work),
}

impl Job {
    fn run(self) {
        match self {
            Self::Close(fd) => drop(fd),
            Self::Ask(question, home) => home.put(question.answer()),
        }
    }
}

impl Question {
    fn answer(self) -> Done {
        let output = match self.what {
            Asked::Truncate { file, len } => {
                syscall::truncate(file.raw(), len).map(|()| Output::None)
            }
            Asked::List { path } => list(&path).map(Output::Entries),
            Asked::Work(work) => {
                work.run();
                Ok(Output::None)
            }
        };
        Done { slot: self.slot, result: 0, flags: 0, output: Some(output) }
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
        let (sender, receiver) = bounded::<Job>(JOBS_MAX);
        let worker = std::thread::Builder::new().name("offload".into());
        let started = worker.spawn(move || receiver.iter().for_each(Job::run));
        started.expect("the offload thread starts with the process");
        sender
    })
}

/// Jobs that wait for the offload thread, of all cores together.
const JOBS_MAX: usize = 1024;
/// Jobs of one core that are away: as many as it has places for their answers.
const AWAY_MAX: usize = 256;
/// Threads that compute for cores. They share the CPUs with the cores, and yield to them.
const WORKERS: usize = 2;
/// How much they yield, as `nice(1)` counts.
const WORKER_NICE: libc::c_int = 10;

/// The queue to the threads that compute, which are started with the first work. It is theirs
/// alone: what waits for a disk does not wait for what computes for seconds.
fn works() -> &'static Sender<Job> {
    static WORKS: OnceLock<Sender<Job>> = OnceLock::new();
    WORKS.get_or_init(|| {
        let (sender, receiver) = bounded::<Job>(JOBS_MAX);
        for index in 0..WORKERS {
            let receiver = receiver.clone();
            let worker = std::thread::Builder::new().name(format!("compute-{index}"));
            let started = worker.spawn(move || {
                let _crash = CrashOnPanic;
                // A thread that was started by a core is pinned to the core's CPU.
                unpin();
                // SAFETY: no pointers. On Linux this is the calling thread alone.
                unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, WORKER_NICE) };
                receiver.iter().for_each(Job::run);
            });
            started.expect("the threads that compute start with the process");
        }
        sender
    })
}

/// Lets the calling thread run wherever the process may: as its first thread does.
fn unpin() {
    // SAFETY: plain data.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let (bytes, first) = (size_of::<libc::cpu_set_t>(), std::process::id() as libc::pid_t);
    // SAFETY: the target is live and as large as said.
    if unsafe { libc::sched_getaffinity(first, bytes, &raw mut set) } == 0 {
        // SAFETY: the source is live and as large as said.
        unsafe { libc::sched_setaffinity(0, bytes, &raw const set) };
    }
}

/// Closes a file off the core: the last close of a large unlinked file frees all its pages.
pub(super) fn close_later(fd: OwnedFd) {
    // A full queue closes here: a rare stall is better than an unbounded queue.
    drop(jobs().try_send(Job::Close(fd)));
}

/// Where the offload thread leaves what it did for a core.
struct Answers {
    done: ArrayQueue<Done>,
    doorbell: Arc<Doorbell>,
}

impl Answers {
    fn put(&self, done: Done) {
        let is_there = self.done.push(done).is_ok();
        assert!(is_there, "no more jobs are away than answers have places");
        self.doorbell.ring();
    }
}

/// One core's way to the offload thread and back. Each job that is away has a place for its
/// answer, so that the thread never waits for a core, nor a core for the thread: what is too much
/// waits here.
pub(super) struct Offload {
    answers: Arc<Answers>,
    away: usize,
    waiting: VecDeque<Question>,
    /// Answers of questions that this core had to see to itself.
    own: Vec<Done>,
}

/// What became of an operation that was shown to the offload.
pub(super) enum Offered {
    /// It belongs on the ring.
    NotMine,
    Taken,
}

impl Offload {
    pub fn new(doorbell: Arc<Doorbell>) -> Self {
        let answers = Arc::new(Answers { done: ArrayQueue::new(AWAY_MAX), doorbell });
        Self { answers, away: 0, waiting: VecDeque::new(), own: Vec::new() }
    }

    /// Takes the operations that the ring does not have on every kernel that we run on.
    pub fn offer(&mut self, slot: u32, op: &Op) -> Offered {
        let what = match op {
            Op::Truncate { file, len } => Asked::Truncate { file: file.clone(), len: *len },
            Op::List { path } => Asked::List { path: path.clone() },
            Op::Work { work } => Asked::Work(work.clone()),
            _ => return Offered::NotMine,
        };
        self.waiting.push_back(Question { slot, what });
        self.send_waiting();
        Offered::Taken
    }

    fn send_waiting(&mut self) {
        while self.away < AWAY_MAX {
            let Some(question) = self.waiting.pop_front() else { return };
            let queue = if matches!(question.what, Asked::Work(_)) { works() } else { jobs() };
            match queue.try_send(Job::Ask(question, Arc::clone(&self.answers))) {
                Ok(()) => self.away += 1,
                Err(refused) => {
                    let Job::Ask(question, _) = refused.into_inner() else { return };
                    // The next answer wakes this core, and it tries again. Where none will come,
                    // a rare stall is better than a wait for others.
                    if self.away > 0 {
                        return self.waiting.push_front(question);
                    }
                    self.own.push(question.answer());
                }
            }
        }
    }

    pub fn has_done(&self) -> bool {
        !self.own.is_empty() || !self.answers.done.is_empty()
    }

    pub fn reap(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.own);
        while let Some(one) = self.answers.done.pop() {
            self.away -= 1;
            done.push(one);
        }
        self.send_waiting();
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

/// Starts a thread that is no core: it may wait for the world.
pub fn start_aside(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(ASIDE_STACK_BYTES).spawn(work)
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

/// Stack of a thread that is no core.
const ASIDE_STACK_BYTES: usize = 256 << 10;

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
    if signal == libc::SIGTERM { "SIGTERM" } else { "SIGINT" }
}

/// Ends the process now: nothing else of it runs, nothing is cleaned up.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: no pointers, and it does not return.
    unsafe { libc::_exit(status) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_asks_for_more_than_answers_have_places_goes_on() {
        const COUNT: u32 = 3 * (JOBS_MAX + AWAY_MAX) as u32;
        let folder = tempfile::tempdir().unwrap();
        let path = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
        let mut offload = Offload::new(Arc::new(Doorbell::new().unwrap()));
        for slot in 0..COUNT {
            assert!(matches!(
                offload.offer(slot, &Op::List { path: path.clone() }),
                Offered::Taken
            ));
        }
        assert!(offload.away <= AWAY_MAX && !offload.waiting.is_empty());
        let mut done = Vec::new();
        while done.len() < COUNT as usize {
            offload.reap(&mut done);
            assert!(offload.away <= AWAY_MAX);
            std::thread::yield_now();
        }
        let mut slots: Vec<u32> = done.iter().map(|one| one.slot).collect();
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..COUNT), "each is answered, once");
        assert!(done.iter().all(|one| matches!(one.output, Some(Ok(Output::Entries(_))))));
        assert!(!offload.has_done() && offload.away == 0 && offload.waiting.is_empty());
    }
}
