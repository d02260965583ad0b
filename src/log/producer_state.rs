//! What a partition remembers of its idempotent producers: the last five batches of each, so that a
//! batch sent twice is stored once and answered with its first offset.
//!
//! An append takes two steps. [`ProducerStates::check`] judges a batch and changes nothing.
//! [`ProducerStates::stage`] then counts it as appended at its offset, so that the next batch of the
//! same turn is judged after it; what was there before is kept aside. When the write is done,
//! `commit_through` forgets the old state; when it failed, `rollback_from` puts it back, newest
//! first. A duplicate of a batch that is only staged says so: its answer waits for the same write.
//!
//! The rules are Kafka's. An older epoch is refused; a newer one starts at sequence 0; within an
//! epoch sequences follow each other, and after `i32::MAX` comes 0. A producer that is not known may
//! start anywhere: its state may have expired, or its records may be deleted. Beyond the five
//! remembered batches a duplicate is out of order.
//!
//! Memory is bounded: above `producers_max` the producers that were idle longest are forgotten (as
//! if they had expired: they lose nothing but the recognition of their last duplicates). Ids are
//! chosen by clients, so the map is ordered and not hashed.

use crate::model::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::record::BatchHeader;
use crate::record::batch::{NO_SEQUENCE, sequence_minus, sequence_plus};
use std::collections::{BTreeMap, VecDeque};

/// Batches remembered per producer: clients have at most five requests in flight.
pub const BATCHES_MAX: usize = 5;
/// A place where no batch is remembered.
const NO_BATCH: AppendedBatch = AppendedBatch {
    last_sequence: NO_SEQUENCE,
    last_offset: Offset(-1),
    offset_delta: 0,
    timestamp: Timestamp::NONE,
};
/// When the bound is passed, this part of all producers goes at once, so that each costs little.
const EVICTED_PART: usize = 16;

/// How long and how many producers are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// `producer.id.expiration.ms`.
    pub expiration_ms: i64,
    pub producers_max: usize,
}

/// What producer state needs to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub last_offset_delta: i32,
    /// The batch's newest time, as stored.
    pub timestamp: Timestamp,
    pub transactional: bool,
}

/// A batch that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It comes next.
    Append,
    /// It was appended before.
    Duplicate(Duplicate),
}

/// Where a batch was appended the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub timestamp: Timestamp,
    /// The first one is not written yet: the answer must wait for it, and fails with it.
    pub staged: bool,
}

/// Why a batch may not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// Kafka's `INVALID_PRODUCER_EPOCH`.
    #[error("producer {id} has epoch {current}; epoch {epoch} is over")]
    StaleEpoch { id: ProducerId, epoch: ProducerEpoch, current: ProducerEpoch },
    /// Kafka's `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("producer {id} sent sequence {sequence} where {expected} comes next")]
    OutOfOrder { id: ProducerId, sequence: i32, expected: i32 },
    /// Kafka's `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("producer {id} began epoch {epoch} with sequence {sequence} and not with 0")]
    EpochStart { id: ProducerId, epoch: ProducerEpoch, sequence: i32 },
    /// Kafka's `INVALID_TXN_STATE`.
    #[error("producer {id} has a transaction open since offset {since}")]
    TransactionOpen { id: ProducerId, since: Offset },
}

/// A batch that a producer appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendedBatch {
    pub last_sequence: i32,
    pub last_offset: Offset,
    pub offset_delta: i32,
    pub timestamp: Timestamp,
}

/// What is remembered of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    /// Of the last transaction coordinator that ended one of its transactions; -1 for none.
    pub coordinator_epoch: i32,
    /// Time of the last batch or marker.
    pub timestamp: Timestamp,
    /// Where its open transaction began.
    pub txn_first_offset: Option<Offset>,
    /// When this broker last heard of it; decides expiry.
    active_at: Timestamp,
    batches: [AppendedBatch; BATCHES_MAX],
    batch_count: u8,
}

/// State before a batch was staged.
#[derive(Clone, Copy, Debug)]
struct Staged {
    id: ProducerId,
    base_offset: Offset,
    last_offset: Offset,
    before: Option<ProducerEntry>,
}

/// The producers of one partition.
#[derive(Clone, Debug)]
pub struct ProducerStates {
    limits: ProducerLimits,
    producers: BTreeMap<ProducerId, ProducerEntry>,
    /// In order of offset.
    staged: VecDeque<Staged>,
    evicted_count: u64,
}

impl ProducerStates {
    pub const fn new(limits: ProducerLimits) -> Self {
        Self { limits, producers: BTreeMap::new(), staged: VecDeque::new(), evicted_count: 0 }
    }

    pub fn set_limits(&mut self, limits: ProducerLimits) {
        self.limits = limits;
    }

    /// Takes over what a snapshot said, but for producers that have expired. Whatever was known is
    /// forgotten.
    pub fn load(&mut self, entries: impl IntoIterator<Item = ProducerEntry>, now: Timestamp) {
        assert!(self.staged.is_empty());
        self.producers.clear();
        for entry in entries {
            let entry = ProducerEntry { active_at: entry.timestamp.min(now), ..entry };
            if !self.is_expired(&entry, now) {
                self.producers.insert(entry.id, entry);
            }
        }
        self.evict();
    }

    /// Counts a batch that the log already holds; it was judged when it was written.
    pub fn replay(&mut self, batch: &ProducerBatch, base_offset: Offset, now: Timestamp) {
        assert!(self.staged.is_empty());
        let known = self.producers.get(&batch.id).copied();
        let entry = with_batch(known, batch, base_offset, batch.timestamp.min(now));
        self.producers.insert(batch.id, entry);
        self.evict();
    }

    /// Counts the marker that ended a transaction of a producer.
    pub fn replay_marker(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        coordinator_epoch: i32,
        timestamp: Timestamp,
        now: Timestamp,
    ) {
        assert!(self.staged.is_empty());
        let entry = self.producers.entry(id).or_insert_with(|| ProducerEntry::new(id, epoch));
        entry.begin_epoch(epoch);
        entry.coordinator_epoch = coordinator_epoch;
        entry.timestamp = timestamp;
        entry.active_at = timestamp.min(now);
        entry.txn_first_offset = None;
        self.evict();
    }

    /// Judges a batch of an idempotent producer, after all that were staged. Changes nothing.
    pub fn check(&self, batch: &ProducerBatch, now: Timestamp) -> Result<Verdict, ProducerError> {
        let &ProducerBatch { id, epoch, base_sequence: sequence, .. } = batch;
        let Some(entry) = self.known(id, now) else {
            return Ok(Verdict::Append);
        };
        if let Some(first) = entry.find(batch) {
            let last_offset = first.last_offset;
            return Ok(Verdict::Duplicate(Duplicate {
                base_offset: first.base_offset(),
                last_offset,
                timestamp: first.timestamp,
                staged: self.staged.iter().rev().any(|staged| staged.last_offset == last_offset),
            }));
        }
        if epoch < entry.epoch {
            return Err(ProducerError::StaleEpoch { id, epoch, current: entry.epoch });
        }
        let expected = entry.next_sequence();
        if epoch > entry.epoch && sequence != 0 {
            return Err(ProducerError::EpochStart { id, epoch, sequence });
        }
        if epoch == entry.epoch && sequence != expected {
            return Err(ProducerError::OutOfOrder { id, sequence, expected });
        }
        match entry.txn_first_offset {
            Some(since) if !batch.transactional => {
                Err(ProducerError::TransactionOpen { id, since })
            }
            _ => Ok(Verdict::Append),
        }
    }

    /// Counts a batch that `check` let pass as appended at `base_offset`, until the write is known
    /// to have succeeded or failed.
    pub fn stage(&mut self, batch: &ProducerBatch, base_offset: Offset, now: Timestamp) {
        assert!(self.staged.back().is_none_or(|staged| staged.last_offset < base_offset));
        debug_assert_eq!(self.check(batch, now), Ok(Verdict::Append));
        let before = self.producers.get(&batch.id).copied();
        let known = self.known(batch.id, now).copied();
        self.producers.insert(batch.id, with_batch(known, batch, base_offset, now));
        let last_offset = base_offset.plus(i64::from(batch.last_offset_delta));
        self.staged.push_back(Staged { id: batch.id, base_offset, last_offset, before });
    }

    /// The log is written up to `end`: staged batches below it stay.
    pub fn commit_through(&mut self, end: Offset) {
        while self.staged.front().is_some_and(|staged| staged.last_offset < end) {
            self.staged.pop_front();
        }
        self.evict();
    }

    /// The log will not hold what was staged at `offset` and after: everything is as before.
    pub fn rollback_from(&mut self, offset: Offset) {
        while let Some(&staged) = self.staged.back()
            && staged.base_offset >= offset
        {
            self.staged.pop_back();
            match staged.before {
                Some(before) => self.producers.insert(staged.id, before),
                None => self.producers.remove(&staged.id),
            };
        }
    }

    /// The log was cut: batches that end at `end` or after are forgotten. Gives the number of
    /// producers of which nothing is left. Their earlier batches may still lie in the log, so if it
    /// is not 0 the exact state is that of the last snapshot and a replay from there.
    pub fn truncate(&mut self, end: Offset) -> usize {
        assert!(self.staged.is_empty());
        let count = self.producers.len();
        self.producers.retain(|_, entry| entry.truncate(end));
        count - self.producers.len()
    }

    /// Forgets all producers.
    pub fn clear(&mut self) {
        assert!(self.staged.is_empty());
        self.producers.clear();
    }

    /// Forgets producers that have been idle too long; gives their number. A sweep over all, for a
    /// timer of minutes; a producer that has expired is not known to `check` in any case.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        let (count, limits) = (self.producers.len(), self.limits);
        self.producers.retain(|_, entry| !entry.is_expired(&limits, now));
        count - self.producers.len()
    }

    /// The state as of `offset`, for a snapshot: without what was staged there and after. In order
    /// of id.
    pub fn entries_at(&self, offset: Offset) -> Vec<ProducerEntry> {
        let mut before = BTreeMap::new();
        for staged in self.staged.iter().rev().take_while(|staged| staged.base_offset >= offset) {
            before.insert(staged.id, staged.before);
        }
        let entry_at = |(id, entry): (&ProducerId, &ProducerEntry)| {
            before.get(id).copied().unwrap_or(Some(*entry))
        };
        self.producers.iter().filter_map(entry_at).collect()
    }

    /// The known producers, staged batches included, in order of id.
    pub fn entries(&self) -> impl Iterator<Item = &ProducerEntry> {
        self.producers.values()
    }

    /// The producers that have not expired, in order of id.
    pub fn known_entries(&self, now: Timestamp) -> impl Iterator<Item = &ProducerEntry> {
        self.producers.values().filter(move |entry| !entry.is_expired(&self.limits, now))
    }

    pub fn len(&self) -> usize {
        self.producers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Batches that are neither committed nor rolled back.
    pub fn staged_count(&self) -> usize {
        self.staged.len()
    }

    /// Producers forgotten because there were too many.
    pub const fn evicted_count(&self) -> u64 {
        self.evicted_count
    }

    fn known(&self, id: ProducerId, now: Timestamp) -> Option<&ProducerEntry> {
        self.producers.get(&id).filter(|entry| !self.is_expired(entry, now))
    }

    fn is_expired(&self, entry: &ProducerEntry, now: Timestamp) -> bool {
        entry.is_expired(&self.limits, now)
    }

    /// Brings the count back under its bound. Producers with an open transaction or a staged batch
    /// stay.
    fn evict(&mut self) {
        let over = self.producers.len().saturating_sub(self.limits.producers_max);
        if over == 0 {
            return;
        }
        let mut idle: Vec<(Timestamp, ProducerId)> = self
            .producers
            .values()
            .filter(|entry| entry.txn_first_offset.is_none())
            .filter(|entry| self.staged.iter().all(|staged| staged.id != entry.id))
            .map(|entry| (entry.active_at, entry.id))
            .collect();
        let part = self.limits.producers_max / EVICTED_PART;
        let count = over.max(part).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable(count);
        }
        for (_, id) in &idle[..count] {
            self.producers.remove(id);
        }
        self.evicted_count += count as u64;
    }
}

impl ProducerBatch {
    /// The facts of a batch with a producer; `timestamp` is its newest time as it is stored.
    pub fn new(header: &BatchHeader, timestamp: Timestamp) -> Option<Self> {
        header.has_producer().then_some(Self {
            id: header.producer_id,
            epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            last_offset_delta: header.last_offset_delta,
            timestamp,
            transactional: header.attributes.is_transactional(),
        })
    }

    /// Sequence of its last record; -1 where brokers wrote it without sequences.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        sequence_plus(self.base_sequence, self.last_offset_delta)
    }
}

impl AppendedBatch {
    pub const fn base_offset(&self) -> Offset {
        self.last_offset.plus(-(self.offset_delta as i64))
    }

    pub const fn base_sequence(&self) -> i32 {
        sequence_minus(self.last_sequence, self.offset_delta)
    }
}

impl ProducerEntry {
    /// A producer without batches.
    pub const fn new(id: ProducerId, epoch: ProducerEpoch) -> Self {
        Self {
            id,
            epoch,
            coordinator_epoch: -1,
            timestamp: Timestamp::NONE,
            txn_first_offset: None,
            active_at: Timestamp::NONE,
            batches: [NO_BATCH; BATCHES_MAX],
            batch_count: 0,
        }
    }

    /// The remembered batches, oldest first.
    pub fn batches(&self) -> &[AppendedBatch] {
        &self.batches[..usize::from(self.batch_count)]
    }

    /// Remembers one more batch; the sixth oldest is forgotten.
    pub fn push(&mut self, batch: AppendedBatch) {
        if usize::from(self.batch_count) == BATCHES_MAX {
            self.batches.copy_within(1.., 0);
        } else {
            self.batch_count += 1;
        }
        self.batches[usize::from(self.batch_count) - 1] = batch;
    }

    /// Sequence that comes next in this epoch.
    pub fn next_sequence(&self) -> i32 {
        self.batches().last().map_or(0, |batch| sequence_plus(batch.last_sequence, 1))
    }

    fn begin_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.keep(0);
        }
    }

    /// Forgets all batches but the `count` oldest.
    fn keep(&mut self, count: usize) {
        self.batches[count..].fill(NO_BATCH);
        self.batch_count = count as u8;
    }

    /// The remembered batch of the same epoch with exactly the same sequences.
    fn find(&self, batch: &ProducerBatch) -> Option<&AppendedBatch> {
        if batch.epoch != self.epoch {
            return None;
        }
        self.batches().iter().find(|appended| {
            appended.last_sequence == batch.last_sequence()
                && appended.base_sequence() == batch.base_sequence
        })
    }

    /// Forgets batches that end at `end` or after; whether any is left.
    fn truncate(&mut self, end: Offset) -> bool {
        let kept = self.batches().iter().take_while(|batch| batch.last_offset < end).count();
        self.keep(kept);
        self.timestamp = self.batches().last().map_or(self.timestamp, |batch| batch.timestamp);
        self.txn_first_offset = self.txn_first_offset.filter(|&first| first < end);
        kept > 0
    }

    fn is_expired(&self, limits: &ProducerLimits, now: Timestamp) -> bool {
        self.txn_first_offset.is_none()
            && now.0.saturating_sub(self.active_at.0) >= limits.expiration_ms
    }
}

/// What is known of a producer after one more batch.
fn with_batch(
    known: Option<ProducerEntry>,
    batch: &ProducerBatch,
    base_offset: Offset,
    active_at: Timestamp,
) -> ProducerEntry {
    let mut entry = known.unwrap_or_else(|| ProducerEntry::new(batch.id, batch.epoch));
    entry.begin_epoch(batch.epoch);
    entry.push(AppendedBatch {
        last_sequence: batch.last_sequence(),
        last_offset: base_offset.plus(i64::from(batch.last_offset_delta)),
        offset_delta: batch.last_offset_delta,
        timestamp: batch.timestamp,
    });
    entry.timestamp = batch.timestamp;
    entry.active_at = active_at;
    if batch.transactional {
        entry.txn_first_offset.get_or_insert(base_offset);
    }
    entry
}

#[cfg(test)]
#[path = "producer_state_tests.rs"]
mod tests;
