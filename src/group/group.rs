//! One classic group: its members, the protocol that they have in common, what it committed.

use super::answer::JoinedMember;
use super::command::{Join, Protocol};
use super::deadlines::{Alarm, Deadlines};
use super::effect::ReplyId;
use super::error::GroupError;
use super::ids::{GroupId, InstanceId, MemberId};
use super::member::Member;
use super::memory::Charge;
use super::offsets::Offsets;
use super::pending::Pending;
use super::record;
use super::subscription::{self, CONSUMER};
use crate::model::{Timestamp, TopicName};
use crate::protocol::{array, read, write};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// ```text
///   Empty -> PreparingRebalance -> CompletingRebalance -> Stable
///     ^          |        ^ ^            |                  |
///     +----------+        | +------------+                  |
///      nobody joined      +---------------------------------+
/// ```
/// Kafka's fifth state, Dead, is a group that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No members; maybe offsets, maybe ids given out.
    Empty,
    /// Members join; those that were there have the rebalance timeout to come back.
    Preparing,
    /// The leader assigns.
    Completing,
    Stable,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// What the end of a join phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinPhase {
    /// The first one: more members are likely to come (group.initial.rebalance.delay.ms).
    Initial { delay: Duration, remaining: Duration },
    /// The rebalance timeout of the most patient member.
    Later,
}

#[derive(Debug)]
pub(super) struct Group {
    pub id: GroupId,
    pub state: State,
    /// Before `state`; none for a group that was loaded or just made.
    pub previous: Option<State>,
    pub generation: i32,
    /// None for a group that only holds offsets.
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<MemberId>,
    pub changed_at: Option<Timestamp>,
    pub members: BTreeMap<MemberId, Box<Member>>,
    pub statics: BTreeMap<InstanceId, MemberId>,
    /// Ids given out that nobody has joined with yet (KIP-394).
    pub pending: Pending,
    /// Members that have not sent their SyncGroup in this generation.
    pub unsynced: BTreeSet<MemberId>,
    /// Members whose JoinGroup waits.
    pub joining_count: usize,
    /// How many members know each protocol.
    pub protocol_counts: BTreeMap<Arc<str>, usize>,
    /// Somebody came since the initial delay began.
    pub has_newcomer: bool,
    pub join_phase: JoinPhase,
    pub join_alarm: Alarm,
    pub sync_alarm: Alarm,
    /// Topics of the members, as far as they are known.
    pub subscribed: Option<BTreeSet<TopicName>>,
    pub offsets: Offsets,
    /// The last generation in the log, as it lies there: what a start would come back to.
    pub durable: Option<Arc<[u8]>>,
    /// Its tombstone is under way.
    pub is_dying: bool,
    /// Of the members, about.
    pub members_bytes: usize,
    pub charge: Charge,
}

impl Group {
    /// A group without members.
    pub fn new(id: GroupId, changed_at: Option<Timestamp>) -> Self {
        Self {
            id,
            state: State::Empty,
            previous: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            changed_at,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: Pending::default(),
            unsynced: BTreeSet::new(),
            joining_count: 0,
            protocol_counts: BTreeMap::new(),
            has_newcomer: false,
            join_phase: JoinPhase::Later,
            join_alarm: Alarm::default(),
            sync_alarm: Alarm::default(),
            subscribed: None,
            offsets: Offsets::default(),
            durable: None,
            is_dying: false,
            members_bytes: 0,
            charge: Charge::default(),
        }
    }

    /// Takes the generation of a record; offsets stay.
    pub fn load(&mut self, value: &read::GroupMetadataValue<'_>) {
        let offsets = std::mem::take(&mut self.offsets);
        let durable = self.durable.take();
        *self = Self::new(self.id.clone(), Some(Timestamp(value.current_state_timestamp)));
        self.changed_at = self.changed_at.filter(|&at| at != Timestamp::NONE);
        self.offsets = offsets;
        self.durable = durable;
        self.generation = value.generation;
        self.protocol_type =
            Some(value.protocol_type).filter(|kind| !kind.is_empty()).map(Arc::from);
        self.protocol = value.protocol.map(Arc::from);
        for loaded in value.members {
            self.add(load_member(&loaded, value.protocol.unwrap_or_default()));
        }
        let leader = value.leader.filter(|leader| self.members.contains_key(*leader));
        self.leader = leader.map(MemberId::from).or(self.leader.take());
        if !self.members.is_empty() {
            self.state = State::Stable;
        }
        self.find_subscribed();
    }

    /// The generation as a record's value, with these assignments where some are given and with
    /// those that members have where not.
    pub fn to_value(&self, assignments: Option<&BTreeMap<MemberId, Arc<[u8]>>>) -> Arc<[u8]> {
        let protocol = self.protocol.as_deref();
        let members = self.members.values().map(|member| {
            let subscription = member.metadata(protocol.unwrap_or_default());
            let assignment: &[u8] = match assignments {
                Some(given) => given.get(&member.id).map_or(&[], |assignment| assignment),
                None => &member.assignment,
            };
            write::group_metadata_value::MemberMetadata {
                member_id: member.id.as_str().into(),
                group_instance_id: member.instance.as_ref().map(|id| id.as_str().into()),
                client_id: (&*member.client_id).into(),
                client_host: (&*member.client_host).into(),
                rebalance_timeout: member.rebalance_timeout_ms,
                session_timeout: member.session_timeout_ms,
                subscription: Cow::Borrowed(subscription),
                assignment: Cow::Borrowed(assignment),
            }
        });
        record::group_value(&write::GroupMetadataValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default().into(),
            generation: self.generation,
            protocol: protocol.map(Into::into),
            leader: self.leader.as_ref().map(|leader| leader.as_str().into()),
            current_state_timestamp: self.changed_at.unwrap_or(Timestamp::NONE).0,
            members: members.collect(),
        })
    }

    pub fn transition(&mut self, state: State, at: Timestamp) {
        assert!(match state {
            State::Empty | State::Completing => self.state == State::Preparing,
            State::Preparing => self.state != State::Preparing,
            State::Stable => self.state == State::Completing,
        });
        self.previous = Some(self.state);
        self.state = state;
        self.changed_at = Some(at);
    }

    // --- members ---

    /// Adds a member; the first one of a group leads it and gives it its protocol type.
    pub fn add(&mut self, member: Member) {
        if let Some(instance) = &member.instance {
            let before = self.statics.insert(instance.clone(), member.id.clone());
            assert!(before.is_none());
        }
        self.count_protocols(&member.protocols, true);
        self.members_bytes += member.bytes();
        self.joining_count += usize::from(member.joining.is_some());
        self.leader.get_or_insert_with(|| member.id.clone());
        let before = self.members.insert(member.id.clone(), Box::new(member));
        assert!(before.is_none());
    }

    /// Takes a member out. Its alarm and what it waits for are the caller's now.
    #[must_use]
    pub fn take(&mut self, id: &MemberId) -> Option<Box<Member>> {
        let member = self.members.remove(id)?;
        self.count_protocols(&member.protocols, false);
        self.members_bytes -= member.bytes();
        self.joining_count -= usize::from(member.joining.is_some());
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        self.unsynced.remove(id);
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// What a member says of itself anew, and that it waits to join. Gives back who waited before.
    pub fn update(
        &mut self,
        id: &MemberId,
        join: &Join,
        joining: Option<ReplyId>,
    ) -> Option<ReplyId> {
        let member = self.members.get_mut(id).expect("the caller has found it");
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        let before = std::mem::replace(&mut member.joining, joining);
        self.joining_count += usize::from(joining.is_some());
        self.joining_count -= usize::from(before.is_some());
        self.replace_protocols(id, join.protocols.clone());
        before
    }

    pub fn replace_protocols(&mut self, id: &MemberId, protocols: Vec<Protocol>) {
        self.count_protocols(&protocols, true);
        let member = self.members.get_mut(id).expect("the caller has found it");
        self.members_bytes -= member.bytes();
        let before = std::mem::replace(&mut member.protocols, protocols);
        self.members_bytes += member.bytes();
        self.count_protocols(&before, false);
    }

    /// Gives a static member another id. What the old one waited for is in the member still.
    pub fn rename(&mut self, before: &MemberId, after: MemberId) {
        let mut member = self.members.remove(before).expect("the caller has found it");
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), after.clone());
        }
        if self.leader.as_ref() == Some(before) {
            self.leader = Some(after.clone());
        }
        if self.unsynced.remove(before) {
            self.unsynced.insert(after.clone());
        }
        self.members_bytes -= member.bytes();
        member.id = after.clone();
        self.members_bytes += member.bytes();
        self.members.insert(after, member);
    }

    /// Whether it is a member, and the one of its instance.
    pub fn check_member(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        let unknown = || GroupError::UnknownMember { member: member.clone() };
        if let Some(instance) = instance {
            let owner = self.statics.get(instance).ok_or_else(unknown)?;
            if owner != member {
                let (instance, owner) = (instance.clone(), owner.clone());
                return Err(GroupError::FencedInstance { instance, owner });
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(unknown()) }
    }

    pub fn check_generation(&self, seen: i32) -> Result<(), GroupError> {
        let current = self.generation;
        if seen == current { Ok(()) } else { Err(GroupError::IllegalGeneration { seen, current }) }
    }

    pub fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    pub fn has_all_joined(&self) -> bool {
        self.joining_count == self.members.len() && self.pending.is_empty()
    }

    /// As long as the most patient member asks.
    pub fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout()).max().unwrap_or_default()
    }

    /// What the leader is told of everyone.
    pub fn roster(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let line = |member: &Member| JoinedMember {
            member: member.id.clone(),
            instance: member.instance.clone(),
            metadata: member.shared_metadata(protocol),
        };
        self.members.values().map(|member| line(member)).collect()
    }

    /// Nothing of the group waits any more.
    pub fn cancel_alarms(&mut self, deadlines: &mut Deadlines) {
        let members = self.members.values_mut().map(|member| &mut member.alarm);
        let own = [&mut self.join_alarm, &mut self.sync_alarm];
        for alarm in members.chain(self.pending.alarms()).chain(own) {
            deadlines.cancel(alarm);
        }
    }

    // --- the protocol in common ---

    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether a member with these protocols could be in the group.
    pub fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let known = |name: &str| self.protocol_counts.get(name).copied().unwrap_or(0);
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| known(&protocol.name) == self.members.len())
    }

    /// Each member votes for the first of its protocols that all know. The one with most votes
    /// wins; between equals, the leader's order decides.
    pub fn elect_protocol(&self) -> Option<Arc<str>> {
        let everyone = self.members.len();
        let is_candidate =
            |protocol: &&Protocol| self.protocol_counts.get(&protocol.name) == Some(&everyone);
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(is_candidate)?;
            *votes.entry(&choice.name).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader))?;
        let wins = |protocol: &&Protocol| votes.get(&*protocol.name) == Some(&most);
        leader.protocols.iter().find(wins).map(|protocol| protocol.name.clone())
    }

    /// Learns what the members subscribe to, if they are consumers whose words can be read.
    pub fn find_subscribed(&mut self) {
        self.subscribed = self.read_subscribed();
    }

    fn read_subscribed(&self) -> Option<BTreeSet<TopicName>> {
        let mut topics = BTreeSet::new();
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol.as_deref()?;
        for member in self.members.values() {
            subscription::add_topics(member.metadata(protocol), &mut topics).ok()?;
        }
        Some(topics)
    }

    /// Whether the group reads the topic. Consumers of whom nothing is known are taken to.
    pub fn is_subscribed(&self, topic: &TopicName) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    fn count_protocols(&mut self, protocols: &[Protocol], is_more: bool) {
        for protocol in protocols {
            let count = self.protocol_counts.entry(protocol.name.clone()).or_default();
            *count = if is_more { *count + 1 } else { *count - 1 };
            if *count == 0 {
                self.protocol_counts.remove(&protocol.name);
            }
        }
    }
}

fn load_member(loaded: &read::group_metadata_value::MemberMetadata<'_>, protocol: &str) -> Member {
    let rebalance_timeout_ms = match loaded.rebalance_timeout {
        -1 => loaded.session_timeout,
        given => given,
    };
    Member {
        id: MemberId::from(loaded.member_id),
        instance: loaded.group_instance_id.map(InstanceId::from),
        client_id: loaded.client_id.into(),
        client_host: loaded.client_host.into(),
        session_timeout_ms: loaded.session_timeout,
        rebalance_timeout_ms,
        protocols: vec![Protocol {
            name: protocol.into(),
            metadata: Arc::from(&*array::cow(loaded.subscription)),
        }],
        assignment: Arc::from(&*array::cow(loaded.assignment)),
        joining: None,
        syncing: None,
        is_new: false,
        alarm: Alarm::default(),
    }
}
