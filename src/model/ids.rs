//! Kafka's 128-bit ids: topics, directories, clusters. Printed as base64url without padding
//! (22 characters), as `kafka-storage.sh random-uuid` does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// A 128-bit id, big-endian on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// Identity of a topic over its whole life; a topic made again under the same name gets another.
pub type TopicId = Uuid;

impl Uuid {
    pub const ZERO: Self = Self([0; 16]);

    /// Kafka's id of `__cluster_metadata` (`Uuid.METADATA_TOPIC_ID`, value 1).
    pub const METADATA_TOPIC: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether Kafka keeps this id for itself: 0 to 99 (`Uuid.RESERVED`).
    pub fn is_reserved(self) -> bool {
        u128::from_be_bytes(self.0) < 100
    }

    /// An id from 16 random bytes (version 4 bits set), or `None` if Kafka would draw again:
    /// reserved, or its text would start with '-', which command lines take for an option.
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Self> {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Self(bytes);
        (!id.is_reserved() && !id.to_string().starts_with('-')).then_some(id)
    }

    /// Parses the 22 characters that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_the_same_id() {
        let id = Uuid([0xfb; 16]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(Uuid::parse(&id.to_string()), Some(id));
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid::parse("short"), None);
    }

    #[test]
    fn an_id_that_reads_like_an_option_is_drawn_again() {
        assert_eq!(Uuid::from_random([0xf8; 16]), None);
        assert!(Uuid::from_random([0x11; 16]).is_some());
    }
}
