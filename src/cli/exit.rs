//! How a command ends: one number for the shell, the same for every command.
//!
//! Scripts read these. A number never changes its meaning.

use super::client_error::ClientError;
use crate::model::ErrorCode;
use std::io;
use std::process::ExitCode;

/// The status that a command leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Some of what was asked for failed, or what failed has no number of its own.
    Failed = 1,
    Usage = 2,
    NoConnection = 3,
    Denied = 4,
    NotFound = 5,
    Conflict = 6,
    TimedOut = 7,
    Corrupt = 9,
    /// Refused for safety: what is destroyed must be agreed to.
    Unconfirmed = 10,
    /// Ctrl-C: what a shell says of a program that SIGINT ended.
    Interrupted = 130,
}

impl Exit {
    pub const ALL: &[Self] = &[
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoConnection,
        Self::Denied,
        Self::NotFound,
        Self::Conflict,
        Self::TimedOut,
        Self::Corrupt,
        Self::Unconfirmed,
        Self::Interrupted,
    ];

    pub const fn number(self) -> u8 {
        self as u8
    }

    /// In a few words, for help.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed, or some of it did",
            Self::Usage => "the command line or a value is wrong",
            Self::NoConnection => "no broker could be reached",
            Self::Denied => "not authorized",
            Self::NotFound => "it does not exist",
            Self::Conflict => "it exists already, or its state forbids this",
            Self::TimedOut => "not finished in time",
            Self::Corrupt => "damaged data were found",
            Self::Unconfirmed => "refused for safety: nobody agreed (--yes)",
            Self::Interrupted => "interrupted",
        }
    }

    /// What a refusal by a broker means for the shell.
    pub const fn of_code(code: ErrorCode) -> Self {
        use ErrorCode as Code;
        match code {
            Code::None => Self::Done,
            Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::GroupIdNotFound
            | Code::UnknownMemberId
            | Code::LogDirNotFound
            | Code::ResourceNotFound
            | Code::TransactionalIdNotFound
            | Code::DelegationTokenNotFound => Self::NotFound,
            Code::TopicAlreadyExists
            | Code::NonEmptyGroup
            | Code::GroupSubscribedToTopic
            | Code::ReassignmentInProgress
            | Code::ConcurrentTransactions
            | Code::InconsistentTopicId
            | Code::TopicDeletionDisabled
            | Code::IllegalGeneration
            | Code::RebalanceInProgress
            | Code::DuplicateResource => Self::Conflict,
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::DelegationTokenAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::IllegalSaslState
            | Code::UnsupportedSaslMechanism => Self::Denied,
            Code::RequestTimedOut => Self::TimedOut,
            Code::NetworkException | Code::BrokerNotAvailable => Self::NoConnection,
            Code::CorruptMessage => Self::Corrupt,
            Code::InvalidTopicException
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidReplicaAssignment
            | Code::InvalidConfig
            | Code::InvalidRequest
            | Code::InvalidGroupId
            | Code::InvalidTimestamp
            | Code::InvalidSessionTimeout
            | Code::OffsetOutOfRange
            | Code::PolicyViolation => Self::Usage,
            _ => Self::Failed,
        }
    }

    /// What a failed call means for the shell.
    pub fn of_client(error: &ClientError) -> Self {
        match error {
            ClientError::Refused { code, .. } => Self::of_code(*code),
            ClientError::TimedOut { .. } => Self::TimedOut,
            ClientError::Closed | ClientError::Connect(_) | ClientError::UnknownNode { .. } => {
                Self::NoConnection
            }
            ClientError::Io { source, .. } => match source.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
                _ => Self::NoConnection,
            },
            ClientError::Batch { .. }
            | ClientError::Codec { .. }
            | ClientError::Unpack { .. }
            | ClientError::Record { .. } => Self::Corrupt,
            ClientError::Protocol(_)
            | ClientError::Correlation { .. }
            | ClientError::NothingAsked
            | ClientError::Version { .. }
            | ClientError::NoCommonVersion { .. }
            | ClientError::UnknownCode { .. }
            | ClientError::Missing { .. } => Self::Failed,
        }
    }

    /// The end of several parts: that of all if they agree, else [`Exit::Failed`].
    pub fn of_parts(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or(Self::Done);
        if parts.all(|part| part == first) { first } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_scripts_rely_on() {
        let numbers: Vec<_> = Exit::ALL.iter().map(|exit| exit.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 130]);
    }

    #[test]
    fn a_refusal_ends_with_its_kind() {
        assert_eq!(Exit::of_code(ErrorCode::UnknownTopicOrPartition), Exit::NotFound);
        assert_eq!(Exit::of_code(ErrorCode::TopicAlreadyExists), Exit::Conflict);
        assert_eq!(Exit::of_code(ErrorCode::InvalidConfig), Exit::Usage);
        assert_eq!(Exit::of_code(ErrorCode::TopicAuthorizationFailed), Exit::Denied);
        assert_eq!(Exit::of_code(ErrorCode::UnknownServerError), Exit::Failed);
        let done: Vec<_> =
            ErrorCode::ALL.iter().filter(|c| Exit::of_code(**c) == Exit::Done).collect();
        assert_eq!(done, [&ErrorCode::None]);
    }

    #[test]
    fn parts_that_end_differently_are_a_failure() {
        assert_eq!(Exit::of_parts([]), Exit::Done);
        assert_eq!(Exit::of_parts([Exit::NotFound, Exit::NotFound]), Exit::NotFound);
        assert_eq!(Exit::of_parts([Exit::Done, Exit::NotFound]), Exit::Failed);
    }
}
