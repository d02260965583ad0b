//! OffsetForLeaderEpoch (key 23): where an epoch ends, so that a reader finds out whether its log
//! has been cut (KIP-320). All partitions are asked in one round.

use super::context::Context;
use super::dispatch::Asked as AskedRequest;
use super::error::ToCode;
use crate::broker::call::FoundOffset;
use crate::broker::questions::{Asked, Question};
use crate::model::{ErrorCode, LeaderEpoch, TopicId};
use crate::protocol::message::write::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::protocol::read::offset_for_leader_epoch::OffsetForLeaderPartition;
use crate::protocol::{Parse as _, read, write};

/// What a partition may cost: its question, its answer, and their places.
const PARTITION_BYTES: usize = 256;

/// A topic of a request, owned; its id if it is there.
struct Wanted {
    name: String,
    id: Option<TopicId>,
    partitions: Vec<OffsetForLeaderPartition>,
}

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::OffsetForLeaderEpochRequest<'_>) -> usize {
    request.topics.iter().map(|topic| (topic.partitions.len() + 1) * PARTITION_BYTES).sum()
}

pub async fn answer(context: &Context, asked: &AskedRequest) -> Vec<u8> {
    let topics = asked.read(|body| {
        let request = read::OffsetForLeaderEpochRequest::parse(body, asked.version)?;
        let topics = request.topics.iter().map(|topic| Wanted {
            name: topic.topic.to_owned(),
            id: context.shard.image().topic(topic.topic).map(|topic| topic.id),
            partitions: topic.partitions.iter().collect(),
        });
        Ok(topics.collect::<Vec<_>>())
    });
    let questions: Vec<Question> = topics.iter().flat_map(Wanted::questions).collect();
    let mut said = context.shard.ask(&questions).await.into_iter();
    let mut answer = write::OffsetForLeaderEpochResponse::default();
    for Wanted { name, id, partitions } in topics {
        let mut part = |query: OffsetForLeaderPartition| {
            let result = match id {
                Some(_) => {
                    let said = said.next().expect("each question has its answer");
                    said.map_err(|error| error.code())
                }
                None => Err(ErrorCode::UnknownTopicOrPartition),
            };
            describe(query.partition, result)
        };
        let partitions = partitions.into_iter().map(&mut part).collect();
        answer.topics.push(OffsetForLeaderTopicResult { topic: name.into(), partitions });
    }
    asked.answer(&answer)
}

impl Wanted {
    /// One for each partition of a topic that is there.
    fn questions(&self) -> impl Iterator<Item = Question> + '_ {
        self.id.into_iter().flat_map(|topic| {
            self.partitions.iter().map(move |query| Question {
                topic,
                partition: query.partition,
                current: LeaderEpoch(query.current_leader_epoch),
                what: Asked::EpochEnd(LeaderEpoch(query.leader_epoch)),
            })
        })
    }
}

fn describe(partition: i32, result: Result<FoundOffset, ErrorCode>) -> EpochEndOffset {
    let mut part =
        EpochEndOffset { partition, leader_epoch: -1, end_offset: -1, ..EpochEndOffset::default() };
    match result {
        Ok(found) => (part.leader_epoch, part.end_offset) = (found.leader_epoch.0, found.offset.0),
        Err(code) => part.error_code = code.code(),
    }
    part
}
