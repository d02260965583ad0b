//! The load: a closed loop on one thread, as cheap as it can be made, so that it never limits.
//!
//! Each connection keeps a few requests in flight. Requests are encoded once; one receive and one
//! send per wake of a connection, edge-triggered, so that nothing is registered twice.
#![allow(unsafe_code)]

use crate::cpu::{self, ThreadClock};
use crate::work::{self, REPLY_BYTES};
use highwater::base::crc32c;
use highwater::runtime::clock;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Requests that one connection has in flight.
pub const IN_FLIGHT: usize = 5;
const EVENTS: usize = 256;
/// A server that is silent for so long has failed.
const SILENCE_MS: i32 = 5_000;

/// Requests of one size, ready to be sent.
pub struct Load {
    /// As many frames as may be in flight, one after the other.
    frames: Vec<u8>,
    frame_bytes: usize,
    crc: u32,
}

impl Load {
    pub fn new(body_bytes: usize) -> Self {
        let body: Vec<u8> = (0..body_bytes).map(|index| (index * 31 % 251) as u8).collect();
        let mut frame = (body_bytes as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        Self {
            frames: frame.repeat(IN_FLIGHT),
            frame_bytes: frame.len(),
            crc: crc32c::checksum(&body),
        }
    }
}

/// How long to drive: first unmeasured, then measured.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub warm: Duration,
    pub measured: Duration,
}

/// What happened in the measured span.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub requests: u64,
    pub wall: Duration,
    pub server_cpu: Duration,
    pub client_cpu: Duration,
}

/// One client connection.
struct Peer {
    socket: TcpStream,
    /// Bytes of requests that may be sent now.
    owed: usize,
    /// Where in the frame the stream stands.
    phase: usize,
    /// Bytes of a reply that is not whole.
    half: usize,
}

impl Peer {
    /// Takes what the server has answered; gives how many replies became whole.
    fn receive(&mut self, load: &Load) -> io::Result<u64> {
        let mut buffer = [0; (IN_FLIGHT + 1) * REPLY_BYTES];
        let count = match self.socket.read(&mut buffer[self.half..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.half + count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        };
        // A reply that is cut is not checked; the next whole one is.
        if self.half == 0
            && let Some(first) = buffer.first_chunk()
            && count >= REPLY_BYTES
            && work::reply_crc(first) != load.crc
        {
            return Err(io::Error::other("a reply carries the wrong checksum"));
        }
        self.half = count % REPLY_BYTES;
        let replies = count / REPLY_BYTES;
        self.owed += replies * load.frame_bytes;
        Ok(replies as u64)
    }

    /// Sends what is owed, as far as the socket takes it.
    fn send(&mut self, load: &Load) -> io::Result<()> {
        while self.owed > 0 {
            let end = (self.phase + self.owed).min(load.frames.len());
            match self.socket.write(&load.frames[self.phase..end]) {
                Ok(count) => {
                    self.owed -= count;
                    self.phase = (self.phase + count) % load.frame_bytes;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Drives the load and measures; `server` is the CPU clock of the server's thread.
pub fn drive(
    sockets: Vec<TcpStream>,
    load: &Load,
    span: Span,
    server: ThreadClock,
) -> io::Result<Window> {
    let poll = Poll::new()?;
    let mut peers = Vec::with_capacity(sockets.len());
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        poll.add(&socket, index)?;
        peers.push(Peer { socket, owed: load.frames.len(), phase: 0, half: 0 });
    }
    let mine = ThreadClock::here()?;
    let start = clock::monotonic();
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let mut requests = 0;
    let mut began = None;
    loop {
        for event in poll.wait(&mut events)? {
            let peer = &mut peers[event.u64 as usize];
            requests += peer.receive(load)?;
            peer.send(load)?;
        }
        let now = clock::monotonic();
        match began {
            None if now.since(start) >= span.warm => {
                requests = 0;
                began = Some((now, cpu::read(server)?, cpu::read(mine)?));
            }
            Some((from, server_cpu, client_cpu)) if now.since(from) >= span.measured => {
                return Ok(Window {
                    requests,
                    wall: now.since(from),
                    server_cpu: cpu::read(server)?.saturating_sub(server_cpu),
                    client_cpu: cpu::read(mine)?.saturating_sub(client_cpu),
                });
            }
            _ => {}
        }
    }
}

/// An epoll instance.
struct Poll(OwnedFd);

impl Poll {
    fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = cpu::check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just made; nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn add(&self, socket: &TcpStream, index: usize) -> io::Result<()> {
        let events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: index as u64 };
        let (poll, fd) = (self.0.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: the event is a live local.
        let done = unsafe { libc::epoll_ctl(poll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        cpu::check(done).map(drop)
    }

    fn wait<'a>(
        &self,
        events: &'a mut [libc::epoll_event; EVENTS],
    ) -> io::Result<&'a [libc::epoll_event]> {
        let (poll, place) = (self.0.as_raw_fd(), events.as_mut_ptr());
        loop {
            // SAFETY: the array is live and has room for that many events.
            let count = unsafe { libc::epoll_wait(poll, place, EVENTS as i32, SILENCE_MS) };
            match cpu::check(count) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(count) => return Ok(&events[..count as usize]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
