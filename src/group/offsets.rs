//! What a group has committed.

use crate::model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

#[derive(Clone, Debug, PartialEq)]
pub struct CommittedOffset {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Box<str>,
    pub committed_at: Timestamp,
    /// Where the client said how long to keep it (OffsetCommit versions 2 to 4).
    pub expires_at: Option<Timestamp>,
    /// The topic that the name stood for; zero where that was not known.
    pub topic_id: TopicId,
}

impl CommittedOffset {
    /// An offset of an earlier topic of the name is none of this one. Zero matches all.
    pub fn belongs_to(&self, topic: TopicId) -> bool {
        self.topic_id.is_zero() || topic.is_zero() || self.topic_id == topic
    }
}

/// By topic, then partition: a sorted list, since most groups read few partitions of a topic.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Offsets {
    topics: BTreeMap<TopicName, Vec<(PartitionIndex, CommittedOffset)>>,
    bytes: usize,
}

/// Bytes of an offset without its text.
pub(super) const OFFSET_BYTES: usize = size_of::<(PartitionIndex, CommittedOffset)>();

/// Bytes of a topic without its offsets, about: most groups have few, so a leaf of the map has one.
pub(super) fn topic_bytes(name: &TopicName) -> usize {
    const LEAF: usize = 512;
    LEAF + name.as_str().len()
}

impl Offsets {
    pub fn get(&self, topic: &TopicName, partition: PartitionIndex) -> Option<&CommittedOffset> {
        let partitions = self.topics.get(topic)?;
        let place = partitions.binary_search_by_key(&partition, |(index, _)| *index).ok()?;
        Some(&partitions[place].1)
    }

    pub fn put(&mut self, topic: TopicName, partition: PartitionIndex, offset: CommittedOffset) {
        let Self { topics, bytes } = self;
        *bytes += offset.metadata.len();
        let partitions = match topics.entry(topic) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                *bytes += topic_bytes(entry.key());
                entry.insert(Vec::new())
            }
        };
        match partitions.binary_search_by_key(&partition, |(index, _)| *index) {
            Ok(place) => {
                *bytes -= partitions[place].1.metadata.len();
                partitions[place].1 = offset;
            }
            Err(place) => {
                *bytes += OFFSET_BYTES;
                // One partition is common: no room for more is made before more come.
                partitions.reserve_exact(if partitions.len() < 4 {
                    1
                } else {
                    partitions.len() / 4
                });
                partitions.insert(place, (partition, offset));
            }
        }
    }

    pub fn remove(&mut self, topic: &TopicName, partition: PartitionIndex) {
        let Some(partitions) = self.topics.get_mut(topic) else { return };
        if let Ok(place) = partitions.binary_search_by_key(&partition, |(index, _)| *index) {
            let (_, offset) = partitions.remove(place);
            self.bytes -= OFFSET_BYTES + offset.metadata.len();
        }
        if partitions.is_empty() {
            self.topics.remove(topic);
            self.bytes -= topic_bytes(topic);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// About.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub fn bytes_anew(&self) -> usize {
        let topics: usize = self.topics.keys().map(topic_bytes).sum();
        topics + self.iter().map(|(_, _, one)| OFFSET_BYTES + one.metadata.len()).sum::<usize>()
    }

    pub fn has_topic(&self, name: &TopicName) -> bool {
        self.topics.contains_key(name)
    }

    pub fn count(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }

    pub fn topics(
        &self,
    ) -> impl Iterator<Item = (&TopicName, &[(PartitionIndex, CommittedOffset)])> {
        self.topics.iter().map(|(topic, partitions)| (topic, &partitions[..]))
    }

    pub fn topic(&self, name: &str) -> &[(PartitionIndex, CommittedOffset)] {
        self.topics.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex, &CommittedOffset)> {
        self.iter_after(None)
    }

    /// Those behind a partition, which need not be there.
    pub fn iter_after<'a>(
        &'a self,
        after: Option<(&'a TopicName, PartitionIndex)>,
    ) -> impl Iterator<Item = (&'a TopicName, PartitionIndex, &'a CommittedOffset)> {
        let from = after.map_or(Bound::Unbounded, |(topic, _)| Bound::Included(topic));
        let topics = self.topics.range::<TopicName, _>((from, Bound::Unbounded));
        topics.flat_map(move |(topic, partitions)| {
            let skipped = match after {
                Some((last, seen)) if last == topic => {
                    partitions.partition_point(|(index, _)| *index <= seen)
                }
                _ => 0,
            };
            let rest = partitions[skipped..].iter();
            rest.map(move |(partition, offset)| (topic, *partition, offset))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uuid;

    fn offset(n: i64) -> CommittedOffset {
        CommittedOffset {
            offset: Offset(n),
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
            committed_at: Timestamp(1),
            expires_at: None,
            topic_id: Uuid::ZERO,
        }
    }

    #[test]
    fn offsets_are_found_by_topic_and_partition_and_leave_nothing_behind() {
        let topic = TopicName::parse("t").unwrap();
        let mut offsets = Offsets::default();
        for partition in [7, 1, 4, 1] {
            offsets.put(topic.clone(), PartitionIndex(partition), offset(partition.into()));
        }
        assert_eq!(offsets.count(), 3);
        let seen: Vec<_> = offsets.iter().map(|(_, partition, _)| partition.0).collect();
        assert_eq!(seen, [1, 4, 7]);
        assert_eq!(offsets.get(&topic, PartitionIndex(4)).unwrap().offset, Offset(4));
        assert_eq!(offsets.get(&topic, PartitionIndex(5)), None);
        for partition in [7, 5, 1, 4] {
            offsets.remove(&topic, PartitionIndex(partition));
        }
        assert!(offsets.is_empty());
        assert_eq!(offsets.bytes(), 0);
    }
}
