//! The writing half: plain structs and how they are put on the wire.

use crate::read;
use crate::rust::{self, condition, field_doc, method, number_default, number_type, struct_type};
use crate::schema::{Field, Kind, Schema, Struct, Type};
use std::fmt::Write as _;

/// The module that writes one schema.
pub fn module(schema: &Schema) -> String {
    let mut out = String::new();
    for structure in &schema.structs {
        declare(&mut out, schema, structure);
        default(&mut out, schema, structure);
        if structure.root {
            read::message(&mut out, schema, structure, rust::borrows(schema, structure, false));
            request(&mut out, schema, structure);
        }
        put(&mut out, schema, structure);
        random(&mut out, schema, structure);
    }
    out
}

/// `impl Request`, which tells a client what it will get.
fn request(out: &mut String, schema: &Schema, structure: &Struct) {
    let Some(api) = structure.name.strip_suffix("Request") else { return };
    if !matches!(schema.kind, Kind::Api { .. }) {
        return;
    }
    let lifetime = if rust::borrows(schema, structure, false) { "<'_>" } else { "" };
    let answer = rust::struct_type(schema, &format!("{api}Response"), true);
    let name = &structure.name;
    let _ = write!(
        out,
        "impl Request for {name}{lifetime} {{
            const KEY: ApiKey = ApiKey::{api};
            type Answer<'a> = read::{answer};
        }}\n\n"
    );
}

fn declare(out: &mut String, schema: &Schema, structure: &Struct) {
    if structure.root {
        let _ = writeln!(out, "/// {}, {}.", structure.name, rust::versions_text(schema));
    }
    let name = struct_type(schema, &structure.name, false);
    let _ = writeln!(out, "#[derive(Clone, Debug, PartialEq)]\npub struct {name} {{");
    for field in &structure.fields {
        let doc = field_doc(field, structure.versions);
        let snake = rust::snake(&field.name);
        let _ = writeln!(out, "{doc}pub {snake}: {},", plain_type(schema, field));
    }
    out.push_str("}\n\n");
}

fn plain_type(schema: &Schema, field: &Field) -> String {
    let plain = element_type(schema, &field.kind);
    if field.null.is_some() { format!("Option<{plain}>") } else { plain }
}

fn element_type(schema: &Schema, kind: &Type) -> String {
    match kind {
        Type::String => "Cow<'a, str>".to_string(),
        Type::Bytes => "Cow<'a, [u8]>".to_string(),
        Type::Records => "RecordsGap".to_string(),
        Type::Struct(name) => struct_type(schema, name, false),
        Type::Array(inner) => format!("Vec<{}>", element_type(schema, inner)),
        number => number_type(number).to_string(),
    }
}

/// Nullable fields start as null, but records as empty: librdkafka refuses a Fetch answer whose
/// records are null.
fn default_value(field: &Field) -> String {
    match &field.kind {
        Type::Records if field.null.is_some() => "Some(RecordsGap::default())".to_string(),
        _ if field.null.is_some() => "None".to_string(),
        Type::String => "Cow::Borrowed(\"\")".to_string(),
        Type::Bytes => "Cow::Borrowed(&[])".to_string(),
        Type::Records => "RecordsGap::default()".to_string(),
        Type::Array(_) => "Vec::new()".to_string(),
        Type::Struct(name) => format!("{name}::default()"),
        _ => number_default(field),
    }
}

fn default(out: &mut String, schema: &Schema, structure: &Struct) {
    let lifetime = if rust::borrows(schema, structure, false) { "<'_>" } else { "" };
    let name = &structure.name;
    let _ = writeln!(out, "impl Default for {name}{lifetime} {{\nfn default() -> Self {{\nSelf {{");
    for field in &structure.fields {
        let _ = writeln!(out, "{}: {},", rust::snake(&field.name), default_value(field));
    }
    out.push_str("}\n}\n}\n\n");
}

fn put(out: &mut String, schema: &Schema, structure: &Struct) {
    let mut body = String::new();
    for field in structure.fields.iter().filter(|field| field.tag.is_none()) {
        let statement = put_statement(field);
        let _ = match condition(field.versions, structure.versions) {
            None => writeln!(body, "{statement}"),
            Some(when) => writeln!(body, "if {when} {{ {statement} }}"),
        };
    }
    if schema.flexible.is_some() {
        put_tags(&mut body, structure);
    }
    let version = if rust::asks_version(&body) { "let version = w.version();\n" } else { "" };
    let lifetime = if rust::borrows(schema, structure, false) { "<'_>" } else { "" };
    let writer = if body.is_empty() { "_" } else { "w" };
    let _ = write!(
        out,
        "impl Put for {}{lifetime} {{\nfn put(&self, {writer}: &mut Writer) {{\n{version}{body}}}\n}}\n\n",
        structure.name
    );
}

/// The statement that writes a field which the version has.
fn put_statement(field: &Field) -> String {
    let value = format!("self.{}", rust::snake(&field.name));
    match field.null.map(|null| condition(null, field.versions)) {
        None => put_plain(&field.kind, &value),
        Some(None) => put_nullable(&field.kind, &value),
        Some(Some(when)) => {
            let nullable = put_nullable(&field.kind, &value);
            let plain = match &field.kind {
                Type::Struct(_) => format!("{value}.clone().unwrap_or_default().put(w);"),
                Type::Records => format!("w.records({value}.unwrap_or_default());"),
                kind => put_slice(kind, "", &format!("{value}.as_deref().unwrap_or_default()")),
            };
            format!("if {when} {{ {nullable} }} else {{ {plain} }}")
        }
    }
}

fn put_plain(kind: &Type, value: &str) -> String {
    match kind {
        Type::Struct(_) => format!("{value}.put(w);"),
        Type::String | Type::Bytes | Type::Array(_) => put_slice(kind, "", &format!("&{value}")),
        kind => format!("w.{}({value});", method(kind)),
    }
}

fn put_nullable(kind: &Type, value: &str) -> String {
    match kind {
        Type::Struct(_) => format!(
            "w.optional({value}.is_some());\nif let Some(value) = &{value} {{ value.put(w); }}"
        ),
        Type::Records => format!("w.records_nullable({value});"),
        kind => put_slice(kind, "_nullable", &format!("{value}.as_deref()")),
    }
}

/// Strings, bytes and arrays: what dereferences to a slice.
fn put_slice(kind: &Type, suffix: &str, value: &str) -> String {
    let name = method(kind);
    match kind {
        Type::Array(inner) => {
            let each = match &**inner {
                Type::Struct(_) => "x.put(w)".to_string(),
                Type::String | Type::Bytes => format!("w.{}(x)", method(inner)),
                number => format!("w.{}(*x)", method(number)),
            };
            format!("w.{name}{suffix}({value}, |w, x| {each});")
        }
        _ => format!("w.{name}{suffix}({value});"),
    }
}

/// Tagged fields go out in the order of their tags, and only those that differ from the default.
fn put_tags(body: &mut String, structure: &Struct) {
    let tagged = rust::tagged(structure);
    let binding = if tagged.is_empty() { "let tags" } else { "let mut tags" };
    let _ = writeln!(body, "{binding} = w.tags_begin();");
    for field in tagged {
        let value = format!("self.{}", rust::snake(&field.name));
        let set = match &field.kind {
            _ if field.null.is_some() => format!("{value}.is_some()"),
            Type::String | Type::Bytes | Type::Array(_) => format!("!{value}.is_empty()"),
            _ => format!("{value} != {}", default_value(field)),
        };
        let when = condition(field.versions, structure.versions);
        let when = when.map_or(String::new(), |when| when + " && ");
        let tag = field.tag.expect("only tagged fields are here");
        let statement = put_statement(field);
        let _ =
            writeln!(body, "if {when}{set} {{ w.tag(&mut tags, {tag}, |w| {{ {statement} }}); }}");
    }
    body.push_str("w.tags_end(tags);\n");
}

/// A random message for tests: only what the version can carry, so that it comes back equal.
fn random(out: &mut String, schema: &Schema, structure: &Struct) {
    let lifetime = if rust::borrows(schema, structure, false) { "<'_>" } else { "" };
    let mut body = String::new();
    for field in &structure.fields {
        let snake = rust::snake(&field.name);
        let value = random_value(field);
        let value = match condition(field.versions, structure.versions) {
            None => value,
            Some(when) => format!("if {when} {{ {value} }} else {{ {} }}", absent(field)),
        };
        let _ = writeln!(body, "{snake}: {value},");
    }
    let seed = if structure.fields.is_empty() { "_" } else { "seed" };
    let version = if rust::asks_version(&body) { "version" } else { "_" };
    let _ = write!(
        out,
        "#[cfg(test)]
        impl Random for {}{lifetime} {{
            fn random({seed}: &mut Seed, {version}: i16) -> Self {{
                Self {{ {body} }}
            }}
        }}\n\n",
        structure.name
    );
}

/// What a view shows for a field that the version does not have.
fn absent(field: &Field) -> String {
    if field.null.is_some() { "None".to_string() } else { default_value(field) }
}

fn random_value(field: &Field) -> String {
    let one = random_one(&field.kind);
    match field.null.map(|null| condition(null, field.versions)) {
        None => one,
        Some(None) => format!("seed.maybe(|seed| {one})"),
        Some(Some(when)) => {
            format!("if {when} {{ seed.maybe(|seed| {one}) }} else {{ Some({one}) }}")
        }
    }
}

fn random_one(kind: &Type) -> String {
    match kind {
        Type::Struct(name) => format!("{name}::random(seed, version)"),
        Type::Array(inner) => format!("seed.many(|seed| {})", random_one(inner)),
        kind => format!("seed.{}()", method(kind)),
    }
}
