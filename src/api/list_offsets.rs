//! ListOffsets (key 2): offsets by position and by time. All partitions are asked in one round.

use super::context::Context;
use super::dispatch::Asked as AskedRequest;
use super::error::ToCode;
use crate::broker::call::{FoundOffset, OffsetQuery};
use crate::broker::questions::{Asked, Question};
use crate::model::{ErrorCode, LeaderEpoch, Timestamp, TopicId};
use crate::protocol::message::write::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::protocol::read::list_offsets::ListOffsetsPartition;
use crate::protocol::{Parse as _, read, write};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

/// What a partition may cost: its question, its answer, and their places.
const PARTITION_BYTES: usize = 256;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::ListOffsetsRequest<'_>) -> usize {
    request.topics.iter().map(|topic| (topic.partitions.len() + 1) * PARTITION_BYTES).sum()
}

/// One partition of a request: what is known without asking, or a question.
enum Entry {
    Known(Result<FoundOffset, ErrorCode>),
    Open(Question),
}

/// The topics of an answer, with the partitions of each.
type Plan = Vec<(String, Vec<(i32, Entry)>)>;

pub async fn answer(context: &Context, asked: &AskedRequest) -> Vec<u8> {
    let topics = asked.read(|body| {
        let request = read::ListOffsetsRequest::parse(body, asked.version)?;
        Ok(plan(context, &request, asked.version))
    });
    let entries = topics.iter().flat_map(|(_, entries)| entries);
    let questions: Vec<Question> = entries
        .filter_map(|(_, entry)| match entry {
            Entry::Open(question) => Some(*question),
            Entry::Known(_) => None,
        })
        .collect();
    let mut said = context.shard.ask(&questions).await.into_iter();
    let mut answer = write::ListOffsetsResponse::default();
    for (name, entries) in topics {
        let mut partitions = Vec::with_capacity(entries.len());
        for (index, entry) in entries {
            let result = match entry {
                Entry::Known(result) => result,
                Entry::Open(_) => {
                    let said = said.next().expect("each question has its answer");
                    said.map_err(|error| error.code())
                }
            };
            partitions.push(describe(index, result));
        }
        answer.topics.push(ListOffsetsTopicResponse { name: name.into(), partitions });
    }
    asked.answer(&answer)
}

/// As in Kafka the answer names each topic and partition once, and a partition that was named more
/// than once is refused.
fn plan(context: &Context, request: &read::ListOffsetsRequest<'_>, version: i16) -> Plan {
    let image = context.shard.image();
    let mut plan = Plan::new();
    let (mut topic_places, mut partition_places) = (BTreeMap::new(), BTreeMap::new());
    for topic in request.topics {
        let id = image.topic(topic.name).map(|topic| topic.id);
        for partition in topic.partitions {
            let topic_place = *topic_places.entry(topic.name).or_insert_with(|| {
                plan.push((topic.name.to_owned(), Vec::new()));
                plan.len() - 1
            });
            let partitions = &mut plan[topic_place].1;
            let index = partition.partition_index;
            match partition_places.entry((topic_place, index)) {
                Place::Vacant(entry) => {
                    entry.insert(partitions.len());
                    partitions.push((index, question(id, &partition, version)));
                }
                Place::Occupied(entry) => {
                    partitions[*entry.get()].1 = Entry::Known(Err(ErrorCode::InvalidRequest));
                }
            }
        }
    }
    plan
}

fn question(topic: Option<TopicId>, partition: &ListOffsetsPartition, version: i16) -> Entry {
    let query = match partition.timestamp {
        -1 => OffsetQuery::Latest,
        -2 => OffsetQuery::Earliest,
        -3 if version >= 7 => OffsetQuery::MaxTimestamp,
        // Without tiers all that is in the log is local, and nothing is tiered or on its way.
        -4 if version >= 8 => OffsetQuery::Earliest,
        -5 if version >= 9 => OffsetQuery::Tiered,
        -6 if version >= 11 => OffsetQuery::Tiered,
        time @ 0.. => OffsetQuery::ByTime(Timestamp(time)),
        _ => return Entry::Known(Err(ErrorCode::UnsupportedVersion)),
    };
    let Some(topic) = topic else {
        return Entry::Known(Err(ErrorCode::UnknownTopicOrPartition));
    };
    Entry::Open(Question {
        topic,
        partition: partition.partition_index,
        current: LeaderEpoch(partition.current_leader_epoch),
        what: Asked::Offset(query),
    })
}

fn describe(
    partition_index: i32,
    result: Result<FoundOffset, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let mut part = ListOffsetsPartitionResponse {
        partition_index,
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..ListOffsetsPartitionResponse::default()
    };
    match result {
        Ok(found) => {
            part.offset = found.offset.0;
            part.timestamp = found.timestamp.0;
            part.leader_epoch = found.leader_epoch.0;
        }
        Err(code) => part.error_code = code.code(),
    }
    part
}
