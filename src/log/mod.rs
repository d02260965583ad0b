//! One partition on disk, with Kafka's files, names and bytes: segments, indexes, leader epochs,
//! producer state, checkpoints; and the log directory that they lie in.
//!
//! A [`Log`] belongs to one core. An append takes two steps: [`Log::stage`] gives batches their
//! offsets and gathers their bytes, untouched but for a fresh head; [`Log::begin_flush`] writes all
//! that was staged in this turn of the loop with one gathered write, inline or through the ring.
//! Readers see what is written, never what is staged. [`Log::try_read`] finds the bytes of a fetch
//! without waiting and without allocating; where the disk must be asked first it says so, and a
//! [`ReadJob`] finds them.
//!
//! ```text
//! stage -> staged runs -> begin_flush -> FlushJob::run (ring) -> end_flush -> log end offset
//!                                     \-> done (inline)       -/
//! ```
//!
//! Nothing here holds a borrow of the log across an await: what runs elsewhere is a *job*, which
//! owns counted handles of segments and brings an outcome home.

pub mod config;
pub mod error;

pub mod append_path;
pub mod checkpoint;
pub mod directory;

#[allow(clippy::module_inception)]
mod log;

mod append;
mod flush;
mod seal;

mod check;
mod read;
mod times;

mod durability;
mod segment;
mod segments;

mod close;
mod retention;

mod cut;
mod folder;
mod load;
mod recovery;
mod replay;
mod scan;

mod cache;
mod writeback;

mod planted;
mod rare;

#[cfg(test)]
mod append_path_tests;
#[cfg(test)]
mod kafka_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod tests;

pub mod epochs;
pub mod index;
pub mod names;
pub mod producer_state;
pub mod snapshot;

pub use append::{Part, Staged};
pub use append_path::AppendMode;
pub use checkpoint::{CheckpointEntry, CheckpointKind, read_checkpoint, write_checkpoint};
pub use close::CloseJob;
pub use config::LogConfig;
pub use directory::{
    DirectoryFacts, LogDir, MetaProperties, list_partitions, list_removed, lock_directory,
    make_directory, open_directory, read_directory, take_clean_marker, write_clean_marker,
};
pub use epochs::EpochEntry;
pub use error::{LogError, StageError};
pub use flush::{Flush, FlushJob, FlushOutcome, Flushed};
pub use folder::read_topic_id;
pub use log::{Log, LogSpec};
pub use producer_state::{
    Duplicate, ProducerBatch, ProducerEntry, ProducerError, ProducerLimits, ProducerStates, Verdict,
};
pub use read::{Read, ReadJob, ReadNow, ReadRange, Span};
pub use recovery::{Finding, Recovery};
pub use retention::{DeleteJob, DeleteReason, RemoveJob, remove_folder};
pub use seal::SyncJob;
pub use snapshot::SnapshotError;
pub use times::{FoundRecord, TimeJob};

#[cfg(any(test, feature = "sim"))]
pub mod history;
