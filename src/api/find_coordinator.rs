//! FindCoordinator (key 10): who coordinates a group. One node coordinates all of them, once the
//! topic that keeps them is there: the first question for a group makes it.

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::broker::groups::OffsetsTopicError;
use crate::model::ErrorCode;
use crate::protocol::message::write::find_coordinator::Coordinator;
use crate::protocol::{Parse as _, read, write};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// COORDINATOR_NOT_AVAILABLE would make clients retry for ever.
const NO_TRANSACTIONS: &str = "transactions are not served yet";
/// First version that asks for several at once.
const BATCHED_FROM: i16 = 4;

/// What answering may cost: each key with its address.
pub fn cost(_: &Context, request: &read::FindCoordinatorRequest<'_>) -> usize {
    const KEY_BYTES: usize = 256;
    let keys: usize = request.coordinator_keys.iter().map(|key| KEY_BYTES + 2 * key.len()).sum();
    keys + KEY_BYTES + 2 * request.key.len()
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let version = asked.version;
    let (keys, key_type) = asked.read(|body| {
        let request = read::FindCoordinatorRequest::parse(body, version)?;
        let keys: Vec<String> = match version {
            ..BATCHED_FROM => vec![request.key.to_string()],
            _ => request.coordinator_keys.iter().map(str::to_string).collect(),
        };
        Ok((keys, request.key_type))
    });
    let is_topic_needed = key_type == GROUP && !keys.is_empty();
    let topic = if is_topic_needed { context.shard.make_offsets_topic().await } else { Ok(()) };
    let mut found = keys.into_iter().map(|key| find(context, key, key_type, topic.as_ref()));
    let mut answer = write::FindCoordinatorResponse::default();
    if version >= BATCHED_FROM {
        answer.coordinators = found.collect();
    } else if let Some(found) = found.next() {
        answer.error_code = found.error_code;
        answer.error_message = found.error_message.filter(|message| !message.is_empty());
        if answer.error_code == ErrorCode::None.code() {
            answer.error_message = Some(ErrorCode::None.name().into());
        }
        (answer.node_id, answer.host, answer.port) = (found.node_id, found.host, found.port);
    }
    asked.answer(&answer)
}

fn find(
    context: &Context,
    key: String,
    key_type: i8,
    topic: Result<&(), &OffsetsTopicError>,
) -> Coordinator<'static> {
    let (code, message) = match (key_type, topic) {
        (GROUP, Ok(())) => {
            return Coordinator {
                key: key.into(),
                node_id: context.shard.facts.config.node_id.0,
                host: context.advertised.host.clone().into(),
                port: i32::from(context.advertised.port),
                error_code: ErrorCode::None.code(),
                error_message: Some("".into()),
            };
        }
        (GROUP, Err(error)) => (error.code(), error.to_string()),
        (TRANSACTION, _) => (ErrorCode::InvalidRequest, NO_TRANSACTIONS.to_string()),
        _ => {
            let message = format!("coordinators of type {key_type} are not served");
            (ErrorCode::InvalidRequest, message)
        }
    };
    Coordinator {
        key: key.into(),
        node_id: -1,
        host: "".into(),
        port: -1,
        error_code: code.code(),
        error_message: Some(message.into()),
    }
}
