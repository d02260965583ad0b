//! UpdateFeatures, as long as every feature has one level: what asks for the level that is there
//! has nothing to do, and everything else is refused.

use super::image::Image;
use super::version::SUPPORTED_FEATURES;

/// One feature that a client wants at another level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureUpdate<'a> {
    pub feature: &'a str,
    pub level: i16,
    /// Kafka's number: 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    pub upgrade_type: i8,
}

/// Why a feature keeps its level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureUpdateError {
    #[error("Invalid update version {level} for feature {feature}. {reason}")]
    Version { feature: String, level: i16, reason: String },
}

const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;

impl Image {
    pub fn check_feature_update(
        &self,
        update: &FeatureUpdate<'_>,
    ) -> Result<(), FeatureUpdateError> {
        let refuse = |reason: String| {
            let (feature, level) = (update.feature.to_owned(), update.level);
            Err(FeatureUpdateError::Version { feature, level, reason })
        };
        if !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&update.upgrade_type) {
            return refuse("The controller does not support the given upgrade type.".into());
        }
        if update.level < 0 {
            return refuse("A feature version cannot be less than 0.".into());
        }
        let this = self.brokers().keys().next().map_or(-1, |node| node.0);
        let supported = SUPPORTED_FEATURES.iter().find(|(name, ..)| *name == update.feature);
        match supported {
            None => refuse(format!("Local controller {this} does not support this feature.")),
            Some((_, low, high)) if !(*low..=*high).contains(&update.level) => {
                refuse(format!("Local controller {this} only supports versions {low}-{high}"))
            }
            Some(_) => Ok(()),
        }
    }
}
