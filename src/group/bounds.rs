//! What is bounded: memory of idle groups, work of a tick, members, ids, groups, records of an
//! append.

use super::effect::Effect;
use super::group::Group;
use super::member::Member;
use super::world::World;
use super::*;
use crate::limits::{
    GROUP_APPEND_BYTES_MAX, GROUP_APPEND_RECORDS_MAX, GROUP_MEMBER_BYTES_MAX,
    GROUP_PENDING_JOINS_MAX, GROUPS_EXPIRED_PER_TICK_MAX,
};
use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicName, Uuid};
use std::collections::BTreeSet;
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
    let member = world.coordinator.groups["g"].pending.keys().next().unwrap().clone();
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
