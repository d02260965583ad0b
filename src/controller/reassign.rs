//! AlterPartitionReassignments, as one node answers it: replicas can only stay where they are.

use super::controller::Controller;
use super::create::AssignmentError;
use super::image::Image;
use crate::model::{NodeId, PartitionIndex, TopicName};

/// Why replicas do not move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReassignError {
    #[error("Unable to find a topic named {0}.")]
    UnknownTopic(String),
    #[error("Unable to find partition {topic}:{partition}.")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("No partition reassignment is in progress.")]
    NothingInProgress,
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error("The partition has replicas elsewhere, and moves between brokers are not served yet.")]
    Move,
}

impl Image {
    /// Checks a reassignment; `None` cancels one. What passes changes nothing.
    pub fn check_reassignment(
        &self,
        topic: &str,
        partition: i32,
        replicas: Option<&[i32]>,
    ) -> Result<(), ReassignError> {
        let found = self
            .topic(topic)
            .ok_or_else(|| ReassignError::UnknownTopic(TopicName::shown(topic).to_owned()))?;
        let Some(info) = found.partition(PartitionIndex(partition)) else {
            return Err(ReassignError::UnknownPartition {
                topic: TopicName::shown(topic).to_owned(),
                partition,
            });
        };
        let replicas = replicas.ok_or(ReassignError::NothingInProgress)?;
        Controller::check_brokers(self, replicas)?;
        let stays = replicas.len() == info.replicas.len()
            && replicas.iter().all(|id| info.replicas.contains(&NodeId(*id)));
        if stays { Ok(()) } else { Err(ReassignError::Move) }
    }
}
