//! Topic names by Kafka's rules (`org.apache.kafka.common.internals.Topic`).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest legal topic name in characters.
pub const NAME_LEN_MAX: usize = 249;

/// The topic that keeps groups and what they have committed.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A legal topic name: shared, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a name is refused. The texts are what Kafka's clients print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(&'static str),
    #[error("Topic name is invalid: the length of the name is {0}, the longest allowed is 249")]
    TooLong(usize),
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII \
         alphanumerics, '.', '_' and '-'"
    )]
    Character(String),
}

impl TopicName {
    /// Parses a name that came from outside.
    pub fn parse(name: &str) -> Result<Self, TopicNameError> {
        match name {
            "" => return Err(TopicNameError::Empty),
            "." => return Err(TopicNameError::Dots(".")),
            ".." => return Err(TopicNameError::Dots("..")),
            _ => {}
        }
        if name.len() > NAME_LEN_MAX {
            return Err(TopicNameError::TooLong(name.chars().count()));
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !name.bytes().all(legal) {
            return Err(TopicNameError::Character(name.escape_debug().to_string()));
        }
        Ok(Self(name.into()))
    }

    /// As much of what a client takes for a topic's name as texts repeat: an answer may have a text
    /// for each partition.
    pub fn shown(name: &str) -> &str {
        let end = name.char_indices().nth(NAME_LEN_MAX).map_or(name.len(), |(at, _)| at);
        &name[..end]
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Kafka's internal topics, which clients may not write.
    pub fn is_internal(&self) -> bool {
        matches!(self.as_str(), OFFSETS_TOPIC | "__transaction_state" | "__share_group_state")
    }

    /// What two names must not share: metric names fold '.' and '_' together.
    pub fn collision_key(&self) -> String {
        self.0.replace('.', "_")
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for name in ["", ".", "..", "a/b", "a\0b", "ü", "a b", &"x".repeat(250)] {
            assert!(TopicName::parse(name).is_err(), "{name:?}");
        }
        for name in ["a", "...", "a.b_c-9", &"x".repeat(249)] {
            assert!(TopicName::parse(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn texts_repeat_a_name_as_far_as_it_could_be_one() {
        let name = "x".repeat(249);
        assert_eq!(TopicName::shown(&name), name);
        assert_eq!(TopicName::shown(&"ü".repeat(1000)), "ü".repeat(249));
        assert_eq!(TopicName::shown(""), "");
    }
}
