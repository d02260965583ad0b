//! Names, types and conditions in Rust that reading and writing share.

use crate::schema::{Field, Schema, Struct, Type, Versions};

/// `TopicData` and `topicData` become `topic_data`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        before = c;
    }
    match out.as_str() {
        "type" => "kind".to_string(),
        "match" => "match_kind".to_string(),
        _ => out,
    }
}

/// The condition under which a field of `inner` is there, in a struct of `outer`; `None`: always.
pub fn condition(inner: Versions, outer: Versions) -> Option<String> {
    match (inner.low > outer.low, inner.high < outer.high) {
        (false, false) => None,
        (true, false) => Some(format!("version >= {}", inner.low)),
        (false, true) => Some(format!("version <= {}", inner.high)),
        (true, true) => Some(format!("({}..={}).contains(&version)", inner.low, inner.high)),
    }
}

/// Whether a struct borrows: views also through arrays, whatever these hold.
pub fn borrows(schema: &Schema, structure: &Struct, view: bool) -> bool {
    structure.fields.iter().any(|field| type_borrows(schema, &field.kind, view))
}

fn type_borrows(schema: &Schema, kind: &Type, view: bool) -> bool {
    match kind {
        Type::String | Type::Bytes => true,
        Type::Records => view,
        Type::Array(inner) => view || type_borrows(schema, inner, view),
        Type::Struct(name) => borrows(schema, schema.get(name), view),
        _ => false,
    }
}

/// A struct's name with its lifetime.
pub fn struct_type(schema: &Schema, name: &str, view: bool) -> String {
    let lifetime = if borrows(schema, schema.get(name), view) { "<'a>" } else { "" };
    format!("{name}{lifetime}")
}

/// The method of `Reader` and `Writer` for a type that is neither array nor struct.
pub fn method(kind: &Type) -> &'static str {
    match kind {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Int32 => "i32",
        Type::Int64 => "i64",
        Type::Uint16 => "u16",
        Type::Uint32 => "u32",
        Type::Float64 => "f64",
        Type::Uuid => "uuid",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Records => "records",
        Type::Array(_) => "array",
        Type::Struct(_) => unreachable!("structs read and write themselves"),
    }
}

/// The Rust type of a number, bool or uuid.
pub fn number_type(kind: &Type) -> &'static str {
    match kind {
        Type::Uuid => "Uuid",
        kind => method(kind),
    }
}

/// The default of a number, bool or uuid.
pub fn number_default(field: &Field) -> String {
    match (&field.kind, field.default.as_deref()) {
        (Type::Uuid, _) => "Uuid::ZERO".to_string(),
        (Type::Bool, default) => default.unwrap_or("false").to_string(),
        (Type::Float64, default) => format!("{}f64", default.unwrap_or("0")),
        (Type::Int32, Some("2147483647")) => "i32::MAX".to_string(),
        (Type::Int32, Some("-2147483648")) => "i32::MIN".to_string(),
        (Type::Int64, Some("9223372036854775807")) => "i64::MAX".to_string(),
        (_, default) => default.unwrap_or("0").to_string(),
    }
}

/// Fewest bytes that a struct takes in any of its versions.
pub fn size_min(schema: &Schema, structure: &Struct) -> usize {
    let Versions { low, high } = structure.versions;
    (low..=high).map(|version| struct_size(schema, structure, version)).min().unwrap_or(0)
}

fn struct_size(schema: &Schema, structure: &Struct, version: i16) -> usize {
    let fields =
        structure.fields.iter().filter(|f| f.tag.is_none() && f.versions.contains(version));
    let sizes = fields.map(|field| match &field.kind {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::Struct(_) if field.null.is_some() => 1,
        Type::Struct(name) => struct_size(schema, schema.get(name), version),
        Type::String | Type::Bytes | Type::Records | Type::Array(_)
            if schema.flexible_in(version) =>
        {
            1
        }
        Type::String => 2,
        Type::Bytes | Type::Records | Type::Array(_) => 4,
    });
    sizes.sum::<usize>() + usize::from(schema.flexible_in(version))
}

/// Tagged fields in the order of their tags.
pub fn tagged(structure: &Struct) -> Vec<&Field> {
    let mut fields: Vec<&Field> = structure.fields.iter().filter(|f| f.tag.is_some()).collect();
    fields.sort_by_key(|field| field.tag);
    fields
}

/// `versions 3-13, flexible from 9`
pub fn versions_text(schema: &Schema) -> String {
    let Versions { low, high } = schema.versions;
    let range =
        if low == high { format!("version {low}") } else { format!("versions {low}-{high}") };
    match schema.flexible {
        Some(from) if from > low => format!("{range}, flexible from {from}"),
        Some(_) => format!("{range}, flexible"),
        None => format!("{range}, never flexible"),
    }
}

/// When a field is there, for its doc line; empty when always.
pub fn presence(field: &Field, outer: Versions) -> String {
    let mut notes = Vec::new();
    match (field.versions.low > outer.low, field.versions.high < outer.high) {
        (false, false) => {}
        (true, false) => notes.push(format!("from version {}", field.versions.low)),
        (false, true) => notes.push(format!("to version {}", field.versions.high)),
        (true, true) => {
            notes.push(format!("versions {}-{}", field.versions.low, field.versions.high));
        }
    }
    if let Some(null) = field.null
        && null.low > field.versions.low
    {
        notes.push(format!("null from version {}", null.low));
    }
    if let Some(tag) = field.tag {
        notes.push(format!("tag {tag}"));
    }
    notes.join(", ")
}

/// A doc line of presence, ready to be put before a field.
pub fn field_doc(field: &Field, outer: Versions) -> String {
    let text = presence(field, outer);
    match text.chars().next() {
        Some(first) => format!("/// {}{}.\n", first.to_ascii_uppercase(), &text[1..]),
        None => String::new(),
    }
}

/// Whether a body asks which version it is in. Fields may have `version` in their names.
pub fn asks_version(body: &str) -> bool {
    ["if version ", "&version)", "seed, version)"].iter().any(|use_of| body.contains(use_of))
}
