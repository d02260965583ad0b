//! DescribeConfigs (key 32): settings of topics and of this broker, with where each comes from.
//!
//! A resource of four bytes in the request is tens of thousands in the answer. So resources are
//! encoded one after the other, others have their turn between them, and an answer has a largest
//! size: what does not fit is refused by name, and can be asked for alone.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::config::{Entry, describe_broker, describe_topic};
use crate::limits::CONFIGS_BYTES_MAX;
use crate::model::{ErrorCode, NodeId, TopicName, TopicNameError};
use crate::protocol::message::write::describe_configs::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::{ConfigsAnswer, Parse as _, Writer, frame, read};
use std::collections::BTreeSet;

/// Kafka's resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// What a resource may take in the answer.
const TOPIC_BYTES: usize = 16 << 10;
const BROKER_BYTES: usize = 128 << 10;

/// One resource of a request, owned.
struct Wanted {
    kind: i8,
    name: String,
    /// `None`: all settings; so says an empty list too.
    keys: Option<BTreeSet<String>>,
}

struct Request {
    resources: Vec<Wanted>,
    synonyms: bool,
    documentation: bool,
}

/// Why a resource is not described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    #[error("{0}")]
    Name(#[from] TopicNameError),
    #[error("{}", ErrorCode::UnknownTopicOrPartition.message())]
    UnknownTopic,
    #[error("Unexpected broker id, expected {node} or empty string, but received {name}")]
    OtherBroker { node: NodeId, name: String },
    #[error("Broker id must be an integer, but it is: {0}")]
    NoBrokerId(String),
    #[error("settings of resource type {0} are not served yet")]
    Kind(i8),
    #[error("{0}")]
    Value(#[from] crate::config::ValueError),
    #[error(
        "the answer would be larger than {} MiB: ask for fewer resources at once",
        CONFIGS_BYTES_MAX >> 20
    )]
    AnswerTooLarge,
}

/// What answering may cost.
pub fn cost(request: &read::DescribeConfigsRequest<'_>) -> usize {
    let of = |kind| if kind == BROKER { BROKER_BYTES } else { TOPIC_BYTES };
    let all: usize = request.resources.iter().map(|resource| of(resource.resource_type)).sum();
    all.min(CONFIGS_BYTES_MAX)
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let request = read(asked);
    let mut writer = Writer::new();
    let start = frame::answer_begin(&mut writer, asked.api, asked.version, asked.correlation_id);
    let mut answer = ConfigsAnswer::begin(&mut writer, asked.version, request.resources.len());
    for wanted in &request.resources {
        let is_full = answer.bytes() >= CONFIGS_BYTES_MAX;
        let entries =
            if is_full { Err(DescribeError::AnswerTooLarge) } else { entries(context, wanted) };
        let is_found = entries.is_ok();
        answer.result(&result(&request, wanted, entries));
        if is_found {
            context.shard.core().turn_end().await;
        }
    }
    answer.end();
    writer.frame_end(start);
    writer.into_buffers().0
}

fn read(asked: &Asked) -> Request {
    asked.read(|body| {
        let request = read::DescribeConfigsRequest::parse(body, asked.version)?;
        let own = |resource: read::describe_configs::DescribeConfigsResource<'_>| Wanted {
            kind: resource.resource_type,
            name: resource.resource_name.to_owned(),
            keys: resource
                .configuration_keys
                .filter(|keys| !keys.is_empty())
                .map(|keys| keys.iter().map(str::to_owned).collect()),
        };
        Ok(Request {
            resources: request.resources.iter().map(own).collect(),
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        })
    })
}

fn result<'a>(
    request: &Request,
    wanted: &'a Wanted,
    entries: Result<Vec<Entry>, DescribeError>,
) -> DescribeConfigsResult<'a> {
    let mut result = DescribeConfigsResult {
        resource_type: wanted.kind,
        resource_name: wanted.name.as_str().into(),
        ..DescribeConfigsResult::default()
    };
    match entries {
        Ok(entries) => {
            // Kafka's answers are so.
            result.error_message = Some("".into());
            result.configs = entries
                .into_iter()
                .filter(|entry| wanted.keys.as_ref().is_none_or(|keys| keys.contains(entry.name)))
                .map(|entry| describe(entry, request))
                .collect();
        }
        Err(error) => {
            result.error_code = error.code().code();
            result.error_message = Some(error.to_string().into());
        }
    }
    result
}

fn entries(context: &Context, wanted: &Wanted) -> Result<Vec<Entry>, DescribeError> {
    let image = context.shard.image();
    let name = wanted.name.as_str();
    Ok(match wanted.kind {
        TOPIC => {
            TopicName::parse(name)?;
            let topic = image.topic(name).ok_or(DescribeError::UnknownTopic)?;
            describe_topic(&topic.overrides, image.layers())?
        }
        BROKER => {
            let node = context.shard.facts.config.node_id;
            match name.parse::<i32>() {
                Err(_) if name.is_empty() => {}
                Err(_) => return Err(DescribeError::NoBrokerId(name.to_owned())),
                Ok(id) if id == node.0 => {}
                Ok(_) => return Err(DescribeError::OtherBroker { node, name: name.to_owned() }),
            }
            describe_broker(image.layers())?
        }
        other => return Err(DescribeError::Kind(other)),
    })
}

fn describe(entry: Entry, request: &Request) -> DescribeConfigsResourceResult<'static> {
    let synonyms = entry.synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name.into(),
        value: synonym.value.map(Into::into),
        source: synonym.source as i8,
    });
    DescribeConfigsResourceResult {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.is_read_only,
        config_source: entry.source as i8,
        is_sensitive: entry.is_sensitive,
        synonyms: if request.synonyms { synonyms.collect() } else { Vec::new() },
        config_type: entry.kind as i8,
        documentation: request.documentation.then_some(entry.documentation.into()),
    }
}
