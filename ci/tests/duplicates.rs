//! Requests that name something more than once, not at all, or oddly: what a Kafka 4.3.1 answers.
//! Run against one (`HIGHWATER_TEST_ADDRESS`) these tests show what is expected of us.

mod process;

use highwater::cli::client::{Acks, Client, FetchLimits, fetch_request, produce_request};
use highwater::cli::connection::{Answer, Connection};
use highwater::model::{ErrorCode, Offset, TopicId, Uuid};
use highwater::protocol::write::delete_topics::DeleteTopicState;
use highwater::protocol::write::describe_configs::DescribeConfigsResource;
use highwater::protocol::write::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use highwater::protocol::write::metadata::MetadataRequestTopic;
use highwater::protocol::write::offset_for_leader_epoch::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use highwater::protocol::write::produce::{PartitionProduceData, TopicProduceData};
use highwater::protocol::write::{
    ApiVersionsRequest, DeleteTopicsRequest, DescribeConfigsRequest, FetchRequest,
    ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest, ProduceRequest,
};
use highwater::protocol::{RecordsGap, Request};
use process::{Broker, batch, fresh_name, read_from, values};
use std::time::Duration;

const ABSENT: TopicId = Uuid([9; 16]);
const INVALID: i16 = ErrorCode::InvalidRequest.code();

/// A broker with a topic of two partitions.
struct House {
    broker: Broker,
    client: Client,
    topic: String,
    id: TopicId,
}

impl House {
    fn new() -> Self {
        let broker = Broker::start();
        let topic = broker.topic("named", 2, &[]);
        let mut client = broker.client();
        let id = client.topic_id(&topic).unwrap();
        Self { broker, client, topic, id }
    }

    /// One call on a connection of its own.
    fn call<R: Request>(&self, version: i16, request: &R) -> Answer<R> {
        self.call_with(version, request, &[])
    }

    fn call_with<R: Request>(&self, version: i16, request: &R, records: &[&[u8]]) -> Answer<R> {
        let mut connection: Connection = self.broker.connection();
        connection.call(version, request, records).unwrap()
    }

    fn log(&mut self, partition: i32) -> Vec<String> {
        values(&read_from(&mut self.client, &self.topic, partition, Offset::ZERO))
    }
}

/// Parts of a produce: partition and place of its records.
fn produced(
    house: &House,
    parts: &[(i32, usize)],
    batches: &[Vec<u8>],
) -> TopicProduceData<'static> {
    let part = |(index, tag): &(i32, usize)| PartitionProduceData {
        index: *index,
        records: Some(RecordsGap { len: batches[*tag].len(), tag: *tag }),
    };
    TopicProduceData {
        name: house.topic.clone().into(),
        topic_id: house.id,
        partition_data: parts.iter().map(part).collect(),
    }
}

#[test]
fn of_a_partitions_places_in_a_produce_the_last_counts_and_one_answer_comes() {
    let mut house = House::new();
    let batches = [batch(&["first"]), batch(&["second"]), batch(&["third"])];
    let records: Vec<&[u8]> = batches.iter().map(Vec::as_slice).collect();
    for (version, base) in [(12, 0), (13, 2)] {
        let topics = vec![
            produced(&house, &[(0, 0), (1, 1)], &batches),
            TopicProduceData {
                name: "nowhere".into(),
                topic_id: ABSENT,
                partition_data: produced(&house, &[(7, 0), (7, 1)], &batches).partition_data,
            },
            produced(&house, &[(0, 2)], &batches),
        ];
        let mut request = produce_request("", TopicId::ZERO, 0, Acks::All, 0);
        request.topic_data = topics;
        let answer = house.call_with(version, &request, &records);
        let view = answer.view();
        let mut seen: Vec<_> =
            view.responses
                .iter()
                .flat_map(|topic| {
                    let is_here = topic.topic_id == house.id || topic.name == house.topic;
                    topic.partition_responses.iter().map(move |part| {
                        (is_here, part.index, part.error_code == 0, part.base_offset)
                    })
                })
                .collect();
        seen.sort_unstable();
        assert_eq!(view.responses.len(), 2);
        let base = base / 2;
        let expected = [(false, 7, false, -1), (true, 0, true, base), (true, 1, true, base)];
        assert_eq!(seen, expected, "version {version}");
    }
    assert_eq!((house.log(0), house.log(1)), (vec!["third".into(); 2], vec!["second".into(); 2]));
}

#[test]
fn a_topic_without_partitions_is_not_in_the_answer() {
    let house = House::new();
    let batches = [batch(&["one"])];
    let mut request = produce_request("", TopicId::ZERO, 0, Acks::All, 0);
    let none = TopicProduceData { name: "nowhere".into(), ..TopicProduceData::default() };
    request.topic_data = vec![none, produced(&house, &[(1, 0)], &batches)];
    let answer = house.call_with(12, &request, &[&batches[0]]);
    assert_eq!(answer.view().responses.len(), 1);
    let mut request: ProduceRequest<'_> = request;
    request.topic_data.truncate(1);
    assert!(house.call(12, &request).view().responses.is_empty());
    let topic = ListOffsetsTopic { name: house.topic.clone().into(), partitions: vec![] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    assert!(house.call(7, &request).view().topics.is_empty());
}

#[test]
fn of_a_partitions_places_in_a_fetch_the_last_counts() {
    let mut house = House::new();
    let (topic, id) = (house.topic.clone(), house.id);
    for text in ["one", "two"] {
        process::append(&mut house.client, &topic, 0, &batch(&[text]));
    }
    let limits = FetchLimits {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes: 100_000,
        read_committed: false,
    };
    for version in [11, 12, 13] {
        for session_epoch in [-1, 0] {
            let mut request: FetchRequest<'_> = fetch_request(&topic, id, 0, Offset(0), limits);
            request.session_epoch = session_epoch;
            let last = fetch_request(&topic, id, 0, Offset(77), limits).topics.remove(0);
            request.topics.push(last);
            let answer = house.call(version, &request);
            let view = answer.view();
            let parts: Vec<_> =
                view.responses.iter().flat_map(|topic| topic.partitions.iter()).collect();
            assert_eq!(parts.len(), 1, "version {version}");
            assert_eq!(parts[0].error_code, ErrorCode::OffsetOutOfRange.code());
        }
    }
}

#[test]
fn a_partition_that_list_offsets_names_twice_is_refused_once() {
    let house = House::new();
    let part = |partition_index, timestamp| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp,
    };
    let topic =
        |name: &str, partitions| ListOffsetsTopic { name: name.to_owned().into(), partitions };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![
            topic(&house.topic, vec![part(0, -1), part(1, -1)]),
            topic("nowhere", vec![part(0, -1), part(0, -2)]),
            topic(&house.topic, vec![part(0, -2), part(3, -9)]),
        ],
        ..ListOffsetsRequest::default()
    };
    for version in [4, 7] {
        let answer = house.call(version, &request);
        let view = answer.view();
        let mut seen: Vec<_> =
            view.topics
                .iter()
                .flat_map(|topic| {
                    let is_here = topic.name == house.topic;
                    topic.partitions.iter().map(move |part| {
                        (is_here, part.partition_index, part.error_code, part.offset)
                    })
                })
                .collect();
        seen.sort_unstable();
        let unsupported = ErrorCode::UnsupportedVersion.code();
        let expected = [
            (false, 0, INVALID, -1),
            (true, 0, INVALID, -1),
            (true, 1, 0, 0),
            (true, 3, unsupported, -1),
        ];
        assert_eq!(seen, expected);
        assert_eq!(view.topics.len(), 2);
    }
}

#[test]
fn each_place_of_a_partition_is_told_where_its_epoch_ends_also_where_nothing_was_appended() {
    let house = House::new();
    let part = |partition| OffsetForLeaderPartition {
        partition,
        current_leader_epoch: -1,
        leader_epoch: 0,
    };
    let topic =
        |name: &str, partitions| OffsetForLeaderTopic { topic: name.to_owned().into(), partitions };
    let topics = vec![
        topic(&house.topic, vec![part(0), part(0)]),
        topic("nowhere", vec![part(0), part(0)]),
        topic(&house.topic, vec![part(1)]),
    ];
    let request = OffsetForLeaderEpochRequest { replica_id: -2, topics };
    let answer = house.call(4, &request);
    let view = answer.view();
    let seen: Vec<Vec<_>> = view
        .topics
        .iter()
        .map(|topic| {
            let part = |p: highwater::protocol::read::offset_for_leader_epoch::EpochEndOffset| {
                (p.partition, p.error_code, p.leader_epoch, p.end_offset)
            };
            topic.partitions.iter().map(part).collect()
        })
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let expected = [vec![(0, 0, 0, 0); 2], vec![(0, unknown, -1, -1); 2], vec![(1, 0, 0, 0)]];
    assert_eq!(seen, expected);
}

fn by_name(name: &str) -> MetadataRequestTopic<'static> {
    MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some(name.to_owned().into()) }
}

fn by_id(topic_id: TopicId) -> MetadataRequestTopic<'static> {
    MetadataRequestTopic { topic_id, name: None }
}

/// Error code, name and id of each topic of the answer.
fn metadata(
    house: &House,
    version: i16,
    topics: Vec<MetadataRequestTopic<'_>>,
) -> Vec<(i16, Option<String>, TopicId)> {
    let request = MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let answer = house.call(version, &request);
    let view = answer.view();
    let topic = |topic: highwater::protocol::read::metadata::MetadataResponseTopic<'_>| {
        (topic.error_code, topic.name.map(str::to_owned), topic.topic_id)
    };
    view.topics.iter().map(topic).collect()
}

#[test]
fn metadata_answers_each_name_and_each_id_once_and_ids_alone_where_there_is_one() {
    let house = House::new();
    let other = house.broker.topic("other", 1, &[]);
    let other_id = house.broker.client().topic_id(&other).unwrap();
    let name = |text: &str| Some(text.to_owned());
    for version in [12, 13] {
        let twice = ["nowhere", &house.topic, &other, &house.topic, "nowhere"].map(by_name);
        let mut seen = metadata(&house, version, twice.to_vec());
        seen.sort_unstable();
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        let mut expected = vec![
            (0, name(&house.topic), house.id),
            (0, name(&other), other_id),
            (unknown, name("nowhere"), Uuid::ZERO),
        ];
        expected.sort_unstable();
        assert_eq!(seen, expected);
        // Ids that are not here come first; names beside ids do not count, whose they are does not
        // matter.
        let mixed = vec![
            by_name(&other),
            by_id(house.id),
            by_id(ABSENT),
            by_id(Uuid::ZERO),
            MetadataRequestTopic { topic_id: house.id, name: Some(other.clone().into()) },
        ];
        let unknown = ErrorCode::UnknownTopicId.code();
        let expected = [(unknown, None, ABSENT), (0, name(&house.topic), house.id)];
        assert_eq!(metadata(&house, version, mixed), expected);
    }
}

#[test]
fn metadata_by_id_is_refused_in_versions_that_only_have_a_place_for_it() {
    let house = House::new();
    for version in [10, 11] {
        for topics in [vec![by_id(house.id), by_name(&house.topic)], vec![by_id(Uuid::ZERO)]] {
            let seen = metadata(&house, version, topics.clone());
            let refused = |topic: &MetadataRequestTopic<'_>| {
                let name = topic.name.clone().unwrap_or_default().into_owned();
                (INVALID, Some(name), topic.topic_id)
            };
            assert_eq!(seen, topics.iter().map(refused).collect::<Vec<_>>());
        }
    }
}

#[test]
fn metadata_of_a_topic_without_name_and_id_is_an_invalid_request() {
    let house = House::new();
    for version in [12, 13] {
        let seen = metadata(&house, version, vec![by_id(Uuid::ZERO), by_name(&house.topic)]);
        assert_eq!(seen.len(), 2);
        // A Kafka 4.3.1 fails inside, and says that.
        let ours = if house.broker.process.is_some() { INVALID } else { -1 };
        assert!(seen.iter().all(|(code, _, id)| *code == ours && id.is_zero()), "{seen:?}");
    }
}

#[test]
fn a_clients_software_may_have_any_length_and_few_letters() {
    let house = House::new();
    let long = "a".repeat(5000);
    let taken = |name: &str, version: &str| {
        let request = ApiVersionsRequest {
            client_software_name: name.to_owned().into(),
            client_software_version: version.to_owned().into(),
        };
        [3, 4].map(|v| house.call(v, &request).view().error_code)
    };
    for (name, version) in [("a", "1"), ("a.b-c", "1.0.0-rc1"), (&long, "1"), ("a", &long)] {
        assert_eq!(taken(name, version), [0; 2]);
    }
    let odd = ["", "a b", "-a", "a-", ".a", "a.", "a_b", "a/b", "\u{e9}", "a\n"];
    for text in odd {
        assert_eq!((taken(text, "1"), taken("a", text)), ([INVALID; 2], [INVALID; 2]), "{text:?}");
    }
}

#[test]
fn deletions_that_name_nothing_are_answered_each() {
    let house = House::new();
    let state = |name: Option<&str>, topic_id| DeleteTopicState {
        name: name.map(|name| name.to_owned().into()),
        topic_id,
    };
    let request = DeleteTopicsRequest {
        topics: vec![
            state(None, Uuid::ZERO),
            state(None, Uuid::ZERO),
            state(Some("nowhere"), Uuid::ZERO),
            state(Some("nowhere"), Uuid::ZERO),
            state(None, ABSENT),
            state(None, ABSENT),
        ],
        timeout_ms: 30_000,
        ..DeleteTopicsRequest::default()
    };
    let answer = house.call(6, &request);
    let view = answer.view();
    let mut seen: Vec<_> = view
        .responses
        .iter()
        .map(|topic| (topic.name.map(str::to_owned), topic.topic_id, topic.error_code))
        .collect();
    seen.sort_unstable();
    let nowhere = Some("nowhere".to_owned());
    let expected = [
        (None, Uuid::ZERO, INVALID),
        (None, Uuid::ZERO, INVALID),
        (None, ABSENT, INVALID),
        (nowhere, Uuid::ZERO, INVALID),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn settings_are_described_for_each_place_and_no_names_are_all_names() {
    let house = House::new();
    let resource = |resource_type, name: &str, keys: Option<&[&str]>| DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned().into(),
        configuration_keys: keys
            .map(|keys| keys.iter().map(|key| (*key).to_owned().into()).collect()),
    };
    let missing = fresh_name("missing");
    let request = DescribeConfigsRequest {
        resources: vec![
            resource(2, &house.topic, Some(&["retention.ms"])),
            resource(2, &house.topic, Some(&["cleanup.policy", "cleanup.policy", "none"])),
            resource(2, &house.topic, Some(&["retention.ms"])),
            resource(2, &house.topic, Some(&[])),
            resource(2, &missing, None),
            resource(4, "x", None),
        ],
        include_synonyms: false,
        include_documentation: false,
    };
    let answer = house.call(4, &request);
    let view = answer.view();
    let seen: Vec<_> =
        view.results.iter().map(|result| (result.error_code, result.configs.len())).collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(seen[..3], [(0, 1), (0, 1), (0, 1)]);
    assert!(seen[3].0 == 0 && seen[3].1 > 20);
    assert_eq!(seen[4..], [(unknown, 0), (INVALID, 0)]);
    let message = view.results.iter().last().unwrap().error_message;
    assert_eq!(message, Some("Broker id must be an integer, but it is: x"));
}
