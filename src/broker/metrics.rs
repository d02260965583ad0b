//! What the cores count, for whoever watches the broker.
//!
//! Each core has a block of counters that it alone writes, relaxed and in place: nothing is
//! allocated, locked or sent, and nothing is kept per partition. A thread that is no core reads
//! them when it is asked. What is a level and not a count is brought up to date once a second.

use super::control::CONTROLLER_SHARD;
use super::shard::Shard;
use crate::base::Counter;
use crate::log::append_path::{PathCounts, Way};
use crate::runtime::core::Counters;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Kafka's API keys are below this.
const API_KEYS: usize = 128;
/// Between two looks at levels.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The counters of all cores.
#[derive(Debug)]
pub struct Metrics {
    cores: Vec<CoreMetrics>,
}

/// One core's counters; on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub struct CoreMetrics {
    /// What the core's loop counts; there when the core is.
    turns: OnceLock<Arc<Counters>>,
    /// Requests begun, by API key.
    requests: [Counter; API_KEYS],

    /// Records and bytes of batches that were appended, duplicates aside.
    pub records_in: Counter,
    pub bytes_in: Counter,
    /// Bytes of batches in answers to fetches.
    pub bytes_out: Counter,
    /// Partitions of requests that were answered with an error.
    pub failed_produces: Counter,
    pub failed_fetches: Counter,

    /// Connections that are open, were accepted, and were refused because of a limit.
    pub connections: Counter,
    pub connections_accepted: Counter,
    pub connections_refused: Counter,
    /// Connections that the broker ended because of what they sent.
    pub connections_ended: Counter,
    /// Connections that the broker ended after connections.max.idle.ms.
    pub connections_expired: Counter,
    /// Receives that found no buffer in the receive ring.
    pub receive_parks: Counter,

    /// Slices of segment files that were not in the page cache and were brought in first.
    pub slices_warmed: Counter,
    /// Bytes of segment files that were read and sent as a copy: they stayed cold, or an append to
    /// the file was in a worker.
    pub bytes_copied: Counter,

    /// Turns of the core's loop that took so long that it was told. The watchdog counts them.
    pub stuck_turns: Counter,

    /// Partitions that this core owns.
    pub partitions: Counter,
    /// Groups that this core coordinates.
    pub groups: Counter,
    /// Of the whole cluster, and of all cores: the controller's core alone counts them.
    pub topics: Counter,
    pub cluster_partitions: Counter,
    pub offline_dirs: Counter,
    /// How appends reach the files, by log directory.
    pub appends: Vec<AppendMetrics>,
}

/// Appends of one core to one log directory.
#[derive(Debug, Default)]
pub struct AppendMetrics {
    /// Whether busy files are written through the ring: 1, or 0 for inline.
    pub is_ring: Counter,
    pub inline_writes: Counter,
    pub ring_writes: Counter,
    pub ring_at_once: Counter,
    pub ring_punted: Counter,
    pub over_budget: Counter,
}

impl Metrics {
    pub fn new(core_count: usize, dir_count: usize) -> Arc<Self> {
        let cores = (0..core_count).map(|_| CoreMetrics::new(dir_count)).collect();
        Arc::new(Self { cores })
    }

    /// By the cores' indexes.
    pub fn cores(&self) -> &[CoreMetrics] {
        &self.cores
    }
}

impl CoreMetrics {
    fn new(dir_count: usize) -> Self {
        Self {
            turns: OnceLock::new(),
            requests: std::array::from_fn(|_| Counter::default()),
            records_in: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            failed_produces: Counter::default(),
            failed_fetches: Counter::default(),
            connections: Counter::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            connections_ended: Counter::default(),
            connections_expired: Counter::default(),
            receive_parks: Counter::default(),
            slices_warmed: Counter::default(),
            bytes_copied: Counter::default(),
            stuck_turns: Counter::default(),
            partitions: Counter::default(),
            groups: Counter::default(),
            topics: Counter::default(),
            cluster_partitions: Counter::default(),
            offline_dirs: Counter::default(),
            appends: (0..dir_count).map(|_| AppendMetrics::default()).collect(),
        }
    }

    pub(super) fn attach(&self, turns: Arc<Counters>) {
        assert!(self.turns.set(turns).is_ok(), "a core has one shard");
    }

    /// What the core's loop counts, once it runs.
    pub fn turns(&self) -> Option<&Counters> {
        self.turns.get().map(AsRef::as_ref)
    }

    pub fn note_request(&self, api_key: i16) {
        if let Some(count) = self.of_api(api_key) {
            count.add(1);
        }
    }

    pub fn requests(&self, api_key: i16) -> u64 {
        self.of_api(api_key).map_or(0, Counter::get)
    }

    fn of_api(&self, api_key: i16) -> Option<&Counter> {
        usize::try_from(api_key).ok().and_then(|key| self.requests.get(key))
    }

    pub fn note_append(&self, records: u64, bytes: u64) {
        self.records_in.add(records);
        self.bytes_in.add(bytes);
    }
}

impl AppendMetrics {
    fn show(&self, way: Way, counts: PathCounts) {
        self.is_ring.set(u64::from(way == Way::Ring));
        self.inline_writes.set(counts.inline_writes);
        self.ring_writes.set(counts.ring_writes);
        self.ring_at_once.set(counts.ring_at_once);
        self.ring_punted.set(counts.ring_punted);
        self.over_budget.set(counts.over_budget);
    }
}

impl Shard {
    /// This core's counters.
    pub fn metrics(&self) -> &CoreMetrics {
        &self.facts.metrics.cores[self.index()]
    }

    /// Keeps the levels up to date.
    pub async fn keep_metrics(self: Rc<Self>) {
        loop {
            let metrics = self.metrics();
            metrics.partitions.set(self.partition_count() as u64);
            metrics.groups.set(self.group_count() as u64);
            for (shown, dir) in metrics.appends.iter().zip(&*self.log_dirs.borrow()) {
                let (way, counts) = dir.append_counts();
                shown.show(way, counts);
            }
            if self.index() == CONTROLLER_SHARD {
                self.count_cluster();
            }
            self.core().sleep(LOOK_AGAIN).await;
        }
    }
    fn count_cluster(&self) {
        let metrics = self.metrics();
        if let Some(image) = &*self.image.borrow() {
            metrics.topics.set(image.topics().len() as u64);
            metrics.cluster_partitions.set(image.partition_count() as u64);
        }
        let dirs = self.log_dirs.borrow();
        let offline = dirs.iter().filter(|dir| dir.failure().is_some()).count();
        metrics.offline_dirs.set(offline as u64);
    }
}
