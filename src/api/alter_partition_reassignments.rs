//! AlterPartitionReassignments (key 45): on one node, replicas can only stay where they are.

use super::context::Context;
use super::error::ToCode as _;
use crate::controller::{Image, ReassignError};
use crate::protocol::message::write::alter_partition_reassignments::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

type Asked<'a> = read::alter_partition_reassignments::ReassignablePartition<'a>;

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::AlterPartitionReassignmentsResponse<'static>, ProtocolError> {
    let request = read::AlterPartitionReassignmentsRequest::parse(body, version)?;
    let image = context.shard.image();
    let responses = request.topics.iter().map(|topic| ReassignableTopicResponse {
        name: topic.name.to_string().into(),
        partitions: topic.partitions.iter().map(|p| describe(&image, topic.name, &p)).collect(),
    });
    Ok(write::AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..write::AlterPartitionReassignmentsResponse::default()
    })
}

fn describe(
    image: &Image,
    topic: &str,
    asked: &Asked<'_>,
) -> ReassignablePartitionResponse<'static> {
    let partition_index = asked.partition_index;
    let replicas: Option<Vec<i32>> = asked.replicas.map(|replicas| replicas.iter().collect());
    let result = image.check_reassignment(topic, partition_index, replicas.as_deref());
    let error_message = match &result {
        // Kafka has no words of its own for it.
        Ok(()) | Err(ReassignError::NothingInProgress) => None,
        Err(error) => Some(error.to_string().into()),
    };
    let error_code = result.err().map_or(0, |error| error.code().code());
    ReassignablePartitionResponse { partition_index, error_code, error_message }
}
