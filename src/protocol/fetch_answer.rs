//! The answer to Fetch, written while the partitions come home; nothing is collected, and the
//! records stay where they are: each partition leaves a gap that the sender fills from the file.
//!
//! `begin`, then per topic `topic` and as many `partition`s as it announced, then `end`.

use super::message::write::{FetchResponse, fetch};
use super::message::{Message as _, Put as _};
use super::writer::Writer;
use crate::model::{ErrorCode, Uuid};

/// A FetchResponse on its way into a writer.
#[derive(Debug)]
pub struct FetchAnswer<'w> {
    writer: &'w mut Writer,
    topics_left: usize,
    partitions_left: usize,
}

/// What a Fetch answer says of itself, before any topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchHead {
    pub throttle_time_ms: i32,
    /// Of the whole request, from version 7.
    pub error: ErrorCode,
    /// 0 outside of a session, from version 7.
    pub session_id: i32,
}

impl<'w> FetchAnswer<'w> {
    /// Begins the body of an answer for `topic_count` topics.
    pub fn begin(
        writer: &'w mut Writer,
        version: i16,
        head: FetchHead,
        topic_count: usize,
    ) -> Self {
        assert!(FetchResponse::VERSIONS.contains(&version));
        writer.set_version(version, FetchResponse::FLEXIBLE_FROM);
        writer.i32(head.throttle_time_ms);
        if version >= 7 {
            writer.i16(head.error.code());
            writer.i32(head.session_id);
        }
        writer.len(Some(topic_count));
        Self { writer, topics_left: topic_count, partitions_left: 0 }
    }

    /// The next topic: its name goes to version 12, its id from 13 on.
    pub fn topic(&mut self, name: &str, id: Uuid, partition_count: usize) {
        assert!(self.partitions_left == 0);
        self.topics_left = self.topics_left.checked_sub(1).expect("begin announced this topic");
        if self.writer.version() >= 13 {
            self.writer.uuid(id);
        } else {
            self.writer.string(name);
        }
        self.writer.len(Some(partition_count));
        self.partitions_left = partition_count;
        self.topic_end();
    }

    /// The next partition of the topic, with a gap for its records.
    pub fn partition(&mut self, partition: &fetch::PartitionData) {
        self.partitions_left = self.partitions_left.checked_sub(1).expect("topic announced it");
        partition.put(self.writer);
        self.topic_end();
    }

    /// Ends the body. `leaders` says where the leaders named by partitions are (from version 16).
    pub fn end(self, leaders: &[fetch::NodeEndpoint<'_>]) {
        assert!(self.topics_left == 0);
        assert!(self.partitions_left == 0);
        let mut tags = self.writer.tags_begin();
        if self.writer.version() >= 16 && !leaders.is_empty() {
            self.writer.tag(&mut tags, 0, |w| w.array(leaders, |w, leader| leader.put(w)));
        }
        self.writer.tags_end(tags);
    }

    /// A topic's tags follow its last partition.
    fn topic_end(&mut self) {
        if self.partitions_left == 0 {
            let tags = self.writer.tags_begin();
            self.writer.tags_end(tags);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Encode as _;
    use crate::protocol::random::{Random as _, Seed};

    #[test]
    fn the_streamed_answer_is_the_generated_one() {
        for version in FetchResponse::VERSIONS {
            for seed in 0..50 {
                let mut whole = FetchResponse::random(&mut Seed(seed), version);
                let error = ErrorCode::from_code(whole.error_code).unwrap_or(ErrorCode::None);
                whole.error_code = error.code();
                let mut expected = Writer::new();
                whole.encode(version, &mut expected);

                let head = FetchHead {
                    throttle_time_ms: whole.throttle_time_ms,
                    error,
                    session_id: whole.session_id,
                };
                let mut writer = Writer::new();
                let count = whole.responses.len();
                let mut answer = FetchAnswer::begin(&mut writer, version, head, count);
                for topic in &whole.responses {
                    answer.topic(&topic.topic, topic.topic_id, topic.partitions.len());
                    for partition in &topic.partitions {
                        answer.partition(partition);
                    }
                }
                answer.end(&whole.node_endpoints);
                assert_eq!(writer.as_bytes(), expected.as_bytes(), "version {version} seed {seed}");
                assert_eq!(writer.gaps(), expected.gaps());
                assert_eq!(writer.wire_len(), expected.wire_len());
            }
        }
    }
}
