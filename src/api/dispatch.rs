//! From a frame to a pending answer.

use super::context::Context;
use super::pending::{Later, MustClose, Pending};
use super::registry::{self, Road};
use super::{
    api_versions, create_topics, delete_topics, describe_cluster, describe_configs,
    describe_topic_partitions, fetch, find_coordinator, init_producer_id, list_offsets, metadata,
    offset_for_leader_epoch, produce,
};
use crate::limits::{PRODUCE_PART_BYTES, REQUEST_ELEMENTS_MAX};
use crate::protocol::{ApiKey, Encode, ProtocolError, Reader, RequestHeader, Writer, frame};
use crate::runtime::{Chain, chain};
use bumpalo::Bump;
use std::rc::Rc;

/// A request that was begun.
pub struct Begun {
    pub pending: Pending,
    /// Bytes that it may take beyond its own until its answer is written: the answer, and what it
    /// is made from. Charged to its connection, so that small requests for large answers cannot
    /// be piled up.
    pub charge: usize,
}

/// A request whose answer is made by a task.
pub struct Asked {
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    frame: Chain,
}

impl Asked {
    /// Reads the body again; it was checked when the request came.
    pub fn read<R>(&self, with: impl FnOnce(Reader<'_>) -> Result<R, ProtocolError>) -> R {
        let list = self.frame.piece_list();
        let arena = Bump::new();
        let mut reader = Reader::new(chain::pieces(&list), &arena);
        RequestHeader::parse(&mut reader).expect("it was parsed before");
        with(reader).expect("it was parsed before")
    }

    /// The request as it came, sharing its buffers.
    pub fn frame(&self) -> Chain {
        self.frame.clone()
    }

    /// The whole frame of an answer.
    pub fn answer(&self, body: &impl Encode) -> Vec<u8> {
        encode(self.api, self.version, self.correlation_id, body)
    }
}

/// The whole frame of an answer.
pub fn encode(api: ApiKey, version: i16, correlation_id: i32, body: &impl Encode) -> Vec<u8> {
    let mut writer = Writer::new();
    let start = frame::answer_begin(&mut writer, api, version, correlation_id);
    body.encode(version, &mut writer);
    writer.frame_end(start);
    writer.into_buffers().0
}

/// Begins a request. An error closes the connection: what it says cannot be answered.
pub fn begin(context: &Rc<Context>, frame: Chain) -> Result<Begun, MustClose> {
    let list = frame.piece_list();
    let arena = Bump::new();
    let mut reader =
        Reader::new(chain::pieces(&list), &arena).with_elements_max(REQUEST_ELEMENTS_MAX);
    let header = RequestHeader::parse(&mut reader).map_err(|error| close(None, &error))?;
    context.conduct.note(header.api, || context.shard.core().now());
    let Some(row) = registry::row(header.api) else {
        let name = header.api.name();
        return Err(MustClose(format!("{name} (API {}) is not served", header.api.key())));
    };
    if !header.is_supported() {
        return unsupported(context, &header);
    }
    context.shard.metrics().note_request(header.api.key());
    let result = match row.road {
        Road::Produce => produce::begin(context, &header, reader, &frame).map(|job| {
            let charge = job.part_count * PRODUCE_PART_BYTES;
            Begun { pending: Pending::Produce(job), charge }
        }),
        Road::Fetch => fetch::begin(context, &header, reader, &frame)
            .map(|job| Begun { pending: Pending::Fetch(job), charge: 0 }),
        Road::AtOnce => at_once(context, &header, reader).map(Begun::now),
        Road::Task => check(context, &header, reader).map(|charge| {
            let (api, version) = (header.api, header.version);
            let correlation_id = header.correlation_id;
            let asked = Asked { api, version, correlation_id, frame: frame.clone() };
            Begun { pending: task(context, asked), charge }
        }),
    };
    result.map_err(|error| close(Some(&header), &error))
}

impl Begun {
    fn now(answer: Vec<u8>) -> Self {
        Self { charge: answer.len(), pending: Pending::Now(answer) }
    }
}

fn close(header: Option<&RequestHeader<'_>>, error: &ProtocolError) -> MustClose {
    match header {
        Some(header) => {
            MustClose(format!("{} version {}: {error}", header.api.name(), header.version))
        }
        None => MustClose(error.to_string()),
    }
}

/// A version that is not spoken. ApiVersions is answered in version 0, so that the client learns
/// what is; everything else ends the connection, as in Kafka.
fn unsupported(context: &Context, header: &RequestHeader<'_>) -> Result<Begun, MustClose> {
    if header.api == ApiKey::ApiVersions {
        let answer = api_versions::answer_unsupported(context, header.correlation_id);
        return Ok(Begun::now(answer));
    }
    let versions = header.api.facts().versions.clone();
    Err(MustClose(format!(
        "{} version {} is not served; versions {} to {} are",
        header.api.name(),
        header.version,
        versions.start(),
        versions.end()
    )))
}

fn at_once(
    context: &Context,
    header: &RequestHeader<'_>,
    body: Reader<'_>,
) -> Result<Vec<u8>, ProtocolError> {
    let (api, version, correlation_id) = (header.api, header.version, header.correlation_id);
    Ok(match api {
        ApiKey::ApiVersions => {
            encode(api, version, correlation_id, &api_versions::answer(context, body, version)?)
        }
        ApiKey::DescribeCluster => {
            encode(api, version, correlation_id, &describe_cluster::answer(context, body, version)?)
        }
        ApiKey::FindCoordinator => {
            encode(api, version, correlation_id, &find_coordinator::answer(context, body, version)?)
        }
        ApiKey::DescribeTopicPartitions => {
            let answer = describe_topic_partitions::answer(context, body, version)?;
            encode(api, version, correlation_id, &answer)
        }
        _ => unreachable!("the registry says who answers at once"),
    })
}

/// Parses a body that a task will read again; gives what the request may cost.
fn check(
    context: &Context,
    header: &RequestHeader<'_>,
    body: Reader<'_>,
) -> Result<usize, ProtocolError> {
    use crate::protocol::{Parse as _, read};
    let version = header.version;
    Ok(match header.api {
        ApiKey::Metadata => metadata::cost(context, &read::MetadataRequest::parse(body, version)?),
        ApiKey::CreateTopics => {
            create_topics::cost(&read::CreateTopicsRequest::parse(body, version)?)
        }
        ApiKey::DeleteTopics => {
            delete_topics::cost(&read::DeleteTopicsRequest::parse(body, version)?)
        }
        ApiKey::DescribeConfigs => {
            describe_configs::cost(&read::DescribeConfigsRequest::parse(body, version)?)
        }
        ApiKey::ListOffsets => list_offsets::cost(&read::ListOffsetsRequest::parse(body, version)?),
        ApiKey::InitProducerId => {
            read::InitProducerIdRequest::parse(body, version)?;
            init_producer_id::ANSWER_BYTES
        }
        ApiKey::OffsetForLeaderEpoch => {
            offset_for_leader_epoch::cost(&read::OffsetForLeaderEpochRequest::parse(body, version)?)
        }
        _ => unreachable!("the registry says who is a task"),
    })
}

fn task(context: &Rc<Context>, asked: Asked) -> Pending {
    let later = Rc::new(Later::default());
    let (context_, later_) = (Rc::clone(context), Rc::clone(&later));
    context.shard.core().spawn(async move {
        let context = context_;
        let answer = match asked.api {
            ApiKey::Metadata => metadata::answer(&context, &asked).await,
            ApiKey::CreateTopics => create_topics::answer(&context, &asked).await,
            ApiKey::DeleteTopics => delete_topics::answer(&context, &asked).await,
            ApiKey::DescribeConfigs => describe_configs::answer(&context, &asked).await,
            ApiKey::ListOffsets => list_offsets::answer(&context, &asked).await,
            ApiKey::InitProducerId => init_producer_id::answer(&context, &asked).await,
            ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::answer(&context, &asked).await,
            _ => unreachable!("the registry says who is a task"),
        };
        later_.set(answer);
        context.bell.ring();
    });
    Pending::Later(later)
}
