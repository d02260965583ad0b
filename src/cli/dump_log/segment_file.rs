//! A segment's file, read through a window: the batch at a position, its checksum, its records.

use super::error::BatchFault;
use crate::base::Pieces;
use crate::base::crc32c::Crc32c;
use crate::record::{
    BatchHeader, CRC_FROM, HEADER_BYTES, HeaderError, PREFIX_BYTES, Records, Scratch,
};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes read at a time.
const WINDOW_BYTES: usize = 256 * 1024;
/// The most that the records of one batch may have, packed or unpacked, to be shown.
const RECORDS_BYTES_MAX: usize = 256 << 20;
/// Kafka looks at no fewer bytes than the head up to the format's number.
const LOOK_BYTES: u64 = 17;

/// A file of batches.
pub struct SegmentFile {
    file: File,
    /// Bytes that it had when it was opened: those that come later are not looked at.
    len: u64,
    window: Vec<u8>,
    window_at: u64,
    packed: Vec<u8>,
    scratch: Scratch,
}

/// What lies at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Batch(BatchHeader),
    /// The file ends here.
    End,
    /// The file ends before the batch does, or before its length is known.
    Cut {
        wanted: Option<u64>,
    },
    /// No batch of the format that is served.
    Bad(HeaderError),
}

impl SegmentFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file,
            len,
            window: Vec::new(),
            window_at: 0,
            packed: Vec::new(),
            scratch: Scratch::new(),
        })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that the file has now.
    pub fn len_now(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// What lies at a position, by its header alone.
    pub fn at(&mut self, position: u64) -> io::Result<Found> {
        let left = self.len.saturating_sub(position);
        if left == 0 {
            return Ok(Found::End);
        }
        if left < LOOK_BYTES {
            return Ok(Found::Cut { wanted: None });
        }
        let bytes = self.view(position, HEADER_BYTES)?;
        let wanted = bytes
            .get(8..PREFIX_BYTES)
            .and_then(|raw| raw.try_into().ok())
            .map(i32::from_be_bytes)
            .and_then(|length| u64::try_from(length).ok())
            .map(|length| PREFIX_BYTES as u64 + length);
        match BatchHeader::parse(Pieces::one(bytes)) {
            Ok(header) if header.total_bytes() as u64 <= left => Ok(Found::Batch(header)),
            Ok(_) | Err(HeaderError::Short { .. }) => Ok(Found::Cut { wanted }),
            Err(error) => Ok(Found::Bad(error)),
        }
    }

    /// The checksum of a batch's bytes.
    pub fn checksum(&mut self, position: u64, header: &BatchHeader) -> io::Result<u32> {
        let end = position + header.total_bytes() as u64;
        let (mut at, mut crc) = (position + CRC_FROM as u64, Crc32c::new());
        while at < end {
            let bytes = self.view(at, 1)?;
            let take = bytes.len().min((end - at) as usize);
            if take == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            crc.update(&bytes[..take]);
            at += take as u64;
        }
        Ok(crc.finish())
    }

    /// The records of a batch, unpacked.
    pub fn records(
        &mut self,
        position: u64,
        header: &BatchHeader,
    ) -> Result<Records<'_>, BatchFault> {
        let codec = header.attributes.codec()?;
        let bytes = header.records_bytes();
        if bytes > RECORDS_BYTES_MAX {
            return Err(BatchFault::TooLarge { bytes, max: RECORDS_BYTES_MAX });
        }
        // The batch lies in the file: its length was held against it.
        self.packed.resize(bytes, 0);
        let from = position + HEADER_BYTES as u64;
        self.file.read_exact_at(&mut self.packed, from).map_err(BatchFault::Read)?;
        let packed = Pieces::one(&self.packed);
        let unpacked = self.scratch.unpack(codec, packed, RECORDS_BYTES_MAX)?;
        Ok(Records::new(unpacked))
    }

    /// The bytes from `at` on that are in the window, at least `want` unless the file ends before.
    pub fn view(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !held.contains(&at) || held.end < at.saturating_add(want as u64).min(self.len) {
            let room = WINDOW_BYTES.min(self.len.saturating_sub(at) as usize);
            self.window.resize(room, 0);
            self.window_at = at;
            let mut filled = 0;
            while filled < room {
                match self.file.read_at(&mut self.window[filled..], at + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.window.clear();
                        return Err(error);
                    }
                }
            }
            self.window.truncate(filled);
        }
        Ok(self.window.get((at - self.window_at) as usize..).unwrap_or_default())
    }
}
