//! What a log needs to know of its topic's settings, in the log's own shape.

use std::time::Duration;

/// Settings of one log; `From` the topic's typed view where the broker makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`
    pub segment_bytes: u64,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`: each segment rolls earlier by a part of this, drawn per segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a full index rolls the segment.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`
    pub index_interval_bytes: u32,
    /// `retention.ms`; negative: for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; negative: without bound.
    pub retention_bytes: i64,
    /// `flush.messages`; `i64::MAX`: never.
    pub flush_messages: i64,
    /// `flush.ms`; `i64::MAX`: never.
    pub flush_ms: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay: Duration,
    /// `preallocate`: the whole segment at once instead of in steps.
    pub preallocate: bool,
    /// `cleanup.policy` contains `compact`.
    pub is_compacted: bool,
    /// `cleanup.policy` contains `delete`.
    pub is_deleted: bool,
    /// `producer.id.expiration.ms`
    pub producer_expiration_ms: i64,
    /// Idempotent producers remembered per partition.
    pub producers_max: usize,
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3600 * 1000,
            retention_bytes: -1,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay: Duration::from_secs(60),
            preallocate: false,
            is_compacted: false,
            is_deleted: true,
            producer_expiration_ms: 24 * 3600 * 1000,
            producers_max: 100_000,
        }
    }
}
