//! CreateTopics (key 19).

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::control::{Command, Outcome};
use crate::config::describe_topic;
use crate::controller::{CreateError, CreatedTopic};
use crate::model::ErrorCode;
use crate::protocol::message::write::create_topics::{CreatableTopicConfigs, CreatableTopicResult};
use crate::protocol::{Parse as _, read, write};

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let version = asked.version;
    let command = Command::CreateTopics { frame: asked.frame(), version };
    let topics = match context.shard.command(command).await {
        Outcome::Created(outcomes) => {
            outcomes.into_iter().map(|(name, result)| describe(context, name, &result)).collect()
        }
        _ => failed(asked),
    };
    asked.answer(&write::CreateTopicsResponse { topics, ..write::CreateTopicsResponse::default() })
}

fn describe(
    context: &Context,
    name: String,
    result: &Result<CreatedTopic, CreateError>,
) -> CreatableTopicResult<'static> {
    let mut answer = CreatableTopicResult { name: name.into(), ..CreatableTopicResult::default() };
    match result {
        Ok(created) => {
            answer.topic_id = created.id;
            answer.num_partitions = created.partitions as i32;
            answer.replication_factor = created.replication_factor as i16;
            answer.configs = Some(configs(context, created));
        }
        Err(error) => {
            answer.error_code = error.code().code();
            answer.error_message = Some(error.to_string().into());
            answer.num_partitions = -1;
            answer.replication_factor = -1;
        }
    }
    answer
}

/// All settings of the new topic, with where each comes from.
fn configs(context: &Context, created: &CreatedTopic) -> Vec<CreatableTopicConfigs<'static>> {
    let image = context.shard.image();
    let Ok(entries) = describe_topic(&created.overrides, image.layers()) else {
        return Vec::new();
    };
    entries
        .into_iter()
        .map(|entry| CreatableTopicConfigs {
            name: entry.name.into(),
            value: entry.value.map(Into::into),
            read_only: entry.is_read_only,
            config_source: entry.source as i8,
            is_sensitive: entry.is_sensitive,
        })
        .collect()
}

/// The metadata log could not be written.
fn failed(asked: &Asked) -> Vec<CreatableTopicResult<'static>> {
    asked.read(|body| {
        let request = read::CreateTopicsRequest::parse(body, asked.version)?;
        let topics = request.topics.iter().map(|topic| CreatableTopicResult {
            name: topic.name.to_string().into(),
            error_code: ErrorCode::KafkaStorageError.code(),
            error_message: Some("the metadata log cannot be written; see the broker's log".into()),
            num_partitions: -1,
            replication_factor: -1,
            ..CreatableTopicResult::default()
        });
        Ok(topics.collect())
    })
}
