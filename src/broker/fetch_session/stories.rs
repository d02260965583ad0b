//! Stories of fetch sessions: a command after `>`, and below it what must come of it.
//!
//! ```text
//! > log a-0 hw=7 start=2 data=100     what partition 0 of topic a says from now on;
//!                                     also: error, diverging, replica
//! > fetch 1:2 a-0@5 -b-1              session 1, epoch 2: wants a-0 from offset 5, forgets b-1;
//!                                     also: ids, follower
//! read a-0@5 c-0@0                    what is read, in this order
//! session 1: a-0                      the answer: session id and parts
//! > begin x 1:2 / end x / throttle x  a fetch in two steps
//! > after 90s / sessions / epoch 1 9  time passes; who is there; sets an epoch
//! ```

use super::*;
use crate::base::Instant;
use crate::model::{LeaderEpoch, Offset, TopicId, Uuid};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(120);

pub(super) struct Story {
    pub sessions: SessionCache,
    now: Instant,
    pub log: BTreeMap<String, Answered>,
    in_flight: BTreeMap<String, (SessionContext, FetchEntries)>,
    draws: u64,
}

/// A request as a story words it.
pub(super) struct Request {
    head: SessionRequest,
    wanted: Vec<(String, i32, i64)>,
    forgotten: Vec<(String, i32)>,
}

pub(super) const fn answered(bytes: usize, high_watermark: i64, log_start_offset: i64) -> Answered {
    Answered {
        bytes,
        high_watermark: Offset(high_watermark),
        log_start_offset: Offset(log_start_offset),
        is_error: false,
        is_diverging: false,
        has_preferred_replica: false,
    }
}

pub(super) fn limits(slots: usize) -> SessionLimits {
    SessionLimits { slots, idle: IDLE, partitions_max: 4, cached_partitions_max: 10 }
}

fn split(partition: &str) -> (&str, i32) {
    let (topic, index) = partition.rsplit_once('-').expect("topic-partition");
    (topic, index.parse().expect("a partition index"))
}

/// A topic by name, or by the id that stands for the name.
fn key(topic: &str, partition: i32, uses_ids: bool) -> PartitionKey<'_> {
    if uses_ids {
        PartitionKey { name: "", id: id_of(topic), partition }
    } else {
        PartitionKey { name: topic, id: TopicId::ZERO, partition }
    }
}

fn id_of(topic: &str) -> TopicId {
    Uuid([topic.as_bytes()[0]; 16])
}

fn show(entry: &FetchEntry) -> String {
    let topic = if entry.id.is_zero() {
        entry.name.to_string()
    } else {
        char::from(entry.id.0[0]).to_string()
    };
    format!("{topic}-{}", entry.partition)
}

pub(super) fn parse_request(words: &[&str]) -> Request {
    let (id, epoch) = words[0].split_once(':').expect("id:epoch");
    let mut head = SessionRequest {
        id: id.parse().expect("a session id"),
        epoch: epoch.parse().expect("an epoch"),
        uses_ids: false,
        is_follower: false,
    };
    let (mut wanted, mut forgotten) = (Vec::new(), Vec::new());
    for word in &words[1..] {
        if *word == "ids" {
            head.uses_ids = true;
        } else if *word == "follower" {
            head.is_follower = true;
        } else if let Some(partition) = word.strip_prefix('-') {
            let (topic, partition) = split(partition);
            forgotten.push((topic.to_string(), partition));
        } else {
            let (partition, offset) = word.split_once('@').expect("partition@offset");
            let (topic, partition) = split(partition);
            wanted.push((topic.to_string(), partition, offset.parse().expect("an offset")));
        }
    }
    Request { head, wanted, forgotten }
}

impl Story {
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            sessions: SessionCache::new(limits, 0, 1, 42),
            now: Instant(1_000_000_000),
            log: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            draws: 0,
        }
    }

    pub fn run(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["log", partition, ..] => self.set_log(partition, &words[2..]),
            ["after", seconds] => {
                let seconds = seconds.trim_end_matches('s').parse().expect("seconds");
                self.now = self.now + Duration::from_secs(seconds);
                String::new()
            }
            ["sessions"] => format!("{:?}\n", self.sessions.shelf().ids()),
            ["epoch", id, epoch] => {
                let epoch = epoch.parse().expect("an epoch");
                self.sessions.set_epoch(id.parse().expect("a session id"), epoch);
                String::new()
            }
            ["fetch", ..] => {
                let mut out = self.begin("", &parse_request(&words[1..]));
                if self.in_flight.contains_key("") {
                    out += &self.end("");
                }
                out
            }
            ["begin", name, ..] => self.begin(name, &parse_request(&words[2..])),
            ["end", name] => self.end(name),
            ["throttle", name] => {
                let (context, _) = self.in_flight.remove(name).expect("a begun fetch");
                format!("session {}: throttled\n", context.throttled_session_id())
            }
            _ => panic!("no such command: {command}"),
        }
    }

    fn set_log(&mut self, partition: &str, words: &[&str]) -> String {
        let mut says = answered(0, 0, 0);
        for word in words {
            let number = |text: &str| text.parse().expect("a number");
            match word.split_once('=').unwrap_or((word, "0")) {
                ("hw", value) => says.high_watermark = Offset(number(value)),
                ("start", value) => says.log_start_offset = Offset(number(value)),
                ("data", value) => says.bytes = number(value) as usize,
                ("error", _) => says.is_error = true,
                ("diverging", _) => says.is_diverging = true,
                ("replica", _) => says.has_preferred_replica = true,
                _ => panic!("no such word: {word}"),
            }
        }
        self.log.insert(partition.to_string(), says);
        String::new()
    }

    pub fn begin(&mut self, name: &str, request: &Request) -> String {
        let mut full = FetchEntries::default();
        let uses_ids = request.head.uses_ids;
        let wanted = request.wanted.iter().map(|(topic, partition, offset)| NewEntry {
            name: if uses_ids { "" } else { topic },
            id: if uses_ids { id_of(topic) } else { TopicId::ZERO },
            partition: *partition,
            offset: Offset(*offset),
            bytes_max: 1 << 20,
            leader_epoch: LeaderEpoch::NONE,
            last_epoch: LeaderEpoch::NONE,
            log_start_offset: Offset(-1),
        });
        let forgotten =
            request.forgotten.iter().map(|(topic, partition)| key(topic, *partition, uses_ids));
        let begun = self.sessions.begin(self.now, request.head, wanted, forgotten, &mut full);
        let context = match begun {
            Ok(context) => context,
            Err(error) => return format!("{error:?}\n"),
        };
        let mut out = "read".to_string();
        for (_, entry) in self.sessions.entries(&context, &full).expect("just begun").iter() {
            write!(out, " {}@{}", show(entry), entry.offset).expect("memory");
        }
        self.in_flight.insert(name.to_string(), (context, full));
        out + "\n"
    }

    pub fn end(&mut self, name: &str) -> String {
        let (context, mut full) = self.in_flight.remove(name).expect("a begun fetch");
        let mut answering = match self.sessions.answer(&context, &mut full) {
            Ok(answering) => answering,
            Err(error) => return format!("{error:?}\n"),
        };
        let order: Vec<EntryIndex> = answering.entries().iter().map(|(index, _)| index).collect();
        let mut due = Vec::new();
        for index in order {
            let partition = show(answering.entries().get(index).expect("an entry"));
            let says = self.log.get(&partition).copied().unwrap_or(answered(0, 0, 0));
            let is_due = answering.is_due(index, &says);
            assert_eq!(answering.note(index, &says), is_due);
            due.extend(is_due.then_some(index));
        }
        let random = || {
            self.draws += 1;
            self.draws - 1
        };
        let finished = self.sessions.finish(self.now, context, &mut full, random);
        let finished = finished.expect("answered just now");
        let mut out = format!("session {}:", finished.session_id);
        for index in due {
            let entry = finished.entries.get(index).expect("indexes stay");
            write!(out, " {}", show(entry)).expect("memory");
        }
        self.sessions.shelf().check();
        out + "\n"
    }
}

fn check_with(limits: SessionLimits, story: &str) {
    let mut world = Story::new(limits);
    let told: Vec<&str> = story.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut happened = String::new();
    for line in &told {
        if let Some(command) = line.strip_prefix("> ") {
            happened += line;
            happened.push('\n');
            happened += &world.run(command);
        }
    }
    assert_eq!(happened.lines().collect::<Vec<_>>(), told);
}

fn check(story: &str) {
    check_with(limits(4), story);
}

#[test]
fn a_session_repeats_neither_partitions_nor_answers() {
    check(
        "
        > fetch 0:0 a-0@5 a-1@0 b-0@7
        read a-0@5 a-1@0 b-0@7
        session 1: a-0 a-1 b-0
        > fetch 1:1
        read a-0@5 a-1@0 b-0@7
        session 1:
        > fetch 1:2 a-1@9
        read a-0@5 a-1@9 b-0@7
        session 1:
        > fetch 1:3 c-0@1 -a-0
        read a-1@9 b-0@7 c-0@1
        session 1: c-0
        > fetch 1:4 -x-9
        read a-1@9 b-0@7 c-0@1
        session 1:
        ",
    );
}

#[test]
fn news_are_data_watermark_start_error_divergence_and_another_replica() {
    check(
        "
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > log a-0 hw=7
        > fetch 1:1
        read a-0@5
        session 1: a-0
        > fetch 1:2
        read a-0@5
        session 1:
        > log a-0 hw=7 start=2
        > fetch 1:3
        read a-0@5
        session 1: a-0
        > fetch 1:4
        read a-0@5
        session 1:
        > log a-0 hw=7 start=2 data=100
        > fetch 1:5
        read a-0@5
        session 1: a-0
        > fetch 1:6
        read a-0@5
        session 1: a-0
        > log a-0 hw=7 start=2 diverging
        > fetch 1:7
        read a-0@5
        session 1: a-0
        > log a-0 hw=7 start=2 replica
        > fetch 1:8
        read a-0@5
        session 1: a-0
        > log a-0 hw=7 start=2 error
        > fetch 1:9
        read a-0@5
        session 1: a-0
        > fetch 1:10
        read a-0@5
        session 1: a-0
        ",
    );
}

#[test]
fn a_partition_is_sent_once_more_when_its_error_is_gone() {
    check(
        "
        > log a-0 hw=7 start=2 error
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > log a-0 hw=7 start=2
        > fetch 1:1
        read a-0@5
        session 1: a-0
        > fetch 1:2
        read a-0@5
        session 1:
        ",
    );
}

#[test]
fn partitions_with_data_are_read_last_the_next_time() {
    check(
        "
        > log a-0 data=100
        > log c-0 data=100
        > fetch 0:0 a-0@0 b-0@0 c-0@0 d-0@0
        read a-0@0 b-0@0 c-0@0 d-0@0
        session 1: a-0 b-0 c-0 d-0
        > fetch 1:1
        read a-0@0 b-0@0 c-0@0 d-0@0
        session 1: a-0 c-0
        > log a-0
        > fetch 1:2
        read b-0@0 d-0@0 a-0@0 c-0@0
        session 1: c-0
        > log b-0 data=1
        > log c-0
        > fetch 1:3
        read b-0@0 d-0@0 a-0@0 c-0@0
        session 1: b-0
        > fetch 1:4 -a-0
        read d-0@0 c-0@0 b-0@0
        session 1: b-0
        ",
    );
}

#[test]
fn a_complete_request_closes_the_session_it_names() {
    check(
        "
        > fetch 0:-1 a-0@5 a-0@6
        read a-0@6
        session 0: a-0
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > fetch 1:0 b-0@5 -b-0
        read b-0@5
        session 2: b-0
        > sessions
        [2]
        > fetch 2:-1 b-0@6
        read b-0@6
        session 0: b-0
        > sessions
        []
        > fetch 2:-1
        read
        session 0:
        ",
    );
}

#[test]
fn a_request_that_does_not_fit_its_session_is_refused() {
    check(
        "
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > fetch 9:1
        NotFound { id: 9 }
        > fetch 0:1
        NotFound { id: 0 }
        > fetch -7:3
        NotFound { id: -7 }
        > fetch 1:2 b-0@0
        Epoch { id: 1, expected: 1, got: 2 }
        > fetch 1:-2
        Epoch { id: 1, expected: 1, got: -2 }
        > fetch 1:1 ids b-0@0
        TopicIds { id: 1, session_uses_ids: false }
        > fetch 1:1
        read a-0@5
        session 1:
        > fetch 0:0 ids a-0@5
        read a-0@5
        session 2: a-0
        > fetch 2:1 a-0@6
        TopicIds { id: 2, session_uses_ids: true }
        > fetch 2:1 ids b-0@6 -a-0
        read b-0@6
        session 2: b-0
        ",
    );
}

#[test]
fn the_epoch_after_the_largest_is_one() {
    check(
        "
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > epoch 1 2147483647
        > fetch 1:2147483647
        read a-0@5
        session 1:
        > fetch 1:1
        read a-0@5
        session 1:
        ",
    );
}

#[test]
fn a_session_that_nothing_is_left_of_is_closed() {
    check(
        "
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > fetch 1:1 -a-0
        read
        session 0:
        > fetch 1:2
        NotFound { id: 1 }
        > fetch 0:0 a-0@5
        read a-0@5
        session 2: a-0
        > fetch 2:1 a-0@6 -a-0
        read a-0@6
        session 0: a-0
        > sessions
        []
        ",
    );
}

#[test]
fn an_overtaken_request_says_nothing() {
    check(
        "
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > begin one 1:1
        read a-0@5
        > begin two 1:2 b-0@0
        read a-0@5 b-0@0
        > log a-0 hw=3
        > end one
        Overtaken { id: 1, expected: 3 }
        > end two
        session 1: a-0 b-0
        > begin three 1:3
        read a-0@5 b-0@0
        > begin again 1:3
        Epoch { id: 1, expected: 4, got: 3 }
        > fetch 1:-1
        read
        session 0:
        > end three
        NotFound { id: 1 }
        ",
    );
}

#[test]
fn an_answer_held_back_by_a_quota_is_told_later() {
    check(
        "
        > begin full 0:0 a-0@5
        read a-0@5
        > throttle full
        session 0: throttled
        > fetch 0:0 a-0@5
        read a-0@5
        session 1: a-0
        > log a-0 hw=3
        > begin x 1:1
        read a-0@5
        > throttle x
        session 1: throttled
        > fetch 1:2
        read a-0@5
        session 1: a-0
        ",
    );
}

#[test]
fn an_id_that_is_taken_again_does_not_revive_a_request() {
    let mut world = Story::new(limits(4));
    world.run("fetch 0:0 a-0@0");
    world.run("begin old 1:1");
    world.run("fetch 1:-1");
    world.draws = 0;
    assert_eq!(world.run("fetch 0:0 b-0@0"), "read b-0@0\nsession 1: b-0\n");
    world.run("begin new 1:1");
    assert_eq!(world.run("end old"), "NotFound { id: 1 }\n");
    assert_eq!(world.run("end new"), "session 1:\n");
    // And a drawn id that is in use is passed over.
    world.draws = 0;
    assert_eq!(world.run("fetch 0:0 b-0@0"), "read b-0@0\nsession 2: b-0\n");
}

#[test]
fn without_slots_there_are_no_sessions() {
    check_with(
        limits(0),
        "
        > fetch 0:0 follower a-0@5
        read a-0@5
        session 0: a-0
        ",
    );
}

#[test]
fn a_young_consumer_gives_way_to_a_follower_only() {
    check_with(
        limits(2),
        "
        > fetch 0:0 a-0@0 a-1@0
        read a-0@0 a-1@0
        session 1: a-0 a-1
        > fetch 0:0 a-0@0
        read a-0@0
        session 2: a-0
        > fetch 0:0 a-0@0 a-1@0 a-2@0
        read a-0@0 a-1@0 a-2@0
        session 0: a-0 a-1 a-2
        > fetch 0:0 follower a-0@0
        read a-0@0
        session 3: a-0
        > sessions
        [1, 3]
        > fetch 0:0 follower a-0@0
        read a-0@0
        session 4: a-0
        > sessions
        [3, 4]
        > fetch 0:0 follower a-0@0 a-1@0
        read a-0@0 a-1@0
        session 0: a-0 a-1
        ",
    );
}

#[test]
fn a_settled_session_gives_way_to_a_larger_one() {
    check_with(
        limits(2),
        "
        > fetch 0:0 a-0@0 a-1@0
        read a-0@0 a-1@0
        session 1: a-0 a-1
        > fetch 0:0 follower a-0@0
        read a-0@0
        session 2: a-0
        > after 121s
        > fetch 1:1
        read a-0@0 a-1@0
        session 1:
        > fetch 2:1
        read a-0@0
        session 2:
        > fetch 0:0 b-0@0 b-1@0
        read b-0@0 b-1@0
        session 0: b-0 b-1
        > fetch 0:0 b-0@0 b-1@0 b-2@0
        read b-0@0 b-1@0 b-2@0
        session 3: b-0 b-1 b-2
        > sessions
        [2, 3]
        > fetch 0:0 b-0@0 b-1@0 b-2@0 b-3@0
        read b-0@0 b-1@0 b-2@0 b-3@0
        session 0: b-0 b-1 b-2 b-3
        > after 120s
        > fetch 2:2
        read a-0@0
        session 2:
        > fetch 3:1
        read b-0@0 b-1@0 b-2@0
        session 3:
        > fetch 0:0 follower c-0@0
        read c-0@0
        session 4: c-0
        > sessions
        [2, 4]
        > fetch 0:0 follower c-0@0
        read c-0@0
        session 0: c-0
        > fetch 0:0 follower c-0@0 c-1@0
        read c-0@0 c-1@0
        session 5: c-0 c-1
        > sessions
        [4, 5]
        ",
    );
}

#[test]
fn a_session_is_settled_when_it_was_used_after_the_idle_time() {
    check_with(
        limits(1),
        "
        > fetch 0:0 a-0@0
        read a-0@0
        session 1: a-0
        > after 120s
        > fetch 1:1
        read a-0@0
        session 1:
        > fetch 0:0 b-0@0 b-1@0
        read b-0@0 b-1@0
        session 0: b-0 b-1
        > after 1s
        > fetch 1:2
        read a-0@0
        session 1:
        > fetch 0:0 b-0@0 b-1@0
        read b-0@0 b-1@0
        session 2: b-0 b-1
        ",
    );
}

#[test]
fn a_session_unused_for_the_idle_time_gives_way_to_anybody() {
    check_with(
        limits(2),
        "
        > fetch 0:0 follower a-0@0 a-1@0
        read a-0@0 a-1@0
        session 1: a-0 a-1
        > fetch 0:0 follower a-0@0
        read a-0@0
        session 2: a-0
        > after 1s
        > fetch 1:1
        read a-0@0 a-1@0
        session 1:
        > after 119s
        > fetch 0:0 b-0@0
        read b-0@0
        session 0: b-0
        > after 1s
        > fetch 0:0 b-0@0
        read b-0@0
        session 3: b-0
        > sessions
        [1, 3]
        > fetch 2:1
        NotFound { id: 2 }
        ",
    );
}

#[test]
fn partitions_are_bounded_for_a_request_and_for_all_sessions() {
    check(
        "
        > fetch 0:-1 a-0@0 a-1@0 a-2@0 a-3@0 a-4@0
        TooMany { max: 4 }
        > fetch 0:0 a-0@0 a-1@0 a-2@0 a-3@0
        read a-0@0 a-1@0 a-2@0 a-3@0
        session 1: a-0 a-1 a-2 a-3
        > fetch 1:1 b-0@0 b-1@0 -a-0 -a-1
        read a-2@0 a-3@0 b-0@0 b-1@0
        session 1: b-0 b-1
        > fetch 0:0 a-0@0 a-1@0 a-2@0 a-3@0
        read a-0@0 a-1@0 a-2@0 a-3@0
        session 2: a-0 a-1 a-2 a-3
        > fetch 0:0 a-0@0 a-1@0 a-2@0
        read a-0@0 a-1@0 a-2@0
        session 0: a-0 a-1 a-2
        > fetch 0:0 a-0@0 a-1@0
        read a-0@0 a-1@0
        session 3: a-0 a-1
        > fetch 3:1 a-2@0
        Outgrown { id: 3 }
        > fetch 1:2 c-0@0
        TooMany { max: 4 }
        > sessions
        [2]
        ",
    );
}

#[test]
fn a_name_that_no_topic_has_is_not_remembered() {
    let long = "x".repeat(250);
    check(&format!(
        "
        > fetch 0:0 {long}-0@0
        read {long}-0@0
        session 0: {long}-0
        > fetch 0:0 a-0@0
        read a-0@0
        session 1: a-0
        > fetch 1:1 {long}-0@0
        Outgrown {{ id: 1 }}
        > sessions
        []
        "
    ));
}

#[test]
fn the_ids_of_cores_do_not_overlap() {
    let mut last = 0;
    for core in 0..7 {
        for random in [0, u64::MAX / 7 * 7 - 1, (i32::MAX / 7 - 1) as u64] {
            let mut sessions = SessionCache::new(limits(4), core, 7, 0);
            let mut full = FetchEntries::default();
            let head = SessionRequest { id: 0, epoch: 0, uses_ids: false, is_follower: false };
            let context = sessions
                .begin(Instant::ZERO, head, [].into_iter(), [].into_iter(), &mut full)
                .unwrap();
            let done = sessions.finish(Instant::ZERO, context, &mut full, || random).unwrap();
            let count = i32::MAX / 7;
            assert_eq!((done.session_id - 1) / count, i32::from(core));
            last = last.max(done.session_id);
        }
    }
    assert!(last > i32::MAX - 7);
}
