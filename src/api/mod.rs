//! One file per Kafka API: parse, ask the broker, answer.
//!
//! [`begin`] takes a whole frame and gives a [`Pending`] answer; the connection writes answers in
//! the order of requests. Produce and Fetch have roads of their own; everything else that waits is
//! a task. [`error`] is the only place where Kafka's codes are chosen.

pub mod context;
pub mod dispatch;
pub mod error;
pub mod outbox;
pub mod pending;
pub mod registry;

mod api_versions;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_topic_partitions;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;
mod produce_merge;

pub use context::{Context, Endpoint};
pub use dispatch::{Begun, begin};
pub use outbox::{Item, Outbox};
pub use pending::{MustClose, Pending};
