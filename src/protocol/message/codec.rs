//! What every generated message has: a name, versions, and a way in or out.

use super::ApiKey;
use crate::protocol::{Element, ProtocolError, Reader, Writer};
use std::ops::RangeInclusive;

/// Facts of a message that both halves share.
pub trait Message {
    const NAME: &'static str;
    /// The API of a request or response; none for records.
    const API: Option<ApiKey>;
    const VERSIONS: RangeInclusive<i16>;
    /// First version with compact lengths and tagged fields (KIP-482).
    const FLEXIBLE_FROM: Option<i16>;
}

/// A message that can be read.
pub trait Parse<'a>: Message + Element<'a> {
    /// Reads a whole message. Everything in it is checked now: walking it later does not fail.
    /// Bytes that follow it are an error, except behind a request: Kafka does not look at them,
    /// and librdkafka's Metadata request of version 13 for all topics ends with three of them.
    fn parse(reader: Reader<'a>, version: i16) -> Result<Self, ProtocolError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(ProtocolError::Version { message: Self::NAME, version });
        }
        let mut reader = reader.with_version(version, Self::FLEXIBLE_FROM);
        let message = Self::read(&mut reader, Self::NAME)?;
        if !Self::NAME.ends_with("Request") {
            reader.finish(Self::NAME)?;
        }
        Ok(message)
    }
}

impl<'a, T: Message + Element<'a>> Parse<'a> for T {}

/// A struct that can be put into a message of the writer's version.
pub trait Put {
    fn put(&self, writer: &mut Writer);
}

/// A message that can be written.
pub trait Encode: Message + Put {
    /// Appends the message, which must have this version.
    fn encode(&self, version: i16, writer: &mut Writer) {
        assert!(Self::VERSIONS.contains(&version));
        writer.set_version(version, Self::FLEXIBLE_FROM);
        self.put(writer);
    }
}

impl<T: Message + Put> Encode for T {}

/// A request, which knows its answer: for clients.
pub trait Request: Encode {
    const KEY: ApiKey;
    type Answer<'a>: Parse<'a>;
}

/// What is known of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFacts {
    /// Kafka's name, without "Request".
    pub name: &'static str,
    /// Versions that can be read and written.
    pub versions: RangeInclusive<i16>,
    /// Versions that an ApiVersions answer names. Not always the same: Produce is advertised from
    /// 0, because librdkafka takes its absence for an ancient broker (KAFKA-18659), and an unstable
    /// newest version is kept back.
    pub advertised: RangeInclusive<i16>,
    pub flexible_from: Option<i16>,
}

impl ApiKey {
    /// The number on the wire.
    pub const fn key(self) -> i16 {
        self as i16
    }

    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether a request of this version can be read.
    pub fn has_version(self, version: i16) -> bool {
        self.facts().versions.contains(&version)
    }

    /// Whether the version has compact lengths and tagged fields, in its headers too. Versions not
    /// known yet count as later ones.
    pub fn is_flexible(self, version: i16) -> bool {
        self.facts().flexible_from.is_some_and(|from| version >= from)
    }
}
