//! A record as JSON, the same for what `consume` prints and `produce` reads.
//!
//! ```text
//! {"topic":"t","partition":0,"offset":7,"timestamp":1700000000000,
//!  "key":"k","value":"v","headers":[{"key":"h","value":"x"}]}
//! ```
//!
//! Bytes that are text are a string; others are `{"base64":"..."}`; null is null. Headers are a list,
//! for their order counts and keys may come twice.

use super::batches::Record;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Why JSON is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordJsonError {
    #[error("it is no JSON: {0}")]
    Syntax(String),
    #[error("a record is an object with key, value, headers, partition, timestamp")]
    Shape,
    #[error("{0} is not known: a record has key, value, headers, partition and timestamp")]
    Field(String),
    #[error("{field}: write a string, null, or {{\"base64\":\"...\"}}")]
    Bytes { field: &'static str },
    #[error("{field}: write a whole number")]
    Number { field: &'static str },
    #[error("headers: write a list of {{\"key\":\"...\",\"value\":\"...\"}}")]
    Headers,
}

/// In order; keys may come twice.
pub type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A record to be produced, as far as JSON says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub partition: Option<i32>,
    pub timestamp: Option<i64>,
}

/// A record that was consumed.
pub fn to_json(topic: &str, partition: i32, record: &Record) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": bytes(value.as_deref()) }))
        .collect();
    json!({
        "topic": topic,
        "partition": partition,
        "offset": record.offset.0,
        "timestamp": record.timestamp.0,
        "key": bytes(record.key.as_deref()),
        "value": bytes(record.value.as_deref()),
        "headers": headers,
    })
}

fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => text.into(),
        Some((bytes, Err(_))) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Reads what `to_json` writes, also in the envelope of json-rows.
pub fn parse(text: &str) -> Result<Parsed, RecordJsonError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| RecordJsonError::Syntax(error.to_string()))?;
    let Value::Object(mut object) = value else { return Err(RecordJsonError::Shape) };
    if object.contains_key("_cmd") {
        match object.remove("data") {
            Some(Value::Object(data)) => object = data,
            _ => return Err(RecordJsonError::Shape),
        }
    }
    let mut parsed = Parsed::default();
    for (field, value) in object {
        match field.as_str() {
            "key" => parsed.key = to_bytes("key", value)?,
            "value" => parsed.value = to_bytes("value", value)?,
            "headers" => parsed.headers = to_headers(value)?,
            "partition" => {
                let number = whole("partition", &value)?;
                let bad = RecordJsonError::Number { field: "partition" };
                parsed.partition = number.map(i32::try_from).transpose().map_err(|_| bad)?;
            }
            "timestamp" => parsed.timestamp = whole("timestamp", &value)?,
            // Where it was is not where it goes.
            "topic" | "offset" => {}
            _ => return Err(RecordJsonError::Field(field)),
        }
    }
    Ok(parsed)
}

fn whole(field: &'static str, value: &Value) -> Result<Option<i64>, RecordJsonError> {
    match value {
        Value::Null => Ok(None),
        value => value.as_i64().map(Some).ok_or(RecordJsonError::Number { field }),
    }
}

fn to_bytes(field: &'static str, value: Value) -> Result<Option<Vec<u8>>, RecordJsonError> {
    let bad = RecordJsonError::Bytes { field };
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into_bytes())),
        Value::Object(object) if object.len() == 1 => {
            let encoded = object.get("base64").and_then(Value::as_str).ok_or(bad.clone())?;
            STANDARD.decode(encoded).map(Some).map_err(|_| bad)
        }
        _ => Err(bad),
    }
}

fn to_headers(value: Value) -> Result<Headers, RecordJsonError> {
    let Value::Array(list) = value else { return Err(RecordJsonError::Headers) };
    let header = |value: Value| {
        let Value::Object(mut object) = value else { return Err(RecordJsonError::Headers) };
        let Some(Value::String(key)) = object.remove("key") else {
            return Err(RecordJsonError::Headers);
        };
        let value = object.remove("value").unwrap_or(Value::Null);
        if object == Map::new() {
            Ok((key, to_bytes("headers", value)?))
        } else {
            Err(RecordJsonError::Headers)
        }
    };
    list.into_iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offset, Timestamp};

    #[test]
    fn every_record_comes_back_as_it_was() {
        let any: Vec<u8> = (0..=255).collect();
        let record = Record {
            offset: Offset(7),
            timestamp: Timestamp(5),
            key: None,
            value: Some(any.clone()),
            headers: vec![
                ("a".into(), Some(any)),
                ("a".into(), None),
                (String::new(), Some(Vec::new())),
            ],
        };
        let json = to_json("t", 3, &record);
        let envelope = json!({ "_cmd": "consume", "_v": 1, "data": json }).to_string();
        for text in [json.to_string(), envelope] {
            let parsed = parse(&text).unwrap();
            assert_eq!((parsed.key, parsed.value), (record.key.clone(), record.value.clone()));
            assert_eq!(parsed.headers, record.headers);
            assert_eq!((parsed.partition, parsed.timestamp), (Some(3), Some(5)));
        }
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_field() {
        for (text, words) in [
            ("x", "no JSON"),
            ("[]", "a record is an object"),
            (r#"{"valu":1}"#, "valu is not known"),
            (r#"{"value":1}"#, "value: write a string"),
            (r#"{"value":{"base64":"!"}}"#, "value: write"),
            (r#"{"headers":{"a":"b"}}"#, "headers: write"),
            (r#"{"partition":"1"}"#, "partition: write a whole number"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
