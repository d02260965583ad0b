//! A partition on a core of the simulated world.

use super::letter::Letter;
use super::metrics::Metrics;
use super::partition::Partition;
use super::produce::{AppendOutcome, AppendPart};
use super::shard::{Facts, Shard};
use super::topic_settings::TopicSettings;
use crate::config::{BrokerConfig, Compression};
use crate::limits::SCRATCH_BYTES_KEPT;
use crate::log::{AppendMode, DirectoryFacts, Log, LogDir, LogSpec, MetaProperties};
use crate::model::{LeaderEpoch, NodeId, Offset, Timestamp, TopicName, Uuid};
use crate::record::{BatchBuilder, Codec, NewRecord, Packing};
use crate::runtime::sim::{World, WorldOptions};
use crate::runtime::sync::Bell;
use crate::runtime::{BLOCK_BYTES, Chain, Core, mailbox};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: Uuid = Uuid([9; 16]);

struct Place {
    world: World,
    core: Core,
    shard: Rc<Shard>,
    partition: Rc<Partition>,
}

fn place(seed: u64, compression: Compression) -> Place {
    let options = WorldOptions { block_count: 128, ..WorldOptions::default() };
    let mut world = World::with(seed, options);
    world.put_dir(0, "/data").unwrap();
    let (ports, bells) = mailbox::mesh_in_sim::<Letter>(1, 0);
    let core = world.boot(0, &bells).remove(0);
    let (config, _) = BrokerConfig::load(&BrokerConfig::standalone()).unwrap();
    let mut topic = config.topic_defaults.clone();
    topic.compression = compression;
    topic.max_message_bytes = 32 << 20;
    let settings = TopicSettings::new(&topic, false, Duration::from_secs(3600));
    let facts = Arc::new(Facts { config, listeners: Vec::new(), metrics: Metrics::new(1, 1) });
    let port = ports.into_iter().next().unwrap();
    let shard = Shard::new(core.clone(), Rc::new(port), facts);
    let (dir, log) = (directory(), spec());
    let log = Log::create(dir, log, settings.log.clone());
    let name = TopicName::parse("t").unwrap();
    let partition = Partition::new(name, TOPIC, 0, LeaderEpoch(0), settings, log);
    Place { world, core, shard, partition }
}

fn directory() -> Rc<LogDir> {
    let directory_id = Uuid([7; 16]);
    let meta = MetaProperties { cluster_id: "c".into(), node_id: NodeId(1), directory_id };
    let path = PathBuf::from("/data");
    let facts = DirectoryFacts { path, meta, clean_epoch: None, file_system: String::new() };
    LogDir::new(&facts, AppendMode::Auto)
}

fn spec() -> LogSpec {
    LogSpec {
        folder: "t-0".into(),
        topic_id: TOPIC,
        recovery_point: Offset::ZERO,
        log_start_offset: Offset::ZERO,
        is_clean: false,
        refuses_damage: false,
    }
}

impl Place {
    fn chain(&self, bytes: &[u8]) -> Chain {
        let mut chain = Chain::new();
        for part in bytes.chunks(BLOCK_BYTES) {
            let mut block = self.core.blocks().take().unwrap();
            block.as_mut_slice()[..part.len()].copy_from_slice(part);
            chain.push(block.freeze(part.len()));
        }
        chain
    }

    /// A batch of one record of so many bytes.
    fn batch(&self, codec: Codec, bytes: usize) -> Chain {
        let value: Vec<u8> = (0..bytes).map(|index| (index / 7) as u8).collect();
        let mut builder = BatchBuilder::new();
        builder.packed(Packing::of(codec));
        let timestamp = Timestamp(self.core.wall().0);
        let record = NewRecord { timestamp, value: Some(&value), ..NewRecord::default() };
        builder.push(&record).unwrap();
        let mut out = Vec::new();
        builder.finish(&mut out).unwrap();
        self.chain(&out)
    }

    /// Appends batches at once; the outcomes, when all are there.
    fn append(&mut self, batches: Vec<Chain>) -> Vec<AppendOutcome> {
        let bell = Rc::new(Bell::default());
        let ticket = self.shard.produces.borrow_mut().begin(batches.len(), &bell);
        for (index, batch) in (0..).zip(batches) {
            let (home, topic, partition, zstd_allowed) = (0, TOPIC, 0, true);
            let part = AppendPart { home, ticket, index, topic, partition, zstd_allowed, batch };
            self.partition.append(&self.shard, part);
        }
        let shard = Rc::clone(&self.shard);
        assert!(self.world.run_until(|| shard.produces.borrow().is_done(ticket)));
        let mut produces = self.shard.produces.borrow_mut();
        let outcomes = produces.outcomes(ticket).to_vec();
        produces.end(ticket);
        outcomes
    }
}

fn offsets(outcomes: &[AppendOutcome]) -> Vec<i64> {
    let offset = |outcome: &AppendOutcome| match outcome {
        AppendOutcome::Appended(appended) => appended.base_offset.0,
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(offset).collect()
}

#[test]
fn a_large_batch_leaves_no_large_memory_behind() {
    let mut place = place(1, Compression::Uncompressed);
    let large = place.batch(Codec::Gzip, 5 << 20);
    assert_eq!(offsets(&place.append(vec![large])), [0]);
    let held = place.shard.scratch.borrow().held_bytes();
    assert!(held <= 2 * SCRATCH_BYTES_KEPT, "{held} bytes");
}

#[test]
fn what_is_costly_to_pack_anew_is_packed_aside_and_keeps_its_place() {
    for seed in 0..10 {
        let mut place = place(seed, Compression::Zstd { level: 19 });
        let batches = vec![
            place.batch(Codec::None, 300_000),
            // As the topic wants it, and still it comes after the first.
            place.batch(Codec::Zstd, 100),
            place.batch(Codec::Gzip, 200_000),
            place.batch(Codec::Zstd, 100),
        ];
        assert_eq!(offsets(&place.append(batches)), [0, 1, 2, 3], "seed {seed}");
        assert_eq!(place.core.counters().works.get(), 2);
        let batch = place.batch(Codec::Zstd, 100);
        assert_eq!(offsets(&place.append(vec![batch])), [4]);
    }
}

#[test]
fn what_is_cheap_to_pack_anew_is_packed_at_once() {
    let mut place = place(1, Compression::Lz4 { level: 9 });
    let batches = vec![place.batch(Codec::None, 300_000), place.batch(Codec::Gzip, 300_000)];
    assert_eq!(offsets(&place.append(batches)), [0, 1]);
    assert_eq!(place.core.counters().works.get(), 0);
    // What is packed well shows how much it is only when it is unpacked.
    let batch = place.batch(Codec::Gzip, 3 << 20);
    assert_eq!(offsets(&place.append(vec![batch])), [2]);
    assert_eq!(place.core.counters().works.get(), 1);
}

#[test]
fn a_batch_that_is_packed_aside_when_its_partition_goes_is_refused() {
    let mut place = place(1, Compression::Zstd { level: 19 });
    let batch = place.batch(Codec::None, 100_000);
    let bell = Rc::new(Bell::default());
    let ticket = place.shard.produces.borrow_mut().begin(1, &bell);
    let (home, index, topic, partition, zstd_allowed) = (0, 0, TOPIC, 0, true);
    let part = AppendPart { home, ticket, index, topic, partition, zstd_allowed, batch };
    place.partition.append(&place.shard, part);
    let (shard, removed) = (Rc::clone(&place.shard), Rc::clone(&place.partition));
    place.world.run(&place.core, async move { removed.remove(&shard).await });
    let shard = Rc::clone(&place.shard);
    assert!(place.world.run_until(|| shard.produces.borrow().is_done(ticket)));
    let outcomes = place.shard.produces.borrow().outcomes(ticket).to_vec();
    assert!(matches!(outcomes[..], [AppendOutcome::Failed(_)]), "{outcomes:?}");
}

#[test]
fn a_partition_that_was_removed_is_not_retained() {
    let mut place = place(1, Compression::Producer);
    let batch = place.batch(Codec::None, 100);
    assert_eq!(offsets(&place.append(vec![batch])), [0]);
    let (shard, partition) = (Rc::clone(&place.shard), Rc::clone(&place.partition));
    place.world.run(&place.core, async move {
        partition.remove(&shard).await;
        partition.retain(&shard).await;
    });
}
