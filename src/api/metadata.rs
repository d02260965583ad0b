//! Metadata (key 3): topics, their partitions and leaders. May create topics that are named and
//! do not exist; never from a request for all.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::control::{Command, Outcome};
use crate::controller::{Image, Topic};
use crate::model::{ErrorCode, TopicId, TopicName, Uuid};
use crate::protocol::message::write::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::protocol::read::metadata::MetadataRequestTopic;
use crate::protocol::{Array, Parse as _, read, write};
use std::collections::{BTreeMap, BTreeSet};

/// First version that may name topics by id; 10 and 11 have a place for it.
const IDS_FROM: i16 = 12;
/// Asked-for operations that were not asked for.
const NOT_ASKED: i32 = i32::MIN;
/// Bits of Kafka's AclOperation codes. With no authorizer everyone may do everything that the
/// resource has.
const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);

const fn bits(codes: &[i32]) -> i32 {
    let (mut sum, mut index) = (0, 0);
    while index < codes.len() {
        sum |= 1 << codes[index];
        index += 1;
    }
    sum
}

/// What a topic and a partition may cost: their entries in the answer, as structs and as bytes.
const TOPIC_BYTES: usize = 320;
const PARTITION_BYTES: usize = 256;

/// What answering may cost.
pub fn cost(context: &Context, request: &read::MetadataRequest<'_>) -> usize {
    let image = context.shard.image();
    let partitions = |topic: read::metadata::MetadataRequestTopic<'_>| {
        let found = match topic.name {
            Some(name) => image.topic(name),
            None => image.topic_by_id(topic.topic_id),
        };
        found.map_or(0, |found| found.partitions.len())
    };
    let all = image.topics().len() * TOPIC_BYTES + image.partition_count() * PARTITION_BYTES;
    match request.topics {
        Some(topics) if !topics.is_empty() => {
            let partitions: usize = topics.iter().map(partitions).sum();
            topics.len() * TOPIC_BYTES + partitions * PARTITION_BYTES
        }
        _ => all,
    }
}

/// What a client may do with a topic, if it asked.
pub fn cluster_operations(is_asked: bool) -> i32 {
    if is_asked { CLUSTER_OPERATIONS } else { NOT_ASKED }
}

pub fn topic_operations(is_asked: bool) -> i32 {
    if is_asked { TOPIC_OPERATIONS } else { NOT_ASKED }
}

/// One topic of the request, owned.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Name(String),
    Id(TopicId),
}

struct Request {
    /// `None`: all topics.
    topics: Option<Vec<Wanted>>,
    may_create: bool,
    with_cluster_operations: bool,
    with_topic_operations: bool,
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let Ok(request) = read(asked) else { return refuse(asked) };
    let mut refused = BTreeMap::new();
    if request.may_create && context.shard.facts.config.auto_create_topics {
        let missing = missing_names(context, &request);
        if !missing.is_empty() {
            refused = create(context, missing).await;
        }
    }
    let node = context.shard.facts.config.node_id.0;
    let image = context.shard.image();
    let with_operations = request.with_topic_operations;
    let topics = match &request.topics {
        None => image.topics().map(|topic| describe(topic, with_operations)).collect(),
        // Ids that are not here come first, as in Kafka.
        Some(wanted) => (wanted.iter().filter(|wanted| is_unknown_id(&image, wanted)))
            .chain(wanted.iter().filter(|wanted| !is_unknown_id(&image, wanted)))
            .map(|wanted| match wanted {
                Wanted::Name(name) => match image.topic(name) {
                    Some(topic) => describe(topic, with_operations),
                    None => unknown_name(name, refused.get(name).copied()),
                },
                Wanted::Id(id) => match image.topic_by_id(*id) {
                    Some(topic) => describe(topic, with_operations),
                    None => unknown_id(*id),
                },
            })
            .collect(),
    };
    asked.answer(&write::MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: node,
            host: context.advertised.host.as_str().into(),
            port: i32::from(context.advertised.port),
            rack: context.shard.facts.config.rack.as_deref().map(Into::into),
        }],
        cluster_id: Some(image.cluster_id.to_string().into()),
        controller_id: node,
        topics,
        cluster_authorized_operations: cluster_operations(request.with_cluster_operations),
        ..write::MetadataResponse::default()
    })
}

/// A request that names a topic in a way that its version does not have, or not at all.
struct Nameless;

fn read(asked: &Asked) -> Result<Request, Nameless> {
    asked.read(|body| {
        let request = read::MetadataRequest::parse(body, asked.version)?;
        let all_if_empty = asked.version == 0;
        let topics = match request.topics.map(|topics| wanted(topics, asked.version)) {
            Some(Err(nameless)) => return Ok(Err(nameless)),
            Some(Ok(topics)) => Some(topics),
            None => None,
        };
        Ok(Ok(Request {
            topics: topics.filter(|topics| !(all_if_empty && topics.is_empty())),
            // Version 3 and older always may.
            may_create: asked.version < 4 || request.allow_auto_topic_creation,
            with_cluster_operations: request.include_cluster_authorized_operations,
            with_topic_operations: request.include_topic_authorized_operations,
        }))
    })
}

/// What a list of topics asks for: where one has an id the ids alone, else the names; each once, as
/// in Kafka: a name of three bytes asks for an answer of many.
fn wanted(
    topics: Array<'_, MetadataRequestTopic<'_>>,
    version: i16,
) -> Result<Vec<Wanted>, Nameless> {
    let has_ids = topics.iter().any(|topic| !topic.topic_id.is_zero());
    let is_nameless = topics.iter().any(|topic| topic.name.is_none());
    let mut seen = BTreeSet::new();
    if has_ids && version >= IDS_FROM {
        let ids = topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero());
        return Ok(ids.filter(|id| seen.insert(Wanted::Id(*id))).map(Wanted::Id).collect());
    }
    // Kafka 4.3 fails inside over a topic without name and id from version 12 on.
    if has_ids || is_nameless {
        return Err(Nameless);
    }
    let names = topics.iter().filter_map(|topic| topic.name);
    let names = names.map(|name| Wanted::Name(name.to_owned()));
    Ok(names.filter(|name| seen.insert(name.clone())).collect())
}

/// A refusal of the whole request, in which each topic is named as it came.
fn refuse(asked: &Asked) -> Vec<u8> {
    let error_code = ErrorCode::InvalidRequest.code();
    let topics = asked.read(|body| {
        let request = read::MetadataRequest::parse(body, asked.version)?;
        let refused = |topic: MetadataRequestTopic<'_>| MetadataResponseTopic {
            error_code,
            name: Some(topic.name.unwrap_or_default().to_owned().into()),
            topic_id: topic.topic_id,
            topic_authorized_operations: NOT_ASKED,
            ..MetadataResponseTopic::default()
        };
        Ok(request.topics.iter().flatten().map(refused).collect::<Vec<_>>())
    });
    asked.answer(&write::MetadataResponse {
        topics,
        controller_id: -1,
        cluster_authorized_operations: NOT_ASKED,
        error_code,
        ..write::MetadataResponse::default()
    })
}

/// Names that are legal, not there, and not the broker's own.
fn missing_names(context: &Context, request: &Request) -> Vec<String> {
    let image = context.shard.image();
    let mut names: Vec<String> = Vec::new();
    for wanted in request.topics.iter().flatten() {
        if let Wanted::Name(name) = wanted
            && image.topic(name).is_none()
            && TopicName::parse(name).is_ok_and(|name| !name.is_internal())
        {
            names.push(name.clone());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Creates topics; gives the codes of those that could not be.
async fn create(context: &Context, names: Vec<String>) -> BTreeMap<String, ErrorCode> {
    let failed = names.clone();
    match context.shard.command(Command::AutoCreate { names }).await {
        Outcome::Created(outcomes) => outcomes
            .into_iter()
            .filter_map(|(name, result)| Some((name, result.err()?.code())))
            .collect(),
        _ => failed.into_iter().map(|name| (name, ErrorCode::KafkaStorageError)).collect(),
    }
}

fn describe(topic: &Topic, with_operations: bool) -> MetadataResponseTopic<'_> {
    let partitions = (0..).zip(&topic.partitions).map(|(partition_index, info)| {
        let error =
            if info.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        MetadataResponsePartition {
            error_code: error.code(),
            partition_index,
            leader_id: info.leader.map_or(-1, |leader| leader.0),
            leader_epoch: info.leader_epoch.0,
            replica_nodes: info.replicas.iter().map(|node| node.0).collect(),
            isr_nodes: info.isr.iter().map(|node| node.0).collect(),
            ..MetadataResponsePartition::default()
        }
    });
    MetadataResponseTopic {
        name: Some(topic.name.as_str().into()),
        topic_id: topic.id,
        is_internal: topic.name.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: topic_operations(with_operations),
        ..MetadataResponseTopic::default()
    }
}

fn is_unknown_id(image: &Image, wanted: &Wanted) -> bool {
    matches!(wanted, Wanted::Id(id) if image.topic_by_id(*id).is_none())
}

fn unknown_name(name: &str, refused: Option<ErrorCode>) -> MetadataResponseTopic<'_> {
    let code = refused.unwrap_or(match TopicName::parse(name) {
        Ok(_) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    });
    MetadataResponseTopic {
        error_code: code.code(),
        name: Some(name.into()),
        topic_id: Uuid::ZERO,
        topic_authorized_operations: NOT_ASKED,
        ..MetadataResponseTopic::default()
    }
}

fn unknown_id(id: TopicId) -> MetadataResponseTopic<'static> {
    MetadataResponseTopic {
        error_code: ErrorCode::UnknownTopicId.code(),
        name: None,
        topic_id: id,
        topic_authorized_operations: NOT_ASKED,
        ..MetadataResponseTopic::default()
    }
}
