//! SyncGroup (key 14): what a member is assigned; the leader brings everybody's.

use super::error::ToCode;
use super::group_road::Asking;
use crate::broker::groups::Ask;
use crate::group::{Answer, GroupError, Sync};
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// First version that must say of which protocol it speaks.
const PROTOCOL_FROM: i16 = 5;

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::SyncGroupRequest::parse(body, asking.version)?;
    let has_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    let assignments = request
        .assignments
        .iter()
        .map(|assignment| (assignment.member_id.into(), assignment.assignment.to_vec().into()));
    let sync = Sync {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: request.group_instance_id.map(Into::into),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(Into::into),
        protocol_name: request.protocol_name.map(Into::into),
        assignments: assignments.collect(),
    };
    Ok(async move {
        if asking.version >= PROTOCOL_FROM && !has_protocol {
            return asking.answer(&refusal(&GroupError::InconsistentProtocol));
        }
        let group = sync.group.clone();
        match asking.ask(group.as_str(), Ask::Sync(sync)).await {
            Ok(Answer::Sync(Ok(synced))) => asking.answer(&write::SyncGroupResponse {
                protocol_type: synced.protocol_type.as_deref().map(Into::into),
                protocol_name: synced.protocol_name.as_deref().map(Into::into),
                assignment: (&*synced.assignment).into(),
                ..write::SyncGroupResponse::default()
            }),
            Ok(Answer::Sync(Err(error))) => asking.answer(&refusal(&error)),
            Ok(_) => unreachable!("a sync has a sync's answer"),
            Err(error) => asking.answer(&refusal(&error)),
        }
    })
}

fn refusal(error: &impl ToCode) -> write::SyncGroupResponse<'static> {
    write::SyncGroupResponse {
        error_code: error.code().code(),
        ..write::SyncGroupResponse::default()
    }
}
