//! Questions about offsets: which offset answers a query, where an epoch ends. The partitions of a
//! request are asked in one round: every owner once, all of them side by side.

use super::call::{Call, FoundOffset, OffsetError, OffsetQuery, Reply};
use super::shard::Shard;
use crate::model::{LeaderEpoch, TopicId};
use std::rc::Rc;

/// Questions that an owner answers before others have their turn.
const QUESTIONS_PER_TURN_MAX: usize = 256;

/// One question to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub topic: TopicId,
    pub partition: i32,
    /// What the client takes for the leader's epoch; -1 if it does not know.
    pub current: LeaderEpoch,
    pub what: Asked,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Which offset answers this query?
    Offset(OffsetQuery),
    /// Which is the largest epoch that is not newer than this one, and where does it end? The
    /// answer has no timestamp.
    EpochEnd(LeaderEpoch),
}

/// What a partition says.
pub type Said = Result<FoundOffset, OffsetError>;

impl Shard {
    /// Asks the owners of the partitions; gives what they say in the order of the questions.
    pub async fn ask(self: &Rc<Self>, questions: &[Question]) -> Vec<Said> {
        let place = |question: &Question| (question.topic, question.partition);
        let answers = |reply| match reply {
            Reply::Said(said) => said,
            _ => unreachable!("questions have answers"),
        };
        self.round(questions, place, Call::Questions, answers).await
    }

    /// Answers questions to partitions that this shard owns.
    pub(super) async fn answer_questions(self: &Rc<Self>, questions: &[Question]) -> Vec<Said> {
        let mut all = Vec::with_capacity(questions.len());
        for turn in questions.chunks(QUESTIONS_PER_TURN_MAX) {
            if !all.is_empty() {
                self.core().turn_end().await;
            }
            for question in turn {
                all.push(self.answer_question(question).await);
            }
        }
        all
    }

    async fn answer_question(&self, question: &Question) -> Said {
        let partition = self
            .partition(question.topic, question.partition)
            .ok_or(OffsetError::UnknownPartition)?;
        match question.what {
            Asked::Offset(query) => partition.find_offset(self, question.current, query).await,
            Asked::EpochEnd(epoch) => {
                let (leader_epoch, offset) = partition.epoch_end(question.current, epoch)?;
                let timestamp = crate::model::Timestamp::NONE;
                Ok(FoundOffset { offset, timestamp, leader_epoch })
            }
        }
    }
}
