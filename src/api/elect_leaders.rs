//! ElectLeaders (key 43): every partition has the one leader that it can have.

use super::context::Context;
use super::error::ToCode as _;
use crate::controller::{ElectError, Election, Image};
use crate::model::ErrorCode;
use crate::protocol::message::write::elect_leaders::{ElectionResult, ElectionTopicResult};
use crate::protocol::{Array, Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::ElectLeadersResponse<'static>, ProtocolError> {
    let request = read::ElectLeadersRequest::parse(body, version)?;
    let image = context.shard.image();
    let election = Election::from_code(request.election_type);
    let replica_election_results = match (&request.topic_partitions, election) {
        (Some(topics), _) => asked_for(&image, topics, election, request.election_type),
        (None, None) => Vec::new(),
        (None, Some(election)) => {
            image.topics().map(|topic| all_of(&image, topic.name.as_str(), election)).collect()
        }
    };
    let code = if election.is_some() { ErrorCode::None } else { ErrorCode::InvalidRequest };
    Ok(write::ElectLeadersResponse {
        error_code: code.code(),
        replica_election_results,
        ..write::ElectLeadersResponse::default()
    })
}

fn asked_for(
    image: &Image,
    topics: &Array<'_, read::elect_leaders::ElectionTopic<'_>>,
    election: Option<Election>,
    code: i8,
) -> Vec<ElectionTopicResult<'static>> {
    let result = |topic: &str, partition_id: i32| match election {
        Some(election) => {
            describe(partition_id, &image.refuse_election(topic, partition_id, election))
        }
        None => ElectionResult {
            partition_id,
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some(format!("Unknown election type {code}").into()),
        },
    };
    let topics = topics.iter().map(|topic| ElectionTopicResult {
        topic: topic.topic.to_string().into(),
        partition_result: topic.partitions.iter().map(|p| result(topic.topic, p)).collect(),
    });
    topics.collect()
}

/// Where all are asked for, those that need no election are not named.
fn all_of(image: &Image, topic: &str, election: Election) -> ElectionTopicResult<'static> {
    let count = image.topic(topic).map_or(0, |topic| topic.partitions.len());
    let refusals = (0..count as i32).map(|p| (p, image.refuse_election(topic, p, election)));
    let refusals = refusals.filter(|(_, error)| *error != ElectError::NotNeeded);
    ElectionTopicResult {
        topic: topic.to_owned().into(),
        partition_result: refusals.map(|(p, error)| describe(p, &error)).collect(),
    }
}

fn describe(partition_id: i32, error: &ElectError) -> ElectionResult<'static> {
    ElectionResult {
        partition_id,
        error_code: error.code().code(),
        error_message: Some(error.to_string().into()),
    }
}
