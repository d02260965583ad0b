//! DescribeProducers (key 61): the producers that partitions remember.

use super::context::Context;
use super::dispatch::Asked;
use super::error::too_many_rows;
use crate::broker::call::{Call, Reply};
use crate::limits::DESCRIBED_ROWS_MAX;
use crate::log::ProducerEntry;
use crate::model::{ErrorCode, TopicId, TopicName};
use crate::protocol::message::write::describe_producers::{
    ProducerState, ProducersPartition, ProducersTopicResult,
};
use crate::protocol::{Parse as _, read, write};

/// What a partition may cost without its producers: its answer, with the reason of a refusal.
const PARTITION_BYTES: usize = 512;
/// What a producer may: as its core says it, as it is told, and on the wire.
const PRODUCER_BYTES: usize = 384;

/// What stands for none.
const NONE: i64 = -1;
const NO_SEQUENCE: i32 = -1;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::DescribeProducersRequest<'_>) -> usize {
    let partitions: usize = request.topics.iter().map(|t| t.partition_indexes.len() + 1).sum();
    // How many producers there are is known to the partitions' cores alone: the most that may be
    // told is charged.
    partitions * PARTITION_BYTES + DESCRIBED_ROWS_MAX * PRODUCER_BYTES
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let wanted: Vec<(String, Vec<i32>)> = asked.read(|body| {
        let request = read::DescribeProducersRequest::parse(body, asked.version)?;
        let topics = request.topics.iter();
        Ok(topics.map(|t| (t.name.to_string(), t.partition_indexes.iter().collect())).collect())
    });
    let mut topics = Vec::with_capacity(wanted.len());
    let mut rows_left = DESCRIBED_ROWS_MAX;
    for (name, indexes) in wanted {
        let found = find(context, &name);
        let mut partitions = Vec::with_capacity(indexes.len());
        for index in indexes {
            let described = match &found {
                Ok(_) if rows_left == 0 => refuse(index, &too_many_rows()),
                Ok(topic) => describe(context, *topic, index).await,
                Err(refusal) => refuse(index, refusal),
            };
            rows_left = rows_left.saturating_sub(described.active_producers.len());
            partitions.push(described);
        }
        topics.push(ProducersTopicResult { name: name.into(), partitions });
    }
    asked.answer(&write::DescribeProducersResponse {
        topics,
        ..write::DescribeProducersResponse::default()
    })
}

fn find(context: &Context, name: &str) -> Result<TopicId, (ErrorCode, String)> {
    TopicName::parse(name)
        .map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
    let found = context.shard.image().topic(name).map(|topic| topic.id);
    found.ok_or_else(|| {
        let code = ErrorCode::UnknownTopicOrPartition;
        (code, "This server does not host this topic-partition.".to_owned())
    })
}

fn refuse(index: i32, (code, message): &(ErrorCode, String)) -> ProducersPartition<'static> {
    ProducersPartition {
        partition_index: index,
        error_code: code.code(),
        error_message: Some(message.clone().into()),
        ..ProducersPartition::default()
    }
}

async fn describe(context: &Context, topic: TopicId, index: i32) -> ProducersPartition<'static> {
    let mut answer = ProducersPartition { partition_index: index, ..ProducersPartition::default() };
    let owner = context.shard.owner(topic, index);
    match context.shard.call(owner, Call::Producers { topic, partition: index }).await {
        Reply::Producers(Some(producers)) => {
            answer.active_producers = producers.iter().map(state).collect();
        }
        Reply::Producers(None) => {
            answer.error_code = ErrorCode::UnknownTopicOrPartition.code();
        }
        _ => unreachable!("a question for producers has their reply"),
    }
    answer
}

fn state(producer: &ProducerEntry) -> ProducerState {
    ProducerState {
        producer_id: producer.id.0,
        producer_epoch: i32::from(producer.epoch.0),
        last_sequence: producer.batches().last().map_or(NO_SEQUENCE, |last| last.last_sequence),
        last_timestamp: producer.timestamp.0,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.txn_first_offset.map_or(NONE, |offset| offset.0),
    }
}
