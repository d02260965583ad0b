//! What records are shown as: bytes, or, in the logs that brokers keep for themselves, what they
//! mean: commits and generations of groups, the cluster's metadata, control records.

use crate::protocol::{Message, Parse, ProtocolError, Reader, ToValue, Value, read};
use crate::record::{ControlType, EndTxnMarker, RecordView};

/// What lies in a log's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A user's bytes.
    Plain,
    /// `__consumer_offsets`.
    Groups,
    /// `__cluster_metadata`.
    Metadata,
}

/// A key or value, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown<'a> {
    Bytes(&'a [u8]),
    /// A kind of record, its version where it stands beside it, and what it says.
    Tree {
        kind: Kind,
        version: Option<i16>,
        tree: Value<'a>,
    },
    Deleted,
    Unreadable(String),
}

/// How a record's kind is named: by a number in groups, by a name in the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    None,
    Number(i16),
    Name(String),
}

/// A control record.
#[derive(Clone, Debug, PartialEq)]
pub enum Control<'a> {
    EndTxn(EndTxnMarker),
    Tree(ControlType, Value<'a>),
    Unknown(i16),
    Unreadable(String),
}

impl Contents {
    /// By the name of the partition's folder.
    pub fn of_topic(topic: &str) -> Self {
        match topic {
            "__consumer_offsets" => Self::Groups,
            "__cluster_metadata" => Self::Metadata,
            _ => Self::Plain,
        }
    }

    /// A record's key and value.
    pub fn show<'a>(
        self,
        offset: i64,
        record: &RecordView<'a>,
    ) -> (Option<Shown<'a>>, Option<Shown<'a>>) {
        match self {
            Self::Plain => (record.key.map(Shown::Bytes), record.value.map(Shown::Bytes)),
            Self::Groups => show_group(offset, record),
            Self::Metadata => (None, Some(show_metadata(offset, record.value))),
        }
    }
}

fn show_group<'a>(offset: i64, record: &RecordView<'a>) -> (Option<Shown<'a>>, Option<Shown<'a>>) {
    match group_trees(record) {
        Ok(Some((key, value))) => (Some(key), Some(value)),
        Ok(None) => {
            let kind = record.key.and_then(|key| versioned(key).ok()).map_or(-1, |(kind, _)| kind);
            let told = format!("Unknown record type {kind} at offset {offset}, skipping.");
            (Some(Shown::Unreadable(told)), None)
        }
        Err(error) => {
            let told = format!("Error at offset {offset}, skipping. {error}");
            (Some(Shown::Unreadable(told)), None)
        }
    }
}

/// A commit or a generation of a group; `None` where its kind is not known.
fn group_trees<'a>(
    record: &RecordView<'a>,
) -> Result<Option<(Shown<'a>, Shown<'a>)>, ProtocolError> {
    let (kind, reader) = versioned(record.key.unwrap_or_default())?;
    let key = match kind {
        0 | 1 => tree::<read::OffsetCommitKey>(reader, kind)?,
        2 => tree::<read::GroupMetadataKey>(reader, kind)?,
        _ => return Ok(None),
    };
    let key = Shown::Tree { kind: Kind::Number(kind), version: None, tree: key };
    let Some(value) = record.value else { return Ok(Some((key, Shown::Deleted))) };
    let (version, reader) = versioned(value)?;
    let value = match kind {
        2 => with_members(tree::<read::GroupMetadataValue>(reader, version)?),
        _ => tree::<read::OffsetCommitValue>(reader, version)?,
    };
    let value = Shown::Tree { kind: Kind::None, version: Some(version), tree: value };
    Ok(Some((key, value)))
}

fn versioned(bytes: &[u8]) -> Result<(i16, Reader<'_>), ProtocolError> {
    let mut reader = Reader::one(bytes);
    let version = reader.i16("Version")?;
    Ok((version, reader))
}

fn tree<'a, T>(reader: Reader<'a>, version: i16) -> Result<Value<'a>, ProtocolError>
where
    T: Parse<'a> + ToValue<'a>,
{
    Ok(T::parse(reader, version)?.to_value(version))
}

/// A generation of consumers, whose members' subscriptions and assignments are opened. What does
/// not open stays bytes.
fn with_members(mut value: Value<'_>) -> Value<'_> {
    let Value::Fields(fields) = &mut value else { return value };
    if fields.get("protocolType") != Some(&Value::Text("consumer")) {
        return value;
    }
    let Some(Value::List(members)) = fields.get_mut("members") else { return value };
    for member in members {
        let Value::Fields(member) = member else { continue };
        open(member.get_mut("subscription"), opened::<read::ConsumerProtocolSubscription>);
        open(member.get_mut("assignment"), opened::<read::ConsumerProtocolAssignment>);
    }
    value
}

fn open<'a>(place: Option<&mut Value<'a>>, opened: fn(&'a [u8]) -> Option<Value<'a>>) {
    let Some(place) = place else { return };
    if let Value::Bytes(bytes) = place
        && let Some(value) = bytes.contiguous().and_then(opened)
    {
        *place = value;
    }
}

/// Bytes behind a version; what follows the message is of a later one and passed over.
fn opened<'a, T: Message + Parse<'a> + ToValue<'a>>(bytes: &'a [u8]) -> Option<Value<'a>> {
    let (version, reader) = versioned(bytes).ok()?;
    if version < 0 {
        return None;
    }
    let mut reader = reader.with_version(version, T::FLEXIBLE_FROM);
    Some(T::read(&mut reader, T::NAME).ok()?.to_value(version))
}

fn show_metadata(offset: i64, value: Option<&[u8]>) -> Shown<'_> {
    let value = value.unwrap_or_default();
    match metadata_tree(value) {
        Ok((name, version, tree)) => {
            Shown::Tree { kind: Kind::Name(upper(name)), version: Some(version), tree }
        }
        Err(error) => Shown::Unreadable(format!("Error at {offset}, skipping. {error}")),
    }
}

macro_rules! metadata_records {
    ($key:expr, $version:expr, $body:expr, $($number:literal $name:ident)*) => {
        match $key {
            $($number => {
                (read::$name::NAME, tree::<read::$name>($body, $version)?)
            })*
            key => return Err(ProtocolError::RecordKey { key, version: $version as u32 }),
        }
    };
}

/// The record's name, its version, and what it says.
fn metadata_tree(value: &[u8]) -> Result<(&'static str, i16, Value<'_>), ProtocolError> {
    let mut body = Reader::one(value);
    let frame = body.uvarint("FrameVersion")?;
    if frame != 1 {
        return Err(ProtocolError::RecordFrame { version: frame });
    }
    let key = body.uvarint("RecordKey")?;
    let version = body.uvarint("RecordVersion")?;
    let unknown = ProtocolError::RecordKey { key, version };
    let version = i16::try_from(version).map_err(|_| unknown)?;
    let (name, tree) = metadata_records!(key, version, body,
        0 RegisterBrokerRecord 1 UnregisterBrokerRecord 2 TopicRecord 3 PartitionRecord
        4 ConfigRecord 5 PartitionChangeRecord 7 FenceBrokerRecord 8 UnfenceBrokerRecord
        9 RemoveTopicRecord 10 DelegationTokenRecord 11 UserScramCredentialRecord
        12 FeatureLevelRecord 14 ClientQuotaRecord 15 ProducerIdsRecord
        17 BrokerRegistrationChangeRecord 18 AccessControlEntryRecord
        19 RemoveAccessControlEntryRecord 20 NoOpRecord 21 ZkMigrationStateRecord
        22 RemoveUserScramCredentialRecord 23 BeginTransactionRecord 24 EndTransactionRecord
        25 AbortTransactionRecord 26 RemoveDelegationTokenRecord 27 RegisterControllerRecord
        28 ClearElrRecord);
    Ok((name, version, tree))
}

/// `TopicRecord` is written `TOPIC_RECORD`.
fn upper(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, c) in name.char_indices() {
        if at > 0 && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// What a control record says.
pub fn control<'a>(record: &RecordView<'a>) -> Control<'a> {
    let kind = match ControlType::parse(record.key) {
        Ok(kind) => kind,
        Err(error) => return Control::Unreadable(error.to_string()),
    };
    let value = record.value.unwrap_or_default();
    let tree = match kind {
        ControlType::Abort | ControlType::Commit => {
            return match EndTxnMarker::parse(record.key, record.value) {
                Ok(Some(marker)) => Control::EndTxn(marker),
                Ok(None) => Control::Unreadable("it is no marker".to_owned()),
                Err(error) => Control::Unreadable(error.to_string()),
            };
        }
        // Each begins with its version as a field, and is read as that one.
        ControlType::LeaderChange => control_tree::<read::LeaderChangeMessage>(value),
        ControlType::SnapshotHeader => control_tree::<read::SnapshotHeaderRecord>(value),
        ControlType::SnapshotFooter => control_tree::<read::SnapshotFooterRecord>(value),
        ControlType::KraftVersion => control_tree::<read::KRaftVersionRecord>(value),
        ControlType::KraftVoters => control_tree::<read::VotersRecord>(value),
        ControlType::Unknown(number) => return Control::Unknown(number),
    };
    match tree {
        Ok(tree) => Control::Tree(kind, tree),
        Err(error) => Control::Unreadable(error.to_string()),
    }
}

fn control_tree<'a, T>(value: &'a [u8]) -> Result<Value<'a>, ProtocolError>
where
    T: Parse<'a> + ToValue<'a>,
{
    let (version, _) = versioned(value)?;
    tree::<T>(Reader::one(value), version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dump_log::json;

    #[test]
    fn a_subscription_that_does_not_open_stays_bytes() {
        let bytes = [0, 1, 0, 0, 0, 9];
        assert_eq!(opened::<read::ConsumerProtocolSubscription>(&bytes), None);
        let bytes = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
        let tree = opened::<read::ConsumerProtocolSubscription>(&bytes).unwrap();
        assert_eq!(json::text(&tree), r#"{"topics":["t"],"userData":null}"#);
    }

    #[test]
    fn metadata_is_named_as_kafka_names_it() {
        let shown = show_metadata(7, Some(b"\x01\x14\x00\x00"));
        let Shown::Tree { kind, version, tree } = shown else { panic!("{shown:?}") };
        assert_eq!((kind, version), (Kind::Name("NO_OP_RECORD".into()), Some(0)));
        assert_eq!(json::text(&tree), "{}");
        let unknown = show_metadata(7, Some(b"\x01\x7f\x00"));
        assert!(matches!(unknown, Shown::Unreadable(text) if text.starts_with("Error at 7, ")));
    }
}
