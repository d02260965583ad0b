//! Flushing: the second step of an append. One write at a time per partition, inline or through
//! the ring; rolls, new folders and new leader epochs take the ring too.
//!
//! A failed write is undone: the file is cut back to what readers see, and everything staged is
//! forgotten. If that fails too, the log takes no appends until it is opened again.

use super::append::{Run, WRITE_BYTES_MAX};
use super::append_path::{RingEnd, TICK, Way, WriteFacts};
use super::checkpoint::{self, Durable};
use super::directory::LogDir;
use super::durability::{Durability, Synced};
use super::error::LogError;
use super::log::Log;
use super::names::{self, Kind};
use super::planted::Bug;
use super::rare::Rare;
use super::segment::Segment;
use super::{seal, writeback};
use crate::model::{Offset, TopicId};
use crate::runtime::sync::Bell;
use crate::runtime::{Core, File, Gather, Open};
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// More than this in one turn goes through the ring, whatever the path.
const INLINE_BYTES_MAX: u64 = 4 * WRITE_BYTES_MAX as u64;
/// Blocks are reserved in steps, once a segment shows that it grows.
const ALLOCATE_BYTES: u64 = 8 << 20;
const ALLOCATE_FROM_BYTES: u64 = 1 << 20;

/// What a flush came to.
#[must_use]
#[allow(clippy::large_enum_variant)] // a box would be an allocation per ring write
pub enum Flush {
    /// Nothing is staged, or a write is on its way already (what is staged waits for its end).
    Idle,
    /// Written inline.
    Done(Result<Flushed, LogError>),
    /// To be run by the caller's task, whose outcome goes to [`Log::end_flush`].
    Pending(FlushJob),
}

/// The log is written from `from` up to `log_end_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    pub from: Offset,
    pub log_end_offset: Offset,
    /// More is staged: begin another flush.
    pub more: bool,
}

/// A write on its way; owns all it needs.
#[must_use]
pub struct FlushJob {
    core: Core,
    dir: Rc<LogDir>,
    folder: Rc<FolderState>,
    durability: Rc<Durability>,
    run: Run,
    topic_id: TopicId,
    /// Leader epochs, where their file is to be written first.
    epochs: Option<String>,
    /// The log has no files yet.
    is_first: bool,
    /// Reserve the whole segment.
    preallocate: Option<u64>,
    /// The inline write failed already: only undo it.
    failed: Option<LogError>,
    /// Whether the ring's way is being counted.
    is_counted: bool,
}

/// What came of a [`FlushJob`].
#[must_use]
pub struct FlushOutcome {
    run: Run,
    result: Result<(), LogError>,
    /// What was written could not be taken back.
    undo: Result<(), LogError>,
}

/// What is known of a log's folder, shared with jobs.
#[derive(Default)]
pub(super) struct FolderState {
    pub is_made: Cell<bool>,
    /// Files of segments are being removed, or the folder is.
    pub is_deleting: Cell<bool>,
    /// Rung when they are.
    pub delete_ended: Bell,
    /// The leader epochs in memory are newer than their file.
    pub epochs_changed: Cell<bool>,
    /// Their file.
    pub epochs_file: Synced,
    /// The folder's own name.
    pub name: Synced,
}

impl Log {
    /// Starts writing what is staged. Call it again after each end while `more` is set.
    pub fn begin_flush(&mut self, core: &Core) -> Flush {
        if self.in_flight {
            return Flush::Idle;
        }
        let Some(mut run) = self.runs.pop_front() else { return Flush::Idle };
        if let Some(error) = self.failure() {
            self.unstage(run);
            return Flush::Done(Err(error));
        }
        let way = self.choose_way(core, &run);
        let file = run.segment.file();
        if way == Way::Inline
            && let Some(file) = file
        {
            match write_inline(core, &file, &mut run) {
                Ok(()) => return Flush::Done(Ok(self.commit(core, run))),
                Err(error) => {
                    Rare::InlineFailed.reached();
                    let error = LogError::io("write", &run.segment.path(Kind::Log), error);
                    return Flush::Pending(self.job(core, run, Some(error)));
                }
            }
        }
        Flush::Pending(self.job(core, run, None))
    }

    /// Takes a flush's outcome home. On an error nothing of what that flush carried, nor what was
    /// staged meanwhile, is in the log: its waiters (above the unchanged log end offset) get the
    /// error, and the batches' producers may send them again.
    pub fn end_flush(&mut self, core: &Core, outcome: FlushOutcome) -> Result<Flushed, LogError> {
        assert!(self.in_flight, "a flush ends once");
        self.in_flight = false;
        self.write_in_worker = false;
        self.segment_in_flight = None;
        let FlushOutcome { run, result, undo } = outcome;
        if let Err(error) = result {
            if let Err(undo) = undo {
                Rare::UndoFailed.reached();
                tracing::error!(log = %self.folder.display(), %undo, "a failed write stays");
                self.failure = Some(LogError::AppendsFailed {
                    path: self.folder.clone(),
                    reason: undo.to_string().into(),
                });
            }
            self.unstage(run);
            return Err(error);
        }
        if run.is_roll {
            self.install(core, &run);
        }
        Ok(self.commit(core, run))
    }

    fn choose_way(&self, core: &Core, run: &Run) -> Way {
        let has_index_files = run.segment.has_index_files.get();
        if run.is_roll || has_index_files || self.folder_state.epochs_changed.get() {
            return Way::Ring;
        }
        let facts = WriteFacts {
            is_busy: core.now().since(run.segment.written_at.get()) < TICK,
            is_over_budget: self.dir.dirty.is_over() || run.bytes > INLINE_BYTES_MAX,
        };
        self.dir.append_path.borrow_mut().choose(facts)
    }

    fn job(&mut self, core: &Core, run: Run, failed: Option<LogError>) -> FlushJob {
        self.in_flight = true;
        self.write_in_worker = failed.is_none();
        self.segment_in_flight = Some(Rc::clone(&run.segment));
        let epochs_changed = self.folder_state.epochs_changed.take();
        let is_busy = core.now().since(run.segment.written_at.get()) < TICK;
        FlushJob {
            core: core.clone(),
            dir: Rc::clone(&self.dir),
            folder: Rc::clone(&self.folder_state),
            durability: Rc::clone(&self.durability),
            topic_id: self.topic_id,
            epochs: epochs_changed.then(|| self.epochs.encode()),
            is_first: self.segments.is_empty(),
            preallocate: (run.is_roll && self.config.preallocate)
                .then_some(self.config.segment_bytes),
            failed,
            is_counted: is_busy && !run.is_roll && !epochs_changed,
            run,
        }
    }

    /// The run is written: readers see it.
    fn commit(&mut self, core: &Core, run: Run) -> Flushed {
        let from = self.log_end_offset;
        let segment = Rc::clone(&run.segment);
        segment.len.set(run.position + run.bytes);
        segment.end_offset.set(run.end_offset);
        segment.max_timestamp.set(segment.max_time().max(Some(run.max_timestamp)));
        segment.written_at.set(core.now());
        self.log_end_offset = run.end_offset;
        self.producers.commit_through(run.end_offset);
        run.batches.iter().for_each(|batch| self.tail.push(*batch));
        self.recycle(run);
        writeback::on_written(core, &self.dir, &segment);
        allocate_ahead(core, &segment, self.config.segment_bytes);
        Flushed { from, log_end_offset: self.log_end_offset, more: !self.runs.is_empty() }
    }

    /// The run's segment is the active one now; the one before is sealed in the background.
    fn install(&mut self, core: &Core, run: &Run) {
        self.tail.clear();
        self.durability.names.on_change();
        if let Some(old) = self.active() {
            seal::seal_later(core, self, &Rc::clone(old), run.first_offset);
        }
        self.segments.push(Rc::clone(&run.segment));
    }
}

fn write_inline(core: &Core, file: &File, run: &mut Run) -> io::Result<()> {
    let mut at = run.position;
    for gather in &mut run.gathers {
        file.write_inline(core, gather, at).0?;
        at += gather.len() as u64;
    }
    Ok(())
}

impl FlushJob {
    /// Makes the folder and files where needed, and writes.
    pub async fn run(mut self) -> FlushOutcome {
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => self.prepare_and_write().await,
        };
        let undo = match &result {
            Ok(()) => Ok(()),
            Err(_) => self.undo().await,
        };
        if result.is_err() && self.epochs.is_some() {
            self.folder.epochs_changed.set(true);
        }
        FlushOutcome { run: self.run, result, undo }
    }

    async fn prepare_and_write(&mut self) -> Result<(), LogError> {
        let (core, segment) = (self.core.clone(), Rc::clone(&self.run.segment));
        if !self.folder.is_made.get() {
            make_folder(&core, &segment.folder, self.topic_id).await?;
            self.folder.is_made.set(true);
            self.folder.name.on_change();
        }
        if self.run.is_roll {
            self.make_files().await?;
        } else if segment.has_index_files.get() {
            seal::remove_indexes(&core, &segment).await?;
            self.durability.names.on_change();
        }
        if let Some(epochs) = &self.epochs {
            let path = segment.folder.join(names::EPOCHS);
            let bytes = epochs.clone().into_bytes();
            // The first of its kind replaces nothing: the batches say it again.
            let durable = if self.is_first { Durable::No } else { Durable::File };
            checkpoint::replace_file(&core, &path, bytes, durable).await?;
            self.folder.epochs_file.on_change();
            self.durability.names.on_change();
        }
        let file = match segment.file() {
            Some(file) => file,
            None => open_or_make(&core, &segment).await?,
        };
        segment.set_file(file.clone());
        let name = |error| LogError::io("write", &segment.path(Kind::Log), error);
        self.write(&file).await.map_err(name)
    }

    async fn make_files(&mut self) -> Result<(), LogError> {
        let (core, segment) = (&self.core, &self.run.segment);
        if let Some(snapshot) = self.run.snapshot.take() {
            // Not synced here: sealing does that, and without it the log is read again.
            let path = segment.path(Kind::Snapshot);
            checkpoint::replace_file(core, &path, snapshot, Durable::No).await?;
        }
        let path = segment.path(Kind::Log);
        let file = core.open(&path, Open::Create).await.map_err(LogError::at("create", &path))?;
        // From here on there is something to undo.
        segment.set_file(file.clone());
        if let Some(bytes) = self.preallocate {
            file.allocate(core, 0, bytes).await.map_err(LogError::at("allocate", &path))?;
            segment.allocated.set(bytes);
        }
        Ok(())
    }

    async fn write(&mut self, file: &File) -> io::Result<()> {
        let mut at = self.run.position;
        for index in 0..self.run.gathers.len() {
            let gather = std::mem::take(&mut self.run.gathers[index]);
            let len = gather.len() as u64;
            if Bug::AckBeforeWrite.is_planted() {
                let (core, file) = (self.core.clone(), file.clone());
                self.core.spawn(async move {
                    let _ = file.write_at(&core, gather, at).await;
                });
                at += len;
                continue;
            }
            let (result, gather) = self.write_one(file, gather, at).await;
            self.run.gathers[index] = gather;
            result?;
            at += len;
        }
        Ok(())
    }

    async fn write_one(&self, file: &File, gather: Gather, at: u64) -> (io::Result<()>, Gather) {
        let counters = self.core.counters();
        let (turns, sleeps) = (counters.turns.get(), counters.sleeps.get());
        let (result, _, gather) = file.write_at(&self.core, gather, at).await;
        if self.is_counted {
            let end = match (counters.turns.get() - turns, counters.sleeps.get() - sleeps) {
                (0..=1, 0) => RingEnd::AtOnce,
                (0..=1, _) => RingEnd::Unclear,
                _ => RingEnd::Punted,
            };
            self.dir.append_path.borrow_mut().on_ring_end(end);
        }
        (result, gather)
    }

    /// Cuts the file back to where it was; a file that this run made goes altogether.
    async fn undo(&mut self) -> Result<(), LogError> {
        if Bug::UndoSkipped.is_planted() {
            return Ok(());
        }
        let (segment, path) = (&self.run.segment, self.run.segment.path(Kind::Log));
        let Some(file) = segment.file() else { return Ok(()) };
        if self.run.is_roll {
            Rare::RollUndone.reached();
            drop(file);
            // Its indexes stay: batches may be staged to it until the flush has ended.
            segment.close();
            // Until the removal is durable, a power cut could bring the empty file back.
            self.durability.names.on_change();
            return self.core.unlink(&path).await.map_err(LogError::at("remove", &path));
        }
        Rare::WriteUndone.reached();
        segment.allocated.set(self.run.position);
        file.truncate(&self.core, self.run.position).await.map_err(LogError::at("cut", &path))
    }
}

/// Opens a segment's file. That of a log that expired altogether retention may not have made yet.
async fn open_or_make(core: &Core, segment: &Segment) -> Result<File, LogError> {
    let path = segment.path(Kind::Log);
    core.open(&path, Open::Write).await.map_err(LogError::at("open", &path))
}

/// Makes a log's folder and says whose it is.
async fn make_folder(core: &Core, folder: &Path, topic_id: TopicId) -> Result<(), LogError> {
    match core.make_dir(folder).await {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(LogError::io("create", folder, error));
        }
        _ => {}
    }
    write_partition_metadata(core, folder, topic_id).await
}

pub(super) async fn write_partition_metadata(
    core: &Core,
    folder: &Path,
    topic_id: TopicId,
) -> Result<(), LogError> {
    if topic_id.is_zero() {
        return Ok(());
    }
    let text = format!("version: 0\ntopic_id: {topic_id}");
    let path = folder.join(names::PARTITION_METADATA);
    checkpoint::replace_file(core, &path, text.into_bytes(), Durable::No).await
}

/// Reserves the next step of a growing segment, so that appends find their blocks. A file system
/// that cannot, or has no room, says so to the append that needs it.
fn allocate_ahead(core: &Core, segment: &Rc<Segment>, segment_bytes: u64) {
    let (len, allocated) = (segment.len.get(), segment.allocated.get());
    let is_wanted = len >= ALLOCATE_FROM_BYTES
        && len + ALLOCATE_BYTES / 2 > allocated
        && allocated < segment_bytes;
    let Some(file) = segment.file().filter(|_| is_wanted) else { return };
    let from = allocated.max(len);
    let to = (from + ALLOCATE_BYTES).min(segment_bytes.max(from));
    segment.allocated.set(to);
    let core_ = core.clone();
    core.spawn(async move {
        if to > from {
            let _ = file.allocate(&core_, from, to - from).await;
        }
    });
}
