//! Stories of producers, and random histories against a model that keeps everything.

use super::*;
use crate::log::snapshot;
use proptest::prelude::*;
use std::fmt::Write as _;

const LIMITS: ProducerLimits = ProducerLimits { expiration_ms: 1000, producers_max: 100 };

/// Runs the commands of a story and gives it back with what came out below each.
///
/// `send id epoch sequence count` checks and stages a batch; `commit` and `rollback` take an offset;
/// `now`, `expire`, `truncate`, `show`, `replay` and `reload` (through a snapshot) are what they say.
fn tell(limits: ProducerLimits, story: &str) -> String {
    let mut teller = Teller { states: ProducerStates::new(limits), end: 0, now: 0 };
    let mut told = String::new();
    for line in story.lines().map(str::trim).filter(|line| line.starts_with('>')) {
        let words: Vec<&str> = line[1..].split_whitespace().collect();
        let numbers: Vec<i64> = words[1..].iter().map(|word| word.parse().unwrap()).collect();
        writeln!(told, "{line}\n{}", teller.run(words[0], &numbers)).unwrap();
    }
    told
}

fn check(limits: ProducerLimits, story: &str) {
    let plain: String = story
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .fold(String::new(), |all, line| all + line + "\n");
    let told: String = tell(limits, story);
    assert_eq!(told, plain, "\n--- told ---\n{told}");
}

struct Teller {
    states: ProducerStates,
    end: i64,
    now: i64,
}

impl Teller {
    fn run(&mut self, command: &str, numbers: &[i64]) -> String {
        let now = Timestamp(self.now);
        match (command, numbers) {
            ("send", &[id, epoch, sequence, count]) => {
                let batch = batch(id, epoch, sequence, count, self.now);
                match self.states.check(&batch, now) {
                    Ok(Verdict::Append) => {
                        self.states.stage(&batch, Offset(self.end), now);
                        self.end += count;
                        format!("append at {}", self.end - count)
                    }
                    Ok(Verdict::Duplicate(first)) => format!(
                        "duplicate of {}..{} at {}{}",
                        first.base_offset,
                        first.last_offset,
                        first.timestamp,
                        if first.staged { ", staged" } else { "" }
                    ),
                    Err(error) => error.to_string(),
                }
            }
            ("replay", &[id, epoch, sequence, count]) => {
                let batch = batch(id, epoch, sequence, count, self.now);
                self.states.replay(&batch, Offset(self.end), now);
                self.end += count;
                format!("end {}", self.end)
            }
            ("commit", &[end]) => {
                self.states.commit_through(Offset(end));
                format!("{} staged", self.states.staged_count())
            }
            ("rollback", &[offset]) => {
                self.states.rollback_from(Offset(offset));
                self.end = self.end.min(offset);
                format!("{} staged", self.states.staged_count())
            }
            ("truncate", &[end]) => {
                self.end = end;
                format!("{} forgotten", self.states.truncate(Offset(end)))
            }
            ("expire", &[]) => format!("{} expired", self.states.expire(now)),
            ("now", &[at]) => {
                self.now = at;
                "ok".to_owned()
            }
            ("reload", &[offset]) => {
                let bytes = snapshot::encode(&self.states.entries_at(Offset(offset)));
                let entries = snapshot::decode(&bytes).unwrap();
                self.states = ProducerStates::new(self.states.limits);
                self.states.load(entries, now);
                self.end = offset;
                self.show()
            }
            ("show", &[]) => self.show(),
            _ => panic!("no such command: {command} {numbers:?}"),
        }
    }

    fn show(&self) -> String {
        let shown: Vec<String> = self
            .states
            .entries()
            .map(|entry| {
                let batches: Vec<String> = entry
                    .batches()
                    .iter()
                    .map(|batch| format!("{}@{}", batch.base_sequence(), batch.base_offset()))
                    .collect();
                format!("{}/{}: {}", entry.id, entry.epoch, batches.join(" "))
            })
            .collect();
        if shown.is_empty() { "nobody".to_owned() } else { shown.join("; ") }
    }
}

fn batch(id: i64, epoch: i64, sequence: i64, count: i64, timestamp: i64) -> ProducerBatch {
    ProducerBatch {
        id: ProducerId(id),
        epoch: ProducerEpoch(epoch as i16),
        base_sequence: sequence as i32,
        last_offset_delta: count as i32 - 1,
        timestamp: Timestamp(timestamp),
        transactional: false,
    }
}

#[test]
fn a_batch_sent_twice_is_answered_with_its_first_offset() {
    check(
        LIMITS,
        "> send 7 0 0 3
         append at 0
         > send 7 0 3 2
         append at 3
         > send 7 0 0 3
         duplicate of 0..2 at 0, staged
         > commit 3
         1 staged
         > send 7 0 0 3
         duplicate of 0..2 at 0
         > send 7 0 3 2
         duplicate of 3..4 at 0, staged
         > send 7 0 3 1
         producer 7 sent sequence 3 where 5 comes next
         > send 7 0 6 1
         producer 7 sent sequence 6 where 5 comes next
         > send 7 0 5 1
         append at 5",
    );
}

#[test]
fn the_sixth_batch_back_is_out_of_order() {
    check(
        LIMITS,
        "> send 7 0 0 1
         append at 0
         > send 7 0 1 1
         append at 1
         > send 7 0 2 1
         append at 2
         > send 7 0 3 1
         append at 3
         > send 7 0 4 1
         append at 4
         > send 7 0 0 1
         duplicate of 0..0 at 0, staged
         > send 7 0 5 1
         append at 5
         > send 7 0 0 1
         producer 7 sent sequence 0 where 6 comes next
         > send 7 0 1 1
         duplicate of 1..1 at 0, staged
         > show
         7/0: 1@1 2@2 3@3 4@4 5@5",
    );
}

#[test]
fn epochs_fence_and_begin_at_zero() {
    check(
        LIMITS,
        "> send 7 2 0 5
         append at 0
         > send 7 1 5 1
         producer 7 has epoch 2; epoch 1 is over
         > send 7 3 5 1
         producer 7 began epoch 3 with sequence 5 and not with 0
         > send 7 3 0 1
         append at 5
         > send 7 2 0 5
         producer 7 has epoch 3; epoch 2 is over
         > show
         7/3: 0@5",
    );
}

#[test]
fn an_unknown_producer_may_start_anywhere_and_sequences_wrap() {
    check(
        LIMITS,
        "> send 8 4 2147483646 2
         append at 0
         > send 8 4 1 1
         producer 8 sent sequence 1 where 0 comes next
         > send 8 4 0 1
         append at 2
         > send 8 4 2147483646 2
         duplicate of 0..1 at 0, staged
         > send 9 0 2147483646 4
         append at 3
         > send 9 0 2 1
         append at 7
         > send 9 0 2147483646 4
         duplicate of 3..6 at 0, staged
         > show
         8/4: 2147483646@0 0@2; 9/0: 2147483646@3 2@7",
    );
}

#[test]
fn a_failed_write_leaves_everything_as_before() {
    check(
        LIMITS,
        "> send 7 0 0 1
         append at 0
         > commit 1
         0 staged
         > send 7 0 1 1
         append at 1
         > send 7 1 0 1
         append at 2
         > send 8 0 0 1
         append at 3
         > rollback 1
         0 staged
         > show
         7/0: 0@0
         > send 7 0 1 1
         append at 1
         > send 8 0 5 1
         append at 2
         > rollback 2
         1 staged
         > show
         7/0: 0@0 1@1
         > rollback 0
         0 staged
         > show
         7/0: 0@0",
    );
}

#[test]
fn idle_producers_expire_whether_swept_or_not() {
    check(
        LIMITS,
        "> send 7 0 0 1
         append at 0
         > commit 1
         0 staged
         > now 999
         ok
         > send 7 0 9 1
         producer 7 sent sequence 9 where 1 comes next
         > send 8 0 0 1
         append at 1
         > now 1000
         ok
         > send 7 0 9 1
         append at 2
         > rollback 2
         1 staged
         > show
         7/0: 0@0; 8/0: 0@1
         > expire
         1 expired
         > show
         8/0: 0@1",
    );
}

#[test]
fn a_cut_log_forgets_what_it_lost() {
    check(
        LIMITS,
        "> send 7 0 0 1
         append at 0
         > send 7 0 1 3
         append at 1
         > send 8 0 0 1
         append at 4
         > commit 5
         0 staged
         > truncate 1
         1 forgotten
         > show
         7/0: 0@0
         > send 7 0 1 2
         append at 1",
    );
}

#[test]
fn a_snapshot_holds_the_state_at_its_offset_and_a_replay_goes_on() {
    check(
        LIMITS,
        "> send 7 0 0 1
         append at 0
         > send 7 0 1 1
         append at 1
         > commit 2
         0 staged
         > send 7 0 2 1
         append at 2
         > send 8 0 0 1
         append at 3
         > send 7 1 0 1
         append at 4
         > reload 3
         7/0: 2@2
         > replay 8 0 0 1
         end 4
         > replay 7 1 0 1
         end 5
         > show
         7/1: 0@4; 8/0: 0@3
         > now 5000
         ok
         > reload 5
         nobody",
    );
}

#[test]
fn the_longest_idle_go_when_there_are_too_many() {
    check(
        ProducerLimits { producers_max: 2, ..LIMITS },
        "> send 1 0 0 1
         append at 0
         > now 1
         ok
         > send 2 0 0 1
         append at 1
         > now 2
         ok
         > send 1 0 1 1
         append at 2
         > commit 3
         0 staged
         > send 3 0 0 1
         append at 3
         > show
         1/0: 0@0 1@2; 2/0: 0@1; 3/0: 0@3
         > commit 4
         0 staged
         > show
         1/0: 0@0 1@2; 3/0: 0@3",
    );
}

#[test]
fn a_flood_of_producers_stays_bounded() {
    let limits = ProducerLimits { expiration_ms: i64::MAX, producers_max: 1000 };
    let mut states = ProducerStates::new(limits);
    for id in 0..20_000 {
        let now = Timestamp(id);
        states.stage(&batch(id, 0, 0, 1, id), Offset(id), now);
        states.commit_through(Offset(id + 1));
        assert!(states.len() <= 1000);
    }
    assert_eq!(states.evicted_count(), 20_000 - states.len() as u64);
    assert!(states.entries().all(|entry| entry.id.0 >= 19_000));
}

#[test]
fn transactions_of_a_foreign_log_are_replayed() {
    let mut states = ProducerStates::new(LIMITS);
    let now = Timestamp(0);
    let open = ProducerBatch { transactional: true, ..batch(5, 1, 0, 2, 0) };
    states.replay(&open, Offset(10), now);
    let plain = batch(5, 1, 2, 1, 0);
    let refused = ProducerError::TransactionOpen { id: ProducerId(5), since: Offset(10) };
    assert_eq!(states.check(&plain, now), Err(refused));
    assert_eq!(states.expire(Timestamp(i64::MAX)), 0);
    states.replay_marker(ProducerId(5), ProducerEpoch(2), 3, Timestamp(0), now);
    let entry = *states.entries().next().unwrap();
    assert_eq!((entry.txn_first_offset, entry.coordinator_epoch), (None, 3));
    assert_eq!((entry.epoch, entry.batches().len()), (ProducerEpoch(2), 0));
    assert_eq!(states.check(&batch(5, 2, 0, 1, 0), now), Ok(Verdict::Append));
    let error = states.check(&batch(5, 2, 1, 1, 0), now);
    assert!(matches!(error, Err(ProducerError::OutOfOrder { expected: 0, .. })));
}

/// Keeps every batch that was appended and derives all answers from that.
#[derive(Default)]
struct Model {
    appended: Vec<(ProducerBatch, i64)>,
    written: usize,
}

impl Model {
    fn end(&self) -> i64 {
        self.appended.last().map_or(0, |(batch, at)| at + i64::from(batch.last_offset_delta) + 1)
    }

    fn verdict(&self, batch: &ProducerBatch) -> Result<Option<i64>, ()> {
        let mine: Vec<_> = self.appended.iter().filter(|(old, _)| old.id == batch.id).collect();
        let Some((last, _)) = mine.last() else {
            return Ok(None);
        };
        let same_epoch = mine.iter().rev().take_while(|(old, _)| old.epoch == last.epoch);
        for (old, at) in same_epoch.take(5) {
            let same = (old.epoch, old.base_sequence, old.last_offset_delta);
            if same == (batch.epoch, batch.base_sequence, batch.last_offset_delta) {
                return Ok(Some(*at));
            }
        }
        let next = (i64::from(last.base_sequence) + i64::from(last.last_offset_delta) + 1)
            % (i64::from(i32::MAX) + 1);
        let expected = if batch.epoch == last.epoch { next } else { 0 };
        let passes = batch.epoch >= last.epoch && i64::from(batch.base_sequence) == expected;
        if passes { Ok(None) } else { Err(()) }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { id: i64, epoch: i64, sequence: Option<i64>, count: i64 },
    Commit(usize),
    Rollback(usize),
    Snapshot(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let send = (0..3i64, 0..3i64, proptest::option::of(-4..4i64), 1..4i64)
        .prop_map(|(id, epoch, sequence, count)| Step::Send { id, epoch, sequence, count });
    prop_oneof![
        12 => send,
        2 => (0..6usize).prop_map(Step::Commit),
        1 => (0..6usize).prop_map(Step::Rollback),
        1 => (0..6usize).prop_map(Step::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_histories_are_judged_as_the_model_judges_them(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let now = Timestamp(0);
        let limits = ProducerLimits { expiration_ms: 1, producers_max: 10 };
        let (mut states, mut model) = (ProducerStates::new(limits), Model::default());
        for step in steps {
            match step {
                Step::Send { id, epoch, sequence, count } => {
                    // Without a sequence: the one that comes next, so that histories grow long.
                    let next = states.entries().find(|entry| entry.id.0 == id).map_or(
                        i64::from(i32::MAX) - 3,
                        |entry| i64::from(entry.next_sequence()),
                    );
                    let sequence = sequence.map_or(next, |s| s.rem_euclid(i64::from(i32::MAX) + 1));
                    let batch = batch(id, epoch, sequence, count, 0);
                    let verdict = states.check(&batch, now);
                    match model.verdict(&batch) {
                        Ok(None) => {
                            prop_assert_eq!(verdict, Ok(Verdict::Append));
                            let at = model.end();
                            states.stage(&batch, Offset(at), now);
                            model.appended.push((batch, at));
                        }
                        Ok(Some(at)) => {
                            let Ok(Verdict::Duplicate(first)) = verdict else {
                                panic!("{verdict:?} where {at} was first");
                            };
                            prop_assert_eq!(first.base_offset, Offset(at));
                            let index = model.appended.iter().position(|(_, o)| *o == at).unwrap();
                            prop_assert_eq!(first.staged, index >= model.written);
                        }
                        Err(()) => prop_assert!(verdict.is_err(), "{:?}", verdict),
                    }
                }
                Step::Commit(count) => {
                    model.written = (model.written + count).min(model.appended.len());
                    let end = model.appended.get(model.written).map_or(model.end(), |(_, at)| *at);
                    states.commit_through(Offset(end));
                }
                Step::Rollback(count) => {
                    let kept = model.appended.len().saturating_sub(count).max(model.written);
                    model.appended.truncate(kept);
                    states.rollback_from(Offset(model.end()));
                }
                Step::Snapshot(count) => {
                    let kept = model.appended.len().saturating_sub(count).max(model.written);
                    let end = model.appended.get(kept).map_or(model.end(), |(_, at)| *at);
                    let mut replayed = ProducerStates::new(limits);
                    for (batch, at) in &model.appended[..kept] {
                        replayed.replay(batch, Offset(*at), now);
                    }
                    prop_assert_eq!(
                        states.entries_at(Offset(end)),
                        replayed.entries().copied().collect::<Vec<_>>()
                    );
                }
            }
            prop_assert_eq!(states.staged_count(), model.appended.len() - model.written);
        }
    }
}
