//! UpdateFeatures (key 57): each feature has one level; asking for it is nothing to do.

use super::context::Context;
use super::error::ToCode as _;
use crate::controller::FeatureUpdate;
use crate::model::ErrorCode;
use crate::protocol::message::write::update_features::UpdatableFeatureResult;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// KIP-584: the numbers of upgrades and of safe downgrades.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::UpdateFeaturesResponse<'static>, ProtocolError> {
    let request = read::UpdateFeaturesRequest::parse(body, version)?;
    let image = context.shard.image();
    let mut results = Vec::new();
    for asked in request.feature_updates {
        let upgrade_type = match version {
            0 if asked.allow_downgrade => SAFE_DOWNGRADE,
            0 => UPGRADE,
            _ => asked.upgrade_type,
        };
        let (feature, level) = (asked.feature, asked.max_version_level);
        let update = FeatureUpdate { feature, level, upgrade_type };
        if let Err(error) = image.check_feature_update(&update) {
            let message = format!(
                "The update failed for all features since the following feature had an error: \
                 {error}"
            );
            return Ok(write::UpdateFeaturesResponse {
                error_code: error.code().code(),
                error_message: Some(message.into()),
                ..write::UpdateFeaturesResponse::default()
            });
        }
        // From version 2 on, what went well is not told one by one.
        if version < 2 {
            results.push(UpdatableFeatureResult {
                feature: feature.to_owned().into(),
                error_code: ErrorCode::None.code(),
                error_message: Some(ErrorCode::None.name().into()),
            });
        }
    }
    Ok(write::UpdateFeaturesResponse { results, ..write::UpdateFeaturesResponse::default() })
}
