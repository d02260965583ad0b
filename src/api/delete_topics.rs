//! DeleteTopics (key 20): by name, or by id from version 6 on.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::control::{Command, Outcome};
use crate::controller::DeleteOutcome;
use crate::model::ErrorCode;
use crate::protocol::message::write::delete_topics::DeletableTopicResult;
use crate::protocol::{Parse as _, read, write};

/// What a topic may cost: its entry in the answer, with the reason of a failure.
const TOPIC_BYTES: usize = 320;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::DeleteTopicsRequest<'_>) -> usize {
    (request.topics.len() + request.topic_names.len()) * TOPIC_BYTES
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let command = Command::DeleteTopics { frame: asked.frame(), version: asked.version };
    let responses = match context.shard.command(command).await {
        Outcome::Deleted(outcomes) => outcomes.into_iter().map(describe).collect(),
        _ => failed(asked),
    };
    asked.answer(&write::DeleteTopicsResponse {
        responses,
        ..write::DeleteTopicsResponse::default()
    })
}

fn describe(outcome: DeleteOutcome) -> DeletableTopicResult<'static> {
    let mut answer = DeletableTopicResult {
        name: outcome.name.map(Into::into),
        topic_id: outcome.id,
        ..DeletableTopicResult::default()
    };
    if let Err(error) = outcome.result {
        answer.error_code = error.code().code();
        answer.error_message = Some(error.to_string().into());
    }
    answer
}

/// The metadata log could not be written.
fn failed(asked: &Asked) -> Vec<DeletableTopicResult<'static>> {
    let refuse = |name: Option<&str>, topic_id| DeletableTopicResult {
        name: name.map(|name| name.to_string().into()),
        topic_id,
        error_code: ErrorCode::KafkaStorageError.code(),
        error_message: Some("the metadata log cannot be written; see the broker's log".into()),
    };
    asked.read(|body| {
        let request = read::DeleteTopicsRequest::parse(body, asked.version)?;
        let by_state = request.topics.iter().map(|topic| refuse(topic.name, topic.topic_id));
        let by_name = request.topic_names.iter();
        let by_name = by_name.map(|name| refuse(Some(name), crate::model::Uuid::ZERO));
        Ok(by_state.chain(by_name).collect())
    })
}
