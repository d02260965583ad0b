//! Creating topics: what Kafka checks, in its order, and in its words where clients print them.

use super::broker::Broker;
use super::controller::Controller;
use super::image::Image;
use super::plan::{BATCH_RECORDS_MAX, Encoder, Plan, Records};
use crate::config::{Texts, TopicConfigError, check_topic_overrides};
use crate::model::{LeaderEpoch, NodeId, ResourceType, TopicId, TopicName, TopicNameError, Uuid};
use crate::protocol::{read, write};
use std::collections::BTreeMap;

/// Most partitions that one request creates, over all its topics.
pub const PARTITIONS_PER_REQUEST_MAX: u64 = 10_000;
/// Draws of a topic id before the random source is held to be broken; one in 64 is thrown away.
const ID_DRAWS_MAX: usize = 1000;
/// The topic of the metadata itself.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// A number that the client leaves to the broker.
const UNSET: i32 = -1;

/// A topic that a client asks for, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic<'a> {
    pub name: &'a str,
    /// -1 leaves it to the broker.
    pub partitions: i32,
    /// -1 leaves it to the broker.
    pub replication_factor: i16,
    /// Replicas by partition, where the client places them itself.
    pub assignments: Vec<(i32, Vec<i32>)>,
    pub configs: Vec<(&'a str, Option<&'a str>)>,
}

/// A topic that is created, or could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: u32,
    pub replication_factor: u16,
    /// What the topic sets itself.
    pub overrides: Texts,
}

/// What became of one topic of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOutcome<'a> {
    pub name: &'a str,
    pub result: Result<CreatedTopic, CreateError>,
}

/// Why a topic is not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("Duplicate topic name.")]
    DuplicateName,
    #[error("Creation of internal topic {METADATA_TOPIC} is prohibited.")]
    MetadataTopic,
    #[error(transparent)]
    Name(#[from] TopicNameError),
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collides { name: String, existing: TopicName },
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    #[error(transparent)]
    Config(#[from] TopicConfigError),
    #[error(
        "A manual partition assignment was specified, but replication factor was not set to -1."
    )]
    FactorAndAssignment,
    #[error("A manual partition assignment was specified, but numPartitions was not set to -1.")]
    PartitionsAndAssignment,
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    ReplicationFactor,
    #[error("Number of partitions was set to an invalid non-positive value.")]
    Partitions,
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    #[error("Unable to perform excessively large batch operation.")]
    BatchTooLarge,
}

/// Why replicas cannot lie where the client wants them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    #[error("Found multiple manual partition assignments for partition {0}")]
    DoublePartition(i32),
    #[error("The manual partition assignment includes an empty replica list.")]
    NoReplica,
    #[error(
        "The manual partition assignment includes broker {0}, but no such broker is registered."
    )]
    UnknownBroker(i32),
    #[error("The manual partition assignment includes the broker {0} more than once.")]
    DoubleBroker(i32),
    #[error(
        "The manual partition assignment includes a partition with {found} replica(s), but this is \
         not consistent with previous partitions, which have {before} replica(s)."
    )]
    UnevenReplicas { found: usize, before: usize },
    #[error(
        "All brokers specified in the manual partition assignment for partition {0} are fenced or \
         in controlled shutdown."
    )]
    NoActiveBroker(i32),
    #[error("partitions should be a consecutive 0-based integer sequence")]
    Gap,
}

/// Why there is no place for the replicas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    #[error(
        "Unable to replicate the partition {factor} time(s): The target replication factor of \
         {factor} cannot be reached because only {brokers} broker(s) are registered \
         or some brokers have all their log directories cordoned."
    )]
    TooFewBrokers { factor: i32, brokers: usize },
    #[error(
        "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or \
         in controlled shutdown."
    )]
    NoActiveBroker { factor: i32 },
}

/// Where the replicas of a topic lie: one list a partition.
pub(super) type Placement = Vec<Vec<NodeId>>;

impl Controller {
    /// Works a CreateTopics request out: one outcome a name, in the order of the request, and the
    /// records of all that are created. `random` gives 16 fresh random bytes at every call.
    pub fn on_create_topics<'a>(
        &self,
        topics: &[NewTopic<'a>],
        validate_only: bool,
        random: &mut dyn FnMut() -> [u8; 16],
    ) -> Plan<Vec<CreateOutcome<'a>>> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for topic in topics {
            *counts.entry(topic.name).or_default() += 1;
        }
        let is_too_much = self.partition_sum(topics) > PARTITIONS_PER_REQUEST_MAX;
        let mut encoder = Encoder::default();
        let mut outcome = Vec::new();
        for topic in topics {
            // The count is taken, so that a second of one name is not answered again.
            let result = match counts.remove(topic.name) {
                None => continue,
                Some(2..) => Err(CreateError::DuplicateName),
                Some(_) if topic.name == METADATA_TOPIC => Err(CreateError::MetadataTopic),
                Some(_) if is_too_much => Err(CreateError::TooManyPartitions),
                Some(_) => self.create(topic, &mut encoder, random),
            };
            outcome.push(CreateOutcome { name: topic.name, result });
        }
        let mut records = encoder.finish();
        if records.is_too_large() {
            records = Records::default();
            for topic in outcome.iter_mut().filter(|o: &&mut CreateOutcome<'_>| o.result.is_ok()) {
                topic.result = Err(CreateError::BatchTooLarge);
            }
        }
        if validate_only {
            records = Records::default();
        }
        Plan { records, outcome }
    }

    /// Works out the creation of topics that a client named and that do not exist: they take every
    /// number from the broker's settings. Whether this is wished is asked before.
    pub fn on_auto_create<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        random: &mut dyn FnMut() -> [u8; 16],
    ) -> Plan<Vec<CreateOutcome<'a>>> {
        let topics: Vec<_> = names.into_iter().map(NewTopic::with_defaults).collect();
        self.on_create_topics(&topics, false, random)
    }

    /// Partitions that a request asks for, whether it gets them or not.
    fn partition_sum(&self, topics: &[NewTopic<'_>]) -> u64 {
        let count = |topic: &NewTopic<'_>| match topic.partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len() as u64,
            UNSET => u64::from(self.rules.num_partitions),
            given => u64::try_from(given).unwrap_or(0),
        };
        topics.iter().map(count).fold(0, u64::saturating_add)
    }

    fn create(
        &self,
        topic: &NewTopic<'_>,
        encoder: &mut Encoder,
        random: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<CreatedTopic, CreateError> {
        let name = TopicName::parse(topic.name)?;
        if self.image.topic(topic.name).is_some() {
            return Err(CreateError::Exists(topic.name.to_owned()));
        }
        if let Some(existing) = self.colliding(&name) {
            let existing = existing.clone();
            return Err(CreateError::Collides { name: topic.name.to_owned(), existing });
        }
        let overrides = check_topic_overrides(topic.configs.iter().copied(), self.image.layers())?;
        let placement = self.place(topic)?;
        let created = CreatedTopic {
            id: self.draw_id(random),
            partitions: placement.len() as u32,
            replication_factor: placement[0].len() as u16,
            overrides,
        };
        // No more than a batch holds is encoded, however many topics follow.
        if encoder.len() <= BATCH_RECORDS_MAX {
            self.encode(topic.name, &created, &placement, encoder);
        }
        Ok(created)
    }

    fn place(&self, topic: &NewTopic<'_>) -> Result<Placement, CreateError> {
        if !topic.assignments.is_empty() {
            if i32::from(topic.replication_factor) != UNSET {
                return Err(CreateError::FactorAndAssignment);
            }
            if topic.partitions != UNSET {
                return Err(CreateError::PartitionsAndAssignment);
            }
            return Ok(self.place_as_assigned(&topic.assignments)?);
        }
        let factor = match i32::from(topic.replication_factor) {
            UNSET => self.rules.replication_factor,
            given => given,
        };
        if factor < 1 {
            return Err(CreateError::ReplicationFactor);
        }
        let partitions = match topic.partitions {
            UNSET => self.rules.num_partitions,
            given => u32::try_from(given).unwrap_or(0),
        };
        if partitions < 1 {
            return Err(CreateError::Partitions);
        }
        Ok(self.place_anywhere(factor, partitions as usize)?)
    }

    /// Places replicas where the controller likes.
    pub(super) fn place_anywhere(
        &self,
        factor: i32,
        partitions: usize,
    ) -> Result<Placement, PlacementError> {
        let brokers = self.image.brokers();
        if usize::try_from(factor).is_ok_and(|factor| factor > brokers.len()) {
            return Err(PlacementError::TooFewBrokers { factor, brokers: brokers.len() });
        }
        let active = brokers.iter().find(|(_, broker)| broker.is_active());
        let (&node, _) = active.ok_or(PlacementError::NoActiveBroker { factor })?;
        // One broker is all there is, so that every replica list is this one node.
        assert!(factor == 1 && brokers.len() == 1);
        Ok(vec![vec![node]; partitions])
    }

    fn place_as_assigned(
        &self,
        assignments: &[(i32, Vec<i32>)],
    ) -> Result<Placement, AssignmentError> {
        let mut by_partition = BTreeMap::new();
        let mut factor = None;
        for (partition, replicas) in assignments {
            if by_partition.contains_key(partition) {
                return Err(AssignmentError::DoublePartition(*partition));
            }
            self.check_replicas(*partition, replicas, factor)?;
            factor = Some(replicas.len());
            by_partition.insert(*partition, replicas.iter().copied().map(NodeId).collect());
        }
        let is_sequence =
            by_partition.keys().zip(0..).all(|(&partition, index)| partition == index);
        if is_sequence {
            Ok(by_partition.into_values().collect())
        } else {
            Err(AssignmentError::Gap)
        }
    }

    /// Whether these brokers can hold the replicas of one partition; `factor` is what the topic's
    /// other partitions have.
    pub(super) fn check_replicas(
        &self,
        partition: i32,
        replicas: &[i32],
        factor: Option<usize>,
    ) -> Result<(), AssignmentError> {
        Self::check_brokers(&self.image, replicas)?;
        if let Some(before) = factor.filter(|&before| before != replicas.len()) {
            return Err(AssignmentError::UnevenReplicas { found: replicas.len(), before });
        }
        let is_active =
            |id: &i32| self.image.brokers().get(&NodeId(*id)).is_some_and(Broker::is_active);
        if replicas.iter().any(is_active) {
            Ok(())
        } else {
            Err(AssignmentError::NoActiveBroker(partition))
        }
    }

    /// Whether every one of these is a broker, and none is named twice.
    pub(super) fn check_brokers(image: &Image, replicas: &[i32]) -> Result<(), AssignmentError> {
        if replicas.is_empty() {
            return Err(AssignmentError::NoReplica);
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        for (index, &id) in sorted.iter().enumerate() {
            if !image.brokers().contains_key(&NodeId(id)) {
                return Err(AssignmentError::UnknownBroker(id));
            }
            if index > 0 && sorted[index - 1] == id {
                return Err(AssignmentError::DoubleBroker(id));
            }
        }
        Ok(())
    }

    /// An id that no topic has, that Kafka does not reserve, and that no command line takes for an
    /// option.
    fn draw_id(&self, random: &mut dyn FnMut() -> [u8; 16]) -> TopicId {
        let drawn = (0..ID_DRAWS_MAX).filter_map(|_| Uuid::from_random(random()));
        let mut fresh = drawn.filter(|id| self.image.topic_by_id(*id).is_none());
        fresh.next().expect("a random source gives a usable id in a thousand draws")
    }

    /// A topic's records stand together: itself, its settings, its partitions.
    fn encode(
        &self,
        name: &str,
        topic: &CreatedTopic,
        placement: &Placement,
        encoder: &mut Encoder,
    ) {
        encoder.push(write::TopicRecord { name: name.into(), topic_id: topic.id });
        for (key, value) in &topic.overrides {
            encoder.push(write::ConfigRecord {
                resource_type: ResourceType::Topic.code(),
                resource_name: name.into(),
                name: key.into(),
                value: Some(value.into()),
            });
        }
        for (partition, replicas) in (0..).zip(placement) {
            self.encode_partition(topic.id, partition, replicas, encoder);
        }
    }

    /// A new partition, led by the first of its replicas that is active.
    pub(super) fn encode_partition(
        &self,
        topic_id: TopicId,
        partition_id: i32,
        replicas: &[NodeId],
        encoder: &mut Encoder,
    ) {
        let active = |node: &&NodeId| self.image.brokers()[*node].is_active();
        let isr: Vec<_> = replicas.iter().filter(active).map(|node| node.0).collect();
        encoder.push(write::PartitionRecord {
            partition_id,
            topic_id,
            replicas: replicas.iter().map(|node| node.0).collect(),
            leader: isr[0],
            isr,
            leader_epoch: LeaderEpoch(0).0,
            partition_epoch: 0,
            directories: replicas.iter().map(|node| self.directory(*node)).collect(),
            ..Default::default()
        });
    }

    /// The directory of a new replica: known if the broker has one, else the broker chooses.
    fn directory(&self, node: NodeId) -> Uuid {
        match self.image.brokers()[&node].registration.log_dirs.as_slice() {
            [only] => *only,
            _ => Uuid::ZERO,
        }
    }
}

impl<'a> NewTopic<'a> {
    /// A topic of which only the name is given.
    pub fn with_defaults(name: &'a str) -> Self {
        Self {
            name,
            partitions: UNSET,
            replication_factor: UNSET as i16,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

impl<'a> From<&read::create_topics::CreatableTopic<'a>> for NewTopic<'a> {
    fn from(topic: &read::create_topics::CreatableTopic<'a>) -> Self {
        Self {
            name: topic.name,
            partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
            assignments: topic
                .assignments
                .iter()
                .map(|a| (a.partition_index, a.broker_ids.iter().collect()))
                .collect(),
            configs: topic.configs.iter().map(|config| (config.name, config.value)).collect(),
        }
    }
}
