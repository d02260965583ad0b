//! Verifying one segment: every batch by its checksum and its place, and its indexes beside it, in
//! one pass and bounded memory.
//!
//! ```text
//! log     | batch | batch | batch | ...        CRC, length, count; offsets against name and neighbours;
//!            ^               ^                 leader epochs against the batch before and the checkpoint
//! .index   offset, position  offset, position  each entry is compared when the walk comes by
//! .timeindex  time, offset                     largest time up to that batch
//! ```

use super::finding::{Findings, What};
use super::indexes::{Entries, Entry, OffsetEntries, TimeEntries};
use super::segment_file::{Found, SegmentFile};
use super::verify::{LogState, Scope, Summary};
use super::walk::sibling;
use crate::log::index::{OffsetEntry, TimeEntry};
use crate::log::names::Kind;
use crate::model::{LeaderEpoch, Offset, Timestamp};
use crate::record::{BatchHeader, HEADER_BYTES};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that may be checked in search of whole batches after damage, per byte of the file.
const SEARCH_CHECKS_MAX: u64 = 64;

/// One segment of a log under verification.
pub struct SegmentWalk<'a, 't> {
    path: &'a Path,
    base: Offset,
    scope: &'a Scope,
    file: SegmentFile,
    position: u64,
    offsets: Option<OffsetIndex>,
    times: Option<TimeIndex>,
    search_left: u64,
    state: &'a mut LogState,
    summary: &'a mut Summary,
    findings: &'a mut Findings<'t>,
}

struct OffsetIndex {
    path: PathBuf,
    entries: OffsetEntries,
    next: Option<(u64, OffsetEntry)>,
}

struct TimeIndex {
    path: PathBuf,
    entries: TimeEntries,
    next: Option<(u64, TimeEntry)>,
    /// The largest time so far; unknown behind damage.
    largest: Option<Timestamp>,
}

impl<'a, 't> SegmentWalk<'a, 't> {
    /// Opens the segment; `None` where a running broker has removed it. The indexes are opened
    /// first: what they name was in the log before.
    pub fn open(
        path: &'a Path,
        base: Offset,
        scope: &'a Scope,
        state: &'a mut LogState,
        summary: &'a mut Summary,
        findings: &'a mut Findings<'t>,
    ) -> io::Result<Option<Self>> {
        let offsets = OffsetIndex::open(path, base, scope, findings)?;
        let times = TimeIndex::open(path, base, scope, findings)?;
        let file = match SegmentFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                findings.file(path, scope.unreadable(&error))?;
                return Ok(None);
            }
        };
        let search_left = file.len().saturating_mul(SEARCH_CHECKS_MAX);
        summary.logs += 1;
        summary.bytes += file.len();
        Ok(Some(Self {
            path,
            base,
            scope,
            file,
            position: 0,
            offsets,
            times,
            search_left,
            state,
            summary,
            findings,
        }))
    }

    /// Walks all of it.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            let found = match self.file.at(self.position) {
                Ok(found) => found,
                Err(error) => {
                    self.findings.file(self.path, self.scope.unreadable(&error))?;
                    return Ok(());
                }
            };
            match found {
                Found::End => break,
                Found::Batch(header) => self.batch(&header)?,
                Found::Cut { .. } | Found::Bad(_) if self.is_growing(found)? => break,
                Found::Cut { .. } => self.damage(None)?,
                Found::Bad(error) => self.damage(Some(error))?,
            }
        }
        self.end()
    }

    fn tell(&mut self, offset: Offset, what: What) -> io::Result<()> {
        self.findings.at(self.path, self.position, offset, what)
    }

    fn batch(&mut self, header: &BatchHeader) -> io::Result<()> {
        let computed = self.file.checksum(self.position, header)?;
        if computed != header.crc {
            return self.bad_batch(header, computed);
        }
        self.summary.batches += 1;
        self.place(header)?;
        self.epoch(header)?;
        if self.scope.deep {
            self.records(header)?;
        }
        self.indexes(header)?;
        self.step(header);
        Ok(())
    }

    /// A batch whose bytes are not what its producer sent. If its length leads to the next one, it
    /// is this batch alone; else the length may be what is wrong.
    fn bad_batch(&mut self, header: &BatchHeader, computed: u32) -> io::Result<()> {
        let after = self.position + header.total_bytes() as u64;
        let follower = self.file.at(after)?;
        if after == self.file.len() && self.is_tail_of_running() {
            let bytes = header.total_bytes() as u64;
            self.tell(header.base_offset, What::Growing { bytes })?;
            self.position = after;
            return Ok(());
        }
        self.forget_times();
        let is_followed = match follower {
            Found::Batch(next) => next.base_offset >= header.next_offset(),
            Found::End => true,
            Found::Cut { .. } | Found::Bad(_) => false,
        };
        if !is_followed {
            return self.damage(None);
        }
        self.tell(header.base_offset, What::Crc { stored: header.crc, computed })?;
        self.place(header)?;
        self.step(header);
        Ok(())
    }

    /// The batch's offsets against its counts, the batch before, the file's name, the next segment.
    fn place(&mut self, header: &BatchHeader) -> io::Result<()> {
        let BatchHeader { record_count, last_offset_delta, base_offset: base, .. } = *header;
        let is_count = record_count >= 0
            && last_offset_delta >= 0
            && i64::from(record_count) <= i64::from(last_offset_delta) + 1
            && (self.scope.is_compacted || record_count == last_offset_delta + 1);
        if !is_count {
            self.tell(base, What::Count { record_count, last_offset_delta })?;
        }
        let expected = self.state.next_offset.unwrap_or(self.base).max(self.base);
        if base < expected {
            self.tell(base, What::Overlap { base, expected })?;
        } else if base > expected && !self.scope.is_compacted && self.state.is_exact {
            self.tell(base, What::Gap { expected, base })?;
        }
        let next = header.next_offset();
        if let Some(segment) = self.state.next_segment.filter(|segment| next > *segment) {
            self.tell(base, What::BeyondSegment { next, segment })?;
        }
        Ok(())
    }

    fn epoch(&mut self, header: &BatchHeader) -> io::Result<()> {
        let (epoch, base) = (header.leader_epoch, header.base_offset);
        if epoch == LeaderEpoch::NONE {
            return Ok(());
        }
        let before = self.state.epoch;
        if epoch < before {
            return self.tell(base, What::EpochBack { epoch, before });
        }
        self.state.epoch = epoch;
        let Some(epochs) = &self.scope.epochs else { return Ok(()) };
        let last = epochs.latest().map_or(LeaderEpoch::NONE, |last| last.epoch);
        if epoch > last {
            // A crash can come between a batch and the checkpoint that names its epoch. Told once.
            return if epoch > before {
                self.tell(base, What::EpochNew { epoch, last })
            } else {
                Ok(())
            };
        }
        match epochs.at(base) {
            Some(expected) if expected != epoch => {
                self.tell(base, What::EpochUnlike { epoch, expected })
            }
            _ => Ok(()),
        }
    }

    /// Every record: that it can be read, its offset, and how many there are.
    fn records(&mut self, header: &BatchHeader) -> io::Result<()> {
        let (position, base) = (self.position, header.base_offset);
        let mut records = match self.file.records(position, header) {
            Ok(records) => records,
            Err(fault) => return self.tell(base, What::Records(fault.to_string())),
        };
        let (mut found, mut next_delta, mut bad) = (0, 0, None);
        for record in records.by_ref().take(header.record_count.max(0) as usize) {
            match record {
                Ok(record)
                    if record.offset_delta < next_delta
                        || record.offset_delta > header.last_offset_delta =>
                {
                    let expected = base.plus(i64::from(next_delta) - 1);
                    let at = base.plus(i64::from(record.offset_delta));
                    bad = Some(What::RecordOffset { index: found, found: at, expected });
                    break;
                }
                Ok(record) => next_delta = record.offset_delta.saturating_add(1),
                Err(error) => {
                    bad = Some(What::Records(format!("record {found}: {error}")));
                    break;
                }
            }
            found += 1;
        }
        let (expected, bytes_left) = (header.record_count, records.bytes_left());
        if bad.is_none() && (found as i64 != i64::from(expected) || bytes_left > 0) {
            bad = Some(What::RecordCount { expected, found, bytes_left });
        }
        self.summary.records += found as u64;
        bad.map_or(Ok(()), |what| self.tell(base, what))
    }

    fn indexes(&mut self, header: &BatchHeader) -> io::Result<()> {
        let (base, position) = (self.base, self.position);
        if let Some(index) = &mut self.offsets {
            index.on_batch(base, position, header, self.findings)?;
        }
        if let Some(index) = &mut self.times {
            index.on_batch(base, header, self.findings)?;
        }
        Ok(())
    }

    fn step(&mut self, header: &BatchHeader) {
        self.position += header.total_bytes() as u64;
        // A wrong offset must not condemn all that follow.
        let next = header.next_offset();
        let is_sane = header.last_offset_delta >= 0
            && self.state.next_segment.is_none_or(|segment| next <= segment);
        if is_sane {
            self.state.next_offset = Some(next);
            self.state.is_exact = true;
        }
    }

    fn forget_times(&mut self) {
        if let Some(index) = &mut self.times {
            index.largest = None;
        }
    }

    /// Whether what is cut here is being written: the last segment's end, under a running broker.
    fn is_growing(&mut self, found: Found) -> io::Result<bool> {
        if !matches!(found, Found::Cut { .. }) || !self.is_tail_of_running() {
            return Ok(false);
        }
        let bytes = self.file.len() - self.position;
        let offset = self.state.next_offset.unwrap_or(self.base);
        self.tell(offset, What::Growing { bytes })?;
        Ok(true)
    }

    fn is_tail_of_running(&self) -> bool {
        self.scope.is_held && self.state.next_segment.is_none()
    }

    /// No whole batch lies here: looks for where whole ones go on.
    fn damage(&mut self, error: Option<crate::record::HeaderError>) -> io::Result<()> {
        self.forget_times();
        let (from, offset) = (self.position, self.state.next_offset.unwrap_or(self.base));
        let (follows, is_given_up) = self.search()?;
        let bytes = follows.unwrap_or(self.file.len()) - from;
        let what = match error {
            Some(error) => What::Header { error, bytes, follows },
            None => What::NoBatch { bytes, follows },
        };
        self.findings.at(self.path, from, offset, what)?;
        if is_given_up {
            self.findings.at(self.path, from, offset, What::SearchGivenUp)?;
        }
        self.position = follows.unwrap_or(self.file.len());
        // Which offsets lay in between is not known.
        self.state.is_exact = false;
        Ok(())
    }

    /// The next position with a whole batch that may come next; whether the search was given up.
    fn search(&mut self) -> io::Result<(Option<u64>, bool)> {
        let lowest = self.state.next_offset.unwrap_or(self.base);
        let highest = self.state.next_segment.unwrap_or(Offset(i64::MAX));
        let mut at = self.position + 1;
        while at + HEADER_BYTES as u64 <= self.file.len() {
            let bytes = self.file.view(at, HEADER_BYTES)?;
            if bytes.len() < HEADER_BYTES {
                break;
            }
            // The format's number is what a batch has at byte 16.
            match bytes[16..].iter().position(|byte| *byte == 2) {
                None => {
                    at += (bytes.len() - 16) as u64;
                    continue;
                }
                Some(0) => {}
                Some(step) => {
                    at += step as u64;
                    continue;
                }
            }
            if let Found::Batch(header) = self.file.at(at)?
                && header.base_offset >= lowest
                && header.last_offset_delta >= 0
                && header.next_offset() <= highest
            {
                let Some(left) = self.search_left.checked_sub(header.total_bytes() as u64) else {
                    return Ok((None, true));
                };
                self.search_left = left;
                if self.file.checksum(at, &header)? == header.crc {
                    return Ok((Some(at), false));
                }
            }
            at += 1;
        }
        Ok((None, false))
    }

    /// What is left of the indexes points beyond the log.
    fn end(mut self) -> io::Result<()> {
        let (base, end) = (self.base, self.file.len());
        if let Some(index) = &mut self.offsets {
            index.end(base, end, self.findings)?;
        }
        if let Some(index) = &mut self.times {
            index.end(base, self.findings)?;
        }
        let grown = self.file.len_now()?.saturating_sub(end);
        if grown > 0 {
            self.findings.file(self.path, What::Grew { bytes: grown })?;
        }
        let next = self.state.next_offset.unwrap_or(self.base).max(self.base);
        self.state.next_offset = Some(next);
        if let Some(segment) = self.state.next_segment
            && next < segment
            && self.state.is_exact
            && !self.scope.is_compacted
        {
            self.position = end;
            self.tell(next, What::GapToSegment { next, segment })?;
        }
        Ok(())
    }
}

/// The entries of an index beside a log; none where there is none to be held against it.
fn entries_of<E: Entry<N>, const N: usize>(
    path: &Path,
    scope: &Scope,
    findings: &mut Findings<'_>,
) -> io::Result<Option<Entries<E, N>>> {
    if !scope.has_indexes {
        return Ok(None);
    }
    let entries = match Entries::open(path) {
        Ok(entries) => entries,
        Err(error) => return scope.no_index(path, &error, findings).map(|()| None),
    };
    if entries.odd_bytes() > 0 {
        findings.file(path, What::OddBytes { bytes: entries.odd_bytes() })?;
    }
    Ok(Some(entries))
}

impl OffsetIndex {
    fn open(
        log: &Path,
        base: Offset,
        scope: &Scope,
        findings: &mut Findings<'_>,
    ) -> io::Result<Option<Self>> {
        let path = sibling(log, base, Kind::OffsetIndex);
        let Some(mut entries): Option<OffsetEntries> = entries_of(&path, scope, findings)? else {
            return Ok(None);
        };
        // Room that a broker had for entries when it was killed.
        let next = entries.next()?.filter(|(_, entry)| entry.position > 0);
        Ok(Some(Self { path, entries, next }))
    }

    fn advance(&mut self, findings: &mut Findings<'_>) -> io::Result<()> {
        let Some((_, last)) = self.next else { return Ok(()) };
        self.next = self.entries.next()?;
        if let Some((index, next)) = self.next
            && (next.relative_offset <= last.relative_offset || next.position <= last.position)
        {
            // Entries without order cannot be held against the log one after the other.
            findings.file(&self.path, What::EntryOrder { index })?;
            self.next = None;
        }
        Ok(())
    }

    fn on_batch(
        &mut self,
        base: Offset,
        position: u64,
        header: &BatchHeader,
        findings: &mut Findings<'_>,
    ) -> io::Result<()> {
        while let Some((index, entry)) = self.next
            && u64::from(entry.position) <= position
        {
            let offset = base.plus(i64::from(entry.relative_offset));
            let at = entry.position;
            if u64::from(at) < position {
                let found = "no batch begins there".to_owned();
                findings.file(&self.path, What::Entry { index, offset, at, found })?;
            } else if header.last_offset() != offset {
                let found = format!("the one there ends with offset {}", header.last_offset());
                findings.file(&self.path, What::Entry { index, offset, at, found })?;
            }
            self.advance(findings)?;
        }
        Ok(())
    }

    fn end(&mut self, base: Offset, end: u64, findings: &mut Findings<'_>) -> io::Result<()> {
        while let Some((index, entry)) = self.next {
            let offset = base.plus(i64::from(entry.relative_offset));
            let (at, found) =
                (entry.position, format!("no batch begins there, the log has {end} bytes"));
            findings.file(&self.path, What::Entry { index, offset, at, found })?;
            self.advance(findings)?;
        }
        Ok(())
    }
}

impl TimeIndex {
    fn open(
        log: &Path,
        base: Offset,
        scope: &Scope,
        findings: &mut Findings<'_>,
    ) -> io::Result<Option<Self>> {
        let path = sibling(log, base, Kind::TimeIndex);
        let Some(mut entries): Option<TimeEntries> = entries_of(&path, scope, findings)? else {
            return Ok(None);
        };
        let is_room = |entry: &TimeEntry| entry.timestamp.0 == 0 && entry.relative_offset == 0;
        let next = entries.next()?.filter(|(_, entry)| !is_room(entry));
        Ok(Some(Self { path, entries, next, largest: Some(Timestamp::NONE) }))
    }

    fn advance(&mut self, findings: &mut Findings<'_>) -> io::Result<()> {
        let Some((_, last)) = self.next else { return Ok(()) };
        self.next = self.entries.next()?;
        if let Some((index, next)) = self.next
            && (next.timestamp <= last.timestamp || next.relative_offset < last.relative_offset)
        {
            findings.file(&self.path, What::EntryOrder { index })?;
            self.next = None;
        }
        Ok(())
    }

    fn on_batch(
        &mut self,
        base: Offset,
        header: &BatchHeader,
        findings: &mut Findings<'_>,
    ) -> io::Result<()> {
        self.largest = self.largest.map(|largest| largest.max(header.max_timestamp));
        while let Some((index, entry)) = self.next {
            let offset = base.plus(i64::from(entry.relative_offset));
            if offset > header.last_offset() {
                break;
            }
            let timestamp = entry.timestamp;
            // Behind damage the batch that had it may be the one that is lost.
            if let Some(found) = self.largest {
                if offset != header.last_offset() {
                    findings.file(&self.path, What::TimeOffset { index, offset })?;
                } else if found != timestamp {
                    let what = What::TimeEntry { index, timestamp, offset, found };
                    findings.file(&self.path, what)?;
                }
            }
            self.advance(findings)?;
        }
        Ok(())
    }

    fn end(&mut self, base: Offset, findings: &mut Findings<'_>) -> io::Result<()> {
        while let Some((index, entry)) = self.next {
            let offset = base.plus(i64::from(entry.relative_offset));
            findings.file(&self.path, What::TimeOffset { index, offset })?;
            self.advance(findings)?;
        }
        Ok(())
    }
}
