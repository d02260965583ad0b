//! ListPartitionReassignments (key 46): none is under way, since there is one node.

use super::context::Context;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::ListPartitionReassignmentsResponse<'static>, ProtocolError> {
    read::ListPartitionReassignmentsRequest::parse(body, version)?;
    Ok(write::ListPartitionReassignmentsResponse::default())
}
