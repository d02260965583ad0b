//! What one core has answered every core has: a topic that was made, configured, used or deleted
//! through one connection is so for all others at once. Connections are dealt out to the cores in
//! turn, and a topic's partitions lie on all of them.

mod process;

use highwater::cli::client::{Acks, Client, FetchLimits, fetch_request, produce_request};
use highwater::model::{ErrorCode, Offset, TopicId};
use highwater::protocol::ApiKey;
use highwater::protocol::write::describe_configs::DescribeConfigsResource;
use highwater::protocol::write::metadata::MetadataRequestTopic;
use highwater::protocol::write::{
    DescribeConfigsRequest, FetchRequest, MetadataRequest, ProduceRequest,
};
use process::{Broker, batch, fresh_name};
use std::time::Duration;

/// Enough for each core of a small machine to have two.
const CLIENTS: usize = 4;
const PARTITIONS: i32 = 4;
const ROUNDS: usize = 100;
const TOPIC: i8 = 2;
const RETENTION: &str = "retention.ms";

/// What a core says of a topic.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Codes of a produce to and a fetch from each partition.
    data: Vec<ErrorCode>,
    metadata: ErrorCode,
    configs: ErrorCode,
    retention: Option<String>,
}

impl Seen {
    fn there(retention: &str) -> Self {
        let data = vec![ErrorCode::None; 2 * PARTITIONS as usize];
        let retention = Some(retention.to_owned());
        Self { data, metadata: ErrorCode::None, configs: ErrorCode::None, retention }
    }

    fn gone() -> Self {
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let data = vec![ErrorCode::UnknownTopicId; 2 * PARTITIONS as usize];
        Self { data, metadata: unknown, configs: unknown, retention: None }
    }
}

/// Sends all that needs the topic ahead, so that it is asked for as soon as can be.
fn ask(client: &mut Client, name: &str, id: TopicId, records: &[u8]) {
    let newest = |api| client.versions().newest(api).unwrap();
    let (produce, fetch) = (newest(ApiKey::Produce), newest(ApiKey::Fetch));
    let (metadata, configs) = (newest(ApiKey::Metadata), newest(ApiKey::DescribeConfigs));
    let connection = client.connection();
    let no_wait = FetchLimits { max_wait: Duration::ZERO, ..FetchLimits::default() };
    for partition in 0..PARTITIONS {
        let request = produce_request(name, id, partition, Acks::All, records.len());
        connection.send(produce, &request, &[records]).unwrap();
        let request = fetch_request(name, id, partition, Offset::ZERO, no_wait);
        connection.send(fetch, &request, &[]).unwrap();
    }
    connection.send(metadata, &metadata_of(name, false), &[]).unwrap();
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: name.into(),
        configuration_keys: Some(vec![RETENTION.into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    connection.send(configs, &request, &[]).unwrap();
}

fn metadata_of(name: &str, create: bool) -> MetadataRequest<'_> {
    let topic = MetadataRequestTopic { topic_id: TopicId::ZERO, name: Some(name.into()) };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: create,
        ..MetadataRequest::default()
    }
}

fn hear(client: &mut Client) -> Seen {
    let code = |code| ErrorCode::from_code(code).unwrap();
    let connection = client.connection();
    let mut data = Vec::new();
    for _ in 0..PARTITIONS {
        let answer = connection.receive::<ProduceRequest<'_>>().unwrap();
        let topic = answer.view().responses.first().unwrap();
        data.push(code(topic.partition_responses.first().unwrap().error_code));
        let answer = connection.receive::<FetchRequest<'_>>().unwrap();
        assert_eq!(answer.view().error_code, 0);
        let topic = answer.view().responses.first().unwrap();
        data.push(code(topic.partitions.first().unwrap().error_code));
    }
    let answer = connection.receive::<MetadataRequest<'_>>().unwrap();
    let metadata = code(answer.view().topics.first().unwrap().error_code);
    let answer = connection.receive::<DescribeConfigsRequest<'_>>().unwrap();
    let result = answer.view().results.first().unwrap();
    let retention = result.configs.first().and_then(|config| config.value.map(str::to_owned));
    Seen { data, metadata, configs: code(result.error_code), retention }
}

/// Asks everybody at once, and whoever changed the topic first of all.
fn check_all(clients: &mut [Client], maker: usize, name: &str, id: TopicId, expected: &Seen) {
    let records = batch(&["x"]);
    for step in 0..clients.len() {
        let asked = (maker + 1 + step) % clients.len();
        ask(&mut clients[asked], name, id, &records);
    }
    for (index, client) in clients.iter_mut().enumerate() {
        assert_eq!(hear(client), *expected, "connection {index} of a change through {maker}");
    }
}

fn clients(broker: &Broker) -> Vec<Client> {
    (0..CLIENTS).map(|_| broker.client()).collect()
}

#[test]
fn a_topic_that_one_core_has_made_and_deleted_is_so_on_every_core() {
    let broker = Broker::start();
    let mut clients = clients(&broker);
    let name = fresh_name("every-core");
    let mut before = TopicId::ZERO;
    for round in 0..ROUNDS {
        let (maker, ender) = (round % CLIENTS, (round + 1 + round / CLIENTS) % CLIENTS);
        let retention = (3_600_000 + round).to_string();
        let configs = [(RETENTION, retention.as_str())];
        // Under the same name each time: what is known of the one before is of no use.
        let id = clients[maker].create_topic(&name, PARTITIONS, &configs).unwrap();
        assert_ne!(id, before);
        check_all(&mut clients, maker, &name, id, &Seen::there(&retention));
        clients[ender].delete_topic(&name).unwrap();
        check_all(&mut clients, ender, &name, id, &Seen::gone());
        before = id;
    }
}

#[test]
fn a_topic_that_use_has_made_on_one_core_can_be_used_on_every_core() {
    let folder = tempfile::tempdir().unwrap();
    let count = format!("num.partitions={PARTITIONS}");
    let settings = ["--override", &count, "--override", "log.retention.ms=5000000"];
    let process = process::Process::start_with(folder.path(), process::free_address(), &settings);
    let broker = Broker { address: process.address, process: Some(process) };
    let mut clients = clients(&broker);
    for round in 0..ROUNDS {
        let (maker, name) = (round % CLIENTS, fresh_name("used"));
        let answer = clients[maker].call(&metadata_of(&name, true), &[]).unwrap();
        let topic = answer.view().topics.first().unwrap();
        assert_eq!((topic.error_code, topic.partitions.len()), (0, PARTITIONS as usize));
        let id = topic.topic_id;
        check_all(&mut clients, maker, &name, id, &Seen::there("5000000"));
    }
}
