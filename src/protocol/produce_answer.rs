//! The answer to Produce, written while the partitions come home; nothing is collected.
//!
//! `begin`, then per topic `topic` and as many `partition`s as it announced, then `end`.

use super::message::write::{ProduceResponse, produce};
use super::message::{Message as _, Put as _};
use super::writer::Writer;
use crate::model::Uuid;

/// A ProduceResponse on its way into a writer.
#[derive(Debug)]
pub struct ProduceAnswer<'w> {
    writer: &'w mut Writer,
    topics_left: usize,
    partitions_left: usize,
}

impl<'w> ProduceAnswer<'w> {
    /// Begins the body of an answer for `topic_count` topics.
    pub fn begin(writer: &'w mut Writer, version: i16, topic_count: usize) -> Self {
        assert!(ProduceResponse::VERSIONS.contains(&version));
        writer.set_version(version, ProduceResponse::FLEXIBLE_FROM);
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

    /// The next partition of the topic.
    pub fn partition(&mut self, partition: &produce::PartitionProduceResponse<'_>) {
        self.partitions_left = self.partitions_left.checked_sub(1).expect("topic announced it");
        partition.put(self.writer);
        self.topic_end();
    }

    /// Ends the body. `leaders` says where the leaders named by partitions are (from version 10).
    pub fn end(self, throttle_time_ms: i32, leaders: &[produce::NodeEndpoint<'_>]) {
        assert!(self.topics_left == 0);
        assert!(self.partitions_left == 0);
        self.writer.i32(throttle_time_ms);
        let mut tags = self.writer.tags_begin();
        if self.writer.version() >= 10 && !leaders.is_empty() {
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
        for version in ProduceResponse::VERSIONS {
            for seed in 0..50 {
                let whole = ProduceResponse::random(&mut Seed(seed), version);
                let mut expected = Writer::new();
                whole.encode(version, &mut expected);

                let mut writer = Writer::new();
                let mut answer = ProduceAnswer::begin(&mut writer, version, whole.responses.len());
                for topic in &whole.responses {
                    let partitions = &topic.partition_responses;
                    answer.topic(&topic.name, topic.topic_id, partitions.len());
                    for partition in partitions {
                        answer.partition(partition);
                    }
                }
                answer.end(whole.throttle_time_ms, &whole.node_endpoints);
                assert_eq!(writer.as_bytes(), expected.as_bytes(), "version {version} seed {seed}");
            }
        }
    }
}
