//! Groups of the whole process: what was committed is there after every end, never goes back, and
//! takes little room; who waits for a rebalance holds up nobody.

mod process;

use highwater::cli::client::Client;
use highwater::cli::client_error::ClientError;
use highwater::model::{ErrorCode, Timestamp};
use highwater::protocol::write::join_group::JoinGroupRequestProtocol;
use highwater::protocol::write::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use highwater::protocol::write::offset_fetch::OffsetFetchRequestGroup;
use highwater::protocol::write::sync_group::SyncGroupRequestAssignment;
use highwater::protocol::write::{
    DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use process::{Broker, PATIENCE, Process, eventually, free_address, fresh_name};
use std::collections::BTreeMap;
use std::path::Path;

const OFFSETS: &str = "__consumer_offsets";
const LATEST: Timestamp = Timestamp(-1);
const EARLIEST: Timestamp = Timestamp(-2);
/// No waiting for more members.
const NO_DELAY: &[&str] = &["--override", "group.initial.rebalance.delay.ms=0"];
/// Last version of OffsetCommit and OffsetFetch that names topics by name.
const BY_NAME: i16 = 9;

// --- a small client of groups -------------------------------------------------------------------

/// Waits for the coordinator of a group: until it is named, and has loaded.
fn await_coordinator(client: &mut Client, group: &str) {
    eventually("the group has a coordinator", || {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![group.into()],
            ..FindCoordinatorRequest::default()
        };
        let answer = client.call(&request, &[]).unwrap();
        let found = answer.view().coordinators.first().unwrap().error_code == 0;
        (found && fetch(client, group).is_ok()).then_some(())
    });
}

fn commit_request<'a>(group: &'a str, topic: &'a str, offsets: &[i64]) -> OffsetCommitRequest<'a> {
    commit_with(group, topic, offsets, "")
}

fn commit_with<'a>(
    group: &'a str,
    topic: &'a str,
    offsets: &[i64],
    metadata: &'a str,
) -> OffsetCommitRequest<'a> {
    let partitions = (0..).zip(offsets).map(|(partition_index, &committed_offset)| {
        OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_metadata: Some(metadata.into()),
            ..OffsetCommitRequestPartition::default()
        }
    });
    OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: partitions.collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

fn commit(client: &mut Client, request: &OffsetCommitRequest<'_>) {
    let answer = client.connection().call(BY_NAME, request, &[]).unwrap();
    for partition in answer.view().topics.first().unwrap().partitions {
        assert_eq!(partition.error_code, 0);
    }
}

/// All offsets of a group, by partition of its one topic; or why not.
fn fetch(client: &mut Client, group: &str) -> Result<BTreeMap<i32, i64>, ErrorCode> {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    let answer = client.connection().call(BY_NAME, &request, &[]).unwrap();
    let found = answer.view().groups.first().unwrap();
    match ErrorCode::from_code(found.error_code) {
        Some(ErrorCode::None) => {}
        code => return Err(code.expect("a code that Kafka has")),
    }
    let partitions = found.topics.iter().flat_map(|topic| topic.partitions.iter());
    Ok(partitions.map(|found| (found.partition_index, found.committed_offset)).collect())
}

fn join_request<'a>(group: &'a str, member: &'a str) -> JoinGroupRequest<'a> {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.to_string().into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: b"m"[..].into(),
        }],
        ..JoinGroupRequest::default()
    }
}

/// A member id, as a new member is given one.
fn member_id(client: &mut Client, group: &str) -> String {
    let answer = client.call(&join_request(group, ""), &[]).unwrap();
    assert_eq!(answer.view().error_code, ErrorCode::MemberIdRequired.code());
    answer.view().member_id.to_string()
}

fn sync_request<'a>(group: &'a str, member: &'a str, generation_id: i32) -> SyncGroupRequest<'a> {
    let assignment =
        SyncGroupRequestAssignment { member_id: member.into(), assignment: b"assigned"[..].into() };
    SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: member.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![assignment],
        ..SyncGroupRequest::default()
    }
}

fn heartbeat(client: &mut Client, group: &str, member: &str, generation_id: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: group.into(),
        generation_id,
        member_id: member.into(),
        ..HeartbeatRequest::default()
    };
    let answer = client.call(&request, &[]).unwrap();
    ErrorCode::from_code(answer.view().error_code).expect("a code that Kafka has")
}

/// A group with one member that has its assignment: the member and its generation.
fn stable(client: &mut Client, group: &str) -> (String, i32) {
    let member = member_id(client, group);
    let answer = client.call(&join_request(group, &member), &[]).unwrap();
    let (code, generation) = (answer.view().error_code, answer.view().generation_id);
    assert_eq!(code, 0);
    let answer = client.call(&sync_request(group, &member, generation), &[]).unwrap();
    assert_eq!(answer.view().assignment.to_vec(), b"assigned");
    (member, generation)
}

fn state(client: &mut Client, group: &str) -> String {
    let request =
        DescribeGroupsRequest { groups: vec![group.into()], ..DescribeGroupsRequest::default() };
    let answer = client.call(&request, &[]).unwrap();
    answer.view().groups.first().unwrap().group_state.to_string()
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    NO_DELAY.iter().chain(more).copied().collect()
}

// --- what was committed is there ----------------------------------------------------------------

/// Commits ahead, takes some answers, kills the broker, takes what is left: how many were answered.
fn killed_while_committing(broker: Process, group: &str, from: i64, count: i64) -> i64 {
    let mut client = broker.client();
    for number in 0..count {
        let request = commit_request(group, "read", &[from + number, from + number]);
        client.connection().send(BY_NAME, &request, &[]).unwrap();
    }
    let (mut broker, mut acknowledged) = (Some(broker), 0);
    while acknowledged < count {
        if acknowledged == count / 4
            && let Some(broker) = broker.take()
        {
            broker.kill();
        }
        let answer = client.connection().receive::<OffsetCommitRequest<'_>>();
        let Ok(answer) = answer else { break };
        let topics = answer.view().topics;
        let codes = topics.first().unwrap().partitions.iter().map(|found| found.error_code);
        assert_eq!(codes.collect::<Vec<_>>(), [0, 0]);
        acknowledged += 1;
    }
    acknowledged
}

#[test]
fn a_kill_takes_back_no_commit_that_was_answered() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let groups = ["kept-1", "kept-2", "kept-größe"];
    let mut next = BTreeMap::new();
    for round in 0..6 {
        let broker = Process::start_with(folder.path(), address, NO_DELAY);
        let mut client = broker.client();
        if round == 0 {
            client.create_topic("read", 2, &[]).unwrap();
        }
        client.await_topic("read", PATIENCE).unwrap();
        for group in groups {
            await_coordinator(&mut client, group);
            let found = fetch(&mut client, group).unwrap();
            if let Some((answered, sent)) = next.get(group) {
                // Both partitions were committed at once.
                assert_eq!(found.len(), 2, "{group} round {round}");
                for offset in found.values() {
                    assert!((answered..sent).contains(&offset), "{group}: {offset}");
                }
                assert_eq!(found[&0], found[&1]);
            }
        }
        let group = groups[round % groups.len()];
        let from = 1000 * round as i64;
        let answered = killed_while_committing(broker, group, from, 200);
        assert!(answered >= 50);
        next.insert(group, (from + answered - 1, from + 200));
    }
}

#[test]
fn members_go_on_after_a_stop_and_after_a_kill() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut broker = Process::start_with(folder.path(), address, NO_DELAY);
    let mut client = broker.client();
    await_coordinator(&mut client, "going-on");
    let (member, generation) = stable(&mut client, "going-on");
    for round in 0..3 {
        if round == 1 {
            broker.kill();
        } else {
            assert!(broker.stop().success());
        }
        broker = Process::start_with(folder.path(), address, NO_DELAY);
        let mut client = broker.client();
        await_coordinator(&mut client, "going-on");
        let code = heartbeat(&mut client, "going-on", &member, generation);
        assert_eq!(code, ErrorCode::None, "round {round}");
        assert_eq!(state(&mut client, "going-on"), "Stable");
        // And it has what it was assigned.
        let sync = sync_request("going-on", &member, generation);
        let answer = client.call(&sync, &[]).unwrap();
        assert_eq!(answer.view().assignment.to_vec(), b"assigned");
    }
}

#[test]
fn commits_packed_with_every_codec_are_read_again() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    for codec in 0..=4 {
        let setting = format!("offsets.topic.compression.codec={codec}");
        let broker = Process::start_with(folder.path(), address, &["--override", &setting]);
        let mut client = broker.client();
        if codec == 0 {
            client.create_topic("read", 2, &[]).unwrap();
        }
        client.await_topic("read", PATIENCE).unwrap();
        await_coordinator(&mut client, "packed");
        if codec > 0 {
            let before = BTreeMap::from([(0, codec - 1), (1, 100 + codec - 1)]);
            assert_eq!(fetch(&mut client, "packed").unwrap(), before, "codec {}", codec - 1);
        }
        commit(&mut client, &commit_request("packed", "read", &[codec, 100 + codec]));
        broker.kill();
    }
}

#[test]
fn under_a_flush_policy_a_commit_is_answered_after_its_sync() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "log.flush.interval.messages=1"];
    let broker = Process::start_with(folder.path(), free_address(), &more);
    let mut client = broker.client();
    client.create_topic("read", 1, &[]).unwrap();
    await_coordinator(&mut client, "synced");
    // Ahead of each other, so that several share a sync.
    for number in 0..50 {
        let request = commit_request("synced", "read", &[number]);
        client.connection().send(BY_NAME, &request, &[]).unwrap();
    }
    for _ in 0..50 {
        let answer = client.connection().receive::<OffsetCommitRequest<'_>>().unwrap();
        let topics = answer.view().topics;
        assert_eq!(topics.first().unwrap().partitions.first().unwrap().error_code, 0);
    }
    assert_eq!(fetch(&mut client, "synced").unwrap(), BTreeMap::from([(0, 49)]));
}

/// Bytes of the segments of a partition, without those that are about to go.
fn log_bytes(folder: &Path, partition: i32) -> u64 {
    let folder = folder.join("data").join(format!("{OFFSETS}-{partition}"));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
    logs.map(|file| file.metadata().unwrap().len()).sum()
}

#[test]
fn the_offsets_topic_is_written_anew_when_little_of_it_lives_and_a_kill_loses_nothing() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let more = with(&["--override", "offsets.topic.num.partitions=1"]);
    let broker = Process::start_with(folder.path(), address, &more);
    let mut client = broker.client();
    client.create_topic("read", 2, &[]).unwrap();
    await_coordinator(&mut client, "small");
    let (member, generation) = stable(&mut client, "with-member");
    commit(&mut client, &commit_request("early", "read", &[1, 2]));
    // Two texts of 4 KiB a commit: some 12 MiB, of which next to nothing lives.
    let text = "x".repeat(4096);
    for number in 0..1500 {
        commit(&mut client, &commit_with("small", "read", &[number, number], &text));
    }
    let start = eventually("the log starts later", || {
        let start = client.list_offset(OFFSETS, 0, EARLIEST).unwrap().offset;
        (start.0 > 0).then_some(start)
    });
    eventually("the log is small", || (log_bytes(folder.path(), 0) < 6 << 20).then_some(()));
    assert!(client.list_offset(OFFSETS, 0, LATEST).unwrap().offset > start);
    broker.kill();
    let broker = Process::start_with(folder.path(), address, &more);
    let mut client = broker.client();
    await_coordinator(&mut client, "small");
    assert_eq!(fetch(&mut client, "small").unwrap(), BTreeMap::from([(0, 1499), (1, 1499)]));
    assert_eq!(fetch(&mut client, "early").unwrap(), BTreeMap::from([(0, 1), (1, 2)]));
    assert_eq!(heartbeat(&mut client, "with-member", &member, generation), ErrorCode::None);
}

#[test]
fn a_kill_while_the_log_is_written_anew_loses_nothing() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let more = with(&[
        "--override",
        "offsets.topic.num.partitions=1",
        "--override",
        "log.segment.delete.delay.ms=0",
    ]);
    let text = "x".repeat(4000);
    let mut committed = -1;
    for round in 0..8 {
        let broker = Process::start_with(folder.path(), address, &more);
        let mut client = broker.client();
        if round == 0 {
            client.create_topic("read", 2, &[]).unwrap();
        }
        client.await_topic("read", PATIENCE).unwrap();
        await_coordinator(&mut client, "killed");
        if round > 0 {
            let found = fetch(&mut client, "killed").unwrap();
            assert!(found[&0] >= committed, "{} after {committed}", found[&0]);
            committed = found[&0];
        }
        // Some way into the log, at another place each time.
        for _ in 0..500 + 23 * round {
            committed += 1;
            commit(&mut client, &commit_with("killed", "read", &[committed, committed], &text));
        }
        broker.kill();
    }
}

// --- places -------------------------------------------------------------------------------------

#[test]
fn a_group_lies_where_java_puts_it() {
    let broker = Broker::start();
    let topic = broker.topic("placed", 1, &[]);
    let mut client = broker.client();
    await_coordinator(&mut client, "my-group");
    let partitions = client.topic(OFFSETS, false).unwrap().partition_count;
    if partitions != 50 {
        // Another broker's settings: where Java puts it is known for 50.
        return;
    }
    for (group, place) in [("my-group", 12), ("größe", 7), ("\u{1f980}", 2)] {
        let before = client.list_offset(OFFSETS, place, LATEST).unwrap().offset;
        commit(&mut client, &commit_request(group, &topic, &[1]));
        let after = client.list_offset(OFFSETS, place, LATEST).unwrap().offset;
        assert!(after > before, "{group}");
    }
}

#[test]
fn an_offsets_topic_that_was_deleted_is_made_anew_and_who_waited_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // A member that waits for more members waits long.
    let more = ["--override", "group.initial.rebalance.delay.ms=60000"];
    let broker = Process::start_with(folder.path(), free_address(), &more);
    let (mut client, mut waiting) = (broker.client(), broker.client());
    await_coordinator(&mut client, "gone");
    let member = member_id(&mut waiting, "gone");
    let version = waiting.versions().newest(highwater::protocol::ApiKey::JoinGroup).unwrap();
    let join = join_request("gone", &member);
    waiting.connection().send(version, &join, &[]).unwrap();
    eventually("it has joined", || {
        (state(&mut client, "gone") == "PreparingRebalance").then_some(())
    });
    client.delete_topic(OFFSETS).unwrap();
    let answer = waiting.connection().receive::<JoinGroupRequest<'_>>().unwrap();
    assert_eq!(answer.view().error_code, ErrorCode::NotCoordinator.code());
    assert_eq!(heartbeat(&mut client, "gone", &member, 1), ErrorCode::NotCoordinator);
    await_coordinator(&mut client, "gone");
    assert_eq!(heartbeat(&mut client, "gone", &member, 1), ErrorCode::UnknownMemberId);
}

// --- waiting ------------------------------------------------------------------------------------

#[test]
fn what_comes_behind_a_join_that_waits_is_done_meanwhile_and_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "group.initial.rebalance.delay.ms=2000"];
    let broker = Process::start_with(folder.path(), free_address(), &more);
    let (mut client, mut waiting) = (broker.client(), broker.client());
    client.create_topic("read", 1, &[]).unwrap();
    await_coordinator(&mut client, "waiting");
    let member = member_id(&mut waiting, "waiting");
    let version = waiting.versions().newest(highwater::protocol::ApiKey::JoinGroup).unwrap();
    let connection = waiting.connection();
    connection.send(version, &join_request("waiting", &member), &[]).unwrap();
    connection.send(BY_NAME, &commit_request("other", "read", &[5]), &[]).unwrap();
    let list = ListGroupsRequest::default();
    connection.send(5, &list, &[]).unwrap();
    eventually("the commit behind it is done", || {
        (fetch(&mut client, "other") == Ok(BTreeMap::from([(0, 5)]))).then_some(())
    });
    assert_eq!(state(&mut client, "waiting"), "PreparingRebalance");
    // In the order of the requests: the join first.
    let joined = connection.receive::<JoinGroupRequest<'_>>().unwrap();
    assert_eq!((joined.view().error_code, joined.view().generation_id), (0, 1));
    connection.receive::<OffsetCommitRequest<'_>>().unwrap();
    let listed = connection.receive::<ListGroupsRequest<'_>>().unwrap();
    let groups: Vec<_> = listed.view().groups.iter().map(|group| group.group_id).collect();
    assert!(groups.contains(&"waiting"), "{groups:?}");
}

#[test]
fn a_client_that_goes_while_it_waits_leaves_a_broker_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "group.initial.rebalance.delay.ms=500"];
    let broker = Process::start_with(folder.path(), free_address(), &more);
    let mut client = broker.client();
    await_coordinator(&mut client, "left");
    for _ in 0..20 {
        let mut gone = broker.client();
        let member = member_id(&mut gone, "left");
        let version = gone.versions().newest(highwater::protocol::ApiKey::JoinGroup).unwrap();
        gone.connection().send(version, &join_request("left", &member), &[]).unwrap();
        drop(gone);
    }
    let name = fresh_name("another");
    let (member, generation) = stable(&mut client, &name);
    assert_eq!(heartbeat(&mut client, &name, &member, generation), ErrorCode::None);
}

#[test]
fn a_broker_that_stops_does_not_wait_for_members() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--override", "group.initial.rebalance.delay.ms=60000"];
    let broker = Process::start_with(folder.path(), free_address(), &more);
    let mut client = broker.client();
    await_coordinator(&mut client, "ended");
    let member = member_id(&mut client, "ended");
    let version = client.versions().newest(highwater::protocol::ApiKey::JoinGroup).unwrap();
    client.connection().send(version, &join_request("ended", &member), &[]).unwrap();
    assert!(broker.stop().success());
    match client.connection().receive::<JoinGroupRequest<'_>>() {
        Ok(answer) => assert_eq!(answer.view().error_code, ErrorCode::NotCoordinator.code()),
        // It had not been begun.
        Err(error) => assert!(matches!(error, ClientError::Io { .. } | ClientError::Closed)),
    }
}
