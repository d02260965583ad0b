//! The coordinator: all groups of one partition, from its load to its unload.

use super::answer::Answer;
use super::command::Now;
use super::deadlines::{Alarm, Deadlines, Wake};
use super::effect::{AppendToken, Effects};
use super::error::{AppendError, GroupError};
use super::group::{Group, State};
use super::ids::GroupId;
use super::inflight::{Flight, Inflight, Waiter};
use super::memory::Memory;
use super::rebalance::Turn;
use super::record::{self, Change, RecordError};
use super::settings::Settings;
use crate::base::Instant;
use crate::limits::{GROUP_DEADLINES_PER_TICK_MAX, GROUP_MEMBERS_MAX, GROUPS_BEGUN_PER_TICK_MAX};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

/// Groups as a state machine. `on_*` takes a command and says what is to be done; each `ReplyId` is
/// answered exactly once, at once or later.
#[derive(Debug)]
pub struct Coordinator {
    pub(super) settings: Settings,
    /// Of all coordinators of the core.
    pub(super) memory: Rc<Memory>,
    pub(super) groups: BTreeMap<GroupId, Box<Group>>,
    pub(super) deadlines: Deadlines,
    pub(super) inflight: Inflight,
    /// Records whose kind is not known, by key: other protocols' state, kept for them.
    pub(super) foreign: BTreeMap<Box<[u8]>, Arc<[u8]>>,
    pub(super) expiry_alarm: Alarm,
    /// Where a look for old offsets goes on; none between two.
    pub(super) expiry_at: Option<GroupId>,
    is_loaded: bool,
    /// Of which group on the sessions of a loaded log's members are still to begin.
    pub(super) sessions_alarm: Alarm,
    sessions_at: Option<GroupId>,
}

/// How much there is, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub groups_empty: usize,
    pub groups_preparing: usize,
    pub groups_completing: usize,
    pub groups_stable: usize,
    pub members: usize,
    pub offsets: usize,
    /// Records of kinds that are not known.
    pub foreign_records: usize,
    pub appends_under_way: usize,
    pub deadlines: usize,
}

impl Coordinator {
    /// A coordinator that knows nothing yet: the log is replayed into it. Its groups count as part of
    /// what the core's groups hold.
    pub fn new(settings: Settings, memory: Rc<Memory>) -> Self {
        Self {
            settings,
            memory,
            groups: BTreeMap::new(),
            deadlines: Deadlines::default(),
            inflight: Inflight::default(),
            foreign: BTreeMap::new(),
            expiry_alarm: Alarm::default(),
            expiry_at: None,
            is_loaded: false,
            sessions_alarm: Alarm::default(),
            sessions_at: None,
        }
    }

    /// Takes one record of the log, in order. One of a kind that is not known is kept as it is.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        assert!(!self.is_loaded);
        match (Change::parse(key, value)?, value) {
            (Some(change), _) => self.apply(change)?,
            (None, Some(value)) => _ = self.foreign.insert(key.into(), value.into()),
            (None, None) => _ = self.foreign.remove(key),
        }
        Ok(())
    }

    /// The log has been replayed to its end: sessions of members begin anew, where there are very
    /// many groups some ticks later.
    pub fn on_loaded(&mut self, now: Now, effects: &mut Effects) {
        assert!(!self.is_loaded);
        self.is_loaded = true;
        self.set_expiry_alarm(now);
        self.begin_sessions(now, effects);
    }

    fn begin_sessions(&mut self, now: Now, effects: &mut Effects) {
        let max = self.settings.members_max.min(GROUP_MEMBERS_MAX);
        let from = match self.sessions_at.take() {
            Some(id) => Bound::Excluded(id),
            None => Bound::Unbounded,
        };
        let (groups, mut turn) = self.split(now, effects);
        let (mut last, mut left) = (None, GROUPS_BEGUN_PER_TICK_MAX);
        for (id, group) in groups.range_mut((from, Bound::Unbounded)) {
            let members = group.members.len();
            for member in group.members.values_mut() {
                turn.renew(id, member);
            }
            // One that came to life since then has refused who was too many.
            if members > max && group.state == State::Stable {
                group.prepare(&mut turn, &format!("loaded with more than {max} members"));
            }
            left = left.saturating_sub(1 + members);
            if left == 0 {
                last = Some(id.clone());
                break;
            }
        }
        self.sessions_at = last;
        if self.sessions_at.is_some() {
            self.deadlines.set(&mut self.sessions_alarm, now.instant, || Wake::Sessions);
        }
    }

    /// When `tick` is to be called, if nothing else comes before. It may find nothing to do yet.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Does what is due. A deadline that has passed is left where there were very many.
    pub fn tick(&mut self, now: Now, effects: &mut Effects) {
        for _ in 0..GROUP_DEADLINES_PER_TICK_MAX {
            let Some(wake) = self.deadlines.pop(now.instant) else { return };
            match wake {
                // Each as much as a tick should do.
                Wake::Expiry => return self.on_expiry_alarm(now, effects),
                Wake::Sessions => return self.begin_sessions(now, effects),
                _ => {}
            }
            let (groups, mut turn) = self.split(now, effects);
            let (Wake::Member(id, _) | Wake::Join(id) | Wake::Sync(id)) = &wake else { continue };
            let Some(group) = groups.get_mut(id) else { continue };
            match &wake {
                Wake::Member(_, member) => group.on_member_alarm(&mut turn, member),
                Wake::Join(_) => group.on_join_alarm(&mut turn),
                Wake::Sync(_) => group.on_sync_alarm(&mut turn),
                Wake::Expiry | Wake::Sessions => None,
            };
            self.recharge(id);
        }
    }

    /// The oldest append under way is committed: it changes the state, and answers leave.
    pub fn on_committed(&mut self, now: Now, token: AppendToken, effects: &mut Effects) {
        let mut flight = self.inflight.take(token);
        for change in std::mem::take(&mut flight.changes) {
            self.apply(change).expect("a record that this coordinator wrote");
        }
        if let Some(error) = flight.error.take() {
            return self.refuse_all(now, flight, &error, effects);
        }
        for waiter in flight.waiters {
            self.on_written(now, waiter, effects);
        }
    }

    fn on_written(&mut self, now: Now, waiter: Waiter, effects: &mut Effects) {
        match waiter {
            Waiter::Reply(to, answer) => effects.reply(to, answer),
            Waiter::Fetch(to, fetch) => {
                let answer = self.fetch(fetch);
                effects.reply(to, answer);
            }
            Waiter::Join(to, join) => self.on_join(now, join, to, effects),
            Waiter::Commit(to, commit) => self.on_commit(now, commit, to, effects),
            Waiter::Assigned { group, generation, assignments } => {
                let (groups, mut turn) = self.split(now, effects);
                if let Some(group) = groups.get_mut(&group) {
                    group.on_assigned(&mut turn, generation, &assignments);
                }
            }
            Waiter::Replaced(replaced) => {
                let (groups, mut turn) = self.split(now, effects);
                if let Some(group) = groups.get_mut(&replaced.group) {
                    group.on_replaced(&mut turn, &replaced);
                }
            }
            // The change itself has done it.
            Waiter::Created(_) | Waiter::Deleted(_) => {}
        }
    }

    /// The oldest append under way was not written: whoever waits for it is told.
    pub fn on_failed(
        &mut self,
        now: Now,
        token: AppendToken,
        error: AppendError,
        effects: &mut Effects,
    ) {
        let flight = self.inflight.take(token);
        self.refuse_all(now, flight, &GroupError::Append(error), effects);
    }

    fn refuse_all(&mut self, now: Now, flight: Flight, error: &GroupError, effects: &mut Effects) {
        self.inflight.spread(&flight, error);
        for waiter in flight.waiters {
            self.on_not_written(now, waiter, error, effects);
        }
    }

    fn on_not_written(
        &mut self,
        now: Now,
        waiter: Waiter,
        error: &GroupError,
        effects: &mut Effects,
    ) {
        let (groups, mut turn) = self.split(now, effects);
        match waiter {
            Waiter::Assigned { group, generation, .. } => {
                if let Some(group) = groups.get_mut(&group) {
                    group.on_assign_failed(&mut turn, generation, error);
                }
            }
            Waiter::Replaced(replaced) => {
                let id = replaced.group.clone();
                if let Some(group) = groups.get_mut(&id) {
                    group.on_replace_failed(&mut turn, *replaced, error);
                }
                self.recharge(&id);
            }
            Waiter::Created(id) => {
                if let Some(group) = groups.get_mut(&id) {
                    group.on_create_failed(&mut turn, error);
                    if group.durable.is_none() && group.offsets.is_empty() {
                        groups.remove(&id);
                    }
                }
                self.recharge(&id);
            }
            Waiter::Deleted(id) => {
                if let Some(group) = groups.get_mut(&id) {
                    group.is_dying = false;
                }
            }
            other => other.refuse(error, turn.effects),
        }
    }

    /// The partition goes elsewhere, or its disk failed: everyone who waits is sent to look for the
    /// coordinator again. Nothing is left; of appends under way nothing more is to be told.
    pub fn unload(&mut self, effects: &mut Effects) {
        let error = GroupError::Unloaded;
        for group in std::mem::take(&mut self.groups).into_values() {
            for member in group.members.into_values() {
                if let Some(reply) = member.joining {
                    let member = member.id.clone();
                    let result = Err(error.clone());
                    effects
                        .reply(reply, Answer::Join(super::answer::JoinAnswer { member, result }));
                }
                if let Some(reply) = member.syncing {
                    effects.reply(reply, Answer::Sync(Err(error.clone())));
                }
            }
        }
        for flight in self.inflight.take_all() {
            for waiter in flight.waiters {
                waiter.refuse(&error, effects);
            }
        }
        *self = Self::new(self.settings.clone(), Rc::clone(&self.memory));
    }

    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            foreign_records: self.foreign.len(),
            appends_under_way: self.inflight.len(),
            deadlines: self.deadlines.len(),
            ..Counts::default()
        };
        for group in self.groups.values() {
            counts.members += group.members.len();
            counts.offsets += group.offsets.count();
            *match group.state {
                State::Empty => &mut counts.groups_empty,
                State::Preparing => &mut counts.groups_preparing,
                State::Completing => &mut counts.groups_completing,
                State::Stable => &mut counts.groups_stable,
            } += 1;
        }
        counts
    }

    /// Brings what the log has into the state.
    fn apply(&mut self, change: Change) -> Result<(), RecordError> {
        match change {
            Change::Offset { group, topic, partition, committed: Some(offset) } => {
                let group = self.groups.entry(group);
                // Committed without a group: a group that only holds offsets.
                let group = group.or_insert_with_key(|id| Box::new(Group::new(id.clone(), None)));
                group.offsets.put(topic, partition, offset);
                group.recharge(&self.memory);
            }
            Change::Offset { group, topic, partition, committed: None } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.offsets.remove(&topic, partition);
                    group.recharge(&self.memory);
                }
            }
            Change::Group { group: id, value: Some(value) } => {
                let group = self.groups.entry(id.clone());
                let group = group.or_insert_with(|| Box::new(Group::new(id.clone(), None)));
                if !self.is_loaded {
                    group.load(&record::parse_group_value(&id, &value)?);
                }
                group.durable = Some(value);
                group.recharge(&self.memory);
            }
            Change::Group { group: id, value: None } => self.forget(&id),
        }
        Ok(())
    }

    /// A group's tombstone. Offsets that no tombstone was written for are somebody's still: Kafka
    /// writes so when a group moves to another protocol.
    fn forget(&mut self, id: &GroupId) {
        let Some(mut group) = self.groups.remove(id) else { return };
        group.cancel_alarms(&mut self.deadlines);
        if !group.offsets.is_empty() {
            let mut rest = Group::new(id.clone(), None);
            rest.offsets = std::mem::take(&mut group.offsets);
            rest.recharge(&self.memory);
            self.groups.insert(id.clone(), Box::new(rest));
        }
    }

    /// Charges a group, if it is there, with what it holds now.
    pub(super) fn recharge(&mut self, id: &GroupId) {
        if let Some(group) = self.groups.get_mut(id) {
            group.recharge(&self.memory);
        }
    }

    /// Whether so much more may be held.
    pub(super) fn check_room(&self, wanted: usize) -> Result<(), GroupError> {
        check_room(&self.memory, wanted)
    }

    /// The groups, and all else for one of them to do something with.
    pub(super) fn split<'c>(
        &'c mut self,
        now: Now,
        effects: &'c mut Effects,
    ) -> (&'c mut BTreeMap<GroupId, Box<Group>>, Turn<'c>) {
        let turn = Turn {
            now,
            settings: &self.settings,
            deadlines: &mut self.deadlines,
            inflight: &mut self.inflight,
            effects,
        };
        (&mut self.groups, turn)
    }
}

pub(super) fn check_room(memory: &Memory, wanted: usize) -> Result<(), GroupError> {
    if memory.has_room(wanted) {
        return Ok(());
    }
    Err(GroupError::OutOfMemory { held: memory.held(), max: memory.max(), wanted })
}
