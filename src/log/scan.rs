//! Reading a segment batch by batch, in bounded memory: to check it, to rebuild what was lost, and
//! to find where whole batches go on after damage.
//!
//! A batch's first 17 bytes (base offset, length, leader epoch, format) lie outside of its checksum.
//! So a header is held against its neighbours: the batch before it says which offset it begins with
//! or above, the one after it where it ends; and against the leader epochs that the log knows. Where
//! a neighbour does not fit, the checksum tells whose length is wrong.

use super::epochs::Epochs;
use super::error::LogError;
use crate::base::Pieces;
use crate::base::crc32c::Crc32c;
use crate::model::{LeaderEpoch, Offset};
use crate::record::{BatchHeader, CRC_FROM, HEADER_BYTES};
use crate::runtime::{Core, File};
use std::path::Path;

/// Bytes read at a time.
const WINDOW_BYTES: usize = 256 * 1024;
/// Bytes that are checked to find whole batches after damage, per byte of the file. Bytes that look
/// like headers are cheap to come by, and each may claim all that follows.
const RESYNC_CHECKS_MAX: u64 = 64;

/// What lies at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    Batch {
        position: u64,
        header: BatchHeader,
    },
    /// No whole batch that could come next.
    Damage {
        position: u64,
    },
    End,
}

/// Whether checksums are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Whole,
    HeadersOnly,
}

/// What is known of a segment beside its batches.
#[derive(Clone, Debug)]
pub struct Links {
    /// Leader epochs by offset.
    pub epochs: Epochs,
    /// They are to be believed below this offset.
    pub epochs_end: Offset,
    /// Offsets may be missing between batches.
    pub is_compacted: bool,
    /// The last segment of its log.
    pub is_active: bool,
    /// Its offsets lie below.
    pub end_offset: Offset,
}

impl Default for Links {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            epochs: Epochs::default(),
            epochs_end: Offset::ZERO,
            is_compacted: true,
            is_active: false,
            end_offset: Offset(i64::MAX),
        }
    }
}

/// A walk over the batches of a file.
pub struct Scanner<'a> {
    core: &'a Core,
    file: File,
    path: &'a Path,
    /// Where the file ends for this walk.
    end: u64,
    check: Check,
    /// Position of the next batch.
    pub position: u64,
    /// The lowest offset that the next batch may have.
    pub next_offset: Offset,
    /// Where no offsets are missing, the next batch has just that one.
    pub is_exact: bool,
    /// Offsets of this file lie below.
    offset_end: Offset,
    links: Links,
    window: Vec<u8>,
    window_at: u64,
    pub bytes_read: u64,
    /// Bytes that may still be checked in search of batches.
    resync_left: u64,
}

/// What follows damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// A whole batch, at this position.
    Batch(u64, BatchHeader),
    Nothing,
    /// Too much looks like a batch and is none: what follows is not known.
    Unknown,
}

impl<'a> Scanner<'a> {
    /// Walks the batches of the segment with `base`, whose file has `end` bytes, from `position`,
    /// where a batch begins.
    pub fn new(
        core: &'a Core,
        file: File,
        path: &'a Path,
        base: Offset,
        (position, end): (u64, u64),
        check: Check,
    ) -> Self {
        Self {
            core,
            file,
            path,
            end,
            check,
            position,
            next_offset: base,
            is_exact: position == 0,
            offset_end: base.plus(1 << 31),
            links: Links::default(),
            window: Vec::new(),
            window_at: 0,
            bytes_read: 0,
            resync_left: end.saturating_mul(RESYNC_CHECKS_MAX),
        }
    }

    /// Holds headers against what else is known.
    pub fn with(mut self, links: Links) -> Self {
        self.offset_end = self.offset_end.min(links.end_offset);
        self.links = links;
        self
    }

    /// The batch at the current position; moves behind it.
    pub async fn next(&mut self) -> Result<Scanned, LogError> {
        let position = self.position;
        if position >= self.end {
            return Ok(Scanned::End);
        }
        match self.batch_at(position).await? {
            Some(header) if self.is_linked(position, &header).await? => {
                self.step_over(&header);
                Ok(Scanned::Batch { position, header })
            }
            _ => Ok(Scanned::Damage { position }),
        }
    }

    /// The header at the current position, if there is one.
    pub async fn peek(&mut self) -> Result<Option<BatchHeader>, LogError> {
        self.header_at(self.position).await
    }

    /// Whether the batch at the current position is whole by its checksum: damaged as it may be,
    /// its records are there.
    pub async fn is_whole(&mut self) -> Result<bool, LogError> {
        let check = std::mem::replace(&mut self.check, Check::Whole);
        let found = self.batch_at(self.position).await;
        self.check = check;
        Ok(found?.is_some())
    }

    /// Where the walk ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Looks for the next whole batch after a damaged `position`, byte by byte; moves to it.
    pub async fn resync(&mut self) -> Result<Follows, LogError> {
        let mut at = self.position + 1;
        while at + HEADER_BYTES as u64 <= self.end {
            let bytes = self.view(at, HEADER_BYTES).await?;
            if bytes.len() < HEADER_BYTES {
                return Ok(Follows::Nothing);
            }
            // The format's number is what a batch has at byte 16.
            let Some(step) = bytes[16..].iter().position(|byte| *byte == 2) else {
                at += (bytes.len() - 16) as u64;
                continue;
            };
            if step > 0 {
                at += step as u64;
                continue;
            }
            if let Some(header) = self.next_header_at(at).await? {
                let Some(left) = self.resync_left.checked_sub(header.total_bytes() as u64) else {
                    return Ok(Follows::Unknown);
                };
                self.resync_left = left;
                if self.is_sound(at, &header).await? {
                    self.position = at;
                    return Ok(Follows::Batch(at, header));
                }
            }
            at += 1;
        }
        Ok(Follows::Nothing)
    }

    fn step_over(&mut self, header: &BatchHeader) {
        self.position += header.total_bytes() as u64;
        self.next_offset = header.next_offset();
        self.is_exact = true;
    }

    /// Whether a batch fits between what came before it and what comes after.
    async fn is_linked(&mut self, position: u64, header: &BatchHeader) -> Result<bool, LogError> {
        let (base, next) = (header.base_offset, header.next_offset());
        if base < self.links.epochs_end
            && header.leader_epoch > LeaderEpoch::NONE
            && self.links.epochs.at(base).is_some_and(|epoch| epoch != header.leader_epoch)
        {
            return Ok(false);
        }
        let is_expected = base == self.next_offset;
        let after = position + header.total_bytes() as u64;
        let follower = self.header_at(after).await?.map(|header| header.base_offset);
        let is_followed = match follower {
            Some(follower) => follower == next || (follower > next && self.links.is_compacted),
            None => after == self.end && next == self.offset_end,
        };
        if is_followed {
            return Ok(true);
        }
        if self.check == Check::HeadersOnly && !self.is_sound(position, header).await? {
            return Ok(false);
        }
        // Its length and its count are right. If its offset is wrong, it does not follow the batch
        // before; then it reaches beyond the one after, or beyond the end.
        let is_strange = !is_expected && self.is_exact;
        let is_beyond = match follower {
            Some(follower) => follower < next && follower >= self.next_offset,
            None => after == self.end && self.links.is_active && !self.links.is_compacted,
        };
        Ok(!(is_strange && is_beyond))
    }

    /// What stands at a position, if it looks like a header of this file.
    async fn header_at(&mut self, position: u64) -> Result<Option<BatchHeader>, LogError> {
        if position >= self.end {
            return Ok(None);
        }
        let bytes = self.view(position, HEADER_BYTES).await?;
        let header = BatchHeader::parse(Pieces::one(bytes)).ok();
        Ok(header.filter(|header| {
            header.total_bytes() as u64 <= self.end - position
                && header.last_offset_delta >= 0
                && header.record_count >= 0
                && header.last_offset() < self.offset_end
        }))
    }

    /// A whole batch at `position` that may come next, or none.
    async fn batch_at(&mut self, position: u64) -> Result<Option<BatchHeader>, LogError> {
        let Some(header) = self.next_header_at(position).await? else { return Ok(None) };
        let is_sound = self.check != Check::Whole || self.is_sound(position, &header).await?;
        Ok(is_sound.then_some(header))
    }

    /// What looks like the header of a batch that may come next.
    async fn next_header_at(&mut self, position: u64) -> Result<Option<BatchHeader>, LogError> {
        let header = self.header_at(position).await?;
        Ok(header.filter(|header| {
            header.base_offset >= self.next_offset && header.leader_epoch >= LeaderEpoch::NONE
        }))
    }

    async fn is_sound(&mut self, position: u64, header: &BatchHeader) -> Result<bool, LogError> {
        let mut crc = Crc32c::new();
        let end = position + header.total_bytes() as u64;
        let mut at = position + CRC_FROM as u64;
        while at < end {
            let bytes = self.view(at, 1).await?;
            let take = bytes.len().min((end - at) as usize);
            if take == 0 {
                return Ok(false);
            }
            crc.update(&bytes[..take]);
            at += take as u64;
        }
        Ok(crc.finish() == header.crc)
    }

    /// The bytes from `at` on that are in the window; at least `want` of them unless the file ends
    /// before.
    async fn view(&mut self, at: u64, want: usize) -> Result<&[u8], LogError> {
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !held.contains(&at) || held.end < (at + want as u64).min(self.end) {
            let mut buffer = std::mem::take(&mut self.window);
            buffer.clear();
            buffer.resize(WINDOW_BYTES.min((self.end - at.min(self.end)) as usize), 0);
            self.window = self
                .file
                .read_at(self.core, buffer, at)
                .await
                .map_err(LogError::at("read", self.path))?;
            self.window_at = at;
            self.bytes_read += self.window.len() as u64;
        }
        Ok(self.window.get((at - self.window_at) as usize..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, run};
    use super::*;
    use crate::record::Stamp;
    use crate::runtime::Open;

    /// Headers one after the other, each of a batch that claims all that follows.
    fn false_headers(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for index in 0..count {
            let (mut header, _) = batch(1, 10, 1000);
            header.batch_length = ((count - index) * HEADER_BYTES - 12) as i32;
            header.crc = 1;
            bytes.extend_from_slice(&header.encode());
        }
        bytes
    }

    async fn resync(core: &Core, path: &Path, bytes: Vec<u8>) -> (Follows, u64) {
        std::fs::write(path, &bytes).unwrap();
        let file = core.open(path, Open::Read).await.unwrap();
        let span = (0, bytes.len() as u64);
        let mut scanner = Scanner::new(core, file, path, Offset(0), span, Check::HeadersOnly);
        let follows = scanner.resync().await.unwrap();
        (follows, scanner.resync_left)
    }

    #[test]
    fn a_search_for_whole_batches_has_an_end() {
        run(|core, folder| async move {
            let path = folder.path().join("a.log");
            // 100 headers cost a mean of 50 times the file, 1000 would cost 500 times.
            let (follows, _) = resync(&core, &path, false_headers(100)).await;
            assert_eq!(follows, Follows::Nothing);
            let (follows, left) = resync(&core, &path, false_headers(1000)).await;
            assert_eq!(follows, Follows::Unknown);
            assert!(left < 1000 * HEADER_BYTES as u64);
        });
    }

    #[test]
    fn a_whole_batch_is_found_behind_false_ones() {
        run(|core, folder| async move {
            let path = folder.path().join("a.log");
            let mut bytes = false_headers(40);
            let at = bytes.len() as u64;
            let (header, whole) = batch(2, 100, 1000);
            let Stamp::Head(head) = header.stamp(Offset(7), LeaderEpoch(3)) else { panic!() };
            bytes.extend_from_slice(&head);
            bytes.extend_from_slice(&whole[head.len()..]);
            let (follows, _) = resync(&core, &path, bytes).await;
            let Follows::Batch(found, header) = follows else { panic!("{follows:?}") };
            assert_eq!((found, header.base_offset), (at, Offset(7)));
        });
    }
}
