//! Which old segments are open with their indexes in memory, per directory and core: a bounded
//! number and size; the one that was not read since the last round goes first, and none that
//! somebody counts on.

use super::segment::Segment;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

/// Open old segments per directory and core.
const SEGMENTS_MAX: usize = 512;
/// Memory of their indexes.
const INDEX_BYTES_MAX: usize = 32 << 20;

pub struct SegmentCache {
    segments_max: usize,
    loaded: VecDeque<(Weak<Segment>, usize)>,
    bytes: usize,
}

impl Default for SegmentCache {
    fn default() -> Self {
        Self { segments_max: SEGMENTS_MAX, loaded: VecDeque::new(), bytes: 0 }
    }
}

impl SegmentCache {
    /// Keeps so many open at most.
    pub fn set_segments_max(&mut self, segments_max: usize) {
        self.segments_max = segments_max;
    }

    /// Counts a segment that was loaded (or sealed), and gives others back to stay in bounds.
    pub fn on_load(&mut self, segment: &Rc<Segment>) {
        let bytes = segment.memory_bytes();
        self.bytes += bytes;
        self.loaded.push_back((Rc::downgrade(segment), bytes));
        let mut turns = self.loaded.len() * 2;
        while (self.loaded.len() > self.segments_max || self.bytes > INDEX_BYTES_MAX) && turns > 0 {
            turns -= 1;
            let Some((oldest, bytes)) = self.loaded.pop_front() else { break };
            match oldest.upgrade() {
                Some(old)
                    if Rc::ptr_eq(&old, segment)
                        || old.is_in_use()
                        || old.is_touched.replace(false) =>
                {
                    self.loaded.push_back((oldest, bytes));
                }
                Some(old) => {
                    old.unload();
                    self.bytes -= bytes;
                }
                None => self.bytes -= bytes,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::index::Indexes;
    use crate::model::{Offset, Timestamp};
    use std::path::Path;

    #[test]
    fn what_was_not_read_lately_goes_first() {
        let mut cache = SegmentCache::default();
        let folder: std::sync::Arc<Path> = Path::new("/x").into();
        let segments: Vec<_> = (0..=SEGMENTS_MAX as i64)
            .map(|base| Segment::fresh(folder.clone(), Offset(base), Timestamp(0)))
            .collect();
        segments[0].is_touched.set(true);
        for segment in &segments {
            cache.on_load(segment);
        }
        let is_loaded = |index: usize| segments[index].indexes.borrow().is_some();
        assert!(is_loaded(0) && !is_loaded(1) && is_loaded(2) && is_loaded(SEGMENTS_MAX));
        assert_eq!(segments[1].max_timestamp.get(), Some(Timestamp::NONE));
    }

    #[test]
    fn what_somebody_counts_on_stays() {
        let mut cache = SegmentCache::default();
        cache.set_segments_max(1);
        let folder: std::sync::Arc<Path> = Path::new("/x").into();
        let [held, other, last] =
            [0, 1, 2].map(|base| Segment::fresh(folder.clone(), Offset(base), Timestamp(0)));
        let use_of_it = held.hold();
        for segment in [&held, &other, &last] {
            cache.on_load(segment);
        }
        let is_loaded = |segment: &Segment| segment.indexes.borrow().is_some();
        assert!(is_loaded(&held) && !is_loaded(&other) && is_loaded(&last));
        drop(use_of_it);
        cache.on_load(&other);
        assert!(!is_loaded(&held));
    }

    #[test]
    fn memory_of_indexes_is_bounded() {
        let mut cache = SegmentCache::default();
        let folder: std::sync::Arc<Path> = Path::new("/x").into();
        let segments: Vec<_> = (0..8)
            .map(|base| {
                let segment = Segment::fresh(folder.clone(), Offset(base), Timestamp(0));
                let mut indexes = Indexes::new(Offset(base));
                indexes.offsets.reserve_exact(1 << 20);
                *segment.indexes.borrow_mut() = Some(indexes);
                cache.on_load(&segment);
                segment
            })
            .collect();
        let held: usize = segments.iter().map(|segment| segment.memory_bytes()).sum();
        assert!(held <= INDEX_BYTES_MAX && held > 0, "{held}");
    }
}
