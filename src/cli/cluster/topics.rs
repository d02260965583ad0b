//! Topics with their partitions, leaders and replicas, as Metadata tells of them.

use super::routing::Cluster;
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::failure::Failure;
use crate::model::{ErrorCode, TopicId};
use crate::protocol::ApiKey;
use crate::protocol::read::metadata::MetadataResponseTopic;
use crate::protocol::write::MetadataRequest;
use crate::protocol::write::metadata::MetadataRequestTopic;
use std::borrow::Cow;

/// A topic of the cluster.
#[derive(Clone, Debug)]
pub struct TopicState {
    pub name: String,
    /// None where the broker is too old to tell.
    pub id: Option<TopicId>,
    pub is_internal: bool,
    /// In the order of their numbers.
    pub partitions: Vec<PartitionState>,
}

/// What came back for a name.
type Asked = (String, Result<TopicState, ClientError>);

/// A partition of it.
#[derive(Clone, Debug)]
pub struct PartitionState {
    pub index: i32,
    /// None while it has none.
    pub leader: Option<i32>,
    pub leader_epoch: Option<i32>,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    pub offline: Vec<i32>,
}

impl TopicState {
    /// The largest number of replicas of its partitions.
    pub fn replication_factor(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
    }

    /// Partitions of which a replica lags.
    pub fn under_replicated_count(&self) -> usize {
        self.partitions.iter().filter(|p| p.in_sync.len() < p.replicas.len()).count()
    }
}

impl PartitionState {
    /// Replicas that do not follow.
    pub fn out_of_sync(&self) -> Vec<i32> {
        self.replicas.iter().filter(|id| !self.in_sync.contains(id)).copied().collect()
    }
}

impl Cluster {
    /// All topics in the order of their names.
    pub fn all_topics(&mut self) -> Result<Vec<TopicState>, Failure> {
        let found = self.read("the list of topics", |cluster| cluster.ask_topics(None))?;
        let mut topics: Vec<_> = found.into_iter().filter_map(|(_, found)| found.ok()).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// All topics, without another try.
    pub fn ask_all(&mut self) -> Result<Vec<TopicState>, ClientError> {
        let found = self.ask_topics(None)?;
        Ok(found.into_iter().filter_map(|(_, found)| found.ok()).collect())
    }

    /// These topics, in their order; one that does not exist is the failure, with what was meant.
    pub fn topics(&mut self, names: &[impl AsRef<str>]) -> Result<Vec<TopicState>, Failure> {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let found = self.read("the topics", |cluster| cluster.ask_topics(Some(&names)))?;
        let mut topics = Vec::with_capacity(names.len());
        for (name, found) in found {
            match found {
                Ok(topic) => topics.push(topic),
                Err(ClientError::Refused { code: ErrorCode::UnknownTopicOrPartition, .. }) => {
                    return Err(self.no_topic(&name));
                }
                Err(error) => return Err(error.into()),
            }
        }
        topics.sort_by_key(|topic| names.iter().position(|name| *name == topic.name));
        Ok(topics)
    }

    /// One topic.
    pub fn topic(&mut self, name: &str) -> Result<TopicState, Failure> {
        let missing = || ClientError::Missing { api: ApiKey::Metadata, about: name.to_owned() };
        Ok(self.topics(&[name])?.pop().ok_or_else(missing)?)
    }

    /// That there is no such topic, with the one that was probably meant.
    pub fn no_topic(&mut self, name: &str) -> Failure {
        let topics = self.all_topics().unwrap_or_default();
        Failure::unknown("topic", name, topics.iter().map(|topic| topic.name.as_str()))
    }

    /// These topics, without another try.
    pub(super) fn ask_states(&mut self, names: &[&str]) -> Result<Vec<TopicState>, ClientError> {
        self.ask_topics(Some(names))?.into_iter().map(|(_, found)| found).collect()
    }

    fn ask_topics(&mut self, names: Option<&[&str]>) -> Result<Vec<Asked>, ClientError> {
        let wanted = |name: &&str| MetadataRequestTopic {
            topic_id: TopicId::ZERO,
            name: Some(Cow::Owned((*name).to_owned())),
        };
        let request = MetadataRequest {
            topics: names.map(|names| names.iter().map(wanted).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let answer = self.call(&request)?;
        let view = answer.view();
        accepted(ApiKey::Metadata, "the cluster", view.error_code, None)?;
        self.learn(&view);
        let mut topics = Vec::new();
        for topic in view.topics {
            let name = topic.name.unwrap_or_default();
            let found = accepted(ApiKey::Metadata, name, topic.error_code, None);
            // A moment without a leader passes; the whole question is asked again.
            match found {
                Err(error) if error.code() == Some(ErrorCode::LeaderNotAvailable) => {
                    return Err(error);
                }
                found => topics.push((name.to_owned(), found.map(|()| state(&topic)))),
            }
        }
        Ok(topics)
    }
}

fn state(topic: &MetadataResponseTopic<'_>) -> TopicState {
    let mut partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| PartitionState {
            index: partition.partition_index,
            leader: Some(partition.leader_id).filter(|id| *id >= 0),
            leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
            replicas: partition.replica_nodes.iter().collect(),
            in_sync: partition.isr_nodes.iter().collect(),
            offline: partition.offline_replicas.iter().collect(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicState {
        name: topic.name.unwrap_or_default().to_owned(),
        id: Some(topic.topic_id).filter(|id| !id.is_zero()),
        is_internal: topic.is_internal,
        partitions,
    }
}
