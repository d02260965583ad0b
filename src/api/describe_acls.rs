//! DescribeAcls (key 29). There is no authorizer, as in a Kafka that names none.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeAclsResponse<'static>, ProtocolError> {
    read::DescribeAclsRequest::parse(body, version)?;
    Ok(write::DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".into()),
        ..write::DescribeAclsResponse::default()
    })
}
