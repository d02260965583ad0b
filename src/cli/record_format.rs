//! The format strings of `consume -f` and `produce -f`, as kcat has them.
//!
//! ```text
//! %t topic   %p partition   %o offset   %T time in ms   %k key   %s or %v value
//! %K and %S their lengths (-1 for null)   %h headers as k=v,k=v   %% a percent sign
//! \n \t \r \0 \\ \xNN
//! ```
//!
//! To read by a format, every field must end with something: the literal text behind it, or the end
//! of a line behind the last one.

use super::batches::Record;
use std::io::Write as _;

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Topic,
    Partition,
    Offset,
    Time,
    Key,
    Value,
    KeyLength,
    ValueLength,
    Headers,
}

/// A format that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFormat {
    parts: Vec<Part>,
}

/// Text that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("%{0} is not known: %t %p %o %T %k %s %v %K %S %h and %% are")]
    Verb(char),
    #[error("the format ends with a % that nothing follows")]
    Open,
    #[error("\\{0} is not known: \\n \\t \\r \\0 \\\\ and \\xNN are")]
    Escape(String),
    #[error("%{0} cannot be read, only written: %k %s %v %h %p and %T can")]
    WriteOnly(char),
    #[error("nothing stands between two fields: where does the first one end?")]
    NoEnd,
    #[error("a format to read by begins with a field, and has each one once")]
    Layout,
}

impl RecordFormat {
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => {
                    let field = match chars.next().ok_or(FormatError::Open)? {
                        '%' => {
                            literal.push(b'%');
                            continue;
                        }
                        verb => Field::of(verb).ok_or(FormatError::Verb(verb))?,
                    };
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Field(field));
                }
                '\\' => literal.push(escape(&mut chars)?),
                c => literal.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// Appends a record.
    pub fn write(&self, topic: &str, partition: i32, record: &Record, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Field(field) => field.write(topic, partition, record, out),
            }
        }
    }

    /// The fields to read with what ends each of them.
    pub fn reading(&self) -> Result<Vec<(Field, Vec<u8>)>, FormatError> {
        let mut fields: Vec<(Field, Vec<u8>)> = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => match fields.last_mut() {
                    Some((_, end)) => end.clone_from(bytes),
                    None => return Err(FormatError::Layout),
                },
                Part::Field(field) => {
                    if fields.last().is_some_and(|(_, end)| end.is_empty()) {
                        return Err(FormatError::NoEnd);
                    }
                    if let Some(verb) = field.write_only() {
                        return Err(FormatError::WriteOnly(verb));
                    }
                    if fields.iter().any(|(other, _)| other == field) {
                        return Err(FormatError::Layout);
                    }
                    fields.push((*field, Vec::new()));
                }
            }
        }
        match fields.last_mut() {
            Some((_, end)) if end.is_empty() => end.push(b'\n'),
            Some(_) => {}
            None => return Err(FormatError::Layout),
        }
        Ok(fields)
    }
}

impl Field {
    fn of(verb: char) -> Option<Self> {
        Some(match verb {
            't' => Self::Topic,
            'p' => Self::Partition,
            'o' => Self::Offset,
            'T' => Self::Time,
            'k' => Self::Key,
            's' | 'v' => Self::Value,
            'K' => Self::KeyLength,
            'S' | 'V' => Self::ValueLength,
            'h' => Self::Headers,
            _ => return None,
        })
    }

    /// The verb of a field that says nothing of a new record.
    fn write_only(self) -> Option<char> {
        match self {
            Self::Topic => Some('t'),
            Self::Offset => Some('o'),
            Self::KeyLength => Some('K'),
            Self::ValueLength => Some('S'),
            _ => None,
        }
    }

    fn write(self, topic: &str, partition: i32, record: &Record, out: &mut Vec<u8>) {
        let length =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
        // Writing to memory does not fail.
        let _ = match self {
            Self::Topic => out.write_all(topic.as_bytes()),
            Self::Partition => write!(out, "{partition}"),
            Self::Offset => write!(out, "{}", record.offset),
            Self::Time => write!(out, "{}", record.timestamp),
            Self::Key => out.write_all(record.key.as_deref().unwrap_or_default()),
            Self::Value => out.write_all(record.value.as_deref().unwrap_or_default()),
            Self::KeyLength => write!(out, "{}", length(&record.key)),
            Self::ValueLength => write!(out, "{}", length(&record.value)),
            Self::Headers => {
                for (index, (key, value)) in record.headers.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    out.extend_from_slice(key.as_bytes());
                    out.push(b'=');
                    out.extend_from_slice(value.as_deref().unwrap_or(b"NULL"));
                }
                Ok(())
            }
        };
    }
}

fn escape(chars: &mut std::str::Chars<'_>) -> Result<u8, FormatError> {
    let Some(c) = chars.next() else { return Err(FormatError::Escape(String::new())) };
    Ok(match c {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        '0' => 0,
        '\\' => b'\\',
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            let bad = || FormatError::Escape(format!("x{digits}"));
            if digits.len() != 2 || digits.starts_with('+') {
                return Err(bad());
            }
            u8::from_str_radix(&digits, 16).map_err(|_| bad())?
        }
        c => return Err(FormatError::Escape(c.to_string())),
    })
}

/// Text of a command line whose escapes stand for bytes, as in a format.
pub fn unescape(text: &str) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(escape(&mut chars)?),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Offset, Timestamp};

    #[test]
    fn every_field_is_written() {
        let record = Record {
            offset: Offset(7),
            timestamp: Timestamp(99),
            key: None,
            value: Some(b"v\xff".to_vec()),
            headers: vec![("a".into(), Some(b"1".to_vec())), ("b".into(), None)],
        };
        let format = RecordFormat::parse(r"%t/%p@%o %T %K[%k] %S[%s] %h 100%%\x00\t\n").unwrap();
        let mut out = Vec::new();
        format.write("t", 3, &record, &mut out);
        assert_eq!(out, b"t/3@7 99 -1[] 2[v\xff] a=1,b=NULL 100%\0\t\n");
    }

    #[test]
    fn a_format_to_read_by_says_where_each_field_ends() {
        let reading = |text: &str| RecordFormat::parse(text).and_then(|format| format.reading());
        let expected = vec![(Field::Key, b"\t".to_vec()), (Field::Value, b"\n".to_vec())];
        assert_eq!(reading(r"%k\t%v").unwrap(), expected);
        assert_eq!(reading(r"%k\t%v\n").unwrap(), expected);
        assert_eq!(reading("%k%v"), Err(FormatError::NoEnd));
        assert_eq!(reading("%o %v"), Err(FormatError::WriteOnly('o')));
        for text in ["x%v", "%v %v", "x", ""] {
            assert_eq!(reading(text), Err(FormatError::Layout), "{text}");
        }
        assert_eq!(RecordFormat::parse("%"), Err(FormatError::Open));
        assert_eq!(RecordFormat::parse("%z"), Err(FormatError::Verb('z')));
        assert!(RecordFormat::parse(r"\q").is_err() && RecordFormat::parse(r"\x1").is_err());
    }
}
