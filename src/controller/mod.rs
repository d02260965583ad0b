//! The cluster's metadata as a state machine: topics, their ids, partitions and settings, brokers,
//! features, producer ids.
//!
//! ```text
//!   request -> Controller::on_* -> Plan { records, outcome }
//!                                     |        |
//!        the log appends one batch <--+        +--> the answer waits
//!                  | committed
//!                  v
//!   Controller::apply_batch -> Delta -> Image::apply on every core -> the answer leaves
//! ```
//!
//! Nothing but committed records changes the state, so that a start, which replays the log, and a
//! running controller come to the same. The records are Kafka's, at one metadata.version.
//!
//! Pure: the log, the clock and the random source are the caller's. No offset is an index here: a
//! batch is what was appended at once, wherever it lies.

mod alter;
mod alter_error;
mod apply_error;
mod broker;
#[allow(clippy::module_inception)]
mod controller;
mod create;
mod delete;
mod elect;
mod feature_update;
mod grow;
mod image;
mod plan;
mod producer_ids;
mod reassign;
mod replay;
mod stage;
mod start;
#[cfg(test)]
mod story;
mod topic;
mod version;

pub use alter::{AlterOutcome, ConfigChange, ConfigChanges, Unnamed};
pub use alter_error::AlterError;
pub use apply_error::ApplyError;
pub use broker::{Broker, BrokerEndpoint, Brokers, Registration};
pub use controller::Controller;
pub use create::{
    AssignmentError, CreateError, CreateOutcome, CreatedTopic, NewTopic,
    PARTITIONS_PER_REQUEST_MAX, PlacementError,
};
pub use delete::{DeleteError, DeleteOutcome, DeleteTarget};
pub use elect::{ElectError, Election};
pub use feature_update::{FeatureUpdate, FeatureUpdateError};
pub use grow::{GrowError, GrowOutcome, GrowTarget};
pub use image::{Change, Delta, Features, Image};
pub use plan::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Plan, Records};
pub use producer_ids::{AllocateError, PRODUCER_ID_BLOCK_SIZE, ProducerIdBlock};
pub use reassign::ReassignError;
pub use topic::{DirectoryIds, NodeIds, PartitionInfo, Topic};
pub use version::{METADATA_VERSION, METADATA_VERSION_LEVEL, SUPPORTED_FEATURES};
