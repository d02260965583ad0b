//! Heartbeat (key 12): a member lives; whether its group rebalances.

use super::error::ToCode;
use super::group_road::{Asking, code};
use crate::broker::groups::{Ask, CoordinatorError};
use crate::group::{Answer, Heartbeat};
use crate::model::ErrorCode;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::HeartbeatRequest::parse(body, asking.version)?;
    let heartbeat = Heartbeat {
        group: request.group_id.into(),
        member: request.member_id.into(),
        instance: request.group_instance_id.map(Into::into),
        generation: request.generation_id,
    };
    Ok(async move {
        let group = heartbeat.group.clone();
        let error_code = match asking.ask(group.as_str(), Ask::Heartbeat(heartbeat)).await {
            Ok(Answer::Heartbeat(result)) => code(&result),
            Ok(_) => unreachable!("a heartbeat has a heartbeat's answer"),
            // As Kafka: the member's session begins when the coordinator has loaded.
            Err(CoordinatorError::Loading) => ErrorCode::None.code(),
            Err(error) => error.code().code(),
        };
        asking
            .answer(&write::HeartbeatResponse { error_code, ..write::HeartbeatResponse::default() })
    })
}
