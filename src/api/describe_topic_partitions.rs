//! DescribeTopicPartitions (key 75): topics page by page.

use super::context::Context;
use super::metadata::topic_operations;
use crate::controller::{PartitionInfo, Topic};
use crate::model::{ErrorCode, TopicName};
use crate::protocol::message::write::describe_topic_partitions::{
    DescribeTopicPartitionsResponsePartition as Partition,
    DescribeTopicPartitionsResponseTopic as TopicAnswer, ResponseCursor,
};
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};
use std::collections::BTreeSet;

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeTopicPartitionsResponse<'static>, ProtocolError> {
    let request = read::DescribeTopicPartitionsRequest::parse(body, version)?;
    let image = context.shard.image();
    let asked: BTreeSet<String> = if request.topics.is_empty() {
        image.topics().map(|topic| topic.name.to_string()).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    let (first, mut start) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index.max(0)),
        None => (String::new(), 0),
    };
    let max = context.shard.facts.config.describe_partitions_max as usize;
    let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, max);
    let mut answer = write::DescribeTopicPartitionsResponse::default();
    for name in asked.range(first.clone()..) {
        if left == 0 {
            answer.next_cursor =
                Some(ResponseCursor { topic_name: name.clone().into(), partition_index: 0 });
            break;
        }
        let from = if *name == first { std::mem::take(&mut start) } else { 0 };
        let Some(topic) = image.topic(name) else {
            // A topic that the cursor names may have been deleted between two pages.
            answer.topics.push(unknown(name));
            continue;
        };
        let end = topic.partitions.len().min(from as usize + left);
        left -= end.saturating_sub(from as usize);
        answer.topics.push(describe(topic, from, end as i32));
        if end < topic.partitions.len() {
            answer.next_cursor = Some(ResponseCursor {
                topic_name: name.clone().into(),
                partition_index: end as i32,
            });
            break;
        }
    }
    Ok(answer)
}

fn unknown(name: &str) -> TopicAnswer<'static> {
    let code = match TopicName::parse(name) {
        Ok(_) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    TopicAnswer {
        error_code: code.code(),
        name: Some(name.to_string().into()),
        topic_authorized_operations: topic_operations(true),
        ..TopicAnswer::default()
    }
}

fn describe(topic: &Topic, from: i32, to: i32) -> TopicAnswer<'static> {
    let partition = |index: i32| {
        let info: &PartitionInfo = &topic.partitions[index as usize];
        Partition {
            partition_index: index,
            leader_id: info.leader.map_or(-1, |leader| leader.0),
            leader_epoch: info.leader_epoch.0,
            replica_nodes: info.replicas.iter().map(|node| node.0).collect(),
            isr_nodes: info.isr.iter().map(|node| node.0).collect(),
            // Empty, not null: Java's admin client streams over both.
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..Partition::default()
        }
    };
    TopicAnswer {
        name: Some(topic.name.to_string().into()),
        topic_id: topic.id,
        is_internal: topic.name.is_internal(),
        partitions: (from..to).map(partition).collect(),
        topic_authorized_operations: topic_operations(true),
        ..TopicAnswer::default()
    }
}
