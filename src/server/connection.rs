//! One connection: a reader that begins requests and a writer that sends their answers, in order.
//!
//! The reader stops while too many requests are open or the client does not read; it holds no
//! buffer while it waits for bytes. Two tasks, because a client that sends must not wait for one
//! that reads.
//!
//! Memory for requests is bounded, and is charged as bytes arrive. Small requests come in buffers
//! of the core's receive ring; where those are all in use, and for large ones, in blocks. When the
//! blocks run out too, half-received requests are all that is left to give way: those that stand
//! still, and those that wait for more and hold at least their share. So nobody can stop the others
//! by sending the beginnings of requests.

use super::assembler::Assembler;
use super::connections::tell_departure;
use super::foreign;
use super::pace::Pace;
use super::send;
use crate::api::decode::{Unreadable, decode};
use crate::api::{self, Begun, Context, Item, MustClose, Outbox, Pending};
use crate::base::{Instant, Quoted};
use crate::broker::Shard;
use crate::broker::doing::Phase;
use crate::broker::told::Kind;
use crate::limits::{
    ARRIVAL_PATIENCE, DRAIN_PATIENCE, FRAME_BYTES_PER_SECOND, FRAME_PATIENCE, FRAMES_PER_TURN_MAX,
    OPEN_BYTES_MAX, OPEN_REQUESTS_MAX, OUTBOX_BYTES_MAX, RECEIVE_BLOCK_BYTES, WRITE_PATIENCE,
};
use crate::runtime::sync::{self, Bell};
use crate::runtime::{
    BLOCK_BYTES, BlockMut, Core, RECEIVE_NOW_BLOCKS_MAX, Received, Slice, Socket,
};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

/// One connection on its core.
pub struct Connection {
    socket: Socket,
    context: Rc<Context>,
    /// Requests without an answer, with their bytes and what they may cost beyond these.
    pending: RefCell<VecDeque<(Pending, usize)>>,
    open_bytes: Cell<usize>,
    /// Rung when the writer has made room.
    room: Bell,
    outbox_bytes: Cell<usize>,
    /// Why the connection ends, once it does.
    end: RefCell<Option<End>>,
    is_reading_done: Cell<bool>,
    /// When bytes came or went last.
    active_at: Cell<Instant>,
    /// When the request under way began, or last filled a block.
    moved_at: Cell<Instant>,
    /// How long the client has let us wait for the request under way.
    pace: Cell<Pace>,
}

/// Blocks that one receive fills.
type Blocks = SmallVec<[BlockMut; RECEIVE_NOW_BLOCKS_MAX]>;

/// A large request that arrives, among those of its core.
struct Arriving<'a> {
    shard: &'a Shard,
    bytes: Cell<usize>,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// The client closed it, or the network did.
    Peer,
    /// It said something that cannot be answered.
    Fault(String),
    /// No request for connections.max.idle.ms.
    Idle,
    /// The broker stops.
    Stopping,
}

impl Connection {
    /// Starts to serve a connection on this core.
    pub fn start(socket: Socket, context: Context) -> Rc<Self> {
        let shard = Rc::clone(&context.shard);
        shard.connection_count.set(shard.connection_count.get() + 1);
        shard.metrics().connections.add(1);
        shard.metrics().connections_accepted.add(1);
        let active_at = Cell::new(shard.core().now());
        let connection = Rc::new(Self {
            socket,
            context: Rc::new(context),
            pending: RefCell::default(),
            open_bytes: Cell::new(0),
            room: Bell::default(),
            outbox_bytes: Cell::new(0),
            end: RefCell::default(),
            is_reading_done: Cell::new(false),
            moved_at: active_at.clone(),
            pace: Cell::default(),
            active_at,
        });
        shard.core().spawn(Rc::clone(&connection).read());
        shard.core().spawn(Rc::clone(&connection).write());
        connection
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The broker stops: the connection ends when what it has begun is answered.
    pub fn drain(&self) {
        self.context.bell.ring();
    }

    /// Ends the connection from outside.
    pub fn stop(&self) {
        self.finish(End::Stopping);
    }

    /// Says whose requests have no answer although the broker has waited for them.
    pub fn tell_late(&self) {
        let pending = self.pending.borrow();
        let waits = match pending.front() {
            Some((next, _)) => format!(
                "{} requests have no answer, the first of them {}",
                pending.len(),
                next.describe()
            ),
            None => format!("it has not read {} bytes of answers", self.outbox_bytes.get()),
        };
        tracing::warn!(
            "stopping: closing connection of {} ({}) after {} s: {waits}",
            self.context.peer,
            self.client(),
            DRAIN_PATIENCE.as_secs()
        );
    }

    /// Whether nothing more is read or written. What a client that half-closed has asked for could
    /// still be answered; like Kafka, we do not.
    pub fn is_over(&self) -> bool {
        self.is_ended() && self.is_reading_done.get()
    }

    fn is_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    fn core(&self) -> &Core {
        self.context.shard.core()
    }

    /// Notes the first reason to end, and wakes both tasks.
    fn finish(&self, end: End) {
        let mut slot = self.end.borrow_mut();
        if slot.is_none() {
            let metrics = self.context.shard.metrics();
            if end == End::Idle {
                metrics.connections_expired.add(1);
            }
            if let End::Fault(reason) = &end {
                metrics.connections_ended.add(1);
                if self.context.shard.may_tell(Kind::Closed) {
                    self.tell_fault(reason);
                }
            }
            *slot = Some(end);
        }
        drop(slot);
        self.socket.shut_down();
        self.context.bell.ring();
        self.room.ring();
    }

    fn tell_fault(&self, reason: &str) {
        let (peer, client) = (self.context.peer, self.client());
        tracing::warn!("closing connection of {peer} ({client}): {reason}");
    }

    /// What the client calls its software.
    fn client(&self) -> String {
        match &*self.context.client.borrow() {
            Some((name, version)) => format!("{} {}", Quoted(name), Quoted(version)),
            None => "unknown client".into(),
        }
    }

    async fn read(self: Rc<Self>) {
        let size_max = self.context.shard.facts.config.request_bytes_max as usize;
        let mut frames = Assembler::new(size_max);
        while !self.is_ended() {
            let read = if self.context.shard.is_draining() {
                self.pass_over().await
            } else {
                self.read_once(&mut frames).await
            };
            if let Err(end) = read {
                self.finish(end);
            }
        }
        self.is_reading_done.set(true);
        self.context.bell.ring();
    }

    async fn read_once(&self, frames: &mut Assembler) -> Result<(), End> {
        self.have_room().await?;
        self.receive(frames).await?;
        self.active_at.set(self.core().now());
        let held = frames.held();
        let begun = self.begin_all(frames).await?;
        if held == 0 || begun > 0 {
            self.moved_at.set(self.core().now());
            self.pace.set(Pace::default());
        }
        if self.core().is_short_of_buffers() {
            frames.move_to(self.core().blocks());
        }
        Ok(())
    }

    /// Receives once, and begins nothing of it: the broker stops. Were the bytes left where they
    /// are, closing the socket would reset the connection, and the answers before would be lost.
    async fn pass_over(&self) -> Result<(), End> {
        match self.patiently(self.socket.receive_pooled(self.core()), 0).await? {
            Ok(Received::Bytes(_)) => {}
            Ok(Received::NoBuffer) => self.patiently(self.core().receive_buffers(), 0).await?,
            Ok(Received::End) | Err(_) => return Err(End::Peer),
        }
        Ok(())
    }

    /// Waits until another request may be begun.
    async fn have_room(&self) -> Result<(), End> {
        while self.is_full() && !self.is_ended() {
            self.patiently(self.room.heard(), 0).await?;
        }
        if self.is_ended() { Err(End::Peer) } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        self.pending.borrow().len() >= OPEN_REQUESTS_MAX
            || self.open_bytes.get() >= OPEN_BYTES_MAX
            || self.outbox_bytes.get() >= OUTBOX_BYTES_MAX
    }

    /// Receives once: small into a shared buffer that is chosen when bytes are there; what is
    /// missing of a large frame into blocks.
    async fn receive(&self, frames: &mut Assembler) -> Result<(), End> {
        if missing_much(frames).is_some() {
            return self.receive_large(frames).await;
        }
        let received = self.socket.receive_pooled(self.core());
        match self.patiently(received, frames.held()).await? {
            Ok(Received::Bytes(slice)) => frames.push(slice),
            Ok(Received::NoBuffer) => {
                self.context.shard.metrics().receive_parks.add(1);
                frames.push(self.receive_elsewhere(frames.held()).await?);
            }
            Ok(Received::End) => return Err(End::Peer),
            Err(error) => return Err(End::of(&error)),
        }
        Ok(())
    }

    /// Receives once into a block: the receive ring is empty.
    async fn receive_elsewhere(&self, held: usize) -> Result<Slice, End> {
        loop {
            self.await_bytes(held).await?;
            let mut block = [self.take_block(held).await?];
            let max = block[0].capacity();
            if let Some(count) = self.receive_now(&mut block, 0, max)? {
                let [block] = block;
                return Ok(block.freeze(count));
            }
        }
    }

    /// Receives all that a large frame lacks, as it comes: everything that is there with one call
    /// into as many blocks as it fills. Only a block that holds bytes is kept while more is awaited.
    async fn receive_large(&self, frames: &mut Assembler) -> Result<(), End> {
        let arriving = Arriving::enter(&self.context.shard, frames.held());
        let mut blocks = Blocks::new();
        // Bytes in the first block, which is not full.
        let mut filled = 0;
        while let Some(missing) = frames.missing().filter(|missing| *missing > filled) {
            if blocks.is_empty() {
                blocks.push(self.take_block(frames.held()).await?);
            }
            self.add_blocks(&mut blocks, missing);
            let space: usize = blocks.iter().map(BlockMut::capacity).sum();
            let wanted = missing.min(space) - filled;
            let count = self.receive_now(&mut blocks, filled, wanted)?.unwrap_or(0);
            arriving.add(count);
            let held = frames.held();
            filled = push_full(frames, &mut blocks, filled + count, missing);
            if frames.held() > held {
                self.moved_at.set(self.core().now());
            }
            blocks.truncate(usize::from(filled > 0));
            if count == wanted {
                // There may be more; the others have their turn first.
                self.core().turn_end().await;
            } else {
                self.await_bytes(frames.held() + filled).await?;
            }
        }
        Ok(())
    }

    /// Takes the blocks that `missing` bytes need, as far as nobody else waits for one.
    fn add_blocks(&self, blocks: &mut Blocks, missing: usize) {
        let wanted = missing.div_ceil(BLOCK_BYTES).min(RECEIVE_NOW_BLOCKS_MAX);
        while blocks.len() < wanted
            && let Some(block) = self.core().take_block_now()
        {
            blocks.push(block);
        }
    }

    /// Receives what is there: at least one byte, or `None` if there is nothing yet.
    fn receive_now(
        &self,
        blocks: &mut [BlockMut],
        start: usize,
        max: usize,
    ) -> Result<Option<usize>, End> {
        match self.core().receive_now(&self.socket, blocks, start, max) {
            Ok(0) => Err(End::Peer),
            Ok(count) => {
                self.active_at.set(self.core().now());
                Ok(Some(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(End::of(&error)),
        }
    }

    async fn await_bytes(&self, held: usize) -> Result<(), End> {
        let readable = self.patiently(self.socket.wait(self.core(), true), held).await?;
        readable.map_err(|error| End::of(&error))
    }

    /// A block for what arrives. While all are in use the largest beginnings of requests give way:
    /// one of those that arrive holds at least the average, and those that stand still and do not
    /// ask for more are ended by `patiently`.
    async fn take_block(&self, held: usize) -> Result<BlockMut, End> {
        let (core, shard) = (self.core(), &self.context.shard);
        loop {
            let taken = async { Some(core.take_block().await) };
            if let Some(block) = sync::race(taken, after(core, ARRIVAL_PATIENCE)).await {
                return Ok(block);
            }
            if self.is_ended() {
                return Err(End::Peer);
            }
            let share = shard.arriving_bytes.get() / shard.arriving_count.get().max(1);
            if held > 0 && held >= share {
                return Err(End::Fault(format!(
                    "the memory for requests is used up, and this one holds {held} bytes of it, \
                     half received (highwater.memory bounds it)"
                )));
            }
        }
    }

    /// Waits for an operation as long as this connection may: it ends when nothing came or went
    /// for connections.max.idle.ms and nothing is being worked on, and when it has sent `held` bytes
    /// of a request that hardly moves: at once if others need the memory, after a while if not.
    async fn patiently<T>(
        &self,
        operation: impl Future<Output = T>,
        held: usize,
    ) -> Result<T, End> {
        let idle_max = self.context.shard.facts.config.connections_idle_max;
        // Never dropped before its end while the connection goes on: bytes would go with it.
        let mut operation = std::pin::pin!(operation);
        loop {
            self.check_patience(held, idle_max)?;
            let idle_left = idle_max.map(|idle| idle.saturating_sub(self.idle_for()));
            let arrival_left = (held > 0).then(|| self.pace.get().left(held).min(ARRIVAL_PATIENCE));
            let Some(span) = [idle_left, arrival_left].into_iter().flatten().min() else {
                return Ok(operation.await);
            };
            let since = self.core().now();
            let done = async { Some(operation.as_mut().await) };
            let done = sync::race(done, after(self.core(), span)).await;
            if held > 0 {
                let mut pace = self.pace.get();
                pace.on_wait(self.core().now().since(since));
                self.pace.set(pace);
            }
            if let Some(value) = done {
                return Ok(value);
            }
        }
    }

    fn check_patience(&self, held: usize, idle_max: Option<Duration>) -> Result<(), End> {
        let core = self.core();
        let stood_for = core.now().since(self.moved_at.get());
        let is_short = core.was_short_of_blocks(2 * ARRIVAL_PATIENCE);
        if held > 0 && stood_for >= ARRIVAL_PATIENCE && is_short {
            return Err(End::Fault(format!(
                "a request hardly moves, half received, and others need its memory ({held} bytes)"
            )));
        }
        let pace = self.pace.get();
        if held > 0 && pace.left(held).is_zero() {
            return Err(End::Fault(format!(
                "a request arrives too slowly: {held} bytes of it in {} s \
                 (after {} s at least {FRAME_BYTES_PER_SECOND} a second must come)",
                pace.waited().as_secs(),
                FRAME_PATIENCE.as_secs()
            )));
        }
        let is_worked_on = !self.pending.borrow().is_empty() && self.outbox_bytes.get() == 0;
        if is_worked_on {
            self.active_at.set(core.now());
        }
        match idle_max {
            Some(idle) if self.idle_for() >= idle => Err(End::Idle),
            _ => Ok(()),
        }
    }

    fn idle_for(&self) -> Duration {
        self.core().now().since(self.active_at.get())
    }

    /// Begins every whole request; after a fair share the other connections have their turn. How many
    /// were begun.
    async fn begin_all(&self, frames: &mut Assembler) -> Result<usize, End> {
        let mut count = 0;
        loop {
            if self.context.shard.is_draining() {
                return Ok(count);
            }
            let frame = decode(|| frames.next()).map_err(|error| no_request(&error, frames))?;
            let Some(frame) = frame else { return Ok(count) };
            let bytes = frame.len();
            let Begun { pending, charge } =
                api::begin(&self.context, frame).map_err(|MustClose(why)| End::Fault(why))?;
            let bytes = bytes + charge;
            let is_ready = pending.is_ready(&self.context.shard);
            self.pending.borrow_mut().push_back((pending, bytes));
            self.open_bytes.set(self.open_bytes.get() + bytes);
            if is_ready {
                self.context.bell.ring();
            }
            let requests = &self.context.shard.request_count;
            requests.set(requests.get() + 1);
            count += 1;
            if count.is_multiple_of(FRAMES_PER_TURN_MAX) {
                self.core().turn_end().await;
            }
            if self.is_full() {
                self.have_room().await?;
            }
        }
    }

    async fn write(self: Rc<Self>) {
        let mut outbox = Outbox::default();
        while !self.is_over() {
            self.encode_ready(&mut outbox);
            self.outbox_bytes.set(outbox.bytes());
            let is_answered = outbox.is_empty() && self.pending.borrow().is_empty();
            if is_answered && self.context.shard.is_draining() && !self.is_ended() {
                self.finish(End::Stopping);
            }
            if outbox.is_empty() || self.is_ended() {
                self.context.bell.heard().await;
            } else if let Err(error) = self.send(&mut outbox).await {
                self.finish(End::of(&error));
            }
        }
        self.clean_up();
    }

    /// Encodes the answers that are next and ready.
    fn encode_ready(&self, outbox: &mut Outbox) {
        let shard = &self.context.shard;
        while outbox.bytes() < OUTBOX_BYTES_MAX && !self.is_ended() {
            let mut pending = self.pending.borrow_mut();
            if !pending.front().is_some_and(|(next, _)| next.is_ready(shard)) {
                return;
            }
            let (next, bytes) = pending.pop_front().expect("there is a front");
            drop(pending);
            self.open_bytes.set(self.open_bytes.get() - bytes);
            shard.doing(Phase::Answer, -1);
            if let Err(MustClose(reason)) = next.write(&self.context, outbox) {
                self.finish(End::Fault(reason));
                return;
            }
            self.room.ring();
        }
    }

    async fn send(&self, outbox: &mut Outbox) -> std::io::Result<()> {
        while let Some((item, more)) = outbox.pop() {
            match item {
                Item::Bytes(gather) => {
                    let (result, gather) = self.socket.send(self.core(), gather, more).await;
                    result?;
                    outbox.recycle(gather);
                }
                Item::Span(span) => {
                    let metrics = self.context.shard.metrics();
                    send::span(self.core(), &self.socket, &span, metrics).await?;
                }
            }
            self.outbox_bytes.set(outbox.bytes());
            self.active_at.set(self.core().now());
            // A reader that stopped because of one large answer waits for this alone.
            self.room.ring();
        }
        Ok(())
    }

    fn clean_up(&self) {
        for (pending, _) in self.pending.borrow_mut().drain(..) {
            pending.abandon(&self.context.shard);
        }
        if let Some(lane) = self.context.lane.borrow_mut().take() {
            lane.close();
        }
        let shard: &Shard = &self.context.shard;
        shard.connection_count.set(shard.connection_count.get() - 1);
        shard.metrics().connections.sub(1);
        tell_departure(shard, self.context.peer);
    }
}

impl End {
    /// The end that a socket's error is. The kernel gives up a connection whose peer takes nothing.
    fn of(error: &std::io::Error) -> Self {
        if error.kind() != ErrorKind::TimedOut {
            return Self::Peer;
        }
        Self::Fault(format!(
            "it has taken nothing of what was sent to it for {} s: it does not read, or cannot be \
             reached",
            WRITE_PATIENCE.as_secs()
        ))
    }
}

impl<'a> Arriving<'a> {
    fn enter(shard: &'a Shard, held: usize) -> Self {
        shard.arriving_count.set(shard.arriving_count.get() + 1);
        let arriving = Self { shard, bytes: Cell::new(0) };
        arriving.add(held);
        arriving
    }

    fn add(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
        self.shard.arriving_bytes.set(self.shard.arriving_bytes.get() + bytes);
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.shard.arriving_count.set(self.shard.arriving_count.get() - 1);
        self.shard.arriving_bytes.set(self.shard.arriving_bytes.get() - self.bytes.get());
    }
}

/// Moves full blocks into the frame, and the last one, which its end does not fill. `filled` bytes
/// lie in the blocks, and the frame lacked `missing`. How many are left, in the first block.
fn push_full(
    frames: &mut Assembler,
    blocks: &mut Blocks,
    mut filled: usize,
    mut missing: usize,
) -> usize {
    while filled > 0 {
        let part = blocks[0].capacity().min(missing);
        if filled < part {
            break;
        }
        frames.push_body(blocks.remove(0).freeze(part));
        filled -= part;
        missing -= part;
    }
    filled
}

/// Why what came is no request, and what it is instead where that can be told.
fn no_request(error: &Unreadable, frames: &Assembler) -> End {
    End::Fault(match foreign::protocol_of(frames.size_bytes()) {
        Some((name, help)) => format!("the client speaks {name}: {help} ({error})"),
        None => error.to_string(),
    })
}

/// What a frame lacks, where that is too much for a receive buffer.
fn missing_much(frames: &Assembler) -> Option<usize> {
    frames.missing().filter(|missing| *missing > RECEIVE_BLOCK_BYTES / 2)
}

/// Nothing, after a while.
async fn after<T>(core: &Core, span: Duration) -> Option<T> {
    core.sleep(span).await;
    None
}
