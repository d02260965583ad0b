//! The entries of an index file, one after the other.

use crate::log::index::{OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, TimeEntry};
use crate::model::{Offset, ProducerId};
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::marker::PhantomData;
use std::path::Path;

pub const TXN_ENTRY_BYTES: usize = 34;

/// An aborted transaction in a `.txnindex`.
///
/// ```text
/// version i16 (0) | producerId i64 | firstOffset i64 | lastOffset i64 | lastStableOffset i64
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedEntry {
    pub version: i16,
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    pub last_offset: Offset,
    pub last_stable_offset: Offset,
}

/// An entry of some index.
pub trait Entry<const N: usize>: Sized {
    fn decode(raw: &[u8; N]) -> Self;
    /// Kafka leaves zeroes behind the entries of an index that it was writing when it was killed.
    fn is_zero_tail(raw: &[u8; N]) -> bool {
        raw.iter().all(|byte| *byte == 0)
    }
}

impl Entry<OFFSET_ENTRY_BYTES> for OffsetEntry {
    fn decode(raw: &[u8; OFFSET_ENTRY_BYTES]) -> Self {
        Self::decode(raw)
    }
}

impl Entry<TIME_ENTRY_BYTES> for TimeEntry {
    fn decode(raw: &[u8; TIME_ENTRY_BYTES]) -> Self {
        Self::decode(raw)
    }
}

impl Entry<TXN_ENTRY_BYTES> for AbortedEntry {
    fn decode(raw: &[u8; TXN_ENTRY_BYTES]) -> Self {
        let wide = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&raw[at..at + 8]);
            i64::from_be_bytes(bytes)
        };
        Self {
            version: i16::from_be_bytes([raw[0], raw[1]]),
            producer_id: ProducerId(wide(2)),
            first_offset: Offset(wide(10)),
            last_offset: Offset(wide(18)),
            last_stable_offset: Offset(wide(26)),
        }
    }

    fn is_zero_tail(_: &[u8; TXN_ENTRY_BYTES]) -> bool {
        false
    }
}

pub type OffsetEntries = Entries<OffsetEntry, OFFSET_ENTRY_BYTES>;
pub type TimeEntries = Entries<TimeEntry, TIME_ENTRY_BYTES>;
pub type AbortedEntries = Entries<AbortedEntry, TXN_ENTRY_BYTES>;

/// Entries of an index file; ends before the zeroes at its end.
pub struct Entries<E, const N: usize> {
    file: BufReader<io::Take<File>>,
    len: u64,
    /// Entries that were read.
    count: u64,
    entry: PhantomData<fn() -> E>,
}

impl<E: Entry<N>, const N: usize> Entries<E, N> {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let file = BufReader::new(file.take(len));
        Ok(Self { file, len, count: 0, entry: PhantomData })
    }

    /// Bytes behind the last whole entry.
    pub fn odd_bytes(&self) -> u64 {
        self.len % N as u64
    }

    /// The next entry and its number.
    pub fn next(&mut self) -> io::Result<Option<(u64, E)>> {
        let mut raw = [0; N];
        match self.file.read_exact(&mut raw) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done?,
        }
        let index = self.count;
        self.count += 1;
        if index > 0 && E::is_zero_tail(&raw) {
            return Ok(None);
        }
        Ok(Some((index, E::decode(&raw))))
    }
}
