//! One event is one line of the log: for people, or JSON for their tools.
//!
//! ```text
//!   2026-11-24T17:45:26.123456Z  WARN highwater::server: closing ... key=value
//!   {"ts":"2026-11-24T17:45:26.123456Z","level":"WARN","target":"highwater::server","core":0,"node":1,"msg":"closing ..."}
//! ```
//!
//! Whatever an event says, it is one line: controls are escaped, what is long is cut.

use crate::base::quoted::write_escaped;
use std::fmt::{self, Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Bytes of one text of an event; a line has few of them.
const TEXT_BYTES_MAX: usize = 3 << 10;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// Writes events.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneLine {
    pub format: Format,
    /// Colours, for a terminal.
    pub is_coloured: bool,
    /// This broker.
    pub node: i32,
}

/// What an event says.
#[derive(Default)]
pub(super) struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

enum Value {
    /// A number or a truth.
    Plain(String),
    Text(String),
}

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let facts = event.metadata();
        writer.write_str(&self.line(*facts.level(), facts.target(), &said)?)
    }
}

impl OneLine {
    /// The line, its end included.
    pub fn line(&self, level: Level, target: &str, said: &Said) -> Result<String, fmt::Error> {
        let mut line = String::with_capacity(256);
        match self.format {
            Format::Text => self.text(&mut line, level, target, said)?,
            Format::Json => self.json(&mut line, level, target, said)?,
        }
        line.push('\n');
        Ok(line)
    }

    fn text(&self, line: &mut String, level: Level, target: &str, said: &Said) -> fmt::Result {
        let (colour, end) = match level {
            _ if !self.is_coloured => ("", ""),
            Level::ERROR => ("\x1b[31m", "\x1b[0m"),
            Level::WARN => ("\x1b[33m", "\x1b[0m"),
            Level::INFO => ("\x1b[32m", "\x1b[0m"),
            _ => ("\x1b[34m", "\x1b[0m"),
        };
        SystemTime.format_time(&mut Writer::new(line))?;
        write!(line, " {colour}{level:>5}{end} {target}: ")?;
        write_text(line, &said.message)?;
        for (name, value) in &said.fields {
            write!(line, " {name}=")?;
            write_text(line, value.as_str())?;
        }
        Ok(())
    }

    fn json(&self, line: &mut String, level: Level, target: &str, said: &Said) -> fmt::Result {
        line.push_str("{\"ts\":\"");
        SystemTime.format_time(&mut Writer::new(line))?;
        write!(line, "\",\"level\":\"{level}\",\"target\":")?;
        write_json(line, target)?;
        if let Some(core) = core_of_thread() {
            write!(line, ",\"core\":{core}")?;
        }
        write!(line, ",\"node\":{},\"msg\":", self.node)?;
        write_json(line, &said.message)?;
        for (name, value) in &said.fields {
            line.push(',');
            write_json(line, name)?;
            line.push(':');
            match value {
                Value::Plain(text) => line.push_str(text),
                Value::Text(text) => write_json(line, text)?,
            }
        }
        line.push('}');
        Ok(())
    }
}

/// The core that runs on the calling thread.
fn core_of_thread() -> Option<usize> {
    std::thread::current().name()?.strip_prefix("core-")?.parse().ok()
}

/// Our own errors put their advice on a line of its own, indented: here it goes on behind a mark.
fn write_text(line: &mut String, text: &str) -> fmt::Result {
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\n' && letters.peek() == Some(&' ') {
            while letters.next_if_eq(&' ').is_some() {}
            line.push_str("; ");
        } else {
            write_escaped(line, letter)?;
        }
    }
    Ok(())
}

fn write_json(line: &mut String, text: &str) -> fmt::Result {
    line.push_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?);
    Ok(())
}

impl Said {
    /// An event of this message alone.
    pub fn of(message: String) -> Self {
        Self { message: cut(message), fields: Vec::new() }
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Plain(text) | Value::Text(text)) => self.message = cut(text),
            (name, Value::Plain(text)) => self.fields.push((name, Value::Plain(text))),
            (name, Value::Text(text)) => self.fields.push((name, Value::Text(cut(text)))),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Plain(value.to_string()));
    }
}

impl Value {
    fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Text(text) => text,
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, said: &Said) -> String {
        let one = OneLine { format, is_coloured: false, node: 7 };
        one.line(Level::WARN, "highwater::x", said).unwrap()
    }

    fn said(message: &str) -> Said {
        let mut said = Said::of(message.into());
        said.fields.push(("count", Value::Plain("3".into())));
        said.fields.push(("name", Value::Text("a\"\nb".into())));
        said
    }

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let text = line(Format::Text, &said("cannot\n  fix: do\x1b[2J\nnot"));
        let (_, rest) = text.split_once("Z ").unwrap();
        assert_eq!(
            rest,
            " WARN highwater::x: cannot; fix: do\\u{1b}[2J\\nnot count=3 name=a\"\\nb\n"
        );
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn json_is_json_with_flat_fields() {
        let json = line(Format::Json, &said("it\n \"said\" \u{7}"));
        assert_eq!(json.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["target"], "highwater::x");
        assert_eq!(value["node"], 7);
        assert_eq!(value["msg"], "it\n \"said\" \u{7}");
        assert_eq!(value["count"], 3);
        assert_eq!(value["name"], "a\"\nb");
        assert!(value["ts"].as_str().unwrap().ends_with('Z'));
        assert!(value.get("core").is_none(), "this thread is no core");
    }

    #[test]
    fn a_line_says_which_core_it_is_of() {
        let of_core = std::thread::Builder::new().name("core-3".into());
        let json = of_core.spawn(|| line(Format::Json, &said("x"))).unwrap().join().unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["core"], 3);
    }

    #[test]
    fn what_is_long_is_cut_between_letters() {
        let text = line(Format::Text, &Said::of("é".repeat(TEXT_BYTES_MAX)));
        assert!(text.len() < TEXT_BYTES_MAX + 100 && text.ends_with("é...\n"), "{text}");
    }
}
