//! Classic consumer groups as a state machine: one `Coordinator` per partition of
//! `__consumer_offsets`.
//!
//! ```text
//!   command, now -> Coordinator::on_* -> Effects
//!                                          Reply   leaves at once
//!                                          Append  records; the answer stays inside
//!   the log committed them -> Coordinator::on_committed -> the answers that waited
//!   a deadline passed      -> Coordinator::tick
//!   start: Coordinator::replay each record, then on_loaded
//! ```
//!
//! Offsets are what the log has committed: an append changes them when it is committed, in the
//! order of the log. Membership lives in memory, as in Kafka; the log knows the last generation
//! that became stable (or empty), which is what a start comes back to.
//!
//! Pure: the clocks, the random source, the log and the network are the caller's. One heap holds
//! all deadlines; only lists, and topics that are deleted, walk all groups.

mod answer;
#[cfg(test)]
mod bounds;
mod command;
mod commit;
mod coordinator;
mod deadlines;
mod delete;
mod describe;
mod effect;
mod error;
mod expire;
#[cfg(test)]
mod golden;
#[allow(clippy::module_inception)]
mod group;
mod ids;
mod inflight;
mod join;
mod leave;
mod member;
mod memory;
mod offsets;
mod pending;
mod placement;
#[cfg(test)]
mod property;
mod rebalance;
mod record;
mod settings;
mod snapshot;
#[cfg(test)]
mod story;
mod subscription;
mod sync;
#[cfg(test)]
mod world;

pub use answer::{
    Answer, CommitResult, DeleteResult, DescribedGroup, DescribedMember, FetchedOffset,
    FetchedTopic, JoinAnswer, Joined, JoinedMember, Left, ListedGroup, Synced,
};
pub use command::{
    Commit, CommitPartition, CommitTopic, DeleteOffsets, DeletedTopic, Fetch, FetchTopic,
    Heartbeat, Join, Leave, Leaver, ListFilter, Now, Protocol, Sync,
};
pub use coordinator::{Coordinator, Counts};
pub use effect::{AppendToken, Effect, Effects, Failure, Notice, ReplyId};
pub use error::{AppendError, GroupError};
pub use ids::{GroupId, InstanceId, MemberId};
pub use memory::Memory;
pub use placement::partition_of;
pub use record::{Record, RecordError};
pub use settings::Settings;
pub use snapshot::LiveWalk;
