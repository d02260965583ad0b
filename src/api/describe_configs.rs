//! DescribeConfigs (key 32): settings of topics and of this broker, with where each comes from.

use super::context::Context;
use crate::config::{Entry, describe_broker, describe_topic};
use crate::model::{ErrorCode, TopicName};
use crate::protocol::message::write::describe_configs::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::read::describe_configs::DescribeConfigsResource;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// Kafka's resource types.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeConfigsResponse<'static>, ProtocolError> {
    let request = read::DescribeConfigsRequest::parse(body, version)?;
    let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
    let results = request.resources.iter().map(|resource| {
        let mut result = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.to_string().into(),
            ..DescribeConfigsResult::default()
        };
        match entries(context, &resource) {
            Ok(entries) => {
                result.configs = entries
                    .into_iter()
                    .filter(|entry| is_wanted(&resource, entry.name))
                    .map(|entry| describe(entry, synonyms, documentation))
                    .collect();
            }
            Err((code, message)) => {
                result.error_code = code.code();
                result.error_message = Some(message.into());
            }
        }
        result
    });
    let results = results.collect();
    Ok(write::DescribeConfigsResponse { results, ..write::DescribeConfigsResponse::default() })
}

fn is_wanted(resource: &DescribeConfigsResource<'_>, name: &str) -> bool {
    resource.configuration_keys.is_none_or(|keys| keys.iter().any(|key| key == name))
}

fn entries(
    context: &Context,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Entry>, (ErrorCode, String)> {
    let image = context.shard.image();
    let name = resource.resource_name;
    let result = match resource.resource_type {
        TOPIC => {
            TopicName::parse(name)
                .map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
            let topic = image.topic(name).ok_or_else(|| {
                let code = ErrorCode::UnknownTopicOrPartition;
                (code, code.message().to_string())
            })?;
            describe_topic(&topic.overrides, image.layers())
        }
        BROKER => {
            let node = context.shard.facts.config.node_id.0;
            if !name.is_empty() && name.parse() != Ok(node) {
                let message = format!(
                    "Unexpected broker id, expected {node} or empty string, but received {name}"
                );
                return Err((ErrorCode::InvalidRequest, message));
            }
            describe_broker(image.layers())
        }
        other => {
            let message = format!("settings of resource type {other} are not served yet");
            return Err((ErrorCode::InvalidRequest, message));
        }
    };
    result.map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))
}

fn describe(
    entry: Entry,
    with_synonyms: bool,
    with_documentation: bool,
) -> DescribeConfigsResourceResult<'static> {
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
        synonyms: if with_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: entry.kind as i8,
        documentation: with_documentation.then_some(entry.documentation.into()),
    }
}
