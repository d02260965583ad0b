//! A clean end, so that the next start need not scan: everything written is synced, indexes are
//! exact, and the producers' state lies beside the log's end.

use super::checkpoint::{self, Durable};
use super::directory::LogDir;
use super::durability::Durability;
use super::error::LogError;
use super::log::Log;
use super::names::{self, Kind};
use super::seal;
use super::segment::Segment;
use super::snapshot;
use crate::model::Offset;
use crate::runtime::Core;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The end of a log; owns all it needs.
#[must_use]
pub struct CloseJob {
    dir: Rc<LogDir>,
    folder: Arc<Path>,
    active: Option<Rc<Segment>>,
    durability: Rc<Durability>,
    snapshot: Vec<u8>,
    epochs: String,
    end: Offset,
    is_made: bool,
}

impl Log {
    /// A clean end. Nothing may be staged or on its way: `begin_flush` until it is idle. After
    /// `job.run(&core).await` the recovery point is the log end offset.
    pub fn close_job(&mut self) -> CloseJob {
        assert!(!self.is_flushing(), "a log is closed when nothing is on its way");
        let entries: Vec<_> = self.producers.entries().copied().collect();
        if let Some(active) = self.active() {
            seal::finish_indexes(active);
        }
        CloseJob {
            dir: Rc::clone(&self.dir),
            folder: Arc::clone(&self.folder),
            active: self.active().cloned(),
            durability: Rc::clone(&self.durability),
            snapshot: snapshot::encode(&entries),
            epochs: self.epochs.encode(),
            end: self.log_end_offset,
            is_made: self.folder_state.is_made.get(),
        }
    }
}

impl CloseJob {
    pub async fn run(self, core: &Core) -> Result<(), LogError> {
        if let Some(error) = self.dir.failure() {
            return Err(error);
        }
        if !self.is_made {
            self.durability.on_all_synced(self.end);
            return Ok(());
        }
        self.close(core).await.inspect_err(|error| self.dir.fail(error))?;
        self.durability.on_all_synced(self.end);
        Ok(())
    }

    async fn close(&self, core: &Core) -> Result<(), LogError> {
        let epochs = self.folder.join(names::EPOCHS);
        checkpoint::replace_file(core, &epochs, self.epochs.clone().into_bytes(), Durable::File)
            .await?;
        if self.active.is_some() {
            let path = names::path(&self.folder, self.end, Kind::Snapshot);
            checkpoint::replace_file(core, &path, self.snapshot.clone(), Durable::File).await?;
        }
        self.durability.until_sealed(&self.dir).await;
        if let Some(error) = self.dir.failure() {
            return Err(error);
        }
        if let Some(active) = &self.active {
            seal::seal(core, &self.dir, active).await?;
        }
        core.sync_dir(self.dir.path()).await.map_err(LogError::at("fsync", self.dir.path()))
    }
}
