//! The checkpoint files of the log directories: how far each log is durable, and where it starts.
//!
//! They name partitions by topic name, so that an entry that outlives its topic would speak of the
//! next topic of that name: they are written before a deletion is answered, and at every start.

use super::call::{Call, PartitionCheckpoint, Reply};
use super::shard::Shard;
use crate::log::{CheckpointEntry, CheckpointKind, write_checkpoint};
use crate::model::PartitionIndex;
use crate::runtime::sync;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// All that are kept.
pub const CHECKPOINTS: [CheckpointKind; 3] =
    [CheckpointKind::RecoveryPoint, CheckpointKind::LogStart, CheckpointKind::Replication];

/// The settings may be 0; nobody wants to sync a file without end.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

impl Shard {
    /// Writes the checkpoints: of log starts every
    /// `log.flush.start.offset.checkpoint.interval.ms`, the others every
    /// `log.flush.offset.checkpoint.interval.ms`. On the controller's core.
    pub async fn keep_checkpoints(self: Rc<Self>) {
        let config = &self.facts.config;
        let points = config.recovery_point_checkpoint_interval.max(INTERVAL_MIN);
        let starts = config.start_offset_checkpoint_interval.max(INTERVAL_MIN);
        let now = self.core().now();
        let (mut points_at, mut starts_at) = (now + points, now + starts);
        loop {
            self.core().sleep_until(points_at.min(starts_at)).await;
            let (now, mut due) = (self.core().now(), Vec::new());
            if now >= points_at {
                due.extend([CheckpointKind::RecoveryPoint, CheckpointKind::Replication]);
                points_at = now + points;
            }
            if now >= starts_at {
                due.push(CheckpointKind::LogStart);
                starts_at = now + starts;
            }
            self.save_checkpoints(&due).await;
        }
    }

    /// Writes checkpoints of all logs as they are now; whether that succeeded. On the controller's
    /// core.
    pub async fn save_checkpoints(self: &Rc<Self>, kinds: &[CheckpointKind]) -> bool {
        let _inside = self.checkpoints_gate.enter().await;
        let entries = self.gather_checkpoints(|| Call::Checkpoints).await;
        self.write_checkpoints(kinds, &entries).await
    }

    /// How far the logs of all cores are durable, after this call; the metadata log is one of them.
    pub async fn gather_checkpoints(
        self: &Rc<Self>,
        call: impl Fn() -> Call,
    ) -> Vec<PartitionCheckpoint> {
        let calls = (0..self.core_count()).map(|core| self.call(core, call()));
        let replies = sync::all(calls).await.into_iter();
        let lists = replies.map(|reply| match reply {
            Reply::Checkpoints(entries) => entries,
            _ => unreachable!("a checkpoint call has a checkpoint reply"),
        });
        let mut entries: Vec<_> = lists.flatten().collect();
        entries.extend(self.controller.get().map(|host| host.checkpoint()));
        entries
    }

    /// Nothing is written to a directory that has failed: what is there stays as it was.
    pub fn directories_in_service(&self) -> impl Iterator<Item = &PathBuf> {
        let paths = self.facts.config.log_dirs.iter();
        paths.filter(|path| self.directory_failure(path).is_none())
    }

    /// Writes the files; the caller is inside `checkpoints_gate`.
    pub async fn write_checkpoints(
        &self,
        kinds: &[CheckpointKind],
        entries: &[PartitionCheckpoint],
    ) -> bool {
        let mut is_written = true;
        for path in self.directories_in_service() {
            for kind in kinds {
                let in_dir = entries.iter().filter(|entry| entry.directory == *path);
                let lines: Vec<_> = in_dir.filter_map(|entry| line(entry, *kind)).collect();
                if let Err(error) = write_checkpoint(self.core(), path, *kind, &lines).await {
                    tracing::error!("a checkpoint was not written: {error}");
                    is_written = false;
                }
            }
        }
        is_written
    }
}

fn line(entry: &PartitionCheckpoint, kind: CheckpointKind) -> Option<CheckpointEntry> {
    let offset = match kind {
        CheckpointKind::RecoveryPoint => entry.recovery_point,
        CheckpointKind::LogStart if entry.log_start_offset.0 == 0 => return None,
        CheckpointKind::LogStart => entry.log_start_offset,
        CheckpointKind::Replication => entry.high_watermark,
    };
    let (topic, partition) = (entry.topic.clone(), PartitionIndex(entry.partition));
    Some(CheckpointEntry { topic, partition, offset })
}
