//! Control records: what brokers write into a log beside clients' records.
//!
//! ```text
//! key:   version i16 (0) | type i16
//! value: end of a transaction   version i16 (0) | coordinator epoch i32
//!        leader change          version i16 (0) | leader id i32 | voters | granting voters | tags
//!                               (each list: count + 1 as unsigned varint, then voter id i32, tags)
//! ```
//!
//! A batch of control records holds one record, is not packed and has the control bit. The schema
//! of a leader change knows a version 1 with directory ids, but Kafka writes and reads version 0
//! only: its dump tool fails on the other.

use super::build::{BatchBuilder, BuildError, NewRecord};
use crate::base::varint;
use crate::model::{NodeId, ProducerEpoch, ProducerId, Timestamp};

/// What a control record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KraftVersion,
    KraftVoters,
    /// A type of a later Kafka: readers pass over it.
    Unknown(i16),
}

/// Why bytes are not a control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("the key of a control record has {bytes} bytes, fewer than 4")]
    KeyShort { bytes: usize },
    #[error("the key of a control record has version {version}")]
    KeyVersion { version: i16 },
    #[error("the value of a transaction marker has {bytes} bytes, fewer than 6")]
    MarkerShort { bytes: usize },
    #[error("the value of a transaction marker has version {version}")]
    MarkerVersion { version: i16 },
}

/// The end of a transaction, as its marker in a partition says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    pub commit: bool,
    pub coordinator_epoch: i32,
}

/// A new leader of a quorum: the first record of its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderChange<'a> {
    pub leader: NodeId,
    pub voters: &'a [NodeId],
    /// The voters that elected it.
    pub granting: &'a [NodeId],
}

impl ControlType {
    /// The type that a control record's key names.
    pub fn parse(key: Option<&[u8]>) -> Result<Self, ControlError> {
        let key = key.unwrap_or_default();
        let &[v0, v1, t0, t1, ..] = key else {
            return Err(ControlError::KeyShort { bytes: key.len() });
        };
        let version = i16::from_be_bytes([v0, v1]);
        if version < 0 {
            return Err(ControlError::KeyVersion { version });
        }
        Ok(match i16::from_be_bytes([t0, t1]) {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            other => Self::Unknown(other),
        })
    }

    /// The key of a record of this type.
    pub const fn key(self) -> [u8; 4] {
        let number: i16 = match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(other) => other,
        };
        let [high, low] = number.to_be_bytes();
        [0, 0, high, low]
    }
}

impl EndTxnMarker {
    /// Reads a control record's key and value; `None` if it is about something else.
    pub fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, ControlError> {
        let commit = match ControlType::parse(key)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return Ok(None),
        };
        let value = value.unwrap_or_default();
        let &[v0, v1, e0, e1, e2, e3, ..] = value else {
            return Err(ControlError::MarkerShort { bytes: value.len() });
        };
        let version = i16::from_be_bytes([v0, v1]);
        if version < 0 {
            return Err(ControlError::MarkerVersion { version });
        }
        Ok(Some(Self { commit, coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]) }))
    }

    /// Adds the marker for a producer's transaction to an empty builder and sets the batch up.
    pub fn push(
        self,
        builder: &mut BatchBuilder,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        timestamp: Timestamp,
    ) -> Result<(), BuildError> {
        let control = if self.commit { ControlType::Commit } else { ControlType::Abort };
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        builder
            .producer(producer_id, producer_epoch, super::batch::NO_SEQUENCE)
            .transactional(true)
            .control(true);
        let (key, value) = (control.key(), Some(&value[..]));
        builder.push(&NewRecord { timestamp, key: Some(&key), value, headers: &[] })
    }
}

impl LeaderChange<'_> {
    /// Adds the change to an empty builder and sets the batch up.
    pub fn push(&self, builder: &mut BatchBuilder, timestamp: Timestamp) -> Result<(), BuildError> {
        builder.control(true);
        let (key, value) = (ControlType::LeaderChange.key(), self.encode());
        let record = NewRecord { timestamp, key: Some(&key), value: Some(&value), headers: &[] };
        builder.push(&record)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&0i16.to_be_bytes());
        out.extend_from_slice(&self.leader.0.to_be_bytes());
        for voters in [self.voters, self.granting] {
            varint::encode_u32(voters.len() as u32 + 1, &mut out);
            for voter in voters {
                out.extend_from_slice(&voter.0.to_be_bytes());
                out.push(0);
            }
        }
        out.push(0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Pieces;
    use crate::record::{BatchHeader, Records};

    #[test]
    fn markers_are_read_as_they_are_written() {
        for commit in [true, false] {
            let marker = EndTxnMarker { commit, coordinator_epoch: 7 };
            let mut builder = BatchBuilder::new();
            marker.push(&mut builder, ProducerId(4), ProducerEpoch(2), Timestamp(1000)).unwrap();
            let mut out = Vec::new();
            builder.finish(&mut out).unwrap();
            let header = BatchHeader::parse(Pieces::one(&out)).unwrap();
            assert!(header.attributes.is_control() && header.attributes.is_transactional());
            assert_eq!((header.producer_id, header.base_sequence), (ProducerId(4), -1));
            let record = Records::new(&out[61..]).next().unwrap().unwrap();
            assert_eq!(record.key, Some(&[0, 0, 0, u8::from(commit)][..]));
            assert_eq!(record.value, Some(&[0, 0, 0, 0, 0, 7][..]));
            assert_eq!(EndTxnMarker::parse(record.key, record.value), Ok(Some(marker)));
        }
    }

    #[test]
    fn a_leader_change_has_the_bytes_of_kafkas_schema() {
        let (voters, granting) = ([NodeId(1), NodeId(2)], [NodeId(1)]);
        let change = LeaderChange { leader: NodeId(1), voters: &voters, granting: &granting };
        assert_eq!(
            change.encode(),
            [0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 1, 0, 0]
        );
        let mut builder = BatchBuilder::new();
        change.push(&mut builder, Timestamp(5)).unwrap();
        let mut out = Vec::new();
        let header = builder.finish(&mut out).unwrap();
        assert!(header.attributes.is_control() && !header.attributes.is_transactional());
        let record = Records::new(&out[61..]).next().unwrap().unwrap();
        assert_eq!(ControlType::parse(record.key), Ok(ControlType::LeaderChange));
        assert_eq!(EndTxnMarker::parse(record.key, record.value), Ok(None));
    }

    #[test]
    fn keys_and_values_that_are_cut_are_refused() {
        assert_eq!(ControlType::parse(None), Err(ControlError::KeyShort { bytes: 0 }));
        assert_eq!(ControlType::parse(Some(&[0, 0, 0])), Err(ControlError::KeyShort { bytes: 3 }));
        assert_eq!(
            EndTxnMarker::parse(Some(&[0, 0, 0, 1]), Some(&[0; 5])),
            Err(ControlError::MarkerShort { bytes: 5 })
        );
        assert_eq!(ControlType::parse(Some(&[0, 0, 0, 99])), Ok(ControlType::Unknown(99)));
    }
}
