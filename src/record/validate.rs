//! What the records field of a produce request must be before it may be appended.
//!
//! Exactly one batch of format 2, whole, true to its checksum, saying nothing that only a broker may
//! say. That is the header and one pass of CRC-32C; nothing is allocated and no record is looked at.
//! Records are walked only where a topic's settings ask for what the header cannot tell, or where
//! the header's times contradict each other ([`WalkReason`]).
//!
//! The order of checks is Kafka's, so that a batch with two faults gets the same answer.

use super::batch::{BatchHeader, HeaderError, PREFIX_BYTES, Stamp, TimestampType};
use super::codec::{Codec, UnknownCodec};
use super::unpack::{Scratch, UnpackError};
use super::walk::{RecordError, RecordView, Records};
use super::{CRC_FROM, HEADER_BYTES};
use crate::base::{Pieces, crc32c};
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// What a topic and the request's version ask of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRules {
    /// `max.message.bytes`: the largest batch, header included.
    pub batch_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms` and `.after.max.ms`; never negative.
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    /// A compacted topic: every record needs a key.
    pub keys_required: bool,
    /// `compression.type`, where it is not `producer`: what batches are packed with in the log.
    pub codec_wanted: Option<Codec>,
    /// Our own setting: walk every batch.
    pub strict: bool,
    /// Produce version 7 and newer; older requests may not carry zstd.
    pub zstd_allowed: bool,
    /// The most that the records of one batch may unpack to.
    pub unpacked_bytes_max: usize,
}

impl Default for BatchRules {
    /// Kafka's defaults for a topic.
    fn default() -> Self {
        Self {
            batch_bytes_max: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            keys_required: false,
            codec_wanted: None,
            strict: false,
            zstd_allowed: true,
            unpacked_bytes_max: 64 << 20,
        }
    }
}

/// Why the records of a batch are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkReason {
    /// A compacted topic: keys must be there.
    Keys,
    /// The broker sets the time of records that are packed.
    LogAppendTime,
    /// The topic's codec is another than the batch's.
    Recompression,
    /// The operator asked for it.
    Strict,
    /// The header's largest time lies before its first one (some clients leave it out).
    HeaderTime,
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidBatch<'a> {
    /// The batch as received.
    pub bytes: Pieces<'a>,
    pub header: BatchHeader,
    pub codec: Codec,
    /// What the records said, where they were walked.
    pub walked: Option<Walked>,
    /// The codec to pack with anew before appending, where the topic wants another one.
    pub recompress_to: Option<Codec>,
}

/// What a walk over a batch's records found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    pub reason: WalkReason,
    /// Largest time of a record; -1 if none has a time.
    pub max_timestamp: Timestamp,
    /// The first record that has it.
    pub max_timestamp_offset_delta: i32,
    /// Bytes of the records when unpacked.
    pub unpacked_bytes: usize,
}

/// Why a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("there is no record batch")]
    NoBatch,
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the batch has {length} bytes after its length field, but {left} were sent")]
    Cut { length: i32, left: usize },
    #[error(
        "exactly one record batch is allowed per partition, but {bytes} bytes follow the first"
    )]
    MoreThanOne { bytes: usize },
    #[error("zstd is not allowed in produce requests before version 7")]
    ZstdTooEarly,
    #[error("the base offset of a produced batch must be 0, but it is {base_offset}")]
    BaseOffset { base_offset: Offset },
    #[error("the batch has {bytes} bytes, more than the {max} that max.message.bytes allows")]
    TooLarge { bytes: usize, max: usize },
    #[error("the batch's CRC-32C is {stored:#010x}, but its bytes give {computed:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("the batch says {record_count} records and a last offset delta of {last_offset_delta}")]
    Count { record_count: i32, last_offset_delta: i32 },
    #[error("clients may not write control records")]
    Control,
    #[error("clients may not set a delete horizon")]
    DeleteHorizon,
    #[error("transactions are not served yet")]
    Transactional,
    #[error("producer id {id} with epoch {epoch} and base sequence {base_sequence} is not valid")]
    Producer { id: ProducerId, epoch: ProducerEpoch, base_sequence: i32 },
    #[error("{0}")]
    Codec(#[from] UnknownCodec),
    #[error("producers may not set the timestamp type to LogAppendTime")]
    TimestampType,
    #[error("timestamp {timestamp} is not within [{earliest}, {latest}]")]
    Timestamp { timestamp: Timestamp, earliest: Timestamp, latest: Timestamp },
    #[error("{0}")]
    Unpack(#[from] UnpackError),
    /// The index is that of the record in the batch, from 0.
    #[error("record {index}: {fault}")]
    Record { index: i32, fault: RecordFault },
    #[error("{bytes} bytes follow the {record_count} records that the batch says it has")]
    RecordsLeft { record_count: i32, bytes: usize },
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("{0}")]
    Malformed(#[from] RecordError),
    #[error("the batch ends before it")]
    Missing,
    #[error("offset delta {offset_delta} is not its index")]
    OffsetDelta { offset_delta: i32 },
    #[error("a compacted topic cannot accept a record without key")]
    NoKey,
    #[error("timestamp {timestamp} is not within [{earliest}, {latest}]")]
    Timestamp { timestamp: Timestamp, earliest: Timestamp, latest: Timestamp },
    #[error("timestamp delta {timestamp_delta} leads out of time")]
    TimestampDelta { timestamp_delta: i64 },
}

/// Judges the records field of one partition in a produce request. `scratch` is used only if the
/// records are packed, or lie in several pieces, and must be walked.
pub fn validate<'a>(
    records: Pieces<'a>,
    rules: &BatchRules,
    now: Timestamp,
    scratch: &mut Scratch,
) -> Result<ValidBatch<'a>, BatchError> {
    let header = check_shape(records, rules)?;
    let computed = crc32c::checksum_pieces(records.split_at(CRC_FROM).1);
    if computed != header.crc {
        return Err(BatchError::Crc { stored: header.crc, computed });
    }
    let codec = check_claims(&header)?;
    let bounds = TimeBounds::new(rules, now);
    bounds.check_header(&header)?;
    let walked = match rules.walk_reason(&header, codec) {
        None => None,
        Some(reason) => {
            let packed = records.split_at(HEADER_BYTES).1;
            let unpacked = scratch.unpack(codec, packed, rules.unpacked_bytes_max)?;
            Some(walk(&header, unpacked, reason, rules.keys_required, &bounds)?)
        }
    };
    let recompress_to = rules.codec_wanted.filter(|&wanted| wanted != codec);
    Ok(ValidBatch { bytes: records, header, codec, walked, recompress_to })
}

impl BatchRules {
    /// Why the records of a batch with this header must be walked, if they must.
    pub fn walk_reason(&self, header: &BatchHeader, codec: Codec) -> Option<WalkReason> {
        if self.keys_required {
            Some(WalkReason::Keys)
        } else if self.codec_wanted.is_some_and(|wanted| wanted != codec) {
            Some(WalkReason::Recompression)
        } else if self.strict {
            Some(WalkReason::Strict)
        } else if self.timestamp_type == TimestampType::LogAppendTime {
            (codec != Codec::None).then_some(WalkReason::LogAppendTime)
        } else {
            (header.max_timestamp < header.base_timestamp).then_some(WalkReason::HeaderTime)
        }
    }
}

impl ValidBatch<'_> {
    /// The time of the batch's newest record, as far as it is known without walking.
    pub fn max_timestamp(&self) -> Timestamp {
        self.walked.map_or(self.header.max_timestamp, |walked| walked.max_timestamp)
    }

    /// What replaces the first bytes of the batch when it is appended as it is: offset and leader
    /// epoch; the time too where the broker sets it, or where the header's was not that of the
    /// records.
    pub fn stamp(
        &self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        timestamp_type: TimestampType,
        now: Timestamp,
    ) -> Stamp {
        let max_timestamp = match timestamp_type {
            TimestampType::LogAppendTime => now,
            TimestampType::CreateTime if self.max_timestamp() == self.header.max_timestamp => {
                return self.header.stamp(base_offset, leader_epoch);
            }
            TimestampType::CreateTime => self.max_timestamp(),
        };
        self.header.stamp_time(base_offset, leader_epoch, timestamp_type, max_timestamp)
    }
}

/// That the field holds one whole batch of a size and format that is taken.
fn check_shape(records: Pieces<'_>, rules: &BatchRules) -> Result<BatchHeader, BatchError> {
    if records.is_empty() {
        return Err(BatchError::NoBatch);
    }
    let header = BatchHeader::parse(records)?;
    let left = records.len() - PREFIX_BYTES;
    match (header.batch_length as usize).cmp(&left) {
        std::cmp::Ordering::Greater => {
            return Err(BatchError::Cut { length: header.batch_length, left });
        }
        std::cmp::Ordering::Less => {
            let bytes = records.len() - header.total_bytes();
            return Err(BatchError::MoreThanOne { bytes });
        }
        std::cmp::Ordering::Equal => {}
    }
    if !rules.zstd_allowed && header.attributes.codec() == Ok(Codec::Zstd) {
        return Err(BatchError::ZstdTooEarly);
    }
    if header.base_offset != Offset::ZERO {
        return Err(BatchError::BaseOffset { base_offset: header.base_offset });
    }
    if header.total_bytes() > rules.batch_bytes_max {
        let (bytes, max) = (header.total_bytes(), rules.batch_bytes_max);
        return Err(BatchError::TooLarge { bytes, max });
    }
    Ok(header)
}

/// That the header claims what a client may claim, and nothing that contradicts itself.
fn check_claims(header: &BatchHeader) -> Result<Codec, BatchError> {
    let BatchHeader { record_count, last_offset_delta, attributes, .. } = *header;
    if record_count < 1 || last_offset_delta != record_count - 1 {
        return Err(BatchError::Count { record_count, last_offset_delta });
    }
    if attributes.is_control() {
        return Err(BatchError::Control);
    }
    let BatchHeader { producer_id: id, producer_epoch: epoch, base_sequence, .. } = *header;
    // Clients that are not idempotent send -1 as producer id and what they like in the other two.
    let idempotent_and_whole = id.is_some() && epoch.0 >= 0 && base_sequence >= 0;
    if !idempotent_and_whole && id != ProducerId::NONE {
        return Err(BatchError::Producer { id, epoch, base_sequence });
    }
    if attributes.is_transactional() {
        return Err(BatchError::Transactional);
    }
    if attributes.has_delete_horizon() {
        return Err(BatchError::DeleteHorizon);
    }
    if attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::TimestampType);
    }
    Ok(attributes.codec()?)
}

/// The times that a topic takes; none are judged where the broker sets them.
struct TimeBounds {
    earliest: Timestamp,
    latest: Timestamp,
    judged: bool,
}

impl TimeBounds {
    fn new(rules: &BatchRules, now: Timestamp) -> Self {
        Self {
            earliest: Timestamp(now.0.saturating_sub(rules.timestamp_before_max_ms)),
            latest: Timestamp(now.0.saturating_add(rules.timestamp_after_max_ms)),
            judged: rules.timestamp_type == TimestampType::CreateTime,
        }
    }

    /// Whether a topic takes this time. -1 stands for none and is always taken; what else lies
    /// before 1970 is no time.
    fn admit(&self, timestamp: Timestamp) -> bool {
        !self.judged
            || timestamp == Timestamp::NONE
            || (timestamp.0 >= 0 && self.earliest <= timestamp && timestamp <= self.latest)
    }

    /// The largest time that the header names must be taken, the first one be a time.
    fn check_header(&self, header: &BatchHeader) -> Result<(), BatchError> {
        let &Self { earliest, latest, judged } = self;
        let refused = |timestamp| Err(BatchError::Timestamp { timestamp, earliest, latest });
        if judged && header.base_timestamp < Timestamp::NONE {
            return refused(header.base_timestamp);
        }
        if !self.admit(header.max_timestamp) {
            return refused(header.max_timestamp);
        }
        Ok(())
    }
}

fn walk(
    header: &BatchHeader,
    unpacked: &[u8],
    reason: WalkReason,
    keys_required: bool,
    bounds: &TimeBounds,
) -> Result<Walked, BatchError> {
    let mut walked = Walked {
        reason,
        max_timestamp: Timestamp::NONE,
        max_timestamp_offset_delta: 0,
        unpacked_bytes: unpacked.len(),
    };
    let mut records = Records::new(unpacked);
    for index in 0..header.record_count {
        let timestamp = match records.next() {
            None => Err(RecordFault::Missing),
            Some(Err(error)) => Err(RecordFault::Malformed(error)),
            Some(Ok(record)) => check_record(header, index, &record, keys_required, bounds),
        };
        let timestamp = timestamp.map_err(|fault| BatchError::Record { index, fault })?;
        if timestamp > walked.max_timestamp {
            walked.max_timestamp = timestamp;
            walked.max_timestamp_offset_delta = index;
        }
    }
    if records.bytes_left() > 0 {
        let (record_count, bytes) = (header.record_count, records.bytes_left());
        return Err(BatchError::RecordsLeft { record_count, bytes });
    }
    Ok(walked)
}

/// Judges one record; gives its time.
fn check_record(
    header: &BatchHeader,
    index: i32,
    record: &RecordView<'_>,
    keys_required: bool,
    bounds: &TimeBounds,
) -> Result<Timestamp, RecordFault> {
    let &RecordView { offset_delta, timestamp_delta, .. } = record;
    if offset_delta != index {
        return Err(RecordFault::OffsetDelta { offset_delta });
    }
    if keys_required && record.key.is_none() {
        return Err(RecordFault::NoKey);
    }
    let timestamp = header.base_timestamp.0.checked_add(timestamp_delta).map(Timestamp);
    let timestamp = timestamp.ok_or(RecordFault::TimestampDelta { timestamp_delta })?;
    if !bounds.admit(timestamp) {
        let &TimeBounds { earliest, latest, .. } = bounds;
        return Err(RecordFault::Timestamp { timestamp, earliest, latest });
    }
    Ok(timestamp)
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
