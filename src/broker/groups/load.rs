//! Loading: the records of the partition's log, one after the other, make the coordinator's state.
//!
//! A folder may come from a Kafka that has transactions: what was committed in one counts from its
//! marker on, and what was aborted never does.

use super::host::{Host, State, now, record_bytes, settings};
use crate::base::{FastMap, Pieces};
use crate::broker::Shard;
use crate::group::Coordinator;
use crate::limits::UNPACKED_BYTES_MAX;
use crate::log::{LogError, Read, ReadRange};
use crate::model::{Offset, ProducerId};
use crate::record::control::EndTxnMarker;
use crate::record::{BatchHeader, HEADER_BYTES, Scratch, walk};
use std::rc::Rc;

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

/// The replay of one log.
struct Replay {
    coordinator: Coordinator,
    scratch: Scratch,
    /// Records of transactions that are open, by producer.
    open: FastMap<ProducerId, Vec<Held>>,
    record_count: u64,
    /// Records that could not be read, and offsets that are damaged.
    has_losses: bool,
}

fn bad_batch(offset: Offset, reason: impl std::fmt::Display) -> LoadError {
    LoadError::Batch { offset, reason: reason.to_string() }
}

impl Host {
    /// Loads the coordinator: at once where the log is empty, else in turn with the others.
    pub(super) fn load(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.partition.start_offset() == self.partition.high_watermark() {
            return self.begin(shard, Coordinator::new(settings(shard)));
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
                    host.note_replay(&replay);
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

    fn note_replay(&self, replay: &Replay) {
        if replay.has_losses || !replay.open.is_empty() {
            tracing::warn!(
                "{}: the log is not written anew, because it has {}",
                self.partition.label(),
                if replay.has_losses { "damage" } else { "open transactions" }
            );
            self.rewriting.forbid();
        }
        let live = replay.coordinator.live_records().map(|record| record_bytes(&record) as u64);
        self.rewriting.note_loaded(live.sum());
    }

    async fn replay(&self, shard: &Rc<Shard>) -> Result<Replay, LoadError> {
        let mut replay = Replay {
            coordinator: Coordinator::new(settings(shard)),
            scratch: Scratch::new(),
            open: FastMap::default(),
            record_count: 0,
            has_losses: false,
        };
        let bytes_max = shard.facts.config.groups.load_bytes as usize;
        let (mut next, end) = (self.partition.start_offset(), self.partition.high_watermark());
        while next < end {
            if self.is_gone() {
                return Err(LoadError::Gone);
            }
            let range = ReadRange { from: next, upper: end, bytes_max, one_batch_at_least: true };
            let span = match self.partition.read_job(&range).run(shard.core()).await {
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
            let read = span.file.read_at(shard.core(), vec![0; span.len], span.position).await;
            let bytes = read.map_err(|error| bad_batch(next, error))?;
            let before = next;
            next = replay.take_batches(&bytes, next, &self.partition.label())?;
            if next == before {
                return Err(bad_batch(next, "it is not whole"));
            }
        }
        Ok(replay)
    }
}

impl Replay {
    /// Takes the whole batches of what was read; gives the offset after them.
    fn take_batches(
        &mut self,
        bytes: &[u8],
        from: Offset,
        label: &str,
    ) -> Result<Offset, LoadError> {
        let (mut rest, mut next) = (bytes, from);
        while let Ok(header) = BatchHeader::parse(Pieces::one(rest)) {
            let Some((batch, after)) = rest.split_at_checked(header.total_bytes()) else { break };
            self.take_batch(&header, batch, label)?;
            next = header.next_offset();
            rest = after;
        }
        Ok(next)
    }

    fn take_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        label: &str,
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
            if attributes.is_control() {
                self.take_marker(header.producer_id, record.key, record.value, label);
            } else if attributes.is_transactional() {
                let held =
                    (record.key.unwrap_or_default().to_vec(), record.value.map(<[u8]>::to_vec));
                self.open.entry(header.producer_id).or_default().push(held);
            } else {
                self.take(record.key.unwrap_or_default(), record.value, label);
            }
        }
        self.scratch = scratch;
        Ok(())
    }

    /// A transaction ends: with its commit its records count.
    fn take_marker(
        &mut self,
        producer: ProducerId,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        label: &str,
    ) {
        // Other control records say nothing of groups.
        let Ok(Some(marker)) = EndTxnMarker::parse(key, value) else { return };
        let held = self.open.remove(&producer).unwrap_or_default();
        for (key, value) in held.into_iter().filter(|_| marker.commit) {
            self.take(&key, value.as_deref(), label);
        }
    }

    fn take(&mut self, key: &[u8], value: Option<&[u8]>, label: &str) {
        self.record_count += 1;
        if let Err(error) = self.coordinator.replay(key, value) {
            self.has_losses = true;
            tracing::error!("{label}: a record was passed over: {error}");
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
    use std::collections::BTreeMap;

    const PRODUCER: (ProducerId, ProducerEpoch) = (ProducerId(7), ProducerEpoch(0));

    fn replay() -> Replay {
        Replay {
            coordinator: Coordinator::new(Settings::default()),
            scratch: Scratch::new(),
            open: FastMap::default(),
            record_count: 0,
            has_losses: false,
        }
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
        assert_eq!(replay.take_batches(&log, Offset(0), "log").unwrap(), Offset(at));
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
            let next = replay.take_batches(&log[..cut], Offset(0), "log").unwrap();
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
        replay.take_batches(&log.concat(), Offset(0), "log").unwrap();
        check(&replay, &[("a", 3), ("b", 1)]);
        assert_eq!(replay.open.len(), 1);
        // The record is that of the commit, which comes after the other.
        replay.take_batches(&marker(5, true), Offset(5), "log").unwrap();
        check(&replay, &[("a", 2)]);
        let aborted = [in_transaction(6, &[("a", Some(4))]), marker(7, false)].concat();
        replay.take_batches(&aborted, Offset(6), "log").unwrap();
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
        replay.take_batches(&log, Offset(0), "log").unwrap();
        check(&replay, &[("a", 1)]);
        assert!(replay.has_losses);
    }
}
