//! ListTransactions (key 66): there are none, since transactions are not served yet. Names of
//! states that nobody knows are told, as in Kafka.

use super::context::Context;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// Kafka's names of a transaction's states.
const STATES: &[&str] = &[
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::ListTransactionsResponse<'static>, ProtocolError> {
    let request = read::ListTransactionsRequest::parse(body, version)?;
    let unknown = request.state_filters.iter().filter(|state| !STATES.contains(state));
    Ok(write::ListTransactionsResponse {
        unknown_state_filters: unknown.map(|state| state.to_owned().into()).collect(),
        ..write::ListTransactionsResponse::default()
    })
}
