//! The one place where errors of the rooms become Kafka's codes. Matches are exhaustive: a new
//! variant does not compile until someone has decided what clients see.

use super::alter_client_quotas::QuotaError;
use super::alter_replica_log_dirs::MoveError;
use super::broker_logger::LoggerError;
use super::describe_configs::DescribeError;
use crate::broker::call::{DeleteRecordsError, OffsetError};
use crate::broker::control::ProducerIdError;
use crate::broker::fetch::ReadError;
use crate::broker::groups::{CoordinatorError, OffsetsTopicError};
use crate::broker::produce::ProduceError;
use crate::config::{DynamicError, GroupConfigError};
use crate::controller::{
    AllocateError, AlterError, CreateError, DeleteError, ElectError, Election, FeatureUpdateError,
    GrowError, ReassignError,
};
use crate::group::{AppendError, GroupError};
use crate::limits::DESCRIBED_ROWS_MAX;
use crate::log::{LogError, ProducerError, StageError};
use crate::model::ErrorCode;
use crate::record::batch::HeaderError;
use crate::record::{BatchError, BuildError, RecordFault, UnpackError};

/// What is told where the metadata could not be changed.
pub const METADATA_LOG_FAILED: &str = "the metadata log cannot be written; see the broker's log";

/// An answer would be larger than any client can want.
pub fn too_many_rows() -> (ErrorCode, String) {
    let text = format!("one answer describes at most {DESCRIBED_ROWS_MAX} rows; ask for fewer");
    (ErrorCode::PolicyViolation, text)
}

/// What a client sees of an error: a code, and which record it was, if one was.
pub trait ToCode {
    fn code(&self) -> ErrorCode;
}

impl ToCode for ProduceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::Stopping => ErrorCode::NotLeaderOrFollower,
            Self::Acks(_) => ErrorCode::InvalidRequiredAcks,
            Self::InternalTopic(_) => ErrorCode::InvalidTopicException,
            Self::Batch(error) => error.code(),
            Self::Repack(BuildError::TooLarge { .. }) => ErrorCode::MessageTooLarge,
            Self::Repack(BuildError::Unpack(error)) => error.code(),
            Self::Repack(BuildError::Pack(_)) => ErrorCode::CorruptMessage,
            Self::Stage(error) => error.code(),
            Self::Log(error) => error.code(),
            // Its connection is closed; this is for who asks all the same.
            Self::Panicked(_) => ErrorCode::UnknownServerError,
        }
    }
}

impl ToCode for BatchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoBatch
            | Self::MoreThanOne { .. }
            | Self::Control
            | Self::DeleteHorizon
            | Self::BaseOffset { .. }
            | Self::Count { .. }
            | Self::Producer { .. }
            | Self::RecordsLeft { .. }
            | Self::TimestampType => ErrorCode::InvalidRecord,
            Self::Transactional => ErrorCode::InvalidRequest,
            // Kafka answers a produce of format 0 or 1 so: the request's version rules it out.
            Self::Header(HeaderError::OldFormat { .. }) => ErrorCode::InvalidRecord,
            Self::Header(_) | Self::Cut { .. } | Self::Crc { .. } => ErrorCode::CorruptMessage,
            Self::Unpack(error) => error.code(),
            Self::ZstdTooEarly | Self::Codec(_) => ErrorCode::UnsupportedCompressionType,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Timestamp { .. } | Self::Record { fault: RecordFault::Timestamp { .. }, .. } => {
                ErrorCode::InvalidTimestamp
            }
            Self::Record { .. } => ErrorCode::InvalidRecord,
        }
    }
}

impl ToCode for UnpackError {
    fn code(&self) -> ErrorCode {
        match self {
            // Our own bound: the same bytes will never be taken, and smaller batches will.
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
        }
    }
}

impl ToCode for StageError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Producer(error) => error.code(),
            Self::OutOfOrder { .. } => ErrorCode::UnknownServerError,
            Self::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::Log(error) => error.code(),
        }
    }
}

impl ToCode for ProducerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrder { .. } | Self::EpochStart { .. } => {
                ErrorCode::OutOfOrderSequenceNumber
            }
            Self::TransactionOpen { .. } => ErrorCode::InvalidTxnState,
        }
    }
}

impl ToCode for LogError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Damaged { .. } => ErrorCode::CorruptMessage,
            Self::Io { .. }
            | Self::DirectoryFailed { .. }
            | Self::AppendsFailed { .. }
            | Self::Corrupt { .. }
            | Self::Locked { .. } => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToCode for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::Log(error) => error.code(),
        }
    }
}

impl ToCode for OffsetError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::Log(error) => error.code(),
        }
    }
}

impl ToCode for ProducerIdError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Allocate(AllocateError::StaleBrokerEpoch { .. }) => ErrorCode::StaleBrokerEpoch,
            Self::Allocate(AllocateError::UnknownBroker(_)) => ErrorCode::BrokerIdNotRegistered,
            Self::Allocate(AllocateError::Exhausted) => ErrorCode::UnknownServerError,
            Self::Failed(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToCode for CreateError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::DuplicateName | Self::FactorAndAssignment | Self::PartitionsAndAssignment => {
                ErrorCode::InvalidRequest
            }
            Self::MetadataTopic => ErrorCode::InvalidRequest,
            Self::Name(_) | Self::Collides { .. } => ErrorCode::InvalidTopicException,
            Self::Exists(_) => ErrorCode::TopicAlreadyExists,
            Self::Config(_) => ErrorCode::InvalidConfig,
            Self::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
            Self::ReplicationFactor | Self::Placement(_) => ErrorCode::InvalidReplicationFactor,
            Self::Partitions => ErrorCode::InvalidPartitions,
            Self::TooManyPartitions | Self::BatchTooLarge => ErrorCode::PolicyViolation,
        }
    }
}

impl ToCode for DescribeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Name(_) => ErrorCode::InvalidTopicException,
            Self::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            Self::OtherBroker { .. }
            | Self::OtherLogger { .. }
            | Self::BrokerIsNoNumber(_)
            | Self::NoBrokerId
            | Self::NoGroupName
            | Self::NoSubscriptionName
            | Self::Kind { .. } => ErrorCode::InvalidRequest,
            Self::Value(_) => ErrorCode::InvalidConfig,
            Self::AnswerTooLarge => ErrorCode::PolicyViolation,
        }
    }
}

impl ToCode for OffsetsTopicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Create(_) | Self::Failed(_) => ErrorCode::CoordinatorNotAvailable,
        }
    }
}

impl ToCode for CoordinatorError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotHere => ErrorCode::NotCoordinator,
            Self::Loading => ErrorCode::CoordinatorLoadInProgress,
            Self::Busy { .. } => ErrorCode::CoordinatorNotAvailable,
        }
    }
}

impl ToCode for GroupError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::EmptyGroupId => ErrorCode::InvalidGroupId,
            Self::UnknownGroup { .. } => ErrorCode::GroupIdNotFound,
            Self::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            Self::FencedInstance { .. } => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::MemberIdRequired => ErrorCode::MemberIdRequired,
            Self::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::SessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
            Self::GroupFull { .. } => ErrorCode::GroupMaxSizeReached,
            Self::NotEmpty => ErrorCode::NonEmptyGroup,
            Self::SubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            Self::OffsetMetadata { .. } => ErrorCode::OffsetMetadataTooLarge,
            // As Kafka: no client of good faith does this.
            Self::StaticPending => ErrorCode::UnknownServerError,
            Self::MemberTooLarge { .. } => ErrorCode::PolicyViolation,
            // So that the client tries again.
            Self::TooManyPending { .. } | Self::TooManyGroups { .. } | Self::OutOfMemory { .. } => {
                ErrorCode::CoordinatorNotAvailable
            }
            Self::GenerationTooLarge { .. } => ErrorCode::UnknownServerError,
            Self::Append(AppendError::NotAvailable) => ErrorCode::CoordinatorNotAvailable,
            Self::Append(AppendError::NotCoordinator) | Self::Unloaded => ErrorCode::NotCoordinator,
            Self::Append(AppendError::TooLarge) => ErrorCode::UnknownServerError,
        }
    }
}

/// What a commit is told: before version 9 clients know no unknown group.
pub fn commit_code(error: &GroupError, version: i16) -> ErrorCode {
    match error {
        GroupError::UnknownGroup { .. } if version < 9 => ErrorCode::IllegalGeneration,
        GroupError::Append(AppendError::TooLarge) => ErrorCode::InvalidCommitOffsetSize,
        _ => error.code(),
    }
}

impl ToCode for DeleteError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Disabled => ErrorCode::TopicDeletionDisabled,
            Self::NoName
            | Self::NameAndId
            | Self::DuplicateName
            | Self::DuplicateId
            | Self::NameOfGivenId => ErrorCode::InvalidRequest,
            Self::UnknownName => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownId => ErrorCode::UnknownTopicId,
            Self::BatchTooLarge => ErrorCode::PolicyViolation,
        }
    }
}

impl ToCode for GrowError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::DuplicateName => ErrorCode::InvalidRequest,
            Self::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            Self::SameCount(_) | Self::NoIncrease { .. } => ErrorCode::InvalidPartitions,
            Self::AssignmentCount { .. } | Self::Assignment(_) => {
                ErrorCode::InvalidReplicaAssignment
            }
            Self::Placement(_) => ErrorCode::InvalidReplicationFactor,
            Self::BatchTooLarge => ErrorCode::PolicyViolation,
        }
    }
}

impl ToCode for AlterError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::DuplicateResource
            | Self::DuplicateKeys
            | Self::NullValues(_)
            | Self::UnknownResourceType(_)
            | Self::UnknownOperation(_)
            | Self::BrokerIsNoNumber(_)
            | Self::OtherBroker { .. }
            | Self::BrokerLogger
            | Self::NoClientMetrics
            | Self::NoTopicName
            | Self::NoGroupName => ErrorCode::InvalidRequest,
            Self::NoList { .. } | Self::NoBrokerConfig(_) | Self::Topic(_) | Self::Together(_) => {
                ErrorCode::InvalidConfig
            }
            Self::TopicName(_) => ErrorCode::InvalidTopicException,
            Self::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
            Self::Group(error) => error.code(),
            Self::Broker(error) => error.code(),
            Self::BatchTooLarge => ErrorCode::PolicyViolation,
        }
    }
}

impl ToCode for DynamicError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown(_) => ErrorCode::InvalidConfig,
            // KAFKA-13609: Kafka would rather say INVALID_CONFIG, and does not.
            Self::ReadOnly(_)
            | Self::ListenerOnly(_)
            | Self::PerBroker(_)
            | Self::RestartOnly(_)
            | Self::Refused { .. }
            | Self::Value(_) => ErrorCode::InvalidRequest,
        }
    }
}

impl ToCode for GroupConfigError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown(_)
            | Self::Value(_)
            | Self::TooSmall { .. }
            | Self::TooLarge { .. }
            | Self::SessionTooShort { .. } => ErrorCode::InvalidConfig,
        }
    }
}

impl ToCode for DeleteRecordsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::InternalTopic => ErrorCode::InvalidTopicException,
            Self::OnlyCompacted => ErrorCode::PolicyViolation,
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Log(error) => error.code(),
            Self::NotDurable => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToCode for MoveError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownDirectory(_) => ErrorCode::LogDirNotFound,
            Self::UnknownPartition { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::NotServed { .. } => ErrorCode::InvalidRequest,
        }
    }
}

impl ToCode for ElectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic(_) | Self::UnknownPartition { .. } => {
                ErrorCode::UnknownTopicOrPartition
            }
            Self::NotNeeded => ErrorCode::ElectionNotNeeded,
            Self::NoLeader(Election::Preferred) => ErrorCode::PreferredLeaderNotAvailable,
            Self::NoLeader(Election::Unclean) => ErrorCode::EligibleLeadersNotAvailable,
        }
    }
}

impl ToCode for ReassignError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic(_) | Self::UnknownPartition { .. } => {
                ErrorCode::UnknownTopicOrPartition
            }
            Self::NothingInProgress => ErrorCode::NoReassignmentInProgress,
            Self::Assignment(_) | Self::Move => ErrorCode::InvalidReplicaAssignment,
        }
    }
}

impl ToCode for FeatureUpdateError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Version { .. } => ErrorCode::InvalidUpdateVersion,
        }
    }
}

impl ToCode for QuotaError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoEntity
            | Self::UnknownEntity(_)
            | Self::Combination
            | Self::UnknownKey(_)
            | Self::NotServed { .. } => ErrorCode::InvalidRequest,
        }
    }
}

impl ToCode for LoggerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownLogger(_) | Self::UnknownLevel { .. } => ErrorCode::InvalidConfig,
            Self::NoNumber(_)
            | Self::OtherBroker { .. }
            | Self::Root
            | Self::Operation(_)
            | Self::UnknownOperation(_)
            | Self::Fixed => ErrorCode::InvalidRequest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Codec;

    #[test]
    fn what_unpacks_to_too_much_is_too_large_and_not_corrupt() {
        let error = UnpackError::TooLarge { codec: Codec::Gzip, limit: 1 };
        let batch = ProduceError::Batch(BatchError::Unpack(error.clone()));
        assert_eq!(batch.code(), ErrorCode::MessageTooLarge);
        let repack = ProduceError::Repack(BuildError::Unpack(error));
        assert_eq!(repack.code(), ErrorCode::MessageTooLarge);
        let error = UnpackError::Corrupt { codec: Codec::Gzip, detail: String::new() };
        assert_eq!(BatchError::Unpack(error).code(), ErrorCode::CorruptMessage);
    }

    #[test]
    fn records_beyond_the_count_are_invalid_and_not_corrupt() {
        let error = BatchError::RecordsLeft { record_count: 2, bytes: 9 };
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
    }
}
