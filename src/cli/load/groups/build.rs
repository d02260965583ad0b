//! Groups are made: idle ones by commits of nobody's, live ones by members that join.

use super::line::Line;
use super::ops::{BY_NAME_MAX, commit_request};
use crate::cli::client_error::accepted;
use crate::cli::load::error::LoadError;
use crate::cli::load::work::CALL_TIMEOUT;
use crate::model::ErrorCode;
use crate::protocol::write::join_group::JoinGroupRequestProtocol;
use crate::protocol::write::sync_group::SyncGroupRequestAssignment;
use crate::protocol::write::{HeartbeatRequest, JoinGroupRequest, SyncGroupRequest};
use crate::protocol::{ApiKey, Writer};
use crate::runtime::sync;
use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

/// Long enough for members to wait for their turn while others join, and allowed by default.
const SESSION_TIMEOUT_MS: i32 = 1_800_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
/// Between two looks at a group that is not complete, or at a coordinator that is not ready.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The protocols that Java's consumer names by default.
const PROTOCOLS: [&str; 2] = ["range", "cooperative-sticky"];

/// What is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub topic: String,
    /// Partitions of the topic that each group commits.
    pub offsets: i32,
    pub member_count: usize,
}

/// A member that has its assignment.
#[derive(Clone, Debug)]
pub struct Member {
    pub group: String,
    pub id: String,
    pub generation: i32,
}

/// How far a group has come: what its leader was told last.
#[derive(Default)]
struct Roster {
    generation: Cell<i32>,
    member_count: Cell<usize>,
}

/// Commits of nobody's, one for each group; the lines take the groups in turn.
pub async fn idle_groups(
    lines: &mut [Line],
    plan: &Plan,
    groups: &[String],
) -> Result<(), LoadError> {
    let count = lines.len();
    let tasks = lines.iter_mut().enumerate().map(|(index, line)| async move {
        for group in groups.iter().skip(index).step_by(count) {
            commit(line, plan, group, None).await?;
        }
        Ok(())
    });
    sync::all(tasks).await.into_iter().collect()
}

async fn commit(
    line: &mut Line,
    plan: &Plan,
    group: &str,
    member: Option<&Member>,
) -> Result<(), LoadError> {
    let give_up = line.core().now() + CALL_TIMEOUT;
    let request = commit_request(group, &plan.topic, plan.offsets, member);
    loop {
        let code = line
            .call(BY_NAME_MAX, &request, |answer| {
                let partitions = answer.topics.iter().flat_map(|topic| topic.partitions);
                partitions.map(|one| one.error_code).find(|code| *code != 0).unwrap_or(0)
            })
            .await?;
        let is_retriable = ErrorCode::from_code(code).is_some_and(ErrorCode::is_retriable);
        if !is_retriable || line.core().now() >= give_up {
            return Ok(accepted(ApiKey::OffsetCommit, group, code, None)?);
        }
        line.core().sleep(LOOK_AGAIN).await;
    }
}

/// Members join, as many groups at once as there are lines for, and one of each group commits: what
/// is fetched later is there. Gives all members.
pub async fn live_groups(
    lines: &mut [Line],
    plan: &Plan,
    groups: &[String],
) -> Result<Vec<Member>, LoadError> {
    let gangs = lines.chunks_exact_mut(plan.member_count);
    let count = gangs.len();
    let tasks = gangs.enumerate().map(|(index, gang)| async move {
        let mut members = Vec::new();
        for group in groups.iter().skip(index).step_by(count) {
            let roster = Roster::default();
            let joins = gang.iter_mut().map(|line| join(line, plan, group, &roster));
            let joined: Result<Vec<Member>, LoadError> =
                sync::all(joins).await.into_iter().collect();
            let mut joined = joined?;
            commit(&mut gang[0], plan, group, joined.first()).await?;
            members.append(&mut joined);
        }
        Ok(members)
    });
    let members: Result<Vec<Vec<Member>>, LoadError> = sync::all(tasks).await.into_iter().collect();
    Ok(members?.into_iter().flatten().collect())
}

/// One member, until all members of its group are in one generation that has been assigned.
async fn join(
    line: &mut Line,
    plan: &Plan,
    group: &str,
    roster: &Roster,
) -> Result<Member, LoadError> {
    let give_up = line.core().now() + CALL_TIMEOUT;
    let mut id = String::new();
    loop {
        let (code, generation) = join_once(line, plan, group, &mut id, roster).await?;
        let mut code = code;
        if code == ErrorCode::None.code() {
            code = sync_once(line, plan, group, &id, generation).await?;
        }
        while code == ErrorCode::None.code() {
            let is_whole = roster.member_count.get() == plan.member_count;
            if is_whole && roster.generation.get() == generation {
                return Ok(Member { group: group.to_owned(), id, generation });
            }
            line.core().sleep(LOOK_AGAIN).await;
            code = heartbeat(line, group, &id, generation).await?;
        }
        match ErrorCode::from_code(code) {
            _ if line.core().now() >= give_up => accepted(ApiKey::JoinGroup, group, code, None)?,
            Some(ErrorCode::MemberIdRequired | ErrorCode::RebalanceInProgress) => {}
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => id.clear(),
            Some(known) if known.is_retriable() => line.core().sleep(LOOK_AGAIN).await,
            _ => accepted(ApiKey::JoinGroup, group, code, None)?,
        }
    }
}

/// The code of the answer, and the generation; the leader tells the others who is in it.
async fn join_once(
    line: &mut Line,
    plan: &Plan,
    group: &str,
    id: &mut String,
    roster: &Roster,
) -> Result<(i16, i32), LoadError> {
    let subscription = subscription(&plan.topic);
    let protocol =
        |name| JoinGroupRequestProtocol { name, metadata: Cow::Borrowed(&subscription[..]) };
    let request = JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        member_id: Cow::Owned(id.clone()),
        protocol_type: "consumer".into(),
        protocols: PROTOCOLS.map(|name| protocol(name.into())).into(),
        ..JoinGroupRequest::default()
    };
    let joined = line.call(i16::MAX, &request, |answer| {
        answer.member_id.clone_into(id);
        if answer.error_code == 0 && answer.leader == answer.member_id {
            roster.generation.set(answer.generation_id);
            roster.member_count.set(answer.members.len());
        }
        (answer.error_code, answer.generation_id)
    });
    joined.await
}

/// Everyone sends assignments for itself; those of the leader count, and are as good as others.
async fn sync_once(
    line: &mut Line,
    plan: &Plan,
    group: &str,
    id: &str,
    generation_id: i32,
) -> Result<i16, LoadError> {
    let assignment = assignment(&plan.topic, plan.offsets);
    let request = SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: id.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some(PROTOCOLS[0].into()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: id.into(),
            assignment: Cow::Borrowed(&assignment),
        }],
        ..SyncGroupRequest::default()
    };
    line.call(i16::MAX, &request, |answer| answer.error_code).await
}

async fn heartbeat(
    line: &mut Line,
    group: &str,
    id: &str,
    generation_id: i32,
) -> Result<i16, LoadError> {
    let request = HeartbeatRequest {
        group_id: group.into(),
        generation_id,
        member_id: id.into(),
        ..HeartbeatRequest::default()
    };
    line.call(i16::MAX, &request, |answer| answer.error_code).await
}

/// What a consumer of one topic says of itself (version 3 of the consumer protocol).
fn subscription(topic: &str) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.i16(3);
    writer.i32(1);
    writer.string(topic);
    // No user data, no partitions owned, no generation, no rack.
    writer.i32(-1);
    writer.i32(0);
    writer.i32(-1);
    writer.i16(-1);
    writer.into_buffers().0
}

/// The first partitions of a topic, assigned.
fn assignment(topic: &str, partition_count: i32) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.i16(3);
    writer.i32(1);
    writer.string(topic);
    writer.i32(partition_count);
    (0..partition_count).for_each(|partition| writer.i32(partition));
    writer.i32(-1);
    writer.into_buffers().0
}
