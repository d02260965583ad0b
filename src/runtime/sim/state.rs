//! Everything of a simulated world but its cores: time, events to come, operations under way,
//! disks, network.

use super::disk::{Applied, Disk};
use super::faults::Faults;
use super::job::{FileJob, Job};
use super::network::Network;
use crate::base::{Instant, Random};
use crate::model::Timestamp;
use crate::runtime::buffer::Pool;
use crate::runtime::driver::Done;
use crate::runtime::op::{Op, Output};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// 2026-01-01 00:00 UTC: the wall clock of a new world.
const WALL_START_MS: i64 = 1_767_225_600_000;
const NANOS_PER_MS: u64 = 1_000_000;

pub(super) struct State {
    pub now: Instant,
    wall_start_ms: i64,
    pub random: Random,
    /// What cores get as random bytes: apart, so that it does not change what fails when.
    pub entropy: Random,
    pub faults: Faults,
    pub disks: Vec<Disk>,
    pub network: Network,
    cores: Vec<CoreState>,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    pending: BTreeMap<u64, Pending>,
    next_pending: u64,
    by_slot: BTreeMap<(usize, u32), u64>,
    /// Network operations that wait, by socket.
    waiting: BTreeMap<u64, Vec<u64>>,
    trace: u64,
    /// Completions delivered so far.
    pub delivered: u64,
    pub narrates: bool,
}

pub(super) struct CoreState {
    pub host: usize,
    is_alive: bool,
    ready: Vec<Done>,
    /// Bytes for the buffers of operations that have completed, by slot.
    bytes: BTreeMap<u32, Vec<u8>>,
    pub receive: Pool,
}

/// How a host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Process,
    Power,
}

enum Event {
    /// An operation takes effect (the network's: is tried).
    Apply(u64),
    /// Its completion reaches the core.
    Deliver(u64),
    Arrive(u64),
}

/// An operation under way.
struct Pending {
    core: usize,
    slot: u32,
    kind: &'static str,
    /// Until it takes effect.
    job: Option<Job>,
    /// A ring write, counted as in flight for this file.
    writes: Option<u64>,
    /// From then on.
    result: Option<io::Result<Applied>>,
}

impl State {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant(NANOS_PER_MS),
            wall_start_ms: WALL_START_MS,
            random: Random::new(seed),
            entropy: Random::new(!seed),
            faults: Faults::none(),
            disks: Vec::new(),
            network: Network::new(),
            cores: Vec::new(),
            events: BTreeMap::new(),
            next_event: 0,
            pending: BTreeMap::new(),
            next_pending: 0,
            by_slot: BTreeMap::new(),
            waiting: BTreeMap::new(),
            trace: 0,
            delivered: 0,
            narrates: false,
        }
    }

    pub fn wall(&self) -> Timestamp {
        Timestamp(self.wall_start_ms + (self.now.0 / NANOS_PER_MS) as i64)
    }

    /// The wall clock jumps, as when an operator sets it.
    pub fn jump_wall(&mut self, ms: i64) {
        self.wall_start_ms += ms;
    }

    pub fn trace(&self) -> u64 {
        self.trace
    }

    pub fn add_core(&mut self, host: usize, receive: Pool) -> usize {
        let (ready, bytes) = (Vec::new(), BTreeMap::new());
        self.cores.push(CoreState { host, is_alive: true, ready, bytes, receive });
        self.cores.len() - 1
    }

    pub fn core(&self, core: usize) -> &CoreState {
        &self.cores[core]
    }

    pub fn is_alive(&self, core: usize) -> bool {
        self.cores[core].is_alive
    }

    pub fn submit(&mut self, core: usize, slot: u32, op: &Op) {
        if !self.is_alive(core) {
            return;
        }
        let disk = &mut self.disks[self.cores[core].host];
        let job = Job::of(op, disk.number());
        let writes = match &job {
            Job::File(FileJob::Write { inode, .. }) => Some(*inode),
            _ => None,
        };
        if let Some(inode) = writes {
            disk.write_begins(inode);
        }
        let wait = match &job {
            Job::Nop => Duration::ZERO,
            Job::Net(net) if net.kind() == "connect" => {
                self.faults.network.latency.draw(&mut self.random)
            }
            Job::Net(_) => Duration::from_nanos(self.random.below(2_000)),
            // As a disk's: it may overtake, and be overtaken.
            Job::File(_) | Job::Work(_) => self.disk_latency(),
        };
        let id = self.next_pending;
        self.next_pending += 1;
        let kind = job.kind();
        let pending = Pending { core, slot, kind, job: Some(job), writes, result: None };
        self.pending.insert(id, pending);
        self.by_slot.insert((core, slot), id);
        self.plan(wait, Event::Apply(id));
    }

    fn disk_latency(&mut self) -> Duration {
        let faults = &self.faults.disk;
        if faults.slow.hit(&mut self.random) {
            faults.slow_latency.draw(&mut self.random)
        } else {
            faults.latency.draw(&mut self.random)
        }
    }

    fn plan(&mut self, wait: Duration, event: Event) {
        self.next_event += 1;
        self.events.insert((self.now + wait, self.next_event), event);
    }

    pub fn cancel(&mut self, core: usize, slot: u32) {
        let Some(id) = self.by_slot.get(&(core, slot)).copied() else { return };
        let works = self.faults.cancel_works.hit(&mut self.random);
        let Some(pending) = self.pending.get_mut(&id) else { return };
        // Nothing else would ever end an operation that waits for the network.
        let waits = matches!(pending.job, Some(Job::Net(_)));
        if pending.job.is_some() && (works || waits) {
            pending.job = None;
            self.end(id, Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        }
    }

    /// An operation has its result; its completion follows a little later.
    fn end(&mut self, id: u64, result: io::Result<Applied>) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        pending.result = Some(result);
        let wait = Duration::from_nanos(self.random.below(20_000));
        self.plan(wait, Event::Deliver(id));
    }

    /// The moment of the next event.
    pub fn next_at(&self) -> Option<Instant> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Moves time on and lets happen what is due.
    pub fn advance(&mut self, to: Instant) {
        self.now = self.now.max(to);
        self.run_due();
    }

    pub fn run_due(&mut self) {
        self.settle();
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Event::Apply(id) => self.apply(id),
                Event::Deliver(id) => self.deliver(id),
                Event::Arrive(socket) => {
                    self.network.arrive(socket, &self.faults.network, &mut self.random);
                }
            }
            self.settle();
        }
    }

    fn apply(&mut self, id: u64) {
        let wall = self.wall().0;
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let host = self.cores[pending.core].host;
        match pending.job.take() {
            // Cancelled: its end is planned already.
            None => {}
            Some(Job::Nop) => self.end(id, Ok(Applied::Output(Output::None))),
            Some(Job::Work(work)) => {
                work.run();
                self.end(id, Ok(Applied::Output(Output::None)));
            }
            Some(Job::File(job)) => {
                let faults = &self.faults.disk;
                let result = self.disks[host].apply(job, faults, &mut self.random, wall);
                self.end(id, result);
            }
            Some(Job::Net(job)) => {
                let socket = job.socket();
                pending.job = Some(Job::Net(job));
                self.waiting.entry(socket).or_default().push(id);
                self.network.changed.push(socket);
            }
        }
    }

    fn deliver(&mut self, id: u64) {
        let Some(pending) = self.pending.remove(&id) else { return };
        let Pending { core, slot, kind, writes, result, .. } = pending;
        self.by_slot.remove(&(core, slot));
        let Some(result) = result else { return };
        let host = self.cores[core].host;
        if let Some(inode) = writes {
            self.disks[host].write_ends(inode);
        }
        self.note(core, slot, kind, &result);
        let state = &mut self.cores[core];
        let output = match result {
            Ok(Applied::Output(output)) => Ok(output),
            Ok(Applied::Bytes(bytes)) => {
                let count = bytes.len();
                state.bytes.insert(slot, bytes);
                Ok(Output::Count(count))
            }
            Err(error) => Err(error),
        };
        state.ready.push(Done { slot, result: 0, flags: 0, output: Some(output) });
    }

    /// Adds a completion to the history.
    fn note(&mut self, core: usize, slot: u32, kind: &str, result: &io::Result<Applied>) {
        let sum = match result {
            Ok(Applied::Output(Output::Count(count))) => *count as u64,
            Ok(Applied::Output(_)) => 0,
            Ok(Applied::Bytes(bytes)) => bytes.len() as u64,
            Err(error) => u64::from(error.raw_os_error().unwrap_or(0).unsigned_abs()) << 32,
        };
        self.delivered += 1;
        let first = kind.bytes().fold(0_u64, |sum, byte| sum << 5 ^ u64::from(byte));
        for word in [self.now.0, core as u64, u64::from(slot), first, sum] {
            self.trace = Random::new(self.trace ^ word).next_u64();
        }
        if self.narrates {
            let outcome = match result {
                Ok(Applied::Output(output)) => format!("{output:?}"),
                Ok(Applied::Bytes(bytes)) => format!("{} bytes", bytes.len()),
                Err(error) => error.to_string(),
            };
            eprintln!("{:>14} core {core} slot {slot:>3} {kind}: {outcome}", self.now.0);
        }
    }

    /// Tries network operations again whose socket changed, and plans arrivals.
    fn settle(&mut self) {
        self.network.settle_calls();
        loop {
            while let Some(socket) = self.network.due.pop() {
                if self.network.plan_arrival(socket) {
                    let faults = &self.faults.network;
                    let wait = if faults.stall.hit(&mut self.random) {
                        faults.stall_latency.draw(&mut self.random)
                    } else {
                        faults.latency.draw(&mut self.random)
                    };
                    self.plan(wait, Event::Arrive(socket));
                }
            }
            let Some(socket) = self.network.changed.pop() else { break };
            for id in self.waiting.remove(&socket).unwrap_or_default() {
                self.attempt(id, socket);
            }
        }
    }

    fn attempt(&mut self, id: u64, socket: u64) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let Some(Job::Net(job)) = &mut pending.job else { return };
        let pool = &self.cores[pending.core].receive;
        match self.network.attempt(job, pool, &self.faults.network, &mut self.random) {
            None => self.waiting.entry(socket).or_default().push(id),
            Some(result) => {
                pending.job = None;
                if let Ok((_, bytes)) = &result
                    && !bytes.is_empty()
                {
                    let core = &mut self.cores[pending.core];
                    core.bytes.insert(pending.slot, bytes.clone());
                }
                self.end(id, result.map(|(output, _)| Applied::Output(output)));
            }
        }
    }

    pub fn has_ready(&self, core: usize) -> bool {
        !self.cores[core].ready.is_empty()
    }

    pub fn take_ready(&mut self, core: usize, done: &mut Vec<Done>) {
        done.append(&mut self.cores[core].ready);
    }

    pub fn take_bytes(&mut self, core: usize, slot: u32) -> Option<Vec<u8>> {
        self.cores[core].bytes.remove(&slot)
    }

    /// The operations of a core that has ended are nobody's; disk jobs still take effect.
    pub fn retire(&mut self, core: usize) {
        self.cores[core].is_alive = false;
    }

    /// A host ends at once: operations that had not taken effect may have.
    pub fn end_host(&mut self, host: usize, end: End) {
        let wall = self.wall().0;
        let here: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| self.cores[pending.core].host == host)
            .map(|(id, _)| *id)
            .collect();
        for id in here {
            let Some(pending) = self.pending.remove(&id) else { continue };
            self.by_slot.remove(&(pending.core, pending.slot));
            if let Some(Job::File(job)) = pending.job
                && !matches!(job, FileJob::Sync { .. })
                && self.random.chance(1, 2)
            {
                let faults = &self.faults.disk;
                // Nobody is left to be told how it went.
                drop(self.disks[host].apply(job, faults, &mut self.random, wall));
            }
        }
        for core in self.cores.iter_mut().filter(|core| core.host == host) {
            core.is_alive = false;
            core.ready.clear();
            core.bytes.clear();
        }
        match end {
            End::Power => {
                self.disks[host].crash(&self.faults.disk, &mut self.random);
                self.network.crash(host);
            }
            // The kernel closes the process's sockets as their handles go.
            End::Process => self.disks[host].kill(),
        }
    }
}
