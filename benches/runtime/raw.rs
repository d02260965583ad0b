//! The ring without a runtime: one multishot receive per connection into provided buffers, no
//! tasks, no handles. What is left of a frame at the end of a buffer is copied together.
//!
//! It shows what our executor costs beside the bare interface, and what multishot would buy.
#![allow(unsafe_code)]

use crate::work::{Broker, Served};
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;
const GROUP: u16 = 0;
const BLOCK_BYTES: usize = 32 << 10;

/// Serves the connections on the calling thread until all of them are closed.
pub fn serve(sockets: Vec<TcpStream>, space: &Path, blocks: u16) -> io::Result<Served> {
    let mut server = Server::new(sockets, Broker::open(space)?, blocks)?;
    server.run()?;
    let calls = server.enters + server.broker.appends;
    let dry = Some(server.dry_count);
    Ok(Served { requests: server.broker.requests, calls: Some(calls), dry })
}

struct Server {
    // Dropped first: the kernel lets go of everything below.
    ring: IoUring,
    buffers: Buffers,
    connections: Vec<Connection>,
    broker: Broker,
    /// Connections whose receive ended for want of a buffer.
    starved: Vec<usize>,
    open_count: usize,
    enters: u64,
    /// Receives that ended for want of a buffer.
    dry_count: u64,
}

struct Connection {
    socket: TcpStream,
    /// The front of a frame that is not whole.
    partial: Vec<u8>,
    /// Replies that wait for the send under way.
    replies: Vec<u8>,
    /// Replies that the kernel is sending; empty when none is under way.
    sending: Vec<u8>,
    is_open: bool,
}

/// What a completion belongs to, in its `user_data`: the connection, and whether it is a send.
fn tag(index: usize, is_send: bool) -> u64 {
    (index as u64) << 1 | u64::from(is_send)
}

impl Server {
    fn new(sockets: Vec<TcpStream>, broker: Broker, blocks: u16) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = Buffers::new(&ring, blocks)?;
        let open = |socket: TcpStream| {
            socket.set_nodelay(true)?;
            let (partial, replies, sending) = (Vec::new(), Vec::new(), Vec::new());
            Ok(Connection { socket, partial, replies, sending, is_open: true })
        };
        let connections = sockets.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let open_count = connections.len();
        Ok(Self {
            ring,
            buffers,
            connections,
            broker,
            starved: Vec::new(),
            open_count,
            enters: 0,
            dry_count: 0,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        for index in 0..self.connections.len() {
            self.arm(index)?;
        }
        let mut done = Vec::with_capacity(COMPLETIONS as usize);
        while self.open_count > 0 {
            self.enters += 1;
            match self.ring.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            done.extend(
                self.ring
                    .completion()
                    .map(|entry| (entry.user_data() as usize, entry.result(), entry.flags())),
            );
            for (tag, result, flags) in done.drain(..) {
                if tag & 1 == 1 {
                    self.on_sent(tag >> 1, result)?;
                } else {
                    self.on_received(tag >> 1, result, flags)?;
                }
            }
            self.buffers.publish();
            for index in std::mem::take(&mut self.starved) {
                self.arm(index)?;
            }
        }
        Ok(())
    }

    /// Starts the multishot receive of a connection.
    fn arm(&mut self, index: usize) -> io::Result<()> {
        let fd = Fd(self.connections[index].socket.as_raw_fd());
        self.push(opcode::RecvMulti::new(fd, GROUP).build().user_data(tag(index, false)))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: a receive names no memory of ours; a send names `sending`, which is not
            // touched before its completion.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return Ok(());
            }
            self.enters += 1;
            self.ring.submit()?;
        }
    }

    fn on_received(&mut self, index: usize, result: i32, flags: u32) -> io::Result<()> {
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.serve(index, buffer, result.max(0) as usize)?;
            self.buffers.lend(buffer);
            self.send(index)?;
        }
        if cqueue::more(flags) {
            return Ok(());
        }
        match -result {
            libc::ENOBUFS => {
                self.dry_count += 1;
                self.starved.push(index);
            }
            // A multishot that ended although all is well is started again.
            ..0 => self.arm(index)?,
            0 | libc::ECONNRESET | libc::EPIPE => self.close(index),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        Ok(())
    }

    fn serve(&mut self, index: usize, buffer: u16, len: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let bytes = self.buffers.bytes(buffer, len);
        if connection.partial.is_empty() {
            let served = self.broker.serve(bytes, &mut connection.replies)?;
            connection.partial.extend_from_slice(&bytes[served..]);
        } else {
            connection.partial.extend_from_slice(bytes);
            let served = self.broker.serve(&connection.partial, &mut connection.replies)?;
            connection.partial.drain(..served);
        }
        Ok(())
    }

    /// Sends what waits, unless a send is under way.
    fn send(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if !connection.sending.is_empty() || connection.replies.is_empty() {
            return Ok(());
        }
        std::mem::swap(&mut connection.sending, &mut connection.replies);
        let (bytes, fd) = (&connection.sending, Fd(connection.socket.as_raw_fd()));
        let entry = opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(entry.user_data(tag(index, true)))
    }

    fn on_sent(&mut self, index: usize, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[index];
        match -result {
            libc::ECONNRESET | libc::EPIPE => {
                connection.sending.clear();
                connection.replies.clear();
                return Ok(());
            }
            error @ 1.. => return Err(io::Error::from_raw_os_error(error)),
            _ => {}
        }
        // What a short send left goes first.
        let sent = result as usize;
        if sent < connection.sending.len() {
            connection.replies.splice(..0, connection.sending.drain(sent..));
        }
        connection.sending.clear();
        self.send(index)
    }

    fn close(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        self.open_count -= usize::from(std::mem::replace(&mut connection.is_open, false));
    }
}

/// The provided buffers and the ring through which the kernel takes them.
struct Buffers {
    memory: Vec<u8>,
    entries: *mut BufRingEntry,
    mask: u16,
    tail: u16,
}

impl Buffers {
    fn new(ring: &IoUring, count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two());
        let len = usize::from(count) * size_of::<BufRingEntry>();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: an anonymous mapping at an address of the kernel's choice; it stays until the
        // process ends.
        let entries = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if entries == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is page-aligned, large enough, and never unmapped.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, count, GROUP, 0) }?;
        let memory = vec![0; usize::from(count) * BLOCK_BYTES];
        let mut buffers = Self { memory, entries: entries.cast(), mask: count - 1, tail: 0 };
        (0..count).for_each(|index| buffers.lend(index));
        buffers.publish();
        Ok(buffers)
    }

    fn bytes(&self, index: u16, len: usize) -> &[u8] {
        &self.memory[usize::from(index) * BLOCK_BYTES..][..len]
    }

    /// Gives a buffer to the kernel, which sees it after the next `publish`.
    fn lend(&mut self, index: u16) {
        let address = self.memory[usize::from(index) * BLOCK_BYTES..].as_mut_ptr() as u64;
        // SAFETY: the place is inside the mapping of mask + 1 entries.
        let entry = unsafe { self.entries.add(usize::from(self.tail & self.mask)) };
        // SAFETY: the kernel reads an entry only after the tail has passed it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(BLOCK_BYTES as u32);
        entry.set_bid(index);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the tail lies in the first entry of the registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries) };
        // SAFETY: it is aligned and shared with the kernel only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
