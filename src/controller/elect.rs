//! ElectLeaders, as one node answers it: every partition has one replica, which leads it.

use super::image::Image;
use crate::model::{PartitionIndex, TopicName};

/// What kind of election a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica shall lead again.
    Preferred,
    /// Somebody shall lead, in sync or not.
    Unclean,
}

/// Why a partition's leader stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectError {
    #[error("No such topic as {0}")]
    UnknownTopic(String),
    #[error("No such partition as {topic}-{partition}")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("Leader election not needed for topic partition.")]
    NotNeeded,
    /// The one node of the cluster is fenced: it starts or stops.
    #[error("No leader is available for the partition: its only broker does not serve yet.")]
    NoLeader(Election),
}

impl Election {
    /// Kafka's number.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Preferred),
            1 => Some(Self::Unclean),
            _ => None,
        }
    }
}

impl Image {
    /// Why nobody is elected. There is always a reason: one replica has nobody to hand over to.
    pub fn refuse_election(&self, topic: &str, partition: i32, election: Election) -> ElectError {
        let Some(found) = self.topic(topic) else {
            return ElectError::UnknownTopic(TopicName::shown(topic).to_owned());
        };
        let Some(info) = found.partition(PartitionIndex(partition)) else {
            return ElectError::UnknownPartition {
                topic: TopicName::shown(topic).to_owned(),
                partition,
            };
        };
        match (election, info.leader) {
            (Election::Preferred, leader) if leader == info.replicas.first().copied() => {
                ElectError::NotNeeded
            }
            (Election::Unclean, Some(_)) => ElectError::NotNeeded,
            _ => ElectError::NoLeader(election),
        }
    }
}
