//! Ends of a broker at any moment, on a simulated disk: what a coordinator has answered is there
//! afterwards and never goes back, also where its log is being written anew.
//!
//! A history is a few lives of one data folder. Each commits and deletes groups until its process
//! is killed, or, where commits are answered after a sync, its machine loses its power. The next
//! one loads, and finds of every group what was answered last, or what was under way, and of a
//! commit all partitions or none. Logs are written anew in pieces of one record or a few, so that
//! commits and deletions come between the records of one group.

use super::{Ask, CoordinatorError, Place, Told};
use crate::base::Random;
use crate::broker::Metrics;
use crate::broker::open::{FoundDirectory, Opening};
use crate::broker::{Facts, Shard};
use crate::config::{BrokerConfig, Texts, TopicConfig};
use crate::controller::{Change, Delta, Image, PartitionInfo, Topic};
use crate::group::{Answer, Commit, CommitPartition, CommitTopic, Fetch, FetchedTopic, MemberId};
use crate::log::{
    AppendMode, CheckpointEntry, CheckpointKind, MetaProperties, list_partitions, read_checkpoint,
    read_directory, write_checkpoint,
};
use crate::model::{
    LeaderEpoch, NodeId, OFFSETS_TOPIC, Offset, PartitionIndex, TopicId, TopicName, Uuid,
};
use crate::runtime::Core;
use crate::runtime::mailbox::mesh_in_sim;
use crate::runtime::sim::{Faults, World};
use crate::runtime::sync;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(super) const DIR: &str = "/data";
pub(super) const PLACE: Place = Place { topic: Uuid([7; 16]), partition: 0 };
const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
/// So that a life writes its log anew several times.
const DIRTY_BYTES_MIN: u64 = 12_000;
const TEXT_BYTES: u64 = 1500;
/// What each commit commits; the texts of the topics' partitions differ.
const TOPICS: [(&str, &[i32]); 2] = [("t", &[0, 2]), ("u", &[1])];
const PIECE_RECORDS: u64 = 4;

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Kill,
    Power,
}

/// What is known of one group's commit.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The offset; none where there is no group.
    answered: Option<i64>,
    /// What may be instead, if something was asked for and not answered.
    asked: Vec<Option<i64>>,
}

/// What a history knows, over all its lives.
#[derive(Default)]
struct Model {
    groups: BTreeMap<&'static str, Known>,
    next: i64,
    loads: u64,
    rewrites: u64,
    answers: u64,
}

struct Life {
    shard: Rc<Shard>,
    model: Rc<RefCell<Model>>,
    random: RefCell<Random>,
    started_at: Cell<Offset>,
}

pub(super) fn topic(config: &BrokerConfig, is_synced: bool) -> Topic {
    let mut overrides = Texts::new();
    overrides.insert("cleanup.policy".into(), "compact".into());
    overrides.insert("file.delete.delay.ms".into(), "5".into());
    if is_synced {
        overrides.insert("flush.messages".into(), "1".into());
    }
    let resolved = TopicConfig::resolve(&overrides, &config.layers).unwrap();
    let partition = PartitionInfo {
        replicas: [NodeId(1)].into_iter().collect(),
        isr: [NodeId(1)].into_iter().collect(),
        leader: Some(NodeId(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: [Uuid::ZERO].into_iter().collect(),
    };
    Topic {
        name: TopicName::parse(OFFSETS_TOPIC).unwrap(),
        id: PLACE.topic,
        partitions: vec![partition],
        overrides,
        config: Arc::new(resolved),
    }
}

/// What a start finds in the data folder.
pub(super) async fn opening(core: &Core, image: Image) -> Opening {
    let path = Path::new(DIR);
    let meta = MetaProperties {
        cluster_id: "simulated".into(),
        node_id: NodeId(1),
        directory_id: Uuid::METADATA_TOPIC,
    };
    let facts = read_directory(core, path, &meta).await.unwrap();
    let mut checkpoints: BTreeMap<String, (Offset, Offset)> = BTreeMap::new();
    let folder = |entry: &CheckpointEntry| format!("{}-{}", entry.topic, entry.partition);
    for entry in read_checkpoint(core, path, CheckpointKind::RecoveryPoint).await.unwrap() {
        checkpoints.entry(folder(&entry)).or_default().0 = entry.offset;
    }
    for entry in read_checkpoint(core, path, CheckpointKind::LogStart).await.unwrap() {
        checkpoints.entry(folder(&entry)).or_default().1 = entry.offset;
    }
    let folders = Arc::new(list_partitions(core, path).await.unwrap());
    let directory = FoundDirectory { facts, folders, checkpoints: Arc::new(checkpoints) };
    Opening {
        image,
        metadata_offset: Offset::ZERO,
        append_mode: AppendMode::Auto,
        directories: vec![directory],
        offline: Vec::new(),
        parallel: 1,
    }
}

impl Life {
    async fn run(self: Rc<Self>, image: Image) {
        let opening = opening(self.shard.core(), image).await;
        self.shard.open_logs(opening).await.unwrap();
        let piece_records = self.random.borrow_mut().between(1, PIECE_RECORDS) as usize;
        self.host(|host| {
            host.rewriting.dirty_bytes_min.set(DIRTY_BYTES_MIN);
            host.rewriting.piece_records_max.set(piece_records);
        });
        for group in GROUPS {
            self.check(group).await;
        }
        self.model.borrow_mut().loads += 1;
        self.started_at.set(self.start());
        // Each group has a client of its own, so that batches overlap.
        let clients = GROUPS.map(|group| Rc::clone(&self).keep_changing(group));
        sync::all(clients).await;
    }

    async fn keep_changing(self: Rc<Self>, group: &'static str) {
        loop {
            self.change(group).await;
            let (writes, pause) = {
                let mut random = self.random.borrow_mut();
                (random.chance(1, 40), random.below(1500))
            };
            if writes {
                self.write_checkpoints().await;
            }
            let start = self.start();
            if start > self.started_at.replace(start) {
                self.model.borrow_mut().rewrites += 1;
            }
            self.shard.core().sleep(Duration::from_micros(pause)).await;
        }
    }

    fn host<R>(&self, with: impl FnOnce(&super::host::Host) -> R) -> R {
        with(&self.shard.groups.borrow().hosts[&PLACE])
    }

    fn start(&self) -> Offset {
        self.host(|host| host.partition.start_offset())
    }

    /// A commit, or now and then the end of a group.
    async fn change(&self, group: &'static str) {
        let is_end = self.random.borrow_mut().chance(1, 12);
        let wanted = {
            let mut model = self.model.borrow_mut();
            model.next += 1;
            let wanted = (!is_end).then_some(model.next);
            model.groups.entry(group).or_default().asked.push(wanted);
            wanted
        };
        let ask = match wanted {
            None => Ask::DeleteGroups(vec![group.into()]),
            Some(offset) => Ask::Commit(self.commit(group, offset)),
        };
        match self.shard.ask_coordinator(PLACE, ask).await {
            Ok(Told::Answer(Answer::Commit(Ok(results)))) => {
                assert!(results[0].partitions[0].1.is_ok());
            }
            // A group that was not there is no more than gone.
            Ok(Told::Answer(Answer::DeleteGroups(_))) => {}
            other => panic!("{other:?}"),
        }
        let mut model = self.model.borrow_mut();
        model.answers += 1;
        *model.groups.entry(group).or_default() = Known { answered: wanted, asked: Vec::new() };
    }

    fn commit(&self, group: &str, offset: i64) -> Commit {
        let partition = |&index| CommitPartition {
            partition: PartitionIndex(index),
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(-1),
            metadata: "x".repeat(self.random.borrow_mut().below(TEXT_BYTES) as usize).into(),
        };
        let topics = TOPICS.map(|(name, partitions)| CommitTopic {
            name: TopicName::parse(name).unwrap(),
            id: TopicId::ZERO,
            partitions: partitions.iter().map(partition).collect(),
        });
        Commit {
            group: group.into(),
            member: MemberId::none(),
            instance: None,
            generation: -1,
            retention_ms: None,
            topics: topics.into(),
        }
    }

    /// What a life finds of a group is what was answered, or what was under way.
    async fn check(&self, group: &'static str) {
        let found = loop {
            let fetch = Fetch { group: group.into(), topics: None, require_stable: false };
            match self.shard.ask_coordinator(PLACE, Ask::Fetch(fetch)).await {
                Ok(Told::Answer(Answer::Fetch(Ok(topics)))) => {
                    break offset_of(group, &topics);
                }
                Err(CoordinatorError::Loading) => {
                    self.shard.core().sleep(Duration::from_millis(1)).await;
                }
                other => panic!("{other:?}"),
            }
        };
        let mut model = self.model.borrow_mut();
        let known = model.groups.entry(group).or_default();
        let is_known = found == known.answered || known.asked.contains(&found);
        assert!(is_known, "group {group}: found {found:?}, known {known:?}");
        // Seen once, it is there for good.
        *known = Known { answered: found, asked: Vec::new() };
    }

    /// As a broker does now and then.
    async fn write_checkpoints(&self) {
        let _inside = self.shard.checkpoints_gate.enter().await;
        let entries = self.shard.checkpoints();
        for kind in [CheckpointKind::RecoveryPoint, CheckpointKind::LogStart] {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| CheckpointEntry {
                    topic: entry.topic.clone(),
                    partition: PartitionIndex(entry.partition),
                    offset: match kind {
                        CheckpointKind::LogStart => entry.log_start_offset,
                        _ => entry.recovery_point,
                    },
                })
                .collect();
            write_checkpoint(self.shard.core(), Path::new(DIR), kind, &entries).await.unwrap();
        }
    }
}

/// The offset of a group, which all its partitions have, or none.
fn offset_of(group: &str, topics: &[FetchedTopic]) -> Option<i64> {
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let found: Vec<i64> =
        partitions.filter_map(|(_, found)| Some(found.as_ref()?.offset.0)).collect();
    let wanted: usize = TOPICS.iter().map(|(_, partitions)| partitions.len()).sum();
    let is_whole = found.len() == wanted && found.iter().all(|offset| *offset == found[0]);
    assert!(found.is_empty() || is_whole, "group {group} has a part of a commit: {topics:?}");
    found.first().copied()
}

/// Lives one after the other; gives what was really done.
fn history(seed: u64, end: End) -> Model {
    let mut random = Random::new(seed);
    let mut world = World::new(random.next_u64());
    world.put_dir(0, DIR).unwrap();
    world.set_faults(if random.chance(1, 2) { Faults::rough() } else { Faults::none() });
    let model = Rc::new(RefCell::new(Model::default()));
    let config = BrokerConfig::load(&BrokerConfig::standalone()).unwrap().0;
    let mut image = Image::new("simulated", config.layers.clone());
    let topic = Arc::new(topic(&config, end == End::Power));
    image.apply(&Delta { changes: vec![Change::TopicCreated(topic)] });
    for _ in 0..random.between(10, 30) {
        let (mut ports, doorbells) = mesh_in_sim(1, 0);
        let core = world.boot(0, &doorbells).remove(0);
        let (config, metrics) = (config.clone(), Metrics::new(1, 1));
        let facts = Arc::new(Facts { config, listeners: Vec::new(), metrics });
        let shard = Shard::new(core.clone(), Rc::new(ports.remove(0)), facts);
        let life = Rc::new(Life {
            shard,
            model: Rc::clone(&model),
            random: RefCell::new(Random::new(random.next_u64())),
            started_at: Cell::new(Offset::ZERO),
        });
        core.spawn(life.run(image.clone()));
        world.run_completions(random.between(10, 400));
        match end {
            End::Kill => world.kill(0),
            End::Power => world.crash(0),
        }
    }
    assert_eq!(world.findings(), [""; 0], "what must never happen");
    drop(world);
    model.take()
}

fn histories(end: End) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match (number("HIGHWATER_SIM_SEED"), number("HIGHWATER_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(25),
    };
    let (mut loads, mut rewrites, mut answers) = (0, 0, 0);
    for seed in seeds.clone() {
        let model = history(seed, end);
        loads += model.loads;
        rewrites += model.rewrites;
        answers += model.answers;
    }
    // A test that does nothing proves nothing.
    let count = seeds.end - seeds.start;
    eprintln!("{end:?}: {count} histories, {loads} loads, {rewrites} rewrites, {answers} answers");
    assert!(count < 10 || (loads > count && rewrites > 2 * count && answers > 100 * count));
}

#[test]
fn a_kill_at_any_moment_takes_back_nothing_that_was_answered() {
    histories(End::Kill);
}

#[test]
fn a_power_cut_at_any_moment_takes_back_nothing_that_was_answered_after_a_sync() {
    histories(End::Power);
}
