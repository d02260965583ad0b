//! Old offsets (offsets.retention.minutes) and groups that are left without any.
//!
//! ```text
//!   the group has                       an offset is old when, since this, the retention has passed
//!   no protocol (standalone commits)    its commit
//!   a protocol, and is empty            the group became empty
//!   consumers, and is stable            its commit, if nobody subscribes to its topic any more
//!   anything else                       never
//! ```
//! An offset that was committed with a time of its own is old at that time in the same cases.

use super::command::Now;
use super::coordinator::Coordinator;
use super::deadlines::Wake;
use super::delete::tombstone;
use super::effect::{Effects, Notice};
use super::group::{Group, State};
use super::ids::GroupId;
use super::offsets::CommittedOffset;
use super::record::Change;
use super::settings::Settings;
use crate::limits::GROUPS_EXPIRED_PER_TICK_MAX;
use crate::model::Timestamp;
use std::ops::Bound;

impl Coordinator {
    pub(super) fn set_expiry_alarm(&mut self, now: Now) {
        let due = match self.expiry_at {
            Some(_) => now.instant,
            None => now.instant + self.settings.offsets_retention_check_interval,
        };
        self.deadlines.set(&mut self.expiry_alarm, due, || Wake::Expiry);
    }

    /// Looks through some groups, from where the last look ended.
    pub(super) fn on_expiry_alarm(&mut self, now: Now, effects: &mut Effects) {
        let from = match &self.expiry_at {
            Some(group) => Bound::Excluded(group.clone()),
            None => Bound::Unbounded,
        };
        let some = self.groups.range((from, Bound::Unbounded)).take(GROUPS_EXPIRED_PER_TICK_MAX);
        let some: Vec<GroupId> = some.map(|(id, _)| id.clone()).collect();
        for id in &some {
            self.expire(now, id, effects);
        }
        let is_end = some.len() < GROUPS_EXPIRED_PER_TICK_MAX;
        self.expiry_at = if is_end { None } else { some.last().cloned() };
        self.set_expiry_alarm(now);
    }

    fn expire(&mut self, now: Now, id: &GroupId, effects: &mut Effects) {
        let group = &self.groups[id];
        // What is being committed would lie before the tombstone; the next look will do.
        if group.is_dying || !group.pending.is_empty() || self.inflight.is_busy(id) {
            return;
        }
        let (old, is_rest) = group.old_offsets(&self.settings, now.timestamp);
        let is_group_gone = is_rest && group.state == State::Empty;
        let offsets = old.len();
        if is_group_gone {
            self.delete_group(id, effects);
        } else if old.is_empty() {
            return;
        } else {
            self.inflight.append_all(old, effects);
        }
        effects.notice(Notice::Expired { group: id.clone(), offsets, is_group_gone });
    }
}

impl Group {
    /// Tombstones of what is old, and whether that is all that the group has.
    fn old_offsets(&self, settings: &Settings, now: Timestamp) -> (Vec<Change>, bool) {
        if self.offsets.is_empty() {
            return (Vec::new(), true);
        }
        let is_consumers = self.subscribed.is_some() && self.state == State::Stable;
        let empty_since = match (&self.protocol_type, self.state) {
            (None, _) => None,
            (Some(_), State::Empty) => self.changed_at,
            (Some(_), _) if is_consumers => None,
            (Some(_), _) => return (Vec::new(), false),
        };
        let retention = i64::try_from(settings.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let is_old = |offset: &CommittedOffset| {
            let since = empty_since.unwrap_or(offset.committed_at);
            let is_past = now.0.saturating_sub(since.0) >= retention;
            offset.expires_at.map_or(is_past, |at| now >= at)
        };
        let mut old = Vec::new();
        for (topic, partitions) in self.offsets.topics().filter(|(t, _)| !self.is_subscribed(t)) {
            let partitions = partitions.iter().filter(|(_, offset)| is_old(offset));
            old.extend(partitions.map(|(index, _)| tombstone(&self.id, topic.clone(), *index)));
        }
        let is_all = old.len() == self.offsets.count();
        (old, is_all)
    }
}
