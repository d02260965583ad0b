//! The notation of messages, and its parser.
//!
//! One file per API (request and response), record or other message. `src/protocol/schema/README.md`
//! explains it to those who write it.

use std::collections::BTreeSet;

/// A closed range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub low: i16,
    pub high: i16,
}

impl Versions {
    pub fn covers(self, other: Self) -> bool {
        self.low <= other.low && self.high >= other.high
    }

    pub fn contains(self, version: i16) -> bool {
        (self.low..=self.high).contains(&version)
    }
}

/// What a file is about.
#[derive(Debug)]
pub enum Kind {
    Api { key: i16, advertised: Versions },
    Record { key: i16 },
    Message,
}

/// One schema file.
#[derive(Debug)]
pub struct Schema {
    /// File name without its end; also the name of the generated modules.
    pub stem: String,
    /// The comment at the top.
    pub about: Vec<String>,
    pub kind: Kind,
    pub name: String,
    pub versions: Versions,
    /// First flexible version.
    pub flexible: Option<i16>,
    /// Messages first in each section, then the structs they hold, then the shared ones.
    pub structs: Vec<Struct>,
}

#[derive(Debug)]
pub struct Struct {
    pub name: String,
    /// Whether this is a whole message.
    pub root: bool,
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    /// Kafka's name.
    pub name: String,
    pub kind: Type,
    pub versions: Versions,
    /// Versions in which it may be null.
    pub null: Option<Versions>,
    pub tag: Option<u32>,
    pub default: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Uint32,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Schema {
    pub fn flexible_in(&self, version: i16) -> bool {
        self.flexible.is_some_and(|from| version >= from)
    }

    /// The struct of a name; the parser has made sure that there is one.
    pub fn get(&self, name: &str) -> &Struct {
        self.structs.iter().find(|s| s.name == name).expect("the parser resolved every name")
    }
}

/// A line that means something.
struct Line<'t> {
    number: usize,
    depth: usize,
    words: Vec<&'t str>,
}

/// Parses one schema file. Errors name file and line.
pub fn parse(stem: &str, text: &str) -> Result<Schema, String> {
    let about = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_string())
        .collect();
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default().trim_end();
        let words: Vec<&str> = content.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let indent = content.len() - content.trim_start().len();
        if indent % 2 != 0 {
            return Err(format!("{stem}:{}: indent by two spaces", index + 1));
        }
        lines.push(Line { number: index + 1, depth: indent / 2, words });
    }
    let mut parser = Parser { stem, lines: &lines, at: 0, structs: Vec::new() };
    parser.schema(about)
}

struct Parser<'t> {
    stem: &'t str,
    lines: &'t [Line<'t>],
    at: usize,
    structs: Vec<Struct>,
}

impl<'t> Parser<'t> {
    fn schema(&mut self, about: Vec<String>) -> Result<Schema, String> {
        let words = self.lines.first().map(|line| line.words.clone()).unwrap_or_default();
        self.at = 1;
        let key_of = |word: &str| self.number(word);
        let (key, rest) = match words.as_slice() {
            ["api" | "record", key, rest @ ..] => (key_of(key)?, rest),
            ["message", rest @ ..] => (-1, rest),
            _ => return Err(self.error("a schema starts with api, record or message")),
        };
        let [name, versions, "flexible", flexible, rest @ ..] = rest else {
            return Err(self.error("expected: NAME VERSIONS flexible FROM"));
        };
        let versions = self.versions(versions, i16::MAX)?;
        let flexible = match *flexible {
            "none" => None,
            from => Some(self.versions(from, versions.high)?.low),
        };
        let advertised = match rest {
            ["advertised", range] => self.versions(range, versions.high)?,
            [] => versions,
            _ => return Err(self.error("unknown words at the end")),
        };
        let kind = match words[0] {
            "api" => Kind::Api { key, advertised },
            "record" => Kind::Record { key },
            _ => Kind::Message,
        };
        while self.at < self.lines.len() {
            self.section(name, versions)?;
        }
        let schema = Schema {
            stem: self.stem.to_string(),
            about,
            kind,
            name: (*name).to_string(),
            versions,
            flexible,
            structs: std::mem::take(&mut self.structs),
        };
        self.check(&schema)?;
        Ok(schema)
    }

    /// `request`, `response`, `body` or `struct NAME`, with its fields.
    fn section(&mut self, message: &str, versions: Versions) -> Result<(), String> {
        let line = &self.lines[self.at];
        let (name, root) = match line.words.as_slice() {
            _ if line.depth > 0 => return Err(self.error_at(line, "too deep")),
            ["request"] => (format!("{message}Request"), true),
            ["response"] => (format!("{message}Response"), true),
            ["body"] => (message.to_string(), true),
            ["struct", name] => ((*name).to_string(), false),
            _ => return Err(self.error_at(line, "expected request, response, body or struct")),
        };
        self.at += 1;
        self.fields(name, root, 1, versions)
    }

    /// The fields of a struct, which lie `depth` deep; structs inside follow it.
    fn fields(
        &mut self,
        name: String,
        root: bool,
        depth: usize,
        outer: Versions,
    ) -> Result<(), String> {
        let place = self.structs.len();
        self.structs.push(Struct { name, root, versions: outer, fields: Vec::new() });
        while let Some(line) = self.lines.get(self.at) {
            if line.depth < depth {
                break;
            }
            if line.depth > depth {
                return Err(self.error_at(line, "too deep"));
            }
            self.at += 1;
            let field = self.field(line, outer)?;
            if self.lines.get(self.at).is_some_and(|next| next.depth > depth) {
                let Some(inner) = field.kind.struct_name() else {
                    return Err(self.error_at(line, "only a struct has fields"));
                };
                self.fields(inner.to_string(), false, depth + 1, field.versions)?;
            }
            self.structs[place].fields.push(field);
        }
        Ok(())
    }

    /// `NAME TYPE [VERSIONS] [null [VERSIONS]] [tag N] [default VALUE]`
    fn field(&self, line: &Line<'t>, outer: Versions) -> Result<Field, String> {
        let at = |message: String| format!("{}:{}: {message}", self.stem, line.number);
        let [name, kind, rest @ ..] = line.words.as_slice() else {
            return Err(at("a field has a name and a type".to_string()));
        };
        let mut words = rest.iter().copied().peekable();
        let range = |words: &mut std::iter::Peekable<_>, outer: Versions| {
            let is_range = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
            match words.next_if(is_range) {
                Some(word) => self.versions(word, outer.high).map_err(&at),
                None => Ok(outer),
            }
        };
        let versions = range(&mut words, outer)?;
        if !outer.covers(versions) {
            return Err(at(format!("{name} lives longer than what holds it")));
        }
        let (mut null, mut tag, mut default) = (None, None, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| at(format!("{word} needs a value")));
            match word {
                "null" => null = Some(range(&mut words, versions)?),
                "tag" => tag = Some(value()?.parse().map_err(|_| at("bad tag".to_string()))?),
                "default" => default = Some(value()?.to_string()),
                _ => return Err(at(format!("unknown word {word}"))),
            }
        }
        if tag.is_some() && null.is_some_and(|null| null != versions) {
            return Err(
                at("a tagged field may be null in all its versions or in none".to_string()),
            );
        }
        let kind = Type::parse(kind).ok_or_else(|| at(format!("unknown type {kind}")))?;
        Ok(Field { name: (*name).to_string(), kind, versions, null, tag, default })
    }

    /// `3`, `3-7` or `3+`, which ends at `high`.
    fn versions(&self, word: &str, high: i16) -> Result<Versions, String> {
        let versions = match (word.strip_suffix('+'), word.split_once('-')) {
            (Some(low), _) => Versions { low: self.number(low)?, high },
            (None, Some((low, high))) => {
                Versions { low: self.number(low)?, high: self.number(high)? }
            }
            (None, None) => Versions { low: self.number(word)?, high: self.number(word)? },
        };
        if versions.low > versions.high {
            return Err(self.error(&format!("{word} is no range of versions")));
        }
        Ok(versions)
    }

    fn number(&self, word: &str) -> Result<i16, String> {
        word.parse().map_err(|_| self.error(&format!("{word} is no number")))
    }

    /// Names are known and unique, tags are unique and only where flexible.
    fn check(&self, schema: &Schema) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for structure in &schema.structs {
            if !names.insert(&structure.name) {
                return Err(self.error(&format!("{} is there twice", structure.name)));
            }
        }
        for structure in &schema.structs {
            let mut tags = BTreeSet::new();
            let mut fields = BTreeSet::new();
            for field in &structure.fields {
                let told = format!("{}.{}", structure.name, field.name);
                if !fields.insert(&field.name) {
                    return Err(self.error(&format!("{told} is there twice")));
                }
                if let Some(name) = field.kind.struct_name()
                    && !names.iter().any(|known| *known == name)
                {
                    return Err(self.error(&format!("{told}: no struct {name}")));
                }
                let Some(tag) = field.tag else { continue };
                if !tags.insert(tag) || tag >= 128 {
                    return Err(self.error(&format!("{told}: tag {tag} is taken or too large")));
                }
                if !schema.flexible_in(field.versions.low) {
                    return Err(self.error(&format!("{told}: tags need flexible versions")));
                }
            }
        }
        Ok(())
    }

    fn error(&self, message: &str) -> String {
        let number = self.lines.get(self.at.saturating_sub(1)).map_or(0, |line| line.number);
        format!("{}:{number}: {message}", self.stem)
    }

    fn error_at(&self, line: &Line<'t>, message: &str) -> String {
        format!("{}:{}: {message}", self.stem, line.number)
    }
}

impl Type {
    fn parse(word: &str) -> Option<Self> {
        if let Some(inner) = word.strip_prefix("[]") {
            return Some(Self::Array(Box::new(Self::parse(inner)?)));
        }
        Some(match word {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint16" => Self::Uint16,
            "uint32" => Self::Uint32,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Self::Struct(name.to_string())
            }
            _ => return None,
        })
    }

    /// The struct that this is, or that this is an array of.
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(inner) => inner.struct_name(),
            _ => None,
        }
    }
}
