//! Offsets that nobody wants any more, on a clock that jumps: kept for offsets.retention.minutes after
//! their group was left, then gone, from the log too.

use super::crash_tests::{DIR, PLACE, opening, topic};
use super::{Ask, CoordinatorError, Told};
use crate::broker::{Facts, Metrics, Shard};
use crate::config::BrokerConfig;
use crate::controller::{Change, Delta, Image};
use crate::group::{Answer, Commit, CommitPartition, CommitTopic, Fetch, MemberId};
use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use crate::runtime::mailbox::mesh_in_sim;
use crate::runtime::sim::World;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

struct Life {
    shard: Rc<Shard>,
}

impl Life {
    async fn open(&self, image: Image) {
        let opening = opening(self.shard.core(), image).await;
        self.shard.open_logs(opening).await.unwrap();
    }

    async fn ask(&self, ask: impl Fn() -> Ask) -> Answer {
        loop {
            match self.shard.ask_coordinator(PLACE, ask()).await {
                Ok(Told::Answer(answer)) => return answer,
                Err(CoordinatorError::Loading) => self.sleep(Duration::from_millis(1)).await,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn sleep(&self, span: Duration) {
        self.shard.core().sleep(span).await;
    }

    /// A commit of a consumer that is a member of nothing.
    async fn commit(&self, group: &str) {
        let partition = CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(5),
            leader_epoch: LeaderEpoch(-1),
            metadata: "".into(),
        };
        let topic = CommitTopic {
            name: TopicName::parse("t").unwrap(),
            id: TopicId::ZERO,
            partitions: vec![partition],
        };
        let commit = Commit {
            group: group.into(),
            member: MemberId::none(),
            instance: None,
            generation: -1,
            retention_ms: None,
            topics: vec![topic],
        };
        let answer = self.ask(|| Ask::Commit(commit.clone())).await;
        let Answer::Commit(Ok(results)) = answer else { panic!("{answer:?}") };
        assert!(results[0].partitions[0].1.is_ok());
    }

    async fn has_offset(&self, group: &str) -> bool {
        let fetch = || Fetch { group: group.into(), topics: None, require_stable: false };
        let answer = self.ask(|| Ask::Fetch(fetch())).await;
        let Answer::Fetch(Ok(topics)) = answer else { panic!("{answer:?}") };
        !topics.is_empty()
    }
}

/// Another process on the folder of the world, for one story.
fn live<S: Future<Output = ()> + 'static>(world: &mut World, story: impl FnOnce(Life, Image) -> S) {
    let config = BrokerConfig::load(&BrokerConfig::standalone()).unwrap().0;
    assert_eq!(config.groups.offsets_retention, 7 * DAY, "Kafka's default");
    let mut image = Image::new("simulated", config.layers.clone());
    let topic = Arc::new(topic(&config, false));
    image.apply(&Delta { changes: vec![Change::TopicCreated(topic)] });
    let (mut ports, doorbells) = mesh_in_sim(1, 0);
    let core = world.boot(0, &doorbells).remove(0);
    let facts = Arc::new(Facts { config, listeners: Vec::new(), metrics: Metrics::new(1, 1) });
    let shard = Shard::new(core.clone(), Rc::new(ports.remove(0)), facts);
    world.run(&core, story(Life { shard }, image));
    world.kill(0);
}

#[test]
fn offsets_are_kept_for_seven_days_and_then_are_gone_after_a_start_too() {
    let mut world = World::new(1);
    world.put_dir(0, DIR).unwrap();
    live(&mut world, |life, image| async move {
        life.open(image).await;
        life.commit("left").await;
        life.sleep(4 * DAY).await;
        life.commit("later").await;
        life.sleep(Duration::from_mins(3 * 24 * 60 - 1)).await;
        assert!(life.has_offset("left").await, "a minute is missing");
        // A look every ten minutes.
        life.sleep(Duration::from_mins(12)).await;
        assert!(!life.has_offset("left").await);
        assert!(life.has_offset("later").await);
        // What is gone is told to the log with the next batch.
        life.sleep(Duration::from_mins(1)).await;
    });
    live(&mut world, |life, image| async move {
        life.open(image).await;
        assert!(!life.has_offset("left").await, "the log says so too");
        assert!(life.has_offset("later").await);
        life.sleep(4 * DAY).await;
        assert!(!life.has_offset("later").await);
    });
    assert_eq!(world.findings(), [""; 0], "what must never happen");
}
