//! From a frame to a pending answer.

use super::context::Context;
use super::decode::{Unreadable, decode};
use super::pending::{Later, MustClose, Pending};
use super::registry::{self, Road};
use super::{
    alter_client_quotas, alter_configs, alter_partition_reassignments, alter_replica_log_dirs,
    api_versions, create_acls, create_partitions, create_topics, delete_acls, delete_records,
    delete_topics, describe_acls, describe_client_quotas, describe_cluster, describe_configs,
    describe_log_dirs, describe_producers, describe_quorum, describe_topic_partitions,
    describe_transactions, describe_user_scram_credentials, elect_leaders, fetch, find_coordinator,
    group_road, incremental_alter_configs, init_producer_id, list_config_resources, list_offsets,
    list_partition_reassignments, list_transactions, metadata, offset_for_leader_epoch, produce,
    sasl_handshake, update_features,
};
use crate::broker::doing::Phase;
#[cfg(any(test, feature = "sim"))]
use crate::broker::rehearsal;
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
    let header = decode(|| {
        let header = RequestHeader::parse(&mut reader)?;
        #[cfg(any(test, feature = "sim"))]
        rehearsal::strike(rehearsal::Place::Decode, header.client_id);
        Ok(header)
    });
    let header = header.map_err(|error| close(None, &error))?;
    context.shard.doing(Phase::Request, header.api.key());
    #[cfg(any(test, feature = "sim"))]
    rehearsal::strike_elsewhere(header.client_id);
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
        // It reads the metadata, and changes nothing but what it answers.
        Road::AtOnce => decode(|| at_once(context, &header, reader)).map(Begun::now),
        Road::Group => group_road::begin(context, &header, reader).map(|pending| {
            let charge = group_road::cost(header.api, frame.len());
            Begun { pending, charge }
        }),
        Road::Task => decode(|| check(context, &header, reader)).map(|charge| {
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

fn close(header: Option<&RequestHeader<'_>>, error: &Unreadable) -> MustClose {
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
    macro_rules! answers {
        ($($key:ident: $file:ident,)*) => {
            match api {
                $(ApiKey::$key => {
                    let answer = $file::answer(context, body, version)?;
                    encode(api, version, correlation_id, &answer)
                })*
                _ => unreachable!("the registry says who answers at once"),
            }
        };
    }
    Ok(answers! {
        ApiVersions: api_versions,
        DescribeCluster: describe_cluster,
        DescribeTopicPartitions: describe_topic_partitions,
        SaslHandshake: sasl_handshake,
        DescribeAcls: describe_acls,
        CreateAcls: create_acls,
        DeleteAcls: delete_acls,
        ElectLeaders: elect_leaders,
        AlterPartitionReassignments: alter_partition_reassignments,
        ListPartitionReassignments: list_partition_reassignments,
        DescribeClientQuotas: describe_client_quotas,
        AlterClientQuotas: alter_client_quotas,
        DescribeUserScramCredentials: describe_user_scram_credentials,
        UpdateFeatures: update_features,
        DescribeTransactions: describe_transactions,
        ListTransactions: list_transactions,
        ListConfigResources: list_config_resources,
    })
}

/// The files of the APIs that are tasks, and the views that their bodies are parsed into.
macro_rules! tasks {
    ($with:ident) => {
        $with! {
            Metadata: metadata MetadataRequest,
            CreateTopics: create_topics CreateTopicsRequest,
            DeleteTopics: delete_topics DeleteTopicsRequest,
            DescribeConfigs: describe_configs DescribeConfigsRequest,
            DeleteRecords: delete_records DeleteRecordsRequest,
            ListOffsets: list_offsets ListOffsetsRequest,
            FindCoordinator: find_coordinator FindCoordinatorRequest,
            InitProducerId: init_producer_id InitProducerIdRequest,
            OffsetForLeaderEpoch: offset_for_leader_epoch OffsetForLeaderEpochRequest,
            AlterConfigs: alter_configs AlterConfigsRequest,
            AlterReplicaLogDirs: alter_replica_log_dirs AlterReplicaLogDirsRequest,
            DescribeLogDirs: describe_log_dirs DescribeLogDirsRequest,
            CreatePartitions: create_partitions CreatePartitionsRequest,
            IncrementalAlterConfigs: incremental_alter_configs IncrementalAlterConfigsRequest,
            DescribeQuorum: describe_quorum DescribeQuorumRequest,
            DescribeProducers: describe_producers DescribeProducersRequest,
        }
    };
}

/// Parses a body that a task will read again; gives what the request may cost.
fn check(
    context: &Context,
    header: &RequestHeader<'_>,
    body: Reader<'_>,
) -> Result<usize, ProtocolError> {
    use crate::protocol::{Parse as _, read};
    macro_rules! cost {
        ($($key:ident: $file:ident $view:ident,)*) => {
            match header.api {
                $(ApiKey::$key => {
                    let request = read::$view::parse(body, header.version)?;
                    Ok($file::cost(context, &request))
                })*
                _ => unreachable!("the registry says who is a task"),
            }
        };
    }
    tasks!(cost)
}

fn task(context: &Rc<Context>, asked: Asked) -> Pending {
    let later = Rc::new(Later::default());
    let (context_, later_) = (Rc::clone(context), Rc::clone(&later));
    macro_rules! work {
        ($($key:ident: $file:ident $view:ident,)*) => {
            match asked.api {
                $(ApiKey::$key => $file::answer(&context_, &asked).await,)*
                _ => unreachable!("the registry says who is a task"),
            }
        };
    }
    let (shard, api) = (Rc::clone(&context.shard), asked.api.key());
    context.shard.core().spawn(async move {
        let answer = shard.doing_request(api, async { tasks!(work) }).await;
        later_.set(answer);
        context_.bell.ring();
    });
    Pending::Later(later)
}
