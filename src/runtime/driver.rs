//! The two worlds behind a core: the kernel's ring, and the simulated one. One enum, no trait:
//! an operation that one of them does not answer does not compile.

use super::buffer::{BlockMut, Gather};
use super::clock;
use super::file::File;
use super::machine::Doorbell;
use super::op::{Op, Output};
use super::ring::Ring;
#[cfg(any(test, feature = "sim"))]
use super::sim::Sim;
use super::socket::Socket;
use super::syscall;
use crate::base::Instant;
use crate::model::Timestamp;
use std::io;
use std::net::SocketAddr;

/// One completed operation, as the driver saw it; `finish` turns it into an output.
#[derive(Debug)]
pub(super) struct Done {
    pub slot: u32,
    /// As a system call gives it: negative error number, or a count.
    pub result: i32,
    /// The ring's completion flags.
    pub flags: u32,
    /// The whole answer of operations that do not fit a number (offloaded, or simulated).
    pub output: Option<io::Result<Output>>,
}

/// How long a turn may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    /// Until something completes, or the moment has come.
    Until(Option<Instant>),
}

/// What a turn did.
#[derive(Debug, Default)]
pub(super) struct Turned {
    pub enters: u64,
    pub slept: bool,
    /// The simulated time, where there is one.
    pub clock: Option<(Instant, Timestamp)>,
}

pub(super) enum Driver {
    Ring(Box<Ring>),
    #[cfg(any(test, feature = "sim"))]
    Sim(Box<Sim>),
}

impl Driver {
    /// Starts an operation. `op` stays where its heap parts are until `finish`.
    pub fn submit(&mut self, slot: u32, op: &mut Op) {
        match self {
            Self::Ring(ring) => ring.submit(slot, op),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.submit(slot, op),
        }
    }

    /// Asks that an operation end soon; it still completes.
    pub fn cancel(&mut self, slot: u32) {
        match self {
            Self::Ring(ring) => ring.cancel(slot),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.cancel(slot),
        }
    }

    /// Lends receive blocks that came home out again; how many.
    pub fn recycle(&mut self) -> usize {
        match self {
            Self::Ring(ring) => ring.recycle(),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.recycle(),
        }
    }

    /// Receive blocks that can still be chosen.
    pub fn receive_free(&self) -> usize {
        match self {
            Self::Ring(ring) => ring.receive_free(),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.receive_free(),
        }
    }

    pub fn turn(&mut self, wait: Wait, doorbell: &Doorbell, done: &mut Vec<Done>) -> Turned {
        match self {
            Self::Ring(ring) => ring.turn(wait, doorbell, done),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.turn(wait, done),
        }
    }

    pub fn finish(&mut self, op: &mut Op, done: Done) -> io::Result<Output> {
        match self {
            Self::Ring(ring) => ring.finish(op, done),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.finish(op, done),
        }
    }

    pub fn write_inline(
        &mut self,
        file: &File,
        data: &mut Gather,
        skip: usize,
        at: u64,
    ) -> io::Result<usize> {
        match self {
            Self::Ring(_) => syscall::pwritev(file.raw(), data.iovecs(skip), at),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.write_inline(file, data, skip, at),
        }
    }

    pub fn read_now(&mut self, file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::Ring(_) => syscall::read_now(file.raw(), buffer, at),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.read_now(file, buffer, at),
        }
    }

    pub fn receive_now(
        &mut self,
        socket: &Socket,
        blocks: &mut [BlockMut],
        start: usize,
        max: usize,
    ) -> io::Result<usize> {
        match self {
            Self::Ring(_) => syscall::receive_now(socket.raw(), blocks, start, max),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.receive_now(socket, blocks, start, max),
        }
    }

    pub fn sendfile(
        &mut self,
        socket: &Socket,
        file: &File,
        at: u64,
        len: usize,
    ) -> io::Result<usize> {
        match self {
            Self::Ring(_) => syscall::sendfile(socket.raw(), file.raw(), at, len),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.sendfile(socket, file, at, len),
        }
    }

    /// A listener; see [`Socket::listen`].
    pub fn listen(&mut self, address: SocketAddr, backlog: u32) -> io::Result<Socket> {
        match self {
            Self::Ring(_) => Socket::listen(address, backlog),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.listen(address, backlog),
        }
    }

    /// A socket that is about to connect to `address`.
    pub fn socket(&mut self, address: SocketAddr) -> io::Result<Socket> {
        match self {
            Self::Ring(_) => Socket::to_connect(address),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => Ok(sim.socket(address)),
        }
    }

    /// Fills a few bytes at random.
    #[allow(clippy::disallowed_methods, reason = "where random bytes come from")]
    pub fn random(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Ring(_) => getrandom::fill(bytes).expect("the kernel has random bytes"),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.random(bytes),
        }
    }

    /// The simulated time, where there is one.
    pub fn simulated_clock(&self) -> Option<(Instant, Timestamp)> {
        match self {
            Self::Ring(_) => None,
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => Some(sim.clock()),
        }
    }

    /// The monotonic clock, read now.
    pub fn monotonic(&self) -> Instant {
        match self {
            Self::Ring(_) => clock::monotonic(),
            #[cfg(any(test, feature = "sim"))]
            Self::Sim(sim) => sim.monotonic(),
        }
    }
}
