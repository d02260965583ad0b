//! The metadata version that this broker writes, and what follows from it.

use crate::protocol::write::MetadataRecord;

/// Name of the feature that decides how metadata records look.
pub const METADATA_VERSION: &str = "metadata.version";
/// Its level: Kafka's 4.3-IV0. It is the only one that is written and read here.
pub const METADATA_VERSION_LEVEL: i16 = 30;

/// Features and the levels that we can work at; those that go to 0 are not built yet.
pub const SUPPORTED_FEATURES: &[(&str, i16, i16)] = &[
    (METADATA_VERSION, METADATA_VERSION_LEVEL, METADATA_VERSION_LEVEL),
    ("group.version", 0, 0),
    ("share.version", 0, 0),
    ("streams.version", 0, 0),
    ("transaction.version", 0, 0),
];

/// In which version a record is written at our level.
pub(super) fn record_version(record: &MetadataRecord<'_>) -> i16 {
    match record {
        MetadataRecord::RegisterBroker(_) => 4,
        MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) => 2,
        // The lowest version that holds what it says (KIP-919): fencing is in all of them.
        MetadataRecord::BrokerRegistrationChange(record) => {
            if record.cordoned_log_dirs.is_some() {
                3
            } else if !record.log_dirs.is_empty() {
                2
            } else {
                i16::from(record.in_controlled_shutdown != 0)
            }
        }
        MetadataRecord::UnregisterBroker(_)
        | MetadataRecord::Topic(_)
        | MetadataRecord::Config(_)
        | MetadataRecord::FenceBroker(_)
        | MetadataRecord::UnfenceBroker(_)
        | MetadataRecord::RemoveTopic(_)
        | MetadataRecord::FeatureLevel(_)
        | MetadataRecord::ProducerIds(_)
        | MetadataRecord::NoOp(_) => 0,
    }
}
