//! DescribeConfigs (key 32): settings of topics, of this broker, of all brokers, of groups and of the
//! broker's log, with where each comes from.
//!
//! A resource of four bytes in the request is tens of thousands in the answer. So resources are
//! encoded one after the other, others have their turn between them, and an answer has a largest
//! size: what does not fit is refused by name, and can be asked for alone.

use super::broker_logger;
use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::config::{
    Entry, Source, describe_broker, describe_default_broker, describe_group, describe_topic,
};
use crate::limits::CONFIGS_BYTES_MAX;
use crate::model::{NodeId, ResourceType, TopicName, TopicNameError};
use crate::protocol::message::write::describe_configs::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::{ConfigsAnswer, Parse as _, Writer, frame, read};
use crate::runtime::log_level;
use std::collections::BTreeSet;

/// What a resource may take in the answer: all settings of a broker, of a topic, of a group, or a
/// few.
const BROKER_BYTES: usize = 128 << 10;
const TOPIC_BYTES: usize = 16 << 10;
const FEW_BYTES: usize = 1 << 10;

/// Settings of a subscription of client metrics (KIP-714), with Kafka's numbers of their types.
/// None can be set yet.
const CLIENT_METRICS: [(&str, &str, i8, &str); 3] = [
    ("interval.ms", "300000", 3, "Time between two reports of a client."),
    ("match", "", 7, "Which clients report: patterns of their names, versions and addresses."),
    ("metrics", "", 7, "Prefixes of the metrics that are reported."),
];

type Shown = DescribeConfigsResourceResult<'static>;

/// One resource of a request, owned.
struct Wanted {
    code: i8,
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
    /// Kafka has no words for it.
    #[error("")]
    UnknownTopic,
    #[error("Unexpected broker id, expected {node} or empty string, but received {name}")]
    OtherBroker { node: NodeId, name: String },
    #[error("Unexpected broker id, expected {node} but received {name}")]
    OtherLogger { node: NodeId, name: String },
    #[error("Broker id must be an integer, but it is: {0}")]
    BrokerIsNoNumber(String),
    #[error("Broker id must not be empty")]
    NoBrokerId,
    #[error("Group name must not be empty")]
    NoGroupName,
    #[error("Client metrics subscription name must not be empty")]
    NoSubscriptionName,
    #[error("Unexpected resource type {code} for resource {name}")]
    Kind { code: i8, name: String },
    #[error("{0}")]
    Value(#[from] crate::config::ValueError),
    #[error(
        "the answer would be larger than {} MiB: ask for fewer resources at once",
        CONFIGS_BYTES_MAX >> 20
    )]
    AnswerTooLarge,
}

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::DescribeConfigsRequest<'_>) -> usize {
    let of = |code| match ResourceType::from_code(code) {
        Some(ResourceType::Broker) => BROKER_BYTES,
        Some(ResourceType::Topic | ResourceType::Group) => TOPIC_BYTES,
        Some(ResourceType::BrokerLogger | ResourceType::ClientMetrics) | None => FEW_BYTES,
    };
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
        let settings = if is_full {
            Err(DescribeError::AnswerTooLarge)
        } else {
            settings(context, &request, wanted)
        };
        let is_found = settings.is_ok();
        answer.result(&result(wanted, settings));
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
            code: resource.resource_type,
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

fn result(
    wanted: &Wanted,
    settings: Result<Vec<Shown>, DescribeError>,
) -> DescribeConfigsResult<'_> {
    let mut result = DescribeConfigsResult {
        resource_type: wanted.code,
        resource_name: wanted.name.as_str().into(),
        // Kafka's answers are so.
        error_message: Some("".into()),
        ..DescribeConfigsResult::default()
    };
    match settings {
        Ok(mut settings) => {
            let keys = wanted.keys.as_ref();
            settings.retain(|shown| keys.is_none_or(|keys| keys.contains(&*shown.name)));
            result.configs = settings;
        }
        Err(error) => {
            result.error_code = error.code().code();
            result.error_message = Some(error.to_string().into());
        }
    }
    result
}

/// All settings of a resource.
fn settings(
    context: &Context,
    request: &Request,
    wanted: &Wanted,
) -> Result<Vec<Shown>, DescribeError> {
    let (image, name) = (context.shard.image(), wanted.name.as_str());
    let layers = image.layers();
    let (code, node) = (wanted.code, context.shard.facts.config.node_id);
    let kind = ResourceType::from_code(code)
        .ok_or_else(|| DescribeError::Kind { code, name: name.to_owned() })?;
    let entries = match kind {
        ResourceType::Topic => {
            TopicName::parse(name)?;
            let topic = image.topic(name).ok_or(DescribeError::UnknownTopic)?;
            describe_topic(&topic.overrides, layers)?
        }
        ResourceType::Group if name.is_empty() => return Err(DescribeError::NoGroupName),
        ResourceType::Group => match image.group_config(name) {
            Some(overrides) => describe_group(overrides, layers)?,
            None => describe_group(&crate::config::Texts::new(), layers)?,
        },
        ResourceType::Broker if name.is_empty() => describe_default_broker(layers),
        ResourceType::Broker if broker_id(name)? == node => describe_broker(layers)?,
        ResourceType::Broker => {
            return Err(DescribeError::OtherBroker { node, name: name.to_owned() });
        }
        ResourceType::BrokerLogger if name.is_empty() => return Err(DescribeError::NoBrokerId),
        ResourceType::BrokerLogger if broker_id(name)? == node => return Ok(vec![root_logger()]),
        ResourceType::BrokerLogger => {
            return Err(DescribeError::OtherLogger { node, name: name.to_owned() });
        }
        ResourceType::ClientMetrics if name.is_empty() => {
            return Err(DescribeError::NoSubscriptionName);
        }
        ResourceType::ClientMetrics => {
            let shown = |row| client_metrics(row, request);
            return Ok(CLIENT_METRICS.iter().map(shown).collect());
        }
    };
    Ok(entries.into_iter().map(|entry| show(entry, request)).collect())
}

fn broker_id(name: &str) -> Result<NodeId, DescribeError> {
    name.parse().map(NodeId).map_err(|_| DescribeError::BrokerIsNoNumber(name.to_owned()))
}

fn root_logger() -> Shown {
    Shown {
        name: broker_logger::ROOT.into(),
        value: Some(log_level::kafka_name().into()),
        config_source: Source::BrokerLogger as i8,
        documentation: Some("".into()),
        ..Shown::default()
    }
}

fn client_metrics(
    &(name, default, config_type, text): &(&'static str, &'static str, i8, &'static str),
    request: &Request,
) -> Shown {
    Shown {
        name: name.into(),
        value: Some(default.into()),
        config_source: Source::Default as i8,
        config_type,
        documentation: request.documentation.then_some(text.into()),
        ..Shown::default()
    }
}

fn show(entry: Entry, request: &Request) -> Shown {
    let synonyms = entry.synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name.into(),
        value: synonym.value.map(Into::into),
        source: synonym.source as i8,
    });
    Shown {
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
