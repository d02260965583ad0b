//! One core's whole world: the partitions it owns, the requests that have their home here, the
//! mail. It owns and routes, and decides nothing.

use super::call::Calls;
use super::control::ControllerHost;
use super::doing::Phase;
use super::fetch::Fetchers;
use super::fetch_session::{SessionCache, SessionLimits};
use super::groups::Groups;
use super::letter::{DoorNote, Letter};
use super::live_settings::LiveSettings;
use super::metrics::Metrics;
use super::partition::Partition;
use super::produce::Produces;
use super::told::Told;
use super::topic_settings::TopicSettings;
use crate::base::FastMap;
use crate::config::{BrokerConfig, TopicConfig};
use crate::controller::Image;
use crate::limits::LETTERS_PER_TURN_MAX;
use crate::log::LogDir;
use crate::model::{Offset, TopicId};
use crate::protocol::Writer;
use crate::record::Scratch;
use crate::runtime::mailbox::Port;
use crate::runtime::sync::{Bell, Gate};
use crate::runtime::{Core, Socket};
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// What the whole process shares, read-only.
pub struct Facts {
    pub config: BrokerConfig,
    pub listeners: Vec<Listener>,
    pub metrics: Arc<Metrics>,
}

/// A listener that is served, and what it tells its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    /// `None`: the address that the client has connected to.
    pub advertised_host: Option<String>,
    pub advertised_port: u16,
    /// What the host was resolved to when the broker started.
    pub advertised_addresses: Vec<IpAddr>,
}

fn sessions(config: &BrokerConfig, port: &Port<Letter>, secret: u64) -> SessionCache {
    let slots = (config.fetch_sessions_max as usize).div_ceil(port.core_count());
    let (core, cores) = (port.index() as u16, port.core_count() as u16);
    SessionCache::new(SessionLimits::of_slots(slots), core, cores, secret)
}

/// What the server hangs under the shard: letters that are for it.
pub struct Above {
    pub connection: Box<dyn Fn(Socket, Arrival)>,
    /// The core that accepts is told something.
    pub door: Box<dyn Fn(&DoorNote)>,
    /// Begins nothing more on the connections of this core, and closes them as they are answered;
    /// resolves when all are, or time is over.
    pub drain: Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>,
    /// The process was asked to stop.
    pub stop: Box<dyn Fn()>,
}

/// A connection that was dealt to this core.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub peer: SocketAddr,
    /// Index into the broker's listeners.
    pub listener: u16,
}

/// One core's shard. Fields are open to the room; others go through methods.
pub struct Shard {
    core: Core,
    port: Rc<Port<Letter>>,
    pub facts: Arc<Facts>,
    /// This core's copy of the cluster's metadata; there from the moment the logs are opened.
    pub(super) image: RefCell<Option<Image>>,
    /// Settings of the broker that change while it runs.
    pub live: LiveSettings,
    /// End of the metadata log, as far as the image follows it.
    pub(super) metadata_offset: Cell<Offset>,
    pub(super) log_dirs: RefCell<Vec<Rc<LogDir>>>,
    pub(super) partitions: RefCell<FastMap<(TopicId, i32), Rc<Partition>>>,
    pub produces: RefCell<Produces>,
    pub(super) fetchers: RefCell<Fetchers>,
    pub sessions: RefCell<SessionCache>,
    pub(super) calls: RefCell<Calls>,
    pub(super) groups: RefCell<Groups>,
    /// Partitions with staged batches, flushed at the end of the turn.
    pub(super) dirty: RefCell<Vec<Rc<Partition>>>,
    pub(super) dirty_bell: Bell,
    /// Memory that one request uses and the next one uses again.
    pub(super) scratch: RefCell<Scratch>,
    pub writer: RefCell<Writer>,
    pub places: RefCell<Vec<(u32, i32)>>,
    pub(super) producer_ids: RefCell<std::ops::Range<i64>>,
    /// The cluster's controller, on the shard that hosts it.
    pub controller: OnceCell<Rc<ControllerHost>>,
    pub above: OnceCell<Above>,
    pub connection_count: Cell<usize>,
    /// The broker stops: nobody waits any longer for what may come.
    pub(super) is_draining: Cell<bool>,
    /// What of the lines that clients cause is written.
    pub(super) told: RefCell<Told>,
    /// Held by whoever writes the checkpoint files.
    pub checkpoints_gate: Gate,
    /// Requests begun on this core.
    pub request_count: Cell<u64>,
    /// Large requests that arrive, and what there is of them.
    pub arriving_count: Cell<usize>,
    pub arriving_bytes: Cell<usize>,
}

impl Shard {
    pub fn new(core: Core, port: Rc<Port<Letter>>, facts: Arc<Facts>) -> Rc<Self> {
        port.attach(&core);
        let secret = u64::from_ne_bytes(core.random());
        let sessions = sessions(&facts.config, &port, secret);
        let live = LiveSettings::new(&facts.config);
        let shard = Rc::new(Self {
            core,
            port,
            facts,
            image: RefCell::default(),
            live,
            metadata_offset: Cell::new(Offset(-1)),
            log_dirs: RefCell::default(),
            partitions: RefCell::default(),
            produces: RefCell::default(),
            fetchers: RefCell::default(),
            sessions: RefCell::new(sessions),
            calls: RefCell::default(),
            groups: RefCell::default(),
            dirty: RefCell::default(),
            dirty_bell: Bell::default(),
            scratch: RefCell::new(Scratch::new()),
            writer: RefCell::default(),
            places: RefCell::default(),
            producer_ids: RefCell::new(0..0),
            controller: OnceCell::new(),
            above: OnceCell::new(),
            connection_count: Cell::new(0),
            is_draining: Cell::new(false),
            told: RefCell::default(),
            checkpoints_gate: Gate::default(),
            request_count: Cell::new(0),
            arriving_count: Cell::new(0),
            arriving_bytes: Cell::new(0),
        });
        shard.metrics().attach(shard.core.shared_counters());
        shard.core.spawn(Rc::clone(&shard).open_mail());
        shard.core.spawn(Rc::clone(&shard).append_staged());
        shard
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Index of this shard, which is that of its core.
    pub fn index(&self) -> usize {
        self.port.index()
    }

    pub fn core_count(&self) -> usize {
        self.port.core_count()
    }

    /// The cluster's metadata on this core. No request is served before it is there.
    pub fn image(&self) -> Ref<'_, Image> {
        Ref::map(self.image.borrow(), |image| image.as_ref().expect("opened before served"))
    }

    pub fn metadata_offset(&self) -> Offset {
        self.metadata_offset.get()
    }

    pub fn send(&self, to: usize, letter: Letter) {
        self.port.send(to, letter);
    }

    /// The shard that owns a partition, for the life of the process: a topic's partitions lie on
    /// all cores in turn, and topics begin at different ones.
    pub fn owner(&self, topic: TopicId, partition: i32) -> usize {
        let seed = u32::from_be_bytes([topic.0[12], topic.0[13], topic.0[14], topic.0[15]]);
        (seed.wrapping_add(partition as u32) as usize) % self.core_count()
    }

    pub fn owns(&self, topic: TopicId, partition: i32) -> bool {
        self.owner(topic, partition) == self.index()
    }

    pub(super) fn partition(&self, topic: TopicId, partition: i32) -> Option<Rc<Partition>> {
        self.partitions.borrow().get(&(topic, partition)).cloned()
    }

    pub fn partition_count(&self) -> usize {
        self.partitions.borrow().len()
    }

    pub(super) fn settings(&self, config: &TopicConfig) -> TopicSettings {
        let broker = &self.facts.config;
        TopicSettings::new(config, broker.strict_records, self.live.producer_id_expiration())
    }

    /// Opens letters as long as the core runs.
    async fn open_mail(self: Rc<Self>) {
        loop {
            self.core.mail().await;
            for _ in 0..LETTERS_PER_TURN_MAX {
                match self.port.receive() {
                    Some(letter) => self.open(letter),
                    None => break,
                }
            }
            // Mail may wait already, and would be opened at once: others have their turn first.
            self.core.turn_end().await;
        }
    }

    fn open(self: &Rc<Self>, letter: Letter) {
        match letter {
            Letter::Append(part) => self.append_here(part),
            Letter::Appended { ticket, index, outcome } => {
                self.produces.borrow_mut().note(ticket, index, outcome);
            }
            Letter::Read { home, fetcher, round, errand } => {
                self.read_for(home, fetcher, round, errand);
            }
            Letter::ReadDone { fetcher, round, errand } => self.read_done(fetcher, round, errand),
            Letter::Woken(watch) => self.wake_fetcher(watch),
            Letter::Call { home, ticket, call } => self.called(home, ticket, *call),
            Letter::Reply { ticket, reply } => self.calls.borrow_mut().close(ticket, *reply),
            Letter::Connection { socket, peer, listener } => match self.above.get() {
                Some(above) => (above.connection)(socket, Arrival { peer, listener }),
                None => drop(socket),
            },
            Letter::Door(note) => {
                if let Some(above) = self.above.get() {
                    (above.door)(&note);
                }
            }
            Letter::Halt => {
                self.tell_left_out(true);
                self.tell_counters();
                self.core.stop();
            }
            Letter::Stop => {
                if let Some(above) = self.above.get() {
                    (above.stop)();
                }
            }
        }
    }

    /// Says what this core has done in its life, system calls above all.
    fn tell_counters(&self) {
        let counters = self.core.counters();
        let (requests, enters) = (self.request_count.get(), counters.enters.get());
        let inline = counters.inline_calls.get();
        let per_request = (enters + inline) as f64 / requests.max(1) as f64;
        tracing::info!(
            "core {}: {requests} requests, {enters} ring enters and {inline} inline calls \
             ({per_request:.2} a request), {} operations, {} sleeps in {} turns, {} inline calls \
             over 5 ms",
            self.index(),
            counters.ops.get(),
            counters.sleeps.get(),
            counters.turns.get(),
            counters.inline_stalls.get(),
        );
    }

    /// Flushes what was staged in a turn, at its end: one gathered write per partition.
    async fn append_staged(self: Rc<Self>) {
        loop {
            self.dirty_bell.heard().await;
            self.core.turn_end().await;
            self.stage_groups();
            let mut dirty = self.dirty.take();
            for partition in dirty.drain(..) {
                self.doing_at(Phase::Write, partition.topic, partition.index);
                partition.flush(&self);
            }
            // Keeps the memory; a flush may have marked partitions again.
            dirty.append(&mut self.dirty.borrow_mut());
            self.dirty.replace(dirty);
        }
    }
}
