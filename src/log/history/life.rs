//! One life of a process that owns a log: opens it, compares it with the model, and works on it
//! until it ends by itself or is ended.

use super::model::{Draft, End, Model};
use crate::base::{Pieces, Random};
use crate::log::checkpoint::{CheckpointEntry, CheckpointKind, read_checkpoint, write_checkpoint};
use crate::log::directory::{LogDir, MetaProperties, read_directory, write_clean_marker};
use crate::log::{
    AppendMode, Flush, Flushed, Log, LogConfig, LogError, LogSpec, Part, Read, ReadNow, ReadRange,
    Span, StageError, Staged,
};
use crate::model::{LeaderEpoch, NodeId, Offset, PartitionIndex, Timestamp, TopicName, Uuid};
use crate::record::BatchHeader;
use crate::runtime::Core;
use crate::runtime::sync::Bell;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

pub const DIR: &str = "/data";
pub const FOLDER: &str = "t-0";
const PRODUCERS: u64 = 3;

/// What a life may do and must bear.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub steps: u64,
    pub mode: AppendMode,
    pub config: LogConfig,
    /// Calls may fail: then the log may refuse, but what it promised must hold.
    pub may_fail: bool,
    /// The clock goes on by hours now and then: retention and rolls by time.
    pub long_pauses: bool,
    /// Says what opening finds, on standard error.
    pub tells: bool,
    /// Old segments that may be open at once.
    pub open_segments: usize,
}

/// A partition as a broker holds it.
pub struct Life {
    core: Core,
    plan: Plan,
    log: RefCell<Log>,
    model: Rc<RefCell<Model>>,
    random: RefCell<Random>,
    /// Rung at the end of each flush.
    flushed: Bell,
    /// Tasks of this life that are under way.
    tasks: Cell<u32>,
    /// Files of old segments are being removed: one such job at a time.
    is_removing: Cell<bool>,
    /// The first failure that the disk is to blame for.
    pub failure: RefCell<Option<String>>,
    counts: Rc<RefCell<Counts>>,
}

/// What was really done: a test that does nothing proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What was asked of the log.
    pub operations: u64,
    pub lives: u64,
    /// Lives that did not end by themselves.
    pub crashes: u64,
    pub staged: u64,
    pub duplicates: u64,
    pub syncs: u64,
    pub reads: u64,
    pub times: u64,
    pub rolls: u64,
    pub removed: u64,
    pub failures: u64,
}

/// A small log that rolls often.
pub fn config(random: &mut Random) -> LogConfig {
    LogConfig {
        segment_bytes: random.between(4000, 20_000),
        segment_ms: 3_600_000,
        segment_index_bytes: random.between(64, 400) as u32,
        index_interval_bytes: random.between(0, 1500) as u32,
        retention_ms: 8 * 3_600_000,
        retention_bytes: if random.chance(1, 2) {
            random.between(20_000, 60_000) as i64
        } else {
            -1
        },
        file_delete_delay: Duration::from_millis(random.between(0, 50)),
        preallocate: random.chance(1, 4),
        ..LogConfig::default()
    }
}

fn meta() -> MetaProperties {
    MetaProperties {
        cluster_id: "simulated".into(),
        node_id: NodeId(1),
        directory_id: Uuid::METADATA_TOPIC,
    }
}

fn entry(offset: Offset) -> CheckpointEntry {
    let topic = TopicName::parse("t").expect("a topic's name");
    CheckpointEntry { topic, partition: PartitionIndex(0), offset }
}

/// Opens the log as a broker does at start; and whether the end before was clean.
pub async fn open(core: &Core, plan: &Plan) -> Result<(Log, bool), LogError> {
    let path = Path::new(DIR);
    let facts = read_directory(core, path, &meta()).await?;
    crate::log::take_clean_marker(core, path).await?;
    let is_clean = facts.clean_epoch.is_some();
    let first = |entries: Vec<CheckpointEntry>| entries.first().map_or(Offset::ZERO, |e| e.offset);
    let spec = LogSpec {
        folder: FOLDER.into(),
        topic_id: Uuid::METADATA_TOPIC,
        recovery_point: first(read_checkpoint(core, path, CheckpointKind::RecoveryPoint).await?),
        log_start_offset: first(read_checkpoint(core, path, CheckpointKind::LogStart).await?),
        is_clean,
        refuses_damage: false,
    };
    let told = format!("{spec:?}");
    let dir = LogDir::new(&facts, plan.mode);
    dir.set_open_segments_max(plan.open_segments);
    let (log, recovery) = Log::open(core, dir, spec, plan.config.clone()).await?;
    if plan.tells {
        let (end, findings) = (log.log_end_offset(), recovery.findings);
        eprintln!("-- {told}, up to {end}: {findings:?} {:?}", log.epoch_entries());
    }
    Ok((log, is_clean))
}

/// Finds a range, asking the disk where needed.
pub async fn read(core: &Core, log: &RefCell<Log>, range: &ReadRange) -> Result<Read, LogError> {
    let now = log.borrow().try_read(core, range);
    match now {
        ReadNow::Ready(read) => Ok(read),
        ReadNow::Failed(error) => Err(error),
        ReadNow::NeedsDisk => {
            let job = log.borrow().read_job(range);
            job.run(core).await
        }
    }
}

/// The bytes of a span.
pub async fn fetch(core: &Core, span: &Span) -> Result<Vec<u8>, LogError> {
    let read = span.file.read_at(core, vec![0; span.len], span.position).await;
    let bytes = read.map_err(|error| LogError::io("read", Path::new("span"), error))?;
    assert_eq!(bytes.len(), span.len, "a span lies inside its file");
    Ok(bytes)
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        let Self { operations, lives, crashes, staged, duplicates, .. } = *other;
        self.operations += operations;
        self.lives += lives;
        self.crashes += crashes;
        self.staged += staged;
        self.duplicates += duplicates;
        self.syncs += other.syncs;
        self.reads += other.reads;
        self.times += other.times;
        self.rolls += other.rolls;
        self.removed += other.removed;
        self.failures += other.failures;
    }
}

impl Life {
    /// Opens the log as a broker does at start, and compares it with the model.
    pub async fn begin(
        core: Core,
        plan: Plan,
        model: Rc<RefCell<Model>>,
        counts: Rc<RefCell<Counts>>,
        how: End,
    ) -> Result<Rc<Self>, LogError> {
        let (log, is_clean) = open(&core, &plan).await?;
        assert!(is_clean || how != End::Clean, "the marker of a clean end is there");
        let random = RefCell::new(Random::new(plan.seed));
        let life = Rc::new(Self {
            core,
            plan,
            log: RefCell::new(log),
            model,
            random,
            flushed: Bell::default(),
            tasks: Cell::new(0),
            is_removing: Cell::new(false),
            failure: RefCell::default(),
            counts,
        });
        life.compare_all(how).await?;
        Ok(life)
    }

    /// Reads the whole log and has the model judge it.
    async fn compare_all(&self, how: End) -> Result<(), LogError> {
        let (start, end) = {
            let log = self.log.borrow();
            (log.log_start_offset(), log.log_end_offset())
        };
        let mut found = Vec::new();
        let mut next = start;
        while next < end {
            let range =
                ReadRange { from: next, upper: end, bytes_max: 1 << 20, one_batch_at_least: true };
            let Read::Span(span) = read(&self.core, &self.log, &range).await? else {
                panic!("nothing to read at {next}, below the end {end}")
            };
            let bytes = fetch(&self.core, &span).await?;
            let (after, len) = whole(&bytes).unwrap_or_else(|| panic!("no whole batch at {next}"));
            next = after;
            found.extend_from_slice(&bytes[..len]);
        }
        let mut model = self.model.borrow_mut();
        let start_known = model.start;
        let is_back = start.0 < start_known;
        // A power cut may take the first segment's name and keep a later one's, if neither was
        // synced: nobody can tell that from retention.
        let may_jump = found.is_empty() || (how == End::Power && model.durable <= start_known);
        assert!(
            start.0 >= model.start_durable && (start.0 <= start_known || may_jump),
            "the log starts at {start}, it was {start_known}"
        );
        assert!(!is_back || how != End::Clean, "a clean end keeps the log's start");
        model.on_found(how, start.0, &found);
        model.start = start.0;
        model.epoch =
            model.written.last().map_or(model.epoch, |batch| batch.epoch.max(model.epoch));
        assert_eq!(end.0, model.end().max(start.0), "the end is what can be read");
        drop(model);
        self.check_promise();
        self.check_epochs();
        self.check_producers();
        Ok(())
    }

    /// Does random things, so many; then waits for all that is under way.
    pub async fn work(self: &Rc<Self>) {
        for _ in 0..self.plan.steps {
            let step = self.random.borrow_mut().below(100);
            match step {
                0..=49 => self.append(),
                50..=57 => self.sync().await,
                58..=62 => self.in_background(|life| async move { life.sync().await }),
                63..=72 => self.read_some().await,
                73..=77 => self.in_background(|life| async move { life.read_some().await }),
                78..=81 => self.find_times().await,
                82..=84 => self.remove_old(),
                85..=88 => self.write_checkpoints().await,
                89 => self.model.borrow_mut().epoch += 1,
                90..=92 => self.wait_for_flush().await,
                _ => self.pause().await,
            }
            if self.failure.borrow().is_some() {
                break;
            }
        }
        self.settle().await;
    }

    async fn pause(&self) {
        let micros = {
            let mut random = self.random.borrow_mut();
            match random.below(10) {
                0 if self.plan.long_pauses => random.below(12 * 3_600_000_000),
                0..=4 => random.below(30_000),
                _ => random.below(300),
            }
        };
        self.core.sleep(Duration::from_micros(micros)).await;
    }

    fn in_background<F: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        task: impl FnOnce(Rc<Self>) -> F,
    ) {
        let task = task(Rc::clone(self));
        let life = Rc::clone(self);
        self.tasks.set(self.tasks.get() + 1);
        self.core.spawn(async move {
            task.await;
            life.tasks.set(life.tasks.get() - 1);
        });
    }

    /// Waits until nothing of this life is under way.
    pub async fn settle(self: &Rc<Self>) {
        self.flush();
        while self.tasks.get() > 0 || self.log.borrow().is_flushing() {
            self.core.sleep(Duration::from_millis(1)).await;
        }
    }

    /// An error of the disk is allowed where the plan says so.
    fn blame(&self, error: &LogError) {
        assert!(self.plan.may_fail, "seed {}: {error}", self.plan.seed);
        self.counts.borrow_mut().failures += 1;
        if !error.is_disk_full() {
            self.failure.borrow_mut().get_or_insert_with(|| error.to_string());
        }
    }

    fn append(self: &Rc<Self>) {
        let count = self.random.borrow_mut().between(1, 4);
        for _ in 0..count {
            if !self.append_one() {
                return;
            }
        }
        if self.random.borrow_mut().chance(3, 4) {
            self.flush();
        }
    }

    fn append_one(&self) -> bool {
        self.counts.borrow_mut().operations += 1;
        let now = self.core.wall();
        let (draft, epoch) = {
            let mut random = self.random.borrow_mut();
            let model = self.model.borrow();
            let producer = random.chance(1, 2).then(|| {
                let id = random.below(PRODUCERS) as i64;
                let newest = model.newest_of(id).and_then(|batch| batch.producer);
                (id, newest.map_or(0, |sequence| sequence.last + 1))
            });
            (Draft::random(&mut random, now, producer), LeaderEpoch(model.epoch))
        };
        let staged = self.stage(&draft, epoch, now);
        match staged {
            Ok(Staged::New { base_offset, last_offset, .. }) => {
                let batch = draft.at(base_offset, epoch);
                assert_eq!(batch.last, last_offset.0);
                self.model.borrow_mut().on_staged(batch);
                self.counts.borrow_mut().staged += 1;
                true
            }
            Ok(Staged::Duplicate(duplicate)) => panic!("a new batch is no {duplicate:?}"),
            Err(StageError::Log(error)) => {
                self.blame(&error);
                false
            }
            Err(error) => panic!("a good batch was refused: {error}"),
        }
    }

    fn stage(
        &self,
        draft: &Draft,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Staged, StageError> {
        let header = draft.header;
        let parts = [Part::Bytes(Bytes::from(draft.bytes.clone()))];
        let mut log = self.log.borrow_mut();
        log.stage(&header, parts, epoch, now, |base, epoch| header.stamp(base, epoch))
    }

    /// Writes what is staged, as long as there is some.
    fn flush(self: &Rc<Self>) {
        loop {
            let flush = self.log.borrow_mut().begin_flush(&self.core);
            match flush {
                Flush::Idle => return,
                Flush::Done(result) => {
                    if !self.on_flushed(result) {
                        return;
                    }
                }
                Flush::Pending(job) => {
                    return self.in_background(|life| async move {
                        let outcome = job.run().await;
                        let result = life.log.borrow_mut().end_flush(&life.core, outcome);
                        if life.on_flushed(result) {
                            life.flush();
                        }
                    });
                }
            }
        }
    }

    /// Whether there is more to write.
    fn on_flushed(&self, result: Result<Flushed, LogError>) -> bool {
        let mut model = self.model.borrow_mut();
        let before = self.log.borrow().segment_count() as u64;
        let more = match result {
            Ok(flushed) => {
                assert_eq!(flushed.from.0, model.end().max(model.start));
                model.on_written(flushed.log_end_offset.0);
                flushed.more
            }
            Err(error) => {
                model.on_failed();
                drop(model);
                self.blame(&error);
                assert_eq!(self.log.borrow().next_offset(), self.log.borrow().log_end_offset());
                false
            }
        };
        let mut counts = self.counts.borrow_mut();
        counts.rolls = counts.rolls.max(before);
        self.flushed.ring();
        more
    }

    async fn wait_for_flush(self: &Rc<Self>) {
        self.flush();
        while self.log.borrow().is_flushing() {
            sync_or_time(&self.core, &self.flushed).await;
        }
    }

    /// Appends at least so many bytes.
    #[cfg(test)]
    pub async fn append_much(self: &Rc<Self>, bytes: u64) {
        while self.log.borrow().size_bytes() < bytes && self.failure.borrow().is_none() {
            for _ in 0..200 {
                if !self.append_one() {
                    return;
                }
            }
            self.wait_for_flush().await;
        }
    }

    /// What is acknowledged after this must survive a power cut.
    pub async fn sync(&self) {
        self.counts.borrow_mut().operations += 1;
        let job = self.log.borrow().sync_job();
        match job.run(&self.core).await {
            Ok(offset) => {
                self.counts.borrow_mut().syncs += 1;
                let mut model = self.model.borrow_mut();
                assert!(offset.0 <= model.end().max(model.start), "what is durable was written");
                model.durable = model.durable.max(offset.0);
            }
            Err(error) => {
                self.blame(&error);
                let refusal = self.log.borrow().failure();
                assert!(refusal.is_some(), "a log with a failed fsync refuses to go on");
            }
        }
        self.check_promise();
    }

    /// The recovery point is a promise too.
    fn check_promise(&self) {
        let point = self.log.borrow().recovery_point();
        let mut model = self.model.borrow_mut();
        assert!(point.0 <= model.end().max(model.start), "recovery point {point} is written");
        model.durable = model.durable.max(point.0);
    }

    /// A read gives the bytes that were appended.
    async fn read_some(&self) {
        self.counts.borrow_mut().operations += 1;
        let range = self.range();
        let (start, end) = {
            let model = self.model.borrow();
            (model.start, model.end())
        };
        let read = match read(&self.core, &self.log, &range).await {
            Err(error) => return self.blame(&error),
            Ok(read) => read,
        };
        let bytes = match &read {
            Read::Span(span) => match fetch(&self.core, span).await {
                Err(error) => return self.blame(&error),
                Ok(bytes) => bytes,
            },
            Read::Empty | Read::OutOfRange { .. } => Vec::new(),
        };
        self.counts.borrow_mut().reads += 1;
        let model = self.model.borrow();
        // Retention may have moved the start meanwhile: then the range may be gone.
        let is_moved = model.start > start;
        let from = range.from.0;
        if let Read::OutOfRange { .. } = read {
            assert!(is_moved || from < start || from > end, "{range:?} was in range");
            return;
        }
        assert!(is_moved || (from >= start), "{range:?} is below the start {start}");
        check_bytes(&model, &range, &bytes, is_moved);
    }

    fn range(&self) -> ReadRange {
        let model = self.model.borrow();
        let mut random = self.random.borrow_mut();
        let (start, end) = (model.start, model.end().max(model.start));
        let from = random.between(start.max(1) as u64 - 1, end as u64 + 1) as i64;
        let batch_at = |offset: i64| model.from(offset).first().map_or(end, |batch| batch.base);
        let upper = if random.chance(1, 2) {
            end
        } else {
            batch_at(random.between(from.min(end) as u64, end as u64) as i64)
        };
        ReadRange {
            from: Offset(from),
            upper: Offset(upper),
            bytes_max: random.between(1, 8000) as usize,
            one_batch_at_least: random.chance(1, 2),
        }
    }

    /// A search by time gives what a walk over all records gives.
    async fn find_times(&self) {
        let Some((time, upper)) = self.time() else { return };
        self.counts.borrow_mut().operations += 2;
        let (first, largest, expected) = {
            let (log, model) = (self.log.borrow(), self.model.borrow());
            let first = log.time_job(Timestamp(time), Offset(upper));
            let largest = log.max_time_job(Offset(upper));
            let expected = [model.by_time(time, upper), model.by_max_time(upper)];
            (first, largest, expected)
        };
        let start = self.model.borrow().start;
        for (job, expected) in [first, largest].into_iter().zip(expected) {
            let found = match job.run(&self.core).await {
                Err(error) => return self.blame(&error),
                Ok(found) => found,
            };
            let found =
                found.map(|record| (record.offset.0, record.timestamp.0, record.leader_epoch.0));
            self.counts.borrow_mut().times += 1;
            // Retention may have moved the start meanwhile.
            if self.model.borrow().start == start {
                assert_eq!(found, expected, "from time {time} or largest, {start} to {upper}");
            }
        }
    }

    /// A time about that of some record, and a bound.
    fn time(&self) -> Option<(i64, i64)> {
        let model = self.model.borrow();
        let mut random = self.random.borrow_mut();
        let all = model.from(model.start);
        let batch = random.pick(all)?;
        let time = *random.pick(&batch.times)?;
        let upper = random.pick(all)?.last + 1;
        Some((time + random.below(3) as i64 - 1, upper))
    }

    /// DeleteRecords and retention.
    fn remove_old(self: &Rc<Self>) {
        if self.is_removing.get() {
            return;
        }
        let job = {
            let mut log = self.log.borrow_mut();
            let mut random = self.random.borrow_mut();
            let (start, end) = (log.log_start_offset().0, log.log_end_offset().0);
            if random.chance(1, 3) && start < end {
                let to = random.between(start as u64, start as u64 + (end - start) as u64 / 2);
                let reached = log.advance_log_start(Offset(to as i64));
                assert_eq!(reached.0, to as i64);
            }
            let job = log.retain(&self.core, Offset(end));
            let mut model = self.model.borrow_mut();
            assert!(log.log_start_offset().0 >= model.start, "the start never goes back");
            assert!(log.log_start_offset() <= log.log_end_offset());
            model.start = log.log_start_offset().0;
            model.start_reached = model.start.max(model.start_reached);
            job
        };
        if let Some(job) = job {
            let mut counts = self.counts.borrow_mut();
            counts.operations += 1;
            counts.removed += 1;
            drop(counts);
            self.is_removing.set(true);
            self.in_background(|life| async move {
                if let Err(error) = job.run(&life.core).await {
                    life.blame(&error);
                }
                life.is_removing.set(false);
            });
        }
    }

    async fn write_checkpoints(&self) {
        self.counts.borrow_mut().operations += 1;
        let (point, start) = {
            let log = self.log.borrow();
            (log.recovery_point(), log.log_start_offset())
        };
        let both = [(CheckpointKind::RecoveryPoint, point), (CheckpointKind::LogStart, start)];
        for (kind, offset) in both {
            let entries = [entry(offset)];
            let written = write_checkpoint(&self.core, Path::new(DIR), kind, &entries).await;
            if let Err(error) = written {
                return self.blame(&error);
            }
        }
        let mut model = self.model.borrow_mut();
        model.start_durable = model.start_durable.max(start.0);
    }

    fn check_epochs(&self) {
        let (log, model) = (self.log.borrow(), self.model.borrow());
        for epoch in 0..=model.epoch + 1 {
            let found = log.end_offset_for_epoch(LeaderEpoch(epoch));
            let found = found.map(|(epoch, end)| (epoch.0, end.0));
            let expected = model.epoch_end(epoch);
            // Of batches that a power cut took from before the log's start the file may still know
            // the epoch: that it ended by then is true.
            let is_over = found.is_some_and(|(_, end)| end <= log.log_start_offset().0);
            if expected.is_none() && is_over {
                continue;
            }
            if expected.is_none_or(|(_, end)| end > model.start_reached) {
                assert_eq!(found, expected, "epoch {epoch}");
            }
        }
    }

    /// The newest batch of each producer is known as one.
    fn check_producers(&self) {
        for id in 0..PRODUCERS as i64 {
            let model = self.model.borrow();
            let Some(batch) = model.newest_of(id).filter(|batch| batch.base >= model.start) else {
                continue;
            };
            let header = BatchHeader::parse(Pieces::one(&batch.bytes));
            let draft = Draft {
                header: header.expect("our own batch"),
                bytes: batch.bytes.clone(),
                times: Vec::new(),
                producer: None,
            };
            let newest = batch.times.iter().max().copied().unwrap_or_default();
            if self.core.wall().0 - newest > self.plan.config.producer_expiration_ms / 2 {
                continue;
            }
            match self.stage(&draft, LeaderEpoch(model.epoch), self.core.wall()) {
                Ok(Staged::Duplicate(duplicate)) => {
                    let place = (duplicate.base_offset.0, duplicate.last_offset.0);
                    assert_eq!(place, (batch.base, batch.last));
                    self.counts.borrow_mut().duplicates += 1;
                }
                other => panic!("producer {id}'s batch at {} came again: {other:?}", batch.base),
            }
        }
    }

    /// A clean end of the process.
    pub async fn end(self: &Rc<Self>) -> Result<(), LogError> {
        self.settle().await;
        let job = self.log.borrow_mut().close_job();
        job.run(&self.core).await?;
        self.check_promise();
        {
            let model = self.model.borrow();
            let end = model.end().max(model.start);
            assert_eq!(model.durable, end, "a closed log is durable");
        }
        self.write_checkpoints().await;
        if let Some(reason) = self.failure.borrow().clone() {
            return Err(LogError::corrupt(Path::new(DIR), reason));
        }
        write_clean_marker(&self.core, Path::new(DIR), 1).await
    }
}

/// What was read is the beginning of what was asked for, and a whole batch if one fits.
fn check_bytes(model: &Model, range: &ReadRange, bytes: &[u8], is_moved: bool) {
    let ReadRange { from: Offset(from), upper: Offset(upper), bytes_max, one_batch_at_least } =
        *range;
    let expected = model.bytes(from, upper);
    assert!(expected.starts_with(bytes), "{range:?} gave other bytes than were appended");
    let first = model.from(from).first().filter(|batch| batch.base < upper);
    let first_bytes = first.map_or(0, |batch| batch.bytes.len());
    assert!(bytes.len() <= bytes_max.max(first_bytes), "{range:?} gave {} bytes", bytes.len());
    if first.is_some() && (one_batch_at_least || first_bytes <= bytes_max) && !is_moved {
        assert!(bytes.len() >= first_bytes, "{range:?} gave no whole batch");
    }
}

/// The offset after the last whole batch, and where that ends.
fn whole(bytes: &[u8]) -> Option<(Offset, usize)> {
    let (mut at, mut next) = (0, None);
    while let Ok(header) = BatchHeader::parse(Pieces::one(&bytes[at..]))
        && header.total_bytes() <= bytes.len() - at
    {
        at += header.total_bytes();
        next = Some(header.next_offset());
    }
    next.map(|next| (next, at))
}

/// A bell, or a little time: a flush that was begun elsewhere rings it too.
async fn sync_or_time(core: &Core, bell: &Bell) {
    crate::runtime::sync::race(bell.heard(), core.sleep(Duration::from_millis(1))).await;
}
