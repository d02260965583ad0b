//! Fetched bytes taken apart into batches and records, for people and tests: this one copies.

use super::client_error::ClientError;
use crate::base::Pieces;
use crate::model::{Offset, Timestamp};
use crate::record::{BatchHeader, HEADER_BYTES, PREFIX_BYTES, Records, Scratch, TimestampType};

/// Most bytes that a fetched batch is unpacked to.
const UNPACKED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A batch with its records.
#[derive(Clone, Debug)]
pub struct Batch {
    pub header: BatchHeader,
    /// The whole batch as it came.
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
}

/// One record, with the place and time that its batch gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Reads all whole batches. A fetch may end inside of one; its bytes are left out.
pub fn read_batches(fetched: &[u8]) -> Result<Vec<Batch>, ClientError> {
    let (mut batches, mut scratch, mut at) = (Vec::new(), Scratch::new(), 0);
    while let Some(rest) = fetched.get(at..)
        && rest.len() >= HEADER_BYTES
    {
        let header = BatchHeader::parse(Pieces::one(rest))
            .map_err(|source| ClientError::Batch { at, source })?;
        let Some(bytes) = rest.get(..header.total_bytes()) else { break };
        let records = read_records(&header, &bytes[HEADER_BYTES..], at, &mut scratch)?;
        batches.push(Batch { header, bytes: bytes.to_vec(), records });
        at += header.total_bytes();
    }
    Ok(batches)
}

fn read_records(
    header: &BatchHeader,
    packed: &[u8],
    at: usize,
    scratch: &mut Scratch,
) -> Result<Vec<Record>, ClientError> {
    let codec = header.attributes.codec().map_err(|source| ClientError::Codec { at, source })?;
    let unpacked = scratch
        .unpack(codec, Pieces::one(packed), UNPACKED_BYTES_MAX)
        .map_err(|source| ClientError::Unpack { at, source })?;
    let appended_at = (header.attributes.timestamp_type() == TimestampType::LogAppendTime)
        .then_some(header.max_timestamp);
    Records::new(unpacked)
        .map(|record| {
            let record = record.map_err(|source| ClientError::Record { at, source })?;
            let created_at = Timestamp(header.base_timestamp.0 + record.timestamp_delta);
            Ok(Record {
                offset: header.base_offset.plus(i64::from(record.offset_delta)),
                timestamp: appended_at.unwrap_or(created_at),
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record
                    .headers()
                    .map(|one| (one.key.to_owned(), one.value.map(<[u8]>::to_vec)))
                    .collect(),
            })
        })
        .collect()
}

/// Bytes of the first batch, whole or not; `None` where not even its length is there.
pub fn first_batch_bytes(fetched: &[u8]) -> Option<usize> {
    let length = fetched.get(8..PREFIX_BYTES)?.try_into().ok().map(i32::from_be_bytes)?;
    usize::try_from(length).ok().map(|length| PREFIX_BYTES + length)
}
