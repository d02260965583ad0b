//! CreatePartitions (key 37): the answer leaves when every core has the new partitions.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::control::{Command, Outcome};
use crate::controller::GrowError;
use crate::model::ErrorCode;
use crate::protocol::message::write::create_partitions::CreatePartitionsTopicResult;
use crate::protocol::{Parse as _, read, write};

/// What a topic may cost: its place in the plan, and its answer with the reason of a refusal.
const TOPIC_BYTES: usize = 512;
/// What a new partition may, for which replicas are named.
const ASSIGNMENT_BYTES: usize = 128;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::CreatePartitionsRequest<'_>) -> usize {
    let of = |assignments: usize| TOPIC_BYTES + assignments * ASSIGNMENT_BYTES;
    let assignments = request.topics.iter().map(|topic| topic.assignments.map_or(0, |a| a.len()));
    assignments.map(of).sum()
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let command = Command::CreatePartitions { frame: asked.frame(), version: asked.version };
    let results = match context.shard.command(command).await {
        Outcome::Grown(outcomes) => {
            outcomes.into_iter().map(|(name, result)| describe(name, result)).collect()
        }
        _ => failed(asked),
    };
    asked.answer(&write::CreatePartitionsResponse {
        results,
        ..write::CreatePartitionsResponse::default()
    })
}

fn describe(name: String, result: Result<(), GrowError>) -> CreatePartitionsTopicResult<'static> {
    let (code, message) = match result {
        Ok(()) => (ErrorCode::None, None),
        // Kafka has no words for it.
        Err(error @ GrowError::UnknownTopic) => (error.code(), None),
        Err(error) => (error.code(), Some(error.to_string().into())),
    };
    CreatePartitionsTopicResult {
        name: name.into(),
        error_code: code.code(),
        error_message: message,
    }
}

/// The metadata log could not be written.
fn failed(asked: &Asked) -> Vec<CreatePartitionsTopicResult<'static>> {
    asked.read(|body| {
        let request = read::CreatePartitionsRequest::parse(body, asked.version)?;
        let topics = request.topics.iter().map(|topic| CreatePartitionsTopicResult {
            name: topic.name.to_string().into(),
            error_code: ErrorCode::KafkaStorageError.code(),
            error_message: Some(super::error::METADATA_LOG_FAILED.into()),
        });
        Ok(topics.collect())
    })
}
