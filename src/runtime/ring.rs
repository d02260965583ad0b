//! The kernel's world: one io_uring per core.
//!
//! Set up SINGLE_ISSUER, DEFER_TASKRUN, COOP_TASKRUN: completions are delivered when this core
//! asks, never by interrupting it (worth up to 48x in median latency at half load).
//! Operations live in the core's slots; the entries point at heap memory that they own.
#![allow(unsafe_code)]

use super::buffer::Pool;
use super::clock;
use super::driver::{Done, Turned, Wait};
use super::file::File;
use super::machine::{Doorbell, Offered, Offload};
use super::op::{Advice, Op, Open, Output, Stat};
use super::socket::Socket;
use super::syscall;
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, FsyncFlags, Timespec};
use io_uring::{EnterFlags, IoUring, opcode, squeue};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Entries of the submission queue; a fuller queue is submitted early.
const SUBMISSIONS: u32 = 1024;
/// Entries of the completion queue; the kernel keeps what does not fit (FEAT_NODROP).
const COMPLETIONS: u32 = 8192;
/// Group of the receive ring's buffers.
const RECEIVE_GROUP: u16 = 0;

/// `user_data` of entries that belong to no slot.
const DOORBELL: u64 = u64::MAX;
const IGNORED: u64 = u64::MAX - 1;

/// How a ring is set up.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Longest spin before a sleep; zero: never spin.
    pub spin_max: Duration,
    /// Blocks of the receive ring; a power of two.
    pub receive_blocks: u16,
    pub receive_block_bytes: usize,
    /// Use IORING_ENTER_NO_IOWAIT where the kernel has it.
    pub no_iowait: bool,
}

pub(super) struct Ring {
    ring: IoUring,
    receive: ReceiveRing,
    /// Where the doorbell's count is read to; boxed, for the kernel writes it.
    bell_count: Box<u64>,
    bell_armed: bool,
    /// Kernel-written or kernel-read structures of operations in flight, by slot.
    stats: Vec<(u32, Box<libc::statx>)>,
    addresses: Vec<(u32, Box<syscall::RawAddress>)>,
    offload: Offload,
    enter_flags: EnterFlags,
    spin: Spin,
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct EnterArgument {
    sigmask: u64,
    sigmask_size: u32,
    min_wait_us: u32,
    timeout: u64,
}

impl Ring {
    /// Makes the ring of the calling thread.
    pub fn new(options: &RingOptions, offload: Offload) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if options.no_iowait && ring.params().is_feature_no_iowait() {
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        let receive = ReceiveRing::new(&ring, options)?;
        let spin = Spin { max: options.spin_max, gap: Duration::from_secs(1) };
        Ok(Self {
            ring,
            receive,
            bell_count: Box::new(0),
            bell_armed: false,
            stats: Vec::new(),
            addresses: Vec::new(),
            offload,
            enter_flags,
            spin,
        })
    }

    pub fn submit(&mut self, slot: u32, op: &mut Op) {
        if let Offered::Taken = self.offload.offer(slot, op) {
            return;
        }
        let entry = match op {
            Op::Accept { .. }
            | Op::Connect { .. }
            | Op::RecvPooled { .. }
            | Op::Recv { .. }
            | Op::Send { .. }
            | Op::Poll { .. } => self.socket_entry(slot, op),
            _ => self.file_entry(slot, op),
        };
        self.push(&entry.user_data(u64::from(slot)));
    }

    fn file_entry(&mut self, slot: u32, op: &mut Op) -> squeue::Entry {
        let here = Fd(libc::AT_FDCWD);
        match op {
            Op::Open { path, how } => {
                let flags = match how {
                    Open::Read => libc::O_RDONLY,
                    Open::Existing => libc::O_RDWR,
                    Open::Write => libc::O_RDWR | libc::O_CREAT,
                    Open::Create => libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC,
                    Open::Directory => libc::O_RDONLY | libc::O_DIRECTORY,
                };
                opcode::OpenAt::new(here, path.as_ptr())
                    .flags(flags | libc::O_CLOEXEC)
                    .mode(0o640)
                    .build()
            }
            Op::Read { file, at, buffer, filled } => {
                let rest = &mut buffer[*filled..];
                let len = rest.len().min(1 << 30) as u32;
                opcode::Read::new(Fd(file.raw()), rest.as_mut_ptr(), len).offset(*at).build()
            }
            Op::Write { file, at, data, skip } => {
                let iovecs = data.iovecs(*skip);
                opcode::Writev::new(Fd(file.raw()), iovecs.as_ptr(), iovecs.len() as u32)
                    .offset(*at)
                    .build()
            }
            Op::Sync { file, data_only } => {
                let flags = if *data_only { FsyncFlags::DATASYNC } else { FsyncFlags::empty() };
                opcode::Fsync::new(Fd(file.raw())).flags(flags).build()
            }
            Op::SyncRange { file, at, len, wait } => {
                let mut flags = libc::SYNC_FILE_RANGE_WRITE;
                if *wait {
                    flags |= libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
                }
                let len = u32::try_from(*len).unwrap_or(0); // 0: to the end of the file
                opcode::SyncFileRange::new(Fd(file.raw()), len).offset(*at).flags(flags).build()
            }
            Op::Allocate { file, at, len } => opcode::Fallocate::new(Fd(file.raw()), *len)
                .offset(*at)
                .mode(libc::FALLOC_FL_KEEP_SIZE)
                .build(),
            Op::Advise { file, at, len, advice } => {
                let advice = match advice {
                    Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
                    Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
                };
                let len = i64::try_from(*len).unwrap_or(0); // 0: to the end of the file
                opcode::Fadvise::new(Fd(file.raw()), len as _, advice).offset(*at).build()
            }
            Op::Rename { from, to } => {
                opcode::RenameAt::new(here, from.as_ptr(), here, to.as_ptr()).build()
            }
            Op::Unlink { path } => opcode::UnlinkAt::new(here, path.as_ptr()).build(),
            Op::RemoveDir { path } => {
                opcode::UnlinkAt::new(here, path.as_ptr()).flags(libc::AT_REMOVEDIR).build()
            }
            Op::MakeDir { path } => opcode::MkDirAt::new(here, path.as_ptr()).mode(0o700).build(),
            Op::Stat { path } => {
                let mut stat = syscall::empty_statx();
                let target = (&raw mut *stat).cast();
                self.stats.push((slot, stat));
                opcode::Statx::new(here, path.as_ptr(), target)
                    .mask(libc::STATX_BASIC_STATS)
                    .build()
            }
            _ => opcode::Nop::new().build(),
        }
    }

    fn socket_entry(&mut self, slot: u32, op: &mut Op) -> squeue::Entry {
        match op {
            Op::Accept { listener } => {
                let none = std::ptr::null_mut();
                opcode::Accept::new(Fd(listener.raw()), none, none.cast())
                    .flags(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
                    .build()
            }
            Op::Connect { socket, address } => {
                let raw = Box::new(syscall::RawAddress::new(*address));
                let entry = opcode::Connect::new(Fd(socket.raw()), raw.as_ptr(), raw.len()).build();
                self.addresses.push((slot, raw));
                entry
            }
            Op::RecvPooled { socket } => {
                opcode::Recv::new(Fd(socket.raw()), std::ptr::null_mut(), 0)
                    .buf_group(RECEIVE_GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT)
            }
            Op::Recv { socket, block, start, end } => {
                let block = block.as_mut().expect("a receive carries its block");
                let part = &mut block.as_mut_slice()[*start..*end];
                opcode::Recv::new(Fd(socket.raw()), part.as_mut_ptr(), part.len() as u32).build()
            }
            Op::Send { socket, data, skip, more } => {
                let mut flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
                if *more {
                    flags |= libc::MSG_MORE;
                }
                let message = data.message(*skip);
                opcode::SendMsg::new(Fd(socket.raw()), message).flags(flags as u32).build()
            }
            Op::Poll { socket, readable } => {
                let events = if *readable { libc::POLLIN } else { libc::POLLOUT };
                opcode::PollAdd::new(Fd(socket.raw()), events as u32).build()
            }
            _ => opcode::Nop::new().build(),
        }
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: what the entry points at is owned by the operation in its slot (or by this
            // ring) and stays where it is until the completion has been reaped.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // Full: hand over what there is. Busy completion queues empty on the next turn.
            let _ = self.ring.submit();
        }
    }

    pub fn cancel(&mut self, slot: u32) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(u64::from(slot))).build();
        self.push(&entry.user_data(IGNORED));
    }

    pub fn recycle(&mut self) -> usize {
        self.receive.recycle()
    }

    pub fn receive_free(&self) -> usize {
        self.receive.lent
    }

    pub fn turn(&mut self, wait: Wait, doorbell: &Doorbell, done: &mut Vec<Done>) -> Turned {
        let mut turned = Turned::default();
        if !self.bell_armed {
            self.arm_bell(doorbell);
        }
        match wait {
            Wait::No => {
                let submission = self.ring.submission();
                let idle =
                    submission.is_empty() && !submission.taskrun() && !submission.cq_overflow();
                drop(submission);
                if !idle {
                    self.enter(0, None, &mut turned);
                }
            }
            Wait::Until(deadline) => self.wait(deadline, doorbell, &mut turned),
        }
        self.reap(done);
        self.offload.reap(done);
        turned
    }

    /// Waits for a completion: spins a little where that has paid lately, then sleeps.
    fn wait(
        &mut self,
        deadline: Option<crate::base::Instant>,
        doorbell: &Doorbell,
        turned: &mut Turned,
    ) {
        let start = clock::monotonic();
        if self.spin.is_worth_it() {
            self.enter(0, None, turned);
            while self.ring.completion().is_empty() {
                if self.ring.submission().taskrun() {
                    self.enter(0, None, turned);
                    continue;
                }
                let now = clock::monotonic();
                let late = deadline.is_some_and(|deadline| deadline <= now);
                if late || doorbell.has_rung() || now.since(start) > self.spin.max {
                    break;
                }
                std::hint::spin_loop();
            }
            if !self.ring.completion().is_empty() || doorbell.has_rung() {
                self.spin.record(clock::monotonic().since(start));
                return;
            }
        }
        if self.offload.has_done() {
            self.enter(0, None, turned);
            return;
        }
        let now = clock::monotonic();
        let span = deadline.map(|deadline| deadline.since(now));
        if span == Some(Duration::ZERO) {
            self.enter(0, None, turned);
            return;
        }
        turned.slept = true;
        self.enter(1, span, turned);
        self.spin.record(clock::monotonic().since(start));
    }

    /// Submits what is queued and collects completions; waits for one if `want` is 1.
    fn enter(&mut self, want: u32, span: Option<Duration>, turned: &mut Turned) {
        turned.enters += 1;
        let timespec = span.map(Timespec::from);
        let argument = EnterArgument {
            sigmask: 0,
            sigmask_size: 8,
            min_wait_us: 0,
            timeout: timespec.as_ref().map_or(0, |spec| std::ptr::from_ref(spec) as u64),
        };
        let queued = self.ring.submission().len() as u32;
        let flags = self.enter_flags.bits();
        // SAFETY: the argument has the kernel's layout and outlives the call, as does the
        // timespec that it points at.
        let result = unsafe { self.ring.submitter().enter(queued, want, flags, Some(&argument)) };
        match result.map_err(|error| error.raw_os_error()) {
            // Time is over, a signal came, or completions must be reaped first: all normal.
            Ok(_) | Err(Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) => {}
            Err(error) => panic!("io_uring_enter failed with error {error:?}: the ring is broken"),
        }
    }

    fn arm_bell(&mut self, doorbell: &Doorbell) {
        let target = (&raw mut *self.bell_count).cast();
        let fd = doorbell.fd().expect("a real core has a real bell");
        let entry = opcode::Read::new(Fd(fd.as_raw_fd()), target, 8).build();
        self.push(&entry.user_data(DOORBELL));
        self.bell_armed = true;
    }

    fn reap(&mut self, done: &mut Vec<Done>) {
        for entry in self.ring.completion() {
            match entry.user_data() {
                IGNORED => {}
                DOORBELL => self.bell_armed = false,
                slot => done.push(Done {
                    slot: slot as u32,
                    result: entry.result(),
                    flags: entry.flags(),
                    output: None,
                }),
            }
        }
    }

    pub fn finish(&mut self, op: &mut Op, done: Done) -> io::Result<Output> {
        if let Some(output) = done.output {
            return output;
        }
        let stat = take(&mut self.stats, done.slot);
        drop(take(&mut self.addresses, done.slot));
        if let Op::RecvPooled { .. } = op {
            return self.receive.received(done.result, done.flags);
        }
        if done.result < 0 {
            return Err(io::Error::from_raw_os_error(-done.result));
        }
        Ok(match op {
            Op::Read { .. } | Op::Write { .. } | Op::Recv { .. } | Op::Send { .. } => {
                Output::Count(done.result as usize)
            }
            Op::Open { .. } => {
                // SAFETY: the kernel has just given us this descriptor; nobody else has it.
                Output::File(File::from_fd(unsafe { OwnedFd::from_raw_fd(done.result) }))
            }
            Op::Accept { .. } => {
                // SAFETY: as above.
                let fd = unsafe { OwnedFd::from_raw_fd(done.result) };
                let peer = syscall::peer_address(&fd)?;
                Output::Accepted(Socket::from_fd(fd), peer)
            }
            Op::Stat { .. } => {
                let stat = stat.expect("a stat keeps its target");
                Output::Stat(Stat {
                    len: stat.stx_size,
                    is_dir: u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFDIR,
                    modified_ms: stat.stx_mtime.tv_sec * 1000
                        + i64::from(stat.stx_mtime.tv_nsec / 1_000_000),
                })
            }
            _ => Output::None,
        })
    }
}

fn take<T>(list: &mut Vec<(u32, T)>, slot: u32) -> Option<T> {
    if list.is_empty() {
        return None;
    }
    let index = list.iter().position(|(owner, _)| *owner == slot)?;
    Some(list.swap_remove(index).1)
}

/// Buffers that the kernel chooses from when bytes are there, so that an idle connection holds
/// none. Sized to the L2 cache: more would be colder, fewer run out.
struct ReceiveRing {
    pool: Pool,
    entries: *mut BufRingEntry,
    mask: u16,
    tail: u16,
    /// Blocks that the kernel can choose from (as far as reaped completions tell).
    lent: usize,
}

impl ReceiveRing {
    fn new(ring: &IoUring, options: &RingOptions) -> io::Result<Self> {
        let count = options.receive_blocks;
        assert!(count.is_power_of_two());
        let pool = Pool::new(u32::from(count), options.receive_block_bytes)?;
        let entries = syscall::map_pages(usize::from(count) * size_of::<BufRingEntry>())?;
        // SAFETY: the mapping is page-aligned, large enough, and never unmapped.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(entries as u64, count, RECEIVE_GROUP, 0)
        }?;
        let mut receive = Self { pool, entries: entries.cast(), mask: count - 1, tail: 0, lent: 0 };
        for index in receive.pool.lend_all() {
            receive.lend(index);
        }
        receive.publish();
        Ok(receive)
    }

    fn lend(&mut self, index: u32) {
        let place = usize::from(self.tail & self.mask);
        // SAFETY: the place is inside the mapping of mask + 1 entries.
        let entry = unsafe { self.entries.add(place) };
        // SAFETY: the kernel reads an entry only after the tail has passed it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.pool.block_address(index) as u64);
        entry.set_len(self.pool.block_bytes() as u32);
        entry.set_bid(index as u16);
        self.tail = self.tail.wrapping_add(1);
        self.lent += 1;
    }

    fn publish(&self) {
        // SAFETY: the tail lies in the first entry of the registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries) };
        // SAFETY: it is aligned and shared with the kernel only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Lends out again what has come home.
    fn recycle(&mut self) -> usize {
        let mut count = 0;
        while let Some(index) = self.pool.pop_returned() {
            self.lend(index);
            count += 1;
        }
        if count > 0 {
            self.publish();
        }
        count
    }

    fn received(&mut self, result: i32, flags: u32) -> io::Result<Output> {
        let buffer = io_uring::cqueue::buffer_select(flags);
        self.lent -= usize::from(buffer.is_some());
        let slice =
            buffer.map(|index| self.pool.lent_slice(u32::from(index), result.max(0) as usize));
        match (result, slice) {
            (0, _) => Ok(Output::End),
            (1.., Some(slice)) => Ok(Output::Received(slice)),
            (1.., None) => unreachable!("a pooled receive names its buffer"),
            _ => Err(io::Error::from_raw_os_error(-result)),
        }
    }
}

/// When spinning pays: while the usual gap between completions is shorter than a sleep costs.
struct Spin {
    max: Duration,
    /// Smoothed time waited for a completion.
    gap: Duration,
}

impl Spin {
    fn is_worth_it(&self) -> bool {
        self.gap < self.max
    }

    fn record(&mut self, waited: Duration) {
        if self.max > Duration::ZERO {
            self.gap = (self.gap * 7 + waited.min(self.max * 16)) / 8;
        }
    }
}
