//! What a command prints: data on standard output, words for people on standard error.
//!
//! A command hands over one value and the tables that show it. The format decides:
//!
//! ```text
//!   table       aligned columns, sizes as 1.5 MiB
//!   json        {"_cmd":"topic.list","_v":1,"data":...} on one line
//!   json-rows   the same for each element of the data, a line each
//!   tsv         the main table, separated by tabs, sizes in bytes
//!   plain       the first column of the main table
//! ```
//!
//! JSON is an interface: fields are added, never renamed or removed, or `_v` grows.

use super::failure::Failure;
use super::grammar::show_size;
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

/// How data are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    JsonRows,
    Tsv,
    Plain,
}

/// Where a command's words go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output {
    pub format: Format,
    pub no_headers: bool,
    /// Says no more than what failed.
    pub quiet: bool,
    /// 1 tells what is done, 2 also tells causes.
    pub verbose: u8,
}

/// What stands behind JSON's `data`: which command it is of, in which version of its shape.
#[derive(Serialize)]
struct Envelope<'a, T: ?Sized> {
    _cmd: &'a str,
    _v: u32,
    data: &'a T,
}

/// A piece of what people see.
#[derive(Clone, Debug)]
pub enum Block {
    Table(Table),
    /// Names with their values, one a line.
    Facts(Vec<(&'static str, Cell)>),
    Words(String),
}

/// Rows under headings. Of a command's tables the first is the main one.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    Number(i64),
    Bytes(u64),
    /// Not known, or not there.
    Missing,
}

impl Output {
    /// Prints what a command found.
    pub fn show<T: Serialize + ?Sized>(
        &self,
        command: &str,
        data: &T,
        blocks: &[Block],
    ) -> Result<(), Failure> {
        let tables = || {
            blocks.iter().filter_map(|block| match block {
                Block::Table(table) => Some(table),
                Block::Facts(_) | Block::Words(_) => None,
            })
        };
        let text = match self.format {
            Format::Json => json(command, data)?,
            Format::JsonRows => json_rows(command, data)?,
            Format::Table => self.page(blocks),
            Format::Tsv | Format::Plain => match tables().next() {
                Some(table) => self.lines(table),
                None => self.facts(blocks),
            },
        };
        print(&text)
    }

    /// Prints one of many values as it comes, as a line of its own; for json and json-rows.
    pub fn row<T: Serialize + ?Sized>(&self, command: &str, data: &T) -> Result<(), Failure> {
        print(&json(command, data)?)
    }

    /// Whether data are printed for programs, as JSON.
    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::JsonRows)
    }

    /// Tells a person what happened.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }

    /// Tells a person who asked for more (-v).
    pub fn detail(&self, text: &str) {
        if self.verbose > 0 {
            tell(text);
        }
    }

    /// Tells what failed.
    pub fn error(&self, text: &str) {
        tell(&format!("error: {text}"));
    }

    /// Whether a person can be asked: standard input and standard error are terminals.
    pub fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether progress can be shown.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    fn page(&self, blocks: &[Block]) -> String {
        let mut parts = Vec::new();
        for block in blocks {
            parts.push(match block {
                Block::Table(table) if table.rows.is_empty() && self.no_headers => continue,
                Block::Table(table) => self.grid(table),
                Block::Facts(facts) => aligned(facts),
                Block::Words(words) => format!("{words}\n"),
            });
        }
        parts.join("\n")
    }

    fn grid(&self, table: &Table) -> String {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.no_headers {
            grid.set_header(table.columns.iter().map(|name| name.to_uppercase()));
        }
        for row in &table.rows {
            grid.add_row(row.iter().map(Cell::shown));
        }
        for (index, column) in grid.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            let is_number = |row: &Vec<Cell>| {
                matches!(row.get(index), Some(Cell::Number(_) | Cell::Bytes(_) | Cell::Missing))
            };
            if !table.rows.is_empty() && table.rows.iter().all(is_number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = String::new();
        for line in grid.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn lines(&self, table: &Table) -> String {
        let is_plain = self.format == Format::Plain;
        let mut text = String::new();
        if !self.no_headers && !is_plain {
            text.push_str(&table.columns.join("\t").to_lowercase().replace(' ', "_"));
            text.push('\n');
        }
        for row in &table.rows {
            let cells: Vec<_> = row.iter().map(Cell::raw).collect();
            text.push_str(&if is_plain {
                cells.first().cloned().unwrap_or_default()
            } else {
                cells.join("\t")
            });
            text.push('\n');
        }
        text
    }

    fn facts(&self, blocks: &[Block]) -> String {
        let is_plain = self.format == Format::Plain;
        let mut text = String::new();
        for block in blocks {
            match block {
                Block::Facts(facts) => {
                    for (name, value) in facts {
                        let line = if is_plain {
                            value.raw()
                        } else {
                            format!("{}\t{}", name.to_lowercase().replace(' ', "_"), value.raw())
                        };
                        text.push_str(&line);
                        text.push('\n');
                    }
                }
                Block::Words(words) => {
                    text.push_str(words);
                    text.push('\n');
                }
                Block::Table(_) => {}
            }
        }
        text
    }
}

impl Table {
    pub fn new(columns: impl Into<Vec<&'static str>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        assert!(cells.len() == self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }
}

impl Cell {
    /// A list, separated by commas.
    pub fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
        if items.is_empty() { Self::Missing } else { Self::Text(items.join(",")) }
    }

    /// For people.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => visible(text),
            Self::Number(number) => number.to_string(),
            Self::Bytes(bytes) => show_size(*bytes),
            Self::Missing => "-".to_owned(),
        }
    }

    /// For programs that split at tabs and line ends.
    fn raw(&self) -> String {
        match self {
            Self::Text(text) => visible(text),
            Self::Number(number) => number.to_string(),
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Missing => String::new(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

/// Text of others without what would move a terminal's cursor or break a line.
pub fn visible(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let show =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}

fn aligned(facts: &[(&'static str, Cell)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in facts {
        _ = writeln!(text, "{name:width$}  {}", value.shown());
    }
    text
}

fn json<T: Serialize + ?Sized>(command: &str, data: &T) -> Result<String, Failure> {
    let envelope = Envelope { _cmd: command, _v: 1, data };
    let text = serde_json::to_string(&envelope).map_err(unwritable)?;
    Ok(text + "\n")
}

fn json_rows<T: Serialize + ?Sized>(command: &str, data: &T) -> Result<String, Failure> {
    match serde_json::to_value(data).map_err(unwritable)? {
        Value::Array(rows) => rows.iter().map(|row| json(command, row)).collect(),
        one => json(command, &one),
    }
}

fn unwritable(source: serde_json::Error) -> Failure {
    Failure::Io { during: "write JSON".to_owned(), source: source.into() }
}

/// Writes to standard output as a whole.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// The same for what is no text.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|source| match source.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Io { during: "write to standard output".to_owned(), source },
    })
}

/// Standard error may be closed; there is nobody to tell then.
fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Block> {
        let mut table = Table::new(["Topic", "Size", "Leader"]);
        table.row([Cell::from("a"), Cell::Bytes(2048), Cell::from(1)]);
        table.row([Cell::from("long-name"), Cell::Bytes(5), Cell::Missing]);
        vec![Block::Facts(vec![("Cluster", "c".into())]), Block::Table(table)]
    }

    #[test]
    fn a_page_is_aligned_and_ends_without_blanks() {
        let page = Output::default().page(&sample());
        let want = "Cluster  c\n\nTOPIC         SIZE  LEADER\na          2.0 KiB       1\n\
                    long-name      5 B       -\n";
        assert_eq!(page, want);
    }

    #[test]
    fn tabs_separate_the_main_table_and_plain_is_its_first_column() {
        let blocks = sample();
        let Block::Table(table) = &blocks[1] else { panic!() };
        let tsv = Output { format: Format::Tsv, ..Output::default() };
        assert_eq!(tsv.lines(table), "topic\tsize\tleader\na\t2048\t1\nlong-name\t5\t\n");
        let bare = Output { no_headers: true, ..tsv };
        assert_eq!(bare.lines(table), "a\t2048\t1\nlong-name\t5\t\n");
        let plain = Output { format: Format::Plain, ..Output::default() };
        assert_eq!(plain.lines(table), "a\nlong-name\n");
    }

    #[test]
    fn json_names_its_command_and_version() {
        assert_eq!(
            json("topic.list", &[1, 2]).unwrap(),
            "{\"_cmd\":\"topic.list\",\"_v\":1,\"data\":[1,2]}\n"
        );
        let rows = json_rows("a", &["x", "y"]).unwrap();
        assert_eq!(
            rows,
            "{\"_cmd\":\"a\",\"_v\":1,\"data\":\"x\"}\n{\"_cmd\":\"a\",\"_v\":1,\"data\":\"y\"}\n"
        );
    }

    #[test]
    fn text_of_others_moves_no_cursor() {
        assert_eq!(visible("a\x1b[2Jb\tc"), "a\\u{1b}[2Jb\\tc");
        assert_eq!(visible("grüße"), "grüße");
    }
}
