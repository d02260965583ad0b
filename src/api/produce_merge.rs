//! A produce that names a topic or a partition more than once.
//!
//! A Kafka makes a map of the request: of a partition's places the last one counts, and the answer
//! names each topic and partition once. We do the same. No client that we know sends such a
//! request, so finding out is cheap and the rest is not hot.

use crate::base::crc32c::checksum;
use crate::model::Uuid;
use crate::protocol::read::ProduceRequest;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// First version that names topics by id.
pub const IDS_FROM: i16 = 13;

/// Parts by topic and partition, to see whether any comes twice; memory that is used again.
pub type Places = Vec<(u32, i32)>;

/// Which parts of a request count, and how its answer names them.
pub struct Merge {
    /// By place in the request.
    is_superseded: Vec<bool>,
    pub topics: Vec<MergedTopic>,
}

/// A topic of the answer, which has partitions.
pub struct MergedTopic {
    pub name: String,
    pub id: Uuid,
    /// Each with the place in the request that counts.
    pub partitions: Vec<(i32, u32)>,
}

/// Whether nothing is named twice, and no topic is without partitions: nearly always. It may err to
/// the other side.
pub fn is_plain(request: &ProduceRequest<'_>, version: i16, places: &mut Places) -> bool {
    let topics = request.topic_data;
    if topics.len() == 1 && topics.first().is_some_and(|topic| topic.partition_data.len() == 1) {
        return true;
    }
    places.clear();
    for topic in topics {
        let key = if version >= IDS_FROM {
            checksum(&topic.topic_id.0)
        } else {
            checksum(topic.name.as_bytes())
        };
        places.extend(topic.partition_data.iter().map(|partition| (key, partition.index)));
    }
    places.sort_unstable();
    let is_distinct = places.windows(2).all(|pair| pair[0] != pair[1]);
    let found = places.chunk_by(|a, b| a.0 == b.0).count();
    is_distinct && found == topics.len()
}

impl Merge {
    pub fn of(request: &ProduceRequest<'_>, version: i16) -> Self {
        let mut merge = Self { is_superseded: Vec::new(), topics: Vec::new() };
        let (mut topic_places, mut partition_places) = (BTreeMap::new(), BTreeMap::new());
        for topic in request.topic_data {
            let (name, id) = (topic.name, topic.topic_id);
            let key = if version >= IDS_FROM { (id, "") } else { (Uuid::ZERO, name) };
            for partition in topic.partition_data {
                let place = merge.is_superseded.len() as u32;
                merge.is_superseded.push(false);
                let topic_place = *topic_places.entry(key).or_insert_with(|| {
                    let (name, partitions) = (name.to_owned(), Vec::new());
                    merge.topics.push(MergedTopic { name, id, partitions });
                    merge.topics.len() - 1
                });
                let partitions = &mut merge.topics[topic_place].partitions;
                match partition_places.entry((topic_place, partition.index)) {
                    Entry::Vacant(entry) => {
                        entry.insert(partitions.len());
                        partitions.push((partition.index, place));
                    }
                    Entry::Occupied(entry) => {
                        let before = std::mem::replace(&mut partitions[*entry.get()].1, place);
                        merge.is_superseded[before as usize] = true;
                    }
                }
            }
        }
        merge
    }

    pub fn is_superseded(&self, place: u32) -> bool {
        self.is_superseded[place as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::write::produce::{PartitionProduceData, TopicProduceData};
    use crate::protocol::{Encode as _, Parse as _, Reader, Writer, write};

    /// Topics by the first byte of their ids, with their partitions; what is said of the request.
    fn check(topics: &[(u8, &[i32])], with: impl Fn(&ProduceRequest<'_>, i16)) {
        for version in [3, 12, 13] {
            let topic = |(id, partitions): &(u8, &[i32])| TopicProduceData {
                name: format!("topic-{id}").into(),
                topic_id: Uuid([*id; 16]),
                partition_data: partitions
                    .iter()
                    .map(|index| PartitionProduceData { index: *index, records: None })
                    .collect(),
            };
            let request = write::ProduceRequest {
                topic_data: topics.iter().map(topic).collect(),
                ..write::ProduceRequest::default()
            };
            let mut writer = Writer::new();
            request.encode(version, &mut writer);
            with(&ProduceRequest::parse(Reader::one(writer.as_bytes()), version).unwrap(), version);
        }
    }

    #[test]
    fn what_is_named_once_is_plain() {
        let plain = |topics: &[(u8, &[i32])], expected: bool| {
            check(topics, |request, version| {
                assert_eq!(is_plain(request, version, &mut Vec::new()), expected, "{topics:?}");
            });
        };
        plain(&[(1, &[0])], true);
        plain(&[(1, &[0, 1, 2]), (2, &[0, 1])], true);
        plain(&[(1, &[0, 0])], false);
        plain(&[(1, &[0]), (2, &[0]), (1, &[1])], false);
        plain(&[(1, &[0]), (2, &[])], false);
        plain(&[], true);
    }

    #[test]
    fn the_last_place_of_a_partition_counts_and_the_answer_names_it_once() {
        check(&[(1, &[4, 5, 4]), (3, &[]), (2, &[4]), (1, &[6, 5])], |request, version| {
            let merge = Merge::of(request, version);
            let topics: Vec<_> = merge
                .topics
                .iter()
                .map(|topic| (topic.id.0[0], topic.partitions.clone()))
                .collect();
            let expected = [(1, vec![(4, 2), (5, 5), (6, 4)]), (2, vec![(4, 3)])];
            let ids = |(id, partitions): (u8, Vec<(i32, u32)>)| {
                (if version >= IDS_FROM { id } else { 0 }, partitions)
            };
            assert_eq!(topics, expected.map(ids));
            let superseded = [true, true, false, false, false, false];
            assert!(superseded.iter().zip(0..).all(|(is, at)| merge.is_superseded(at) == *is));
        });
    }
}
