//! Damage: finding out how far it reaches, setting it aside, cutting it off.

use super::error::LogError;
use super::names::{self, Kind};
use super::scan::{Check, Follows, Scanned, Scanner};
use super::segment::{Damage, Segment};
use crate::model::Offset;
use crate::runtime::{Core, File, Gather, Open};

/// Bytes copied at a time when a cut is kept.
const COPY_BYTES: usize = 256 * 1024;

/// The scanner stands at damage: sets it aside up to the next whole batch, and moves there.
/// Without one, the damage reaches to the end of the file and of the segment's offsets. Whether a
/// whole batch follows.
pub(super) async fn skip_damage(
    segment: &Segment,
    scanner: &mut Scanner<'_>,
) -> Result<bool, LogError> {
    let (position, from) = (scanner.position, scanner.next_offset);
    let follows = scanner.resync().await?;
    let (end_position, to) = match follows {
        Follows::Batch(position, header) => (position, header.base_offset),
        Follows::Nothing | Follows::Unknown => (scanner.end(), segment.end_offset.get().max(from)),
    };
    segment.set_aside(Damage { position, end_position, from, to });
    scanner.position = end_position;
    scanner.next_offset = to;
    scanner.is_exact = true;
    Ok(matches!(follows, Follows::Batch(..)))
}

/// The offset after the last batch before `position`.
pub(super) async fn offset_before(
    core: &Core,
    segment: &Segment,
    file: &File,
    position: u64,
) -> Result<Offset, LogError> {
    let path = segment.path(Kind::Log);
    let start = segment.indexes.borrow().as_ref().and_then(|i| i.boundary_before(0, position));
    let (base, start) = (segment.base, start.filter(|start| *start < position).unwrap_or(0));
    let span = (start, position);
    let mut scanner = Scanner::new(core, file.clone(), &path, base, span, Check::HeadersOnly);
    while let Scanned::Batch { .. } = scanner.next().await? {}
    Ok(scanner.next_offset)
}

/// A name for what is cut from a segment at `position` that no earlier cut has taken.
pub(super) async fn free_name(
    core: &Core,
    segment: &Segment,
    position: u64,
) -> Result<String, LogError> {
    let mut count = 1;
    loop {
        let name = names::cut_name(segment.base, position, count);
        let path = segment.folder.join(&name);
        match core.stat(&path).await {
            Ok(_) => count += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(name),
            Err(error) => return Err(LogError::io("stat", &path, error)),
        }
    }
}

/// Cuts a segment's file at `position`. With `keep`, what is cut is first copied to a file beside
/// it, whose name is given.
pub(super) async fn cut(
    core: &Core,
    segment: &Segment,
    file: &File,
    position: u64,
    keep: bool,
) -> Result<Option<String>, LogError> {
    let path = segment.path(Kind::Log);
    let mut kept_in = None;
    if keep {
        let name = free_name(core, segment, position).await?;
        let kept = segment.folder.join(&name);
        let copy = core.open(&kept, Open::Create).await.map_err(LogError::at("create", &kept))?;
        let mut at = position;
        while at < segment.len.get() {
            let buffer = vec![0; COPY_BYTES.min((segment.len.get() - at) as usize)];
            let bytes =
                file.read_at(core, buffer, at).await.map_err(LogError::at("read", &path))?;
            if bytes.is_empty() {
                break;
            }
            let len = bytes.len() as u64;
            let (written, _, _) =
                copy.write_at(core, Gather::from_bytes(bytes), at - position).await;
            written.map_err(LogError::at("write", &kept))?;
            at += len;
        }
        copy.sync_data(core).await.map_err(LogError::at("fsync", &kept))?;
        core.sync_dir(&segment.folder).await.map_err(LogError::at("fsync", &segment.folder))?;
        kept_in = Some(name);
    }
    file.truncate(core, position).await.map_err(LogError::at("cut", &path))?;
    segment.len.set(position);
    segment.staged_len.set(position);
    segment.allocated.set(position);
    segment.writeback.reset(position);
    Ok(kept_in)
}
