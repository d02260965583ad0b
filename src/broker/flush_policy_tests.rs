//! Under a flush policy nothing is seen before its sync, whoever asks and however: in the simulated
//! world, where a sync takes as long as the test wants.

use super::call::{FoundOffset, OffsetQuery};
use super::fetch::{FetchBounds, Read, ReadOutcome, ReadPart};
use super::letter::{Letter, Ticket};
use super::metrics::Metrics;
use super::open::{FoundDirectory, Opening};
use super::produce::AppendPart;
use super::questions::{Asked, Question};
use super::shard::{Facts, Shard};
use crate::config::BrokerConfig;
use crate::controller::{Controller, NewTopic, Registration};
use crate::log::{AppendMode, DirectoryFacts, MetaProperties};
use crate::model::{LeaderEpoch, NodeId, Offset, Timestamp, TopicId, Uuid};
use crate::record::{BatchBuilder, NewRecord};
use crate::runtime::sim::{Faults, Span, World, WorldOptions};
use crate::runtime::sync::Bell;
use crate::runtime::{Chain, mailbox};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What every operation of the disk takes once it is slow.
const SLOW_MS: u64 = 300;

/// A broker's only core in a world of its own, with one partition.
struct Node {
    world: World,
    shard: Rc<Shard>,
    topic: TopicId,
    bell: Rc<Bell>,
    /// Of the next record; each is later than the one before.
    time: Timestamp,
}

fn image(config: &BrokerConfig, flush_messages: &str) -> crate::controller::Image {
    let mut machine = Controller::new("cluster", config);
    let registration = Registration {
        incarnation: Uuid([1; 16]),
        endpoints: vec![],
        rack: None,
        log_dirs: vec![Uuid([2; 16])],
    };
    let records = machine.on_start(&registration, 0).records;
    machine.apply_batch(records.iter()).unwrap();
    let topic = NewTopic {
        partitions: 1,
        configs: vec![("flush.messages", Some(flush_messages))],
        ..NewTopic::with_defaults("slow")
    };
    let records = machine.on_create_topics(&[topic], false, &mut || [7; 16]).records;
    machine.apply_batch(records.iter()).unwrap();
    machine.image().clone()
}

fn directory() -> FoundDirectory {
    let meta =
        MetaProperties { cluster_id: "c".into(), node_id: NodeId(1), directory_id: Uuid([2; 16]) };
    let facts = DirectoryFacts {
        path: "/data".into(),
        meta,
        clean_epoch: None,
        file_system: String::new(),
    };
    FoundDirectory { facts, folders: Arc::default(), checkpoints: Arc::default() }
}

impl Node {
    fn start(seed: u64, flush_messages: &str) -> Self {
        let options = WorldOptions { block_count: 32, ..WorldOptions::default() };
        let mut world = World::with(seed, options);
        world.put_dir(0, "/data").unwrap();
        let mut settings = BrokerConfig::standalone();
        settings.set("log.dirs", "/data");
        let (config, _) = BrokerConfig::load(&settings).unwrap();
        let image = image(&config, flush_messages);
        let topic = image.topic("slow").unwrap().id;
        let (mut ports, bells) = mailbox::mesh_in_sim::<Letter>(1, 0);
        let core = world.boot(0, &bells).remove(0);
        let facts = Facts { config, listeners: vec![], metrics: Metrics::new(1, 1) };
        let shard = Shard::new(core.clone(), Rc::new(ports.remove(0)), Arc::new(facts));
        let opening = Opening {
            image,
            metadata_offset: Offset(0),
            append_mode: AppendMode::Auto,
            directories: vec![directory()],
            offline: Vec::new(),
            parallel: 1,
        };
        let opened = Rc::clone(&shard);
        world.run(&core, async move { opened.open_logs(opening).await.unwrap() });
        let time = core.wall();
        let mut node = Self { world, shard, topic, bell: Rc::default(), time };
        // The first append makes the folder and the files.
        let first = node.append();
        node.until_done(first);
        let mut faults = Faults::none();
        faults.disk.latency = Span::micros(SLOW_MS * 1000, SLOW_MS * 1000);
        node.world.set_faults(faults);
        node
    }

    /// Sends a batch of one record on its way.
    fn append(&mut self) -> Ticket {
        let timestamp = self.time;
        self.time = Timestamp(timestamp.0 + 10);
        let mut bytes = Vec::new();
        let record = NewRecord { timestamp, value: Some(b"value"), ..NewRecord::default() };
        let mut builder = BatchBuilder::new();
        builder.push(&record).unwrap();
        builder.finish(&mut bytes).unwrap();
        let mut block = self.shard.core().blocks().take().unwrap();
        block.as_mut_slice()[..bytes.len()].copy_from_slice(&bytes);
        let mut batch = Chain::new();
        batch.push(block.freeze(bytes.len()));
        let ticket = self.shard.produces.borrow_mut().begin(1, &self.bell);
        self.shard.append(AppendPart {
            home: 0,
            ticket,
            index: 0,
            topic: self.topic,
            partition: 0,
            zstd_allowed: true,
            batch,
        });
        ticket
    }

    fn is_done(&self, ticket: Ticket) -> bool {
        self.shard.produces.borrow().is_done(ticket)
    }

    fn until_done(&mut self, ticket: Ticket) {
        let shard = Rc::clone(&self.shard);
        assert!(self.world.run_until(|| shard.produces.borrow().is_done(ticket)));
    }

    fn part(&self, offset: i64) -> ReadPart {
        ReadPart {
            index: 0,
            topic: self.topic,
            partition: 0,
            offset: Offset(offset),
            bytes_max: 1 << 20,
            leader_epoch: LeaderEpoch::NONE,
            last_epoch: LeaderEpoch::NONE,
        }
    }

    /// What a fetch from `offset` gives that waits at most so long.
    fn fetch(&mut self, offset: i64, wait: Duration) -> Read {
        let (shard, part) = (Rc::clone(&self.shard), self.part(offset));
        let core = self.shard.core().clone();
        self.world.run(&core, async move { fetch(&shard, part, wait).await })
    }

    fn find(&mut self, query: OffsetQuery) -> FoundOffset {
        let question = Question {
            topic: self.topic,
            partition: 0,
            current: LeaderEpoch::NONE,
            what: Asked::Offset(query),
        };
        let shard = Rc::clone(&self.shard);
        let core = self.shard.core().clone();
        let said = self.world.run(&core, async move { shard.ask(&[question]).await });
        said.into_iter().next().unwrap().unwrap()
    }
}

async fn fetch(shard: &Rc<Shard>, part: ReadPart, wait: Duration) -> Read {
    let fetcher = shard.open_fetcher();
    let bytes_min = usize::from(!wait.is_zero());
    let deadline = shard.core().now() + wait;
    let bounds = FetchBounds { bytes_min, bytes_max: 1 << 20, deadline };
    let mut outcomes = Vec::new();
    shard.fetch(&fetcher, &[part], bounds, &mut outcomes).await;
    shard.close_fetcher(&fetcher);
    match outcomes.pop() {
        Some(ReadOutcome::Read(read)) => read,
        other => panic!("the fetch gave {other:?}"),
    }
}

#[test]
fn nobody_sees_a_record_before_its_sync() {
    for seed in 0..20 {
        let mut node = Node::start(seed, "1");
        let sent_at = node.world.now();
        let sent = node.append();
        // Written, and its sync on the way.
        node.world.run_for(Duration::from_millis(SLOW_MS / 3));
        let read = node.fetch(1, Duration::ZERO);
        assert_eq!((read.high_watermark, read.last_stable_offset), (Offset(1), Offset(1)));
        assert!(read.span.is_none());
        assert_eq!(node.find(OffsetQuery::Latest).offset, Offset(1));
        assert!(!node.is_done(sent), "not acknowledged either");
        // From before it: the first record, and no more.
        let read = node.fetch(0, Duration::ZERO);
        let span = read.span.expect("the first record");
        node.until_done(sent);
        assert!(node.world.now().since(sent_at) >= Duration::from_millis(SLOW_MS));
        assert_eq!(node.find(OffsetQuery::Latest).offset, Offset(2));
        let both = node.fetch(0, Duration::ZERO).span.expect("both records");
        assert_eq!(both.len, 2 * span.len);
    }
}

#[test]
fn no_search_finds_a_record_before_its_sync() {
    for seed in 0..20 {
        let mut node = Node::start(seed, "1");
        let after_first = node.time;
        let sent = node.append();
        node.world.run_for(Duration::from_millis(SLOW_MS / 3));
        // Asked while the sync is on its way: what a search takes may be longer.
        assert!(!node.is_done(sent));
        assert_eq!(node.find(OffsetQuery::ByTime(after_first)).offset, Offset(-1));
        node.until_done(sent);
        assert_eq!(node.find(OffsetQuery::ByTime(after_first)).offset, Offset(1));
        let sent = node.append();
        node.world.run_for(Duration::from_millis(SLOW_MS / 3));
        assert!(!node.is_done(sent));
        assert_eq!(node.find(OffsetQuery::MaxTimestamp).offset, Offset(1));
        node.until_done(sent);
    }
}

#[test]
fn a_fetch_that_waits_is_answered_by_the_sync_and_not_by_the_write() {
    for seed in 0..20 {
        let mut node = Node::start(seed, "1");
        let (shard, part) = (Rc::clone(&node.shard), node.part(1));
        let answered = Rc::new(Cell::new(None));
        let answer = Rc::clone(&answered);
        node.shard.core().spawn(async move {
            let read = fetch(&shard, part, Duration::from_secs(60)).await;
            assert!(read.span.is_some());
            answer.set(Some(shard.core().now()));
        });
        node.world.run_for(Duration::from_secs(2));
        let sent_at = node.world.now();
        let sent = node.append();
        node.until_done(sent);
        assert!(node.world.run_until(|| answered.get().is_some()));
        let waited = answered.get().unwrap().since(sent_at);
        let slow = Duration::from_millis(SLOW_MS);
        assert!(waited >= slow && waited < 3 * slow, "{waited:?}");
    }
}

#[test]
fn of_three_that_may_be_lost_two_are_seen_without_a_sync() {
    for seed in 0..20 {
        let mut node = Node::start(seed, "3");
        // The first record, of the start, was not synced: one more may be seen.
        let second = node.append();
        node.world.run_for(Duration::from_millis(1));
        assert!(node.is_done(second));
        assert_eq!(node.find(OffsetQuery::Latest).offset, Offset(2));
        let third = node.append();
        node.world.run_for(Duration::from_millis(SLOW_MS / 3));
        assert!(!node.is_done(third));
        assert_eq!(node.fetch(2, Duration::ZERO).high_watermark, Offset(2));
        assert_eq!(node.find(OffsetQuery::Latest).offset, Offset(2));
        node.until_done(third);
        assert_eq!(node.find(OffsetQuery::Latest).offset, Offset(3));
    }
}
