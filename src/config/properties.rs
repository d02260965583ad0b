//! Java's .properties syntax: comments, continued lines, escapes, three kinds of separators.
//!
//! One difference, on purpose: Java reads the file as Latin-1, this reads UTF-8, so that a path
//! with an umlaut means what the editor shows. A line that is not UTF-8 is a fault.
//!
//! A line at fault does not hide the others: faults are collected, so that all that is wrong with a
//! file can be told at once.

use std::fmt;

/// Bounds of what is read; a real file has a hundred lines.
pub const FILE_BYTES_MAX: usize = 1 << 20;
const LINE_BYTES_MAX: usize = 64 << 10;
const ENTRY_COUNT_MAX: usize = 10_000;
/// Faults that are told of one file; what has more is no settings file.
const FAULT_COUNT_MAX: usize = 100;

/// Settings as written, in the order in which they count: the file's, then the environment's, then
/// those of flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<Property>,
    faults: Vec<PropertiesError>,
    remarks: Vec<String>,
}

/// One setting as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file, from 1.
    Line(u32),
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line, as `--listen`.
    Flag(String),
    /// What a broker without a file is set to.
    Ours,
}

/// What is not in the syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    #[error("the file has {0} bytes, more than the {FILE_BYTES_MAX} that are read")]
    FileTooLarge(usize),
    #[error("line {line} is not UTF-8; save the file as UTF-8, or write \\uXXXX for the character")]
    NotUtf8 { line: u32 },
    #[error("line {line} has more than {LINE_BYTES_MAX} bytes with its continuations")]
    LineTooLong { line: u32 },
    #[error("line {line}: a \\u needs four hexadecimal digits, as in \\u00e9; a plain \\ is \\\\")]
    BadEscape { line: u32 },
    #[error("line {line} has a value and no key before it")]
    NoKey { line: u32 },
    #[error("more than {ENTRY_COUNT_MAX} settings")]
    TooMany,
    #[error("{0} is not UTF-8; write it in UTF-8, or unset it")]
    VariableNotUtf8(String),
}

impl PropertiesError {
    /// The line that it is about.
    pub(super) fn line(&self) -> Option<u32> {
        match *self {
            Self::NotUtf8 { line }
            | Self::LineTooLong { line }
            | Self::BadEscape { line }
            | Self::NoKey { line } => Some(line),
            Self::FileTooLarge(_) | Self::TooMany | Self::VariableNotUtf8(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
            Self::Ours => f.write_str("default"),
        }
    }
}

impl Properties {
    /// Parses a whole file. What is at fault in single lines is in [`Self::faults`]; an error is about
    /// the file as a whole.
    pub fn parse(file: &[u8]) -> Result<Self, PropertiesError> {
        if file.len() > FILE_BYTES_MAX {
            return Err(PropertiesError::FileTooLarge(file.len()));
        }
        let mut properties = Self { faults: not_utf8(file), ..Self::default() };
        let text = String::from_utf8_lossy(file);
        let mut lines = Lines { rest: text.strip_prefix('\u{feff}').unwrap_or(&text), line: 0 };
        while let Some(logical) = lines.next_logical() {
            match logical.and_then(|(line, text)| property(line, &text)) {
                Ok(_) if properties.entries.len() == ENTRY_COUNT_MAX => {
                    return Err(PropertiesError::TooMany);
                }
                Ok(entry) => properties.entries.push(entry),
                Err(fault) if properties.faults.len() < FAULT_COUNT_MAX => {
                    properties.faults.push(fault);
                }
                Err(_) => break,
            }
        }
        Ok(properties)
    }

    /// Adds a setting of the command line; it wins over what was there.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.set_by("the command line", key, value);
    }

    /// Adds a setting that this flag gives; it wins over what was there.
    pub fn set_by(&mut self, flag: &str, key: impl Into<String>, value: impl Into<String>) {
        self.push(Property {
            key: key.into(),
            value: value.into(),
            origin: Origin::Flag(flag.to_owned()),
        });
    }

    pub(super) fn push(&mut self, entry: Property) {
        self.entries.push(entry);
    }

    pub(super) fn add_fault(&mut self, fault: PropertiesError) {
        self.faults.push(fault);
    }

    pub(super) fn add_remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// What is not in the syntax. With a fault no broker starts.
    pub fn faults(&self) -> &[PropertiesError] {
        &self.faults
    }

    /// What the operator is told of that is no setting.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// All settings as written. A key may come twice; the last one counts.
    pub fn entries(&self) -> &[Property] {
        &self.entries
    }

    /// The value that counts.
    pub fn get(&self, key: &str) -> Option<&Property> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }
}

/// Walks logical lines: blanks and comments skipped, continuations joined.
struct Lines<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Lines<'a> {
    fn next_natural(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        let rest = rest.strip_prefix('\r').unwrap_or(rest);
        // "\r\n" is one break; a lone "\n" was not stripped by the line above.
        self.rest = rest.strip_prefix('\n').unwrap_or(rest);
        Some(line.trim_start_matches(is_blank))
    }

    fn next_logical(&mut self) -> Option<Result<(u32, String), PropertiesError>> {
        let (first, mut part) = loop {
            match self.next_natural()? {
                line if line.is_empty() || line.starts_with(['#', '!']) => {}
                line => break (self.line, line),
            }
        };
        let mut logical = String::new();
        loop {
            let is_continued = is_continued(part);
            // Of what is too long the rest is skipped, not kept.
            if logical.len() <= LINE_BYTES_MAX {
                logical.push_str(if is_continued { &part[..part.len() - 1] } else { part });
            }
            match self.next_natural_if(is_continued) {
                Some(next) => part = next,
                None if logical.len() > LINE_BYTES_MAX => {
                    return Some(Err(PropertiesError::LineTooLong { line: first }));
                }
                None => return Some(Ok((first, logical))),
            }
        }
    }

    fn next_natural_if(&mut self, is_continued: bool) -> Option<&'a str> {
        if is_continued { self.next_natural() } else { None }
    }
}

/// The setting of a logical line.
fn property(line: u32, logical: &str) -> Result<Property, PropertiesError> {
    let (key, value) = split(logical);
    let key = unescape(key, line)?;
    if key.is_empty() {
        return Err(PropertiesError::NoKey { line });
    }
    Ok(Property { key, value: unescape(value, line)?, origin: Origin::Line(line) })
}

/// A fault for each line that is not UTF-8.
fn not_utf8(file: &[u8]) -> Vec<PropertiesError> {
    let mut faults = Vec::new();
    let mut line = 1;
    for chunk in file.utf8_chunks() {
        line += chunk.valid().bytes().filter(|&b| b == b'\n').count() as u32;
        let fault = PropertiesError::NotUtf8 { line };
        if !chunk.invalid().is_empty()
            && faults.last() != Some(&fault)
            && faults.len() < FAULT_COUNT_MAX
        {
            faults.push(fault);
        }
    }
    faults
}

/// A line goes on if it ends in an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Splits at the first separator that is not escaped: blanks, with at most one `=` or `:` in them.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|c: char| {
        let is_end = !is_escaped && (is_blank(c) || c == '=' || c == ':');
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str, line: u32) -> Result<String, PropertiesError> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let bad = PropertiesError::BadEscape { line };
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        if escaped == Some('u') {
            // Java's \u is a UTF-16 unit: a pair of them can be one character.
            let digits: String = chars.by_ref().take(4).collect();
            let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let unit = is_hex.then(|| u16::from_str_radix(&digits, 16).ok()).flatten();
            units.push(unit.ok_or_else(|| bad.clone())?);
            continue;
        }
        flush(&mut units, &mut out).ok_or_else(|| bad.clone())?;
        match (c, escaped) {
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('f')) => out.push('\x0c'),
            ('\\', Some(other)) => out.push(other),
            ('\\', None) => {}
            (plain, _) => out.push(plain),
        }
    }
    flush(&mut units, &mut out).ok_or(bad)?;
    Ok(out)
}

fn flush(units: &mut Vec<u16>, out: &mut String) -> Option<()> {
    if !units.is_empty() {
        out.push_str(&String::from_utf16(units).ok()?);
        units.clear();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(file: &str, expected: &[(&str, &str, u32)]) {
        let parsed = Properties::parse(file.as_bytes()).unwrap();
        let found: Vec<_> = parsed
            .entries()
            .iter()
            .map(|e| match e.origin {
                Origin::Line(line) => (e.key.as_str(), e.value.as_str(), line),
                ref other => panic!("{other} is not a line"),
            })
            .collect();
        assert_eq!(found, expected, "{file:?}");
        assert_eq!(parsed.faults(), [], "{file:?}");
    }

    #[test]
    fn separators_are_equals_colon_and_blanks() {
        check(
            "a=1\nb:2\nc 3\nd\t=\t4\ne",
            &[("a", "1", 1), ("b", "2", 2), ("c", "3", 3), ("d", "4", 4), ("e", "", 5)],
        );
        // Only the first separator separates; spaces at the end belong to the value.
        check("a = b=c \n", &[("a", "b=c ", 1)]);
        check("a==b", &[("a", "=b", 1)]);
        check(r"a\=b\:c\ d=e", &[("a=b:c d", "e", 1)]);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_and_counted() {
        check("# a=1\r\n  ! b=2\r\n\r\n \t\r\nc=3\r\n", &[("c", "3", 5)]);
        check("a=1\rb=2", &[("a", "1", 1), ("b", "2", 2)]);
        // A continuation may look like a comment; a comment is not continued.
        check("a=1,\\\n  #2\n# x\\\nb=3", &[("a", "1,#2", 1), ("b", "3", 4)]);
    }

    #[test]
    fn an_even_number_of_backslashes_ends_the_line() {
        check("a=x\\\\\nb=y", &[("a", "x\\", 1), ("b", "y", 2)]);
        check("a=x\\", &[("a", "x", 1)]);
    }

    #[test]
    fn escapes_are_javas() {
        check(r"a=\t\n\r\f\\\q", &[("a", "\t\n\r\x0c\\q", 1)]);
        check(r"a=\u00e9\ud83d\ude00z", &[("a", "é😀z", 1)]);
        for bad in [r"a=\u00", r"a=\u+0e9", r"a=\ud83d", r"a=\ud83dx"] {
            check_faults(bad.as_bytes(), &[PropertiesError::BadEscape { line: 1 }]);
        }
    }

    fn check_faults(file: &[u8], expected: &[PropertiesError]) {
        assert_eq!(Properties::parse(file).unwrap().faults(), expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        check_faults(b"a=1\nb=\xff", &[PropertiesError::NotUtf8 { line: 2 }]);
        check_faults(b"a=1\n=2", &[PropertiesError::NoKey { line: 2 }]);
        let long = "\\\nx".repeat(LINE_BYTES_MAX + 1);
        check_faults(format!("a={long}").as_bytes(), &[PropertiesError::LineTooLong { line: 1 }]);
        let many = "a\n".repeat(ENTRY_COUNT_MAX + 1);
        assert_eq!(Properties::parse(many.as_bytes()), Err(PropertiesError::TooMany));
    }

    #[test]
    fn all_faults_of_a_file_are_found_and_the_other_lines_are_read() {
        use PropertiesError::{BadEscape, NoKey, NotUtf8};
        let parsed = Properties::parse(b"a=\\u1\n=2\nb=\xff\xff\nc=\xfe\nd=4").unwrap();
        let expected =
            [NotUtf8 { line: 3 }, NotUtf8 { line: 4 }, BadEscape { line: 1 }, NoKey { line: 2 }];
        assert_eq!(parsed.faults(), expected);
        assert_eq!(parsed.get("d").unwrap().value, "4");
        let endless = "=\n".repeat(1000);
        assert_eq!(Properties::parse(endless.as_bytes()).unwrap().faults().len(), FAULT_COUNT_MAX);
    }

    #[test]
    fn the_last_of_two_counts() {
        let mut parsed = Properties::parse(b"a=1\na=2").unwrap();
        assert_eq!(parsed.get("a").unwrap().value, "2");
        parsed.set("a", "3");
        assert_eq!(parsed.get("a").unwrap().value, "3");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(file in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Properties::parse(&file);
        }

        #[test]
        fn an_escaped_value_comes_back(value in "[ -~\\t\\n\u{e9}]{0,40}") {
            use std::fmt::Write as _;
            let mut escaped = String::new();
            for unit in value.encode_utf16() {
                write!(escaped, "\\u{unit:04x}").unwrap();
            }
            let parsed = Properties::parse(format!("k={escaped}").as_bytes()).unwrap();
            prop_assert_eq!(&parsed.get("k").unwrap().value, &value);
        }
    }
}
