//! What members of a stable group ask for all day, as frames that are sent round and round.

use super::build::{Member, Plan};
use crate::cli::client::Versions;
use crate::cli::client_error::ClientError;
use crate::cli::load::answers::Kind;
use crate::cli::load::work::{FramesWriter, Work};
use crate::protocol::ApiKey;
use crate::protocol::write::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::write::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use crate::protocol::write::{HeartbeatRequest, OffsetCommitRequest, OffsetFetchRequest};
use std::net::SocketAddr;

/// The last version of OffsetCommit and OffsetFetch that names topics by name.
pub const BY_NAME_MAX: i16 = 9;

/// The operations, in the order in which each member asks for them.
pub const OPERATIONS: [&str; 3] = ["heartbeat", "commit", "fetch"];

/// The frames of all members, who take the connections in turn.
pub fn work(
    address: SocketAddr,
    versions: &Versions,
    plan: &Plan,
    members: &[Member],
    connection_count: usize,
) -> Result<Work, ClientError> {
    let newest = |api: ApiKey, max: i16| Ok::<_, ClientError>(versions.newest(api)?.min(max));
    let heartbeat = newest(ApiKey::Heartbeat, i16::MAX)?;
    let commit = newest(ApiKey::OffsetCommit, BY_NAME_MAX)?;
    let fetch = newest(ApiKey::OffsetFetch, BY_NAME_MAX)?;
    let kinds = vec![
        Kind::Heartbeat { version: heartbeat },
        Kind::OffsetCommit { version: commit },
        Kind::OffsetFetch { version: fetch },
    ];
    let count = connection_count.min(members.len());
    let frames = (0..count).map(|index| {
        let mut frames = FramesWriter::default();
        for member in members.iter().skip(index).step_by(count) {
            frames.push(heartbeat, &heartbeat_request(member), &[]);
            let request = commit_request(&member.group, &plan.topic, plan.offsets, Some(member));
            frames.push(commit, &request, &[]);
            frames.push(fetch, &fetch_request(&member.group, &plan.topic, plan.offsets), &[]);
        }
        frames.finish()
    });
    let frames = frames.collect();
    Ok(Work { address, kinds, frames })
}

fn heartbeat_request(member: &Member) -> HeartbeatRequest<'_> {
    HeartbeatRequest {
        group_id: (&*member.group).into(),
        generation_id: member.generation,
        member_id: (&*member.id).into(),
        ..HeartbeatRequest::default()
    }
}

/// A commit of the first partitions of a topic; without a member, nobody's.
pub fn commit_request<'a>(
    group: &'a str,
    topic: &'a str,
    partition_count: i32,
    member: Option<&'a Member>,
) -> OffsetCommitRequest<'a> {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 1_000,
        committed_metadata: Some("".into()),
        ..OffsetCommitRequestPartition::default()
    };
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: member.map_or(-1, |member| member.generation),
        member_id: member.map_or("", |member| &member.id).into(),
        retention_time_ms: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: (0..partition_count).map(partition).collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

/// In the words of older and of newer versions: an encoder takes those of its own.
fn fetch_request<'a>(
    group: &'a str,
    topic: &'a str,
    partition_count: i32,
) -> OffsetFetchRequest<'a> {
    let partition_indexes: Vec<i32> = (0..partition_count).collect();
    OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: topic.into(),
            partition_indexes: partition_indexes.clone(),
        }]),
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: topic.into(),
                partition_indexes,
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    }
}
