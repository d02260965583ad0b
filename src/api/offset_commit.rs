//! OffsetCommit (key 8): how far a group has come.

use super::error::{ToCode, commit_code};
use super::group_road::Asking;
use crate::broker::groups::Ask;
use crate::group::{Answer, Commit, CommitPartition, CommitResult, CommitTopic};
use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use crate::protocol::message::write::offset_commit::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::read::OffsetCommitRequest;
use crate::protocol::read::offset_commit::OffsetCommitRequestTopic;
use crate::protocol::{Parse as _, ProtocolError, Reader, write};
use std::collections::BTreeMap;

/// First version that names topics by id.
const IDS_FROM: i16 = 10;

type Topics = Vec<OffsetCommitResponseTopic<'static>>;

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = OffsetCommitRequest::parse(body, asking.version)?;
    let (commit, refused) = split(&asking, &request);
    Ok(async move {
        let version = asking.version;
        if commit.topics.is_empty() {
            return asking.answer(&response(refused));
        }
        let (group, topics) = (commit.group.clone(), names(&commit));
        let topics = match asking.ask(group.as_str(), Ask::Commit(commit)).await {
            Ok(Answer::Commit(Ok(results))) => {
                results.iter().map(|r| describe(r, version)).collect()
            }
            Ok(Answer::Commit(Err(error))) => fail(topics, commit_code(&error, version)),
            Ok(_) => unreachable!("a commit has a commit's answer"),
            Err(error) => fail(topics, error.code()),
        };
        asking.answer(&response(merge(refused, topics)))
    })
}

fn response(topics: Topics) -> write::OffsetCommitResponse<'static> {
    write::OffsetCommitResponse { topics, ..write::OffsetCommitResponse::default() }
}

/// What the coordinator is asked, and what is refused here: topics and partitions that do not
/// exist.
fn split(asking: &Asking, request: &OffsetCommitRequest<'_>) -> (Commit, Topics) {
    let (mut topics, mut refused) = (Vec::new(), Topics::new());
    for topic in request.topics {
        let (name, unknown) = find(asking, &topic);
        let (mut taken, mut partitions) = (Vec::new(), Vec::new());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            match &name {
                Some(name) if asking.has_partition(name.as_str(), partition_index) => {
                    taken.push(CommitPartition {
                        partition: PartitionIndex(partition_index),
                        offset: Offset(partition.committed_offset),
                        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                        metadata: partition.committed_metadata.unwrap_or_default().into(),
                    });
                }
                _ => partitions.push(OffsetCommitResponsePartition {
                    partition_index,
                    error_code: unknown.code(),
                }),
            }
        }
        if !partitions.is_empty() {
            let name = topic.name.to_string().into();
            refused.push(OffsetCommitResponseTopic { name, topic_id: topic.topic_id, partitions });
        }
        if let (Some(name), false) = (name, taken.is_empty()) {
            let id = asking.topic_id(name.as_str());
            topics.push(CommitTopic { name, id, partitions: taken });
        }
    }
    let retention_ms = Some(request.retention_time_ms).filter(|&ms| ms != -1);
    let commit = Commit {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: request.group_instance_id.map(Into::into),
        generation: request.generation_id_or_member_epoch,
        retention_ms,
        topics,
    };
    (commit, refused)
}

/// The topic that is meant, if it exists, and what partitions are told that do not.
fn find(asking: &Asking, topic: &OffsetCommitRequestTopic<'_>) -> (Option<TopicName>, ErrorCode) {
    let image = asking.shard().image();
    if asking.version >= IDS_FROM {
        match image.topic_by_id(topic.topic_id) {
            Some(found) => (Some(found.name.clone()), ErrorCode::UnknownTopicOrPartition),
            None => (None, ErrorCode::UnknownTopicId),
        }
    } else {
        let found = image.topic(topic.name).map(|topic| topic.name.clone());
        (found, ErrorCode::UnknownTopicOrPartition)
    }
}

/// The topics of a commit, for an answer that says the same of all partitions.
fn names(commit: &Commit) -> Vec<(TopicName, TopicId, Vec<i32>)> {
    let topics = commit.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| partition.partition.0);
        (topic.name.clone(), topic.id, partitions.collect())
    });
    topics.collect()
}

fn fail(topics: Vec<(TopicName, TopicId, Vec<i32>)>, code: ErrorCode) -> Topics {
    let error_code = code.code();
    let topics = topics.into_iter().map(|(name, topic_id, partitions)| {
        let partitions = partitions
            .into_iter()
            .map(|partition_index| OffsetCommitResponsePartition { partition_index, error_code });
        OffsetCommitResponseTopic {
            name: name.to_string().into(),
            topic_id,
            partitions: partitions.collect(),
        }
    });
    topics.collect()
}

fn describe(result: &CommitResult, version: i16) -> OffsetCommitResponseTopic<'static> {
    let partitions = result.partitions.iter().map(|(partition, result)| {
        let code = result.as_ref().err().map_or(ErrorCode::None, |e| commit_code(e, version));
        OffsetCommitResponsePartition { partition_index: partition.0, error_code: code.code() }
    });
    OffsetCommitResponseTopic {
        name: result.name.to_string().into(),
        topic_id: result.id,
        partitions: partitions.collect(),
    }
}

/// What was refused here comes first, as in Kafka; each topic once.
fn merge(mut all: Topics, topics: Topics) -> Topics {
    let key = |topic: &OffsetCommitResponseTopic<'_>| (topic.name.to_string(), topic.topic_id);
    let places: BTreeMap<_, _> = (0..).zip(&all).map(|(at, topic)| (key(topic), at)).collect();
    for topic in topics {
        // A request by id has no name of the topic, one by name no id.
        let by_id = (String::new(), topic.topic_id);
        let by_name = (topic.name.to_string(), TopicId::ZERO);
        let place: Option<usize> = places.get(&by_id).or(places.get(&by_name)).copied();
        match place {
            Some(at) => all[at].partitions.extend(topic.partitions),
            None => all.push(topic),
        }
    }
    all
}
