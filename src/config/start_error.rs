//! Why a broker does not start with these settings: where it is written, what it is, why it cannot
//! be, and what to write instead.

use super::kind::{Check, ValueError};
use super::listener::ListenerError;
use super::notices::shown;
use super::properties::{Origin, PropertiesError, Property};
use super::setting::Setting;
use super::topic::TopicConfigError;
use crate::base::nearest;
use std::fmt;

/// A refusal at start, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Syntax(#[from] PropertiesError),
    #[error("{}{error}{guess}. What it is: {doc} Allowed: {allowed}; without the line it is {default}.", at(.origin))]
    Value {
        origin: Origin,
        error: Box<ValueError>,
        /// What was probably meant.
        guess: String,
        doc: &'static str,
        allowed: String,
        default: &'static str,
    },
    #[error("{}{setting}: {reason}", at(.origin))]
    Refused { origin: Origin, setting: String, reason: &'static str },
    #[error("{}{key} is no setting of this broker{guess}", at(.origin))]
    Unknown { origin: Origin, key: String, guess: String },
    #[error(
        "{}process.roles={roles}: one process is broker and controller here, since nodes do not \
         yet form a cluster. Write process.roles=broker,controller, or remove the line", at(.origin)
    )]
    Roles { origin: Origin, roles: String },
    #[error(
        "{}{key}={value} names more than this node, and nodes do not yet form a cluster: each would \
         be a cluster of its own, with topics of its own. Run one node and name it alone, or remove \
         the line", at(.origin)
    )]
    Quorum { origin: Origin, key: &'static str, value: String },
    #[error(
        "{}broker.id={broker_id} and node.id={node_id} are two names of one identity and differ. \
         Keep node.id and remove broker.id", at(.origin)
    )]
    NodeIds { origin: Origin, node_id: i64, broker_id: i64 },
    #[error("{}no folder for the data. Write log.dirs=/path/of/a/folder", at(.origin))]
    NoLogDir { origin: Origin },
    #[error("{}{key}: {error}", at(.origin))]
    Listener { origin: Origin, key: &'static str, error: ListenerError },
    #[error(
        "{}{key}={value} would act on every record at once. Write {}", at(.origin),
        if *.min < 0 { "-1 for never, or 1 or more".to_owned() } else { format!("{min} or more") }
    )]
    Age { origin: Origin, key: &'static str, value: String, min: i64 },
    #[error("the settings that topics inherit cannot be together: {0}")]
    TopicDefaults(TopicConfigError),
    #[error(
        "{}queued.max.request.bytes={queued} is less than socket.request.max.bytes={request}, so \
         that the largest request could never be read. Raise the first or lower the second",
        at(.origin)
    )]
    QueueTooSmall { origin: Origin, queued: i64, request: i64 },
    #[error(
        "{}highwater.metrics.listener={value} is no address with a port. Write for example \
         highwater.metrics.listener=127.0.0.1:9644, or nothing behind the = for no metrics",
        at(.origin)
    )]
    MetricsListener { origin: Origin, value: String },
    #[error(
        "{}highwater.cores={value} is neither auto, nor a count, nor a list of cores. Write for \
         example highwater.cores=4, or highwater.cores=0-3,6", at(.origin)
    )]
    Cores { origin: Origin, value: String },
    #[error(
        "{}max.connections.per.ip.overrides: '{entry}' is no limit of an address. Write HOST:COUNT, \
         as in 10.0.0.1:100,127.0.0.1:1000", at(.origin)
    )]
    Override { origin: Origin, entry: String },
}

/// All that is wrong with the settings, in the order of the file; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartErrors(Vec<StartError>);

impl StartError {
    pub(super) fn value(entry: &Property, row: &Setting, error: ValueError) -> Self {
        Self::Value {
            origin: entry.origin.clone(),
            guess: guess(row, &error),
            error: Box::new(error),
            doc: row.doc,
            allowed: match row.check {
                Check::Any => format!("any {}", row.kind.name().to_lowercase()),
                check => check.to_string(),
            },
            default: row.default.unwrap_or("unset"),
        }
    }

    pub(super) fn refused(entry: &Property, reason: &'static str) -> Self {
        Self::Refused { origin: entry.origin.clone(), setting: shown(entry), reason }
    }

    /// The line of the file that it is about.
    pub fn line(&self) -> Option<u32> {
        match (self, self.origin()) {
            (Self::Syntax(fault), _) => fault.line(),
            (_, Origin::Line(line)) => Some(*line),
            _ => None,
        }
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::Value { origin, .. }
            | Self::Refused { origin, .. }
            | Self::Unknown { origin, .. }
            | Self::Roles { origin, .. }
            | Self::Quorum { origin, .. }
            | Self::NodeIds { origin, .. }
            | Self::NoLogDir { origin }
            | Self::Listener { origin, .. }
            | Self::Age { origin, .. }
            | Self::QueueTooSmall { origin, .. }
            | Self::Cores { origin, .. }
            | Self::MetricsListener { origin, .. }
            | Self::Override { origin, .. } => origin,
            Self::Syntax(_) | Self::TopicDefaults(_) => &Origin::Ours,
        }
    }

    /// Lines of the file by their number; before them what has no line, after them what others set.
    fn place(&self) -> (u8, u32) {
        match (self, self.origin()) {
            (Self::Syntax(fault), _) => (1, fault.line().unwrap_or(0)),
            (_, Origin::Ours) => (0, 0),
            (_, Origin::Line(line)) => (1, *line),
            (_, Origin::Variable(_)) => (2, 0),
            (_, Origin::Flag(_)) => (3, 0),
        }
    }
}

impl StartErrors {
    /// None where nothing is wrong.
    pub(super) fn of(mut errors: Vec<StartError>) -> Option<Self> {
        errors.sort_by_key(StartError::place);
        (!errors.is_empty()).then_some(Self(errors))
    }

    pub fn all(&self) -> &[StartError] {
        &self.0
    }
}

impl From<PropertiesError> for StartErrors {
    fn from(error: PropertiesError) -> Self {
        Self(vec![error.into()])
    }
}

/// One as it is; several as a list.
impl fmt::Display for StartErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return one.fmt(f);
        }
        write!(f, "{} settings cannot be as they are:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for StartErrors {}

/// The allowed word that was probably meant.
fn guess(row: &Setting, error: &ValueError) -> String {
    let (Check::OneOf(valid) | Check::OneOfAnyCase(valid) | Check::Each(valid)) = row.check else {
        return String::new();
    };
    let ValueError::Invalid { value, .. } = error else { return String::new() };
    nearest(value, valid.iter().copied())
        .map_or_else(String::new, |near| format!(" (did you mean {near}?)"))
}

fn at(origin: &Origin) -> String {
    match origin {
        Origin::Ours => String::new(),
        origin => format!("{origin}: "),
    }
}
