//! OffsetFetch (key 9): how far groups have come. A group or a partition of which nothing is known
//! has the offset -1, and that is no error.

use super::error::ToCode;
use super::group_road::Asking;
use crate::broker::groups::Ask;
use crate::group::{Answer, Fetch, FetchTopic, FetchedOffset, FetchedTopic};
use crate::model::{ErrorCode, PartitionIndex, TopicId, TopicName};
use crate::protocol::message::write::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::protocol::read::OffsetFetchRequest;
use crate::protocol::{Parse as _, ProtocolError, Reader, write};
use crate::runtime::sync;

/// First version with an error of the group as a whole.
const GROUP_ERROR_FROM: i16 = 2;
/// First version that asks for several groups.
const GROUPS_FROM: i16 = 8;
/// First version that names topics by id.
const IDS_FROM: i16 = 10;
const NO_OFFSET: i64 = -1;
const NO_EPOCH: i32 = -1;

type Topic = OffsetFetchResponseTopics<'static>;
type Partition = OffsetFetchResponsePartitions<'static>;

/// One group of a request: what its coordinator is asked, and what is answered here.
struct Plan {
    fetch: Fetch,
    /// Topics that cannot be there.
    refused: Vec<Topic>,
}

/// One topic of a request, whichever way it is named.
struct Wanted<'a> {
    name: &'a str,
    id: TopicId,
    partitions: Vec<i32>,
}

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = OffsetFetchRequest::parse(body, asking.version)?;
    let plans = plans(&asking, &request);
    Ok(async move {
        let groups = sync::all(plans.into_iter().map(|plan| fetch(&asking, plan))).await;
        asking.answer(&response(groups, asking.version))
    })
}

fn plans(asking: &Asking, request: &OffsetFetchRequest<'_>) -> Vec<Plan> {
    let require_stable = request.require_stable;
    if asking.version < GROUPS_FROM {
        let topics = request.topics.map(|topics| {
            let wanted = topics.iter().map(|topic| Wanted {
                name: topic.name,
                id: TopicId::ZERO,
                partitions: topic.partition_indexes.iter().collect(),
            });
            wanted.collect()
        });
        return vec![plan(asking, request.group_id, topics, require_stable)];
    }
    let groups = request.groups.iter().map(|group| {
        let topics = group.topics.map(|topics| {
            let wanted = topics.iter().map(|topic| Wanted {
                name: topic.name,
                id: topic.topic_id,
                partitions: topic.partition_indexes.iter().collect(),
            });
            wanted.collect()
        });
        plan(asking, group.group_id, topics, require_stable)
    });
    groups.collect()
}

fn plan(
    asking: &Asking,
    group: &str,
    topics: Option<Vec<Wanted<'_>>>,
    require_stable: bool,
) -> Plan {
    let mut refused = Vec::new();
    let topics = topics.map(|topics| {
        let known = topics.into_iter().filter_map(|wanted| match find(asking, &wanted) {
            Ok((name, id)) => {
                let partitions = wanted.partitions.into_iter().map(PartitionIndex).collect();
                Some(FetchTopic { name, id, partitions })
            }
            Err(code) => {
                let partitions =
                    wanted.partitions.iter().map(|&partition| nothing(partition, code)).collect();
                let name = wanted.name.to_string().into();
                refused.push(Topic { name, topic_id: wanted.id, partitions });
                None
            }
        });
        known.collect()
    });
    Plan { fetch: Fetch { group: group.into(), topics, require_stable }, refused }
}

/// The topic that is meant. One that does not exist may still have been committed.
fn find(asking: &Asking, wanted: &Wanted<'_>) -> Result<(TopicName, TopicId), ErrorCode> {
    if asking.version >= IDS_FROM {
        let image = asking.shard().image();
        let topic = image.topic_by_id(wanted.id).ok_or(ErrorCode::UnknownTopicId)?;
        return Ok((topic.name.clone(), topic.id));
    }
    // Under a name that no topic can have nothing was committed.
    let name = TopicName::parse(wanted.name).map_err(|_| ErrorCode::None)?;
    let id = asking.topic_id(name.as_str());
    Ok((name, id))
}

async fn fetch(asking: &Asking, plan: Plan) -> OffsetFetchResponseGroup<'static> {
    let Plan { fetch, refused } = plan;
    let (group, version) = (fetch.group.clone(), asking.version);
    let asked = (version < GROUP_ERROR_FROM).then(|| fetch.topics.clone()).flatten();
    let code = match asking.ask(group.as_str(), Ask::Fetch(fetch)).await {
        Ok(Answer::Fetch(Ok(fetched))) => {
            let found = fetched.into_iter().filter_map(|topic| describe(asking, topic));
            let mut topics: Vec<_> = found.collect();
            topics.extend(refused);
            let group_id = group.as_str().to_string().into();
            return OffsetFetchResponseGroup { group_id, topics, ..Default::default() };
        }
        Ok(Answer::Fetch(Err(error))) => error.code(),
        Ok(_) => unreachable!("a fetch of offsets has its own answer"),
        Err(error) => error.code(),
    };
    // Version 1 has room for an error only at its partitions.
    let topics = asked.into_iter().flatten().map(|topic| Topic {
        name: topic.name.to_string().into(),
        topic_id: topic.id,
        partitions: topic.partitions.iter().map(|partition| nothing(partition.0, code)).collect(),
    });
    OffsetFetchResponseGroup {
        group_id: group.as_str().to_string().into(),
        topics: topics.collect(),
        error_code: code.code(),
    }
}

/// A topic of the answer; where all were asked for by id, none for a topic that is gone.
fn describe(asking: &Asking, topic: FetchedTopic) -> Option<Topic> {
    let mut topic_id = topic.id;
    if asking.version >= IDS_FROM && topic_id.is_zero() {
        topic_id = asking.topic_id(topic.name.as_str());
        if topic_id.is_zero() {
            return None;
        }
    }
    let partitions = topic.partitions.into_iter().map(|(partition, found)| match found {
        None => nothing(partition.0, ErrorCode::None),
        Some(FetchedOffset { offset, leader_epoch, metadata }) => Partition {
            partition_index: partition.0,
            committed_offset: offset.0,
            committed_leader_epoch: leader_epoch.0,
            metadata: Some(metadata.into_string().into()),
            error_code: ErrorCode::None.code(),
        },
    });
    let partitions = partitions.collect();
    Some(Topic { name: topic.name.to_string().into(), topic_id, partitions })
}

fn nothing(partition_index: i32, code: ErrorCode) -> Partition {
    Partition {
        partition_index,
        committed_offset: NO_OFFSET,
        committed_leader_epoch: NO_EPOCH,
        metadata: Some("".into()),
        error_code: code.code(),
    }
}

fn response(
    groups: Vec<OffsetFetchResponseGroup<'static>>,
    version: i16,
) -> write::OffsetFetchResponse<'static> {
    let mut answer = write::OffsetFetchResponse::default();
    if version >= GROUPS_FROM {
        answer.groups = groups;
        return answer;
    }
    // The one group, in the shape of its time.
    for group in groups {
        answer.error_code = group.error_code;
        let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic.partitions.into_iter().map(old).collect(),
        });
        answer.topics = topics.collect();
    }
    answer
}

fn old(partition: Partition) -> OffsetFetchResponsePartition<'static> {
    OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    }
}
