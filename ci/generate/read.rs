//! The reading half: borrowed views and how they are parsed.

use crate::rust::{self, condition, field_doc, method, number_default, number_type, struct_type};
use crate::schema::{Field, Kind, Schema, Struct, Type, Versions};
use crate::value;
use std::fmt::Write as _;

/// The module that reads one schema.
pub fn module(schema: &Schema) -> String {
    let mut out = String::new();
    for structure in &schema.structs {
        declare(&mut out, schema, structure);
        default(&mut out, schema, structure);
        if structure.root {
            message(&mut out, schema, structure, rust::borrows(schema, structure, true));
        }
        element(&mut out, schema, structure);
        to_write(&mut out, schema, structure);
    }
    value::module(&mut out, schema);
    out
}

/// `impl Message`, which both halves have.
pub fn message(out: &mut String, schema: &Schema, structure: &Struct, lifetime: bool) {
    let lifetime = if lifetime { "<'_>" } else { "" };
    let Versions { low, high } = schema.versions;
    let api = match schema.kind {
        Kind::Api { .. } => format!("Some(ApiKey::{})", schema.name),
        _ => "None".to_string(),
    };
    let name = &structure.name;
    let flexible = schema.flexible;
    let _ = write!(
        out,
        "impl Message for {name}{lifetime} {{
            const NAME: &'static str = \"{name}\";
            const API: Option<ApiKey> = {api};
            const VERSIONS: RangeInclusive<i16> = {low}..={high};
            const FLEXIBLE_FROM: Option<i16> = {flexible:?};
        }}\n\n"
    );
}

fn declare(out: &mut String, schema: &Schema, structure: &Struct) {
    if structure.root {
        let _ = writeln!(out, "/// {}, {}.", structure.name, rust::versions_text(schema));
    }
    let name = struct_type(schema, &structure.name, true);
    let _ = writeln!(out, "#[derive(Clone, Copy, Debug, PartialEq)]\npub struct {name} {{");
    for field in &structure.fields {
        let doc = field_doc(field, structure.versions);
        let _ =
            writeln!(out, "{doc}pub {}: {},", rust::snake(&field.name), view_type(schema, field));
    }
    out.push_str("}\n\n");
}

fn view_type(schema: &Schema, field: &Field) -> String {
    let plain = element_type(schema, &field.kind);
    if field.null.is_some() { format!("Option<{plain}>") } else { plain }
}

fn element_type(schema: &Schema, kind: &Type) -> String {
    match kind {
        Type::String => "&'a str".to_string(),
        Type::Bytes => "Pieces<'a>".to_string(),
        Type::Records => "Records<'a>".to_string(),
        Type::Struct(name) => struct_type(schema, name, true),
        Type::Array(inner) => format!("Array<'a, {}>", element_type(schema, inner)),
        number => number_type(number).to_string(),
    }
}

/// What a view holds for a field that the version does not have.
pub fn absent(field: &Field) -> String {
    match &field.kind {
        _ if field.null.is_some() => "None".to_string(),
        Type::String => "\"\"".to_string(),
        Type::Bytes => "Pieces::default()".to_string(),
        Type::Records => "Records::default()".to_string(),
        Type::Array(_) => "Array::default()".to_string(),
        Type::Struct(name) => format!("{name}::default()"),
        _ => number_default(field),
    }
}

fn default(out: &mut String, schema: &Schema, structure: &Struct) {
    let lifetime = if rust::borrows(schema, structure, true) { "<'_>" } else { "" };
    let _ = writeln!(
        out,
        "impl Default for {}{lifetime} {{\nfn default() -> Self {{\nSelf {{",
        structure.name
    );
    for field in &structure.fields {
        let _ = writeln!(out, "{}: {},", rust::snake(&field.name), absent(field));
    }
    out.push_str("}\n}\n}\n\n");
}

fn element(out: &mut String, schema: &Schema, structure: &Struct) {
    let tagged = rust::tagged(structure);
    let name = struct_type(schema, &structure.name, true);
    let size_min = rust::size_min(schema, structure);
    let mut body = String::new();
    for field in &structure.fields {
        let snake = rust::snake(&field.name);
        if field.tag.is_some() {
            let _ = writeln!(body, "let mut {snake} = {};", absent(field));
            continue;
        }
        let read = read_expression(field);
        let _ = match condition(field.versions, structure.versions) {
            None => writeln!(body, "let {snake} = {read};"),
            Some(when) => {
                let absent = absent(field);
                writeln!(body, "let {snake} = if {when} {{ {read} }} else {{ {absent} }};")
            }
        };
    }
    read_tags(&mut body, schema, structure, &tagged);
    let fields: Vec<String> = structure.fields.iter().map(|f| rust::snake(&f.name)).collect();
    let version = if rust::asks_version(&body) { "let version = r.version();\n" } else { "" };
    let reader = if body.is_empty() { "_" } else { "r" };
    let _ = write!(
        out,
        "impl<'a> Element<'a> for {name} {{
            const SIZE_MIN: usize = {size_min};

            fn read({reader}: &mut Reader<'a>, _: &'static str) -> Result<Self, ProtocolError> {{
                {version}{body}Ok(Self {{ {} }})
            }}
        }}\n\n",
        fields.join(", ")
    );
}

/// The expression that reads a field's value.
fn read_expression(field: &Field) -> String {
    let name = &field.name;
    let (plain, nullable) = match &field.kind {
        Type::Struct(kind) => {
            (format!("{kind}::read(r, \"{name}\")?"), format!("r.optional(\"{name}\")?"))
        }
        kind => {
            let method = method(kind);
            (format!("r.{method}(\"{name}\")?"), format!("r.{method}_nullable(\"{name}\")?"))
        }
    };
    match field.null.map(|null| condition(null, field.versions)) {
        None => plain,
        Some(None) => nullable,
        Some(Some(when)) => format!("if {when} {{ {nullable} }} else {{ Some({plain}) }}"),
    }
}

fn read_tags(body: &mut String, schema: &Schema, structure: &Struct, tagged: &[&Field]) {
    if schema.flexible.is_none() {
        return;
    }
    let name = &structure.name;
    if tagged.is_empty() {
        let _ = writeln!(body, "r.tags(\"{name}\", |_, _| Ok(false))?;");
        return;
    }
    let _ = writeln!(body, "r.tags(\"{name}\", |tag, r| {{\nmatch tag {{");
    for field in tagged {
        let tag = field.tag.expect("only tagged fields are here");
        let guard = match condition(field.versions, structure.versions) {
            Some(when) => format!(" if {when}"),
            None => String::new(),
        };
        let snake = rust::snake(&field.name);
        let read = read_expression(field);
        let _ = writeln!(body, "{tag}{guard} => {snake} = {read},");
    }
    body.push_str("_ => return Ok(false),\n}\nOk(true)\n})?;\n");
}

/// The way from a view to the struct of the writing half.
fn to_write(out: &mut String, schema: &Schema, structure: &Struct) {
    let name = &structure.name;
    let view = struct_type(schema, name, true);
    let target = struct_type(schema, name, false);
    let header =
        if view.contains('<') { format!("impl<'a> {view}") } else { format!("impl {view}") };
    let mut fields = String::new();
    for field in &structure.fields {
        let snake = rust::snake(&field.name);
        let _ = writeln!(fields, "{snake}: {},", converted(field, &format!("self.{snake}")));
    }
    let _ = write!(
        out,
        "{header} {{
            /// The same message as the writing half holds it. This one allocates.
            pub fn to_write(&self) -> write::{target} {{
                write::{name} {{ {fields} }}
            }}
        }}\n\n"
    );
}

fn converted(field: &Field, value: &str) -> String {
    let one = |value: &str| match &field.kind {
        Type::String => format!("{value}.into()"),
        Type::Bytes => format!("cow({value})"),
        Type::Records => format!("{value}.to_gap()"),
        Type::Struct(_) => format!("{value}.to_write()"),
        Type::Array(inner) => match **inner {
            Type::String => format!("{value}.iter().map(Into::into).collect()"),
            Type::Bytes => format!("{value}.iter().map(cow).collect()"),
            Type::Struct(_) => format!("{value}.iter().map(|x| x.to_write()).collect()"),
            _ => format!("{value}.iter().collect()"),
        },
        _ => value.to_string(),
    };
    if field.null.is_some() { format!("{value}.map(|x| {})", one("x")) } else { one(value) }
}
