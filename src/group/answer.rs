//! What a coordinator answers, in this room's words. Kafka's codes are chosen in the API room.

use super::error::GroupError;
use super::ids::{GroupId, InstanceId, MemberId};
use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use std::sync::Arc;

/// The answer to one command, by the kind of command.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Join(JoinAnswer),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    /// `Err` for the request as a whole; otherwise each member has a result of its own.
    Leave(Result<Vec<Left>, GroupError>),
    /// `Err` holds for every partition of the request.
    Commit(Result<Vec<CommitResult>, GroupError>),
    Fetch(Result<Vec<FetchedTopic>, GroupError>),
    DeleteOffsets(Result<Vec<DeleteResult>, GroupError>),
    /// Each group once, however often it was named.
    DeleteGroups(Vec<(GroupId, Result<(), GroupError>)>),
}

/// JoinGroup's answer names a member in either case.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinAnswer {
    /// With `GroupError::MemberIdRequired` the id to ask again with; empty where the client should
    /// forget the one it has.
    pub member: MemberId,
    pub result: Result<Joined, GroupError>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub leader: MemberId,
    /// KIP-814: the leader keeps the assignments as they are.
    pub skip_assignment: bool,
    /// For the leader; empty for followers.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub metadata: Arc<[u8]>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub assignment: Arc<[u8]>,
}

/// One member of a LeaveGroup, in the order of the request and as it was named there.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub result: Result<(), GroupError>,
}

/// One topic of an OffsetCommit, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitResult {
    pub name: TopicName,
    pub id: TopicId,
    pub partitions: Vec<(PartitionIndex, Result<(), GroupError>)>,
}

/// One topic of an OffsetFetch: as asked for, or all that the group has (with zero for the id).
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedTopic {
    pub name: TopicName,
    pub id: TopicId,
    /// `None` where nothing is committed, which is no error (offset -1, epoch -1, no metadata).
    pub partitions: Vec<(PartitionIndex, Option<FetchedOffset>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FetchedOffset {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Box<str>,
}

/// One topic of an OffsetDelete, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteResult {
    pub name: TopicName,
    pub partitions: Vec<(PartitionIndex, Result<(), GroupError>)>,
}

/// One line of ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group: GroupId,
    /// Empty for a group that only holds offsets.
    pub protocol_type: Arc<str>,
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Kafka's name of the type: `classic`.
    pub group_type: &'static str,
}

/// One group of DescribeGroups. A group that is not there is `None` instead: state "Dead", and from
/// version 6 `GroupError::UnknownGroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    pub group: GroupId,
    pub state: &'static str,
    pub protocol_type: Arc<str>,
    /// Known only while the group is stable; empty otherwise.
    pub protocol: Arc<str>,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Known only while the group is stable; empty otherwise.
    pub metadata: Arc<[u8]>,
    pub assignment: Arc<[u8]>,
}
