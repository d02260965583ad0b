//! FindCoordinator (key 10): who coordinates a group. One node coordinates all; its group APIs
//! come next, and are not advertised until then.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::message::write::find_coordinator::Coordinator;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// COORDINATOR_NOT_AVAILABLE would make clients retry for ever.
const NO_TRANSACTIONS: &str = "transactions are not served yet";

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::FindCoordinatorResponse<'static>, ProtocolError> {
    let request = read::FindCoordinatorRequest::parse(body, version)?;
    let mut answer = write::FindCoordinatorResponse::default();
    if version < 4 {
        let found = find(context, request.key, request.key_type);
        answer.error_code = found.error_code;
        answer.error_message = found.error_message;
        (answer.node_id, answer.host, answer.port) = (found.node_id, found.host, found.port);
    } else {
        let keys = request.coordinator_keys.iter();
        answer.coordinators = keys.map(|key| find(context, key, request.key_type)).collect();
    }
    Ok(answer)
}

fn find(context: &Context, key: &str, key_type: i8) -> Coordinator<'static> {
    let refuse = |code: ErrorCode, message: &'static str| Coordinator {
        key: key.to_string().into(),
        node_id: -1,
        host: "".into(),
        port: -1,
        error_code: code.code(),
        error_message: Some(message.into()),
    };
    match key_type {
        GROUP if key.is_empty() => refuse(ErrorCode::InvalidGroupId, "a group needs a name"),
        GROUP => Coordinator {
            key: key.to_string().into(),
            node_id: context.shard.facts.config.node_id.0,
            host: context.advertised.host.clone().into(),
            port: i32::from(context.advertised.port),
            error_code: ErrorCode::None.code(),
            error_message: None,
        },
        TRANSACTION => refuse(ErrorCode::InvalidRequest, NO_TRANSACTIONS),
        _ => refuse(ErrorCode::InvalidRequest, "the coordinator type is not served"),
    }
}
