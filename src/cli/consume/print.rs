//! A record as it is printed.

use crate::cli::batches::Record;
use crate::cli::failure::Failure;
use crate::cli::record_format::RecordFormat;
use crate::cli::record_json::to_json;
use serde_json::json;
use std::fmt::Write as _;

/// How records are printed.
#[derive(Clone, Debug)]
pub enum Printer {
    Format(RecordFormat),
    /// An object over several lines.
    Json,
    /// One line, in the envelope that all commands have.
    JsonRows,
    Hex,
}

impl Printer {
    /// `json`, `json-rows`, `hex`, or a format with verbs.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "json" => Ok(Self::Json),
            "json-rows" => Ok(Self::JsonRows),
            "hex" => Ok(Self::Hex),
            text => match RecordFormat::parse(text) {
                Ok(format) => Ok(Self::Format(format)),
                Err(error) => Err(Failure::Usage(format!("-f {text:?}: {error}"))),
            },
        }
    }

    /// Appends a record.
    pub fn write(&self, topic: &str, partition: i32, record: &Record, out: &mut Vec<u8>) {
        match self {
            Self::Format(format) => format.write(topic, partition, record, out),
            Self::Json => {
                let text = format!("{:#}\n", to_json(topic, partition, record));
                out.extend_from_slice(text.as_bytes());
            }
            Self::JsonRows => {
                let data = to_json(topic, partition, record);
                let row = json!({ "_cmd": "consume", "_v": 1, "data": data });
                out.extend_from_slice(format!("{row}\n").as_bytes());
            }
            Self::Hex => hex(topic, partition, record, out),
        }
    }
}

/// Key and value with 16 bytes a line: position, bytes, and what of them is printable.
fn hex(topic: &str, partition: i32, record: &Record, out: &mut Vec<u8>) {
    let (offset, time) = (record.offset, record.timestamp);
    let mut text = format!("{topic}-{partition} offset {offset} time {time}\n");
    let headers = record.headers.iter().map(|(key, value)| (format!("header {key}"), value));
    let parts = [("key".to_owned(), &record.key), ("value".to_owned(), &record.value)];
    for (name, bytes) in parts.into_iter().chain(headers) {
        let Some(bytes) = bytes else {
            let _ = writeln!(text, "  {} null", crate::cli::output::visible(&name));
            continue;
        };
        let _ = writeln!(text, "  {} {} bytes", crate::cli::output::visible(&name), bytes.len());
        for (index, line) in bytes.chunks(16).enumerate() {
            let _ = write!(text, "    {:08x} ", index * 16);
            for byte in line {
                let _ = write!(text, " {byte:02x}");
            }
            let printable = |byte: &u8| match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            };
            let pad = " ".repeat(3 * (16 - line.len()));
            let shown: String = line.iter().map(printable).collect();
            let _ = writeln!(text, "{pad}  |{shown}|");
        }
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offset, Timestamp};

    #[test]
    fn bytes_are_shown_sixteen_a_line() {
        let record = Record {
            offset: Offset(7),
            timestamp: Timestamp(5),
            key: None,
            value: Some((b'a'..=b'q').chain([0]).collect()),
            headers: vec![("h".into(), Some(vec![255]))],
        };
        let mut out = Vec::new();
        Printer::Hex.write("t", 0, &record, &mut out);
        let expected = "t-0 offset 7 time 5\n  key null\n  value 18 bytes\n\
            \x20   00000000  61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70  |abcdefghijklmnop|\n\
            \x20   00000010  71 00                                            |q.|\n\
            \x20 header h 1 bytes\n\
            \x20   00000000  ff                                               |.|\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
