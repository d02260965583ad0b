//! One core's door to the simulated world: the driver that answers its operations.

use super::disk::Applied;
use super::job::FileJob;
use super::state::State;
use crate::base::Instant;
use crate::model::Timestamp;
use crate::runtime::buffer::{BlockMut, Gather};
use crate::runtime::driver::{Done, Turned, Wait};
use crate::runtime::file::File;
use crate::runtime::op::{Op, Output};
use crate::runtime::socket::Socket;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

pub(in crate::runtime) struct Sim {
    core: usize,
    host: usize,
    state: Rc<RefCell<State>>,
    /// Receive blocks that were in use when last looked.
    receive_used: Cell<usize>,
}

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Sometimes the disk makes the core wait.
fn stall(state: &mut State) {
    if state.faults.disk.inline_stall.hit(&mut state.random) {
        let span = state.faults.disk.slow_latency.draw(&mut state.random);
        state.now = state.now + span;
    }
}

impl Sim {
    pub(super) fn new(core: usize, host: usize, state: Rc<RefCell<State>>) -> Self {
        Self { core, host, state, receive_used: Cell::new(0) }
    }

    pub fn submit(&mut self, slot: u32, op: &Op) {
        self.state.borrow_mut().submit(self.core, slot, op);
    }

    pub fn cancel(&mut self, slot: u32) {
        self.state.borrow_mut().cancel(self.core, slot);
    }

    pub fn recycle(&mut self) -> usize {
        let used = self.state.borrow().core(self.core).receive.used();
        self.receive_used.replace(used).saturating_sub(used)
    }

    pub fn receive_free(&self) -> usize {
        let state = self.state.borrow();
        let pool = &state.core(self.core).receive;
        self.receive_used.set(self.receive_used.get().max(pool.used()));
        pool.block_count() as usize - self.receive_used.get()
    }

    /// Lets happen what is due. With `Until`, time moves on to this core's next completion, or
    /// to the moment given.
    pub fn turn(&mut self, wait: Wait, done: &mut Vec<Done>) -> Turned {
        let mut state = self.state.borrow_mut();
        state.run_due();
        let mut slept = false;
        if let Wait::Until(deadline) = wait {
            while !state.has_ready(self.core) {
                let next = match (state.next_at(), deadline) {
                    (Some(event), Some(deadline)) => event.min(deadline),
                    (Some(only), None) | (None, Some(only)) => only,
                    (None, None) => panic!("a core waits for something that never comes"),
                };
                slept = true;
                state.advance(next);
                if deadline.is_some_and(|deadline| deadline <= state.now) {
                    break;
                }
            }
        }
        state.take_ready(self.core, done);
        Turned { enters: 0, slept, clock: Some((state.now, state.wall())) }
    }

    /// Copies what came for the operation into its own buffer.
    pub fn finish(&mut self, op: &mut Op, done: Done) -> io::Result<Output> {
        let bytes = self.state.borrow_mut().take_bytes(self.core, done.slot);
        if let Some(bytes) = bytes {
            let place = match op {
                Op::Read { buffer, filled, .. } => buffer.get_mut(*filled..),
                Op::Recv { block, start, .. } => {
                    block.as_mut().and_then(|block| block.as_mut_slice().get_mut(*start..))
                }
                _ => None,
            };
            let place = place.and_then(|rest| rest.get_mut(..bytes.len()));
            place.expect("bytes fit the buffer that asked for them").copy_from_slice(&bytes);
        }
        done.output.expect("a simulated completion carries its output")
    }

    pub fn write_inline(
        &mut self,
        file: &File,
        data: &Gather,
        skip: usize,
        at: u64,
    ) -> io::Result<usize> {
        let state = &mut *self.state.borrow_mut();
        if !state.is_alive(self.core) {
            return Err(error(libc::EIO));
        }
        let inode = file.sim_inode();
        let bytes = data.to_vec().split_off(skip);
        stall(state);
        let wall = state.wall().0;
        let disk = &mut state.disks[self.host];
        disk.check_alone(inode, "an inline write");
        let job = FileJob::Write { inode, at, bytes };
        match disk.apply(job, &state.faults.disk, &mut state.random, wall)? {
            Applied::Output(Output::Count(count)) => Ok(count),
            _ => unreachable!("a write gives a count"),
        }
    }

    pub fn read_now(&mut self, file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.state.borrow();
        if file.is_cold() {
            return Err(error(libc::EAGAIN));
        }
        let bytes = state.disks[self.host].peek(file.sim_inode(), at, buffer.len())?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    pub fn receive_now(
        &mut self,
        socket: &Socket,
        blocks: &mut [BlockMut],
        start: usize,
        max: usize,
    ) -> io::Result<usize> {
        let state = &mut *self.state.borrow_mut();
        if !state.is_alive(self.core) {
            return Err(error(libc::EIO));
        }
        let space: usize = blocks.iter().map(BlockMut::capacity).sum();
        let received = state.network.receive(socket.sim().id, max.min(space - start));
        let bytes = received.unwrap_or_else(|| Err(error(libc::EAGAIN)))?;
        let (mut skip, mut rest) = (start, &bytes[..]);
        for block in blocks {
            let part = &mut block.as_mut_slice()[skip..];
            let (now, later) = rest.split_at(part.len().min(rest.len()));
            part[..now.len()].copy_from_slice(now);
            (skip, rest) = (0, later);
        }
        Ok(bytes.len())
    }

    pub fn sendfile(
        &mut self,
        socket: &Socket,
        file: &File,
        at: u64,
        len: usize,
    ) -> io::Result<usize> {
        let state = &mut *self.state.borrow_mut();
        if !state.is_alive(self.core) {
            return Err(error(libc::EIO));
        }
        let disk = &mut state.disks[self.host];
        disk.check_alone(file.sim_inode(), "a sendfile");
        let bytes = disk.peek(file.sim_inode(), at, len)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        match state.network.push(socket.sim().id, bytes)? {
            0 => Err(error(libc::EAGAIN)),
            count => Ok(count),
        }
    }

    pub fn listen(&mut self, address: SocketAddr, backlog: u32) -> io::Result<Socket> {
        let state = &mut *self.state.borrow_mut();
        state.network.settle_calls();
        state.network.listen(self.host, address, backlog)
    }

    pub fn socket(&mut self, address: SocketAddr) -> Socket {
        self.state.borrow_mut().network.socket(self.host, address)
    }

    pub fn clock(&self) -> (Instant, Timestamp) {
        let state = self.state.borrow();
        (state.now, state.wall())
    }

    pub fn random(&self, bytes: &mut [u8]) {
        self.state.borrow_mut().entropy.fill(bytes);
    }

    pub fn monotonic(&self) -> Instant {
        self.state.borrow().now
    }
}
