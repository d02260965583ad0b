//! What a coordinator wants done: records appended, answers sent, lines for the broker's log.

use super::answer::Answer;
use super::ids::{GroupId, MemberId};
use super::record::Record;
use std::time::Duration;

/// The host's name of a request that waits for an answer. Opaque: it comes back as it was given,
/// exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// The coordinator's name of an append: the host answers each with `committed` or `failed`, in the
/// order in which they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendToken(pub u64);

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Append these records, all or none, after all that was asked for before. Several appends may
    /// share a batch. Whatever answer waits for them comes out of `committed` or `failed`.
    Append { token: AppendToken, records: Vec<Record> },
    /// Send this answer now.
    Reply { to: ReplyId, answer: Answer },
    /// For the broker's log and metrics.
    Notice(Notice),
}

/// Effects in the order in which they are to be done. A host keeps one and drains it.
#[derive(Debug, Default)]
pub struct Effects {
    effects: Vec<Effect>,
}

/// What an operator would want to read of a group's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Rebalancing {
        group: GroupId,
        generation: i32,
        reason: Box<str>,
    },
    Stable {
        group: GroupId,
        generation: i32,
        members: usize,
    },
    Emptied {
        group: GroupId,
        generation: i32,
    },
    /// A member was silent for its session timeout, or did not join or sync in time.
    MemberFailed {
        group: GroupId,
        member: MemberId,
        how: Failure,
    },
    /// Another process took over the place of a static member.
    Replaced {
        group: GroupId,
        before: MemberId,
        after: MemberId,
    },
    /// Offsets that nobody wanted any more were dropped; the group with them, if `is_group_gone`.
    Expired {
        group: GroupId,
        offsets: usize,
        is_group_gone: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Session { timeout: Duration },
    Join,
    Sync,
}

impl Effects {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Takes all effects out, in order; the memory stays.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> {
        self.effects.drain(..)
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn reply(&mut self, to: ReplyId, answer: Answer) {
        self.effects.push(Effect::Reply { to, answer });
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Notice(notice));
    }
}
