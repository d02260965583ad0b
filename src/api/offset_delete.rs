//! OffsetDelete (key 47): a group's commits of single partitions go.

use super::error::ToCode;
use super::group_road::{Asking, code};
use crate::broker::groups::Ask;
use crate::group::{Answer, DeleteOffsets, DeleteResult};
use crate::model::{ErrorCode, PartitionIndex, TopicName};
use crate::protocol::message::write::offset_delete::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

type Topics = Vec<OffsetDeleteResponseTopic<'static>>;

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::OffsetDeleteRequest::parse(body, asking.version)?;
    let (delete, refused) = split(&asking, &request);
    Ok(async move {
        let group = delete.group.clone();
        // Asked even where nothing is left to delete: the group may not be there.
        let answer = match asking.ask(group.as_str(), Ask::DeleteOffsets(delete)).await {
            Ok(Answer::DeleteOffsets(Ok(results))) => write::OffsetDeleteResponse {
                topics: merge(refused, &results),
                ..write::OffsetDeleteResponse::default()
            },
            Ok(Answer::DeleteOffsets(Err(error))) => refusal(&error),
            Ok(_) => unreachable!("a deletion has a deletion's answer"),
            Err(error) => refusal(&error),
        };
        asking.answer(&answer)
    })
}

/// What the coordinator is asked, and what is refused here: partitions that do not exist.
fn split(asking: &Asking, request: &read::OffsetDeleteRequest<'_>) -> (DeleteOffsets, Topics) {
    let (mut topics, mut refused) = (Vec::new(), Topics::new());
    for topic in request.topics {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            if asking.has_partition(topic.name, partition_index) {
                known.push(PartitionIndex(partition_index));
            } else {
                let error_code = ErrorCode::UnknownTopicOrPartition.code();
                unknown.push(OffsetDeleteResponsePartition { partition_index, error_code });
            }
        }
        if let (false, Ok(name)) = (known.is_empty(), TopicName::parse(topic.name)) {
            topics.push((name, known));
        }
        if !unknown.is_empty() {
            let name = topic.name.to_string().into();
            refused.push(OffsetDeleteResponseTopic { name, partitions: unknown });
        }
    }
    (DeleteOffsets { group: request.group_id.into(), topics }, refused)
}

/// Each topic once, however many there are: what was refused first.
fn merge(mut topics: Topics, results: &[DeleteResult]) -> Topics {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (place, topic) in topics.iter().enumerate() {
        // Of a topic that was named more than once the first place counts.
        places.entry(topic.name.to_string()).or_insert(place);
    }
    for result in results {
        let partitions = result.partitions.iter().map(|(partition, result)| {
            let error_code = code(result);
            OffsetDeleteResponsePartition { partition_index: partition.0, error_code }
        });
        match places.entry(result.name.to_string()) {
            Entry::Occupied(place) => topics[*place.get()].partitions.extend(partitions),
            Entry::Vacant(place) => {
                place.insert(topics.len());
                topics.push(OffsetDeleteResponseTopic {
                    name: result.name.to_string().into(),
                    partitions: partitions.collect(),
                });
            }
        }
    }
    topics
}

fn refusal(error: &impl ToCode) -> write::OffsetDeleteResponse<'static> {
    write::OffsetDeleteResponse {
        error_code: error.code().code(),
        ..write::OffsetDeleteResponse::default()
    }
}
