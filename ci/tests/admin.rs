//! What admin tools ask of a running broker: topics grow, settings change and take effect at once,
//! records go, and what one node has to say of brokers, logs and the quorum.
//!
//! Refusals in Kafka's words are asked version by version in `ci/clients/check_admin.py`, which runs
//! against a real Kafka too.

mod process;

use highwater::cli::client::{Acks, Client, EARLIEST, FetchLimits, LATEST};
use highwater::cli::client_error::ClientError;
use highwater::model::{ErrorCode, Offset, ResourceType};
use highwater::protocol::ApiKey;
use highwater::protocol::write::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use highwater::protocol::write::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use highwater::protocol::write::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use highwater::protocol::write::describe_configs::DescribeConfigsResource;
use highwater::protocol::write::describe_producers::ProducersTopic;
use highwater::protocol::write::describe_quorum::{QuorumPartition, QuorumTopic};
use highwater::protocol::write::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig,
};
use highwater::protocol::write::{
    AlterConfigsRequest, AlterReplicaLogDirsRequest, CreatePartitionsRequest, DeleteRecordsRequest,
    DescribeConfigsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
    DescribeQuorumRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    SaslHandshakeRequest,
};
use process::{
    Broker, PATIENCE, Process, append, batch, batch_by, eventually, free_address, fresh_name,
    producer_id, read_from, refused, values,
};
use std::collections::BTreeMap;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
/// Kafka's numbers of where a value comes from.
const FROM_TOPIC: i8 = 1;
const FROM_ALL_BROKERS: i8 = 3;
const FROM_DEFAULT: i8 = 5;

// --- asking -------------------------------------------------------------------------------------

fn grow(
    client: &mut Client,
    version: i16,
    topic: &str,
    count: i32,
    validate_only: bool,
) -> ErrorCode {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: topic.into(), count, assignments: None }],
        timeout_ms: 30_000,
        validate_only,
    };
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let found = answer.view().results.first().unwrap();
    assert_eq!(found.name, topic);
    ErrorCode::from_code(found.error_code).unwrap()
}

fn resource<'a>(
    kind: ResourceType,
    name: &'a str,
    changes: &[(&'a str, i8, Option<&'a str>)],
) -> AlterConfigsResource<'a> {
    let config = |&(key, config_operation, value): &(&'a str, i8, Option<&'a str>)| {
        AlterableConfig { name: key.into(), config_operation, value: value.map(Into::into) }
    };
    AlterConfigsResource {
        resource_type: kind.code(),
        resource_name: name.into(),
        configs: changes.iter().map(config).collect(),
    }
}

/// Changes one resource's settings; what it was refused with.
fn alter(
    client: &mut Client,
    kind: ResourceType,
    name: &str,
    changes: &[(&str, i8, Option<&str>)],
) -> Result<(), (ErrorCode, String)> {
    let resources = vec![resource(kind, name, changes)];
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    let answer = client.call(&request, &[]).unwrap();
    let found = answer.view().responses.first().unwrap();
    assert_eq!((found.resource_type, found.resource_name), (kind.code(), name));
    match ErrorCode::from_code(found.error_code).unwrap() {
        ErrorCode::None => Ok(()),
        code => Err((code, found.error_message.unwrap_or_default().to_owned())),
    }
}

/// One line a setting, as `ci/clients/record_settings.py` writes it, by key; and value and source.
struct Settings(BTreeMap<String, Setting>);

struct Setting {
    value: Option<String>,
    source: i8,
    facts: String,
    defaults: String,
}

fn settings(client: &mut Client, kind: ResourceType, name: &str) -> Settings {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind.code(),
            resource_name: name.into(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer = client.call(&request, &[]).unwrap();
    let found = answer.view().results.first().unwrap();
    assert_eq!((found.error_code, found.error_message), (0, Some("")));
    let mut settings = BTreeMap::new();
    for config in found.configs {
        let text = |value: Option<&str>| value.unwrap_or("<null>").to_owned();
        let defaults = config.synonyms.iter().filter(|s| s.source == FROM_DEFAULT);
        let defaults: Vec<_> = defaults.map(|s| format!("{}={}", s.name, text(s.value))).collect();
        let documentation = config.documentation.expect("asked for");
        assert!(!documentation.is_empty(), "{}", config.name);
        let setting = Setting {
            value: config.value.map(str::to_owned),
            source: config.config_source,
            facts: format!("{}\t{}\t{}", config.config_type, config.read_only, config.is_sensitive),
            defaults: defaults.join(" "),
        };
        assert!(settings.insert(config.name.to_owned(), setting).is_none(), "{}", config.name);
    }
    Settings(settings)
}

impl Settings {
    fn value(&self, key: &str) -> (Option<&str>, i8) {
        let setting = &self.0[key];
        (setting.value.as_deref(), setting.source)
    }
}

fn delete_records(client: &mut Client, version: i16, topic: &str, offset: i64) -> (ErrorCode, i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic { name: topic.into(), partitions }],
        timeout_ms: 30_000,
    };
    let answer = client.connection().call(version, &request, &[]).unwrap();
    let found = answer.view().topics.first().unwrap().partitions.first().unwrap();
    (ErrorCode::from_code(found.error_code).unwrap(), found.low_watermark)
}

fn node(client: &mut Client) -> String {
    use highwater::protocol::write::DescribeClusterRequest;
    let answer = client.call(&DescribeClusterRequest::default(), &[]).unwrap();
    answer.view().brokers.first().unwrap().broker_id.to_string()
}

fn produce(client: &mut Client, topic: &str, records: &[u8]) -> Result<(), ClientError> {
    client.produce(topic, 0, Acks::All, records).map(drop)
}

// --- partitions ---------------------------------------------------------------------------------

#[test]
fn new_partitions_take_records_as_soon_as_the_answer_is_there() {
    let broker = Broker::start();
    let mut client = broker.client();
    for version in client.versions().common(ApiKey::CreatePartitions).unwrap() {
        let topic = broker.topic("grow", 1, &[]);
        assert_eq!(grow(&mut client, version, &topic, 40, true), ErrorCode::None);
        assert_eq!(client.topic(&topic, false).unwrap().partition_count, 1, "only checked");
        assert_eq!(grow(&mut client, version, &topic, 40, false), ErrorCode::None);
        if broker.process.is_none() {
            // Kafka answers before the leaders know.
            eventually("all are there", || {
                let topic = client.await_topic(&topic, PATIENCE).ok()?;
                (topic.partition_count == 40).then_some(())
            });
        }
        for partition in [0, 1, 17, 39] {
            let base = append(&mut client, &topic, partition, &batch(&["x"]));
            assert_eq!(base, Offset::ZERO, "partition {partition}");
        }
    }
}

#[test]
fn partitions_are_never_taken_away() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("shrink", 3, &[]), broker.client());
    for version in client.versions().common(ApiKey::CreatePartitions).unwrap() {
        for count in [i32::MIN, -1, 0, 1, 2, 3] {
            let code = grow(&mut client, version, &topic, count, false);
            assert_eq!(code, ErrorCode::InvalidPartitions, "to {count}");
        }
        let absent = fresh_name("absent");
        let code = grow(&mut client, version, &absent, 3, false);
        assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
    }
    assert_eq!(client.topic(&topic, false).unwrap().partition_count, 3);
}

#[test]
fn partitions_that_were_added_outlive_the_process() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("grown", 1, &[]).unwrap();
    let node = node(&mut client).parse().unwrap();
    let assignment = CreatePartitionsAssignment { broker_ids: vec![node] };
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "grown".into(),
            count: 3,
            assignments: Some(vec![assignment; 2]),
        }],
        timeout_ms: 30_000,
        validate_only: false,
    };
    let answer = client.call(&request, &[]).unwrap();
    assert_eq!(answer.view().results.first().unwrap().error_code, 0);
    client.await_topic("grown", PATIENCE).unwrap();
    append(&mut client, "grown", 2, &batch(&["kept"]));
    broker.kill();
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    assert_eq!(client.await_topic("grown", PATIENCE).unwrap().partition_count, 3);
    let read = read_from(&mut client, "grown", 2, Offset::ZERO);
    assert_eq!(values(&read), ["kept"]);
}

// --- settings -----------------------------------------------------------------------------------

#[test]
fn a_topics_settings_take_effect_at_once() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("live", 1, &[]), broker.client());
    let large = batch(&["x".repeat(5000).as_str()]);
    produce(&mut client, &topic, &large).unwrap();
    let kind = ResourceType::Topic;
    alter(&mut client, kind, &topic, &[("max.message.bytes", SET, Some("1000"))]).unwrap();
    eventually("large batches are refused", || {
        let error = produce(&mut client, &topic, &large).err()?;
        assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
        Some(())
    });
    alter(&mut client, kind, &topic, &[("max.message.bytes", DELETE, None)]).unwrap();
    eventually("large batches are taken", || produce(&mut client, &topic, &large).ok());
    // Compaction needs keys.
    alter(&mut client, kind, &topic, &[("cleanup.policy", APPEND, Some("compact"))]).unwrap();
    let found = settings(&mut client, kind, &topic);
    assert_eq!(found.value("cleanup.policy"), (Some("delete,compact"), FROM_TOPIC));
    eventually("records without a key are refused", || {
        let error = produce(&mut client, &topic, &batch(&["no key"])).err()?;
        assert_eq!(error.code(), Some(ErrorCode::InvalidRecord), "{error}");
        Some(())
    });
}

#[test]
fn what_is_set_for_all_brokers_reaches_their_topics_and_outlives_the_process() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("follows", 4, &[]).unwrap();
    client.create_topic("own", 1, &[("max.message.bytes", "2000000")]).unwrap();
    for topic in ["follows", "own"] {
        client.await_topic(topic, PATIENCE).unwrap();
    }
    let changes = [("message.max.bytes", SET, Some("1000")), ("max.connections", SET, Some("50"))];
    alter(&mut client, ResourceType::Broker, "", &changes).unwrap();
    let large = batch(&["x".repeat(5000).as_str()]);
    let check = |client: &mut Client| {
        for partition in 0..4 {
            eventually("large batches are refused", || {
                let result = client.produce("follows", partition, Acks::All, &large);
                (result.err()?.code() == Some(ErrorCode::MessageTooLarge)).then_some(())
            });
        }
        produce(client, "own", &large).unwrap();
        let found = settings(client, ResourceType::Topic, "follows");
        assert_eq!(found.value("max.message.bytes"), (Some("1000"), FROM_ALL_BROKERS));
        let node = node(client);
        let found = settings(client, ResourceType::Broker, &node);
        assert_eq!(found.value("max.connections"), (Some("50"), FROM_ALL_BROKERS));
    };
    check(&mut client);
    broker.kill();
    let broker = Process::start_in(folder.path(), address);
    check(&mut broker.client());
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("unknown", 1, &[]), broker.client());
    let change = [("retention.ms", SET, Some("1000")), ("retention.msec", SET, Some("1000"))];
    let (code, message) = alter(&mut client, ResourceType::Topic, &topic, &change).unwrap_err();
    assert_eq!(code, ErrorCode::InvalidConfig);
    assert!(message.contains("retention.msec"), "{message}");
    let found = settings(&mut client, ResourceType::Topic, &topic);
    assert_eq!(found.value("retention.ms"), (Some("604800000"), FROM_DEFAULT), "all or nothing");
    if broker.process.is_some() {
        // A Kafka keeps it, for plugins; there are none here.
        let change = [("log.retention.msec", SET, Some("1000"))];
        let (code, message) = alter(&mut client, ResourceType::Broker, "", &change).unwrap_err();
        assert_eq!(code, ErrorCode::InvalidConfig);
        assert!(message.contains("log.retention.msec"), "{message}");
    }
}

#[test]
fn alter_configs_takes_away_what_it_does_not_name() {
    use highwater::protocol::write::alter_configs::{
        AlterConfigsResource as Resource, AlterableConfig as Config,
    };
    let broker = Broker::start();
    let topic = broker.topic("replaced", 1, &[("segment.ms", "5000"), ("flush.ms", "7000")]);
    let mut client = broker.client();
    let config = Config { name: "flush.ms".into(), value: Some("8000".into()) };
    let request = AlterConfigsRequest {
        resources: vec![Resource {
            resource_type: ResourceType::Topic.code(),
            resource_name: topic.as_str().into(),
            configs: vec![config],
        }],
        validate_only: false,
    };
    let answer = client.call(&request, &[]).unwrap();
    assert_eq!(answer.view().responses.first().unwrap().error_code, 0);
    eventually("both have changed", || {
        let found = settings(&mut client, ResourceType::Topic, &topic);
        (found.value("flush.ms") == (Some("8000"), FROM_TOPIC)).then_some(())?;
        (found.value("segment.ms") == (Some("604800000"), FROM_DEFAULT)).then_some(())
    });
}

/// Keys that we tell and Kafka 4.3.1 does not.
fn is_ours_alone(key: &str) -> bool {
    key.starts_with("highwater.")
}

#[test]
fn every_setting_of_kafka_is_told_with_its_type_default_and_synonyms() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("told", 1, &[]), broker.client());
    let node = node(&mut client);
    let mut expected: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
    for line in include_str!("../golden/settings.tsv").lines() {
        let words: Vec<&str> = line.split('\t').collect();
        assert_eq!(words.len(), 7, "{line}");
        expected.entry(words[0]).or_default().push(words);
    }
    for (kind, name, word) in [
        (ResourceType::Topic, topic.as_str(), "topic"),
        (ResourceType::Broker, node.as_str(), "broker"),
        (ResourceType::Group, "nobody", "group"),
    ] {
        let mut found = settings(&mut client, kind, name);
        for words in &expected[word] {
            let (key, facts) = (words[1], words[2..5].join("\t"));
            let setting = found.0.remove(key).unwrap_or_else(|| panic!("{key} is missing"));
            assert_eq!(setting.facts, facts, "type, read-only and secret of {word} {key}");
            // What the recorded Kafka's file set says nothing of defaults that have none there.
            let is_set = words[5] == "<set>";
            if !(is_set && words[6].is_empty()) {
                assert_eq!(setting.defaults, words[6], "defaults of {word} {key}");
            }
            if !is_set && setting.source == FROM_DEFAULT {
                let value = setting.value.as_deref().unwrap_or("<null>");
                assert_eq!(value, words[5], "value of {word} {key}");
            }
        }
        let more: Vec<_> = found.0.keys().filter(|key| !is_ours_alone(key)).collect();
        assert!(more.is_empty(), "{word}: {more:?} are not Kafka's");
    }
}

// --- records ------------------------------------------------------------------------------------

#[test]
fn deleted_records_are_not_read_again() {
    let broker = Broker::start();
    let mut client = broker.client();
    for version in client.versions().common(ApiKey::DeleteRecords).unwrap() {
        let topic = broker.topic("deleted", 1, &[]);
        let texts: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        for text in &texts {
            append(&mut client, &topic, 0, &batch(&[text]));
        }
        assert_eq!(delete_records(&mut client, version, &topic, 4), (ErrorCode::None, 4));
        assert_eq!(client.list_offset(&topic, 0, EARLIEST).unwrap().offset, Offset(4));
        assert_eq!(client.list_offset(&topic, 0, LATEST).unwrap().offset, Offset(10));
        let below = client.fetch(&topic, 0, Offset(3), FetchLimits::default());
        assert_eq!(refused(below), ErrorCode::OffsetOutOfRange);
        assert_eq!(values(&read_from(&mut client, &topic, 0, Offset(4))), texts[4..]);
        assert_eq!(delete_records(&mut client, version, &topic, 2), (ErrorCode::None, 4));
        let out_of_range = (ErrorCode::OffsetOutOfRange, -1);
        for offset in [11, i64::MAX, -2, i64::MIN] {
            assert_eq!(delete_records(&mut client, version, &topic, offset), out_of_range);
        }
        assert_eq!(delete_records(&mut client, version, &topic, -1), (ErrorCode::None, 10));
        assert_eq!(append(&mut client, &topic, 0, &batch(&["new"])), Offset(10));
    }
}

#[test]
fn records_of_many_partitions_are_deleted_by_one_request() {
    let broker = Broker::start();
    let mut client = broker.client();
    let topics = ["many-a", "many-b"].map(|name| broker.topic(name, 8, &[]));
    for (topic, partition) in topics.iter().flat_map(|topic| (0..8).map(move |p| (topic, p))) {
        append(&mut client, topic, partition, &batch(&["0", "1", "2", "3"]));
    }
    // The last offset that is named for a partition counts; 8 is none, 7 is asked for too much.
    let wanted = |_: &String| (0..9).map(|n| (n, if n == 7 { 5 } else { i64::from(n % 5) }));
    let asked = topics.iter().map(|topic| DeleteRecordsTopic {
        name: topic.as_str().into(),
        partitions: std::iter::once((0, 4))
            .chain(wanted(topic))
            .map(|(partition_index, offset)| DeleteRecordsPartition { partition_index, offset })
            .collect(),
    });
    let request = DeleteRecordsRequest { topics: asked.collect(), timeout_ms: 30_000 };
    let answer = client.call(&request, &[]).unwrap();
    let mut told = BTreeMap::new();
    for topic in answer.view().topics {
        for partition in topic.partitions {
            let key = (topic.name.to_owned(), partition.partition_index);
            let code = ErrorCode::from_code(partition.error_code).unwrap();
            assert!(told.insert(key, (code, partition.low_watermark)).is_none());
        }
    }
    assert_eq!(told.len(), 2 * 9);
    for (topic, (partition, offset)) in
        topics.iter().flat_map(|topic| wanted(topic).map(move |wanted| (topic, wanted)))
    {
        let expected = match partition {
            7 => (ErrorCode::OffsetOutOfRange, -1),
            8 => (ErrorCode::UnknownTopicOrPartition, -1),
            _ => (ErrorCode::None, offset),
        };
        assert_eq!(told[&(topic.clone(), partition)], expected, "{topic}-{partition}");
        if partition < 8 {
            let start = if partition == 7 { 0 } else { offset };
            let found = client.list_offset(topic, partition, EARLIEST).unwrap();
            assert_eq!(found.offset, Offset(start), "{topic}-{partition}");
        }
    }
}

#[test]
fn deleted_records_stay_deleted_over_a_stop_and_over_a_crash() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut broker = Process::start_in(folder.path(), address);
    let mut client = broker.client();
    client.create_topic("kept", 1, &[]).unwrap();
    client.await_topic("kept", PATIENCE).unwrap();
    for text in ["0", "1", "2", "3", "4", "5"] {
        append(&mut client, "kept", 0, &batch(&[text]));
    }
    let newest = client.versions().newest(ApiKey::DeleteRecords).unwrap();
    for (start, is_crash) in [(2, false), (4, true)] {
        assert_eq!(delete_records(&mut client, newest, "kept", start), (ErrorCode::None, start));
        if is_crash {
            // Right after the answer: what it says is on disk.
            broker.kill();
        } else {
            assert!(broker.stop().success());
        }
        broker = Process::start_in(folder.path(), address);
        client = broker.client();
        client.await_topic("kept", PATIENCE).unwrap();
        assert_eq!(client.list_offset("kept", 0, EARLIEST).unwrap().offset, Offset(start));
        assert_eq!(client.list_offset("kept", 0, LATEST).unwrap().offset, Offset(6));
        let read = read_from(&mut client, "kept", 0, Offset(start));
        assert_eq!(values(&read).len() as i64, 6 - start);
    }
}

#[test]
fn records_of_a_compacted_topic_are_not_deleted() {
    let broker = Broker::start();
    let topic = broker.topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let mut client = broker.client();
    let newest = client.versions().newest(ApiKey::DeleteRecords).unwrap();
    let refused = (ErrorCode::PolicyViolation, -1);
    assert_eq!(delete_records(&mut client, newest, &topic, 0), refused);
}

// --- what a node says of itself -----------------------------------------------------------------

#[test]
fn the_producers_of_a_partition_are_told() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("producers", 2, &[]), broker.client());
    let (id, epoch) = producer_id(&mut client);
    for sequence in [0, 2] {
        append(&mut client, &topic, 1, &batch_by((id, epoch), sequence, &["a", "b"]));
    }
    let request = DescribeProducersRequest {
        topics: vec![ProducersTopic {
            name: topic.as_str().into(),
            partition_indexes: vec![0, 1, 2],
        }],
    };
    let answer = client.call(&request, &[]).unwrap();
    let partitions: Vec<_> = answer.view().topics.first().unwrap().partitions.iter().collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(partitions.iter().map(|p| p.error_code).collect::<Vec<_>>(), [0, 0, unknown]);
    assert!(partitions[0].active_producers.is_empty());
    let active: Vec<_> = partitions[1].active_producers.iter().collect();
    let [active] = active[..] else { panic!("one producer, not {active:?}") };
    assert_eq!((active.producer_id, active.last_sequence), (id.0, 3));
    assert_eq!((active.coordinator_epoch, active.current_txn_start_offset), (-1, -1));
}

#[test]
fn log_directories_are_told_with_the_bytes_that_were_written() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("sizes", 8, &[]), broker.client());
    let records = batch(&["some bytes"]);
    for partition in 0..8 {
        for _ in 0..partition {
            append(&mut client, &topic, partition, &records);
        }
    }
    let answer = client.call(&DescribeLogDirsRequest { topics: None }, &[]).unwrap();
    let view = answer.view();
    let mut sizes = BTreeMap::new();
    for dir in view.results {
        assert!(dir.error_code == 0 && dir.log_dir.starts_with('/'));
        assert!(dir.total_bytes >= dir.usable_bytes && dir.usable_bytes > 0);
        for found in dir.topics.iter().filter(|found| found.name == topic) {
            sizes.extend(found.partitions.iter().map(|p| (p.partition_index, p.partition_size)));
        }
    }
    let expected: BTreeMap<i32, i64> =
        (0..8).map(|n| (n, i64::from(n) * records.len() as i64)).collect();
    assert_eq!(sizes, expected);
}

#[test]
fn a_replica_does_not_move_to_another_directory() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let dirs = ["a", "b"].map(|name| folder.path().join(name).display().to_string());
    let log_dirs = format!("log.dirs={},{}", dirs[0], dirs[1]);
    let broker = Process::start_with(folder.path(), address, &["--override", &log_dirs]);
    let mut client = broker.client();
    client.create_topic("stays", 1, &[]).unwrap();
    client.await_topic("stays", PATIENCE).unwrap();
    let answer = client.call(&DescribeLogDirsRequest { topics: None }, &[]).unwrap();
    let view = answer.view();
    assert_eq!(view.results.len(), 2);
    for dir in view.results {
        let is_home = dir.topics.iter().any(|topic| topic.name == "stays");
        let request = AlterReplicaLogDirsRequest {
            dirs: vec![AlterReplicaLogDir {
                path: dir.log_dir.into(),
                topics: vec![AlterReplicaLogDirTopic { name: "stays".into(), partitions: vec![0] }],
            }],
        };
        let answer = client.call(&request, &[]).unwrap();
        let found = answer.view().results.first().unwrap().partitions.first().unwrap();
        let expected = if is_home { ErrorCode::None } else { ErrorCode::InvalidRequest };
        assert_eq!(found.error_code, expected.code(), "to {}", dir.log_dir);
    }
    broker.says("moves between log directories are not served yet");
}

#[test]
fn this_node_leads_the_quorum_of_one_and_its_log_grows() {
    let broker = Broker::start();
    let mut client = broker.client();
    let request = DescribeQuorumRequest {
        topics: vec![QuorumTopic {
            topic_name: "__cluster_metadata".into(),
            partitions: vec![QuorumPartition { partition_index: 0 }],
        }],
    };
    let node: i32 = node(&mut client).parse().unwrap();
    let end = |client: &mut Client| {
        let answer = client.call(&request, &[]).unwrap();
        let found = answer.view().topics.first().unwrap().partitions.first().unwrap();
        assert_eq!((found.error_code, found.leader_id), (0, node));
        let voter = found.current_voters.first().unwrap();
        assert_eq!((voter.replica_id, found.current_voters.len()), (node, 1));
        assert_eq!(voter.log_end_offset, found.high_watermark);
        found.high_watermark
    };
    let before = end(&mut client);
    let topic = broker.topic("in-the-log", 3, &[]);
    let after = end(&mut client);
    assert!(after >= before + 4, "{topic} and its partitions are records: {before} to {after}");
}

#[test]
fn what_has_settings_is_listed() {
    let broker = Broker::start();
    let (topic, mut client) = (broker.topic("listed", 1, &[]), broker.client());
    let group = fresh_name("group");
    let change = [("consumer.session.timeout.ms", SET, Some("50000"))];
    alter(&mut client, ResourceType::Group, &group, &change).unwrap();
    eventually("topic and group are listed", || {
        let request = ListConfigResourcesRequest { resource_types: Vec::new() };
        let answer = client.call(&request, &[]).unwrap();
        assert_eq!(answer.view().error_code, 0);
        let found: Vec<_> = answer.view().config_resources.iter().collect();
        let has = |kind: ResourceType, name: &str| {
            found.iter().any(|f| f.resource_type == kind.code() && f.resource_name == name)
        };
        (has(ResourceType::Topic, &topic) && has(ResourceType::Group, &group)).then_some(())
    });
}

#[test]
fn sasl_is_refused_and_the_connection_lives_on() {
    let broker = Broker::start();
    let mut client = broker.client();
    for version in client.versions().common(ApiKey::SaslHandshake).unwrap() {
        let request = SaslHandshakeRequest { mechanism: "PLAIN".into() };
        let answer = client.connection().call(version, &request, &[]).unwrap();
        assert_eq!(answer.view().error_code, ErrorCode::IllegalSaslState.code());
        assert!(client.topics(None, false).is_ok());
    }
}
