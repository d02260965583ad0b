//! CreateAcls (key 30). There is no authorizer that could keep them.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::message::write::create_acls::AclCreationResult;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::CreateAclsResponse<'static>, ProtocolError> {
    let request = read::CreateAclsRequest::parse(body, version)?;
    let refused = AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured.".into()),
    };
    let results = request.creations.iter().map(|_| refused.clone()).collect();
    Ok(write::CreateAclsResponse { results, ..write::CreateAclsResponse::default() })
}
