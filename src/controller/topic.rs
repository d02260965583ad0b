//! A topic as the cluster knows it: name, id, partitions with their leaders, settings. Immutable:
//! a change makes a new one, and cores that hold the old one are handed the new.

use crate::config::{Texts, TopicConfig};
use crate::model::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicName, Uuid};
use smallvec::SmallVec;
use std::sync::Arc;

/// A handful of ids, kept in place.
pub type NodeIds = SmallVec<[NodeId; 4]>;
/// One directory a replica; zero where the broker has not said which.
pub type DirectoryIds = SmallVec<[Uuid; 1]>;

#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub name: TopicName,
    pub id: TopicId,
    /// By partition index.
    pub partitions: Vec<PartitionInfo>,
    /// What the topic sets itself, as it was given.
    pub overrides: Texts,
    /// All settings, resolved.
    pub config: Arc<TopicConfig>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    pub replicas: NodeIds,
    pub isr: NodeIds,
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    /// Grows with every change of this partition.
    pub partition_epoch: i32,
    pub directories: DirectoryIds,
}

impl Topic {
    pub fn partition(&self, index: PartitionIndex) -> Option<&PartitionInfo> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }

    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |partition| partition.replicas.len())
    }
}
