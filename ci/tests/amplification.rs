//! Small requests for large answers: what they take stays within bounds, measured as the most
//! memory that the process ever had, and others are served.

mod process;

use highwater::cli::client::{Acks, Client, produce_request};
use highwater::cli::connection::Connection;
use highwater::model::{ErrorCode, TopicId};
use highwater::protocol::write::describe_configs::DescribeConfigsResource;
use highwater::protocol::write::elect_leaders::ElectionTopic;
use highwater::protocol::write::incremental_alter_configs::AlterConfigsResource;
use highwater::protocol::write::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use highwater::protocol::write::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use highwater::protocol::write::produce::PartitionProduceData;
use highwater::protocol::write::{
    DescribeConfigsRequest, ElectLeadersRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
    ProduceRequest,
};
use highwater::protocol::{ApiKey, Encode, RequestHeader, Writer};
use process::{Broker, PATIENCE, Process, append, batch, eventually, free_address};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const MIB: u64 = 1 << 20;
/// Elements that the arrays of a request may have, and Kafka's clients never do.
const PARTS_MAX: usize = 130_000;

struct Watched {
    broker: Broker,
    client: Client,
    topic: String,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start_with(folder.path(), free_address(), &["--cores", "1"]);
        let broker = Broker { address: process.address, process: Some(process) };
        let topic = broker.topic("watched", 1, &[]);
        let mut client = broker.client();
        append(&mut client, &topic, 0, &batch(&["warm"]));
        Self { broker, client, topic, _folder: folder }
    }

    fn process(&self) -> &Process {
        self.broker.process.as_ref().unwrap()
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process().pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Time of processors that the process has used for itself, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.process().pid());
        let stat = std::fs::read_to_string(path).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse().unwrap()
    }

    /// How much more memory than before the process had at most while `work` ran; a bystander's
    /// request that comes meanwhile or after it is answered.
    fn growth(&mut self, work: impl FnOnce(&Broker)) -> u64 {
        // 5 sets the peak back to what is resident now.
        std::fs::write(format!("/proc/{}/clear_refs", self.process().pid()), "5").unwrap();
        let before = self.status("VmRSS");
        work(&self.broker);
        append(&mut self.client, &self.topic, 0, &batch(&["served"]));
        let peak = self.status("VmHWM");
        println!("{} MiB more at most", peak.saturating_sub(before) / MIB);
        peak.saturating_sub(before)
    }
}

/// A produce of so many parts of six bytes, without records.
fn tiny_parts(topic: &str, count: usize) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader {
        api: ApiKey::Produce,
        version: 9,
        correlation_id: 1,
        client_id: Some("tiny"),
    };
    let start = header.begin(&mut writer);
    let mut request = ProduceRequest {
        acks: 1,
        topic_data: produce_request(topic, TopicId::ZERO, 0, Acks::Leader, 0).topic_data,
        ..ProduceRequest::default()
    };
    let part = |index| PartitionProduceData { index: index as i32, records: None };
    request.topic_data[0].partition_data = (0..count).map(part).collect();
    request.encode(9, &mut writer);
    writer.frame_end(start);
    writer.to_vec(|_| &[])
}

fn is_ended(connection: &mut Connection) -> bool {
    connection.receive_frame().is_err_and(|error| error.is_closed())
}

#[test]
fn a_produce_of_millions_of_parts_is_refused_before_any_is_worked_on() {
    let mut watched = Watched::start();
    let bytes = tiny_parts("nowhere", 4_000_000);
    let len = bytes.len() as u64;
    let growth = watched.growth(|broker| {
        let mut connection = broker.connection();
        connection.send_bytes(&bytes).unwrap();
        assert!(is_ended(&mut connection));
    });
    assert!(growth < len + 16 * MIB, "{growth} for {len} bytes");
    watched.process().says("more are allowed in all arrays together");
}

#[test]
fn the_largest_produce_is_answered_and_many_at_once_take_little_more_than_one() {
    let mut watched = Watched::start();
    let bytes = tiny_parts("nowhere", PARTS_MAX);
    let one = watched.growth(|broker| {
        let mut connection = broker.connection();
        connection.send_bytes(&bytes).unwrap();
        let answer = connection.receive_frame().unwrap();
        assert!(answer.len() > PARTS_MAX * 30);
    });
    assert!(one < 100 * MIB, "{one} for {} bytes", bytes.len());
    let many = watched.growth(|broker| {
        // Sent by one and read by another: the broker stops reading while nobody reads it.
        let mut reader = TcpStream::connect(broker.address).unwrap();
        reader.set_read_timeout(Some(PATIENCE)).unwrap();
        reader.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut sender = reader.try_clone().unwrap();
        let all = bytes.repeat(15);
        std::thread::scope(|scope| {
            scope.spawn(|| sender.write_all(&all).unwrap());
            for _ in 0..15 {
                let mut size = [0; 4];
                reader.read_exact(&mut size).unwrap();
                let mut answer = vec![0; u32::from_be_bytes(size) as usize];
                reader.read_exact(&mut answer).unwrap();
            }
        });
    });
    assert!(many < 160 * MIB, "{many} for 15 times {} bytes", bytes.len());
}

#[test]
fn metadata_of_everything_is_not_piled_up_for_a_client_that_does_not_read() {
    let mut watched = Watched::start();
    let wide = watched.broker.topic("wide", 9000, &[]);
    let version = watched.client.versions().newest(ApiKey::Metadata).unwrap();
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let mut connection = watched.broker.connection();
    let growth = watched.growth(|broker| {
        for _ in 0..256 {
            connection.send(version, &all, &[]).unwrap();
        }
        // Until it has done what it will: another's requests were answered in turn.
        let mut other = broker.client();
        for _ in 0..50 {
            other.topics(Some(&[&wide]), false).unwrap();
        }
    });
    // The answers would be 90 MiB, and three times that while they are made.
    assert!(growth < 64 * MIB, "{growth}");
    for _ in 0..256 {
        let answer = connection.receive_frame().unwrap();
        assert!(answer.len() > 9000 * 25, "{}", answer.len());
    }
}

#[test]
fn settings_of_one_resource_two_thousand_times_have_a_largest_answer() {
    let mut watched = Watched::start();
    let resource = DescribeConfigsResource {
        resource_type: 4,
        // node.id where nothing sets it; without a name only what is set for all brokers is told.
        resource_name: "1".into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource; 2_000],
        include_synonyms: true,
        include_documentation: true,
    };
    let growth = watched.growth(|broker| {
        let mut connection = broker.connection();
        for _ in 0..2 {
            connection.send(4, &request, &[]).unwrap();
        }
        for _ in 0..2 {
            let answer = connection.receive::<DescribeConfigsRequest>().unwrap();
            assert!(answer.body().len() < 50 << 20, "{}", answer.body().len());
            let view = answer.view();
            assert_eq!(view.results.len(), 2_000);
            let refused = ErrorCode::PolicyViolation.code();
            let described = view.results.iter().filter(|result| result.error_code == 0).count();
            let rest = view.results.iter().filter(|result| result.error_code == refused).count();
            assert!(described > 100 && rest > 100, "{described} and {rest}");
            assert_eq!(described + rest, 2_000);
        }
    });
    // Two answers of one connection, at most: one that is sent and one that is made.
    assert!(growth < 200 * MIB, "{growth}");
}

#[test]
fn a_long_name_is_not_repeated_whole_for_each_partition() {
    let mut watched = Watched::start();
    let partitions = (0..100_000).collect();
    let topic = ElectionTopic { topic: "x".repeat(30_000).into(), partitions };
    let request = ElectLeadersRequest {
        topic_partitions: Some(vec![topic]),
        ..ElectLeadersRequest::default()
    };
    let version = watched.client.versions().newest(ApiKey::ElectLeaders).unwrap();
    let growth = watched.growth(|broker| {
        let mut connection = broker.connection();
        connection.send(version, &request, &[]).unwrap();
        let answer = connection.receive_frame().unwrap();
        assert!(answer.len() < 50 << 20, "{}", answer.len());
    });
    assert!(growth < 200 * MIB, "{growth}");
}

#[test]
fn many_names_of_loggers_are_looked_at_once_each() {
    let mut watched = Watched::start();
    let logger = |number: usize| AlterConfigsResource {
        resource_type: 8,
        resource_name: format!("no {number}").into(),
        configs: Vec::new(),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: (0..PARTS_MAX / 2).map(logger).collect(),
        validate_only: false,
    };
    let version = watched.client.versions().newest(ApiKey::IncrementalAlterConfigs).unwrap();
    let growth = watched.growth(|broker| {
        let answer = broker.connection().call(version, &request, &[]).unwrap();
        let responses = answer.view().responses;
        assert_eq!(responses.len(), PARTS_MAX / 2);
        let refused = ErrorCode::InvalidRequest.code();
        assert!(responses.iter().all(|response| response.error_code == refused));
    });
    assert!(growth < 200 * MIB, "{growth}");
}

#[test]
fn a_deletion_of_offsets_of_many_topics_takes_each_once() {
    let mut watched = Watched::start();
    let group = "many-topics";
    let find = FindCoordinatorRequest {
        coordinator_keys: vec![group.into()],
        ..FindCoordinatorRequest::default()
    };
    eventually("the group has a coordinator", || {
        let answer = watched.client.call(&find, &[]).unwrap();
        (answer.view().coordinators.first().unwrap().error_code == 0).then_some(())
    });
    let partitions =
        vec![OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() }];
    let commit = OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: watched.topic.as_str().into(),
            partitions,
            ..Default::default()
        }],
        ..Default::default()
    };
    eventually("the group has an offset", || {
        let answer = watched.client.connection().call(9, &commit, &[]).unwrap();
        let topic = answer.view().topics.first().unwrap();
        (topic.partitions.first().unwrap().error_code == 0).then_some(())
    });
    // Half of them unknown, and behind these the same one again and again.
    let count = PARTS_MAX / 4;
    let unknown = (0..count).map(|number| format!("unknown {number}"));
    let known = std::iter::repeat_n(watched.topic.clone(), count);
    let topics = unknown.chain(known).map(|name| OffsetDeleteRequestTopic {
        name: name.into(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    });
    let request = OffsetDeleteRequest { group_id: group.into(), topics: topics.collect() };
    let before = watched.ticks();
    let answer = watched.broker.connection().call(0, &request, &[]).unwrap();
    let topics = answer.view().topics;
    assert_eq!(topics.len(), count + 1);
    let codes = |code: ErrorCode| {
        let told = topics.iter().flat_map(|topic| topic.partitions);
        told.filter(|partition| partition.error_code == code.code()).count()
    };
    assert_eq!(codes(ErrorCode::UnknownTopicOrPartition), count);
    assert_eq!(codes(ErrorCode::None), count);
    // A search for each of them among all would take a debug build ten times as long.
    let took = watched.ticks() - before;
    assert!(took < 300, "{took} ticks");
}
