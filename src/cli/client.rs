//! A client that speaks to one broker in Kafka's nouns, over one blocking connection.
//!
//! It asks the broker for its versions first and uses the newest that both have. Topic ids, which
//! newer versions of Produce and Fetch want instead of names, are looked up and kept.

use super::client_error::{ClientError, accepted};
use super::connection::{Answer, Connection};
use crate::base::FastMap;
use crate::model::{ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TopicId};
use crate::protocol::write::create_topics::{CreatableTopic, CreatableTopicConfig};
use crate::protocol::write::delete_topics::DeleteTopicState;
use crate::protocol::write::fetch::{FetchPartition, FetchTopic};
use crate::protocol::write::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::write::metadata::MetadataRequestTopic;
use crate::protocol::write::produce::{PartitionProduceData, TopicProduceData};
use crate::protocol::write::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest,
    FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
};
use crate::protocol::{ApiKey, ProtocolError, RecordsGap, Request};
use crate::runtime::clock;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long the broker may take over creating or deleting a topic, or over acks=all.
const BROKER_TIMEOUT_MS: i32 = 30_000;
/// Between two looks at a topic that is not ready.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// First version of Produce and of Fetch that names topics by id.
const BY_ID_FROM: i16 = 13;

/// A broker's versions, by API.
#[derive(Clone, Debug, Default)]
pub struct Versions(Vec<(i16, RangeInclusive<i16>)>);

/// A client of one broker.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    versions: Versions,
    topic_ids: FastMap<String, TopicId>,
}

/// Who must have a record before its producer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody; there is no answer.
    None,
    Leader,
    All,
}

/// Where a batch came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    /// -1 unless the topic stamps records with the broker's time.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
}

/// How long and how much to fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    pub max_wait: Duration,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub read_committed: bool,
}

/// What a fetch of one partition gave.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// Batches; the last one may be cut off.
    pub records: Vec<u8>,
}

/// A topic as Metadata tells it.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    pub id: TopicId,
    pub partition_count: usize,
}

/// An offset with the time of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    pub offset: Offset,
    /// -1 for the named places in a log.
    pub timestamp: Timestamp,
    pub leader_epoch: LeaderEpoch,
}

/// Timestamps of ListOffsets that name a place.
pub const LATEST: Timestamp = Timestamp(-1);
pub const EARLIEST: Timestamp = Timestamp(-2);
pub const MAX_TIMESTAMP: Timestamp = Timestamp(-3);

impl Client {
    /// Connects and asks for the broker's versions.
    pub fn connect(address: SocketAddr, timeout: Duration) -> Result<Self, ClientError> {
        let mut connection = Connection::open(address, timeout)?;
        let versions = match ask_versions(&mut connection, 3) {
            // A broker that does not know the version answers in the oldest form.
            Err(error) if is_of_an_old_broker(&error) => {
                connection = Connection::open(address, timeout)?;
                ask_versions(&mut connection, 0)?
            }
            asked => asked?,
        };
        Ok(Self { connection, versions, topic_ids: FastMap::default() })
    }

    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The connection below, for calls of a chosen version.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Calls in the newest common version.
    pub fn call<R: Request>(
        &mut self,
        request: &R,
        records: &[&[u8]],
    ) -> Result<Answer<R>, ClientError> {
        let version = self.versions.newest(R::KEY)?;
        self.connection.call(version, request, records)
    }

    /// Asks for topics by name; without names, for all. A topic that is refused is the error.
    pub fn topics(
        &mut self,
        names: Option<&[&str]>,
        create: bool,
    ) -> Result<Vec<Topic>, ClientError> {
        let wanted = |name: &&str| MetadataRequestTopic {
            topic_id: TopicId::ZERO,
            name: Some(Cow::Owned((*name).to_owned())),
        };
        let request = MetadataRequest {
            topics: names.map(|names| names.iter().map(wanted).collect()),
            allow_auto_topic_creation: create,
            ..MetadataRequest::default()
        };
        let answer = self.call(&request, &[])?;
        let mut topics = Vec::new();
        for topic in answer.view().topics {
            let name = topic.name.unwrap_or_default();
            accepted(ApiKey::Metadata, name, topic.error_code, None)?;
            topics.push(Topic {
                name: name.to_owned(),
                id: topic.topic_id,
                partition_count: topic.partitions.len(),
            });
            self.topic_ids.insert(name.to_owned(), topic.topic_id);
        }
        Ok(topics)
    }

    /// The topic of a name.
    pub fn topic(&mut self, name: &str, create: bool) -> Result<Topic, ClientError> {
        let missing = || ClientError::Missing { api: ApiKey::Metadata, about: name.to_owned() };
        self.topics(Some(&[name]), create)?.into_iter().next().ok_or_else(missing)
    }

    /// Waits until every partition of a topic can be used: a broker that has just been told of a
    /// topic may say for a moment that it does not have it, or does not lead it.
    pub fn await_topic(&mut self, name: &str, timeout: Duration) -> Result<Topic, ClientError> {
        let give_up = clock::monotonic() + timeout;
        loop {
            match self.usable_topic(name) {
                Err(error) if error.is_retriable() && clock::monotonic() < give_up => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                done => return done,
            }
        }
    }

    fn usable_topic(&mut self, name: &str) -> Result<Topic, ClientError> {
        let topic = self.topic(name, false)?;
        for partition in 0..topic.partition_count {
            self.list_offset(name, partition as i32, LATEST)?;
        }
        Ok(topic)
    }

    /// Creates a topic with one replica and gives its id.
    pub fn create_topic(
        &mut self,
        name: &str,
        partition_count: i32,
        configs: &[(&str, &str)],
    ) -> Result<TopicId, ClientError> {
        let config = |&(key, value): &(&'_ str, &'_ str)| CreatableTopicConfig {
            name: Cow::Owned(key.to_owned()),
            value: Some(Cow::Owned(value.to_owned())),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.into(),
                num_partitions: partition_count,
                replication_factor: 1,
                assignments: Vec::new(),
                configs: configs.iter().map(config).collect(),
            }],
            timeout_ms: BROKER_TIMEOUT_MS,
            validate_only: false,
        };
        let answer = self.call(&request, &[])?;
        let missing = || ClientError::Missing { api: ApiKey::CreateTopics, about: name.to_owned() };
        let topic = answer.view().topics.first().ok_or_else(missing)?;
        accepted(ApiKey::CreateTopics, name, topic.error_code, topic.error_message)?;
        Ok(topic.topic_id)
    }

    /// Deletes a topic by name.
    pub fn delete_topic(&mut self, name: &str) -> Result<(), ClientError> {
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(name.into()), topic_id: TopicId::ZERO }],
            topic_names: vec![name.into()],
            timeout_ms: BROKER_TIMEOUT_MS,
        };
        let answer = self.call(&request, &[])?;
        let missing = || ClientError::Missing { api: ApiKey::DeleteTopics, about: name.to_owned() };
        let topic = answer.view().responses.first().ok_or_else(missing)?;
        accepted(ApiKey::DeleteTopics, name, topic.error_code, topic.error_message)?;
        self.topic_ids.remove(name);
        Ok(())
    }

    /// Appends one or more batches to a partition; `None` without an answer (acks 0).
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        acks: Acks,
        batches: &[u8],
    ) -> Result<Option<Appended>, ClientError> {
        let version = self.versions.newest(ApiKey::Produce)?;
        let id = if version >= BY_ID_FROM { self.topic_id(topic)? } else { TopicId::ZERO };
        let request = produce_request(topic, id, partition, acks, batches.len());
        if acks == Acks::None {
            self.connection.send_unanswered(version, &request, &[batches])?;
            return Ok(None);
        }
        let answer = self.connection.call(version, &request, &[batches])?;
        let about = format!("{topic}-{partition}");
        let found = answer.view().responses.first().and_then(|t| t.partition_responses.first());
        let Some(found) = found else {
            return Err(ClientError::Missing { api: ApiKey::Produce, about });
        };
        self.forget_if_refused(topic, found.error_code);
        accepted(ApiKey::Produce, &about, found.error_code, found.error_message)?;
        Ok(Some(Appended {
            base_offset: Offset(found.base_offset),
            log_append_time: Timestamp(found.log_append_time_ms),
            log_start_offset: Offset(found.log_start_offset),
        }))
    }

    /// Fetches from one partition, without a session.
    pub fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: Offset,
        limits: FetchLimits,
    ) -> Result<Fetched, ClientError> {
        let version = self.versions.newest(ApiKey::Fetch)?;
        let id = if version >= BY_ID_FROM { self.topic_id(topic)? } else { TopicId::ZERO };
        let request = fetch_request(topic, id, partition, offset, limits);
        let answer = self.connection.call(version, &request, &[])?;
        let (about, view) = (format!("{topic}-{partition}"), answer.view());
        accepted(ApiKey::Fetch, &about, view.error_code, None)?;
        let Some(found) = view.responses.first().and_then(|t| t.partitions.first()) else {
            return Err(ClientError::Missing { api: ApiKey::Fetch, about });
        };
        self.forget_if_refused(topic, found.error_code);
        accepted(ApiKey::Fetch, &about, found.error_code, None)?;
        Ok(Fetched {
            high_watermark: Offset(found.high_watermark),
            last_stable_offset: Offset(found.last_stable_offset),
            log_start_offset: Offset(found.log_start_offset),
            records: found.records.map(|records| records.bytes.to_vec()).unwrap_or_default(),
        })
    }

    /// The first offset at or after a time, or a named place; offset -1 where there is none.
    pub fn list_offset(
        &mut self,
        topic: &str,
        partition: i32,
        at: Timestamp,
    ) -> Result<FoundOffset, ClientError> {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: 0,
            topics: vec![ListOffsetsTopic {
                name: topic.into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: partition,
                    timestamp: at.0,
                    ..ListOffsetsPartition::default()
                }],
            }],
            timeout_ms: BROKER_TIMEOUT_MS,
        };
        let answer = self.call(&request, &[])?;
        let about = format!("{topic}-{partition}");
        let Some(found) = answer.view().topics.first().and_then(|t| t.partitions.first()) else {
            return Err(ClientError::Missing { api: ApiKey::ListOffsets, about });
        };
        accepted(ApiKey::ListOffsets, &about, found.error_code, None)?;
        Ok(FoundOffset {
            offset: Offset(found.offset),
            timestamp: Timestamp(found.timestamp),
            leader_epoch: LeaderEpoch(found.leader_epoch),
        })
    }

    /// A fresh id for an idempotent producer.
    pub fn init_producer_id(&mut self) -> Result<(ProducerId, ProducerEpoch), ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: BROKER_TIMEOUT_MS,
            ..InitProducerIdRequest::default()
        };
        let answer = self.call(&request, &[])?;
        let view = answer.view();
        accepted(ApiKey::InitProducerId, "a producer", view.error_code, None)?;
        Ok((ProducerId(view.producer_id), ProducerEpoch(view.producer_epoch)))
    }

    /// Waits until a group's coordinator is known, for which the broker may make a topic.
    pub fn await_coordinator(&mut self, group: &str, timeout: Duration) -> Result<(), ClientError> {
        let give_up = clock::monotonic() + timeout;
        loop {
            match self.find_coordinator(group) {
                Err(error) if error.is_retriable() && clock::monotonic() < give_up => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                done => return done,
            }
        }
    }

    fn find_coordinator(&mut self, group: &str) -> Result<(), ClientError> {
        let request = FindCoordinatorRequest {
            key: group.into(),
            key_type: 0,
            coordinator_keys: vec![group.into()],
        };
        let answer = self.call(&request, &[])?;
        let view = answer.view();
        let found = view.coordinators.first().map_or(view.error_code, |found| found.error_code);
        accepted(ApiKey::FindCoordinator, group, found, None)
    }

    /// The id of a topic, kept from an earlier answer or asked for.
    pub fn topic_id(&mut self, name: &str) -> Result<TopicId, ClientError> {
        match self.topic_ids.get(name) {
            Some(id) => Ok(*id),
            None => self.topic(name, false).map(|topic| topic.id),
        }
    }

    /// After a refusal the topic may be another one of the same name.
    fn forget_if_refused(&mut self, topic: &str, code: i16) {
        if code != 0 {
            self.topic_ids.remove(topic);
        }
    }
}

impl Versions {
    /// The broker's versions of an API; `None` if it does not have it.
    pub fn of(&self, api: ApiKey) -> Option<RangeInclusive<i16>> {
        self.0.iter().find(|(key, _)| *key == api.key()).map(|(_, range)| range.clone())
    }

    /// The newest version that the broker advertises and we write.
    pub fn newest(&self, api: ApiKey) -> Result<i16, ClientError> {
        let common = self.common(api)?;
        Ok(*common.end())
    }

    /// All versions that the broker advertises and we write.
    pub fn common(&self, api: ApiKey) -> Result<RangeInclusive<i16>, ClientError> {
        let (ours, theirs) = (api.facts().versions.clone(), self.of(api));
        if let Some(theirs) = &theirs {
            let common = *ours.start().max(theirs.start())..=*ours.end().min(theirs.end());
            if !common.is_empty() {
                return Ok(common);
            }
        }
        Err(ClientError::NoCommonVersion { api, ours, theirs })
    }
}

impl Acks {
    /// The number on the wire.
    pub const fn wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 64 * 1024 * 1024,
            read_committed: false,
        }
    }
}

fn ask_versions(connection: &mut Connection, version: i16) -> Result<Versions, ClientError> {
    let request = ApiVersionsRequest {
        client_software_name: env!("CARGO_PKG_NAME").into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    let answer = connection.call(version, &request, &[])?;
    let view = answer.view();
    accepted(ApiKey::ApiVersions, "the broker", view.error_code, None)?;
    let range = |key: crate::protocol::read::api_versions::ApiVersion| {
        (key.api_key, key.min_version..=key.max_version)
    };
    Ok(Versions(view.api_keys.iter().map(range).collect()))
}

/// Either it says so, or its answer of the oldest version is no answer of ours.
fn is_of_an_old_broker(error: &ClientError) -> bool {
    match error {
        ClientError::Protocol(ProtocolError::FrameSize { .. }) => false,
        ClientError::Protocol(_) => true,
        error => error.code() == Some(ErrorCode::UnsupportedVersion),
    }
}

/// A produce of one partition, whose records (tag 0) have `len` bytes.
pub fn produce_request(
    topic: &str,
    id: TopicId,
    partition: i32,
    acks: Acks,
    len: usize,
) -> ProduceRequest<'_> {
    ProduceRequest {
        transactional_id: None,
        acks: acks.wire(),
        timeout_ms: BROKER_TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            topic_id: id,
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Some(RecordsGap { len, tag: 0 }),
            }],
        }],
    }
}

/// A fetch of one partition, without a session.
pub fn fetch_request(
    topic: &str,
    id: TopicId,
    partition: i32,
    offset: Offset,
    limits: FetchLimits,
) -> FetchRequest<'_> {
    FetchRequest {
        max_wait_ms: i32::try_from(limits.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: limits.min_bytes,
        max_bytes: limits.max_bytes,
        isolation_level: i8::from(limits.read_committed),
        topics: vec![FetchTopic {
            topic: topic.into(),
            topic_id: id,
            partitions: vec![FetchPartition {
                partition,
                fetch_offset: offset.0,
                partition_max_bytes: limits.max_bytes,
                ..FetchPartition::default()
            }],
        }],
        ..FetchRequest::default()
    }
}
