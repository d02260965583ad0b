//! SaslHandshake (key 17). Every listener speaks plaintext, where nothing is to be agreed on.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::SaslHandshakeResponse<'static>, ProtocolError> {
    read::SaslHandshakeRequest::parse(body, version)?;
    Ok(write::SaslHandshakeResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        mechanisms: Vec::new(),
    })
}
