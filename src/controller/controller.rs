//! The controller: the cluster's metadata, and the one who may change it.

use super::apply_error::ApplyError;
use super::image::{Change, Delta, Image};
use super::stage::Stage;
use crate::config::{BrokerConfig, TopicConfig};
use crate::model::{NodeId, ProducerId, TopicName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The metadata as a state machine. `on_*` works a request out into records, `apply_batch` turns
/// committed records into state: the same at start, when the log is replayed, and later.
#[derive(Clone, Debug, PartialEq)]
pub struct Controller {
    pub(super) node_id: NodeId,
    pub(super) image: Image,
    /// Names with '.' or '_', by the name that metrics would give them.
    pub(super) collisions: BTreeMap<String, BTreeSet<TopicName>>,
    pub(super) producer_id_next: ProducerId,
    /// What a topic has that sets nothing: shared by all of these.
    pub(super) topic_defaults: Arc<TopicConfig>,
    pub(super) rules: Rules,
}

/// The settings of the broker that decide over requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub num_partitions: u32,
    pub replication_factor: i32,
    pub delete_topics: bool,
}

impl Controller {
    /// A controller that knows nothing yet: the log is replayed into it.
    pub fn new(cluster_id: &str, config: &BrokerConfig) -> Self {
        Self {
            node_id: config.node_id,
            image: Image::new(cluster_id, config.layers.clone()),
            collisions: BTreeMap::new(),
            producer_id_next: ProducerId(0),
            topic_defaults: Arc::new(config.topic_defaults.clone()),
            rules: Rules {
                num_partitions: config.num_partitions,
                replication_factor: config.default_replication_factor,
                delete_topics: config.delete_topics,
            },
        }
    }

    /// Applies the values of one committed batch, all or none, and says what they changed. The
    /// delta belongs to every other image.
    pub fn apply_batch<'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Delta, ApplyError> {
        let mut stage = Stage::new(self);
        for value in values {
            stage.replay(value)?;
        }
        let staged = stage.finish()?;
        if let Some(defaults) = staged.topic_defaults {
            self.topic_defaults = defaults;
        }
        for change in &staged.delta.changes {
            match change {
                Change::TopicCreated(topic) => self.note_name(&topic.name),
                Change::TopicRemoved(topic) => self.forget_name(&topic.name),
                Change::ProducerIds(next) => self.producer_id_next = *next,
                _ => {}
            }
        }
        self.image.apply(&staged.delta);
        Ok(staged.delta)
    }

    fn note_name(&mut self, name: &TopicName) {
        if let Some(key) = collision_key(name) {
            self.collisions.entry(key).or_default().insert(name.clone());
        }
    }

    fn forget_name(&mut self, name: &TopicName) {
        let Some(key) = collision_key(name) else { return };
        if let Some(names) = self.collisions.get_mut(&key) {
            names.remove(name);
            if names.is_empty() {
                self.collisions.remove(&key);
            }
        }
    }

    /// A topic whose name metrics could not tell from this one.
    pub(super) fn colliding(&self, name: &TopicName) -> Option<&TopicName> {
        self.collisions.get(&collision_key(name)?)?.first()
    }

    /// The node whose metadata these are.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// What is known now. A clone is cheap: it shares every topic.
    pub fn image(&self) -> &Image {
        &self.image
    }
}

/// Only names with '.' or '_' can collide.
fn collision_key(name: &TopicName) -> Option<String> {
    name.as_str().contains(['.', '_']).then(|| name.collision_key())
}
