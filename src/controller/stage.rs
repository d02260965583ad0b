//! One batch of records on its way into the state. Nothing is changed until all of it is known to
//! be good: a topic's records (itself, its settings, its partitions) become one change.

use super::apply_error::ApplyError;
use super::broker::{Broker, Brokers};
use super::controller::Controller;
use super::image::{Change, Delta, Features};
use super::replay;
use super::topic::{PartitionInfo, Topic};
use super::version::{METADATA_VERSION, METADATA_VERSION_LEVEL};
use crate::base::FastMap;
use crate::config::{Layers, Texts, TopicConfig};
use crate::model::{NodeId, PartitionIndex, ProducerId, ResourceType, TopicId, TopicName};
use crate::protocol::{Reader, read, read::MetadataRecord};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct Stage<'c> {
    controller: &'c Controller,
    /// Topics that the batch touches, in the order in which it first does.
    drafts: Vec<Draft>,
    draft_by_id: FastMap<TopicId, usize>,
    /// Names that the batch gave (to whom) or took away.
    names: BTreeMap<TopicName, Option<TopicId>>,
    brokers: Option<Brokers>,
    features: Option<Features>,
    layers: Option<Layers>,
    /// What groups set that the batch touches.
    groups: BTreeMap<Arc<str>, Texts>,
    producer_id_next: Option<ProducerId>,
}

/// What a batch comes to.
pub(super) struct Staged {
    pub delta: Delta,
    pub topic_defaults: Option<Arc<TopicConfig>>,
}

/// A topic that the batch touches, as it will be.
struct Draft {
    name: TopicName,
    id: TopicId,
    partitions: Vec<PartitionInfo>,
    overrides: Texts,
    /// As it was before the batch.
    before: Option<Arc<Topic>>,
    is_removed: bool,
}

impl<'c> Stage<'c> {
    pub fn new(controller: &'c Controller) -> Self {
        Self {
            controller,
            drafts: Vec::new(),
            draft_by_id: FastMap::default(),
            names: BTreeMap::new(),
            brokers: None,
            features: None,
            layers: None,
            groups: BTreeMap::new(),
            producer_id_next: None,
        }
    }

    /// Replays the value of one record.
    pub fn replay(&mut self, value: &[u8]) -> Result<(), ApplyError> {
        match MetadataRecord::parse(Reader::one(value))? {
            MetadataRecord::Topic(record) => self.topic(record.name, record.topic_id),
            MetadataRecord::Partition(record) => self.partition(&record),
            MetadataRecord::PartitionChange(record) => self.partition_change(&record),
            MetadataRecord::RemoveTopic(record) => {
                let draft = self.draft(record.topic_id)?;
                draft.is_removed = true;
                let name = draft.name.clone();
                self.names.insert(name, None);
                Ok(())
            }
            MetadataRecord::Config(record) => self.config(&record),
            MetadataRecord::RegisterBroker(record) => self.register(&record),
            MetadataRecord::UnregisterBroker(record) => {
                let node = NodeId(record.broker_id);
                self.broker(node, record.broker_epoch)?;
                self.brokers_mut().remove(&node);
                Ok(())
            }
            MetadataRecord::FenceBroker(record) => {
                self.broker(NodeId(record.id), record.epoch)?.fenced = true;
                Ok(())
            }
            MetadataRecord::UnfenceBroker(record) => {
                self.broker(NodeId(record.id), record.epoch)?.fenced = false;
                Ok(())
            }
            MetadataRecord::BrokerRegistrationChange(record) => {
                let broker = self.broker(NodeId(record.broker_id), record.broker_epoch)?;
                replay::change_registration(broker, &record)
            }
            MetadataRecord::FeatureLevel(record) => self.feature(record.name, record.feature_level),
            MetadataRecord::ProducerIds(record) => self.producer_ids(record.next_producer_id),
            MetadataRecord::NoOp(_) => Ok(()),
        }
    }

    fn topic(&mut self, name: &str, id: TopicId) -> Result<(), ApplyError> {
        let name = TopicName::parse(name)?;
        let is_id_taken =
            self.controller.image.topic_by_id(id).is_some() || self.draft_by_id.contains_key(&id);
        if is_id_taken || self.find(name.as_str()).is_some() || id.is_zero() {
            return Err(ApplyError::TopicExists { name: name.to_string(), id });
        }
        self.names.insert(name.clone(), Some(id));
        self.add(Draft {
            name,
            id,
            partitions: Vec::new(),
            overrides: Texts::new(),
            before: None,
            is_removed: false,
        });
        Ok(())
    }

    fn partition(&mut self, record: &read::PartitionRecord<'_>) -> Result<(), ApplyError> {
        let partition = replay::partition(record)?;
        let draft = self.draft(record.topic_id)?;
        if usize::try_from(record.partition_id) != Ok(draft.partitions.len()) {
            let partition = PartitionIndex(record.partition_id);
            return Err(ApplyError::PartitionOrder { topic: record.topic_id, partition });
        }
        draft.partitions.push(partition);
        Ok(())
    }

    fn partition_change(
        &mut self,
        record: &read::PartitionChangeRecord<'_>,
    ) -> Result<(), ApplyError> {
        let topic = record.topic_id;
        let index = usize::try_from(record.partition_id).unwrap_or(usize::MAX);
        let partition = self.draft(topic)?.partitions.get_mut(index).ok_or({
            let partition = PartitionIndex(record.partition_id);
            ApplyError::UnknownPartition { topic, partition }
        })?;
        replay::change_partition(partition, record)
    }

    fn config(&mut self, record: &read::ConfigRecord<'_>) -> Result<(), ApplyError> {
        let texts = match ResourceType::from_code(record.resource_type) {
            Some(ResourceType::Topic) => {
                let name = record.resource_name;
                let unknown = || ApplyError::UnknownTopicName { name: name.to_owned() };
                let id = self.find(name).ok_or_else(unknown)?;
                &mut self.draft(id)?.overrides
            }
            Some(ResourceType::Broker) => {
                let this = self.controller.node_id;
                let before = &self.controller.image;
                let layers = self.layers.get_or_insert_with(|| Layers::clone(before.layers()));
                match record.resource_name.parse::<i32>() {
                    Ok(node) if NodeId(node) == this => &mut layers.dynamic_broker,
                    Ok(node) => {
                        return Err(ApplyError::ForeignBroker { found: NodeId(node), this });
                    }
                    Err(_) if record.resource_name.is_empty() => &mut layers.dynamic_default,
                    Err(_) => return Err(ApplyError::NotServed("settings of a nameless broker")),
                }
            }
            Some(ResourceType::Group) => {
                let before = self.controller.image.group_config(record.resource_name);
                let before = || before.map(|texts| (**texts).clone()).unwrap_or_default();
                self.groups.entry(record.resource_name.into()).or_insert_with(before)
            }
            _ => return Err(ApplyError::NotServed("settings of client metrics")),
        };
        match record.value {
            Some(value) => _ = texts.insert(record.name.to_owned(), value.to_owned()),
            None => _ = texts.remove(record.name),
        }
        Ok(())
    }

    fn register(&mut self, record: &read::RegisterBrokerRecord<'_>) -> Result<(), ApplyError> {
        let (node, epoch, this) =
            (NodeId(record.broker_id), record.broker_epoch, self.controller.node_id);
        if node != this {
            return Err(ApplyError::ForeignBroker { found: node, this });
        }
        let broker = replay::broker(record)?;
        let brokers = self.brokers_mut();
        if let Some(before) = brokers.get(&node).map(|b| b.epoch).filter(|&b| b >= epoch) {
            return Err(ApplyError::BrokerEpoch { node, epoch, before });
        }
        brokers.insert(node, broker);
        Ok(())
    }

    fn feature(&mut self, name: &str, level: i16) -> Result<(), ApplyError> {
        if name == METADATA_VERSION && level != METADATA_VERSION_LEVEL {
            return Err(ApplyError::MetadataVersion { level });
        }
        let before = &self.controller.image;
        let features = self.features.get_or_insert_with(|| before.features().clone());
        if level == 0 {
            features.remove(name);
        } else {
            features.insert(name.to_owned(), level);
        }
        Ok(())
    }

    fn producer_ids(&mut self, next: i64) -> Result<(), ApplyError> {
        let before = self.producer_id_next.unwrap_or(self.controller.producer_id_next).0;
        if next <= before {
            return Err(ApplyError::ProducerIds { next, before });
        }
        self.producer_id_next = Some(ProducerId(next));
        Ok(())
    }

    fn brokers_mut(&mut self) -> &mut Brokers {
        let before = &self.controller.image;
        self.brokers.get_or_insert_with(|| before.brokers().clone())
    }

    fn broker(&mut self, node: NodeId, epoch: i64) -> Result<&mut Broker, ApplyError> {
        let broker = self.brokers_mut().get_mut(&node).filter(|broker| broker.epoch == epoch);
        broker.ok_or(ApplyError::UnknownBroker { node, epoch })
    }

    /// The id that a name has at this point of the batch.
    fn find(&self, name: &str) -> Option<TopicId> {
        match self.names.get(name) {
            Some(id) => *id,
            None => self.controller.image.topic(name).map(|topic| topic.id),
        }
    }

    /// The draft of a topic that exists at this point of the batch.
    fn draft(&mut self, id: TopicId) -> Result<&mut Draft, ApplyError> {
        let unknown = ApplyError::UnknownTopic { id };
        let index = if let Some(&index) = self.draft_by_id.get(&id) {
            index
        } else {
            let before = self.controller.image.topic_by_id(id).ok_or(unknown.clone())?;
            self.add(Draft::of(before))
        };
        let draft = &mut self.drafts[index];
        if draft.is_removed { Err(unknown) } else { Ok(draft) }
    }

    fn add(&mut self, draft: Draft) -> usize {
        let index = self.drafts.len();
        self.draft_by_id.insert(draft.id, index);
        self.drafts.push(draft);
        index
    }

    /// Resolves the settings of all that was touched, and says what changes.
    pub fn finish(self) -> Result<Staged, ApplyError> {
        let mut changes = Vec::new();
        if let Some(features) = self.features {
            changes.push(Change::Features(Arc::new(features)));
        }
        if let Some(brokers) = self.brokers {
            changes.push(Change::Brokers(Arc::new(brokers)));
        }
        let before = &self.controller.image;
        let mut defaults = Arc::clone(&self.controller.topic_defaults);
        let layers = match self.layers {
            Some(layers) => Arc::new(layers),
            None => Arc::clone(before.layers()),
        };
        let is_config_changed = !Arc::ptr_eq(&layers, before.layers());
        if is_config_changed {
            let resolved = TopicConfig::resolve(&Texts::new(), &layers);
            defaults = Arc::new(resolved.map_err(ApplyError::BrokerConfig)?);
            changes.push(Change::Config(Arc::clone(&layers)));
        }
        let mut touched = self.drafts;
        if is_config_changed {
            let is_other = |topic: &&Arc<Topic>| !self.draft_by_id.contains_key(&topic.id);
            touched.extend(before.topics().filter(is_other).map(Draft::of));
        }
        for draft in touched {
            changes.extend(draft.finish(&layers, &defaults)?);
        }
        let groups = self.groups.into_iter();
        changes.extend(groups.map(|(group, texts)| Change::GroupConfig(group, Arc::new(texts))));
        changes.extend(self.producer_id_next.map(Change::ProducerIds));
        let topic_defaults = is_config_changed.then_some(defaults);
        Ok(Staged { delta: Delta { changes }, topic_defaults })
    }
}

impl Draft {
    fn of(topic: &Arc<Topic>) -> Self {
        Self {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.clone(),
            overrides: topic.overrides.clone(),
            before: Some(Arc::clone(topic)),
            is_removed: false,
        }
    }

    fn finish(
        self,
        layers: &Layers,
        defaults: &Arc<TopicConfig>,
    ) -> Result<Option<Change>, ApplyError> {
        if self.is_removed {
            // Made and removed in one batch: nobody saw it.
            return Ok(self.before.map(Change::TopicRemoved));
        }
        let config = if self.overrides.is_empty() {
            Arc::clone(defaults)
        } else {
            let resolved = TopicConfig::resolve(&self.overrides, layers);
            Arc::new(resolved.map_err(|error| {
                let topic = self.name.to_string();
                ApplyError::TopicConfig { topic, error }
            })?)
        };
        let topic = Arc::new(Topic {
            name: self.name,
            id: self.id,
            partitions: self.partitions,
            overrides: self.overrides,
            config,
        });
        Ok(match self.before {
            None => Some(Change::TopicCreated(topic)),
            Some(before) if before == topic => None,
            Some(_) => Some(Change::TopicChanged(topic)),
        })
    }
}
