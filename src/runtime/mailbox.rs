//! Mail between cores: one bounded queue per ordered pair, content through shared memory, a wake
//! only when the receiver sleeps.
//!
//! A full queue never blocks the sender's core: the letter waits in the sender's own backlog,
//! which is bounded by what the sender admits (each letter answers or carries an admitted
//! request), and is retried every turn.

use super::core::Core;
use super::machine::Doorbell;
use crossbeam::queue::ArrayQueue;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Letters that may lie between two cores, and between all of them together.
const LETTERS_MAX: usize = 1024;
const LETTERS_ALL_MAX: usize = 16 * LETTERS_MAX;

/// The way from one core to another.
struct Way<T> {
    letters: ArrayQueue<T>,
    /// The sender has letters that did not fit, and sleeps on them: whoever makes room wakes it.
    is_backlogged: AtomicBool,
    sender: Arc<Doorbell>,
    receiver: Arc<Doorbell>,
}

/// One core's end of all mail.
pub struct Port<T> {
    index: usize,
    incoming: Vec<Arc<Way<T>>>,
    outgoing: Vec<Arc<Way<T>>>,
    backlog: RefCell<Vec<VecDeque<T>>>,
    backlog_count: Cell<usize>,
    cores: usize,
    next: Cell<usize>,
}

/// A port for each core, and the doorbell of each.
pub type Mesh<T> = (Vec<Port<T>>, Vec<Arc<Doorbell>>);

/// Ports of `cores` cores and, after them, of `guests` threads that are no cores and only write;
/// and the doorbells that wake the cores.
pub fn mesh<T>(cores: usize, guests: usize) -> io::Result<Mesh<T>> {
    let bells = (0..cores + guests).map(|_| Doorbell::new().map(Arc::new));
    Ok(mesh_of(cores, bells.collect::<io::Result<_>>()?))
}

/// The same in a simulated world.
#[cfg(any(test, feature = "sim"))]
pub fn mesh_in_sim<T>(cores: usize, guests: usize) -> Mesh<T> {
    mesh_of(cores, (0..cores + guests).map(|_| Arc::new(Doorbell::silent())).collect())
}

fn mesh_of<T>(cores: usize, doorbells: Vec<Arc<Doorbell>>) -> Mesh<T> {
    let count = doorbells.len();
    let len = (LETTERS_ALL_MAX / (count * count)).clamp(32, LETTERS_MAX);
    let way = |from: usize, to: usize| {
        Arc::new(Way {
            letters: ArrayQueue::new(len),
            is_backlogged: AtomicBool::new(false),
            sender: Arc::clone(&doorbells[from]),
            receiver: Arc::clone(&doorbells[to]),
        })
    };
    let ways: Vec<Vec<Arc<Way<T>>>> =
        (0..count).map(|from| (0..count).map(|to| way(from, to)).collect()).collect();
    let port = |index: usize| Port {
        index,
        incoming: ways.iter().map(|row| Arc::clone(&row[index])).collect(),
        outgoing: ways[index].clone(),
        backlog: RefCell::new((0..count).map(|_| VecDeque::new()).collect()),
        backlog_count: Cell::new(0),
        cores,
        next: Cell::new(0),
    };
    let ports = (0..count).map(port).collect();
    (ports, doorbells.into_iter().take(cores).collect())
}

impl<T: 'static> Port<T> {
    /// Index of the core that owns this port.
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn core_count(&self) -> usize {
        self.cores
    }

    /// Sends a letter; it arrives in the order of sending. Mail to oneself is mail too.
    pub fn send(&self, to: usize, letter: T) {
        let mut backlog = self.backlog.borrow_mut();
        let way = &self.outgoing[to];
        let letter = if backlog[to].is_empty() {
            match way.letters.push(letter) {
                Ok(()) => return way.receiver.ring(),
                Err(letter) => letter,
            }
        } else {
            letter
        };
        backlog[to].push_back(letter);
        self.backlog_count.set(self.backlog_count.get() + 1);
        // From here on the receiver rings when it makes room; room that it has made before is
        // seen before this core sleeps.
        way.is_backlogged.store(true, Ordering::SeqCst);
    }

    /// The next letter, from each sender in turn.
    pub fn receive(&self) -> Option<T> {
        self.flush();
        let count = self.incoming.len();
        for step in 0..count {
            let from = (self.next.get() + step) % count;
            let way = &self.incoming[from];
            if let Some(letter) = way.letters.pop() {
                fence(Ordering::SeqCst);
                if way.is_backlogged.load(Ordering::Relaxed) {
                    way.sender.ring();
                }
                self.next.set(from + 1);
                return Some(letter);
            }
        }
        None
    }

    /// Whether a letter is here, or one of ours could be sent now.
    pub fn is_waiting(&self) -> bool {
        self.incoming.iter().any(|way| !way.letters.is_empty()) || self.can_flush()
    }

    /// Whether all that was sent lies in its receiver's queue.
    pub fn is_drained(&self) -> bool {
        self.backlog_count.get() == 0
    }

    fn can_flush(&self) -> bool {
        self.backlog_count.get() > 0
            && self
                .backlog
                .borrow()
                .iter()
                .zip(&self.outgoing)
                .any(|(letters, way)| !letters.is_empty() && !way.letters.is_full())
    }

    fn flush(&self) {
        if self.backlog_count.get() == 0 {
            return;
        }
        let mut backlog = self.backlog.borrow_mut();
        for (letters, way) in backlog.iter_mut().zip(&self.outgoing) {
            if letters.is_empty() {
                continue;
            }
            while let Some(letter) = letters.pop_front() {
                if let Err(letter) = way.letters.push(letter) {
                    letters.push_front(letter);
                    break;
                }
                self.backlog_count.set(self.backlog_count.get() - 1);
            }
            way.is_backlogged.store(!letters.is_empty(), Ordering::SeqCst);
            way.receiver.ring();
        }
    }

    /// Connects the port to its core's loop: the core does not sleep while mail waits.
    pub fn attach(self: &std::rc::Rc<Self>, core: &Core) {
        let port = std::rc::Rc::clone(self);
        core.watch_mail(move || port.is_waiting());
    }
}
