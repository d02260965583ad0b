//! DeleteAcls (key 31). There is no authorizer that could have any.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::message::write::delete_acls::DeleteAclsFilterResult;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DeleteAclsResponse<'static>, ProtocolError> {
    let request = read::DeleteAclsRequest::parse(body, version)?;
    let refused = DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured.".into()),
        matching_acls: Vec::new(),
    };
    let filter_results = request.filters.iter().map(|_| refused.clone()).collect();
    Ok(write::DeleteAclsResponse { filter_results, ..write::DeleteAclsResponse::default() })
}
