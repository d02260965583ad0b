//! Checking headers before they are believed. What a process has not written itself may have rotted,
//! and the part of a header that says where a batch lies and how long it is has no checksum. So the
//! headers of a range are held against each other once, before its first read; after that a read
//! only looks whether its range is known.

use super::cut;
use super::error::LogError;
use super::load;
use super::log::Log;
use super::names::Kind;
use super::read::Step;
use super::read::Walk;
use super::scan::{Check, Links, Scanned, Scanner};
use super::segment::{Checked, Segment};
use crate::model::Offset;
use crate::runtime::{Core, File};

/// Looked at together, at least: a window of the scanner.
const STEP_BYTES: u64 = 256 * 1024;
/// And at most, after the batch that is wanted: a span ends there if it would be longer.
const REACH_BYTES: u64 = 8 << 20;

impl Log {
    /// What is known of a segment's batches.
    pub(super) fn links(&self, is_active: bool, end_offset: Offset) -> Links {
        Links {
            epochs: self.epochs.clone(),
            epochs_end: self.log_end_offset,
            is_compacted: self.config.is_compacted,
            is_active,
            end_offset,
        }
    }
}

/// What is asked of a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Bytes of the segment.
    pub len: u64,
    /// The batch that is wanted, and so many bytes after it.
    pub offset: Offset,
    pub bytes: u64,
}

/// Checks from the last indexed batch before the wanted one on. What does not fit is set aside.
pub(super) async fn check(
    core: &Core,
    segment: &Segment,
    links: &Links,
    reach: Reach,
) -> Result<(), LogError> {
    let Some(file) = segment.file() else { return Ok(()) };
    let start = match &*segment.indexes.borrow() {
        Some(indexes) => indexes.floor_position(segment.base, reach.offset).min(reach.len),
        None => 0,
    };
    let bytes = reach.bytes.clamp(STEP_BYTES, REACH_BYTES);
    let (known, mut goal) = (segment.known_end(start), None);
    if known > start {
        let wanted = wanted_in(core, segment, &file, (start, known.min(reach.len)), reach.offset);
        goal = wanted.await?.map(|end| end.saturating_add(bytes).min(reach.len));
        if known >= goal.unwrap_or(reach.len) {
            return Ok(());
        }
    }
    let path = segment.path(Kind::Log);
    let span = (start, reach.len);
    let scanner = Scanner::new(core, file, &path, segment.base, span, Check::HeadersOnly);
    let mut scanner = scanner.with(links.clone());
    let from = begin(segment, &mut scanner, known).await?;
    let limit = segment.trusted_from();
    while scanner.position < goal.unwrap_or(reach.len).min(limit) {
        let wanted_end = match scanner.next().await? {
            Scanned::Batch { position, header } => (header.last_offset() >= reach.offset)
                .then(|| position + header.total_bytes() as u64),
            Scanned::Damage { position } => {
                cut::skip_damage(segment, &mut scanner).await?;
                report(segment, position);
                (scanner.next_offset > reach.offset).then_some(scanner.position)
            }
            Scanned::End => break,
        };
        goal = goal.or(wanted_end.map(|end| end.saturating_add(bytes)));
    }
    let (to, next_offset) = (scanner.position, scanner.next_offset);
    segment.on_checked(Checked { from, to, next_offset });
    Ok(())
}

/// Puts the scanner where something is known: behind what was checked, at the batch that the index
/// knows, or, where that is not what the index says, at the segment's begin. Where it begins.
async fn begin(segment: &Segment, scanner: &mut Scanner<'_>, known: u64) -> Result<u64, LogError> {
    let start = scanner.position;
    if known > start {
        let checked = segment.checked();
        scanner.position = checked.to;
        scanner.next_offset = checked.next_offset;
        scanner.is_exact = true;
        return Ok(checked.from);
    }
    let expected = segment
        .indexes
        .borrow()
        .as_ref()
        .and_then(|indexes| indexes.last_offset_at(segment.base, start));
    let header = scanner.peek().await?;
    match header.filter(|header| Some(header.last_offset()) == expected) {
        Some(header) => scanner.next_offset = header.base_offset,
        None => scanner.position = 0,
    }
    scanner.is_exact = true;
    Ok(scanner.position)
}

/// Where the wanted batch ends, if it lies among the known ones.
async fn wanted_in(
    core: &Core,
    segment: &Segment,
    file: &File,
    (start, end): (u64, u64),
    offset: Offset,
) -> Result<Option<u64>, LogError> {
    let mut walk = Walk::new(start, end, offset);
    let mut buffer = Vec::new();
    loop {
        match walk.step(segment, &buffer) {
            Step::Found(place, _) => return Ok(Some(place.position + place.bytes)),
            Step::Behind => return Ok(None),
            Step::More => {
                buffer.resize(super::read::LOOK_BYTES, 0);
                buffer = load::read(core, segment, file, buffer, walk.position).await?;
                if buffer.len() < crate::record::HEADER_BYTES {
                    return Ok(None);
                }
            }
            Step::Bad => match segment.damage_at(walk.position) {
                Some(damage) if offset < damage.to => return Ok(Some(damage.end_position)),
                Some(damage) => {
                    walk.position = damage.end_position;
                    buffer.clear();
                }
                None => return Ok(None),
            },
        }
    }
}

fn report(segment: &Segment, position: u64) {
    let Some(damage) = segment.damage_at(position) else { return };
    tracing::error!(
        segment = %segment.path(Kind::Log).display(),
        "{} bytes at position {position} are DAMAGED: offsets {} to {} (exclusive) cannot be read; \
         what comes after can",
        damage.end_position - position,
        damage.from,
        damage.to,
    );
}
