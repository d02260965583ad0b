//! What a core owns and does.
//!
//! A [`Shard`] is one core's world: the partitions that it owns, the requests whose clients are
//! connected to it, its copy of the cluster's metadata, its mail. A partition belongs to one shard
//! for its life in the process; a request for several is split, mailed and gathered at home.
//!
//! ```text
//!   api -> produce -> owner's partition: validate, stage -> end of turn: flush -> outcome home
//!   api -> fetch   -> owner's partition: span of a segment file               -> home
//!   api -> command -> the controller's shard: records, synced -> every shard  -> home
//! ```

pub mod call;
pub mod checkpoints;
pub mod control;
pub mod directories;
pub mod doing;
pub mod fetch;
pub mod fetch_session;
pub mod groups;
pub mod letter;
pub mod live_settings;
pub mod metrics;
pub mod open;
pub mod partition;
pub mod produce;
pub mod questions;
#[cfg(any(test, feature = "sim"))]
pub mod rehearsal;
pub mod round;
pub mod told;

mod drain;
#[cfg(test)]
mod flush_policy_tests;
mod image;
mod maintenance;
mod plans;
mod shard;
mod topic_settings;

#[cfg(test)]
mod partition_tests;

pub use control::{CONTROLLER_SHARD, ControllerHost};
pub use metrics::Metrics;
pub use shard::{Above, Arrival, Facts, Listener, Shard};
