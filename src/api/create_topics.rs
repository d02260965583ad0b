//! CreateTopics (key 19).

use super::context::Context;
use super::describe_configs::DescribeError;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::control::{Command, Outcome};
use crate::config::describe_topic;
use crate::controller::{CreateError, CreatedTopic};
use crate::limits::CONFIGS_BYTES_MAX;
use crate::model::ErrorCode;
use crate::protocol::message::write::create_topics::{CreatableTopicConfigs, CreatableTopicResult};
use crate::protocol::{Parse as _, read, write};

/// What a topic may cost: all of its settings in the answer, as structs and as bytes.
const TOPIC_BYTES: usize = 8 << 10;
/// Topics of one answer that come with their settings: a name of three bytes has kilobytes of
/// them.
const DESCRIBED_MAX: usize = CONFIGS_BYTES_MAX / TOPIC_BYTES;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::CreateTopicsRequest<'_>) -> usize {
    (request.topics.len() * TOPIC_BYTES).min(CONFIGS_BYTES_MAX)
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let version = asked.version;
    let command = Command::CreateTopics { frame: asked.frame(), version };
    let topics = match context.shard.command(command).await {
        Outcome::Created(outcomes) => {
            let numbered = outcomes.into_iter().enumerate();
            let describe_one = |(place, (name, result)): (usize, (String, Result<_, _>))| {
                // Version 4 and older have no place for settings.
                describe(context, name, &result, version >= 5 && place < DESCRIBED_MAX)
            };
            numbered.map(describe_one).collect()
        }
        _ => failed(asked),
    };
    asked.answer(&write::CreateTopicsResponse { topics, ..write::CreateTopicsResponse::default() })
}

fn describe(
    context: &Context,
    name: String,
    result: &Result<CreatedTopic, CreateError>,
    with_configs: bool,
) -> CreatableTopicResult<'static> {
    let mut answer = CreatableTopicResult { name: name.into(), ..CreatableTopicResult::default() };
    match result {
        Ok(created) => {
            answer.topic_id = created.id;
            answer.num_partitions = created.partitions as i32;
            answer.replication_factor = created.replication_factor as i16;
            answer.configs = with_configs.then(|| configs(context, created));
            if !with_configs {
                // The client takes the settings for withheld, and the topic for created.
                answer.topic_config_error_code = DescribeError::AnswerTooLarge.code().code();
            }
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
