//! Records of `__consumer_offsets` in Kafka's formats.
//!
//! ```text
//!   key    | version int16 | fields                  version 0, 1: an offset; 2: a classic group
//!   value  | version int16 | fields                  none at all: a tombstone
//! ```
//!
//! Versions of keys that are not known (KIP-848's groups, share groups, streams groups) belong to
//! protocols that this broker does not speak: they are kept as they are, and counted.

use super::ids::GroupId;
use super::offsets::CommittedOffset;
use crate::model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicName, TopicNameError};
use crate::protocol::{Encode, Parse, ProtocolError, Reader, Writer, read, write};
use std::sync::Arc;

const OFFSET_KEY_VERSION: i16 = 1;
const GROUP_KEY_VERSION: i16 = 2;
/// What Kafka 4.3 writes.
const OFFSET_VALUE_VERSION: i16 = 4;
/// The only version that can say when an offset expires.
const OFFSET_EXPIRING_VALUE_VERSION: i16 = 1;
const GROUP_VALUE_VERSION: i16 = 3;

/// One record to append; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Box<[u8]>,
    pub value: Option<Arc<[u8]>>,
}

/// A record of a known kind whose bytes are wrong. The text says where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a key of {0} bytes has no version")]
    KeyTooShort(usize),
    #[error("key of version {version}: {error}")]
    Key { version: i16, error: ProtocolError },
    #[error("value of version {version} for group \"{group}\": {error}")]
    Value { group: GroupId, version: i16, error: ProtocolError },
    #[error("a value for group \"{0}\" has no version")]
    ValueTooShort(GroupId),
    #[error("group \"{group}\" committed an offset of a topic that cannot be: {error}")]
    Topic { group: GroupId, error: TopicNameError },
    #[error("group \"{group}\" committed an offset of partition {partition}")]
    Partition { group: GroupId, partition: i32 },
    #[error("group \"{group}\" has a generation of members without a protocol, or one twice")]
    Members { group: GroupId },
}

/// What a record changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An offset was committed, or is no more.
    Offset {
        group: GroupId,
        topic: TopicName,
        partition: PartitionIndex,
        committed: Option<CommittedOffset>,
    },
    /// A classic group came to a generation, or is no more; the value as it lies in the log.
    Group { group: GroupId, value: Option<Arc<[u8]>> },
}

/// A key that is known.
enum Key {
    Offset { group: GroupId, topic: TopicName, partition: PartitionIndex },
    Group(GroupId),
}

impl Change {
    /// Reads a record; `None` where its kind is not known.
    pub fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let Some(key) = Key::parse(key)? else { return Ok(None) };
        Ok(Some(match key {
            Key::Group(group) => {
                if let Some(value) = value {
                    parse_group_value(&group, value)?;
                }
                Self::Group { group, value: value.map(Arc::from) }
            }
            Key::Offset { group, topic, partition } => {
                let committed = match value {
                    Some(value) => Some(parse_offset_value(&group, value)?),
                    None => None,
                };
                Self::Offset { group, topic, partition, committed }
            }
        }))
    }

    /// The record of this change, as Kafka 4.3 writes it.
    pub fn to_record(&self) -> Record {
        match self {
            Self::Group { group, value } => Record { key: group_key(group), value: value.clone() },
            Self::Offset { group, topic, partition, committed } => Record {
                key: offset_key(group, topic, *partition),
                value: committed.as_ref().map(offset_value),
            },
        }
    }

    /// Bytes of the record, about.
    pub fn size(&self) -> usize {
        const FIXED: usize = 64;
        FIXED
            + match self {
                Self::Group { group, value } => {
                    group.as_str().len() + value.as_ref().map_or(0, |value| value.len())
                }
                Self::Offset { group, topic, committed, .. } => {
                    let metadata = committed.as_ref().map_or(0, |offset| offset.metadata.len());
                    group.as_str().len() + topic.as_str().len() + metadata
                }
            }
    }

    pub fn group(&self) -> &GroupId {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } => group,
        }
    }
}

impl Key {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, RecordError> {
        let mut reader = Reader::one(bytes);
        let short = |_| RecordError::KeyTooShort(bytes.len());
        let version = reader.i16("KeyVersion").map_err(short)?;
        let refused = |error| RecordError::Key { version, error };
        match version {
            0..=OFFSET_KEY_VERSION => {
                let key = read::OffsetCommitKey::parse(reader, version).map_err(refused)?;
                let group = GroupId::from(key.group);
                let partition = key.partition;
                if partition < 0 {
                    return Err(RecordError::Partition { group, partition });
                }
                match TopicName::parse(key.topic) {
                    Ok(topic) => {
                        let partition = PartitionIndex(partition);
                        Ok(Some(Self::Offset { group, topic, partition }))
                    }
                    Err(error) => Err(RecordError::Topic { group, error }),
                }
            }
            GROUP_KEY_VERSION => {
                let key = read::GroupMetadataKey::parse(reader, version).map_err(refused)?;
                Ok(Some(Self::Group(GroupId::from(key.group))))
            }
            _ => Ok(None),
        }
    }
}

/// The generation that a value describes.
pub(super) fn parse_group_value<'a>(
    group: &GroupId,
    bytes: &'a [u8],
) -> Result<read::GroupMetadataValue<'a>, RecordError> {
    let (reader, version) = value_version(group, bytes)?;
    let value = read::GroupMetadataValue::parse(reader, version)
        .map_err(|error| RecordError::Value { group: group.clone(), version, error })?;
    let without_protocol = value.protocol.is_none() && !value.members.is_empty();
    let mut ids: Vec<&str> = value.members.iter().map(|member| member.member_id).collect();
    let mut instances: Vec<&str> =
        value.members.iter().filter_map(|member| member.group_instance_id).collect();
    if without_protocol || has_twice(&mut ids) || has_twice(&mut instances) {
        return Err(RecordError::Members { group: group.clone() });
    }
    Ok(value)
}

fn has_twice(names: &mut [&str]) -> bool {
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

fn parse_offset_value(group: &GroupId, bytes: &[u8]) -> Result<CommittedOffset, RecordError> {
    let (reader, version) = value_version(group, bytes)?;
    let value = read::OffsetCommitValue::parse(reader, version)
        .map_err(|error| RecordError::Value { group: group.clone(), version, error })?;
    Ok(CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: value.metadata.into(),
        committed_at: Timestamp(value.commit_timestamp),
        expires_at: Some(value.expire_timestamp).filter(|&at| at != -1).map(Timestamp),
        topic_id: value.topic_id,
    })
}

fn value_version<'a>(group: &GroupId, bytes: &'a [u8]) -> Result<(Reader<'a>, i16), RecordError> {
    let mut reader = Reader::one(bytes);
    let version =
        reader.i16("ValueVersion").map_err(|_| RecordError::ValueTooShort(group.clone()))?;
    Ok((reader, version))
}

fn group_key(group: &GroupId) -> Box<[u8]> {
    let key = write::GroupMetadataKey { group: group.as_str().into() };
    encode(&key, GROUP_KEY_VERSION).into()
}

fn offset_key(group: &GroupId, topic: &TopicName, partition: PartitionIndex) -> Box<[u8]> {
    let key = write::OffsetCommitKey {
        group: group.as_str().into(),
        topic: topic.as_str().into(),
        partition: partition.0,
    };
    encode(&key, OFFSET_KEY_VERSION).into()
}

fn offset_value(committed: &CommittedOffset) -> Arc<[u8]> {
    let version = match committed.expires_at {
        Some(_) => OFFSET_EXPIRING_VALUE_VERSION,
        None => OFFSET_VALUE_VERSION,
    };
    let value = write::OffsetCommitValue {
        offset: committed.offset.0,
        leader_epoch: committed.leader_epoch.0,
        metadata: (&*committed.metadata).into(),
        commit_timestamp: committed.committed_at.0,
        expire_timestamp: committed.expires_at.map_or(-1, |at| at.0),
        topic_id: committed.topic_id,
    };
    encode(&value, version).into()
}

/// The value of a generation, as Kafka 4.3 writes it.
pub(super) fn group_value(value: &write::GroupMetadataValue<'_>) -> Arc<[u8]> {
    encode(value, GROUP_VALUE_VERSION).into()
}

fn encode(message: &impl Encode, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.i16(version);
    message.encode(version, &mut writer);
    let (bytes, gaps) = writer.into_buffers();
    assert!(gaps.is_empty());
    bytes
}
