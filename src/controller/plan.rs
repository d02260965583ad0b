//! What a request comes to: records to be committed as one batch, and the answer that waits for it.

use super::version::record_version;
use crate::protocol::{Writer, write};

/// Most records that a request may write in one batch, as in Kafka.
pub const BATCH_RECORDS_MAX: usize = 10_000;
/// Most bytes of their values: a metadata batch is read whole by everyone.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// A request, worked out and not yet done. The records are appended as one batch, atomically; when
/// they are committed they are applied, and only then does the outcome leave. No other request is
/// worked out before that: it would not see what this one does.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing has happened until the records are committed and applied"]
pub struct Plan<T> {
    pub records: Records,
    pub outcome: T,
}

/// Values of metadata records, one after another in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
}

/// Encodes records, each in the version that our metadata.version prescribes.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    writer: Writer,
    ends: Vec<usize>,
}

impl Records {
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a batch of these would be too large.
    pub(super) fn is_too_large(&self) -> bool {
        self.len() > BATCH_RECORDS_MAX || self.byte_count() > BATCH_BYTES_MAX
    }
}

impl Encoder {
    pub fn push<'a>(&mut self, record: impl Into<write::MetadataRecord<'a>>) {
        let record = record.into();
        record.encode(record_version(&record), &mut self.writer);
        self.ends.push(self.writer.as_bytes().len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn finish(self) -> Records {
        let (bytes, gaps) = self.writer.into_buffers();
        assert!(gaps.is_empty());
        Records { bytes, ends: self.ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Reader, read};

    #[test]
    fn values_come_out_as_they_went_in() {
        let mut encoder = Encoder::default();
        for level in 0..3 {
            encoder.push(write::FeatureLevelRecord { name: "f".into(), feature_level: level });
        }
        let records = encoder.finish();
        assert_eq!(records.len(), 3);
        for (level, value) in records.iter().enumerate() {
            let parsed = read::MetadataRecord::parse(Reader::one(value)).unwrap();
            let read::MetadataRecord::FeatureLevel(record) = parsed else { panic!("{parsed:?}") };
            assert_eq!(usize::try_from(record.feature_level), Ok(level));
        }
    }
}
