//! Finding records by time: Kafka's ListOffsets. The answer is the record's own offset and time,
//! so the batch is opened where it was not stamped by the broker.

use super::check::Reach;
use super::directory::LogDir;
use super::error::LogError;
use super::load;
use super::log::Log;
use super::names::Kind;
use super::read::{self, Place};
use super::scan::{Check, Links, Scanned, Scanner};
use super::segment::Segment;
use crate::base::Pieces;
use crate::model::{LeaderEpoch, Offset, Timestamp};
use crate::record::{BatchHeader, HEADER_BYTES, Records, TimestampType};
use crate::runtime::Core;
use std::rc::Rc;

/// The most that a batch may unpack to (RELIABILITY: bounded decompression).
const UNPACKED_BYTES_MAX: usize = 256 << 20;
/// Memory for unpacking that is kept.
const SCRATCH_BYTES: usize = 1 << 20;

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundRecord {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub leader_epoch: LeaderEpoch,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The first record at or after a time.
    AtOrAfter(Timestamp),
    /// The first record with the largest time.
    Largest,
}

/// A search by time; owns all it needs.
#[must_use]
pub struct TimeJob {
    dir: Rc<LogDir>,
    /// With their lengths and largest times as they were.
    segments: Vec<(Rc<Segment>, u64, Option<Timestamp>)>,
    start: Offset,
    upper: Offset,
    end: Offset,
    wanted: Wanted,
    links: Links,
}

impl Log {
    /// The first record (below `upper`) with a time at or after `time`: `job.run(&core).await`.
    pub fn time_job(&self, time: Timestamp, upper: Offset) -> TimeJob {
        self.search(Wanted::AtOrAfter(time), upper)
    }

    /// The first record (below `upper`) with the largest time.
    pub fn max_time_job(&self, upper: Offset) -> TimeJob {
        self.search(Wanted::Largest, upper)
    }

    fn search(&self, wanted: Wanted, upper: Offset) -> TimeJob {
        let first = self.segments.floor(self.log_start_offset);
        TimeJob {
            dir: Rc::clone(&self.dir),
            segments: self
                .segments
                .iter()
                .skip(first)
                .map(|segment| (Rc::clone(segment), segment.len.get(), segment.max_time()))
                .collect(),
            start: self.log_start_offset,
            upper: upper.min(self.log_end_offset),
            end: self.log_end_offset,
            wanted,
            links: self.links(false, self.log_end_offset),
        }
    }
}

impl TimeJob {
    pub async fn run(self, core: &Core) -> Result<Option<FoundRecord>, LogError> {
        match self.wanted {
            Wanted::AtOrAfter(time) => self.at_or_after(core, time).await,
            Wanted::Largest => self.largest(core).await,
        }
    }

    async fn at_or_after(
        &self,
        core: &Core,
        time: Timestamp,
    ) -> Result<Option<FoundRecord>, LogError> {
        for (segment, len, _) in &self.segments {
            if segment.base >= self.upper {
                break;
            }
            // An empty one may not be made yet; what retention took since holds no records.
            if *len == 0 {
                continue;
            }
            let Some(_held) = load::load_if_there(core, &self.dir, segment).await? else {
                continue;
            };
            if segment.max_time().is_none_or(|largest| largest < time) {
                continue;
            }
            if let Some(found) = self.in_segment(core, segment, *len, time).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn links_of(&self, segment: &Segment) -> Links {
        let next = self.segments.iter().find(|(other, ..)| other.base > segment.base);
        let end_offset = next.map_or(self.end, |(next, ..)| next.base);
        Links { is_active: next.is_none(), end_offset, ..self.links.clone() }
    }

    /// The first record of one segment at or after `time`.
    async fn in_segment(
        &self,
        core: &Core,
        segment: &Segment,
        len: u64,
        time: Timestamp,
    ) -> Result<Option<FoundRecord>, LogError> {
        let from = match &*segment.indexes.borrow() {
            Some(indexes) => indexes.floor_offset_of_time(segment.base, time),
            None => segment.base,
        };
        let mut next = from.max(self.start);
        let links = self.links_of(segment);
        let reach = |offset| Reach { len, offset, bytes: 0 };
        while let Some((place, header)) = read::find(core, segment, &links, reach(next)).await? {
            if header.base_offset >= self.upper {
                return Ok(None);
            }
            if header.max_timestamp >= time {
                let found = self.in_batch(core, segment, place, &header, time).await?;
                if found.is_some() {
                    return Ok(found.filter(|found| found.offset < self.upper));
                }
            }
            next = header.next_offset();
        }
        Ok(None)
    }

    async fn in_batch(
        &self,
        core: &Core,
        segment: &Segment,
        place: Place,
        header: &BatchHeader,
        time: Timestamp,
    ) -> Result<Option<FoundRecord>, LogError> {
        let mut found = None;
        self.each_record(core, segment, place, header, |record| {
            if record.timestamp >= time {
                found.get_or_insert(record);
            }
        })
        .await?;
        Ok(found)
    }

    /// Shows the records of a batch that lie in the log.
    async fn each_record(
        &self,
        core: &Core,
        segment: &Segment,
        place: Place,
        header: &BatchHeader,
        mut show: impl FnMut(FoundRecord),
    ) -> Result<(), LogError> {
        let leader_epoch = header.leader_epoch;
        if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            let offset = header.base_offset.max(self.start);
            show(FoundRecord { offset, timestamp: header.max_timestamp, leader_epoch });
            return Ok(());
        }
        let Some(file) = segment.file() else { return Ok(()) };
        let buffer = vec![0; place.bytes as usize];
        let bytes = load::read(core, segment, &file, buffer, place.position).await?;
        let damaged = || LogError::Damaged {
            path: segment.path(Kind::Log).into(),
            from: header.base_offset,
            to: header.next_offset(),
        };
        let packed = Pieces::one(bytes.get(HEADER_BYTES..).ok_or_else(damaged)?);
        let codec = header.attributes.codec().map_err(|_| damaged())?;
        let mut scratch = self.dir.scratch.borrow_mut();
        let records = scratch.unpack(codec, packed, UNPACKED_BYTES_MAX).map_err(|_| damaged())?;
        for record in Records::new(records) {
            let record = record.map_err(|_| damaged())?;
            let timestamp =
                Timestamp(header.base_timestamp.0.saturating_add(record.timestamp_delta));
            let offset = header.base_offset.plus(i64::from(record.offset_delta));
            if offset >= self.start {
                show(FoundRecord { offset, timestamp, leader_epoch });
            }
        }
        scratch.trim(SCRATCH_BYTES);
        Ok(())
    }

    async fn largest(&self, core: &Core) -> Result<Option<FoundRecord>, LogError> {
        let mut largest: Option<(Timestamp, usize)> = None;
        for (index, (segment, len, known)) in self.segments.iter().enumerate() {
            if segment.base >= self.upper {
                break;
            }
            if *len == 0 {
                continue;
            }
            let Some(_held) = load::load_if_there(core, &self.dir, segment).await? else {
                continue;
            };
            let end = self.segments.get(index + 1).map_or(self.end, |(next, ..)| next.base);
            let time = if end <= self.upper && segment.base >= self.start {
                known.or(segment.max_time())
            } else {
                self.largest_of_part(core, segment, *len).await?
            };
            if let Some(time) = time.filter(|time| time.0 >= 0)
                && largest.is_none_or(|(before, _)| time > before)
            {
                largest = Some((time, index));
            }
        }
        let Some((time, index)) = largest else { return Ok(None) };
        let (segment, len, _) = &self.segments[index];
        // It may have been given back since it was looked at.
        let Some(_held) = load::load_if_there(core, &self.dir, segment).await? else {
            return Ok(None);
        };
        self.in_segment(core, segment, *len, time).await
    }

    /// The largest time of the batches between the start offset and the upper bound.
    async fn largest_of_part(
        &self,
        core: &Core,
        segment: &Segment,
        len: u64,
    ) -> Result<Option<Timestamp>, LogError> {
        let Some(file) = segment.file() else { return Ok(None) };
        let (path, base) = (segment.path(Kind::Log), segment.base);
        let mut scanner = Scanner::new(core, file, &path, base, (0, len), Check::HeadersOnly);
        let mut largest = None;
        while let Scanned::Batch { position, header } = scanner.next().await? {
            // Bounds lie between batches.
            if header.last_offset() >= self.upper {
                break;
            }
            if header.base_offset >= self.start {
                largest = largest.max(Some(header.max_timestamp));
            } else if header.last_offset() >= self.start {
                // The log begins inside: its largest time may lie before.
                let bytes = header.total_bytes() as u64;
                let base_offset = header.base_offset;
                let place = Place { position, bytes, base_offset, is_tail: false };
                self.each_record(core, segment, place, &header, |record| {
                    largest = largest.max(Some(record.timestamp));
                })
                .await?;
            }
        }
        Ok(largest)
    }
}
