//! Why a file could not be dumped.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::record::{HeaderError, RecordError, UnknownCodec, UnpackError};
use std::io;
use std::path::PathBuf;

/// What ends a command.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{} is no file of a log: its name must end with .log, .index, .timeindex, .txnindex, \
         .snapshot or .checkpoint, or be leader-epoch-checkpoint or partition.metadata",
        .path.display()
    )]
    Unknown { path: PathBuf },
    #[error("{} has no partition's folder and no file of a log in it", .path.display())]
    Nothing { path: PathBuf },
    /// Nobody reads any more.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Why the records of one batch could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BatchFault {
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("{0}")]
    Codec(#[from] UnknownCodec),
    #[error("{0}")]
    Unpack(#[from] UnpackError),
    #[error("record {index}: {source}")]
    Record { index: usize, source: RecordError },
    #[error("its {bytes} bytes of records are more than the {max} that are read at once")]
    TooLarge { bytes: usize, max: usize },
    #[error("{0}")]
    Read(io::Error),
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Write(source) if source.kind() == io::ErrorKind::BrokenPipe => {
                Self::OutputClosed
            }
            error => Self::Other { exit: error.exit(), text: error.to_string() },
        }
    }
}

impl DumpError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            Self::Nothing { .. } => Exit::NotFound,
            Self::Unknown { .. } => Exit::Usage,
            Self::Read { .. } | Self::Write(_) => Exit::Failed,
        }
    }

    pub fn read(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Read { path, source }
    }
}
