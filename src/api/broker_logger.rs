//! The level of the broker's log, as IncrementalAlterConfigs changes it (KIP-412). It is no
//! metadata: it is gone with the process.

use super::context::Context;
use crate::protocol::read::incremental_alter_configs::AlterConfigsResource;
use crate::runtime::log_level;

/// The one logger there is.
pub const ROOT: &str = "root";

/// Kafka's numbers of what is done to a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Why the level stays. The texts are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoggerError {
    #[error("Node id must be an integer, but it is: {0}")]
    NoNumber(String),
    #[error("Unexpected node id. Expected {expected}, but received {received}")]
    OtherBroker { expected: i32, received: i32 },
    #[error("Logger {0} does not exist!")]
    UnknownLogger(String),
    #[error(
        "Cannot set the log level of {logger} to {level} as it is not a supported log level. Valid \
         log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
    )]
    UnknownLevel { logger: String, level: String },
    #[error("Removing the log level of the root logger is not allowed")]
    Root,
    #[error("{0} operation is not allowed for the BROKER_LOGGER resource")]
    Operation(&'static str),
    #[error("Unknown operation type {0} is not allowed for the BROKER_LOGGER resource")]
    UnknownOperation(i8),
    #[error("The level of this process's log cannot be changed while it runs.")]
    Fixed,
}

/// Checks the changes, and makes them unless they are only to be checked.
pub fn alter(
    context: &Context,
    resource: &AlterConfigsResource<'_>,
    validate_only: bool,
) -> Result<(), LoggerError> {
    let name = resource.resource_name;
    let received = name.parse().map_err(|_| LoggerError::NoNumber(name.to_owned()))?;
    let expected = context.shard.facts.config.node_id.0;
    if received != expected {
        return Err(LoggerError::OtherBroker { expected, received });
    }
    let mut level = None;
    for config in resource.configs {
        let check_name = || match config.name {
            ROOT => Ok(()),
            other => Err(LoggerError::UnknownLogger(other.to_owned())),
        };
        match config.config_operation {
            SET => {
                check_name()?;
                let text = config.value.unwrap_or_default();
                let unknown = || LoggerError::UnknownLevel {
                    logger: config.name.to_owned(),
                    level: text.to_owned(),
                };
                level = Some(log_level::parse(text).ok_or_else(unknown)?);
            }
            DELETE => {
                check_name()?;
                return Err(LoggerError::Root);
            }
            APPEND => return Err(LoggerError::Operation("APPEND")),
            SUBTRACT => return Err(LoggerError::Operation("SUBTRACT")),
            other => return Err(LoggerError::UnknownOperation(other)),
        }
    }
    match level.filter(|_| !validate_only) {
        Some(level) if !log_level::change(level) => Err(LoggerError::Fixed),
        _ => Ok(()),
    }
}
