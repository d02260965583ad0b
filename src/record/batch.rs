//! The header of a record batch, 61 bytes, and what an append may change in it.
//!
//! ```text
//! pos size field                 pos size field
//!   0    8 baseOffset             27    8 baseTimestamp (delete horizon if bit 6)
//!   8    4 batchLength            35    8 maxTimestamp
//!  12    4 partitionLeaderEpoch   43    8 producerId
//!  16    1 magic = 2              51    2 producerEpoch
//!  17    4 crc (CRC-32C)          53    4 baseSequence
//!  21    2 attributes             57    4 recordCount
//!  23    4 lastOffsetDelta        61      records
//! ```
//!
//! The checksum covers everything from byte 21 on: the first 16 bytes (the *head*) can be written
//! anew without touching it. Changing a time means a new checksum, which is derived from the old one
//! and the two headers; the records are not read again.

use super::codec::{Codec, UnknownCodec};
use crate::base::{Pieces, crc32c};
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Bytes of the header, before the records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that lie before magic and checksum: offset, length, leader epoch.
pub const HEAD_BYTES: usize = 16;
/// Bytes of offset and length; the length counts what follows them.
pub const PREFIX_BYTES: usize = 12;
/// Position of the format's number.
pub const MAGIC_AT: usize = 16;
/// Position of the first byte that the checksum covers.
pub const CRC_FROM: usize = 21;
/// The only format that this broker reads and writes.
pub const MAGIC: i8 = 2;
/// The smallest length that the field can hold: a header without records.
pub const LENGTH_MIN: i32 = (HEADER_BYTES - PREFIX_BYTES) as i32;
/// What `base_sequence` holds when the producer is not idempotent.
pub const NO_SEQUENCE: i32 = -1;

/// Who decides a record's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer, record by record.
    #[default]
    CreateTime,
    /// The broker: every record of the batch has the batch's `max_timestamp`.
    LogAppendTime,
}

/// Attribute bits of a batch: 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete
/// horizon; the others are unused and kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

/// A batch's header, as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after this field: the whole batch is 12 longer. At least 49.
    pub batch_length: i32,
    pub leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    /// Time of the first record, or the delete horizon where the attributes say so.
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

/// Why bytes are not the header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("{bytes} bytes are left where a batch header takes 61")]
    Short { bytes: usize },
    #[error("batch length {length} is smaller than a batch header needs (49)")]
    Length { length: i32 },
    #[error("message format {magic} is not served: batches of format 2 are")]
    OldFormat { magic: i8 },
    #[error("message format {magic} does not exist")]
    UnknownFormat { magic: i8 },
}

/// What takes the place of a batch's first bytes when it is appended; the rest stays as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// A new offset and leader epoch.
    Head([u8; HEAD_BYTES]),
    /// Another time too, thus another checksum.
    Header([u8; HEADER_BYTES]),
}

impl Stamp {
    /// The new bytes; as many of the batch's own first bytes are replaced by them.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Head(bytes) => bytes,
            Self::Header(bytes) => bytes,
        }
    }

    /// The part of `batch` that follows the new bytes.
    pub fn rest<'a>(&self, batch: Pieces<'a>) -> Pieces<'a> {
        batch.split_at(self.bytes().len()).1
    }
}

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    pub const fn codec(self) -> Result<Codec, UnknownCodec> {
        Codec::from_bits((self.0 & Self::CODEC) as u8)
    }

    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    #[must_use]
    pub const fn with_codec(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC) | codec.bits() as i16)
    }

    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(Self::LOG_APPEND_TIME, matches!(timestamp_type, TimestampType::LogAppendTime))
    }

    #[must_use]
    pub const fn with_transactional(self, on: bool) -> Self {
        self.with(Self::TRANSACTIONAL, on)
    }

    #[must_use]
    pub const fn with_control(self, on: bool) -> Self {
        self.with(Self::CONTROL, on)
    }

    const fn with(self, bit: i16, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { Self(self.0 & !bit) }
    }
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which may go on. Checks what makes it a header
    /// (61 bytes, format 2, a length that can hold itself); what it says is not judged here, nor
    /// whether the batch is all there.
    pub fn parse(bytes: Pieces<'_>) -> Result<Self, HeaderError> {
        let Some(raw) = bytes.array::<HEADER_BYTES>(0) else {
            // A message of an old format can be shorter than this header: say which it is.
            let magic = bytes.array::<1>(MAGIC_AT).map(i8::from_be_bytes);
            return Err(magic
                .and_then(|magic| check_magic(magic).err())
                .unwrap_or(HeaderError::Short { bytes: bytes.len() }));
        };
        Self::decode(&raw)
    }

    /// Reads a header from exactly its bytes.
    pub fn decode(raw: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        check_magic(raw[MAGIC_AT] as i8)?;
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(field(raw, 0))),
            batch_length: i32::from_be_bytes(field(raw, 8)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(raw, 12))),
            crc: u32::from_be_bytes(field(raw, 17)),
            attributes: Attributes(i16::from_be_bytes(field(raw, 21))),
            last_offset_delta: i32::from_be_bytes(field(raw, 23)),
            base_timestamp: Timestamp(i64::from_be_bytes(field(raw, 27))),
            max_timestamp: Timestamp(i64::from_be_bytes(field(raw, 35))),
            producer_id: ProducerId(i64::from_be_bytes(field(raw, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(raw, 51))),
            base_sequence: i32::from_be_bytes(field(raw, 53)),
            record_count: i32::from_be_bytes(field(raw, 57)),
        };
        if header.batch_length < LENGTH_MIN {
            return Err(HeaderError::Length { length: header.batch_length });
        }
        Ok(header)
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut raw = [0; HEADER_BYTES];
        raw[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        raw[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        raw[12..16].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        raw[16] = MAGIC as u8;
        raw[17..21].copy_from_slice(&self.crc.to_be_bytes());
        raw[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        raw[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        raw[27..35].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        raw[35..43].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        raw[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        raw[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        raw[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        raw[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        raw
    }

    /// The first 16 bytes at another place in a log. The checksum stays true.
    pub fn stamp(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> Stamp {
        let mut head = [0; HEAD_BYTES];
        head[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
        head[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        head[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
        Stamp::Head(head)
    }

    /// The whole header at another place in a log and with another time. The new checksum follows
    /// from `crc`, which must have been checked against the bytes.
    pub fn stamp_time(
        &self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        timestamp_type: TimestampType,
        max_timestamp: Timestamp,
    ) -> Stamp {
        let mut stamped = Self {
            base_offset,
            leader_epoch,
            attributes: self.attributes.with_timestamp_type(timestamp_type),
            max_timestamp,
            ..*self
        };
        stamped.crc = crc32c::replace_prefix(
            self.crc,
            &self.encode()[CRC_FROM..],
            &stamped.encode()[CRC_FROM..],
            self.records_bytes(),
        );
        Stamp::Header(stamped.encode())
    }

    /// Bytes of the whole batch.
    pub const fn total_bytes(&self) -> usize {
        PREFIX_BYTES + self.batch_length as usize
    }

    /// Bytes of the records, packed or not.
    pub const fn records_bytes(&self) -> usize {
        self.total_bytes() - HEADER_BYTES
    }

    pub const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as i64)
    }

    /// The offset of whatever follows this batch.
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Whether an idempotent or transactional producer wrote it.
    pub const fn has_producer(&self) -> bool {
        self.producer_id.is_some()
    }

    /// Sequence of the last record; -1 where the producer is not idempotent.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        sequence_plus(self.base_sequence, self.last_offset_delta)
    }

    /// Sequence that the producer's next batch must start with.
    pub const fn next_sequence(&self) -> i32 {
        sequence_plus(self.last_sequence(), 1)
    }
}

/// A sequence number `count` records later; after `i32::MAX` comes 0.
pub const fn sequence_plus(sequence: i32, count: i32) -> i32 {
    // Sequences are numbers modulo 2^31; no input overflows.
    ((sequence as i64 + count as i64) & i32::MAX as i64) as i32
}

/// A sequence number `count` records earlier; before 0 comes `i32::MAX`.
pub const fn sequence_minus(sequence: i32, count: i32) -> i32 {
    ((sequence as i64 - count as i64) & i32::MAX as i64) as i32
}

const fn check_magic(magic: i8) -> Result<(), HeaderError> {
    match magic {
        MAGIC => Ok(()),
        0 | 1 => Err(HeaderError::OldFormat { magic }),
        _ => Err(HeaderError::UnknownFormat { magic }),
    }
}

/// `N` bytes of the header at a position that the format fixes.
fn field<const N: usize>(raw: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn golden() -> (BatchHeader, Vec<u8>) {
        let header = BatchHeader {
            base_offset: Offset(0x0102_0304_0506_0708),
            batch_length: 0x1112,
            leader_epoch: LeaderEpoch(0x2122_2324),
            crc: 0x3132_3334,
            attributes: Attributes(0x0054),
            last_offset_delta: 0x4142_4344,
            base_timestamp: Timestamp(0x5152_5354_5556_5758),
            max_timestamp: Timestamp(0x6162_6364_6566_6768),
            producer_id: ProducerId(0x7172_7374_7576_7778),
            producer_epoch: ProducerEpoch(0x0182),
            base_sequence: 0x1192_9394,
            record_count: 0x21a2_a3a4,
        };
        let bytes = [
            &[1, 2, 3, 4, 5, 6, 7, 8][..],
            &[0, 0, 0x11, 0x12, 0x21, 0x22, 0x23, 0x24, 2, 0x31, 0x32, 0x33, 0x34, 0, 0x54],
            &[0x41, 0x42, 0x43, 0x44, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58],
            &[0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68],
            &[0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x01, 0x82],
            &[0x11, 0x92, 0x93, 0x94, 0x21, 0xa2, 0xa3, 0xa4],
        ]
        .concat();
        (header, bytes)
    }

    #[test]
    fn every_field_lies_where_kafka_puts_it() {
        let (header, bytes) = golden();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(header.encode()[..], bytes);
        assert_eq!(BatchHeader::parse(Pieces::one(&bytes)), Ok(header));
        assert_eq!(header.attributes.codec(), Ok(Codec::Zstd));
        assert!(header.attributes.is_transactional());
        assert!(!header.attributes.is_control());
        assert!(header.attributes.has_delete_horizon());
        assert_eq!(header.attributes.timestamp_type(), TimestampType::CreateTime);
    }

    #[test]
    fn a_header_cut_anywhere_is_the_same_or_short() {
        let (header, bytes) = golden();
        for cut in 0..=bytes.len() {
            let parts = [&bytes[..cut], &bytes[cut..]];
            assert_eq!(BatchHeader::parse(Pieces::many(&parts)), Ok(header));
            if cut < bytes.len() {
                assert_eq!(
                    BatchHeader::parse(Pieces::one(&bytes[..cut])),
                    Err(HeaderError::Short { bytes: cut })
                );
            }
        }
    }

    #[test]
    fn another_format_is_named_even_when_its_message_is_short() {
        let (_, mut bytes) = golden();
        for (magic, error) in [
            (0, HeaderError::OldFormat { magic: 0 }),
            (1, HeaderError::OldFormat { magic: 1 }),
            (3, HeaderError::UnknownFormat { magic: 3 }),
            (-1, HeaderError::UnknownFormat { magic: -1 }),
        ] {
            bytes[MAGIC_AT] = magic as u8;
            assert_eq!(BatchHeader::parse(Pieces::one(&bytes)), Err(error));
            assert_eq!(BatchHeader::parse(Pieces::one(&bytes[..30])), Err(error));
        }
    }

    #[test]
    fn a_length_that_cannot_hold_the_header_is_refused() {
        let (_, mut bytes) = golden();
        for length in [48, 0, -1, i32::MIN] {
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            assert_eq!(
                BatchHeader::parse(Pieces::one(&bytes)),
                Err(HeaderError::Length { length })
            );
        }
    }

    #[test]
    fn sequences_wrap_from_the_largest_to_zero_and_back() {
        assert_eq!(sequence_plus(i32::MAX, 1), 0);
        assert_eq!(sequence_plus(i32::MAX - 1, 3), 1);
        assert_eq!(sequence_plus(5, 0), 5);
        assert_eq!(sequence_minus(1, 3), i32::MAX - 1);
        assert_eq!(sequence_minus(0, 1), i32::MAX);
        let (mut header, _) = golden();
        header.base_sequence = i32::MAX - 2;
        header.last_offset_delta = 2;
        assert_eq!(header.last_sequence(), i32::MAX);
        assert_eq!(header.next_sequence(), 0);
        header.base_sequence = NO_SEQUENCE;
        assert_eq!(header.last_sequence(), NO_SEQUENCE);
    }

    proptest! {
        #[test]
        fn going_forth_and_back_in_sequence_ends_where_it_began(from in 0..=i32::MAX, by in 0..=i32::MAX) {
            let there = sequence_plus(from, by);
            prop_assert!(there >= 0);
            prop_assert_eq!(sequence_minus(there, by), from);
        }

        #[test]
        fn stamps_leave_a_batch_whose_checksum_is_true(
            records in proptest::collection::vec(any::<u8>(), 0..300),
            offset in 0..i64::MAX,
            epoch: i32,
            now: i64,
        ) {
            let (mut header, _) = golden();
            header.batch_length = LENGTH_MIN + records.len() as i32;
            header.crc = crc32c::checksum(&[&header.encode()[CRC_FROM..], &records].concat());
            let sent = [&header.encode()[..], &records].concat();
            let stamps = [
                header.stamp(Offset(offset), LeaderEpoch(epoch)),
                header.stamp_time(
                    Offset(offset), LeaderEpoch(epoch), TimestampType::LogAppendTime, Timestamp(now),
                ),
            ];
            for stamp in stamps {
                let rest = stamp.rest(Pieces::one(&sent)).to_vec();
                let stored = [stamp.bytes(), &rest].concat();
                prop_assert_eq!(stored.len(), sent.len());
                let read = BatchHeader::parse(Pieces::one(&stored)).unwrap();
                prop_assert_eq!(read.base_offset, Offset(offset));
                prop_assert_eq!(read.leader_epoch, LeaderEpoch(epoch));
                prop_assert_eq!(read.crc, crc32c::checksum(&stored[CRC_FROM..]));
                if let Stamp::Header(_) = stamp {
                    prop_assert_eq!(read.max_timestamp, Timestamp(now));
                    prop_assert_eq!(read.attributes.timestamp_type(), TimestampType::LogAppendTime);
                    prop_assert_eq!(read.base_timestamp, header.base_timestamp);
                }
            }
        }
    }
}
