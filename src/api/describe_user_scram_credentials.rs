//! DescribeUserScramCredentials (key 50): no user has any, as in a Kafka without SASL.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::message::write::describe_user_scram_credentials::DescribeUserScramCredentialsResult;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};
use std::collections::BTreeMap;

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeUserScramCredentialsResponse<'static>, ProtocolError> {
    let request = read::DescribeUserScramCredentialsRequest::parse(body, version)?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for user in request.users.iter().flatten() {
        *counts.entry(user.name).or_default() += 1;
    }
    let results = counts.into_iter().map(|(user, count)| {
        let (code, message) = if count == 1 {
            let text = "Attempt to describe a user credential that does not exist: ";
            (ErrorCode::ResourceNotFound, text)
        } else {
            let text =
                "Cannot describe SCRAM credentials for the same user twice in a single request: ";
            (ErrorCode::DuplicateResource, text)
        };
        DescribeUserScramCredentialsResult {
            user: user.to_owned().into(),
            error_code: code.code(),
            error_message: Some(format!("{message}{user}").into()),
            credential_infos: Vec::new(),
        }
    });
    Ok(write::DescribeUserScramCredentialsResponse {
        error_message: Some("".into()),
        results: results.collect(),
        ..write::DescribeUserScramCredentialsResponse::default()
    })
}
