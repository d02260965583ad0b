//! Offsets and sizes of many partitions: one question to each broker that has some of them.

use super::routing::Cluster;
use super::topics::TopicState;
use crate::cli::client::FoundOffset;
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::failure::Failure;
use crate::model::{LeaderEpoch, Offset, Timestamp};
use crate::protocol::ApiKey;
use crate::protocol::write::describe_log_dirs::DescribableLogDirTopic;
use crate::protocol::write::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::write::{DescribeLogDirsRequest, ListOffsetsRequest};
use std::collections::BTreeMap;

/// A partition by its topic's name and its number.
pub type Place = (String, i32);

/// What was found of partitions.
pub type Offsets = BTreeMap<Place, FoundOffset>;

/// A replica's files.
#[derive(Clone, Debug)]
pub struct ReplicaFiles {
    pub broker: i32,
    pub log_dir: String,
    pub topic: String,
    pub partition: i32,
    pub size_bytes: u64,
    /// Being copied to another folder, and not served from there yet.
    pub is_future: bool,
}

/// Leaders of the partitions that have one.
pub fn leaders(topics: &[TopicState]) -> BTreeMap<i32, Vec<Place>> {
    let mut leaders: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
    for topic in topics {
        for partition in &topic.partitions {
            if let Some(leader) = partition.leader {
                leaders.entry(leader).or_default().push((topic.name.clone(), partition.index));
            }
        }
    }
    leaders
}

impl Cluster {
    /// The first offset at or after a time, or at a named place, of every partition with a leader.
    pub fn offsets(&mut self, topics: &[TopicState], at: Timestamp) -> Result<Offsets, Failure> {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let mut leaders = leaders(topics);
        let mut is_first = true;
        self.read("the offsets", |cluster| {
            if !std::mem::take(&mut is_first) {
                // A leader may have moved.
                leaders = self::leaders(&cluster.ask_states(&names)?);
            }
            let mut found = BTreeMap::new();
            for (leader, places) in &leaders {
                found.extend(cluster.offsets_of(*leader, places, at)?);
            }
            Ok(found)
        })
    }

    /// Those of partitions of one leader.
    pub fn offsets_of(
        &mut self,
        leader: i32,
        places: &[Place],
        at: Timestamp,
    ) -> Result<Offsets, ClientError> {
        let mut topics: Vec<ListOffsetsTopic<'_>> = Vec::new();
        for (topic, partition) in places {
            let partition = ListOffsetsPartition {
                partition_index: *partition,
                timestamp: at.0,
                ..ListOffsetsPartition::default()
            };
            match topics.last_mut() {
                Some(last) if last.name == topic.as_str() => last.partitions.push(partition),
                _ => topics.push(ListOffsetsTopic {
                    name: topic.as_str().into(),
                    partitions: vec![partition],
                }),
            }
        }
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: 0,
            topics,
            timeout_ms: self.timeout_ms(),
        };
        let answer = self.node(leader)?.call(&request, &[])?;
        let mut found = BTreeMap::new();
        for topic in answer.view().topics {
            for one in topic.partitions {
                let about = format!("{}-{}", topic.name, one.partition_index);
                accepted(ApiKey::ListOffsets, &about, one.error_code, None)?;
                let offset = FoundOffset {
                    offset: Offset(one.offset),
                    timestamp: Timestamp(one.timestamp),
                    leader_epoch: LeaderEpoch(one.leader_epoch),
                };
                found.insert((topic.name.to_owned(), one.partition_index), offset);
            }
        }
        Ok(found)
    }

    /// The replicas of these topics on every broker, with the size of their files.
    pub fn replica_files(&mut self, topics: &[TopicState]) -> Result<Vec<ReplicaFiles>, Failure> {
        let mut nodes: Vec<i32> = topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .flat_map(|partition| &partition.replicas)
            .copied()
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        let down: Vec<i32> = topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .flat_map(|partition| &partition.offline)
            .copied()
            .collect();
        let mut files = Vec::new();
        for node in nodes.into_iter().filter(|node| !down.contains(node)) {
            let found = self.read("the sizes", |cluster| cluster.files_of(node, topics))?;
            files.extend(found);
        }
        Ok(files)
    }

    fn files_of(
        &mut self,
        node: i32,
        topics: &[TopicState],
    ) -> Result<Vec<ReplicaFiles>, ClientError> {
        let wanted = |topic: &TopicState| DescribableLogDirTopic {
            topic: topic.name.clone().into(),
            partitions: topic.partitions.iter().map(|partition| partition.index).collect(),
        };
        let request = DescribeLogDirsRequest { topics: Some(topics.iter().map(wanted).collect()) };
        let answer = self.node(node)?.call(&request, &[])?;
        let view = answer.view();
        accepted(ApiKey::DescribeLogDirs, "the broker", view.error_code, None)?;
        let mut files = Vec::new();
        for dir in view.results {
            // A folder that failed has no sizes; the partitions in it have none either.
            if dir.error_code != 0 {
                continue;
            }
            for topic in dir.topics {
                files.extend(topic.partitions.iter().map(|partition| ReplicaFiles {
                    broker: node,
                    log_dir: dir.log_dir.to_owned(),
                    topic: topic.name.to_owned(),
                    partition: partition.partition_index,
                    size_bytes: u64::try_from(partition.partition_size).unwrap_or(0),
                    is_future: partition.is_future_key,
                }));
            }
        }
        Ok(files)
    }
}
