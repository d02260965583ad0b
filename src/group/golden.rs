//! What an Apache Kafka 4.3.1 wrote into `__consumer_offsets` while real clients joined, committed
//! and left: the same commands come to the same bytes, and its bytes are read.

use super::world::World;
use super::*;
use crate::base::Instant;
use crate::model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicName, Uuid};
use std::rc::Rc;
use std::time::Duration;

const GROUP_KEY: &[u8] = b"\0\x02\0\x01g";
const CREATED: &[u8] = b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff\0\0\x01\xa2\x0e\x07u\0\0\0\0\0";
const STABLE: &[u8] = b"\0\x03\0\x08consumer\0\0\0\x01\0\x05range\
    \0&a-3d5246fd-4164-4584-9dc3-1c582c151d2e\0\0\x01\xa2\x0e\x07u&\0\0\0\x01\
    \0&a-3d5246fd-4164-4584-9dc3-1c582c151d2e\0\x01a\0\x03cli\0\n/127.0.0.1\
    \0\x04\x93\xe0\0\0\x17p\
    \0\0\0\x17\0\x03\0\0\0\x01\0\x01t\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\
    \0\0\0\x19\0\0\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0";
const EMPTY: &[u8] =
    b"\0\x03\0\x08consumer\0\0\0\x02\xff\xff\xff\xff\0\0\x01\xa2\x0e\x07\x8d\x8d\0\0\0\0";
const OFFSET_KEY: &[u8] = b"\0\x01\0\x01g\0\x01t\0\0\0\0";
const OFFSET: &[u8] =
    b"\0\x04\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\x06note\0\0\0\x01\xa2\x0e\x07v\x1c\
    \x01\0\x10u`Y\xccP\xd8K!\xaf\xe3r\xfe&\x06\xb2\xa9";

const TOPIC_ID: Uuid = Uuid(*b"u`Y\xccP\xd8K!\xaf\xe3r\xfe&\x06\xb2\xa9");
const MEMBER_ID: &str = "a-3d5246fd-4164-4584-9dc3-1c582c151d2e";

fn at(ms: i64) -> Now {
    const START: i64 = 0x1a2_0e07_7500;
    let instant = Instant::ZERO + Duration::from_millis(ms as u64);
    Now { instant, timestamp: Timestamp(START + ms) }
}

fn commit_all(world: &mut World) {
    loop {
        world.drain();
        if world.appends.is_empty() {
            break;
        }
        world.commit_one();
    }
}

#[test]
fn records_are_kafkas_to_the_byte() {
    let settings = Settings { initial_rebalance_delay: Duration::ZERO, ..Settings::default() };
    let mut world = World::new(settings);
    let group = GroupId::from("g");
    let member = MemberId::from(MEMBER_ID);
    let instance = Some(InstanceId::from("a"));
    let join = Join {
        group: group.clone(),
        member: MemberId::none(),
        instance: instance.clone(),
        client_id: "cli".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 6_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: (*b"\0\x03\0\0\0\x01\0\x01t\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0").into(),
        }],
        reason: None,
        fresh_id: Uuid(*b"\x3d\x52\x46\xfd\x41\x64\x45\x84\x9d\xc3\x1c\x58\x2c\x15\x1d\x2e"),
        joins_twice: true,
        can_skip_assignment: true,
    };
    let reply = world.reply_id();
    world.coordinator.on_join(at(0), join, reply, &mut world.effects);
    commit_all(&mut world);
    world.coordinator.tick(at(0x26), &mut world.effects);
    let assignment: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0";
    let sync = Sync {
        group: group.clone(),
        member: member.clone(),
        instance: instance.clone(),
        generation: 1,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![(member.clone(), assignment.into())],
    };
    let reply = world.reply_id();
    world.coordinator.on_sync(at(0x30), sync, reply, &mut world.effects);
    commit_all(&mut world);
    let commit = Commit {
        group: group.clone(),
        member: member.clone(),
        instance: instance.clone(),
        generation: 1,
        retention_ms: None,
        topics: vec![CommitTopic {
            name: TopicName::parse("t").unwrap(),
            id: TOPIC_ID,
            partitions: vec![CommitPartition {
                partition: PartitionIndex(0),
                offset: Offset(5),
                leader_epoch: LeaderEpoch::NONE,
                // librdkafka's texts end with a zero byte.
                metadata: "note\0".into(),
            }],
        }],
    };
    let reply = world.reply_id();
    world.coordinator.on_commit(at(0x11c), commit, reply, &mut world.effects);
    commit_all(&mut world);
    // Its session ends: a static member does not say goodbye.
    world.coordinator.tick(at(0x188d), &mut world.effects);
    commit_all(&mut world);

    let seen: Vec<_> = world.log.iter().map(|r| (&*r.key, r.value.as_deref())).collect();
    assert_eq!(
        seen,
        [
            (GROUP_KEY, Some(CREATED)),
            (GROUP_KEY, Some(STABLE)),
            (OFFSET_KEY, Some(OFFSET)),
            (GROUP_KEY, Some(EMPTY)),
        ]
    );
    world.check_replay();
}

#[test]
fn a_log_of_kafkas_is_read() {
    let mut coordinator = Coordinator::new(Settings::default(), Rc::default());
    for (key, value) in [(GROUP_KEY, CREATED), (GROUP_KEY, STABLE), (OFFSET_KEY, OFFSET)] {
        coordinator.replay(key, Some(value)).unwrap();
    }
    let group = coordinator.describe("g").unwrap();
    assert_eq!((group.state, &*group.protocol), ("Stable", "range"));
    assert_eq!(group.members[0].member.as_str(), MEMBER_ID);
    assert_eq!(group.members[0].assignment.len(), 25);
    let records: Vec<_> = coordinator.live_records().collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].value.as_deref(), Some(STABLE));
    assert_eq!(records[1].value.as_deref(), Some(OFFSET));
    coordinator.replay(GROUP_KEY, Some(EMPTY)).unwrap();
    assert_eq!(coordinator.describe("g").unwrap().state, "Empty");
    assert_eq!(coordinator.counts().offsets, 1);
    // Offsets without their group are somebody's still; with their tombstones nothing is left.
    coordinator.replay(GROUP_KEY, None).unwrap();
    assert_eq!(&*coordinator.describe("g").unwrap().protocol_type, "");
    assert_eq!(coordinator.counts().offsets, 1);
    coordinator.replay(OFFSET_KEY, None).unwrap();
    assert_eq!(coordinator.live_records().count(), 0);
}

#[test]
fn older_versions_of_values_are_read() {
    let mut coordinator = Coordinator::new(Settings::default(), Rc::default());
    let offsets: [(&[u8], &[u8]); 4] = [
        (b"\0\0\0\x01g\0\x01t\0\0\0\0", b"\0\0\0\0\0\0\0\0\0\x05\0\x01n\0\0\0\0\0\0\0\x09"),
        (
            b"\0\x01\0\x01g\0\x01t\0\0\0\x01",
            b"\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x0a",
        ),
        (b"\0\x01\0\x01g\0\x01t\0\0\0\x02", b"\0\x02\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\x09"),
        (
            b"\0\x01\0\x01g\0\x01t\0\0\0\x03",
            b"\0\x03\0\0\0\0\0\0\0\x08\0\0\0\x02\0\0\0\0\0\0\0\0\0\x09",
        ),
    ];
    for (key, value) in offsets {
        coordinator.replay(key, Some(value)).unwrap();
    }
    let group = &coordinator.groups["g"];
    let seen: Vec<_> = group
        .offsets
        .iter()
        .map(|(_, _, o)| (o.offset.0, o.leader_epoch.0, &*o.metadata, o.expires_at.map(|at| at.0)))
        .collect();
    assert_eq!(
        seen,
        [(5, -1, "n", None), (6, -1, "", Some(10)), (7, -1, "", None), (8, 2, "", None)]
    );
    // Version 0 of a generation: no rebalance timeout, no instance, no time.
    let value =
        b"\0\0\0\x08consumer\0\0\0\x03\0\x01r\0\x01m\0\0\0\x01\0\x01m\0\x01c\0\x02/h\0\0\x17p\
        \0\0\0\0\0\0\0\0";
    coordinator.replay(b"\0\x02\0\x01h", Some(value)).unwrap();
    let group = &coordinator.groups["h"];
    assert_eq!((group.generation, group.changed_at), (3, None));
    assert_eq!(group.members["m"].rebalance_timeout_ms, 6_000);
}

#[test]
fn records_of_other_protocols_are_kept_as_they_are() {
    let mut coordinator = Coordinator::new(Settings::default(), Rc::default());
    for version in [3, 5, 8, 16, 30] {
        coordinator.replay(&[0, version, 1, 2], Some(&[9, version])).unwrap();
    }
    coordinator.replay(&[0, 5, 1, 2], None).unwrap();
    coordinator.replay(&[0, 6, 1, 2], None).unwrap();
    coordinator.replay(&[0, 8, 1, 2], Some(b"new")).unwrap();
    assert_eq!(coordinator.counts().foreign_records, 4);
    let kept: Vec<_> = coordinator.live_records().collect();
    assert_eq!(kept.len(), 4);
    assert_eq!(kept[1].value.as_deref(), Some(&b"new"[..]));
}

#[test]
fn damaged_records_are_refused_or_read_and_never_more() {
    for (key, value) in [(GROUP_KEY, STABLE), (OFFSET_KEY, OFFSET), (GROUP_KEY, EMPTY)] {
        for place in 0..key.len() + value.len() {
            for flip in [1, 0x10, 0x80, 0xff] {
                let mut bytes = [key, value].concat();
                bytes[place] ^= flip;
                let mut coordinator = Coordinator::new(Settings::default(), Rc::default());
                let (key, value) = bytes.split_at(key.len());
                if coordinator.replay(key, Some(value)).is_ok() {
                    coordinator.on_loaded(at(0), &mut Effects::new());
                    coordinator.tick(at(1 << 31), &mut Effects::new());
                }
            }
        }
        for end in 0..value.len() {
            let mut coordinator = Coordinator::new(Settings::default(), Rc::default());
            assert!(coordinator.replay(key, Some(&value[..end])).is_err(), "{end} of {value:?}");
            assert_eq!(coordinator.counts(), Counts::default());
        }
        for end in 0..key.len() {
            assert!(
                Coordinator::new(Settings::default(), Rc::default())
                    .replay(&key[..end], None)
                    .is_err()
            );
        }
    }
    // One member twice.
    let twice = b"\0\0\0\x01x\0\0\0\x03\0\x01r\0\x01m\0\0\0\x02\
        \0\x01m\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01m\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let refused =
        Coordinator::new(Settings::default(), Rc::default()).replay(GROUP_KEY, Some(twice));
    assert_eq!(refused, Err(RecordError::Members { group: GroupId::from("g") }));
}
