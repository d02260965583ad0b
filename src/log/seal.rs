//! Sealing: a segment that was left for the next one is completed and synced in the background.

use super::checkpoint::{self, Durable};
use super::directory::LogDir;
use super::durability::Durability;
use super::error::LogError;
use super::flush::FolderState;
use super::folder;
use super::index::{self, Indexes};
use super::log::Log;
use super::names::{self, Kind};
use super::planted::Bug;
use super::rare::Rare;
use super::segment::Segment;
use super::writeback;
use crate::model::Offset;
use crate::runtime::Core;
use std::path::Path;
use std::rc::Rc;

/// Seals `segment`, which was left for the one that begins at `end`.
pub(super) fn seal_later(core: &Core, log: &Log, segment: &Rc<Segment>, end: Offset) {
    let (dir, durability) = (Rc::clone(&log.dir), Rc::clone(&log.durability));
    let segment = Rc::clone(segment);
    let next_snapshot = names::path(&log.folder, end, Kind::Snapshot);
    durability.on_seal_begun(&segment);
    finish_indexes(&segment);
    let (core_, folder) = (core.clone(), Rc::clone(&log.folder_state));
    core.spawn(async move {
        match seal_all(&core_, &dir, &folder, &segment, &next_snapshot).await {
            Ok(()) => {
                durability.on_sealed(segment.base, end);
                dir.cache.borrow_mut().on_load(&segment);
            }
            Err(error) => {
                Rare::SealFailed.reached();
                durability.on_seal_failed(segment.base);
                dir.fail(&error);
            }
        }
        durability.seal_ended.ring();
    });
}

/// The segment, and what of the folder must be durable before the recovery point moves.
async fn seal_all(
    core: &Core,
    dir: &LogDir,
    folder: &FolderState,
    segment: &Segment,
    next_snapshot: &Path,
) -> Result<(), LogError> {
    sync_file(core, next_snapshot).await?;
    sync_epochs(core, folder, &segment.folder).await?;
    seal(core, dir, segment).await?;
    sync_folder_name(core, dir, folder).await
}

/// Makes the folder's name durable, once.
async fn sync_folder_name(core: &Core, dir: &LogDir, folder: &FolderState) -> Result<(), LogError> {
    if let Some(change) = folder.name.pending() {
        if !Bug::FolderNameNotSynced.is_planted() {
            core.sync_dir(dir.path()).await.map_err(LogError::at("fsync", dir.path()))?;
        }
        folder.name.on_synced(change);
    }
    Ok(())
}

async fn sync_epochs(core: &Core, state: &FolderState, folder: &Path) -> Result<(), LogError> {
    if let Some(change) = state.epochs_file.pending() {
        if !Bug::EpochsNotSynced.is_planted() {
            sync_file(core, &folder.join(names::EPOCHS)).await?;
        }
        state.epochs_file.on_synced(change);
    }
    Ok(())
}

/// The time index ends with the segment's largest time.
pub(super) fn finish_indexes(segment: &Segment) {
    if let Some(indexes) = &mut *segment.indexes.borrow_mut() {
        indexes.push_time(segment.base);
        segment.max_timestamp.set(Some(indexes.max_timestamp));
    }
}

/// Writes the indexes, gives reserved blocks back, and syncs all of a segment's files.
pub(super) async fn seal(core: &Core, dir: &LogDir, segment: &Segment) -> Result<(), LogError> {
    let (path, len) = (segment.path(Kind::Log), segment.len.get());
    let Some(file) = segment.file() else {
        // The one that took the place of all that had expired: nothing was written to it yet, and
        // without its indexes the next start would have to look at it.
        write_indexes(core, segment).await?;
        let folder = &*segment.folder;
        return core.sync_dir(folder).await.map_err(LogError::at("fsync", folder));
    };
    if segment.allocated.get() > len {
        file.truncate(core, len).await.map_err(LogError::at("trim", &path))?;
        segment.allocated.set(len);
    }
    write_indexes(core, segment).await?;
    if !Bug::SealNotSynced.is_planted() {
        file.sync_data(core).await.map_err(LogError::at("fsync", &path))?;
    }
    writeback::on_synced(dir, segment, len);
    core.sync_dir(&segment.folder).await.map_err(LogError::at("fsync", &segment.folder))
}

/// Writes and syncs both index files.
pub(super) async fn write_indexes(core: &Core, segment: &Segment) -> Result<(), LogError> {
    let encoded = segment.indexes.borrow().as_ref().map(encode);
    let Some((offsets, times)) = encoded else { return Ok(()) };
    for (kind, bytes) in [(Kind::OffsetIndex, offsets), (Kind::TimeIndex, times)] {
        checkpoint::replace_file(core, &segment.path(kind), bytes, Durable::File).await?;
    }
    segment.has_index_files.set(true);
    Ok(())
}

/// Takes the index files away before the segment grows: files that are there are complete, and
/// whoever finds none reads the segment.
pub(super) async fn remove_indexes(core: &Core, segment: &Segment) -> Result<(), LogError> {
    folder::remove(core, &segment.path(Kind::OffsetIndex)).await?;
    folder::remove(core, &segment.path(Kind::TimeIndex)).await?;
    segment.has_index_files.set(false);
    Ok(())
}

fn encode(indexes: &Indexes) -> (Vec<u8>, Vec<u8>) {
    let (mut offsets, mut times) = (Vec::new(), Vec::new());
    index::encode_offsets(&indexes.offsets, &mut offsets);
    index::encode_times(&indexes.times, &mut times);
    (offsets, times)
}

/// Syncs a small file that was written without, if it is there.
async fn sync_file(core: &Core, path: &Path) -> Result<(), LogError> {
    let file = match core.open(path, crate::runtime::Open::Read).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(LogError::at("open", path))?,
    };
    file.sync_data(core).await.map_err(LogError::at("fsync", path))
}

/// Makes what is written so far durable, for all who wait; see [`Log::sync_job`].
#[must_use]
pub struct SyncJob {
    dir: Rc<LogDir>,
    segment: Option<Rc<Segment>>,
    folder: Rc<Path>,
    folder_state: Rc<FolderState>,
    durability: Rc<Durability>,
    len: u64,
    end: Offset,
}

impl Log {
    /// A job that makes everything written so far durable, with one fdatasync;
    /// `job.run(&core).await` gives the offset below which that holds.
    pub fn sync_job(&self) -> SyncJob {
        SyncJob {
            dir: Rc::clone(&self.dir),
            segment: self.active().cloned(),
            folder: Rc::from(&*self.folder),
            folder_state: Rc::clone(&self.folder_state),
            durability: Rc::clone(&self.durability),
            len: self.active().map_or(0, |segment| segment.len.get()),
            end: self.log_end_offset,
        }
    }
}

impl SyncJob {
    pub async fn run(self, core: &Core) -> Result<Offset, LogError> {
        let _turn = self.durability.turn().await;
        self.durability.until_sealed(&self.dir).await;
        if let Some(segment) = &self.segment {
            segment.writeback.until_idle().await;
        }
        if let Some(error) = self.dir.failure() {
            Rare::SyncRefused.reached();
            return Err(error);
        }
        if Bug::PointBeforeSync.is_planted() {
            self.durability.on_all_synced(self.end);
        } else if self.durability.recovery_point() >= self.end {
            Rare::SyncShared.reached();
            return Ok(self.durability.recovery_point());
        }
        self.sync(core).await.inspect_err(|error| self.dir.fail(error))?;
        self.durability.on_all_synced(self.end);
        Ok(self.durability.recovery_point())
    }

    async fn sync(&self, core: &Core) -> Result<(), LogError> {
        let Some(segment) = &self.segment else { return Ok(()) };
        let Some(file) = segment.file() else { return Ok(()) };
        if self.folder_state.epochs_file.pending().is_some() {
            sync_epochs(core, &self.folder_state, &self.folder).await?;
            self.durability.names.on_change();
        }
        let path = segment.path(Kind::Log);
        match file.sync_data(core).await {
            Err(_) if Bug::FailedSyncTrusted.is_planted() => file.sync_data(core).await,
            synced => synced,
        }
        .map_err(LogError::at("fsync", &path))?;
        writeback::on_synced(&self.dir, segment, self.len);
        if let Some(change) = self.durability.names.pending() {
            let folder = &*self.folder;
            if !Bug::FolderNotSynced.is_planted() {
                core.sync_dir(folder).await.map_err(LogError::at("fsync", folder))?;
            }
            self.durability.names.on_synced(change);
        }
        sync_folder_name(core, &self.dir, &self.folder_state).await
    }
}
