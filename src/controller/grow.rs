//! CreatePartitions: topics grow. They never shrink, since records would be lost and keys would
//! move.

use super::controller::Controller;
use super::create::{AssignmentError, Placement, PlacementError};
use super::plan::{BATCH_RECORDS_MAX, Encoder, Plan, Records};
use super::topic::Topic;
use crate::model::NodeId;
use crate::protocol::read;
use std::collections::BTreeMap;

/// A topic that a client wants to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrowTarget<'a> {
    pub name: &'a str,
    /// Partitions that it shall have then.
    pub count: i32,
    /// Replicas of each new partition, where the client places them itself.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// What became of one topic of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrowOutcome<'a> {
    pub name: &'a str,
    pub result: Result<(), GrowError>,
}

/// Why a topic does not grow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrowError {
    #[error("Duplicate topic name.")]
    DuplicateName,
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    #[error("Topic already has {0} partition(s).")]
    SameCount(usize),
    #[error(
        "The topic {name} currently has {current} partition(s); {wanted} would not be an increase."
    )]
    NoIncrease { name: String, current: usize, wanted: i32 },
    #[error(
        "Attempted to add {additional} additional partition(s), but only {given} assignment(s) \
         were specified."
    )]
    AssignmentCount { additional: usize, given: usize },
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("Unable to perform excessively large batch operation.")]
    BatchTooLarge,
}

impl Controller {
    /// Works a CreatePartitions request out: one outcome a name, in the order of the request. A
    /// request that is too large for one batch does nothing at all.
    pub fn on_create_partitions<'a>(
        &self,
        targets: &[GrowTarget<'a>],
        validate_only: bool,
    ) -> Plan<Vec<GrowOutcome<'a>>> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for target in targets {
            *counts.entry(target.name).or_default() += 1;
        }
        let mut encoder = Encoder::default();
        let mut outcome = Vec::new();
        for target in targets {
            // The count is taken, so that a second of one name is not answered again.
            let result = match counts.remove(target.name) {
                None => continue,
                Some(2..) => Err(GrowError::DuplicateName),
                Some(_) => self.grow(target, &mut encoder),
            };
            outcome.push(GrowOutcome { name: target.name, result });
        }
        let mut records = encoder.finish();
        if records.is_too_large() {
            records = Records::default();
            for topic in outcome.iter_mut().filter(|o: &&mut GrowOutcome<'_>| o.result.is_ok()) {
                topic.result = Err(GrowError::BatchTooLarge);
            }
        }
        if validate_only {
            records = Records::default();
        }
        Plan { records, outcome }
    }

    fn grow(&self, target: &GrowTarget<'_>, encoder: &mut Encoder) -> Result<(), GrowError> {
        let topic = self.image.topic(target.name).ok_or(GrowError::UnknownTopic)?;
        let current = topic.partitions.len();
        let additional = match usize::try_from(target.count).unwrap_or(0).checked_sub(current) {
            Some(0) => return Err(GrowError::SameCount(current)),
            Some(additional) => additional,
            None => {
                let (name, wanted) = (target.name.to_owned(), target.count);
                return Err(GrowError::NoIncrease { name, current, wanted });
            }
        };
        let placement = match &target.assignments {
            Some(given) if given.len() != additional => {
                return Err(GrowError::AssignmentCount { additional, given: given.len() });
            }
            Some(given) => self.place_more(topic, given)?,
            None if additional > BATCH_RECORDS_MAX => return Err(GrowError::BatchTooLarge),
            None => self.place_anywhere(topic.replication_factor() as i32, additional)?,
        };
        for (index, replicas) in (current as i32..).zip(&placement) {
            // No more than a batch holds is encoded, however many topics follow.
            if encoder.len() > BATCH_RECORDS_MAX {
                return Err(GrowError::BatchTooLarge);
            }
            self.encode_partition(topic.id, index, replicas, encoder);
        }
        Ok(())
    }

    fn place_more(&self, topic: &Topic, given: &[Vec<i32>]) -> Result<Placement, AssignmentError> {
        let factor = Some(topic.replication_factor());
        let first = topic.partitions.len() as i32;
        (first..)
            .zip(given)
            .map(|(partition, replicas)| {
                self.check_replicas(partition, replicas, factor)?;
                Ok(replicas.iter().copied().map(NodeId).collect())
            })
            .collect()
    }
}

impl<'a> From<&read::create_partitions::CreatePartitionsTopic<'a>> for GrowTarget<'a> {
    fn from(topic: &read::create_partitions::CreatePartitionsTopic<'a>) -> Self {
        let replicas = |assignment: read::create_partitions::CreatePartitionsAssignment<'a>| {
            assignment.broker_ids.iter().collect()
        };
        Self {
            name: topic.name,
            count: topic.count,
            assignments: topic.assignments.map(|given| given.iter().map(replicas).collect()),
        }
    }
}
