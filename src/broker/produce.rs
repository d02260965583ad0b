//! Produce, beneath the API: one request at its home core, its parts at the owners of their
//! partitions.
//!
//! ```text
//!   home                                   owner
//!   begin(parts) -> ticket
//!   append(part) --------- mail ---------> validate, stage; at the turn's end one gathered write
//!   appended(ticket, index) <--- mail ---- flushed: the outcome goes home
//!   all parts home: the bell rings, the connection encodes the answer
//! ```

use super::doing::Phase;
use super::letter::{Letter, Ticket};
use super::shard::Shard;
use crate::limits::KEPT_BYTES_MAX;
use crate::log::{LogError, StageError};
use crate::model::{Offset, Timestamp, TopicId};
use crate::record::{BatchError, BuildError};
use crate::runtime::Chain;
use crate::runtime::panics::Panicked;
use crate::runtime::sync::Bell;
use std::rc::Rc;

/// One partition's part of a produce request, on its way to the partition's owner.
pub struct AppendPart {
    pub home: u16,
    pub ticket: Ticket,
    /// Place of the part in the request.
    pub index: u32,
    pub topic: TopicId,
    pub partition: i32,
    /// Produce version 7 and newer may carry zstd.
    pub zstd_allowed: bool,
    pub batch: Chain,
}

/// What became of a part.
#[derive(Clone, Debug)]
pub enum AppendOutcome {
    /// No answer yet.
    Waiting,
    Appended(Appended),
    Failed(Box<ProduceError>),
    /// Another part of the request is for the same partition, and counts.
    Superseded,
}

/// Where a part now lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    /// Broker's time where the topic is LogAppendTime, else -1.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
}

/// Why a part was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProduceError {
    #[error("this server does not host this topic-partition")]
    UnknownPartition,
    #[error("this server does not host this topic id")]
    UnknownTopicId,
    #[error("this broker is stopping")]
    Stopping,
    #[error("the acks of a produce request are 0, 1 or -1, not {0}")]
    Acks(i16),
    #[error("topic {0} is written by the broker alone")]
    InternalTopic(String),
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// The records could not be packed anew with the topic's codec.
    #[error("{0}")]
    Repack(#[from] BuildError),
    #[error("{0}")]
    Stage(#[from] StageError),
    #[error("{0}")]
    Log(std::sync::Arc<LogError>),
    /// Our own code failed on the batch; whose connection it came on is closed.
    #[error("{0}")]
    Panicked(#[from] Panicked),
}

/// One produce request at home.
#[derive(Default)]
pub struct Produce {
    outcomes: Vec<AppendOutcome>,
    waiting: u32,
    /// Rung when the last part is home; gone when the connection is.
    bell: Option<Rc<Bell>>,
}

impl Produce {
    /// Lets go of what a large request took; a place is used again.
    fn forget(&mut self) {
        self.outcomes.clear();
        self.outcomes.shrink_to(KEPT_BYTES_MAX / size_of::<AppendOutcome>());
    }
}

/// The home shard's produce requests under way.
#[derive(Default)]
pub struct Produces {
    entries: Vec<Produce>,
    free: Vec<Ticket>,
}

impl Produces {
    /// Opens a request of `part_count` parts.
    pub fn begin(&mut self, part_count: usize, bell: &Rc<Bell>) -> Ticket {
        let ticket = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Produce::default());
            self.entries.len() as Ticket - 1
        });
        let entry = &mut self.entries[ticket as usize];
        assert!(entry.bell.is_none() && entry.waiting == 0);
        entry.outcomes.clear();
        entry.outcomes.resize(part_count, AppendOutcome::Waiting);
        entry.waiting = part_count as u32;
        entry.bell = Some(Rc::clone(bell));
        ticket
    }

    /// Notes the outcome of one part.
    pub fn note(&mut self, ticket: Ticket, index: u32, outcome: AppendOutcome) {
        let entry = &mut self.entries[ticket as usize];
        let slot = &mut entry.outcomes[index as usize];
        assert!(matches!(slot, AppendOutcome::Waiting), "a part comes home once");
        *slot = outcome;
        entry.waiting -= 1;
        if entry.waiting == 0 {
            if let Some(bell) = &entry.bell {
                bell.ring();
            } else {
                entry.forget();
                self.free.push(ticket);
            }
        }
    }

    /// Whether all parts are home.
    pub fn is_done(&self, ticket: Ticket) -> bool {
        self.entries[ticket as usize].waiting == 0
    }

    /// Outcomes in the order of the request's parts.
    pub fn outcomes(&self, ticket: Ticket) -> &[AppendOutcome] {
        &self.entries[ticket as usize].outcomes
    }

    /// Forgets a request, answered or not. Parts under way still come home.
    pub fn end(&mut self, ticket: Ticket) {
        let entry = &mut self.entries[ticket as usize];
        assert!(entry.bell.take().is_some(), "a request ends once");
        if entry.waiting == 0 {
            entry.forget();
            self.free.push(ticket);
        }
    }

    /// Requests that are not answered.
    pub fn open_count(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

impl Shard {
    /// Sends a part to its partition's owner; its outcome arrives under the part's ticket.
    pub fn append(self: &Rc<Self>, part: AppendPart) {
        let owner = self.owner(part.topic, part.partition);
        if owner == self.index() {
            self.append_here(part);
        } else {
            self.send(owner, Letter::Append(part));
        }
    }

    /// Appends a part to a partition that this shard owns.
    pub(super) fn append_here(self: &Rc<Self>, part: AppendPart) {
        match self.partition(part.topic, part.partition) {
            None => {
                let error = Box::new(ProduceError::UnknownPartition);
                self.appended(part.home, part.ticket, part.index, AppendOutcome::Failed(error));
            }
            Some(partition) => {
                self.doing_at(Phase::Append, part.topic, part.partition);
                partition.append(self, part);
            }
        }
    }

    /// Takes an outcome home.
    pub(super) fn appended(&self, home: u16, ticket: Ticket, index: u32, outcome: AppendOutcome) {
        if usize::from(home) == self.index() {
            self.produces.borrow_mut().note(ticket, index, outcome);
        } else {
            self.send(usize::from(home), Letter::Appended { ticket, index, outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_done_when_its_last_part_is_home_and_its_place_is_used_again() {
        let (mut produces, bell) = (Produces::default(), Rc::new(Bell::default()));
        let first = produces.begin(2, &bell);
        let failed = || AppendOutcome::Failed(Box::new(ProduceError::UnknownPartition));
        produces.note(first, 1, failed());
        assert!(!produces.is_done(first));
        // The connection went away before its last part came home.
        produces.end(first);
        assert_ne!(produces.begin(1, &bell), first);
        produces.note(first, 0, failed());
        assert_eq!(produces.begin(1, &bell), first);
        assert_eq!(produces.open_count(), 2);
    }
}
