//! What a coordinator is asked. Commands own what they say: they come by mail from other cores,
//! and one may have to wait for a record under way.
//!
//! Versions of the wire do not reach this room: where Kafka answers one version otherwise than
//! another, a command carries what its client understands, or an answer what either needs.

use super::ids::{GroupId, InstanceId, MemberId};
use crate::base::Instant;
use crate::model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName, Uuid};
use std::sync::Arc;

/// The moment of a command on both clocks: timers run on the first, records carry the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub instant: Instant,
    pub timestamp: Timestamp,
}

/// One way of assigning partitions that a member can use, in the order of its preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    /// Opaque here, but for the topics of the consumer protocol.
    pub metadata: Arc<[u8]>,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub group: GroupId,
    /// Empty where the client has none yet.
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub client_id: Arc<str>,
    /// As Kafka shows it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// As the client sent it: what lies out of bounds is refused here.
    pub session_timeout_ms: i32,
    /// In version 0, which has none, the session timeout.
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    pub protocols: Vec<Protocol>,
    /// KIP-800; for the log of the broker.
    pub reason: Option<Box<str>>,
    /// 16 random bytes, from which a new member's id is made.
    pub fresh_id: Uuid,
    /// KIP-394, from version 4: a client without an id is given one and asks again with it.
    pub joins_twice: bool,
    /// KIP-814, from version 9: the leader can be told that nothing is to be assigned.
    pub can_skip_assignment: bool,
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    pub group: GroupId,
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub generation: i32,
    /// From version 5: compared with the group's where it is given.
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// From the leader; those of followers are empty and not looked at.
    pub assignments: Vec<(MemberId, Arc<[u8]>)>,
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub group: GroupId,
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub generation: i32,
}

/// LeaveGroup; versions before 3 name one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    pub group: GroupId,
    pub members: Vec<Leaver>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    /// Empty where an administrator removes a static member by its instance.
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub reason: Option<Box<str>>,
}

/// OffsetCommit, with topics that exist and that the client may read: others are answered by the
/// caller. With a generation below 0 it is a standalone commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub group: GroupId,
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub generation: i32,
    /// Versions 2 to 4 may say how long the offsets are to be kept; `None` for -1 and later.
    pub retention_ms: Option<i64>,
    pub topics: Vec<CommitTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    pub name: TopicName,
    /// What the name stands for now; zero where it is not known.
    pub id: TopicId,
    pub partitions: Vec<CommitPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    pub partition: PartitionIndex,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    /// Null on the wire is the empty text.
    pub metadata: Box<str>,
}

/// One group of an OffsetFetch. Member and epoch, which later versions carry, are of no account in
/// classic groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub group: GroupId,
    /// `None` for all.
    pub topics: Option<Vec<FetchTopic>>,
    /// Wait for what is being committed (KIP-447).
    pub require_stable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    pub name: TopicName,
    /// What the name stands for now: an offset of an earlier topic of that name is none. Zero where
    /// the client knows no ids.
    pub id: TopicId,
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetDelete, with topics that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsets {
    pub group: GroupId,
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// A topic that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: TopicName,
    pub id: TopicId,
}

/// What ListGroups asks for; empty for all. Compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub states: Vec<Box<str>>,
    pub types: Vec<Box<str>>,
}
