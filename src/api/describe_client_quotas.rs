//! DescribeClientQuotas (key 48): none is set, since quotas are not served yet. A filter that makes
//! no sense is refused as in Kafka.

use super::context::Context;
use crate::model::ErrorCode;
use crate::protocol::{Array, Parse as _, ProtocolError, Reader, read, write};
use std::collections::BTreeSet;

/// Kafka's numbers of how a filter matches.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

/// What quotas may be given to (KIP-546, KIP-612).
pub const USER: &str = "user";
pub const CLIENT_ID: &str = "client-id";
pub const IP: &str = "ip";

type Filter<'a> = read::describe_client_quotas::QuotaFilter<'a>;

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeClientQuotasResponse<'static>, ProtocolError> {
    let request = read::DescribeClientQuotasRequest::parse(body, version)?;
    let default = write::DescribeClientQuotasResponse::default();
    Ok(match check(&request.components) {
        Ok(()) => write::DescribeClientQuotasResponse {
            error_message: Some("".into()),
            entries: Some(Vec::new()),
            ..default
        },
        Err((code, message)) => write::DescribeClientQuotasResponse {
            error_code: code.code(),
            error_message: Some(message.into()),
            entries: None,
            ..default
        },
    })
}

fn check(filters: &Array<'_, Filter<'_>>) -> Result<(), (ErrorCode, String)> {
    let invalid = |text: &str| Err((ErrorCode::InvalidRequest, text.to_owned()));
    let mut seen = BTreeSet::new();
    for filter in filters {
        let entity = filter.entity_type;
        if entity.is_empty() {
            return invalid("Invalid empty entity type.");
        }
        if !seen.insert(entity) {
            return invalid(&format!(
                "Entity type {entity} cannot appear more than once in the filter."
            ));
        }
        if ![USER, CLIENT_ID, IP].contains(&entity) {
            let code = ErrorCode::UnsupportedVersion;
            return Err((code, format!("Unsupported entity type {entity}")));
        }
        match (filter.match_type, filter.match_kind) {
            (EXACT, None) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.",
                );
            }
            (DEFAULT, Some(_)) => {
                return invalid(
                    "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
                );
            }
            (ANY, Some(_)) => {
                return invalid(
                    "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.",
                );
            }
            (EXACT, Some(_)) | (DEFAULT | ANY, None) => {}
            (other, _) => return invalid(&format!("Unknown match type {other}")),
        }
    }
    if seen.contains(IP) && seen.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component.",
        );
    }
    Ok(())
}
