//! One file per Kafka API: parse, ask the broker, answer.
//!
//! [`begin`] takes a whole frame and gives a [`Pending`] answer; the connection writes answers in
//! the order of requests. Produce and Fetch have roads of their own, and so have the groups, whose
//! members may wait for minutes; everything else that waits is a task. [`error`] is the only place where Kafka's codes are chosen.

pub mod context;
pub mod decode;
pub mod dispatch;
pub mod error;
pub mod outbox;
pub mod pending;
pub mod registry;

mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod broker_logger;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod group_road;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod produce_merge;
mod sasl_handshake;
mod sync_group;
mod update_features;

pub use context::{Context, Endpoint};
pub use dispatch::{Begun, begin};
pub use outbox::{Item, Outbox};
pub use pending::{MustClose, Pending};
