//! What coordinators know of groups: who is in them, what they committed; and changes of that.

use super::offsets::Place;
use super::routing::Cluster;
use crate::cli::client_error::{ClientError, accepted};
use crate::cli::failure::Failure;
use crate::model::{ErrorCode, LeaderEpoch, Offset};
use crate::protocol::write::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::write::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::protocol::write::offset_fetch::OffsetFetchRequestGroup;
use crate::protocol::write::{
    DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest,
};
use crate::protocol::{ApiKey, Parse as _, Reader, Request, read};
use std::collections::BTreeMap;

/// Last version of OffsetCommit and OffsetFetch that names topics by name.
const BY_NAME_MAX: i16 = 9;
/// OffsetFetch asks for several groups from here on.
const SEVERAL_GROUPS_FROM: i16 = 8;

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedGroup {
    pub id: String,
    pub protocol_type: String,
    pub state: String,
    /// `classic`, `consumer`, ...; empty where the broker is older than the word.
    pub kind: String,
    pub coordinator: i32,
}

/// A group with its members.
#[derive(Clone, Debug)]
pub struct GroupState {
    pub id: String,
    pub coordinator: i32,
    pub state: String,
    pub protocol_type: String,
    /// The assignor, or what else the members agreed on.
    pub protocol: String,
    pub members: Vec<Member>,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    /// Topics that it wants, as far as its subscription can be read.
    pub topics: Vec<String>,
    pub partitions: Vec<Place>,
}

/// What a group committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: String,
}

/// A partition's own refusal inside of an answer.
pub type PlaceResult = (Place, Option<ErrorCode>);

impl GroupState {
    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && matches!(self.state.as_str(), "Empty" | "Dead")
    }

    /// Who has a partition.
    pub fn owner(&self, place: &Place) -> Option<&Member> {
        self.members.iter().find(|member| member.partitions.contains(place))
    }
}

/// The partitions of an assignment; none where its bytes are of another kind.
pub fn assigned(bytes: &[u8]) -> Vec<Place> {
    let mut reader = Reader::one(bytes);
    let Ok(version) = reader.i16("Version") else { return Vec::new() };
    let newest = *<read::ConsumerProtocolAssignment as crate::protocol::Message>::VERSIONS.end();
    let version = version.clamp(0, newest);
    let Ok(read) = read::ConsumerProtocolAssignment::parse(reader, version) else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for topic in read.assigned_partitions {
        places.extend(topic.partitions.iter().map(|index| (topic.topic.to_owned(), index)));
    }
    places.sort();
    places
}

/// The topics of a subscription.
fn subscribed(bytes: &[u8]) -> Vec<String> {
    let mut reader = Reader::one(bytes);
    let Ok(version) = reader.i16("Version") else { return Vec::new() };
    let newest = *<read::ConsumerProtocolSubscription as crate::protocol::Message>::VERSIONS.end();
    let version = version.clamp(0, newest);
    match read::ConsumerProtocolSubscription::parse(reader, version) {
        Ok(read) => read.topics.iter().map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    }
}

impl Cluster {
    /// The groups of every broker.
    pub fn all_groups(&mut self) -> Result<Vec<ListedGroup>, Failure> {
        self.read("the groups", |cluster| {
            let nodes: Vec<i32> = cluster.nodes().map(|node| node.id).collect();
            let mut groups = Vec::new();
            for id in nodes {
                let answer = cluster.node(id)?.call(&ListGroupsRequest::default(), &[])?;
                let view = answer.view();
                accepted(ApiKey::ListGroups, &format!("broker {id}"), view.error_code, None)?;
                groups.extend(view.groups.iter().map(|group| ListedGroup {
                    id: group.group_id.to_owned(),
                    protocol_type: group.protocol_type.to_owned(),
                    state: group.group_state.to_owned(),
                    kind: group.group_type.to_owned(),
                    coordinator: id,
                }));
            }
            groups.sort();
            Ok(groups)
        })
    }

    /// One group; that it does not exist is the failure, with the one that was probably meant.
    pub fn group(&mut self, name: &str) -> Result<GroupState, Failure> {
        let found = self.read(&format!("group {name}"), |cluster| cluster.ask_group(name))?;
        if let Some(group) = found {
            return Ok(group);
        }
        let groups = self.all_groups().unwrap_or_default();
        Err(Failure::unknown("group", name, groups.iter().map(|group| group.id.as_str())))
    }

    fn ask_group(&mut self, name: &str) -> Result<Option<GroupState>, ClientError> {
        let coordinator = self.coordinator(name)?;
        let request =
            DescribeGroupsRequest { groups: vec![name.into()], ..DescribeGroupsRequest::default() };
        let answer = self.node(coordinator)?.call(&request, &[])?;
        let missing =
            || ClientError::Missing { api: ApiKey::DescribeGroups, about: name.to_owned() };
        let group = answer.view().groups.first().ok_or_else(missing)?;
        if ErrorCode::from_code(group.error_code) == Some(ErrorCode::GroupIdNotFound) {
            return Ok(None);
        }
        accepted(ApiKey::DescribeGroups, name, group.error_code, group.error_message)?;
        let members: Vec<Member> = group
            .members
            .iter()
            .map(|member| Member {
                id: member.member_id.to_owned(),
                instance_id: member.group_instance_id.map(str::to_owned),
                client_id: member.client_id.to_owned(),
                host: member.client_host.to_owned(),
                topics: subscribed(&member.member_metadata.to_vec()),
                partitions: assigned(&member.member_assignment.to_vec()),
            })
            .collect();
        // Brokers before version 6 say "Dead" of a group that never was; so do we of one without
        // members and commits.
        if group.group_state == "Dead" && members.is_empty() && self.ask_committed(name)?.is_empty()
        {
            return Ok(None);
        }
        Ok(Some(GroupState {
            id: name.to_owned(),
            coordinator,
            state: group.group_state.to_owned(),
            protocol_type: group.protocol_type.to_owned(),
            protocol: group.protocol_data.to_owned(),
            members,
        }))
    }

    /// All that a group committed.
    pub fn committed(&mut self, group: &str) -> Result<BTreeMap<Place, Committed>, Failure> {
        self.read(&format!("the offsets of group {group}"), |cluster| cluster.ask_committed(group))
    }

    fn ask_committed(&mut self, group: &str) -> Result<BTreeMap<Place, Committed>, ClientError> {
        let client_id = self.coordinator(group)?;
        let client = self.node(client_id)?;
        let version = client.versions().newest(ApiKey::OffsetFetch)?.min(BY_NAME_MAX);
        let mut request = OffsetFetchRequest::default();
        if version >= SEVERAL_GROUPS_FROM {
            request.groups = vec![OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            }];
        } else {
            request.group_id = group.into();
            request.topics = None;
        }
        let answer = client.connection().call(version, &request, &[])?;
        let view = answer.view();
        let mut found = BTreeMap::new();
        let mut add = |topic: &str, index: i32, offset: i64, epoch: i32, text: Option<&str>| {
            if offset >= 0 {
                let committed = Committed {
                    offset: Offset(offset),
                    leader_epoch: LeaderEpoch(epoch),
                    metadata: text.unwrap_or_default().to_owned(),
                };
                found.insert((topic.to_owned(), index), committed);
            }
        };
        accepted(ApiKey::OffsetFetch, group, view.error_code, None)?;
        for topic in view.topics {
            for one in topic.partitions {
                accepted(ApiKey::OffsetFetch, topic.name, one.error_code, None)?;
                let (index, epoch) = (one.partition_index, one.committed_leader_epoch);
                add(topic.name, index, one.committed_offset, epoch, one.metadata);
            }
        }
        for answered in view.groups {
            accepted(ApiKey::OffsetFetch, group, answered.error_code, None)?;
            for topic in answered.topics {
                for one in topic.partitions {
                    accepted(ApiKey::OffsetFetch, topic.name, one.error_code, None)?;
                    let (index, epoch) = (one.partition_index, one.committed_leader_epoch);
                    add(topic.name, index, one.committed_offset, epoch, one.metadata);
                }
            }
        }
        Ok(found)
    }

    /// Commits offsets for a group that nobody is in, or as a member of it.
    pub fn commit(
        &mut self,
        group: &str,
        member: (&str, i32),
        offsets: &BTreeMap<Place, Offset>,
    ) -> Result<Vec<PlaceResult>, ClientError> {
        let mut topics: Vec<OffsetCommitRequestTopic<'_>> = Vec::new();
        for ((topic, index), offset) in offsets {
            let partition = OffsetCommitRequestPartition {
                partition_index: *index,
                committed_offset: offset.0,
                committed_metadata: Some("".into()),
                ..OffsetCommitRequestPartition::default()
            };
            match topics.last_mut() {
                Some(last) if last.name == topic.as_str() => last.partitions.push(partition),
                _ => topics.push(OffsetCommitRequestTopic {
                    name: topic.as_str().into(),
                    partitions: vec![partition],
                    ..OffsetCommitRequestTopic::default()
                }),
            }
        }
        let request = OffsetCommitRequest {
            group_id: group.into(),
            generation_id_or_member_epoch: member.1,
            member_id: member.0.into(),
            topics,
            ..OffsetCommitRequest::default()
        };
        let answer = self.coordinator_call(group, &request, BY_NAME_MAX)?;
        let mut results = Vec::new();
        for topic in answer.view().topics {
            for one in topic.partitions {
                let about = format!("{}-{} by group {group}", topic.name, one.partition_index);
                results.push((
                    (topic.name.to_owned(), one.partition_index),
                    refusal(ApiKey::OffsetCommit, &about, one.error_code)?,
                ));
            }
        }
        Ok(results)
    }

    /// Forgets what a group committed for these partitions.
    pub fn delete_offsets(
        &mut self,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Vec<PlaceResult>, ClientError> {
        let partition = |index: &i32| OffsetDeleteRequestPartition { partition_index: *index };
        let request = OffsetDeleteRequest {
            group_id: group.into(),
            topics: vec![OffsetDeleteRequestTopic {
                name: topic.into(),
                partitions: partitions.iter().map(partition).collect(),
            }],
        };
        let answer = self.coordinator_call(group, &request, i16::MAX)?;
        let view = answer.view();
        accepted(ApiKey::OffsetDelete, group, view.error_code, None)?;
        let mut results = Vec::new();
        for topic in view.topics {
            for one in topic.partitions {
                let about = format!("{}-{}", topic.name, one.partition_index);
                let refused = refusal(ApiKey::OffsetDelete, &about, one.error_code)?;
                results.push(((topic.name.to_owned(), one.partition_index), refused));
            }
        }
        Ok(results)
    }

    /// Deletes a group with all that it committed.
    pub fn delete_group(&mut self, group: &str) -> Result<(), ClientError> {
        let request = DeleteGroupsRequest { groups_names: vec![group.into()] };
        let answer = self.coordinator_call(group, &request, i16::MAX)?;
        let missing =
            || ClientError::Missing { api: ApiKey::DeleteGroups, about: group.to_owned() };
        let result = answer.view().results.first().ok_or_else(missing)?;
        accepted(ApiKey::DeleteGroups, group, result.error_code, None)
    }

    /// Calls a group's coordinator in a version up to `version_max`.
    pub fn coordinator_call<R: Request>(
        &mut self,
        group: &str,
        request: &R,
        version_max: i16,
    ) -> Result<crate::cli::connection::Answer<R>, ClientError> {
        let id = self.coordinator(group)?;
        let client = self.node(id)?;
        let version = client.versions().newest(R::KEY)?.min(version_max);
        client.connection().call(version, request, &[])
    }
}

/// A refusal that is told beside others; what asking again may better is an error of the whole.
fn refusal(api: ApiKey, about: &str, code: i16) -> Result<Option<ErrorCode>, ClientError> {
    match accepted(api, about, code, None) {
        Ok(()) => Ok(None),
        Err(ClientError::Refused { code, .. })
            if !code.is_retriable() || code == ErrorCode::UnknownTopicOrPartition =>
        {
            match code {
                // The whole request was refused: each of its partitions says so.
                ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::FencedInstanceId => {
                    accepted(api, about, code.code(), None).map(|()| None)
                }
                code => Ok(Some(code)),
            }
        }
        Err(error) => Err(error),
    }
}
