//! Why a broker does not start with these settings: where it is written, what it is, why it cannot
//! be, and what to write instead.

use super::kind::ValueError;
use super::listener::ListenerError;
use super::properties::{PropertiesError, Property};
use super::setting::Setting;
use super::topic::TopicConfigError;

/// A refusal at start, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Syntax(#[from] PropertiesError),
    #[error("{}{error}. What it is: {doc} Allowed: {allowed}; without the line it is {default}.", at(*.line))]
    Value {
        line: Option<u32>,
        error: Box<ValueError>,
        doc: &'static str,
        allowed: String,
        default: &'static str,
    },
    #[error(
        "{}process.roles={roles}: one process is broker and controller here, since nodes do not \
         yet form a cluster. Write process.roles=broker,controller, or remove the line", at(*.line)
    )]
    Roles { line: Option<u32>, roles: String },
    #[error(
        "{}broker.id={broker_id} and node.id={node_id} are two names of one identity and differ. \
         Keep node.id and remove broker.id", at(*.line)
    )]
    NodeIds { line: Option<u32>, node_id: i64, broker_id: i64 },
    #[error("{}no folder for the data. Write log.dirs=/path/of/a/folder", at(*.line))]
    NoLogDir { line: Option<u32> },
    #[error("{}{key}: {error}", at(*.line))]
    Listener { line: Option<u32>, key: &'static str, error: ListenerError },
    #[error(
        "{}{key}={value} would act on every record at once. Write {}", at(*.line),
        if *.min < 0 { "-1 for never, or 1 or more".to_owned() } else { format!("{min} or more") }
    )]
    Age { line: Option<u32>, key: &'static str, value: String, min: i64 },
    #[error("the settings that topics inherit cannot be together: {0}")]
    TopicDefaults(TopicConfigError),
    #[error(
        "{}queued.max.request.bytes={queued} is less than socket.request.max.bytes={request}, so \
         that the largest request could never be read. Raise the first or lower the second",
        at(*.line)
    )]
    QueueTooSmall { line: Option<u32>, queued: i64, request: i64 },
    #[error(
        "{}highwater.metrics.listener={value} is no address with a port. Write for example \
         highwater.metrics.listener=127.0.0.1:9644, or nothing behind the = for no metrics",
        at(*.line)
    )]
    MetricsListener { line: Option<u32>, value: String },
    #[error(
        "{}highwater.cores={value} is neither auto, nor a count, nor a list of cores. Write for \
         example highwater.cores=4, or highwater.cores=0-3,6", at(*.line)
    )]
    Cores { line: Option<u32>, value: String },
}

impl StartError {
    pub(super) fn value(entry: &Property, row: &Setting, error: ValueError) -> Self {
        Self::Value {
            line: entry.line,
            error: Box::new(error),
            doc: row.doc,
            allowed: match row.check {
                super::kind::Check::Any => format!("any {}", row.kind.name().to_lowercase()),
                check => check.to_string(),
            },
            default: row.default.unwrap_or("unset"),
        }
    }
}

fn at(line: Option<u32>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}
