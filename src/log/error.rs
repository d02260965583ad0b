//! What can go wrong with a log: the world's part (a disk) and the client's part (a batch).

use super::producer_state::ProducerError;
use crate::model::Offset;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An operation on a log or a log directory failed. Cheap to clone: one failed write is told to
/// all who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{what} {path}: {error}")]
    Io { what: &'static str, path: Arc<Path>, error: Arc<io::Error> },
    /// An earlier failure took this log directory out of service. A failed fsync is never retried.
    #[error("the log directory {path} is out of service since {reason}")]
    DirectoryFailed { path: Arc<Path>, reason: Arc<str> },
    /// A failed write could not be undone: the log is read-only until it is opened again.
    #[error("the log {path} takes no appends since {reason}")]
    AppendsFailed { path: Arc<Path>, reason: Arc<str> },
    /// Stored bytes are damaged: offsets `from` to `to`, exclusive, cannot be read. What comes
    /// after can.
    #[error("offsets {from} to {to} (exclusive) of {path} are damaged and set aside")]
    Damaged { path: Arc<Path>, from: Offset, to: Offset },
    /// A file of the directory is not what it must be; the operator decides.
    #[error("{path}: {reason}")]
    Corrupt { path: Arc<Path>, reason: String },
    /// Another process has the directory.
    #[error("{path} is held by another process (pid {holder})")]
    Locked { path: Arc<Path>, holder: String },
}

impl LogError {
    pub(super) fn io(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { what, path: path.into(), error: Arc::new(error) }
    }

    pub(super) fn corrupt(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { path: path.into(), reason: reason.to_string() }
    }

    /// For `map_err`.
    pub(super) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path: PathBuf = path.to_path_buf();
        move |error| Self::io(what, &path, error)
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk is full: appends fail, everything else goes on.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { error, .. } if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}

/// A batch was not staged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StageError {
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// A follower's batch must begin at or after the log's end.
    #[error("a batch at offset {base_offset} comes after {next_offset}")]
    OutOfOrder { base_offset: Offset, next_offset: Offset },
    /// One batch must fit a segment.
    #[error("a batch of {bytes} bytes does not fit a segment of {segment_bytes} (segment.bytes)")]
    LargerThanSegment { bytes: usize, segment_bytes: u64 },
    #[error(transparent)]
    Log(#[from] LogError),
}
