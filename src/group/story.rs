//! Golden stories: commands with what comes of them below. `BLESS=1` writes what comes of them.
//! After each command, who waits and what a start would come to is checked.
//!
//! ```text
//!   settings KEY=N..             a new coordinator, with these in ms or counts
//!   hold | release | fail WHY    appends are committed at once; held; committed; the oldest fails
//!   wait MS                      time passes, and what is due is done
//!   join G M KEY=VALUE..         M is `-` without an id; `as` an instance, `v` the API's version
//!   sync G M GENERATION M=A..    heartbeat G M GENERATION       leave G M.. (or =INSTANCE)
//!   commit G M GENERATION T:P=O  fetch G [stable] [T:P..]       delete-offsets G T:P..
//!   delete-groups G..            delete-topic T                 list KEY=A,B     describe G
//!   restart | rewrite | unload
//!
//!   | what is appended   > what is answered, to which request   * what the log of the broker says
//! ```
//! A member's id is shown as `client#n` for its n-th id.

use super::effect::Effect;
use super::record::{Change, parse_group_value};
use super::world::World;
use super::*;
use crate::model::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName, Uuid};
use crate::protocol::array;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// What every id in a story has between its client and its number.
const UUID: &str = "-00000000-0000-4000-8000-0000000000";

/// The empty id, which is `""` in a story.
const NOTHING: &str = "nothing";

struct Stage {
    world: World,
    is_holding: bool,
    ids: u8,
}

impl Stage {
    fn new(settings: Settings) -> Self {
        Self { world: World::new(settings), is_holding: false, ids: 0 }
    }

    /// Shows what happens until nothing does.
    fn settle(&mut self, out: &mut String) {
        loop {
            let effects = self.world.drain();
            if effects.is_empty() && (self.is_holding || self.world.appends.is_empty()) {
                break;
            }
            for effect in effects {
                show(&effect, out);
            }
            self.world.check_waiting();
            if !self.is_holding {
                self.world.commit_one();
            }
        }
    }

    fn run(&mut self, command: &str) -> String {
        let command = command.replace('#', UUID).replace("\"\"", NOTHING);
        let words: Vec<&str> = command.split_whitespace().collect();
        let (verb, words) = (words[0], &words[1..]);
        let mut out = String::new();
        match verb {
            "settings" => {
                self.check();
                *self = Self::new(settings(words));
            }
            "hold" => self.is_holding = true,
            "release" => self.is_holding = false,
            "fail" => self.world.fail_one(match words[0] {
                "unavailable" => AppendError::NotAvailable,
                "elsewhere" => AppendError::NotCoordinator,
                "too-large" => AppendError::TooLarge,
                other => panic!("no failure {other}"),
            }),
            "wait" => self.wait(words[0].parse().unwrap(), &mut out),
            "restart" => self.world.restart(),
            "rewrite" => {
                self.world.log = self.world.coordinator.live_records().collect();
                writeln!(out, "{} records", self.world.log.len()).unwrap();
            }
            "unload" => {
                self.world.coordinator.unload(&mut self.world.effects);
                self.world.appends.clear();
                self.world.log.clear();
            }
            "list" => out = list(&self.world.coordinator, words),
            "describe" => out = describe(&self.world.coordinator, words[0]),
            _ => self.ask(verb, words),
        }
        self.settle(&mut out);
        self.check();
        out.replace(UUID, "#")
    }

    fn check(&self) {
        self.world.check_waiting();
        self.world.check_replay();
    }

    fn wait(&mut self, ms: u64, out: &mut String) {
        let until = self.world.clock + Duration::from_millis(ms);
        let from = self.world.clock;
        loop {
            let is_more = self.world.advance(until);
            if !self.world.effects.is_empty() {
                writeln!(out, "after {} ms", self.world.clock.saturating_sub(from).as_millis())
                    .unwrap();
            }
            self.settle(out);
            if !is_more {
                break;
            }
        }
    }

    fn ask(&mut self, verb: &str, words: &[&str]) {
        let (now, group) = (self.world.now(), group_id(words[0]));
        let id = match verb {
            "delete-topic" => None,
            _ => Some(self.world.reply_id()),
        };
        let reply = id.unwrap_or(ReplyId(0));
        let (coordinator, fx) = (&mut self.world.coordinator, &mut self.world.effects);
        match verb {
            "join" => {
                self.ids += 1;
                coordinator.on_join(now, join(group, words, self.ids), reply, fx);
            }
            "sync" => coordinator.on_sync(now, sync(group, words), reply, fx),
            "heartbeat" => coordinator.on_heartbeat(now, heartbeat(group, words), reply, fx),
            "leave" => coordinator.on_leave(now, leave(group, &words[1..]), reply, fx),
            "commit" => coordinator.on_commit(now, commit(group, words), reply, fx),
            "fetch" => coordinator.on_fetch(now, fetch(group, &words[1..]), reply, fx),
            "delete-offsets" => {
                let topics = words[1..].iter().map(|word| {
                    let (topic, _, partition) = place(word);
                    (topic, vec![partition])
                });
                let delete = DeleteOffsets { group, topics: topics.collect() };
                coordinator.on_delete_offsets(now, delete, reply, fx);
            }
            "delete-groups" => {
                let groups = words.iter().map(|&word| group_id(word)).collect();
                coordinator.on_delete_groups(now, groups, reply, fx);
            }
            "delete-topic" => {
                let (name, id, _) = place(words[0]);
                coordinator.on_topics_deleted(now, &[DeletedTopic { name, id }], fx);
            }
            other => panic!("no command {other}"),
        }
    }
}

fn settings(words: &[&str]) -> Settings {
    let mut settings = Settings { initial_rebalance_delay: Duration::ZERO, ..Settings::default() };
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let n: u64 = value.parse().unwrap();
        match key {
            "delay" => settings.initial_rebalance_delay = Duration::from_millis(n),
            "members" => settings.members_max = n as usize,
            "metadata" => settings.offset_metadata_len_max = n as usize,
            "retention" => settings.offsets_retention = Duration::from_millis(n),
            "check" => settings.offsets_retention_check_interval = Duration::from_millis(n),
            other => panic!("no setting {other}"),
        }
    }
    settings
}

fn group_id(word: &str) -> GroupId {
    GroupId::from(if word == NOTHING { "" } else { word })
}

fn member(word: &str) -> MemberId {
    MemberId::from(if word == "-" { "" } else { word })
}

/// `client`, `as`, `session`, `rebalance`, `type`, `v`, `reason`, and `with=NAME:TOPIC+TOPIC,NAME`.
fn join(group: GroupId, words: &[&str], id: u8) -> Join {
    let mut fresh_id = Uuid::ZERO;
    fresh_id.0[15] = id;
    let mut join = Join {
        group,
        member: member(words[1]),
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: protocols("range:t"),
        reason: None,
        fresh_id,
        joins_twice: true,
        can_skip_assignment: true,
    };
    for word in &words[2..] {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "client" => join.client_id = value.into(),
            "as" => join.instance = Some(InstanceId::from(value)),
            "session" => join.session_timeout_ms = value.parse().unwrap(),
            "rebalance" => join.rebalance_timeout_ms = value.parse().unwrap(),
            "type" => join.protocol_type = value.into(),
            "with" => join.protocols = protocols(value),
            "reason" => join.reason = Some(value.into()),
            "v" => {
                let version: u8 = value.parse().unwrap();
                join.joins_twice = version >= 4;
                join.can_skip_assignment = version >= 9;
            }
            other => panic!("no key {other}"),
        }
    }
    join
}

fn protocols(text: &str) -> Vec<Protocol> {
    let protocol = |text: &str| {
        let (name, topics) = text.split_once(':').unwrap_or((text, ""));
        Protocol { name: name.into(), metadata: subscription(topics) }
    };
    text.split(',').filter(|text| !text.is_empty()).map(protocol).collect()
}

/// A subscription of version 0.
fn subscription(topics: &str) -> Arc<[u8]> {
    let topics: Vec<&str> = topics.split('+').filter(|topic| !topic.is_empty()).collect();
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}

fn sync(group: GroupId, words: &[&str]) -> Sync {
    let mut sync = Sync {
        group,
        member: member(words[1]),
        instance: None,
        generation: words[2].parse().unwrap(),
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    };
    for word in &words[3..] {
        match word.split_once('=').unwrap() {
            ("as", value) => sync.instance = Some(InstanceId::from(value)),
            ("type", value) => sync.protocol_type = Some(value.into()),
            ("protocol", value) => sync.protocol_name = Some(value.into()),
            (to, what) => sync.assignments.push((MemberId::from(to), what.as_bytes().into())),
        }
    }
    sync
}

fn heartbeat(group: GroupId, words: &[&str]) -> Heartbeat {
    let instance = words.get(3).and_then(|word| word.strip_prefix("as="));
    Heartbeat {
        group,
        member: member(words[1]),
        instance: instance.map(InstanceId::from),
        generation: words[2].parse().unwrap(),
    }
}

/// `MEMBER`, `MEMBER=INSTANCE` or `=INSTANCE`
fn leave(group: GroupId, words: &[&str]) -> Leave {
    let leaver = |word: &&str| {
        let (name, instance) = word.split_once('=').unwrap_or((word, ""));
        let instance = Some(instance).filter(|text| !text.is_empty()).map(InstanceId::from);
        Leaver { member: member(name), instance, reason: None }
    };
    Leave { group, members: words.iter().map(leaver).collect() }
}

/// `TOPIC`, `TOPIC:PARTITION`, `TOPIC@ID`, `TOPIC@ID:PARTITION`; without an id, the first one.
fn place(word: &str) -> (TopicName, TopicId, PartitionIndex) {
    let (topic, partition) = word.split_once(':').unwrap_or((word, "0"));
    let (name, id) = topic.split_once('@').unwrap_or((topic, "1"));
    let partition = PartitionIndex(partition.parse().unwrap());
    (TopicName::parse(name).unwrap(), Uuid([id.parse().unwrap(); 16]), partition)
}

fn commit(group: GroupId, words: &[&str]) -> Commit {
    let mut commit = Commit {
        group,
        member: member(words[1]),
        instance: None,
        generation: words[2].parse().unwrap(),
        retention_ms: None,
        topics: Vec::new(),
    };
    for word in &words[3..] {
        match word.split_once('=').unwrap() {
            ("as", value) => commit.instance = Some(InstanceId::from(value)),
            ("retention", value) => commit.retention_ms = Some(value.parse().unwrap()),
            (to, value) => {
                let (name, id, partition) = place(to);
                let (offset, metadata) = value.split_once('/').unwrap_or((value, ""));
                let partition = CommitPartition {
                    partition,
                    offset: Offset(offset.parse().unwrap()),
                    leader_epoch: LeaderEpoch(7),
                    metadata: metadata.into(),
                };
                match commit.topics.last_mut().filter(|topic| topic.name == name) {
                    Some(topic) => topic.partitions.push(partition),
                    None => {
                        commit.topics.push(CommitTopic { name, id, partitions: vec![partition] });
                    }
                }
            }
        }
    }
    commit
}

fn fetch(group: GroupId, words: &[&str]) -> Fetch {
    let topics: Vec<FetchTopic> = words
        .iter()
        .filter(|&&word| word != "stable")
        .map(|word| {
            let (name, id, partition) = place(word);
            FetchTopic { name, id, partitions: vec![partition] }
        })
        .collect();
    let require_stable = words.first() == Some(&"stable");
    Fetch { group, topics: Some(topics).filter(|topics| !topics.is_empty()), require_stable }
}

fn show(effect: &Effect, out: &mut String) {
    match effect {
        Effect::Append { records, .. } => {
            for record in records {
                writeln!(out, "| {}", show_record(record)).unwrap();
            }
        }
        Effect::Reply { to, answer } => {
            writeln!(out, "> {} {}", to.0, show_answer(answer)).unwrap();
        }
        Effect::Notice(notice) => writeln!(out, "* {}", show_notice(notice)).unwrap(),
    }
}

fn show_record(record: &Record) -> String {
    let change = Change::parse(&record.key, record.value.as_deref()).unwrap().unwrap();
    match change {
        Change::Offset { group, topic, partition, committed } => match committed {
            None => format!("Offset {group} {topic}:{partition} gone"),
            Some(offset) => format!(
                "Offset {group} {topic}:{partition} {} epoch {} \"{}\" topic {}{}",
                offset.offset,
                offset.leader_epoch,
                offset.metadata,
                offset.topic_id.0[0],
                offset.expires_at.map(|at| format!(" until {at}")).unwrap_or_default(),
            ),
        },
        Change::Group { group, value: None } => format!("Group {group} gone"),
        Change::Group { group, value: Some(value) } => {
            let value = parse_group_value(&group, &value).unwrap();
            let members = value.members.iter().map(|member| {
                let instance = member.group_instance_id.map(|id| format!(" as {id}"));
                format!(
                    " [{}{} {:?}]",
                    member.member_id,
                    instance.unwrap_or_default(),
                    String::from_utf8_lossy(&array::cow(member.assignment)),
                )
            });
            format!(
                "Group {group} generation {} {}/{} leader {}{}",
                value.generation,
                value.protocol_type,
                value.protocol.unwrap_or("-"),
                value.leader.unwrap_or("-"),
                members.collect::<String>(),
            )
        }
    }
}

fn show_answer(answer: &Answer) -> String {
    fn result<T>(what: &str, result: &Result<T, GroupError>, ok: impl Fn(&T) -> String) -> String {
        match result {
            Ok(value) => format!("{what}: {}", ok(value)),
            Err(error) => format!("{what} refused: {error}"),
        }
    }
    match answer {
        Answer::Join(JoinAnswer { member, result: told }) => {
            let name = if member.is_empty() { "-" } else { member.as_str() };
            result(&format!("join {name}"), told, show_joined)
        }
        Answer::Sync(told) => result("sync", told, |synced| {
            format!(
                "{}/{} {:?}",
                synced.protocol_type.as_deref().unwrap_or("-"),
                synced.protocol_name.as_deref().unwrap_or("-"),
                String::from_utf8_lossy(&synced.assignment),
            )
        }),
        Answer::Heartbeat(told) => result("heartbeat", told, |()| "ok".into()),
        Answer::Leave(told) => result("leave", told, |left| {
            let line = |left: &Left| result(left.member.as_str(), &left.result, |()| "ok".into());
            left.iter().map(line).collect::<Vec<_>>().join("; ")
        }),
        Answer::Commit(told) => result("commit", told, |topics| {
            let lines = topics.iter().flat_map(|t| t.partitions.iter().map(|p| (&t.name, p)));
            show_partitions(lines)
        }),
        Answer::DeleteOffsets(told) => result("delete-offsets", told, |topics| {
            let lines = topics.iter().flat_map(|t| t.partitions.iter().map(|p| (&t.name, p)));
            show_partitions(lines)
        }),
        Answer::Fetch(told) => result("fetch", told, |topics| {
            let lines = topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (&t.name, p)));
            let line = |(name, (partition, offset)): (&TopicName, &(_, Option<FetchedOffset>))| {
                let what = offset.as_ref().map(|o| format!("{} {:?}", o.offset, o.metadata));
                format!("{name}:{partition} {}", what.unwrap_or_else(|| "none".into()))
            };
            lines.map(line).collect::<Vec<_>>().join("; ")
        }),
        Answer::DeleteGroups(groups) => {
            let line =
                |(group, told): &(GroupId, _)| result(group.as_str(), told, |()| "ok".into());
            format!("delete-groups: {}", groups.iter().map(line).collect::<Vec<_>>().join("; "))
        }
    }
}

fn show_partitions<'a>(
    lines: impl Iterator<Item = (&'a TopicName, &'a (PartitionIndex, Result<(), GroupError>))>,
) -> String {
    let line = |(name, (partition, result)): (&TopicName, &(_, Result<(), GroupError>))| {
        let what = result.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
        format!("{name}:{partition} {what}")
    };
    lines.map(line).collect::<Vec<_>>().join("; ")
}

fn show_joined(joined: &Joined) -> String {
    let members = joined.members.iter().map(|member| {
        let instance = member.instance.as_ref().map(|id| format!(" as {id}"));
        format!(" [{}{}]", member.member, instance.unwrap_or_default())
    });
    format!(
        "generation {} {}/{} leader {}{}{}",
        joined.generation,
        joined.protocol_type.as_deref().unwrap_or("-"),
        joined.protocol_name.as_deref().unwrap_or("-"),
        joined.leader,
        if joined.skip_assignment { " skip" } else { "" },
        members.collect::<String>(),
    )
}

fn show_notice(notice: &Notice) -> String {
    match notice {
        Notice::Rebalancing { group, generation, reason } => {
            format!("{group} leaves generation {generation}: {reason}")
        }
        Notice::Stable { group, generation, members } => {
            format!("{group} is stable at {generation} with {members}")
        }
        Notice::Emptied { group, generation } => format!("{group} is empty at {generation}"),
        Notice::MemberFailed { group, member, how } => format!("{group} lost {member}: {how:?}"),
        Notice::Replaced { group, before, after } => format!("{group}: {after} is for {before}"),
        Notice::Expired { group, offsets, is_group_gone } => {
            let what = if *is_group_gone { " and itself" } else { "" };
            format!("{group} lost {offsets} old offsets{what}")
        }
    }
}

fn list(coordinator: &Coordinator, words: &[&str]) -> String {
    let mut filter = ListFilter::default();
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let values = value.split(',').map(Into::into).collect();
        match key {
            "states" => filter.states = values,
            "types" => filter.types = values,
            other => panic!("no key {other}"),
        }
    }
    let line = |group: ListedGroup| {
        let ListedGroup { group, protocol_type, state, group_type } = group;
        format!("{group} {state} {group_type} \"{protocol_type}\"\n")
    };
    coordinator.list(&filter).into_iter().map(line).collect()
}

fn describe(coordinator: &Coordinator, group: &str) -> String {
    let Some(group) = coordinator.describe(group) else { return "not there\n".into() };
    let mut out =
        format!("{} {} {}/{}\n", group.group, group.state, group.protocol_type, group.protocol);
    for member in group.members {
        let instance = member.instance.map(|id| format!(" as {id}"));
        writeln!(
            out,
            "  {}{} {} {} metadata of {} bytes {:?}",
            member.member,
            instance.unwrap_or_default(),
            member.client_id,
            member.client_host,
            member.metadata.len(),
            String::from_utf8_lossy(&member.assignment),
        )
        .unwrap();
    }
    out
}

fn check(name: &str, script: &str) {
    let mut stage = Stage::new(settings(&[]));
    let mut told = String::new();
    for block in script.split("\n\n").filter(|block| !block.trim().is_empty()) {
        if block.trim_start().starts_with("# ") {
            write!(told, "{}\n\n", block.trim()).unwrap();
            continue;
        }
        let command = block.split("\n----").next().unwrap().trim();
        let results = command.lines().map(|line| stage.run(line)).collect::<String>();
        write!(told, "{command}\n----\n{results}\n").unwrap();
    }
    let told = format!("{}\n", told.trim_end());
    if std::env::var_os("BLESS").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/group/testdata/");
        std::fs::write(format!("{folder}{name}"), &told).unwrap();
    } else {
        assert_eq!(told, script, "{name} (BLESS=1 writes what comes of it)");
    }
}

macro_rules! stories {
    ($($test:ident $file:literal,)*) => {$(
        #[test]
        fn $test() {
            check($file, include_str!(concat!("testdata/", $file)));
        }
    )*};
}

stories! {
    story_of_a_first_member_and_a_second "join.story",
    story_of_protocols_and_their_election "protocol.story",
    story_of_three_members_and_four_topics "assignors.story",
    story_of_sessions_and_timeouts "timeout.story",
    story_of_static_members "static.story",
    story_of_leaving "leave.story",
    story_of_commits_and_fetches "offset.story",
    story_of_old_offsets "expire.story",
    story_of_deletions "delete.story",
    story_of_starts_and_failed_appends "log.story",
    story_of_known_traps "trap.story",
}
