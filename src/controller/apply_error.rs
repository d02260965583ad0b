//! Why a record of the metadata log cannot be applied. Our own log never holds such a record, so
//! each is a reason to stop: the log is damaged, foreign, or written by a newer version.

use crate::config::TopicConfigError;
use crate::model::{NodeId, PartitionIndex, TopicId, TopicNameError};
use crate::protocol::ProtocolError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("a metadata record cannot be read: {0}")]
    Record(#[from] ProtocolError),
    #[error("a topic has an impossible name: {0}")]
    TopicName(#[from] TopicNameError),
    #[error("topic {name} with id {id} is created although its name or id is taken")]
    TopicExists { name: String, id: TopicId },
    #[error("a record names the topic {id}, which does not exist")]
    UnknownTopic { id: TopicId },
    #[error("a record gives settings to the topic {name}, which does not exist")]
    UnknownTopicName { name: String },
    #[error("topic {topic} has no partition {partition}, and a record changes it")]
    UnknownPartition { topic: TopicId, partition: PartitionIndex },
    #[error("partition {partition} of topic {topic} is created and not the next of its topic")]
    PartitionOrder { topic: TopicId, partition: PartitionIndex },
    #[error(
        "the settings of topic {topic} are refused: {error}. If this follows from a line of the \
         broker's file, change it back; the topic's own settings were checked when it was made"
    )]
    TopicConfig { topic: String, error: TopicConfigError },
    #[error("the broker's settings in the metadata are refused: {0}")]
    BrokerConfig(TopicConfigError),
    #[error("a record names broker {node} with epoch {epoch}, which is not registered")]
    UnknownBroker { node: NodeId, epoch: i64 },
    #[error("broker {node} registers with epoch {epoch}, which is not greater than {before}")]
    BrokerEpoch { node: NodeId, epoch: i64, before: i64 },
    #[error(
        "the metadata belongs to node {found} and this is node {this}: several nodes are not \
         served yet. Set node.id={found}, or give this node an empty log.dirs"
    )]
    ForeignBroker { found: NodeId, this: NodeId },
    #[error("producer ids are given out up to {next}, which is not greater than {before}")]
    ProducerIds { next: i64, before: i64 },
    #[error(
        "the metadata is of metadata.version {level} and {} is known; use the version of \
         Highwater, or of Kafka, that wrote it",
        super::version::METADATA_VERSION_LEVEL
    )]
    MetadataVersion { level: i16 },
    #[error("the metadata holds {0}, which is not served yet")]
    NotServed(&'static str),
}
