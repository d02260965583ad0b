//! Random members of one group, honest and not: they join, leave, crash, take each other's place,
//! and appends fail. Whatever happens, who waits is answered in time, and one generation's
//! assignments are live.

use super::effect::{Effect, ReplyId};
use super::group::State;
use super::world::World;
use super::*;
use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicName, Uuid};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const CLIENTS: usize = 6;
const DELAY: Duration = Duration::from_secs(1);
/// The longest of the rebalance timeouts below.
const REBALANCE: Duration = Duration::from_secs(15);
/// A JoinGroup or SyncGroup is answered within this, as long as appends are.
const PATIENCE: Duration = Duration::from_secs(17);

#[derive(Clone, Copy, Debug)]
enum Step {
    Join { client: usize, forgets: bool, other: bool },
    Sync(usize),
    Heartbeat(usize),
    Leave(usize),
    Crash(usize),
    Commit { client: usize, standalone: bool },
    Fetch { stable: bool },
    Delete { offsets: bool },
    Wait(u16),
    Committed,
    Failed,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        8 => (client.clone(), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
            .prop_map(|(client, forgets, other)| Step::Join { client, forgets, other }),
        8 => client.clone().prop_map(Step::Sync),
        4 => client.clone().prop_map(Step::Heartbeat),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.clone().prop_map(Step::Crash),
        2 => (client, any::<bool>())
            .prop_map(|(client, standalone)| Step::Commit { client, standalone }),
        1 => any::<bool>().prop_map(|stable| Step::Fetch { stable }),
        1 => any::<bool>().prop_map(|offsets| Step::Delete { offsets }),
        6 => (0..12_000u16).prop_map(Step::Wait),
        10 => Just(Step::Committed),
        1 => Just(Step::Failed),
        1 => Just(Step::Restart),
    ]
}

/// What a client knows of itself.
#[derive(Default)]
struct Client {
    member: Option<MemberId>,
    generation: i32,
    /// As the leader: who is to be assigned something.
    roster: Vec<MemberId>,
}

struct Crowd {
    world: World,
    clients: Vec<Client>,
    asked: BTreeMap<ReplyId, (usize, i32)>,
    fresh: u8,
}

impl Crowd {
    fn new() -> Self {
        let world = World::new(Settings {
            initial_rebalance_delay: DELAY,
            offsets_retention: Duration::from_secs(60),
            offsets_retention_check_interval: Duration::from_secs(20),
            members_max: 4,
            ..Settings::default()
        });
        let clients = (0..CLIENTS).map(|_| Client::default()).collect();
        Self { world, clients, asked: BTreeMap::new(), fresh: 0 }
    }

    fn group() -> GroupId {
        GroupId::from("g")
    }

    /// The first three are static.
    fn instance(client: usize) -> Option<InstanceId> {
        (client < 3).then(|| InstanceId::from(format!("i{client}").as_str()))
    }

    fn ask(&mut self, client: usize) -> ReplyId {
        let reply = self.world.reply_id();
        self.asked.insert(reply, (client, self.clients[client].generation));
        reply
    }

    fn take(&mut self, step: Step) {
        let (now, group) = (self.world.now(), Self::group());
        match step {
            Step::Join { client, forgets, other } => self.join(client, forgets, other),
            Step::Sync(client) => self.sync(client),
            Step::Heartbeat(client) => {
                let reply = self.ask(client);
                let Client { member, generation, .. } = &self.clients[client];
                let heartbeat = Heartbeat {
                    group,
                    member: member.clone().unwrap_or_else(MemberId::none),
                    instance: Self::instance(client),
                    generation: *generation,
                };
                self.world.coordinator.on_heartbeat(now, heartbeat, reply, &mut self.world.effects);
            }
            Step::Leave(client) => {
                let reply = self.ask(client);
                let member = self.clients[client].member.take().unwrap_or_else(MemberId::none);
                let leaver = Leaver { member, instance: Self::instance(client), reason: None };
                let leave = Leave { group, members: vec![leaver] };
                self.world.coordinator.on_leave(now, leave, reply, &mut self.world.effects);
            }
            Step::Crash(client) => self.clients[client] = Client::default(),
            Step::Commit { client, standalone } => self.commit(client, standalone),
            Step::Fetch { stable } => {
                let reply = self.ask(0);
                let fetch = Fetch { group, topics: None, require_stable: stable };
                self.world.coordinator.on_fetch(now, fetch, reply, &mut self.world.effects);
            }
            Step::Delete { offsets } => self.delete(offsets),
            Step::Wait(ms) => self.wait(Duration::from_millis(ms.into())),
            Step::Committed => self.world.commit_one(),
            Step::Failed => self.world.fail_one(AppendError::NotAvailable),
            Step::Restart => self.world.restart(),
        }
        self.listen();
        self.check();
    }

    fn join(&mut self, client: usize, forgets: bool, other: bool) {
        self.fresh = self.fresh.wrapping_add(1);
        let known = self.clients[client].member.clone().filter(|_| !forgets);
        let reply = self.ask(client);
        let mut names = vec!["range", "sticky"];
        if other {
            names.reverse();
        }
        let protocol = |name: &str| Protocol {
            name: name.into(),
            metadata: (*b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff").into(),
        };
        let join = Join {
            group: Self::group(),
            member: known.unwrap_or_else(MemberId::none),
            instance: Self::instance(client),
            client_id: "c".into(),
            client_host: "/h".into(),
            session_timeout_ms: 6_000 + 1_000 * client as i32,
            rebalance_timeout_ms: 10_000 + 1_000 * client as i32,
            protocol_type: "consumer".into(),
            protocols: names.into_iter().map(protocol).collect(),
            reason: None,
            fresh_id: Uuid([self.fresh; 16]),
            joins_twice: client != 5,
            can_skip_assignment: client.is_multiple_of(2),
        };
        let now = self.world.now();
        self.world.coordinator.on_join(now, join, reply, &mut self.world.effects);
    }

    /// The leader assigns to each member a text that tells the generation.
    fn sync(&mut self, client: usize) {
        let reply = self.ask(client);
        let Client { member, generation, roster } = &self.clients[client];
        let text = |to: &MemberId| (to.clone(), format!("{generation}").into_bytes().into());
        let sync = Sync {
            group: Self::group(),
            member: member.clone().unwrap_or_else(MemberId::none),
            instance: Self::instance(client),
            generation: *generation,
            protocol_type: Some("consumer".into()),
            protocol_name: None,
            assignments: roster.iter().map(text).collect(),
        };
        let now = self.world.now();
        self.world.coordinator.on_sync(now, sync, reply, &mut self.world.effects);
    }

    fn commit(&mut self, client: usize, standalone: bool) {
        let reply = self.ask(client);
        let Client { member, generation, .. } = &self.clients[client];
        let (member, generation) = match member {
            Some(member) if !standalone => (member.clone(), *generation),
            _ => (MemberId::none(), -1),
        };
        let partition = |partition| CommitPartition {
            partition: PartitionIndex(partition),
            offset: Offset(reply.0 as i64),
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
        };
        let topic = |name| CommitTopic {
            name: TopicName::parse(name).unwrap(),
            id: Uuid([1; 16]),
            partitions: vec![partition(0), partition(client as i32)],
        };
        let commit = Commit {
            group: Self::group(),
            member,
            instance: None,
            generation,
            retention_ms: standalone.then_some(30_000),
            topics: vec![topic("t"), topic("u")],
        };
        let now = self.world.now();
        self.world.coordinator.on_commit(now, commit, reply, &mut self.world.effects);
    }

    fn delete(&mut self, offsets: bool) {
        let reply = self.ask(0);
        let (now, group) = (self.world.now(), Self::group());
        let (coordinator, effects) = (&mut self.world.coordinator, &mut self.world.effects);
        if offsets {
            let topic = |name| (TopicName::parse(name).unwrap(), vec![PartitionIndex(0)]);
            let delete = DeleteOffsets { group, topics: vec![topic("t"), topic("u")] };
            coordinator.on_delete_offsets(now, delete, reply, effects);
        } else {
            coordinator.on_delete_groups(now, vec![group], reply, effects);
        }
    }

    /// Time passes; the log does not fall behind.
    fn wait(&mut self, span: Duration) {
        let until = self.world.clock + span;
        loop {
            self.flush();
            let is_more = self.world.advance(until);
            self.listen();
            self.check();
            self.flush();
            for (reply, since) in &self.world.waiting {
                let waits = self.world.clock.saturating_sub(*since);
                assert!(waits <= PATIENCE, "{reply:?} waits for {waits:?}");
            }
            if !is_more {
                break;
            }
        }
    }

    fn flush(&mut self) {
        self.listen();
        while !self.world.appends.is_empty() {
            self.world.commit_one();
            self.listen();
            self.check();
        }
    }

    /// Clients learn from their answers.
    fn listen(&mut self) {
        for effect in self.world.drain() {
            let Effect::Reply { to, answer } = effect else { continue };
            let (client, generation) = self.asked.remove(&to).unwrap();
            self.hear(client, generation, answer);
        }
    }

    fn hear(&mut self, client: usize, asked_in: i32, answer: Answer) {
        let client = &mut self.clients[client];
        match answer {
            Answer::Join(JoinAnswer { member, result: Ok(joined) }) => {
                let is_leader = joined.leader == member;
                assert!(is_leader || joined.members.is_empty());
                assert!(joined.skip_assignment || !is_leader || !joined.members.is_empty());
                assert!(joined.generation > 0);
                client.member = Some(member);
                client.generation = joined.generation;
                client.roster = joined.members.into_iter().map(|member| member.member).collect();
            }
            Answer::Join(JoinAnswer { member, result: Err(GroupError::MemberIdRequired) }) => {
                client.member = Some(member);
            }
            Answer::Sync(Ok(synced)) => {
                let assigned = std::str::from_utf8(&synced.assignment).unwrap();
                assert!(assigned.is_empty() || assigned == asked_in.to_string());
            }
            Answer::Join(JoinAnswer { result: Err(error), .. })
            | Answer::Sync(Err(error))
            | Answer::Heartbeat(Err(error))
                if !matches!(error, GroupError::RebalanceInProgress | GroupError::Append(_)) =>
            {
                client.member = None;
            }
            _ => {}
        }
    }

    fn check(&self) {
        self.world.check_waiting();
        let Some(group) = self.world.coordinator.groups.get("g") else { return };
        if group.state == State::Stable {
            for member in group.members.values() {
                let assigned = std::str::from_utf8(&member.assignment).unwrap();
                assert!(assigned.is_empty() || assigned == group.generation.to_string());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whoever_waits_is_answered_in_time(steps in prop::collection::vec(step(), 1..120)) {
        let mut crowd = Crowd::new();
        for step in steps {
            crowd.take(step);
        }
        crowd.flush();
        crowd.world.check_replay();
        // Nobody does anything more: sessions end, answers are given, and in the end offsets go.
        crowd.wait(Duration::from_secs(60));
        prop_assert!(crowd.world.waiting.is_empty());
        let counts = crowd.world.coordinator.counts();
        prop_assert_eq!(counts.members, 0);
        crowd.wait(Duration::from_secs(200));
        let counts = crowd.world.coordinator.counts();
        let only_expiry = Counts { deadlines: 1, ..Counts::default() };
        prop_assert_eq!(counts, only_expiry);
        prop_assert_eq!(crowd.world.coordinator.live_records().count(), 0);
        crowd.world.check_replay();
    }
}

const _: () = assert!(PATIENCE.as_millis() > REBALANCE.as_millis() + DELAY.as_millis());
