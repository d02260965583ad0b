//! OffsetDelete, DeleteGroups, and topics that are no more.
//!
//! What is being committed while something is deleted lies before the tombstone in the log: it is
//! deleted too.

use super::answer::{Answer, DeleteResult};
use super::command::{DeleteOffsets, DeletedTopic, Now};
use super::coordinator::Coordinator;
use super::effect::{AppendToken, Effects, ReplyId};
use super::error::GroupError;
use super::group::{Group, State};
use super::ids::GroupId;
use super::inflight::{Inflight, Waiter};
use super::record::Change;
use crate::model::{PartitionIndex, TopicId, TopicName};
use std::collections::BTreeSet;

impl Coordinator {
    pub fn on_delete_offsets(
        &mut self,
        _: Now,
        delete: DeleteOffsets,
        reply: ReplyId,
        effects: &mut Effects,
    ) {
        let (results, changes) = match self.delete_offsets(delete) {
            Ok(deleted) => deleted,
            Err(error) => return effects.reply(reply, Answer::DeleteOffsets(Err(error))),
        };
        let answer = Answer::DeleteOffsets(Ok(results));
        match self.inflight.append_all(changes, effects) {
            Some(token) => self.inflight.wait(token, Waiter::Reply(reply, answer)),
            None => effects.reply(reply, answer),
        }
    }

    fn delete_offsets(
        &self,
        delete: DeleteOffsets,
    ) -> Result<(Vec<DeleteResult>, Vec<Change>), GroupError> {
        if delete.group.is_empty() {
            return Err(GroupError::EmptyGroupId);
        }
        let unknown = || GroupError::UnknownGroup { group: delete.group.clone() };
        let group = self.living(&delete.group).ok_or_else(unknown)?;
        if group.state != State::Empty && !group.uses_consumer_protocol() {
            return Err(GroupError::NotEmpty);
        }
        let there = group.offset_keys(&self.inflight);
        let (mut results, mut changes) = (Vec::with_capacity(delete.topics.len()), Vec::new());
        for (name, partitions) in delete.topics {
            let is_subscribed = group.is_subscribed(&name);
            let result = |partition| {
                let refused = || Err(GroupError::SubscribedToTopic);
                (partition, if is_subscribed { refused() } else { Ok(()) })
            };
            for &partition in partitions.iter().filter(|_| !is_subscribed) {
                if there.contains(&(name.clone(), partition)) {
                    changes.push(tombstone(&group.id, name.clone(), partition));
                }
            }
            let partitions = partitions.into_iter().map(result).collect();
            results.push(DeleteResult { name, partitions });
        }
        Ok((results, changes))
    }

    pub fn on_delete_groups(
        &mut self,
        _: Now,
        groups: Vec<GroupId>,
        reply: ReplyId,
        effects: &mut Effects,
    ) {
        let mut last: Option<AppendToken> = None;
        let mut results: Vec<(GroupId, Result<(), GroupError>)> = Vec::with_capacity(groups.len());
        let mut seen = BTreeSet::new();
        for id in groups {
            // As in Kafka one that is named twice is told of once.
            if !seen.insert(id.clone()) {
                continue;
            }
            let result = self.check_delete(&id);
            if result.is_ok() {
                last = Some(self.delete_group(&id, effects));
            }
            results.push((id, result));
        }
        let answer = Answer::DeleteGroups(results);
        match last {
            Some(token) => self.inflight.wait(token, Waiter::Reply(reply, answer)),
            None => effects.reply(reply, answer),
        }
    }

    fn check_delete(&self, id: &GroupId) -> Result<(), GroupError> {
        match self.living(id) {
            None => Err(GroupError::UnknownGroup { group: id.clone() }),
            Some(group) if group.state != State::Empty => Err(GroupError::NotEmpty),
            Some(_) => Ok(()),
        }
    }

    /// Its offsets, then itself. Until the log has it, what is asked of the group waits.
    pub(super) fn delete_group(&mut self, id: &GroupId, effects: &mut Effects) -> AppendToken {
        let group = self.groups.get_mut(id).expect("the caller has found it");
        group.is_dying = true;
        let keys = group.offset_keys(&self.inflight);
        let mut changes: Vec<Change> =
            keys.into_iter().map(|(topic, index)| tombstone(id, topic, index)).collect();
        changes.push(Change::Group { group: id.clone(), value: None });
        let token = self.inflight.append_all(changes, effects).expect("there is a tombstone");
        self.inflight.wait(token, Waiter::Deleted(id.clone()));
        token
    }

    /// Offsets of topics that are no more are dropped, of all groups.
    pub fn on_topics_deleted(&mut self, _: Now, topics: &[DeletedTopic], effects: &mut Effects) {
        let mut keys: BTreeSet<(GroupId, TopicName, PartitionIndex)> = BTreeSet::new();
        for deleted in topics {
            for group in self.groups.values() {
                for (partition, offset) in group.offsets.topic(deleted.name.as_str()) {
                    if is_of(offset.topic_id, deleted) {
                        keys.insert((group.id.clone(), deleted.name.clone(), *partition));
                    }
                }
            }
            for (group, topic, partition, id) in self.inflight.offsets(None) {
                if *topic == deleted.name && is_of(id, deleted) {
                    keys.insert((group.clone(), topic.clone(), partition));
                }
            }
        }
        let changes = keys.into_iter().map(|(group, topic, index)| tombstone(&group, topic, index));
        self.inflight.append_all(changes.collect(), effects);
    }

    /// A group that is there and stays.
    fn living(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id).map(|group| &**group).filter(|group| !group.is_dying)
    }
}

impl Group {
    /// What has an offset, or will have when the appends under way are committed.
    fn offset_keys(&self, inflight: &Inflight) -> BTreeSet<(TopicName, PartitionIndex)> {
        let there = self.offsets.iter().map(|(topic, partition, _)| (topic.clone(), partition));
        let coming = inflight.offsets(Some(&self.id));
        there.chain(coming.map(|(_, topic, partition, _)| (topic.clone(), partition))).collect()
    }
}

pub(super) fn tombstone(group: &GroupId, topic: TopicName, partition: PartitionIndex) -> Change {
    Change::Offset { group: group.clone(), topic, partition, committed: None }
}

/// Offsets from before topics had ids belong to whatever had the name.
fn is_of(id: TopicId, deleted: &DeletedTopic) -> bool {
    id.is_zero() || id == deleted.id
}
