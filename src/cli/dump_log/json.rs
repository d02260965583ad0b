//! Trees of values as JSON, with the spelling of Kafka's tools: ids and bytes in base64, control
//! characters by upper-case hexadecimal.

use crate::protocol::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::ser::{CharEscape, Formatter};
use std::io;

/// A tree that can be written by any of serde's formats.
pub struct Json<'a>(pub &'a Value<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Uuid(id) => serializer.collect_str(id),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes.to_vec())),
            Value::List(values) => serializer.collect_seq(values.iter().map(Json)),
            Value::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.0.len()))?;
                for (name, value) in &fields.0 {
                    map.serialize_entry(name, &Json(value))?;
                }
                map.end()
            }
        }
    }
}

/// A tree as one line.
pub fn text(value: &Value<'_>) -> String {
    to_text(&Json(value))
}

/// Anything as one line, in Kafka's spelling.
pub fn to_text(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, KafkaSpelling);
    // Writing to memory does not fail, and every key is a string.
    value.serialize(&mut serializer).expect("a tree can be written");
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// Bytes that are text as such, others as an object that says so.
pub fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return serializer.serialize_str(text);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("base64", &STANDARD.encode(bytes))?;
    map.end()
}

struct KafkaSpelling;

impl Formatter for KafkaSpelling {
    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Pieces;
    use crate::model::Uuid;
    use crate::protocol::Fields;

    #[test]
    fn every_kind_of_value_is_spelled_as_kafka_spells_it() {
        let mut fields = Fields::default();
        fields.put("a", Value::Text("q\"\\\u{1b}\u{7f}\n/ä"));
        fields.put("b", Value::Bytes(Pieces::one(&[0xfb, 0xff])));
        fields.put("c", Value::List(vec![Value::Null, Value::Bool(true), Value::Integer(-3)]));
        fields.put("d", Value::Uuid(Uuid::ZERO));
        fields.put("e", Value::Float(1.5));
        let expected = "{\"a\":\"q\\\"\\\\\\u001B\u{7f}\\n/ä\",\"b\":\"+/8=\",\"c\":[null,true,-3],\
                        \"d\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"e\":1.5}";
        assert_eq!(text(&Value::Fields(fields)), expected);
    }
}
