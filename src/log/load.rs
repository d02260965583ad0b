//! Loading an old segment: its file opened, its indexes read, or built again where they are
//! missing, damaged or stale.

use super::cut;
use super::directory::LogDir;
use super::error::LogError;
use super::index::{self, IndexedBatch, Indexes};
use super::names::Kind;
use super::rare::Rare;
use super::scan::{Check, Scanned, Scanner};
use super::segment::{Damage, InUse, Segment};
use super::{checkpoint, seal};
use crate::model::Timestamp;
use crate::runtime::{Core, File, Open};
use std::rc::Rc;

/// More bytes than this after the last index entry: the index is stale.
const UNINDEXED_BYTES_MAX: u64 = 16 << 20;
/// Kafka's `index.interval.bytes`, for indexes that are built again.
const INTERVAL_BYTES: u32 = 4096;

/// Opens and loads a segment that retention or a removal may take meanwhile: `None` if one did. It
/// stays loaded as long as what is given lives.
pub(super) async fn load_if_there(
    core: &Core,
    dir: &LogDir,
    segment: &Rc<Segment>,
) -> Result<Option<InUse>, LogError> {
    let held = segment.hold();
    match load(core, dir, segment).await {
        Err(error) if error.is_not_found() && segment.is_gone.get() => Ok(None),
        loaded => loaded.map(|()| Some(held)),
    }
}

/// Opens and loads a segment; at once if it is.
pub(super) async fn load(core: &Core, dir: &LogDir, segment: &Rc<Segment>) -> Result<(), LogError> {
    segment.is_touched.set(true);
    if segment.is_loaded() {
        return Ok(());
    }
    if segment.is_gone.get() {
        return Err(gone(segment));
    }
    let _loading = segment.begin_load();
    let file = open(core, segment).await?;
    // What was opened may be another's.
    if segment.is_gone.get() {
        Rare::LoadedInVain.reached();
        return Err(gone(segment));
    }
    let read = read_indexes(core, segment).await?;
    let is_rebuilt = read.is_none();
    let indexes = match read {
        Some(indexes) => indexes,
        None => rebuild(core, segment, &file).await?,
    };
    segment.max_timestamp.set(Some(indexes.max_timestamp));
    *segment.indexes.borrow_mut() = Some(indexes);
    segment.set_file(file);
    if is_rebuilt
        && !segment.is_gone.get()
        && let Err(error) = seal::write_indexes(core, segment).await
    {
        // It is in memory: a full disk does not keep anyone from reading.
        tracing::warn!(segment = %segment.path(Kind::Log).display(), %error,
            "a rebuilt index is not written");
    }
    dir.cache.borrow_mut().on_load(segment);
    Ok(())
}

/// What opening its file would say, once it is removed.
fn gone(segment: &Segment) -> LogError {
    LogError::io("open", &segment.path(Kind::Log), std::io::ErrorKind::NotFound.into())
}

pub(super) async fn open(core: &Core, segment: &Segment) -> Result<File, LogError> {
    if let Some(file) = segment.file() {
        return Ok(file);
    }
    let path = segment.path(Kind::Log);
    core.open(&path, Open::Existing).await.map_err(LogError::at("open", &path))
}

/// The indexes that a sealed segment's files hold; `None` where they must be built again.
pub(super) async fn read_indexes(
    core: &Core,
    segment: &Segment,
) -> Result<Option<Indexes>, LogError> {
    let offsets = checkpoint::read_file(core, &segment.path(Kind::OffsetIndex)).await?;
    let times = checkpoint::read_file(core, &segment.path(Kind::TimeIndex)).await?;
    let (Some(offsets), Some(times)) = (offsets, times) else { return Ok(None) };
    let len = segment.len.get();
    let (Ok(offsets), Ok(times)) =
        (index::decode_offsets(&offsets, len.max(1)), index::decode_times(&times))
    else {
        return Ok(None);
    };
    let indexed = offsets.last().map_or(0, |entry| u64::from(entry.position));
    let is_stale = len - indexed > UNINDEXED_BYTES_MAX || (times.is_empty() && len > 0);
    if is_stale {
        return Ok(None);
    }
    let last = times.last();
    Ok(Some(Indexes {
        max_timestamp: last.map_or(Timestamp::NONE, |entry| entry.timestamp),
        max_timestamp_offset: last
            .map_or(segment.base, |entry| segment.base.plus(i64::from(entry.relative_offset))),
        offsets,
        times,
        bytes_since_entry: 0,
    }))
}

/// Builds the indexes of a sealed segment from its batches' headers.
async fn rebuild(core: &Core, segment: &Segment, file: &File) -> Result<Indexes, LogError> {
    Rare::IndexRebuilt.reached();
    let path = segment.path(Kind::Log);
    let mut indexes = Indexes::new(segment.base);
    let span = (0, segment.len.get());
    let base = segment.base;
    let mut scanner = Scanner::new(core, file.clone(), &path, base, span, Check::HeadersOnly);
    loop {
        match scanner.next().await? {
            Scanned::Batch { position, header } => {
                let batch = IndexedBatch {
                    last_offset: header.last_offset(),
                    max_timestamp: header.max_timestamp,
                    bytes: header.total_bytes() as u64,
                };
                indexes.on_batch(base, &batch, position, INTERVAL_BYTES);
            }
            Scanned::Damage { .. } => {
                if !cut::skip_damage(segment, &mut scanner).await? {
                    break;
                }
            }
            Scanned::End => break,
        }
    }
    indexes.push_time(base);
    tracing::info!(segment = %path.display(), "index rebuilt");
    Ok(indexes)
}

/// The damage at a position where no batch begins; found out and set aside if it was not known.
pub(super) async fn damage_at(
    core: &Core,
    segment: &Segment,
    file: &File,
    position: u64,
    len: u64,
) -> Result<Damage, LogError> {
    if let Some(damage) = segment.damage_at(position) {
        return Ok(damage);
    }
    let path = segment.path(Kind::Log);
    // What came before is not known here: the next good batch says where the damage ends.
    let base = segment.base;
    let mut scanner = Scanner::new(core, file.clone(), &path, base, (position, len), Check::Whole);
    scanner.next_offset = cut::offset_before(core, segment, file, position).await?;
    cut::skip_damage(segment, &mut scanner).await?;
    Ok(segment.damage_at(position).expect("just set aside"))
}

pub(super) async fn read(
    core: &Core,
    segment: &Segment,
    file: &File,
    buffer: Vec<u8>,
    at: u64,
) -> Result<Vec<u8>, LogError> {
    file.read_at(core, buffer, at).await.map_err(LogError::at("read", &segment.path(Kind::Log)))
}
