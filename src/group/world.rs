//! A coordinator with its log and its clock, for tests; and what must hold whatever happens.

use super::deadlines::Alarm;
use super::effect::{AppendToken, Effect, Effects, ReplyId};
use super::group::{Group, State};
use super::inflight::Waiter;
use super::record::Change;
use super::*;
use crate::base::Instant;
use crate::model::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct World {
    pub coordinator: Coordinator,
    pub effects: Effects,
    /// What was committed.
    pub log: Vec<Record>,
    /// What was asked to be appended.
    pub appends: VecDeque<(AppendToken, Vec<Record>)>,
    /// Requests without an answer, and since when they wait.
    pub waiting: BTreeMap<ReplyId, Duration>,
    pub clock: Duration,
    settings: Settings,
    replies: u64,
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let mut world = Self {
            coordinator: Coordinator::new(settings.clone(), Rc::default()),
            effects: Effects::new(),
            log: Vec::new(),
            appends: VecDeque::new(),
            waiting: BTreeMap::new(),
            clock: Duration::ZERO,
            settings,
            replies: 0,
        };
        let now = world.now();
        world.coordinator.on_loaded(now, &mut world.effects);
        world
    }

    pub fn now(&self) -> Now {
        Now {
            instant: Instant::ZERO + self.clock,
            timestamp: Timestamp(1_000_000 + self.clock.as_millis() as i64),
        }
    }

    /// A new request waits from now on.
    pub fn reply_id(&mut self) -> ReplyId {
        self.replies += 1;
        let id = ReplyId(self.replies);
        self.waiting.insert(id, self.clock);
        id
    }

    /// Takes effects out: appends wait to be committed, answers are no longer waited for.
    pub fn drain(&mut self) -> Vec<Effect> {
        let effects: Vec<Effect> = self.effects.drain().collect();
        for effect in &effects {
            match effect {
                Effect::Append { token, records } => {
                    assert!(!records.is_empty());
                    self.appends.push_back((*token, records.clone()));
                }
                Effect::Reply { to, .. } => {
                    assert!(self.waiting.remove(to).is_some(), "{to:?} is answered once");
                }
                Effect::Notice(_) => {}
            }
        }
        effects
    }

    /// Commits the oldest append.
    pub fn commit_one(&mut self) {
        let Some((token, records)) = self.appends.pop_front() else { return };
        self.log.extend(records);
        self.coordinator.on_committed(self.now(), token, &mut self.effects);
    }

    pub fn fail_one(&mut self, error: AppendError) {
        let Some((token, _)) = self.appends.pop_front() else { return };
        self.coordinator.on_failed(self.now(), token, error, &mut self.effects);
    }

    /// Goes to the next deadline that is not after `until`, or to that; false at its end.
    pub fn advance(&mut self, until: Duration) -> bool {
        let next = self.coordinator.next_deadline().map(|at| at.since(Instant::ZERO));
        if let Some(at) = next.filter(|&at| at <= until) {
            self.clock = self.clock.max(at);
            self.coordinator.tick(self.now(), &mut self.effects);
            return true;
        }
        self.clock = until;
        false
    }

    /// What a start would come to, from the log and from the smallest set of records.
    pub fn check_replay(&self) {
        let mut from_log = Coordinator::new(self.settings.clone(), Rc::default());
        for record in &self.log {
            from_log.replay(&record.key, record.value.as_deref()).unwrap();
        }
        let live: Vec<Record> = self.coordinator.live_records().collect();
        let mut from_live = Coordinator::new(self.settings.clone(), Rc::default());
        for record in &live {
            from_live.replay(&record.key, record.value.as_deref()).unwrap();
        }
        let seen = durable(&from_log);
        assert_eq!(durable(&self.coordinator), seen, "the log and the state");
        assert_eq!(durable(&from_live), seen, "the log and its smallest form");
        let keys: BTreeSet<&[u8]> = live.iter().map(|record| &*record.key).collect();
        assert_eq!(keys.len(), live.len(), "no key is there twice");
        // What is in memory agrees with it wherever a group is at rest.
        for group in self.coordinator.groups.values() {
            let is_busy = self.coordinator.inflight.is_busy(&group.id);
            if group.state == State::Stable && !is_busy {
                let replayed = &from_log.groups[&group.id];
                assert_eq!(outline(group), outline(replayed));
            }
        }
    }

    /// Starts again from the log.
    pub fn restart(&mut self) {
        self.coordinator.unload(&mut self.effects);
        let mut coordinator = Coordinator::new(self.settings.clone(), Rc::default());
        for record in &self.log {
            coordinator.replay(&record.key, record.value.as_deref()).unwrap();
        }
        self.appends.clear();
        self.coordinator = coordinator;
        let now = self.now();
        self.coordinator.on_loaded(now, &mut self.effects);
    }

    /// Whoever waits is known and will be answered; no alarm is left over.
    pub fn check_waiting(&self) {
        let coordinator = &self.coordinator;
        let mut known: BTreeSet<ReplyId> = BTreeSet::new();
        let mut alarms = usize::from(coordinator.deadlines.is_set(&coordinator.expiry_alarm));
        alarms += usize::from(coordinator.deadlines.is_set(&coordinator.sessions_alarm));
        for waiter in coordinator.inflight.waiters() {
            if let Waiter::Reply(to, _)
            | Waiter::Fetch(to, _)
            | Waiter::Join(to, _)
            | Waiter::Commit(to, _) = waiter
            {
                assert!(known.insert(*to));
            }
        }
        for group in coordinator.groups.values() {
            alarms += check_group(coordinator, group, &mut known);
        }
        assert_eq!(coordinator.deadlines.len(), alarms, "an alarm of nobody's");
        let waiting: BTreeSet<ReplyId> = self.waiting.keys().copied().collect();
        assert_eq!(known, waiting);
        assert_eq!(coordinator.inflight.len(), self.appends.len());
        self.check_memory();
    }

    /// What is counted as it changes is what there is.
    fn check_memory(&self) {
        let mut all = 0;
        for group in self.coordinator.groups.values() {
            let members: usize = group.members.values().map(|member| member.bytes()).sum();
            assert_eq!(group.members_bytes, members, "{group:?}");
            assert_eq!(group.offsets.bytes(), group.offsets.bytes_anew(), "{group:?}");
            assert_eq!(group.pending.is_empty(), group.pending.bytes() == 0, "{group:?}");
            all += group.bytes();
        }
        assert_eq!(self.coordinator.memory.held(), all, "every change is charged");
    }
}

/// Gives how many alarms of the group are on.
fn check_group(coordinator: &Coordinator, group: &Group, known: &mut BTreeSet<ReplyId>) -> usize {
    let is_set = |alarm: &Alarm| coordinator.deadlines.is_set(alarm);
    let is_busy = coordinator.inflight.is_busy(&group.id);
    let has_sync_alarm = is_set(&group.sync_alarm);
    assert_eq!(group.state == State::Preparing, is_set(&group.join_alarm), "{group:?}");
    if group.state == State::Completing {
        assert!(has_sync_alarm || is_busy, "{group:?}");
    }
    if has_sync_alarm {
        assert!(!group.unsynced.is_empty(), "{group:?}");
    }
    assert_eq!(
        group.state == State::Empty,
        group.members.is_empty() && group.state != State::Preparing
    );
    let mut alarms = usize::from(has_sync_alarm) + usize::from(is_set(&group.join_alarm));
    let mut joining = 0;
    for member in group.members.values() {
        joining += usize::from(member.joining.is_some());
        // It waits, or it is waited for.
        assert!(is_set(&member.alarm) || member.is_excused(), "{member:?}");
        alarms += usize::from(is_set(&member.alarm));
        if member.joining.is_some() {
            assert!(group.state == State::Preparing || is_busy, "{group:?}");
        }
        if member.syncing.is_some() {
            assert_eq!(group.state, State::Completing);
        }
        for reply in member.joining.into_iter().chain(member.syncing) {
            assert!(known.insert(reply));
        }
    }
    assert_eq!(joining, group.joining_count);
    for alarm in group.pending.all_alarms() {
        assert!(is_set(alarm));
        alarms += 1;
    }
    for (instance, member) in &group.statics {
        assert_eq!(group.members[member].instance.as_ref(), Some(instance));
    }
    if !group.members.is_empty() {
        assert!(group.leader.as_ref().is_some_and(|leader| group.members.contains_key(leader)));
        assert!(group.elect_protocol().is_some());
    }
    alarms
}

/// What of a coordinator is in its log: generations as they lie there, and offsets.
fn durable(coordinator: &Coordinator) -> Vec<Change> {
    let mut changes = Vec::new();
    for group in coordinator.groups.values() {
        if let Some(value) = &group.durable {
            changes.push(Change::Group { group: group.id.clone(), value: Some(value.clone()) });
        }
        for (topic, partition, offset) in group.offsets.iter() {
            changes.push(Change::Offset {
                group: group.id.clone(),
                topic: topic.clone(),
                partition,
                committed: Some(offset.clone()),
            });
        }
    }
    changes
}

/// The part of a stable group that a start must come back to.
fn outline(group: &Group) -> impl PartialEq + std::fmt::Debug {
    let members = group.members.values().map(|member| {
        let protocol = group.protocol.as_deref().unwrap_or_default();
        let (metadata, assignment) = (member.shared_metadata(protocol), member.assignment.clone());
        (member.id.clone(), member.instance.clone(), metadata, assignment)
    });
    (
        group.generation,
        group.protocol_type.clone(),
        group.protocol.clone(),
        group.leader.clone(),
        group.statics.clone(),
        members.collect::<Vec<_>>(),
    )
}
