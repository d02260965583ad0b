//! Staging: the first step of an append. Offsets, producer state and the bytes to write.
//!
//! What is staged is kept in *runs*: one run is one write into one segment. A batch joins the last
//! run, or begins a new one when it begins a new segment. Received bytes are never changed: a fresh
//! head goes before the rest of them.

use super::error::StageError;
use super::index::{IndexMark, IndexedBatch};
use super::log::Log;
use super::producer_state::{Duplicate, ProducerBatch, Verdict};
use super::segment::Segment;
use super::snapshot;
use crate::base::FastSet;
use crate::model::{LeaderEpoch, Offset, Timestamp};
use crate::record::{BatchHeader, Stamp};
use crate::runtime::{Gather, Slice};
use bytes::Bytes;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::rc::Rc;

/// The most bytes of one write: one call of 4 MiB costs four times as much a byte.
pub const WRITE_BYTES_MAX: usize = 1 << 20;
/// The most pieces of one write: the kernel's limit of 1,024 less some.
const WRITE_PIECES_MAX: usize = 1000;
/// Batches remembered at the tail.
const TAIL_BATCHES: usize = 64;

/// Bytes of a batch: received (in a counted block), or made by this broker.
#[derive(Clone, Debug)]
pub enum Part {
    Slice(Slice),
    Bytes(Bytes),
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staged {
    /// It has its offsets; it is written by the next flush, and done when the log end offset is
    /// above `last_offset`.
    New { base_offset: Offset, last_offset: Offset, max_timestamp: Timestamp },
    /// It was appended before; if `staged` is set the first one is not written yet, and the answer
    /// waits for the log end offset to pass `last_offset`.
    Duplicate(Duplicate),
}

/// Batches that one write takes to one segment.
pub(super) struct Run {
    pub segment: Rc<Segment>,
    /// The segment is new: its files are to be made.
    pub is_roll: bool,
    /// Damage at the end of the segment before forced it: after a failure it comes again.
    pub is_forced: bool,
    /// Producer state as of the new segment's base, where there is a segment before it.
    pub snapshot: Option<Vec<u8>>,
    pub position: u64,
    pub first_offset: Offset,
    pub end_offset: Offset,
    pub max_timestamp: Timestamp,
    pub gathers: Vec<Gather>,
    pub bytes: u64,
    pub batches: Vec<TailBatch>,
    /// The segment's indexes before this run.
    pub mark: IndexMark,
}

/// Where a batch of the active segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TailBatch {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub position: u64,
    pub bytes: u32,
}

/// The newest written batches, oldest first.
#[derive(Default)]
pub(super) struct TailBatches(VecDeque<TailBatch>);

impl TailBatches {
    pub fn push(&mut self, batch: TailBatch) {
        if self.0.len() == TAIL_BATCHES {
            self.0.pop_front();
        }
        self.0.push_back(batch);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The first batch that ends at or after `offset`, if the batches reach back that far.
    pub fn ceiling(&self, offset: Offset) -> Option<TailBatch> {
        let first = self.0.front()?;
        if offset < first.base_offset {
            return None;
        }
        let index = self.0.partition_point(|batch| batch.last_offset < offset);
        self.0.get(index).copied()
    }

    /// The last batch boundary at or before `position`, if it is after `from`.
    pub fn boundary_before(&self, from: u64, position: u64) -> Option<u64> {
        let after = self.0.partition_point(|batch| batch.position <= position);
        let boundary = self.0.get(after.checked_sub(1)?)?.position;
        (boundary > from).then_some(boundary)
    }
}

/// One batch on its way into the log.
struct Incoming<'a> {
    header: &'a BatchHeader,
    base_offset: Offset,
    last_offset: Offset,
    leader_epoch: LeaderEpoch,
    max_timestamp: Timestamp,
    producer: Option<ProducerBatch>,
}

impl Log {
    /// Stages one valid batch as the leader of `leader_epoch`. `header` is the received header,
    /// `parts` the whole received batch (or the whole new batch); `stamp` gives the bytes that take
    /// the place of its first ones, from the offset and epoch that the batch gets
    /// (`|base, epoch| valid.stamp(base, epoch, ..)`).
    pub fn stage<P: Into<Part>>(
        &mut self,
        header: &BatchHeader,
        parts: impl IntoIterator<Item = P>,
        leader_epoch: LeaderEpoch,
        now: Timestamp,
        stamp: impl FnOnce(Offset, LeaderEpoch) -> Stamp,
    ) -> Result<Staged, StageError> {
        let base_offset = self.next_offset;
        let stamp = stamp(base_offset, leader_epoch);
        let max_timestamp = match &stamp {
            Stamp::Head(_) => header.max_timestamp,
            Stamp::Header(raw) => {
                BatchHeader::decode(raw).expect("a stamp is a header").max_timestamp
            }
        };
        let producer = match ProducerBatch::new(header, max_timestamp) {
            Some(batch) if !header.attributes.is_control() => {
                match self.producers.check(&batch, now)? {
                    Verdict::Duplicate(duplicate) => return Ok(Staged::Duplicate(duplicate)),
                    Verdict::Append => Some(batch),
                }
            }
            _ => None,
        };
        let last_offset = base_offset.plus(i64::from(header.last_offset_delta));
        let incoming =
            Incoming { header, base_offset, last_offset, leader_epoch, max_timestamp, producer };
        self.stage_incoming(&incoming, stamp.bytes(), parts, now)
    }

    /// Stages one batch as a follower: offsets, epoch and bytes stay as the leader wrote them.
    pub fn stage_replica<P: Into<Part>>(
        &mut self,
        header: &BatchHeader,
        parts: impl IntoIterator<Item = P>,
        now: Timestamp,
    ) -> Result<Staged, StageError> {
        let (base_offset, next_offset) = (header.base_offset, self.next_offset);
        if base_offset < next_offset {
            return Err(StageError::OutOfOrder { base_offset, next_offset });
        }
        let incoming = Incoming {
            header,
            base_offset,
            last_offset: header.last_offset(),
            leader_epoch: header.leader_epoch,
            max_timestamp: header.max_timestamp,
            producer: None,
        };
        let staged = self.stage_incoming(&incoming, &[], parts, now)?;
        if let Some(batch) = ProducerBatch::new(header, header.max_timestamp)
            && !header.attributes.is_control()
            && self.producers.check(&batch, now) == Ok(Verdict::Append)
        {
            self.producers.stage(&batch, base_offset, now);
        }
        Ok(staged)
    }

    fn stage_incoming<P: Into<Part>>(
        &mut self,
        incoming: &Incoming<'_>,
        head: &[u8],
        parts: impl IntoIterator<Item = P>,
        now: Timestamp,
    ) -> Result<Staged, StageError> {
        if let Some(error) = self.failure() {
            return Err(error.into());
        }
        let bytes = incoming.header.total_bytes();
        let segment_bytes = self.segment_bytes_max();
        if bytes as u64 > segment_bytes {
            return Err(StageError::LargerThanSegment { bytes, segment_bytes });
        }
        self.open_run(incoming, bytes as u64, now);
        let dir = Rc::clone(&self.dir);
        let run = self.runs.back_mut().expect("just opened");
        run.push(&dir, head, parts, bytes);
        let position = run.segment.staged_len.get();
        run.on_batch(incoming, position, self.config.index_interval_bytes);
        if let Some(batch) = &incoming.producer {
            self.producers.stage(batch, incoming.base_offset, now);
        }
        if self.epochs.assign(incoming.leader_epoch, incoming.base_offset) {
            self.folder_state.epochs_changed.set(true);
        }
        self.next_offset = incoming.last_offset.plus(1);
        let &Incoming { base_offset, last_offset, max_timestamp, .. } = incoming;
        Ok(Staged::New { base_offset, last_offset, max_timestamp })
    }

    /// Makes sure that the last run takes this batch: a new one where none is, or where the batch
    /// begins a segment.
    fn open_run(&mut self, incoming: &Incoming<'_>, bytes: u64, now: Timestamp) {
        let last = self.staging_segment();
        let is_roll = last.as_ref().is_none_or(|segment| {
            self.must_roll || self.is_roll_due(segment, incoming, bytes, now)
        });
        if !is_roll && !self.runs.is_empty() {
            return;
        }
        let (mut snapshot, is_forced) = (None, self.must_roll);
        let segment = match last {
            Some(segment) if !is_roll => segment,
            last => {
                if last.is_some() || !self.producers.is_empty() {
                    snapshot =
                        Some(snapshot::encode(&self.producers.entries_at(incoming.base_offset)));
                }
                self.must_roll = false;
                self.fresh_segment(incoming.base_offset, now)
            }
        };
        let run = self.spare_runs.pop();
        let run = Run { is_forced, ..Run::new(run, segment, is_roll, incoming.base_offset) };
        self.runs.push_back(Run { snapshot, ..run });
    }

    /// The segment that the last staged batch went to, or the active one.
    pub(super) fn staging_segment(&self) -> Option<Rc<Segment>> {
        let staged = self.runs.back().map(|run| &run.segment);
        staged.or(self.segment_in_flight.as_ref()).or(self.active()).cloned()
    }

    /// Kafka's rules: size, time since the first batch, a full index, offsets that do not fit.
    fn is_roll_due(
        &self,
        segment: &Segment,
        incoming: &Incoming<'_>,
        bytes: u64,
        now: Timestamp,
    ) -> bool {
        let len = segment.staged_len.get();
        let is_index_full = || {
            let indexes = segment.indexes.borrow();
            indexes.as_ref().is_some_and(|i| i.is_full(self.config.segment_index_bytes))
        };
        len + bytes > self.segment_bytes_max()
            || (len > 0 && self.is_time_over(segment, incoming.max_timestamp, now))
            || is_index_full()
            || incoming.last_offset.0 - segment.base.0 > i64::from(i32::MAX)
    }

    fn is_time_over(&self, segment: &Segment, max_timestamp: Timestamp, now: Timestamp) -> bool {
        let first = segment.first_timestamp.get();
        let waited_ms = if first.0 >= 0 && max_timestamp.0 >= 0 {
            max_timestamp.0.saturating_sub(first.0)
        } else {
            now.0.saturating_sub(segment.created_at.get().0)
        };
        waited_ms > self.config.segment_ms.saturating_sub(self.jitter_ms(segment.base))
    }

    /// A part of the jitter that is the same whenever this segment is looked at.
    fn jitter_ms(&self, base: Offset) -> i64 {
        let jitter = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if jitter <= 0 {
            return 0;
        }
        let hash = FastSet::<u8>::default().hasher().hash_one((&self.folder, base));
        (hash % jitter as u64) as i64
    }

    /// Positions in a segment are `i32` in its index.
    fn segment_bytes_max(&self) -> u64 {
        self.config.segment_bytes.min(i32::MAX as u64)
    }

    /// Forgets all that is staged; what a failed flush carried goes too.
    pub(super) fn unstage(&mut self, failed: Run) {
        let from = failed.first_offset;
        self.producers.rollback_from(from);
        if self.epochs.truncate_end(from) {
            self.folder_state.epochs_changed.set(true);
        }
        let runs: Vec<Run> = self.runs.drain(..).collect();
        if !runs.is_empty() {
            super::rare::Rare::StagedBehindFailure.reached();
        }
        for run in runs.into_iter().rev().chain([failed]) {
            self.must_roll |= run.is_forced;
            run.segment.staged_len.set(run.position);
            if let Some(indexes) = &mut *run.segment.indexes.borrow_mut() {
                indexes.restore(&run.mark);
            }
            self.recycle(run);
        }
        self.next_offset = self.log_end_offset;
    }

    pub(super) fn recycle(&mut self, mut run: Run) {
        for gather in run.gathers.drain(..) {
            self.dir.give_gather(gather);
        }
        run.batches.clear();
        if self.spare_runs.is_empty() {
            self.spare_runs.push(run);
        }
    }
}

impl Run {
    fn new(spare: Option<Self>, segment: Rc<Segment>, is_roll: bool, first_offset: Offset) -> Self {
        let (gathers, batches) = spare.map(|run| (run.gathers, run.batches)).unwrap_or_default();
        let indexes = segment.indexes.borrow();
        let mark = indexes.as_ref().expect("the active segment is loaded").mark();
        drop(indexes);
        Self {
            position: segment.staged_len.get(),
            segment,
            is_roll,
            is_forced: false,
            snapshot: None,
            first_offset,
            end_offset: first_offset,
            max_timestamp: Timestamp::NONE,
            gathers,
            bytes: 0,
            batches,
            mark,
        }
    }

    /// Gathers `head` and what of the parts comes after as many bytes.
    fn push<P: Into<Part>>(
        &mut self,
        dir: &super::directory::LogDir,
        head: &[u8],
        parts: impl IntoIterator<Item = P>,
        bytes: usize,
    ) {
        self.gather(dir).push_copy(head);
        let (mut skip, mut pushed) = (head.len(), head.len());
        for part in parts {
            let part: Part = part.into();
            let mut at = skip.min(part.len());
            skip -= at;
            while at < part.len() {
                let gather = self.gather(dir);
                let take = (part.len() - at).min(WRITE_BYTES_MAX - gather.len());
                part.push_to(gather, at, take);
                at += take;
                pushed += take;
            }
        }
        assert_eq!(pushed, bytes, "the parts are the whole batch");
        self.bytes += bytes as u64;
    }

    /// The last gather, or a new one when it is full.
    fn gather(&mut self, dir: &super::directory::LogDir) -> &mut Gather {
        let is_full = self.gathers.last().is_none_or(|gather| {
            gather.len() >= WRITE_BYTES_MAX - 64 || gather.piece_count() >= WRITE_PIECES_MAX
        });
        if is_full {
            self.gathers.push(dir.take_gather());
        }
        self.gathers.last_mut().expect("just made")
    }

    fn on_batch(&mut self, incoming: &Incoming<'_>, position: u64, interval: u32) {
        let bytes = incoming.header.total_bytes() as u32;
        let &Incoming { base_offset, last_offset, max_timestamp, .. } = incoming;
        let segment = &self.segment;
        if position == 0 {
            segment.first_timestamp.set(max_timestamp);
        }
        let batch = IndexedBatch { last_offset, max_timestamp, bytes: u64::from(bytes) };
        if let Some(indexes) = &mut *segment.indexes.borrow_mut() {
            indexes.on_batch(segment.base, &batch, position, interval);
        }
        segment.staged_len.set(position + u64::from(bytes));
        self.batches.push(TailBatch { base_offset, last_offset, position, bytes });
        self.end_offset = last_offset.plus(1);
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
    }
}

impl Part {
    pub fn len(&self) -> usize {
        match self {
            Self::Slice(slice) => slice.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push_to(&self, gather: &mut Gather, at: usize, len: usize) {
        match self {
            Self::Slice(slice) => gather.push_slice(slice.range(at, len)),
            Self::Bytes(bytes) => gather.push_bytes(bytes.slice(at..at + len)),
        }
    }
}

impl From<Slice> for Part {
    fn from(slice: Slice) -> Self {
        Self::Slice(slice)
    }
}

impl From<Bytes> for Part {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
