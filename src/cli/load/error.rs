//! Why a load has no result.

use crate::cli::client_error::ClientError;
use crate::model::ErrorCode;
use crate::protocol::ProtocolError;
use crate::record::BuildError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A measurement that could not be made: a load with errors is not a slower load.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("{during}: {source}")]
    Io { during: &'static str, source: io::Error },
    #[error("answer {answer} of a connection cannot be read: {source}")]
    Answer { answer: u64, source: ProtocolError },
    #[error("answer {answer} of a connection has error code {}", name(*.code))]
    Refused { answer: u64, code: i16 },
    #[error("answer {answer} of a connection belongs to request {found}, not {expected}")]
    Order { answer: u64, expected: i32, found: i32 },
    #[error("answer {answer} of a connection holds no records: the topic is not filled")]
    Empty { answer: u64 },
    #[error("answer {answer} of a connection has no offset of a group that has committed one")]
    NoOffset { answer: u64 },
    #[error("the broker closed a connection after {answers} answers")]
    Closed { answers: u64 },
    #[error("{left} requests had no answer {waited:?} after the last one was sent")]
    Unanswered { left: usize, waited: Duration },
    #[error("no answer came in the measured time: make it longer")]
    Nothing,
    #[error("{what} must be {bound}, not {found}")]
    Setting { what: &'static str, bound: &'static str, found: String },
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: no number where one belongs", .path.display())]
    Proc { path: PathBuf },
    #[error("`{command}` ended before it served: {status}")]
    Ended { command: String, status: String },
    #[error("`{command}` does not serve after {waited:?}: {last}")]
    NotServing { command: String, waited: Duration, last: ClientError },
}

fn name(code: i16) -> String {
    ErrorCode::from_code(code).map_or_else(|| code.to_string(), |known| known.to_string())
}
