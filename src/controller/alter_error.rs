//! Why settings are not changed.

use super::apply_error::ApplyError;
use crate::config::{DynamicError, GroupConfigError, ListChange, TopicConfigError};
use crate::model::{NodeId, ResourceType, TopicNameError};

/// Why one resource's settings stay as they are. The texts are Kafka's in substance: tools print
/// them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterError {
    #[error("Each resource must appear at most once.")]
    DuplicateResource,
    #[error("Error due to duplicate config keys")]
    DuplicateKeys,
    #[error("Null value not supported for : {}", .0.join(", "))]
    NullValues(Vec<String>),
    #[error("Unknown resource type {0}")]
    UnknownResourceType(i8),
    #[error("Unknown operations type {0}")]
    UnknownOperation(i8),
    #[error("Node id must be an integer, but it is: {0}")]
    BrokerIsNoNumber(String),
    #[error("Unexpected broker id, expected {expected}, but received {received}")]
    OtherBroker { expected: NodeId, received: String },
    /// Left to the broker itself, where the request may have them.
    #[error("Unknown resource type 8")]
    BrokerLogger,
    #[error("Client metrics are not served yet.")]
    NoClientMetrics,
    #[error("{}", no_list(.key, *.change, *.resource_type))]
    NoList { key: String, change: ListChange, resource_type: ResourceType },
    #[error("Unknown config name: {0}")]
    NoBrokerConfig(String),
    #[error("Default topic resources are not allowed.")]
    NoTopicName,
    #[error("Default group resources are not allowed.")]
    NoGroupName,
    #[error(transparent)]
    TopicName(#[from] TopicNameError),
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    #[error(transparent)]
    Topic(#[from] TopicConfigError),
    #[error(transparent)]
    Group(#[from] GroupConfigError),
    #[error(transparent)]
    Broker(#[from] DynamicError),
    #[error("the settings cannot be together: {0}")]
    Together(#[from] ApplyError),
    #[error("Unable to perform excessively large batch operation.")]
    BatchTooLarge,
}

fn no_list(key: &str, change: ListChange, resource_type: ResourceType) -> String {
    match (resource_type, change) {
        (ResourceType::Broker, ListChange::Append) => {
            format!("Config value append is not allowed for config key: {key}")
        }
        (ResourceType::Broker, ListChange::Subtract) => {
            format!("Config value subtract is not allowed for config key: {key}")
        }
        (_, ListChange::Append) => {
            format!("Can't APPEND to key {key} because its type is not LIST.")
        }
        (_, ListChange::Subtract) => {
            format!("Can't SUBTRACT to key {key} because its type is not LIST.")
        }
    }
}
