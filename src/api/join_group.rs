//! JoinGroup (key 11): a member joins; the answer comes with the group's next generation.

use super::error::ToCode;
use super::group_road::Asking;
use crate::broker::groups::Ask;
use crate::group::{Answer, Join, JoinAnswer, Joined, MemberId, Protocol};
use crate::model::Uuid;
use crate::protocol::message::write::join_group::JoinGroupResponseMember;
use crate::protocol::read::JoinGroupRequest;
use crate::protocol::{Parse as _, ProtocolError, Reader, write};

/// First version in which a client without a member id is given one and asks again (KIP-394).
const JOINS_TWICE_FROM: i16 = 4;
/// First version in which a leader can be told that nothing is to be assigned (KIP-814).
const SKIPS_FROM: i16 = 9;

pub fn begin(
    asking: Asking,
    client_id: &str,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = JoinGroupRequest::parse(body, asking.version)?;
    let join = own(&asking, client_id, &request);
    Ok(async move {
        let (group, member) = (join.group.clone(), join.member.clone());
        match asking.ask(group.as_str(), Ask::Join(join)).await {
            Ok(Answer::Join(JoinAnswer { result: Ok(joined), member })) => {
                asking.answer(&describe(&joined, &member))
            }
            Ok(Answer::Join(JoinAnswer { result: Err(error), member })) => {
                asking.answer(&refusal(&error, &member))
            }
            Ok(_) => unreachable!("a join has a join's answer"),
            Err(error) => asking.answer(&refusal(&error, &member)),
        }
    })
}

fn own(asking: &Asking, client_id: &str, request: &JoinGroupRequest<'_>) -> Join {
    let has_rebalance_timeout = asking.version >= 1;
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: protocol.name.into(),
        metadata: protocol.metadata.to_vec().into(),
    });
    Join {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: request.group_instance_id.map(Into::into),
        client_id: client_id.into(),
        client_host: asking.client_host().into(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if has_rebalance_timeout {
            request.rebalance_timeout_ms
        } else {
            request.session_timeout_ms
        },
        protocol_type: request.protocol_type.into(),
        protocols: protocols.collect(),
        reason: request.reason.map(Into::into),
        fresh_id: Uuid(asking.shard().core().random()),
        joins_twice: asking.version >= JOINS_TWICE_FROM,
        can_skip_assignment: asking.version >= SKIPS_FROM,
    }
}

fn describe<'a>(joined: &'a Joined, member: &'a MemberId) -> write::JoinGroupResponse<'a> {
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: member.member.as_str().into(),
        group_instance_id: member.instance.as_ref().map(|instance| instance.as_str().into()),
        metadata: (&*member.metadata).into(),
    });
    write::JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.as_deref().map(Into::into),
        protocol_name: joined.protocol_name.as_deref().map(Into::into),
        leader: joined.leader.as_str().into(),
        skip_assignment: joined.skip_assignment,
        member_id: member.as_str().into(),
        members: members.collect(),
        ..write::JoinGroupResponse::default()
    }
}

fn refusal<'a>(error: &impl ToCode, member: &'a MemberId) -> write::JoinGroupResponse<'a> {
    write::JoinGroupResponse {
        error_code: error.code().code(),
        generation_id: -1,
        protocol_name: None,
        member_id: member.as_str().into(),
        ..write::JoinGroupResponse::default()
    }
}
