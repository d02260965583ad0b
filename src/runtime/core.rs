//! One core: its driver, its tasks, its timers, its clock. `Core` is the handle that hosted code
//! holds; everything it asks of the world goes through here.
//!
//! A turn of the loop: run what is ready; then what asked for the end of the turn (appends gather
//! there, so that all that arrived for a partition is one write); then hand new operations to the
//! driver, wait if nothing is ready, and wake whoever's operation completed.

use super::buffer::{BlockMut, Gather, Pool};
use super::clock::Clock;
use super::doing::Doing;
use super::driver::{Done, Driver, Wait};
use super::executor::Executor;
use super::file::File;
use super::machine::Doorbell;
use super::op::{Completion, Op, Output};
use super::socket::Socket;
use super::timer::Timers;
use crate::base::{Counter, Instant};
use crate::model::Timestamp;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Blocks of this size hold large bodies while they arrive.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// Blocks that one receive fills: half a mebibyte, as much as a socket usually has.
pub const RECEIVE_NOW_BLOCKS_MAX: usize = 8;

/// Handle to the core that the caller runs on; cheap to clone, never leaves its thread.
#[derive(Clone)]
pub struct Core(Rc<Inner>);

struct Inner {
    index: usize,
    driver: RefCell<Driver>,
    ops: RefCell<Ops>,
    executor: Executor,
    timers: RefCell<Timers>,
    clock: Clock,
    blocks: Pool,
    doorbell: Arc<Doorbell>,
    mail: RefCell<Option<MailWatch>>,
    /// Connections parked because the receive ring was empty, oldest first.
    receive_waiters: RefCell<VecDeque<Waker>>,
    receive_free: Cell<usize>,
    receive_count: usize,
    /// Connections parked because all blocks are in use, oldest first.
    block_waiters: RefCell<VecDeque<Waker>>,
    /// When one was parked last.
    blocks_short_at: Cell<Option<Instant>>,
    stop: Cell<bool>,
    counters: Arc<Counters>,
}

/// What a turn that does not wait found.
#[cfg(any(test, feature = "sim"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something ran, completed or became ready.
    Worked,
    /// Nothing to do before this timer.
    Idle(Option<Instant>),
    Stopped,
}

/// What a core counts about itself; read by metrics and benches, on any thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    pub turns: Counter,
    /// Turns in which the core slept.
    pub sleeps: Counter,
    pub ops: Counter,
    /// System calls made by the loop itself (ring enters).
    pub enters: Counter,
    /// Calls made inline on the core: appends and sendfile.
    pub inline_calls: Counter,
    /// Inline calls that took more than 5 ms: the disk made the core wait.
    pub inline_stalls: Counter,
    /// What was computed aside, because it would have held the core.
    pub works: Counter,
    pub doing: Doing,
}

/// How to see whether mail has come, and whom to wake for it.
struct MailWatch {
    is_waiting: Box<dyn Fn() -> bool>,
    waker: Option<Waker>,
}

impl Core {
    pub(super) fn new(index: usize, driver: Driver, blocks: Pool, doorbell: Arc<Doorbell>) -> Self {
        let clock = Clock::new(driver.simulated_clock());
        let receive_count = driver.receive_free();
        let counters = Arc::<Counters>::default();
        Self(Rc::new(Inner {
            index,
            driver: RefCell::new(driver),
            ops: RefCell::default(),
            executor: Executor::new(Arc::clone(&counters)),
            timers: RefCell::default(),
            clock,
            blocks,
            doorbell,
            mail: RefCell::default(),
            receive_waiters: RefCell::default(),
            receive_free: Cell::new(receive_count),
            receive_count,
            block_waiters: RefCell::default(),
            blocks_short_at: Cell::new(None),
            stop: Cell::new(false),
            counters,
        }))
    }

    /// Index of this core among the machine's cores, from 0.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Monotonic time at the start of this turn.
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Wall time at the start of this turn, ms since the Unix epoch.
    pub fn wall(&self) -> Timestamp {
        self.0.clock.wall()
    }

    /// Bytes that nobody can foresee: the kernel's, or those of the world's seed.
    pub fn random<const LEN: usize>(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        self.driver(|driver| driver.random(&mut bytes));
        bytes
    }

    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The same, to be read on other threads.
    pub fn shared_counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    /// This core's pool of blocks for large bodies.
    pub fn blocks(&self) -> &Pool {
        &self.0.blocks
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.executor.spawn(Box::pin(task));
    }

    /// Ends the loop after this turn.
    pub fn stop(&self) {
        self.0.stop.set(true);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.stop.get()
    }

    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.now() + span)
    }

    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep { core: self.clone(), deadline, timer: None }
    }

    /// Resolves when all that is ready in this turn has run.
    pub fn turn_end(&self) -> TurnEnd {
        TurnEnd { core: self.clone(), registered: false }
    }

    /// Starts an operation; the future gives its completion. Dropping the future asks the driver
    /// to cancel it; its buffers live until the driver is done with them.
    pub fn submit(&self, op: Op) -> Operation {
        self.0.counters.ops.add(1);
        let slot = self.0.ops.borrow_mut().insert(op);
        let mut ops = self.0.ops.borrow_mut();
        let op = ops.slots[slot as usize].op.as_mut().expect("just inserted");
        self.0.driver.borrow_mut().submit(slot, op);
        Operation { core: self.clone(), slot, taken: false }
    }

    /// One `pwritev` on this core, now; see [`File::write_inline`].
    pub(super) fn write_inline(
        &self,
        file: &File,
        data: &mut Gather,
        skip: usize,
        at: u64,
    ) -> io::Result<usize> {
        self.inline(|driver| driver.write_inline(file, data, skip, at))
    }

    /// Reads into `buffer` what is in the page cache, on this core, now: `WouldBlock` where the
    /// disk would have to be asked first; may be short; 0 at the end of the file.
    pub fn read_now(&self, file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.inline(|driver| driver.read_now(file, buffer, at))
    }

    /// Receives what has arrived into the blocks one after the other, from `start` of the first on,
    /// at most `max` bytes, without waiting: `WouldBlock` when nothing is there, 0 at the end of
    /// the stream. One call over many blocks: a receive of 64 KiB at a time costs twice as much.
    pub fn receive_now(
        &self,
        socket: &Socket,
        blocks: &mut [BlockMut],
        start: usize,
        max: usize,
    ) -> io::Result<usize> {
        assert!(blocks.len() <= RECEIVE_NOW_BLOCKS_MAX);
        assert!(max > 0 && blocks.first().is_some_and(|first| start < first.capacity()));
        self.inline(|driver| driver.receive_now(socket, blocks, start, max))
    }

    /// Sends up to `len` bytes of `file` at `at` into the socket without waiting: `WouldBlock`
    /// when its buffer is full, 0 when the file ends before `at`.
    pub fn sendfile(&self, socket: &Socket, file: &File, at: u64, len: usize) -> io::Result<usize> {
        self.inline(|driver| driver.sendfile(socket, file, at, len))
    }

    /// A call of the driver that takes no time.
    pub(super) fn driver<R>(&self, call: impl FnOnce(&mut Driver) -> R) -> R {
        call(&mut self.0.driver.borrow_mut())
    }

    fn inline<R>(&self, call: impl FnOnce(&mut Driver) -> R) -> R {
        const STALL: Duration = Duration::from_millis(5);
        let counters = &self.0.counters;
        let mut driver = self.0.driver.borrow_mut();
        let before = driver.monotonic();
        counters.doing.set_calling(true);
        let result = call(&mut driver);
        counters.doing.set_calling(false);
        counters.inline_calls.add(1);
        if driver.monotonic().since(before) > STALL {
            counters.inline_stalls.add(1);
        }
        result
    }

    /// Tells the loop how to see that mail has come. The core does not sleep while it has, and
    /// [`Core::mail`] resolves.
    pub fn watch_mail(&self, is_waiting: impl Fn() -> bool + 'static) {
        let is_waiting = Box::new(is_waiting);
        *self.0.mail.borrow_mut() = Some(MailWatch { is_waiting, waker: None });
    }

    /// Resolves when mail is waiting.
    pub fn mail(&self) -> impl Future<Output = ()> + use<> {
        let core = self.clone();
        std::future::poll_fn(move |context| {
            let mut mail = core.0.mail.borrow_mut();
            let watch = mail.as_mut().expect("watch_mail comes first");
            if (watch.is_waiting)() {
                return Poll::Ready(());
            }
            watch.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// Runs the loop until `stop`, then cancels what is left and waits for the kernel to let go.
    pub fn run(&self) {
        let mut done = Vec::with_capacity(1024);
        while !self.0.stop.get() {
            self.0.executor.run_turn();
            if self.0.stop.get() {
                break;
            }
            self.turn(&mut done, self.0.executor.has_ready());
        }
        self.0.executor.clear();
        self.drain(&mut done);
    }

    /// One turn that does not wait: for a world that owns several cores and the time between
    /// them.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn step(&self) -> Step {
        let mut worked = !self.0.stop.get() && self.0.executor.run_turn() > 0;
        if self.0.stop.get() {
            self.0.executor.clear();
            return Step::Stopped;
        }
        let mut done = Vec::new();
        worked |= self.unpark();
        worked |= self.turn_with(&mut done, Wait::No) > 0;
        if worked || self.0.executor.has_ready() {
            return Step::Worked;
        }
        Step::Idle(self.0.timers.borrow().next())
    }

    /// Drops all tasks, as a power cut does.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn abandon(&self) {
        self.0.stop.set(true);
        self.0.executor.clear();
    }

    fn turn(&self, done: &mut Vec<Done>, ready: bool) {
        let inner = &*self.0;
        let unparked = self.unpark();
        let wait = if ready || unparked || self.has_mail() {
            Wait::No
        } else {
            let deadline = inner.timers.borrow().next();
            inner.doorbell.about_to_sleep();
            // Mail that came before the flag was up rings no bell: look once more.
            if self.has_mail() { Wait::No } else { Wait::Until(deadline) }
        };
        self.turn_with(done, wait);
    }

    /// The driver's part of a turn, and what it wakes; how many operations completed.
    fn turn_with(&self, done: &mut Vec<Done>, wait: Wait) -> usize {
        let inner = &*self.0;
        let counters = &inner.counters;
        counters.turns.add(1);
        // Who is about to sleep has the time to look at the clock.
        if matches!(wait, Wait::Until(_)) {
            counters.doing.end_turn(self.driver(|driver| driver.monotonic()));
        }
        let turned = inner.driver.borrow_mut().turn(wait, &inner.doorbell, done);
        inner.doorbell.awake();
        counters.enters.add(turned.enters);
        counters.sleeps.add(u64::from(turned.slept));
        match turned.clock {
            Some((now, wall)) => inner.clock.set(now, wall),
            None => inner.clock.refresh(),
        }
        counters.doing.end_turn(self.now());
        counters.doing.begin_turn(self.now());
        let completed = done.len();
        for one in done.drain(..) {
            self.complete(one);
        }
        inner.receive_free.set(inner.driver.borrow().receive_free());
        inner.timers.borrow_mut().fire(self.now());
        if self.has_mail()
            && let Some(watch) = &mut *inner.mail.borrow_mut()
            && let Some(waker) = watch.waker.take()
        {
            waker.wake();
        }
        completed
    }

    /// Resolves when the receive ring has a buffer again: where a connection is parked.
    pub fn receive_buffers(&self) -> impl Future<Output = ()> + use<> {
        let (core, mut is_queued) = (self.clone(), false);
        std::future::poll_fn(move |context| {
            if is_queued || core.0.receive_free.get() > 0 {
                return Poll::Ready(());
            }
            is_queued = true;
            core.0.receive_waiters.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
    }

    /// Whether the receive ring is about to run out: what is kept longer should lie elsewhere.
    pub fn is_short_of_buffers(&self) -> bool {
        self.0.receive_free.get() < self.0.receive_count / 4
    }

    /// Whether someone had to wait for a block within this span.
    pub fn was_short_of_blocks(&self, span: Duration) -> bool {
        self.0.blocks_short_at.get().is_some_and(|at| self.now().since(at) <= span)
    }

    /// A block for a large body; waits while all are in use.
    pub fn take_block(&self) -> impl Future<Output = BlockMut> + use<> {
        let core = self.clone();
        std::future::poll_fn(move |context| {
            if let Some(block) = core.0.blocks.take() {
                return Poll::Ready(block);
            }
            core.0.blocks_short_at.set(Some(core.now()));
            core.0.block_waiters.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
    }

    /// A block, if one is free that nobody waits for.
    pub fn take_block_now(&self) -> Option<BlockMut> {
        self.0.block_waiters.borrow().is_empty().then(|| self.0.blocks.take()).flatten()
    }

    /// Wakes connections for which there are buffers again; whether there were any.
    fn unpark(&self) -> bool {
        let inner = &*self.0;
        inner.driver.borrow_mut().recycle();
        inner.receive_free.set(inner.driver.borrow().receive_free());
        // As many as there are buffers, whenever they came home: one that was woken before may
        // have gone without taking its buffer.
        let mut woken = wake_some(&inner.receive_waiters, inner.receive_free.get());
        if !inner.block_waiters.borrow().is_empty() {
            let free = inner.blocks.block_count() as usize - inner.blocks.used();
            woken |= wake_some(&inner.block_waiters, free);
        }
        woken
    }

    fn has_mail(&self) -> bool {
        self.0.mail.borrow().as_ref().is_some_and(|watch| (watch.is_waiting)())
    }

    fn complete(&self, done: Done) {
        let mut ops = self.0.ops.borrow_mut();
        let slot = &mut ops.slots[done.slot as usize];
        let mut op = slot.op.take().expect("an operation completes once");
        let slot_index = done.slot;
        let result = self.0.driver.borrow_mut().finish(&mut op, done);
        if slot.orphan {
            ops.free(slot_index);
            drop(ops);
            drop((op, result));
            return;
        }
        slot.completion = Some(Completion { op, result });
        if let Some(waker) = slot.waker.take() {
            drop(ops);
            waker.wake();
        }
    }

    /// After the loop: turns until every operation has come home, for at most a few seconds.
    fn drain(&self, done: &mut Vec<Done>) {
        let give_up = self.driver(|driver| driver.monotonic()) + Duration::from_secs(5);
        while self.0.ops.borrow().in_flight() > 0
            && self.driver(|driver| driver.monotonic()) < give_up
        {
            let soon = self.now() + Duration::from_millis(50);
            let turned =
                self.0.driver.borrow_mut().turn(Wait::Until(Some(soon)), &self.0.doorbell, done);
            match turned.clock {
                Some((now, wall)) => self.0.clock.set(now, wall),
                None => self.0.clock.refresh(),
            }
            for one in done.drain(..) {
                self.complete(one);
            }
        }
    }
}

fn wake_some(waiters: &RefCell<VecDeque<Waker>>, count: usize) -> bool {
    let count = count.min(waiters.borrow().len());
    waiters.borrow_mut().drain(..count).for_each(Waker::wake);
    count > 0
}

/// Operations in flight. A slot is free again when its completion was taken, or came for nobody.
#[derive(Default)]
struct Ops {
    slots: Vec<OpSlot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct OpSlot {
    op: Option<Op>,
    waker: Option<Waker>,
    completion: Option<Completion>,
    orphan: bool,
}

impl Ops {
    fn insert(&mut self, op: Op) -> u32 {
        let slot = OpSlot { op: Some(op), ..OpSlot::default() };
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() as u32 - 1
        }
    }

    fn free(&mut self, index: u32) {
        self.slots[index as usize] = OpSlot::default();
        self.free.push(index);
    }

    fn in_flight(&self) -> usize {
        self.slots.iter().filter(|slot| slot.op.is_some()).count()
    }
}

/// An operation under way.
pub struct Operation {
    core: Core,
    slot: u32,
    taken: bool,
}

impl Future for Operation {
    type Output = Completion;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completion> {
        let core = self.core.clone();
        let mut ops = core.0.ops.borrow_mut();
        let slot = &mut ops.slots[self.slot as usize];
        if let Some(completion) = slot.completion.take() {
            ops.free(self.slot);
            self.taken = true;
            return Poll::Ready(completion);
        }
        if !slot.waker.as_ref().is_some_and(|old| old.will_wake(context.waker())) {
            slot.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut ops = self.core.0.ops.borrow_mut();
        let slot = &mut ops.slots[self.slot as usize];
        if slot.completion.is_some() {
            let completion = slot.completion.take();
            ops.free(self.slot);
            drop(ops);
            drop(completion);
        } else {
            slot.orphan = true;
            slot.waker = None;
            self.core.0.driver.borrow_mut().cancel(self.slot);
        }
    }
}

/// Future of [`Core::sleep`].
pub struct Sleep {
    core: Core,
    deadline: Instant,
    timer: Option<u32>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let core = self.core.clone();
        let mut timers = core.0.timers.borrow_mut();
        match self.timer {
            None if self.deadline <= core.now() => return Poll::Ready(()),
            None => self.timer = Some(timers.add(self.deadline, context.waker().clone())),
            Some(timer) if timers.is_fired(timer) => return Poll::Ready(()),
            Some(timer) => timers.set_waker(timer, context.waker()),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.core.0.timers.borrow_mut().remove(timer);
        }
    }
}

/// Future of [`Core::turn_end`].
pub struct TurnEnd {
    core: Core,
    registered: bool,
}

impl Future for TurnEnd {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.registered {
            return Poll::Ready(());
        }
        self.registered = true;
        self.core.0.executor.at_turn_end(context.waker().clone());
        Poll::Pending
    }
}

/// Checks that a result carries a count.
pub(super) fn count(output: Output) -> usize {
    match output {
        Output::Count(count) => count,
        other => unreachable!("expected a count, got {other:?}"),
    }
}
