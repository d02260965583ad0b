//! Topics: made by request or by use, refused by name, deleted, made again under the same name.

mod process;

use highwater::cli::client::{Acks, Client, EARLIEST, FetchLimits, fetch_request, produce_request};
use highwater::model::{ErrorCode, Offset, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::create_topics::{CreatableTopic, CreatableTopicConfig};
use highwater::protocol::write::metadata::MetadataRequestTopic;
use highwater::protocol::write::{CreateTopicsRequest, DescribeClusterRequest, MetadataRequest};
use process::{
    Broker, PATIENCE, Process, append, batch, eventually, free_address, fresh_name, read_from,
    refused, values,
};
use std::time::Duration;

const BY_ID_FROM: i16 = 13;

fn unknown_id() -> TopicId {
    TopicId::from_random([0x42; 16]).unwrap()
}

fn creatable(name: &str) -> CreatableTopic<'_> {
    CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    }
}

/// What a creation of one topic is answered with.
fn create(client: &mut Client, topic: CreatableTopic<'_>, validate_only: bool) -> ErrorCode {
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only };
    let answer = client.call(&request, &[]).unwrap();
    let found = answer.view().topics.first().unwrap();
    ErrorCode::from_code(found.error_code).unwrap()
}

/// Whether the broker says that it has no such topic.
fn is_gone(client: &mut Client, name: &str) -> Option<()> {
    match client.topic(name, false) {
        Ok(_) => None,
        Err(error) => {
            assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition), "{error}");
            Some(())
        }
    }
}

#[test]
fn a_topic_that_nobody_made_is_made_when_it_is_asked_for() {
    let broker = Broker::start();
    let (name, mut client) = (fresh_name("auto"), broker.client());
    assert!(is_gone(&mut client, &name).is_some(), "looking alone makes nothing");
    let first = client.topic(&name, true);
    assert!(first.is_ok() || first.is_err_and(|error| error.is_retriable()));
    let topic = client.await_topic(&name, PATIENCE).unwrap();
    assert_eq!(topic.partition_count, 1, "num.partitions");
    assert!(!topic.id.is_zero());
    assert_eq!(append(&mut client, &name, 0, &batch(&["x"])), Offset::ZERO);
}

#[test]
fn where_topics_are_not_made_by_use_writers_and_readers_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "auto.create.topics.enable=false"];
    let broker = Process::start_with(folder.path(), free_address(), &more);
    let mut client = broker.client();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(refused(client.topic("missing", true)), unknown);
    assert_eq!(refused(client.produce("missing", 0, Acks::All, &batch(&["x"]))), unknown);
    assert!(is_gone(&mut client, "missing").is_some(), "asking made nothing");
    assert_eq!(create(&mut client, creatable("missing"), false), ErrorCode::None);
    client.await_topic("missing", PATIENCE).unwrap();
    assert_eq!(append(&mut client, "missing", 0, &batch(&["x"])), Offset::ZERO);
    assert!(broker.stop().success());
}

#[test]
fn a_name_that_kafka_refuses_is_refused_when_made_and_when_used() {
    let broker = Broker::start();
    let mut client = broker.client();
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "../up", "a\0b", "naïve", "a:b", long.as_str()] {
        let invalid = ErrorCode::InvalidTopicException;
        assert_eq!(create(&mut client, creatable(name), false), invalid, "{name:?}");
        assert_eq!(refused(client.topic(name, true)), invalid, "{name:?}");
        assert_eq!(refused(client.topic(name, false)), invalid, "{name:?}");
    }
    let longest = format!("{:x<249}", fresh_name("longest"));
    assert_eq!(create(&mut client, creatable(&longest), false), ErrorCode::None);
    client.await_topic(&longest, PATIENCE).unwrap();
    assert_eq!(append(&mut client, &longest, 0, &batch(&["x"])), Offset::ZERO);
}

#[test]
fn a_topic_whose_metrics_would_have_the_name_of_anothers_is_refused() {
    let broker = Broker::start();
    let name = broker.topic("a.b_c", 1, &[]);
    let other = name.replace("a.b_c", "a_b.c");
    let answer = create(&mut broker.client(), creatable(&other), false);
    assert_eq!(answer, ErrorCode::InvalidTopicException);
}

#[test]
fn a_topic_that_cannot_be_is_not_made() {
    let broker = Broker::start();
    let (name, mut client) = (fresh_name("impossible"), broker.client());
    let config = |key: &'static str, value: &'static str| CreatableTopicConfig {
        name: key.into(),
        value: Some(value.into()),
    };
    let with = |configs| CreatableTopic { configs, ..creatable(&name) };
    let none = CreatableTopic { num_partitions: 0, ..creatable(&name) };
    let negative = CreatableTopic { num_partitions: -2, ..creatable(&name) };
    let replicas = CreatableTopic { replication_factor: 3, ..creatable(&name) };
    let no_replicas = CreatableTopic { replication_factor: 0, ..creatable(&name) };
    for (topic, code) in [
        (none, ErrorCode::InvalidPartitions),
        (negative, ErrorCode::InvalidPartitions),
        (replicas, ErrorCode::InvalidReplicationFactor),
        (no_replicas, ErrorCode::InvalidReplicationFactor),
        (with(vec![config("no.such.setting", "1")]), ErrorCode::InvalidConfig),
        (with(vec![config("segment.bytes", "many")]), ErrorCode::InvalidConfig),
        (with(vec![config("cleanup.policy", "burn")]), ErrorCode::InvalidConfig),
    ] {
        assert_eq!(create(&mut client, topic.clone(), false), code, "{topic:?}");
    }
    assert_eq!(create(&mut client, creatable(&name), true), ErrorCode::None, "validate only");
    assert!(is_gone(&mut client, &name).is_some());
    // Twice in one request is neither.
    let request = CreateTopicsRequest {
        topics: vec![creatable(&name), creatable(&name)],
        timeout_ms: 30_000,
        validate_only: false,
    };
    let answer = client.call(&request, &[]).unwrap();
    let codes: Vec<i16> = answer.view().topics.iter().map(|topic| topic.error_code).collect();
    assert!(codes.iter().all(|code| *code == ErrorCode::InvalidRequest.code()), "{codes:?}");
    assert!(is_gone(&mut client, &name).is_some());
}

#[test]
fn every_version_of_create_topics_makes_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    for version in client.versions().common(ApiKey::CreateTopics).unwrap() {
        let name = fresh_name("by-version");
        let topic = CreatableTopic { num_partitions: 2, ..creatable(&name) };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only: false };
        let answer = client.connection().call(version, &request, &[]).unwrap();
        let found = answer.view().topics.first().unwrap();
        assert_eq!((found.name, found.error_code), (name.as_str(), 0), "version {version}");
        assert_eq!(found.topic_id.is_zero(), version < 7);
        if version >= 5 {
            assert_eq!((found.num_partitions, found.replication_factor), (2, 1));
            let configs = found.configs.expect("the topic's settings are told");
            assert!(configs.iter().any(|config| config.name == "segment.bytes"));
        }
        assert_eq!(client.await_topic(&name, PATIENCE).unwrap().partition_count, 2);
    }
}

#[test]
fn a_topic_made_again_under_its_name_is_another() {
    let broker = Broker::start();
    let (name, mut client) = (fresh_name("again"), broker.client());
    let first = client.create_topic(&name, 1, &[]).unwrap();
    assert!(!first.is_zero());
    assert_eq!(client.await_topic(&name, PATIENCE).unwrap().id, first);
    assert_eq!(refused(client.create_topic(&name, 1, &[])), ErrorCode::TopicAlreadyExists);
    append(&mut client, &name, 0, &batch(&["of the first"]));

    client.delete_topic(&name).unwrap();
    eventually("the topic is gone", || is_gone(&mut client, &name));
    assert_eq!(refused(client.delete_topic(&name)), ErrorCode::UnknownTopicOrPartition);

    let second = client.create_topic(&name, 1, &[]).unwrap();
    assert_ne!(first, second);
    let seen = eventually("the second topic is there", || {
        client.await_topic(&name, PATIENCE).ok().filter(|topic| topic.id == second)
    });
    assert_eq!(seen.partition_count, 1);
    assert!(read_from(&mut client, &name, 0, Offset::ZERO).is_empty());
    assert_eq!(append(&mut client, &name, 0, &batch(&["of the second"])), Offset::ZERO);
    let read = read_from(&mut client, &name, 0, Offset::ZERO);
    assert_eq!(values(&read), ["of the second"]);

    let newest = client.versions().newest(ApiKey::Fetch).unwrap();
    assert!(newest >= BY_ID_FROM);
    let request = fetch_request(&name, first, 0, Offset::ZERO, FetchLimits::default());
    let answer = client.connection().call(newest, &request, &[]).unwrap();
    let partition = answer.view().responses.first().unwrap().partitions.first().unwrap();
    assert_eq!(partition.error_code, ErrorCode::UnknownTopicId.code(), "the first topic's id");
}

#[test]
fn a_topic_is_known_by_its_id() {
    let broker = Broker::start();
    let (name, mut client) = (broker.topic("by-id", 3, &[]), broker.client());
    let id = client.topic_id(&name).unwrap();
    let by_id = |topic_id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id, name: None }]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let answer = client.call(&by_id(id), &[]).unwrap();
    let found = answer.view().topics.first().unwrap();
    assert_eq!((found.error_code, found.name), (0, Some(name.as_str())));
    assert_eq!(found.partitions.len(), 3);
    let answer = client.call(&by_id(unknown_id()), &[]).unwrap();
    let found = answer.view().topics.first().unwrap();
    assert_eq!(found.error_code, ErrorCode::UnknownTopicId.code());
}

#[test]
fn every_version_of_metadata_names_the_broker_and_the_topic() {
    let broker = Broker::start();
    let (name, mut client) = (broker.topic("metadata", 2, &[]), broker.client());
    for version in client.versions().common(ApiKey::Metadata).unwrap() {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                topic_id: TopicId::ZERO,
                name: Some(name.as_str().into()),
            }]),
            ..MetadataRequest::default()
        };
        let answer = client.connection().call(version, &request, &[]).unwrap();
        let view = answer.view();
        let node = view.brokers.first().unwrap();
        assert_eq!(format!("{}:{}", node.host, node.port), broker.address.to_string());
        if version >= 2 {
            assert_eq!(view.cluster_id.map(str::len), Some(22));
        }
        let topic = view.topics.first().unwrap();
        assert_eq!((topic.error_code, topic.name), (0, Some(name.as_str())), "version {version}");
        let partitions: Vec<_> = topic.partitions.iter().collect();
        assert_eq!(partitions.len(), 2);
        for partition in partitions {
            assert_eq!((partition.error_code, partition.leader_id), (0, node.node_id));
            assert_eq!(partition.replica_nodes.iter().collect::<Vec<_>>(), [node.node_id]);
            assert_eq!(partition.isr_nodes.iter().collect::<Vec<_>>(), [node.node_id]);
        }
    }
    let cluster = client.call(&DescribeClusterRequest::default(), &[]).unwrap();
    assert_eq!(cluster.view().error_code, 0);
    assert_eq!(cluster.view().brokers.len(), 1);
}

#[test]
fn metadata_without_names_tells_all_topics() {
    let broker = Broker::start();
    let names = [broker.topic("all", 1, &[]), broker.topic("all", 1, &[])];
    let topics = broker.client().topics(None, false).unwrap();
    for name in &names {
        assert!(topics.iter().any(|topic| topic.name == *name));
    }
}

#[test]
fn what_is_not_there_is_refused_in_the_words_of_each_version() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("there", 1, &[]), broker.client());
    let (id, absent) = (client.topic_id(&topic).unwrap(), fresh_name("absent"));
    let (batch, limits) = (batch(&["x"]), FetchLimits::default());
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    for version in client.versions().common(ApiKey::Produce).unwrap() {
        let by_name =
            if version >= BY_ID_FROM { ErrorCode::UnknownTopicId.code() } else { unknown };
        for (name, id, partition, code) in
            [(&topic, id, 7, unknown), (&absent, unknown_id(), 0, by_name)]
        {
            let request = produce_request(name, id, partition, Acks::All, batch.len());
            let answer = client.connection().call(version, &request, &[&batch]).unwrap();
            let found = answer.view().responses.first().unwrap();
            let found = found.partition_responses.first().unwrap();
            assert_eq!((found.error_code, found.base_offset), (code, -1), "version {version}");
        }
    }
    for version in client.versions().common(ApiKey::Fetch).unwrap() {
        let by_name =
            if version >= BY_ID_FROM { ErrorCode::UnknownTopicId.code() } else { unknown };
        for (name, id, partition, code) in
            [(&topic, id, 7, unknown), (&absent, unknown_id(), 0, by_name)]
        {
            let request = fetch_request(name, id, partition, Offset::ZERO, limits);
            let answer = client.connection().call(version, &request, &[]).unwrap();
            let view = answer.view();
            let found = view.responses.first().unwrap().partitions.first().unwrap();
            assert_eq!((view.error_code, found.error_code), (0, code), "version {version}");
            assert_eq!(found.high_watermark, -1);
        }
    }
    for (name, partition) in [(&topic, 7), (&absent, 0)] {
        let error = refused(client.list_offset(name, partition, EARLIEST));
        assert_eq!(error, ErrorCode::UnknownTopicOrPartition);
    }
}

#[test]
fn a_waiting_fetch_ends_when_its_topic_is_deleted() {
    let broker = Broker::start();
    let (topic, mut reader) = (broker.topic("deleted", 1, &[]), broker.client());
    let id = reader.topic_id(&topic).unwrap();
    let version = reader.versions().newest(ApiKey::Fetch).unwrap();
    let limits = FetchLimits { max_wait: Duration::from_secs(10), ..FetchLimits::default() };
    let request = fetch_request(&topic, id, 0, Offset::ZERO, limits);
    reader.connection().send(version, &request, &[]).unwrap();
    broker.client().delete_topic(&topic).unwrap();
    let answer = reader
        .connection()
        .receive::<highwater::protocol::write::FetchRequest<'_>>()
        .expect("it is answered, at the latest when its time is over");
    let view = answer.view();
    let found = view.responses.first().and_then(|topic| topic.partitions.first());
    let code = found.map_or(view.error_code, |found| found.error_code);
    let known = [0, ErrorCode::UnknownTopicId.code(), ErrorCode::UnknownTopicOrPartition.code()];
    assert!(known.contains(&code), "{code}");
}
