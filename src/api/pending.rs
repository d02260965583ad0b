//! A request that has been begun and not answered. Answers leave in the order of requests; work
//! on later ones goes on meanwhile.

use super::context::Context;
use super::fetch::FetchJob;
use super::outbox::Outbox;
use super::produce::ProduceJob;
use crate::broker::Shard;
use std::cell::RefCell;
use std::rc::Rc;

/// One place in a connection's queue of answers.
pub enum Pending {
    /// Encoded, frame and all.
    Now(Vec<u8>),
    /// A task works on it.
    Later(Rc<Later>),
    Produce(ProduceJob),
    Fetch(Rc<FetchJob>),
}

/// Where a task leaves its encoded answer; `None` before that.
#[derive(Debug, Default)]
pub struct Later {
    answer: RefCell<Option<Vec<u8>>>,
}

impl Later {
    pub fn set(&self, answer: Vec<u8>) {
        *self.answer.borrow_mut() = Some(answer);
    }
}

/// The connection must be closed; the reason is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MustClose(pub String);

impl Pending {
    pub fn is_ready(&self, shard: &Shard) -> bool {
        match self {
            Self::Now(_) => true,
            Self::Later(later) => later.answer.borrow().is_some(),
            Self::Produce(job) => job.is_done(shard),
            Self::Fetch(job) => job.is_done(),
        }
    }

    /// Encodes the answer; it must be ready.
    pub fn write(self, context: &Context, outbox: &mut Outbox) -> Result<(), MustClose> {
        match self {
            Self::Now(bytes) => outbox.push_bytes(bytes),
            Self::Later(later) => {
                let answer = later.answer.take().expect("only ready answers are written");
                outbox.push_bytes(answer);
            }
            Self::Produce(job) => job.write(&context.shard, outbox)?,
            Self::Fetch(job) => job.write(context.lane.borrow().as_deref(), outbox),
        }
        Ok(())
    }

    /// What is waited for, in words.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Now(_) => "an answer that is ready",
            Self::Later(_) => "a request that a task works on",
            Self::Produce(_) => "a Produce",
            Self::Fetch(_) => "a Fetch",
        }
    }

    /// Forgets a request whose connection has gone.
    pub fn abandon(self, shard: &Rc<Shard>) {
        if let Self::Produce(job) = self {
            job.abandon(shard);
        }
    }
}
