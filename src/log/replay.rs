//! Producer state from disk: the newest good snapshot, then the batches after it.

use super::error::LogError;
use super::folder;
use super::load;
use super::names::{self, Kind};
use super::planted::Bug;
use super::producer_state::{ProducerBatch, ProducerEntry, ProducerStates};
use super::rare::Rare;
use super::recovery::Finding;
use super::scan::{Check, Scanned, Scanner};
use super::segment::Segment;
use super::{checkpoint, cut, snapshot};
use crate::model::{Offset, Timestamp};
use crate::record::{BatchHeader, EndTxnMarker, HEADER_BYTES, Records};
use crate::runtime::{Core, File};
use std::path::Path;

/// A control batch holds one small record; a larger one is not looked into.
const CONTROL_BYTES_MAX: usize = 64 * 1024;

/// How far the state in memory reaches.
pub(super) struct Replay {
    /// Batches from here on are not in it yet.
    pub position: Offset,
    now: Timestamp,
}

/// The state of a snapshot.
#[derive(Default)]
pub(super) struct FoundSnapshot {
    pub offset: Option<Offset>,
    pub entries: Vec<ProducerEntry>,
    pub findings: Vec<Finding>,
}

/// The newest of the snapshots that can be read; those that cannot are removed.
pub(super) async fn newest_snapshot(
    core: &Core,
    dir: &Path,
    mut offsets: Vec<Offset>,
) -> Result<FoundSnapshot, LogError> {
    let mut found = FoundSnapshot::default();
    while let Some(offset) = offsets.pop() {
        let path = names::path(dir, offset, Kind::Snapshot);
        let Some(bytes) = checkpoint::read_file(core, &path).await? else { continue };
        match snapshot::decode(&bytes) {
            Ok(entries) => {
                found.offset = Some(offset);
                found.entries = entries;
                break;
            }
            Err(error) => {
                Rare::SnapshotUnusable.reached();
                let name = names::file_name(offset, Kind::Snapshot);
                found.findings.push(Finding::Unusable { name, reason: error.to_string() });
                folder::remove(core, &path).await?;
            }
        }
    }
    Ok(found)
}

impl Replay {
    pub fn new(now: Timestamp) -> Self {
        Self { position: Offset::ZERO, now }
    }

    /// Replays the headers of a whole segment.
    pub async fn segment(
        &mut self,
        core: &Core,
        segment: &Segment,
        file: &File,
        producers: &mut ProducerStates,
    ) -> Result<(), LogError> {
        let path = segment.path(Kind::Log);
        let (span, base) = ((0, segment.len.get()), segment.base);
        let mut scanner = Scanner::new(core, file.clone(), &path, base, span, Check::HeadersOnly);
        loop {
            match scanner.next().await? {
                Scanned::Batch { position, header } => {
                    self.batch(core, segment, file, position, &header, producers).await?;
                }
                Scanned::Damage { .. } => {
                    cut::skip_damage(segment, &mut scanner).await?;
                }
                Scanned::End => return Ok(()),
            }
        }
    }

    /// Counts one batch, unless the snapshot had it.
    pub async fn batch(
        &mut self,
        core: &Core,
        segment: &Segment,
        file: &File,
        position: u64,
        header: &BatchHeader,
        producers: &mut ProducerStates,
    ) -> Result<(), LogError> {
        if header.next_offset() <= self.position || Bug::ProducersNotReplayed.is_planted() {
            return Ok(());
        }
        self.position = header.next_offset();
        let Some(batch) = ProducerBatch::new(header, header.max_timestamp) else { return Ok(()) };
        if !header.attributes.is_control() {
            producers.replay(&batch, header.base_offset, self.now);
            return Ok(());
        }
        let bytes = header.total_bytes();
        if bytes > CONTROL_BYTES_MAX {
            return Ok(());
        }
        let raw = load::read(core, segment, file, vec![0; bytes], position).await?;
        let record = Records::new(raw.get(HEADER_BYTES..).unwrap_or_default()).next();
        if let Some(Ok(record)) = record
            && let Ok(Some(marker)) = EndTxnMarker::parse(record.key, record.value)
        {
            let (id, epoch) = (header.producer_id, header.producer_epoch);
            let time = header.max_timestamp;
            producers.replay_marker(id, epoch, marker.coordinator_epoch, time, self.now);
        }
        Ok(())
    }
}
