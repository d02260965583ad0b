//! OffsetForLeaderEpoch (key 23): where an epoch ends, so that a reader finds out whether its log
//! has been cut (KIP-320).

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::call::{Call, Reply};
use crate::model::{ErrorCode, LeaderEpoch, TopicId};
use crate::protocol::message::write::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::protocol::read::offset_for_leader_epoch::OffsetForLeaderPartition;
use crate::protocol::{Parse as _, read, write};

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let topics = asked.read(|body| {
        let request = read::OffsetForLeaderEpochRequest::parse(body, asked.version)?;
        let topics = request
            .topics
            .iter()
            .map(|topic| (topic.topic.to_string(), topic.partitions.iter().collect::<Vec<_>>()));
        Ok(topics.collect::<Vec<_>>())
    });
    let mut answer = write::OffsetForLeaderEpochResponse::default();
    for (name, queries) in topics {
        let id = context.shard.image().topic(&name).map(|topic| topic.id);
        let mut partitions = Vec::with_capacity(queries.len());
        for query in &queries {
            partitions.push(find(context, id, query).await);
        }
        answer.topics.push(OffsetForLeaderTopicResult { topic: name.into(), partitions });
    }
    asked.answer(&answer)
}

async fn find(
    context: &Context,
    topic: Option<TopicId>,
    query: &OffsetForLeaderPartition,
) -> EpochEndOffset {
    let partition = query.partition;
    let mut part =
        EpochEndOffset { partition, leader_epoch: -1, end_offset: -1, ..EpochEndOffset::default() };
    let Some(topic) = topic else {
        part.error_code = ErrorCode::UnknownTopicOrPartition.code();
        return part;
    };
    let call = Call::EpochEnd {
        topic,
        partition,
        current: LeaderEpoch(query.current_leader_epoch),
        epoch: LeaderEpoch(query.leader_epoch),
    };
    match context.shard.call(context.shard.owner(topic, partition), call).await {
        Reply::EpochEnd(Ok((epoch, end))) => {
            (part.leader_epoch, part.end_offset) = (epoch.0, end.0);
        }
        Reply::EpochEnd(Err(error)) => part.error_code = error.code().code(),
        _ => unreachable!("an epoch call has an epoch reply"),
    }
    part
}
