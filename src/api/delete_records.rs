//! DeleteRecords (key 21): partitions begin at a later offset. Whole files go later; the answer leaves
//! when the checkpoint says where the logs begin, so that a crash brings no records back.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode as _;
use crate::broker::CONTROLLER_SHARD;
use crate::broker::call::{Call, DeleteRecordsError, Reply};
use crate::model::{Offset, TopicId, TopicName};
use crate::protocol::message::write::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::protocol::{Parse as _, read, write};
use std::collections::BTreeMap;

/// What a partition may cost: its place among those that are asked for, its answer.
const PARTITION_BYTES: usize = 128;

/// What is answered where nothing was deleted.
const NO_LOW_WATERMARK: i64 = -1;

/// Partitions that are begun anew before others have their turn.
const PARTITIONS_PER_TURN_MAX: usize = 256;

/// Offsets by partition; the last that is named for a partition counts, as in Kafka.
type Wanted = BTreeMap<String, BTreeMap<i32, i64>>;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::DeleteRecordsRequest<'_>) -> usize {
    request.topics.iter().map(|topic| (topic.partitions.len() + 1) * PARTITION_BYTES).sum()
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let wanted = asked.read(|body| {
        let request = read::DeleteRecordsRequest::parse(body, asked.version)?;
        let mut wanted = Wanted::new();
        for topic in request.topics {
            let partitions = topic.partitions.iter().map(|p| (p.partition_index, p.offset));
            wanted.entry(topic.name.to_string()).or_default().extend(partitions);
        }
        Ok(wanted)
    });
    let (mut topics, mut deleted_count) = (Vec::with_capacity(wanted.len()), 0);
    for (name, offsets) in wanted {
        let id = context.shard.image().topic(&name).map(|topic| topic.id);
        let is_internal = TopicName::parse(&name).is_ok_and(|name| name.is_internal());
        let mut partitions = Vec::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            let result = match id {
                None => Err(DeleteRecordsError::UnknownPartition),
                Some(_) if is_internal => Err(DeleteRecordsError::InternalTopic),
                Some(topic) => delete(context, topic, partition, offset).await,
            };
            if result.is_ok() {
                deleted_count += 1;
                if deleted_count % PARTITIONS_PER_TURN_MAX == 0 {
                    context.shard.core().turn_end().await;
                }
            }
            let (low_watermark, error_code) = match result {
                Ok(start) => (start.0, 0),
                Err(error) => (NO_LOW_WATERMARK, error.code().code()),
            };
            let partition_index = partition;
            partitions.push(DeleteRecordsPartitionResult {
                partition_index,
                low_watermark,
                error_code,
            });
        }
        topics.push(DeleteRecordsTopicResult { name: name.into(), partitions });
    }
    // A start after a crash would read the records again.
    if deleted_count > 0 && !save_log_starts(context).await {
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for partition in partitions.filter(|partition| partition.error_code == 0) {
            partition.low_watermark = NO_LOW_WATERMARK;
            partition.error_code = DeleteRecordsError::NotDurable.code().code();
        }
    }
    asked
        .answer(&write::DeleteRecordsResponse { topics, ..write::DeleteRecordsResponse::default() })
}

/// Writes down where the logs begin; whether that succeeded.
async fn save_log_starts(context: &Context) -> bool {
    match context.shard.call(CONTROLLER_SHARD, Call::SaveLogStarts).await {
        Reply::Saved(is_saved) => is_saved,
        _ => unreachable!("a checkpoint that is asked for is saved or not"),
    }
}

async fn delete(
    context: &Context,
    topic: TopicId,
    partition: i32,
    offset: i64,
) -> Result<Offset, DeleteRecordsError> {
    let owner = context.shard.owner(topic, partition);
    match context.shard.call(owner, Call::DeleteRecords { topic, partition, offset }).await {
        Reply::DeleteRecords(result) => result,
        _ => unreachable!("a deletion has a deletion's reply"),
    }
}
