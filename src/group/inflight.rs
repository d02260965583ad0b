//! Appends under way: what each will change, and who waits for it.
//!
//! The host appends in the order of `Effect::Append` and tells of each in that order, so this is a
//! queue. What has to see the state behind an append (a stable fetch, a join of a group that is
//! being deleted) waits at the end of it.

use super::answer::{Answer, JoinAnswer};
use super::command::{Commit, Fetch, Join, Protocol};
use super::effect::{AppendToken, Effect, Effects, ReplyId};
use super::error::GroupError;
use super::ids::{GroupId, MemberId};
use super::record::{Change, Record};
use crate::limits::{GROUP_APPEND_BYTES_MAX, GROUP_APPEND_RECORDS_MAX};
use crate::model::{PartitionIndex, TopicId, TopicName};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Inflight {
    queue: VecDeque<Flight>,
    next: u64,
    /// How many appends under way change each group.
    busy: BTreeMap<GroupId, usize>,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub token: AppendToken,
    pub changes: Vec<Change>,
    pub waiters: Vec<Waiter>,
    /// The next one is the rest of it, and whoever waits for that waits for both.
    goes_on: bool,
    /// What it is the rest of was not written.
    pub error: Option<GroupError>,
}

/// What happens when an append is committed, or failed.
#[derive(Debug)]
pub(super) enum Waiter {
    Reply(ReplyId, Answer),
    /// A fetch that wants what was being committed when it came.
    Fetch(ReplyId, Fetch),
    /// Commands for a group that is being deleted.
    Join(ReplyId, Join),
    Commit(ReplyId, Commit),
    /// The leader's assignments are in the log: hand them out.
    Assigned {
        group: GroupId,
        generation: i32,
        assignments: BTreeMap<MemberId, Arc<[u8]>>,
    },
    /// A static member's new id is in the log.
    Replaced(Box<Replaced>),
    /// A new group is in the log.
    Created(GroupId),
    /// The group is gone.
    Deleted(GroupId),
}

/// A static member that was replaced without a rebalance: what it takes to answer, or to go back.
#[derive(Debug)]
pub(super) struct Replaced {
    pub group: GroupId,
    pub before: MemberId,
    pub after: MemberId,
    /// The leader before; for clients that do not know how to skip the assignment.
    pub leader: MemberId,
    pub can_skip_assignment: bool,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocols: Vec<Protocol>,
}

impl Inflight {
    /// Asks for an append. The answer that waits for it comes out of `take`.
    pub fn append(&mut self, changes: Vec<Change>, effects: &mut Effects) -> AppendToken {
        self.append_part(changes, false, effects)
    }

    fn append_part(
        &mut self,
        changes: Vec<Change>,
        goes_on: bool,
        effects: &mut Effects,
    ) -> AppendToken {
        let token = AppendToken(self.next);
        self.next += 1;
        let records: Vec<Record> = changes.iter().map(Change::to_record).collect();
        let mut last: Option<&GroupId> = None;
        for change in &changes {
            if last != Some(change.group()) {
                *self.busy.entry(change.group().clone()).or_default() += 1;
                last = Some(change.group());
            }
        }
        let waiters = Vec::new();
        self.queue.push_back(Flight { token, changes, waiters, goes_on, error: None });
        effects.push(Effect::Append { token, records });
        token
    }

    /// Asks for as many appends as the changes take, and gives the last one: if one of them fails,
    /// it is the last that tells.
    pub fn append_all(
        &mut self,
        changes: Vec<Change>,
        effects: &mut Effects,
    ) -> Option<AppendToken> {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for change in changes {
            let size = change.size();
            let is_full = part.len() == GROUP_APPEND_RECORDS_MAX
                || (!part.is_empty() && bytes + size > GROUP_APPEND_BYTES_MAX);
            if is_full {
                self.append_part(std::mem::take(&mut part), true, effects);
                bytes = 0;
            }
            bytes += size;
            part.push(change);
        }
        if part.is_empty() { None } else { Some(self.append(part, effects)) }
    }

    /// Adds a waiter to an append under way.
    pub fn wait(&mut self, token: AppendToken, waiter: Waiter) {
        let front = self.queue.front().map_or(self.next, |flight| flight.token.0);
        let place = usize::try_from(token.0 - front).expect("tokens are given out one by one");
        self.queue[place].waiters.push(waiter);
    }

    /// Adds a waiter behind all appends under way, of which there is one.
    pub fn wait_for_all(&mut self, waiter: Waiter) {
        self.queue.back_mut().expect("an append is under way").waiters.push(waiter);
    }

    /// Takes the oldest append out, which must have this token.
    pub fn take(&mut self, token: AppendToken) -> Flight {
        let flight = self.queue.pop_front().expect("an append that was asked for");
        assert_eq!(flight.token, token, "appends are told of in their order");
        let mut last: Option<&GroupId> = None;
        for change in &flight.changes {
            if last == Some(change.group()) {
                continue;
            }
            last = Some(change.group());
            let count = self.busy.get_mut(change.group()).expect("counted when it was asked for");
            *count -= 1;
            if *count == 0 {
                self.busy.remove(change.group());
            }
        }
        flight
    }

    /// The append that was taken out was not written: nor is all that it goes on with.
    pub fn spread(&mut self, flight: &Flight, error: &GroupError) {
        if flight.goes_on
            && let Some(rest) = self.queue.front_mut()
        {
            rest.error = Some(error.clone());
        }
    }

    pub fn take_all(&mut self) -> impl Iterator<Item = Flight> {
        self.busy.clear();
        std::mem::take(&mut self.queue).into_iter()
    }

    #[cfg(test)]
    pub fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.queue.iter().flat_map(|flight| &flight.waiters)
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether an append under way changes the group.
    pub fn is_busy(&self, group: &GroupId) -> bool {
        self.busy.contains_key(group)
    }

    /// Offsets that are being committed for a group, or for all.
    pub fn offsets<'a>(
        &'a self,
        of: Option<&'a GroupId>,
    ) -> impl Iterator<Item = (&'a GroupId, &'a TopicName, PartitionIndex, TopicId)> {
        let is_busy = of.is_none_or(|group| self.is_busy(group));
        let flights = if is_busy { self.queue.len() } else { 0 };
        let changes = self.queue.iter().take(flights).flat_map(|flight| &flight.changes);
        changes.filter_map(move |change| match change {
            Change::Offset { group, topic, partition, committed: Some(offset) }
                if of.is_none_or(|wanted| wanted == group) =>
            {
                Some((group, topic, *partition, offset.topic_id))
            }
            _ => None,
        })
    }
}

impl Answer {
    /// The same answer when what it waited for was not written.
    pub(super) fn failed(self, error: GroupError) -> Self {
        match self {
            Self::Join(_) => {
                Self::Join(JoinAnswer { member: MemberId::none(), result: Err(error) })
            }
            Self::Sync(_) => Self::Sync(Err(error)),
            Self::Heartbeat(_) => Self::Heartbeat(Err(error)),
            Self::Leave(_) => Self::Leave(Err(error)),
            Self::Commit(_) => Self::Commit(Err(error)),
            Self::Fetch(_) => Self::Fetch(Err(error)),
            Self::DeleteOffsets(_) => Self::DeleteOffsets(Err(error)),
            Self::DeleteGroups(groups) => {
                let failed = |(group, result): (GroupId, Result<(), GroupError>)| {
                    let result = result.and(Err(error.clone()));
                    (group, result)
                };
                Self::DeleteGroups(groups.into_iter().map(failed).collect())
            }
        }
    }
}

impl Waiter {
    /// The answer of one that only waits to be answered, when it never will be otherwise.
    pub fn refuse(self, error: &GroupError, effects: &mut Effects) {
        let error = error.clone();
        match self {
            Self::Reply(to, answer) => effects.reply(to, answer.failed(error)),
            Self::Fetch(to, _) => effects.reply(to, Answer::Fetch(Err(error))),
            Self::Join(to, join) => {
                let answer = JoinAnswer { member: join.member, result: Err(error) };
                effects.reply(to, Answer::Join(answer));
            }
            Self::Commit(to, _) => effects.reply(to, Answer::Commit(Err(error))),
            Self::Assigned { .. } | Self::Replaced(_) | Self::Created(_) | Self::Deleted(_) => {}
        }
    }
}
