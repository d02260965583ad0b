//! Our runtime, used as `server/connection.rs` uses it: a reader and a writer per connection, the
//! broker's own frame assembler, shared slices, gathered appends. Only how bytes are received
//! differs between the variants.

use crate::work::{FRAME_BYTES_MAX, Head, Served, is_goodbye, reply};
use highwater::base::crc32c;
use highwater::limits::{BODY_BYTES_PER_CORE, RECEIVE_BLOCK_BYTES};
use highwater::runtime::chain;
use highwater::runtime::machine::{self, Doorbell, MachineOptions};
use highwater::runtime::sync::Bell;
use highwater::runtime::{
    BLOCK_BYTES, BlockMut, Core, File, Gather, Open, RECEIVE_NOW_BLOCKS_MAX, Received, RingOptions,
    Socket,
};
use highwater::server::assembler::Assembler;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How bytes are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// What `server/connection.rs` does: pooled; and what a large frame still lacks with one call
    /// into many blocks.
    Mixed,
    /// The same, but one block of 64 KiB a receive.
    Single,
    /// Only into the receive ring.
    Pooled,
    /// Only into a block that the connection holds while it waits.
    Direct,
    /// As `Mixed`; and after a receive that filled its buffer the next one is into a block, which
    /// is larger.
    Adaptive,
}

/// What all connections of the server share.
struct Shard {
    core: Core,
    file: File,
    head: RefCell<Head>,
    receive: Receive,
    requests: Cell<u64>,
    /// Receives that found the receive ring empty.
    dry_count: Cell<u64>,
    open_count: Cell<usize>,
    failure: RefCell<Option<io::Error>>,
}

struct Connection {
    shard: Rc<Shard>,
    socket: Socket,
    replies: RefCell<Vec<u8>>,
    bell: Bell,
    is_read: Cell<bool>,
    /// Whether the last receive left its buffer full: more is there already.
    is_full: Cell<bool>,
}

/// Serves the connections on the calling thread until all of them are closed.
pub fn serve(
    sockets: Vec<TcpStream>,
    space: &Path,
    receive: Receive,
    receive_blocks: u16,
) -> io::Result<Served> {
    let ring = RingOptions {
        // No variant spins: what is compared is the receive.
        spin_max: Duration::ZERO,
        receive_blocks,
        receive_block_bytes: RECEIVE_BLOCK_BYTES,
        no_iowait: true,
    };
    let block_count = (BODY_BYTES_PER_CORE / BLOCK_BYTES) as u32;
    let options = MachineOptions { cpus: vec![None], ring, block_count };
    let core = machine::core_here(0, &options, Arc::new(Doorbell::new()?))?;
    let outcome = Rc::new(RefCell::new(None));
    core.spawn(start(core.clone(), sockets, space.to_path_buf(), receive, Rc::clone(&outcome)));
    core.run();
    let shard: Rc<Shard> =
        outcome.take().ok_or_else(|| io::Error::other("the server did not start"))??;
    if let Some(error) = shard.failure.take() {
        return Err(error);
    }
    let calls = core.counters().enters.get() + core.counters().inline_calls.get();
    let (requests, dry) = (shard.requests.get(), shard.dry_count.get());
    Ok(Served { requests, calls: Some(calls), dry: Some(dry) })
}

/// Opens the file and starts all connections.
async fn start(
    core: Core,
    sockets: Vec<TcpStream>,
    space: PathBuf,
    receive: Receive,
    outcome: Rc<RefCell<Option<io::Result<Rc<Shard>>>>>,
) {
    let file = match core.open(&space, Open::Write).await {
        Ok(file) => file,
        Err(error) => {
            *outcome.borrow_mut() = Some(Err(error));
            return core.stop();
        }
    };
    let shard = Rc::new(Shard {
        core: core.clone(),
        file,
        head: RefCell::default(),
        receive,
        requests: Cell::new(0),
        dry_count: Cell::new(0),
        open_count: Cell::new(sockets.len()),
        failure: RefCell::default(),
    });
    *outcome.borrow_mut() = Some(Ok(Rc::clone(&shard)));
    for socket in sockets {
        let socket = Socket::from_fd(socket.into());
        if let Err(error) = socket.set_up() {
            shard.fail(error);
            return;
        }
        let connection = Rc::new(Connection {
            shard: Rc::clone(&shard),
            socket,
            replies: RefCell::default(),
            bell: Bell::default(),
            is_read: Cell::new(false),
            is_full: Cell::new(false),
        });
        core.spawn(Rc::clone(&connection).read());
        core.spawn(connection.write());
    }
}

impl Shard {
    fn fail(&self, error: io::Error) {
        *self.failure.borrow_mut() = Some(error);
        self.core.stop();
    }
}

impl Connection {
    async fn read(self: Rc<Self>) {
        let mut frames = Assembler::new(FRAME_BYTES_MAX);
        let mut gather = Gather::new();
        loop {
            match self.receive(&mut frames).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if is_goodbye(&error) => break,
                Err(error) => return self.shard.fail(error),
            }
            if let Err(error) = self.begin_all(&mut frames, &mut gather) {
                return self.shard.fail(error);
            }
        }
        self.is_read.set(true);
        self.bell.ring();
    }

    /// Receives once; false at the end of the stream.
    async fn receive(&self, frames: &mut Assembler) -> io::Result<bool> {
        let how = self.shard.receive;
        let missing = frames.missing().filter(|missing| *missing > RECEIVE_BLOCK_BYTES / 2);
        match missing {
            Some(_) if how == Receive::Mixed => self.receive_many(frames).await,
            Some(missing) if how != Receive::Pooled => {
                let block = self.shard.core.take_block().await;
                let end = missing.min(block.capacity());
                self.receive_block(frames, block, end, end).await
            }
            _ if how == Receive::Direct || how == Receive::Adaptive && self.is_full.get() => {
                self.receive_once(frames).await
            }
            _ => self.receive_pooled(frames).await,
        }
    }

    async fn receive_pooled(&self, frames: &mut Assembler) -> io::Result<bool> {
        let core = &self.shard.core;
        match self.socket.receive_pooled(core).await? {
            Received::Bytes(slice) => {
                self.is_full.set(slice.len() >= RECEIVE_BLOCK_BYTES);
                frames.push(slice);
                Ok(true)
            }
            Received::End => Ok(false),
            Received::NoBuffer => {
                // Not parked until a buffer comes home: where frames that are not whole hold them
                // all, each of those waits for a buffer that only it could free.
                self.shard.dry_count.set(self.shard.dry_count.get() + 1);
                self.socket.wait(core, true).await?;
                self.receive_once(frames).await
            }
        }
    }

    /// Receives all that a frame lacks into as many blocks as it fills.
    async fn receive_many(&self, frames: &mut Assembler) -> io::Result<bool> {
        let core = &self.shard.core;
        let (mut blocks, mut filled) = (SmallVec::<[BlockMut; RECEIVE_NOW_BLOCKS_MAX]>::new(), 0);
        while let Some(missing) = frames.missing().filter(|missing| *missing > filled) {
            let count = missing.div_ceil(BLOCK_BYTES).min(RECEIVE_NOW_BLOCKS_MAX);
            while blocks.len() < count {
                blocks.push(core.take_block().await);
            }
            let wanted = missing.min(count * BLOCK_BYTES) - filled;
            let received = match core.receive_now(&self.socket, &mut blocks, filled, wanted) {
                Ok(0) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                result => result?,
            };
            filled += received;
            let mut left = missing;
            while filled > 0 && filled >= left.min(BLOCK_BYTES) {
                let part = left.min(BLOCK_BYTES);
                frames.push_body(blocks.remove(0).freeze(part));
                (filled, left) = (filled - part, left - part);
            }
            blocks.truncate(usize::from(filled > 0));
            if received == wanted {
                core.turn_end().await;
            } else {
                self.socket.wait(core, true).await?;
            }
        }
        Ok(true)
    }

    /// Receives what is there into a block.
    async fn receive_once(&self, frames: &mut Assembler) -> io::Result<bool> {
        let block = self.shard.core.take_block().await;
        let end = block.capacity();
        self.receive_block(frames, block, 1, end).await
    }

    /// Receives at least `least` and at most `end` bytes into a block.
    async fn receive_block(
        &self,
        frames: &mut Assembler,
        mut block: BlockMut,
        least: usize,
        end: usize,
    ) -> io::Result<bool> {
        let mut filled = 0;
        while filled < least {
            let (result, back) = self.socket.receive(&self.shard.core, block, filled, end).await;
            block = back;
            match result? {
                0 => return Ok(false),
                count => filled += count,
            }
        }
        self.is_full.set(filled >= RECEIVE_BLOCK_BYTES);
        frames.push(block.freeze(filled));
        Ok(true)
    }

    /// Serves every whole frame: checksums, one gathered append, replies for the writer.
    fn begin_all(&self, frames: &mut Assembler, gather: &mut Gather) -> io::Result<()> {
        let shard = &self.shard;
        let mut count = 0;
        while let Some(frame) = frames.next().map_err(io::Error::other)? {
            let crc = crc32c::checksum_pieces(chain::pieces(&frame.piece_list()));
            self.replies.borrow_mut().extend_from_slice(&reply(crc));
            frame.gather_from(0, gather);
            count += 1;
        }
        if count > 0 {
            let at = shard.head.borrow_mut().reserve(gather.len());
            shard.file.write_inline(&shard.core, gather, at).0?;
            gather.clear();
            shard.requests.set(shard.requests.get() + count);
            self.bell.ring();
        }
        // Half frames leave a ring that runs out, as in the broker.
        if shard.receive == Receive::Mixed && shard.core.is_short_of_buffers() {
            frames.move_to(shard.core.blocks());
        }
        Ok(())
    }

    async fn write(self: Rc<Self>) {
        let mut gather = Gather::new();
        loop {
            if self.replies.borrow().is_empty() {
                if self.is_read.get() {
                    break;
                }
                self.bell.heard().await;
                continue;
            }
            gather.clear();
            gather.push_copy(&self.replies.borrow());
            self.replies.borrow_mut().clear();
            let (result, back) = self.socket.send(&self.shard.core, gather, false).await;
            gather = back;
            match result {
                Ok(()) => {}
                Err(error) if is_goodbye(&error) => {}
                Err(error) => return self.shard.fail(error),
            }
        }
        let left = self.shard.open_count.get() - 1;
        self.shard.open_count.set(left);
        if left == 0 {
            self.shard.core.stop();
        }
    }
}
