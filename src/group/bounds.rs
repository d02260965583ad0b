//! What is bounded: memory of idle groups, work of a tick, members, ids, groups, records of an
//! append.

use super::effect::Effect;
use super::group::Group;
use super::member::Member;
use super::world::World;
use super::*;
use crate::limits::{
    GROUP_APPEND_BYTES_MAX, GROUP_APPEND_RECORDS_MAX, GROUP_GENERATION_BYTES_MAX,
    GROUP_MEMBER_BYTES_MAX, GROUP_PENDING_JOINS_MAX, GROUPS_EXPIRED_PER_TICK_MAX,
};
use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicName, Uuid};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

fn join(group: &str, id: u64) -> Join {
    let mut fresh_id = Uuid::ZERO;
    fresh_id.0[8..].copy_from_slice(&id.to_be_bytes());
    Join {
        group: GroupId::from(group),
        member: MemberId::none(),
        instance: None,
        client_id: "console-consumer".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: ["range", "cooperative-sticky"].map(protocol).into(),
        reason: None,
        fresh_id,
        joins_twice: false,
        can_skip_assignment: true,
    }
}

fn protocol(name: &str) -> Protocol {
    Protocol { name: name.into(), metadata: vec![0; 64].into() }
}

fn commit(group: &str, partitions: i32, metadata: &str) -> Commit {
    let partition = |index| CommitPartition {
        partition: PartitionIndex(index),
        offset: Offset(5),
        leader_epoch: LeaderEpoch(0),
        metadata: metadata.into(),
    };
    Commit {
        group: GroupId::from(group),
        member: MemberId::none(),
        instance: None,
        generation: -1,
        retention_ms: None,
        topics: vec![CommitTopic {
            name: TopicName::parse("orders").unwrap(),
            id: Uuid([1; 16]),
            partitions: (0..partitions).map(partition).collect(),
        }],
    }
}

fn quiet() -> Settings {
    Settings { initial_rebalance_delay: Duration::ZERO, ..Settings::default() }
}

fn settle(world: &mut World) -> Vec<Effect> {
    let mut all = Vec::new();
    loop {
        let some = world.drain();
        if some.is_empty() && world.appends.is_empty() {
            return all;
        }
        all.extend(some);
        world.commit_one();
    }
}

fn ask_join(world: &mut World, join: Join) -> Vec<Effect> {
    let (now, reply) = (world.now(), world.reply_id());
    world.coordinator.on_join(now, join, reply, &mut world.effects);
    settle(world)
}

fn ask_commit(world: &mut World, commit: Commit) {
    let (now, reply) = (world.now(), world.reply_id());
    world.coordinator.on_commit(now, commit, reply, &mut world.effects);
}

fn refusal(effects: &[Effect]) -> Option<&GroupError> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { answer: Answer::Join(JoinAnswer { result, .. }), .. } => {
            result.as_ref().err()
        }
        _ => None,
    })
}

/// Bytes allocated for a group, about: what the allocator adds is not counted.
fn heap_bytes(group: &Group) -> usize {
    // The counts of an `Arc`; a deadline's place in the heap and its slot.
    const SHARED: usize = 16;
    const ALARM: usize = 96;
    // A leaf of a map has room for eleven entries, and is more than half full.
    let leaves = |len: usize, entry: usize| len.div_ceil(6) * (11 * entry + 16);
    let text = |text: &str| text.len() + SHARED;
    let mut bytes = size_of::<Group>() + text(group.id.as_str());
    for member in group.members.values() {
        bytes += size_of::<Member>() + ALARM + member.assignment.len() + SHARED;
        let texts = [member.id.as_str(), &member.client_id, &member.client_host];
        bytes += texts.into_iter().map(text).sum::<usize>();
        for protocol in &member.protocols {
            bytes +=
                size_of::<Protocol>() + text(&protocol.name) + protocol.metadata.len() + SHARED;
        }
    }
    for (name, partitions) in group.offsets.topics() {
        bytes += text(name.as_str()) + size_of_val(partitions);
        bytes += partitions.iter().map(|(_, offset)| offset.metadata.len()).sum::<usize>();
    }
    let pointers = size_of::<MemberId>() + size_of::<usize>();
    let subscribed = group.subscribed.as_ref().map_or(0, BTreeSet::len);
    bytes += leaves(1, pointers) + leaves(group.members.len(), pointers);
    bytes += leaves(group.statics.len(), 2 * size_of::<InstanceId>());
    bytes += leaves(group.protocol_counts.len(), pointers);
    bytes += leaves(subscribed, size_of::<TopicName>());
    bytes += leaves(group.offsets.topics().count(), size_of::<(TopicName, Vec<()>)>());
    bytes + group.durable.as_ref().map_or(0, |value| value.len() + SHARED)
}

#[test]
fn an_idle_group_takes_less_than_four_kib() {
    let mut world = World::new(quiet());
    // A member that waits for nothing, eight offsets, a generation in the log.
    ask_join(&mut world, join("idle", 1));
    let now = world.now();
    world.coordinator.tick(now, &mut world.effects);
    settle(&mut world);
    let member = world.coordinator.describe("idle").unwrap().members[0].member.clone();
    let reply = world.reply_id();
    let sync = Sync {
        group: GroupId::from("idle"),
        member: member.clone(),
        instance: None,
        generation: 1,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![(member.clone(), vec![0; 64].into())],
    };
    world.coordinator.on_sync(now, sync, reply, &mut world.effects);
    settle(&mut world);
    ask_commit(&mut world, Commit { member, generation: 1, ..commit("idle", 8, "") });
    settle(&mut world);
    assert_eq!(world.coordinator.describe("idle").unwrap().state, "Stable");
    let bytes = heap_bytes(&world.coordinator.groups["idle"]);
    assert!((1_000..4_096).contains(&bytes), "{bytes} bytes");
    // One that only holds offsets.
    ask_commit(&mut world, commit("held", 8, ""));
    settle(&mut world);
    let held = heap_bytes(&world.coordinator.groups["held"]);
    assert!(held < bytes && held < 2_500, "{held} bytes");
}

#[test]
fn a_member_that_says_too_much_is_refused() {
    let mut world = World::new(quiet());
    let mut large = join("g", 1);
    large.protocols[0].metadata = vec![0; GROUP_MEMBER_BYTES_MAX].into();
    let told = ask_join(&mut world, large);
    assert!(matches!(refusal(&told), Some(GroupError::MemberTooLarge { .. })));
    assert_eq!(world.coordinator.counts().groups_empty, 0);
    assert_eq!(world.coordinator.counts().deadlines, 1);
}

#[test]
fn a_name_of_any_length_leaves_room_for_the_members_id() {
    let mut world = World::new(quiet());
    // The wire has room for 32,767 bytes; the last letter before the dash takes two.
    for name in ["x".repeat(32_767), "\u{fc}".repeat(16_383)] {
        let asked = Join { joins_twice: true, client_id: name.as_str().into(), ..join("g", 1) };
        let given = |told: &[Effect]| match told {
            [Effect::Reply { answer: Answer::Join(told), .. }, ..] => told.member.clone(),
            told => panic!("{told:?}"),
        };
        let told = ask_join(&mut world, asked.clone());
        assert_eq!(refusal(&told), Some(&GroupError::MemberIdRequired));
        let member = given(&told);
        let id = member.as_str();
        assert!((32_766..=32_767).contains(&id.len()), "{}", id.len());
        assert!(name.starts_with(&id[..id.len() - 37]) && id.ends_with("000000000001"), "{id}");
        // With this id the client is known.
        let told = ask_join(&mut world, Join { member: member.clone(), ..asked });
        assert_eq!(refusal(&told), None);
        assert!(world.coordinator.groups["g"].members.contains_key(&member));
        world = World::new(quiet());
    }
}

#[test]
fn a_static_member_with_an_id_that_waits_is_refused_without_one() {
    let mut world = World::new(quiet());
    let twice = Join { joins_twice: true, ..join("g", 1) };
    ask_join(&mut world, twice.clone());
    let member = world.coordinator.groups["g"].pending.ids().next().unwrap().clone();
    let instance = Some(InstanceId::from("i"));
    let told = ask_join(&mut world, Join { member, instance, ..twice });
    let [Effect::Reply { answer: Answer::Join(told), .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told.result, Err(GroupError::StaticPending));
    assert!(told.member.is_empty(), "as in Kafka");
}

#[test]
fn ids_given_out_are_bounded_and_their_deadlines_leave_with_them() {
    let mut world = World::new(quiet());
    let ask = |world: &mut World, id| ask_join(world, Join { joins_twice: true, ..join("g", id) });
    for id in 0..GROUP_PENDING_JOINS_MAX as u64 {
        let told = ask(&mut world, id);
        assert_eq!(refusal(&told), Some(&GroupError::MemberIdRequired));
    }
    let told = ask(&mut world, u64::MAX);
    assert!(matches!(refusal(&told), Some(GroupError::TooManyPending { .. })));
    assert_eq!(world.coordinator.counts().deadlines, GROUP_PENDING_JOINS_MAX + 1);
    world.clock = Duration::from_secs(50);
    let now = world.now();
    let mut ticks = 0;
    while world.coordinator.next_deadline().is_some_and(|at| at <= now.instant) {
        world.coordinator.tick(now, &mut world.effects);
        ticks += 1;
    }
    assert!(ticks > 10, "a tick does a part of it");
    assert_eq!(world.coordinator.counts().deadlines, 1);
}

#[test]
fn many_offsets_are_many_appends_and_one_answer() {
    let mut world = World::new(quiet());
    ask_commit(&mut world, commit("g", 2_500, ""));
    let appends: Vec<usize> = sizes(&world.drain());
    assert_eq!(appends, [GROUP_APPEND_RECORDS_MAX, GROUP_APPEND_RECORDS_MAX, 500]);
    assert_eq!(settle(&mut world).len(), 1);
    let long = "x".repeat(4_000);
    ask_commit(&mut world, commit("g", 500, &long));
    let appends = sizes(&world.drain());
    assert_eq!(appends.iter().sum::<usize>(), 500);
    assert!(appends.iter().all(|count| count * 4_100 < GROUP_APPEND_BYTES_MAX + 4_100));
    settle(&mut world);
    world.check_replay();

    // One of them fails: nobody is told that all is well.
    ask_commit(&mut world, commit("g", 2_500, "new"));
    world.drain();
    world.fail_one(AppendError::TooLarge);
    let told = settle(&mut world);
    let [Effect::Reply { answer: Answer::Commit(Err(error)), .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*error, GroupError::Append(AppendError::TooLarge));
    world.check_replay();
}

fn sizes(effects: &[Effect]) -> Vec<usize> {
    let size = |effect: &Effect| match effect {
        Effect::Append { records, .. } => Some(records.len()),
        _ => None,
    };
    effects.iter().filter_map(size).collect()
}

#[test]
fn a_look_for_old_offsets_stops_now_and_then() {
    let mut world = World::new(Settings { offsets_retention: Duration::from_secs(60), ..quiet() });
    let groups = 2 * GROUPS_EXPIRED_PER_TICK_MAX + 10;
    for n in 0..groups {
        ask_commit(&mut world, commit(&format!("g{n}"), 1, ""));
        settle(&mut world);
    }
    let mut looks = Vec::new();
    while world.advance(Duration::from_secs(600)) {
        let gone = world.drain().iter().filter(|e| matches!(e, Effect::Notice(_))).count();
        looks.push(gone);
    }
    settle(&mut world);
    assert_eq!(looks, [GROUPS_EXPIRED_PER_TICK_MAX, GROUPS_EXPIRED_PER_TICK_MAX, 10]);
    assert_eq!(world.coordinator.counts().groups_empty, 0);
    assert_eq!(world.coordinator.live_records().count(), 0);
    world.check_replay();
}

#[test]
fn a_thousand_members_take_one_generation_each_with_one_record() {
    let mut world = World::new(quiet());
    let now = world.now();
    for id in 0..1_000 {
        let reply = world.reply_id();
        world.coordinator.on_join(now, join("g", id), reply, &mut world.effects);
    }
    settle(&mut world);
    world.coordinator.tick(now, &mut world.effects);
    let told = settle(&mut world);
    let rosters = told.iter().filter(|effect| match effect {
        Effect::Reply { answer: Answer::Join(JoinAnswer { result: Ok(joined), .. }), .. } => {
            joined.members.len() == 1_000
        }
        _ => false,
    });
    assert_eq!(rosters.count(), 1);
    assert_eq!(world.coordinator.counts().members, 1_000);
    let leader = world.coordinator.groups["g"].leader.clone().unwrap();
    let members: Vec<MemberId> = world.coordinator.groups["g"].members.keys().cloned().collect();
    for member in members {
        let assignments = vec![(leader.clone(), Arc::from(*b"all"))];
        let reply = world.reply_id();
        let sync = Sync {
            group: GroupId::from("g"),
            assignments: if member == leader { assignments } else { Vec::new() },
            member,
            instance: None,
            generation: 1,
            protocol_type: None,
            protocol_name: None,
        };
        world.coordinator.on_sync(now, sync, reply, &mut world.effects);
    }
    assert_eq!(sizes(&world.drain()), [1]);
    settle(&mut world);
    assert_eq!(world.coordinator.counts().groups_stable, 1);
    assert!(world.waiting.is_empty());
    world.check_waiting();
    world.check_replay();
}

fn world_with(bytes_max: usize) -> World {
    let mut world = World::new(quiet());
    world.coordinator.memory = Rc::new(Memory::new(bytes_max));
    world
}

fn is_out_of_memory(error: &GroupError) -> bool {
    matches!(error, GroupError::OutOfMemory { .. })
}

/// Whether a commit was taken.
fn is_committed(world: &mut World, commit: Commit) -> bool {
    ask_commit(world, commit);
    let told = settle(world);
    let result = told.iter().find_map(|effect| match effect {
        Effect::Reply { answer: Answer::Commit(result), .. } => Some(result),
        _ => None,
    });
    match result.expect("a commit is answered") {
        Ok(_) => true,
        Err(error) => {
            assert!(is_out_of_memory(error), "{error}");
            false
        }
    }
}

#[test]
fn commits_of_nobody_fill_the_memory_of_a_core_and_no_more() {
    const MAX: usize = 1 << 20;
    let mut world = world_with(MAX);
    let metadata = "m".repeat(1_000);
    let taken = (0..10_000)
        .take_while(|n| is_committed(&mut world, commit(&format!("g{n}"), 2, &metadata)))
        .count();
    assert!((100..600).contains(&taken), "{taken}");
    assert!(world.coordinator.memory.held() <= MAX);
    world.check_waiting();
    // What has a place is committed again, with a text that is no longer; nothing more is taken.
    assert!(is_committed(&mut world, commit("g0", 2, &metadata)));
    assert!(is_committed(&mut world, commit("g1", 2, "")));
    assert!(!is_committed(&mut world, commit("g0", 8, &metadata)));
    // What is deleted makes room.
    let (now, reply) = (world.now(), world.reply_id());
    let groups = (0..10).map(|n| GroupId::from(format!("g{n}").as_str())).collect();
    world.coordinator.on_delete_groups(now, groups, reply, &mut world.effects);
    settle(&mut world);
    assert!(is_committed(&mut world, commit("new", 2, &metadata)));
    world.check_waiting();
    world.check_replay();
}

#[test]
fn ids_given_out_fill_the_memory_of_a_core_until_they_expire() {
    const MAX: usize = 1 << 20;
    let mut world = world_with(MAX);
    let client: Arc<str> = "c".repeat(10_000).into();
    let ask = |world: &mut World, id: u64| {
        let group = format!("g{}", id % 7);
        let join = Join { joins_twice: true, client_id: client.clone(), ..join(&group, id) };
        let told = ask_join(world, join);
        refusal(&told).is_some_and(is_out_of_memory)
    };
    let given = (0..10_000).take_while(|id| !ask(&mut world, *id)).count();
    assert!((50..150).contains(&given), "{given}");
    assert!(world.coordinator.memory.held() <= MAX);
    world.check_waiting();
    world.clock = Duration::from_secs(60);
    let now = world.now();
    while world.coordinator.next_deadline().is_some_and(|at| at <= now.instant) {
        world.coordinator.tick(now, &mut world.effects);
    }
    settle(&mut world);
    assert!(!ask(&mut world, 10_000));
    world.check_waiting();
}

#[test]
fn members_fill_the_memory_of_a_core_and_those_that_are_there_join_again() {
    const MAX: usize = 1 << 20;
    let mut world = world_with(MAX);
    let large = |group: &str, id| {
        let mut join = join(group, id);
        join.protocols[0].metadata = vec![0; 100_000].into();
        join
    };
    let is_full = |told: &[Effect]| refusal(told).is_some_and(is_out_of_memory);
    let mut static_ids = 0;
    while static_ids < 100 {
        let instance = Some(InstanceId::from(format!("i{static_ids}").as_str()));
        if is_full(&ask_join(&mut world, Join { instance, ..large("g", static_ids) })) {
            break;
        }
        static_ids += 1;
    }
    assert!((5..15).contains(&static_ids), "{static_ids}");
    assert!(is_full(&ask_join(&mut world, large("other", 1_000))));
    assert!(!world.coordinator.groups.contains_key("other"));
    let instance = InstanceId::from("i0");
    let member = world.coordinator.groups["g"].statics[&instance].clone();
    let again = Join { member, instance: Some(instance), ..large("g", 2_000) };
    let told = ask_join(&mut world, again);
    assert!(!is_full(&told), "{told:?}");
    world.check_waiting();
}

#[test]
fn a_generation_that_assigns_too_much_is_refused_and_its_members_join_again() {
    let mut world = World::new(quiet());
    ask_join(&mut world, join("g", 1));
    let now = world.now();
    world.coordinator.tick(now, &mut world.effects);
    settle(&mut world);
    let member = world.coordinator.groups["g"].leader.clone().unwrap();
    let sync = Sync {
        group: GroupId::from("g"),
        member: member.clone(),
        instance: None,
        generation: 1,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![(member, vec![0; GROUP_GENERATION_BYTES_MAX].into())],
    };
    let reply = world.reply_id();
    world.coordinator.on_sync(now, sync, reply, &mut world.effects);
    let told = settle(&mut world);
    let error = told.iter().find_map(|effect| match effect {
        Effect::Reply { answer: Answer::Sync(Err(error)), .. } => Some(error),
        _ => None,
    });
    let Some(GroupError::GenerationTooLarge { bytes, max }) = error else { panic!("{told:?}") };
    assert!(bytes > max && *max == GROUP_GENERATION_BYTES_MAX);
    assert_eq!(world.coordinator.describe("g").unwrap().state, "PreparingRebalance");
    world.check_waiting();
}
