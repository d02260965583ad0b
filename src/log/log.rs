//! One partition's log: its parts, and what is asked of it most.

use super::append::{Run, TailBatches};
use super::config::LogConfig;
use super::directory::LogDir;
use super::durability::Durability;
use super::epochs::{EpochEntry, Epochs};
use super::error::LogError;
use super::flush::FolderState;
use super::producer_state::{ProducerLimits, ProducerStates};
use super::segment::Segment;
use super::segments::Segments;
use crate::model::{LeaderEpoch, Offset, Timestamp, TopicId};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// One partition's log. Belongs to one core; held in a `RefCell`, never borrowed across an await.
pub struct Log {
    pub(super) dir: Rc<LogDir>,
    pub(super) folder: Arc<Path>,
    pub(super) topic_id: TopicId,
    pub(super) config: LogConfig,
    pub(super) segments: Segments,
    pub(super) producers: ProducerStates,
    pub(super) epochs: Epochs,
    pub(super) log_start_offset: Offset,
    pub(super) log_end_offset: Offset,
    /// What is staged, in order; each run is one write into one segment.
    pub(super) runs: VecDeque<Run>,
    /// Runs whose memory is used again.
    pub(super) spare_runs: Vec<Run>,
    pub(super) next_offset: Offset,
    /// The next batch begins a new segment (its last one ends in damage).
    pub(super) must_roll: bool,
    /// The segment of the flush on its way.
    pub(super) segment_in_flight: Option<Rc<Segment>>,
    /// A flush is on its way, and whether its write went to the ring.
    pub(super) in_flight: bool,
    pub(super) write_in_worker: bool,
    pub(super) folder_state: Rc<FolderState>,
    pub(super) failure: Option<LogError>,
    pub(super) durability: Rc<Durability>,
    /// The newest batches of the active segment: reads at the tail need no disk.
    pub(super) tail: TailBatches,
}

/// Which log, and what is known of it from the directory's checkpoints.
#[derive(Clone, Debug)]
pub struct LogSpec {
    /// Name of the folder inside the log directory: `<topic>-<partition>`.
    pub folder: String,
    pub topic_id: TopicId,
    /// From `recovery-point-offset-checkpoint`; 0 where it has none.
    pub recovery_point: Offset,
    /// From `log-start-offset-checkpoint`; 0 where it has none.
    pub log_start_offset: Offset,
    /// The directory's clean-shutdown marker was there: no scan.
    pub is_clean: bool,
    /// Nobody else has its records: opening refuses damage that cost any, and changes nothing.
    pub refuses_damage: bool,
}

impl Log {
    /// A log without files: they are made with the first append.
    pub fn create(dir: Rc<LogDir>, spec: LogSpec, config: LogConfig) -> Self {
        let folder: Arc<Path> = dir.path().join(&spec.folder).into();
        let start = spec.log_start_offset;
        let limits = producer_limits(&config);
        Self {
            dir,
            folder,
            topic_id: spec.topic_id,
            config,
            segments: Segments::default(),
            producers: ProducerStates::new(limits),
            epochs: Epochs::default(),
            log_start_offset: start,
            log_end_offset: start,
            runs: VecDeque::new(),
            spare_runs: Vec::new(),
            next_offset: start,
            must_roll: false,
            segment_in_flight: None,
            in_flight: false,
            write_in_worker: false,
            folder_state: Rc::default(),
            failure: None,
            durability: Rc::new(Durability::new(start)),
            tail: TailBatches::default(),
        }
    }

    /// The log directory that its folder lies in.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    pub fn log_dir(&self) -> Rc<LogDir> {
        Rc::clone(&self.dir)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    pub fn set_config(&mut self, config: LogConfig) {
        self.producers.set_limits(producer_limits(&config));
        self.config = config;
    }

    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The offset after the last written record.
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// The offset that the next staged batch gets.
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// What is below survives a crash of the machine.
    pub fn recovery_point(&self) -> Offset {
        self.durability.recovery_point()
    }

    /// Written since the last fsync, in records: for `flush.messages`.
    pub fn unsynced_count(&self) -> i64 {
        self.log_end_offset.0 - self.recovery_point().0
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len.get()).sum()
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    pub fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Epoch of the last batch; -1 in an empty log.
    pub fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.latest().map_or(LeaderEpoch::NONE, |entry| entry.epoch)
    }

    pub fn epoch_entries(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    /// Epoch of the record at an offset.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.at(offset)
    }

    /// Kafka's OffsetsForLeaderEpoch: the largest epoch at or below `epoch` and its end offset.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_offset(epoch, self.log_start_offset, self.log_end_offset)
    }

    /// Whether an append is in a worker: a sendfile of the same file may wait for it.
    pub fn has_write_in_worker(&self) -> bool {
        self.write_in_worker
    }

    /// Whether something is staged or on its way.
    pub fn is_flushing(&self) -> bool {
        self.in_flight || !self.runs.is_empty()
    }

    /// Whether nothing is staged or on its way.
    pub fn is_flushed(&self) -> bool {
        !self.is_flushing()
    }

    /// Why appends are refused, if they are.
    pub fn failure(&self) -> Option<LogError> {
        self.failure.clone().or_else(|| self.dir.failure())
    }

    /// Why its directory is out of service, if it is: then nothing is read either.
    pub fn directory_failure(&self) -> Option<LogError> {
        self.dir.failure()
    }

    /// DeleteRecords: nothing below `to` (at most the high watermark) is read again. Whole
    /// segments go with the next `retain`. Gives the new log start offset.
    pub fn advance_log_start(&mut self, to: Offset) -> Offset {
        let to = to.min(self.log_end_offset);
        if to > self.log_start_offset {
            self.log_start_offset = to;
        }
        self.log_start_offset
    }

    /// The next staged batch begins a segment, so that all before it can go as a whole. Gives the
    /// offset that it gets.
    pub fn begin_segment(&mut self) -> Offset {
        let has_batches = |segment: Rc<Segment>| segment.staged_len.get() > 0;
        self.must_roll |= self.staging_segment().is_some_and(has_batches);
        self.next_offset
    }

    /// An empty log begins at `offset`, if that is higher.
    pub(super) fn begin_at(&mut self, offset: Offset) {
        assert!(self.segments.is_empty());
        self.log_start_offset = self.log_start_offset.max(offset);
        self.log_end_offset = self.log_start_offset;
        self.next_offset = self.log_start_offset;
        self.durability.on_all_synced(self.log_start_offset);
    }

    pub(super) fn active(&self) -> Option<&Rc<Segment>> {
        self.segments.last()
    }

    /// A new segment at `base`, not yet made on disk.
    pub(super) fn fresh_segment(&self, base: Offset, now: Timestamp) -> Rc<Segment> {
        Segment::fresh(Arc::clone(&self.folder), base, now)
    }
}

fn producer_limits(config: &LogConfig) -> ProducerLimits {
    ProducerLimits {
        expiration_ms: config.producer_expiration_ms,
        producers_max: config.producers_max,
    }
}
