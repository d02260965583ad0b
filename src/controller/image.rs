//! The image: what a core knows of the cluster. Read on the hot path without a lock or an
//! allocation, and changed only by the deltas that follow from committed records.

use super::broker::Brokers;
use super::topic::Topic;
use crate::base::FastMap;
use crate::config::{Layers, Texts};
use crate::model::{ProducerId, TopicId, TopicName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Finalized features and their levels; a feature that is not there has level 0.
pub type Features = BTreeMap<String, i16>;

/// What a batch of records changed, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    pub changes: Vec<Change>,
}

/// One thing that changed, as it is now. What it holds is shared: handing a change to every core
/// copies no topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    TopicCreated(Arc<Topic>),
    /// Partitions, leaders or settings differ.
    TopicChanged(Arc<Topic>),
    /// The topic as it was.
    TopicRemoved(Arc<Topic>),
    Brokers(Arc<Brokers>),
    Features(Arc<Features>),
    /// The broker's settings; topics that follow them come as `TopicChanged` after it.
    Config(Arc<Layers>),
    /// What a group sets; nothing any more where it is empty.
    GroupConfig(Arc<str>, Arc<Texts>),
    /// The first producer id that is in nobody's block.
    ProducerIds(ProducerId),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub cluster_id: Arc<str>,
    /// Names are chosen by clients, so no hash that they could make collide.
    by_name: BTreeMap<TopicName, Arc<Topic>>,
    by_id: FastMap<TopicId, Arc<Topic>>,
    partition_count: usize,
    brokers: Arc<Brokers>,
    features: Arc<Features>,
    layers: Arc<Layers>,
    /// What groups set, also groups that do not exist; only those that set something.
    group_configs: BTreeMap<Arc<str>, Arc<Texts>>,
}

impl Image {
    pub fn new(cluster_id: &str, layers: Layers) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            by_name: BTreeMap::new(),
            by_id: FastMap::default(),
            partition_count: 0,
            brokers: Arc::default(),
            features: Arc::default(),
            layers: Arc::new(layers),
            group_configs: BTreeMap::new(),
        }
    }

    /// Applies all changes of a delta.
    pub fn apply(&mut self, delta: &Delta) {
        for change in &delta.changes {
            match change {
                Change::TopicCreated(topic) | Change::TopicChanged(topic) => self.put(topic),
                Change::TopicRemoved(topic) => self.remove(topic),
                Change::Brokers(brokers) => self.brokers = Arc::clone(brokers),
                Change::Features(features) => self.features = Arc::clone(features),
                Change::Config(layers) => self.layers = Arc::clone(layers),
                Change::GroupConfig(group, texts) if texts.is_empty() => {
                    self.group_configs.remove(group);
                }
                Change::GroupConfig(group, texts) => {
                    self.group_configs.insert(Arc::clone(group), Arc::clone(texts));
                }
                Change::ProducerIds(_) => {}
            }
        }
        assert!(self.by_name.len() == self.by_id.len());
    }

    fn put(&mut self, topic: &Arc<Topic>) {
        if let Some(old) = self.by_id.insert(topic.id, Arc::clone(topic)) {
            assert!(old.name == topic.name);
            self.partition_count -= old.partitions.len();
        }
        self.partition_count += topic.partitions.len();
        self.by_name.insert(topic.name.clone(), Arc::clone(topic));
    }

    fn remove(&mut self, topic: &Arc<Topic>) {
        let old = self.by_id.remove(&topic.id).expect("only what is there is removed");
        self.by_name.remove(&old.name);
        self.partition_count -= old.partitions.len();
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// The topics whose names come at or after this one, in their order: a page of a listing.
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        use std::ops::Bound;
        let from = (Bound::Included(name), Bound::Unbounded);
        self.by_name.range::<str, _>(from).map(|(_, topic)| topic)
    }

    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    pub fn brokers(&self) -> &Brokers {
        &self.brokers
    }

    pub fn features(&self) -> &Features {
        &self.features
    }

    /// What a group sets, if it sets something.
    pub fn group_config(&self, group: &str) -> Option<&Arc<Texts>> {
        self.group_configs.get(group)
    }

    /// Groups that set something, by name.
    pub fn configured_groups(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.group_configs.keys()
    }

    /// The broker's settings that topics follow.
    pub fn layers(&self) -> &Arc<Layers> {
        &self.layers
    }
}
