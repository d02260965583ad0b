//! A topic's settings in the shapes that the record and log rooms want.

use super::produce::ProduceError;
use crate::base::Pieces;
use crate::config::{Compression, TimestampType as Wanted, TopicConfig};
use crate::limits;
use crate::log::LogConfig;
use crate::model::{Offset, Timestamp};
use crate::record::{
    BatchError, BatchHeader, BatchRules, Codec, Packing, RecompressLimits, Scratch, TimestampType,
    UnpackError, ValidBatch, recompress, validate,
};
use crate::runtime::panics::fence;
use crate::runtime::{Chain, chain};
use bytes::Bytes;
use std::time::Duration;

/// What a partition needs of its topic's settings.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    pub rules: BatchRules,
    /// What batches are packed with anew; `None`: kept as sent.
    pub packing: Option<Packing>,
    /// Records that may be written and not synced before an answer; `None`: any number.
    pub sync_every: Option<i64>,
    pub sync_after: Option<Duration>,
    pub log: LogConfig,
}

/// A batch packed anew.
pub struct Repacked {
    pub header: BatchHeader,
    pub bytes: Bytes,
}

impl TopicSettings {
    pub fn new(config: &TopicConfig, strict: bool, producer_expiration: Duration) -> Self {
        let packing = packing(config.compression);
        Self {
            rules: BatchRules {
                batch_bytes_max: config.max_message_bytes as usize,
                timestamp_type: match config.timestamp_type {
                    Wanted::CreateTime => TimestampType::CreateTime,
                    Wanted::LogAppendTime => TimestampType::LogAppendTime,
                },
                timestamp_before_max_ms: config.timestamp_before_max_ms,
                timestamp_after_max_ms: config.timestamp_after_max_ms,
                keys_required: config.cleanup.compact,
                codec_wanted: packing.map(Packing::codec),
                strict,
                zstd_allowed: true,
                unpacked_bytes_max: limits::UNPACKED_BYTES_MAX,
            },
            packing,
            sync_every: config.flush_messages.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
            sync_after: config
                .flush_ms
                .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))),
            log: log_config(config, producer_expiration),
        }
    }

    /// Where readers' records end in a log that is written up to `end` and synced up to
    /// `synced_to`.
    pub fn visible_end(&self, end: Offset, synced_to: Offset) -> Offset {
        match self.sync_every {
            None => end,
            // The setting may be as large as an offset.
            Some(every) => Offset(synced_to.0.saturating_add(every - 1).min(end.0)),
        }
    }

    /// Validates a batch on a core; `None` if its records must be packed anew and are too many to do
    /// that there, or even to unpack them.
    pub fn validate_inline<'a>(
        &self,
        batch: Pieces<'a>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<Option<ValidBatch<'a>>, ProduceError> {
        match fence(|| self.validate_or_leave(batch, now, scratch)) {
            Ok(valid) => Ok(valid?),
            Err(panicked) => {
                // What it holds now, nobody knows.
                *scratch = Scratch::new();
                Err(panicked.into())
            }
        }
    }

    fn validate_or_leave<'a>(
        &self,
        batch: Pieces<'a>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<Option<ValidBatch<'a>>, BatchError> {
        #[cfg(any(test, feature = "sim"))]
        super::rehearsal::strike_at_batch(batch);
        let Some(codec) = self.codec_to_replace(batch) else {
            return validate(batch, &self.rules, now, scratch).map(Some);
        };
        let inline_max = inline_bytes_max(self.packing());
        // What is not packed is as large as it is; the rest shows when it is unpacked.
        if codec == Codec::None && batch.len() > inline_max {
            return Ok(None);
        }
        let unpacked_bytes_max = inline_max.min(self.rules.unpacked_bytes_max);
        let rules = BatchRules { unpacked_bytes_max, ..self.rules.clone() };
        match validate(batch, &rules, now, scratch) {
            Err(BatchError::Unpack(UnpackError::TooLarge { .. }))
                if unpacked_bytes_max < self.rules.unpacked_bytes_max =>
            {
                Ok(None)
            }
            valid => valid.map(Some),
        }
    }

    /// The batch's codec, if the topic wants another one.
    fn codec_to_replace(&self, batch: Pieces<'_>) -> Option<Codec> {
        let wanted = self.rules.codec_wanted?;
        let codec = BatchHeader::parse(batch).ok()?.attributes.codec().ok()?;
        (codec != wanted).then_some(codec)
    }

    /// Validates a received batch and packs its records with the topic's codec, with memory of its
    /// own: for a thread that is no core's.
    pub fn repack_aside(&self, batch: &Chain, now: Timestamp) -> Result<Repacked, ProduceError> {
        let (list, mut scratch) = (batch.piece_list(), Scratch::new());
        let valid = fence(|| validate(chain::pieces(&list), &self.rules, now, &mut scratch))??;
        self.repack(&valid, now, &mut scratch)
    }

    fn packing(&self) -> Packing {
        self.packing.unwrap_or(Packing::of(Codec::None))
    }

    /// Packs a batch's records with the topic's codec.
    pub fn repack(
        &self,
        valid: &ValidBatch<'_>,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> Result<Repacked, ProduceError> {
        let packing = self.packing();
        let limits = RecompressLimits {
            unpacked_bytes_max: self.rules.unpacked_bytes_max,
            batch_bytes_max: self.rules.batch_bytes_max,
        };
        let append_time =
            (self.rules.timestamp_type == TimestampType::LogAppendTime).then_some(now);
        let mut out = Vec::new();
        // It unpacks what the client has packed, and changes nothing but its own memory.
        let packed = fence(|| recompress(valid, packing, limits, append_time, scratch, &mut out));
        match packed {
            Ok(header) => Ok(Repacked { header: header?, bytes: Bytes::from(out) }),
            Err(panicked) => {
                *scratch = Scratch::new();
                Err(panicked.into())
            }
        }
    }
}

/// Records that are packed on a core, in bytes: what a codec packs in a few milliseconds at most.
fn inline_bytes_max(packing: Packing) -> usize {
    let kib = match (packing.codec(), packing.level()) {
        (Codec::None, _) => 8192,
        (Codec::Snappy | Codec::Lz4, _) | (Codec::Zstd, ..=1) => 1024,
        (Codec::Zstd, 2..=4) => 512,
        (Codec::Zstd, 5..=9) | (Codec::Gzip, ..=4) => 128,
        (Codec::Zstd, 10..=12) | (Codec::Gzip, 5..=7) => 64,
        (Codec::Gzip, _) => 32,
        (Codec::Zstd, 13..=17) => 8,
        // Its tables alone cost that much.
        (Codec::Zstd, _) => 0,
    };
    kib << 10
}

fn packing(compression: Compression) -> Option<Packing> {
    let with_level = |codec, level| {
        // The settings table bounds levels as the codecs do.
        Packing::with_level(codec, level).unwrap_or(Packing::of(codec))
    };
    match compression {
        Compression::Producer => None,
        Compression::Uncompressed => Some(Packing::of(Codec::None)),
        Compression::Gzip { level: None } => Some(Packing::of(Codec::Gzip)),
        Compression::Gzip { level: Some(level) } => Some(with_level(Codec::Gzip, level as i32)),
        Compression::Snappy => Some(Packing::of(Codec::Snappy)),
        Compression::Lz4 { level } => Some(with_level(Codec::Lz4, level)),
        Compression::Zstd { level } => Some(with_level(Codec::Zstd, level)),
    }
}

fn log_config(config: &TopicConfig, producer_expiration: Duration) -> LogConfig {
    LogConfig {
        segment_bytes: u64::from(config.segment_bytes),
        segment_ms: config.segment_ms,
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: config.segment_index_bytes,
        index_interval_bytes: config.index_interval_bytes,
        retention_ms: config.retention_ms.unwrap_or(-1),
        retention_bytes: config.retention_bytes.map_or(-1, |n| i64::try_from(n).unwrap_or(-1)),
        flush_messages: config.flush_messages.map_or(i64::MAX, |n| n.min(i64::MAX as u64) as i64),
        flush_ms: config.flush_ms.unwrap_or(i64::MAX),
        file_delete_delay: Duration::from_millis(
            u64::try_from(config.file_delete_delay_ms).unwrap_or(0),
        ),
        preallocate: config.preallocate,
        is_compacted: config.cleanup.compact,
        is_deleted: config.cleanup.delete,
        producer_expiration_ms: producer_expiration.as_millis().min(i64::MAX as u128) as i64,
        ..LogConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::rehearsal::BAD_VALUE;
    use crate::config::BrokerConfig;
    use crate::record::{BatchBuilder, NewRecord};

    fn check(every: Option<i64>, (end, synced_to): (i64, i64), visible: i64) {
        let (broker, _) = BrokerConfig::load(&BrokerConfig::standalone()).unwrap();
        let config = broker.topic_defaults;
        let settings = TopicSettings::new(&config, false, Duration::ZERO);
        let settings = TopicSettings { sync_every: every, ..settings };
        assert_eq!(settings.visible_end(Offset(end), Offset(synced_to)), Offset(visible));
    }

    #[test]
    fn readers_see_no_more_than_the_flush_policy_lets_be_acknowledged() {
        check(None, (9, 2), 9);
        check(Some(1), (9, 2), 2);
        check(Some(3), (9, 2), 4);
        check(Some(100), (9, 2), 9);
    }

    #[test]
    fn a_batch_that_our_code_fails_on_is_refused_and_the_next_is_not() {
        let (broker, _) = BrokerConfig::load(&BrokerConfig::standalone()).unwrap();
        let settings = TopicSettings::new(&broker.topic_defaults, false, Duration::ZERO);
        let mut scratch = Scratch::new();
        for wanted in [None, Some(Packing::of(Codec::Lz4))] {
            let settings = TopicSettings { packing: wanted, ..settings.clone() };
            for value in [BAD_VALUE, b"good"] {
                let bytes = batch_of(value);
                let valid =
                    settings.validate_inline(Pieces::one(&bytes), Timestamp(1), &mut scratch);
                let is_bad = matches!(valid, Err(ProduceError::Panicked(_)));
                assert_eq!(is_bad, value == BAD_VALUE);
                assert!(is_bad || valid.is_ok_and(|valid| valid.is_some()));
            }
        }
    }

    fn batch_of(value: &[u8]) -> Vec<u8> {
        let (timestamp, value) = (Timestamp(1), Some(value));
        let mut batch = BatchBuilder::new();
        batch.push(&NewRecord { timestamp, value, ..NewRecord::default() }).unwrap();
        let mut bytes = Vec::new();
        batch.finish(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_flush_policy_of_the_largest_number_is_none() {
        for every in [i64::MAX, i64::MAX - 1] {
            check(Some(every), (9, 5), 9);
            check(Some(every), (i64::MAX, i64::MAX - 1), i64::MAX);
        }
    }
}
