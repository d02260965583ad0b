//! Messages that people read as trees of named values: metadata records and what lies in logs.

use crate::read;
use crate::rust::{self, condition, struct_type};
use crate::schema::{Field, Kind, Schema, Struct};
use std::fmt::Write as _;

/// `impl ToValue` for the structs of a schema; APIs are not shown as trees.
pub fn module(out: &mut String, schema: &Schema) {
    if matches!(schema.kind, Kind::Api { .. }) {
        return;
    }
    for structure in &schema.structs {
        to_value(out, schema, structure);
    }
}

fn to_value(out: &mut String, schema: &Schema, structure: &Struct) {
    let name = struct_type(schema, &structure.name, true);
    let mut body = String::new();
    for field in &structure.fields {
        let snake = rust::snake(&field.name);
        let mut chars = field.name.chars();
        let first = chars.next().map(|first| first.to_ascii_lowercase());
        let spelled: String = first.into_iter().chain(chars).collect();
        let put = format!("fields.put(\"{spelled}\", self.{snake}.to_value(version));");
        let _ = match presence(field, structure) {
            None => writeln!(body, "{put}"),
            Some(when) => writeln!(body, "if {when} {{ {put} }}"),
        };
    }
    let (version, fields) = if body.is_empty() {
        ("_", "Value::Fields(Fields::default())".to_string())
    } else {
        let fields = format!("let mut fields = Fields::default();\n{body}Value::Fields(fields)");
        ("version", fields)
    };
    let _ = write!(
        out,
        "impl<'a> ToValue<'a> for {name} {{
            fn to_value(&self, {version}: i16) -> Value<'a> {{
                {fields}
            }}
        }}\n\n"
    );
}

/// When a field is shown: in versions that have it; with a tag, if it differs from its default.
fn presence(field: &Field, structure: &Struct) -> Option<String> {
    let version = condition(field.versions, structure.versions);
    let differs = field.tag.map(|_| {
        let snake = rust::snake(&field.name);
        match read::absent(field).as_str() {
            "None" => format!("self.{snake}.is_some()"),
            "Array::default()" => format!("!self.{snake}.is_empty()"),
            "Uuid::ZERO" => format!("!self.{snake}.is_zero()"),
            absent => format!("self.{snake} != {absent}"),
        }
    });
    match (version, differs) {
        (Some(version), Some(differs)) => Some(format!("{version} && {differs}")),
        (version, differs) => version.or(differs),
    }
}
