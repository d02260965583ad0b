//! Drives the connections of a load: one task each (two in an open loop) on one reactor.

use super::answers::Answers;
use super::error::LoadError;
use super::process;
use super::work::{Frames, Work};
use crate::base::Instant;
use crate::runtime::machine::{self, Doorbell, MachineOptions};
use crate::runtime::sync::Bell;
use crate::runtime::{Core, Gather, Received, RingOptions, Socket, clock};
use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long answers may be outstanding after the last request.
const DRAIN: Duration = Duration::from_secs(30);
/// Timers fire this late at worst on an idle core; the rest of the wait for a moment is spun.
const TIMER_SLACK: Duration = Duration::from_micros(80);
/// Receive window of a connection (the kernel caps it at `net.core.rmem_max`). Left to itself the
/// kernel sizes it by chance on loopback: at 64 KiB the reader's own acknowledgements carry the
/// broker's sending on the reader's core, and the same broker reads 2 or 5 GB/s from run to run.
const RECEIVE_WINDOW_BYTES: u32 = 2 << 20;
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// How hard and how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests of one connection without an answer, at most.
    pub in_flight: usize,
    /// Requests a second over all connections; `None`: as many as the broker answers.
    pub rate: Option<f64>,
    /// What is measured begins after this.
    pub warm_up: Duration,
    pub measured: Duration,
    /// Whose CPU time is counted.
    pub pid: Option<u32>,
}

/// What came of it, in the measured time.
#[derive(Debug)]
pub struct Tally {
    pub requests: u64,
    pub records_bytes: u64,
    pub time: Duration,
    /// By kind of request.
    pub latencies: Vec<Latencies>,
    pub broker_cpu: Option<Duration>,
    pub load_cpu: Duration,
}

/// How long answers took, in nanoseconds.
#[derive(Debug)]
pub struct Latencies {
    /// Answer minus intended moment; in a closed loop minus the moment of sending.
    pub response: Histogram<u64>,
    /// Answer minus moment of sending.
    pub service: Histogram<u64>,
}

/// When a request was to be sent, and when it was.
#[derive(Clone, Copy)]
struct Sent {
    intended: Instant,
    at: Instant,
}

/// What all tasks share.
struct Drive {
    core: Core,
    pace: Pace,
    start: Instant,
    from: Instant,
    until: Instant,
    tally: RefCell<Tally>,
    running: Cell<usize>,
    failure: RefCell<Option<LoadError>>,
}

/// Runs a load to its end on the calling thread.
pub fn drive(work: &Work, pace: Pace) -> Result<Tally, LoadError> {
    let io = |source| LoadError::Io { during: "set up the load's ring", source };
    let doorbell = Arc::new(Doorbell::new().map_err(io)?);
    let core = machine::core_here(0, &options(), doorbell).map_err(io)?;
    let start = clock::monotonic() + Duration::from_millis(10);
    let drive = Rc::new(Drive {
        core: core.clone(),
        pace,
        start,
        from: start + pace.warm_up,
        until: start + pace.warm_up + pace.measured,
        tally: RefCell::new(Tally::new(work.kinds.len())?),
        running: Cell::new(work.frames.len()),
        failure: RefCell::default(),
    });
    for (index, frames) in work.frames.iter().enumerate() {
        assert!(frames.len().is_multiple_of(work.kinds.len()));
        let answers = Answers::new(work.kinds.clone());
        let reading = Reading { answers, expected: 0, frame_count: frames.len() };
        let lane = Lane { index, count: work.frames.len(), frames: frames.clone(), reading };
        core.spawn(Rc::clone(&drive).connection(work.address, lane));
    }
    core.spawn(Rc::clone(&drive).watch());
    core.run();
    drop(core);
    let failure = drive.failure.borrow_mut().take();
    match failure {
        Some(error) => Err(error),
        None => Ok(drive.tally.replace(Tally::new(0)?)),
    }
}

pub fn options() -> MachineOptions {
    let ring = RingOptions {
        spin_max: Duration::ZERO,
        // Small enough to stay in the cache: a fetch load drops what it receives.
        receive_blocks: 32,
        receive_block_bytes: 32 * 1024,
        no_iowait: true,
    };
    MachineOptions { cpus: vec![None], ring, block_count: 1 }
}

impl Tally {
    fn new(kind_count: usize) -> Result<Self, LoadError> {
        let latencies = (0..kind_count).map(|_| Latencies::new());
        Ok(Self {
            requests: 0,
            records_bytes: 0,
            time: Duration::ZERO,
            latencies: latencies.collect::<Result<_, _>>()?,
            broker_cpu: None,
            load_cpu: Duration::ZERO,
        })
    }
}

impl Latencies {
    fn new() -> Result<Self, LoadError> {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, 3).map_err(|error| {
                LoadError::Io { during: "make a histogram", source: std::io::Error::other(error) }
            })
        };
        Ok(Self { response: histogram()?, service: histogram()? })
    }
}

impl Drive {
    /// Measures CPU time over the measured span, and ends the load when every connection has.
    async fn watch(self: Rc<Self>) {
        if let Err(error) = self.clone().measure().await {
            self.fail(error);
        }
        let give_up = self.until + DRAIN;
        while self.running.get() > 0 && self.core.now() < give_up {
            self.core.sleep(Duration::from_millis(1)).await;
        }
        let left = self.running.get();
        if left > 0 {
            self.fail(LoadError::Unanswered { left, waited: DRAIN });
        }
        self.core.stop();
    }

    async fn measure(self: Rc<Self>) -> Result<(), LoadError> {
        let broker = || self.pace.pid.map(process::cpu_time).transpose();
        let load = || process::cpu_time(std::process::id());
        self.core.sleep_until(self.from).await;
        let before = (clock::monotonic(), broker()?, load()?);
        self.core.sleep_until(self.until).await;
        let after = (clock::monotonic(), broker()?, load()?);
        let mut tally = self.tally.borrow_mut();
        tally.time = after.0.since(before.0);
        tally.broker_cpu = before.1.zip(after.1).map(|(b, a)| a.saturating_sub(b));
        tally.load_cpu = after.2.saturating_sub(before.2);
        Ok(())
    }

    async fn connection(self: Rc<Self>, to: SocketAddr, lane: Lane) {
        let result = match self.connect(to).await {
            Ok(socket) if self.pace.rate.is_some() => {
                Rc::clone(&self).open_loop(socket, lane).await
            }
            Ok(socket) => self.closed_loop(&socket, lane).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.fail(error);
        }
        self.running.set(self.running.get() - 1);
    }

    async fn connect(&self, address: SocketAddr) -> Result<Socket, LoadError> {
        let io = |source| LoadError::Io { during: "connect", source };
        let socket = Socket::to_connect(address).map_err(io)?;
        socket.set_buffers(None, Some(RECEIVE_WINDOW_BYTES)).map_err(io)?;
        socket.connect(&self.core, address).await.map_err(io)?;
        socket.set_up().map_err(io)?;
        self.core.sleep_until(self.start).await;
        Ok(socket)
    }

    /// Sends as many requests as answers came.
    async fn closed_loop(&self, socket: &Socket, lane: Lane) -> Result<(), LoadError> {
        let (mut writing, mut reading) = (Writing::new(lane.frames), lane.reading);
        let (sent, mut free) = (RefCell::new(VecDeque::new()), self.pace.in_flight);
        loop {
            let now = clock::monotonic();
            if now < self.until {
                sent.borrow_mut().extend((0..free).map(|_| Sent { intended: now, at: now }));
                writing.send(&self.core, socket, free).await?;
            }
            if sent.borrow().is_empty() {
                return Ok(());
            }
            free = self.receive(socket, &mut reading, &sent).await?;
        }
    }

    /// Sends at the moments that the rate gives, in turn with the other connections.
    async fn open_loop(self: Rc<Self>, socket: Socket, lane: Lane) -> Result<(), LoadError> {
        let shared = Rc::new(OpenLane::default());
        let reader = Rc::clone(&self);
        self.core.spawn(reader.read_open_loop(socket.clone(), lane.reading, Rc::clone(&shared)));
        let mut writing = Writing::new(lane.frames);
        let gap = lane.count as f64 / self.pace.rate.unwrap_or(f64::INFINITY);
        let first = gap * lane.index as f64 / lane.count as f64;
        let moment = |turn: u64| self.start + Duration::from_secs_f64(first + gap * turn as f64);
        let mut turn = 0;
        while moment(turn) < self.until && !shared.ended.get() {
            self.wait_until(moment(turn)).await;
            let (now, mut due) = (clock::monotonic(), 0);
            while moment(turn) <= now && moment(turn) < self.until {
                if shared.sent.borrow().len() == self.pace.in_flight {
                    break;
                }
                shared.sent.borrow_mut().push_back(Sent { intended: moment(turn), at: now });
                (due, turn) = (due + 1, turn + 1);
            }
            if due == 0 {
                shared.answered.heard().await;
            } else {
                writing.send(&self.core, &socket, due).await?;
            }
        }
        while !shared.sent.borrow().is_empty() && !shared.ended.get() {
            shared.answered.heard().await;
        }
        socket.shut_down();
        Ok(())
    }

    /// The receiving half of an open loop. It ends with its connection, which is a fault only
    /// while answers are owed.
    async fn read_open_loop(
        self: Rc<Self>,
        socket: Socket,
        mut reading: Reading,
        lane: Rc<OpenLane>,
    ) {
        loop {
            let received = self.receive(&socket, &mut reading, &lane.sent).await;
            if let Err(error) = received {
                if !lane.sent.borrow().is_empty() {
                    self.fail(error);
                }
                lane.ended.set(true);
                lane.answered.ring();
                return;
            }
            lane.answered.ring();
        }
    }

    /// Receives once, and counts the answers that are whole with it.
    async fn receive(
        &self,
        socket: &Socket,
        reading: &mut Reading,
        sent: &RefCell<VecDeque<Sent>>,
    ) -> Result<usize, LoadError> {
        let io = |source| LoadError::Io { during: "receive", source };
        let slice = loop {
            match socket.receive_pooled(&self.core).await.map_err(io)? {
                Received::Bytes(slice) => break slice,
                Received::End => {
                    return Err(LoadError::Closed { answers: reading.answers.count() });
                }
                Received::NoBuffer => self.core.receive_buffers().await,
            }
        };
        let now = clock::monotonic();
        let (mut sent, mut tally, mut count) = (sent.borrow_mut(), self.tally.borrow_mut(), 0);
        let Reading { answers, expected, frame_count } = reading;
        answers.feed(&slice, |answer, good| {
            let (wanted, found) = (*expected as i32, good.correlation_id);
            let Some(request) = sent.pop_front().filter(|_| wanted == found) else {
                return Err(LoadError::Order { answer, expected: wanted, found });
            };
            *expected = (*expected + 1) % *frame_count;
            count += 1;
            if request.intended >= self.from && now <= self.until {
                tally.requests += 1;
                tally.records_bytes += good.records_bytes as u64;
                let nanos = |from: Instant| now.since(from).as_nanos() as u64;
                let latencies = &mut tally.latencies[good.kind_index];
                latencies.response.saturating_record(nanos(request.intended).max(1));
                latencies.service.saturating_record(nanos(request.at).max(1));
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// A moment that is not overslept: the end of the wait is spun.
    async fn wait_until(&self, moment: Instant) {
        let now = clock::monotonic();
        if moment.since(now) > TIMER_SLACK {
            let nap = moment.since(now).saturating_sub(TIMER_SLACK);
            self.core.sleep_until(now + nap).await;
        }
        while clock::monotonic() < moment {
            self.core.turn_end().await;
        }
    }

    fn fail(&self, error: LoadError) {
        self.failure.borrow_mut().get_or_insert(error);
        self.core.stop();
    }
}

/// What a connection starts with.
struct Lane {
    index: usize,
    /// Connections of the load.
    count: usize,
    frames: Frames,
    reading: Reading,
}

/// The receiving half of a connection.
struct Reading {
    answers: Answers,
    /// Correlation id of the next answer: the index of its frame.
    expected: usize,
    frame_count: usize,
}

/// The sending half of a connection.
struct Writing {
    frames: Frames,
    next: usize,
    gather: Gather,
}

/// What the halves of an open-loop connection share.
#[derive(Default)]
struct OpenLane {
    sent: RefCell<VecDeque<Sent>>,
    answered: Bell,
    /// The connection is gone.
    ended: Cell<bool>,
}

impl Writing {
    fn new(frames: Frames) -> Self {
        Self { frames, next: 0, gather: Gather::new() }
    }

    /// Sends the next `count` frames with one call.
    async fn send(&mut self, core: &Core, socket: &Socket, count: usize) -> Result<(), LoadError> {
        let mut gather = std::mem::take(&mut self.gather);
        gather.clear();
        let mut left = count;
        while left > 0 {
            let now = left.min(self.frames.len());
            self.frames.run(self.next, now).into_iter().for_each(|bytes| gather.push_bytes(bytes));
            self.next = (self.next + now) % self.frames.len();
            left -= now;
        }
        let (result, gather) = socket.send(core, gather, false).await;
        self.gather = gather;
        result.map_err(|source| LoadError::Io { during: "send", source })
    }
}
