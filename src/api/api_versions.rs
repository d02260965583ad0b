//! ApiVersions (key 18): what this broker speaks. Only what works is advertised.

use super::context::Context;
use super::dispatch::encode;
use super::registry::ROWS;
use crate::controller::SUPPORTED_FEATURES;
use crate::model::ErrorCode;
use crate::protocol::message::write::api_versions::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use crate::protocol::{ApiKey, Parse as _, ProtocolError, Reader, read, write};

/// As much of a client's software name and version is kept; Kafka takes them at any length.
const SOFTWARE_LEN_MAX: usize = 128;

pub fn answer<'a>(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::ApiVersionsResponse<'a>, ProtocolError> {
    let request = read::ApiVersionsRequest::parse(body, version)?;
    let mut answer = response(context, version);
    if version >= 3 {
        let (name, software) = (request.client_software_name, request.client_software_version);
        if is_software(name) && is_software(software) {
            let kept = |text: &str| text.chars().take(SOFTWARE_LEN_MAX).collect();
            *context.client.borrow_mut() = Some((kept(name), kept(software)));
        } else {
            // KIP-511: letters and digits, and between them '-' and '.' too.
            answer = write::ApiVersionsResponse {
                error_code: ErrorCode::InvalidRequest.code(),
                ..write::ApiVersionsResponse::default()
            };
        }
    }
    Ok(answer)
}

/// To a version that is not known: shaped as version 0, so that every client can read it.
pub fn answer_unsupported(context: &Context, correlation_id: i32) -> Vec<u8> {
    let _ = context;
    let facts = ApiKey::ApiVersions.facts();
    let answer = write::ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![ApiVersion {
            api_key: ApiKey::ApiVersions.key(),
            min_version: *facts.advertised.start(),
            max_version: *facts.advertised.end(),
        }],
        ..write::ApiVersionsResponse::default()
    };
    encode(ApiKey::ApiVersions, 0, correlation_id, &answer)
}

fn response<'a>(context: &Context, version: i16) -> write::ApiVersionsResponse<'a> {
    let api_keys = ROWS.iter().map(|row| {
        let advertised = row.api.facts().advertised.clone();
        ApiVersion {
            api_key: row.api.key(),
            min_version: *advertised.start(),
            max_version: *advertised.end(),
        }
    });
    let image = context.shard.image();
    let features = image.features();
    write::ApiVersionsResponse {
        api_keys: api_keys.collect(),
        supported_features: SUPPORTED_FEATURES
            .iter()
            // KAFKA-17011: up to version 3 clients cannot read a smallest version of 0.
            .filter(|(_, min, _)| version >= 4 || *min > 0)
            .map(|(name, min_version, max_version)| SupportedFeatureKey {
                name: (*name).into(),
                min_version: *min_version,
                max_version: *max_version,
            })
            .collect(),
        finalized_features_epoch: context.shard.metadata_offset().0 - 1,
        finalized_features: features
            .iter()
            .map(|(name, level)| FinalizedFeatureKey {
                name: name.clone().into(),
                max_version_level: *level,
                min_version_level: *level,
            })
            .collect(),
        ..write::ApiVersionsResponse::default()
    }
}

fn is_software(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    text.bytes().all(inner)
        && ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}
