//! What a setting's text may be: its type, and the values that are allowed. The texts of refusals
//! are what Kafka's tools show, since clients print them.

use std::fmt;

/// Type of a setting, with Kafka's number of it in DescribeConfigs answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// Which values of its type a setting may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// A number from 0 to 1.
    Ratio,
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// Every entry of the list is one of these.
    Each(&'static [&'static str]),
    NonEmpty,
    /// gzip's 1 to 9, or -1 for its default.
    GzipLevel,
    /// `*`, or `partition:broker` entries.
    ThrottledReplicas,
    /// `earliest`, `latest`, or `by_duration:` and an ISO 8601 duration.
    OffsetReset,
}

/// A value of a setting, parsed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

/// A value that its setting refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Invalid { key: String, value: String, reason: String },
    #[error("Configuration '{key}' values must not be empty.")]
    EmptyEntry { key: String },
}

impl Kind {
    /// Kafka's name of the type, as its refusals print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Text => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }

    /// Parses the text of `key`; spaces around it do not count.
    pub(super) fn parse(self, key: &str, text: &str) -> Result<Value, ValueError> {
        let trimmed = text.trim_matches(|c: char| c <= ' ');
        let number = |min: i64, max: i64| match trimmed.parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(Value::Int(n)),
            _ => Err(self.not_a_number(key, text)),
        };
        match self {
            Self::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
            Self::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
            Self::Boolean => {
                Err(ValueError::invalid(key, text, "Expected value to be either true or false"))
            }
            Self::Int => number(i64::from(i32::MIN), i64::from(i32::MAX)),
            Self::Short => number(i64::from(i16::MIN), i64::from(i16::MAX)),
            Self::Long => number(i64::MIN, i64::MAX),
            Self::Double => {
                trimmed.parse().map(Value::Double).map_err(|_| self.not_a_number(key, text))
            }
            Self::List => parse_list(key, trimmed).map(Value::List),
            Self::Text | Self::Class | Self::Password => Ok(Value::Text(trimmed.to_owned())),
        }
    }

    fn not_a_number(self, key: &str, text: &str) -> ValueError {
        ValueError::invalid(key, text, format!("Not a number of type {}", self.name()))
    }
}

impl Check {
    pub(super) fn verify(self, key: &str, value: &Value) -> Result<(), ValueError> {
        let refuse = |reason: String| Err(ValueError::invalid(key, value, reason));
        match (self, value) {
            (_, Value::Null) | (Self::Any, _) => Ok(()),
            (Self::AtLeast(min) | Self::Between(min, _), Value::Int(n)) if *n < min => {
                refuse(format!("Value must be at least {min}"))
            }
            (Self::Between(_, max), Value::Int(n)) if *n > max => {
                refuse(format!("Value must be no more than {max}"))
            }
            (Self::Ratio, Value::Double(x)) if x.is_nan() || *x < 0.0 => {
                refuse("Value must be at least 0".to_owned())
            }
            (Self::Ratio, Value::Double(x)) if *x > 1.0 => {
                refuse("Value must be no more than 1".to_owned())
            }
            (Self::OneOf(valid), Value::Text(text)) if !valid.contains(&text.as_str()) => {
                refuse(format!("String must be one of: {}", valid.join(", ")))
            }
            (Self::OneOfAnyCase(valid), Value::Text(text))
                if !valid.iter().any(|v| v.eq_ignore_ascii_case(text)) =>
            {
                refuse(format!("String must be one of (case insensitive): {}", valid.join(", ")))
            }
            (Self::Each(valid), Value::List(entries)) => {
                match entries.iter().find(|e| !valid.contains(&e.as_str())) {
                    Some(bad) => Err(ValueError::invalid(
                        key,
                        bad,
                        format!("String must be one of: {}", valid.join(", ")),
                    )),
                    None => Ok(()),
                }
            }
            (Self::NonEmpty, Value::Text(text)) if text.is_empty() => {
                refuse("String must be non-empty".to_owned())
            }
            (Self::GzipLevel, Value::Int(n)) if *n != -1 && !(1..=9).contains(n) => {
                refuse("Value must be between 1 and 9 or equal to -1".to_owned())
            }
            (Self::ThrottledReplicas, Value::List(entries)) if !are_throttled(entries) => {
                refuse(format!(
                    "{key} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                ))
            }
            (Self::OffsetReset, Value::Text(text)) if !is_offset_reset(text) => refuse(
                "must be earliest, latest, or by_duration: with an ISO 8601 duration".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

/// What may be given, for people.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::AtLeast(min) => write!(f, "{min} or more"),
            Self::Between(min, max) => write!(f, "{min} to {max}"),
            Self::Ratio => f.write_str("0 to 1"),
            Self::OneOf(valid) | Self::OneOfAnyCase(valid) => f.write_str(&valid.join(", ")),
            Self::Each(valid) => write!(f, "a list of {}", valid.join(", ")),
            Self::NonEmpty => f.write_str("not empty"),
            Self::GzipLevel => f.write_str("1 to 9, or -1"),
            Self::ThrottledReplicas => f.write_str("*, or partition:broker entries"),
            Self::OffsetReset => f.write_str("earliest, latest, or by_duration:PnDTnHnMnS"),
        }
    }
}

/// The value as Kafka prints it; null is the empty text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(b) => b.fmt(f),
            Self::Int(n) => n.fmt(f),
            // Java prints whole numbers with one decimal.
            Self::Double(x) if x.is_finite() && x.fract() == 0.0 && x.abs() < 1e7 => {
                write!(f, "{x:.1}")
            }
            Self::Double(x) if x.abs() >= 1e7 => f.write_str(&format!("{x:E}")),
            Self::Double(x) => x.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::List(entries) => f.write_str(&entries.join(",")),
        }
    }
}

impl ValueError {
    pub(super) fn invalid(key: &str, value: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self::Invalid { key: key.to_owned(), value: value.to_string(), reason: reason.into() }
    }

    pub fn key(&self) -> &str {
        match self {
            Self::Invalid { key, .. } | Self::EmptyEntry { key } => key,
        }
    }
}

fn parse_list(key: &str, text: &str) -> Result<Vec<String>, ValueError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries: Vec<String> = Vec::new();
    for entry in text.split(',').map(str::trim) {
        if entry.is_empty() {
            return Err(ValueError::EmptyEntry { key: key.to_owned() });
        }
        if !entries.iter().any(|e| e == entry) {
            entries.push(entry.to_owned());
        }
    }
    Ok(entries)
}

fn is_offset_reset(text: &str) -> bool {
    let is_duration = |text: &str| {
        let digits = text.bytes().any(|byte| byte.is_ascii_digit());
        let legal = |byte: u8| byte.is_ascii_digit() || b"PTDHMS.".contains(&byte);
        text.starts_with('P') && digits && text.bytes().all(legal)
    };
    match text.split_once(':') {
        None => matches!(text, "earliest" | "latest"),
        Some((word, duration)) => word == "by_duration" && is_duration(duration),
    }
}

fn are_throttled(entries: &[String]) -> bool {
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let is_replica =
        |e: &String| e.split_once(':').is_some_and(|(p, b)| is_number(p) && is_number(b));
    matches!(entries, [one] if one == "*") || entries.iter().all(is_replica)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bounded_by_their_type() {
        assert_eq!(Kind::Int.parse("k", " +5 "), Ok(Value::Int(5)));
        for (kind, text) in [
            (Kind::Int, "2147483648"),
            (Kind::Int, "1e6"),
            (Kind::Int, ""),
            (Kind::Short, "40000"),
            (Kind::Long, "9223372036854775808"),
            (Kind::Double, "a"),
        ] {
            let refused = kind.parse("k", text).unwrap_err().to_string();
            let reason = format!("Not a number of type {}", kind.name());
            assert_eq!(refused, format!("Invalid value {text} for configuration k: {reason}"));
        }
    }

    #[test]
    fn a_list_drops_doubles_and_refuses_holes() {
        let list = Kind::List.parse("k", " a , b,a").unwrap();
        assert_eq!(list, Value::List(vec!["a".into(), "b".into()]));
        assert_eq!(Kind::List.parse("k", "").unwrap(), Value::List(vec![]));
        assert!(Kind::List.parse("k", "a,").is_err());
    }

    #[test]
    fn a_ratio_is_a_number() {
        for text in ["NaN", "-0.1", "1.5", "inf"] {
            let value = Kind::Double.parse("k", text).unwrap();
            assert!(Check::Ratio.verify("k", &value).is_err(), "{text}");
        }
    }

    #[test]
    fn doubles_print_as_java_does() {
        assert_eq!(Value::Double(0.5).to_string(), "0.5");
        assert_eq!(Value::Double(1.0).to_string(), "1.0");
        assert_eq!(Value::Double(f64::MAX).to_string(), "1.7976931348623157E308");
    }
}
