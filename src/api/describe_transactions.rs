//! DescribeTransactions (key 65): there are none, since transactions are not served yet.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::message::write::describe_transactions::TransactionState;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeTransactionsResponse<'static>, ProtocolError> {
    let request = read::DescribeTransactionsRequest::parse(body, version)?;
    let transaction_states = request.transactional_ids.iter().map(|id| {
        let code = match id {
            "" => ErrorCode::InvalidRequest,
            _ => ErrorCode::TransactionalIdNotFound,
        };
        TransactionState {
            error_code: code.code(),
            transactional_id: id.to_owned().into(),
            ..TransactionState::default()
        }
    });
    Ok(write::DescribeTransactionsResponse {
        transaction_states: transaction_states.collect(),
        ..write::DescribeTransactionsResponse::default()
    })
}
