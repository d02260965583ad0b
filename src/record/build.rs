//! Making batches: for the metadata log, for our own client and for tests; and packing a received
//! batch anew where a topic wants another codec than its producer chose.

use super::batch::{Attributes, BatchHeader, CRC_FROM, HEADER_BYTES, PREFIX_BYTES, TimestampType};
use super::pack::{PackError, Packing};
use super::unpack::{Scratch, UnpackError};
use super::validate::ValidBatch;
use crate::base::{crc32c, varint};
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// The most bytes that the records of a batch can have, packed or not: lengths are `i32`.
const RECORDS_BYTES_MAX: usize = i32::MAX as usize - HEADER_BYTES;

/// A record to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// -1 for none.
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// In order; equal keys stay apart.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Why a batch could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("a batch of {bytes} bytes is more than the {max} allowed")]
    TooLarge { bytes: usize, max: usize },
    #[error("{0}")]
    Pack(#[from] PackError),
    #[error("{0}")]
    Unpack(#[from] UnpackError),
}

/// Gathers records and writes them as one batch. Keeps its memory for the next batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    records: Vec<u8>,
    record_count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    attributes: Attributes,
    producer: (ProducerId, ProducerEpoch, i32),
    packing: Packing,
}

impl BatchBuilder {
    /// A builder of batches without producer and codec, at offset 0, as clients send them.
    pub fn new() -> Self {
        Self {
            records: Vec::new(),
            record_count: 0,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            attributes: Attributes::default(),
            producer: (ProducerId::NONE, ProducerEpoch::NONE, super::batch::NO_SEQUENCE),
            packing: Packing::default(),
        }
    }

    /// Where the next batch lies in a log.
    pub fn at(&mut self, base_offset: Offset, leader_epoch: LeaderEpoch) -> &mut Self {
        self.base_offset = base_offset;
        self.leader_epoch = leader_epoch;
        self
    }

    /// How the records of batches are packed.
    pub fn packed(&mut self, packing: Packing) -> &mut Self {
        self.packing = packing;
        self
    }

    /// The idempotent producer and the sequence of the next batch's first record.
    pub fn producer(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: i32,
    ) -> &mut Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// Whether batches belong to a transaction.
    pub fn transactional(&mut self, on: bool) -> &mut Self {
        self.attributes = self.attributes.with_transactional(on);
        self
    }

    /// Whether batches hold control records.
    pub fn control(&mut self, on: bool) -> &mut Self {
        self.attributes = self.attributes.with_control(on);
        self
    }

    /// Adds a record to the next batch.
    pub fn push(&mut self, record: &NewRecord<'_>) -> Result<(), BuildError> {
        assert!(record.timestamp >= Timestamp::NONE);
        let base_timestamp =
            if self.record_count == 0 { record.timestamp } else { self.base_timestamp };
        let timestamp_delta = record.timestamp.0 - base_timestamp.0;
        let body_bytes = record_body_bytes(record, timestamp_delta, self.record_count);
        let bytes = self.records.len().saturating_add(body_bytes).saturating_add(5);
        if bytes > RECORDS_BYTES_MAX {
            return Err(BuildError::TooLarge { bytes, max: RECORDS_BYTES_MAX });
        }
        let out = &mut self.records;
        varint::encode_i32(body_bytes as i32, out);
        out.push(0);
        varint::encode_i64(timestamp_delta, out);
        varint::encode_i32(self.record_count, out);
        put_nullable(record.key, out);
        put_nullable(record.value, out);
        varint::encode_i32(record.headers.len() as i32, out);
        for &(key, value) in record.headers {
            put_nullable(Some(key.as_bytes()), out);
            put_nullable(value, out);
        }
        self.base_timestamp = base_timestamp;
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.record_count += 1;
        Ok(())
    }

    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes that the batch would have if its records were not packed.
    pub const fn unpacked_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Appends the batch of the gathered records, at least one, to `out` and begins the next one.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<BatchHeader, BuildError> {
        assert!(self.record_count > 0);
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: 0,
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.record_count,
        };
        let header = write_batch(header, self.packing, &self.records, out)?;
        self.clear();
        Ok(header)
    }

    /// Forgets the gathered records.
    pub fn clear(&mut self) {
        self.records.clear();
        self.record_count = 0;
        self.base_timestamp = Timestamp::NONE;
        self.max_timestamp = Timestamp::NONE;
    }
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Packs the records of a received batch anew and appends the new batch to `out`, with the broker's
/// time where the topic says so. The records themselves keep their bytes. Gives the new header, whose
/// offset and epoch are still those of the received one.
pub fn recompress(
    batch: &ValidBatch<'_>,
    packing: Packing,
    limits: RecompressLimits,
    append_time: Option<Timestamp>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<BatchHeader, BuildError> {
    let packed = batch.bytes.split_at(HEADER_BYTES).1;
    let records = scratch.unpack(batch.codec, packed, limits.unpacked_bytes_max)?;
    let header = BatchHeader {
        max_timestamp: append_time.unwrap_or_else(|| batch.max_timestamp()),
        attributes: match append_time {
            Some(_) => batch.header.attributes.with_timestamp_type(TimestampType::LogAppendTime),
            None => batch.header.attributes,
        },
        ..batch.header
    };
    let start = out.len();
    let header = write_batch(header, packing, records, out)?;
    if header.total_bytes() > limits.batch_bytes_max {
        out.truncate(start);
        let (bytes, max) = (header.total_bytes(), limits.batch_bytes_max);
        return Err(BuildError::TooLarge { bytes, max });
    }
    Ok(header)
}

/// The bounds of packing anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecompressLimits {
    /// The most that the received records may unpack to.
    pub unpacked_bytes_max: usize,
    /// `max.message.bytes`: holds for the new batch too.
    pub batch_bytes_max: usize,
}

/// Packs `records` behind `header`, whose length, codec and checksum are set here. An error leaves
/// `out` as it was.
fn write_batch(
    mut header: BatchHeader,
    packing: Packing,
    records: &[u8],
    out: &mut Vec<u8>,
) -> Result<BatchHeader, BuildError> {
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    if let Err(error) = packing.pack(records, out) {
        out.truncate(start);
        return Err(error.into());
    }
    let bytes = out.len() - start;
    let Ok(batch_length) = i32::try_from(bytes - PREFIX_BYTES) else {
        out.truncate(start);
        return Err(BuildError::TooLarge { bytes, max: RECORDS_BYTES_MAX });
    };
    header.batch_length = batch_length;
    header.attributes = header.attributes.with_codec(packing.codec());
    let mut crc = crc32c::Crc32c::new();
    crc.update(&header.encode()[CRC_FROM..]);
    crc.update(&out[start + HEADER_BYTES..]);
    header.crc = crc.finish();
    out[start..start + HEADER_BYTES].copy_from_slice(&header.encode());
    Ok(header)
}

fn record_body_bytes(record: &NewRecord<'_>, timestamp_delta: i64, offset_delta: i32) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|&(key, value)| nullable_bytes(Some(key.as_bytes())) + nullable_bytes(value))
        .sum();
    1 + varint::size_i64(timestamp_delta)
        + varint::size_i32(offset_delta)
        + nullable_bytes(record.key)
        + nullable_bytes(record.value)
        + varint::size_i64(record.headers.len() as i64)
        + headers
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::size_i64(bytes.len() as i64) + bytes.len())
}

fn put_nullable(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    varint::encode_i32(bytes.map_or(-1, |bytes| bytes.len() as i32), out);
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// A batch of one codec with `values` as records, for tests of this room.
#[cfg(test)]
pub(super) fn batch_of(codec: super::Codec, timestamp: i64, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.packed(Packing::of(codec));
    for (index, value) in values.iter().enumerate() {
        let record = NewRecord {
            timestamp: Timestamp(timestamp + index as i64),
            key: Some(b"key"),
            value: Some(value.as_bytes()),
            headers: &[("h", Some(b"1")), ("h", None)],
        };
        builder.push(&record).unwrap();
    }
    let mut out = Vec::new();
    builder.finish(&mut out).unwrap();
    out
}
