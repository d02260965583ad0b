//! DescribeQuorum (key 55): this node leads the metadata log, and is its one voter.

use super::context::Context;
use super::dispatch::Asked;
use crate::broker::CONTROLLER_SHARD;
use crate::broker::call::{Call, QuorumState, Reply};
use crate::model::{ErrorCode, Uuid};
use crate::protocol::message::write::describe_quorum::{
    QuorumListener, QuorumNode, QuorumPartitionState, QuorumTopicState, ReplicaState,
};
use crate::protocol::{Parse as _, read, write};

/// What a partition may cost: all that there is to tell of the one log, or the reason of a refusal.
const PARTITION_BYTES: usize = 512;

const METADATA_TOPIC: &str = "__cluster_metadata";

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::DescribeQuorumRequest<'_>) -> usize {
    request.topics.iter().map(|topic| (topic.partitions.len() + 1) * PARTITION_BYTES).sum()
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let wanted: Vec<(String, Vec<i32>)> = asked.read(|body| {
        let request = read::DescribeQuorumRequest::parse(body, asked.version)?;
        let indexes = |topic: read::describe_quorum::QuorumTopic<'_>| {
            let indexes = topic.partitions.iter().map(|p| p.partition_index).collect();
            (topic.topic_name.to_string(), indexes)
        };
        Ok(request.topics.iter().map(indexes).collect())
    });
    // Like Kafka: all of the request is about the one log there is, or nothing is told.
    let is_metadata = matches!(&wanted[..], [(topic, indexes)]
        if topic == METADATA_TOPIC && indexes[..] == [0]);
    let mut answer = write::DescribeQuorumResponse {
        error_message: Some("".into()),
        ..write::DescribeQuorumResponse::default()
    };
    if is_metadata {
        let reply = context.shard.call(CONTROLLER_SHARD, Call::Quorum).await;
        let Reply::Quorum(state) = reply else {
            unreachable!("a question for the quorum has its reply")
        };
        answer.topics = vec![QuorumTopicState {
            topic_name: METADATA_TOPIC.into(),
            partitions: vec![describe(context, state)],
        }];
        answer.nodes = vec![node(context)];
    } else {
        answer.topics = wanted.into_iter().map(unknown).collect();
    }
    asked.answer(&answer)
}

fn describe(context: &Context, state: QuorumState) -> QuorumPartitionState<'static> {
    let (node, now) = (context.shard.facts.config.node_id.0, context.shard.core().wall().0);
    let end = state.log_end_offset.0;
    QuorumPartitionState {
        error_message: Some("".into()),
        leader_id: node,
        leader_epoch: state.term.0,
        // What is synced is committed.
        high_watermark: end,
        current_voters: vec![ReplicaState {
            replica_id: node,
            // A set of voters that does not change knows no directories.
            replica_directory_id: Uuid::ZERO,
            log_end_offset: end,
            last_fetch_timestamp: now,
            last_caught_up_timestamp: now,
        }],
        ..QuorumPartitionState::default()
    }
}

/// The voter is reached where the broker is: no listener is the controller's own.
fn node(context: &Context) -> QuorumNode<'static> {
    let advertised = &context.advertised;
    let image = context.shard.image();
    let node_id = context.shard.facts.config.node_id;
    let endpoints = image.brokers().get(&node_id).map(|broker| &broker.registration.endpoints);
    let name = endpoints.and_then(|endpoints| endpoints.first()).map(|e| e.listener.clone());
    QuorumNode {
        node_id: node_id.0,
        listeners: vec![QuorumListener {
            name: name.unwrap_or_default().into(),
            host: advertised.host.clone().into(),
            port: advertised.port,
        }],
    }
}

fn unknown((topic, indexes): (String, Vec<i32>)) -> QuorumTopicState<'static> {
    let partitions = indexes.into_iter().map(|partition_index| QuorumPartitionState {
        partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some("This server does not host this topic-partition.".into()),
        ..QuorumPartitionState::default()
    });
    QuorumTopicState { topic_name: topic.into(), partitions: partitions.collect() }
}
