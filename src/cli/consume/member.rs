//! A member of a classic consumer group: joins, leads if it must, sends heartbeats, commits, leaves.

use super::assign::{Assignor, Candidate};
use crate::cli::client::Client;
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::cluster::groups::assigned;
use crate::cli::cluster::offsets::Place;
use crate::cli::cluster::{Cluster, dial};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::model::{ErrorCode, Offset};
use crate::protocol::write::consumer_protocol_assignment::AssignedPartition;
use crate::protocol::write::consumer_protocol_subscription::OwnedPartition;
use crate::protocol::write::join_group::JoinGroupRequestProtocol;
use crate::protocol::write::leave_group::MemberIdentity;
use crate::protocol::write::sync_group::SyncGroupRequestAssignment;
use crate::protocol::write::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, SyncGroupRequest,
};
use crate::protocol::{ApiKey, Encode, Parse as _, Reader, Writer, read};
use crate::runtime::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
const HEARTBEAT: Duration = Duration::from_secs(3);
/// A join waits for the slowest other member: Kafka's default of max.poll.interval.ms, and a little.
const JOIN_TIMEOUT: Duration = Duration::from_secs(310);
/// What a subscription is written in: with owned partitions and their generation.
const SUBSCRIPTION_VERSION: i16 = 2;
const ASSIGNMENT_VERSION: i16 = 1;

/// This process as a member.
pub struct Member {
    group: String,
    topics: Vec<String>,
    assignor: Assignor,
    id: String,
    generation: i32,
    pub assigned: BTreeSet<Place>,
    /// To the coordinator; a join would hold up all else on a shared connection.
    client: Option<Client>,
    heartbeat_at: crate::base::time::Instant,
}

/// What a heartbeat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    Fine,
    /// The group gathers anew.
    Rejoin,
}

impl Member {
    pub fn new(group: &str, topics: &[String], assignor: Assignor) -> Self {
        Self {
            group: group.to_owned(),
            topics: topics.to_vec(),
            assignor,
            id: String::new(),
            generation: -1,
            assigned: BTreeSet::new(),
            client: None,
            heartbeat_at: crate::base::time::Instant::ZERO,
        }
    }

    pub fn is_cooperative(&self) -> bool {
        self.assignor.is_cooperative()
    }

    fn client(&mut self, cluster: &mut Cluster) -> Result<&mut Client, ClientError> {
        if self.client.is_none() {
            let id = cluster.coordinator(&self.group)?;
            let address = cluster.nodes().find(|node| node.id == id).map(|n| n.address.clone());
            let address = address.ok_or(ClientError::UnknownNode { id })?;
            let what = format!("broker {id}, which coordinates group {}", self.group);
            self.client = Some(dial::first(what, std::slice::from_ref(&address), JOIN_TIMEOUT)?);
        }
        Ok(self.client.as_mut().expect("it was just connected"))
    }

    /// Joins until the group is settled with this member in it. What it may keep of what it had
    /// stays in `assigned`.
    pub fn join(&mut self, cluster: &mut Cluster, output: &Output) -> Result<(), Failure> {
        if !self.assignor.is_cooperative() {
            self.assigned.clear();
        }
        let what = format!("join group {}", self.group);
        loop {
            let joined = cluster.read(&what, |cluster| self.join_once(cluster))?;
            let Some(now) = joined else { continue };
            let lost: Vec<_> = self.assigned.difference(&now).cloned().collect();
            self.assigned = now;
            if self.assignor.is_cooperative() && !lost.is_empty() {
                // Others wait for what was let go: once more.
                output.detail(&format!("group {}: let go of {lost:?}", self.group));
                continue;
            }
            output.detail(&format!(
                "group {}: generation {}, {} partitions",
                self.group,
                self.generation,
                self.assigned.len()
            ));
            return Ok(());
        }
    }

    /// One round of join and sync; `None` where the group gathers anew meanwhile.
    fn join_once(&mut self, cluster: &mut Cluster) -> Result<Option<BTreeSet<Place>>, ClientError> {
        match self.gather(cluster) {
            Ok(assignment) => {
                self.heartbeat_at = clock::monotonic();
                Ok(Some(assigned(&assignment).into_iter().collect()))
            }
            Err(error) => {
                match error.code() {
                    Some(ErrorCode::RebalanceInProgress) => return Ok(None),
                    Some(
                        ErrorCode::UnknownMemberId
                        | ErrorCode::IllegalGeneration
                        | ErrorCode::FencedInstanceId,
                    ) => {
                        self.forget();
                        return Ok(None);
                    }
                    _ => {}
                }
                // Another coordinator, or a lost connection.
                self.client = None;
                Err(error)
            }
        }
    }

    fn forget(&mut self) {
        self.id.clear();
        self.generation = -1;
        self.assigned.clear();
    }

    fn gather(&mut self, cluster: &mut Cluster) -> Result<Vec<u8>, ClientError> {
        let subscription = self.subscription();
        let (group, assignor) = (self.group.clone(), self.assignor);
        let joined = loop {
            let request = JoinGroupRequest {
                group_id: group.as_str().into(),
                session_timeout_ms: SESSION_TIMEOUT_MS,
                rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
                member_id: self.id.clone().into(),
                protocol_type: "consumer".into(),
                protocols: vec![JoinGroupRequestProtocol {
                    name: assignor.name().into(),
                    metadata: subscription.as_slice().into(),
                }],
                ..JoinGroupRequest::default()
            };
            let answer = self.client(cluster)?.call(&request, &[])?;
            let view = answer.view();
            if ErrorCode::from_code(view.error_code) == Some(ErrorCode::MemberIdRequired) {
                view.member_id.clone_into(&mut self.id);
                continue;
            }
            accepted(ApiKey::JoinGroup, &group, view.error_code, None)?;
            break answer;
        };
        let view = joined.view();
        view.member_id.clone_into(&mut self.id);
        self.generation = view.generation_id;
        let assignments = if view.leader == view.member_id && !view.skip_assignment {
            self.lead(cluster, &view)?
        } else {
            Vec::new()
        };
        let of_member = |(id, bytes): &(String, Vec<u8>)| SyncGroupRequestAssignment {
            member_id: id.clone().into(),
            assignment: bytes.clone().into(),
        };
        let request = SyncGroupRequest {
            group_id: group.as_str().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some(assignor.name().into()),
            assignments: assignments.iter().map(of_member).collect(),
            ..SyncGroupRequest::default()
        };
        let answer = self.client(cluster)?.call(&request, &[])?;
        let view = answer.view();
        accepted(ApiKey::SyncGroup, &group, view.error_code, None)?;
        Ok(view.assignment.to_vec())
    }

    fn subscription(&self) -> Vec<u8> {
        let mut owned: Vec<OwnedPartition<'_>> = Vec::new();
        for (topic, partition) in &self.assigned {
            match owned.last_mut() {
                Some(last) if last.topic == topic.as_str() => last.partitions.push(*partition),
                _ => owned.push(OwnedPartition {
                    topic: topic.as_str().into(),
                    partitions: vec![*partition],
                }),
            }
        }
        let message = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(|topic| topic.as_str().into()).collect(),
            owned_partitions: owned,
            generation_id: self.generation,
            ..ConsumerProtocolSubscription::default()
        };
        encode(&message, SUBSCRIPTION_VERSION)
    }

    /// Shares the partitions out, as the group's leader.
    fn lead(
        &self,
        cluster: &mut Cluster,
        view: &read::JoinGroupResponse<'_>,
    ) -> Result<Vec<(String, Vec<u8>)>, ClientError> {
        let mut members = Vec::new();
        for member in view.members {
            let metadata = member.metadata.to_vec();
            let subscription = subscription(&metadata)?;
            members.push(Candidate {
                id: member.member_id.to_owned(),
                instance_id: member.group_instance_id.map(str::to_owned),
                topics: subscription.topics.iter().map(str::to_owned).collect(),
                owned: subscription
                    .owned_partitions
                    .iter()
                    .flat_map(|topic| {
                        topic.partitions.iter().map(move |index| (topic.topic.to_owned(), index))
                    })
                    .collect(),
                generation: subscription.generation_id,
            });
        }
        let wanted: BTreeSet<&String> = members.iter().flat_map(|member| &member.topics).collect();
        let counts: BTreeMap<String, i32> = cluster
            .ask_all()?
            .into_iter()
            .filter(|topic| wanted.contains(&topic.name))
            .map(|topic| (topic.name, topic.partitions.len() as i32))
            .collect();
        let given = self.assignor.assign(&members, &counts);
        Ok(given.into_iter().map(|(id, places)| (id, assignment(&places))).collect())
    }

    /// Tells the coordinator that this member lives, if it is time.
    pub fn beat(&mut self, cluster: &mut Cluster) -> Result<Beat, Failure> {
        let now = clock::monotonic();
        if now < self.heartbeat_at + HEARTBEAT {
            return Ok(Beat::Fine);
        }
        self.heartbeat_at = now;
        let what = format!("heartbeat of group {}", self.group);
        let code = cluster.read(&what, |cluster| self.beat_once(cluster))?;
        match code {
            None => Ok(Beat::Fine),
            Some(ErrorCode::RebalanceInProgress) => Ok(Beat::Rejoin),
            Some(_) => {
                self.forget();
                Ok(Beat::Rejoin)
            }
        }
    }

    fn beat_once(&mut self, cluster: &mut Cluster) -> Result<Option<ErrorCode>, ClientError> {
        let request = HeartbeatRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            ..HeartbeatRequest::default()
        };
        let group = self.group.clone();
        let answered = self.client(cluster).and_then(|client| client.call(&request, &[]));
        let done = answered
            .and_then(|answer| accepted(ApiKey::Heartbeat, &group, answer.view().error_code, None));
        match done {
            Ok(()) => Ok(None),
            Err(error) => {
                if let Some(
                    code @ (ErrorCode::RebalanceInProgress
                    | ErrorCode::UnknownMemberId
                    | ErrorCode::IllegalGeneration
                    | ErrorCode::FencedInstanceId),
                ) = error.code()
                {
                    return Ok(Some(code));
                }
                self.client = None;
                Err(error)
            }
        }
    }

    /// Commits where this member has come to; whether the group still takes its word.
    pub fn commit(
        &mut self,
        cluster: &mut Cluster,
        offsets: &BTreeMap<Place, Offset>,
    ) -> Result<bool, Failure> {
        if offsets.is_empty() {
            return Ok(true);
        }
        let group = self.group.clone();
        let identity = (self.id.clone(), self.generation);
        let what = format!("commit of group {group}");
        let done = cluster.read(&what, |cluster| {
            match cluster.commit(&group, (&identity.0, identity.1), offsets) {
                // A commit while the group gathers is taken or not; what is not is read again.
                Err(error)
                    if matches!(
                        error.code(),
                        Some(
                            ErrorCode::RebalanceInProgress
                                | ErrorCode::UnknownMemberId
                                | ErrorCode::IllegalGeneration
                                | ErrorCode::FencedInstanceId
                        )
                    ) =>
                {
                    Ok(None)
                }
                done => done.map(Some),
            }
        })?;
        let Some(results) = done else { return Ok(false) };
        match results.into_iter().find_map(|(place, refused)| refused.map(|code| (place, code))) {
            None => Ok(true),
            Some(((topic, partition), code)) => Err(Failure::Other {
                exit: crate::cli::exit::Exit::of_code(code),
                text: format!("commit of {topic}-{partition}: {code}: {}", code.message()),
            }),
        }
    }

    /// Leaves, so that the others need not wait for the session to end.
    pub fn leave(mut self, cluster: &mut Cluster) {
        if self.id.is_empty() {
            return;
        }
        let request = LeaveGroupRequest {
            group_id: self.group.clone().into(),
            member_id: self.id.clone().into(),
            members: vec![MemberIdentity {
                member_id: self.id.clone().into(),
                reason: Some("the command ended".into()),
                ..MemberIdentity::default()
            }],
        };
        // If it fails the session runs out.
        let _ = self.client(cluster).and_then(|client| client.call(&request, &[]));
    }
}

fn subscription(
    bytes: &[u8],
) -> Result<read::ConsumerProtocolSubscription<'_>, crate::protocol::ProtocolError> {
    let mut reader = Reader::one(bytes);
    // Later versions add at the end; what is known of them stays where it is.
    let version = reader.i16("Version")?.clamp(0, 3);
    read::ConsumerProtocolSubscription::parse(reader, version)
}

fn assignment(places: &[Place]) -> Vec<u8> {
    let mut topics: Vec<AssignedPartition<'_>> = Vec::new();
    for (topic, partition) in places {
        match topics.last_mut() {
            Some(last) if last.topic == topic.as_str() => last.partitions.push(*partition),
            _ => topics.push(AssignedPartition {
                topic: topic.as_str().into(),
                partitions: vec![*partition],
            }),
        }
    }
    let message = ConsumerProtocolAssignment { assigned_partitions: topics, user_data: None };
    encode(&message, ASSIGNMENT_VERSION)
}

fn encode(message: &impl Encode, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.i16(version);
    message.encode(version, &mut writer);
    writer.as_bytes().to_vec()
}
