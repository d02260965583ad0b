//! DescribeGroups (key 15): state, protocol and members of classic groups.

use super::error::ToCode;
use super::group_road::Asking;
use crate::broker::groups::{Ask, Told};
use crate::group::{self, GroupError, GroupId};
use crate::protocol::message::write::describe_groups::{DescribedGroup, DescribedGroupMember};
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// What Kafka says of a group that is not there.
const DEAD: &str = "Dead";
/// First version in which that is an error.
const NOT_FOUND_FROM: i16 = 6;
/// Operations that a client could have asked for and did not.
const NOT_ASKED: i32 = i32::MIN;
/// Bits of Kafka's AclOperation codes: with no authorizer everyone may do what a group has:
/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::DescribeGroupsRequest::parse(body, asking.version)?;
    let groups: Vec<GroupId> = request.groups.iter().map(GroupId::from).collect();
    let operations = if request.include_authorized_operations { OPERATIONS } else { NOT_ASKED };
    Ok(async move {
        let mut answer = write::DescribeGroupsResponse::default();
        for (groups, told) in asking.ask_each(groups, Ask::Describe).await {
            match told {
                Ok(Told::Described(described)) => answer.groups.extend(
                    described
                        .into_iter()
                        .map(|(group, found)| describe(&group, found, operations, asking.version)),
                ),
                Ok(Told::Answer(_)) => unreachable!("a description was asked for"),
                Err(error) => {
                    let refused = groups.iter().map(|group| refusal(group, &error, ""));
                    answer.groups.extend(refused);
                }
            }
        }
        asking.answer(&answer)
    })
}

fn describe(
    group: &GroupId,
    found: Option<group::DescribedGroup>,
    authorized_operations: i32,
    version: i16,
) -> DescribedGroup<'static> {
    let Some(found) = found else {
        if version >= NOT_FOUND_FROM {
            let error = GroupError::UnknownGroup { group: group.clone() };
            let error_message = Some(error.to_string().into());
            return DescribedGroup { error_message, ..refusal(group, &error, DEAD) };
        }
        return DescribedGroup {
            group_id: group.as_str().to_string().into(),
            group_state: DEAD.into(),
            authorized_operations,
            ..DescribedGroup::default()
        };
    };
    let members = found.members.iter().map(|member| DescribedGroupMember {
        member_id: member.member.as_str().to_string().into(),
        group_instance_id: member.instance.as_ref().map(|id| id.as_str().to_string().into()),
        client_id: member.client_id.to_string().into(),
        client_host: member.client_host.to_string().into(),
        member_metadata: member.metadata.to_vec().into(),
        member_assignment: member.assignment.to_vec().into(),
    });
    DescribedGroup {
        group_id: group.as_str().to_string().into(),
        group_state: found.state.into(),
        protocol_type: found.protocol_type.to_string().into(),
        protocol_data: found.protocol.to_string().into(),
        members: members.collect(),
        authorized_operations,
        ..DescribedGroup::default()
    }
}

fn refusal(group: &GroupId, error: &impl ToCode, state: &'static str) -> DescribedGroup<'static> {
    DescribedGroup {
        error_code: error.code().code(),
        group_id: group.as_str().to_string().into(),
        group_state: state.into(),
        ..DescribedGroup::default()
    }
}
