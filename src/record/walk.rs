//! Walking the records of a batch, one view after the other, without allocating.
//!
//! ```text
//! record: length varint | attributes i8 | timestampDelta varlong | offsetDelta varint
//!         | keyLength varint (-1 null), key | valueLength varint (-1 null), value
//!         | headerCount varint | headers
//! header: keyLength varint, key (UTF-8) | valueLength varint (-1 null), value
//! ```
//!
//! The bytes are those of a records section that is not packed, or that was unpacked. Every length
//! is held against the bytes that are left before it is believed; nothing is reserved by a count.

use crate::base::varint::{self, VarintError};

/// Smallest record: a length, then attributes, two deltas, null key, null value, no headers.
pub const RECORD_BYTES_MIN: usize = 7;

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("{field}: {error}")]
    Varint { field: RecordField, error: VarintError },
    #[error("{field} is {length}, which is no length")]
    Length { field: RecordField, length: i32 },
    #[error("{field} is {length}, but {left} bytes are left")]
    Beyond { field: RecordField, length: usize, left: usize },
    #[error("the record says it has {length} bytes, but its fields end after {used}")]
    Unused { length: usize, used: usize },
    #[error("key of header {index} is not UTF-8")]
    HeaderKey { index: usize },
}

/// The part of a record that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordField {
    Length,
    Attributes,
    TimestampDelta,
    OffsetDelta,
    KeyLength,
    ValueLength,
    HeaderCount,
    HeaderKeyLength,
    HeaderValueLength,
}

impl std::fmt::Display for RecordField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Length => "record length",
            Self::Attributes => "record attributes",
            Self::TimestampDelta => "timestamp delta",
            Self::OffsetDelta => "offset delta",
            Self::KeyLength => "key length",
            Self::ValueLength => "value length",
            Self::HeaderCount => "header count",
            Self::HeaderKeyLength => "header key length",
            Self::HeaderValueLength => "header value length",
        })
    }
}

/// One record, borrowed from the bytes of its batch. Its headers were checked with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Unused by Kafka; kept.
    pub attributes: i8,
    /// Added to the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Added to the batch's base offset.
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    header_count: usize,
    header_bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The record's headers in order; equal keys stay apart.
    pub fn headers(&self) -> Headers<'a> {
        Headers { left: self.header_count, cursor: Cursor { bytes: self.header_bytes } }
    }

    pub const fn header_count(&self) -> usize {
        self.header_count
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderView<'a> {
    pub key: &'a str,
    pub value: Option<&'a [u8]>,
}

/// Iterates the headers of one record.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    left: usize,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<HeaderView<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The record was checked with its headers when its view was made.
        self.cursor.header(0).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Iterates the records in the bytes of a records section. After an error it ends.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Records<'a> {
    pub const fn new(records: &'a [u8]) -> Self {
        Self { cursor: Cursor { bytes: records } }
    }

    /// Bytes after the records that were read.
    pub const fn bytes_left(&self) -> usize {
        self.cursor.bytes.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.bytes.is_empty() {
            return None;
        }
        let record = self.cursor.record();
        if record.is_err() {
            self.cursor.bytes = &[];
        }
        Some(record)
    }
}

/// The bytes that are left to read.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn record(&mut self) -> Result<RecordView<'a>, RecordError> {
        let length = self.length(RecordField::Length)?;
        let mut body = Cursor { bytes: self.take(length, RecordField::Length)? };
        let attributes = body.take(1, RecordField::Attributes)?[0] as i8;
        let timestamp_delta = body.varlong(RecordField::TimestampDelta)?;
        let offset_delta = body.varint(RecordField::OffsetDelta)?;
        let key = body.nullable(RecordField::KeyLength)?;
        let value = body.nullable(RecordField::ValueLength)?;
        let header_count = body.length(RecordField::HeaderCount)?;
        // A header takes two bytes at least, so a lying count is seen before the first of them.
        if header_count > body.bytes.len() / 2 {
            let left = body.bytes.len();
            let (field, length) = (RecordField::HeaderCount, header_count);
            return Err(RecordError::Beyond { field, length, left });
        }
        let header_bytes = body.bytes;
        for index in 0..header_count {
            body.header(index)?;
        }
        if !body.bytes.is_empty() {
            return Err(RecordError::Unused { length, used: length - body.bytes.len() });
        }
        Ok(RecordView {
            attributes,
            timestamp_delta,
            offset_delta,
            key,
            value,
            header_count,
            header_bytes,
        })
    }

    fn header(&mut self, index: usize) -> Result<HeaderView<'a>, RecordError> {
        let length = self.length(RecordField::HeaderKeyLength)?;
        let key = self.take(length, RecordField::HeaderKeyLength)?;
        let key = std::str::from_utf8(key).map_err(|_| RecordError::HeaderKey { index })?;
        Ok(HeaderView { key, value: self.nullable(RecordField::HeaderValueLength)? })
    }

    #[inline]
    fn varint(&mut self, field: RecordField) -> Result<i32, RecordError> {
        let (value, len) =
            varint::decode_i32(self.bytes).map_err(|error| RecordError::Varint { field, error })?;
        self.bytes = &self.bytes[len..];
        Ok(value)
    }

    #[inline]
    fn varlong(&mut self, field: RecordField) -> Result<i64, RecordError> {
        let (value, len) =
            varint::decode_i64(self.bytes).map_err(|error| RecordError::Varint { field, error })?;
        self.bytes = &self.bytes[len..];
        Ok(value)
    }

    /// A length or count that may not be null.
    #[inline]
    fn length(&mut self, field: RecordField) -> Result<usize, RecordError> {
        let length = self.varint(field)?;
        usize::try_from(length).map_err(|_| RecordError::Length { field, length })
    }

    #[inline]
    fn take(&mut self, length: usize, field: RecordField) -> Result<&'a [u8], RecordError> {
        let left = self.bytes.len();
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(RecordError::Beyond {
            field,
            length,
            left,
        })?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Bytes that may be null, which is length -1.
    #[inline]
    fn nullable(&mut self, field: RecordField) -> Result<Option<&'a [u8]>, RecordError> {
        match self.varint(field)? {
            -1 => Ok(None),
            length => {
                let length =
                    usize::try_from(length).map_err(|_| RecordError::Length { field, length })?;
                self.take(length, field).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two records: key "k", value "v", headers ("h", null) and ("h", "1"); then all null.
    fn golden() -> Vec<u8> {
        let first = [30, 0, 2, 0, 2, b'k', 2, b'v', 4, 2, b'h', 1, 2, b'h', 2, b'1'];
        let second = [12, 0, 3, 2, 1, 1, 0];
        [&first[..], &second].concat()
    }

    #[test]
    fn records_are_read_as_kafka_writes_them() {
        let bytes = golden();
        let records: Vec<_> = Records::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].timestamp_delta, 1);
        assert_eq!(records[0].offset_delta, 0);
        assert_eq!(records[0].key, Some(&b"k"[..]));
        assert_eq!(records[0].value, Some(&b"v"[..]));
        let headers: Vec<_> = records[0].headers().collect();
        assert_eq!(headers[0], HeaderView { key: "h", value: None });
        assert_eq!(headers[1], HeaderView { key: "h", value: Some(b"1") });
        assert_eq!(records[1].timestamp_delta, -2);
        assert_eq!(records[1].offset_delta, 1);
        assert_eq!((records[1].key, records[1].value), (None, None));
        assert_eq!(records[1].headers().count(), 0);
    }

    #[test]
    fn a_cut_is_an_error_and_ends_the_walk() {
        let bytes = golden();
        for cut in 1..bytes.len() {
            let walked: Vec<_> = Records::new(&bytes[..cut]).collect();
            if cut == 16 {
                assert!(walked.len() == 1 && walked[0].is_ok());
            } else {
                assert!(walked.last().unwrap().is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn fields_that_end_before_the_record_does_are_refused() {
        let bytes = [16, 0, 0, 0, 1, 1, 0, 9, 9];
        assert_eq!(
            Records::new(&bytes).next(),
            Some(Err(RecordError::Unused { length: 8, used: 6 }))
        );
    }

    #[test]
    fn lying_lengths_are_named() {
        let endless = [0xff; 32];
        assert!(matches!(
            Records::new(&endless).next(),
            Some(Err(RecordError::Varint { field: RecordField::Length, .. }))
        ));
        let negative_key = [12, 0, 0, 0, 3, 1, 0];
        assert_eq!(
            Records::new(&negative_key).next(),
            Some(Err(RecordError::Length { field: RecordField::KeyLength, length: -2 }))
        );
        // 1,000,000 headers in no bytes.
        let headers = [16, 0, 0, 0, 1, 1, 0x80, 0x89, 0x7a];
        assert!(matches!(
            Records::new(&headers).next(),
            Some(Err(RecordError::Beyond {
                field: RecordField::HeaderCount,
                length: 1_000_000,
                left: 0
            }))
        ));
    }

    #[test]
    fn a_header_key_that_is_not_text_is_refused() {
        let bytes = [20, 0, 0, 0, 1, 1, 2, 2, 0xff, 1, 0];
        let first = Records::new(&bytes).next().unwrap();
        assert_eq!(first, Err(RecordError::HeaderKey { index: 0 }));
    }

    proptest! {
        #[test]
        fn noise_never_panics_and_always_ends(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let count = Records::new(&bytes).count();
            prop_assert!(count <= bytes.len());
            for record in Records::new(&bytes).flatten() {
                prop_assert_eq!(record.headers().count(), record.header_count());
            }
        }
    }
}
