//! What a log must hold: every batch that was ever staged, which of them are written, and what is
//! promised to survive a power cut.

use crate::base::{Pieces, Random};
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::record::build::{BatchBuilder, NewRecord};
use crate::record::{BatchHeader, Stamp};
use std::collections::BTreeMap;

/// One batch, as it lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub base: i64,
    pub last: i64,
    pub epoch: i32,
    pub bytes: Vec<u8>,
    /// Of each record.
    pub times: Vec<i64>,
    pub producer: Option<Sequence>,
}

/// The producer's part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    pub id: i64,
    pub base: i32,
    pub last: i32,
}

/// How the process before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was there before.
    Birth,
    Clean,
    Kill,
    Power,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What readers see, dense from offset 0 (also what retention has removed since).
    pub written: Vec<Batch>,
    /// Staged, in order, not written yet.
    pub staged: Vec<Batch>,
    /// Everything that was ever staged at an offset: a power cut may bring any of it back.
    attempts: BTreeMap<i64, Vec<Batch>>,
    pub start: i64,
    /// Promised to survive a power cut: everything below.
    pub durable: i64,
    /// What was removed before the log's start was durable may be there again.
    pub start_durable: i64,
    /// The highest start ever: epochs below it may be forgotten, even if a kill brings the records
    /// back.
    pub start_reached: i64,
    pub epoch: i32,
}

/// A batch as a client sends it.
pub struct Draft {
    pub header: BatchHeader,
    pub bytes: Vec<u8>,
    pub times: Vec<i64>,
    pub producer: Option<Sequence>,
}

impl Draft {
    /// A random batch, of `producer` if one is given.
    pub fn random(random: &mut Random, now: Timestamp, producer: Option<(i64, i32)>) -> Self {
        let is_large = random.chance(1, 20);
        let count = if is_large { 1 } else { random.between(1, 5) as i32 };
        let size_max = if is_large { 3500 } else { 150 };
        let mut builder = BatchBuilder::new();
        if let Some((id, base)) = producer {
            builder.producer(ProducerId(id), ProducerEpoch(0), base);
        }
        let mut times = Vec::new();
        for _ in 0..count {
            let mut value = vec![0; random.below(size_max) as usize];
            random.fill(&mut value);
            // Times wander about, as clients' clocks do.
            let timestamp = Timestamp(now.0 - random.below(2000) as i64);
            times.push(timestamp.0);
            let record = NewRecord { timestamp, value: Some(&value), ..NewRecord::default() };
            builder.push(&record).expect("a small record");
        }
        let mut bytes = Vec::new();
        let header = builder.finish(&mut bytes).expect("a small batch");
        let producer = producer.map(|(id, base)| Sequence { id, base, last: base + count - 1 });
        Self { header, bytes, times, producer }
    }

    /// The batch as it lies in a log.
    pub fn at(&self, base: Offset, epoch: LeaderEpoch) -> Batch {
        let stamp: Stamp = self.header.stamp(base, epoch);
        let mut bytes = stamp.bytes().to_vec();
        bytes.extend_from_slice(&self.bytes[stamp.bytes().len()..]);
        Batch {
            base: base.0,
            last: base.0 + i64::from(self.header.last_offset_delta),
            epoch: epoch.0,
            bytes,
            times: self.times.clone(),
            producer: self.producer,
        }
    }
}

impl Model {
    /// The offset after the last written record.
    pub fn end(&self) -> i64 {
        self.written.last().map_or(0, |batch| batch.last + 1)
    }

    /// The offset that the next staged batch gets.
    pub fn next(&self) -> i64 {
        self.staged.last().map_or(self.end().max(self.start), |batch| batch.last + 1)
    }

    pub fn on_staged(&mut self, batch: Batch) {
        assert_eq!(batch.base, self.next(), "offsets are dense");
        self.attempts.entry(batch.base).or_default().push(batch.clone());
        self.staged.push(batch);
    }

    /// Everything staged below `end` is written.
    pub fn on_written(&mut self, end: i64) {
        let count = self.staged.partition_point(|batch| batch.last < end);
        self.written.extend(self.staged.drain(..count));
        assert_eq!(self.end(), end, "a flush ends between two batches");
    }

    /// A flush failed: nothing that was staged is in the log.
    pub fn on_failed(&mut self) {
        self.staged.clear();
    }

    /// The written batches from the one that holds `offset` on.
    pub fn from(&self, offset: i64) -> &[Batch] {
        &self.written[self.written.partition_point(|batch| batch.last < offset)..]
    }

    /// Bytes of the written batches from the one that holds `offset` on, up to those that begin
    /// at `upper`.
    pub fn bytes(&self, offset: i64, upper: i64) -> Vec<u8> {
        let batches = self.from(offset).iter().filter(|batch| batch.base < upper);
        batches.flat_map(|batch| batch.bytes.iter().copied()).collect()
    }

    /// Takes what a new process found in the log, from `start` to `end`, as the truth, if it may
    /// be: what was promised is there, nothing torn is, every batch is one that was staged there.
    pub fn on_found(&mut self, how: End, start: i64, found: &[u8]) {
        let promised = match how {
            End::Birth | End::Power => self.durable,
            End::Kill | End::Clean => self.end(),
        };
        let mut next = start;
        let mut batches = Vec::new();
        let mut rest = found;
        while !rest.is_empty() {
            let header = BatchHeader::parse(Pieces::one(rest)).expect("a whole header is read");
            let (bytes, after) =
                rest.split_at_checked(header.total_bytes()).expect("whole batches");
            let base = header.base_offset.0;
            assert!(
                base == next || (batches.is_empty() && base < next),
                "offset {base} follows {next}"
            );
            let attempts = self.attempts.get(&base).map_or(&[][..], Vec::as_slice);
            let same = attempts.iter().rev().find(|batch| batch.bytes == bytes);
            let batch = same.unwrap_or_else(|| panic!("nobody wrote the batch at {base}")).clone();
            if batch.last < promised {
                let known = self.from(base).first();
                assert_eq!(known, Some(&batch), "another batch at {base}, below {promised}");
            }
            next = batch.last + 1;
            batches.push(batch);
            rest = after;
        }
        let end = next.max(start);
        assert!(
            end >= promised,
            "{how:?}: everything below {promised} is promised, the log ends at {end}"
        );
        if how == End::Clean {
            assert_eq!(end, self.end(), "a clean end changes nothing");
        }
        let from = batches.first().map_or(end, |batch| batch.base);
        self.written.retain(|batch| batch.last < from);
        // A start that was moved to the middle of a batch may outlive it.
        let is_lost = from == start && self.end() <= from;
        assert!(self.end() == from || is_lost, "what is below the start was known");
        self.written.extend(batches);
        self.staged.clear();
        self.durable = self.durable.min(end);
    }

    /// The first record at or after `time`, from the log's start on and below `upper`.
    pub fn by_time(&self, time: i64, upper: i64) -> Option<(i64, i64, i32)> {
        self.records(upper).find(|(_, at, _)| *at >= time)
    }

    /// The first record with the largest time.
    pub fn by_max_time(&self, upper: i64) -> Option<(i64, i64, i32)> {
        let mut best: Option<(i64, i64, i32)> = None;
        for record in self.records(upper) {
            if best.is_none_or(|(_, time, _)| record.1 > time) {
                best = Some(record);
            }
        }
        best
    }

    /// (offset, time, epoch) of the records that can be read below `upper`.
    fn records(&self, upper: i64) -> impl Iterator<Item = (i64, i64, i32)> {
        let start = self.start;
        let batches = self.written.iter();
        let records = batches.flat_map(|batch| {
            let times = batch.times.iter().enumerate();
            times.map(|(index, time)| (batch.base + index as i64, *time, batch.epoch))
        });
        records.filter(move |(offset, _, _)| (start..upper).contains(offset))
    }

    /// Kafka's answer for a leader epoch: the largest one at or below it, and where it ends;
    /// nothing for one that is still to come.
    pub fn epoch_end(&self, epoch: i32) -> Option<(i32, i64)> {
        let batches = || self.written.iter().filter(|batch| batch.last >= self.start);
        let found = batches().map(|batch| batch.epoch).filter(|at| *at <= epoch).max();
        match batches().find(|batch| batch.epoch > epoch) {
            Some(after) => Some((found.unwrap_or(epoch), after.base.max(self.start))),
            None if found == Some(epoch) => Some((epoch, self.end())),
            None => None,
        }
    }

    /// The newest batch of a producer, written or staged.
    pub fn newest_of(&self, id: i64) -> Option<&Batch> {
        let all = self.staged.iter().rev().chain(self.written.iter().rev());
        all.into_iter().find(|batch| batch.producer.is_some_and(|producer| producer.id == id))
    }
}
