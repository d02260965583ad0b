//! Log directories in and out of service. One that fails, at start or later, takes its partitions
//! with it: they answer KAFKA_STORAGE_ERROR, and the rest goes on. The core that sees the failure
//! tells the others.

use super::call::Call;
use super::shard::Shard;
use crate::log::{LogDir, LogError};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// A log directory that is out of service, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineDirectory {
    pub path: PathBuf,
    pub reason: Arc<str>,
}

impl Shard {
    /// Why a log directory is out of service, if it is.
    pub fn directory_failure(&self, path: &Path) -> Option<LogError> {
        self.log_dirs.borrow().iter().find(|dir| dir.path() == path)?.failure()
    }

    /// Where a new partition's log lies: of the directories in service the one with the fewest
    /// partitions, as Kafka does it (each core counts its own). Equal ones take turns, beginning at
    /// another for each core.
    pub(super) fn log_dir_for_new(&self) -> Rc<LogDir> {
        let dirs = self.log_dirs.borrow();
        let mut counts = vec![0; dirs.len()];
        for partition in self.partitions.borrow().values() {
            let is_there = |dir: &Rc<LogDir>| partition.lies_in(dir.path());
            if let Some(place) = dirs.iter().position(is_there) {
                counts[place] += 1;
            }
        }
        let places: Vec<usize> = (0..dirs.len()).map(|n| (n + self.index()) % dirs.len()).collect();
        let in_service = places.iter().filter(|place| dirs[**place].failure().is_none());
        // Without any in service the process is about to stop; appends say why.
        let place = in_service.min_by_key(|place| counts[**place]).or(places.first());
        Rc::clone(&dirs[*place.expect("a broker has a log directory")])
    }

    /// Waits for a directory's failure and tells everyone whom it concerns.
    pub(super) async fn keep_directory(self: Rc<Self>, dir: Rc<LogDir>) {
        let error = dir.failed().await;
        let reason: Arc<str> = match error {
            LogError::DirectoryFailed { reason, .. } => reason,
            other => other.to_string().into(),
        };
        let offline = OfflineDirectory { path: dir.path().to_path_buf(), reason };
        for core in (0..self.core_count()).filter(|core| *core != self.index()) {
            self.call(core, Call::DirectoryFailed(offline.clone())).await;
        }
        if let Some(host) = self.controller.get() {
            host.on_directory_failed(&offline);
        }
        let partitions: Vec<_> = self.partitions.borrow().values().cloned().collect();
        for partition in partitions.iter().filter(|partition| partition.lies_in(dir.path())) {
            partition.on_directory_failed(&self);
        }
    }

    /// Another core has seen a directory fail.
    pub(super) async fn on_directory_failed(&self, offline: &OfflineDirectory) {
        // It may still be opening its logs.
        while self.log_dirs.borrow().is_empty() {
            self.core().sleep(std::time::Duration::from_millis(10)).await;
        }
        for dir in self.log_dirs.borrow().iter().filter(|dir| dir.path() == offline.path) {
            dir.fail_because(&offline.reason);
        }
    }
}
