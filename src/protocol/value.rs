//! A message as a tree of named values: what people are shown of the records in a log.
//!
//! The names and their order are those of Kafka's own JSON, so that a tree written down is what
//! Kafka's tools write: a field that the version does not have is left out, a tagged field too
//! where it has its default.

use super::array::{Array, Element};
use crate::base::Pieces;
use crate::model::Uuid;

/// A message, or a part of one. Borrows the bytes of the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Uuid(Uuid),
    Text(&'a str),
    Bytes(Pieces<'a>),
    List(Vec<Value<'a>>),
    Fields(Fields<'a>),
}

/// Named values in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields<'a>(pub Vec<(&'static str, Value<'a>)>);

/// What can be shown.
pub trait ToValue<'a> {
    /// The value as `version` of its message has it.
    fn to_value(&self, version: i16) -> Value<'a>;
}

impl<'a> Fields<'a> {
    pub fn put(&mut self, name: &'static str, value: Value<'a>) {
        self.0.push((name, value));
    }

    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value<'a>> {
        self.0.iter_mut().find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl<'a> ToValue<'a> for $type {
            fn to_value(&self, _: i16) -> Value<'a> {
                Value::Integer(i64::from(*self))
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 u16 u32);

impl<'a> ToValue<'a> for bool {
    fn to_value(&self, _: i16) -> Value<'a> {
        Value::Bool(*self)
    }
}

impl<'a> ToValue<'a> for f64 {
    fn to_value(&self, _: i16) -> Value<'a> {
        Value::Float(*self)
    }
}

impl<'a> ToValue<'a> for Uuid {
    fn to_value(&self, _: i16) -> Value<'a> {
        Value::Uuid(*self)
    }
}

impl<'a> ToValue<'a> for &'a str {
    fn to_value(&self, _: i16) -> Value<'a> {
        Value::Text(self)
    }
}

impl<'a> ToValue<'a> for Pieces<'a> {
    fn to_value(&self, _: i16) -> Value<'a> {
        Value::Bytes(*self)
    }
}

impl<'a, T: ToValue<'a>> ToValue<'a> for Option<T> {
    fn to_value(&self, version: i16) -> Value<'a> {
        self.as_ref().map_or(Value::Null, |value| value.to_value(version))
    }
}

impl<'a, T: Element<'a> + ToValue<'a>> ToValue<'a> for Array<'a, T> {
    fn to_value(&self, version: i16) -> Value<'a> {
        Value::List(self.iter().map(|element| element.to_value(version)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Encode as _, Parse as _, Reader, Writer, read, write};

    fn names(value: &Value<'_>) -> Vec<&'static str> {
        let Value::Fields(fields) = value else { panic!("{value:?}") };
        fields.0.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn a_tagged_field_is_shown_where_it_differs_and_others_where_the_version_has_them() {
        let mut record = write::PartitionChangeRecord { partition_id: 3, ..Default::default() };
        let shown = |record: &write::PartitionChangeRecord, version| {
            let mut writer = Writer::new();
            record.encode(version, &mut writer);
            let read = read::PartitionChangeRecord::parse(Reader::one(writer.as_bytes()), version);
            names(&read.unwrap().to_value(version))
        };
        assert_eq!(shown(&record, 0), ["partitionId", "topicId"]);
        record.leader = 7;
        record.eligible_leader_replicas = Some(Vec::new());
        assert_eq!(
            shown(&record, 2),
            ["partitionId", "topicId", "leader", "eligibleLeaderReplicas"]
        );
        let value = write::OffsetCommitValue { offset: 5, ..Default::default() };
        let mut shown = |version| {
            let mut writer = Writer::new();
            value.encode(version, &mut writer);
            let read = read::OffsetCommitValue::parse(Reader::one(writer.as_bytes()), version);
            names(&read.unwrap().to_value(version)).len()
        };
        assert_eq!([0, 1, 2, 3, 4].map(&mut shown), [3, 4, 3, 4, 4]);
    }
}
