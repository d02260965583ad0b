//! What a walk over files tells, and who is told.

use super::contents::{Control, Kind, Shown};
use super::indexes::AbortedEntry;
use super::json::{self, Json};
use super::targets::Target;
use crate::log::{EpochEntry, ProducerEntry};
use crate::model::{Offset, Timestamp, TopicId};
use crate::record::{BatchHeader, Codec, RecordView, TimestampType};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::borrow::Cow;
use std::io;

/// A batch of a log.
#[derive(Clone, Copy, Debug)]
pub struct BatchLine {
    pub position: u64,
    pub header: BatchHeader,
    /// Whether its checksum is that of its bytes.
    pub is_valid: bool,
}

/// A record of a batch.
#[derive(Debug)]
pub struct RecordLine<'a> {
    pub offset: Offset,
    pub timestamp: Timestamp,
    /// -1 where the producer is not idempotent.
    pub sequence: i32,
    pub view: RecordView<'a>,
    /// What a control batch's record says.
    pub control: Option<Control<'a>>,
    /// Key and value, where they are asked for.
    pub contents: Option<(Option<Shown<'a>>, Option<Shown<'a>>)>,
}

/// An entry of an offset index, and what lies at its position.
#[derive(Clone, Copy, Debug)]
pub struct OffsetLine {
    pub offset: Offset,
    pub position: u32,
    /// The last offset of the batch there, if there is one.
    pub batch_last_offset: Option<Offset>,
}

/// An entry of a time index, and what the log has for it.
#[derive(Clone, Copy, Debug)]
pub struct TimeLine {
    pub timestamp: Timestamp,
    pub offset: Offset,
    /// The first batch that reaches the offset: its last offset and the largest time in it.
    pub batch: Option<(Offset, Timestamp)>,
}

/// Shows what a walk finds. Every line is written as it comes.
pub trait Layout {
    fn file(&mut self, target: &Target) -> io::Result<()>;
    fn batch(&mut self, batch: &BatchLine) -> io::Result<()>;
    fn record(&mut self, batch: &BatchLine, record: &RecordLine<'_>) -> io::Result<()>;
    /// Records that could not be read.
    fn bad_records(&mut self, batch: &BatchLine, reason: &str) -> io::Result<()>;
    /// What follows the last whole batch.
    fn trailing(&mut self, target: &Target, position: u64, bytes: u64) -> io::Result<()>;
    fn offset_entry(&mut self, target: &Target, entry: &OffsetLine) -> io::Result<()>;
    fn time_entry(&mut self, target: &Target, entry: &TimeLine) -> io::Result<()>;
    fn aborted(&mut self, entry: &AbortedEntry) -> io::Result<()>;
    fn producer(&mut self, entry: &ProducerEntry) -> io::Result<()>;
    fn epoch(&mut self, entry: &EpochEntry) -> io::Result<()>;
    fn topic_id(&mut self, id: TopicId) -> io::Result<()>;
    /// An index without entries.
    fn empty(&mut self, target: &Target) -> io::Result<()>;
    /// A file that is not what it must be.
    fn bad_file(&mut self, target: &Target, reason: &str) -> io::Result<()>;
    /// After the last file; whether everything was as it must be.
    fn end(&mut self) -> io::Result<bool>;
}

impl BatchLine {
    /// The codec's name, or the number that names none.
    pub fn codec(&self) -> Cow<'static, str> {
        match self.header.attributes.codec() {
            Ok(codec) => Codec::name(codec).into(),
            Err(unknown) => unknown.bits.to_string().into(),
        }
    }

    /// Kafka's word for who set the times.
    pub fn timestamp_type(&self) -> &'static str {
        match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }

    /// Where the attributes say so, the time that the header has in place of the first record's.
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.header.attributes.has_delete_horizon().then_some(self.header.base_timestamp)
    }
}

impl Shown<'_> {
    /// As Kafka's tool writes it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Self::Tree { .. } => json::to_text(self).into(),
            Self::Deleted => "<DELETE>".into(),
            Self::Unreadable(told) => told.into(),
        }
    }
}

/// Trees as Kafka's tool writes them; bytes as text where they are text.
impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Tree { kind, version, tree } = self else {
            return match self {
                Self::Bytes(bytes) => json::bytes(bytes, serializer),
                Self::Deleted => serializer.serialize_unit(),
                other => serializer.serialize_str(&other.text()),
            };
        };
        let mut map = serializer.serialize_map(None)?;
        match kind {
            Kind::None => {}
            Kind::Number(number) => map.serialize_entry("type", &number.to_string())?,
            Kind::Name(name) => map.serialize_entry("type", name)?,
        }
        match (version, kind) {
            (None, _) => {}
            (Some(version), Kind::Name(_)) => map.serialize_entry("version", version)?,
            (Some(version), _) => map.serialize_entry("version", &version.to_string())?,
        }
        map.serialize_entry("data", &Json(tree))?;
        map.end()
    }
}
