//! The settings of the broker that groups live by, with Kafka's defaults.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// group.initial.rebalance.delay.ms: how long an empty group waits for more members.
    pub initial_rebalance_delay: Duration,
    /// group.min.session.timeout.ms
    pub session_timeout_ms_min: i32,
    /// group.max.session.timeout.ms
    pub session_timeout_ms_max: i32,
    /// group.max.size; `limits::GROUP_MEMBERS_MAX` holds where it allows more.
    pub members_max: usize,
    /// offset.metadata.max.bytes, counted as Kafka does: in UTF-16 units.
    pub offset_metadata_len_max: usize,
    /// offsets.retention.minutes
    pub offsets_retention: Duration,
    /// offsets.retention.check.interval.ms
    pub offsets_retention_check_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::from_secs(3),
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            members_max: i32::MAX as usize,
            offset_metadata_len_max: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            offsets_retention_check_interval: Duration::from_secs(600),
        }
    }
}
