//! Reading: where the bytes of a fetch lie.
//!
//! [`Log::try_read`] neither waits nor allocates: it looks at the newest batches, at the indexes in
//! memory, and walks batch headers that are in the page cache. [`ReadJob`] does the same with ring
//! reads, after it has opened, loaded and checked (see `check`) what it needs.

use super::check::{self, Reach};
use super::directory::LogDir;
use super::error::LogError;
use super::load;
use super::log::Log;
use super::scan::Links;
use super::segment::{Damage, Segment};
use crate::base::Pieces;
use crate::model::Offset;
use crate::record::{BatchHeader, HEADER_BYTES};
use crate::runtime::{Core, File};
use std::rc::Rc;

/// Bytes of headers looked at with one read.
pub(super) const LOOK_BYTES: usize = 4096;
/// Looks that a read on the core may take: where batches are large, or the index is sparse, each
/// finds one batch.
const LOOKS_INLINE_MAX: usize = 16;
/// Segments that one job looks into: more than one only where offsets are missing.
const JOB_SEGMENTS_MAX: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRange {
    /// First offset wanted; inside a batch, the whole batch is given.
    pub from: Offset,
    /// Offsets at or above this one are not given: high watermark or last stable offset.
    pub upper: Offset,
    pub bytes_max: usize,
    /// KIP-74: the first batch is given whole even if it is larger than `bytes_max`.
    pub one_batch_at_least: bool,
}

/// Bytes of a segment file, ready to be sent. Holds the file: while a span lives its bytes are
/// neither cut nor closed (unlinked they may be). It begins with a whole batch; it may end inside
/// one, as Kafka's answers do.
#[derive(Clone, Debug)]
pub struct Span {
    pub file: File,
    pub position: u64,
    pub len: usize,
    /// Of the first batch; at or below the offset asked for.
    pub base_offset: Offset,
    /// Among the newest batches: in the page cache, as far as this core can know (see
    /// `Log::has_write_in_worker` before skipping the residency probe).
    pub is_tail: bool,
    /// Its segment is older than the one that the upper bound lies in. It will not grow: a fetch
    /// is answered with it, however little it is (as Kafka does).
    pub is_of_old_segment: bool,
}

/// The answer to a read.
#[derive(Clone, Debug)]
pub enum Read {
    Span(Span),
    /// Nothing to give: at the upper bound, or the first batch is larger than `bytes_max`.
    Empty,
    OutOfRange {
        log_start_offset: Offset,
        log_end_offset: Offset,
    },
}

/// The answer to a read that does not wait.
#[derive(Clone, Debug)]
pub enum ReadNow {
    Ready(Read),
    /// The disk must be asked first: `Log::read_job`.
    NeedsDisk,
    Failed(LogError),
}

/// A batch that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub position: u64,
    pub bytes: u64,
    pub base_offset: Offset,
    pub is_tail: bool,
}

/// The end of a search inside one segment.
pub(super) enum Found {
    Place(Place),
    /// All batches of the segment lie before.
    Behind,
    NeedsDisk,
    Damaged(Damage),
}

/// A walk over batch headers to the first batch that ends at or after an offset.
pub(super) struct Walk {
    pub position: u64,
    end: u64,
    offset: Offset,
}

pub(super) enum Step {
    Found(Place, BatchHeader),
    /// The bytes at `position` are wanted.
    More,
    Behind,
    /// No header at `position`.
    Bad,
}

impl Log {
    /// Finds a range without waiting for the disk and without allocating.
    pub fn try_read(&self, core: &Core, range: &ReadRange) -> ReadNow {
        let Some(upper) = self.readable(range) else {
            return ReadNow::Ready(self.out_of_reach(range));
        };
        let mut index = self.segments.floor(range.from);
        while let Some(segment) = self.segments.get(index) {
            let is_active = index + 1 == self.segments.len();
            match self.find_now(core, segment, is_active, range.from) {
                Found::Place(place) if place.base_offset >= upper => {
                    return ReadNow::Ready(Read::Empty);
                }
                Found::Place(place) => {
                    let end = if upper >= self.end_of(index) {
                        segment.len.get()
                    } else {
                        match self.find_now(core, segment, is_active, upper) {
                            Found::Place(beyond) => beyond.position,
                            Found::Behind => segment.len.get(),
                            Found::Damaged(damage) => damage.position,
                            Found::NeedsDisk => return ReadNow::NeedsDisk,
                        }
                    };
                    let end = end.min(segment.known_end(place.position));
                    let span = self.span(segment, is_active, place, end, range);
                    return ReadNow::Ready(span.map_or(Read::Empty, |span| {
                        let is_of_old_segment = !is_active && upper >= self.end_of(index);
                        Read::Span(Span { is_of_old_segment, ..span })
                    }));
                }
                Found::Behind => index += 1,
                Found::NeedsDisk => return ReadNow::NeedsDisk,
                Found::Damaged(damage) => return ReadNow::Failed(segment.damaged(damage)),
            }
        }
        ReadNow::Ready(Read::Empty)
    }

    /// The same, where the disk must be asked: `job.run(&core).await`.
    pub fn read_job(&self, range: &ReadRange) -> ReadJob {
        let first = self.segments.floor(range.from);
        let last = self.segments.len().min(first + JOB_SEGMENTS_MAX);
        let answer = match self.readable(range) {
            None => Some(self.out_of_reach(range)),
            Some(_) => None,
        };
        ReadJob {
            dir: Rc::clone(&self.dir),
            segments: (first..last)
                .filter_map(|index| {
                    let segment = Rc::clone(self.segments.get(index)?);
                    let (len, end_offset) = (segment.len.get(), self.end_of(index));
                    let is_active = index + 1 == self.segments.len();
                    Some(SegmentThen { segment, len, end_offset, is_active })
                })
                .collect(),
            links: self.links(false, self.log_end_offset),
            range: ReadRange { upper: range.upper.min(self.log_end_offset), ..*range },
            answer,
        }
    }

    /// The bound of what may be read, if there is anything to read.
    fn readable(&self, range: &ReadRange) -> Option<Offset> {
        let upper = range.upper.min(self.log_end_offset);
        (range.from >= self.log_start_offset && range.from < upper).then_some(upper)
    }

    fn out_of_reach(&self, range: &ReadRange) -> Read {
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        if range.from < start || range.from > end {
            return Read::OutOfRange { log_start_offset: start, log_end_offset: end };
        }
        Read::Empty
    }

    /// Where the offsets of a segment end.
    fn end_of(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.log_end_offset, |next| next.base)
    }

    fn find_now(&self, core: &Core, segment: &Segment, is_active: bool, offset: Offset) -> Found {
        if is_active && let Some(batch) = self.tail.ceiling(offset) {
            return Found::Place(Place {
                position: batch.position,
                bytes: u64::from(batch.bytes),
                base_offset: batch.base_offset,
                is_tail: true,
            });
        }
        segment.is_touched.set(true);
        let indexes = segment.indexes.borrow();
        let (Some(indexes), Some(file)) = (indexes.as_ref(), segment.file()) else {
            return Found::NeedsDisk;
        };
        let len = segment.len.get();
        let position = indexes.floor_position(segment.base, offset).min(len);
        let known_end = segment.known_end(position);
        if known_end <= position {
            return Found::NeedsDisk;
        }
        let mut walk = Walk::new(position, len.min(known_end), offset);
        let mut buffer = [0; LOOK_BYTES];
        let (mut filled, mut looks) = (0, 0);
        loop {
            match walk.step(segment, &buffer[..filled]) {
                Step::Found(place, _) => return Found::Place(place),
                Step::Behind if known_end < len => return Found::NeedsDisk,
                Step::Behind => return Found::Behind,
                Step::More if looks == LOOKS_INLINE_MAX => return Found::NeedsDisk,
                Step::More => match core.read_now(&file, &mut buffer, walk.position) {
                    Ok(count) if count >= HEADER_BYTES => (filled, looks) = (count, looks + 1),
                    _ => return Found::NeedsDisk,
                },
                Step::Bad => match segment.damage_at(walk.position) {
                    Some(damage) if offset < damage.to => return Found::Damaged(damage),
                    Some(damage) => {
                        walk.position = damage.end_position;
                        filled = 0;
                    }
                    None => return Found::NeedsDisk,
                },
            }
        }
    }

    fn span(
        &self,
        segment: &Segment,
        is_active: bool,
        place: Place,
        end: u64,
        range: &ReadRange,
    ) -> Option<Span> {
        let span = span(segment, place, end, range)?;
        if !is_active {
            return Some(span);
        }
        let (whole, cut) = (place.position + place.bytes, span.position + span.len as u64);
        match self.tail.boundary_before(whole - 1, cut) {
            Some(boundary) if cut < end => {
                Some(Span { len: (boundary - span.position) as usize, ..span })
            }
            _ => Some(span),
        }
    }
}

/// The bytes from a batch on, up to `end` and the limits asked for; cut at a batch that the index
/// knows, if it must be cut.
fn span(segment: &Segment, place: Place, end: u64, range: &ReadRange) -> Option<Span> {
    let Place { position, bytes, base_offset, is_tail } = place;
    if bytes > range.bytes_max as u64 && !range.one_batch_at_least {
        return None;
    }
    let end = segment.damage_after(position).map_or(end, |damage| damage.min(end));
    let limit = (range.bytes_max as u64).max(bytes).min(end.checked_sub(position)?);
    let mut len = limit;
    if limit < end - position
        && let Some(indexes) = &*segment.indexes.borrow()
        && let Some(boundary) = indexes.boundary_before(position + bytes - 1, position + limit)
    {
        len = boundary - position;
    }
    let file = segment.file()?;
    let (len, is_of_old_segment) = (len as usize, false);
    (len > 0).then_some(Span { file, position, len, base_offset, is_tail, is_of_old_segment })
}

impl Walk {
    pub fn new(position: u64, end: u64, offset: Offset) -> Self {
        Self { position, end, offset }
    }

    /// Goes on over `bytes`, which lie at `position`. What is known to be damaged is not believed.
    pub fn step(&mut self, segment: &Segment, mut bytes: &[u8]) -> Step {
        loop {
            if segment.damage_at(self.position).is_some() {
                return Step::Bad;
            }
            if self.position >= self.end {
                return Step::Behind;
            }
            let left = self.end - self.position;
            if bytes.len() < HEADER_BYTES {
                return if left < HEADER_BYTES as u64 { Step::Bad } else { Step::More };
            }
            let Ok(header) = BatchHeader::parse(Pieces::one(bytes)) else { return Step::Bad };
            let total = header.total_bytes();
            if total as u64 > left || header.last_offset_delta < 0 {
                return Step::Bad;
            }
            if header.last_offset() >= self.offset {
                let place = Place {
                    position: self.position,
                    bytes: total as u64,
                    base_offset: header.base_offset,
                    is_tail: false,
                };
                return Step::Found(place, header);
            }
            self.position += total as u64;
            bytes = bytes.get(total..).unwrap_or_default();
        }
    }
}

/// A read that may wait for the disk; owns all it needs.
#[must_use]
pub struct ReadJob {
    dir: Rc<LogDir>,
    segments: Vec<SegmentThen>,
    links: Links,
    range: ReadRange,
    answer: Option<Read>,
}

/// A segment as it was when a job was made.
struct SegmentThen {
    segment: Rc<Segment>,
    len: u64,
    end_offset: Offset,
    is_active: bool,
}

impl ReadJob {
    pub async fn run(self, core: &Core) -> Result<Read, LogError> {
        if let Some(answer) = self.answer {
            return Ok(answer);
        }
        let range = &self.range;
        for SegmentThen { segment, len, end_offset, is_active } in &self.segments {
            // Retention was faster: whoever asks again learns the new start.
            let Some(_held) = load::load_if_there(core, &self.dir, segment).await? else {
                return Ok(Read::Empty);
            };
            let (end_offset, is_active) = (*end_offset, *is_active);
            let links = Links { is_active, end_offset, ..self.links.clone() };
            let bytes = range.bytes_max as u64;
            let reach = Reach { len: *len, offset: range.from, bytes };
            let Some((place, _)) = find(core, segment, &links, reach).await? else { continue };
            if place.base_offset >= range.upper {
                return Ok(Read::Empty);
            }
            let is_whole = range.upper >= end_offset;
            let end = if is_whole {
                *len
            } else {
                let reach = Reach { offset: range.upper, bytes: 0, ..reach };
                match find(core, segment, &links, reach).await {
                    Ok(beyond) => beyond.map_or(*len, |(place, _)| place.position),
                    // The span ends before the damage anyway.
                    Err(LogError::Damaged { .. }) => *len,
                    Err(error) => return Err(error),
                }
            };
            let is_of_old_segment = is_whole && !is_active;
            let end = end.min(segment.known_end(place.position));
            let span = span(segment, place, end, range);
            let span = span.map(|span| Span { is_of_old_segment, ..span });
            return Ok(span.map_or(Read::Empty, Read::Span));
        }
        Ok(Read::Empty)
    }
}

/// The first batch of a loaded segment that ends at or after `offset`. Damage on the way is set
/// aside; it is an error where the offset lies in it.
pub(super) async fn find(
    core: &Core,
    segment: &Segment,
    links: &Links,
    reach: Reach,
) -> Result<Option<(Place, BatchHeader)>, LogError> {
    check::check(core, segment, links, reach).await?;
    let Reach { len, offset, .. } = reach;
    let position = match &*segment.indexes.borrow() {
        Some(indexes) => indexes.floor_position(segment.base, offset).min(len),
        None => 0,
    };
    let Some(file) = segment.file() else { return Ok(None) };
    let mut walk = Walk::new(position, len, offset);
    let mut buffer = Vec::new();
    loop {
        match walk.step(segment, &buffer) {
            Step::Found(place, header) => return Ok(Some((place, header))),
            Step::Behind => return Ok(None),
            Step::More => {
                buffer.resize(LOOK_BYTES, 0);
                buffer = load::read(core, segment, &file, buffer, walk.position).await?;
                if buffer.len() >= HEADER_BYTES {
                    continue;
                }
            }
            Step::Bad => {}
        }
        let damage = load::damage_at(core, segment, &file, walk.position, len).await?;
        if offset < damage.to {
            return Err(segment.damaged(damage));
        }
        walk.position = damage.end_position;
        buffer.clear();
    }
}
