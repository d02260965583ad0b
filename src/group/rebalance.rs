//! The two phases of a rebalance: members join, the leader assigns.
//!
//! Functions give the append that they asked for, if any: an answer may have to wait for it.

use super::answer::{Answer, JoinAnswer, Joined, Synced};
use super::command::Now;
use super::deadlines::{Deadlines, Wake};
use super::effect::{AppendToken, Effects, Failure, Notice};
use super::error::GroupError;
use super::group::{Group, JoinPhase, State};
use super::ids::{GroupId, MemberId};
use super::inflight::Inflight;
use super::member::Member;
use super::record::Change;
use super::settings::Settings;
use crate::limits::{GROUP_NEW_MEMBER_PATIENCE, GROUP_REBALANCE_PAUSE_MIN};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// All of a coordinator but its groups, while one of them does something.
pub(super) struct Turn<'c> {
    pub now: Now,
    pub settings: &'c Settings,
    pub deadlines: &'c mut Deadlines,
    pub inflight: &'c mut Inflight,
    pub effects: &'c mut Effects,
}

impl Turn<'_> {
    /// Asks for the group's generation to be written, without members' new assignments.
    pub fn append_group(&mut self, group: &Group) -> AppendToken {
        let change = Change::Group { group: group.id.clone(), value: Some(group.to_value(None)) };
        self.inflight.append(vec![change], self.effects)
    }

    /// A member has been heard: its session begins anew.
    pub fn renew(&mut self, group: &GroupId, member: &mut Member) {
        let patience = member.session_timeout();
        self.give_patience(group, member, patience);
    }

    pub fn give_patience(&mut self, group: &GroupId, member: &mut Member, patience: Duration) {
        let (due, id) = (self.now.instant + patience, &member.id);
        self.deadlines.set(&mut member.alarm, due, || Wake::Member(group.clone(), id.clone()));
    }

    pub fn set_join_alarm(&mut self, group: &mut Group, patience: Duration) {
        let (due, id) = (self.now.instant + patience, &group.id);
        self.deadlines.set(&mut group.join_alarm, due, || Wake::Join(id.clone()));
    }

    pub fn set_sync_alarm(&mut self, group: &mut Group, patience: Duration) {
        let (due, id) = (self.now.instant + patience, &group.id);
        self.deadlines.set(&mut group.sync_alarm, due, || Wake::Sync(id.clone()));
    }
}

impl Group {
    /// What a join or a leave sets off: a rebalance, or the end of one's join phase.
    pub fn rebalance_or_complete(
        &mut self,
        turn: &mut Turn<'_>,
        reason: &str,
    ) -> Option<AppendToken> {
        if self.state == State::Preparing {
            return self.complete_if_joined(turn);
        }
        self.prepare(turn, reason)
    }

    /// Begins a rebalance: from here on members have to join again.
    pub fn prepare(&mut self, turn: &mut Turn<'_>, reason: &str) -> Option<AppendToken> {
        if self.state == State::Completing {
            self.drop_assignments(turn, &GroupError::RebalanceInProgress);
        }
        self.unsynced.clear();
        turn.deadlines.cancel(&mut self.sync_alarm);
        let is_first = self.state == State::Empty;
        self.transition(State::Preparing, turn.now.timestamp);
        turn.effects.notice(Notice::Rebalancing {
            group: self.id.clone(),
            generation: self.generation,
            reason: reason.into(),
        });
        if is_first {
            let delay = turn.settings.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.join_phase = JoinPhase::Initial { delay, remaining };
            turn.set_join_alarm(self, delay);
            return None;
        }
        if self.has_all_joined() {
            return self.complete_join(turn);
        }
        self.join_phase = JoinPhase::Later;
        let patience = self.rebalance_timeout();
        turn.set_join_alarm(self, patience);
        None
    }

    /// Ends the join phase if nobody is missing. The first one has its time, whoever is there.
    pub fn complete_if_joined(&mut self, turn: &mut Turn<'_>) -> Option<AppendToken> {
        let is_later = self.state == State::Preparing && self.previous != Some(State::Empty);
        if is_later && self.has_all_joined() { self.complete_join(turn) } else { None }
    }

    /// The join phase has lasted as long as it may.
    pub fn on_join_alarm(&mut self, turn: &mut Turn<'_>) -> Option<AppendToken> {
        if self.state != State::Preparing {
            return None;
        }
        match self.join_phase {
            JoinPhase::Initial { delay, remaining }
                if self.has_newcomer && !remaining.is_zero() =>
            {
                self.has_newcomer = false;
                let next = turn.settings.initial_rebalance_delay.min(remaining);
                let remaining = remaining.saturating_sub(delay);
                self.join_phase = JoinPhase::Initial { delay: next, remaining };
                turn.set_join_alarm(self, next);
                None
            }
            _ => self.complete_join(turn),
        }
    }

    /// Ends the join phase with those that joined; static members may be late. The next generation
    /// begins, or nobody is left.
    pub fn complete_join(&mut self, turn: &mut Turn<'_>) -> Option<AppendToken> {
        turn.deadlines.cancel(&mut self.join_alarm);
        self.drop_absent(turn);
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members are left, and none joined: their sessions end, or they come.
            self.join_phase = JoinPhase::Later;
            let patience = self.rebalance_timeout().max(GROUP_REBALANCE_PAUSE_MIN);
            turn.set_join_alarm(self, patience);
            return None;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.unsynced.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.find_subscribed();
            self.transition(State::Empty, turn.now.timestamp);
            let (group, generation) = (self.id.clone(), self.generation);
            turn.effects.notice(Notice::Emptied { group, generation });
            return Some(turn.append_group(self));
        }
        let protocol = self.elect_protocol().expect("members have a protocol in common");
        self.protocol = Some(protocol);
        self.find_subscribed();
        self.transition(State::Completing, turn.now.timestamp);
        self.send_generation(turn);
        let patience = self.rebalance_timeout();
        turn.set_sync_alarm(self, patience);
        None
    }

    /// Dynamic members that did not come back are no members any more.
    fn drop_absent(&mut self, turn: &mut Turn<'_>) {
        let mut absent = Vec::new();
        for member in self.members.values() {
            if member.joining.is_none() && member.instance.is_none() {
                absent.push(member.id.clone());
            }
        }
        for id in absent {
            self.drop_member(turn, &id);
            self.note_failed(turn, id, Failure::Join);
        }
    }

    /// The leader has to be one who joined. False where nobody did.
    fn elect_leader(&mut self) -> bool {
        let Some(leader) = self.leader.as_ref().and_then(|leader| self.members.get(leader)) else {
            return false;
        };
        if leader.joining.is_none() {
            let joined = self.members.values().find(|member| member.joining.is_some());
            let Some(joined) = joined else { return false };
            self.leader = Some(joined.id.clone());
        }
        true
    }

    /// Tells everyone the new generation, and the leader who is in it.
    fn send_generation(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id, false);
            self.answer_join(turn, &id, id.clone(), Ok(joined));
            let member = self.members.get_mut(&id).expect("it is one of them");
            member.is_new = false;
            turn.renew(&self.id, member);
            self.unsynced.insert(id);
        }
    }

    /// The answer to a member's JoinGroup in the generation that is.
    pub fn joined(&self, member: &MemberId, skip_assignment: bool) -> Joined {
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_else(MemberId::none),
            skip_assignment,
            members: if self.is_leader(member) { self.roster() } else { Vec::new() },
        }
    }

    /// Answers the JoinGroup of a member, if it waits.
    pub fn answer_join(
        &mut self,
        turn: &mut Turn<'_>,
        id: &MemberId,
        member: MemberId,
        result: Result<Joined, GroupError>,
    ) {
        let Some(waiting) = self.members.get_mut(id) else { return };
        if let Some(reply) = waiting.joining.take() {
            self.joining_count -= 1;
            turn.effects.reply(reply, Answer::Join(JoinAnswer { member, result }));
        }
    }

    /// Hands out the assignments that the log has now: the group is stable.
    pub fn on_assigned(
        &mut self,
        turn: &mut Turn<'_>,
        generation: i32,
        assignments: &BTreeMap<MemberId, Arc<[u8]>>,
    ) {
        // Another rebalance may have begun in the meantime; its members were told.
        if self.state != State::Completing || self.generation != generation {
            return;
        }
        let (protocol_type, protocol_name) = (self.protocol_type.clone(), self.protocol.clone());
        for member in self.members.values_mut() {
            member.assignment = assignments.get(&member.id).cloned().unwrap_or_default();
            if let Some(reply) = member.syncing.take() {
                let synced = Synced {
                    protocol_type: protocol_type.clone(),
                    protocol_name: protocol_name.clone(),
                    assignment: member.assignment.clone(),
                };
                turn.effects.reply(reply, Answer::Sync(Ok(synced)));
                turn.renew(&self.id, member);
            }
        }
        self.transition(State::Stable, turn.now.timestamp);
        let (group, members) = (self.id.clone(), self.members.len());
        turn.effects.notice(Notice::Stable { group, generation, members });
    }

    /// The assignments were not written: members are told, and join again.
    pub fn on_assign_failed(
        &mut self,
        turn: &mut Turn<'_>,
        generation: i32,
        error: &GroupError,
    ) -> Option<AppendToken> {
        if self.state != State::Completing || self.generation != generation {
            return None;
        }
        self.drop_assignments(turn, error);
        self.prepare(turn, &format!("the assignment was not written: {error}"))
    }

    /// Nobody keeps an assignment of a generation that did not become stable.
    fn drop_assignments(&mut self, turn: &mut Turn<'_>, error: &GroupError) {
        for member in self.members.values_mut() {
            member.assignment = Arc::default();
            if let Some(reply) = member.syncing.take() {
                turn.effects.reply(reply, Answer::Sync(Err(error.clone())));
                turn.renew(&self.id, member);
            }
        }
    }

    /// Members that took the generation and never synced are gone.
    pub fn on_sync_alarm(&mut self, turn: &mut Turn<'_>) -> Option<AppendToken> {
        let is_running = matches!(self.state, State::Completing | State::Stable);
        if !is_running || self.unsynced.is_empty() {
            return None;
        }
        for id in std::mem::take(&mut self.unsynced) {
            self.drop_member(turn, &id);
            self.note_failed(turn, id, Failure::Sync);
        }
        self.prepare(turn, "members did not send their SyncGroup in time")
    }

    /// A session has ended, or the patience with an id that was given out.
    pub fn on_member_alarm(&mut self, turn: &mut Turn<'_>, id: &MemberId) -> Option<AppendToken> {
        if self.pending.remove(id).is_some() {
            let is_missed = self.state == State::Preparing && self.has_all_joined();
            return if is_missed { self.complete_join(turn) } else { None };
        }
        let member = self.members.get(id)?;
        if member.is_excused() {
            return None;
        }
        let timeout =
            if member.is_new { GROUP_NEW_MEMBER_PATIENCE } else { member.session_timeout() };
        self.drop_member(turn, id);
        self.note_failed(turn, id.clone(), Failure::Session { timeout });
        match self.state {
            State::Stable | State::Completing => self
                .prepare(turn, &format!("member {id} was silent for {} ms", timeout.as_millis())),
            State::Preparing if self.has_all_joined() => self.complete_join(turn),
            State::Preparing | State::Empty => None,
        }
    }

    /// Takes a member out and answers what it waits for, as one that is not known.
    pub fn drop_member(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        let Some(mut member) = self.take(id) else { return };
        turn.deadlines.cancel(&mut member.alarm);
        let unknown = || GroupError::UnknownMember { member: id.clone() };
        if let Some(reply) = member.joining {
            let answer = JoinAnswer { member: MemberId::none(), result: Err(unknown()) };
            turn.effects.reply(reply, Answer::Join(answer));
        }
        if let Some(reply) = member.syncing {
            turn.effects.reply(reply, Answer::Sync(Err(unknown())));
        }
        if self.unsynced.is_empty() {
            turn.deadlines.cancel(&mut self.sync_alarm);
        }
    }

    fn note_failed(&self, turn: &mut Turn<'_>, member: MemberId, how: Failure) {
        let group = self.id.clone();
        turn.effects.notice(Notice::MemberFailed { group, member, how });
    }
}
