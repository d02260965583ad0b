//! Retention: whole segments go, oldest first, by time, by size, and below the log start offset.
//!
//! Never a segment that reaches above the high watermark, and never the last one unless all of it
//! has expired: then the next append begins a new one. A log that is only compacted keeps its
//! segments, but for those below the log start offset.

use super::checkpoint::{self, Durable};
use super::directory::LogDir;
use super::durability::Durability;
use super::error::LogError;
use super::flush::FolderState;
use super::folder;
use super::load;
use super::log::Log;
use super::names::{self, Kind};
use super::planted::Bug;
use super::rare::Rare;
use super::segment::Segment;
use super::{seal, snapshot, writeback};
use crate::model::{Offset, Timestamp};
use crate::runtime::{Core, Open};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Removes the files of segments that the log has let go, and learns the times of segments that
/// were not looked at yet, for the next round.
#[must_use]
pub struct DeleteJob {
    dir: Rc<LogDir>,
    unknown: Vec<Rc<Segment>>,
    folder: PathBuf,
    segments: Vec<Rc<Segment>>,
    delay: Duration,
    durability: Rc<Durability>,
    /// Where what is kept begins.
    end: Offset,
    _turn: Turn,
    /// The new segment of a log that expired altogether, and the producers' state at its base.
    fresh: Option<(Left, Vec<u8>)>,
    /// Why, with the log's new start.
    pub reasons: Vec<(Offset, DeleteReason)>,
}

/// The segment that was the active one of a log that expired altogether. The recovery point stays
/// below it until it is sealed and the file that keeps the log's end is on disk: a power cut can bring
/// the expired segments back, and the log must not end inside of them then.
struct Left {
    durability: Rc<Durability>,
    segment: Rc<Segment>,
    end: Offset,
    is_kept: Cell<bool>,
}

impl Left {
    fn new(durability: &Rc<Durability>, segment: &Rc<Segment>, end: Offset) -> Self {
        durability.on_seal_begun(segment);
        let (durability, segment) = (Rc::clone(durability), Rc::clone(segment));
        Self { durability, segment, end, is_kept: Cell::new(false) }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if self.is_kept.get() {
            self.durability.on_sealed(self.segment.base, self.end);
        } else {
            self.durability.on_seal_failed(self.segment.base);
        }
        self.durability.seal_ended.ring();
    }
}

/// One job of a log at a time removes segments: together they could leave a hole.
struct Turn(Rc<FolderState>);

impl Turn {
    /// `None` while another job has it.
    fn try_take(folder: &Rc<FolderState>) -> Option<Self> {
        (!folder.is_deleting.replace(true)).then(|| Self(Rc::clone(folder)))
    }

    async fn take(folder: &Rc<FolderState>) -> Self {
        loop {
            match Self::try_take(folder) {
                Some(turn) => return turn,
                None => folder.delete_ended.heard().await,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.is_deleting.set(false);
        self.0.delete_ended.ring();
    }
}

/// Why a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteReason {
    /// `retention.ms`
    Time,
    /// `retention.bytes`
    Size,
    /// It ends below the log start offset.
    Start,
}

impl Log {
    /// Lets go of segments that are no longer kept; the job removes their files. The log start
    /// offset moves at once. Nothing while an earlier job runs, nor of a log that was removed: its
    /// name may be its successor's by now.
    pub fn retain(&mut self, core: &Core, high_watermark: Offset) -> Option<DeleteJob> {
        if self.failure().is_some() {
            return None;
        }
        let turn = Turn::try_take(&self.folder_state)?;
        let now = core.wall();
        if let Some(active) = self.active() {
            writeback::on_quiet(core, &self.dir, active);
        }
        let reasons = self.expired(high_watermark, now);
        let mut unknown = self.unknown_times();
        if reasons.is_empty() && unknown.is_empty() {
            return None;
        }
        // A new segment that is on its way counts on the one before it.
        let is_busy = reasons.len() == self.segments.len() && self.is_flushing();
        let reasons = if is_busy {
            Rare::ExpiryPut.reached();
            Vec::new()
        } else {
            reasons
        };
        let count = reasons.len();
        let is_all = count == self.segments.len();
        let end = self.segments.get(count).map_or(self.log_end_offset, |segment| segment.base);
        let segments = self.segments.drain_front(count);
        if is_all {
            Rare::AllExpired.reached();
            // Its name keeps the log's end when the files of all others are gone.
            self.tail.clear();
            self.segments.push(self.fresh_segment(end, now));
            self.durability.names.on_change();
        }
        if count > 0 && end > self.log_start_offset {
            self.log_start_offset = end;
        }
        // The file may say more: it is cut when it is read, at whatever start is known then.
        if count > 0 {
            self.epochs.truncate_start(end);
        }
        for segment in &segments {
            segment.is_gone.set(true);
            writeback::on_synced(&self.dir, segment, segment.len.get());
        }
        unknown.retain(|segment| !segment.is_gone.get());
        let (folder, delay) = (self.folder.to_path_buf(), self.config.file_delete_delay);
        let dir = Rc::clone(&self.dir);
        let fresh = is_all.then(|| {
            let entries: Vec<_> = self.producers.entries().copied().collect();
            let active = segments.last().expect("all of at least one");
            (Left::new(&self.durability, active, end), snapshot::encode(&entries))
        });
        let durability = Rc::clone(&self.durability);
        Some(DeleteJob {
            dir,
            unknown,
            folder,
            segments,
            delay,
            durability,
            end,
            _turn: turn,
            fresh,
            reasons,
        })
    }

    /// Segments whose largest time decides and is not known.
    fn unknown_times(&self) -> Vec<Rc<Segment>> {
        if !self.config.is_deleted || self.config.retention_ms < 0 {
            return Vec::new();
        }
        self.segments.iter().filter(|s| s.max_time().is_none()).map(Rc::clone).collect()
    }

    /// The segments that go, from the first on, and why.
    fn expired(&self, high_watermark: Offset, now: Timestamp) -> Vec<(Offset, DeleteReason)> {
        let total = self.size_bytes();
        let (mut kept_bytes, mut reasons) = (total, Vec::new());
        for (index, segment) in self.segments.iter().enumerate() {
            let next = self.segments.get(index + 1);
            let end = next.map_or(self.log_end_offset, |next| next.base);
            let is_empty_active = next.is_none() && segment.len.get() == 0;
            if end > high_watermark || is_empty_active {
                break;
            }
            let rest = kept_bytes - segment.len.get();
            let is_active = next.is_none();
            let reason = if end <= self.log_start_offset && !is_active {
                DeleteReason::Start
            } else if self.is_too_old(segment, now) {
                DeleteReason::Time
            } else if self.is_too_much(rest) {
                DeleteReason::Size
            } else {
                break;
            };
            kept_bytes = rest;
            reasons.push((segment.base, reason));
        }
        reasons
    }

    fn is_too_old(&self, segment: &Segment, now: Timestamp) -> bool {
        let keep_ms = self.config.retention_ms;
        self.config.is_deleted
            && keep_ms >= 0
            && segment.max_time().is_some_and(|time| {
                // Records without times count from when the segment was made or opened.
                let time = if time.0 < 0 { segment.created_at.get() } else { time };
                now.0.saturating_sub(time.0) > keep_ms
            })
    }

    /// Whether the size is still above the bound without the segment.
    fn is_too_much(&self, rest: u64) -> bool {
        let max = self.config.retention_bytes;
        self.config.is_deleted && max >= 0 && rest >= max as u64
    }
}

impl DeleteJob {
    /// Renames the files away; they are removed in the background after `file.delete.delay.ms` (or
    /// at the next start). Readers that hold spans keep their file.
    pub async fn run(mut self, core: &Core) -> Result<(), LogError> {
        // Until a segment is sealed, what the next one needs of the producers' state may be in the
        // segments before it alone; and one that goes without being on disk could leave a hole behind
        // those that a power cut brings back.
        let left = self.fresh.as_ref().map(|(left, _)| left.segment.base);
        self.durability.until_sealed_below(&self.dir, self.end, left).await;
        if let Some(error) = self.dir.failure() {
            return Err(error);
        }
        if let Some((left, snapshot)) = self.fresh.take() {
            self.make_fresh(core, &left, snapshot)
                .await
                .inspect_err(|error| self.dir.fail(error))?;
            left.is_kept.set(true);
        }
        for segment in &self.unknown {
            match load::load(core, &self.dir, segment).await {
                // Its time stays unknown; retention by size goes on.
                Err(error) if error.is_not_found() => {
                    tracing::warn!(%error, "a segment's file is gone");
                }
                loaded => loaded?,
            }
        }
        if self.segments.is_empty() {
            return Ok(());
        }
        let mut doomed = Vec::new();
        let mut segments = self.segments.clone();
        if Bug::NewestRemovedFirst.is_planted() {
            segments.reverse();
        }
        for segment in &segments {
            for kind in Kind::ALL {
                let path = names::path(&self.folder, segment.base, kind);
                let mut to = path.clone().into_os_string();
                to.push(".deleted");
                let to = PathBuf::from(to);
                match core.rename(&path, &to).await {
                    Ok(()) => doomed.push(to),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(LogError::io("rename", &path, error)),
                }
            }
            // Oldest first, also after a power cut: what is left has no hole.
            core.sync_dir(&self.folder).await.map_err(LogError::at("fsync", &self.folder))?;
        }
        let (core_, delay) = (core.clone(), self.delay);
        core.spawn(async move {
            core_.sleep(delay).await;
            for path in doomed {
                if let Err(error) = folder::remove(&core_, &path).await {
                    tracing::warn!(%error, "a deleted segment's file stays");
                }
            }
        });
        Ok(())
    }
}

impl DeleteJob {
    /// The file whose name keeps the log's end.
    async fn make_fresh(
        &self,
        core: &Core,
        left: &Left,
        snapshot: Vec<u8>,
    ) -> Result<(), LogError> {
        seal::finish_indexes(&left.segment);
        seal::seal(core, &self.dir, &left.segment).await?;
        let path = names::path(&self.folder, left.end, Kind::Snapshot);
        checkpoint::replace_file(core, &path, snapshot, Durable::File).await?;
        let path = names::path(&self.folder, left.end, Kind::Log);
        core.open(&path, Open::Write).await.map_err(LogError::at("create", &path))?;
        core.sync_dir(&self.folder).await.map_err(LogError::at("fsync", &self.folder))
    }
}

/// Removes a whole log: DeleteTopics.
#[must_use]
pub struct RemoveJob {
    dir: Rc<LogDir>,
    folder: Arc<Path>,
    folder_state: Rc<FolderState>,
    segments: Vec<Rc<Segment>>,
    delay: Duration,
    durability: Rc<Durability>,
    /// A topic is removed once.
    unique: u128,
}

impl Log {
    /// Renames the folder away and removes it after `file.delete.delay.ms`. Nothing may be on its
    /// way; the log takes no appends after.
    pub fn remove_job(&mut self) -> RemoveJob {
        assert!(self.is_flushed(), "a log is removed when nothing is on its way");
        self.failure = Some(LogError::AppendsFailed {
            path: Arc::clone(&self.folder),
            reason: "it was removed".into(),
        });
        for segment in self.segments.iter() {
            segment.is_gone.set(true);
            writeback::on_synced(&self.dir, segment, segment.len.get());
        }
        RemoveJob {
            segments: self.segments.iter().map(Rc::clone).collect(),
            folder_state: Rc::clone(&self.folder_state),
            folder: Arc::clone(&self.folder),
            delay: self.config.file_delete_delay,
            durability: Rc::clone(&self.durability),
            unique: u128::from_be_bytes(self.topic_id.0),
            dir: Rc::clone(&self.dir),
        }
    }
}

impl RemoveJob {
    /// Renames the folder: when this is done a log of the same name can be made. What is in it is
    /// removed in the background after `file.delete.delay.ms` (or at the next start, see
    /// [`list_removed`](super::list_removed)). If it fails the directory goes out of service: a log
    /// of the same name would find the old files.
    pub async fn run(self, core: &Core) -> Result<(), LogError> {
        if !self.folder_state.is_made.get() {
            return Ok(());
        }
        // Whoever works on files by their names would soon work on its successor's.
        let _turn = Turn::take(&self.folder_state).await;
        self.durability.until_sealed(&self.dir).await;
        for segment in &self.segments {
            segment.until_loaded().await;
        }
        let name = self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let to = self.dir.path().join(removed_name(name, self.unique));
        self.rename(core, &to).await.inspect_err(|error| self.dir.fail(error))?;
        let (core_, delay) = (core.clone(), self.delay);
        core.spawn(async move {
            core_.sleep(delay).await;
            if let Err(error) = remove_folder(&core_, &to).await {
                tracing::warn!(%error, "a removed log's folder stays");
            }
        });
        Ok(())
    }

    async fn rename(&self, core: &Core, to: &Path) -> Result<(), LogError> {
        core.rename(&self.folder, to).await.map_err(LogError::at("rename", &self.folder))?;
        let dir = self.dir.path();
        core.sync_dir(dir).await.map_err(LogError::at("fsync", dir))
    }
}

/// `<folder>.<32 digits>-delete`, of at most 255 bytes, as Kafka does.
fn removed_name(folder: &str, unique: u128) -> String {
    let suffix = format!(".{unique:032x}-delete");
    let keep = folder.len().min(255 - suffix.len());
    format!("{}{suffix}", &folder[..keep])
}

/// Removes a folder of a removed log, with what is in it.
pub async fn remove_folder(core: &Core, folder: &Path) -> Result<(), LogError> {
    for entry in core.list(folder).await.map_err(LogError::at("list", folder))? {
        folder::remove(core, &folder.join(entry.name)).await?;
    }
    core.remove_dir(folder).await.map_err(LogError::at("remove", folder))
}
