//! Calls between shards: everything that is not on the two hot roads. A call is a task at its
//! target; the caller awaits the reply under a ticket.

use super::groups::{Ask, Asker, CoordinatorError, GroupReply, Place};
use super::letter::{Letter, Ticket};
use super::questions::{Question, Said};
use super::round::{Deleted, Deletion};
use super::shard::Shard;
use crate::controller::Delta;
use crate::group::{ListFilter, ListedGroup};
use crate::log::{CheckpointKind, LogError, ProducerEntry};
use crate::model::{LeaderEpoch, Offset, Timestamp, TopicId, TopicName};
use crate::runtime::sync::{Promise, promise};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// What a shard may ask of another.
pub enum Call {
    /// About offsets of these partitions. To their owner.
    Questions(Vec<Question>),
    /// Delete the records below offsets of these partitions. To their owner.
    DeleteRecords(Vec<Deletion>),
    /// Which producers does it remember? To the partition's owner.
    Producers { topic: TopicId, partition: i32 },
    /// Where do partitions lie, and how large are they? To every shard.
    Sizes,
    /// Where does the metadata log stand? To the controller's shard.
    Quorum,
    /// Write down where all logs begin. To the controller's shard.
    SaveLogStarts,
    /// Change the cluster's metadata. To the controller's shard.
    Command(super::control::Command),
    /// The cluster's metadata has changed, and its log ends here. To every shard.
    Changes { delta: Arc<Delta>, offset: Offset },
    /// A log directory is out of service. To every other shard.
    DirectoryFailed(super::directories::OfflineDirectory),
    /// Something for the coordinator of groups at a place. To the partition's owner.
    Group { place: Place, ask: Ask },
    /// Which groups do you coordinate? To every shard.
    ListGroups(ListFilter),
    /// Open the logs that this shard owns. To every shard, at start.
    Open(Box<super::open::Opening>),
    /// Answer what was begun, begin nothing more, close all client connections. To every shard, at
    /// shutdown.
    Drain,
    /// Close all logs and say how far they are durable. To every shard, at shutdown.
    CloseLogs,
    /// How far are the logs durable? To every shard, now and then.
    Checkpoints,
}

/// What comes back.
pub enum Reply {
    /// In the order of the questions.
    Said(Vec<Said>),
    /// In the order of the deletions.
    DeleteRecords(Vec<Deleted>),
    /// `None`: it is not here.
    Producers(Option<Vec<ProducerEntry>>),
    Sizes(Vec<PartitionSize>),
    Quorum(QuorumState),
    /// Whether that succeeded.
    Saved(bool),
    Command(super::control::Outcome),
    Group(GroupReply),
    Groups(Result<Vec<ListedGroup>, CoordinatorError>),
    Done,
    Opened(Result<super::open::OpenReport, String>),
    Checkpoints(Vec<PartitionCheckpoint>),
}

/// A query of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    Earliest,
    Latest,
    /// The first record whose timestamp is this or later.
    ByTime(Timestamp),
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// What is tiered, or to be tiered: no offset, for nothing is. Whoever asks is checked all the
    /// same.
    Tiered,
}

/// An offset, the timestamp of its record (-1 for the ends of a log), and the epoch there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub leader_epoch: LeaderEpoch,
}

impl FoundOffset {
    /// No offset answers the query.
    pub const NONE: Self =
        Self { offset: Offset(-1), timestamp: Timestamp::NONE, leader_epoch: LeaderEpoch::NONE };
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum OffsetError {
    #[error("this server does not host this topic-partition")]
    UnknownPartition,
    #[error("the leader epoch of the client is {client}, older than {ours}")]
    FencedEpoch { client: LeaderEpoch, ours: LeaderEpoch },
    #[error("the leader epoch of the client is {client}, newer than {ours}")]
    UnknownEpoch { client: LeaderEpoch, ours: LeaderEpoch },
    #[error("{0}")]
    Log(Arc<LogError>),
}

/// Why records are not deleted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeleteRecordsError {
    #[error("this server does not host this topic-partition")]
    UnknownPartition,
    #[error("the records of internal topics are the broker's own")]
    InternalTopic,
    #[error("the topic is compacted (cleanup.policy), and its records are not deleted")]
    OnlyCompacted,
    #[error("offset {offset} is not between 0 and the high watermark {high_watermark}")]
    OutOfRange { offset: Offset, high_watermark: Offset },
    #[error("{0}")]
    Log(Arc<LogError>),
    #[error("where the log begins now could not be written down; see the broker's log")]
    NotDurable,
}

/// Where a partition lies, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSize {
    pub topic: TopicName,
    pub partition: i32,
    pub directory: PathBuf,
    pub bytes: u64,
}

/// Where the metadata log stands. One node commits what it has synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumState {
    pub term: LeaderEpoch,
    pub log_end_offset: Offset,
}

/// How far a partition is durable, for the checkpoint files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionCheckpoint {
    pub topic: TopicName,
    pub partition: i32,
    pub directory: PathBuf,
    pub recovery_point: Offset,
    pub log_start_offset: Offset,
    pub high_watermark: Offset,
    /// After a clean end: whether it was one.
    pub is_closed: bool,
}

/// Calls of this shard that wait for their replies.
#[derive(Default)]
pub struct Calls {
    waiting: Vec<Option<Promise<Reply>>>,
    free: Vec<Ticket>,
}

impl Calls {
    pub(super) fn open(&mut self, promise: Promise<Reply>) -> Ticket {
        if let Some(ticket) = self.free.pop() {
            self.waiting[ticket as usize] = Some(promise);
            return ticket;
        }
        self.waiting.push(Some(promise));
        self.waiting.len() as Ticket - 1
    }

    pub fn close(&mut self, ticket: Ticket, reply: Reply) {
        let promise = self.waiting[ticket as usize].take().expect("a call is answered once");
        self.free.push(ticket);
        promise.keep(reply);
    }
}

impl Shard {
    /// Asks a shard (maybe this one) and waits for its reply.
    pub async fn call(self: &Rc<Self>, target: usize, call: Call) -> Reply {
        if target == self.index() {
            return self.answer(call).await;
        }
        let (promise, awaited) = promise();
        let ticket = self.calls.borrow_mut().open(promise);
        let home = self.index() as u16;
        self.send(target, Letter::Call { home, ticket, call: Box::new(call) });
        awaited.await.expect("calls are answered as long as the loop runs")
    }

    /// Mail: a call from another shard.
    pub(super) fn called(self: &Rc<Self>, home: u16, ticket: Ticket, call: Call) {
        // In the order in which they come, and without a task that waits for a rebalance.
        if let Call::Group { place, ask } = call {
            return self.coordinate(place, ask, Asker::There { home, ticket });
        }
        let shard = Rc::clone(self);
        self.core().spawn(async move {
            let reply = Box::new(shard.answer(call).await);
            shard.send(usize::from(home), Letter::Reply { ticket, reply });
        });
    }

    async fn answer(self: &Rc<Self>, call: Call) -> Reply {
        match call {
            Call::Questions(questions) => Reply::Said(self.answer_questions(&questions).await),
            Call::DeleteRecords(deletions) => {
                Reply::DeleteRecords(self.delete_records_here(&deletions).await)
            }
            Call::Producers { topic, partition } => {
                let now = self.core().wall();
                let found = self.partition(topic, partition);
                Reply::Producers(found.map(|found| found.producers(now)))
            }
            Call::Sizes => {
                let partitions = self.partitions.borrow();
                Reply::Sizes(partitions.values().map(|partition| partition.size()).collect())
            }
            Call::Quorum => {
                let host = self.controller.get().expect("asked of the controller's shard");
                let (term, log_end_offset) = (host.term(), host.offset());
                Reply::Quorum(QuorumState { term, log_end_offset })
            }
            Call::SaveLogStarts => {
                Reply::Saved(self.save_checkpoints(&[CheckpointKind::LogStart]).await)
            }
            Call::Command(command) => Reply::Command(self.command_here(command).await),
            Call::Group { place, ask } => Reply::Group(self.ask_coordinator(place, ask).await),
            Call::ListGroups(filter) => Reply::Groups(self.list_groups_here(&filter)),
            Call::Changes { delta, offset } => {
                self.apply(&delta, offset).await;
                Reply::Done
            }
            Call::DirectoryFailed(offline) => {
                self.on_directory_failed(&offline).await;
                Reply::Done
            }
            Call::Open(opening) => Reply::Opened(self.open_logs(*opening).await),
            Call::Drain => {
                self.drain().await;
                Reply::Done
            }
            Call::CloseLogs => Reply::Checkpoints(self.close_logs().await),
            Call::Checkpoints => Reply::Checkpoints(self.checkpoints()),
        }
    }
}
