//! SyncGroup: the leader says who gets what, the others wait for it. And Heartbeat.

use super::answer::{Answer, Synced};
use super::command::{Heartbeat, Now, Sync};
use super::coordinator::{Coordinator, check_room};
use super::effect::{Effects, ReplyId};
use super::error::GroupError;
use super::group::{Group, State};
use super::ids::MemberId;
use super::inflight::Waiter;
use super::memory::Memory;
use super::rebalance::Turn;
use super::record::Change;
use crate::limits::GROUP_GENERATION_BYTES_MAX;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

impl Coordinator {
    pub fn on_sync(&mut self, now: Now, sync: Sync, reply: ReplyId, effects: &mut Effects) {
        if sync.group.is_empty() {
            return effects.reply(reply, Answer::Sync(Err(GroupError::EmptyGroupId)));
        }
        let memory = Rc::clone(&self.memory);
        let (groups, mut turn) = self.split(now, effects);
        let result = match groups.get_mut(&sync.group) {
            Some(group) if group.state != State::Empty => {
                let result = group.on_sync(&mut turn, &memory, sync, reply);
                group.recharge(&memory);
                result
            }
            _ => Err(GroupError::UnknownMember { member: sync.member }),
        };
        if let Some(result) = result.transpose() {
            effects.reply(reply, Answer::Sync(result));
        }
    }

    pub fn on_heartbeat(
        &mut self,
        now: Now,
        heartbeat: Heartbeat,
        reply: ReplyId,
        effects: &mut Effects,
    ) {
        let result = self.heartbeat(now, &heartbeat, effects);
        effects.reply(reply, Answer::Heartbeat(result));
    }

    fn heartbeat(
        &mut self,
        now: Now,
        heartbeat: &Heartbeat,
        effects: &mut Effects,
    ) -> Result<(), GroupError> {
        let Heartbeat { group, member, instance, generation } = heartbeat;
        if group.is_empty() {
            return Err(GroupError::EmptyGroupId);
        }
        let (groups, mut turn) = self.split(now, effects);
        let group = groups
            .get_mut(group)
            .ok_or_else(|| GroupError::UnknownMember { member: member.clone() })?;
        group.check_member(member, instance.as_ref())?;
        group.check_generation(*generation)?;
        if let Some(member) = group.members.get_mut(member) {
            turn.renew(&group.id, member);
        }
        match group.state {
            State::Preparing => Err(GroupError::RebalanceInProgress),
            State::Completing | State::Stable | State::Empty => Ok(()),
        }
    }
}

impl Group {
    /// The answer, or none yet.
    fn on_sync(
        &mut self,
        turn: &mut Turn<'_>,
        memory: &Memory,
        sync: Sync,
        reply: ReplyId,
    ) -> Result<Option<Synced>, GroupError> {
        let id = sync.member.clone();
        self.check_member(&id, sync.instance.as_ref())?;
        self.check_generation(sync.generation)?;
        let differs = |seen: &Option<Arc<str>>, own: &Option<Arc<str>>| {
            seen.is_some() && own.is_some() && seen != own
        };
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol_name, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.state {
            State::Preparing | State::Empty => Err(GroupError::RebalanceInProgress),
            State::Completing => {
                self.mark_synced(turn, &id);
                let member = self.members.get_mut(&id).expect("it was found above");
                if let Some(before) = member.syncing.replace(reply) {
                    let error = Err(GroupError::RebalanceInProgress);
                    turn.effects.reply(before, Answer::Sync(error));
                }
                if self.is_leader(&id) {
                    match self.check_assignments(memory, &sync.assignments) {
                        Ok(()) => {
                            self.append_assignments(turn, sync.assignments.into_iter().collect());
                        }
                        // As one that could not be written: everyone is told, and joins again.
                        Err(error) => _ = self.on_assign_failed(turn, sync.generation, &error),
                    }
                }
                Ok(None)
            }
            State::Stable => {
                self.mark_synced(turn, &id);
                Ok(Some(Synced {
                    protocol_type: self.protocol_type.clone(),
                    protocol_name: self.protocol.clone(),
                    assignment: self.members[&id].assignment.clone(),
                }))
            }
        }
    }

    /// A generation is one record, with what each member said of itself and was assigned.
    fn check_assignments(
        &self,
        memory: &Memory,
        assignments: &[(MemberId, Arc<[u8]>)],
    ) -> Result<(), GroupError> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let said = self.members.values().map(|member| member.metadata(protocol).len());
        let assigned = assignments.iter().map(|(_, assignment)| assignment.len());
        let (bytes, max) = (said.chain(assigned).sum(), GROUP_GENERATION_BYTES_MAX);
        if bytes > max {
            return Err(GroupError::GenerationTooLarge { bytes, max });
        }
        let before = self.durable.as_ref().map_or(0, |value| value.len());
        check_room(memory, 2 * bytes.saturating_sub(before))
    }

    fn mark_synced(&mut self, turn: &mut Turn<'_>, member: &MemberId) {
        self.unsynced.remove(member);
        if self.unsynced.is_empty() {
            turn.deadlines.cancel(&mut self.sync_alarm);
        }
    }

    /// The generation goes into the log with its assignments; then members get them.
    fn append_assignments(
        &mut self,
        turn: &mut Turn<'_>,
        assignments: BTreeMap<MemberId, Arc<[u8]>>,
    ) {
        let value = Some(self.to_value(Some(&assignments)));
        let change = Change::Group { group: self.id.clone(), value };
        let token = turn.inflight.append(vec![change], turn.effects);
        let (group, generation) = (self.id.clone(), self.generation);
        turn.inflight.wait(token, Waiter::Assigned { group, generation, assignments });
    }
}
