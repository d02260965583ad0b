//! JoinGroup: who may be a member, and when everyone has to join again.

use super::answer::{Answer, JoinAnswer};
use super::command::{Join, Now};
use super::coordinator::Coordinator;
use super::effect::{AppendToken, Effects, Notice, ReplyId};
use super::error::GroupError;
use super::group::{Group, State};
use super::ids::MemberId;
use super::inflight::{Replaced, Waiter};
use super::member::{Member, protocols_bytes};
use super::rebalance::Turn;
use super::record::Change;
use crate::limits::{
    GROUP_MEMBER_BYTES_MAX, GROUP_MEMBERS_MAX, GROUP_NEW_MEMBER_PATIENCE, GROUP_PENDING_JOINS_MAX,
    GROUPS_PER_COORDINATOR_MAX,
};
use crate::protocol::reader::STRING_LEN_MAX;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// Of a UUID with the dash before it.
const UUID_LEN: usize = 37;

impl Coordinator {
    pub fn on_join(&mut self, now: Now, mut join: Join, reply: ReplyId, effects: &mut Effects) {
        if let Err(error) = self.check_join(&join) {
            return refuse(effects, reply, join.member, error);
        }
        let mut names = BTreeSet::new();
        join.protocols.retain(|protocol| names.insert(protocol.name.clone()));
        if self.groups.get(&join.group).is_some_and(|group| group.is_dying) {
            return self.inflight.wait_for_all(Waiter::Join(reply, join));
        }
        let is_new = !self.groups.contains_key(&join.group);
        if is_new && !join.member.is_empty() {
            let member = join.member.clone();
            return refuse(effects, reply, join.member, GroupError::UnknownMember { member });
        }
        if is_new && self.groups.len() >= GROUPS_PER_COORDINATOR_MAX {
            let error = GroupError::TooManyGroups { max: GROUPS_PER_COORDINATOR_MAX };
            return refuse(effects, reply, join.member, error);
        }
        if let Err(error) = self.check_room(self.growth_by_join(&join)) {
            return refuse(effects, reply, join.member, error);
        }
        self.join(now, &join, is_new, reply, effects);
        self.recharge(&join.group);
    }

    fn join(&mut self, now: Now, join: &Join, is_new: bool, reply: ReplyId, effects: &mut Effects) {
        let (groups, mut turn) = self.split(now, effects);
        let id = &join.group;
        let group = groups
            .entry(id.clone())
            .or_insert_with(|| Box::new(Group::new(id.clone(), Some(now.timestamp))));
        group.on_join(&mut turn, join, reply);
        if !is_new {
            return;
        }
        // As in Kafka a start knows the group, whatever becomes of it, and even when nobody could
        // join it.
        let value = Group::new(id.clone(), group.changed_at).to_value(None);
        let change = Change::Group { group: id.clone(), value: Some(value) };
        let token = turn.inflight.append(vec![change], turn.effects);
        turn.inflight.wait(token, Waiter::Created(id.clone()));
    }

    fn check_join(&self, join: &Join) -> Result<(), GroupError> {
        if join.group.is_empty() {
            return Err(GroupError::EmptyGroupId);
        }
        let (min, max) =
            (self.settings.session_timeout_ms_min, self.settings.session_timeout_ms_max);
        let ms = join.session_timeout_ms;
        if !(min..=max).contains(&ms) {
            return Err(GroupError::SessionTimeout { ms, min, max });
        }
        let size = |sum: usize, protocol: &super::command::Protocol| {
            sum + protocol.name.len() + protocol.metadata.len()
        };
        let bytes = join.protocols.iter().fold(0, size);
        if bytes > GROUP_MEMBER_BYTES_MAX {
            return Err(GroupError::MemberTooLarge { bytes, max: GROUP_MEMBER_BYTES_MAX });
        }
        Ok(())
    }
}

impl Coordinator {
    /// What a join adds to what is held, at most: nothing where a member says no more than before.
    fn growth_by_join(&self, join: &Join) -> usize {
        let group = self.groups.get(&join.group);
        let said = protocols_bytes(&join.protocols);
        if let Some(member) = group.and_then(|group| group.members.get(&join.member)) {
            return said.saturating_sub(protocols_bytes(&member.protocols));
        }
        // Its id has the name of its client or instance; it is kept with each deadline, too.
        const FIXED: usize = 512;
        let instance = join.instance.as_ref().map_or(0, |instance| instance.as_str().len());
        let texts = 2 * join.client_id.len() + 2 * instance + join.client_host.len();
        let own = if group.is_none() { Group::bytes_of(join.group.as_str().len()) } else { 0 };
        own + FIXED + texts + said
    }
}

fn refuse(effects: &mut Effects, reply: ReplyId, member: MemberId, error: GroupError) {
    effects.reply(reply, Answer::Join(JoinAnswer { member, result: Err(error) }));
}

impl Group {
    fn on_join(&mut self, turn: &mut Turn<'_>, join: &Join, reply: ReplyId) {
        let max = turn.settings.members_max.min(GROUP_MEMBERS_MAX);
        if !self.accepts(&join.member, max) {
            if let Some(mut alarm) = self.pending.remove(&join.member) {
                turn.deadlines.cancel(&mut alarm);
            }
            self.drop_member(turn, &join.member);
            let error = GroupError::GroupFull { max };
            return refuse(turn.effects, reply, MemberId::none(), error);
        }
        if !self.supports(&join.protocol_type, &join.protocols) {
            let error = GroupError::InconsistentProtocol;
            return refuse(turn.effects, reply, join.member.clone(), error);
        }
        if join.member.is_empty() {
            self.join_new(turn, join, reply);
        } else {
            self.join_known(turn, join, reply);
        }
    }

    /// While members join, those that wait count: so the last to come back are sent away where the
    /// bound was lowered.
    fn accepts(&self, member: &MemberId, max: usize) -> bool {
        match self.state {
            State::Empty => true,
            State::Preparing => {
                self.members.get(member).is_some_and(|member| member.joining.is_some())
                    || self.joining_count < max
            }
            State::Completing | State::Stable => {
                self.members.contains_key(member) || self.members.len() < max
            }
        }
    }

    fn join_new(&mut self, turn: &mut Turn<'_>, join: &Join, reply: ReplyId) {
        let id = member_id(join);
        if let Some(instance) = &join.instance {
            match self.statics.get(instance).cloned() {
                Some(before) => _ = self.replace_static(turn, join, reply, &before, id),
                None => _ = self.add_member(turn, join, reply, id),
            }
            return;
        }
        if !join.joins_twice {
            self.add_member(turn, join, reply, id);
            return;
        }
        if self.pending.len() >= GROUP_PENDING_JOINS_MAX {
            let error = GroupError::TooManyPending { max: GROUP_PENDING_JOINS_MAX };
            return refuse(turn.effects, reply, MemberId::none(), error);
        }
        let patience = Duration::from_millis(u64::try_from(join.session_timeout_ms).unwrap_or(0));
        let due = turn.now.instant + patience;
        let alarm = self.pending.give_out(&id);
        turn.deadlines
            .set(alarm, due, || super::deadlines::Wake::Member(self.id.clone(), id.clone()));
        refuse(turn.effects, reply, id, GroupError::MemberIdRequired);
    }

    fn join_known(&mut self, turn: &mut Turn<'_>, join: &Join, reply: ReplyId) {
        let id = &join.member;
        if self.pending.contains(id) {
            if join.instance.is_some() {
                return refuse(turn.effects, reply, MemberId::none(), GroupError::StaticPending);
            }
            let mut alarm = self.pending.remove(id).unwrap_or_default();
            turn.deadlines.cancel(&mut alarm);
            self.add_member(turn, join, reply, id.clone());
            return;
        }
        if let Err(error) = self.check_member(id, join.instance.as_ref()) {
            return refuse(turn.effects, reply, id.clone(), error);
        }
        let member = &self.members[id];
        let is_same = member.protocols == join.protocols;
        let (what, state) = (if is_same { "joins" } else { "changed" }, self.state.name());
        let rejoins = match self.state {
            State::Preparing => true,
            // The same again: the answer did not arrive, or there was a leader's rebalance.
            State::Completing => !is_same,
            // The leader forces a rebalance: it has seen new partitions.
            State::Stable => !is_same || self.is_leader(id),
            State::Empty => unreachable!("an empty group has no members"),
        };
        if rejoins {
            let reason = reason(join, &format!("member {id} {what} in {state}"));
            if let Some(before) = self.update(id, join, Some(reply)) {
                refuse(turn.effects, before, id.clone(), GroupError::RebalanceInProgress);
            }
            self.rebalance_or_complete(turn, &reason);
            return;
        }
        let joined = self.joined(id, false);
        let answer = JoinAnswer { member: id.clone(), result: Ok(joined) };
        turn.effects.reply(reply, Answer::Join(answer));
    }

    /// A member more: everyone joins again.
    fn add_member(
        &mut self,
        turn: &mut Turn<'_>,
        join: &Join,
        reply: ReplyId,
        id: MemberId,
    ) -> Option<AppendToken> {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if self.state == State::Preparing && self.previous == Some(State::Empty) {
            self.has_newcomer = true;
        }
        let mut member = Member::new(id.clone(), join);
        member.joining = Some(reply);
        // It cannot send heartbeats yet, and nobody would tell if it were gone.
        turn.give_patience(&self.id, &mut member, GROUP_NEW_MEMBER_PATIENCE);
        self.add(member);
        self.rebalance_or_complete(turn, &reason(join, &format!("member {id} is new")))
    }

    /// Another process takes the place of a static member (KIP-345). While the group is stable and
    /// its protocol stays, nobody else need know.
    fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        join: &Join,
        reply: ReplyId,
        before: &MemberId,
        after: MemberId,
    ) -> Option<AppendToken> {
        let leader = self.leader.clone().unwrap_or_else(MemberId::none);
        self.fence(turn, before, &after);
        let member = &self.members[before];
        let replaced = Replaced {
            group: self.id.clone(),
            before: before.clone(),
            after: after.clone(),
            leader,
            can_skip_assignment: join.can_skip_assignment,
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            protocols: member.protocols.clone(),
        };
        self.rename_and_renew(turn, before, after.clone(), |group| {
            group.update(&after, join, Some(reply));
        });
        let (group, before, after) = (self.id.clone(), before.clone(), replaced.after.clone());
        turn.effects.notice(Notice::Replaced { group, before, after: after.clone() });
        let text = format!("static member {after} took its place");
        match self.state {
            State::Stable if self.elect_protocol() == self.protocol => {
                let token = turn.append_group(self);
                turn.inflight.wait(token, Waiter::Replaced(Box::new(replaced)));
                Some(token)
            }
            // The old id may be on its way to the leader: its assignment would reach nobody.
            State::Stable | State::Completing => self.prepare(turn, &reason(join, &text)),
            State::Preparing | State::Empty => self.complete_if_joined(turn),
        }
    }

    /// Whoever still waits under the old id has lost its place.
    fn fence(&mut self, turn: &mut Turn<'_>, before: &MemberId, after: &MemberId) {
        let Some(member) = self.members.get_mut(before) else { return };
        let Some(instance) = member.instance.clone() else { return };
        let fenced = GroupError::FencedInstance { instance, owner: after.clone() };
        if let Some(waiting) = member.syncing.take() {
            turn.effects.reply(waiting, Answer::Sync(Err(fenced.clone())));
        }
        self.answer_join(turn, before, before.clone(), Err(fenced));
    }

    /// Gives a member another id and something more; its session begins anew.
    fn rename_and_renew(
        &mut self,
        turn: &mut Turn<'_>,
        before: &MemberId,
        after: MemberId,
        change: impl FnOnce(&mut Self),
    ) {
        if let Some(member) = self.members.get_mut(before) {
            turn.deadlines.cancel(&mut member.alarm);
        }
        self.rename(before, after.clone());
        change(self);
        if let Some(member) = self.members.get_mut(&after) {
            member.is_new = false;
            turn.renew(&self.id, member);
        }
    }

    /// The new id is in the log: the process that took the place may go on.
    pub(super) fn on_replaced(&mut self, turn: &mut Turn<'_>, replaced: &Replaced) {
        let after = &replaced.after;
        // In a rebalance that began meanwhile it counts as one that joined.
        if self.state != State::Stable || !self.members.contains_key(after) {
            return;
        }
        let mut joined = self.joined(after, false);
        if replaced.can_skip_assignment {
            joined.skip_assignment = self.is_leader(after);
        } else {
            // It must not take itself for the leader: it would assign anew, and nobody would know.
            joined.leader = replaced.leader.clone();
            joined.members = Vec::new();
        }
        self.answer_join(turn, after, after.clone(), Ok(joined));
        if let Some(member) = self.members.get_mut(after) {
            turn.renew(&self.id, member);
        }
    }

    /// The new id is not in the log: the old one has its place back.
    pub(super) fn on_replace_failed(
        &mut self,
        turn: &mut Turn<'_>,
        replaced: Replaced,
        error: &GroupError,
    ) {
        let Replaced { before, after, .. } = replaced;
        if !self.members.contains_key(&after) {
            return;
        }
        self.answer_join(turn, &after, MemberId::none(), Err(error.clone()));
        self.rename_and_renew(turn, &after, before.clone(), |group| {
            group.replace_protocols(&before, replaced.protocols);
            let member = group.members.get_mut(&before).expect("it was renamed to this");
            member.session_timeout_ms = replaced.session_timeout_ms;
            member.rebalance_timeout_ms = replaced.rebalance_timeout_ms;
        });
    }

    /// The new group is not in the log: nobody has joined it. Offsets that came later are there.
    pub(super) fn on_create_failed(&mut self, turn: &mut Turn<'_>, error: &GroupError) {
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in ids {
            self.answer_join(turn, &id, MemberId::none(), Err(error.clone()));
            self.drop_member(turn, &id);
        }
        self.cancel_alarms(turn.deadlines);
        let mut rest = Self::new(self.id.clone(), None);
        rest.offsets = std::mem::take(&mut self.offsets);
        rest.durable = self.durable.take();
        *self = rest;
    }
}

/// As Kafka makes them: what the user knows the member by, then a random UUID. A name that leaves no
/// room for that on the wire is cut: the member must be able to say who it is.
fn member_id(join: &Join) -> MemberId {
    let mut bytes = join.fresh_id.0;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let name = match &join.instance {
        Some(instance) => instance.as_str(),
        None => &join.client_id,
    };
    let mut end = name.len().min(STRING_LEN_MAX - UUID_LEN);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = &name[..end];
    let mut id = String::with_capacity(name.len() + UUID_LEN);
    id.push_str(name);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 0 | 4 | 6 | 8 | 10) {
            id.push('-');
        }
        write!(id, "{byte:02x}").expect("a String takes all");
    }
    MemberId::from(id.as_str())
}

fn reason(join: &Join, what: &str) -> String {
    match &join.reason {
        Some(reason) => format!("{what}; client's reason: {reason}"),
        None => what.to_owned(),
    }
}
