//! Loading: the records of the partition's log, one after the other, make the coordinator's state.
//!
//! Partitions load on the cores that own them, on each one after the other. A load does a fraction of
//! a millisecond of work and then gives the turn away: a million records hold up nobody but those who
//! ask for their groups, who are told to try again. One that takes long tells how far it is.
//!
//! A folder may come from a Kafka that has transactions: what was committed in one counts from its
//! marker on, and what was aborted never does.

use super::host::{Host, State, now, record_bytes, settings};
use crate::base::{FastMap, Instant, Pieces};
use crate::broker::Shard;
use crate::group::{Coordinator, LiveWalk};
use crate::limits::{GROUP_LOAD_BYTES_MAX, GROUP_PIECE_RECORDS_MAX, UNPACKED_BYTES_MAX};
use crate::log::{LogError, Read, ReadRange};
use crate::model::{Offset, ProducerId};
use crate::record::control::EndTxnMarker;
use crate::record::{BatchHeader, HEADER_BYTES, Scratch, walk};
use crate::runtime::Core;
use std::rc::Rc;
use std::time::Duration;

/// How often a load tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Why a log could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("the batch at offset {offset} cannot be read: {reason}")]
    Batch { offset: Offset, reason: String },
    #[error("the broker stops")]
    Gone,
}

/// A record of a transaction whose end has not come: key and value.
type Held = (Vec<u8>, Option<Vec<u8>>);

/// Tells of a load that takes long.
struct Progress {
    began: Instant,
    told: Instant,
}

/// The replay of one log.
struct Replay {
    coordinator: Coordinator,
    scratch: Scratch,
    /// Records of transactions that are open, by producer.
    open: FastMap<ProducerId, Vec<Held>>,
    record_count: u64,
    /// Records since others had the turn.
    in_turn_count: usize,
    /// Records that could not be read, and offsets that are damaged.
    has_losses: bool,
}

fn bad_batch(offset: Offset, reason: impl std::fmt::Display) -> LoadError {
    LoadError::Batch { offset, reason: reason.to_string() }
}

fn coordinator(shard: &Shard) -> Coordinator {
    let memory = Rc::clone(&shard.groups.borrow().memory);
    Coordinator::new(settings(shard), memory)
}

impl Host {
    /// Loads the coordinator: at once where the log is empty, else in turn with the others.
    pub(super) fn load(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.partition.start_offset() == self.partition.high_watermark() {
            return self.begin(shard, coordinator(shard));
        }
        let (host, shard) = (Rc::clone(self), Rc::clone(shard));
        shard.core().clone().spawn(async move {
            let gate = Rc::clone(&shard.groups.borrow().load_gate);
            let _turn = gate.enter().await;
            let began = now(shard.core()).instant;
            match host.replay(&shard).await {
                Ok(replay) => {
                    let span = shard.core().now().since(began);
                    tracing::info!(
                        "{}: groups loaded from {} records in {} ms",
                        host.partition.label(),
                        replay.record_count,
                        span.as_millis()
                    );
                    host.note_replay(&shard, &replay).await;
                    host.begin(&shard, replay.coordinator);
                }
                Err(LoadError::Gone) => {}
                Err(error) => {
                    tracing::error!(
                        "{}: its groups are not served, because {error}",
                        host.partition.label()
                    );
                    *host.state.borrow_mut() = State::Gone;
                }
            }
        });
    }

    async fn note_replay(&self, shard: &Shard, replay: &Replay) {
        if replay.has_losses || !replay.open.is_empty() {
            tracing::warn!(
                "{}: the log is not written anew, because it has {}",
                self.partition.label(),
                if replay.has_losses { "damage" } else { "open transactions" }
            );
            self.rewriting.forbid();
        }
        let (mut walk, mut live_bytes) = (LiveWalk::default(), 0);
        while !walk.is_at_end() {
            let mut left = GROUP_PIECE_RECORDS_MAX;
            replay.coordinator.walk_live(&mut walk, |record| {
                live_bytes += record_bytes(&record) as u64;
                left -= 1;
                left > 0
            });
            shard.core().turn_end().await;
        }
        self.rewriting.note_loaded(live_bytes);
    }

    async fn replay(&self, shard: &Rc<Shard>) -> Result<Replay, LoadError> {
        let core = shard.core();
        let mut replay = Replay::new(coordinator(shard));
        let bytes_max = (shard.facts.config.groups.load_bytes as usize).min(GROUP_LOAD_BYTES_MAX);
        let (mut next, end) = (self.partition.start_offset(), self.partition.high_watermark());
        let mut progress = Progress::new(core);
        while next < end {
            if self.is_gone() {
                return Err(LoadError::Gone);
            }
            progress.tell(core, &self.partition.label(), next, end);
            let range = ReadRange { from: next, upper: end, bytes_max, one_batch_at_least: true };
            let span = match self.partition.read_job(&range).run(core).await {
                Ok(Read::Span(span)) => span,
                Ok(Read::Empty | Read::OutOfRange { .. }) => break,
                Err(LogError::Damaged { to, .. }) if to > next => {
                    tracing::error!(
                        "{}: offsets {next} to {to} (exclusive) are damaged: what was committed \
                         there is lost",
                        self.partition.label()
                    );
                    replay.has_losses = true;
                    next = to;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let read = span.file.read_at(core, vec![0; span.len], span.position).await;
            let bytes = read.map_err(|error| bad_batch(next, error))?;
            let (before, label) = (next, self.partition.label());
            next =
                replay.take_batches(&bytes, next, &label, async || core.turn_end().await).await?;
            if next == before {
                return Err(bad_batch(next, "it is not whole"));
            }
        }
        Ok(replay)
    }
}

impl Progress {
    fn new(core: &Core) -> Self {
        Self { began: core.now(), told: core.now() }
    }

    fn tell(&mut self, core: &Core, label: &str, next: Offset, end: Offset) {
        let now = core.now();
        if now.since(self.told) < PROGRESS_EVERY {
            return;
        }
        self.told = now;
        tracing::info!(
            "{label}: groups load for {} ms: at offset {next} of {end}; clients are told to try again",
            now.since(self.began).as_millis()
        );
    }
}

impl Replay {
    fn new(coordinator: Coordinator) -> Self {
        Self {
            coordinator,
            scratch: Scratch::new(),
            open: FastMap::default(),
            record_count: 0,
            in_turn_count: 0,
            has_losses: false,
        }
    }

    /// Takes the whole batches of what was read; gives the offset after them. Now and then it has
    /// others take their turn.
    async fn take_batches(
        &mut self,
        bytes: &[u8],
        from: Offset,
        label: &str,
        turn_end: impl AsyncFn(),
    ) -> Result<Offset, LoadError> {
        let (mut rest, mut next) = (bytes, from);
        while let Ok(header) = BatchHeader::parse(Pieces::one(rest)) {
            let Some((batch, after)) = rest.split_at_checked(header.total_bytes()) else { break };
            self.take_batch(&header, batch, label, &turn_end).await?;
            next = header.next_offset();
            rest = after;
        }
        Ok(next)
    }

    async fn take_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        label: &str,
        turn_end: &impl AsyncFn(),
    ) -> Result<(), LoadError> {
        let offset = header.base_offset;
        let attributes = header.attributes;
        let codec = attributes.codec().map_err(|error| bad_batch(offset, error))?;
        let packed = Pieces::one(&batch[HEADER_BYTES..]);
        // Taken out, so that the coordinator can be told while the records are borrowed.
        let mut scratch = std::mem::take(&mut self.scratch);
        let records = scratch
            .unpack(codec, packed, UNPACKED_BYTES_MAX)
            .map_err(|error| bad_batch(offset, error))?;
        for record in walk::Records::new(records) {
            let record = record.map_err(|error| bad_batch(offset, error))?;
            let (key, value) = (record.key, record.value);
            if attributes.is_control() {
                for (key, value) in self.ended_transaction(header.producer_id, key, value) {
                    self.take(&key, value.as_deref(), label, turn_end).await;
                }
            } else if attributes.is_transactional() {
                let held = (key.unwrap_or_default().to_vec(), value.map(<[u8]>::to_vec));
                self.open.entry(header.producer_id).or_default().push(held);
            } else {
                self.take(key.unwrap_or_default(), value, label, turn_end).await;
            }
        }
        self.scratch = scratch;
        Ok(())
    }

    /// A transaction ends: with its commit its records count.
    fn ended_transaction(
        &mut self,
        producer: ProducerId,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Vec<Held> {
        // Other control records say nothing of groups.
        let Ok(Some(marker)) = EndTxnMarker::parse(key, value) else { return Vec::new() };
        let held = self.open.remove(&producer).unwrap_or_default();
        if marker.commit { held } else { Vec::new() }
    }

    async fn take(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        label: &str,
        turn_end: &impl AsyncFn(),
    ) {
        self.record_count += 1;
        if let Err(error) = self.coordinator.replay(key, value) {
            self.has_losses = true;
            tracing::error!("{label}: a record was passed over: {error}");
        }
        self.in_turn_count += 1;
        if self.in_turn_count == GROUP_PIECE_RECORDS_MAX {
            self.in_turn_count = 0;
            turn_end().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Settings;
    use crate::model::{LeaderEpoch, ProducerEpoch, Timestamp};
    use crate::protocol::{Encode, Writer, write};
    use crate::record::{BatchBuilder, Codec, NewRecord, Packing};
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const PRODUCER: (ProducerId, ProducerEpoch) = (ProducerId(7), ProducerEpoch(0));

    fn replay() -> Replay {
        Replay::new(Coordinator::new(Settings::default(), Rc::default()))
    }

    /// Takes batches without a core; gives the offset behind them, and how often others had a turn.
    fn take_counting(replay: &mut Replay, bytes: &[u8], from: i64) -> (Offset, usize) {
        let turns = Cell::new(0);
        let taken = replay.take_batches(bytes, Offset(from), "log", async || {
            turns.set(turns.get() + 1);
        });
        let taken = pin!(taken).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(next) = taken else { panic!("nothing waits here") };
        (next.unwrap(), turns.get())
    }

    fn take(replay: &mut Replay, bytes: &[u8], from: i64) -> Offset {
        take_counting(replay, bytes, from).0
    }

    fn encode(version: i16, message: &impl Encode) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.i16(version);
        message.encode(version, &mut writer);
        writer.into_buffers().0
    }

    fn key(group: &str) -> Vec<u8> {
        encode(1, &write::OffsetCommitKey { group: group.into(), topic: "t".into(), partition: 0 })
    }

    fn value(offset: i64) -> Vec<u8> {
        encode(4, &write::OffsetCommitValue { offset, ..write::OffsetCommitValue::default() })
    }

    /// A batch of commits at an offset of the log.
    fn batch(builder: &mut BatchBuilder, at: i64, commits: &[(&str, Option<i64>)]) -> Vec<u8> {
        for (group, offset) in commits {
            let (key, value) = (key(group), offset.map(value));
            let (key, value) = (Some(&key[..]), value.as_deref());
            let record = NewRecord { timestamp: Timestamp(1), key, value, headers: &[] };
            builder.push(&record).unwrap();
        }
        let mut bytes = Vec::new();
        builder.at(Offset(at), LeaderEpoch(0)).finish(&mut bytes).unwrap();
        bytes
    }

    fn in_transaction(at: i64, commits: &[(&str, Option<i64>)]) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        batch(builder.producer(PRODUCER.0, PRODUCER.1, 0).transactional(true), at, commits)
    }

    fn marker(at: i64, commit: bool) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        let marker = EndTxnMarker { commit, coordinator_epoch: 0 };
        marker.push(&mut builder, PRODUCER.0, PRODUCER.1, Timestamp(1)).unwrap();
        let mut bytes = Vec::new();
        builder.at(Offset(at), LeaderEpoch(0)).finish(&mut bytes).unwrap();
        bytes
    }

    /// What the groups have committed after these bytes of the log.
    fn check(replay: &Replay, expected: &[(&str, i64)]) {
        let found: BTreeMap<_, _> = replay
            .coordinator
            .live_records()
            .map(|record| (record.key.to_vec(), record.value.unwrap().to_vec()))
            .collect();
        let expected =
            expected.iter().map(|(group, offset)| (key(group), value(*offset))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn batches_of_every_codec_are_read_and_a_tombstone_takes_its_key_away() {
        let (mut replay, mut log, mut at) = (replay(), Vec::new(), 0);
        for codec in Codec::ALL {
            let mut builder = BatchBuilder::new();
            let commits = [("a", Some(at)), ("b", Some(at)), ("b", None)];
            log.extend(batch(builder.packed(Packing::of(codec)), at, &commits));
            at += 3;
        }
        assert_eq!(take(&mut replay, &log, 0), Offset(at));
        check(&replay, &[("a", at - 3)]);
        assert_eq!((replay.record_count, replay.has_losses), (at as u64, false));
    }

    #[test]
    fn what_was_cut_off_by_the_read_is_left_for_the_next() {
        let (mut replay, mut builder) = (replay(), BatchBuilder::new());
        let first = batch(&mut builder, 0, &[("a", Some(1))]);
        let second = batch(&mut builder, 1, &[("a", Some(2))]);
        let log = [first.clone(), second].concat();
        for cut in first.len()..log.len() {
            let next = take(&mut replay, &log[..cut], 0);
            assert_eq!(next, Offset(1), "{cut}");
        }
        check(&replay, &[("a", 1)]);
    }

    #[test]
    fn a_transaction_counts_from_its_commit_on_and_an_aborted_one_never() {
        let mut replay = replay();
        let mut builder = BatchBuilder::new();
        let log = [
            batch(&mut builder, 0, &[("a", Some(1)), ("b", Some(1))]),
            in_transaction(2, &[("a", Some(2)), ("b", None)]),
            batch(&mut builder, 4, &[("a", Some(3))]),
        ];
        take(&mut replay, &log.concat(), 0);
        check(&replay, &[("a", 3), ("b", 1)]);
        assert_eq!(replay.open.len(), 1);
        // The record is that of the commit, which comes after the other.
        take(&mut replay, &marker(5, true), 5);
        check(&replay, &[("a", 2)]);
        let aborted = [in_transaction(6, &[("a", Some(4))]), marker(7, false)].concat();
        take(&mut replay, &aborted, 6);
        check(&replay, &[("a", 2)]);
        assert!(replay.open.is_empty() && !replay.has_losses);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_passed_over_and_remembered() {
        let (mut replay, mut builder) = (replay(), BatchBuilder::new());
        // A version that is known, and no whole field behind it.
        let bad = [0, 1, 9];
        let record = NewRecord { timestamp: Timestamp(1), key: Some(&bad), ..NewRecord::default() };
        builder.push(&record).unwrap();
        let log = batch(&mut builder, 0, &[("a", Some(1))]);
        take(&mut replay, &log, 0);
        check(&replay, &[("a", 1)]);
        assert!(replay.has_losses);
    }

    #[test]
    fn others_have_a_turn_after_some_hundred_records_of_one_batch_or_of_many() {
        const BATCH: i64 = 10_000;
        let (mut replay, mut builder, mut turns) = (replay(), BatchBuilder::new(), 0);
        let groups: Vec<String> = (0..BATCH).map(|n| format!("g{n}")).collect();
        let commits: Vec<_> = groups.iter().map(|group| (group.as_str(), Some(1))).collect();
        let log = batch(&mut builder, 0, &commits);
        turns += take_counting(&mut replay, &log, 0).1;
        for at in BATCH..2 * BATCH {
            let log = batch(&mut builder, at, &[("g", Some(at))]);
            turns += take_counting(&mut replay, &log, at).1;
        }
        assert_eq!(replay.record_count, 2 * BATCH as u64);
        assert_eq!(turns, 2 * BATCH as usize / GROUP_PIECE_RECORDS_MAX);
    }
}
