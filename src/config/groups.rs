//! The settings of groups and of the topic that keeps them, typed.

use std::time::Duration;

/// What the group coordinators read of the broker's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    pub session_timeout_min: Duration,
    pub session_timeout_max: Duration,
    /// How long an empty group waits for more members.
    pub initial_rebalance_delay: Duration,
    pub members_max: u32,
    /// Most bytes of text beside a committed offset.
    pub offset_metadata_bytes_max: u32,
    /// How long offsets are kept after the last of their group has left.
    pub offsets_retention: Duration,
    pub offsets_retention_check_interval: Duration,
    /// Bytes read at a time when a coordinator loads.
    pub load_bytes: u32,
    pub topic: OffsetsTopicConfig,
}

/// How `__consumer_offsets` is made, once it is needed, and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetsTopicConfig {
    pub partitions: u32,
    /// Of as many brokers as there are, if there are fewer.
    pub replication_factor: u16,
    pub segment_bytes: u32,
    /// Kafka's number of the codec that the coordinators pack their records with, 0 to 4.
    pub codec: u8,
}

impl GroupConfig {
    /// Reads the settings; the table has checked their bounds. Times that Kafka does not bound and
    /// that are negative are none.
    pub(super) fn load(int: impl Fn(&str) -> i64) -> Self {
        let number = |key| u32::try_from(int(key)).unwrap_or(0);
        let ms = |key| Duration::from_millis(u64::try_from(int(key)).unwrap_or(0));
        Self {
            session_timeout_min: ms("group.min.session.timeout.ms"),
            session_timeout_max: ms("group.max.session.timeout.ms"),
            initial_rebalance_delay: ms("group.initial.rebalance.delay.ms"),
            members_max: number("group.max.size"),
            offset_metadata_bytes_max: number("offset.metadata.max.bytes"),
            offsets_retention: Duration::from_secs(
                60 * u64::from(number("offsets.retention.minutes")),
            ),
            offsets_retention_check_interval: ms("offsets.retention.check.interval.ms"),
            load_bytes: number("offsets.load.buffer.size"),
            topic: OffsetsTopicConfig {
                partitions: number("offsets.topic.num.partitions"),
                replication_factor: u16::try_from(int("offsets.topic.replication.factor"))
                    .unwrap_or(1),
                segment_bytes: number("offsets.topic.segment.bytes"),
                codec: u8::try_from(int("offsets.topic.compression.codec")).unwrap_or(0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{BrokerConfig, Properties};
    use std::time::Duration;

    fn load(text: &str) -> super::GroupConfig {
        BrokerConfig::load(&Properties::parse(text.as_bytes()).unwrap()).unwrap().0.groups
    }

    #[test]
    fn the_defaults_are_kafkas() {
        let groups = load("");
        assert_eq!(groups.session_timeout_min, Duration::from_secs(6));
        assert_eq!(groups.session_timeout_max, Duration::from_mins(30));
        assert_eq!(groups.initial_rebalance_delay, Duration::from_secs(3));
        assert_eq!(groups.offsets_retention, Duration::from_hours(7 * 24));
        assert_eq!(groups.offset_metadata_bytes_max, 4096);
        assert_eq!((groups.topic.partitions, groups.topic.codec), (50, 0));
        assert_eq!(groups.members_max, i32::MAX as u32);
    }

    #[test]
    fn a_negative_delay_is_none_and_a_codec_that_is_unknown_is_refused() {
        let groups = load("group.initial.rebalance.delay.ms=-1\noffsets.retention.minutes=1");
        assert_eq!(groups.initial_rebalance_delay, Duration::ZERO);
        assert_eq!(groups.offsets_retention, Duration::from_mins(1));
        let text = b"offsets.topic.compression.codec=5";
        assert!(BrokerConfig::load(&Properties::parse(text).unwrap()).is_err());
    }
}
