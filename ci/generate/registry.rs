//! Tables over all schemas: API keys with their facts, and the enums of metadata records.

use crate::rust::struct_type;
use crate::schema::{Kind, Schema};
use std::fmt::Write as _;

/// The enum of API keys.
pub fn api_key(schemas: &[Schema]) -> String {
    let mut apis: Vec<_> = schemas
        .iter()
        .filter_map(|schema| match schema.kind {
            Kind::Api { key, advertised } => Some((key, advertised, schema)),
            _ => None,
        })
        .collect();
    apis.sort_by_key(|(key, ..)| *key);
    let (mut variants, mut all, mut from, mut facts, mut list) =
        (String::new(), String::new(), String::new(), String::new(), String::new());
    for (key, advertised, schema) in &apis {
        let name = &schema.name;
        let (valid, flexible) = (schema.versions, schema.flexible);
        let _ = writeln!(variants, "{name} = {key},");
        let _ = write!(all, "Self::{name}, ");
        let _ = writeln!(from, "{key} => Self::{name},");
        let _ = write!(list, "{name}: {name}Request {name}Response, ");
        let _ = writeln!(
            facts,
            "Self::{name} => &ApiFacts {{ name: \"{name}\", versions: {}..={}, \
             advertised: {}..={}, flexible_from: {flexible:?} }},",
            valid.low, valid.high, advertised.low, advertised.high
        );
    }
    format!(
        "use super::ApiFacts;

        /// Number of an API on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {{ {variants} }}

        impl ApiKey {{
            /// Every API that has a schema, by key.
            pub const ALL: &[Self] = &[{all}];

            /// The API of a key on the wire.
            pub const fn from_key(key: i16) -> Option<Self> {{
                Some(match key {{ {from} _ => return None }})
            }}

            pub const fn facts(self) -> &'static ApiFacts {{
                match self {{ {facts} }}
            }}
        }}

        /// Hands all APIs, by key, to a macro of the caller's: `Key: Request Response, ...`, behind what
        /// else it is given. So what is to be done for every API forgets none.
        #[macro_export]
        macro_rules! for_each_api {{
            ($with:ident; $($first:tt)*) => {{ $with! {{ $($first)*; {list} }} }};
        }}
        "
    )
}

/// Metadata records by key.
fn records(schemas: &[Schema]) -> Vec<(i16, &Schema)> {
    let mut records: Vec<_> = schemas
        .iter()
        .filter_map(|schema| match schema.kind {
            Kind::Record { key } => Some((key, schema)),
            _ => None,
        })
        .collect();
    records.sort_by_key(|(key, _)| *key);
    records
}

/// What the enums of both halves begin with: the uses, and the variants.
fn record_parts(schemas: &[Schema], view: bool) -> (String, String) {
    let (mut uses, mut variants) = (String::new(), String::new());
    for (_, schema) in records(schemas) {
        let name = &schema.name;
        let _ = writeln!(uses, "use super::{}::{name};", schema.stem);
        let _ = writeln!(variants, "{}({}),", variant(name), struct_type(schema, name, view));
    }
    (uses, variants)
}

fn variant(name: &str) -> &str {
    name.strip_suffix("Record").unwrap_or(name)
}

/// The enum of metadata records as they are read.
pub fn metadata_record_view(schemas: &[Schema]) -> String {
    let (uses, variants) = record_parts(schemas, true);
    let mut reads = String::new();
    for (key, schema) in records(schemas) {
        let name = &schema.name;
        let _ = writeln!(reads, "{key} => Self::{}({name}::parse(body, version)?),", variant(name));
    }
    format!(
        "{uses}use crate::protocol::message::Parse as _;
        use crate::protocol::{{ProtocolError, Reader}};

        /// A record of the metadata log.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum MetadataRecord<'a> {{ {variants} }}

        impl<'a> MetadataRecord<'a> {{
            /// Reads the body of the record with this key.
            pub(in crate::protocol) fn parse_body(
                key: u32,
                version: u32,
                body: Reader<'a>,
            ) -> Result<Self, ProtocolError> {{
                let unknown = ProtocolError::RecordKey {{ key, version }};
                let version = i16::try_from(version).map_err(|_| unknown)?;
                Ok(match key {{ {reads} _ => return Err(unknown) }})
            }}
        }}
        "
    )
}

/// The enum of metadata records as they are written.
pub fn metadata_record_plain(schemas: &[Schema]) -> String {
    let (uses, variants) = record_parts(schemas, false);
    let (mut keys, mut puts, mut froms) = (String::new(), String::new(), String::new());
    for (key, schema) in records(schemas) {
        let (name, variant) = (&schema.name, variant(&schema.name));
        let _ = writeln!(keys, "Self::{variant}(_) => ({key}, {name}::VERSIONS),");
        let _ = writeln!(puts, "Self::{variant}(record) => record.encode(version, w),");
        let plain = struct_type(schema, name, false);
        let generics = if plain.contains('<') { "<'a>" } else { "" };
        let lifetime = if plain.contains('<') { "'a" } else { "'_" };
        let _ = write!(
            froms,
            "impl{generics} From<{plain}> for MetadataRecord<{lifetime}> {{
                fn from(record: {plain}) -> Self {{ Self::{variant}(record) }}
            }}\n\n"
        );
    }
    format!(
        "{uses}use crate::protocol::message::{{Encode as _, Message as _}};
        use crate::protocol::Writer;
        use std::ops::RangeInclusive;

        /// A record of the metadata log.
        #[derive(Clone, Debug, PartialEq)]
        pub enum MetadataRecord<'a> {{ {variants} }}

        impl MetadataRecord<'_> {{
            /// The record's key, and the versions that it has.
            pub fn key(&self) -> (u32, RangeInclusive<i16>) {{
                match self {{ {keys} }}
            }}

            /// Writes the body alone.
            pub(in crate::protocol) fn encode_body(&self, version: i16, w: &mut Writer) {{
                match self {{ {puts} }}
            }}
        }}

        {froms}"
    )
}
