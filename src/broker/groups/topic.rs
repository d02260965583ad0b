//! The topic that keeps groups: `__consumer_offsets`, made when a group is first asked for.

use crate::broker::Shard;
use crate::broker::control::{Command, ControlError, Outcome};
use crate::controller::CreateError;
use crate::group::partition_of;
use crate::model::{OFFSETS_TOPIC, TopicId};
use std::rc::Rc;
use std::sync::Arc;

/// Why there is no topic for groups.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OffsetsTopicError {
    #[error("the topic {OFFSETS_TOPIC} cannot be made: {0} (see offsets.topic.*)")]
    Create(CreateError),
    #[error("the topic {OFFSETS_TOPIC} cannot be made: {0}")]
    Failed(Arc<ControlError>),
}

/// Where a group lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: TopicId,
    pub partition: i32,
}

impl Shard {
    /// Where a group lives, if the topic is there.
    pub fn place_of_group(&self, group: &str) -> Option<Place> {
        let image = self.image();
        let topic = image.topic(OFFSETS_TOPIC)?;
        let partition = partition_of(group, topic.partitions.len() as u32) as i32;
        Some(Place { topic: topic.id, partition })
    }

    /// Every place where groups live.
    pub fn places_of_groups(&self) -> Vec<Place> {
        let image = self.image();
        let Some(topic) = image.topic(OFFSETS_TOPIC) else { return Vec::new() };
        let partitions = 0..topic.partitions.len() as i32;
        partitions.map(|partition| Place { topic: topic.id, partition }).collect()
    }

    /// Makes the topic unless it is there. When this returns every core has it.
    pub async fn make_offsets_topic(self: &Rc<Self>) -> Result<(), OffsetsTopicError> {
        if self.image().topic(OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        match self.command(Command::OffsetsTopic).await {
            Outcome::Created(outcomes) => {
                for (_, result) in outcomes {
                    result.map_err(|error| {
                        tracing::error!("the topic {OFFSETS_TOPIC} cannot be made: {error}");
                        OffsetsTopicError::Create(error)
                    })?;
                }
                Ok(())
            }
            Outcome::Failed(error) => Err(OffsetsTopicError::Failed(error)),
            _ => unreachable!("a command has its own outcome"),
        }
    }
}
