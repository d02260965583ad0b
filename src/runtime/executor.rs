//! Tasks of one core. Wakers are plain: a wake puts the task's number on the queue of the thread
//! that the core lives on.

use super::core::Counters;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// Ready queues of the cores that live on this thread (one; more in the simulator).
    static READY: RefCell<Vec<(u64, VecDeque<u32>)>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Executor {
    lane: u64,
    tasks: RefCell<Tasks>,
    late: RefCell<Vec<Waker>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    task: Option<Task>,
    waker: Waker,
    wake: Arc<TaskWake>,
}

struct TaskWake {
    lane: u64,
    index: u32,
    queued: AtomicBool,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        READY.with_borrow_mut(|lanes| {
            // A lane that is gone belongs to a core that has ended: nobody is left to wake.
            if let Some((_, queue)) = lanes.iter_mut().find(|(lane, _)| *lane == self.lane) {
                queue.push_back(self.index);
            }
        });
    }
}

impl Executor {
    pub fn new(counters: Arc<Counters>) -> Self {
        static LANES: AtomicU64 = AtomicU64::new(0);
        let lane = LANES.fetch_add(1, Ordering::Relaxed);
        READY.with_borrow_mut(|lanes| lanes.push((lane, VecDeque::with_capacity(256))));
        Self { lane, tasks: RefCell::default(), late: RefCell::default(), counters }
    }

    pub fn spawn(&self, task: Task) {
        let wake = {
            let tasks = &mut *self.tasks.borrow_mut();
            let index = tasks.free.pop().unwrap_or(tasks.slots.len() as u32);
            let wake =
                Arc::new(TaskWake { lane: self.lane, index, queued: AtomicBool::new(false) });
            let slot = Slot {
                task: Some(task),
                waker: Waker::from(Arc::clone(&wake)),
                wake: wake.clone(),
            };
            if index as usize == tasks.slots.len() {
                tasks.slots.push(slot);
            } else {
                tasks.slots[index as usize] = slot;
            }
            wake
        };
        wake.wake_by_ref();
    }

    /// Registers for the end of this turn: woken when all that was ready has run.
    pub fn at_turn_end(&self, waker: Waker) {
        self.late.borrow_mut().push(waker);
    }

    pub fn has_ready(&self) -> bool {
        self.ready(|queue| !queue.is_empty()) || !self.late.borrow().is_empty()
    }

    /// Runs what is ready, then what waits for the end of the turn, then what that made ready;
    /// how many tasks.
    pub fn run_turn(&self) -> usize {
        let mut count = self.run_rounds();
        let mut late = std::mem::take(&mut *self.late.borrow_mut());
        late.drain(..).for_each(Waker::wake);
        {
            let mut slot = self.late.borrow_mut();
            late.append(&mut slot);
            *slot = late;
        }
        count += self.run_rounds();
        count
    }

    /// Bounded rounds: a task that wakes itself for ever must not keep the ring from turning.
    fn run_rounds(&self) -> usize {
        let mut total = 0;
        for _ in 0..4 {
            let count = self.run_round();
            total += count;
            if count == 0 {
                break;
            }
        }
        total
    }

    fn run_round(&self) -> usize {
        let count = self.ready(|queue| queue.len());
        for _ in 0..count {
            let Some(index) = self.ready(VecDeque::pop_front) else { break };
            self.run_task(index);
        }
        count
    }

    fn run_task(&self, index: u32) {
        let (task, waker) = {
            let mut tasks = self.tasks.borrow_mut();
            let slot = &mut tasks.slots[index as usize];
            slot.wake.queued.store(false, Ordering::Relaxed);
            (slot.task.take(), slot.waker.clone())
        };
        let Some(mut task) = task else { return };
        self.counters.doing.begin_task();
        if task.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            self.tasks.borrow_mut().slots[index as usize].task = Some(task);
        } else {
            drop(task);
            self.tasks.borrow_mut().free.push(index);
        }
    }

    /// Drops every task: their operations are cancelled.
    pub fn clear(&self) {
        let slots = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(slots);
        self.late.borrow_mut().clear();
    }

    fn ready<R>(&self, with: impl FnOnce(&mut VecDeque<u32>) -> R) -> R {
        READY.with_borrow_mut(|lanes| {
            let lane = lanes.iter_mut().find(|(lane, _)| *lane == self.lane);
            with(&mut lane.expect("a core runs on the thread that made it").1)
        })
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.clear();
        READY.with_borrow_mut(|lanes| lanes.retain(|(lane, _)| *lane != self.lane));
    }
}
