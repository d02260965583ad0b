//! Records from bytes: lines, lines with keys, a format, or rows of JSON.

use crate::cli::record_format::Field;
use crate::cli::record_json;
use std::io::{self, BufRead, Read as _};

/// The largest part of a record that is read; a line without an end must not fill memory.
const PART_BYTES_MAX: u64 = 128 << 20;

/// A record on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Which one of the input it is, from 1.
    pub number: u64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub partition: Option<i32>,
    /// None for the time at which it is sent.
    pub timestamp: Option<i64>,
}

/// How bytes are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A line is a value.
    Lines,
    /// A line is a key, and the record says that it is gone.
    Tombstones,
    /// A line is a key and a value.
    KeyedLines(Vec<u8>),
    Fields(Vec<(Field, Vec<u8>)>),
    JsonRows,
}

/// What every record gets unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub partition: Option<i32>,
}

/// Why the next record is none.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// This one; those after it can be read.
    #[error("record {number}: {reason}")]
    Record { number: u64, reason: String },
    #[error("standard input cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("record {number} ends in the middle: {missing} is missing")]
    Cut { number: u64, missing: String },
    #[error("record {number} has more than {PART_BYTES_MAX} bytes without an end")]
    Endless { number: u64 },
}

/// Reads records.
pub struct Source<R> {
    input: R,
    shape: Shape,
    defaults: Defaults,
    number: u64,
}

impl<R: BufRead> Source<R> {
    pub fn new(input: R, shape: Shape, defaults: Defaults) -> Self {
        Self { input, shape, defaults, number: 0 }
    }

    pub fn input(&self) -> &R {
        &self.input
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Outgoing>, InputError> {
        self.number += 1;
        let mut record = Outgoing {
            number: self.number,
            key: self.defaults.key.clone(),
            headers: self.defaults.headers.clone(),
            partition: self.defaults.partition,
            ..Outgoing::default()
        };
        if let Shape::Fields(fields) = self.shape.clone() {
            return self.fields(record, &fields);
        }
        let Some(line) = self.part(b"\n", true)? else { return Ok(None) };
        match &self.shape {
            Shape::Lines | Shape::Fields(_) => record.value = Some(line),
            Shape::Tombstones => record.key = Some(line),
            Shape::KeyedLines(separator) => {
                let at = line.windows(separator.len()).position(|part| part == separator);
                let Some(at) = at else {
                    let separator = String::from_utf8_lossy(separator).escape_debug().to_string();
                    return Err(self.bad(format!("no key separator \"{separator}\" in it")));
                };
                record.key = Some(line[..at].to_vec());
                record.value = Some(line[at + separator.len()..].to_vec());
            }
            Shape::JsonRows => self.json(&line, &mut record)?,
        }
        Ok(Some(record))
    }

    fn bad(&self, reason: impl Into<String>) -> InputError {
        InputError::Record { number: self.number, reason: reason.into() }
    }

    fn json(&self, line: &[u8], record: &mut Outgoing) -> Result<(), InputError> {
        let text = std::str::from_utf8(line).map_err(|error| self.bad(error.to_string()))?;
        let parsed = record_json::parse(text).map_err(|error| self.bad(error.to_string()))?;
        record.key = parsed.key;
        record.value = parsed.value;
        record.headers.extend(parsed.headers);
        // The command line says where all of them go.
        record.partition = record.partition.or(parsed.partition);
        record.timestamp = parsed.timestamp;
        Ok(())
    }

    fn fields(
        &mut self,
        mut record: Outgoing,
        fields: &[(Field, Vec<u8>)],
    ) -> Result<Option<Outgoing>, InputError> {
        for (index, (field, end)) in fields.iter().enumerate() {
            let is_last = index + 1 == fields.len();
            let Some(bytes) = self.part(end, is_last)? else {
                if index == 0 {
                    return Ok(None);
                }
                let missing = format!("{field:?}").to_lowercase();
                return Err(InputError::Cut { number: self.number, missing });
            };
            let text = || String::from_utf8_lossy(&bytes).into_owned();
            match field {
                Field::Key => record.key = Some(bytes),
                Field::Value => record.value = Some(bytes),
                Field::Headers => record.headers.extend(headers(&text())),
                Field::Partition => {
                    let bad = || self.bad(format!("{:?} is no partition", text()));
                    record.partition = Some(text().parse().map_err(|_| bad())?);
                }
                Field::Time => {
                    let bad = || self.bad(format!("{:?} is no time in milliseconds", text()));
                    record.timestamp = Some(text().parse().map_err(|_| bad())?);
                }
                // The format was checked: these are not read.
                Field::Topic | Field::Offset | Field::KeyLength | Field::ValueLength => {}
            }
        }
        Ok(Some(record))
    }

    /// Bytes up to `end`, which is left out; `None` where nothing is left. The input's own end may
    /// stand for that of a record's last part.
    fn part(&mut self, end: &[u8], may_end: bool) -> Result<Option<Vec<u8>>, InputError> {
        let mut bytes = Vec::new();
        let last = *end.last().expect("a part ends with something");
        loop {
            let room = PART_BYTES_MAX.saturating_sub(bytes.len() as u64);
            if room == 0 {
                return Err(InputError::Endless { number: self.number });
            }
            let count = (&mut self.input).take(room).read_until(last, &mut bytes)?;
            if bytes.ends_with(end) {
                bytes.truncate(bytes.len() - end.len());
                return Ok(Some(bytes));
            }
            if count == 0 {
                if bytes.is_empty() {
                    return Ok(None);
                }
                if may_end {
                    return Ok(Some(bytes));
                }
                let missing = format!("\"{}\"", String::from_utf8_lossy(end).escape_debug());
                return Err(InputError::Cut { number: self.number, missing });
            }
        }
    }
}

/// `k=v,k=v`; a header without `=` has no value.
pub fn headers(text: &str) -> Vec<(String, Option<Vec<u8>>)> {
    text.split(',').filter(|part| !part.is_empty()).map(header).collect()
}

/// `k=v`.
pub fn header(text: &str) -> (String, Option<Vec<u8>>) {
    match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.as_bytes().to_vec())),
        None => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::record_format::RecordFormat;

    fn read(input: &[u8], shape: Shape) -> Vec<Result<Outgoing, String>> {
        let mut source = Source::new(input, shape, Defaults::default());
        let mut all = Vec::new();
        loop {
            match source.next() {
                Ok(None) => return all,
                Ok(Some(record)) => all.push(Ok(record)),
                Err(error @ InputError::Record { .. }) => all.push(Err(error.to_string())),
                Err(error) => {
                    all.push(Err(error.to_string()));
                    return all;
                }
            }
        }
    }

    /// A record's key and value.
    type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

    fn pairs(input: &[u8], shape: Shape) -> Vec<Pair> {
        read(input, shape).into_iter().map(|r| r.map(|r| (r.key, r.value)).unwrap()).collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a record has it")]
    fn some(text: &[u8]) -> Option<Vec<u8>> {
        Some(text.to_vec())
    }

    #[test]
    fn lines_are_values_whatever_is_in_them() {
        let found = pairs(b"a\n\n\xff\r\nlast", Shape::Lines);
        let expected = [&b"a"[..], b"", b"\xff\r", b"last"].map(|value| (None, some(value)));
        assert_eq!(found, expected);
        assert_eq!(pairs(b"k\n", Shape::Tombstones), [(some(b"k"), None)]);
    }

    #[test]
    fn a_line_without_a_separator_is_named_and_passed_over() {
        let found = read(b"k::v::w\nx\n::\n", Shape::KeyedLines(b"::".to_vec()));
        assert_eq!(found[0].as_ref().unwrap().value, some(b"v::w"));
        assert_eq!(found[1], Err("record 2: no key separator \"::\" in it".to_owned()));
        assert_eq!(found[2].as_ref().unwrap().key, some(b""));
    }

    #[test]
    fn a_format_reads_what_it_writes() {
        let fields = RecordFormat::parse(r"%k\x00%h\t%v\x01\x02").unwrap().reading().unwrap();
        let found = read(b"k\0a=1,b\tv\x01\n\x01\x02k2\0\t\x01\x02", Shape::Fields(fields.clone()));
        let first = found[0].as_ref().unwrap();
        assert_eq!((first.key.clone(), first.value.clone()), (some(b"k"), some(b"v\x01\n")));
        assert_eq!(first.headers, [("a".to_owned(), some(b"1")), ("b".to_owned(), None)]);
        assert_eq!(found[1].as_ref().unwrap().value, some(b""));
        let cut = read(b"k\0a", Shape::Fields(fields));
        assert_eq!(cut[0], Err("record 1 ends in the middle: \"\\t\" is missing".to_owned()));
    }

    #[test]
    fn rows_of_json_say_all_of_a_record() {
        let rows = br#"{"key":null,"value":{"base64":"/w=="},"partition":2,"timestamp":5}
{"value":1}
"#;
        let found = read(rows, Shape::JsonRows);
        let first = found[0].as_ref().unwrap();
        assert_eq!((first.value.clone(), first.partition), (some(b"\xff"), Some(2)));
        assert_eq!(first.timestamp, Some(5));
        assert!(found[1].as_ref().unwrap_err().starts_with("record 2: value: write a string"));
    }
}
