//! How a shard follows the cluster's metadata: partitions appear with logs that have no files yet,
//! and go with their files.

use super::call::PartitionCheckpoint;
use super::groups::Place;
use super::partition::Partition;
use super::shard::Shard;
use crate::config::Layers;
use crate::controller::{Change, Delta, Topic};
use crate::log::{Log, LogDir, LogSpec};
use crate::model::{OFFSETS_TOPIC, Offset};
use std::rc::Rc;
use std::sync::Arc;

impl Shard {
    /// Applies changes of the cluster's metadata, whose log now ends at `offset`.
    pub(super) async fn apply(self: &Rc<Self>, delta: &Delta, offset: Offset) {
        if let Some(image) = &mut *self.image.borrow_mut() {
            image.apply(delta);
        }
        self.metadata_offset.set(offset);
        for change in &delta.changes {
            match change {
                Change::TopicCreated(topic) => self.add_partitions(topic),
                Change::TopicChanged(topic) => self.update_partitions(topic),
                Change::TopicRemoved(topic) => {
                    self.remove_partitions(topic).await;
                    self.forget_offsets(topic);
                }
                Change::Config(layers) => self.follow(layers),
                Change::Brokers(_)
                | Change::Features(_)
                | Change::GroupConfig(..)
                | Change::ProducerIds(_) => {}
            }
        }
    }

    /// Takes the broker's settings that change while it runs. What topics follow comes with the
    /// topics.
    pub(super) fn follow(&self, layers: &Layers) {
        if !self.live.follow(layers) {
            return;
        }
        let partitions: Vec<_> = self.partitions.borrow().values().cloned().collect();
        for partition in partitions {
            let Some(topic) = self.image().topic_by_id(partition.topic).cloned() else { continue };
            let Some(info) = topic.partitions.get(partition.index as usize) else { continue };
            partition.update(self.settings(&topic.config), info.leader_epoch);
        }
    }

    pub(super) fn add_partitions(self: &Rc<Self>, topic: &Arc<Topic>) {
        self.add_partitions_in(topic, None);
    }

    /// Adds those that are not there yet, in `dir` or where there is most room.
    pub(super) fn add_partitions_in(self: &Rc<Self>, topic: &Arc<Topic>, dir: Option<&Rc<LogDir>>) {
        for index in 0..topic.partitions.len() as i32 {
            if self.owns(topic.id, index) && self.partition(topic.id, index).is_none() {
                let log = Log::create(
                    dir.map_or_else(|| self.log_dir_for_new(), Rc::clone),
                    log_spec(topic, index),
                    self.settings(&topic.config).log,
                );
                self.insert_partition(topic, index, log);
            }
        }
    }

    pub(super) fn insert_partition(self: &Rc<Self>, topic: &Arc<Topic>, index: i32, log: Log) {
        let settings = self.settings(&topic.config);
        let epoch = topic.partitions[index as usize].leader_epoch;
        let partition = Partition::new(topic.name.clone(), topic.id, index, epoch, settings, log);
        self.partitions.borrow_mut().insert((topic.id, index), Rc::clone(&partition));
        if topic.name.as_str() == OFFSETS_TOPIC {
            self.add_coordinator(&partition);
        }
    }

    fn update_partitions(self: &Rc<Self>, topic: &Arc<Topic>) {
        for (index, info) in (0..).zip(&topic.partitions) {
            if let Some(partition) = self.partition(topic.id, index) {
                partition.update(self.settings(&topic.config), info.leader_epoch);
            }
        }
        self.add_partitions(topic);
    }

    /// When this returns, a topic of the same name can be made anew.
    async fn remove_partitions(self: &Rc<Self>, topic: &Topic) {
        for index in 0..topic.partitions.len() as i32 {
            self.remove_coordinator(Place { topic: topic.id, partition: index });
            let removed = self.partitions.borrow_mut().remove(&(topic.id, index));
            if let Some(partition) = removed {
                partition.remove(self).await;
            }
        }
    }

    /// How far the partitions of this shard are durable.
    pub(super) fn checkpoints(&self) -> Vec<PartitionCheckpoint> {
        self.partitions.borrow().values().map(|partition| partition.checkpoint()).collect()
    }

    /// Closes every log of this shard, one after the other.
    pub(super) async fn close_logs(self: &Rc<Self>) -> Vec<PartitionCheckpoint> {
        let partitions: Vec<_> = self.partitions.borrow().values().cloned().collect();
        for partition in &partitions {
            partition.close(self).await;
        }
        self.checkpoints()
    }
}

/// Names a log of which nothing is known yet.
pub(super) fn log_spec(topic: &Topic, index: i32) -> LogSpec {
    LogSpec {
        folder: format!("{}-{index}", topic.name),
        topic_id: topic.id,
        recovery_point: Offset::ZERO,
        log_start_offset: Offset::ZERO,
        is_clean: false,
        refuses_damage: false,
    }
}
