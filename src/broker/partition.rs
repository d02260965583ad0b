//! One partition on the shard that owns it: its log, who waits for appends, who watches.
//!
//! Produce stages batches; the shard's appender flushes at the end of the turn. Who waited for a
//! batch is answered when the log end offset has passed it (and, where the topic says so, when it
//! is on disk). No borrow of the log lives across an await.

use super::call::{
    DeleteRecordsError, FoundOffset, OffsetError, OffsetQuery, PartitionCheckpoint, PartitionSize,
};
use super::fetch::{Read, ReadError, ReadOutcome, ReadPart, Watch, Watchers};
use super::letter::Ticket;
use super::produce::{AppendOutcome, AppendPart, Appended, ProduceError};
use super::shard::Shard;
use super::topic_settings::{Repacked, TopicSettings};
use crate::base::Instant;
use crate::limits::SCRATCH_BYTES_KEPT;
use crate::log::{
    Flush, FlushJob, Flushed, Log, LogError, Part, ProducerEntry, Read as LogRead, ReadJob,
    ReadNow, ReadRange, Staged,
};
use crate::model::{LeaderEpoch, Offset, Timestamp, TopicId, TopicName};
use crate::record::{BatchHeader, TimestampType, ValidBatch};
use crate::runtime::sync::{Awaited, Bell, Promise, promise};
use crate::runtime::{Chain, chain};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// What DeleteRecords calls the high watermark.
const TO_HIGH_WATERMARK: i64 = -1;

/// A partition that this shard owns.
pub struct Partition {
    pub topic: TopicId,
    pub name: TopicName,
    pub index: i32,
    leader_epoch: Cell<LeaderEpoch>,
    settings: RefCell<TopicSettings>,
    log: RefCell<Log>,
    /// A batch is packed anew aside; parts that came after it wait behind, in order. They are as
    /// bounded as requests are.
    is_packing: Cell<bool>,
    behind: RefCell<VecDeque<AppendPart>>,
    /// Answers that wait for their batch, in order of offset.
    waiters: RefCell<VecDeque<Waiter>>,
    /// Fetchers to wake at the next append.
    watchers: RefCell<Watchers>,
    is_dirty: Cell<bool>,
    /// A write for the flusher, and its bell.
    flush_job: RefCell<Option<FlushJob>>,
    flush_bell: Bell,
    has_flusher: Cell<bool>,
    is_syncing: Cell<bool>,
    /// What is below has been synced, as far as this partition asked.
    synced_to: Cell<Offset>,
    synced_at: Cell<Instant>,
    is_removed: Cell<bool>,
    /// The broker stops: nothing is appended behind what the clean end has written.
    is_closed: Cell<bool>,
    /// And that end succeeded.
    is_clean_end: Cell<bool>,
    /// Clients have appended since the log was opened.
    has_client_batches: Cell<bool>,
}

struct Waiter {
    asker: Asker,
    appended: Appended,
    last_offset: Offset,
}

/// Who waits for a batch.
enum Asker {
    /// A part of a produce request, at its home.
    Produce { home: u16, ticket: Ticket, index: u32 },
    /// The broker itself, on this core.
    Own(Promise<Result<Appended, ProduceError>>),
}

impl Asker {
    fn of(part: &AppendPart) -> Self {
        Self::Produce { home: part.home, ticket: part.ticket, index: part.index }
    }

    fn tell(self, shard: &Shard, result: Result<Appended, ProduceError>) {
        match self {
            Self::Own(promise) => promise.keep(result),
            Self::Produce { home, ticket, index } => {
                let outcome = match result {
                    Ok(appended) => AppendOutcome::Appended(appended),
                    Err(error) => AppendOutcome::Failed(Box::new(error)),
                };
                shard.appended(home, ticket, index, outcome);
            }
        }
    }
}

impl Partition {
    pub fn new(
        name: TopicName,
        topic: TopicId,
        index: i32,
        leader_epoch: LeaderEpoch,
        settings: TopicSettings,
        log: Log,
    ) -> Rc<Self> {
        let end = log.log_end_offset();
        Rc::new(Self {
            topic,
            name,
            index,
            leader_epoch: Cell::new(leader_epoch),
            settings: RefCell::new(settings),
            log: RefCell::new(log),
            is_packing: Cell::new(false),
            behind: RefCell::default(),
            waiters: RefCell::default(),
            watchers: RefCell::default(),
            is_dirty: Cell::new(false),
            flush_job: RefCell::default(),
            flush_bell: Bell::default(),
            has_flusher: Cell::new(false),
            is_syncing: Cell::new(false),
            synced_to: Cell::new(end),
            synced_at: Cell::new(Instant::ZERO),
            is_removed: Cell::new(false),
            is_closed: Cell::new(false),
            is_clean_end: Cell::new(false),
            has_client_batches: Cell::new(false),
        })
    }

    /// Takes what the metadata now say.
    pub fn update(&self, settings: TopicSettings, leader_epoch: LeaderEpoch) {
        self.leader_epoch.set(leader_epoch);
        self.log.borrow_mut().set_config(settings.log.clone());
        *self.settings.borrow_mut() = settings;
    }

    /// One node: what is written is committed.
    /// Under a flush policy only what it lets us acknowledge: a reader must not see a record that
    /// a power loss may take back.
    pub fn high_watermark(&self) -> Offset {
        let end = self.log.borrow().log_end_offset();
        self.settings.borrow().visible_end(end, self.synced_to.get())
    }

    /// Validates and stages one part of a produce request; its answer goes home after the flush.
    pub fn append(self: &Rc<Self>, shard: &Rc<Shard>, part: AppendPart) {
        if self.is_packing.get() {
            self.behind.borrow_mut().push_back(part);
            return;
        }
        self.has_client_batches.set(true);
        let staged = self.check_open().and_then(|()| self.stage(shard, &part));
        shard.scratch.borrow_mut().trim(SCRATCH_BYTES_KEPT);
        if let Some(staged) = staged.transpose() {
            self.settle(shard, Asker::of(&part), staged);
        } else {
            self.is_packing.set(true);
            shard.core().spawn(Rc::clone(self).pack_aside(Rc::clone(shard), part));
        }
    }

    /// Packs a batch anew where no core is held by it, stages it, and then what came after it.
    async fn pack_aside(self: Rc<Self>, shard: Rc<Shard>, part: AppendPart) {
        let (mut settings, now) = (self.settings.borrow().clone(), shard.core().wall());
        settings.rules.zstd_allowed = part.zstd_allowed;
        let timestamp_type = settings.rules.timestamp_type;
        let compute = move || (settings.repack_aside(&part.batch, now), part);
        let (repacked, part) = shard.core().work_aside(compute).await;
        let staged = self.check_open().and_then(|()| {
            let staged = self.stage_repacked(repacked?, now)?;
            Ok(self.appended(&shard, part.batch.len(), staged, timestamp_type, now))
        });
        self.settle(&shard, Asker::of(&part), staged);
        self.is_packing.set(false);
        while !self.is_packing.get() {
            let Some(next) = self.behind.borrow_mut().pop_front() else { return };
            self.append(&shard, next);
        }
    }

    /// Stages a batch of the broker's own records: `header` is that of the batch in `bytes`. What
    /// is awaited comes when the batch is committed.
    pub fn append_own(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        header: &BatchHeader,
        bytes: Bytes,
    ) -> Awaited<Result<Appended, ProduceError>> {
        let (promise, awaited) = promise();
        let staged = self.check_open().and_then(|()| self.stage_own(shard, header, bytes));
        self.settle(shard, Asker::Own(promise), staged);
        awaited
    }

    /// Whether anything may still be appended.
    fn check_open(&self) -> Result<(), ProduceError> {
        match (self.is_removed.get(), self.is_closed.get()) {
            (true, _) => Err(ProduceError::UnknownPartition),
            (false, true) => Err(ProduceError::Stopping),
            (false, false) => Ok(()),
        }
    }

    /// What was staged is answered after the flush, what was not is answered now.
    fn settle(
        self: &Rc<Self>,
        shard: &Shard,
        asker: Asker,
        staged: Result<(Appended, Offset), ProduceError>,
    ) {
        match staged {
            Ok((appended, last_offset)) => {
                let waiter = Waiter { asker, appended, last_offset };
                self.waiters.borrow_mut().push_back(waiter);
                self.mark_dirty(shard);
            }
            Err(error) => asker.tell(shard, Err(error)),
        }
    }

    fn stage_own(
        &self,
        shard: &Shard,
        header: &BatchHeader,
        bytes: Bytes,
    ) -> Result<(Appended, Offset), ProduceError> {
        let (now, epoch, len) = (shard.core().wall(), self.leader_epoch.get(), bytes.len());
        let stamp = |base, epoch| header.stamp(base, epoch);
        let parts = [Part::Bytes(bytes)];
        let staged = self.log.borrow_mut().stage(header, parts, epoch, now, stamp)?;
        Ok(self.appended(shard, len, staged, TimestampType::CreateTime, now))
    }

    /// Stages a part; `None`: its records must be packed anew, and are too many to do that here.
    fn stage(
        &self,
        shard: &Shard,
        part: &AppendPart,
    ) -> Result<Option<(Appended, Offset)>, ProduceError> {
        let now = shard.core().wall();
        let list = part.batch.piece_list();
        let mut scratch = shard.scratch.borrow_mut();
        let mut settings = self.settings.borrow_mut();
        settings.rules.zstd_allowed = part.zstd_allowed;
        let valid = settings.validate_inline(chain::pieces(&list), now, &mut scratch)?;
        let Some(valid) = valid else { return Ok(None) };
        let timestamp_type = settings.rules.timestamp_type;
        let staged = if valid.recompress_to.is_some() {
            self.stage_repacked(settings.repack(&valid, now, &mut scratch)?, now)?
        } else {
            self.stage_as_sent(&valid, &part.batch, timestamp_type, now)?
        };
        Ok(Some(self.appended(shard, part.batch.len(), staged, timestamp_type, now)))
    }

    /// What the client is told of a staged batch, and the batch's last offset.
    fn appended(
        &self,
        shard: &Shard,
        batch_bytes: usize,
        staged: Staged,
        timestamp_type: TimestampType,
        now: Timestamp,
    ) -> (Appended, Offset) {
        let is_append_time = timestamp_type == TimestampType::LogAppendTime;
        let log_start_offset = self.log.borrow().log_start_offset();
        let (base_offset, last_offset, time) = match staged {
            Staged::New { base_offset, last_offset, .. } => {
                let records = (last_offset.0 - base_offset.0 + 1) as u64;
                shard.metrics().note_append(records, batch_bytes as u64);
                (base_offset, last_offset, now)
            }
            Staged::Duplicate(old) => (old.base_offset, old.last_offset, old.timestamp),
        };
        let log_append_time = if is_append_time { time } else { Timestamp::NONE };
        (Appended { base_offset, log_append_time, log_start_offset }, last_offset)
    }

    /// The batch as the client sent it, under a new head.
    fn stage_as_sent(
        &self,
        valid: &ValidBatch<'_>,
        batch: &Chain,
        timestamp_type: TimestampType,
        now: Timestamp,
    ) -> Result<Staged, ProduceError> {
        let slices = batch.slices().cloned();
        let stamp = |base, epoch| valid.stamp(base, epoch, timestamp_type, now);
        let epoch = self.leader_epoch.get();
        Ok(self.log.borrow_mut().stage(&valid.header, slices, epoch, now, stamp)?)
    }

    /// The records packed anew, because the topic wants another codec.
    fn stage_repacked(&self, repacked: Repacked, now: Timestamp) -> Result<Staged, ProduceError> {
        let Repacked { header, bytes } = repacked;
        let stamp = |base, epoch| header.stamp(base, epoch);
        let epoch = self.leader_epoch.get();
        Ok(self.log.borrow_mut().stage(&header, [Part::Bytes(bytes)], epoch, now, stamp)?)
    }

    fn mark_dirty(self: &Rc<Self>, shard: &Shard) {
        if !self.is_dirty.replace(true) {
            shard.dirty.borrow_mut().push(Rc::clone(self));
            shard.dirty_bell.ring();
        }
    }

    /// Writes what was staged; called by the appender at the end of a turn.
    pub(super) fn flush(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.is_dirty.set(false);
        let flush = self.log.borrow_mut().begin_flush(shard.core());
        match flush {
            Flush::Idle => self.answer_written(shard),
            Flush::Done(result) => self.flushed(shard, result),
            Flush::Pending(job) => {
                *self.flush_job.borrow_mut() = Some(job);
                self.flush_bell.ring();
                if !self.has_flusher.replace(true) {
                    shard.core().spawn(Rc::clone(self).run_flushes(Rc::clone(shard)));
                }
            }
        }
    }

    /// Runs the writes that go through the ring: one task for the partition's life, made with the
    /// first of them, so that a write allocates nothing.
    async fn run_flushes(self: Rc<Self>, shard: Rc<Shard>) {
        loop {
            let job = self.flush_job.borrow_mut().take();
            if let Some(job) = job {
                let outcome = job.run().await;
                let result = self.log.borrow_mut().end_flush(shard.core(), outcome);
                self.flushed(&shard, result);
            } else if self.is_removed.get() && self.log.borrow().is_flushed() {
                return;
            } else {
                self.flush_bell.heard().await;
            }
        }
    }

    fn flushed(self: &Rc<Self>, shard: &Rc<Shard>, result: Result<Flushed, LogError>) {
        match result {
            Ok(flushed) => {
                self.wake_watchers(shard);
                if flushed.more {
                    self.mark_dirty(shard);
                }
                self.answer_written(shard);
            }
            Err(error) => {
                let name = format_args!("{}-{}", self.name, self.index);
                tracing::error!("append to {name} failed: {error}");
                self.fail_waiters(shard, error);
            }
        }
    }

    /// Answers whoever's batch is written and, where the flush policy asks for it, synced.
    fn answer_written(self: &Rc<Self>, shard: &Rc<Shard>) {
        let end = self.log.borrow().log_end_offset();
        let every = self.settings.borrow().sync_every;
        if every.is_some_and(|every| end.0 - self.synced_to.get().0 >= every) {
            self.sync(shard);
        }
        let ready = self.high_watermark();
        loop {
            let mut waiters = self.waiters.borrow_mut();
            if waiters.front().is_none_or(|waiter| waiter.last_offset >= ready) {
                return;
            }
            let Some(waiter) = waiters.pop_front() else { return };
            drop(waiters);
            waiter.asker.tell(shard, Ok(waiter.appended));
        }
    }

    /// Syncs if the topic's flush.ms has passed since the last sync and something was written.
    pub fn sync_if_due(self: &Rc<Self>, shard: &Rc<Shard>, now: Instant) {
        let Some(after) = self.settings.borrow().sync_after else { return };
        let is_behind = self.synced_to.get() < self.log.borrow().log_end_offset();
        if is_behind && now.since(self.synced_at.get()) >= after {
            self.synced_at.set(now);
            self.sync(shard);
        }
    }

    /// Makes what is written durable, then answers who waited for that. One sync at a time: what
    /// is written meanwhile shares the next one.
    fn sync(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.is_syncing.replace(true) {
            return;
        }
        let job = self.log.borrow().sync_job();
        let (partition, shard) = (Rc::clone(self), Rc::clone(shard));
        shard.core().clone().spawn(async move {
            let result = job.run(shard.core()).await;
            partition.is_syncing.set(false);
            match result {
                Ok(offset) => {
                    partition.synced_to.set(offset.max(partition.synced_to.get()));
                    partition.wake_watchers(&shard);
                    partition.answer_written(&shard);
                }
                Err(error) => {
                    let name = format_args!("{}-{}", partition.name, partition.index);
                    tracing::error!(
                        "sync of {name} failed, its directory is out of service: {error}"
                    );
                    partition.fail_waiters(&shard, error);
                }
            }
        });
    }

    fn fail_waiters(&self, shard: &Rc<Shard>, error: LogError) {
        let error = ProduceError::Log(Arc::new(error));
        for waiter in std::mem::take(&mut *self.waiters.borrow_mut()) {
            waiter.asker.tell(shard, Err(error.clone()));
        }
    }

    /// The fetcher is told of the next append.
    pub fn watch(&self, watch: Watch) {
        self.watchers.borrow_mut().add(watch);
    }

    fn wake_watchers(&self, shard: &Shard) {
        let mut watchers = self.watchers.take();
        for watch in watchers.drain() {
            shard.wake_fetcher(watch);
        }
        // Keeps the memory; nobody can have watched meanwhile.
        self.watchers.replace(watchers);
    }

    /// Reads for a fetch: a span of a segment file of at most `left` bytes, or the first batch.
    pub async fn read(
        &self,
        shard: &Shard,
        part: &ReadPart,
        left: usize,
        is_first: bool,
    ) -> ReadOutcome {
        let range = self.range(part, left, is_first);
        if let Some(outcome) = self.read_now(shard, part, &range) {
            return outcome;
        }
        let job = self.log.borrow().read_job(&range);
        self.outcome(part, job.run(shard.core()).await)
    }

    pub(super) fn range(&self, part: &ReadPart, left: usize, is_first: bool) -> ReadRange {
        ReadRange {
            from: part.offset,
            upper: self.high_watermark(),
            bytes_max: left.min(part.bytes_max as usize),
            one_batch_at_least: is_first,
        }
    }

    /// Reads without waiting; `None`: the disk must be asked.
    pub(super) fn read_now(
        &self,
        shard: &Shard,
        part: &ReadPart,
        range: &ReadRange,
    ) -> Option<ReadOutcome> {
        if let Err(error) = self.check_readable(part.leader_epoch) {
            return Some(ReadOutcome::Failed(error));
        }
        match self.diverging(part) {
            Ok(None) => {}
            Ok(diverging) => return Some(ReadOutcome::Read(self.read_of(None, diverging))),
            Err(error) => return Some(ReadOutcome::Failed(error)),
        }
        let now = self.log.borrow().try_read(shard.core(), range);
        match now {
            ReadNow::Ready(read) => Some(self.outcome(part, Ok(read))),
            ReadNow::Failed(error) => Some(self.outcome(part, Err(error))),
            ReadNow::NeedsDisk => None,
        }
    }

    fn outcome(&self, part: &ReadPart, read: Result<LogRead, LogError>) -> ReadOutcome {
        match read {
            Ok(LogRead::Span(span)) => ReadOutcome::Read(self.read_of(Some(span), None)),
            Ok(LogRead::Empty) => self.nothing(part),
            Ok(LogRead::OutOfRange { log_start_offset, log_end_offset }) => {
                let (start, end) = (log_start_offset, log_end_offset);
                ReadOutcome::Failed(ReadError::OutOfRange { offset: part.offset, start, end })
            }
            Err(_) if self.is_removed.get() => ReadOutcome::Failed(ReadError::UnknownPartition),
            Err(error) => ReadOutcome::Failed(ReadError::Log(Arc::new(error))),
        }
    }

    /// There is nothing to read, or not any more: retention or a removal was faster.
    fn nothing(&self, part: &ReadPart) -> ReadOutcome {
        let (start, end) = {
            let log = self.log.borrow();
            (log.log_start_offset(), log.log_end_offset())
        };
        if self.is_removed.get() {
            ReadOutcome::Failed(ReadError::UnknownPartition)
        } else if part.offset < start {
            ReadOutcome::Failed(ReadError::OutOfRange { offset: part.offset, start, end })
        } else {
            ReadOutcome::Read(self.read_of(None, None))
        }
    }

    fn read_of(
        &self,
        span: Option<crate::log::Span>,
        diverging: Option<(LeaderEpoch, Offset)>,
    ) -> Read {
        let high_watermark = self.high_watermark();
        let log_start_offset = self.log.borrow().log_start_offset();
        // No transactions yet: everything committed is stable.
        let last_stable_offset = high_watermark;
        Read { high_watermark, last_stable_offset, log_start_offset, span, diverging }
    }

    /// Where the reader's log leaves ours, if it does (KIP-595). Who has read in an epoch that has
    /// not been, or lies before the log's start, is out of range.
    fn diverging(&self, part: &ReadPart) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        if part.last_epoch.0 < 0 {
            return Ok(None);
        }
        let found = self.end_of_epoch(part.last_epoch);
        let log = self.log.borrow();
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        match found {
            Some((epoch, epoch_end)) if part.offset >= start => {
                let is_other = epoch < part.last_epoch || epoch_end < part.offset;
                Ok(is_other.then_some((epoch, epoch_end)))
            }
            _ => Err(ReadError::OutOfRange { offset: part.offset, start, end }),
        }
    }

    /// The largest epoch not newer than `epoch`, and its end; `None` of one that has not been. Our
    /// own epoch begins at the log's end as long as no record is of it.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let (log, ours) = (self.log.borrow(), self.leader_epoch.get());
        let end = log.log_end_offset();
        if epoch < LeaderEpoch(0) || epoch > ours {
            None
        } else if epoch == ours {
            Some((epoch, end))
        } else {
            let last = || (log.epoch_at(end).unwrap_or(epoch), end);
            Some(log.end_offset_for_epoch(epoch).unwrap_or_else(last))
        }
    }

    /// Its log directory is out of service: whoever waits is told.
    pub(super) fn on_directory_failed(self: &Rc<Self>, shard: &Rc<Shard>) {
        if let Some(error) = self.log.borrow().directory_failure() {
            self.fail_waiters(shard, error);
        }
        self.wake_watchers(shard);
    }

    pub(super) fn lies_in(&self, directory: &Path) -> bool {
        self.log.borrow().directory() == directory
    }

    /// Whether a client that knows this leader epoch may read.
    fn check_readable(&self, client: LeaderEpoch) -> Result<(), ReadError> {
        if let Some(error) = self.log.borrow().directory_failure() {
            return Err(ReadError::Log(Arc::new(error)));
        }
        self.check_epoch(client)
    }

    fn check_epoch(&self, client: LeaderEpoch) -> Result<(), ReadError> {
        let ours = self.leader_epoch.get();
        match client.0 {
            -1 => Ok(()),
            epoch if epoch < ours.0 => Err(ReadError::FencedEpoch { client, ours }),
            epoch if epoch > ours.0 => Err(ReadError::UnknownEpoch { client, ours }),
            _ => Ok(()),
        }
    }

    /// Answers a query of ListOffsets.
    pub async fn find_offset(
        &self,
        shard: &Shard,
        epoch: LeaderEpoch,
        query: OffsetQuery,
    ) -> Result<FoundOffset, OffsetError> {
        self.check_readable(epoch).map_err(offset_error)?;
        let upper = self.high_watermark();
        let leader_epoch = self.leader_epoch.get();
        let end_of_log = |offset| FoundOffset { offset, timestamp: Timestamp::NONE, leader_epoch };
        let job = match query {
            OffsetQuery::Earliest => return Ok(self.earliest()),
            OffsetQuery::Latest => return Ok(end_of_log(upper)),
            OffsetQuery::Tiered => return Ok(FoundOffset::NONE),
            OffsetQuery::ByTime(time) => self.log.borrow().time_job(time, upper),
            OffsetQuery::MaxTimestamp => self.log.borrow().max_time_job(upper),
        };
        match job.run(shard.core()).await {
            Ok(Some(found)) => Ok(FoundOffset {
                offset: found.offset,
                timestamp: found.timestamp,
                leader_epoch: found.leader_epoch,
            }),
            // Kafka: nothing that late is an unknown offset, not the end of the log.
            Ok(None) => Ok(FoundOffset::NONE),
            Err(error) => Err(OffsetError::Log(Arc::new(error))),
        }
    }

    fn earliest(&self) -> FoundOffset {
        let log = self.log.borrow();
        let offset = log.log_start_offset();
        // The epoch of the log's first record: the largest that begins at or before it.
        let leader_epoch = log.epoch_at(offset).unwrap_or(LeaderEpoch::NONE);
        FoundOffset { offset, timestamp: Timestamp::NONE, leader_epoch }
    }

    /// Answers OffsetForLeaderEpoch: the largest epoch not newer than `epoch`, and its end.
    pub fn epoch_end(
        &self,
        current: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<(LeaderEpoch, Offset), OffsetError> {
        self.check_readable(current).map_err(offset_error)?;
        Ok(self.end_of_epoch(epoch).unwrap_or((LeaderEpoch::NONE, Offset(-1))))
    }

    /// DeleteRecords: nothing below `to` is read again; -1 is the high watermark. Gives where the
    /// log starts then. Files go with the next round of retention.
    pub fn delete_records(&self, to: i64) -> Result<Offset, DeleteRecordsError> {
        let upper = self.high_watermark();
        let mut log = self.log.borrow_mut();
        let config = log.config();
        if config.is_compacted && !config.is_deleted {
            return Err(DeleteRecordsError::OnlyCompacted);
        }
        let to = if to == TO_HIGH_WATERMARK { upper } else { Offset(to) };
        if to < Offset::ZERO || to > upper {
            return Err(DeleteRecordsError::OutOfRange { offset: to, high_watermark: upper });
        }
        if let Some(error) = log.failure() {
            return Err(DeleteRecordsError::Log(Arc::new(error)));
        }
        Ok(log.advance_log_start(to))
    }

    /// The producers that the partition remembers, in the order of their ids.
    pub fn producers(&self, now: Timestamp) -> Vec<ProducerEntry> {
        self.log.borrow().producers().known_entries(now).copied().collect()
    }

    /// Where the partition lies, and how large it is.
    pub fn size(&self) -> PartitionSize {
        let log = self.log.borrow();
        PartitionSize {
            topic: self.name.clone(),
            partition: self.index,
            directory: log.directory().to_path_buf(),
            bytes: log.size_bytes(),
        }
    }

    /// How far the partition is durable.
    pub fn checkpoint(&self) -> PartitionCheckpoint {
        let log = self.log.borrow();
        PartitionCheckpoint {
            topic: self.name.clone(),
            partition: self.index,
            directory: log.directory().to_path_buf(),
            recovery_point: log.recovery_point(),
            log_start_offset: log.log_start_offset(),
            high_watermark: log.log_end_offset(),
            is_closed: self.is_clean_end.get(),
        }
    }

    /// `<topic>-<partition>`, for the operator.
    pub fn label(&self) -> String {
        format!("{}-{}", self.name, self.index)
    }

    /// Whether the log may hold what the broker has not written itself since it was opened.
    pub fn has_client_batches(&self) -> bool {
        self.has_client_batches.get()
    }

    pub fn start_offset(&self) -> Offset {
        self.log.borrow().log_start_offset()
    }

    pub fn size_bytes(&self) -> u64 {
        self.log.borrow().size_bytes()
    }

    pub fn read_job(&self, range: &ReadRange) -> ReadJob {
        self.log.borrow().read_job(range)
    }

    /// The next batch begins a segment; gives the offset that it gets.
    pub fn begin_segment(&self) -> Offset {
        self.log.borrow_mut().begin_segment()
    }

    /// Syncs all that is written.
    pub async fn make_durable(&self, shard: &Shard) -> Result<(), ProduceError> {
        let job = self.log.borrow().sync_job();
        let synced = job.run(shard.core()).await;
        synced.map(drop).map_err(|error| ProduceError::Log(Arc::new(error)))
    }

    /// What lies below an offset is not read again; segments that lie there as a whole go.
    pub async fn forget_below(&self, shard: &Shard, offset: Offset) {
        self.log.borrow_mut().advance_log_start(offset);
        self.retain(shard).await;
    }

    /// Removes what retention no longer keeps.
    pub async fn retain(&self, shard: &Shard) {
        // Removed or closed since the walk over all partitions began.
        let is_gone = self.is_removed.get() || self.is_closed.get();
        if is_gone || self.log.borrow().failure().is_some() {
            return;
        }
        let (core, upper) = (shard.core(), self.high_watermark());
        let job = self.log.borrow_mut().retain(core, upper);
        let Some(job) = job else { return };
        for (segment, reason) in &job.reasons {
            tracing::info!("{}-{}: segment {segment} goes ({reason:?})", self.name, self.index);
        }
        if let Err(error) = job.run(core).await {
            tracing::error!("retention of {}-{} failed: {error}", self.name, self.index);
        }
    }

    /// Writes and syncs everything; the log takes no more appends.
    pub async fn close(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.is_closed.set(true);
        self.drain(shard).await;
        let job = self.log.borrow_mut().close_job();
        match job.run(shard.core()).await {
            Ok(()) => self.is_clean_end.set(true),
            Err(error) => {
                tracing::error!("closing {}-{} failed: {error}", self.name, self.index);
            }
        }
    }

    /// The topic was deleted: its folder is out of the way when this returns, its files go after
    /// file.delete.delay.ms.
    pub async fn remove(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.is_removed.set(true);
        self.wake_watchers(shard);
        self.drain(shard).await;
        self.flush_bell.ring();
        let job = self.log.borrow_mut().remove_job();
        if let Err(error) = job.run(shard.core()).await {
            tracing::error!("removing {}-{} failed: {error}", self.name, self.index);
        }
    }

    /// Waits until nothing is staged and no write is in flight.
    async fn drain(self: &Rc<Self>, shard: &Rc<Shard>) {
        loop {
            self.flush(shard);
            if self.waiters.borrow().is_empty() && self.log.borrow().is_flushed() {
                return;
            }
            shard.core().sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

fn offset_error(error: ReadError) -> OffsetError {
    match error {
        ReadError::FencedEpoch { client, ours } => OffsetError::FencedEpoch { client, ours },
        ReadError::UnknownEpoch { client, ours } => OffsetError::UnknownEpoch { client, ours },
        ReadError::Log(error) => OffsetError::Log(error),
        ReadError::UnknownPartition | ReadError::OutOfRange { .. } => OffsetError::UnknownPartition,
    }
}
