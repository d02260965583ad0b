//! The topics that members of the consumer protocol subscribe to, which decide what may expire.
//!
//! Only the beginning of a subscription is read: `| version int16 | topics []string | ...`, which
//! every version has in front.

use crate::model::TopicName;
use crate::protocol::{Array, ProtocolError, Reader};
use std::collections::BTreeSet;

/// Kafka's name of the protocol of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// Adds a member's topics. A name that no topic can have is left out: it has no offsets.
pub(super) fn add_topics(
    metadata: &[u8],
    topics: &mut BTreeSet<TopicName>,
) -> Result<(), ProtocolError> {
    let mut reader = Reader::one(metadata);
    reader.i16("Version")?;
    let names: Array<'_, &str> = reader.array("Topics")?;
    topics.extend(names.iter().filter_map(|name| TopicName::parse(name).ok()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(metadata: &[u8]) -> Option<Vec<String>> {
        let mut topics = BTreeSet::new();
        add_topics(metadata, &mut topics).ok()?;
        Some(topics.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn topics_of_every_version_are_read_and_nonsense_is_not() {
        let version_0 = b"\0\0\0\0\0\x02\0\x01b\0\x01a\xff\xff\xff\xff";
        assert_eq!(topics(version_0), Some(vec!["a".into(), "b".into()]));
        let version_3 = b"\0\x03\0\0\0\x01\0\x01a\xff\xff\xff\xff\0\0\0\0\0\0\0\x05\xff\xff";
        assert_eq!(topics(version_3), Some(vec!["a".into()]));
        assert_eq!(topics(b"\0\0\0\0\0\x01\0\x03a/b"), Some(vec![]));
        assert_eq!(topics(b""), None);
        assert_eq!(topics(b"\0\0\x7f\xff\xff\xff"), None);
        assert_eq!(topics(b"\0\0\0\0\0\x01\0\x09a"), None);
    }
}
