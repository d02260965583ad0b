//! Golden stories: commands with what comes of them below. Each is replayed at its end into a new
//! controller, which must come to the same state. Run with `BLESS=1` to write what comes of them.

use super::*;
use crate::base::Random;
use crate::config::{BrokerConfig, Properties};
use crate::model::{NodeId, TopicId, Uuid};
use crate::protocol::{Reader, read, read::MetadataRecord};
use proptest::prelude::*;
use std::fmt::Write as _;

/// A controller with its log, and a core that follows it by deltas.
pub(super) struct World {
    file: String,
    controller: Controller,
    core: Image,
    log: Vec<Records>,
    random: Random,
    epoch: i64,
}

impl World {
    pub fn new(file: &str) -> Self {
        let controller = fresh(file);
        let core = controller.image().clone();
        let random = Random::new(7);
        Self { file: file.to_owned(), controller, core, log: Vec::new(), random, epoch: -1 }
    }

    /// Appends, commits and applies one batch; the core follows.
    fn commit(&mut self, records: Records) -> Delta {
        if records.is_empty() {
            return Delta::default();
        }
        let delta = self.controller.apply_batch(records.iter()).unwrap();
        self.core.apply(&delta);
        self.log.push(records);
        delta
    }

    fn start(&mut self, dirs: usize) -> Records {
        let registration = Registration {
            incarnation: Uuid([9; 16]),
            endpoints: vec![BrokerEndpoint {
                listener: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092,
            }],
            rack: None,
            log_dirs: (1..=dirs).map(|n| Uuid([n as u8; 16])).collect(),
        };
        let offset = self.log.iter().map(Records::len).sum::<usize>() as i64;
        let plan = self.controller.on_start(&registration, offset);
        self.epoch = plan.outcome;
        plan.records
    }

    fn create<'a>(
        &mut self,
        topics: &[NewTopic<'a>],
        validate_only: bool,
    ) -> Plan<Vec<CreateOutcome<'a>>> {
        let random = &mut self.random;
        self.controller.on_create_topics(topics, validate_only, &mut || draw(random))
    }

    /// What a restart would come to.
    fn check_replay(&self) {
        let mut replayed = fresh(&self.file);
        for records in &self.log {
            replayed.apply_batch(records.iter()).unwrap();
        }
        assert_eq!(replayed, self.controller);
        assert_eq!(&self.core, self.controller.image());
    }
}

fn fresh(file: &str) -> Controller {
    let (config, _) = BrokerConfig::load(&Properties::parse(file.as_bytes()).unwrap()).unwrap();
    Controller::new("story", &config)
}

fn draw(random: &mut Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes
}

/// Runs one command; its lines after the first are its operands.
fn run(world: &mut World, command: &str) -> String {
    let mut lines = command.lines();
    let mut words = lines.next().unwrap().split(' ');
    let verb = words.next().unwrap();
    let words: Vec<_> = words.collect();
    let mut out = String::new();
    match verb {
        "config" => {
            world.check_replay();
            *world = World::new(&lines.collect::<Vec<_>>().join("\n"));
        }
        "start" => {
            let records = world.start(words.first().map_or(1, |n| n.parse().unwrap()));
            writeln!(out, "epoch {}", world.epoch).unwrap();
            commit(world, records, &mut out);
        }
        "create" => {
            let topics: Vec<_> = lines.map(new_topic).collect();
            let plan = world.create(&topics, words == ["validate"]);
            plan.outcome.iter().for_each(|o| show_created(o, &mut out));
            commit(world, plan.records, &mut out);
        }
        "auto" => {
            let random = &mut world.random;
            let plan = world.controller.on_auto_create(words, &mut || draw(random));
            plan.outcome.iter().for_each(|o| show_created(o, &mut out));
            commit(world, plan.records, &mut out);
        }
        "delete" => {
            let targets: Vec<_> = lines.map(|line| target(line, world)).collect();
            let plan = world.controller.on_delete_topics(&targets);
            for DeleteOutcome { name, id, result } in &plan.outcome {
                let what = result.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
                writeln!(out, "{} {id}: {what}", name.as_deref().unwrap_or("-")).unwrap();
            }
            commit(world, plan.records, &mut out);
        }
        "grow" => {
            let targets: Vec<_> = lines.map(grow_target).collect();
            let plan = world.controller.on_create_partitions(&targets, words == ["validate"]);
            for GrowOutcome { name, result } in &plan.outcome {
                show_result(name, result, &mut out);
            }
            commit(world, plan.records, &mut out);
        }
        "alter" | "replace" => {
            let resources: Vec<_> = lines.map(config_changes).collect();
            let unnamed = if verb == "alter" { Unnamed::Stay } else { Unnamed::Go };
            let validate_only = words == ["validate"];
            let plan = world.controller.on_alter_configs(&resources, unnamed, validate_only);
            for AlterOutcome { resource_type, resource_name, result } in &plan.outcome {
                show_result(&format!("{resource_type} {resource_name:?}"), result, &mut out);
            }
            commit(world, plan.records, &mut out);
        }
        "ids" => {
            let epoch = words.first().map_or(world.epoch, |n| n.parse().unwrap());
            let plan = world.controller.on_allocate_producer_ids(NodeId(1), epoch);
            match plan.outcome {
                Ok(block) => writeln!(out, "{} ids from {}", block.count, block.first).unwrap(),
                Err(error) => writeln!(out, "{error}").unwrap(),
            }
            commit(world, plan.records, &mut out);
        }
        "unclean" => {
            for records in world.controller.on_unclean_restart() {
                commit(world, records, &mut out);
            }
        }
        "show" => show_image(world.controller.image(), &mut out),
        other => panic!("no command {other}"),
    }
    out
}

fn commit(world: &mut World, records: Records, out: &mut String) {
    for value in records.iter() {
        let record = MetadataRecord::parse(Reader::one(value)).unwrap();
        writeln!(out, "| {}", show_record(&record)).unwrap();
    }
    for change in &world.commit(records).changes {
        let what = match change {
            Change::TopicCreated(topic) => format!("created {}", topic.name),
            Change::TopicChanged(topic) => format!("changed {}", topic.name),
            Change::TopicRemoved(topic) => format!("removed {}", topic.name),
            Change::Brokers(_) => "brokers".to_owned(),
            Change::Features(_) => "features".to_owned(),
            Change::Config(_) => "config".to_owned(),
            Change::GroupConfig(group, texts) => format!("group {group} sets {}", texts.len()),
            Change::ProducerIds(next) => format!("producer ids from {next}"),
        };
        writeln!(out, "> {what}").unwrap();
    }
}

/// `name p=3 rf=1 @0:1 @1:1,2 key=value key`
fn new_topic(line: &str) -> NewTopic<'_> {
    let mut words = line.split(' ');
    let mut topic = NewTopic::with_defaults(words.next().unwrap());
    for word in words {
        if let Some(assigned) = word.strip_prefix('@') {
            let (partition, replicas) = assigned.split_once(':').unwrap();
            let replicas = replicas.split(',').filter(|r| !r.is_empty());
            let replicas = replicas.map(|r| r.parse().unwrap()).collect();
            topic.assignments.push((partition.parse().unwrap(), replicas));
            continue;
        }
        match word.split_once('=') {
            Some(("p", n)) => topic.partitions = n.parse().unwrap(),
            Some(("rf", n)) => topic.replication_factor = n.parse().unwrap(),
            Some((key, value)) => topic.configs.push((key, Some(value))),
            None => topic.configs.push((word, None)),
        }
    }
    topic
}

/// `name count @1 @1,2`
fn grow_target(line: &str) -> GrowTarget<'_> {
    let mut words = line.split(' ');
    let name = words.next().unwrap();
    let count = words.next().unwrap().parse().unwrap();
    let replicas = |word: &str| -> Vec<i32> {
        let ids = word.strip_prefix('@').unwrap().split(',').filter(|id| !id.is_empty());
        ids.map(|id| id.parse().unwrap()).collect()
    };
    let given: Vec<_> = words.map(replicas).collect();
    GrowTarget { name, count, assignments: (!given.is_empty()).then_some(given) }
}

/// `2 name key=value key+=value key-=value -key key key%9` with the name in quotes
fn config_changes(line: &str) -> ConfigChanges<'_> {
    let (code, rest) = line.split_once(' ').unwrap();
    let (resource_name, rest) = rest.strip_prefix('"').unwrap().split_once('"').unwrap();
    let change = |word: &'static str| -> ConfigChange<'static> {
        let (key, operation, value) = match (word.strip_prefix('-'), word.split_once('=')) {
            (Some(key), _) => (key, 1, None),
            (_, Some((key, value))) => match (key.strip_suffix('+'), key.strip_suffix('-')) {
                (Some(key), _) => (key, 2, Some(value)),
                (_, Some(key)) => (key, 3, Some(value)),
                _ => (key, 0, Some(value)),
            },
            _ => match word.split_once('%') {
                Some((key, code)) => (key, code.parse().unwrap(), Some("x")),
                None => (word, 0, None),
            },
        };
        ConfigChange { key, operation, value }
    };
    let words = rest.split(' ').filter(|word| !word.is_empty());
    ConfigChanges {
        resource_type: code.parse().unwrap(),
        resource_name,
        changes: words.map(|word| change(String::leak(word.to_owned()))).collect(),
    }
}

fn show_result<E: std::fmt::Display>(name: &str, result: &Result<(), E>, out: &mut String) {
    match result {
        Ok(()) => writeln!(out, "{name}: ok").unwrap(),
        Err(error) => writeln!(out, "{name}: {error}").unwrap(),
    }
}

/// `name`, `#name` (by its id), `name#` (both), `-` (neither), `?` (an id of nobody)
fn target<'a>(line: &'a str, world: &World) -> DeleteTarget<'a> {
    let id = |name: &str| world.controller.image().topic(name).unwrap().id;
    match line {
        "-" => DeleteTarget { name: None, id: TopicId::ZERO },
        "?" => DeleteTarget { name: None, id: Uuid([8; 16]) },
        _ => match (line.strip_prefix('#'), line.strip_suffix('#')) {
            (Some(name), _) => DeleteTarget { name: None, id: id(name) },
            (_, Some(name)) => DeleteTarget { name: Some(name), id: id(name) },
            _ => DeleteTarget { name: Some(line), id: TopicId::ZERO },
        },
    }
}

fn show_created(outcome: &CreateOutcome<'_>, out: &mut String) {
    let name = outcome.name;
    match &outcome.result {
        Ok(topic) => {
            let (partitions, factor) = (topic.partitions, topic.replication_factor);
            writeln!(out, "{name}: ok {partitions} x {factor}").unwrap();
        }
        Err(error) => writeln!(out, "{name}: {error}").unwrap(),
    }
}

fn show_record(record: &MetadataRecord<'_>) -> String {
    let ids =
        |ids: &crate::protocol::Array<'_, i32>| format!("{:?}", ids.iter().collect::<Vec<_>>());
    match record {
        MetadataRecord::Topic(r) => format!("Topic {} {}", r.name, r.topic_id),
        MetadataRecord::Partition(r) => format!(
            "Partition {} replicas {} isr {} leader {} epochs {} {} directories {:?}",
            r.partition_id,
            ids(&r.replicas),
            ids(&r.isr),
            r.leader,
            r.leader_epoch,
            r.partition_epoch,
            r.directories.iter().collect::<Vec<_>>(),
        ),
        MetadataRecord::PartitionChange(r) => {
            format!("PartitionChange {} {} leader {}", r.topic_id, r.partition_id, r.leader)
        }
        MetadataRecord::Config(r) => {
            format!("Config {} {} {}={:?}", r.resource_type, r.resource_name, r.name, r.value)
        }
        MetadataRecord::RemoveTopic(r) => format!("RemoveTopic {}", r.topic_id),
        MetadataRecord::ProducerIds(r) => format!("ProducerIds up to {}", r.next_producer_id),
        MetadataRecord::FeatureLevel(r) => format!("FeatureLevel {} {}", r.name, r.feature_level),
        MetadataRecord::RegisterBroker(r) => {
            let endpoint = |e: read::register_broker_record::BrokerEndpoint<'_>| {
                format!("{}://{}:{}", e.name, e.host, e.port)
            };
            let endpoints: Vec<_> = r.end_points.iter().map(endpoint).collect();
            format!("RegisterBroker {} epoch {} {endpoints:?}", r.broker_id, r.broker_epoch)
        }
        MetadataRecord::BrokerRegistrationChange(r) => {
            format!("BrokerRegistrationChange {} fenced {}", r.broker_id, r.fenced)
        }
        other => format!("{other:?}"),
    }
}

fn show_image(image: &Image, out: &mut String) {
    for (node, broker) in image.brokers() {
        let state = if broker.is_active() { "active" } else { "fenced" };
        writeln!(out, "broker {node} epoch {} {state}", broker.epoch).unwrap();
    }
    for (feature, level) in image.features() {
        writeln!(out, "feature {feature} {level}").unwrap();
    }
    for group in image.configured_groups() {
        writeln!(out, "group {group} {:?}", image.group_config(group).unwrap()).unwrap();
    }
    for topic in image.topics() {
        write!(out, "topic {} {} retention {:?}", topic.name, topic.id, topic.config.retention_ms)
            .unwrap();
        for partition in &topic.partitions {
            let leader = partition.leader.map_or(-1, |node| node.0);
            write!(out, " [{leader} at {}]", partition.leader_epoch).unwrap();
        }
        out.push('\n');
    }
}

fn check(name: &str, script: &str) {
    let mut world = World::new("num.partitions=2\n");
    let mut told = String::new();
    for block in script.split("\n\n").filter(|block| !block.trim().is_empty()) {
        if block.trim_start().starts_with('#') {
            write!(told, "{}\n\n", block.trim()).unwrap();
            continue;
        }
        let command = block.split("\n----").next().unwrap().trim();
        let result = run(&mut world, command);
        write!(told, "{command}\n----\n{result}\n").unwrap();
    }
    world.check_replay();
    let told = format!("{}\n", told.trim_end());
    if std::env::var_os("BLESS").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/controller/testdata/");
        std::fs::write(format!("{folder}{name}"), &told).unwrap();
    } else {
        assert_eq!(told, script, "{name} (BLESS=1 writes what comes of it)");
    }
}

#[test]
fn story_of_creating_topics() {
    check("create.story", include_str!("testdata/create.story"));
}

#[test]
fn story_of_deleting_topics() {
    check("delete.story", include_str!("testdata/delete.story"));
}

#[test]
fn story_of_growing_topics() {
    check("grow.story", include_str!("testdata/grow.story"));
}

#[test]
fn story_of_changing_settings() {
    check("alter.story", include_str!("testdata/alter.story"));
}

#[test]
fn story_of_starting() {
    check("start.story", include_str!("testdata/start.story"));
}

/// Values out of the metadata log of an Apache Kafka 4.3.1 that did the same.
#[test]
fn records_are_kafkas_to_the_byte() {
    let topic_id = b"\x4a\x8a\x05\x90\x3e\x42\x45\x33\xbb\xe3\x83\x68\x2c\xeb\xb4\x7c";
    let dir = b"\x8c\x99\xe2\x41\x93\x7c\x4c\xe8\x9a\xfd\x25\x5b\x60\x89\x97\x44";
    let mut controller = fresh("");
    let registration = Registration {
        incarnation: Uuid([1; 16]),
        endpoints: Vec::new(),
        rack: None,
        log_dirs: vec![Uuid(*dir)],
    };
    let started = controller.on_start(&registration, 13);
    let values: Vec<_> = started.records.iter().collect();
    assert_eq!(values[0], b"\x01\x0c\x00\x11metadata.version\x00\x1e\x00");
    assert!(values[1].starts_with(b"\x01\x00\x04\0\0\0\x01"));
    assert!(values[1].ends_with(&[b"\x01\x00\x01\x00\x11\x02".as_slice(), dir].concat()));
    assert_eq!(values[2], b"\x01\x11\x00\0\0\0\x01\0\0\0\0\0\0\0\x0d\x01\x00\x01\xff");
    controller.apply_batch(values).unwrap();

    let topic = NewTopic { partitions: 1, ..NewTopic::with_defaults("d") };
    let created = controller.on_create_topics(&[topic], false, &mut || *topic_id);
    let values: Vec<_> = created.records.iter().collect();
    assert_eq!(values[0], [b"\x01\x02\x00\x02d".as_slice(), topic_id, b"\x00"].concat());
    let replicas = b"\x02\0\0\0\x01\x02\0\0\0\x01\x01\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x02";
    let partition = b"\x01\x03\x02\0\0\0\0".as_slice();
    assert_eq!(values[1], [partition, topic_id, replicas, dir, b"\x00"].concat());
    let ids = controller.on_allocate_producer_ids(NodeId(1), 13).records;
    let next = b"\x01\x0f\x00\0\0\0\x01\0\0\0\0\0\0\0\x0d\0\0\0\0\0\0\x03\xe8\x00";
    assert_eq!(ids.iter().next(), Some(next.as_slice()));
}

#[test]
fn a_request_is_bounded_in_partitions_and_records() {
    let mut world = World::new("num.partitions=2\n");
    let records = world.start(1);
    world.commit(records);
    let mut refusals = |sizes: &[i32]| {
        let names: Vec<_> = (0..sizes.len()).map(|n| format!("t{n}")).collect();
        let new = |(name, &partitions): (&'static str, &i32)| NewTopic {
            partitions,
            ..NewTopic::with_defaults(name)
        };
        let names = names.into_iter().map(|name| &*name.leak());
        let topics: Vec<_> = names.zip(sizes).map(new).collect();
        let plan = world.create(&topics, true);
        plan.outcome.into_iter().map(|o| o.result.err()).collect::<Vec<_>>()
    };
    // Recorded from Kafka 4.3.1.
    assert_eq!(refusals(&[9_999]), [None]);
    assert_eq!(refusals(&[10_000]), [Some(CreateError::BatchTooLarge)]);
    assert_eq!(refusals(&[5_000, 5_001]), [const { Some(CreateError::TooManyPartitions) }; 2]);
    assert_eq!(refusals(&[9_999, -1]), [const { Some(CreateError::TooManyPartitions) }; 2]);
    let mixed = [Some(CreateError::Partitions), Some(CreateError::BatchTooLarge)];
    assert_eq!(refusals(&[0, 10_000]), mixed);
    assert_eq!(refusals(&[i32::MAX]), [Some(CreateError::TooManyPartitions)]);
}

#[test]
fn a_batch_that_cannot_be_applied_changes_nothing() {
    let mut world = World::new("");
    let records = world.start(1);
    world.commit(records);
    let before = world.controller.clone();
    let plan = world.create(&[NewTopic::with_defaults("a"), NewTopic::with_defaults("b")], false);
    let values: Vec<_> = plan.records.iter().collect();
    // The partition of b comes before b.
    let order = [values[0], values[1], values[3], values[2]];
    let refused = world.controller.apply_batch(order);
    assert!(matches!(refused, Err(ApplyError::UnknownTopic { .. })), "{refused:?}");
    assert_eq!(world.controller, before);
    // Twice the same.
    let refused = world.controller.apply_batch(values.iter().chain(&values).copied());
    assert!(matches!(refused, Err(ApplyError::TopicExists { .. })), "{refused:?}");
    assert_eq!(world.controller, before);
}

#[test]
fn metadata_of_another_node_or_version_is_refused_by_name() {
    let mut world = World::new("");
    let records = world.start(1);
    let mut other = fresh("node.id=2");
    let refused = other.apply_batch(records.iter()).unwrap_err();
    assert!(refused.to_string().starts_with("the metadata belongs to node 1 and this is node 2"));
    let later = b"\x01\x0c\x00\x11metadata.version\x00\x1f\x00".as_slice();
    let refused = world.controller.apply_batch([later]);
    assert_eq!(refused, Err(ApplyError::MetadataVersion { level: 31 }));
}

#[test]
fn settings_of_the_broker_reach_the_topics_that_follow_them() {
    let mut world = World::new("");
    let records = world.start(1);
    world.commit(records);
    let own =
        NewTopic { configs: vec![("retention.ms", Some("5"))], ..NewTopic::with_defaults("own") };
    let records = world.create(&[own, NewTopic::with_defaults("follows")], false).records;
    world.commit(records);
    let mut encoder = super::plan::Encoder::default();
    encoder.push(crate::protocol::write::ConfigRecord {
        resource_type: 4,
        resource_name: "".into(),
        name: "log.retention.ms".into(),
        value: Some("9".into()),
    });
    let delta = world.commit(encoder.finish());
    assert!(matches!(delta.changes[..], [Change::Config(_), Change::TopicChanged(_)]));
    let retention = |name| world.core.topic(name).unwrap().config.retention_ms;
    assert_eq!((retention("own"), retention("follows")), (Some(5), Some(9)));
    world.check_replay();
}

#[derive(Clone, Debug)]
enum Step {
    Start,
    Create(Vec<(u8, i32, bool)>),
    Delete(Vec<(u8, bool)>),
    Grow(u8, i32),
    Alter(u8, bool),
    Ids,
    Unclean,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Start),
        4 => prop::collection::vec((0..12u8, -1..4, any::<bool>()), 1..4).prop_map(Step::Create),
        3 => prop::collection::vec((0..12u8, any::<bool>()), 1..4).prop_map(Step::Delete),
        2 => (0..12u8, -1..6).prop_map(|(name, count)| Step::Grow(name, count)),
        2 => (0..14u8, any::<bool>()).prop_map(|(name, is_set)| Step::Alter(name, is_set)),
        1 => Just(Step::Ids),
        1 => Just(Step::Unclean),
    ]
}

const NAMES: [&str; 12] =
    ["a", "b", "c.d", "c_d", "e.f.g", "e_f.g", "h", "i/j", "__x", "k", "l.m", "l_m"];

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Start => {
            let records = world.start(1);
            world.commit(records);
        }
        Step::Create(topics) => {
            let new = |&(name, partitions, has_config): &(u8, i32, bool)| NewTopic {
                partitions,
                configs: has_config.then_some(("segment.ms", Some("7"))).into_iter().collect(),
                ..NewTopic::with_defaults(NAMES[name as usize])
            };
            let topics: Vec<_> = topics.iter().map(new).collect();
            let plan = world.create(&topics, false);
            world.commit(plan.records);
            for outcome in plan.outcome {
                let is_there = world.core.topic(outcome.name).is_some();
                let expected = match outcome.result {
                    Ok(_) | Err(CreateError::Exists(_)) => true,
                    // Of two, the one from before.
                    Err(CreateError::DuplicateName) => is_there,
                    Err(_) => false,
                };
                assert_eq!(is_there, expected, "{}", outcome.name);
            }
        }
        Step::Delete(topics) => {
            let target = |&(name, by_id): &(u8, bool)| {
                let name = NAMES[name as usize];
                match world.core.topic(name).filter(|_| by_id) {
                    Some(topic) => DeleteTarget { name: None, id: topic.id },
                    None => DeleteTarget { name: Some(name), id: TopicId::ZERO },
                }
            };
            let targets: Vec<_> = topics.iter().map(target).collect();
            let plan = world.controller.on_delete_topics(&targets);
            world.commit(plan.records);
            for outcome in plan.outcome.iter().filter(|o| o.result.is_ok()) {
                assert!(world.core.topic_by_id(outcome.id).is_none());
            }
        }
        Step::Grow(name, count) => {
            let name = NAMES[*name as usize];
            let before = world.core.topic(name).map(|topic| topic.partitions.len());
            let target = GrowTarget { name, count: *count, assignments: None };
            let plan = world.controller.on_create_partitions(&[target], false);
            world.commit(plan.records);
            let after = world.core.topic(name).map(|topic| topic.partitions.len());
            if plan.outcome[0].result.is_ok() {
                assert!(after > before);
                assert_eq!(after, usize::try_from(*count).ok());
            } else {
                assert_eq!(after, before);
            }
        }
        Step::Alter(name, is_set) => {
            // Beyond the topics: all brokers, and a group.
            let (resource_type, resource_name, key) = match NAMES.get(*name as usize) {
                Some(topic) => (2, *topic, "segment.ms"),
                None if *name == 12 => (4, "", "log.segment.bytes"),
                None => (32, "g", "consumer.session.timeout.ms"),
            };
            let operation = i8::from(!is_set);
            let value = is_set.then_some("50000000").filter(|_| resource_type != 32);
            let value = value.or(is_set.then_some("50000"));
            let changes = vec![ConfigChange { key, operation, value }];
            let change = ConfigChanges { resource_type, resource_name, changes };
            let plan = world.controller.on_alter_configs(&[change], Unnamed::Stay, false);
            world.commit(plan.records);
        }
        Step::Ids => {
            let plan = world.controller.on_allocate_producer_ids(NodeId(1), world.epoch);
            world.commit(plan.records);
        }
        Step::Unclean => {
            for records in world.controller.on_unclean_restart() {
                world.commit(records);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_history_replays_to_the_same_state(steps in prop::collection::vec(step(), 0..30)) {
        let mut world = World::new("");
        for step in &steps {
            take(&mut world, step);
        }
        world.check_replay();
        let partitions: usize = world.core.topics().map(|topic| topic.partitions.len()).sum();
        prop_assert_eq!(world.core.partition_count(), partitions);
    }

    #[test]
    fn damaged_records_are_refused_or_read_and_never_more(
        cut in 0..200usize,
        flip in any::<(u16, u8)>(),
    ) {
        let mut world = World::new("");
        let records = world.start(1);
        world.commit(records);
        let before = world.controller.clone();
        let topic = NewTopic { configs: vec![("segment.ms", Some("7"))], ..NewTopic::with_defaults("a") };
        let records = world.create(&[topic], false).records;
        let mut values: Vec<Vec<u8>> = records.iter().map(<[u8]>::to_vec).collect();
        let index = flip.0 as usize % values.len();
        let value = &mut values[index];
        let at = flip.0 as usize / 3 % value.len();
        value[at] ^= flip.1;
        value.truncate(cut.max(1));
        if world.controller.apply_batch(values.iter().map(Vec::as_slice)).is_err() {
            prop_assert_eq!(&world.controller, &before);
        }
    }
}
