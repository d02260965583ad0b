//! InitProducerId (key 22): an identity for an idempotent producer. Without a transactional id
//! every producer gets a new one, with epoch 0, whatever it had before (as in Kafka).

use super::context::Context;
use super::dispatch::Asked;
use super::error::ToCode;
use crate::model::ErrorCode;
use crate::protocol::{Parse as _, read, write};

/// What an answer takes.
const ANSWER_BYTES: usize = 64;

/// What answering may cost.
pub fn cost(_context: &Context, _request: &read::InitProducerIdRequest<'_>) -> usize {
    ANSWER_BYTES
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let (is_transactional, producer_id, producer_epoch) = asked.read(|body| {
        let request = read::InitProducerIdRequest::parse(body, asked.version)?;
        let is_transactional = request.transactional_id.is_some();
        Ok((is_transactional, request.producer_id, request.producer_epoch))
    });
    let mut answer = write::InitProducerIdResponse {
        producer_id: -1,
        producer_epoch: -1,
        ..write::InitProducerIdResponse::default()
    };
    // An id without an epoch, or the other way round, says nothing.
    let is_half = (producer_id == -1) != (producer_epoch == -1);
    if is_transactional || is_half {
        // COORDINATOR_NOT_AVAILABLE would make Java retry for ever: transactions are not served.
        answer.error_code = ErrorCode::InvalidRequest.code();
        return asked.answer(&answer);
    }
    match context.shard.next_producer_id().await {
        Ok(id) => (answer.producer_id, answer.producer_epoch) = (id.0, 0),
        Err(error) => answer.error_code = error.code().code(),
    }
    asked.answer(&answer)
}
