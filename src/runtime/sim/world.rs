//! A world: hosts with disks, their cores, and the time that they share.

use super::driver::Sim;
use super::faults::{Faults, Trap};
use super::state::{End, State};
use crate::base::{Instant, Random};
use crate::runtime::buffer::Pool;
use crate::runtime::core::{BLOCK_BYTES, Core, Step};
use crate::runtime::driver::Driver;
use crate::runtime::machine::Doorbell;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Turns without an end in sight, after which a run is called a livelock.
const ROUNDS_MAX: u64 = 20_000_000;

/// What a core of a world has.
#[derive(Clone, Copy, Debug)]
pub struct WorldOptions {
    pub receive_blocks: u32,
    pub receive_block_bytes: usize,
    /// Blocks for large bodies, per core.
    pub block_count: u32,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self { receive_blocks: 8, receive_block_bytes: 4096, block_count: 8 }
    }
}

/// The simulated world. Hosts are numbered from 0 and made when first named.
pub struct World {
    seed: u64,
    options: WorldOptions,
    state: Rc<RefCell<State>>,
    cores: Vec<Member>,
    /// Who takes the next turn.
    order: Random,
}

struct Member {
    host: usize,
    id: usize,
    core: Core,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, WorldOptions::default())
    }

    pub fn with(seed: u64, options: WorldOptions) -> Self {
        let mut random = Random::new(seed);
        let order = random.fork();
        let state = Rc::new(RefCell::new(State::new(random.next_u64())));
        Self { seed, options, state, cores: Vec::new(), order }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Tells every completion on standard error.
    pub fn narrate(&self) {
        self.state.borrow_mut().narrates = true;
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state.borrow_mut().faults = faults;
    }

    /// One new core on host 0.
    pub fn core(&mut self) -> Core {
        self.boot(0, &[Arc::new(Doorbell::silent())]).remove(0)
    }

    /// Starts a host's cores, one per doorbell (of [`crate::runtime::mailbox::mesh_in_sim`]).
    pub fn boot(&mut self, host: usize, doorbells: &[Arc<Doorbell>]) -> Vec<Core> {
        self.state.borrow_mut().network.boot(host);
        let bells = doorbells.iter().enumerate();
        bells.map(|(index, bell)| self.add_core(host, index, Arc::clone(bell))).collect()
    }

    fn add_core(&mut self, host: usize, index: usize, doorbell: Arc<Doorbell>) -> Core {
        let WorldOptions { receive_blocks, receive_block_bytes, block_count } = self.options;
        let pool = |count, bytes| Pool::new(count, bytes).expect("memory for a pool");
        self.has_host(host);
        let id = self.state.borrow_mut().add_core(host, pool(receive_blocks, receive_block_bytes));
        let sim = Sim::new(id, host, Rc::clone(&self.state));
        let blocks = pool(block_count, BLOCK_BYTES);
        let core = Core::new(index, Driver::Sim(Box::new(sim)), blocks, doorbell);
        self.cores.push(Member { host, id, core: core.clone() });
        core
    }

    fn has_host(&self, host: usize) {
        let disks = &mut self.state.borrow_mut().disks;
        disks.resize_with(disks.len().max(host + 1), super::disk::Disk::new);
    }

    pub fn now(&self) -> Instant {
        self.state.borrow().now
    }

    /// Sum of the history so far: the same for the same seed and the same code.
    pub fn trace(&self) -> u64 {
        self.state.borrow().trace()
    }

    /// Completions so far.
    pub fn completions(&self) -> u64 {
        self.state.borrow().delivered
    }

    pub fn jump_wall(&self, ms: i64) {
        self.state.borrow_mut().jump_wall(ms);
    }

    /// Runs a task on `core` until it is done; gives what it gives.
    pub fn run<T: 'static>(&mut self, core: &Core, task: impl Future<Output = T> + 'static) -> T {
        let place = Rc::new(RefCell::new(None));
        let out = Rc::clone(&place);
        core.spawn(async move {
            let value = task.await;
            *out.borrow_mut() = Some(value);
        });
        let met = self.run_until(|| place.borrow().is_some());
        assert!(met, "seed {}: the task waits for something that never comes", self.seed);
        place.take().expect("looked at just now")
    }

    /// Lets the world go on until the condition holds; false when nothing will ever happen again
    /// and it still does not.
    pub fn run_until(&mut self, mut is_met: impl FnMut() -> bool) -> bool {
        for _ in 0..ROUNDS_MAX {
            if is_met() {
                return true;
            }
            if !self.round(None) {
                return is_met();
            }
        }
        panic!("seed {}: no end after {ROUNDS_MAX} rounds", self.seed);
    }

    /// Lets the world go on for a span of its time.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end && self.round(Some(end)) {}
    }

    /// Lets the world go on until so many more operations have completed, or nothing happens any
    /// more: a power cut after it falls between any two of them.
    pub fn run_completions(&mut self, count: u64) {
        let end = self.completions() + count;
        while self.completions() < end && self.round(None) {}
    }

    /// Every core takes a turn, in random order; if none had anything to do, time moves on, at
    /// most to `limit`. False when there is nothing to wait for.
    fn round(&mut self, limit: Option<Instant>) -> bool {
        let mut worked = false;
        let mut wake: Option<Instant> = None;
        let mut order: Vec<usize> = (0..self.cores.len()).collect();
        while !order.is_empty() {
            let place = order.swap_remove(self.order.below(order.len() as u64) as usize);
            match self.cores[place].core.step() {
                Step::Worked => worked = true,
                Step::Idle(timer) => wake = [wake, timer].into_iter().flatten().min(),
                Step::Stopped => {
                    // Its last turn may have sent mail to a core that was idle before it.
                    worked = true;
                    self.state.borrow_mut().retire(self.cores[place].id);
                }
            }
        }
        let state = &self.state;
        self.cores.retain(|member| state.borrow().is_alive(member.id));
        if worked {
            return true;
        }
        let mut state = self.state.borrow_mut();
        let next = [state.next_at(), wake].into_iter().flatten().min();
        match (next, limit) {
            (Some(next), Some(limit)) => state.advance(next.min(limit)),
            (Some(next), None) => state.advance(next),
            (None, Some(limit)) => state.advance(limit),
            (None, None) => return false,
        }
        true
    }

    /// Cuts a host's power: its cores are gone, and what was not synced may be.
    pub fn crash(&mut self, host: usize) {
        self.end_host(host, End::Power);
    }

    /// Kills a host's process: its cores are gone, but what it wrote is still there.
    pub fn kill(&mut self, host: usize) {
        self.end_host(host, End::Process);
    }

    fn end_host(&mut self, host: usize, end: End) {
        self.has_host(host);
        self.state.borrow_mut().end_host(host, end);
        let (gone, rest): (Vec<Member>, Vec<Member>) =
            std::mem::take(&mut self.cores).into_iter().partition(|member| member.host == host);
        self.cores = rest;
        for member in gone {
            member.core.abandon();
        }
    }

    /// Cuts (or mends) the network between two hosts.
    pub fn set_cut(&self, a: usize, b: usize, is_cut: bool) {
        self.state.borrow_mut().network.set_cut(a, b, is_cut);
    }

    /// Sets a trap on a host's disk.
    pub fn trap(&self, host: usize, trap: Trap) {
        self.has_host(host);
        self.state.borrow_mut().disks[host].set_trap(trap);
    }

    /// Traps of a host that have not been sprung.
    pub fn trap_count(&self, host: usize) -> usize {
        self.has_host(host);
        self.state.borrow().disks[host].trap_count()
    }

    /// Puts a file on a host's disk, durable from the start; directories on the way are made.
    pub fn put(&self, host: usize, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.has_host(host);
        self.state.borrow_mut().disks[host].put(path, bytes)
    }

    pub fn put_dir(&self, host: usize, path: &str) -> io::Result<()> {
        self.has_host(host);
        self.state.borrow_mut().disks[host].put_dir(path)
    }

    /// Flips bits of a byte of a file.
    pub fn rot(&self, host: usize, path: &str, at: u64, mask: u8) -> io::Result<()> {
        self.has_host(host);
        self.state.borrow_mut().disks[host].rot(path, at, mask)
    }

    /// A file's bytes: as read, and as on the platter.
    pub fn images(&self, host: usize, path: &str) -> io::Result<(Vec<u8>, Vec<u8>)> {
        self.has_host(host);
        self.state.borrow().disks[host].images(path)
    }

    /// The names in a directory, as a lookup finds them.
    pub fn names(&self, host: usize, path: &str) -> io::Result<Vec<String>> {
        self.has_host(host);
        self.state.borrow().disks[host].names(path)
    }

    /// What the code did that it must never do, e.g. two writes in flight for one file.
    pub fn findings(&self) -> Vec<String> {
        let state = self.state.borrow();
        state.disks.iter().flat_map(|disk| disk.findings.iter().cloned()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = self.state.borrow();
            eprintln!("simulated world: seed {}, at {} ns", self.seed, state.now.0);
        }
        for member in &self.cores {
            self.state.borrow_mut().retire(member.id);
            member.core.abandon();
        }
    }
}
