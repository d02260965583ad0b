//! What a group takes of the allocator's memory, idle and with a member, made and loaded: less than
//! 4 KiB when it is idle, and about what the coordinator counts it with.
#![allow(unsafe_code, reason = "a counting allocator")]

use highwater::base::Instant;
use highwater::group::{
    Commit, CommitPartition, CommitTopic, Coordinator, Effect, Effects, GroupId, Join, MemberId,
    Memory, Now, Protocol, Record, ReplyId, Settings, Sync,
};
use highwater::model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicName, Uuid};
use std::alloc::{GlobalAlloc, Layout, System};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's, unchanged; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const GROUPS: usize = 2_000;
const PARTITIONS: i32 = 4;
const IDLE_BYTES_MAX: usize = 4 << 10;

struct World {
    coordinator: Coordinator,
    memory: Rc<Memory>,
    effects: Effects,
    log: Vec<Record>,
    keeps_log: bool,
    next_reply: u64,
}

fn now() -> Now {
    Now { instant: Instant::ZERO + Duration::from_secs(1), timestamp: Timestamp(1_000_000) }
}

fn settings() -> Settings {
    Settings { initial_rebalance_delay: Duration::ZERO, ..Settings::default() }
}

impl World {
    fn new() -> Self {
        let memory = Rc::new(Memory::default());
        let coordinator = Coordinator::new(settings(), Rc::clone(&memory));
        let effects = Effects::new();
        let log = Vec::new();
        let mut world = Self { coordinator, memory, effects, log, keeps_log: false, next_reply: 0 };
        world.coordinator.on_loaded(now(), &mut world.effects);
        world
    }

    fn reply(&mut self) -> ReplyId {
        self.next_reply += 1;
        ReplyId(self.next_reply)
    }

    /// Commits what is to be appended until nothing is.
    fn settle(&mut self) {
        loop {
            let effects: Vec<Effect> = self.effects.drain().collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                if let Effect::Append { token, records } = effect {
                    self.log.extend(records.into_iter().filter(|_| self.keeps_log));
                    self.coordinator.on_committed(now(), token, &mut self.effects);
                }
            }
        }
    }

    fn commit(&mut self, group: &GroupId, member: MemberId, generation: i32, topic: &TopicName) {
        let partition = |index| CommitPartition {
            partition: PartitionIndex(index),
            offset: Offset(1_000),
            leader_epoch: LeaderEpoch(0),
            metadata: "".into(),
        };
        let partitions = (0..PARTITIONS).map(partition).collect();
        let commit = Commit {
            group: group.clone(),
            member,
            instance: None,
            generation,
            retention_ms: None,
            topics: vec![CommitTopic { name: topic.clone(), id: Uuid([1; 16]), partitions }],
        };
        let reply = self.reply();
        self.coordinator.on_commit(now(), commit, reply, &mut self.effects);
        self.settle();
    }

    /// A member joins, is assigned something, and commits.
    fn live(&mut self, group: &GroupId, number: usize, topic: &TopicName) {
        let mut fresh_id = Uuid::ZERO;
        fresh_id.0[8..].copy_from_slice(&(number as u64).to_be_bytes());
        let protocol = |name: &str| Protocol { name: name.into(), metadata: vec![0; 40].into() };
        let join = Join {
            group: group.clone(),
            member: MemberId::none(),
            instance: None,
            client_id: "consumer-orders-1".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            protocol_type: "consumer".into(),
            protocols: vec![protocol("range"), protocol("cooperative-sticky")],
            reason: None,
            fresh_id,
            joins_twice: false,
            can_skip_assignment: true,
        };
        let reply = self.reply();
        self.coordinator.on_join(now(), join, reply, &mut self.effects);
        self.settle();
        self.coordinator.tick(now(), &mut self.effects);
        self.settle();
        let described = self.coordinator.describe(group.as_str()).unwrap();
        let member = described.members[0].member.clone();
        let sync = Sync {
            group: group.clone(),
            member: member.clone(),
            instance: None,
            generation: 1,
            protocol_type: None,
            protocol_name: None,
            assignments: vec![(member.clone(), vec![0; 44].into())],
        };
        let reply = self.reply();
        self.coordinator.on_sync(now(), sync, reply, &mut self.effects);
        self.settle();
        self.commit(group, member, 1, topic);
    }
}

fn name(kind: &str, number: usize) -> GroupId {
    GroupId::from(format!("{kind}-consumers-of-orders-{number}").as_str())
}

/// Bytes of one of `GROUPS` that `make` makes; they are about what the coordinator counts.
fn measure(what: &str, world: &mut World, mut make: impl FnMut(&mut World, usize)) -> usize {
    let (held, counted) = (HELD.load(Ordering::SeqCst), world.memory.held());
    (0..GROUPS).for_each(|number| make(world, number));
    let each = (HELD.load(Ordering::SeqCst) - held) / GROUPS;
    let counted = (world.memory.held() - counted) / GROUPS;
    eprintln!("{what}: {each} bytes, counted as {counted}");
    assert!(counted > each / 2 && counted < each * 2, "{what}: {each} bytes, counted as {counted}");
    each
}

/// One test, for all allocations of the process are counted together.
#[test]
fn an_idle_group_takes_less_than_four_kib_and_is_counted_with_about_that() {
    let topic = TopicName::parse("orders").unwrap();
    let mut world = World::new();
    let idle = measure("an idle group", &mut world, |world, number| {
        world.commit(&name("idle", number), MemberId::none(), -1, &topic);
    });
    assert!(idle < IDLE_BYTES_MAX);
    let live = measure("a group with a member", &mut world, |world, number| {
        world.live(&name("live", number), number, &topic);
    });
    assert!(live > idle && live < 2 * IDLE_BYTES_MAX);
    drop(world);

    // The same from the log: topics' names are nobody's else then.
    let mut world = World::new();
    world.keeps_log = true;
    for number in 0..GROUPS {
        world.commit(&name("idle", number), MemberId::none(), -1, &topic);
    }
    let log = std::mem::take(&mut world.log);
    let memory = Rc::clone(&world.memory);
    drop(world);
    assert_eq!(memory.held(), 0, "what goes gives its memory back");
    let held = HELD.load(Ordering::SeqCst);
    let mut coordinator = Coordinator::new(settings(), Rc::clone(&memory));
    for record in &log {
        coordinator.replay(&record.key, record.value.as_deref()).unwrap();
    }
    let each = (HELD.load(Ordering::SeqCst) - held) / GROUPS;
    eprintln!("an idle group that was loaded: {each} bytes");
    assert!(each < IDLE_BYTES_MAX);
    assert_eq!(coordinator.counts().groups_empty, GROUPS);
}
