//! DeleteRecords (key 21): partitions begin at a later offset, all of them in one round. Whole files go
//! later; the answer leaves when the checkpoint says where the logs begin, so that a crash brings no
//! records back.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode as _;
use crate::broker::CONTROLLER_SHARD;
use crate::broker::call::{Call, DeleteRecordsError, Reply};
use crate::broker::round::{Deleted, Deletion};
use crate::model::{ErrorCode, TopicName};
use crate::protocol::message::write::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::protocol::{Parse as _, read, write};
use std::collections::BTreeMap;

/// What a partition may cost: its place among those that are asked for, its answer.
const PARTITION_BYTES: usize = 128;

/// What is answered where nothing was deleted.
const NO_LOW_WATERMARK: i64 = -1;

/// Offsets by partition; the last that is named for a partition counts, as in Kafka.
type Wanted = BTreeMap<String, BTreeMap<i32, i64>>;

/// The topics of an answer, with the partitions of each.
type Plan = Vec<(String, Vec<(i32, Entry)>)>;

/// One partition of a request: what is known without asking, or the owner is to be asked.
enum Entry {
    Known(DeleteRecordsError),
    Open,
}

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
    let (plan, deletions) = plan(context, wanted);
    let mut said = context.shard.delete_records(&deletions).await;
    // A start after a crash would read the records again.
    if said.iter().any(Result::is_ok) && !save_log_starts(context).await {
        for deleted in said.iter_mut().filter(|deleted| deleted.is_ok()) {
            *deleted = Err(DeleteRecordsError::NotDurable);
        }
    }
    let mut said = said.into_iter();
    let mut answer = write::DeleteRecordsResponse::default();
    for (name, entries) in plan {
        let partitions = entries.into_iter().map(|(partition_index, entry)| {
            let deleted = match entry {
                Entry::Open => said.next().expect("each deletion has its answer"),
                Entry::Known(error) => Err(error),
            };
            describe(partition_index, deleted)
        });
        let partitions = partitions.collect();
        answer.topics.push(DeleteRecordsTopicResult { name: name.into(), partitions });
    }
    asked.answer(&answer)
}

/// What is known of each partition without asking, and what its owner is asked, in the same order.
fn plan(context: &Context, wanted: Wanted) -> (Plan, Vec<Deletion>) {
    let (image, mut deletions) = (context.shard.image(), Vec::new());
    let topics = wanted.into_iter().map(|(name, offsets)| {
        let id = image.topic(&name).map(|topic| topic.id);
        let is_internal = TopicName::parse(&name).is_ok_and(|name| name.is_internal());
        let entries = offsets.into_iter().map(|(partition, offset)| {
            let entry = match id {
                None => Entry::Known(DeleteRecordsError::UnknownPartition),
                Some(_) if is_internal => Entry::Known(DeleteRecordsError::InternalTopic),
                Some(topic) => {
                    deletions.push(Deletion { topic, partition, offset });
                    Entry::Open
                }
            };
            (partition, entry)
        });
        let entries = entries.collect();
        (name, entries)
    });
    let plan = topics.collect();
    (plan, deletions)
}

fn describe(partition_index: i32, deleted: Deleted) -> DeleteRecordsPartitionResult {
    let (low_watermark, error_code) = match deleted {
        Ok(start) => (start.0, ErrorCode::None.code()),
        Err(error) => (NO_LOW_WATERMARK, error.code().code()),
    };
    DeleteRecordsPartitionResult { partition_index, low_watermark, error_code }
}

/// Writes down where the logs begin; whether that succeeded.
async fn save_log_starts(context: &Context) -> bool {
    match context.shard.call(CONTROLLER_SHARD, Call::SaveLogStarts).await {
        Reply::Saved(is_saved) => is_saved,
        _ => unreachable!("a checkpoint that is asked for is saved or not"),
    }
}
