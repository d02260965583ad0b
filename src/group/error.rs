//! Why a group refuses. Texts name what was seen and the limit, for answers that carry a message
//! and for the broker's log.

use super::ids::{GroupId, InstanceId, MemberId};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// INVALID_GROUP_ID
    #[error("the group id is empty")]
    EmptyGroupId,
    /// GROUP_ID_NOT_FOUND; a commit before version 9 is told ILLEGAL_GENERATION.
    #[error("Group {group} not found.")]
    UnknownGroup { group: GroupId },
    /// UNKNOWN_MEMBER_ID
    #[error("the group has no member \"{member}\"")]
    UnknownMember { member: MemberId },
    /// FENCED_INSTANCE_ID
    #[error("instance {instance} belongs to member {owner} now")]
    FencedInstance { instance: InstanceId, owner: MemberId },
    /// ILLEGAL_GENERATION
    #[error("generation {seen} was named, the group is at {current}")]
    IllegalGeneration { seen: i32, current: i32 },
    /// REBALANCE_IN_PROGRESS
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// MEMBER_ID_REQUIRED
    #[error("a member joins with the id that it was given")]
    MemberIdRequired,
    /// INCONSISTENT_GROUP_PROTOCOL
    #[error("the member's protocol type or protocols are not those of the group")]
    InconsistentProtocol,
    /// INVALID_SESSION_TIMEOUT
    #[error(
        "a session timeout of {ms} ms is out of bounds: {min} (group.min.session.timeout.ms) to \
         {max} (group.max.session.timeout.ms) are allowed"
    )]
    SessionTimeout { ms: i32, min: i32, max: i32 },
    /// GROUP_MAX_SIZE_REACHED
    #[error("the group has its {max} members (group.max.size)")]
    GroupFull { max: usize },
    /// NON_EMPTY_GROUP
    #[error("the group is not empty")]
    NotEmpty,
    /// GROUP_SUBSCRIBED_TO_TOPIC
    #[error("the group is subscribed to the topic")]
    SubscribedToTopic,
    /// OFFSET_METADATA_TOO_LARGE
    #[error("metadata of {len} characters, {max} are allowed (offset.metadata.max.bytes)")]
    OffsetMetadata { len: usize, max: usize },
    /// UNKNOWN_SERVER_ERROR, as in Kafka: no client of good faith does this.
    #[error("a member that waits to join with the id it was given is not static")]
    StaticPending,
    /// POLICY_VIOLATION. Ours: Kafka has no such bound.
    #[error("the member's protocols take {bytes} bytes, {max} are allowed")]
    MemberTooLarge { bytes: usize, max: usize },
    /// COORDINATOR_NOT_AVAILABLE, so that the client tries again. Ours: Kafka has no such bound.
    #[error("{max} members wait to join the group with the id they were given: no more are taken")]
    TooManyPending { max: usize },
    /// COORDINATOR_NOT_AVAILABLE. Ours: Kafka has no such bound.
    #[error("the coordinator has its {max} groups: no more are taken")]
    TooManyGroups { max: usize },
    /// UNKNOWN_SERVER_ERROR, as Kafka where a generation does not fit a batch of the offsets topic.
    #[error(
        "the generation takes {bytes} bytes with what its members said and were assigned, {max} are \
         allowed: assign less at once, or have fewer members in the group"
    )]
    GenerationTooLarge { bytes: usize, max: usize },
    /// COORDINATOR_NOT_AVAILABLE. Ours: Kafka has no such bound.
    #[error(
        "the groups of this core hold {held} of {max} bytes, and {wanted} more were asked for: what \
         is there goes on, new members, groups and offsets are not taken until groups that nobody \
         needs are deleted"
    )]
    OutOfMemory { held: usize, max: usize, wanted: usize },
    /// The records that the answer waited for were not written.
    #[error("not written: {0}")]
    Append(#[from] AppendError),
    /// NOT_COORDINATOR
    #[error("this coordinator was unloaded")]
    Unloaded,
}

/// Why records of `Effect::Append` did not come to be committed. Kafka's clients are told as Kafka
/// tells them (`appendGroupMetadataErrorToResponseError`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// COORDINATOR_NOT_AVAILABLE: too few replicas, timed out, the partition is not there.
    #[error("the partition does not take records now")]
    NotAvailable,
    /// NOT_COORDINATOR: not the leader any more, or the disk failed.
    #[error("the partition is not led here any more")]
    NotCoordinator,
    /// UNKNOWN_SERVER_ERROR: larger than the topic allows.
    #[error("the records are larger than the offsets topic allows")]
    TooLarge,
}
