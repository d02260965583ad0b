//! The two indexes of a segment: entries in memory, and their bytes in Kafka's files.
//!
//! ```text
//! .index      | int32 offset - base | int32 position |               8 bytes, sparse
//! .timeindex  | int64 largest time so far | int32 offset - base |   12 bytes, sparse
//! ```
//!
//! An entry of the offset index is (last offset of a batch, position of that batch). Both are in
//! ascending order; a file that is not is thrown away and built again from the segment.

use crate::model::{Offset, Timestamp};

pub const OFFSET_ENTRY_BYTES: usize = 8;
pub const TIME_ENTRY_BYTES: usize = 12;

/// A batch's last offset, less the segment's base, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    pub relative_offset: u32,
    pub position: u32,
}

/// The largest time of all batches up to one, and that batch's last offset less the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp: Timestamp,
    pub relative_offset: u32,
}

impl OffsetEntry {
    /// One entry from its bytes in a file.
    pub fn decode(raw: &[u8; OFFSET_ENTRY_BYTES]) -> Self {
        let [o0, o1, o2, o3, p0, p1, p2, p3] = *raw;
        Self {
            relative_offset: u32::from_be_bytes([o0, o1, o2, o3]),
            position: u32::from_be_bytes([p0, p1, p2, p3]),
        }
    }
}

impl TimeEntry {
    /// One entry from its bytes in a file.
    pub fn decode(raw: &[u8; TIME_ENTRY_BYTES]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, o0, o1, o2, o3] = *raw;
        Self {
            timestamp: Timestamp(i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            relative_offset: u32::from_be_bytes([o0, o1, o2, o3]),
        }
    }
}

/// Why a file is no index. It is built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    #[error("{bytes} bytes are no whole number of entries")]
    Size { bytes: usize },
    #[error("entry {index} does not come after the one before")]
    Order { index: usize },
    #[error("entry {index} points beyond the segment")]
    Beyond { index: usize },
}

/// A segment's indexes in memory, and how much of them its files hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    pub offsets: Vec<OffsetEntry>,
    pub times: Vec<TimeEntry>,
    /// Bytes of batches since the last entry.
    pub bytes_since_entry: u64,
    /// The largest time so far, and the last offset of the first batch that had it.
    pub max_timestamp: Timestamp,
    pub max_timestamp_offset: Offset,
}

impl Indexes {
    pub fn new(base: Offset) -> Self {
        Self { max_timestamp: Timestamp::NONE, max_timestamp_offset: base, ..Self::default() }
    }

    /// Counts a batch that was appended at `position`; makes an entry for it if more than
    /// `interval` bytes came since the last one.
    pub fn on_batch(&mut self, base: Offset, batch: &IndexedBatch, position: u64, interval: u32) {
        if batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.max_timestamp_offset = batch.last_offset;
        }
        if self.bytes_since_entry > u64::from(interval) {
            let relative_offset = relative(base, batch.last_offset);
            self.offsets.push(OffsetEntry { relative_offset, position: position as u32 });
            self.push_time(base);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += batch.bytes;
    }

    /// The entry that ends a segment: its largest time, unless the last entry has it.
    pub fn push_time(&mut self, base: Offset) {
        let timestamp = self.max_timestamp;
        let last = self.times.last().map_or(Timestamp::NONE, |entry| entry.timestamp);
        if timestamp > last {
            let relative_offset = relative(base, self.max_timestamp_offset);
            self.times.push(TimeEntry { timestamp, relative_offset });
        }
    }

    /// Whether one of them has no room for another entry (one time entry is kept for the end).
    pub fn is_full(&self, index_bytes_max: u32) -> bool {
        let max = index_bytes_max as usize;
        self.offsets.len() >= (max / OFFSET_ENTRY_BYTES).max(1)
            || self.times.len() + 1 >= (max / TIME_ENTRY_BYTES).max(2)
    }

    /// Position of a batch at or before the one with `offset`; 0 where no entry is before it.
    pub fn floor_position(&self, base: Offset, offset: Offset) -> u64 {
        let Ok(relative) = u32::try_from(offset.0 - base.0) else { return 0 };
        let after = self.offsets.partition_point(|entry| entry.relative_offset <= relative);
        after.checked_sub(1).map_or(0, |index| u64::from(self.offsets[index].position))
    }

    /// The last offset of the batch at an indexed position.
    pub fn last_offset_at(&self, base: Offset, position: u64) -> Option<Offset> {
        let index = self.offsets.binary_search_by_key(&position, |e| u64::from(e.position)).ok()?;
        Some(base.plus(i64::from(self.offsets[index].relative_offset)))
    }

    /// The last indexed batch boundary at or before `position`, if it is after `from`.
    pub fn boundary_before(&self, from: u64, position: u64) -> Option<u64> {
        let after = self.offsets.partition_point(|e| u64::from(e.position) <= position);
        let boundary = u64::from(self.offsets[after.checked_sub(1)?].position);
        (boundary > from).then_some(boundary)
    }

    /// The first indexed batch boundary after `position`.
    pub fn boundary_after(&self, position: u64) -> Option<u64> {
        let after = self.offsets.partition_point(|e| u64::from(e.position) <= position);
        self.offsets.get(after).map(|entry| u64::from(entry.position))
    }

    /// Last offset of a batch such that all batches up to it are older than `time`.
    pub fn floor_offset_of_time(&self, base: Offset, time: Timestamp) -> Offset {
        let after = self.times.partition_point(|entry| entry.timestamp < time);
        after
            .checked_sub(1)
            .map_or(base, |index| base.plus(i64::from(self.times[index].relative_offset)))
    }

    /// Forgets entries of batches at `position` and after.
    pub fn truncate(&mut self, base: Offset, end: Offset, position: u64) {
        self.offsets.retain(|entry| u64::from(entry.position) < position);
        let end = relative(base, end.max(base));
        self.times.retain(|entry| entry.relative_offset < end);
    }

    /// What `restore` goes back to.
    pub fn mark(&self) -> IndexMark {
        IndexMark {
            offset_count: self.offsets.len(),
            time_count: self.times.len(),
            bytes_since_entry: self.bytes_since_entry,
            max_timestamp: self.max_timestamp,
            max_timestamp_offset: self.max_timestamp_offset,
        }
    }

    /// Forgets what was counted since the mark.
    pub fn restore(&mut self, mark: &IndexMark) {
        self.offsets.truncate(mark.offset_count);
        self.times.truncate(mark.time_count);
        self.bytes_since_entry = mark.bytes_since_entry;
        self.max_timestamp = mark.max_timestamp;
        self.max_timestamp_offset = mark.max_timestamp_offset;
    }

    pub fn memory_bytes(&self) -> usize {
        self.offsets.capacity() * size_of::<OffsetEntry>()
            + self.times.capacity() * size_of::<TimeEntry>()
    }
}

/// The state of indexes at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexMark {
    offset_count: usize,
    time_count: usize,
    bytes_since_entry: u64,
    max_timestamp: Timestamp,
    max_timestamp_offset: Offset,
}

/// What the indexes need to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedBatch {
    pub last_offset: Offset,
    pub max_timestamp: Timestamp,
    pub bytes: u64,
}

fn relative(base: Offset, offset: Offset) -> u32 {
    // The roll checks that offsets of a segment fit 31 bits.
    u32::try_from(offset.0 - base.0).expect("an offset of this segment")
}

pub fn encode_offsets(entries: &[OffsetEntry], out: &mut Vec<u8>) {
    for entry in entries {
        out.extend_from_slice(&entry.relative_offset.to_be_bytes());
        out.extend_from_slice(&entry.position.to_be_bytes());
    }
}

pub fn encode_times(entries: &[TimeEntry], out: &mut Vec<u8>) {
    for entry in entries {
        out.extend_from_slice(&entry.timestamp.0.to_be_bytes());
        out.extend_from_slice(&entry.relative_offset.to_be_bytes());
    }
}

/// Entries of an offset index for a segment of `segment_bytes`. The zeroes that Kafka leaves behind
/// the entries of a segment it was writing when it was killed end the list.
pub fn decode_offsets(bytes: &[u8], segment_bytes: u64) -> Result<Vec<OffsetEntry>, IndexError> {
    if !bytes.len().is_multiple_of(OFFSET_ENTRY_BYTES) {
        return Err(IndexError::Size { bytes: bytes.len() });
    }
    let mut entries: Vec<OffsetEntry> = Vec::with_capacity(bytes.len() / OFFSET_ENTRY_BYTES);
    for (index, raw) in bytes.as_chunks::<OFFSET_ENTRY_BYTES>().0.iter().enumerate() {
        let entry = OffsetEntry::decode(raw);
        if raw.iter().all(|byte| *byte == 0) && is_zero(&bytes[index * OFFSET_ENTRY_BYTES..]) {
            break;
        }
        let is_after = entries.last().is_none_or(|last| {
            last.relative_offset < entry.relative_offset && last.position < entry.position
        });
        if !is_after || entry.relative_offset > i32::MAX as u32 {
            return Err(IndexError::Order { index });
        }
        if u64::from(entry.position) >= segment_bytes {
            return Err(IndexError::Beyond { index });
        }
        entries.push(entry);
    }
    entries.shrink_to_fit();
    Ok(entries)
}

/// Entries of a time index; zeroes at its end as in [`decode_offsets`].
pub fn decode_times(bytes: &[u8]) -> Result<Vec<TimeEntry>, IndexError> {
    if !bytes.len().is_multiple_of(TIME_ENTRY_BYTES) {
        return Err(IndexError::Size { bytes: bytes.len() });
    }
    let mut entries: Vec<TimeEntry> = Vec::with_capacity(bytes.len() / TIME_ENTRY_BYTES);
    for (index, raw) in bytes.as_chunks::<TIME_ENTRY_BYTES>().0.iter().enumerate() {
        let entry = TimeEntry::decode(raw);
        if raw.iter().all(|byte| *byte == 0) && is_zero(&bytes[index * TIME_ENTRY_BYTES..]) {
            break;
        }
        let is_after = entries.last().is_none_or(|last| {
            last.timestamp < entry.timestamp && last.relative_offset <= entry.relative_offset
        });
        if !is_after || entry.relative_offset > i32::MAX as u32 {
            return Err(IndexError::Order { index });
        }
        entries.push(entry);
    }
    entries.shrink_to_fit();
    Ok(entries)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(last_offset: i64, max_timestamp: i64, bytes: u64) -> IndexedBatch {
        IndexedBatch {
            last_offset: Offset(last_offset),
            max_timestamp: Timestamp(max_timestamp),
            bytes,
        }
    }

    fn indexes() -> Indexes {
        let base = Offset(100);
        let mut indexes = Indexes::new(base);
        for (index, time) in [10, 30, 20, 40, 35, 50].into_iter().enumerate() {
            let last = 100 + index as i64 * 10 + 9;
            indexes.on_batch(base, &batch(last, time, 60), index as u64 * 60, 100);
        }
        indexes.push_time(base);
        indexes
    }

    #[test]
    fn an_entry_comes_before_the_batch_that_passes_the_interval() {
        let indexes = indexes();
        // Entries at the third and fifth batch: 120 bytes came before each.
        let offsets: Vec<_> =
            indexes.offsets.iter().map(|e| (e.relative_offset, e.position)).collect();
        assert_eq!(offsets, [(29, 120), (49, 240)]);
        let times: Vec<_> =
            indexes.times.iter().map(|e| (e.timestamp.0, e.relative_offset)).collect();
        assert_eq!(times, [(30, 19), (40, 39), (50, 59)]);
    }

    #[test]
    fn lookups_give_the_place_before() {
        let indexes = indexes();
        let base = Offset(100);
        for (offset, position) in [(100, 0), (128, 0), (129, 120), (148, 120), (149, 240)] {
            assert_eq!(indexes.floor_position(base, Offset(offset)), position);
        }
        assert_eq!(indexes.boundary_before(0, 200), Some(120));
        assert_eq!(indexes.boundary_before(120, 200), None);
        assert_eq!(indexes.boundary_after(120), Some(240));
        assert_eq!(indexes.floor_offset_of_time(base, Timestamp(31)), Offset(119));
        assert_eq!(indexes.floor_offset_of_time(base, Timestamp(30)), Offset(100));
    }

    #[test]
    fn bytes_and_entries_are_the_same_and_zeroes_end_them() {
        let indexes = indexes();
        let (mut offsets, mut times) = (Vec::new(), Vec::new());
        encode_offsets(&indexes.offsets, &mut offsets);
        encode_times(&indexes.times, &mut times);
        assert_eq!((offsets.len(), times.len()), (16, 36));
        assert_eq!(decode_offsets(&offsets, 360).unwrap(), indexes.offsets);
        assert_eq!(decode_times(&times).unwrap(), indexes.times);
        offsets.resize(offsets.len() + 80, 0);
        times.resize(times.len() + 120, 0);
        assert_eq!(decode_offsets(&offsets, 360).unwrap(), indexes.offsets);
        assert_eq!(decode_times(&times).unwrap(), indexes.times);
    }

    #[test]
    fn files_that_are_no_index_are_told() {
        let bad = |bytes: &[u8]| decode_offsets(bytes, 1000).unwrap_err();
        assert_eq!(bad(&[0; 9]), IndexError::Size { bytes: 9 });
        let twice = [0, 0, 0, 5, 0, 0, 0, 9].repeat(2);
        assert_eq!(bad(&twice), IndexError::Order { index: 1 });
        assert_eq!(bad(&[0, 0, 0, 5, 0, 1, 0, 0]), IndexError::Beyond { index: 0 });
        let mut hole = vec![0; 8];
        hole.extend([0, 0, 0, 5, 0, 0, 0, 9]);
        assert_eq!(decode_offsets(&hole, 1000).unwrap().len(), 2);
        assert_eq!(decode_times(&[0xff; 12]), Err(IndexError::Order { index: 0 }));
    }

    #[test]
    fn a_full_index_is_seen_before_it_runs_over() {
        let mut indexes = Indexes::new(Offset(0));
        assert!(!indexes.is_full(24));
        indexes.times.push(TimeEntry { timestamp: Timestamp(1), relative_offset: 0 });
        assert!(indexes.is_full(24));
    }
}
