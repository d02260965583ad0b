//! What can go wrong between a client and a broker.

use super::connect_error::ConnectError;
use crate::model::ErrorCode;
use crate::protocol::{ApiKey, ProtocolError};
use crate::record::{HeaderError, RecordError, UnknownCodec, UnpackError};
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Why a call has no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{during}: {source}")]
    Io { during: &'static str, source: io::Error },
    #[error("{during}: nothing came within {timeout:?}")]
    TimedOut { during: &'static str, timeout: Duration },
    #[error("the broker closed the connection")]
    Closed,
    #[error("the answer cannot be read: {0}")]
    Protocol(#[from] ProtocolError),
    #[error(
        "an answer carries correlation id {found}, the oldest request without one has {expected}"
    )]
    Correlation { expected: i32, found: i32 },
    #[error("an answer was awaited, but no request is without one")]
    NothingAsked,
    #[error("{} version {version} is not one that we can write", .api.name())]
    Version { api: ApiKey, version: i16 },
    #[error("no common version of {}: ours {ours:?}, the broker's {theirs:?}", .api.name())]
    NoCommonVersion {
        api: ApiKey,
        ours: RangeInclusive<i16>,
        /// `None`: the broker does not name the API at all.
        theirs: Option<RangeInclusive<i16>>,
    },
    #[error("{} of {about}: {code}{}", .api.name(), .message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default())]
    Refused { api: ApiKey, about: String, code: ErrorCode, message: Option<String> },
    #[error("{} of {about}: error code {code}, which Kafka 4.3 does not have", .api.name())]
    UnknownCode { api: ApiKey, about: String, code: i16 },
    #[error("the answer to {} says nothing of {about}", .api.name())]
    Missing { api: ApiKey, about: String },
    #[error("{0}")]
    Connect(Box<ConnectError>),
    #[error("the cluster has no broker {id} right now")]
    UnknownNode { id: i32 },
    #[error("fetched batch at byte {at}: {source}")]
    Batch { at: usize, source: HeaderError },
    #[error("fetched batch at byte {at}: {source}")]
    Codec { at: usize, source: UnknownCodec },
    #[error("fetched batch at byte {at}: {source}")]
    Unpack { at: usize, source: UnpackError },
    #[error("fetched batch at byte {at}: {source}")]
    Record { at: usize, source: RecordError },
}

impl ClientError {
    /// The broker's error code, if it is one that answered.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the other side has ended the connection.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            ),
            _ => false,
        }
    }

    /// Whether asking again may help: Kafka's own word for the code, or a lost connection.
    pub fn is_retriable(&self) -> bool {
        self.code().map_or_else(|| self.is_closed(), ErrorCode::is_retriable)
    }
}

/// Takes the error code of an answer apart.
pub(super) fn accepted(
    api: ApiKey,
    about: &str,
    code: i16,
    message: Option<&str>,
) -> Result<(), ClientError> {
    let about = || about.to_owned();
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        Some(code) => Err(ClientError::Refused {
            api,
            about: about(),
            code,
            message: message.map(str::to_owned),
        }),
        None => Err(ClientError::UnknownCode { api, about: about(), code }),
    }
}
