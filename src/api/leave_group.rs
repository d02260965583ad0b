//! LeaveGroup (key 13): members leave, one for itself or several for an administrator.

use super::error::ToCode;
use super::group_road::{Asking, code};
use crate::broker::groups::Ask;
use crate::group::{Answer, Leave, Leaver, Left};
use crate::protocol::message::write::leave_group::MemberResponse;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// First version that names several members.
const MEMBERS_FROM: i16 = 3;

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::LeaveGroupRequest::parse(body, asking.version)?;
    let members = if asking.version >= MEMBERS_FROM {
        let members = request.members.iter().map(|member| Leaver {
            member: member.member_id.into(),
            instance: member.group_instance_id.map(Into::into),
            reason: member.reason.map(Into::into),
        });
        members.collect()
    } else {
        vec![Leaver { member: request.member_id.into(), instance: None, reason: None }]
    };
    let leave = Leave { group: request.group_id.into(), members };
    Ok(async move {
        let group = leave.group.clone();
        let answer = match asking.ask(group.as_str(), Ask::Leave(leave)).await {
            Ok(Answer::Leave(Ok(left))) => describe(&left, asking.version),
            Ok(Answer::Leave(Err(error))) => refusal(&error),
            Ok(_) => unreachable!("a leave has a leave's answer"),
            Err(error) => refusal(&error),
        };
        asking.answer(&answer)
    })
}

fn describe(left: &[Left], version: i16) -> write::LeaveGroupResponse<'static> {
    let mut answer = write::LeaveGroupResponse::default();
    if version < MEMBERS_FROM {
        answer.error_code = left.first().map_or(0, |left| code(&left.result));
        return answer;
    }
    let members = left.iter().map(|left| MemberResponse {
        member_id: left.member.as_str().to_string().into(),
        group_instance_id: left.instance.as_ref().map(|id| id.as_str().to_string().into()),
        error_code: code(&left.result),
    });
    answer.members = members.collect();
    answer
}

fn refusal(error: &impl ToCode) -> write::LeaveGroupResponse<'static> {
    write::LeaveGroupResponse {
        error_code: error.code().code(),
        ..write::LeaveGroupResponse::default()
    }
}
