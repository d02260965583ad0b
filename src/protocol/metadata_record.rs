//! The frame of a record in `__cluster_metadata`: which record it is, and in which version.
//!
//! ```text
//!   | frame version uvarint = 1 | key uvarint | version uvarint | body, always flexible |
//! ```

use super::error::ProtocolError;
use super::message::{read, write};
use super::reader::Reader;
use super::writer::Writer;

const FRAME_VERSION: u32 = 1;

impl<'a> read::MetadataRecord<'a> {
    /// Reads the value of one record of the metadata log.
    pub fn parse(mut value: Reader<'a>) -> Result<Self, ProtocolError> {
        let frame = value.uvarint("FrameVersion")?;
        if frame != FRAME_VERSION {
            return Err(ProtocolError::RecordFrame { version: frame });
        }
        let key = value.uvarint("RecordKey")?;
        let version = value.uvarint("RecordVersion")?;
        Self::parse_body(key, version, value)
    }
}

impl write::MetadataRecord<'_> {
    /// Appends the value of one record; the record must have this version.
    pub fn encode(&self, version: i16, writer: &mut Writer) {
        let (key, versions) = self.key();
        assert!(versions.contains(&version));
        writer.uvarint(FRAME_VERSION);
        writer.uvarint(key);
        writer.uvarint(version as u32);
        self.encode_body(version, writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uuid;

    #[test]
    fn a_topic_record_lies_in_its_frame() {
        let topic_id = Uuid([7; 16]);
        let record = write::TopicRecord { name: "logs".into(), topic_id };
        let mut writer = Writer::new();
        write::MetadataRecord::Topic(record).encode(0, &mut writer);
        let mut expected = b"\x01\x02\x00\x05logs".to_vec();
        expected.extend([7; 16]);
        expected.push(0);
        assert_eq!(writer.as_bytes(), expected);
        let parsed = read::MetadataRecord::parse(Reader::one(&expected)).unwrap();
        assert_eq!(
            parsed,
            read::MetadataRecord::Topic(read::TopicRecord { name: "logs", topic_id })
        );
    }

    /// Values out of the metadata log of an Apache Kafka in KRaft mode.
    #[test]
    fn records_that_kafka_wrote_are_read_and_written_again() {
        let feature = b"\x01\x0c\x00\x11metadata.version\x00\x14\x00";
        let partition = b"\x01\x03\x01\0\0\0\x01\
            \0\0\0\0\0\0\x40\0\x80\0\0\0\0\0\0\x91\
            \x02\0\0\0\x01\x02\0\0\0\x01\x01\x01\0\0\0\x01\0\0\0\0\0\0\0\0\
            \x02\x10\0\0\0\0\0\x40\0\x80\0\0\0\0\0\0\x01\0";
        let parse = |bytes| read::MetadataRecord::parse(Reader::one(bytes)).unwrap();
        let read::MetadataRecord::FeatureLevel(level) = parse(feature) else { panic!() };
        assert_eq!((level.name, level.feature_level), ("metadata.version", 20));
        let read::MetadataRecord::Partition(record) = parse(partition) else { panic!() };
        assert_eq!((record.partition_id, record.leader, record.leader_recovery_state), (1, 1, 0));
        assert_eq!(record.directories.iter().count(), 1);
        assert_eq!(record.isr.iter().collect::<Vec<_>>(), [1]);

        let mut writer = Writer::new();
        write::MetadataRecord::from(level.to_write()).encode(0, &mut writer);
        assert_eq!(writer.as_bytes(), feature);
        writer.clear();
        write::MetadataRecord::from(record.to_write()).encode(1, &mut writer);
        assert_eq!(writer.as_bytes(), partition);
    }

    #[test]
    fn frames_keys_and_versions_not_known_are_refused() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(read::MetadataRecord::parse(Reader::one(bytes)), Err(expected));
        };
        check(b"\x02\x02\x00", ProtocolError::RecordFrame { version: 2 });
        check(b"\x01\x7f\x00", ProtocolError::RecordKey { key: 0x7f, version: 0 });
        check(b"\x01\x02\x01", ProtocolError::Version { message: "TopicRecord", version: 1 });
        check(
            b"\x01\x14\x00\x00z",
            ProtocolError::Trailing { message: "NoOpRecord", at: 4, left: 1 },
        );
    }
}
