//! ListOffsets (key 2): offsets by position and by time.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::call::{Call, FoundOffset, OffsetQuery, Reply};
use crate::model::{ErrorCode, LeaderEpoch, Offset, Timestamp, TopicId};
use crate::protocol::message::write::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::protocol::{Parse as _, read, write};

/// One partition of a request, owned.
struct Query {
    partition: i32,
    epoch: LeaderEpoch,
    timestamp: i64,
    is_twice: bool,
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let version = asked.version;
    let topics = asked.read(|body| {
        let request = read::ListOffsetsRequest::parse(body, version)?;
        Ok(request.topics.iter().map(|topic| own(&topic)).collect::<Vec<_>>())
    });
    let mut answer = write::ListOffsetsResponse::default();
    for (name, queries) in topics {
        let id = context.shard.image().topic(&name).map(|topic| topic.id);
        let mut partitions = Vec::with_capacity(queries.len());
        for query in &queries {
            partitions.push(find(context, id, query, version).await);
        }
        answer.topics.push(ListOffsetsTopicResponse { name: name.into(), partitions });
    }
    asked.answer(&answer)
}

fn own(topic: &read::list_offsets::ListOffsetsTopic<'_>) -> (String, Vec<Query>) {
    let mut seen = std::collections::BTreeSet::new();
    let queries = topic.partitions.iter().map(|partition| Query {
        partition: partition.partition_index,
        epoch: LeaderEpoch(partition.current_leader_epoch),
        timestamp: partition.timestamp,
        is_twice: !seen.insert(partition.partition_index),
    });
    (topic.name.to_string(), queries.collect())
}

async fn find(
    context: &Context,
    topic: Option<TopicId>,
    query: &Query,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let mut part = ListOffsetsPartitionResponse {
        partition_index: query.partition,
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..ListOffsetsPartitionResponse::default()
    };
    match ask(context, topic, query, version).await {
        Ok(found) => {
            part.offset = found.offset.0;
            part.timestamp = found.timestamp.0;
            part.leader_epoch = found.leader_epoch.0;
        }
        Err(code) => part.error_code = code.code(),
    }
    part
}

async fn ask(
    context: &Context,
    topic: Option<TopicId>,
    query: &Query,
    version: i16,
) -> Result<FoundOffset, ErrorCode> {
    if query.is_twice {
        return Err(ErrorCode::InvalidRequest);
    }
    let none = FoundOffset {
        offset: Offset(-1),
        timestamp: Timestamp::NONE,
        leader_epoch: LeaderEpoch::NONE,
    };
    let wanted = match query.timestamp {
        -1 => OffsetQuery::Latest,
        -2 => OffsetQuery::Earliest,
        -3 if version >= 7 => OffsetQuery::MaxTimestamp,
        // Without tiers all that is in the log is local, and nothing is tiered or on its way.
        -4 if version >= 8 => OffsetQuery::Earliest,
        -5 if version >= 9 => return Ok(none),
        -6 if version >= 11 => return Ok(none),
        time @ 0.. => OffsetQuery::ByTime(Timestamp(time)),
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let owner = context.shard.owner(topic, query.partition);
    let (partition, epoch) = (query.partition, query.epoch);
    let call = Call::Offset { topic, partition, epoch, query: wanted };
    match context.shard.call(owner, call).await {
        Reply::Offset(result) => result.map_err(|error| error.code()),
        _ => unreachable!("an offset call has an offset reply"),
    }
}
