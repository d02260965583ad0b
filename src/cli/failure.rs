//! Why a command did not do what it was asked for, in words for a person and a number for the shell.

use super::client_error::ClientError;
use super::connect_error::ConnectError;
use super::exit::Exit;
use super::grammar::GrammarError;
use crate::base::nearest;
use std::io;
use std::time::Duration;

/// A command's failure as a whole. What fails in parts is told in the answer, part by part.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Connect(#[from] Box<ConnectError>),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    #[error("there is no {what} {name}{}", did_you_mean(.meant))]
    Unknown { what: &'static str, name: String, meant: Option<String> },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{what}: not finished after {timeout:?}; last: {last}. --timeout gives it longer")]
    TimedOut { what: String, timeout: Duration, last: ClientError },
    #[error(
        "nothing was done. This cannot be undone, and standard input is no terminal to ask at: \
         give --yes to agree, or --dry-run to see the plan alone"
    )]
    NobodyToAsk,
    #[error("nothing was done: the answer was not yes")]
    Declined,
    #[error("{0}")]
    Corrupt(String),
    /// Some of several parts; each was told.
    #[error("{failed} of {all} failed")]
    Parts { failed: usize, all: usize, exit: Exit },
    #[error("{during}: {source}")]
    Io { during: String, source: io::Error },
    /// What one command alone can say.
    #[error("{text}")]
    Other { exit: Exit, text: String },
    /// Whoever read our output has seen enough.
    #[error("the output is closed")]
    OutputClosed,
}

impl Failure {
    /// Something of these names does not exist.
    pub fn unknown<'a>(
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let meant = nearest(name, known).map(str::to_owned);
        Self::Unknown { what, name: name.to_owned(), meant }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Connect(_) => Exit::NoConnection,
            Self::Client(error) => Exit::of_client(error),
            Self::Grammar(_) | Self::Usage(_) => Exit::Usage,
            Self::Unknown { .. } => Exit::NotFound,
            Self::Conflict(_) => Exit::Conflict,
            Self::TimedOut { .. } => Exit::TimedOut,
            Self::NobodyToAsk | Self::Declined => Exit::Unconfirmed,
            Self::Corrupt(_) => Exit::Corrupt,
            Self::Parts { exit, .. } | Self::Other { exit, .. } => *exit,
            Self::Io { .. } => Exit::Failed,
            Self::OutputClosed => Exit::Done,
        }
    }
}

/// `; did you mean X?`, where something was probably meant.
pub fn did_you_mean(meant: &Option<String>) -> String {
    meant.as_ref().map_or_else(String::new, |meant| format!("; did you mean {meant}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_meant_is_said() {
        let failure = Failure::unknown("topic", "order", ["orders", "payments"]);
        assert_eq!(failure.to_string(), "there is no topic order; did you mean orders?");
        assert_eq!(failure.exit(), Exit::NotFound);
        let failure = Failure::unknown("topic", "zebras", ["orders"]);
        assert_eq!(failure.to_string(), "there is no topic zebras");
    }
}
