//! Kafka's nouns as types: offsets, epochs, ids, names. Two numbers that could be swapped are two
//! newtypes; what comes from outside is parsed into a type here, or refused.

pub mod error_code;
pub mod ids;
pub mod numbers;
pub mod resource;
pub mod topic;

pub use error_code::ErrorCode;
pub use ids::{TopicId, Uuid};
pub use numbers::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp,
};
pub use resource::ResourceType;
pub use topic::{OFFSETS_TOPIC, TopicName, TopicNameError};
